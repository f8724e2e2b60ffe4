//! From layers as specs write them to an [`Architecture`]: every expression evaluated, every size and shape checked.
//!
//! Only shapes are computed, so that a network of any size is refused before anything of its size is allocated.

use super::specification::expression::{Expression, Variables, describe};
use super::specification::reader::{Origin, SpecError};
use super::specification::{LayerSpec, WindowSpec};
use crate::network::{
    Architecture, AveragePool, BatchNorm, Conv, Dense, MaxPool, Normalise, Part, Shape, Statistics, WeightPool, Window,
};

/// Most layers that a network may have, after repetition.
const MOST_LAYERS: usize = 100_000;

/// The constants of some data for networks with this input, or in words why there are none.
pub type DataConstants<'a> = dyn Fn(&Shape) -> Result<Normalise, String> + 'a;

/// What the sizes of a network depend on, and where it was written.
pub struct ArchitectureBinder<'a> {
    /// File and options, for error messages.
    pub origin: &'a Origin,
    /// Dotted key of the network's table; empty for the top of the file.
    pub path: &'a str,
    /// Values of the sweep variables.
    pub variables: &'a Variables,
    /// What batch normalisation uses where a layer does not say.
    pub statistics: Statistics,
    /// What a first layer that normalises by constants uses where it does not say; none where there is no data at hand.
    pub constants: Option<&'a DataConstants<'a>>,
}

impl ArchitectureBinder<'_> {
    /// The architecture of these layers behind an input of these sizes.
    ///
    /// # Errors
    /// The first size or layer that is not allowed, with its key.
    pub fn bind(&self, input: &[Expression], layers: &[LayerSpec]) -> Result<Architecture, SpecError> {
        let sizes = input.iter().enumerate();
        let sizes =
            sizes.map(|(index, size)| self.size(&format!("input.{index}"), size)).collect::<Result<Vec<_>, _>>()?;
        let text = format!("{sizes:?}");
        let input = Shape::new(sizes).ok_or_else(|| self.refuse("input", &text, "must have at most 2^53 elements"))?;
        let mut layers = layers.to_vec();
        if let (Some(first @ LayerSpec::Normalise(None)), Some(constants)) = (layers.first_mut(), self.constants) {
            let constants = constants(&input).map_err(|message| self.refuse("layers.0", "", message))?;
            *first = LayerSpec::Normalise(Some(constants));
        }
        let parts = self.parts("layers", &layers, &mut 0)?;
        Architecture::from_parts(input, parts).map_err(|error| self.refuse("layers", "", self.at(error)))
    }

    /// An error about a key of the network.
    pub fn refuse(&self, key: &str, value: &str, message: impl std::fmt::Display) -> SpecError {
        let key = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        self.origin.error(&key, value, message.to_string())
    }

    /// A message with the values of the sweep variables.
    pub fn at(&self, message: impl std::fmt::Display) -> String {
        if self.variables.is_empty() {
            message.to_string()
        } else {
            format!("{message} (at {})", describe(self.variables))
        }
    }

    fn size(&self, key: &str, size: &Expression) -> Result<usize, SpecError> {
        size.size(self.variables).map_err(|message| self.refuse(key, size.text(), message))
    }

    /// The parts of a list of layers; `count` is the number of layers so far, in all lists.
    fn parts(&self, key: &str, specs: &[LayerSpec], count: &mut usize) -> Result<Vec<Part>, SpecError> {
        let mut parts = Vec::new();
        for (index, layer) in specs.iter().enumerate() {
            let key = format!("{key}.{index}");
            match layer {
                LayerSpec::Repeat { times, layers } => {
                    for _ in 0..self.size(&format!("{key}.times"), times)?.min(MOST_LAYERS + 1) {
                        parts.extend(self.parts(&format!("{key}.layers"), layers, count)?);
                    }
                }
                layer => parts.push(self.part(&key, layer, count)?),
            }
            *count += 1;
            if *count > MOST_LAYERS {
                return Err(self.refuse(&key, "", format!("must keep the network within {MOST_LAYERS} layers")));
            }
        }
        Ok(parts)
    }

    fn part(&self, key: &str, layer: &LayerSpec, count: &mut usize) -> Result<Part, SpecError> {
        Ok(match layer {
            LayerSpec::Plain(layer) => Part::Layer(layer.clone()),
            LayerSpec::Dense { units, bias } => {
                Dense { units: self.size(&format!("{key}.units"), units)?, bias: *bias }.into()
            }
            LayerSpec::Conv { channels, window, bias } => {
                let channels = self.size(&format!("{key}.channels"), channels)?;
                Conv { channels, window: self.window(key, window)?, bias: *bias }.into()
            }
            LayerSpec::AveragePool(window) => AveragePool(self.window(key, window)?).into(),
            LayerSpec::MaxPool(window) => MaxPool(self.window(key, window)?).into(),
            LayerSpec::WeightPool(window) => WeightPool(self.window(key, window)?).into(),
            LayerSpec::BatchNorm { statistics, epsilon } => {
                BatchNorm { statistics: statistics.unwrap_or(self.statistics), epsilon: *epsilon }.into()
            }
            LayerSpec::Normalise(constants) => {
                let message =
                    "is missing; only the first layer of a network that is trained finds mean and std by itself";
                constants.clone().ok_or_else(|| self.refuse(&format!("{key}.mean"), "", message))?.into()
            }
            LayerSpec::Residual { layers, projection } => Part::Residual {
                branch: self.parts(&format!("{key}.layers"), layers, count)?,
                projection: self.parts(&format!("{key}.projection"), projection, count)?,
            },
            LayerSpec::Repeat { .. } => return Err(self.refuse(key, "", "must stand in a list of layers")),
        })
    }

    fn window(&self, key: &str, window: &WindowSpec) -> Result<Window, SpecError> {
        let padding = window.padding.whole(self.variables, 0);
        Ok(Window {
            size: self.size(&format!("{key}.{}", window.size_key), &window.size)?,
            stride: self.size(&format!("{key}.stride"), &window.stride)?,
            dilation: self.size(&format!("{key}.dilation"), &window.dilation)?,
            padding: padding
                .map_err(|message| self.refuse(&format!("{key}.padding"), window.padding.text(), message))?,
            mode: window.mode,
        })
    }
}
