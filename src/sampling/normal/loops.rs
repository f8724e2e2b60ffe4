//! The loops over numbers as they are made: written to memory, multiplied by a vector, added to one. Numbers of a row
//! are used while they are in registers.
//!
//! Each loop is a value that [`InstructionSet::run`](crate::network::InstructionSet::run) takes, so that it is inlined
//! into code that is compiled for the instruction set.

use pulp::NullaryFnOnce;

use super::lanes::{Floats, LANES, Source, State};

/// Numbers that a source makes at a time; vectors that rows are multiplied with have a multiple of it.
pub(super) const PAIR: usize = 2 * LANES;

/// Rows whose partial sums are added up together.
const ROWS: usize = 16;

/// Fills a slice; what a last, shorter piece does not need is discarded.
pub(super) struct Fill<'a, S> {
    pub source: S,
    pub state: &'a mut State,
    pub out: &'a mut [f32],
}

impl<S: Source> NullaryFnOnce for Fill<'_, S> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { mut source, state, out } = self;
        // A copy that lives in registers.
        let mut lanes = *state;
        let (pieces, rest) = out.as_chunks_mut::<PAIR>();
        for piece in pieces {
            write(source.next(&mut lanes), piece);
        }
        if !rest.is_empty() {
            let mut piece = [0.0; PAIR];
            write(source.next(&mut lanes), &mut piece);
            rest.copy_from_slice(&piece[..rest.len()]);
        }
        *state = lanes;
    }
}

#[inline(always)]
fn write((first, second): (Floats, Floats), piece: &mut [f32; PAIR]) {
    piece[..LANES].copy_from_slice(&first);
    piece[LANES..].copy_from_slice(&second);
}

/// Makes a matrix row by row and multiplies it with a vector; with `KEEP` its rows are also written to `kept`.
pub(super) struct Multiply<'a, S, const KEEP: bool> {
    pub source: S,
    pub state: &'a mut State,
    pub vector: &'a [[f32; PAIR]],
    pub products: &'a mut [f32],
    pub kept: &'a mut [[f32; PAIR]],
}

impl<S: Source, const KEEP: bool> NullaryFnOnce for Multiply<'_, S, KEEP> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { source, state, vector, products, kept } = self;
        let mut lanes = *state;
        let mut rows = kept.chunks_exact_mut(vector.len());
        for products in products.chunks_mut(ROWS) {
            let mut sums = [[0.0; LANES]; ROWS];
            for (_, of_row) in products.iter().zip(&mut sums) {
                let mut source = source;
                let mut partial = [0.0; LANES];
                if KEEP && let Some(row) = rows.next() {
                    for (values, piece) in vector.iter().zip(row) {
                        let numbers = source.next(&mut lanes);
                        multiply_add(numbers, values, &mut partial);
                        write(numbers, piece);
                    }
                } else {
                    for values in vector {
                        multiply_add(source.next(&mut lanes), values, &mut partial);
                    }
                }
                *of_row = partial;
            }
            total(&sums, products);
        }
        *state = lanes;
    }
}

/// Adds two products at once to each sum, which then waits for one addition and not for two.
#[inline(always)]
fn multiply_add((first, second): (Floats, Floats), values: &[f32; PAIR], sums: &mut Floats) {
    for lane in 0..LANES {
        sums[lane] += second[lane].mul_add(values[LANES + lane], first[lane] * values[lane]);
    }
}

/// Products from their partial sums, each half added to the other until one is left.
///
/// Never inlined: these short steps would make the compiler keep the partial sums in many short registers.
#[inline(never)]
fn total(sums: &[Floats; ROWS], products: &mut [f32]) {
    for (product, sums) in products.iter_mut().zip(sums) {
        let a: [f32; 8] = std::array::from_fn(|lane| sums[lane] + sums[8 + lane]);
        let b: [f32; 4] = std::array::from_fn(|lane| a[lane] + a[4 + lane]);
        *product = (b[0] + b[2]) + (b[1] + b[3]);
    }
}

/// Makes a row and adds a multiple of it to a vector.
pub(super) struct AddRow<'a, S> {
    pub source: S,
    pub state: &'a mut State,
    pub factor: f32,
    pub sums: &'a mut [[f32; PAIR]],
}

impl<S: Source> NullaryFnOnce for AddRow<'_, S> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { mut source, state, factor, sums } = self;
        let mut lanes = *state;
        for piece in sums {
            let (first, second) = source.next(&mut lanes);
            for lane in 0..LANES {
                piece[lane] = factor.mul_add(first[lane], piece[lane]);
            }
            for lane in 0..LANES {
                piece[LANES + lane] = factor.mul_add(second[lane], piece[LANES + lane]);
            }
        }
        *state = lanes;
    }
}
