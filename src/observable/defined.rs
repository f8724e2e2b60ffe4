//! Observables that are made of others, draw by draw.

use std::fmt;
use std::sync::Arc;

/// What makes a number of others.
pub type Combine = dyn Fn(&[f64]) -> f64 + Send + Sync;

/// A number that is computed from other numbers of the same draw, as the ratio of two norms is.
#[derive(Clone)]
pub struct Defined {
    bases: Vec<usize>,
    combine: Arc<Combine>,
}

impl Defined {
    /// The number that `combine` gives of all values of a draw that stand before it, of which it uses those at the places `bases`.
    pub fn new(bases: Vec<usize>, combine: impl Fn(&[f64]) -> f64 + Send + Sync + 'static) -> Self {
        Self { bases, combine: Arc::new(combine) }
    }

    /// The places of the values that it uses.
    pub fn bases(&self) -> &[usize] {
        &self.bases
    }

    /// The number, given the values of the draw.
    pub fn value(&self, values: &[f64]) -> f64 {
        (self.combine)(values)
    }
}

impl fmt::Debug for Defined {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Defined(of {:?})", self.bases)
    }
}
