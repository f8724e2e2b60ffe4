//! Training: stochastic gradient descent on the paper's objectives, by gradients written by hand, and what is measured of a
//! trained network.
//!
//! An [`Objective`] gives the parameter gradient of a batch, [`Sgd`] moves the parameters, [`Schedule`] says how far, and a
//! [`Trainer`] runs the epochs, a step at a time, so that whoever watches can stop, save its [`State`] and go on later to the same
//! bits. Nothing here knows of files, terminals or specs.
//!
//! Sizes of attacks and strengths of penalties are in the paper's unit, ε_∞: a change of ε in every coordinate, that is
//! εₚ = ε d^(1/p) in ‖·‖ₚ.

pub(crate) mod augmentation;
pub(crate) mod evaluation;
mod model;
pub mod objective;
mod optimiser;
mod schedule;
mod trainer;

pub use augmentation::Augmentation;
pub use evaluation::Evaluation;
pub use model::BatchModel;
pub use objective::Objective;
pub use optimiser::Sgd;
pub use schedule::Schedule;
pub use trainer::{EpochReport, Samples, State, Trainer, TrainingSettings};
