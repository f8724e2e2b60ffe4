//! Loops compiled for AVX-512, AVX2 and plain code, of which the best runs: one safe wrapper around the `pulp` crate.
//!
//! The instruction set changes no bit: such loops copy, compare, and add or multiply element by element, each exactly
//! rounded, and Rust fuses none of them by itself.

use pulp::Arch;

/// Runs a loop with the best instructions that the processor has.
#[inline]
pub fn vectorized<R>(run: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(run)
}

/// Values that are moved at a time: one register of AVX-512 in single precision.
const LANES: usize = 16;

/// Copies a short run; the standard copy costs a call for each.
#[inline(always)]
pub fn copy<T: Copy>(from: &[T], to: &mut [T]) {
    let (mut targets, sources) = (to.chunks_exact_mut(LANES), from.chunks_exact(LANES));
    let rest = sources.remainder();
    for (target, source) in (&mut targets).zip(sources) {
        target.copy_from_slice(source);
    }
    targets.into_remainder().iter_mut().zip(rest).for_each(|(target, &source)| *target = source);
}

/// Adds a run to another.
#[inline(always)]
pub fn add<T: Copy + std::ops::AddAssign>(more: &[T], sums: &mut [T]) {
    sums.iter_mut().zip(more).for_each(|(sum, &more)| *sum += more);
}
