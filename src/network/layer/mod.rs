//! The layers. One room holds all that is known of a layer: the keys that it can be given, its shape rule, its parameters, the forward pass, the
//! gradient with respect to its input, its edges in the network's graph, the pass over variances of path theory, what it does to a
//! batch that shares its parameters (`batch.rs`), and its tests. What dense layers and convolutions share on batches, products of
//! matrices, is in [`batch`](super::batch).
//!
//! A new layer is a new room with a type that implements [`LayerRule`] and [`Keyed`], and one line in the table below. The trait grows
//! with what the whole program learns to do (parameter gradients and tangents with training); every layer then answers
//! in its own file.

mod activation;
pub(super) mod batch_norm;
mod conv;
mod dense;
mod identity;
pub mod keys;
pub(super) mod normalise;
mod pointwise;
pub(super) mod pool;
mod relu;
mod sample_norm;
mod tensor;
pub(super) mod weight_pool;
mod window;

#[cfg(test)]
pub(super) use activation::ALL as ALL_ACTIVATIONS;
pub use activation::Activation;
pub use batch_norm::{BatchNorm, Statistics};
pub use conv::Conv;
pub use dense::Dense;
pub use identity::{Flatten, Sum};
pub use normalise::Normalise;
pub use pointwise::Pointwise;
pub use pool::{AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool};
pub use relu::Relu;
pub(crate) use relu::{mask, rectify};
pub use sample_norm::{Kin, SampleNorm};
pub use tensor::{Fan, Role, Tensor};
pub use weight_pool::WeightPool;
pub use window::{PaddingMode, Window};

use super::batch::OnBatches;
use super::{Real, Shape};
use conv::correlation::Step;
use keys::{Family, Keyed, LayerType};

/// Shapes around a layer in its place in an architecture, of one sample.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// Shape that the layer receives.
    pub input: &'a Shape,
    /// Shape that it gives.
    pub output: &'a Shape,
}

/// A layer in its place while a network runs: what stays the same between its forward and its backward pass.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a, T> {
    /// The shapes around the layer.
    pub site: Site<'a>,
    /// Number of samples that run together.
    pub batch: usize,
    /// The layer's parameters, tensor after tensor.
    pub parameters: &'a [T],
}

/// Memory that layers may use as they like, and that is kept between calls.
#[derive(Debug, Clone, Default)]
pub struct Scratch<T> {
    /// An image laid out for a convolution.
    image: Vec<T>,
    /// A convolution's gradient, residue by residue.
    residues: Vec<T>,
    /// An image and its convolution at the points of a fast algorithm.
    points: Vec<T>,
    /// Kernels at these points.
    kernels: Vec<T>,
    /// The addends of a convolution.
    steps: Vec<Step>,
    /// A group of values that are normalised, and the gradient above it.
    group: [Vec<f64>; 2],
}

/// A layer of weights as a product of matrices, W X, for one sample: the columns of X are patches of the input, for a dense layer the
/// whole of it, and each column of the product holds all output channels at one place. A patch has so many taps, each of which shows all
/// channels of one pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Rows of W.
    pub outputs: usize,
    /// Values of a pixel.
    pub channels: usize,
    /// Pixels of a patch.
    pub taps: usize,
    /// Number of patches.
    pub patches: usize,
}

impl Product {
    /// Columns of W, values of a patch. Saturates where it overflows.
    pub fn inputs(&self) -> usize {
        self.channels.saturating_mul(self.taps)
    }
}

/// Why path theory says nothing of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPathTheory {
    /// A layer, or an order of layers, that it does not cover.
    #[error("{0}")]
    Layers(&'static str),
    /// More units than are held.
    #[error("has {units} units, more than the {most} whose variances are held in memory")]
    TooLarge {
        /// How many.
        units: usize,
        /// How many at most.
        most: usize,
    },
    /// Variances that doubles do not hold.
    #[error("has path variances beyond double precision (10^-308 to 10^308)")]
    Beyond,
}

/// What every layer can do. Slices hold one sample after another, each row-major.
pub trait LayerRule {
    /// The output's shape for this input, or in words what the layer needs instead. Nothing is allocated.
    fn output_shape(&self, input: &Shape) -> Result<Shape, String>;

    /// The layer's parameters for this input, in the order in which they are stored; none for most layers.
    fn tensors(&self, input: &Shape) -> Vec<Tensor> {
        let _ = input;
        Vec::new()
    }

    /// Gives biases to a layer that can have them.
    fn add_bias(&mut self) {}

    /// Samples that must run together at least.
    fn least_batch(&self, input: &Shape) -> usize {
        let _ = input;
        1
    }

    /// Whether what a sample becomes depends on the other samples of its batch.
    fn mixes_batch(&self) -> bool {
        false
    }

    /// Whether its outputs have laws that are symmetric in sign at initialisation, as ReLUs behind it need for fair masks,
    /// given whether its inputs have. Layers that pass values on, average or scale them keep what there is.
    fn is_symmetric(&self, input: bool) -> bool {
        input
    }

    /// What is known of it as an activation; `None` for layers that are none.
    fn activation(&self) -> Option<Activation> {
        None
    }

    /// Values of scratch memory that one pass needs. Saturates where a count overflows.
    fn scratch_count(&self, site: Site<'_>) -> usize {
        let _ = site;
        0
    }

    /// output = layer(input).
    fn forward<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>);

    /// downstream = (∂output/∂input)ᵀ upstream, at the `input` of the last forward pass.
    fn backward<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    );

    /// output = ReLU(layer(input)): what is at hand need not be fetched again.
    fn forward_relu<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        self.forward(pass, input, output, scratch);
        relu::rectify(output);
    }

    /// Like [`backward`](Self::backward), through the ReLU that gave the `input` as well.
    fn backward_relu<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        self.backward(pass, input, upstream, downstream, scratch);
        relu::mask(downstream, input);
    }

    /// The product that the layer is, with biases added to it; `None` for layers without weights, and those whose weights act in
    /// another way.
    fn product(&self, site: Site<'_>) -> Option<Product> {
        let _ = site;
        None
    }

    /// Visits the taps of all patches of its [`product`](Self::product) with the pixels that they show, (tap, patch, pixel); a tap on a
    /// zero beyond the edge shows none.
    fn for_each_seen(&self, site: Site<'_>, visit: impl FnMut(usize, usize, usize)) {
        let _ = (site, visit);
    }

    /// What it does to batches that share its parameters.
    fn on_batches<T: Real>(&self, site: Site<'_>) -> OnBatches<T>;

    /// Visits the edges of the layer's graph, (input unit, output unit, weight), for one sample at this `input`; units that
    /// are closed, and inputs that a maximum passes over, have none.
    ///
    /// # Errors
    /// The layer's derivative is not a graph of weighted edges.
    fn edges<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: &[T],
        visit: impl FnMut(usize, usize, T),
    ) -> Result<(), NoPathTheory>;

    /// Visits all edges of the layer's graph before any input is known, (input unit, output unit, factor): the factor by
    /// which an edge multiplies E(∂f/∂output)² under the hypotheses (H), its weight's variance, ½ for a ReLU, 1/k² for one
    /// of k averaged edges. All edges into one output unit have the same factor.
    ///
    /// # Errors
    /// Path theory does not apply to the layer.
    fn connections(
        &self,
        site: Site<'_>,
        weight_variance: f64,
        visit: impl FnMut(usize, usize, f64),
    ) -> Result<(), NoPathTheory>;

    /// Number of edges that [`connections`](Self::connections) visits, at most: a window beyond the edge on zeros has fewer.
    /// Saturates where it overflows.
    fn edge_count(&self, site: Site<'_>) -> usize {
        site.input.len()
    }

    /// One step of the backward pass over variances, from E(∂f/∂outputⱼ)² to E(∂f/∂inputᵢ)²: the sum over an input's edges
    /// of factor × upstream. Layers with many edges have a faster way to the same sum.
    ///
    /// # Errors
    /// Path theory does not apply to the layer.
    fn variance_backward(
        &self,
        site: Site<'_>,
        weight_variance: f64,
        upstream: &[f64],
        downstream: &mut [f64],
    ) -> Result<(), NoPathTheory> {
        downstream.fill(0.0);
        self.connections(site, weight_variance, |from, to, factor| downstream[from] += factor * upstream[to])
    }
}

/// Makes the [`Layer`] enum and its dispatch from the table of layers.
macro_rules! layers {
    (layers { $($variant:ident, $name:literal;)* } families { $($family:ident, $what:literal;)* }) => {
        /// Any layer.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Layer {
            $(#[doc = concat!("`", $name, "`")] $variant($variant),)*
            $(#[doc = $what] $family($family),)*
        }

        $(impl From<$variant> for Layer {
            fn from(layer: $variant) -> Self {
                Layer::$variant(layer)
            }
        })*

        $(impl From<$family> for Layer {
            fn from(layer: $family) -> Self {
                Layer::$family(layer)
            }
        })*

        /// Calls the same method of whichever layer it is.
        macro_rules! dispatch {
            ($self:ident, $layer:ident => $call:expr) => {
                match $self { $(Layer::$variant($layer) => $call,)* $(Layer::$family($layer) => $call,)* }
            };
        }

        impl Layer {
            /// All types of layers.
            pub fn types() -> impl Iterator<Item = &'static LayerType> {
                const SINGLE: &[LayerType] = &[$(LayerType {
                    name: $name,
                    summary: <$variant as Keyed>::SUMMARY,
                    keys: <$variant as Keyed>::KEYS,
                    make: |values, defaults| <$variant as Keyed>::from_values(values, defaults).map(Layer::from),
                }),*];
                SINGLE.iter()$(.chain(<$family as Family>::TYPES))*
            }

            /// The layer's type, as specs write it.
            pub fn name(&self) -> &'static str {
                match self { $(Layer::$variant(_) => $name,)* $(Layer::$family(layer) => layer.name(),)* }
            }
        }
    };
}

layers! {
    layers {
        Dense, "dense";
        Conv, "conv";
        Relu, "relu";
        AveragePool, "avg-pool";
        MaxPool, "max-pool";
        WeightPool, "weight-pool";
        GlobalAveragePool, "global-avg-pool";
        GlobalMaxPool, "global-max-pool";
        BatchNorm, "batch-norm";
        Normalise, "normalise";
        Flatten, "flatten";
        Sum, "residual";
    }
    families {
        Pointwise, "An activation other than the ReLU.";
        SampleNorm, "A normalisation within one sample.";
    }
}

impl LayerRule for Layer {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        dispatch!(self, layer => layer.output_shape(input))
    }

    fn tensors(&self, input: &Shape) -> Vec<Tensor> {
        dispatch!(self, layer => layer.tensors(input))
    }

    fn add_bias(&mut self) {
        dispatch!(self, layer => layer.add_bias());
    }

    fn least_batch(&self, input: &Shape) -> usize {
        dispatch!(self, layer => layer.least_batch(input))
    }

    fn mixes_batch(&self) -> bool {
        dispatch!(self, layer => layer.mixes_batch())
    }

    fn is_symmetric(&self, input: bool) -> bool {
        dispatch!(self, layer => layer.is_symmetric(input))
    }

    fn activation(&self) -> Option<Activation> {
        dispatch!(self, layer => layer.activation())
    }

    fn scratch_count(&self, site: Site<'_>) -> usize {
        dispatch!(self, layer => layer.scratch_count(site))
    }

    fn forward<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        dispatch!(self, layer => layer.forward(pass, input, output, scratch));
    }

    fn backward<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        dispatch!(self, layer => layer.backward(pass, input, upstream, downstream, scratch));
    }

    fn forward_relu<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        dispatch!(self, layer => layer.forward_relu(pass, input, output, scratch));
    }

    fn backward_relu<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        dispatch!(self, layer => layer.backward_relu(pass, input, upstream, downstream, scratch));
    }

    fn product(&self, site: Site<'_>) -> Option<Product> {
        dispatch!(self, layer => layer.product(site))
    }

    fn for_each_seen(&self, site: Site<'_>, visit: impl FnMut(usize, usize, usize)) {
        dispatch!(self, layer => layer.for_each_seen(site, visit));
    }

    fn on_batches<T: Real>(&self, site: Site<'_>) -> OnBatches<T> {
        dispatch!(self, layer => layer.on_batches(site))
    }

    fn edges<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: &[T],
        visit: impl FnMut(usize, usize, T),
    ) -> Result<(), NoPathTheory> {
        dispatch!(self, layer => layer.edges(pass, input, visit))
    }

    fn connections(
        &self,
        site: Site<'_>,
        weight_variance: f64,
        visit: impl FnMut(usize, usize, f64),
    ) -> Result<(), NoPathTheory> {
        dispatch!(self, layer => layer.connections(site, weight_variance, visit))
    }

    fn edge_count(&self, site: Site<'_>) -> usize {
        dispatch!(self, layer => layer.edge_count(site))
    }

    fn variance_backward(
        &self,
        site: Site<'_>,
        weight_variance: f64,
        upstream: &[f64],
        downstream: &mut [f64],
    ) -> Result<(), NoPathTheory> {
        dispatch!(self, layer => layer.variance_backward(site, weight_variance, upstream, downstream))
    }
}
