//! The key `sampler`: which sampler draws the networks.

use super::reader::{Reader, SpecError};

/// Which sampler draws the networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamplerChoice {
    /// Collapsed where it is exact, explicit elsewhere.
    Auto,
    /// Always networks with all their weights.
    Explicit,
    /// Always the collapsed sampler; refused where it is not exact.
    Collapsed,
}

/// Reads the key, of a spec or of a network.
pub(super) fn read_sampler(reader: &Reader<'_>) -> Result<Option<SamplerChoice>, SpecError> {
    match reader.string("sampler")? {
        None => Ok(None),
        Some("auto") => Ok(Some(SamplerChoice::Auto)),
        Some("explicit") => Ok(Some(SamplerChoice::Explicit)),
        Some("collapsed") => Ok(Some(SamplerChoice::Collapsed)),
        Some(_) => Err(reader.refuse("sampler", "must be auto, explicit or collapsed")),
    }
}
