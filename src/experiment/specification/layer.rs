//! The entries of `layers`, read by the table of layers: which layers, with sizes that may depend on the sweep variables.

use toml::{Table, Value};

use super::expression::{Expression, Variables};
use super::init::{InitSpec, LAYER_INIT_KEYS, read_init};
use super::reader::{Origin, Reader, SpecError, as_number, text_of, unknown};
use crate::network::Layer;
use crate::network::layer::keys::{self, Defaults, Key, Kind, LayerType, Refusal, Values};

/// One entry of `layers`.
#[derive(Debug, Clone)]
pub enum LayerSpec {
    /// A layer with its values.
    Layer(OneLayer),
    /// `{ type = "residual", layers, projection }`
    Residual {
        /// The branch.
        layers: Vec<LayerSpec>,
        /// The other arm; none for the identity.
        projection: Vec<LayerSpec>,
    },
    /// `{ type = "repeat", times, layers }`: the layers, so many times over.
    Repeat {
        /// How often.
        times: Expression,
        /// What.
        layers: Vec<LayerSpec>,
    },
}

/// A layer of the table, before the sweep variables are known.
#[derive(Debug, Clone)]
pub struct OneLayer {
    kind: &'static LayerType,
    values: Vec<(&'static str, Given)>,
    /// The law of its own weights, in place of the network's.
    pub init: Option<InitSpec>,
    /// The name of its arrays in a file of weights, in place of its position.
    pub weights: Option<String>,
}

/// What a key holds.
#[derive(Debug, Clone)]
enum Given {
    /// A size of at least 1.
    Size(Expression),
    /// A whole number of at least 0.
    Count(Expression),
    /// What does not depend on sweep variables, and as it was written.
    Fixed(keys::Value, String),
}

/// What stands for a node of an architecture: a layer and its dotted key, or the end of a residual block.
pub type OfNode<'a> = Option<(String, &'a OneLayer)>;

/// What stands for each node of an architecture, in its order, at these values of the sweep variables.
pub fn in_order_of_nodes<'a>(specs: &'a [LayerSpec], variables: &Variables) -> Vec<OfNode<'a>> {
    let mut found = Vec::new();
    collect_nodes(specs, "layers", variables, &mut found);
    found
}

fn collect_nodes<'a>(specs: &'a [LayerSpec], key: &str, variables: &Variables, found: &mut Vec<OfNode<'a>>) {
    for (index, layer) in specs.iter().enumerate() {
        let key = format!("{key}.{index}");
        match layer {
            LayerSpec::Layer(layer) => found.push(Some((key, layer))),
            LayerSpec::Repeat { times, layers } => {
                for _ in 0..times.size(variables).unwrap_or_default() {
                    collect_nodes(layers, &format!("{key}.layers"), variables, found);
                }
            }
            LayerSpec::Residual { layers, projection } => {
                collect_nodes(layers, &format!("{key}.layers"), variables, found);
                collect_nodes(projection, &format!("{key}.projection"), variables, found);
                // The sum is a node of its own.
                found.push(None);
            }
        }
    }
}

/// A value that does not fit: its key, itself, and what is allowed.
pub type Misfit = (&'static str, String, String);

impl OneLayer {
    /// Whether the layer is of this type.
    pub fn is(&self, name: &str) -> bool {
        self.kind.name == name
    }

    /// Whether the layer normalises by constants that it does not give.
    pub fn lacks_constants(&self) -> bool {
        self.is("normalise") && self.values.is_empty()
    }

    /// The layer at these values of the sweep variables.
    ///
    /// # Errors
    /// The value that is not allowed.
    pub fn at(&self, variables: &Variables, defaults: Defaults<'_>) -> Result<Layer, Misfit> {
        let value = |(key, given): &(&'static str, Given)| {
            let whole = |number: Result<usize, String>, text: &str| match number {
                Ok(number) => Ok((*key, keys::Value::Whole(number))),
                Err(message) => Err((*key, text.to_owned(), message)),
            };
            match given {
                Given::Size(size) => whole(size.size(variables), size.text()),
                Given::Count(count) => whole(count.whole(variables, 0), count.text()),
                Given::Fixed(value, _) => Ok((*key, value.clone())),
            }
        };
        let values = Values(self.values.iter().map(value).collect::<Result<_, _>>()?);
        (self.kind.make)(&values, defaults).map_err(|Refusal { key, message }| {
            let text = self.values.iter().find_map(|(name, given)| match given {
                Given::Fixed(_, text) if *name == key => Some(text.clone()),
                _ => None,
            });
            (key, text.unwrap_or_default(), message.to_owned())
        })
    }
}

/// Reads the list of layers under the key `layers`.
///
/// # Errors
/// The first layer or key that is not allowed.
pub fn read_layers(reader: &Reader<'_>, origin: &Origin) -> Result<Vec<LayerSpec>, SpecError> {
    read_list(reader, origin, "layers")?
        .ok_or_else(|| reader.missing("layers", "a list of tables, such as [{ type = \"dense\", units = 10 }]"))
}

/// Reads a list of layers, or one alone; `None` where there is none.
fn read_list(reader: &Reader<'_>, origin: &Origin, key: &str) -> Result<Option<Vec<LayerSpec>>, SpecError> {
    let path = reader.path_of(key);
    let allowed = "must be a list of tables, such as [{ type = \"dense\", units = 10 }]";
    let tables = match reader.value(key) {
        Some(Value::Table(alone)) => vec![alone],
        _ => reader.tables(key, allowed)?,
    };
    let read = |(index, table)| read_layer(table, origin, &format!("{path}.{index}"));
    let layers = tables.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok((!layers.is_empty()).then_some(layers))
}

fn read_layer(table: &Table, origin: &Origin, path: &str) -> Result<LayerSpec, SpecError> {
    let names: Vec<&str> = Layer::types().map(|kind| kind.name).chain(["repeat"]).collect();
    let Some(name) = table.get("type") else {
        return Err(origin.error(&format!("{path}.type"), "", format!("is missing; must be {}", names.join(", "))));
    };
    if name.as_str() == Some("repeat") {
        let reader = Reader::new(table, origin, path, &["type", "times", "layers"])?;
        let times = reader.expression("times")?.ok_or_else(|| reader.missing("times", WHOLE))?;
        return Ok(LayerSpec::Repeat { times, layers: read_layers(&reader, origin)? });
    }
    let Some(kind) = name.as_str().and_then(LayerType::named) else {
        let message = unknown("layer type", name.as_str().unwrap_or_default(), &names);
        return Err(origin.error(&format!("{path}.type"), &text_of(name), message));
    };
    let keys: Vec<&str> = std::iter::once("type").chain(kind.keys.iter().map(|key| key.name)).collect();
    let reader = Reader::new(table, origin, path, &keys)?;
    if kind.keys.iter().any(|key| key.kind == Kind::Layers) {
        let projection = read_list(&reader, origin, "projection")?.unwrap_or_default();
        return Ok(LayerSpec::Residual { layers: read_layers(&reader, origin)?, projection });
    }
    let mut values = Vec::new();
    for key in kind.keys {
        match read_value(&reader, key)? {
            Some(value) => values.push((key.name, value)),
            None if key.required => return Err(reader.missing(key.name, WHOLE)),
            None => {}
        }
    }
    let has_init = kind.keys.contains(&Key::INIT) && reader.value(Key::INIT.name).is_some();
    let init = has_init.then(|| read_init(&reader, origin, LAYER_INIT_KEYS)).transpose()?;
    let weights = if kind.keys.contains(&Key::WEIGHTS) { reader.string(Key::WEIGHTS.name)? } else { None };
    Ok(LayerSpec::Layer(OneLayer { kind, values, init, weights: weights.map(String::from) }))
}

/// What a size may be.
const WHOLE: &str = "a whole number or an expression";

fn read_value(reader: &Reader<'_>, key: &Key) -> Result<Option<Given>, SpecError> {
    let name = key.name;
    let fixed = match key.kind {
        Kind::Size => return Ok(reader.expression(name)?.map(Given::Size)),
        Kind::Count => return Ok(reader.expression(name)?.map(Given::Count)),
        Kind::Flag => reader.boolean(name)?.map(keys::Value::Flag),
        Kind::Word(words) => {
            let Some(word) = reader.string(name)? else { return Ok(None) };
            let known = words.iter().find(|known| **known == word);
            Some(keys::Value::Word(known.ok_or_else(|| reader.refuse(name, format!("must be {}", one_of(words))))?))
        }
        Kind::Positive => {
            reader.number(name, "must be a number above 0", |number| number > 0.0)?.map(keys::Value::Number)
        }
        Kind::Number => {
            reader.number(name, "must be a finite number", |number| number.is_finite())?.map(keys::Value::Number)
        }
        Kind::PerChannel => read_per_channel(reader, name)?.map(keys::Value::PerChannel),
        Kind::Layers | Kind::Init | Kind::Arrays => None,
    };
    let text = reader.value(name).map(text_of).unwrap_or_default();
    Ok(fixed.map(|value| Given::Fixed(value, text)))
}

/// "a, b or c".
fn one_of(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}

fn read_per_channel(reader: &Reader<'_>, key: &str) -> Result<Option<Vec<f64>>, SpecError> {
    let one = |value: &Value| as_number(value).filter(|number| number.is_finite());
    let numbers = match reader.value(key) {
        None => return Ok(None),
        Some(Value::Array(list)) if !list.is_empty() => list.iter().map(one).collect::<Option<Vec<f64>>>(),
        Some(value) => one(value).map(|number| vec![number]),
    };
    numbers.map(Some).ok_or_else(|| reader.refuse(key, "must be a number, or a list of one for each channel"))
}
