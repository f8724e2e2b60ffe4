//! A given network under one attack at several sizes: damage, vulnerability, and the smallest perturbations that succeed.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray_npy::WritableElement;
use rayon::prelude::*;

use super::samples::refuse;
use super::{GivenNetwork, LabelledSamples, save_array};
use crate::attack::{AnyAttack, Attack, Model, Restarts, State, Threat};
use crate::experiment::SpecError;
use crate::experiment::results::{ResultsError, number, records_to_csv, write_atomically};
use crate::experiment::work::{Limits, Watcher};
use crate::network::{Architecture, Norm, Real, Tape};
use crate::statistics::{Moments, Reference};
use crate::stream::StreamKey;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct AttackRequest<'a> {
    /// The attack.
    pub attack: AnyAttack,
    /// Its sizes ε, a perturbation of one coordinate; in ‖·‖ₚ the attack has size εₚ = ε d^(1/p).
    pub epsilons: &'a [f64],
    /// The seed of its random numbers; each sample has a stream of its own, the same at every size.
    pub seed: u64,
    /// How often it starts, from other random numbers; the worst for the network counts, sample by sample.
    pub restarts: usize,
    /// The class that it is to make the prediction; `None` where any wrong one will do.
    pub target: Option<usize>,
    /// Whether the perturbed samples are kept.
    pub keep: bool,
}

impl AttackRequest<'_> {
    /// Refuses a target that is no class, or more samples than may be kept in memory.
    ///
    /// # Errors
    /// Says which of both.
    pub fn check<T: Real>(
        &self,
        network: &Architecture,
        samples: &LabelledSamples<T>,
        limits: &Limits,
    ) -> Result<(), SpecError> {
        if let Some(target) = self.target.filter(|&target| target >= network.outputs()) {
            let message = format!("must be a class from 0 to {}", network.outputs() - 1);
            return Err(refuse(Path::new(&format!("--target {target}")), &message));
        }
        // Sample by sample, together, and as the file that they become.
        let copies = if self.keep { 3 } else { 0 };
        let values = [copies, self.epsilons.len(), samples.count(), samples.dimension(), size_of::<T>()];
        let bytes = values.into_iter().fold(1u64, |product, factor| product.saturating_mul(factor as u64));
        limits.check(bytes, network).map_err(|message| refuse(Path::new("--save"), &message))
    }
}

/// What an attack does to a network, over N samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Attacked {
    /// The share of right predictions before; NaN where a logit is not finite.
    pub accuracy: f64,
    /// The mean loss before.
    pub loss: f64,
    /// What happens at each size.
    pub thresholds: Vec<Threshold>,
    /// The smallest successful perturbations.
    pub smallest: Smallest,
    /// Samples whose ∂ₓL is zero everywhere, and not only because the network is sure of the label: ∂ₓL/(1 − p_y) is. No attack along the
    /// gradient moves them, which is no robustness.
    pub zero_gradients: usize,
    /// Samples with a coordinate of ∂ₓL that is NaN or infinite.
    pub nonfinite_gradients: usize,
    /// Samples with a logit that is NaN or infinite, before or after an attack of a given size.
    pub nonfinite: usize,
    /// What becomes of each sample.
    pub samples: Vec<AttackedSample>,
}

/// The perturbed samples; none unless they are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Perturbed<T> {
    /// [sizes, N, input shape…], without the first axis where there is one size.
    pub shape: Vec<usize>,
    /// Their values in C order.
    pub values: Vec<T>,
}

impl<T: WritableElement> Perturbed<T> {
    /// Writes them as a `.npy` file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ResultsError> {
        save_array(path, &self.shape, &self.values)
    }
}

/// What an attack does to one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct AttackedSample {
    /// Its label.
    pub label: usize,
    /// What the network predicts before.
    pub prediction: usize,
    /// Its loss before.
    pub loss: f64,
    /// The smallest successful perturbation in the unit of ε, of a right prediction that is not the target; infinite where none was found.
    pub smallest: Option<f64>,
    /// Its prediction and loss at each size, and whether the attack of that size succeeds: whether the prediction is wrong, or the
    /// target.
    pub after: Vec<(usize, f64, bool)>,
}

impl Attacked {
    /// Writes a table of the samples as CSV: `sample, label, prediction, loss, smallest` (empty where it was not looked for, `inf` where
    /// none was found), and `prediction@E, loss@E, success@E` (1 or 0) for each size.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_samples(&self, path: &Path) -> Result<(), ResultsError> {
        let of_size = |threshold: &Threshold| {
            ["prediction", "loss", "success"].map(|name| format!("{name}@{}", number(threshold.epsilon)))
        };
        let header = ["sample", "label", "prediction", "loss", "smallest"].map(String::from).into_iter();
        let header = header.chain(self.thresholds.iter().flat_map(of_size)).collect();
        let record = |(index, sample): (usize, &AttackedSample)| {
            let first = [
                index.to_string(),
                sample.label.to_string(),
                sample.prediction.to_string(),
                number(sample.loss),
                sample.smallest.map(number).unwrap_or_default(),
            ];
            let after = sample.after.iter().flat_map(|(prediction, loss, success)| {
                [prediction.to_string(), number(*loss), u8::from(*success).to_string()]
            });
            first.into_iter().chain(after).collect()
        };
        let records = std::iter::once(header).chain(self.samples.iter().enumerate().map(record));
        write_atomically(path, records_to_csv(records).as_bytes())
    }
}

/// An attack of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// ε.
    pub epsilon: f64,
    /// εₚ = ε d^(1/p), the size in the attack's norm.
    pub size: f64,
    /// The share of right predictions.
    pub accuracy: f64,
    /// The increase of the 0-1 loss.
    pub vulnerability: Mean,
    /// The share of predictions that change.
    pub changed: f64,
    /// The share of samples for which the attack succeeds, of those whose label is not its target.
    pub success: f64,
    /// The increase of the loss.
    pub damage: Mean,
    /// The mean of εₚ‖∂ₓL‖_q: what the damage is to first order, where there is no box.
    pub first_order: f64,
}

/// A mean and its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean; NaN of no value.
    pub mean: f64,
    /// Its standard error; NaN of fewer than two values.
    pub std_error: f64,
}

/// The smallest successful perturbations of the samples that are predicted rightly and as another class than the target, in the unit of
/// ε: ‖δ‖ₚ / d^(1/p).
#[derive(Debug, Clone, PartialEq)]
pub struct Smallest {
    /// Of how many samples one was found.
    pub count: usize,
    /// For how many none was.
    pub unfound: usize,
    /// The mean of those found, which says nothing of the others.
    pub mean: Mean,
    /// The interval that covers the mean in 95 % of all cases, by Student's t.
    pub interval: [f64; 2],
    /// The median over all, those not found counted as infinite.
    pub median: f64,
}

/// What is known of one attacked sample.
struct Outcome<T> {
    label: usize,
    target: Option<usize>,
    before: State,
    /// ‖∂ₓL‖_q.
    slope: f64,
    /// Whether ∂ₓL is zero whatever its scale, and whether a coordinate of it is not finite.
    zero_gradient: bool,
    nonfinite_gradient: bool,
    after: Vec<State>,
    /// The smallest perturbation, for a right prediction; NaN where none was found.
    smallest: Option<f64>,
    /// The perturbed sample of each size, where they are kept.
    perturbed: Vec<Vec<T>>,
}

impl<T> Outcome<T> {
    /// Whether the attack may succeed: a sample of the target's own class has nothing to lose.
    fn is_attacked(&self) -> bool {
        self.target != Some(self.label)
    }

    fn succeeds(&self, state: &State) -> bool {
        state.is_success(self.label, self.target)
    }

    fn report(&self) -> AttackedSample {
        AttackedSample {
            label: self.label,
            prediction: self.before.prediction,
            loss: self.before.loss,
            smallest: self.smallest.map(|size| if size.is_nan() { f64::INFINITY } else { size }),
            after: self.after.iter().map(|state| (state.prediction, state.loss, self.succeeds(state))).collect(),
        }
    }
}

/// Attacks all samples, side by side; the numbers do not depend on the number of threads.
pub fn attacks<T: Real>(
    network: &GivenNetwork<T>,
    samples: &LabelledSamples<T>,
    request: &AttackRequest<'_>,
    watcher: &dyn Watcher,
) -> (Attacked, Perturbed<T>) {
    let key = StreamKey::new(request.seed, &["attack"]);
    let (done, count) = (AtomicU64::new(0), samples.count() as u64);
    let each = (0..samples.count()).into_par_iter().map_init(
        || Tape::new(&network.architecture),
        |tape, index| {
            let model = Model::new(&network.architecture, &network.parameters, tape).towards(request.target);
            let outcome = attack_one(model, samples, request, key, index);
            watcher.progress(done.fetch_add(1, Ordering::Relaxed) + 1, count);
            outcome
        },
    );
    let outcomes: Vec<Outcome<T>> = each.collect();
    let sizes = if request.keep { request.epsilons.len() } else { 0 };
    let input = network.architecture.input().sizes().iter().copied();
    let axis = (sizes != 1).then_some(sizes);
    let shape = axis.into_iter().chain([outcomes.len()]).chain(input).collect();
    let perturbed = Perturbed { shape, values: by_size(&outcomes, sizes) };
    (summary(&outcomes, request, samples.dimension()), perturbed)
}

fn attack_one<T: Real>(
    mut model: Model<'_, T>,
    samples: &LabelledSamples<T>,
    request: &AttackRequest<'_>,
    key: StreamKey,
    index: usize,
) -> Outcome<T> {
    let attack = Restarts { attack: request.attack, count: request.restarts };
    let (label, bounds) = (samples.label(index), samples.bounds);
    let mut input = vec![T::zero(); samples.dimension()];
    samples.write(index, &mut input);
    let direction = model.loss_direction(&input, label);
    let relative = attack.norm().dual().of(direction.along);
    let (slope, zero_gradient) = (direction.in_scale(relative), relative == 0.0);
    let nonfinite_gradient = direction.along.iter().any(|coordinate| !coordinate.is_finite());
    let before = model.state(&input, label);
    let stream = || key.draw(index as u64);
    let unit = attack.norm().uniform_size(input.len());
    let mut nearest = input.clone();
    let right = before.is_finite && before.prediction == label && request.target != Some(label);
    let smallest = right.then(|| {
        let found = attack.smallest(&mut model, &input, label, bounds, &mut stream(), &mut nearest);
        found.map_or(f64::NAN, |size| size / unit)
    });
    let mut perturbed = input.clone();
    let mut kept = Vec::new();
    let after = request.epsilons.iter().map(|epsilon| {
        let threat = Threat { size: epsilon * unit, bounds };
        if attack.finds_its_size() {
            // What `perturb` would find again at every size.
            perturbed.copy_from_slice(&nearest);
            threat.project(attack.norm(), &input, &mut perturbed);
        } else {
            attack.perturb(&mut model, &input, label, threat, &mut stream(), &mut perturbed);
        }
        if request.keep {
            kept.push(perturbed.clone());
        }
        model.state(&perturbed, label)
    });
    let after = after.collect();
    let target = request.target;
    Outcome { label, target, before, slope, zero_gradient, nonfinite_gradient, after, smallest, perturbed: kept }
}

fn summary<T>(outcomes: &[Outcome<T>], request: &AttackRequest<'_>, dimension: usize) -> Attacked {
    let norm = request.attack.norm();
    let thresholds = request.epsilons.iter().enumerate();
    let count = |condition: &dyn Fn(&Outcome<T>) -> bool| outcomes.iter().filter(|outcome| condition(outcome)).count();
    Attacked {
        accuracy: mean(outcomes, |outcome| 1.0 - outcome.before.error(outcome.label)).mean,
        loss: mean(outcomes, |outcome| outcome.before.loss).mean,
        thresholds: thresholds.map(|(at, &epsilon)| threshold(outcomes, at, epsilon, norm, dimension)).collect(),
        smallest: smallest(outcomes),
        zero_gradients: count(&|outcome| outcome.zero_gradient),
        nonfinite_gradients: count(&|outcome| outcome.nonfinite_gradient),
        nonfinite: count(&|outcome| !outcome.before.is_finite || outcome.after.iter().any(|state| !state.is_finite)),
        samples: outcomes.iter().map(Outcome::report).collect(),
    }
}

/// The perturbed samples, one size after the other.
fn by_size<T: Real>(outcomes: &[Outcome<T>], sizes: usize) -> Vec<T> {
    let of_size = |size: usize| outcomes.iter().flat_map(move |outcome| outcome.perturbed[size].iter().copied());
    (0..sizes).flat_map(of_size).collect()
}

fn threshold<T>(outcomes: &[Outcome<T>], at: usize, epsilon: f64, norm: Norm, dimension: usize) -> Threshold {
    let size = epsilon * norm.uniform_size(dimension);
    Threshold {
        epsilon,
        size,
        accuracy: mean(outcomes, |outcome| 1.0 - outcome.after[at].error(outcome.label)).mean,
        vulnerability: mean(outcomes, |outcome| {
            outcome.after[at].error(outcome.label) - outcome.before.error(outcome.label)
        }),
        changed: mean(outcomes, |outcome| outcome.after[at].changed(&outcome.before)).mean,
        success: {
            let attacked = outcomes.iter().filter(|outcome| outcome.is_attacked());
            let successes = attacked.map(|outcome| f64::from(u8::from(outcome.succeeds(&outcome.after[at]))));
            Mean::of(&successes.collect::<Vec<_>>()).mean
        },
        damage: mean(outcomes, |outcome| outcome.after[at].loss - outcome.before.loss),
        first_order: size * mean(outcomes, |outcome| outcome.slope).mean,
    }
}

fn smallest<T>(outcomes: &[Outcome<T>]) -> Smallest {
    let all = outcomes.iter().filter_map(|outcome| outcome.smallest);
    let (mut found, missed): (Vec<f64>, Vec<f64>) = all.partition(|size| !size.is_nan());
    found.sort_by(f64::total_cmp);
    let mean = Mean::of(&found);
    let interval = Reference::StudentT(found.len() as f64 - 1.0).interval(mean.mean, mean.std_error, 0.95);
    // What was not found lies beyond every size.
    let at = |rank: usize| found.get(rank).copied().unwrap_or(f64::INFINITY);
    let middle = (found.len() + missed.len()) / 2;
    let median = match found.len() + missed.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => at(middle),
        _ => 0.5 * (at(middle - 1) + at(middle)),
    };
    Smallest { count: found.len(), unfound: missed.len(), mean, interval, median }
}

fn mean<T>(outcomes: &[Outcome<T>], value: impl Fn(&Outcome<T>) -> f64) -> Mean {
    Mean::of(&outcomes.iter().map(value).collect::<Vec<_>>())
}

impl Mean {
    fn of(values: &[f64]) -> Self {
        // A plain sum is exact where values are 0 and 1; of no value the mean is 0/0.
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let moments: Moments = values.iter().copied().collect();
        Self { mean, std_error: if values.len() < 2 { f64::NAN } else { moments.std_error() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_sizes_are_those_of_right_predictions() {
        let state = State { loss: 0.0, prediction: 0, is_finite: true };
        let sizes = [Some(3.0), None, Some(1.0), Some(f64::NAN), Some(2.0), Some(6.0)];
        let outcome = |smallest| Outcome::<f64> {
            label: 0,
            target: None,
            before: state,
            slope: 1.0,
            zero_gradient: false,
            nonfinite_gradient: false,
            after: vec![],
            smallest,
            perturbed: vec![],
        };
        let outcomes = sizes.map(outcome);
        let found = smallest(&outcomes);
        // In order 1, 2, 3, 6 and one beyond all.
        assert_eq!((found.count, found.unfound, found.mean.mean, found.median), (4, 1, 3.0, 3.0));
        // Σ(x − 3)² = 14, so that the standard error is √(14/3/4); t at 97.5 % with 3 degrees of freedom is 3.1824.
        let half = 3.182_446_305 * (14.0f64 / 12.0).sqrt();
        assert!((found.interval[0] - (3.0 - half)).abs() < 1e-6 && (found.interval[1] - (3.0 + half)).abs() < 1e-6);
        let none = smallest(&outcomes[1..2]);
        assert!(none.count == 0 && none.mean.mean.is_nan() && none.interval[0].is_nan() && none.median.is_nan());
        assert_eq!(smallest(&outcomes[2..3]).median, 1.0);
        assert_eq!(smallest(&outcomes[2..4]).median, f64::INFINITY);
        assert_eq!(smallest(&outcomes[3..4]).median, f64::INFINITY);
    }
}
