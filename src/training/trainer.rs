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
            total += settings.objective.learn(&mut self.model, &batch, &labels, &mut rng, |model| {
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
