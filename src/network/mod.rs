//! Feed-forward networks: architectures whose shapes were checked once, their layers, initialisations, the loss, and
//! gradients with respect to the input by backpropagation written by hand.
//!
//! Nothing here samples by the million or knows of experiments; only [`weights`] reads files.

pub(crate) mod architecture;
pub mod batch;
pub(crate) mod dense_chain;
pub(crate) mod difference;
pub(crate) mod gradient;
pub(crate) mod initialisation;
pub(crate) mod instruction_set;
pub mod layer;
pub mod loss;
pub(crate) mod matrix;
pub(crate) mod norm;
pub(crate) mod operator;
pub(crate) mod parameters;
pub mod path;
mod pool_first;
pub(crate) mod real;
pub(crate) mod shape;
pub(crate) mod simd;
pub mod weights;

pub use architecture::{Addend, Architecture, ArchitectureError, Node, Part};
pub use dense_chain::{DenseChain, NotADenseChain};
pub use difference::{CentralDifferences, central_differences};
pub use gradient::{LossDirection, Tape};
pub use initialisation::{BrokenHypotheses, Initialisation, Variances, WeightDistribution};
pub use instruction_set::{InstructionSet, UnusableInstructionSet};
pub use layer::{
    Activation, AveragePool, BatchNorm, Conv, Dense, Flatten, GlobalAveragePool, GlobalMaxPool, Kin, Layer, MaxPool,
    Normalise, PaddingMode, Pointwise, Relu, SampleNorm, Statistics, WeightPool, Window,
};
pub use norm::{Norm, NormSums};
pub use operator::{Operator, Place};
pub use parameters::Parameters;
pub use pool_first::pools_first;
pub use real::Real;
pub use shape::Shape;
pub use weights::{Matching, WeightFile};
