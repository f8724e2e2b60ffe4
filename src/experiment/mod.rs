//! Experiments: specs are parsed, bound and run here, results are judged, saved and turned into figures. The only place
//! that knows TOML and the only one that writes files.

mod architecture;
pub mod catalogue;
pub mod cell;
pub mod checkpoint;
pub mod claim;
pub mod expression;
pub mod folders;
pub mod format;
pub mod given;
mod initialisation;
pub mod inputs;
pub mod load;
pub mod overrides;
pub mod paths;
pub mod plot;
pub mod point;
pub mod reader;
pub mod results;
pub mod run;
pub mod save;
pub mod spec;
pub mod trained;

pub use cell::Cell;
pub use claim::{Measured, judge};
pub use overrides::Override;
pub use point::{Limits, Point};
pub use reader::SpecError;
pub use results::{Outcome, Row, Verdict};
pub use run::{Experiment, RunError, RunOptions, Unwatched, Watcher, theory_rows};
pub use spec::Spec;
