//! What a layer can be given: every room says which keys its layer has and how it is made of their values; whoever writes layers down
//! reads the keys by these tables.

use super::{Layer, Normalise, Statistics};

/// A key of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// Whether it has to be there.
    pub required: bool,
}

/// What a key may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number of at least 1.
    Size,
    /// A whole number of at least 0.
    Count,
    /// True or false.
    Flag,
    /// One of some words.
    Word(&'static [&'static str]),
    /// A number above 0.
    Positive,
    /// A finite number.
    Number,
    /// A number, or a list of one for each channel.
    PerChannel,
    /// A list of layers.
    Layers,
    /// A law of the layer's own weights.
    Init,
    /// The name of the layer's arrays in a file of weights.
    Arrays,
}

impl Key {
    /// The law of a layer's own weights.
    pub const INIT: Self = Self::optional("init", Kind::Init);

    /// The name of a layer's arrays in a file of weights, before the dot: `layer1.0.conv1` for `layer1.0.conv1.weight`.
    pub const WEIGHTS: Self = Self::optional("weights", Kind::Arrays);

    /// A key that may be left out.
    pub const fn optional(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: false }
    }

    /// A key that must be there.
    pub const fn required(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: true }
    }
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A size or a count.
    Whole(usize),
    /// True or false.
    Flag(bool),
    /// A word.
    Word(&'static str),
    /// A number.
    Number(f64),
    /// A number for each channel, or one for all.
    PerChannel(Vec<f64>),
}

/// The values that a layer was given, each of the kind that its key asks for; required ones are there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values(pub Vec<(&'static str, Value)>);

impl Values {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// A size or a count.
    pub fn whole(&self, key: &str) -> Option<usize> {
        match self.get(key) {
            Some(Value::Whole(number)) => Some(*number),
            _ => None,
        }
    }

    /// A size that is required; 0, which every layer refuses, where it is not there.
    pub fn size(&self, key: &str) -> usize {
        self.whole(key).unwrap_or_default()
    }

    /// Whether a flag is there and true.
    pub fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), Some(Value::Flag(true)))
    }

    /// A word.
    pub fn word(&self, key: &str) -> Option<&'static str> {
        match self.get(key) {
            Some(Value::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// A number.
    pub fn number(&self, key: &str) -> Option<f64> {
        match self.get(key) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// Numbers for the channels.
    pub fn per_channel(&self, key: &str) -> Option<&[f64]> {
        match self.get(key) {
            Some(Value::PerChannel(numbers)) => Some(numbers),
            _ => None,
        }
    }
}

/// What layers take that their keys do not say.
#[derive(Debug, Clone, Copy)]
pub struct Defaults<'a> {
    /// What batch normalisation uses.
    pub statistics: Statistics,
    /// The constants of the data that the layer sees, where it is the first and there is data at hand.
    pub constants: Option<&'a Normalise>,
}

/// A value that a layer refuses, or misses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its key.
    pub key: &'static str,
    /// What is allowed.
    pub message: &'static str,
}

/// A layer as its room makes it.
pub trait Keyed: Sized {
    /// What it does, in a line of the reference.
    const SUMMARY: &'static str;
    /// Its keys.
    const KEYS: &'static [Key] = &[];

    /// The layer of these values.
    ///
    /// # Errors
    /// The value that it refuses.
    fn from_values(values: &Values, defaults: Defaults<'_>) -> Result<Self, Refusal>;
}

/// Layers of several types that are made in one room.
pub trait Family {
    /// Their types.
    const TYPES: &'static [LayerType];

    /// The type of this one.
    fn name(&self) -> &'static str;
}

/// A type of layer: an entry of the table.
#[derive(Debug, Clone, Copy)]
pub struct LayerType {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line of the reference.
    pub summary: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Makes it of their values.
    pub make: fn(&Values, Defaults<'_>) -> Result<Layer, Refusal>,
}

impl LayerType {
    /// The type of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Layer::types().find(|layer| layer.name == name)
    }
}
