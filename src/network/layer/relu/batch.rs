//! ReLUs on batches that are not run in place.

use super::{mask, rectify};
use crate::network::Real;
use crate::network::batch::BatchRule;

/// h = max(z, 0).
#[derive(Debug)]
pub struct Rectify;

impl<T: Real> BatchRule<T> for Rectify {
    fn forward(&self, input: &[T], output: &mut [T]) {
        output.copy_from_slice(input);
        rectify(output);
    }

    fn tangent(&self, input: &[T], tangent: &[T], output: &mut [T]) {
        output.copy_from_slice(tangent);
        mask(output, input);
    }

    fn backward(&self, input: &[T], upstream: &[T], downstream: &mut [T]) {
        downstream.copy_from_slice(upstream);
        mask(downstream, input);
    }
}
