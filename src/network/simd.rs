//! Loops compiled for AVX-512, AVX2 and plain code, of which the best runs, or the one that [`InstructionSet`] was told.
//!
//! The instruction set changes no bit: such loops copy, compare, add, multiply, or multiply and add element by element, each
//! exactly rounded, and Rust fuses none of them by itself.

use pulp::{Simd, WithSimd};

use super::{InstructionSet, Real};

/// Runs a loop with the instruction set that is current.
#[inline]
pub fn vectorized<R>(run: impl FnOnce() -> R) -> R {
    InstructionSet::current().run(run)
}

/// Runs `wide` where there are 32 registers of 64 bytes, otherwise `narrow`, for 16 registers of 32 bytes; both with the
/// instruction set that is current.
#[inline]
pub fn by_registers<C, R>(context: C, wide: impl FnOnce(C) -> R, narrow: impl FnOnce(C) -> R) -> R {
    InstructionSet::current().run(ByRegisters { context, wide, narrow })
}

/// Two forms of a loop, of which each instruction set is compiled with its own alone.
struct ByRegisters<C, W, N> {
    context: C,
    wide: W,
    narrow: N,
}

impl<C, R, W: FnOnce(C) -> R, N: FnOnce(C) -> R> WithSimd for ByRegisters<C, W, N> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> R {
        // A constant, so that the form that does not run is not compiled.
        if const { S::REGISTER_COUNT >= 32 && size_of::<S::f32s>() == 64 } {
            (self.wide)(self.context)
        } else {
            (self.narrow)(self.context)
        }
    }
}

/// Σ aᵢ bᵢ in a fixed order of so many partial sums, the same on every machine: enough independent chains to fill the vector units.
#[inline(always)]
pub fn dot<const SUMS: usize, T: Real>(a: &[T], b: &[T]) -> T {
    let mut sums = [T::zero(); SUMS];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<SUMS>(), b.as_chunks::<SUMS>());
    for (x, y) in a.iter().zip(b) {
        for lane in 0..SUMS {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(T::zero(), |sum, (&x, &y)| sum + x * y);
    sums.iter().fold(rest, |sum, &lane| sum + lane)
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

/// Copies the values that there is room for, in registers: for runs so short that a call would take longer.
#[inline(always)]
pub fn copy<T: Copy>(from: &[T], to: &mut [T]) {
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<LANES>(), to.as_chunks_mut::<LANES>());
    let rest = from[to.len().min(from.len())..].as_flattened().iter().chain(from_rest);
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    to_rest.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
}

/// Values that loops hold in registers by name, where the compiler would not keep them there by itself.
pub trait Lanes: Sized + Copy {
    /// A register full of values.
    type Register<S: Simd>: Copy;

    /// The same value in every lane.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Register<S>;
    /// The whole registers of a slice.
    fn registers<S: Simd>(values: &[Self]) -> &[Self::Register<S>];
    /// The whole registers of a slice, to be written.
    fn registers_mut<S: Simd>(values: &mut [Self]) -> &mut [Self::Register<S>];
    /// `a b + c`, rounded once.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Register<S>,
        b: Self::Register<S>,
        c: Self::Register<S>,
    ) -> Self::Register<S>;
    /// `floor` where the value is below it; a NaN stays.
    fn at_least<S: Simd>(simd: S, floor: Self::Register<S>, value: Self::Register<S>) -> Self::Register<S>;
}

impl Lanes for f32 {
    type Register<S: Simd> = S::f32s;

    #[inline(always)]
    fn splat<S: Simd>(simd: S, value: Self) -> S::f32s {
        simd.splat_f32s(value)
    }

    #[inline(always)]
    fn registers<S: Simd>(values: &[Self]) -> &[S::f32s] {
        S::as_simd_f32s(values).0
    }

    #[inline(always)]
    fn registers_mut<S: Simd>(values: &mut [Self]) -> &mut [S::f32s] {
        S::as_mut_simd_f32s(values).0
    }

    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        simd.mul_add_f32s(a, b, c)
    }

    #[inline(always)]
    fn at_least<S: Simd>(simd: S, floor: S::f32s, value: S::f32s) -> S::f32s {
        simd.select_f32s(simd.less_than_f32s(value, floor), floor, value)
    }
}

impl Lanes for f64 {
    type Register<S: Simd> = S::f64s;

    #[inline(always)]
    fn splat<S: Simd>(simd: S, value: Self) -> S::f64s {
        simd.splat_f64s(value)
    }

    #[inline(always)]
    fn registers<S: Simd>(values: &[Self]) -> &[S::f64s] {
        S::as_simd_f64s(values).0
    }

    #[inline(always)]
    fn registers_mut<S: Simd>(values: &mut [Self]) -> &mut [S::f64s] {
        S::as_mut_simd_f64s(values).0
    }

    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
        simd.mul_add_f64s(a, b, c)
    }

    #[inline(always)]
    fn at_least<S: Simd>(simd: S, floor: S::f64s, value: S::f64s) -> S::f64s {
        simd.select_f64s(simd.less_than_f64s(value, floor), floor, value)
    }
}
