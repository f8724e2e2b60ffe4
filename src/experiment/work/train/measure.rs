//! What is measured of a trained network on the test samples.

use std::str::FromStr;

use rayon::prelude::*;

use crate::attack::{Model, State};
use crate::network::norm::NormSums;
use crate::network::{Architecture, Norm, Parameters, Tape, pools_first};
use crate::observable::{AttackObservable, Defined, Gradient, GradientObservable, Observable};
use crate::sampling::monte_carlo::is_left_out;
use crate::sampling::{Attacked, complete};
use crate::scaled::Scaled;
use crate::stop::Stop;
use crate::stream::StreamKey;
use crate::training::Samples;

/// One number of a network: a mean over the test samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// What is measured of each sample.
    pub quantity: Quantity,
    /// Whether it is measured before training instead of after it.
    pub initial: bool,
}

/// What is measured of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// 1 for a right prediction.
    Accuracy,
    /// The loss.
    Loss,
    /// What is measured of networks at initialisation too: norms of ∂ₓL, and what attacks do.
    Observable(Observable),
    /// Made of others of the same sample.
    Defined,
}

impl Measure {
    /// What stands for one that is made of others, after training.
    pub const DEFINED: Self = Self { quantity: Quantity::Defined, initial: false };

    /// What is measured of trained networks alone, by name and in words.
    pub const SUMMARIES: [(&str, &str); 2] =
        [("accuracy", "1 for a right prediction"), ("loss", "the loss L, softmax cross-entropy, itself")];

    /// What a measure may be, for error messages.
    pub fn allowed() -> String {
        format!(
            "accuracy, loss, a norm of the gradient (loss.l1, loss.l2, loss.linf, loss.lQ, loss.coordinate, with .scaled and \
             .squared where wanted), or {}; with `initial.` before it for networks before training",
            AttackObservable::allowed()
        )
    }
}

impl FromStr for Measure {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let (name, initial) = name.strip_prefix("initial.").map_or((name, false), |rest| (rest, true));
        let quantity = match name {
            "accuracy" => Quantity::Accuracy,
            "loss" => Quantity::Loss,
            _ => match name.parse().map_err(|_| ())? {
                Observable::Hypothesis(_) | Observable::Defined => return Err(()),
                Observable::Gradient(observable)
                    if observable.gradient == Gradient::Logit || observable.norm().is_none() =>
                {
                    return Err(());
                }
                observable => Quantity::Observable(observable),
            },
        };
        Ok(Self { quantity, initial })
    }
}

/// The measures of a network, and samples whose gradient hides what an attack could do.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// A mean for every quantity, over the samples that have it; NaN where none has.
    pub means: Vec<f64>,
    /// Samples whose ∂ₓL is zero everywhere, and not only because the network is sure of the label: ∂ₓL/(1 − p_y) is.
    pub zero_gradients: usize,
    /// Samples with a coordinate of ∂ₓL that is NaN or infinite.
    pub nonfinite_gradients: usize,
}

/// What is to be measured.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The quantities.
    pub quantities: &'a [Quantity],
    /// How the last of them are made of others.
    pub defined: &'a [Defined],
}

/// Measures a network, with running statistics, on some samples. Each sample's attacks have a stream of `key` of their own. What it
/// gives after a request to stop means nothing.
pub fn measure(
    architecture: &Architecture,
    parameters: &Parameters<f32>,
    samples: &Samples<'_>,
    indices: &[usize],
    wanted: Wanted<'_>,
    key: StreamKey,
    stop: &Stop,
) -> Measured {
    let runs = &pools_first(architecture);
    let Wanted { quantities, defined } = wanted;
    let observables: Vec<Observable> = quantities.iter().filter_map(|quantity| quantity.observable()).collect();
    let norms: Vec<Norm> = observables.iter().filter_map(|observable| observable.of_gradient()?.norm()).collect();
    let one = |memory: &mut (Tape<f32>, Attacked<f32>, Vec<f32>), place: usize| {
        if stop.is_asked() {
            return (vec![f64::NAN; quantities.len()], f64::NAN);
        }
        let (tape, attacked, input) = memory;
        let index = indices[place];
        samples.set.copy_into(index, input);
        let label = samples.set.label(index).unwrap_or_default();
        let mut model = Model::new(runs, parameters, tape);
        let mut sums = NormSums::new(&norms);
        let direction = model.loss_direction(input, label);
        sums.add(direction.along);
        let of_gradient = |observable: &GradientObservable| {
            let norm = observable.norm().map_or(f64::NAN, |norm| direction.in_scale(sums.norm(norm)));
            observable.value(Scaled::from(norm), sums.count()).nearest()
        };
        let mut values: Vec<f64> =
            observables.iter().map(|observable| observable.of_gradient().map_or(f64::NAN, of_gradient)).collect();
        let state = State::new(model.last_logits(), label);
        attacked.measure(model, &observables, label, &mut key.draw(place as u64), &mut values);
        let mut observed = values.into_iter();
        let values = quantities.iter().map(|quantity| match quantity {
            Quantity::Accuracy => 1.0 - state.error(label),
            Quantity::Loss => state.loss,
            Quantity::Observable(_) => observed.next().unwrap_or(f64::NAN),
            Quantity::Defined => f64::NAN,
        });
        let mut values: Vec<f64> = values.collect();
        complete(defined, &mut values);
        (values, sums.norm(Norm::ONE))
    };
    let memory = || {
        let mut tape = Tape::new(runs);
        tape.stop_at(stop);
        (tape, Attacked::default(), vec![0.0; runs.dimension()])
    };
    let all: Vec<(Vec<f64>, f64)> = (0..indices.len()).into_par_iter().map_init(memory, one).collect();
    let mean = |index: usize| {
        let values = || all.iter().map(|(values, _)| values[index]).filter(|value| !is_left_out(*value));
        values().sum::<f64>() / values().count() as f64
    };
    Measured {
        means: (0..quantities.len()).map(mean).collect(),
        zero_gradients: all.iter().filter(|(_, size)| *size == 0.0).count(),
        nonfinite_gradients: all.iter().filter(|(_, size)| !size.is_finite()).count(),
    }
}

impl Quantity {
    /// Whether it is 0 or 1 of each sample, or the difference of two such numbers, so that its mean is a share of the samples.
    pub fn is_share(self) -> bool {
        match self {
            Self::Accuracy => true,
            Self::Loss | Self::Defined => false,
            Self::Observable(observable) => observable.is_share(),
        }
    }

    fn observable(self) -> Option<Observable> {
        match self {
            Self::Observable(observable) => Some(observable),
            _ => None,
        }
    }
}
