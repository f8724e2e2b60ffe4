//! Matrix products, for dense layers: the one wrapper around the `gemm` crate, which chooses AVX-512, AVX2 or plain code at run time.
//!
//! For a given machine a product has the same bits every time: it runs on one thread, in a fixed order.

use std::any::TypeId;

use gemm::Parallelism;

use super::Real;

/// A matrix that lies in a slice, or its transpose.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    /// Distance between neighbours in one column, and between neighbours in one row.
    strides: [usize; 2],
}

/// A matrix to be written, row by row, to a slice.
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    values: &'a mut [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a, T: Real> Matrix<'a, T> {
    /// The matrix [rows, columns] of these values, row by row.
    ///
    /// # Panics
    /// The slice does not hold rows × columns values.
    pub fn new(values: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix of {rows} rows and {columns} columns");
        Self { values, rows, columns, strides: [columns, 1] }
    }

    /// Its transpose; nothing is moved.
    pub fn transposed(self) -> Self {
        let [row, column] = self.strides;
        Self { rows: self.columns, columns: self.rows, strides: [column, row], ..self }
    }

    /// Its first columns alone.
    ///
    /// # Panics
    /// There are not so many.
    pub fn first_columns(self, columns: usize) -> Self {
        assert!(columns <= self.columns, "{columns} of {} columns", self.columns);
        Self { columns, ..self }
    }

    /// How many rows it has.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// How many columns it has.
    pub fn columns(self) -> usize {
        self.columns
    }

    /// Writes self · other into `product`; with `accumulate`, adds it to what is there.
    ///
    /// # Panics
    /// The sizes do not fit.
    pub fn multiply(self, other: Matrix<'_, T>, product: MatrixMut<'_, T>, accumulate: bool) {
        assert_eq!(self.columns, other.rows, "inner sizes of a matrix product");
        assert_eq!((product.rows, product.columns), (self.rows, other.columns), "sizes of a matrix product");
        assert!([TypeId::of::<f32>(), TypeId::of::<f64>()].contains(&TypeId::of::<T>()), "a type that gemm knows");
        assert!(self.fits() && other.fits(), "factors lie inside their slices");
        assert!(last(product.rows, product.columns, [product.row_stride, 1]) <= product.values.len());
        // A slice never holds more than isize::MAX values, so no stride wraps.
        let stride = |stride: usize| stride.cast_signed();
        // SAFETY: every element that the strides reach is inside its slice (asserted above, against the last one); rows of
        // the product do not overlap, since its stride is at least its number of columns by construction; `product` is
        // borrowed mutably and so overlaps neither factor; and T is one of the types that gemm has kernels for (asserted).
        unsafe {
            gemm::gemm(
                self.rows,
                other.columns,
                self.columns,
                product.values.as_mut_ptr(),
                1,
                stride(product.row_stride),
                accumulate,
                self.values.as_ptr(),
                stride(self.strides[1]),
                stride(self.strides[0]),
                other.values.as_ptr(),
                stride(other.strides[1]),
                stride(other.strides[0]),
                T::one(),
                T::one(),
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }

    fn fits(&self) -> bool {
        last(self.rows, self.columns, self.strides) <= self.values.len()
    }
}

/// Writes the transpose of the matrix [rows, `columns`] of these values, row by row.
pub fn transpose<T: Real>(values: &[T], columns: usize, transposed: &mut [T]) {
    /// Squares of so many values lie in registers, and so many of these in the nearest cache, also where rows are a power of two apart.
    const SIDE: usize = 8;
    const NEAR: usize = 4 * SIDE;
    let rows = values.len() / columns.max(1);
    if rows == 1 || columns == 1 {
        return transposed.copy_from_slice(values);
    }
    let in_steps =
        |from: usize, step: usize, within: usize, until: usize| (from..until.min(from + within)).step_by(step);
    for (far, across) in
        (0..rows).step_by(NEAR).flat_map(|far| (0..columns).step_by(NEAR).map(move |across| (far, across)))
    {
        for row in in_steps(far, SIDE, NEAR, rows) {
            for column in in_steps(across, SIDE, NEAR, columns) {
                if row + SIDE <= rows && column + SIDE <= columns {
                    let square: [&[T; SIDE]; SIDE] = std::array::from_fn(|down| {
                        values[(row + down) * columns + column..].first_chunk().expect("a row of the square is inside")
                    });
                    for across in 0..SIDE {
                        let to = &mut transposed[(column + across) * rows + row..][..SIDE];
                        to.iter_mut().zip(square).for_each(|(to, from)| *to = from[across]);
                    }
                } else {
                    for row in in_steps(row, 1, SIDE, rows) {
                        for column in in_steps(column, 1, SIDE, columns) {
                            transposed[column * rows + row] = values[row * columns + column];
                        }
                    }
                }
            }
        }
    }
}

/// One past the index of a matrix's last element.
fn last(rows: usize, columns: usize, [row, column]: [usize; 2]) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row + (columns - 1) * column + 1 }
}

impl<'a, T> MatrixMut<'a, T> {
    /// The matrix [rows, columns] of these values, row by row.
    ///
    /// # Panics
    /// The slice does not hold rows × columns values.
    pub fn new(values: &'a mut [T], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix of {rows} rows and {columns} columns");
        Self { values, rows, columns, row_stride: columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, ArrayView2};
    use proptest::prelude::*;

    /// The same product by ndarray, the safe twin.
    fn twin(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Array2<f64> {
        a.dot(&b)
    }

    #[test]
    fn a_transpose_has_rows_for_columns() {
        for (rows, columns) in [(1, 1), (1, 40), (40, 1), (3, 40), (40, 3), (16, 17), (33, 32)] {
            let values: Vec<f64> = (0..rows * columns).map(|index| index as f64).collect();
            let mut transposed = vec![f64::NAN; values.len()];
            transpose(&values, columns, &mut transposed);
            let expected = (0..columns).flat_map(|column| (0..rows).map(move |row| (row * columns + column) as f64));
            assert!(transposed.iter().copied().eq(expected), "{rows} {columns}");
        }
        transpose::<f64>(&[], 0, &mut []);
    }

    proptest! {
        #[test]
        fn products_agree_with_those_of_ndarray(
            rows in 1usize..40, inner in 1usize..40, columns in 1usize..40, kind in 0usize..8, seed in 0u32..1000,
        ) {
            let value = |index: usize| f64::from((index as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) / 1e7 - 0.8;
            let (flip_a, flip_b, accumulate) = (kind & 1 == 1, kind & 2 == 2, kind & 4 == 4);
            let a: Vec<f64> = (0..rows * inner).map(value).collect();
            let b: Vec<f64> = (0..inner * columns).map(|index| value(index + 5000)).collect();
            let stored = |values: &[f64], rows: usize, columns: usize, flip: bool| {
                let array = Array2::from_shape_vec(if flip { (columns, rows) } else { (rows, columns) }, values.to_vec()).unwrap();
                if flip { array.reversed_axes() } else { array }
            };
            let view = |values, rows, columns, flip| {
                if flip { Matrix::new(values, columns, rows).transposed() } else { Matrix::new(values, rows, columns) }
            };
            let expected = twin(stored(&a, rows, inner, flip_a).view(), stored(&b, inner, columns, flip_b).view())
                + if accumulate { 1.0 } else { 0.0 };
            let mut product = vec![if accumulate { 1.0 } else { f64::NAN }; rows * columns];
            let whole = MatrixMut::new(&mut product, rows, columns);
            view(&a, rows, inner, flip_a).multiply(view(&b, inner, columns, flip_b), whole, accumulate);
            for (x, y) in product.iter().zip(&expected) {
                prop_assert!((x - y).abs() < 1e-12 * (1.0 + y.abs()), "{x} {y}");
            }
            let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<_>>();
            let (a, b) = (single(&a), single(&b));
            let mut product = vec![0.0f32; rows * columns];
            let single = MatrixMut::new(&mut product, rows, columns);
            Matrix::new(&a, rows, inner).multiply(Matrix::new(&b, inner, columns), single, false);
            if !flip_a && !flip_b && !accumulate {
                for (x, y) in product.iter().zip(&expected) {
                    prop_assert!((f64::from(*x) - y).abs() < 1e-4, "{x} {y}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "inner sizes")]
    fn sizes_that_do_not_fit_are_refused_before_memory_is_touched() {
        let mut product = [0.0; 4];
        let product = MatrixMut::new(&mut product, 2, 2);
        Matrix::new(&[1.0f32; 6], 2, 3).multiply(Matrix::new(&[1.0; 6], 2, 3), product, false);
    }
}
