//! Cross-Lipschitz regularisation (Hein and Andriushchenko, arXiv 1705.08475).

use ndarray_rand::rand::Rng;

use super::super::BatchModel;
use super::{Choices, Keyed, ObjectiveRule};
use crate::network::Real;

/// mean L + c · (2/(n K²)) Σᵢ Σ_{l<m} ‖∂ₓf_l − ∂ₓf_m‖₂² over the n samples of the batch and the K logits.
///
/// The penalty's derivative with respect to ∂ₓf_l is v_l = c (4/(n K²)) (K ∂ₓf_l − Σ_m ∂ₓf_m); its parameter gradient is the sum of
/// those of ⟨v_l, ∂ₓf_l⟩, of each a tangent pass along v_l. What they need of a backward pass is linear, so that one backward pass,
/// the loss's own, does for all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossLipschitz {
    /// c.
    pub strength: f64,
}

impl Keyed for CrossLipschitz {
    const SUMMARY: &'static str = "L + c (2/K²) Σ_{l<m} ‖∂ₓf_l − ∂ₓf_m‖₂² over the K logits, c the strength";
    const KEYS: &'static [&'static str] = &["strength"];

    fn chosen(Choices { strength, .. }: Choices) -> Self {
        Self { strength }
    }
}

impl ObjectiveRule for CrossLipschitz {
    fn passes(&self, outputs: usize) -> f64 {
        1.5 * outputs as f64
    }

    fn accumulate<T: Real>(
        &self,
        model: &mut BatchModel<T>,
        input: &[T],
        labels: &[usize],
        _: &mut impl Rng,
        seen: impl FnOnce(&BatchModel<T>),
    ) -> f64 {
        let logits = model.architecture().outputs();
        model.forward(input);
        seen(model);
        let gradients: Vec<Vec<T>> = (0..logits).map(|logit| model.logit_gradient(logit).to_vec()).collect();
        let mut sum = vec![T::zero(); input.len()];
        for gradient in &gradients {
            sum.iter_mut().zip(gradient).for_each(|(sum, &value)| *sum += value);
        }
        let count = (labels.len() * logits * logits) as f64;
        let [own, common] = [4.0 * logits as f64, -4.0].map(|factor| T::from_f64(self.strength * factor / count));
        for (logit, gradient) in gradients.iter().enumerate() {
            model.backpropagate_logit(logit);
            let direction: Vec<T> = gradient.iter().zip(&sum).map(|(&g, &total)| own * g + common * total).collect();
            model.add_tangent_gradient(&direction);
        }
        model.accumulate_loss(labels, 1.0);
        // Σ_{l<m} ‖g_l − g_m‖² = K Σ‖g_l‖² − ‖Σ g_l‖².
        let square = |values: &[T]| values.iter().map(|value| value.as_f64().powi(2)).sum::<f64>();
        let pairs = logits as f64 * gradients.iter().map(|gradient| square(gradient)).sum::<f64>() - square(&sum);
        model.mean_loss(labels) + self.strength * 2.0 * pairs / count
    }
}
