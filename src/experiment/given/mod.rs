//! Given networks: an architecture in TOML and weights in a file, samples and labels in arrays.

mod attacks;
mod gradients;
mod precision;
mod samples;

use std::path::Path;

use ndarray::ArrayViewD;
use ndarray_npy::{WritableElement, WriteNpyExt};

use super::architecture::ArchitectureBinder;
use super::results::kept::Provenance;
use super::results::{ResultsError, write_atomically};
use super::specification::expression::Expression;
use super::specification::load::{parse_table, read_text};
use super::specification::overrides::Override;
use super::specification::reader::{Origin, Reader, SpecError};
use super::specification::{AnySpec, LayerSpec, NETWORK_KEYS, OfNode, in_order_of_nodes, read_input, read_layers};
use super::work::Limits;
use crate::data::npy::read_labels;
use crate::data::{DataError, Npy};
use crate::nearest::unknown;
use crate::network::architecture::Node;
use crate::network::layer::LayerRule;
use crate::network::weights::WeightsError;
use crate::network::{Architecture, Matching, Parameters, Real, Statistics, WeightFile};

pub use attacks::{AttackRequest, Attacked, AttackedSample, Mean, Perturbed, Smallest, Threshold, attacks};
pub use gradients::{Engine, Gradients, Request, SampleReport, gradients};
pub use precision::Precision;
pub use samples::{LabelledSamples, Selection};

/// A network whose parameters are given.
#[derive(Debug, Clone)]
pub struct GivenNetwork<T> {
    /// Its layers.
    pub architecture: Architecture,
    /// Their parameters.
    pub parameters: Parameters<T>,
    /// The file that its layers are from, for error messages.
    pub origin: Origin,
}

/// Which network of a file with several is meant, and at which point of its sweep.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Which {
    /// The network's label.
    pub label: Option<String>,
    /// Values of the sweep variables.
    pub variables: Vec<(String, f64)>,
}

impl Which {
    /// The network whose weights a run kept in this file, if there is one, with another label where one is given.
    pub fn of(file: Option<&WeightFile>, label: Option<&str>) -> Self {
        let kept = file.and_then(Provenance::of);
        let which = kept.map(|kept| Self { label: Some(kept.network), variables: kept.variables }).unwrap_or_default();
        Self { label: label.map(str::to_owned).or(which.label), ..which }
    }
}

/// Reads the architecture from a TOML file with the keys `input` and `layers`, with one `[[network]]` table, or from the spec of an
/// experiment, and the parameters from a file of weights, whose arrays find their layers by names or by order. Which network of
/// a spec it is, and at which point of its sweep, weights say that a run kept; `label` names another. Batch normalisation runs with its
/// running statistics; a layer has biases where the file of weights holds them, or the TOML asks for them.
///
/// # Errors
/// A file is missing or damaged, something in it is not allowed, the weights are not those of the network, or it needs more
/// memory than allowed.
pub fn load<T: Real>(
    (network, label): (&Path, Option<&str>),
    weights: &Path,
    matching: Matching,
    overrides: &[Override],
    limits: &Limits,
) -> Result<GivenNetwork<T>, SpecError> {
    let name = weights.display().to_string();
    // A network that is wrong is told before weights that are.
    let file = WeightFile::open(weights).map_err(|error| of_weights(&name, error));
    let network = read_architecture(network, overrides, &Which::of(file.as_ref().ok(), label))?;
    GivenNetwork::of(network, (&name, file?), matching, limits)
}

impl<T: Real> GivenNetwork<T> {
    /// The network of an architecture, and of weights with the name that error messages give them.
    ///
    /// # Errors
    /// The weights are not those of the network, or it needs more memory than allowed.
    pub fn of(
        (architecture, origin): (Architecture, Origin),
        (name, mut weights): (&str, WeightFile),
        matching: Matching,
        limits: &Limits,
    ) -> Result<Self, SpecError> {
        let fail = |error: WeightsError| of_weights(name, error);
        let architecture = weights.matched(architecture, matching).map_err(fail)?;
        check_memory(&architecture, &origin, limits)?;
        let parameters = weights.parameters(&architecture).map_err(fail)?;
        Ok(Self { architecture, parameters, origin })
    }
}

/// What is wrong with weights of this name.
fn of_weights(name: &str, error: WeightsError) -> SpecError {
    SpecError { file: name.into(), key: error.tensor, value: String::new(), message: error.message }
}

/// Reads the architecture alone, whose nodes know the names of their arrays ([`Node::arrays`](crate::network::architecture::Node)): the
/// key `weights` of a layer, or its position.
///
/// # Errors
/// The file is missing or damaged, or something in it is not allowed.
pub fn read_architecture(
    path: &Path,
    overrides: &[Override],
    which: &Which,
) -> Result<(Architecture, Origin), SpecError> {
    let name = path.display().to_string();
    let text = read_text(path).map_err(|error| {
        let message = format!("cannot be read ({error}); must be a TOML file with the keys input and layers");
        Origin { file: name.clone(), overridden: Vec::new() }.error("", "", message)
    })?;
    parse_architecture(&name, &text, overrides, which)
}

/// The same of a text, which error messages call by this name.
///
/// # Errors
/// Something in it is not allowed.
pub fn parse_architecture(
    name: &str,
    text: &str,
    overrides: &[Override],
    which: &Which,
) -> Result<(Architecture, Origin), SpecError> {
    let (table, origin) = parse_table(name, text, overrides)?;
    // Every spec of an experiment has a name, and no file of one network has.
    let written = if table.contains_key("name") {
        Written::of_spec(&AnySpec::from_table(&table, origin.clone())?, &origin, which)?
    } else {
        Written::alone(&table, &origin)?
    };
    Ok((written.architecture(&origin)?, origin))
}

/// A network as a file has it.
struct Written {
    /// Its dotted key.
    path: String,
    input: Vec<Expression>,
    layers: Vec<LayerSpec>,
    /// Values of the sweep variables.
    variables: Vec<(String, f64)>,
}

impl Written {
    /// The one network of a file.
    fn alone(table: &toml::Table, origin: &Origin) -> Result<Self, SpecError> {
        let whole = Reader::new(table, origin, "", &["input", "layers", "network"])?;
        let (reader, path) = match whole.tables("network", "must be one table, [[network]]")?[..] {
            [] => (whole, ""),
            [network] if !whole.has("input") && !whole.has("layers") => {
                (Reader::new(network, origin, "network.0", NETWORK_KEYS)?, "network.0")
            }
            _ => {
                return Err(whole.complain(
                    "network",
                    "",
                    "must be one table, or the keys input and layers beside none",
                ));
            }
        };
        let (input, layers) = (read_input(&reader)?, read_layers(&reader, origin)?);
        Ok(Self { path: path.into(), input, layers, variables: Vec::new() })
    }

    /// A network of an experiment, at one point of its sweep.
    fn of_spec(spec: &AnySpec, origin: &Origin, which: &Which) -> Result<Self, SpecError> {
        let (networks, sweep) = spec.networks();
        let labels: Vec<&str> = networks.iter().map(|network| network.label.as_str()).collect();
        let network = match (&which.label, networks) {
            (None, [network]) => network,
            (None, _) => {
                let message = format!("has several; --which LABEL says which one (known: {})", labels.join(", "));
                return Err(origin.error("network", "", message));
            }
            (Some(label), _) => networks
                .iter()
                .find(|network| network.label == *label)
                .ok_or_else(|| origin.error("network", label, unknown("label", label, &labels)))?,
        };
        let value = |(name, values): (&str, &[f64])| {
            let known = which.variables.iter().find(|(own, _)| own == name);
            match (known, values) {
                (Some((_, value)), _) | (None, [value]) => Ok((name.to_owned(), *value)),
                (None, _) => {
                    let message = format!("has {} values; --set sweep.{name}=[VALUE] says which one", values.len());
                    Err(origin.error(&format!("sweep.{name}"), "", message))
                }
            }
        };
        Ok(Self {
            path: network.path.clone(),
            input: network.input.clone(),
            layers: network.layers.clone(),
            variables: sweep.variables().map(value).collect::<Result<_, _>>()?,
        })
    }

    /// Its shapes, with the names of its arrays.
    fn architecture(&self, origin: &Origin) -> Result<Architecture, SpecError> {
        let Self { path, input, layers, variables } = self;
        let statistics = Statistics::Running;
        let binder = ArchitectureBinder { origin, path, variables, statistics, constants: None };
        let architecture = binder.bind(input, layers)?;
        if let Some(node) = architecture.nodes().iter().find(|node| node.layer.mixes_batch()) {
            let message = format!(
                "layer {} ({}) has batch statistics, and a given network runs with its running ones: leave out statistics",
                node.position,
                node.layer.name()
            );
            return Err(binder.refuse("layers", "", message));
        }
        let own = in_order_of_nodes(layers, variables);
        let own_name = |node: &Node, of_node: &OfNode<'_>| {
            let own = of_node.as_ref().and_then(|(_, layer)| layer.weights.clone());
            own.unwrap_or_else(|| node.position.clone())
        };
        let names: Vec<String> = architecture.nodes().iter().zip(&own).map(|(node, own)| own_name(node, own)).collect();
        Ok(architecture.with_arrays(names))
    }
}

/// Refuses a network whose parameters, and passes of each thread, would not fit into memory in double precision.
fn check_memory(architecture: &Architecture, origin: &Origin, limits: &Limits) -> Result<(), SpecError> {
    let passes = (architecture.activation_count() as u64).saturating_mul(limits.threads as u64);
    let values = (architecture.parameter_count() as u64).saturating_add(passes);
    let bytes = values.saturating_mul(size_of::<f64>() as u64);
    limits.check(bytes, architecture).map_err(|message| origin.error("layers", "", message))
}

/// Reads samples for a network from a `.npy` file: one of the input's shape, N with an axis before it, or N flat rows.
///
/// # Errors
/// The file is missing or damaged, or has another shape.
pub fn read_samples<T: Real>(path: &Path, architecture: &Architecture) -> Result<Npy<T>, SpecError> {
    Npy::open(path, architecture.input().sizes()).map_err(|error| of_data(&error))
}

/// Where labels come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Labels {
    /// The class that the network predicts ([`prediction`](crate::network::loss::prediction)).
    Predicted,
    /// One for each sample, or one for all.
    Listed(Vec<usize>),
    /// The same from a `.npy` file.
    File(std::path::PathBuf),
}

impl Labels {
    /// One label for each of `samples` samples, below `classes`; `None` where they are predicted.
    ///
    /// # Errors
    /// There are too few or too many, or one is no class.
    pub fn resolve(&self, samples: usize, classes: usize) -> Result<Option<Vec<usize>>, SpecError> {
        let (labels, place) = match self {
            Self::Predicted => return Ok(None),
            Self::Listed(labels) => (labels.clone(), "--label".to_owned()),
            Self::File(path) => (read_labels(path).map_err(|error| of_data(&error))?, path.display().to_string()),
        };
        let error = |message: String| Origin { file: place, overridden: Vec::new() }.error("", "", message);
        if let Some(at) = labels.iter().position(|&label| label >= classes) {
            let message = format!("label {} at index {at} must be a class from 0 to {}", labels[at], classes - 1);
            return Err(error(message));
        }
        match labels[..] {
            [label] => Ok(Some(vec![label; samples])),
            _ if labels.len() == samples => Ok(Some(labels)),
            _ => {
                let message =
                    format!("has {} labels for {samples} samples; must be one label, or one each", labels.len());
                Err(error(message))
            }
        }
    }
}

/// Writes values as a `.npy` file of this shape.
fn save_array<T: WritableElement>(path: &Path, shape: &[usize], values: &[T]) -> Result<(), ResultsError> {
    let failed = |error: &dyn std::fmt::Display| ResultsError::new(path, format!("cannot be written: {error}"));
    let array = ArrayViewD::from_shape(shape, values).map_err(|error| failed(&error))?;
    let mut contents = Vec::new();
    array.write_npy(&mut contents).map_err(|error| failed(&error))?;
    write_atomically(path, &contents)
}

fn of_data(error: &DataError) -> SpecError {
    let file = error.path.display().to_string();
    Origin { file, overridden: Vec::new() }.error("", "", &error.message)
}
