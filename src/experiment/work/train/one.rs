//! The training of one network from beginning to end, wherever its states are kept.

use std::ops::ControlFlow;

use super::bind::{Job, Training};
use super::measure::{Measured, Wanted, measure};
use crate::experiment::results::names::WEIGHTS;
use crate::experiment::results::{NetworkOutcome, ResultsError};
use crate::experiment::work::RunError;
use crate::network::layer::Statistics;
use crate::network::{Parameters, weights};
use crate::stop::Stop;
use crate::training::{BatchModel, EpochReport, Samples, State, Trainer};

/// Stream of a network's initial parameters; those of its epochs follow a key of their own.
const PARAMETERS: u64 = u64::MAX;

/// Samples whose statistics a network before training is measured with.
const CALIBRATION: usize = 256;

/// Where the training of a network reports to.
pub trait Desk {
    /// Whether to stop at the next step.
    fn is_stopped(&self) -> bool;

    /// The request to stop, which long work looks at.
    fn stop(&self) -> Stop;

    /// An epoch begins, in words.
    fn begins(&self, description: &str);

    /// A share of all steps is done.
    fn advance(&self, share: f64);

    /// A state to go on from: after an epoch, or `at_once` where the run ends here.
    ///
    /// # Errors
    /// It cannot be kept.
    fn epoch(&self, state: &State, at_once: bool) -> Result<(), ResultsError>;
}

/// What a trained network came to.
#[derive(Debug, Clone)]
pub struct Trained {
    /// What was measured.
    pub outcome: NetworkOutcome,
    /// How training went.
    pub epochs: Vec<EpochReport>,
    /// The weights as safetensors, where they are kept.
    pub weights: Option<Vec<u8>>,
}

impl Job {
    /// The samples of one part as the network sees them.
    fn samples_of(&self, part: usize) -> Samples<'_> {
        Samples { set: &*self.samples[part], shape: self.architecture.input() }
    }
}

impl Training {
    /// Trains a network from its first parameters, or from a state, and measures it.
    ///
    /// # Errors
    /// It was stopped, or a state could not be kept.
    pub(super) fn train_one(&self, job: &Job, saved: Option<State>, desk: &dyn Desk) -> Result<Trained, RunError> {
        let data = &self.data;
        let initial = || job.initialisation.draw(&job.architecture, &mut job.key.draw(PARAMETERS));
        let mut state = saved.unwrap_or_else(|| State::new(&job.architecture, initial()));
        let mut trainer =
            Trainer::new(&job.architecture, job.settings, job.samples_of(0), &data.training, &data.validation, job.key);
        let steps = (job.settings.epochs * trainer.steps()).max(1) as f64;
        desk.advance(state.epochs.len() as f64 / job.settings.epochs as f64);
        while !trainer.is_done(&state) {
            desk.begins(&format!("{}, epoch {} of {}", job.describe(), state.epochs.len() + 1, job.settings.epochs));
            desk.advance(0.0);
            let watch = || {
                desk.advance(1.0 / steps);
                if desk.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let stopped = trainer.epoch(&mut state, watch).is_break();
            desk.epoch(&state, stopped)?;
            if stopped {
                return Err(RunError::Interrupted);
            }
            if let Some(epoch) = state.epochs.last() {
                tracing::info!(
                    network = job.describe(),
                    epoch = state.epochs.len(),
                    objective = epoch.objective,
                    accuracy = epoch.validation.accuracy,
                );
            }
        }
        let kept = self.kept(job);
        let weights = kept.map(|kept| weights::to_bytes(&job.architecture, &state.best, Some(kept.metadata())));
        let weights = weights.transpose().map_err(|error| ResultsError::new(WEIGHTS.as_ref(), error))?;
        let outcome = self.measure(job, &state, &initial(), &desk.stop());
        if desk.stop().is_asked() {
            // Measured in part at best; trained as it is, it is measured when the run goes on.
            desk.epoch(&state, true)?;
            return Err(RunError::Interrupted);
        }
        Ok(Trained { outcome, epochs: state.epochs, weights })
    }

    /// The initial parameters with the running statistics of a batch of training samples: before training a network has none.
    fn calibrated(&self, job: &Job, initial: &Parameters<f32>) -> Parameters<f32> {
        let training = &self.data.training;
        let samples = job.samples_of(0);
        let (mut batch, mut labels) = (Vec::new(), Vec::new());
        samples.write(&training[..CALIBRATION.min(training.len())], &mut batch, &mut labels, |_, _| {});
        let (mut model, mut parameters) = (BatchModel::new(&job.architecture), initial.clone());
        model.load(initial);
        model.forward(&batch);
        model.update_statistics(&mut parameters, 1.0);
        parameters
    }

    /// What is measured of a network, after training and before it.
    fn measure(&self, job: &Job, state: &State, initial: &Parameters<f32>, stop: &Stop) -> NetworkOutcome {
        let samples = &job.samples_of(1);
        let architecture = |statistics| job.architecture.clone().with_statistics(statistics);
        let indices = &self.data.test;
        let diverged = state.diverged();
        let after = (!diverged).then(|| {
            let quantities = self.quantities(false);
            measure(
                &architecture(Statistics::Running),
                &state.best,
                samples,
                indices,
                Wanted { quantities: &quantities, defined: &job.defined },
                job.key,
                stop,
            )
        });
        let quantities = self.quantities(true);
        let before = (!quantities.is_empty()).then(|| {
            measure(
                &architecture(Statistics::Running),
                &self.calibrated(job, initial),
                samples,
                indices,
                Wanted { quantities: &quantities, defined: &[] },
                job.key,
                stop,
            )
        });
        let means = |measured: &Option<Measured>| measured.as_ref().map_or(Vec::new(), |m| m.means.clone()).into_iter();
        let [mut after_means, mut before_means] = [means(&after), means(&before)];
        let values = self.spec.observables.iter().map(|(_, measure)| {
            let value = if measure.initial { before_means.next() } else { after_means.next() };
            value.filter(|value| value.is_finite())
        });
        NetworkOutcome {
            diverged,
            epochs: state.epochs.len(),
            validation_accuracy: state.best_accuracy().max(0.0),
            samples: indices.len(),
            zero_gradients: after.as_ref().map_or(0, |measured| measured.zero_gradients),
            nonfinite_gradients: after.as_ref().map_or(0, |measured| measured.nonfinite_gradients),
            values: values.collect(),
        }
    }
}
