//! A request to stop: made in one place, looked at in all that work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request to stop, which is made once and not taken back; clones share it. The default one is never made.
///
/// To look costs one relaxed load, so that long work can look again and again. What it was about to give is then thrown away.
#[derive(Debug, Clone, Default)]
pub struct Stop(Option<Arc<AtomicBool>>);

impl Stop {
    /// A request that is not made yet.
    pub fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// Makes the request, and says whether it had been made before.
    pub fn ask(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| asked.swap(true, Ordering::Relaxed))
    }

    /// Whether it was made.
    #[inline]
    pub fn is_asked(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| asked.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_a_request_and_the_default_is_never_made() {
        let stop = Stop::new();
        let other = stop.clone();
        assert!(!stop.is_asked());
        assert!(!other.ask() && stop.is_asked() && stop.ask());
        assert!(!Stop::default().ask() && !Stop::default().is_asked());
    }
}
