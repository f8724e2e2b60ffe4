//! What training minimises. One file holds one objective.

mod augmentation;
mod cross_lipschitz;
mod gradient_penalty;
mod plain;
mod projected_gradient;

pub use augmentation::AdversarialAugmentation;
pub use cross_lipschitz::CrossLipschitz;
pub use gradient_penalty::GradientPenalty;
pub use plain::Plain;
pub use projected_gradient::ProjectedGradient;

use ndarray_rand::rand::Rng;

use super::BatchModel;
use crate::network::{Norm, Real};

/// What chooses one objective of a kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choices {
    /// ε, or the factor of a penalty that has no size of attack.
    pub strength: f64,
    /// The norm, of kinds that have one.
    pub norm: Norm,
    /// The steps of an attack, of kinds that take several.
    pub steps: usize,
}

impl Default for Choices {
    fn default() -> Self {
        Self { strength: 0.0, norm: Norm::INFINITY, steps: 7 }
    }
}

/// A kind of objective.
#[derive(Debug, Clone, Copy)]
pub struct ObjectiveKind {
    /// Its name in specs.
    pub name: &'static str,
    /// What it minimises, in a line of the reference.
    pub summary: &'static str,
    /// Which of [`Choices`] it has.
    pub keys: &'static [&'static str],
    /// The objective of these choices.
    pub chosen: fn(Choices) -> Objective,
}

/// How specs say which objective of its kind one is.
pub trait Keyed {
    /// What it minimises, in a line of the reference.
    const SUMMARY: &'static str;
    /// Which of [`Choices`] it has, as specs write them: `norm`, `steps`, `strength`.
    const KEYS: &'static [&'static str];

    /// The objective of these choices.
    fn chosen(choices: Choices) -> Self;
}

/// An objective, a function of the parameters and of a batch.
pub trait ObjectiveRule {
    /// How many times the multiplications of a step on the loss alone a step takes, about, of networks with so many logits.
    fn passes(&self, outputs: usize) -> f64;

    /// Adds the parameter gradient of the objective at this batch to what the model collects
    /// ([`BatchModel::take_gradient`]), and returns the objective. `seen` is called once, after the forward pass whose statistics of
    /// the batch are to be those of the network: that at the samples themselves, where the objective has one.
    fn accumulate<T: Real>(
        &self,
        model: &mut BatchModel<T>,
        input: &[T],
        labels: &[usize],
        rng: &mut impl Rng,
        seen: impl FnOnce(&BatchModel<T>),
    ) -> f64;
}

/// Makes the [`Objective`] enum and its dispatch from the table of objectives.
macro_rules! objectives {
    ($($objective:ident, $name:literal;)*) => {
        /// Any objective.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum Objective {
            $(#[doc = concat!("`", $name, "`")] $objective($objective),)*
        }

        impl Objective {
            /// All kinds of objectives.
            pub const KINDS: &[ObjectiveKind] = &[
                $(ObjectiveKind {
                    name: $name,
                    summary: $objective::SUMMARY,
                    keys: $objective::KEYS,
                    chosen: |choices| Self::$objective($objective::chosen(choices)),
                }),*
            ];

            /// The objective's kind, as specs write it.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$objective(_) => $name,)* }
            }
        }

        impl ObjectiveRule for Objective {
            fn passes(&self, outputs: usize) -> f64 {
                match self { $(Self::$objective(objective) => objective.passes(outputs),)* }
            }

            fn accumulate<T: Real>(
                &self,
                model: &mut BatchModel<T>,
                input: &[T],
                labels: &[usize],
                rng: &mut impl Rng,
                seen: impl FnOnce(&BatchModel<T>),
            ) -> f64 {
                match self { $(Self::$objective(objective) => objective.accumulate(model, input, labels, rng, seen),)* }
            }
        }
    };
}

objectives! {
    Plain, "plain";
    GradientPenalty, "gradient-penalty";
    AdversarialAugmentation, "augmentation";
    ProjectedGradient, "pgd";
    CrossLipschitz, "cross-lipschitz";
}

#[cfg(test)]
mod tests;
