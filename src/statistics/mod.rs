//! Statistics that the judgement rests on: moments and quantiles of a stream of draws, weighted regression,
//! equivalence tests, goodness of fit, and the control of the error rate of many tests at once.
//!
//! Nothing here knows of networks. Distributions come from `statrs`; what is written here is what no well-kept crate
//! offers: mergeable moments and quantiles, two one-sided tests, weighted least squares with a goodness-of-fit test,
//! and the exact expectations of Gaussian norms.

pub(crate) mod equivalence;
pub mod gaussian;
mod gaussian_norm;
pub mod jackknife;
pub(crate) mod kolmogorov_smirnov;
pub(crate) mod least_squares;
pub(crate) mod looks;
pub(crate) mod moments;
pub mod multiple_testing;
pub(crate) mod quantile;
pub mod rank_correlation;
pub(crate) mod regression;
mod skewness;

pub use equivalence::{Equivalence, Reference};
pub use kolmogorov_smirnov::KolmogorovSmirnov;
pub use looks::Look;
pub use moments::Moments;
pub use quantile::QuantileSketch;
pub use regression::{Fit, WeightedPoint};
pub use skewness::{LEAST_COUNT, Skewness, TooFew};
