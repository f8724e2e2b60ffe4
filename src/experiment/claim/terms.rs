//! What claims of every kind say of themselves.

use crate::experiment::specification::expression::Variables;

/// What a claim says of itself, whatever its kind.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The claim in words.
    pub statement: String,
    /// The network it speaks of; `None` for each network.
    pub network: Option<String>,
    /// How far the truth may lie from the prediction: absolute for exponents and distances; relative otherwise, t meaning
    /// from 1 − t to 1 + t times the prediction; 0 for kinds that have none.
    pub tolerance: f64,
    /// The values of sweep variables that it speaks of, from lowest to highest.
    pub within: Vec<(String, [f64; 2])>,
    /// Its dotted key, for error messages.
    pub path: String,
}

impl Terms {
    /// Whether it speaks of points with these values of the sweep variables.
    pub fn is_within(&self, variables: &Variables) -> bool {
        self.within.iter().all(|(name, [low, high])| {
            let value = variables.iter().find(|(variable, _)| variable == name);
            value.is_some_and(|(_, value)| (low..=high).contains(&value))
        })
    }
}
