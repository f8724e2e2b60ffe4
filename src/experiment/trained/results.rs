//! Results of trained networks: `networks.csv`, a row for each, and the rows of `points.csv` that summarise repetitions.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::spec::TrainingSpec;
use crate::experiment::results::{Measurement, Replicate, ResultsError, Row, Sampled, number, records_to_csv};
use crate::statistics::{Moments, QuantileSketch, Reference};
use crate::training::EpochReport;

/// One trained network.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedNetwork {
    /// Its label, of the network and the method.
    pub label: String,
    /// Values of the sweep variables.
    pub variables: Vec<(String, f64)>,
    /// Which repetition.
    pub repeat: usize,
    /// Input dimension d.
    pub dimension: usize,
    /// What was measured.
    pub outcome: NetworkOutcome,
}

/// What became of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkOutcome {
    /// Whether training diverged.
    pub diverged: bool,
    /// Epochs that were run.
    pub epochs: usize,
    /// The highest validation accuracy, that of the weights that were measured.
    pub validation_accuracy: f64,
    /// Test samples over which every observable is a mean.
    pub samples: usize,
    /// Test samples whose ∂ₓL is zero everywhere.
    pub zero_gradients: usize,
    /// Test samples with a coordinate of ∂ₓL that is NaN or infinite.
    pub nonfinite_gradients: usize,
    /// A value for every observable; `None` for NaN.
    pub values: Vec<Option<f64>>,
}

impl TrainedNetwork {
    /// The value of the observable at this place among the spec's; `None` where it is not finite, as after training that diverged.
    pub fn value(&self, index: usize) -> Option<f64> {
        self.outcome.values.get(index).copied().flatten()
    }
}

const COLUMNS: [&str; 9] = [
    "network",
    "repeat",
    "dimension",
    "status",
    "epochs",
    "validation_accuracy",
    "samples",
    "zero_gradients",
    "nonfinite_gradients",
];

/// The text of `networks.csv`.
pub fn to_csv(spec: &TrainingSpec, networks: &[TrainedNetwork]) -> String {
    let variables: Vec<&str> = spec.sweep.names().collect();
    let observables = spec.observables.iter().map(|(name, _)| name.clone());
    let header = COLUMNS[..1].iter().chain(&variables).chain(&COLUMNS[1..]).map(|name| (*name).to_owned());
    let rows = networks.iter().map(|network| {
        let outcome = &network.outcome;
        let mut fields = vec![network.label.clone()];
        fields.extend(network.variables.iter().map(|&(_, value)| number(value)));
        fields.extend([
            network.repeat.to_string(),
            network.dimension.to_string(),
            if outcome.diverged { "diverged" } else { "trained" }.into(),
            outcome.epochs.to_string(),
            number(outcome.validation_accuracy),
            outcome.samples.to_string(),
            outcome.zero_gradients.to_string(),
            outcome.nonfinite_gradients.to_string(),
        ]);
        let values = (0..spec.observables.len()).map(|index| network.value(index).map(number).unwrap_or_default());
        fields.extend(values);
        fields
    });
    records_to_csv(std::iter::once(header.chain(observables).collect()).chain(rows))
}

/// Reads `networks.csv`.
pub fn read_csv(spec: &TrainingSpec, path: &Path) -> Result<Vec<TrainedNetwork>, ResultsError> {
    let wrong = |message: String| ResultsError::new(path, message);
    let mut reader = csv::Reader::from_path(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let mut networks = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let text = |name: &str| {
            let index = header.iter().position(|column| column == name);
            index.and_then(|index| record.get(index)).ok_or_else(|| wrong(format!("has no column `{name}`")))
        };
        let parse = |name: &str| {
            let field = text(name)?;
            field.parse::<f64>().map_err(|_| wrong(format!("row {}: {name} = {field} is not a number", line + 1)))
        };
        let optional = |name: &str| if text(name)?.is_empty() { Ok(None) } else { parse(name).map(Some) };
        let values = spec.observables.iter().map(|(name, _)| optional(name)).collect::<Result<_, _>>()?;
        let variables = spec.sweep.names().map(|name| Ok((name.to_owned(), parse(name)?)));
        networks.push(TrainedNetwork {
            label: text("network")?.to_owned(),
            variables: variables.collect::<Result<_, ResultsError>>()?,
            repeat: parse("repeat")? as usize,
            dimension: parse("dimension")? as usize,
            outcome: NetworkOutcome {
                diverged: text("status")? == "diverged",
                epochs: parse("epochs")? as usize,
                validation_accuracy: parse("validation_accuracy")?,
                samples: parse("samples")? as usize,
                zero_gradients: parse("zero_gradients")? as usize,
                nonfinite_gradients: parse("nonfinite_gradients")? as usize,
                values,
            },
        });
    }
    Ok(networks)
}

/// The text of `epochs.csv`: what every epoch of every network came to.
pub fn epochs_to_csv<'a>(
    spec: &TrainingSpec,
    histories: impl IntoIterator<Item = (&'a str, &'a [(String, f64)], usize, Vec<EpochReport>)>,
) -> String {
    let variables = spec.sweep.names();
    let after = ["repeat", "epoch", "rate", "objective", "validation_loss", "validation_accuracy"];
    let header = std::iter::once("network").chain(variables).chain(after).map(str::to_owned).collect();
    let rows = histories.into_iter().flat_map(|(label, variables, repeat, epochs)| {
        epochs.into_iter().enumerate().map(move |(epoch, report)| {
            let mut fields = vec![label.to_owned()];
            fields.extend(variables.iter().map(|&(_, value)| number(value)));
            fields.extend([repeat.to_string(), (epoch + 1).to_string()]);
            let EpochReport { rate, objective, validation } = report;
            fields.extend([rate, objective, validation.loss, validation.accuracy].map(number));
            fields
        })
    });
    records_to_csv(std::iter::once(header).chain(rows))
}

/// What the repetitions of a cell give of one observable: its law over those that are finished. `outcomes` are the networks, each with
/// what became of it; `index` is the observable's place among the spec's.
pub fn measurement(
    row: Row,
    outcomes: &[(usize, Option<&NetworkOutcome>)],
    index: usize,
    is_share: bool,
    keep_distribution: bool,
) -> Measurement {
    let replicate = |&(network, outcome): &(usize, Option<&NetworkOutcome>)| {
        let outcome = outcome?;
        let value = outcome.values.get(index).copied().flatten().unwrap_or(f64::NAN);
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
    Measurement { row: Row { sampled, ..row }, quantiles, reference, replicates: Some(replicates) }
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
    let quantile = |probability| if values.is_empty() { f64::NAN } else { quantile(&values, probability) };
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

/// A quantile of sorted values, at least one, interpolated between neighbours.
pub fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let place = probability * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + place.fract() * (high - low)
}
