//! Gradient penalties by exact double-backpropagation (Drucker and LeCun 1991, for q = 2).

use ndarray_rand::rand::Rng;
use rayon::prelude::*;

use super::super::BatchModel;
use super::{Choices, Keyed, ObjectiveRule};
use crate::network::{Norm, Real};

/// mean (L + (εₚ/2) ‖∂ₓL‖_q) with εₚ = ε d^(1/p), 1/p + 1/q = 1: to first order the mean of the losses before and after the
/// strongest attack of size εₚ in ‖·‖ₚ (Proposition 3).
///
/// With v the derivative of the penalty with respect to ∂ₓL, held fixed, the penalty's parameter gradient is that of ⟨v, ∂ₓL⟩, the
/// derivative of ΣL along v: a tangent pass along v, then one backward pass for the sum. Exact away from kinks of ReLUs and maxima,
/// and through the statistics of the batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientPenalty {
    /// ‖·‖_q.
    pub norm: Norm,
    /// ε.
    pub strength: f64,
}

impl Keyed for GradientPenalty {
    const SUMMARY: &'static str = "L + (εₚ/2)‖∂ₓL‖_q for any `norm` q ≥ 1, with εₚ = ε d^(1/p) and 1/p + 1/q = 1: exact \
                                   double-backpropagation, a tangent pass over the backward pass, through batch statistics too";
    const KEYS: &'static [&'static str] = &["norm", "strength"];

    fn chosen(Choices { norm, strength, .. }: Choices) -> Self {
        Self { norm, strength }
    }
}

impl ObjectiveRule for GradientPenalty {
    fn passes(&self, _: usize) -> f64 {
        2.0
    }

    fn accumulate<T: Real>(
        &self,
        model: &mut BatchModel<T>,
        input: &[T],
        labels: &[usize],
        _: &mut impl Rng,
        seen: impl FnOnce(&BatchModel<T>),
    ) -> f64 {
        let dimension = model.architecture().dimension();
        model.forward(input);
        seen(model);
        let loss = model.mean_loss(labels);
        let weight = 0.5 * self.strength * self.norm.dimension_factor(dimension) / labels.len() as f64;
        let factor = T::from_f64(weight);
        let gradients = model.loss_gradient(labels);
        let mut directions = vec![T::zero(); gradients.len()];
        let norms: Vec<f64> = directions
            .par_chunks_mut(dimension)
            .zip(gradients.par_chunks(dimension))
            .map(|(direction, gradient)| {
                self.norm.steepest_direction(gradient, direction);
                direction.iter_mut().for_each(|value| *value *= factor);
                self.norm.of(gradient)
            })
            .collect();
        model.add_tangent_gradient(&directions);
        model.accumulate_with_curvature(labels);
        loss + weight * norms.iter().sum::<f64>()
    }
}
