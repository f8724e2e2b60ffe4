//! Flattening: an image of [channels, height, width] becomes a vector, in row-major order.

use super::{LayerRule, NoVariancePass, Real, Shape, Site};

/// The vector of all elements; a vector stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Flatten;

impl LayerRule for Flatten {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        Ok(input.flattened())
    }

    fn forward<T: Real>(&self, _: Site<'_>, _: &[T], input: &[T], output: &mut [T], _: &mut Vec<T>) {
        output.copy_from_slice(input);
    }

    fn backward<T: Real>(
        &self,
        _: Site<'_>,
        _: &[T],
        _: &[T],
        _: &[T],
        upstream: &[T],
        downstream: &mut [T],
        _: &mut Vec<T>,
    ) {
        downstream.copy_from_slice(upstream);
    }

    fn edges<T: Real>(&self, site: Site<'_>, _: &[T], _: &[T], _: &[T], mut visit: impl FnMut(usize, usize, T)) {
        (0..site.input.len()).for_each(|unit| visit(unit, unit, T::one()));
    }

    fn variance_backward(
        &self,
        _: Site<'_>,
        _: f64,
        upstream: &[f64],
        downstream: &mut [f64],
    ) -> Result<(), NoVariancePass> {
        downstream.copy_from_slice(upstream);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_becomes_a_vector() {
        let shape = Flatten.output_shape(&Shape::new([3, 4, 5]).unwrap()).unwrap();
        assert_eq!(shape.as_vector(), Some(60));
    }
}
