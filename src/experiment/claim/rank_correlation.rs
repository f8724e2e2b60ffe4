//! `rank_correlation`: Spearman's rank correlation of two observables over all trained networks is at least a bound.

use std::sync::Arc;

use super::evidence::{Case, Evidence};
use super::law::{Checked, Entry, Law};
use super::place::{Place, pairs, unsound};
use super::reader::ClaimReader;
use super::repetitions::{Statistic, over_repetitions, repetitions};
use crate::experiment::format::{interval, rounded};
use crate::experiment::results::Replicate;
use crate::experiment::specification::reader::SpecError;
use crate::statistics::rank_correlation;

/// A claim on the order of two observables.
#[derive(Debug, Clone)]
pub struct RankCorrelation {
    /// The two observables.
    pub observables: [String; 2],
    /// The least correlation.
    pub at_least: f64,
}

pub(super) const ENTRY: Entry = Entry {
    key: "rank_correlation",
    name: "rank_correlation",
    summary: "two observables of trained networks rise together: their correlation of ranks is `at_least`",
    keys: &["at_least"],
    read,
    predicted: |predicted, _| format!("≥ {}", rounded(predicted, 4)),
    remark: |remark| format!("rank correlation {}", remark.number),
    interval,
};

fn read(claim: &ClaimReader<'_>) -> Result<Arc<dyn Law>, SpecError> {
    if !claim.scope.trains {
        let message = "speaks of trained networks, each of which has values of its own; the means of drawn ones are compared by \
                       exponent, ratio, value, quotient, less or same_law";
        return Err(claim.reader.refuse(ENTRY.key, message));
    }
    let observables = claim.observables()?;
    let allowed = "must be a number from -1 to 1, without 1";
    let at_least = claim.reader.number("at_least", allowed, |bound| (-1.0..1.0).contains(&bound))?;
    let at_least = at_least.ok_or_else(|| claim.reader.missing("at_least", &allowed[8..]))?;
    Ok(Arc::new(RankCorrelation { observables, at_least }))
}

impl Law for RankCorrelation {
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
        self.observables.iter().map(String::as_str).collect()
    }
}

impl RankCorrelation {
    fn judged(&self, case: &Case<'_>) -> Evidence {
        let mut verdict = case.start("all", &self.observables.join(" ~ "), ENTRY.name);
        verdict.predicted = Some(self.at_least);
        let [first, second] =
            self.observables.each_ref().map(|observable| case.all_places(observable).collect::<Vec<_>>());
        if let Some(reason) = unsound(&first).or_else(|| unsound(&second)) {
            return Evidence::undecided(verdict, reason);
        }
        let mut places: Vec<Place<'_>> = Vec::new();
        for label in &case.labels {
            let own = |places: &[Place<'_>]| -> Vec<usize> {
                (0..places.len()).filter(|&index| places[index].cell.network == *label).collect()
            };
            let [a, b] = [&first, &second].map(|all| own(all).into_iter().map(|index| all[index]).collect::<Vec<_>>());
            places.extend(pairs(&a, &b).into_iter().flat_map(|(a, b)| [a, b]));
        }
        let mut estimate = match over_repetitions(&places, correlation) {
            Ok(estimate) => estimate,
            Err(none) => return Evidence::without_error(verdict, none, |x| x),
        };
        // Where the claim says that there is a correlation, it must not be one of chance.
        if self.at_least >= 0.0 {
            let chances: Vec<f64> =
                repetitions(&places).iter().map(|replicates| rank_correlation::chance(&distinct(replicates))).collect();
            estimate.chance = Some(rank_correlation::combined(&chances));
        }
        let mut evidence = case.decide(verdict, vec![estimate], (self.at_least, f64::INFINITY), &places, |x| x);
        evidence.verdict.interval = evidence.verdict.interval.map(|ends| ends.map(|end| end.clamp(-1.0, 1.0)));
        evidence
    }
}

/// Of one repetition: replicates stand in pairs of the two observables.
fn correlation(replicates: &[&Replicate]) -> Statistic {
    let pairs = distinct(replicates);
    let value = rank_correlation::spearman(&pairs).unwrap_or(f64::NAN);
    // ρ moves in steps of 12/(n³ − n), one exchange of neighbours; repetitions that agree differ by rounding to such a step.
    let count = pairs.len() as f64;
    let step = 12.0 / (count.powi(3) - count);
    Statistic { value, sampling: 0.0, resolution: step / 12f64.sqrt() }
}

/// The pairs of values, each network once: one that does not depend on a sweep variable stands in several cells.
fn distinct(replicates: &[&Replicate]) -> Vec<(f64, f64)> {
    let mut seen: Vec<usize> = Vec::new();
    let mut pairs = Vec::new();
    for pair in replicates.chunks(2) {
        if !seen.contains(&pair[0].network) {
            seen.push(pair[0].network);
            pairs.push((pair[0].value, pair[1].value));
        }
    }
    pairs
}
