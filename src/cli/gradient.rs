//! `gradlaw gradient`: gradients of a given network, as one JSON object.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use gradlaw::experiment::given::{self, Gradients, Labels, Precision, Request};
use gradlaw::network::{Norm, Real};

use super::Common;
use super::failure::Failure;
use super::given::{Dtype, NetworkArguments, parse_labels};
use super::terminal::Terminal;

/// Arguments of `gradlaw gradient`.
#[derive(Debug, Args)]
pub struct GradientArguments {
    #[command(flatten)]
    given: NetworkArguments,
    /// One sample or N samples
    #[arg(long, value_name = "X.npy")]
    input: PathBuf,
    /// A class for all samples, one for each (C,C,...), or a .npy file of them [default: the predicted classes]
    #[arg(long, value_name = "C[,C...]", allow_hyphen_values = true, value_parser = parse_labels)]
    label: Option<Labels>,
    /// Norms besides l1, l2 and linf: numbers from 1 on, or inf
    #[arg(long = "norm", value_name = "Q", num_args = 1.., value_delimiter = ',', value_parser = parse_norm)]
    norms: Vec<Norm>,
    /// Precision of weights, inputs and gradients
    #[arg(long, value_enum, default_value_t = Dtype::F64)]
    dtype: Dtype,
    /// How the gradients are computed
    #[arg(long, value_enum, default_value_t = Engine::Backprop)]
    engine: Engine,
    /// Write the gradients of the loss here: [N, input shape...], or the input's shape for one sample that comes so
    #[arg(long, value_name = "G.npy")]
    save: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Engine {
    /// Backpropagation
    Backprop,
    /// The sum over all paths, for small networks
    Paths,
    /// Central differences, evaluated in double precision
    Differences,
}

impl From<Engine> for given::Engine {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Backprop => Self::Backpropagation,
            Engine::Paths => Self::Paths,
            Engine::Differences => Self::Differences,
        }
    }
}

fn parse_norm(text: &str) -> Result<Norm, String> {
    text.parse().ok().and_then(Norm::new).ok_or_else(|| "must be a number from 1 on, or inf".into())
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    inputs: usize,
    dtype: Dtype,
    engine: Engine,
    labels: Vec<usize>,
    logits: Vec<Vec<f64>>,
    loss: Vec<f64>,
    #[serde(serialize_with = "as_map")]
    norms: Vec<(String, Vec<f64>)>,
    nonfinite: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Vec<f64>>,
}

fn as_map<S: Serializer>(entries: &[(String, Vec<f64>)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(entries.len()))?;
    entries.iter().try_for_each(|(name, values)| map.serialize_entry(name, values))?;
    map.end()
}

/// Computes, saves and prints the gradients.
pub fn gradient(arguments: &GradientArguments, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let report = match arguments.dtype {
        Dtype::F32 => compute::<f32>(arguments, common, terminal)?,
        Dtype::F64 => compute::<f64>(arguments, common, terminal)?,
    };
    // Strings and numbers, which JSON can hold; numbers that are not finite become null.
    terminal.print(&serde_json::to_string(&report).unwrap_or_default())?;
    Ok(ExitCode::SUCCESS)
}

fn compute<T: Precision>(
    arguments: &GradientArguments,
    common: &Common,
    terminal: &Terminal,
) -> Result<Report, Failure> {
    let network = arguments.given.load::<T>(common, terminal)?;
    common.check_paths([&network.origin])?;
    let samples = given::read_samples(&arguments.input, &network.architecture)?;
    let labels = arguments.label.as_ref().unwrap_or(&Labels::Predicted);
    let labels = labels.resolve(samples.count(), network.architecture.outputs())?;
    let norms = all_norms(&arguments.norms);
    let request =
        Request { samples: &samples, labels: labels.as_deref(), norms: &norms, engine: arguments.engine.into() };
    common.start_threads()?;
    let gradients = T::gradients(&network, &request)?;
    if let Some(path) = &arguments.save {
        gradients.save(path)?;
    }
    Ok(report(arguments, &norms, &gradients))
}

/// The usual norms, then the others that are asked for, each once.
fn all_norms(others: &[Norm]) -> Vec<Norm> {
    let mut norms = vec![Norm::ONE, Norm::TWO, Norm::INFINITY];
    for &norm in others {
        if !norms.contains(&norm) {
            norms.push(norm);
        }
    }
    norms
}

fn report<T: Real>(arguments: &GradientArguments, norms: &[Norm], gradients: &Gradients<T>) -> Report {
    let samples = &gradients.samples;
    let names = norms.iter().enumerate();
    let of_loss = names.clone().map(|(index, norm)| {
        let values = samples.iter().map(|sample| sample.loss_norms[index]).collect();
        (format!("loss.{norm}"), values)
    });
    let of_logit = names.map(|(index, norm)| {
        let values = samples.iter().map(|sample| sample.logit_norms[index]).collect();
        (format!("logit.{norm}"), values)
    });
    Report {
        inputs: samples.len(),
        dtype: arguments.dtype,
        engine: arguments.engine,
        labels: samples.iter().map(|sample| sample.label).collect(),
        logits: samples.iter().map(|sample| sample.logits.iter().map(|logit| logit.as_f64()).collect()).collect(),
        loss: samples.iter().map(|sample| sample.loss).collect(),
        norms: of_loss.chain(of_logit).collect(),
        nonfinite: samples.iter().map(|sample| sample.nonfinite).sum(),
        error: samples.iter().map(|sample| sample.error).collect(),
    }
}
