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
use crate::network::Real;

/// An objective, a function of the parameters and of a batch.
pub trait ObjectiveRule {
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
            /// The objective's kind, as specs write it.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$objective(_) => $name,)* }
            }
        }

        impl ObjectiveRule for Objective {
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
