//! The layers. One file holds all that is known of a layer: its shape rule, its parameters, the forward pass, the
//! gradient with respect to its input, the pass over variances of path theory, and its tests.
//!
//! A new layer is a new file with a type that implements [`LayerRule`] and one line in the table below. The trait grows
//! with what the whole program learns to do (parameter gradients and tangents with training); every layer then answers
//! in its own file.

mod conv;
mod dense;
mod flatten;
mod pool;
mod relu;
mod window;

pub use conv::Conv;
pub use dense::Dense;
pub use flatten::Flatten;
pub use pool::{AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool};
pub use relu::Relu;
pub use window::{PaddingMode, Window};

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

/// Why path theory says nothing of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoVariancePass(pub &'static str);

/// What every layer can do. Slices are one sample, row-major; `parameters` holds the weights and then the biases.
pub trait LayerRule {
    /// The output's shape for this input, or in words what the layer needs instead. Nothing is allocated.
    fn output_shape(&self, input: &Shape) -> Result<Shape, String>;

    /// The parameters for this input; `None` for a layer without. Saturates where a count overflows.
    fn parameters(&self, input: &Shape) -> Option<ParameterCount> {
        let _ = input;
        None
    }

    /// Values of scratch memory that one pass needs. Saturates where a count overflows.
    fn scratch_count(&self, site: Site<'_>) -> usize {
        let _ = site;
        0
    }

    /// output = layer(input). `scratch` is memory that layers may use as they like, and that is kept between calls.
    fn forward<T: Real>(&self, site: Site<'_>, parameters: &[T], input: &[T], output: &mut [T], scratch: &mut Vec<T>);

    /// downstream = (∂output/∂input)ᵀ upstream, at the `input` and `output` of the last forward pass.
    #[expect(clippy::too_many_arguments, reason = "all that a backward pass depends on")]
    fn backward<T: Real>(
        &self,
        site: Site<'_>,
        parameters: &[T],
        input: &[T],
        output: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Vec<T>,
    );

    /// Visits the edges of the layer's graph, (input unit, output unit, weight), at the `input` and `output` of the last
    /// forward pass; units that are closed, and inputs that a maximum passes over, have none.
    fn edges<T: Real>(
        &self,
        site: Site<'_>,
        parameters: &[T],
        input: &[T],
        output: &[T],
        visit: impl FnMut(usize, usize, T),
    );

    /// One step of the backward pass over variances: from E(∂f/∂outputⱼ)² to E(∂f/∂inputᵢ)², under the hypotheses (H):
    /// each edge multiplies by its weight's variance, each ReLU by ½, each of k averaged edges by 1/k².
    ///
    /// # Errors
    /// Path theory does not apply to the layer.
    fn variance_backward(
        &self,
        site: Site<'_>,
        weight_variance: f64,
        upstream: &[f64],
        downstream: &mut [f64],
    ) -> Result<(), NoVariancePass>;
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

            fn scratch_count(&self, site: Site<'_>) -> usize {
                match self { $(Layer::$variant(layer) => layer.scratch_count(site),)* }
            }

            fn forward<T: Real>(
                &self,
                site: Site<'_>,
                parameters: &[T],
                input: &[T],
                output: &mut [T],
                scratch: &mut Vec<T>,
            ) {
                match self { $(Layer::$variant(layer) => layer.forward(site, parameters, input, output, scratch),)* }
            }

            fn backward<T: Real>(
                &self,
                site: Site<'_>,
                parameters: &[T],
                input: &[T],
                output: &[T],
                upstream: &[T],
                downstream: &mut [T],
                scratch: &mut Vec<T>,
            ) {
                match self {
                    $(Layer::$variant(layer) => {
                        layer.backward(site, parameters, input, output, upstream, downstream, scratch)
                    })*
                }
            }

            fn edges<T: Real>(
                &self,
                site: Site<'_>,
                parameters: &[T],
                input: &[T],
                output: &[T],
                visit: impl FnMut(usize, usize, T),
            ) {
                match self { $(Layer::$variant(layer) => layer.edges(site, parameters, input, output, visit),)* }
            }

            fn variance_backward(
                &self,
                site: Site<'_>,
                weight_variance: f64,
                upstream: &[f64],
                downstream: &mut [f64],
            ) -> Result<(), NoVariancePass> {
                match self {
                    $(Layer::$variant(layer) => layer.variance_backward(site, weight_variance, upstream, downstream),)*
                }
            }
        }
    };
}

layers! {
    Dense, "dense";
    Conv, "conv";
    Relu, "relu";
    AveragePool, "avg-pool";
    MaxPool, "max-pool";
    GlobalAveragePool, "global-avg-pool";
    GlobalMaxPool, "global-max-pool";
    Flatten, "flatten";
}
