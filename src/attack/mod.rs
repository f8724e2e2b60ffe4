//! Attacks: given a network, an input, its label and a size, a perturbed input that raises the loss.
//!
//! One file holds one attack. An attack in ‖·‖ₚ of size εₚ moves the input by δ with ‖δ‖ₚ ≤ εₚ; sizes that compare across p and
//! dimension are εₚ = ε_∞ d^(1/p), a perturbation of ε_∞ in every coordinate ([`Norm::uniform_size`]).

mod gradient_step;
mod model;
mod pgd;

pub use gradient_step::GradientStep;
pub use model::Model;
pub use pgd::ProjectedGradient;

use ndarray_rand::rand::Rng;

use crate::network::{Norm, Real};

/// A way to perturb an input.
pub trait Attack {
    /// The norm ‖·‖ₚ in which the perturbation is bounded.
    fn norm(&self) -> Norm;

    /// Writes an input within `size` of `input` in [`norm`](Self::norm) that raises the loss with this label.
    fn perturb<T: Real>(
        &self,
        model: &mut Model<'_, T>,
        input: &[T],
        label: usize,
        size: f64,
        rng: &mut impl Rng,
        perturbed: &mut [T],
    );
}

/// Any attack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AnyAttack {
    /// `fgsm`, `l2`
    GradientStep(GradientStep),
    /// `pgd`, `pgd-l2`
    ProjectedGradient(ProjectedGradient),
}

impl AnyAttack {
    /// The attack of this name: `fgsm` (one step of ε sign ∂ₓL), `l2` (one step along ∂ₓL), `pgd` and `pgd-l2` (seven projected
    /// steps from a random start).
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "fgsm" => Self::GradientStep(GradientStep { norm: Norm::INFINITY }),
            "l2" => Self::GradientStep(GradientStep { norm: Norm::TWO }),
            "pgd" => Self::ProjectedGradient(ProjectedGradient { norm: Norm::INFINITY, steps: 7 }),
            "pgd-l2" => Self::ProjectedGradient(ProjectedGradient { norm: Norm::TWO, steps: 7 }),
            _ => return None,
        })
    }
}

impl Attack for AnyAttack {
    fn norm(&self) -> Norm {
        match self {
            Self::GradientStep(attack) => attack.norm(),
            Self::ProjectedGradient(attack) => attack.norm(),
        }
    }

    fn perturb<T: Real>(
        &self,
        model: &mut Model<'_, T>,
        input: &[T],
        label: usize,
        size: f64,
        rng: &mut impl Rng,
        perturbed: &mut [T],
    ) {
        match self {
            Self::GradientStep(attack) => attack.perturb(model, input, label, size, rng, perturbed),
            Self::ProjectedGradient(attack) => attack.perturb(model, input, label, size, rng, perturbed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{
        Architecture, Dense, Initialisation, Parameters, Relu, Shape, Tape, WeightDistribution, loss,
    };
    use ndarray_rand::rand::SeedableRng;
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;

    proptest! {
        /// Every attack stays inside its ball; a small step raises the loss by εₚ‖∂ₓL‖_q to first order, and a linear
        /// network's loss, which is convex along any line, by at least that at any size.
        #[test]
        fn attacks_keep_their_size_and_reach_the_first_order_damage(seed in any::<u64>(), epsilon in 1e-4f64..2.0) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let linear = seed % 2 == 0;
            let mut layers = vec![Dense::new(6).into()];
            if !linear {
                layers.push(Relu.into());
            }
            layers.push(Dense::new(3).into());
            let network = Architecture::new(Shape::new([12]).unwrap(), layers).unwrap();
            let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
            let parameters: Parameters<f64> = initialisation.draw(&network, &mut rng);
            let input: Vec<f64> = (0..12).map(|_| WeightDistribution::Normal.draw(&mut rng)).collect();
            let mut tape = Tape::new(&network);
            let before = loss::cross_entropy(tape.forward(&network, &parameters, &input), 1);
            let gradient = tape.loss_gradient(&network, &parameters, 1).to_vec();
            let mut model = Model::new(&network, &parameters, &mut tape);
            for name in ["fgsm", "l2", "pgd", "pgd-l2"] {
                let attack = AnyAttack::named(name).unwrap();
                let mut perturbed = vec![0.0; 12];
                let damage = |model: &mut Model<'_, f64>, size: f64, rng: &mut ChaCha8Rng, perturbed: &mut [f64]| {
                    attack.perturb(model, &input, 1, size, rng, perturbed);
                    loss::cross_entropy(model.logits(perturbed), 1) - before
                };
                let raised = damage(&mut model, epsilon, &mut rng, &mut perturbed);
                let delta: Vec<f64> = perturbed.iter().zip(&input).map(|(moved, x)| moved - x).collect();
                prop_assert!(attack.norm().of(&delta) <= epsilon * (1.0 + 1e-9), "{name}");
                let predicted = attack.norm().dual().of(&gradient);
                prop_assert!(!linear || !["fgsm", "l2"].contains(&name) || raised >= epsilon * predicted - 1e-12);
                let small = damage(&mut model, 1e-7, &mut rng, &mut perturbed) / 1e-7;
                // Steps cover 4/3 of the radius, so a coordinate that starts at the wrong edge ends at a third of it.
                let least = if name.starts_with("pgd") { 0.333 } else { 0.999 };
                prop_assert!(small >= least * predicted - 1e-6, "{name}: {small} {predicted}");
                prop_assert!(small <= 1.001 * predicted + 1e-6, "{name}: {small} {predicted}");
            }
        }
    }
}
