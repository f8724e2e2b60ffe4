//! `exponent`: mean ∝ (what is swept)^exponent, or ∝ baseline × (what is swept)^exponent.

use std::sync::Arc;

use super::evidence::{Case, Estimate, Evidence};
use super::law::{Checked, Entry, Law, Remark, observable};
use super::place::{Group, Place, groups, unsound};
use super::reader::ClaimReader;
use super::repetitions::{Statistic, over_repetitions};
use crate::experiment::cell::Cell;
use crate::experiment::format::{interval, rounded};
use crate::experiment::place::with_dimension;
use crate::experiment::results::{Replicate, Row, Sampled};
use crate::experiment::specification::expression::{Expression, Variables, describe};
use crate::experiment::specification::reader::SpecError;
use crate::observable::Observable;
use crate::short::short;
use crate::statistics::{Fit, WeightedPoint, regression};
use crate::theory::TheoryValue;

/// A claim of a power law.
#[derive(Debug, Clone)]
pub struct Exponent {
    /// The observable.
    pub observable: String,
    /// `dimension`, or a sweep variable.
    pub against: String,
    /// The exponent, which may depend on the other sweep variables.
    pub exponent: Expression,
    /// A known function of the point that is divided out first.
    pub relative_to: Option<Baseline>,
}

/// What the means are divided by before an exponent is fitted.
#[derive(Debug, Clone)]
pub enum Baseline {
    /// The exact mean of another observable.
    Theory(Observable),
    /// A formula of the sweep variables and `dimension`.
    Formula(Expression),
}

pub(super) const ENTRY: Entry = Entry {
    key: "exponent",
    name: "exponent",
    keys: &["observable", "against", "relative_to", "network", "tolerance"],
    read,
    predicted: |predicted, tolerance| format!("{} ± {}", rounded(predicted, 4), rounded(tolerance, 4)),
    remark: slope_remark,
    interval,
};

fn slope_remark(remark: &Remark) -> String {
    let what = if remark.is_worst { "worst local slope" } else { "slope" };
    format!("{what} {}{}", remark.measured, remark.predicted)
}

fn read(claim: &ClaimReader<'_>) -> Result<Arc<dyn Law>, SpecError> {
    let relative_to = match claim.reader.string("relative_to")? {
        None => None,
        Some(name) => match observable(name) {
            Some(observable) => Some(Baseline::Theory(observable)),
            None => {
                let formula = Expression::parse(name).map_err(|_| {
                    claim.reader.refuse("relative_to", "must be an observable with an exact mean, or an expression")
                })?;
                Some(Baseline::Formula(formula))
            }
        },
    };
    Ok(Arc::new(Exponent {
        observable: claim.observable()?,
        against: claim.against()?,
        exponent: claim.formula("exponent")?,
        relative_to,
    }))
}

impl Law for Exponent {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn check_in(&self, checked: &Checked<'_>) -> Result<(), SpecError> {
        for label in checked.labels() {
            for Group { variables, members } in groups(checked.of(label), &self.against, |cell| *cell) {
                checked.evaluate("exponent", &self.exponent, &variables)?;
                for cell in members {
                    if cell.abscissa(&self.against) <= 0.0 {
                        let message = "must be a variable whose values are above 0";
                        return Err(checked.refuse("against", &self.against, message));
                    }
                    baseline(self.relative_to.as_ref(), cell)
                        .map_err(|message| checked.refuse("relative_to", "", message))?;
                }
            }
        }
        Ok(())
    }

    fn evidence(&self, case: &Case<'_>) -> Vec<Evidence> {
        let groups = case.labels.iter().copied().flat_map(|label| {
            let groups = groups(case.places(label, &self.observable), &self.against, |place| place.cell);
            groups.into_iter().map(move |group| (label, group))
        });
        groups.map(|(label, group)| self.of_group(case, label, group)).collect()
    }

    fn observables(&self) -> Vec<&str> {
        vec![&self.observable]
    }

    fn against(&self) -> Option<&str> {
        Some(&self.against)
    }

    fn remark(&self, remark: &Remark) -> String {
        let residual = if self.relative_to.is_some() { "residual " } else { "" };
        format!("{residual}{}", slope_remark(remark))
    }

    fn shape(&self, row: &Row, rows: &[Row], x: f64, others: &Variables) -> Option<f64> {
        let power = self.exponent.evaluate(others).ok()?;
        Some(self.baseline_of(row, rows)? * x.powf(power))
    }
}

impl Exponent {
    fn of_group(&self, case: &Case<'_>, label: &str, group: Group<Place<'_>>) -> Evidence {
        let Group { variables, members: places } = group;
        let mut verdict = case.start(label, &self.observable, ENTRY.name);
        let predicted = self.exponent.evaluate(&variables).unwrap_or(f64::NAN);
        verdict.predicted = Some(predicted);
        if !variables.is_empty() {
            verdict.statement = format!("{} [{}]", verdict.statement, describe(&variables));
            verdict.variables = variables;
        }
        if let Some(reason) = unsound(&places) {
            return Evidence::undecided(verdict, reason);
        }
        let band = (predicted - case.terms.tolerance, predicted + case.terms.tolerance);
        if case.repeats() {
            let slope = |replicates: &[&Replicate]| self.slope(&places, replicates);
            return match over_repetitions(&places, slope) {
                Ok(estimate) => case.decide(verdict, vec![estimate], band, &places, |x| x),
                Err(none) => Evidence::without_error(verdict, none, |x| x),
            };
        }
        let point = |place: &Place<'_>| {
            let ordinate = place.sampled.mean / self.divisor(place.cell);
            WeightedPoint { y: ordinate.ln(), ..logarithm(place.cell.abscissa(&self.against), &place.sampled) }
        };
        let points: Vec<WeightedPoint> = places.iter().map(point).collect();
        let Some(fit) = Fit::line(&points) else {
            let positive = places.iter().all(|place| place.sampled.mean > 0.0);
            let reason = if positive { "needs two different values on the abscissa" } else { "needs positive means" };
            return Evidence::undecided(verdict, reason);
        };
        verdict.goodness_of_fit = Some(fit.goodness_of_fit);
        if !fit.is_poor() {
            return case.decide(verdict, vec![Estimate::of_fit(&fit, String::new())], band, &places, |x| x);
        }
        // No power law, so the exponent must be inside the tolerance everywhere along the curve.
        let pieces = regression::pieces(&points);
        let estimates = pieces.map(|([from, to], piece)| {
            let number = |point: WeightedPoint| rounded(point.x.exp(), 4);
            Estimate::of_fit(
                &piece,
                format!(
                    "no power law: the local slope that fits worst, from {} = {} to {}",
                    self.against,
                    number(from),
                    number(to)
                ),
            )
        });
        case.decide(verdict, estimates.collect(), band, &places, |x| x)
    }

    /// The slope of one repetition's values, all points of one weight.
    fn slope(&self, places: &[Place<'_>], replicates: &[&Replicate]) -> Statistic {
        let xs: Vec<f64> = places.iter().map(|place| place.cell.abscissa(&self.against).ln()).collect();
        let centre = xs.iter().sum::<f64>() / xs.len() as f64;
        let spread: f64 = xs.iter().map(|x| (x - centre).powi(2)).sum();
        let (mut value, mut sampling) = (0.0, 0.0);
        for ((x, place), replicate) in xs.iter().zip(places).zip(replicates) {
            let lever = (x - centre) / spread;
            value += lever * (replicate.value / self.divisor(place.cell)).ln();
            sampling += lever * lever * replicate.relative_sampling();
        }
        Statistic { value, sampling, resolution: 0.0 }
    }

    /// What a mean is divided by; NaN, which decides nothing, where the check before the run found no value.
    fn divisor(&self, cell: &Cell) -> f64 {
        baseline(self.relative_to.as_ref(), cell).unwrap_or(f64::NAN)
    }

    fn baseline_of(&self, row: &Row, rows: &[Row]) -> Option<f64> {
        match &self.relative_to {
            None => Some(1.0),
            Some(Baseline::Formula(formula)) => formula.evaluate(&with_dimension(&row.variables, row.dimension)).ok(),
            Some(Baseline::Theory(observable)) => {
                let same = |other: &&Row| {
                    other.network == row.network
                        && other.variables == row.variables
                        && other.observable.parse::<Observable>().as_ref() == Ok(observable)
                };
                rows.iter().find(same)?.theory.as_ref().map(|(mean, _)| *mean)
            }
        }
    }
}

/// A point on logarithmic axes: the standard error of ln y is that of y over y.
pub(super) fn logarithm(x: f64, sampled: &Sampled) -> WeightedPoint {
    let Sampled { mean, std_error, draws, .. } = *sampled;
    let degrees = draws.saturating_sub(1) as f64;
    WeightedPoint { x: x.ln(), y: mean.ln(), std_error: (std_error / mean).abs(), degrees }
}

/// What a mean is divided by before an exponent is fitted.
fn baseline(relative_to: Option<&Baseline>, cell: &Cell) -> Result<f64, String> {
    let value = match relative_to {
        None => return Ok(1.0),
        Some(Baseline::Formula(formula)) => formula.evaluate(&cell.variables_with_dimension())?,
        Some(Baseline::Theory(observable)) => match cell.expected(observable) {
            Some(TheoryValue { mean, .. }) => {
                mean.to_f64().ok_or_else(|| format!("is {mean} at {}, beyond double precision", cell.describe()))?
            }
            None => return Err(format!("has no exact mean for \"{}\"", cell.network)),
        },
    };
    if value > 0.0 {
        Ok(value)
    } else {
        Err(format!("must be above 0, but is {} at {}", short(value), cell.describe()))
    }
}
