//! The `[[network]]` tables: input shape, layers and initialisation, before the sweep variables are known.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use toml::Table;

use super::expression::{Expression, Variables};
use super::init::{INIT_KEYS, InitSpec, VarianceSpec, read_init};
use super::layer::{LayerSpec, read_layers};
use super::reader::{Origin, Reader, SpecError};
use super::sampler::{SamplerChoice, read_sampler};
use crate::network::{Architecture, Initialisation, WeightDistribution};

/// Keys of a `[[network]]` table.
pub const NETWORK_KEYS: &[&str] = &["label", "input", "init", "output_gain", "layers", "sampler"];

/// A `[[network]]` table.
#[derive(Debug, Clone)]
pub struct NetworkSpec {
    /// Its name in results and claims.
    pub label: String,
    /// Sizes of one input.
    pub input: Vec<Expression>,
    /// The law of the weights.
    pub init: InitSpec,
    /// Variance × fan-in of the last layer.
    pub output_gain: Option<Expression>,
    /// The layers.
    pub layers: Vec<LayerSpec>,
    /// Which sampler draws it.
    pub sampler: SamplerChoice,
    /// A function that makes the network at a point, in place of the sizes and layers above: that of a program.
    pub made: Option<Make>,
    /// Its dotted key, for error messages.
    pub path: String,
}

/// Makes a network and the law of its parameters from the values of the sweep variables.
#[derive(Clone)]
pub struct Make(Arc<MakeFn>);

type MakeFn = dyn Fn(&At) -> Result<(Architecture, Initialisation), Box<dyn Error>> + Send + Sync;

impl Make {
    /// A function as one.
    pub fn new(
        make: impl Fn(&At) -> Result<(Architecture, Initialisation), Box<dyn Error>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(make))
    }

    /// The network at a point.
    ///
    /// # Errors
    /// The function's own, in words.
    pub fn at(&self, variables: &Variables) -> Result<(Architecture, Initialisation), String> {
        (self.0)(&At(variables.to_vec())).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for Make {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a function")
    }
}

/// The values of the sweep variables at a point.
#[derive(Debug, Clone, PartialEq)]
pub struct At(Vec<(String, f64)>);

impl At {
    /// The value of a variable.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn value(&self, variable: &str) -> Result<f64, String> {
        Expression::parse(variable).and_then(|formula| formula.evaluate(&self.0))
    }

    /// The value of a variable, or of a formula of variables, as a size: a whole number of at least 1.
    ///
    /// # Errors
    /// There is no such variable, or its value is no size.
    pub fn size(&self, variable: &str) -> Result<usize, String> {
        Expression::parse(variable).and_then(|formula| formula.size(&self.0))
    }
}

impl NetworkSpec {
    /// A network that a function makes.
    pub fn made(label: &str, path: String, make: Make) -> Self {
        Self {
            label: label.into(),
            input: Vec::new(),
            init: InitSpec::of(WeightDistribution::Normal, VarianceSpec::He),
            output_gain: None,
            layers: Vec::new(),
            sampler: SamplerChoice::Auto,
            made: Some(make),
            path,
        }
    }
}

/// Reads all tables `[[network]]`, which have different labels; a table may leave the sampler to the default.
///
/// # Errors
/// There is none, or something in one is not allowed.
pub fn read_networks(
    reader: &Reader<'_>,
    origin: &Origin,
    default: SamplerChoice,
) -> Result<Vec<NetworkSpec>, SpecError> {
    let tables = reader.tables("network", "must be tables, [[network]]")?;
    if tables.is_empty() {
        return Err(reader.missing("network", "at least one table, [[network]]"));
    }
    let (mut networks, mut labels) = (Vec::new(), HashSet::new());
    for (index, table) in tables.into_iter().enumerate() {
        let network = read_network(table, origin, &format!("network.{index}"), default)?;
        if !labels.insert(network.label.clone()) {
            let key = format!("network.{index}.label");
            return Err(origin.error(&key, &network.label, "must differ from the other networks' labels"));
        }
        networks.push(network);
    }
    Ok(networks)
}

fn read_network(table: &Table, origin: &Origin, path: &str, default: SamplerChoice) -> Result<NetworkSpec, SpecError> {
    let reader = Reader::new(table, origin, path, NETWORK_KEYS)?;
    Ok(NetworkSpec {
        label: reader.string("label")?.unwrap_or("network").into(),
        input: read_input(&reader)?,
        init: read_init(&reader, origin, INIT_KEYS)?,
        output_gain: reader.expression("output_gain")?,
        layers: read_layers(&reader, origin)?,
        sampler: read_sampler(&reader)?.unwrap_or(default),
        made: None,
        path: path.into(),
    })
}

/// Reads the sizes of one input under the key `input`.
///
/// # Errors
/// They are missing or not a list of sizes.
pub fn read_input(reader: &Reader<'_>) -> Result<Vec<Expression>, SpecError> {
    let allowed = "must be a list of sizes, such as [\"d\"] or [3, \"side\", \"side\"]";
    let input = reader.array("input", allowed)?.ok_or_else(|| reader.missing("input", &allowed[8..]))?;
    let size = |(index, value)| reader.expression_of(&format!("input.{index}"), value);
    let input = input.iter().enumerate().map(size).collect::<Result<Vec<_>, _>>()?;
    if input.is_empty() { Err(reader.refuse("input", allowed)) } else { Ok(input) }
}
