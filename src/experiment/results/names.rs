//! The names of what is in a results folder.

use crate::figure::Form;

/// The spec with its defaults.
pub const SPEC: &str = "spec.toml";
/// Every mean.
pub const POINTS: &str = "points.csv";
/// What became of the claims.
pub const VERDICTS: &str = "verdicts.json";
/// Every network that was trained.
pub const NETWORKS: &str = "networks.csv";
/// Every epoch of them.
pub const EPOCHS: &str = "epochs.csv";
/// The figure.
pub const FIGURE: &str = "figure";
/// Forms in which a run saves it.
pub const FIGURE_FORMS: [Form; 2] = [Form::Svg, Form::Png];
/// The spec that states are of, until there are results, whose spec it then is.
pub const WORK: &str = "work.toml";
/// Folder of states.
pub const STATES: &str = "state";
/// Folder of weights that are kept.
pub const WEIGHTS: &str = "weights";
/// Kind of the states of parts that are done: a point's draws, and what was measured of a network.
pub const DONE: &str = "json";
