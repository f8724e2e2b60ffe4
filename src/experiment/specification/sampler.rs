//! The key `sampler`: which sampler draws the networks.

use super::reader::{Reader, SpecError};

/// Which sampler draws the networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamplerChoice {
    /// The cheapest that is exact: collapsed, conditioned, or explicit.
    Auto,
    /// Always networks with all their weights.
    Explicit,
    /// Always the collapsed sampler; refused where it is not exact.
    Collapsed,
    /// Always the actions of weights in place of the weights; refused where it is not exact.
    Conditioned,
}

/// Reads the key, of a spec or of a network.
pub(super) fn read_sampler(reader: &Reader<'_>) -> Result<Option<SamplerChoice>, SpecError> {
    match reader.string("sampler")? {
        None => Ok(None),
        Some("auto") => Ok(Some(SamplerChoice::Auto)),
        Some("explicit") => Ok(Some(SamplerChoice::Explicit)),
        Some("collapsed") => Ok(Some(SamplerChoice::Collapsed)),
        Some("conditioned") => Ok(Some(SamplerChoice::Conditioned)),
        Some(_) => Err(reader.refuse("sampler", "must be auto, explicit, conditioned or collapsed")),
    }
}
