//! Given networks: their gradients, attacks on them, and the names of their weights, between NumPy arrays.

use gradlaw::attack::{AnyAttack, Bounds, SIZES};
use gradlaw::data::Npy;
use gradlaw::experiment::given::{
    AttackRequest, Attacked, Engine, GivenNetwork, Gradients, Labels, Perturbed, Precision, Request, Threshold, Which,
    parse_architecture, read_architecture,
};
use gradlaw::experiment::reader::Origin;
use gradlaw::experiment::{Limits, SpecError};
use gradlaw::network::weights::{Expected, NamedArray, WeightsError, expected};
use gradlaw::network::{Architecture, Matching, Norm, Real, WeightFile};
use ndarray::{ArrayD, IxDyn};
use numpy::{Element, IntoPyArray, PyArrayDyn, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::bad_input;
use crate::run::bytes;
use crate::supervise::{Reporter, supervised};

/// A network as Python gives it: a path, or a name for messages and a text of TOML or JSON.
type GivenText = (String, Option<String>);

/// Weights as Python gives them: a path, or arrays by name.
#[derive(FromPyObject)]
pub enum Weights<'py> {
    Path(std::path::PathBuf),
    Arrays(Vec<(String, PyReadonlyArrayDyn<'py, f64>)>),
}

/// The same without a hold on Python.
enum Held {
    Path(std::path::PathBuf),
    Arrays(Vec<NamedArray>),
}

impl Weights<'_> {
    fn held(self) -> Held {
        let named = |(name, array): (String, PyReadonlyArrayDyn<'_, f64>)| {
            let array = array.as_array();
            NamedArray { name, shape: array.shape().to_vec(), values: array.iter().copied().collect() }
        };
        match self {
            Weights::Path(path) => Held::Path(path),
            Weights::Arrays(arrays) => Held::Arrays(arrays.into_iter().map(named).collect()),
        }
    }
}

/// Samples without a hold on Python.
struct Samples {
    values: Vec<f64>,
    shape: Vec<usize>,
}

impl Samples {
    fn new(array: &PyReadonlyArrayDyn<'_, f64>) -> Self {
        let array = array.as_array();
        Self { values: array.iter().copied().collect(), shape: array.shape().to_vec() }
    }

    fn read<T: Real>(&self, architecture: &Architecture) -> Result<Npy<T>, SpecError> {
        let samples = Npy::of_values(&self.values, &self.shape, architecture.input().sizes());
        samples.map_err(|message| refuse("x", &message))
    }
}

/// A message about an argument.
fn refuse(argument: &str, message: &str) -> SpecError {
    Origin { file: argument.into(), overridden: Vec::new() }.error("", "", message)
}

fn matching(name: &str) -> Result<Matching, SpecError> {
    match name {
        "names" => Ok(Matching::Names),
        "order" => Ok(Matching::Order),
        _ => Err(refuse("match", "must be names or order")),
    }
}

fn architecture_of((name, text): &GivenText, which: &Which) -> Result<(Architecture, Origin), SpecError> {
    match text {
        Some(text) => parse_architecture(name, text, &[], which),
        None => read_architecture(name.as_ref(), &[], which),
    }
}

fn network_of<T: Real>(
    network: &GivenText,
    weights: Held,
    match_by: &str,
    memory: u64,
) -> Result<GivenNetwork<T>, SpecError> {
    let matching = matching(match_by)?;
    let of_file = |name: &str, error: WeightsError| refuse(name, &error.to_string());
    let (name, file) = match weights {
        Held::Path(path) => {
            let name = path.display().to_string();
            let file = WeightFile::open(&path).map_err(|error| of_file(&name, error))?;
            (name, file)
        }
        Held::Arrays(arrays) => {
            let file = WeightFile::of_arrays(arrays).map_err(|error| of_file("weights", error))?;
            ("weights".to_owned(), file)
        }
    };
    let limits = Limits { threads: rayon::current_num_threads(), memory };
    let which = Which::of(Some(&file), None);
    GivenNetwork::of(architecture_of(network, &which)?, (&name, file), matching, &limits)
}

/// A network with weights and samples, as every computation takes them.
struct Given {
    network: GivenText,
    weights: Held,
    samples: Samples,
    labels: Option<Vec<usize>>,
    match_by: String,
    memory: u64,
}

/// The same, read and checked.
type Opened<T> = (GivenNetwork<T>, Npy<T>, Option<Vec<usize>>);

impl Given {
    fn open<T: Real>(self) -> Result<Opened<T>, SpecError> {
        let network = network_of::<T>(&self.network, self.weights, &self.match_by, self.memory)?;
        let samples = self.samples.read::<T>(&network.architecture)?;
        let labels = self.labels.map_or(Labels::Predicted, Labels::Listed);
        let labels = labels.resolve(samples.count(), network.architecture.outputs())?;
        Ok((network, samples, labels))
    }
}

fn array<T: Element>(py: Python<'_>, shape: &[usize], values: Vec<T>) -> PyResult<Py<PyArrayDyn<T>>> {
    let array = ArrayD::from_shape_vec(IxDyn(shape), values).map_err(|error| crate::bad_value(error.to_string()))?;
    Ok(array.into_pyarray(py).unbind())
}

/// A computation in either precision.
trait InPrecision {
    type Output: Send;
    fn run<T: Precision + Element>(self, reporter: &Reporter) -> Result<Done<Self::Output, T>, SpecError>;
}

/// What a computation gives: an array with its shape, and what else there is.
type Done<O, T> = (O, Vec<usize>, Vec<T>);

/// Runs it and gives what it computes, with the array in its precision.
fn in_precision<J: InPrecision + Send>(
    py: Python<'_>,
    single: bool,
    threads: Option<usize>,
    job: J,
) -> PyResult<(J::Output, Py<PyAny>)> {
    fn run<J: InPrecision + Send, T: Precision + Element>(
        py: Python<'_>,
        threads: Option<usize>,
        job: J,
    ) -> PyResult<(J::Output, Py<PyAny>)> {
        let done = supervised(py, threads, None, |reporter| job.run::<T>(reporter))?;
        let (output, shape, values) = done.map_err(|error| bad_input(&error))?;
        Ok((output, array(py, &shape, values)?.into_any()))
    }
    if single { run::<J, f32>(py, threads, job) } else { run::<J, f64>(py, threads, job) }
}

struct GradientJob {
    given: Given,
    norms: Vec<Norm>,
    engine: Engine,
}

/// What a gradient job gives beside ∂ₓL.
struct GradientOutput {
    labels: Vec<usize>,
    logits: Vec<f64>,
    loss: Vec<f64>,
    /// For each norm, of the loss and of the first logit.
    norms: Vec<[Vec<f64>; 2]>,
    nonfinite: usize,
}

impl InPrecision for GradientJob {
    type Output = GradientOutput;

    fn run<T: Precision + Element>(self, _: &Reporter) -> Result<Done<GradientOutput, T>, SpecError> {
        let (network, samples, labels) = self.given.open::<T>()?;
        let request = Request { samples: &samples, labels: labels.as_deref(), norms: &self.norms, engine: self.engine };
        let Gradients { of_loss, samples, shape } = T::gradients(&network, &request)?;
        let of_norm = |index: usize| {
            let of_loss = samples.iter().map(|sample| sample.loss_norms[index]).collect();
            [of_loss, samples.iter().map(|sample| sample.logit_norms[index]).collect()]
        };
        let output = GradientOutput {
            labels: samples.iter().map(|sample| sample.label).collect(),
            logits: samples.iter().flat_map(|sample| &sample.logits).map(|logit| logit.as_f64()).collect(),
            loss: samples.iter().map(|sample| sample.loss).collect(),
            norms: (0..self.norms.len()).map(of_norm).collect(),
            nonfinite: samples.iter().map(|sample| sample.nonfinite).sum(),
        };
        Ok((output, shape, of_loss))
    }
}

/// Gradients of a given network at samples: a dictionary of arrays.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub fn gradient<'py>(
    py: Python<'py>,
    network: GivenText,
    weights: Weights<'py>,
    samples: PyReadonlyArrayDyn<'py, f64>,
    labels: Option<Vec<usize>>,
    norms: Vec<f64>,
    engine: &str,
    single: bool,
    match_by: String,
    threads: Option<usize>,
    memory: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let norm = |&q: &f64| {
        Norm::new(q).ok_or_else(|| crate::bad_value(format!("norm {q}: must be a number from 1 on, or inf")))
    };
    let engine = match engine {
        "backprop" => Engine::Backpropagation,
        "paths" => Engine::Paths,
        "differences" => Engine::Differences,
        _ => return Err(crate::bad_value("engine: must be backprop, paths or differences")),
    };
    let (weights, samples, memory) = (weights.held(), Samples::new(&samples), bytes(memory)?);
    let given = Given { network, weights, samples, labels, match_by, memory };
    let job = GradientJob { given, norms: norms.iter().map(norm).collect::<PyResult<_>>()?, engine };
    let named: Vec<String> = job.norms.iter().map(Norm::to_string).collect();
    let (output, of_loss) = in_precision(py, single, threads, job)?;
    let count = output.labels.len();
    let answer = PyDict::new(py);
    answer.set_item("gradient", of_loss)?;
    answer.set_item("logits", array(py, &[count, output.logits.len() / count.max(1)], output.logits)?)?;
    answer.set_item("loss", array(py, &[count], output.loss)?)?;
    answer.set_item("label", array(py, &[count], output.labels.iter().map(|&label| label as i64).collect())?)?;
    let norms = PyDict::new(py);
    for (name, [of_loss, of_logit]) in named.iter().zip(output.norms) {
        norms.set_item(format!("loss.{name}"), array(py, &[count], of_loss)?)?;
        norms.set_item(format!("logit.{name}"), array(py, &[count], of_logit)?)?;
    }
    answer.set_item("norms", norms)?;
    answer.set_item("nonfinite", output.nonfinite)?;
    Ok(answer)
}

struct AttackJob {
    given: Given,
    bounds: Option<Bounds>,
    attack: AnyAttack,
    epsilons: Vec<f64>,
    restarts: usize,
    target: Option<usize>,
    seed: u64,
}

impl InPrecision for AttackJob {
    type Output = Attacked;

    fn run<T: Precision + Element>(self, reporter: &Reporter) -> Result<Done<Attacked, T>, SpecError> {
        let limits = Limits { threads: rayon::current_num_threads(), memory: self.given.memory };
        let (network, array, labels) = self.given.open::<T>()?;
        let samples = T::of_array(&network, array, labels, self.bounds)?;
        let request = AttackRequest {
            attack: self.attack,
            epsilons: &self.epsilons,
            seed: self.seed,
            restarts: self.restarts,
            target: self.target,
            keep: true,
        };
        request.check(&network.architecture, &samples, &limits)?;
        let (attacked, Perturbed { shape, values }) = T::attacks(&network, &samples, &request, reporter);
        Ok((attacked, shape, values))
    }
}

/// What an attack does to a given network: a dictionary of arrays and numbers.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub fn attack<'py>(
    py: Python<'py>,
    network: GivenText,
    weights: Weights<'py>,
    samples: PyReadonlyArrayDyn<'py, f64>,
    attack: &str,
    epsilons: Vec<f64>,
    labels: Option<Vec<usize>>,
    bounds: Option<(f64, f64)>,
    steps: Option<usize>,
    step_size: Option<f64>,
    restarts: usize,
    target: Option<usize>,
    seed: u64,
    single: bool,
    match_by: String,
    threads: Option<usize>,
    memory: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let names = || AnyAttack::names().collect::<Vec<_>>().join(", ");
    let chosen =
        AnyAttack::named(attack).ok_or_else(|| crate::bad_value(format!("attack: must be one of {}", names())))?;
    let chosen = chosen.configured(steps, step_size, restarts).map_err(crate::bad_value)?;
    if steps == Some(0) || restarts == 0 {
        return Err(crate::bad_value("steps and restarts: must be whole numbers from 1 on"));
    }
    if let Some(wrong) = epsilons.iter().chain(&step_size).find(|size| !SIZES.contains(size)) {
        let [least, most] = [SIZES.start(), SIZES.end()];
        return Err(crate::bad_value(format!("size {wrong}: must be a number from {least:e} to {most:e}")));
    }
    let bounds = match bounds {
        None => None,
        Some((low, high)) => {
            let refused = || crate::bad_value("box: must be two numbers, the lower one first");
            Some(Bounds::new(low, high).ok_or_else(refused)?)
        }
    };
    let (weights, samples, memory) = (weights.held(), Samples::new(&samples), bytes(memory)?);
    let given = Given { network, weights, samples, labels, match_by, memory };
    let job = AttackJob { given, bounds, attack: chosen, epsilons, restarts, target, seed };
    let (attacked, perturbed) = in_precision(py, single, threads, job)?;
    let Attacked { accuracy, loss, thresholds, samples, zero_gradients, nonfinite, .. } = attacked;
    let answer = PyDict::new(py);
    answer.set_item("perturbed", perturbed)?;
    answer.set_item("accuracy", accuracy)?;
    answer.set_item("loss", loss)?;
    answer.set_item("zero_gradients", zero_gradients)?;
    answer.set_item("nonfinite", nonfinite)?;
    type Column = (&'static str, fn(&Threshold) -> f64);
    let columns: [Column; 9] = [
        ("epsilon", |threshold| threshold.epsilon),
        ("size", |threshold| threshold.size),
        ("accuracy", |threshold| threshold.accuracy),
        ("vulnerability", |threshold| threshold.vulnerability.mean),
        ("changed", |threshold| threshold.changed),
        ("success", |threshold| threshold.success),
        ("damage", |threshold| threshold.damage.mean),
        ("damage_std_error", |threshold| threshold.damage.std_error),
        ("first_order", |threshold| threshold.first_order),
    ];
    let by_size = PyDict::new(py);
    for (name, value) in columns {
        by_size.set_item(name, array(py, &[thresholds.len()], thresholds.iter().map(value).collect())?)?;
    }
    answer.set_item("by_size", by_size)?;
    let each = PyDict::new(py);
    let count = samples.len();
    each.set_item("label", array(py, &[count], samples.iter().map(|sample| sample.label as i64).collect())?)?;
    each.set_item("prediction", array(py, &[count], samples.iter().map(|sample| sample.prediction as i64).collect())?)?;
    each.set_item("loss", array(py, &[count], samples.iter().map(|sample| sample.loss).collect())?)?;
    let smallest = samples.iter().map(|sample| sample.smallest.unwrap_or(f64::NAN));
    each.set_item("smallest", array(py, &[count], smallest.collect())?)?;
    answer.set_item("by_sample", each)?;
    let successes = (0..thresholds.len()).flat_map(|at| samples.iter().map(move |sample| sample.after[at].2));
    answer.set_item("success", array(py, &[thresholds.len(), count], successes.collect())?)?;
    Ok(answer)
}

/// An array that a network expects: name, shape, type of the layer, and whether it can do without.
type Name = (String, Vec<usize>, String, bool);

/// The arrays that a network expects.
#[pyfunction]
pub fn names(network: GivenText) -> PyResult<Vec<Name>> {
    let (architecture, _) = architecture_of(&network, &Which::default()).map_err(|error| bad_input(&error))?;
    let row = |array: Expected| (array.name, array.shape, array.layer.to_owned(), array.optional);
    Ok(expected(&architecture).into_iter().map(row).collect())
}
