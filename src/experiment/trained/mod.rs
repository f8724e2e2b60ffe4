//! Experiments on trained networks: a sweep of many networks is one resumable job, whose results are judged, saved and drawn.
//!
//! A spec with a table `[training]` is one of these. Where an initialisation spec draws thousands of networks a point, a training
//! spec trains a few (`repeats`) for every network, method and point of the grid, and measures each on the test samples.

mod bind;
mod checkpoint;
mod data;
mod measure;
mod panel;
mod panels;
mod results;
mod run;
mod save;
mod spec;

pub use bind::{Job, TrainingExperiment};
pub use panels::figure_of;
pub use results::{NetworkOutcome, TrainedNetwork, measurement};
pub use run::Results;
pub use save::{Saved, draw, read, save};
pub use spec::{TrainingSpec, is_training};
