//! Loops compiled for AVX-512, AVX2 and plain code, of which the best runs: one safe wrapper around the `pulp` crate.
//!
//! The instruction set changes no bit: such loops copy, compare, add, multiply, or multiply and add element by element, each
//! exactly rounded, and Rust fuses none of them by itself.

use pulp::Arch;

/// Runs a loop with the best instructions that the processor has.
#[inline]
pub fn vectorized<R>(run: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(run)
}

/// Runs `wide` where the processor has 32 registers of 64 bytes, otherwise `narrow`, for 16 registers of 32 bytes; both with
/// the best instructions that it has.
#[inline]
pub fn by_registers<C, R>(context: C, wide: impl FnOnce(C) -> R, narrow: impl FnOnce(C) -> R) -> R {
    match Arch::new() {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(simd) => simd.vectorize(
            #[inline(always)]
            || wide(context),
        ),
        other => other.dispatch(
            #[inline(always)]
            || narrow(context),
        ),
    }
}

/// Values that are moved at a time: one register of AVX-512 in single precision.
pub const LANES: usize = 16;

/// Room for `count` values whose first one begins a line of the processor's cache, so that no aligned run lies across two
/// lines; what they hold is left from before.
pub fn aligned<T: Copy + Default>(memory: &mut Vec<T>, count: usize) -> &mut [T] {
    const LINE: usize = 64;
    let room = count + LINE / size_of::<T>();
    if memory.len() < room {
        memory.resize(room, T::default());
    }
    // Where alignment cannot be had, speed is all that is lost.
    let start = memory.as_ptr().align_offset(LINE).min(room - count);
    &mut memory[start..start + count]
}
