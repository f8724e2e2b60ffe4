//! Gradients of a given network at given samples, by any of three engines, and what is reported of them.

use std::path::Path;

use ndarray_npy::WritableElement;
use rayon::prelude::*;

use super::{GivenNetwork, save_array};
use crate::data::Npy;
use crate::experiment::SpecError;
use crate::experiment::results::ResultsError;
use crate::network::difference::{CentralDifferences, central_differences};
use crate::network::norm::NormSums;
use crate::network::path::{PathError, path_gradient};
use crate::network::{Norm, Parameters, Real, Tape, loss};

/// How gradients are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Backpropagation.
    Backpropagation,
    /// Enumeration of all paths, for small networks.
    Paths,
    /// Central differences, evaluated in double precision whatever the weights' type.
    Differences,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request<'a, T> {
    /// The samples.
    pub samples: &'a Npy<T>,
    /// A label for each; the predicted classes where there are none.
    pub labels: Option<&'a [usize]>,
    /// The norms that are taken.
    pub norms: &'a [Norm],
    /// How.
    pub engine: Engine,
}

/// Gradients at N samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients<T> {
    /// ∂ₓL of all samples, one after the other.
    pub of_loss: Vec<T>,
    /// What else is known of each.
    pub samples: Vec<SampleReport<T>>,
    /// The array's shape: [N, input shape…], or the input shape where one sample came without the first axis.
    pub shape: Vec<usize>,
}

/// What is reported of one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleReport<T> {
    /// Its label.
    pub label: usize,
    /// Its logits f.
    pub logits: Vec<T>,
    /// The softmax cross-entropy L.
    pub loss: f64,
    /// ‖∂ₓL‖, for each norm.
    pub loss_norms: Vec<f64>,
    /// ‖∂ₓf₀‖, for each norm.
    pub logit_norms: Vec<f64>,
    /// Coordinates of both gradients that are NaN or infinite.
    pub nonfinite: usize,
    /// Of differences, the estimated error of ∂ₓL relative to its ‖·‖₁, before it is rounded to `T`; NaN where ∂ₓL is zero
    /// ([`CentralDifferences::errors`]).
    pub error: Option<f64>,
}

/// Computes the gradients of all samples, side by side; the numbers do not depend on the number of threads.
///
/// # Errors
/// The engine is [`Engine::Paths`] and the network has too many.
pub fn gradients<T: Real>(network: &GivenNetwork<T>, request: &Request<'_, T>) -> Result<Gradients<T>, SpecError> {
    let double = (request.engine == Engine::Differences).then(|| network.parameters.converted());
    let count = request.samples.count();
    let worker = || Worker::new(network, request, double.as_ref());
    let refuse = |index: usize, error: PathError| {
        let message = format!("{error} (at sample {index}): take the engine backprop");
        network.origin.error("layers", "", message)
    };
    // The first refusal ends the work, so that which sample it names depends on the threads.
    let each = (0..count)
        .into_par_iter()
        .map_init(worker, |worker, index| worker.sample(index).map_err(|error| refuse(index, error)));
    let computed: Vec<(Vec<T>, SampleReport<T>)> = each.collect::<Result<_, SpecError>>()?;
    let (of_loss, samples): (Vec<Vec<T>>, Vec<SampleReport<T>>) = computed.into_iter().unzip();
    let of_loss = of_loss.concat();
    let input = network.architecture.input().sizes();
    let axis = (!request.samples.is_alone()).then_some(count);
    let shape = axis.into_iter().chain(input.iter().copied()).collect();
    Ok(Gradients { of_loss, samples, shape })
}

impl<T: WritableElement> Gradients<T> {
    /// Writes ∂ₓL of all samples as a `.npy` file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ResultsError> {
        save_array(path, &self.shape, &self.of_loss)
    }
}

/// ∂ₓL and ∂ₓf₀, and an estimate of the first one's error.
type Both<T> = ([Vec<T>; 2], Option<f64>);

/// The memory of one thread.
struct Worker<'a, T> {
    network: &'a GivenNetwork<T>,
    request: &'a Request<'a, T>,
    tape: Tape<T>,
    double: Option<(&'a Parameters<f64>, Tape<f64>)>,
    sums: NormSums,
}

impl<'a, T: Real> Worker<'a, T> {
    fn new(network: &'a GivenNetwork<T>, request: &'a Request<'a, T>, double: Option<&'a Parameters<f64>>) -> Self {
        let architecture = &network.architecture;
        Self {
            network,
            request,
            tape: Tape::new(architecture),
            double: double.map(|parameters| (parameters, Tape::new(architecture))),
            sums: NormSums::new(request.norms),
        }
    }

    /// ∂ₓL at one sample, and what is reported of it.
    fn sample(&mut self, index: usize) -> Result<(Vec<T>, SampleReport<T>), PathError> {
        let GivenNetwork { architecture, parameters, .. } = self.network;
        let logits = self.tape.forward(architecture, parameters, self.request.samples.sample(index)).to_vec();
        let label = self.request.labels.map_or_else(|| loss::prediction(&logits), |labels| labels[index]);
        let ([of_loss, of_logit], error) = self.both(&logits, label, index)?;
        let both = of_loss.iter().chain(&of_logit);
        let report = SampleReport {
            label,
            loss: loss::cross_entropy(&logits, label),
            logits,
            loss_norms: self.norms(&of_loss),
            logit_norms: self.norms(&of_logit),
            nonfinite: both.filter(|coordinate| !coordinate.is_finite()).count(),
            error,
        };
        Ok((of_loss, report))
    }

    /// ∂ₓL and ∂ₓf₀ at the last forward pass, and the estimated error of ∂ₓL where it is one of differences.
    fn both(&mut self, logits: &[T], label: usize, index: usize) -> Result<Both<T>, PathError> {
        let GivenNetwork { architecture, parameters, .. } = self.network;
        match (self.request.engine, &mut self.double) {
            (Engine::Paths, _) => {
                // ∂ₓL = Σₖ ∂L/∂f_k ∂ₓf_k.
                let mut upstream = vec![T::zero(); logits.len()];
                loss::cross_entropy_gradient(logits, label, &mut upstream);
                let mut of_loss = vec![T::zero(); architecture.dimension()];
                let mut of_logit = Vec::new();
                for (logit, &factor) in upstream.iter().enumerate() {
                    let gradient = path_gradient(architecture, parameters, &self.tape, logit)?;
                    of_loss.iter_mut().zip(&gradient).for_each(|(sum, &slope)| *sum += factor * slope);
                    if logit == 0 {
                        of_logit = gradient;
                    }
                }
                Ok(([of_loss, of_logit], None))
            }
            (Engine::Differences, Some((parameters, tape))) => {
                let sample = self.request.samples.sample(index);
                let input: Vec<f64> = sample.iter().map(|value| value.as_f64()).collect();
                let differences =
                    |low: &[f64], high: &[f64]| [loss::cross_entropy_difference(low, high, label), high[0] - low[0]];
                let CentralDifferences { gradients, errors: [error, _] } =
                    central_differences(architecture, parameters, tape, &input, differences);
                Ok((gradients.map(|gradient| gradient.into_iter().map(T::from_f64).collect()), Some(error)))
            }
            _ => {
                let of_loss = self.tape.loss_gradient(architecture, parameters, label).to_vec();
                Ok(([of_loss, self.tape.logit_gradient(architecture, parameters, 0).to_vec()], None))
            }
        }
    }

    fn norms(&mut self, gradient: &[T]) -> Vec<f64> {
        self.sums.clear();
        self.sums.add(gradient);
        self.request.norms.iter().map(|&norm| self.sums.norm(norm)).collect()
    }
}
