//! Loops compiled for AVX-512, AVX2 and plain code, of which the best runs, or the one that [`InstructionSet`] was told.
//!
//! The instruction set changes no bit: such loops copy, compare, add, multiply, or multiply and add element by element, each
//! exactly rounded, and Rust fuses none of them by itself.

use super::InstructionSet;

/// Runs a loop with the instruction set that is current.
#[inline]
pub fn vectorized<R>(run: impl FnOnce() -> R) -> R {
    InstructionSet::current().run(run)
}

/// Runs `wide` where there are 32 registers of 64 bytes, otherwise `narrow`, for 16 registers of 32 bytes; both with the
/// instruction set that is current.
#[inline]
pub fn by_registers<C, R>(context: C, wide: impl FnOnce(C) -> R, narrow: impl FnOnce(C) -> R) -> R {
    match InstructionSet::current() {
        InstructionSet::Avx512 => InstructionSet::Avx512.run(
            #[inline(always)]
            || wide(context),
        ),
        other => other.run(
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
