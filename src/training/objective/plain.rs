//! The mean loss and nothing else.

use ndarray_rand::rand::Rng;

use super::super::BatchModel;
use super::{Choices, Keyed, ObjectiveRule};
use crate::network::Real;

/// mean L, L the softmax cross-entropy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plain;

impl Keyed for Plain {
    const SUMMARY: &'static str = "the softmax cross-entropy L";
    const KEYS: &'static [&'static str] = &[];

    fn chosen(_: Choices) -> Self {
        Self
    }
}

impl ObjectiveRule for Plain {
    fn passes(&self, _: usize) -> f64 {
        1.0
    }

    fn accumulate<T: Real>(
        &self,
        model: &mut BatchModel<T>,
        input: &[T],
        labels: &[usize],
        _: &mut impl Rng,
        seen: impl FnOnce(&BatchModel<T>),
    ) -> f64 {
        model.forward(input);
        seen(model);
        model.accumulate_loss(labels, 1.0);
        model.mean_loss(labels)
    }
}
