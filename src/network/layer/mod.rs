//! The layers. One file holds all that is known of a layer: its shape rule, its parameters, the forward pass, the
//! gradient with respect to its input, the pass over variances of path theory, and its tests.
//!
//! A new layer is a new file with a type that implements [`LayerRule`] and one line in the table below. The trait grows
//! with what the whole program learns to do (parameter gradients and tangents with training); every layer then answers
//! in its own file.

mod dense;
mod flatten;
mod relu;

pub use dense::Dense;
pub use flatten::Flatten;
pub use relu::Relu;

use super::{Real, Shape};

/// Shapes around a layer in its place in an architecture.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// Shape that the layer receives.
    pub input: &'a Shape,
    /// Shape that it gives.
    pub output: &'a Shape,
}

/// How many parameters a layer has at a place, and between how many units its weights stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterCount {
    /// Number of weights.
    pub weights: usize,
    /// Number of biases, stored after the weights.
    pub biases: usize,
    /// Inputs that one output unit sums over.
    pub fan_in: usize,
    /// Outputs that one input unit contributes to.
    pub fan_out: usize,
}

/// What every layer can do. Slices are one sample, row-major; `parameters` holds the weights and then the biases.
pub trait LayerRule {
    /// The output's shape for this input, or in words what the layer needs instead. Nothing is allocated.
    fn output_shape(&self, input: &Shape) -> Result<Shape, String>;

    /// The parameters for this input; `None` for a layer without. Saturates where a count overflows.
    fn parameters(&self, input: &Shape) -> Option<ParameterCount> {
        let _ = input;
        None
    }

    /// output = layer(input).
    fn forward<T: Real>(&self, site: Site<'_>, parameters: &[T], input: &[T], output: &mut [T]);

    /// downstream = (∂output/∂input)ᵀ upstream, at the `input` and `output` of the last forward pass.
    fn backward<T: Real>(
        &self,
        site: Site<'_>,
        parameters: &[T],
        input: &[T],
        output: &[T],
        upstream: &[T],
        downstream: &mut [T],
    );

    /// One step of the backward pass over variances: from E(∂f/∂outputⱼ)² to E(∂f/∂inputᵢ)², under the hypotheses (H):
    /// each edge multiplies by its weight's variance, each ReLU by ½.
    fn variance_backward(&self, site: Site<'_>, weight_variance: f64, upstream: &[f64], downstream: &mut [f64]);
}

/// Makes the [`Layer`] enum and its dispatch from the table of layers.
macro_rules! layers {
    ($($variant:ident, $name:literal;)*) => {
        /// Any layer.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Layer {
            $(#[doc = concat!("`", $name, "`")] $variant($variant),)*
        }

        $(impl From<$variant> for Layer {
            fn from(layer: $variant) -> Self {
                Layer::$variant(layer)
            }
        })*

        impl Layer {
            /// Names of all layer types, as specs write them.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The layer's type, as specs write it.
            pub fn name(&self) -> &'static str {
                match self { $(Layer::$variant(_) => $name,)* }
            }
        }

        impl LayerRule for Layer {
            fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
                match self { $(Layer::$variant(layer) => layer.output_shape(input),)* }
            }

            fn parameters(&self, input: &Shape) -> Option<ParameterCount> {
                match self { $(Layer::$variant(layer) => layer.parameters(input),)* }
            }

            fn forward<T: Real>(&self, site: Site<'_>, parameters: &[T], input: &[T], output: &mut [T]) {
                match self { $(Layer::$variant(layer) => layer.forward(site, parameters, input, output),)* }
            }

            fn backward<T: Real>(
                &self,
                site: Site<'_>,
                parameters: &[T],
                input: &[T],
                output: &[T],
                upstream: &[T],
                downstream: &mut [T],
            ) {
                match self {
                    $(Layer::$variant(layer) => layer.backward(site, parameters, input, output, upstream, downstream),)*
                }
            }

            fn variance_backward(
                &self,
                site: Site<'_>,
                weight_variance: f64,
                upstream: &[f64],
                downstream: &mut [f64],
            ) {
                match self {
                    $(Layer::$variant(layer) => layer.variance_backward(site, weight_variance, upstream, downstream),)*
                }
            }
        }
    };
}

layers! {
    Dense, "dense";
    Relu, "relu";
    Flatten, "flatten";
}
