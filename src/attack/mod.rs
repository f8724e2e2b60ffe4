//! Attacks: given a network, an input, its label and a size, a perturbed input that raises the loss.
//!
//! One file holds one attack. An attack in ‖·‖ₚ of size εₚ moves the input by δ with ‖δ‖ₚ ≤ εₚ, inside a box of allowed values
//! where there is one ([`Threat`]); sizes that compare across p and dimension are εₚ = ε_∞ d^(1/p), a perturbation of ε_∞ in every
//! coordinate ([`Norm::uniform_size`]). What attacks follow is the direction of ∂ₓL, which they compute without its scale
//! ([`Model::loss_direction`]): a network that is all but sure of the label is attacked like any other. Some attacks look for the
//! smallest perturbation that changes the prediction instead of the largest loss at a given size ([`Attack::finds_its_size`]); every
//! attack can be asked for it ([`Attack::smallest`]). Any of them can be aimed at one class ([`Model::towards`]) and tried again from
//! other random numbers ([`Restarts`]). What climbs the loss by its steepest directions ([`Ascent`]) attacks the samples
//! of a batch together as well, as training does.

mod ascent;
mod boundary;
mod deepfool;
mod gradient_step;
mod iterative;
mod model;
mod pgd;
mod restarts;
mod smallest;
mod state;
mod threat;

pub use ascent::{Ascent, LossDirections};
pub use boundary::Boundary;
pub use deepfool::DeepFool;
pub use gradient_step::GradientStep;
pub use iterative::Iterative;
pub use model::Model;
pub use pgd::ProjectedGradient;
pub use restarts::Restarts;
pub use state::State;
pub use threat::{Bounds, Threat};

use std::ops::RangeInclusive;

use ndarray_rand::rand::Rng;

use crate::network::{Norm, Real};

/// Sizes ε_∞ that make sense: smaller ones are lost in the rounding of the loss, larger ones beyond single precision.
pub const SIZES: RangeInclusive<f64> = 1e-10..=1e30;

/// A way to perturb an input.
pub trait Attack: Sized {
    /// The norm ‖·‖ₚ in which the perturbation is bounded.
    fn norm(&self) -> Norm;

    /// Whether the attack looks for the smallest perturbation that changes the prediction, whatever size is allowed. Of such an
    /// attack, [`perturb`](Self::perturb) is [`smallest`](Self::smallest) followed by [`Threat::project`].
    fn finds_its_size(&self) -> bool {
        false
    }

    /// Writes an input that the threat allows and that raises the loss with this label, from an `input` inside the box.
    fn perturb<T: Real>(
        &self,
        model: &mut Model<'_, T>,
        input: &[T],
        label: usize,
        threat: Threat,
        rng: &mut (impl Rng + Clone),
        perturbed: &mut [T],
    );

    /// Writes the smallest perturbed input found whose prediction is not the label, and returns its distance in
    /// [`norm`](Self::norm): 0 where that is so without a perturbation, `None` where none was found. Unless the attack has a way
    /// of its own, by bisection: the first success among sizes that double from 1/256 of the coordinates' scale (the width
    /// of the box or, without one, the input's root mean square; halving where the first succeeds), up to the box or to 64 times
    /// the scale, is bisected to 2⁻¹². Where success does not grow with the size, that is an upper bound.
    fn smallest<T: Real>(
        &self,
        model: &mut Model<'_, T>,
        input: &[T],
        label: usize,
        bounds: Option<Bounds>,
        rng: &mut (impl Rng + Clone),
        perturbed: &mut [T],
    ) -> Option<f64> {
        smallest::by_bisection(self, model, input, label, bounds, rng, perturbed)
    }
}

/// What may be chosen of an attack beside its size.
pub trait Tunable {
    /// How many steps it takes at most; `None` where that is no choice.
    fn steps_mut(&mut self) -> Option<&mut usize> {
        None
    }

    /// The size of its steps as a perturbation of one coordinate, itself `None` until it is chosen; `None` where that is no choice.
    fn step_size_mut(&mut self) -> Option<&mut Option<f64>> {
        None
    }

    /// Whether it draws random numbers, so that another start may end elsewhere.
    fn is_random(&self) -> bool {
        false
    }
}

/// Makes [`AnyAttack`] and its dispatch from the table of attacks.
macro_rules! attacks {
    ($($attack:ident, $names:literal;)*) => {
        /// Any attack.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum AnyAttack {
            $(#[doc = $names] $attack($attack),)*
        }

        impl Tunable for AnyAttack {
            fn steps_mut(&mut self) -> Option<&mut usize> {
                match self { $(Self::$attack(attack) => attack.steps_mut(),)* }
            }

            fn step_size_mut(&mut self) -> Option<&mut Option<f64>> {
                match self { $(Self::$attack(attack) => attack.step_size_mut(),)* }
            }

            fn is_random(&self) -> bool {
                match self { $(Self::$attack(attack) => attack.is_random(),)* }
            }
        }

        impl Attack for AnyAttack {
            fn norm(&self) -> Norm {
                match self { $(Self::$attack(attack) => attack.norm(),)* }
            }

            fn finds_its_size(&self) -> bool {
                match self { $(Self::$attack(attack) => attack.finds_its_size(),)* }
            }

            fn perturb<T: Real>(
                &self,
                model: &mut Model<'_, T>,
                input: &[T],
                label: usize,
                threat: Threat,
                rng: &mut (impl Rng + Clone),
                perturbed: &mut [T],
            ) {
                match self { $(Self::$attack(attack) => attack.perturb(model, input, label, threat, rng, perturbed),)* }
            }

            fn smallest<T: Real>(
                &self,
                model: &mut Model<'_, T>,
                input: &[T],
                label: usize,
                bounds: Option<Bounds>,
                rng: &mut (impl Rng + Clone),
                perturbed: &mut [T],
            ) -> Option<f64> {
                match self { $(Self::$attack(attack) => attack.smallest(model, input, label, bounds, rng, perturbed),)* }
            }
        }
    };
}

attacks! {
    GradientStep, "`fgsm`, `l2`";
    Iterative, "`ifgsm`, `il2`";
    ProjectedGradient, "`pgd`, `pgd-l2`";
    DeepFool, "`deepfool`, `deepfool-linf`";
    Boundary, "`boundary`";
}

/// Every attack by its name, with what it does in a line of the reference, and the steps it takes unless told otherwise.
const ATTACKS: [(&str, &str, AnyAttack); 9] = [
    (
        "fgsm",
        "one step of size ε along the sign of ∂ₓL, clipped to the box",
        AnyAttack::GradientStep(GradientStep { norm: Norm::INFINITY }),
    ),
    (
        "l2",
        "one step of size ε√d along ∂ₓL, clipped to the box",
        AnyAttack::GradientStep(GradientStep { norm: Norm::TWO }),
    ),
    (
        "ifgsm",
        "K steps of ε/(0.75 K) along the sign, each projected onto the ball and clipped",
        AnyAttack::Iterative(Iterative { norm: Norm::INFINITY, steps: 7, step_size: None }),
    ),
    ("il2", "the same in the ℓ₂ norm", AnyAttack::Iterative(Iterative { norm: Norm::TWO, steps: 7, step_size: None })),
    (
        "pgd",
        "`ifgsm` from a random start in the ball",
        AnyAttack::ProjectedGradient(ProjectedGradient { norm: Norm::INFINITY, steps: 7, step_size: None }),
    ),
    (
        "pgd-l2",
        "`il2` from a random start in the ball",
        AnyAttack::ProjectedGradient(ProjectedGradient { norm: Norm::TWO, steps: 7, step_size: None }),
    ),
    (
        "deepfool",
        "steps to the nearest boundary of the linearised network in the ℓ₂ norm, then back along the line",
        AnyAttack::DeepFool(DeepFool { norm: Norm::TWO, steps: 50 }),
    ),
    ("deepfool-linf", "the same in the ℓ_∞ norm", AnyAttack::DeepFool(DeepFool { norm: Norm::INFINITY, steps: 50 })),
    (
        "boundary",
        "a random walk along the boundary that asks for decisions only",
        AnyAttack::Boundary(Boundary { steps: 1000 }),
    ),
];

impl AnyAttack {
    /// The names of all attacks.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ATTACKS.iter().map(|(name, _, _)| *name)
    }

    /// What the attacks do, by name.
    pub fn summaries() -> impl Iterator<Item = (&'static str, &'static str)> {
        ATTACKS.iter().map(|(name, summary, _)| (*name, *summary))
    }

    /// The attack of this name: `fgsm` (one step of ε sign ∂ₓL), `l2` (one step along ∂ₓL), `ifgsm` and `il2` (seven
    /// projected steps), `pgd` and `pgd-l2` (the same from a random start), `deepfool` and `deepfool-linf` (at most fifty steps
    /// to the nearest boundary in ‖·‖₂ and ‖·‖_∞), `boundary` (a thousand random proposals in ‖·‖₂).
    pub fn named(name: &str) -> Option<Self> {
        ATTACKS.iter().find(|(known, _, _)| *known == name).map(|(_, _, attack)| *attack)
    }

    /// The name of the attack, with whichever number of steps.
    pub fn name(&self) -> &'static str {
        let is_same = |other: AnyAttack| {
            let other = self.steps().and_then(|steps| other.with_steps(steps)).unwrap_or(other);
            self.step_size().and_then(|size| other.with_step_size(size)).unwrap_or(other) == *self
        };
        // Every attack is one of the table, but for its steps.
        ATTACKS.iter().find(|(_, _, attack)| is_same(*attack)).map_or("", |(name, _, _)| name)
    }

    /// How many steps the attack takes at most; `None` where that is no choice.
    pub fn steps(&self) -> Option<usize> {
        let mut attack = *self;
        attack.steps_mut().copied()
    }

    /// The attack with so many steps; `None` where that is no choice.
    pub fn with_steps(mut self, steps: usize) -> Option<Self> {
        *self.steps_mut()? = steps;
        Some(self)
    }

    /// The attack with so many steps of this size, where they are given, to be tried so often.
    ///
    /// # Errors
    /// Names what is no choice of this attack.
    pub fn configured(self, steps: Option<usize>, step_size: Option<f64>, restarts: usize) -> Result<Self, String> {
        let name = self.name();
        let mut attack = self;
        if let Some(steps) = steps {
            let refused = || format!("steps {steps}: {name} takes one step; leave it out");
            attack = attack.with_steps(steps).ok_or_else(refused)?;
        }
        if let Some(size) = step_size {
            let refused = || format!("step-size {size}: {name} has no such steps; leave it out");
            attack = attack.with_step_size(size).ok_or_else(refused)?;
        }
        if restarts > 1 && !attack.is_random() {
            return Err(format!("restarts {restarts}: {name} draws no random numbers; leave it out"));
        }
        Ok(attack)
    }

    /// The attack with steps of this size, as a perturbation of one coordinate; `None` where that is no choice.
    pub fn with_step_size(mut self, size: f64) -> Option<Self> {
        *self.step_size_mut()? = Some(size);
        Some(self)
    }

    /// The size of its steps where it was chosen.
    pub fn step_size(&self) -> Option<f64> {
        let mut attack = *self;
        attack.step_size_mut().and_then(|size| *size)
    }
}

#[cfg(test)]
mod tests;
