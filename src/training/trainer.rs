//! The training of one network, epoch by epoch.

use std::ops::ControlFlow;

use ndarray_rand::rand::Rng;
use ndarray_rand::rand::seq::SliceRandom;
use rayon::prelude::*;

use super::objective::ObjectiveRule;
use super::{Augmentation, BatchModel, Evaluation, Objective, Schedule, Sgd};
use crate::data::SampleSet;
use crate::network::batch::to_channels_last;
use crate::network::layer::Statistics;
use crate::network::{Architecture, Parameters, Shape};
use crate::stream::StreamKey;

/// Share of the way that running statistics move to those of a batch.
const STATISTICS_MOMENTUM: f64 = 0.1;

/// Streams of an epoch's batches follow that of its order.
const BATCH_STREAMS: u64 = 1;

/// How a network is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingSettings {
    /// What is minimised.
    pub objective: Objective,
    /// Passes over the training samples.
    pub epochs: usize,
    /// Samples of one step. What is left at the end of an epoch and does not fill a batch is left out.
    pub batch: usize,
    /// The learning rate.
    pub schedule: Schedule,
    /// The optimiser.
    pub optimiser: Sgd,
    /// Random changes of the samples.
    pub augmentation: Augmentation,
}

/// Labelled samples as a network sees them.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// The samples, `[channels, height, width]` each, every one with a label.
    pub set: &'a dyn SampleSet,
    /// The network's input.
    pub shape: &'a Shape,
}

impl Samples<'_> {
    /// Writes samples one after the other, channels last, and their labels; `change` may change each one before, given its
    /// place among them.
    pub fn write(
        &self,
        indices: &[usize],
        batch: &mut Vec<f32>,
        labels: &mut Vec<usize>,
        change: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let dimension = self.shape.len();
        batch.resize(indices.len() * dimension, 0.0);
        batch.par_chunks_mut(dimension).zip(indices).enumerate().for_each_init(
            || vec![0.0; dimension],
            |sample, (place, (pixels, &index))| {
                self.set.copy_into(index, sample);
                change(place, sample);
                to_channels_last(self.shape, sample, pixels);
            },
        );
        labels.clear();
        labels.extend(indices.iter().map(|&index| self.set.label(index).unwrap_or_default()));
    }
}

/// Where the training of a network has come to: all that is needed to go on to the same bits.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The parameters.
    pub parameters: Parameters<f32>,
    /// The optimiser's memory.
    pub velocity: Parameters<f32>,
    /// The parameters with the highest validation accuracy at the end of an epoch so far.
    pub best: Parameters<f32>,
    /// The epochs so far.
    pub epochs: Vec<EpochReport>,
}

/// What an epoch has come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochReport {
    /// The learning rate.
    pub rate: f64,
    /// The mean of the objective over the epoch's batches.
    pub objective: f64,
    /// Of the validation samples, with running statistics.
    pub validation: Evaluation,
}

impl EpochReport {
    /// Whether the objective or the loss is no longer a number.
    pub fn diverged(&self) -> bool {
        !self.objective.is_finite() || !self.validation.loss.is_finite()
    }
}

/// Trains one network.
#[derive(Debug)]
pub struct Trainer<'a> {
    settings: TrainingSettings,
    samples: Samples<'a>,
    training: &'a [usize],
    validation: &'a [usize],
    key: StreamKey,
    model: BatchModel<f32>,
    inference: BatchModel<f32>,
}

impl State {
    /// Before the first epoch.
    pub fn new(architecture: &Architecture, parameters: Parameters<f32>) -> Self {
        let velocity = Parameters::zeros(architecture);
        Self { best: parameters.clone(), parameters, velocity, epochs: Vec::new() }
    }

    /// Whether the last epoch has diverged; nothing is gained by going on.
    pub fn diverged(&self) -> bool {
        self.epochs.last().is_some_and(EpochReport::diverged)
    }

    /// The highest validation accuracy so far; −∞ before the first epoch.
    pub fn best_accuracy(&self) -> f64 {
        self.epochs.iter().map(|epoch| epoch.validation.accuracy).fold(f64::NEG_INFINITY, f64::max)
    }
}

impl<'a> Trainer<'a> {
    /// A trainer for networks of one architecture. The random numbers of its epochs are streams of `key`.
    pub fn new(
        architecture: &Architecture,
        settings: TrainingSettings,
        samples: Samples<'a>,
        training: &'a [usize],
        validation: &'a [usize],
        key: StreamKey,
    ) -> Self {
        let model = |statistics| BatchModel::new(&architecture.clone().with_statistics(statistics));
        let (model, inference) = (model(Statistics::Batch), model(Statistics::Running));
        Self { settings, samples, training, validation, key, model, inference }
    }

    /// Steps of one epoch.
    pub fn steps(&self) -> usize {
        self.training.len() / self.settings.batch
    }

    /// Whether there is nothing left to do: all epochs are run, or the last one has diverged.
    pub fn is_done(&self, state: &State) -> bool {
        state.epochs.len() >= self.settings.epochs || state.diverged()
    }

    /// Runs the next epoch. `watch` is called after every step; if it breaks, the state is as it was before the epoch.
    pub fn epoch(&mut self, state: &mut State, mut watch: impl FnMut() -> ControlFlow<()>) -> ControlFlow<()> {
        let epoch = state.epochs.len();
        let settings = self.settings;
        let mut parameters = if settings.schedule.halves_at(epoch) { &state.best } else { &state.parameters }.clone();
        let (mut velocity, rate) = (state.velocity.clone(), settings.schedule.rate(epoch));
        let steps = self.steps();
        let first = epoch as u64 * (steps as u64 + BATCH_STREAMS);
        let mut order = self.training.to_vec();
        order.shuffle(&mut self.key.draw(first));
        let (mut batch, mut labels) = (Vec::new(), Vec::new());
        let (mut gradient, mut total) = (Parameters::zeros(self.model.architecture()), 0.0);
        for (step, indices) in order.chunks_exact(settings.batch).enumerate() {
            let mut rng = self.key.draw(first + BATCH_STREAMS + step as u64);
            let seed: u64 = rng.random();
            let changes = StreamKey::new(seed, &["augmentation"]);
            self.samples.write(indices, &mut batch, &mut labels, |place, sample| {
                settings.augmentation.apply(self.samples.shape, sample, &mut changes.draw(place as u64));
            });
            self.model.load(&parameters);
            total += settings.objective.accumulate(&mut self.model, &batch, &labels, &mut rng, |model| {
                model.update_statistics(&mut parameters, STATISTICS_MOMENTUM);
            });
            self.model.take_gradient(&mut gradient);
            settings.optimiser.step(self.model.architecture(), rate, &gradient, &mut velocity, &mut parameters);
            watch()?;
            if !total.is_finite() {
                break;
            }
        }
        self.inference.load(&parameters);
        let validation = Evaluation::of(&mut self.inference, &self.samples, self.validation);
        if validation.accuracy > state.best_accuracy() {
            state.best = parameters.clone();
        }
        (state.parameters, state.velocity) = (parameters, velocity);
        state.epochs.push(EpochReport { rate, objective: total / steps as f64, validation });
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::objective::{GradientPenalty, Plain};
    use super::*;
    use crate::data::{Split, Synthetic, SyntheticSpec};
    use crate::network::layer::{AveragePool, BatchNorm, Conv, Dense, Flatten, PaddingMode, Relu, Window};
    use crate::network::{Initialisation, Norm, WeightDistribution};

    fn network() -> Architecture {
        let norm = || BatchNorm { statistics: Statistics::Batch, epsilon: BatchNorm::USUAL_EPSILON };
        let window = Window { padding: 1, mode: PaddingMode::Reflect, ..Window::new(3, 1) };
        let layers = vec![
            norm().into(),
            Conv { channels: 8, window, bias: false }.into(),
            AveragePool(Window::new(2, 2)).into(),
            norm().into(),
            Relu.into(),
            Flatten.into(),
            Dense { units: 4, bias: true }.into(),
        ];
        Architecture::new(Shape::new([3, 8, 8]).unwrap(), layers).unwrap()
    }

    fn settings(objective: Objective, rate: f64) -> TrainingSettings {
        TrainingSettings {
            objective,
            epochs: 4,
            batch: 16,
            schedule: Schedule { rate, halve_every: 2 },
            optimiser: Sgd { momentum: 0.9, weight_decay: 1e-4 },
            augmentation: Augmentation { crop: 1, flip: false },
        }
    }

    /// Trains a network for some epochs from a state, or from the beginning.
    fn train(settings: TrainingSettings, from: Option<State>, epochs: usize) -> State {
        let spec = SyntheticSpec { classes: 4, side: 8, samples: 200, split: Split::Training, ..Default::default() };
        let set = Synthetic::new(spec).unwrap();
        let (architecture, key) = (network(), StreamKey::new(3, &["trainer"]));
        let indices: Vec<usize> = (0..200).collect();
        let (training, validation) = indices.split_at(150);
        let samples = Samples { set: &set, shape: architecture.input() };
        let mut trainer = Trainer::new(&architecture, settings, samples, training, validation, key);
        let initialisation = Initialisation::he(&architecture, WeightDistribution::Normal, 1.0);
        let initial = || State::new(&architecture, initialisation.draw(&architecture, &mut key.draw(u64::MAX)));
        let mut state = from.unwrap_or_else(initial);
        while state.epochs.len() < epochs && !trainer.is_done(&state) {
            assert!(trainer.epoch(&mut state, || ControlFlow::Continue(())).is_continue());
        }
        state
    }

    #[test]
    fn networks_learn_and_the_best_weights_are_kept() {
        let state = train(settings(Objective::Plain(Plain), 0.1), None, 4);
        assert_eq!(state.epochs.iter().map(|epoch| epoch.rate).collect::<Vec<_>>(), [0.1, 0.1, 0.05, 0.05]);
        assert!(state.best_accuracy() > 0.8, "{:?}", state.epochs);
        assert!(state.epochs[3].objective < 0.5 * state.epochs[0].objective);
        let best = state.epochs.iter().position(|epoch| epoch.validation.accuracy == state.best_accuracy()).unwrap();
        assert_eq!(state.best, train(settings(Objective::Plain(Plain), 0.1), None, best + 1).parameters);
    }

    #[test]
    fn training_goes_on_from_a_state_to_the_same_bits_on_any_number_of_threads() {
        let penalty = Objective::GradientPenalty(GradientPenalty { norm: Norm::ONE, strength: 0.01 });
        let whole = train(settings(penalty, 0.05), None, 4);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let stopped = pool.install(|| train(settings(penalty, 0.05), None, 1));
        assert_eq!(train(settings(penalty, 0.05), Some(stopped), 4), whole);
    }

    #[test]
    fn an_epoch_that_is_stopped_leaves_the_state_as_it_was() {
        let state = train(settings(Objective::Plain(Plain), 0.05), None, 1);
        let spec = SyntheticSpec { classes: 4, side: 8, samples: 200, ..Default::default() };
        let (set, architecture) = (Synthetic::new(spec).unwrap(), network());
        let indices: Vec<usize> = (0..150).collect();
        let samples = Samples { set: &set, shape: architecture.input() };
        let key = StreamKey::new(3, &["trainer"]);
        let settings = settings(Objective::Plain(Plain), 0.05);
        let mut trainer = Trainer::new(&architecture, settings, samples, &indices, &indices, key);
        let (mut stopped, mut steps) = (state.clone(), 0);
        let watch = || {
            steps += 1;
            if steps == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        assert!(trainer.epoch(&mut stopped, watch).is_break());
        assert_eq!((stopped, steps), (state, 3));
    }

    #[test]
    fn a_rate_that_is_too_high_diverges_and_ends_the_training() {
        let state = train(settings(Objective::Plain(Plain), 1e20), None, 4);
        assert!(state.diverged() && state.epochs.len() < 4, "{:?}", state.epochs);
    }
}
