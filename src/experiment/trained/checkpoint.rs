//! States of networks on disk: of one that is being trained, from which training goes on to the same bits, and of one that is
//! finished, what was measured.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::results::NetworkOutcome;
use crate::experiment::results::{ResultsError, write_atomically};
use crate::network::weights::Array;
use crate::network::{Architecture, Parameters};
use crate::training::{EpochReport, Evaluation, State};

/// Time between two states of a network that is being trained.
const INTERVAL: Duration = Duration::from_secs(5);

/// Where one network's states are kept.
#[derive(Debug)]
pub struct Checkpoint {
    training: PathBuf,
    finished: PathBuf,
    fingerprint: String,
    last: Instant,
}

/// What is kept of a network that is finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    fingerprint: String,
    /// What was measured.
    pub outcome: NetworkOutcome,
    /// How training went: rate, objective, validation loss and accuracy of every epoch; null for NaN.
    epochs: Vec<[Option<f64>; 4]>,
}

impl Finished {
    /// What every epoch came to.
    pub fn history(&self) -> Vec<EpochReport> {
        self.epochs.iter().copied().map(report).collect()
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

impl Checkpoint {
    /// The checkpoint of the network with this fingerprint, in a results folder.
    pub fn new(folder: &Path, fingerprint: &str) -> Self {
        let name: String = fingerprint.chars().take(16).collect();
        let file = |suffix: &str| folder.join("state").join(format!("{name}.{suffix}"));
        Self {
            training: file("safetensors"),
            finished: file("json"),
            fingerprint: fingerprint.into(),
            last: Instant::now(),
        }
    }

    /// What was measured of the network, if it is finished.
    ///
    /// # Errors
    /// The file is there but damaged.
    pub fn finished(&self) -> Result<Option<Finished>, ResultsError> {
        let Some(bytes) = read(&self.finished)? else { return Ok(None) };
        let finished: Finished = serde_json::from_slice(&bytes).map_err(|error| broken(&self.finished, error))?;
        Ok((finished.fingerprint == self.fingerprint).then_some(finished))
    }

    /// Keeps what was measured; the state of the training is no longer needed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(&self, outcome: NetworkOutcome, epochs: &[EpochReport]) -> Result<Finished, ResultsError> {
        let fingerprint = self.fingerprint.clone();
        let finished = Finished { fingerprint, outcome, epochs: epochs.iter().map(numbers).collect() };
        let text = serde_json::to_string(&finished).map_err(|error| ResultsError::new(&self.finished, error))?;
        self.write(&self.finished, text.as_bytes())?;
        match fs::remove_file(&self.training) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(ResultsError::new(&self.training, error)),
            _ => Ok(finished),
        }
    }

    /// The state that training has come to, if there is one.
    ///
    /// # Errors
    /// The file is there but damaged.
    pub fn load(&self, architecture: &Architecture) -> Result<Option<State>, ResultsError> {
        let Some(bytes) = read(&self.training)? else { return Ok(None) };
        let wrong = |error: String| broken(&self.training, error);
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| wrong(error.to_string()))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let text = |key: &str| metadata.get(key).ok_or_else(|| wrong(format!("has no {key}")));
        if *text("fingerprint")? != self.fingerprint {
            return Ok(None);
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
        let mut checksum = crc32fast::Hasher::new();
        let mut parameters = |name: &str| {
            let tensor = tensors.tensor(name).map_err(|error| wrong(error.to_string()))?;
            let mut parameters = Parameters::zeros(architecture);
            let (values, data) = (parameters.values_mut(), tensor.data());
            if data.len() != size_of_val(values) {
                return Err(wrong(format!("{name} has {} bytes", data.len())));
            }
            checksum.update(data);
            let (numbers, _) = data.as_chunks::<4>();
            values.iter_mut().zip(numbers).for_each(|(value, bytes)| *value = f32::from_le_bytes(*bytes));
            Ok(parameters)
        };
        let [current, velocity, best] = [parameters("parameters")?, parameters("velocity")?, parameters("best")?];
        if *text("checksum")? != format!("{:08x}", checksum.finalize()) {
            return Err(wrong("its checksum does not fit".into()));
        }
        let epochs: Vec<[Option<f64>; 4]> =
            serde_json::from_str(text("epochs")?).map_err(|error| wrong(error.to_string()))?;
        Ok(Some(State { parameters: current, velocity, best, epochs: epochs.into_iter().map(report).collect() }))
    }

    /// Saves a state when it is time, or at once.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn offer(&mut self, state: &State, at_once: bool) -> Result<(), ResultsError> {
        if !at_once && self.last.elapsed() < INTERVAL {
            return Ok(());
        }
        self.last = Instant::now();
        let flat = |parameters: &Parameters<f32>| {
            let values = parameters.values();
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            Array { shape: vec![values.len()], bytes }
        };
        let State { parameters, velocity, best, .. } = state;
        let tensors = [("parameters", flat(parameters)), ("velocity", flat(velocity)), ("best", flat(best))];
        let mut checksum = crc32fast::Hasher::new();
        tensors.iter().for_each(|(_, array)| checksum.update(&array.bytes));
        let epochs: Vec<_> = state.epochs.iter().map(numbers).collect();
        let epochs = serde_json::to_string(&epochs).map_err(|error| ResultsError::new(&self.training, error))?;
        let metadata = HashMap::from([
            ("fingerprint".to_owned(), self.fingerprint.clone()),
            ("checksum".to_owned(), format!("{:08x}", checksum.finalize())),
            ("epochs".to_owned(), epochs),
        ]);
        let bytes = safetensors::serialize(tensors, Some(metadata))
            .map_err(|error| ResultsError::new(&self.training, error.to_string()))?;
        self.write(&self.training, &bytes)
    }

    /// Keeps weights beside the results, in `weights/` under the same name.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, weights: &[u8]) -> Result<(), ResultsError> {
        let state = self.training.parent().and_then(Path::parent).unwrap_or(Path::new("."));
        let name = self.training.file_name().unwrap_or_default();
        self.write(&state.join("weights").join(name), weights)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ResultsError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| ResultsError::new(folder, error))?;
        write_atomically(path, bytes)
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, ResultsError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(broken(path, error)),
    }
}

fn broken(path: &Path, reason: impl std::fmt::Display) -> ResultsError {
    ResultsError::new(path, format!("broken checkpoint: {reason}; --fresh starts over without it"))
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
        Checkpoint::new(folder.path(), "0123456789abcdef-and-more").offer(&state, true).unwrap();
        let load = |fingerprint| Checkpoint::new(folder.path(), fingerprint).load(&architecture).unwrap();
        assert_eq!(load("0123456789abcdef-and-more"), Some(state));
        assert_eq!(load("0123456789abcdef-other"), None);
        assert_eq!(load("another"), None);
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (architecture, state) = state();
        let mut checkpoint = Checkpoint::new(folder.path(), "fingerprint");
        checkpoint.offer(&state, true).unwrap();
        let bytes = fs::read(&checkpoint.training).unwrap();
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for damaged in [&flipped[..], &bytes[..bytes.len() - 8], b"{}", b""] {
            fs::write(&checkpoint.training, damaged).unwrap();
            assert!(checkpoint.load(&architecture).unwrap_err().to_string().contains("broken checkpoint"));
        }
    }

    #[test]
    fn a_finished_network_keeps_what_was_measured_and_not_how_to_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let (_, state) = state();
        let mut checkpoint = Checkpoint::new(folder.path(), "fingerprint");
        checkpoint.offer(&state, true).unwrap();
        let outcome = NetworkOutcome {
            diverged: false,
            epochs: 1,
            validation_accuracy: 0.5,
            zero_gradients: 0,
            samples: 20,
            nonfinite_gradients: 1,
            values: vec![Some(0.1), None],
        };
        let finished = checkpoint.finish(outcome, &state.epochs).unwrap();
        assert_eq!(checkpoint.finished().unwrap(), Some(finished.clone()));
        assert_eq!(finished.history(), state.epochs);
        assert!(!checkpoint.training.exists());
    }
}
