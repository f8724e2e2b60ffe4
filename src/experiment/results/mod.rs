//! Results: what was measured, and what became of the claims; the files that hold them are written by the parts of this
//! folder.

mod checkpoint;
pub mod folder;
pub mod folders;
pub mod kept;
mod lock;
mod manifest;
pub(in crate::experiment) mod names;
mod networks;
mod provenance;
pub mod shards;
pub(in crate::experiment) mod states;
pub(in crate::experiment) mod storage;
mod table;
pub mod words;

use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::format::needed;
use super::place::place;
use crate::sampling::monte_carlo::Summary;
use crate::statistics::jackknife::Jackknife;
use crate::statistics::{Look, QuantileSketch, Reference, Skewness, TooFew};
use crate::theory::{Shape, TheoryKind, TheoryValue};

pub use checkpoint::Checkpoint;
pub use lock::Lock;
pub use networks::{NetworkOutcome, TrainedNetwork};
pub(super) use networks::{epochs_to_csv, networks_to_csv};
pub use provenance::Provenance;
pub use storage::{ResultsError, make_folder, write_atomically};
pub use table::{COLUMNS, number, read_points, records_to_csv, to_csv};

/// One row of `points.csv`: one observable of one network at one sweep point.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Label of the network.
    pub network: String,
    /// Name of the observable.
    pub observable: String,
    /// Values of the sweep variables.
    pub variables: Vec<(String, f64)>,
    /// Input dimension d.
    pub dimension: usize,
    /// What was measured; `None` where nothing was sampled.
    pub sampled: Option<Sampled>,
    /// What theory says: the mean, and the kind of statement.
    pub theory: Option<(f64, String)>,
    /// (mean − theory)/standard error, where the mean can be tested; 0 for a difference of rounding size.
    pub z: Option<f64>,
}

/// Measured numbers of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampled {
    /// Number of draws that have the observable.
    pub draws: u64,
    /// Their mean.
    pub mean: f64,
    /// Standard error of the mean.
    pub std_error: f64,
    /// Standard deviation of the draws.
    pub std_dev: f64,
    /// First decile.
    pub q10: f64,
    /// Median.
    pub median: f64,
    /// Last decile.
    pub q90: f64,
    /// Draws that were exactly zero.
    pub zeros: u64,
    /// Draws that were NaN or infinite.
    pub non_finite: u64,
    /// Skewness of the draws.
    pub skewness: f64,
}

/// A row with what a judge needs beside it.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// The row.
    pub row: Row,
    /// The empirical distribution of its draws, where a claim needs it.
    pub quantiles: Option<QuantileSketch>,
    /// The law of (mean − truth)/standard error, or why the mean must not be tested.
    pub reference: Result<Reference, String>,
    /// The values of trained networks, one for each repetition, `None` for one that is not finished; where a claim's unit is a draw,
    /// there are none.
    pub replicates: Option<Vec<Option<Replicate>>>,
    /// Number of batches of draws whose scatter is the standard error, where it is not that of the draws.
    pub batches: Option<u64>,
    /// Which of several looks it is of, where draws or repetitions go on until every claim is decided.
    pub look: Option<Look>,
}

/// The value of one trained network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replicate {
    /// The mean over test samples.
    pub value: f64,
    /// Its variance by the choice of test samples, where it is known.
    pub sampling: f64,
    /// Which network it is: one that does not depend on a sweep variable stands in several cells.
    pub network: usize,
}

impl Replicate {
    /// Variance of the value's logarithm by the choice of test samples.
    pub fn relative_sampling(&self) -> f64 {
        if self.sampling == 0.0 { 0.0 } else { self.sampling / (self.value * self.value) }
    }
}

impl Measurement {
    /// Completes the row of a network at a point with what was drawn there.
    pub fn new(row: Row, summary: Summary, theory: Option<TheoryValue>, keep_distribution: bool) -> Self {
        let sampled = Sampled::new(&summary);
        let reference = sampled.reference(theory.and_then(|theory| theory.shape));
        let expected = theory.filter(|_| reference.is_ok()).and_then(|theory| theory.mean.to_f64());
        let z = expected.map(|expected| z_score(sampled.mean, sampled.std_error, expected)).filter(|z| z.is_finite());
        let row = Row { sampled: Some(sampled), z, ..row }.with_theory(theory);
        let quantiles = keep_distribution.then_some(summary.quantiles);
        Self { row, quantiles, reference, replicates: None, batches: None, look: None }
    }

    /// Completes the row of a statistic with its jackknife, and with what there is of the observables that it is `of`.
    pub fn of_statistic<'a>(row: Row, jackknife: Option<Jackknife>, of: impl Iterator<Item = &'a Self>) -> Self {
        let (mut draws, mut non_finite) = (u64::MAX, 0);
        for sampled in of.filter_map(|measurement| measurement.row.sampled) {
            (draws, non_finite) = (draws.min(sampled.draws), non_finite + sampled.non_finite);
        }
        let number = |of: fn(&Jackknife) -> f64| jackknife.as_ref().map_or(f64::NAN, of);
        let (mean, std_error) = (number(|of| of.value), number(|of| of.std_error));
        let none = f64::NAN;
        let (q10, median, q90, std_dev, skewness) = (none, none, none, none, none);
        let sampled = Sampled { draws, mean, std_error, std_dev, q10, median, q90, zeros: 0, non_finite, skewness };
        let reference = match jackknife {
            _ if non_finite > 0 => Err(format!("invalid: {non_finite} of {draws} draws are NaN or infinite")),
            None => Err(format!("too few draws for an error of {}", row.observable)),
            Some(jackknife) if !(jackknife.value.is_finite() && jackknife.std_error.is_finite()) => {
                Err(format!("{} has no finite value", row.observable))
            }
            Some(jackknife) if jackknife.std_error <= SCATTER_OF_ROUNDING * jackknife.value.abs() => {
                Err("all batches of draws agree: too little is seen of their scatter".into())
            }
            Some(jackknife) => jackknife.reference().map_err(|few| {
                let each = draws as f64 / jackknife.batches as f64;
                format!(
                    "too few draws for the tail of their law ({})",
                    needed(TooFew { needed: few.needed * each, ..few })
                )
            }),
        };
        let batches = jackknife.map(|jackknife| jackknife.batches);
        Self {
            row: Row { sampled: Some(sampled), ..row },
            quantiles: None,
            reference,
            replicates: None,
            batches,
            look: None,
        }
    }

    /// Degrees of freedom of the standard error.
    pub fn degrees(&self) -> f64 {
        let draws = self.row.sampled.map_or(0, |sampled| sampled.draws);
        self.batches.unwrap_or(draws).saturating_sub(1) as f64
    }
}

impl Sampled {
    /// The numbers of a summary; quantiles are NaN where a draw was not finite.
    pub fn new(summary: &Summary) -> Self {
        let quantile = |p| if summary.non_finite > 0 { f64::NAN } else { summary.quantiles.quantile(p) };
        Self {
            draws: summary.moments.count(),
            // Of no draw there is none.
            mean: if summary.moments.count() == 0 { f64::NAN } else { summary.moments.mean() },
            std_error: summary.moments.std_error(),
            std_dev: summary.moments.std_dev(),
            q10: quantile(0.1),
            median: quantile(0.5),
            q90: quantile(0.9),
            zeros: summary.zeros,
            non_finite: summary.non_finite,
            skewness: summary.moments.skewness(),
        }
    }

    /// The law of (mean − truth)/standard error, with the skewness of the draws' law where theory knows it.
    ///
    /// # Errors
    /// Why no test must rest on this mean: draws that are not finite, a mean below double precision, too few draws for the skewness of
    /// their law, or draws that are all equal. No scatter seen is no certainty: what carries the mean may be too rare to have been drawn.
    pub fn reference(&self, shape: Option<Shape>) -> Result<Reference, String> {
        if self.non_finite > 0 {
            return Err(format!("invalid: {} of {} draws are NaN or infinite", self.non_finite, self.draws));
        }
        if self.draws == 0 {
            return Err("no draw has this observable".into());
        }
        // Draws that are smaller yet are the smallest number above zero.
        if self.mean != 0.0 && !self.mean.is_normal() {
            return Err("invalid: the mean is below double precision (2.2e-308)".into());
        }
        let skewness = shape.map_or(Skewness::Estimated(self.skewness), |shape| Skewness::Known(shape.skewness));
        let reference = skewness
            .reference(self.draws)
            .map_err(|few| format!("too few draws for the tail of their law ({})", needed(few)));
        match reference {
            Ok(_) if self.std_dev <= SCATTER_OF_ROUNDING * self.mean.abs() => {
                Err(format!("all {} draws are equal: too little is seen of their scatter", self.draws))
            }
            reference => reference,
        }
    }
}

/// Relative standard deviations at most this are rounding, not scatter.
const SCATTER_OF_ROUNDING: f64 = 1e-12;

impl Row {
    /// The row of an observable in a cell, without measurement and theory.
    pub fn of(cell: &Cell, observable: &str) -> Self {
        Self {
            network: cell.network.clone(),
            observable: observable.into(),
            variables: cell.variables.clone(),
            dimension: cell.dimension(),
            sampled: None,
            theory: None,
            z: None,
        }
    }

    /// Attaches a theoretical value; none where it is beyond double precision.
    pub fn with_theory(mut self, theory: Option<TheoryValue>) -> Self {
        self.theory = theory.and_then(|value| Some((value.mean.to_f64()?, value.kind.name().into())));
        self
    }

    /// The network and the variables, for people.
    pub fn place(&self) -> String {
        place(&self.network, &self.variables)
    }

    /// Whether the theoretical value is the limit of wide layers.
    pub fn has_mean_field_theory(&self) -> bool {
        self.theory.as_ref().is_some_and(|(_, kind)| kind == TheoryKind::MeanField.name())
    }

    /// Whether the theoretical value is true without hypotheses.
    pub fn has_exact_theory(&self) -> bool {
        self.theory.as_ref().is_some_and(|(_, kind)| kind == TheoryKind::Exact.name())
    }
}

/// z = (mean − theory)/standard error; 0 for a difference of rounding size.
pub fn z_score(mean: f64, std_error: f64, theory: f64) -> f64 {
    let difference = mean - theory;
    if difference.abs() <= 1e-12 * theory.abs() { 0.0 } else { difference / std_error }
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Shown to be true within the tolerance.
    Holds,
    /// Shown to be false.
    Refuted,
    /// Neither: more draws, or a look at the reason, are needed.
    Inconclusive,
    /// A number that was asked for without a claim on it.
    Estimate,
}

/// How a number that is measured stands to the one that is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// It is that number, within the tolerance.
    #[default]
    Is,
    /// It is no larger.
    AtMost,
    /// It is no smaller.
    AtLeast,
}

impl Outcome {
    /// The word for it, as files and tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Holds => "holds",
            Outcome::Refuted => "refuted",
            Outcome::Inconclusive => "inconclusive",
            Outcome::Estimate => "estimate",
        }
    }
}

/// One entry of `verdicts.json`. Numbers that could not be computed are null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Name of the experiment.
    pub experiment: String,
    /// The claim in words.
    pub statement: String,
    /// Label of the network, or of two.
    pub network: String,
    /// Name of the observable.
    pub observable: String,
    /// What became of it.
    pub verdict: Outcome,
    /// What the claim predicts: an exponent, a ratio, a distance.
    pub predicted: Option<f64>,
    /// How the truth stands to it.
    #[serde(default)]
    pub relation: Relation,
    /// What was measured.
    pub measured: Option<f64>,
    /// Standard error of what was measured.
    pub std_error: Option<f64>,
    /// 95 % confidence interval; an infinite end is null in the file.
    #[serde(with = "interval")]
    pub interval: Option<[f64; 2]>,
    /// The claim's tolerance.
    pub tolerance: f64,
    /// p-value of the equivalence test: small when the claim is shown to hold; null for laws, which are judged by the
    /// interval.
    pub p_value: Option<f64>,
    /// p-value against the claim after Holm's correction over the run: small when it is refuted.
    pub p_refuted: Option<f64>,
    /// Probability of a scatter around the fit at least as large, where there is a fit.
    pub goodness_of_fit: Option<f64>,
    /// Kind of the claim: exponent, ratio, value, same-law, quotient, rank_correlation, less, increasing, decreasing, same-exponent or
    /// fit; finite for the verdict on gradients
    /// that are not.
    pub kind: String,
    /// Position of the claim in its spec, from 0; null for a verdict that no claim asked for.
    pub claim: Option<usize>,
    /// The other sweep variables' values, where the claim was judged separately for each.
    pub variables: Vec<(String, f64)>,
    /// Why, where the numbers do not say it.
    pub reason: Option<String>,
}

impl Verdict {
    /// A verdict on which nothing was found yet.
    pub(in crate::experiment) fn blank(
        experiment: &str,
        network: &str,
        observable: &str,
        kind: &str,
        tolerance: f64,
    ) -> Self {
        Self {
            experiment: experiment.into(),
            statement: String::new(),
            network: network.into(),
            observable: observable.into(),
            verdict: Outcome::Inconclusive,
            predicted: None,
            relation: Relation::Is,
            measured: None,
            std_error: None,
            interval: None,
            tolerance,
            p_value: None,
            p_refuted: None,
            goodness_of_fit: None,
            kind: kind.into(),
            claim: None,
            variables: Vec::new(),
            reason: None,
        }
    }
}

/// Intervals in JSON, which has no infinity: an end that is null is infinite.
mod interval {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(interval: &Option<[f64; 2]>, serializer: S) -> Result<S::Ok, S::Error> {
        let ends = interval.filter(|ends| ends.iter().all(|end| !end.is_nan()));
        ends.map(|ends| ends.map(|end| Some(end).filter(|end| end.is_finite()))).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[f64; 2]>, D::Error> {
        let ends = Option::<[Option<f64>; 2]>::deserialize(deserializer)?;
        Ok(ends.map(|[low, high]| [low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(values: &[f64]) -> Sampled {
        let mut summary = Summary::default();
        for &value in values {
            summary.moments.push(value);
            summary.quantiles.push(value);
        }
        Sampled::new(&summary)
    }

    #[test]
    fn draws_that_are_all_equal_are_no_evidence() {
        for value in [0.0, 1.0, 0.1 + 0.2] {
            let reason = sampled(&[value; 300]).reference(None).unwrap_err();
            assert!(reason.contains("all 300 draws are equal"), "{reason}");
        }
        let varied: Vec<f64> = (0..300).map(|i| f64::from(i % 7)).collect();
        assert!(sampled(&varied).reference(None).is_ok());
    }

    #[test]
    fn a_known_shape_replaces_the_look_of_the_sample() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i % 7)).collect();
        let shape = |skewness| Some(Shape { relative_std_dev: 0.5, skewness });
        assert!(sampled(&values).reference(shape(1.0)).is_ok());
        let reason = sampled(&values).reference(shape(30.0)).unwrap_err();
        assert_eq!(reason, "too few draws for the tail of their law (about 15000 are needed)");
        assert!(sampled(&values).reference(None).unwrap_err().contains("at least"), "40 draws show no tail");
    }

    #[test]
    fn verdicts_with_open_intervals_come_back() {
        let ends = [f64::NEG_INFINITY, -1.0, f64::INFINITY];
        for interval in
            [None, Some([0.0, 1.0]), Some([ends[0], 2.0]), Some([ends[1], ends[2]]), Some([ends[0], ends[2]])]
        {
            let verdict = Verdict { interval, ..Verdict::blank("e", "n", "loss.l1", "value", 0.1) };
            let text = serde_json::to_string(&verdict).unwrap();
            assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict, "{text}");
        }
    }
}
