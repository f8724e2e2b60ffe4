//! What a program that checks a law needs: `use gradlaw::prelude::*;`.

pub use crate::experiment::claim::Claim;
pub use crate::experiment::specification::At;
pub use crate::experiment::specification::expression::Expression;
pub use crate::experiment::work::draw::{ExperimentBuilder, fit_exponent};
pub use crate::experiment::{Limits, Outcome, Unwatched, Verdict, Watcher};
pub use crate::network::{
    Architecture, AveragePool, Conv, Dense, Flatten, Initialisation, Relu, Shape, WeightDistribution,
};
pub use crate::sampling::StoppingRule;
