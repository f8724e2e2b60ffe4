//! Results of trained networks: `networks.csv`, a row for each, and `epochs.csv`, a row for each epoch.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{ResultsError, number, records_to_csv};
use crate::experiment::specification::{Spec, TrainSpec};
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

impl NetworkOutcome {
    /// The value of the observable at this place; NaN where there is none.
    pub fn value(&self, index: usize) -> f64 {
        self.values.get(index).copied().flatten().unwrap_or(f64::NAN)
    }

    /// Whether these numbers can be those of a network of which so many observables were measured.
    ///
    /// # Errors
    /// In words, why not.
    pub(in crate::experiment) fn check(&self, observables: usize) -> Result<(), String> {
        let gradients = self.zero_gradients.checked_add(self.nonfinite_gradients);
        if self.values.len() != observables {
            return Err(format!("has {} observables, not {observables}", self.values.len()));
        }
        if !(0.0..=1.0).contains(&self.validation_accuracy) || gradients.is_none_or(|count| count > self.samples) {
            return Err("its numbers contradict each other".into());
        }
        Ok(())
    }
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
pub fn networks_to_csv(spec: &Spec<TrainSpec>, networks: &[TrainedNetwork]) -> String {
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

/// Reads the text of `networks.csv`; the path is that of errors.
pub fn read_networks(spec: &Spec<TrainSpec>, path: &Path, text: &str) -> Result<Vec<TrainedNetwork>, ResultsError> {
    let wrong = |message: String| ResultsError::new(path, message);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let mut networks = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let field = |name: &str| {
            let index = header.iter().position(|column| column == name);
            index.and_then(|index| record.get(index)).ok_or_else(|| wrong(format!("has no column `{name}`")))
        };
        let parse = |name: &str| {
            let value = field(name)?;
            value.parse::<f64>().map_err(|_| wrong(format!("row {}: {name} = {value} is not a number", line + 1)))
        };
        let optional = |name: &str| if field(name)?.is_empty() { Ok(None) } else { parse(name).map(Some) };
        let values = spec.observables.iter().map(|(name, _)| optional(name)).collect::<Result<_, _>>()?;
        let variables = spec.sweep.names().map(|name| Ok((name.to_owned(), parse(name)?)));
        networks.push(TrainedNetwork {
            label: field("network")?.to_owned(),
            variables: variables.collect::<Result<_, ResultsError>>()?,
            repeat: parse("repeat")? as usize,
            dimension: parse("dimension")? as usize,
            outcome: NetworkOutcome {
                diverged: field("status")? == "diverged",
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
    spec: &Spec<TrainSpec>,
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
