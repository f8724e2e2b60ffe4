//! Feed-forward networks: architectures whose shapes were checked once, their layers, initialisations, the loss, and
//! gradients with respect to the input by backpropagation written by hand.
//!
//! Nothing here samples by the million or knows of experiments; only [`weights`] reads files.

pub mod architecture;
pub mod batch;
pub mod dense_chain;
pub mod difference;
pub mod gradient;
pub mod initialisation;
pub mod instruction_set;
pub mod layer;
pub mod loss;
pub(crate) mod matrix;
pub mod norm;
pub mod operator;
pub mod parameters;
pub mod path;
mod pool_first;
pub mod real;
pub mod shape;
pub(crate) mod simd;
pub mod weights;

pub use architecture::{Architecture, ArchitectureError, Node, Part};
pub use dense_chain::{DenseChain, NotADenseChain};
pub use gradient::{LossDirection, Tape};
pub use initialisation::{BrokenHypotheses, Initialisation, Variances, WeightDistribution};
pub use instruction_set::InstructionSet;
pub use layer::{
    Activation, AveragePool, BatchNorm, Conv, Dense, Flatten, GlobalAveragePool, GlobalMaxPool, Kin, Layer, MaxPool,
    Normalise, PaddingMode, Pointwise, Relu, SampleNorm, Statistics, WeightPool, Window,
};
pub use norm::Norm;
pub use operator::{Operator, Place};
pub use parameters::Parameters;
pub use pool_first::pools_first;
pub use real::Real;
pub use shape::Shape;
pub use weights::{Matching, WeightFile};
