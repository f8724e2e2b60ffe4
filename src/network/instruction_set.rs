//! The instruction sets that loops are compiled for, the one that runs, and how to force another for a test.
//!
//! Loops give the same bits with every set: they add, multiply and compare in a fixed order, each operation exactly
//! rounded, and Rust fuses none of them by itself. `GRADLAW_SIMD=avx512 | avx2 | baseline` forces a set; it is read once.

use std::fmt;
use std::sync::OnceLock;

use pulp::{Arch, WithSimd};
use thiserror::Error;

/// A set of vector instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionSet {
    /// What the program was compiled for: SSE2 on x86-64.
    Baseline,
    /// AVX2, eight single-precision numbers at a time.
    Avx2,
    /// AVX-512, sixteen at a time.
    Avx512,
}

/// The environment asks for an instruction set that cannot run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnusableInstructionSet {
    /// A name that is none.
    #[error("GRADLAW_SIMD={0}: must be avx512, avx2 or baseline")]
    Unknown(String),
    /// The processor lacks it.
    #[error("GRADLAW_SIMD={0}: this processor does not have these instructions")]
    Unsupported(InstructionSet),
}

impl InstructionSet {
    /// All sets, the best first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Baseline];

    /// Whether this processor has the instructions.
    pub fn is_available(self) -> bool {
        self.arch().is_some()
    }

    /// The set that the environment asks for, if it asks for one.
    ///
    /// # Errors
    /// The name is none, or the processor lacks the instructions.
    pub fn requested() -> Result<Option<Self>, UnusableInstructionSet> {
        let Some(name) = std::env::var_os("GRADLAW_SIMD") else { return Ok(None) };
        let name = name.to_string_lossy();
        let set = Self::ALL.into_iter().find(|set| set.to_string() == name);
        let set = set.ok_or_else(|| UnusableInstructionSet::Unknown(name.into_owned()))?;
        if set.is_available() { Ok(Some(set)) } else { Err(UnusableInstructionSet::Unsupported(set)) }
    }

    /// The set that runs: the one that the environment asks for, or else the best. The command line refuses a request
    /// that cannot be met before anything runs; the library passes over it.
    pub fn current() -> Self {
        static CURRENT: OnceLock<InstructionSet> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let best = Self::ALL.into_iter().find(|set| set.is_available()).unwrap_or(Self::Baseline);
            Self::requested().ok().flatten().unwrap_or(best)
        })
    }

    /// Runs a loop, a closure or whatever is always inlined, with these instructions, or with the baseline where the processor lacks them.
    #[inline(always)]
    pub fn run<L: WithSimd>(self, run: L) -> L::Output {
        self.arch().unwrap_or(Arch::Scalar).dispatch(run)
    }

    /// What dispatches to the set; the processor's features are looked up once and remembered.
    #[inline]
    fn arch(self) -> Option<Arch> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Baseline => Some(Arch::Scalar),
            // All that other processors have, they were compiled for.
            #[cfg(not(target_arch = "x86_64"))]
            Self::Baseline => Some(Arch::new()),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::try_new().map(Arch::V3),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::try_new().map(Arch::V4),
            #[cfg(not(target_arch = "x86_64"))]
            _ => None,
        }
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Baseline => "baseline",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_always_runs_and_the_best_is_first() {
        assert!(InstructionSet::Baseline.is_available());
        assert!(InstructionSet::current().is_available());
        for set in InstructionSet::ALL {
            assert_eq!(set.run(|| 3), 3);
        }
    }
}
