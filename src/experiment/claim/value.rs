//! `value`: mean = value at every point; for trained networks in the geometric mean over points.

use std::sync::Arc;

use super::evidence::{Case, Estimate, Evidence, common, exact_p_value, value_of};
use super::law::{Checked, Entry, Law, Remark, ratio_remark, relative};
use super::place::{Place, unsound};
use super::reader::ClaimReader;
use super::repetitions::{Statistic, over_repetitions};
use super::target::Target;
use crate::experiment::format::interval;
use crate::experiment::place::with_dimension;
use crate::experiment::results::{Replicate, Row, Verdict};
use crate::experiment::specification::expression::Expression;
use crate::experiment::specification::reader::SpecError;
use crate::statistics::Reference;
use crate::theory::TheoryValue;

/// A claim of what a mean is.
#[derive(Debug, Clone)]
pub struct Value {
    /// The observable.
    pub observable: String,
    /// What it is claimed to be.
    pub source: Source,
}

/// What the means are compared with.
#[derive(Debug, Clone)]
pub enum Source {
    /// The exact mean that theory gives.
    Theory,
    /// A formula of the sweep variables and `dimension`, or a bound.
    Formula(Target),
}

pub(super) const ENTRY: Entry = Entry {
    key: "value",
    name: "value",
    summary: "the mean, or an expression of statistics, is this number, formula, or `\"theory\"`, at every point",
    keys: &["observable", "network", "tolerance"],
    read,
    predicted: relative,
    remark: ratio_remark,
    interval,
};

fn read(claim: &ClaimReader<'_>) -> Result<Arc<dyn Law>, SpecError> {
    let is_theory = claim.reader.value("value").and_then(|value| value.as_str()) == Some("theory");
    let source = if is_theory { Source::Theory } else { Source::Formula(claim.target("value")?) };
    Ok(Arc::new(Value { observable: claim.observable()?, source }))
}

impl Law for Value {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn check_in(&self, checked: &Checked<'_>) -> Result<(), SpecError> {
        let formula = match &self.source {
            Source::Formula(target) if target.is_bound() => {
                return checked.each(|cell| {
                    checked.evaluate("value", &target.formula, &cell.variables_with_dimension()).map(drop)
                });
            }
            Source::Formula(target) => return checked.nonzero("value", &target.formula),
            Source::Theory => "theory",
        };
        let index = checked.place_of(&self.observable);
        checked.each(|cell| {
            let exact = index.and_then(|index| *cell.theory.get(index)?);
            if let Some(TheoryValue { mean, .. }) = exact.filter(|value| value.mean.to_f64().is_none()) {
                let message = format!("is {mean} at {}, beyond double precision", cell.describe());
                return Err(checked.refuse("value", formula, message));
            }
            if exact.is_none() {
                let message = format!(
                    "has no exact value for {} of \"{}\": name a network that has, or state a value",
                    self.observable, cell.network
                );
                return Err(checked.refuse("value", formula, message));
            }
            Ok(())
        })
    }

    fn evidence(&self, case: &Case<'_>) -> Vec<Evidence> {
        case.labels.iter().copied().map(|label| self.of_network(case, label)).collect()
    }

    fn observables(&self) -> Vec<&str> {
        vec![&self.observable]
    }

    fn is_of_theory(&self) -> bool {
        matches!(self.source, Source::Theory)
    }

    fn is_relative(&self) -> bool {
        true
    }

    fn is_bound(&self) -> bool {
        self.bound().is_some()
    }

    fn is_of_value(&self) -> bool {
        !self.is_bound()
    }

    fn remark(&self, remark: &Remark) -> String {
        match self.bound() {
            Some(_) => format!("nearest to its bound {}{}", remark.measured, remark.predicted),
            None => ratio_remark(remark),
        }
    }

    fn states_value(&self) -> bool {
        matches!(self.source, Source::Formula(_))
    }

    fn claimed(&self, row: &Row, _: &[Row]) -> Option<f64> {
        match &self.source {
            Source::Formula(target) => target.formula.evaluate(&with_dimension(&row.variables, row.dimension)).ok(),
            Source::Theory => None,
        }
    }
}

impl Value {
    fn of_network(&self, case: &Case<'_>, label: &str) -> Evidence {
        let verdict = case.start(label, &self.observable, ENTRY.name);
        let places = case.places(label, &self.observable);
        if let Some(reason) = unsound(&places) {
            return Evidence::undecided(verdict, reason);
        }
        let values: Vec<f64> = places.iter().map(|place| self.at(place)).collect();
        if let Some(bound) = self.bound() {
            return beyond(case, verdict, &places, &values, bound);
        }
        if case.repeats() {
            over_points(case, verdict, &places, &values)
        } else {
            self.at_points(case, verdict, &places)
        }
    }

    fn bound(&self) -> Option<&Target> {
        match &self.source {
            Source::Formula(target) => Some(target).filter(|target| target.is_bound()),
            Source::Theory => None,
        }
    }

    fn at(&self, place: &Place<'_>) -> f64 {
        match &self.source {
            Source::Formula(target) => value_of(&target.formula, place),
            Source::Theory => place.row().theory.as_ref().map_or(f64::NAN, |(theory, _)| *theory),
        }
    }

    /// Every point must be inside the tolerance; any point may refute.
    fn at_points(&self, case: &Case<'_>, verdict: Verdict, places: &[Place<'_>]) -> Evidence {
        let band = (1.0 - case.terms.tolerance, 1.0 + case.terms.tolerance);
        let estimates = places.iter().map(|place| {
            let value = self.at(place);
            // An exact law is refuted by any difference that is not chance; path theory, which holds under hypotheses, and a
            // stated value by one beyond the tolerance.
            let exact = matches!(self.source, Source::Theory) && place.row().has_exact_theory();
            let against = if exact { Some(exact_p_value(place.measurement).unwrap_or(1.0)) } else { None };
            let reference = place.measurement.reference.clone().unwrap_or(Reference::Normal);
            Estimate {
                value: place.sampled.mean / value,
                std_error: (place.sampled.std_error / value).abs(),
                // A division by what is negative turns the law over.
                reference: if value < 0.0 { reference.mirrored() } else { reference },
                against,
                chance: None,
                words: worst(place, places),
            }
        });
        let estimates: Vec<Estimate> = estimates.collect();
        if estimates.is_empty() || estimates.iter().any(|estimate| !estimate.value.is_finite()) {
            return Evidence::undecided(verdict, "needs a value other than zero at every point");
        }
        let verdict = Verdict { predicted: Some(1.0), ..verdict };
        case.decide(verdict, estimates, band, places, |x| x)
    }
}

/// Which of several points an estimate is of.
fn worst(place: &Place<'_>, places: &[Place<'_>]) -> String {
    if places.len() == 1 {
        return String::new();
    }
    format!("the worst of {} points, {}", places.len(), place.cell.variables_in_words())
}

/// Every mean must lie beyond its bound; differences are tested, since a bound may be 0.
fn beyond(case: &Case<'_>, mut verdict: Verdict, places: &[Place<'_>], bounds: &[f64], target: &Target) -> Evidence {
    let same = bounds.windows(2).all(|pair| pair[0] == pair[1]);
    let common = |bounds: &[f64]| if same { bounds.first().copied().unwrap_or(0.0) } else { 0.0 };
    verdict.predicted = Some(common(bounds));
    // A tolerance moves the bound.
    let moved = |bound: &f64| {
        let slack = case.terms.tolerance * bound.abs();
        let (low, high) = target.band(*bound, slack, slack);
        if low.is_finite() { low } else { high }
    };
    let bounds: Vec<f64> = bounds.iter().map(moved).collect();
    let shown = common(&bounds);
    verdict.relation = target.relation;
    let mut estimates = Vec::new();
    for (place, bound) in places.iter().zip(&bounds) {
        if case.repeats() {
            let difference = |replicates: &[&Replicate]| {
                let of_one = replicates
                    .first()
                    .map_or((f64::NAN, 0.0), |replicate| (replicate.value - bound, replicate.sampling));
                Statistic { value: of_one.0, sampling: of_one.1, resolution: 0.0 }
            };
            match over_repetitions(std::slice::from_ref(place), difference) {
                Ok(estimate) => estimates.push(Estimate { words: worst(place, places), ..estimate }),
                Err(none) => return Evidence::without_error(verdict, none, |x| x + shown),
            }
        } else {
            let reference = place.measurement.reference.clone().unwrap_or(Reference::Normal);
            let value = place.sampled.mean - bound;
            let std_error = place.sampled.std_error;
            estimates.push(Estimate {
                value,
                std_error,
                reference,
                against: None,
                chance: None,
                words: worst(place, places),
            });
        }
    }
    case.decide(verdict, estimates, target.band(0.0, 0.0, 0.0), places, |x| x + shown)
}

/// The geometric mean over points, a number for each repetition.
fn over_points(case: &Case<'_>, verdict: Verdict, places: &[Place<'_>], values: &[f64]) -> Evidence {
    let shown = common(values);
    let verdict = Verdict { predicted: Some(shown), ..verdict };
    let show = |log: f64| shown * log.exp();
    let statistic = |replicates: &[&Replicate]| {
        let count = values.len() as f64;
        let logs = replicates.iter().zip(values).map(|(replicate, value)| (replicate.value / value).ln());
        let sampling: f64 = replicates.iter().map(|replicate| replicate.relative_sampling()).sum();
        Statistic { value: logs.sum::<f64>() / count, sampling: sampling / count, resolution: 0.0 }
    };
    match over_repetitions(places, statistic) {
        Ok(estimate) => {
            case.decide(verdict, vec![estimate], case.relative_band(&Expression::number(1.0).into()), places, show)
        }
        Err(none) => Evidence::without_error(verdict, none, show),
    }
}
