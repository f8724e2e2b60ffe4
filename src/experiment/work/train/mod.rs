//! Networks that are trained: a sweep of many networks is one resumable job.
//!
//! A spec with a table `[training]` trains a few networks (`repeats`) for every network, method and point of the grid, and measures each on
//! the test samples.

mod bind;
mod crew;
mod data;
mod measure;
mod measurement;
mod one;
mod run;
mod state;

pub use bind::Training;
pub(super) use crew::Report;
pub use data::DataSpec;
pub(in crate::experiment) use data::read_data;
pub use measure::{Measure, Quantity};
pub(in crate::experiment) use measurement::measurement;
pub use run::{JobState, Trainings};
pub use state::Finished;
