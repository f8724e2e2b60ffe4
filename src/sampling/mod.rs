//! Sampling of networks: a stream of random numbers for every draw, explicit networks, the collapsed sampler that is
//! exact in law, and the Monte Carlo driver that runs either on all cores.

mod attacked;
pub(crate) mod collapsed;
pub(crate) mod conditioned;
mod defined;
pub(crate) mod explicit;
mod fused;
mod general;
mod hypotheses;
pub(crate) mod input;
pub mod monte_carlo;
pub mod normal;

pub use crate::stream::{Stream, StreamKey};
pub use attacked::Attacked;
pub use collapsed::CollapsedSampler;
pub use conditioned::ConditionedSampler;
pub use defined::{WithDefined, complete};
pub use explicit::ExplicitSampler;
pub use input::{ChosenInput, InputLaw, LabelRule, Samples};
pub use monte_carlo::{Observer, Sampler, StoppingRule, Tally, Worker};
