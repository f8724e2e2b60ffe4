//! An attack several times from other random numbers, of which the worst for the network counts.

use ndarray_rand::rand::Rng;

use super::{Attack, Bounds, Model, Threat};
use crate::network::{Norm, Real};
use crate::stream::{Stream, StreamKey};

/// The worst of several attacks on one sample (Madry et al., arXiv 1706.06083): one that succeeds before one that does not, then the one
/// with the largest loss; of smallest perturbations the smallest. The first takes the random numbers that it would take alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Restarts<A> {
    /// What is tried.
    pub attack: A,
    /// How often, at least once.
    pub count: usize,
}

impl<A: Attack> Restarts<A> {
    /// Calls `try_once` for each restart but the first, with random numbers of its own.
    fn again<R: Rng>(&self, rng: &mut R, mut try_once: impl FnMut(&mut Stream)) {
        if self.count > 1 {
            let key = StreamKey::from_random(rng);
            (1..self.count as u64).for_each(|restart| try_once(&mut key.draw(restart)));
        }
    }
}

impl<A: Attack> Attack for Restarts<A> {
    fn norm(&self) -> Norm {
        self.attack.norm()
    }

    fn finds_its_size(&self) -> bool {
        self.attack.finds_its_size()
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
        self.attack.perturb(model, input, label, threat, rng, perturbed);
        if self.count == 1 {
            return;
        }
        let mut worst = model.standing(perturbed, label);
        let mut point = perturbed.to_vec();
        self.again(rng, |rng| {
            self.attack.perturb(model, input, label, threat, rng, &mut point);
            let found = model.standing(&point, label);
            if found > worst {
                worst = found;
                perturbed.copy_from_slice(&point);
            }
        });
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
        let mut smallest = self.attack.smallest(model, input, label, bounds, rng, perturbed);
        let mut point = perturbed.to_vec();
        self.again(rng, |rng| {
            let found = self.attack.smallest(model, input, label, bounds, rng, &mut point);
            if found.is_some_and(|size| smallest.is_none_or(|other| size < other)) {
                smallest = found;
                perturbed.copy_from_slice(&point);
            }
        });
        smallest
    }
}
