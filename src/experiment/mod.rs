//! Experiments: specs are parsed, bound and run here, results are judged, saved and turned into figures. The only place
//! that knows TOML and the only one that writes files.

mod architecture;
pub mod catalogue;
pub(crate) mod cell;
pub mod claim;
pub mod format;
pub mod given;
mod initialisation;
pub mod paths;
mod place;
pub(crate) mod plot;
pub mod results;
pub mod self_test;
mod share;
pub mod specification;
pub(crate) mod work;

pub use cell::Cell;
pub use claim::{Measured, judge};
pub use results::{Outcome, Row, Verdict};
pub use share::Share;
pub use specification::overrides::Override;
pub use specification::reader::SpecError;
pub use specification::{AnySpec, Spec, load, reader};
pub use work::draw::{Drawing, theory_rows};
pub use work::train::{DataSpec, Finished, JobState, Measure, Quantity, Training, Trainings};
pub use work::{
    Crew, Experiment, Forecast, Limits, Link, Results, RunError, RunOptions, Together, Unwatched, Watcher, check_names,
    serve,
};
