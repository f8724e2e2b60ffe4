//! The states of a network on disk: of its training, from which it goes on to the same bits, and of what was measured of it once it is
//! finished.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::experiment::results::names::DONE;
use crate::experiment::results::{Checkpoint, NetworkOutcome, ResultsError};
use crate::network::weights::Array;
use crate::network::{Architecture, Parameters};
use crate::training::{EpochReport, Evaluation, State};

/// Kind of the states of a training under way: tensors.
const TRAINING: &str = "safetensors";

/// What is kept of a network that is finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// What was measured.
    pub outcome: NetworkOutcome,
    /// How training went: rate, objective, validation loss and accuracy of every epoch; null for NaN.
    epochs: Vec<[Option<f64>; 4]>,
}

impl Finished {
    /// What was measured, and what every epoch came to.
    pub fn new(outcome: NetworkOutcome, epochs: &[EpochReport]) -> Self {
        Self { outcome, epochs: epochs.iter().map(numbers).collect() }
    }

    /// What every epoch came to.
    pub fn history(&self) -> Vec<EpochReport> {
        self.epochs.iter().copied().map(report).collect()
    }

    /// What was measured of a network, so many observables, if it is finished.
    ///
    /// # Errors
    /// The file is there but damaged.
    pub fn load(checkpoint: &Checkpoint, observables: usize) -> Result<Option<Self>, ResultsError> {
        checkpoint.load(DONE, |body| {
            let finished: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
            finished.outcome.check(observables).map(|()| finished)
        })
    }

    /// Keeps what was measured; the state of the training is no longer needed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(
        checkpoint: &Checkpoint,
        outcome: NetworkOutcome,
        epochs: &[EpochReport],
    ) -> Result<Self, ResultsError> {
        let finished = Self::new(outcome, epochs);
        checkpoint.save_as_json(DONE, &finished)?;
        checkpoint.remove(TRAINING)?;
        Ok(finished)
    }
}

fn numbers(report: &EpochReport) -> [Option<f64>; 4] {
    let EpochReport { rate, objective, validation } = *report;
    [rate, objective, validation.loss, validation.accuracy].map(|value| value.is_finite().then_some(value))
}

fn report(numbers: [Option<f64>; 4]) -> EpochReport {
    let [rate, objective, loss, accuracy] = numbers.map(|value| value.unwrap_or(f64::NAN));
    EpochReport { rate, objective, validation: Evaluation { loss, accuracy } }
}

/// The state that training has come to, if there is one.
///
/// # Errors
/// The file is there but damaged.
pub fn load(checkpoint: &Checkpoint, architecture: &Architecture) -> Result<Option<State>, ResultsError> {
    checkpoint.load(TRAINING, |bytes| read(bytes, architecture))
}

/// The state in some bytes.
///
/// # Errors
/// In words, what is wrong with them.
pub fn read(bytes: &[u8], architecture: &Architecture) -> Result<State, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let epochs = header.metadata().as_ref().and_then(|metadata| metadata.get(EPOCHS));
    let epochs = epochs.ok_or_else(|| format!("has no {EPOCHS}"))?;
    let epochs: Vec<[Option<f64>; 4]> = serde_json::from_str(epochs).map_err(|error| error.to_string())?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let parameters = |name: &str| {
        let tensor = tensors.tensor(name).map_err(|error| error.to_string())?;
        let mut parameters = Parameters::zeros(architecture);
        let (values, data) = (parameters.values_mut(), tensor.data());
        if data.len() != size_of_val(values) {
            return Err(format!("{name} has {} bytes", data.len()));
        }
        let (numbers, _) = data.as_chunks::<4>();
        values.iter_mut().zip(numbers).for_each(|(value, bytes)| *value = f32::from_le_bytes(*bytes));
        Ok(parameters)
    };
    let [current, velocity, best] = [parameters("parameters")?, parameters("velocity")?, parameters("best")?];
    Ok(State { parameters: current, velocity, best, epochs: epochs.into_iter().map(report).collect() })
}

/// The key of the epochs in the metadata.
const EPOCHS: &str = "epochs";

/// Saves a state when it is due, or at once.
///
/// # Errors
/// The file cannot be written.
pub fn offer(checkpoint: &Checkpoint, state: &State, at_once: bool) -> Result<(), ResultsError> {
    if checkpoint.is_due(at_once) { save(checkpoint, state) } else { Ok(()) }
}

/// Saves a state.
///
/// # Errors
/// The file cannot be written.
pub fn save(checkpoint: &Checkpoint, state: &State) -> Result<(), ResultsError> {
    let bytes = to_bytes(state).map_err(|error| ResultsError::new(Path::new(TRAINING), error))?;
    checkpoint.save(TRAINING, &bytes)
}

/// A state as bytes, which [`read`] takes.
///
/// # Errors
/// In words, why it has none.
pub fn to_bytes(state: &State) -> Result<Vec<u8>, String> {
    let flat = |parameters: &Parameters<f32>| {
        let values = parameters.values();
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Array { shape: vec![values.len()], bytes }
    };
    let State { parameters, velocity, best, .. } = state;
    let tensors = [("parameters", flat(parameters)), ("velocity", flat(velocity)), ("best", flat(best))];
    let epochs: Vec<_> = state.epochs.iter().map(numbers).collect();
    let epochs = serde_json::to_string(&epochs).map_err(|error| error.to_string())?;
    let metadata = HashMap::from([(EPOCHS.to_owned(), epochs)]);
    safetensors::serialize(tensors, Some(metadata)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Dense, Shape};

    fn state() -> (Architecture, State) {
        let layers = vec![Dense { units: 2, bias: true }.into()];
        let architecture = Architecture::new(Shape::new([3]).unwrap(), layers).unwrap();
        let mut parameters = Parameters::zeros(&architecture);
        parameters.values_mut().iter_mut().zip(0u8..).for_each(|(value, index)| *value = 0.1 * f32::from(index));
        let mut state = State::new(&architecture, parameters);
        state.velocity.values_mut()[1] = -1e-30;
        let validation = Evaluation { loss: 2.0 / 3.0, accuracy: 0.5 };
        state.epochs.push(EpochReport { rate: 0.1, objective: 1.0 / 3.0, validation });
        (architecture, state)
    }

    #[test]
    fn a_state_comes_back_with_its_bits_for_the_same_network_only() {
        let folder = tempfile::tempdir().unwrap();
        let (architecture, state) = state();
        save(&Checkpoint::new(folder.path(), "0123456789abcdef-and-more"), &state).unwrap();
        let loaded = |fingerprint| load(&Checkpoint::new(folder.path(), fingerprint), &architecture).unwrap();
        assert_eq!(loaded("0123456789abcdef-and-more"), Some(state));
        assert_eq!(loaded("0123456789abcdef-other"), None);
    }

    #[test]
    fn a_finished_network_keeps_what_was_measured_and_not_how_to_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let (architecture, state) = state();
        let checkpoint = Checkpoint::new(folder.path(), "fingerprint");
        save(&checkpoint, &state).unwrap();
        let outcome = NetworkOutcome {
            diverged: false,
            epochs: 1,
            validation_accuracy: 0.5,
            zero_gradients: 0,
            samples: 20,
            nonfinite_gradients: 1,
            values: vec![Some(0.1), None],
        };
        let finished = Finished::save(&checkpoint, outcome, &state.epochs).unwrap();
        assert_eq!(Finished::load(&checkpoint, 2).unwrap(), Some(finished.clone()));
        assert_eq!(finished.history(), state.epochs);
        assert_eq!(load(&checkpoint, &architecture).unwrap(), None);
    }
}
