//! What the commands for given networks have in common: which network, which weights, in which precision, and labels.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use gradlaw::experiment::given::{self, GivenNetwork, Labels};
use gradlaw::network::{Matching, Real};

use super::Common;
use super::failure::Failure;
use super::table;
use super::terminal::Terminal;

/// Arguments that name a network and its weights.
#[derive(Debug, Args)]
pub struct NetworkArguments {
    /// The network: a TOML file with the keys input and layers of a [[network]], or the spec of an experiment
    ///
    /// Weights that a run kept say which network of the spec.toml beside them they are of, and at which point of its sweep.
    #[arg(long, value_name = "NET.toml")]
    pub network: PathBuf,
    /// Which network of a spec with several: its label
    #[arg(long, value_name = "LABEL")]
    which: Option<String>,
    /// Its weights, .safetensors or .npz, named as PyTorch's nn.Sequential names them (0.weight, 0.bias, ...)
    ///
    /// What all names begin with, such as module., is left out where the names fit without it; `gradlaw names NET.toml` prints the names
    /// that are expected, and a layer's key weights changes its own.
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// How arrays find their layers
    #[arg(long = "match", value_name = "HOW", value_enum, default_value_t = MatchChoice::Names)]
    matching: MatchChoice,
}

/// What `--match` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MatchChoice {
    /// By their names
    Names,
    /// By their order and shapes; what went where is printed on standard error
    Order,
}

/// The precision of a given network.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// Single precision
    F32,
    /// Double precision
    F64,
}

impl NetworkArguments {
    /// Loads the network, and says what went where if names did not.
    pub fn load<T: Real>(&self, common: &Common, terminal: &Terminal) -> Result<GivenNetwork<T>, Failure> {
        let matching = match self.matching {
            MatchChoice::Names => Matching::Names,
            MatchChoice::Order => Matching::Order,
        };
        let named = (self.network.as_path(), self.which.as_deref());
        let network = given::load(named, &self.weights, matching, &common.overrides, &common.limits())?;
        if self.matching == MatchChoice::Order {
            let nodes = network.architecture.nodes().iter().filter(|node| !node.tensors.is_empty());
            let rows = nodes.map(|node| {
                let shape = format!("{:?}", node.tensors[0].sizes);
                [node.position.clone(), node.layer.name().to_owned(), shape, node.arrays.clone()]
            });
            terminal.note(&table::plain(&["layer", "type", "first array", "arrays of the file"], usize::MAX, rows));
        }
        Ok(network)
    }
}

/// Labels as options give them.
pub fn parse_labels(text: &str) -> Result<Labels, String> {
    if text.to_lowercase().ends_with(".npy") {
        return Ok(Labels::File(text.into()));
    }
    let labels: Result<Vec<usize>, _> = text.split(',').map(|label| label.trim().parse()).collect();
    labels.map(Labels::Listed).map_err(|_| "must be whole numbers from 0, separated by commas, or a .npy file".into())
}
