//! From measurements to verdicts: fits, equivalence tests, and one family-wise error rate over the run.
//!
//! A claim *holds* when the 5 % equivalence test places the truth inside the tolerance; it is *refuted* when a test
//! against it is significant after Holm's correction over every test of the run; else it is *inconclusive*. Absence of
//! evidence never makes a claim hold. A measured NaN or infinity makes every claim that rests on it inconclusive.

mod evidence;
mod places;

use super::expression::describe;
use super::point::Point;
use super::results::{Measurement, Outcome, Row, Verdict};
use super::spec::Spec;
use crate::statistics::{Reference, multiple_testing};
use evidence::Judge;

/// Level of the equivalence tests.
const EQUIVALENCE_LEVEL: f64 = 0.05;
const COVERAGE: f64 = 0.95;

/// One experiment with what was measured, ready to be judged with the others of its run.
#[derive(Clone, Copy)]
pub struct Measured<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// Its points.
    pub points: &'a [Point],
    /// Its measurements.
    pub measurements: &'a [Measurement],
}

/// What speaks for and against a claim, before the run's other tests are known.
struct Evidence {
    verdict: Verdict,
    /// Whether the equivalence tests place the truth inside the tolerance.
    equivalent: bool,
    /// p-values of the tests against the claim.
    against: Vec<f64>,
}

/// Judges all claims of a run together; one list of verdicts for each experiment, in order.
///
/// Every comparison of a mean with its exact value belongs to the family of tests, whether a claim speaks of it or not;
/// one that fails without a claim gives a verdict of its own.
pub fn judge(run: &[Measured<'_>]) -> Vec<Vec<Verdict>> {
    let mut family: Vec<f64> = Vec::new();
    let mut gathered = Vec::new();
    for experiment in run {
        let comparisons: Vec<(&Row, f64)> = exact_comparisons(experiment.measurements).collect();
        let first_comparison = family.len();
        family.extend(comparisons.iter().map(|(_, p_value)| p_value));
        let evidence: Vec<Evidence> =
            experiment.spec.claims.iter().flat_map(|claim| Judge { experiment, claim }.evidence()).collect();
        let first_claim = family.len();
        family.extend(evidence.iter().flat_map(|evidence| &evidence.against));
        gathered.push((comparisons, first_comparison, evidence, first_claim));
    }
    let adjusted = multiple_testing::holm(&family);
    let mut verdicts = Vec::new();
    for (experiment, (comparisons, first_comparison, evidence, first_claim)) in run.iter().zip(gathered) {
        let rate = experiment.spec.family_error;
        let mut next = first_claim;
        let mut judged: Vec<Verdict> = evidence
            .into_iter()
            .map(|evidence| {
                let against = &adjusted[next..next + evidence.against.len()];
                next += against.len();
                conclude(evidence, against, rate)
            })
            .collect();
        let failed: Vec<&Row> = comparisons
            .iter()
            .zip(&adjusted[first_comparison..])
            .filter(|(_, p_value)| **p_value <= rate)
            .map(|((row, _), _)| *row)
            .collect();
        if !failed.is_empty()
            && !judged.iter().any(|verdict| verdict.kind == "value" && verdict.verdict == Outcome::Refuted)
        {
            judged.push(disagreement(&experiment.spec.name, &failed));
        }
        verdicts.push(judged);
    }
    verdicts
}

fn conclude(evidence: Evidence, adjusted: &[f64], rate: f64) -> Verdict {
    let Evidence { mut verdict, equivalent, .. } = evidence;
    let strongest = adjusted.iter().copied().reduce(f64::min);
    verdict.p_refuted = strongest;
    verdict.verdict = match strongest {
        _ if verdict.reason.as_deref().is_some_and(|reason| reason.starts_with("invalid")) => Outcome::Inconclusive,
        Some(p_value) if p_value <= rate => Outcome::Refuted,
        _ if equivalent => Outcome::Holds,
        _ => Outcome::Inconclusive,
    };
    verdict
}

/// Two-sided p-values of all means that have an exact value.
fn exact_comparisons(measurements: &[Measurement]) -> impl Iterator<Item = (&Row, f64)> {
    measurements.iter().filter_map(|measurement| {
        let z = measurement.row.z()?;
        Some((&measurement.row, two_sided(z)))
    })
}

fn two_sided(z: f64) -> f64 {
    (2.0 * Reference::Normal.upper_tail(z.abs())).min(1.0)
}

/// The verdict of means that differ from their exact values where no claim speaks of it.
fn disagreement(experiment: &str, rows: &[&Row]) -> Verdict {
    let worst = rows.iter().filter_map(|row| Some((row.z()?, *row))).max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    let (z, row) = worst.map_or((f64::NAN, rows[0]), |worst| worst);
    let place = describe(&row.variables);
    Verdict {
        statement: "every mean that has an exact value agrees with it".into(),
        reason: Some(format!("{} means differ, most at {place} (z = {z:.1})", rows.len())),
        verdict: Outcome::Refuted,
        ..blank(experiment, &row.network, &row.observable, "value", 0.0)
    }
}

fn blank(experiment: &str, network: &str, observable: &str, kind: &str, tolerance: f64) -> Verdict {
    Verdict {
        experiment: experiment.into(),
        statement: String::new(),
        network: network.into(),
        observable: observable.into(),
        verdict: Outcome::Inconclusive,
        predicted: None,
        measured: None,
        std_error: None,
        interval: None,
        tolerance,
        p_value: None,
        p_refuted: None,
        goodness_of_fit: None,
        kind: kind.into(),
        variables: Vec::new(),
        reason: None,
    }
}
