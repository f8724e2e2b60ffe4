//! `exponent`: mean ∝ (what is swept)^exponent, or ∝ baseline × (what is swept)^exponent.

use std::sync::Arc;

use super::evidence::{Case, Evidence};
use super::law::{Checked, Entry, Law, Remark, observable};
use super::place::{Group, Place, groups};
use super::reader::ClaimReader;
use super::slope::{Slopes, logarithm, of_variables};
use super::target::Target;
use crate::experiment::cell::Cell;
use crate::experiment::format::{interval, rounded};
use crate::experiment::place::with_dimension;
use crate::experiment::results::{Replicate, Row};
use crate::experiment::specification::expression::{Expression, Variables};
use crate::experiment::specification::reader::SpecError;
use crate::observable::Observable;
use crate::short::short;
use crate::statistics::WeightedPoint;
use crate::theory::TheoryValue;

/// A claim of a power law.
#[derive(Debug, Clone)]
pub struct Exponent {
    /// The observable.
    pub observable: String,
    /// `dimension`, or a sweep variable.
    pub against: String,
    /// The exponent or its bound, which may depend on the other sweep variables; `None` where it is only asked for.
    pub exponent: Option<Target>,
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
    summary: "the mean grows as this power of `against` (the dimension, or a sweep variable), of each network; `\"fit\"` asks for it without a claim",
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
    let is_asked_for = claim.reader.value("exponent").and_then(|value| value.as_str()) == Some("fit");
    Ok(Arc::new(Exponent {
        observable: claim.observable()?,
        against: claim.against()?,
        exponent: if is_asked_for { None } else { Some(claim.target("exponent")?) },
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
                if let Some(exponent) = &self.exponent {
                    checked.evaluate("exponent", &exponent.formula, &variables)?;
                }
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
        let groups = case.groups(&self.observable, &self.against).into_iter();
        groups.map(|(label, group)| self.of_group(case, label, group)).collect()
    }

    fn observables(&self) -> Vec<&str> {
        vec![&self.observable]
    }

    fn needs_tolerance(&self) -> bool {
        self.exponent.is_some() && !self.is_bound()
    }

    fn is_bound(&self) -> bool {
        self.exponent.as_ref().is_some_and(Target::is_bound)
    }

    fn against(&self) -> Option<&str> {
        Some(&self.against)
    }

    fn remark(&self, remark: &Remark) -> String {
        let residual = if self.relative_to.is_some() { "residual " } else { "" };
        format!("{residual}{}", slope_remark(remark))
    }

    fn shape(&self, row: &Row, rows: &[Row], x: f64, others: &Variables) -> Option<f64> {
        let power = self.exponent.as_ref()?.formula.evaluate(others).ok()?;
        Some(self.baseline_of(row, rows)? * x.powf(power))
    }
}

impl Exponent {
    fn of_group(&self, case: &Case<'_>, label: &str, group: Group<Place<'_>>) -> Evidence {
        let Group { variables, members: places } = group;
        let mut verdict = case.start(label, &self.observable, ENTRY.name);
        let band = self.exponent.as_ref().map(|exponent| {
            let predicted = exponent.formula.evaluate(&variables).unwrap_or(f64::NAN);
            verdict.predicted = Some(predicted);
            verdict.relation = exponent.relation;
            exponent.band(predicted, case.terms.tolerance, case.terms.tolerance)
        });
        let verdict = of_variables(verdict, variables);
        let value = |place: &Place<'_>, value: f64| (value / self.divisor(place.cell)).ln();
        let point = |place: &Place<'_>| WeightedPoint {
            y: value(place, place.sampled.mean),
            ..logarithm(place.cell.abscissa(&self.against), place)
        };
        let of_one = |replicates: &[&Replicate]| {
            let logarithm = |(place, replicate): (&Place<'_>, &&Replicate)| {
                [value(place, replicate.value), replicate.relative_sampling()]
            };
            places.iter().zip(replicates).map(logarithm).collect()
        };
        let points: Vec<WeightedPoint> = places.iter().map(point).collect();
        Slopes { case, places: &places, against: &self.against, band }.judged(verdict, &points, of_one)
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
