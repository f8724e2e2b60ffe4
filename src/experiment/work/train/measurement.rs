//! From the networks of a cell to its measurements: what repetitions give of an observable.

use crate::experiment::results::{Measurement, NetworkOutcome, Replicate, Row, Sampled};
use crate::statistics::quantile::interpolated;
use crate::statistics::{Moments, QuantileSketch, Reference};

/// What the repetitions of a cell give of one observable: its law over those that are finished. `outcomes` are the networks, each with
/// what became of it; `value` is the observable of one.
pub fn measurement(
    row: Row,
    outcomes: &[(usize, Option<&NetworkOutcome>)],
    value: impl Fn(&NetworkOutcome) -> f64,
    is_share: bool,
    keep_distribution: bool,
) -> Measurement {
    let replicate = |&(network, outcome): &(usize, Option<&NetworkOutcome>)| {
        let outcome = outcome?;
        let value = value(outcome);
        let sampling = if is_share { sampling_variance(value, outcome.samples) } else { 0.0 };
        Some(Replicate { value, sampling, network })
    };
    let replicates: Vec<Option<Replicate>> = outcomes.iter().map(replicate).collect();
    let values: Vec<f64> = replicates.iter().flatten().map(|replicate| replicate.value).collect();
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let non_finite = values.len() - finite.len();
    let diverged = outcomes.iter().filter(|(_, outcome)| outcome.is_some_and(|outcome| outcome.diverged)).count();
    let reference = match (non_finite, diverged) {
        (0, _) => Ok(Reference::StudentT(values.len().saturating_sub(1) as f64)),
        (bad, 0) => Err(format!("invalid: {bad} of {} networks are NaN or infinite", values.len())),
        (bad, _) => Err(format!("invalid: {bad} of {} networks diverged (`within` can leave them out)", values.len())),
    };
    let mut quantiles = QuantileSketch::default();
    if keep_distribution {
        finite.iter().for_each(|&value| quantiles.push(value));
    }
    let sampled = (!values.is_empty()).then(|| sampled(finite, non_finite as u64));
    let quantiles = keep_distribution.then_some(quantiles);
    Measurement {
        row: Row { sampled, ..row },
        quantiles,
        reference,
        replicates: Some(replicates),
        batches: None,
        look: None,
    }
}

/// Variance of a share of so many test samples by their choice: p(1 − p)/n with p = (successes + 2)/(n + 4), which no share of 0 or 1
/// makes zero (Agresti and Coull 1998).
fn sampling_variance(share: f64, samples: usize) -> f64 {
    let samples = samples as f64;
    let share = (share.abs() * samples + 2.0) / (samples + 4.0);
    share * (1.0 - share) / samples
}

/// The numbers of a row, of the values that are finite; quantiles are interpolated between the sorted values.
fn sampled(mut values: Vec<f64>, non_finite: u64) -> Sampled {
    let moments: Moments = values.iter().copied().collect();
    values.sort_by(f64::total_cmp);
    let quantile = |probability| if values.is_empty() { f64::NAN } else { interpolated(&values, probability) };
    Sampled {
        draws: moments.count(),
        mean: if values.is_empty() { f64::NAN } else { moments.mean() },
        std_error: moments.std_error(),
        std_dev: moments.std_dev(),
        q10: quantile(0.1),
        median: quantile(0.5),
        q90: quantile(0.9),
        zeros: values.iter().filter(|value| **value == 0.0).count() as u64,
        non_finite,
        skewness: moments.skewness(),
    }
}
