//! From layers as specs write them to an [`Architecture`]: every expression evaluated, every size and shape checked.
//!
//! Only shapes are computed, so that a network of any size is refused before anything of its size is allocated.

use super::specification::LayerSpec;
use super::specification::expression::{Expression, Variables, describe};
use super::specification::reader::{Origin, SpecError};
use crate::network::layer::keys::Defaults;
use crate::network::{Architecture, Normalise, Part, Shape, Statistics};

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
        let constants = match (layers.first(), self.constants) {
            (Some(LayerSpec::Layer(first)), Some(constants)) if first.lacks_constants() => {
                Some(constants(&input).map_err(|message| self.refuse("layers.0", "", message))?)
            }
            _ => None,
        };
        let parts = self.parts("layers", layers, &mut 0, constants.as_ref())?;
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

    /// The parts of a list of layers; `count` is the number of layers so far, in all lists, and `constants` are those of the data where
    /// the first of these layers sees it.
    fn parts(
        &self,
        key: &str,
        specs: &[LayerSpec],
        count: &mut usize,
        constants: Option<&Normalise>,
    ) -> Result<Vec<Part>, SpecError> {
        let mut parts = Vec::new();
        for (index, layer) in specs.iter().enumerate() {
            let key = format!("{key}.{index}");
            match layer {
                LayerSpec::Repeat { times, layers } => {
                    for _ in 0..self.size(&format!("{key}.times"), times)?.min(MOST_LAYERS + 1) {
                        parts.extend(self.parts(&format!("{key}.layers"), layers, count, None)?);
                    }
                }
                layer => {
                    let constants = constants.filter(|_| index == 0);
                    let defaults = Defaults { statistics: self.statistics, constants };
                    parts.push(self.part(&key, layer, count, defaults)?);
                }
            }
            *count += 1;
            if *count > MOST_LAYERS {
                return Err(self.refuse(&key, "", format!("must keep the network within {MOST_LAYERS} layers")));
            }
        }
        Ok(parts)
    }

    fn part(&self, key: &str, layer: &LayerSpec, count: &mut usize, defaults: Defaults<'_>) -> Result<Part, SpecError> {
        Ok(match layer {
            LayerSpec::Layer(layer) => {
                let layer = layer.at(self.variables, defaults);
                Part::Layer(
                    layer.map_err(|(name, value, message)| self.refuse(&format!("{key}.{name}"), &value, message))?,
                )
            }
            LayerSpec::Residual { layers, projection } => Part::Residual {
                branch: self.parts(&format!("{key}.layers"), layers, count, None)?,
                projection: self.parts(&format!("{key}.projection"), projection, count, None)?,
            },
            LayerSpec::Repeat { .. } => return Err(self.refuse(key, "", "must stand in a list of layers")),
        })
    }
}
