//! DeepFool (Moosavi-Dezfooli, Fawzi and Frossard, arXiv 1511.04599): the nearest decision boundary, step by step.

use ndarray_rand::rand::Rng;

use super::gradient_step::step;
use super::smallest::{along_line, scale};
use super::{Attack, Bounds, Model, Threat};
use crate::network::{Norm, Real};

/// Steps to the nearest boundary of the network linearised where the point is, until the prediction changes: with
/// w_k = ∂ₓf_k − ∂ₓf_y the boundary of class k is |f_k − f_y|/‖w_k‖_q away, in the direction that attains Hölder's bound of
/// w_k. Each step is clipped to the box; then the point moves back along the line to the input until it only just succeeds. Exact
/// for a linear classifier without a box. An input whose prediction is not its label stays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeepFool {
    /// The norm ‖·‖ₚ that is made small.
    pub norm: Norm,
    /// Most steps.
    pub steps: usize,
}

/// How far a step goes, over the distance of the boundary: a little beyond it.
const OVERSHOOT: f64 = 1.02;

impl Attack for DeepFool {
    fn norm(&self) -> Norm {
        self.norm
    }

    fn finds_its_size(&self) -> bool {
        true
    }

    /// The smallest perturbation, or what of it the ball holds.
    fn perturb<T: Real>(
        &self,
        model: &mut Model<'_, T>,
        input: &[T],
        label: usize,
        threat: Threat,
        rng: &mut (impl Rng + Clone),
        perturbed: &mut [T],
    ) {
        self.smallest(model, input, label, threat.bounds, rng, perturbed);
        threat.project(self.norm, input, perturbed);
    }

    fn smallest<T: Real>(
        &self,
        model: &mut Model<'_, T>,
        input: &[T],
        label: usize,
        bounds: Option<Bounds>,
        _: &mut (impl Rng + Clone),
        perturbed: &mut [T],
    ) -> Option<f64> {
        perturbed.copy_from_slice(input);
        if model.is_fooled(input, label) {
            return Some(0.0);
        }
        // Where two logits are all but equal, rounding would swallow the step.
        let least = 4.0 * T::epsilon().as_f64() * scale(input, bounds) * self.norm.uniform_size(input.len());
        let mut direction = vec![T::zero(); input.len()];
        for _ in 0..self.steps {
            let nearest = self.nearest_boundary(model, perturbed, label, &mut direction)?;
            step(&mut direction, OVERSHOOT * nearest + least, perturbed);
            perturbed.copy_from_slice(&direction);
            if let Some(bounds) = bounds {
                bounds.clip(perturbed);
            }
            if model.is_fooled(perturbed, label) {
                return Some(along_line(self.norm, model, input, label, bounds, perturbed));
            }
        }
        None
    }
}

impl DeepFool {
    /// The distance of the nearest boundary of the linearised network at `point`, and the direction to it; `None` where there is
    /// none, or a logit or a gradient is not finite.
    fn nearest_boundary<T: Real>(
        &self,
        model: &mut Model<'_, T>,
        point: &[T],
        label: usize,
        direction: &mut [T],
    ) -> Option<f64> {
        let logits = model.logits(point).to_vec();
        let of_label = model.logit_gradient(label).to_vec();
        let dual = self.norm.dual();
        let mut nearest = None;
        for (class, logit) in logits.iter().enumerate().filter(|(class, _)| *class != label) {
            let gradient = model.logit_gradient(class);
            let difference: Vec<T> = gradient.iter().zip(&of_label).map(|(&one, &other)| one - other).collect();
            let slope = dual.of(&difference);
            let distance = (logits[label] - *logit).as_f64().abs() / slope;
            if !(slope.is_finite() && logit.is_finite() && logits[label].is_finite()) {
                return None;
            }
            if slope > 0.0 && nearest.is_none_or(|least| distance < least) {
                nearest = Some(distance);
                dual.steepest_direction(&difference, direction);
            }
        }
        nearest
    }
}
