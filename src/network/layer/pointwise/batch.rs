//! Activations on batches.

use super::Activation;
use crate::network::Real;
use crate::network::batch::BatchRule;

/// h = φ(z), unit by unit.
#[derive(Debug)]
pub struct Function(pub Activation);

impl<T: Real> BatchRule<T> for Function {
    fn forward(&self, input: &[T], output: &mut [T]) {
        self.0.apply(input, output);
    }

    fn tangent(&self, input: &[T], tangent: &[T], output: &mut [T]) {
        self.0.apply_slope(input, tangent, output);
    }

    fn backward(&self, input: &[T], upstream: &[T], downstream: &mut [T]) {
        self.0.apply_slope(input, upstream, downstream);
    }

    fn is_curved(&self) -> bool {
        self.0.is_curved()
    }

    /// φ″(z) ż u, the derivative of φ′(z) u along ż.
    fn add_curvature(&self, input: &[T], tangent: &[T], upstream: &[T], source: &mut [T]) {
        for (((sum, &z), &along), &above) in source.iter_mut().zip(input).zip(tangent).zip(upstream) {
            *sum += T::from_f64(self.0.curvature(z.as_f64())) * along * above;
        }
    }
}
