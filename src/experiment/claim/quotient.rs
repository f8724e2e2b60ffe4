//! `quotient`: mean of the first observable = value × mean of the second, in each network.

use std::sync::Arc;

use super::evidence::{Case, Estimate, Evidence, common, value_of};
use super::law::{Checked, Entry, Law, ratio_remark, relative};
use super::place::{Place, pairs, unsound};
use super::ratio::mean_log_ratio;
use super::reader::ClaimReader;
use super::repetitions::over_repetitions;
use super::target::Target;
use crate::experiment::format::interval;
use crate::experiment::results::{Replicate, Verdict};
use crate::experiment::specification::reader::SpecError;
use crate::statistics::Reference;

/// A claim on the quotient of two observables.
#[derive(Debug, Clone)]
pub struct Quotient {
    /// The two observables.
    pub observables: [String; 2],
    /// The quotient, a formula of the sweep variables and `dimension`.
    pub value: Target,
}

pub(super) const ENTRY: Entry = Entry {
    key: "quotient",
    name: "quotient",
    summary: "the mean of the first of two observables over that of the second is `value`, at every point",
    keys: &["value", "network", "tolerance"],
    read,
    predicted: relative,
    remark: ratio_remark,
    interval,
};

fn read(claim: &ClaimReader<'_>) -> Result<Arc<dyn Law>, SpecError> {
    Ok(Arc::new(Quotient { observables: claim.observables()?, value: claim.target("value")? }))
}

impl Law for Quotient {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn check_in(&self, checked: &Checked<'_>) -> Result<(), SpecError> {
        checked.nonzero("value", &self.value.formula)
    }

    fn evidence(&self, case: &Case<'_>) -> Vec<Evidence> {
        case.labels.iter().copied().map(|label| self.of_network(case, label)).collect()
    }

    fn is_bound(&self) -> bool {
        self.value.is_bound()
    }

    fn observables(&self) -> Vec<&str> {
        self.observables.iter().map(String::as_str).collect()
    }
}

impl Quotient {
    fn of_network(&self, case: &Case<'_>, label: &str) -> Evidence {
        let mut verdict = case.start(label, &self.observables.join(" / "), ENTRY.name);
        let [first, second] = self.observables.each_ref().map(|observable| case.places(label, observable));
        if let Some(reason) = unsound(&first).or_else(|| unsound(&second)) {
            return Evidence::undecided(verdict, reason);
        }
        let pairs = pairs(&first, &second);
        let values: Vec<f64> = pairs.iter().map(|(place, _)| value_of(&self.value.formula, place)).collect();
        let places: Vec<Place<'_>> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        let shown = common(&values);
        verdict.relation = self.value.relation;
        let band = case.relative_band(&self.value);
        if case.repeats() {
            let verdict = Verdict { predicted: Some(shown), ..verdict };
            let show = |log: f64| shown * log.exp();
            let statistic = |replicates: &[&Replicate]| mean_log_ratio(replicates, &values);
            return match over_repetitions(&places, statistic) {
                Ok(estimate) => case.decide(verdict, vec![estimate], band, &places, show),
                Err(none) => Evidence::without_error(verdict, none, show),
            };
        }
        let estimates: Vec<Estimate> =
            pairs.iter().zip(&values).map(|((a, b), value)| of_draws(a, b, *value, pairs.len())).collect();
        if estimates.iter().any(|estimate| !estimate.value.is_finite()) {
            return Evidence::undecided(verdict, "needs means of one sign, other than zero, at every point");
        }
        let verdict = Verdict { predicted: Some(1.0), ..verdict };
        case.decide(verdict, estimates, band, &places, f64::exp)
    }
}

/// The logarithm of first/second over the claimed value, at one point. Both are of the same draws, whose correlation is not kept: the
/// error is at most the sum of both, and the interval covers the truth at least as often as it says.
fn of_draws(first: &Place<'_>, second: &Place<'_>, value: f64, points: usize) -> Estimate {
    let relative = |place: &Place<'_>| (place.sampled.std_error / place.sampled.mean).abs();
    Estimate {
        value: (first.sampled.mean / second.sampled.mean / value).ln(),
        std_error: relative(first) + relative(second),
        reference: Reference::StudentT(first.degrees().min(second.degrees())),
        against: None,
        chance: None,
        words: if points > 1 {
            format!("the worst of {points} points, {}", first.cell.variables_in_words())
        } else {
            String::new()
        },
    }
}
