//! Experiments: specs are parsed, bound and run here, results are judged, saved and turned into figures. The only place
//! that knows TOML and the only one that writes files.

mod architecture;
pub mod catalogue;
pub mod cell;
pub mod claim;
pub mod expression;
pub mod format;
pub mod given;
mod initialisation;
pub mod load;
pub mod overrides;
pub mod paths;
pub mod plot;
pub mod reader;
pub mod results;
pub mod spec;
pub mod work;

pub use cell::Cell;
pub use claim::{Measured, judge};
pub use overrides::Override;
pub use reader::SpecError;
pub use results::{Outcome, Row, Verdict};
pub use spec::{AnySpec, Spec};
pub use work::draw::theory_rows;
pub use work::{Experiment, Limits, Results, RunError, RunOptions, Unwatched, Watcher};
