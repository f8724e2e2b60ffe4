//! Training on projected gradient attacks (Madry et al., arXiv 1706.06083).

use ndarray_rand::rand::Rng;

use super::super::BatchModel;
use super::{Choices, Keyed, ObjectiveRule};
use crate::attack::{self, Ascent, Threat};
use crate::network::{Norm, Real};

/// mean L(x + δ), δ from K projected steps from a random start with |δᵢ| ≤ ε, held fixed
/// ([`attack::ProjectedGradient`]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProjectedGradient {
    /// ε.
    pub strength: f64,
    /// K.
    pub steps: usize,
}

impl Keyed for ProjectedGradient {
    const SUMMARY: &'static str =
        "L(x + δ), δ from `steps` projected steps of ε/(0.75 K) from a random start with |δᵢ| ≤ ε";
    const KEYS: &'static [&'static str] = &["steps", "strength"];

    fn chosen(Choices { steps, strength, .. }: Choices) -> Self {
        Self { strength, steps }
    }
}

impl ObjectiveRule for ProjectedGradient {
    fn passes(&self, _: usize) -> f64 {
        1.0 + self.steps as f64
    }

    fn accumulate<T: Real>(
        &self,
        model: &mut BatchModel<T>,
        input: &[T],
        labels: &[usize],
        rng: &mut impl Rng,
        seen: impl FnOnce(&BatchModel<T>),
    ) -> f64 {
        let attack = attack::ProjectedGradient { norm: Norm::INFINITY, steps: self.steps, step_size: None };
        let mut perturbed = input.to_vec();
        attack.ascend(model, input, labels, Threat::unbounded(self.strength), rng, &mut perturbed);
        model.forward(&perturbed);
        seen(model);
        model.accumulate_loss(labels, 1.0);
        model.mean_loss(labels)
    }
}
