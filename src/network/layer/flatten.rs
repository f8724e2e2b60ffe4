//! Flattening: an image of [channels, height, width] becomes a vector, in row-major order.

use super::{LayerRule, Real, Shape, Site};

/// The vector of all elements; a vector stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Flatten;

impl LayerRule for Flatten {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        Ok(input.flattened())
    }

    fn forward<T: Real>(&self, _: Site<'_>, _: &[T], input: &[T], output: &mut [T]) {
        output.copy_from_slice(input);
    }

    fn backward<T: Real>(&self, _: Site<'_>, _: &[T], _: &[T], _: &[T], upstream: &[T], downstream: &mut [T]) {
        downstream.copy_from_slice(upstream);
    }

    fn variance_backward(&self, _: Site<'_>, _: f64, upstream: &[f64], downstream: &mut [f64]) {
        downstream.copy_from_slice(upstream);
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
