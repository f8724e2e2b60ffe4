//! Activations other than the ReLU as layers: each unit becomes a function of itself.

mod batch;

use crate::network::batch::OnBatches;
use crate::network::layer::keys::{Defaults, Family, Key, Kind, LayerType, Refusal, Values};
use crate::network::layer::{Activation, LayerRule, NoPathTheory, Pass, Real, Scratch, Shape, Site};

/// h = φ(z), unit by unit. The ReLU, which samplers and tapes treat in ways of its own, is a [layer of its own](super::Relu).
#[derive(Debug, Clone, PartialEq)]
pub struct Pointwise(pub Activation);

/// Why an activation that is not positively homogeneous has no path theory.
const NOT_HOMOGENEOUS: NoPathTheory = NoPathTheory::Layers(
    "an activation that is not positively homogeneous passes on a share of the squared gradient that depends on the sizes of its \
     units",
);

/// A layer without keys that is this activation.
macro_rules! plain {
    ($activation:ident, $summary:literal) => {
        LayerType {
            name: Activation::$activation.name(),
            summary: $summary,
            keys: &[],
            make: |_, _| Ok(Pointwise(Activation::$activation).into()),
        }
    };
}

impl Family for Pointwise {
    const TYPES: &'static [LayerType] = &[
        LayerType {
            name: "leaky-relu",
            summary: "z above zero, `slope` · z below; 0.01 unless given",
            keys: &[Key::optional("slope", Kind::Number)],
            make: leaky_relu,
        },
        plain!(Abs, "|z|"),
        plain!(Identity, "z"),
        plain!(Tanh, "tanh z"),
        plain!(Sigmoid, "1/(1 + e^(−z))"),
        plain!(Erf, "the error function, 2/√π ∫₀ᶻ e^(−t²) dt"),
        plain!(Gelu, "z Φ(z) with the normal distribution function"),
        plain!(Silu, "z/(1 + e^(−z))"),
        plain!(Elu, "z above zero, e^z − 1 below"),
        plain!(Softplus, "ln(1 + e^z)"),
        plain!(HardTanh, "z, cut off at −1 and 1"),
    ];

    fn name(&self) -> &'static str {
        self.0.name()
    }
}

/// The slope below zero that a leaky ReLU has unless it is given one, as in PyTorch.
const USUAL_SLOPE: f64 = 0.01;

fn leaky_relu(values: &Values, _: Defaults<'_>) -> Result<super::Layer, Refusal> {
    let slope = values.number("slope").unwrap_or(USUAL_SLOPE);
    Ok(Pointwise(Activation::LeakyRelu { slope }).into())
}

impl LayerRule for Pointwise {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        Ok(input.clone())
    }

    fn is_symmetric(&self, input: bool) -> bool {
        input && self.0.is_odd()
    }

    fn activation(&self) -> Option<Activation> {
        Some(self.0)
    }

    fn forward<T: Real>(&self, _: Pass<'_, T>, input: &[T], output: &mut [T], _: &mut Scratch<T>) {
        self.0.apply(input, output);
    }

    fn backward<T: Real>(&self, _: Pass<'_, T>, input: &[T], upstream: &[T], downstream: &mut [T], _: &mut Scratch<T>) {
        self.0.apply_slope(input, upstream, downstream);
    }

    fn on_batches<T: Real>(&self, _: Site<'_>) -> OnBatches<T> {
        OnBatches::of_samples(batch::Function(self.0))
    }

    /// An edge for every unit, with weight φ′(z); none where that is zero.
    fn edges<T: Real>(
        &self,
        _: Pass<'_, T>,
        input: &[T],
        mut visit: impl FnMut(usize, usize, T),
    ) -> Result<(), NoPathTheory> {
        for (unit, z) in input.iter().enumerate() {
            let slope = self.0.slope(z.as_f64());
            if slope != 0.0 {
                visit(unit, unit, T::from_f64(slope));
            }
        }
        Ok(())
    }

    /// Each unit is above zero half of the time, independently of the weights: the factor (1 + a²)/2.
    fn connections(
        &self,
        site: Site<'_>,
        _: f64,
        mut visit: impl FnMut(usize, usize, f64),
    ) -> Result<(), NoPathTheory> {
        let slope = self.0.slope_below().ok_or(NOT_HOMOGENEOUS)?;
        let factor = (1.0 + slope * slope) / 2.0;
        (0..site.input.len()).for_each(|unit| visit(unit, unit, factor));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Layer;

    #[test]
    fn every_activation_has_its_name_and_the_shape_of_its_input() {
        let defaults = Defaults { statistics: crate::network::Statistics::Batch, constants: None };
        let shape = Shape::new([3, 2, 2]).unwrap();
        for layer_type in Pointwise::TYPES {
            let layer = (layer_type.make)(&Values::default(), defaults).unwrap();
            assert_eq!(layer.name(), layer_type.name);
            assert_eq!(layer.output_shape(&shape).unwrap(), shape);
        }
        let given = LayerType::named("leaky-relu").unwrap();
        let values = Values(vec![("slope", super::super::keys::Value::Number(-0.5))]);
        let layer = (given.make)(&values, defaults).unwrap();
        assert_eq!(layer, Layer::from(Pointwise(Activation::LeakyRelu { slope: -0.5 })));
    }

    #[test]
    fn homogeneous_activations_pass_on_their_share_of_the_variance() {
        let shape = Shape::new([2]).unwrap();
        let site = Site { input: &shape, output: &shape };
        let factor = |activation: Activation| {
            let mut factors = Vec::new();
            Pointwise(activation).connections(site, 1.0, |_, _, factor| factors.push(factor)).map(|()| factors)
        };
        assert_eq!(factor(Activation::LeakyRelu { slope: 0.5 }), Ok(vec![0.625; 2]));
        assert_eq!(factor(Activation::Abs), Ok(vec![1.0; 2]));
        assert_eq!(factor(Activation::Tanh), Err(NOT_HOMOGENEOUS));
    }
}
