//! `less`: observable of the first network < that of the second, in the mean over points.

use std::sync::Arc;

use super::evidence::{Case, Estimate, Evidence};
use super::law::{Checked, Entry, Law};
use super::place::{Place, pairs, unsound};
use super::reader::ClaimReader;
use super::repetitions::{Statistic, over_repetitions};
use crate::experiment::format::interval;
use crate::experiment::results::Replicate;
use crate::experiment::specification::reader::SpecError;
use crate::statistics::Reference;

/// A claim on the order of two networks.
#[derive(Debug, Clone)]
pub struct Less {
    /// The observable.
    pub observable: String,
    /// The two labels, that of the smaller one first.
    pub networks: [String; 2],
}

pub(super) const ENTRY: Entry = Entry {
    key: "less",
    name: "less",
    summary: "the mean of the first of two networks is below that of the second, at every point",
    keys: &["observable"],
    read,
    predicted: |_, _| "< 0".into(),
    remark: |remark| format!("difference {}", remark.measured),
    interval,
};

fn read(claim: &ClaimReader<'_>) -> Result<Arc<dyn Law>, SpecError> {
    Ok(Arc::new(Less { observable: claim.observable()?, networks: claim.networks()? }))
}

impl Law for Less {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn check_in(&self, _: &Checked<'_>) -> Result<(), SpecError> {
        Ok(())
    }

    fn evidence(&self, case: &Case<'_>) -> Vec<Evidence> {
        vec![self.judged(case)]
    }

    fn observables(&self) -> Vec<&str> {
        vec![&self.observable]
    }

    fn pair(&self) -> Option<&[String; 2]> {
        Some(&self.networks)
    }
}

impl Less {
    fn judged(&self, case: &Case<'_>) -> Evidence {
        let mut verdict = case.start(&self.networks.join(" − "), &self.observable, ENTRY.name);
        verdict.predicted = Some(0.0);
        let [first, second] = self.networks.each_ref().map(|label| case.places(label, &self.observable));
        if let Some(reason) = unsound(&first).or_else(|| unsound(&second)) {
            return Evidence::undecided(verdict, reason);
        }
        let pairs = pairs(&first, &second);
        if pairs.is_empty() {
            return Evidence::undecided(verdict, "has no points");
        }
        let places: Vec<Place<'_>> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        let band = (f64::NEG_INFINITY, 0.0);
        if case.repeats() {
            return match over_repetitions(&places, mean_difference) {
                Ok(estimate) => case.decide(verdict, vec![estimate], band, &places, |x| x),
                Err(none) => Evidence::without_error(verdict, none, |x| x),
            };
        }
        case.decide(verdict, vec![of_draws(&pairs)], band, &places, |x| x)
    }
}

/// Of one repetition: replicates stand in pairs.
pub(super) fn mean_difference(replicates: &[&Replicate]) -> Statistic {
    let count = (replicates.len() / 2) as f64;
    let (mut value, mut sampling) = (0.0, 0.0);
    for pair in replicates.chunks(2) {
        value += (pair[0].value - pair[1].value) / count;
        sampling += (pair[0].sampling + pair[1].sampling) / count;
    }
    Statistic { value, sampling, resolution: 0.0 }
}

/// The mean difference over points of independent draws, with the degrees of freedom of its error by Welch and Satterthwaite.
pub(super) fn of_draws(pairs: &[(Place<'_>, Place<'_>)]) -> Estimate {
    let count = pairs.len() as f64;
    let (mut value, mut variance, mut share) = (0.0, 0.0, 0.0);
    for (first, second) in pairs {
        value += (first.sampled.mean - second.sampled.mean) / count;
        for place in [first, second] {
            let own = (place.sampled.std_error / count).powi(2);
            variance += own;
            share += own * own / place.degrees();
        }
    }
    Estimate {
        value,
        std_error: variance.sqrt(),
        reference: Reference::StudentT(variance * variance / share),
        against: None,
        chance: None,
        words: String::new(),
    }
}
