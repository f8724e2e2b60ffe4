//! Where a cell is in the sweep: for people, for formulas, and on an abscissa.

use super::specification::expression::{Variables, describe};

/// A network at a point of the sweep, for people.
pub fn place(network: &str, variables: &Variables) -> String {
    if variables.is_empty() { network.to_owned() } else { format!("{network}, {}", describe(variables)) }
}

/// The variables of a point with its dimension, as claims see them.
pub fn with_dimension(variables: &Variables, dimension: usize) -> Vec<(String, f64)> {
    let mut all = variables.to_vec();
    all.push(("dimension".into(), dimension as f64));
    all
}

/// What is on an abscissa: a sweep variable by its name, else the dimension.
pub fn abscissa(variables: &Variables, dimension: usize, against: &str) -> f64 {
    let variable = variables.iter().find(|(name, _)| name == against);
    variable.map_or(dimension as f64, |&(_, value)| value)
}
