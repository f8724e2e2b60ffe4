//! What theory says before anything is sampled: the exact law of the logit gradient of dense networks, and second moments
//! by the backward pass over variances.

mod dense;
mod variance;

pub use dense::DenseLaw;
pub use variance::expected_squared_gradient;

use crate::network::{Architecture, Initialisation, WeightDistribution};
use crate::sampling::{Gradient, Observable};

/// What kind of statement a theoretical value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TheoryKind {
    /// True at every width, depth and dimension.
    Exact,
}

impl TheoryKind {
    /// The kind as result files name it.
    pub fn name(self) -> &'static str {
        match self {
            TheoryKind::Exact => "exact",
        }
    }
}

/// The theoretical mean of an observable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TheoryValue {
    /// The mean.
    pub mean: f64,
    /// What kind of statement it is.
    pub kind: TheoryKind,
}

/// The theoretical mean of `observable` for a network, where there is one; `continuous_input` says whether ties of
/// pre-activations at zero have probability zero.
///
/// Dense chains with Gaussian weights have the whole law of the logit gradient ([`DenseLaw`]). For other symmetric
/// weights of continuous law the squared ℓ₂ norm keeps its exact mean ([`expected_squared_gradient`]). The loss gradient
/// has no closed form.
pub fn expected(
    architecture: &Architecture,
    initialisation: &Initialisation,
    continuous_input: bool,
    observable: &Observable,
) -> Option<TheoryValue> {
    let chain = crate::network::DenseChain::new(architecture, initialisation).ok()?;
    if observable.gradient != Gradient::Logit {
        return None;
    }
    let mean = match initialisation.distribution {
        WeightDistribution::Normal => DenseLaw::new(&chain).mean(observable),
        WeightDistribution::Uniform if continuous_input && observable.needs_length_only() && observable.power == 2 => {
            let factor = observable.value(1.0, chain.dimension);
            Some(factor * expected_squared_gradient(architecture, initialisation))
        }
        // The signs of few inputs cancel with positive probability, which closes units more often than half of the time.
        WeightDistribution::Uniform | WeightDistribution::Rademacher => None,
    };
    mean.map(|mean| TheoryValue { mean, kind: TheoryKind::Exact })
}
