//! Results: what was measured, and what became of the claims; the files that hold them are written by the parts of this
//! folder.

mod files;
mod table;

use serde::{Deserialize, Serialize};

use super::expression::{Variables, describe};
use crate::sampling::monte_carlo::Summary;
use crate::statistics::QuantileSketch;
use crate::theory::{TheoryKind, TheoryValue};

pub use files::{ResultsError, write_atomically, write_draws};
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
}

/// Measured numbers of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampled {
    /// Number of draws.
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

/// Skewness over √n above which the mean of n draws is not normal enough to be tested: tail probabilities at 4.5 standard
/// errors are then off by more than a factor of two (first Edgeworth term).
const LARGEST_SKEWNESS: f64 = 0.1;

/// A row with the empirical distribution of its draws, where a claim needs it.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// The row.
    pub row: Row,
    /// Its quantiles.
    pub quantiles: Option<QuantileSketch>,
}

impl Sampled {
    /// The numbers of a summary; quantiles are NaN where a draw was not finite.
    pub fn new(summary: &Summary) -> Self {
        let quantile = |p| if summary.non_finite > 0 { f64::NAN } else { summary.quantiles.quantile(p) };
        Self {
            draws: summary.moments.count(),
            mean: summary.moments.mean(),
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

    /// Why tests must not rest on this mean, if there is a reason: draws that are not finite, a mean below double precision, or
    /// too few draws for the skewness of their law.
    pub fn unsound(&self) -> Option<String> {
        if self.non_finite > 0 {
            return Some(format!("invalid: {} of {} draws are NaN or infinite", self.non_finite, self.draws));
        }
        // Draws that are smaller yet are the smallest number above zero.
        if self.mean != 0.0 && !self.mean.is_normal() {
            return Some("invalid: the mean is below double precision (2.2e-308)".into());
        }
        too_few(self.skewness, self.draws)
            .map(|needed| format!("too few draws for so skewed a law (about {needed:.0} are needed)"))
    }
}

/// How many values are needed before their mean can be tested, where `count` of this skewness are too few.
pub fn too_few(skewness: f64, count: u64) -> Option<f64> {
    let relative = skewness.abs() / (count as f64).sqrt();
    (relative > LARGEST_SKEWNESS).then(|| count as f64 * (relative / LARGEST_SKEWNESS).powi(2))
}

impl Row {
    /// Attaches a theoretical value; none where it is beyond double precision.
    pub fn with_theory(mut self, theory: Option<TheoryValue>) -> Self {
        self.theory = theory.and_then(|value| Some((value.mean.to_f64()?, value.kind.name().into())));
        self
    }

    /// The network and the variables, for people.
    pub fn place(&self) -> String {
        place(&self.network, &self.variables)
    }

    /// Whether the theoretical value is true without hypotheses.
    pub fn has_exact_theory(&self) -> bool {
        self.theory.as_ref().is_some_and(|(_, kind)| kind == TheoryKind::Exact.name())
    }

    /// z = (mean − theory)/standard error, where both are there; 0 for a difference of rounding size.
    pub fn z(&self) -> Option<f64> {
        let (sampled, (theory, _)) = (self.sampled?, self.theory.as_ref()?);
        Some(z_score(sampled.mean, sampled.std_error, *theory))
    }
}

/// z = (mean − theory)/standard error; 0 for a difference of rounding size.
pub fn z_score(mean: f64, std_error: f64, theory: f64) -> f64 {
    let difference = mean - theory;
    if difference.abs() <= 1e-12 * theory.abs() { 0.0 } else { difference / std_error }
}

/// A network at a point of the sweep, for people.
pub fn place(network: &str, variables: &Variables) -> String {
    if variables.is_empty() { network.to_owned() } else { format!("{network}, {}", describe(variables)) }
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
}

impl Outcome {
    /// The word for it, as files and tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Holds => "holds",
            Outcome::Refuted => "refuted",
            Outcome::Inconclusive => "inconclusive",
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
    /// What was measured.
    pub measured: Option<f64>,
    /// Standard error of what was measured.
    pub std_error: Option<f64>,
    /// 95 % confidence interval.
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
    /// Kind of the claim: exponent, ratio, value or same-law; finite for the verdict on gradients that are not.
    pub kind: String,
    /// Position of the claim in its spec, from 0; null for a verdict that no claim asked for.
    pub claim: Option<usize>,
    /// The other sweep variables' values, where the claim was judged separately for each.
    pub variables: Vec<(String, f64)>,
    /// Why, where the numbers do not say it.
    pub reason: Option<String>,
}
