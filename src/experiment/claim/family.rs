//! From evidence to verdicts, with one family-wise error rate over the run.
//!
//! A claim *holds* when the 5 % equivalence test places the truth inside the tolerance; it is *refuted* when a test
//! against it is significant after Holm's correction over every test of the run; else it is *inconclusive*. Absence of
//! evidence never makes a claim hold. A measured NaN or infinity makes every claim that rests on it inconclusive.

use super::Claim;
use super::evidence::{Case, Evidence, Observed, exact_p_value, look_of};
use crate::experiment::format::{about, rounded};
use crate::experiment::results::{Measurement, Outcome, Row, Verdict};
use crate::statistics::{Look, multiple_testing};

/// One experiment with what was measured, ready to be judged with the others of its run.
#[derive(Debug, Clone)]
pub struct Measured<'a> {
    /// What was measured.
    pub observed: Observed<'a>,
    /// What is claimed.
    pub claims: &'a [Claim],
    /// Family-wise error rate of the run that judges it.
    pub family_error: f64,
}

/// Whether a look at what was measured ends the work: every claim of the experiment is decided, or a value was not finite, which no
/// more work mends.
pub fn is_decided(measured: &Measured<'_>) -> bool {
    let bad = |measurement: &Measurement| measurement.row.sampled.is_some_and(|sampled| sampled.non_finite > 0);
    measured.observed.measurements.iter().any(bad)
        || judge(std::slice::from_ref(measured)).concat().iter().all(|verdict| verdict.verdict != Outcome::Inconclusive)
}

/// Judges all claims of a run together; one list of verdicts for each experiment, in order.
///
/// Every comparison of a mean with its exact value belongs to the family of tests, whether a claim speaks of it or not;
/// one that fails without a claim gives a verdict of its own, as do values that are not finite.
pub fn judge(run: &[Measured<'_>]) -> Vec<Vec<Verdict>> {
    let gathered: Vec<Gathered<'_>> = run.iter().map(Gathered::new).collect();
    let family: Vec<f64> = gathered.iter().flat_map(Gathered::tests).collect();
    let adjusted = multiple_testing::holm(&family);
    let mut rest = &adjusted[..];
    let mut verdicts = Vec::new();
    for experiment in gathered {
        let (own, others) = rest.split_at(experiment.tests().count());
        rest = others;
        verdicts.push(experiment.conclude(own));
    }
    verdicts
}

/// What one experiment brings before its judge.
struct Gathered<'a> {
    experiment: &'a Measured<'a>,
    evidence: Vec<Evidence>,
    /// Means with an exact value that no claim compares with it, and the p-values of the comparisons.
    comparisons: Vec<(&'a Row, f64)>,
}

impl<'a> Gathered<'a> {
    fn new(experiment: &'a Measured<'a>) -> Self {
        let claims = experiment.claims;
        let claimed = |row: &Row| claims.iter().any(|claim| claim.is_of_theory() && claim.speaks_of(row));
        let unclaimed = experiment.observed.measurements.iter().filter(|measurement| !claimed(&measurement.row));
        let of = |(index, claim): (usize, &'a Claim)| {
            let mut labels: Vec<&str> = experiment.observed.cells.iter().map(|cell| cell.network.as_str()).collect();
            labels.dedup();
            labels.retain(|label| claim.is_about(label));
            claim.evidence(&Case { observed: &experiment.observed, terms: &claim.terms, labels, index })
        };
        Self {
            experiment,
            evidence: claims.iter().enumerate().flat_map(of).collect(),
            comparisons: unclaimed
                .filter_map(|measurement| {
                    let p_value = exact_p_value(measurement)?;
                    Some((&measurement.row, measurement.look.map_or(p_value, |look| look.adjusted(p_value))))
                })
                .collect(),
        }
    }

    /// p-values of all tests against something, in a fixed order.
    fn tests(&self) -> impl Iterator<Item = f64> + '_ {
        let claims = self.evidence.iter().flat_map(|evidence| &evidence.against);
        claims.copied().chain(self.comparisons.iter().map(|&(_, p_value)| p_value))
    }

    /// The verdicts, given the adjusted p-values of [`tests`](Self::tests).
    fn conclude(self, mut adjusted: &[f64]) -> Vec<Verdict> {
        let Measured { observed: Observed { name, measurements, .. }, family_error, .. } = self.experiment;
        let mut verdicts = Vec::new();
        for evidence in self.evidence {
            let (own, others) = adjusted.split_at(evidence.against.len());
            adjusted = others;
            verdicts.push(conclude(evidence, own, *family_error, look_of(measurements)));
        }
        let failed = self.comparisons.iter().zip(adjusted).filter(|(_, p_value)| *p_value <= family_error);
        let failed: Vec<&Row> = failed.map(|((row, _), _)| *row).collect();
        verdicts.extend(disagreement(name, &failed));
        verdicts.extend(not_finite(name, measurements));
        verdicts
    }
}

fn conclude(evidence: Evidence, adjusted: &[f64], rate: f64, look: Option<Look>) -> Verdict {
    let Evidence { mut verdict, equivalent, is_estimate, needed, .. } = evidence;
    verdict.p_refuted = adjusted.iter().copied().reduce(f64::min);
    verdict.verdict = match verdict.p_refuted {
        Some(p_value) if p_value <= rate => Outcome::Refuted,
        _ if is_estimate => Outcome::Estimate,
        _ if equivalent => Outcome::Holds,
        _ => Outcome::Inconclusive,
    };
    let needed = needed.filter(|(count, _)| verdict.verdict == Outcome::Inconclusive && count.is_finite());
    let needed = needed.map(|(count, unit)| format!("about {} {unit} would decide", about(count)));
    // A look before the last has spent a part of the level, and its interval is the wider for it.
    let early = look.filter(|look| !look.is_last()).map(|look| {
        let level = rounded(100.0 * 0.05 * look.share, 2);
        format!("look {} of {}, after {}; the interval leaves out {level} %", look.number, look.of, look.count)
    });
    let reasons: Vec<String> = verdict.reason.take().into_iter().chain(needed).chain(early).collect();
    verdict.reason = (!reasons.is_empty()).then(|| reasons.join("; "));
    verdict
}

/// The verdict on means that differ from their exact values where no claim speaks of it.
fn disagreement(experiment: &str, rows: &[&Row]) -> Option<Verdict> {
    let size = |row: &Row| row.z.map_or(0.0, f64::abs);
    let worst = rows.iter().copied().max_by(|a, b| size(a).total_cmp(&size(b)))?;
    let z = worst.z.unwrap_or(f64::NAN);
    Some(Verdict {
        statement: "every mean that has an exact value agrees with it".into(),
        reason: Some(format!("{} means differ, most at {} (z = {z:.1})", rows.len(), worst.place())),
        verdict: Outcome::Refuted,
        ..Verdict::blank(experiment, &worst.network, &worst.observable, "value", 0.0)
    })
}

/// The verdict on values that were NaN or infinite: whatever the claims say, the run is not to be trusted.
fn not_finite(experiment: &str, measurements: &[Measurement]) -> Option<Verdict> {
    let bad = |measurement: &&Measurement| measurement.row.sampled.is_some_and(|sampled| sampled.non_finite > 0);
    let first = measurements.iter().find(bad)?;
    let rows = measurements.iter().filter(bad).count();
    Some(Verdict {
        statement: "every gradient is finite".into(),
        reason: Some(format!(
            "invalid: {rows} means rest on gradients that are NaN or infinite, first at {}",
            first.row.place()
        )),
        ..Verdict::blank(experiment, &first.row.network, &first.row.observable, "finite", 0.0)
    })
}
