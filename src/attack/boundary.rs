//! The boundary attack (Brendel, Rauber and Bethge, arXiv 1712.04248): from decisions alone, without a gradient.

use ndarray_rand::rand::Rng;
use rand_distr::StandardNormal;

use super::smallest::{along_line, distance, scale};
use super::{Attack, Bounds, Model, Threat, Tunable};
use crate::network::{Norm, Real};

/// A random walk in ‖·‖₂ on the far side of the decision boundary, towards the input. It starts where a random point that fools
/// the network is blended with the input until it only just does. A proposal moves along the sphere around the input, by a
/// share δ of its radius, then a share ε of it towards the input; it is taken where it still fools the network. δ and ε
/// adapt so that half of the moves along the sphere, and a quarter of those inwards behind them, succeed. An input whose
/// prediction is not its label stays, and so does one for which no start is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Boundary {
    /// Proposals; each asks the network once or twice.
    pub steps: usize,
}

/// Random points that are tried as a start.
const STARTS: usize = 200;

/// Points of one scale among them, where there is no box; the scale doubles after each of them.
const STARTS_OF_A_SCALE: usize = 20;

/// Shares that the walk starts with, and the most they become.
const FIRST_SHARES: [f64; 2] = [0.1, 0.1];
const LARGEST_SHARES: [f64; 2] = [1.0, 0.5];

/// Shares of proposals that are to succeed, and how fast the logarithms of the shares adapt.
const SUCCESSES: [f64; 2] = [0.5, 0.25];
const RATE: f64 = 0.1;

impl Tunable for Boundary {
    fn steps_mut(&mut self) -> Option<&mut usize> {
        Some(&mut self.steps)
    }

    fn is_random(&self) -> bool {
        true
    }
}

impl Attack for Boundary {
    fn norm(&self) -> Norm {
        Norm::TWO
    }

    fn finds_its_size(&self) -> bool {
        true
    }

    /// The smallest perturbation that was found, or what of it the ball holds.
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
        threat.project(self.norm(), input, perturbed);
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
        perturbed.copy_from_slice(input);
        if model.is_fooled(input, label) {
            return Some(0.0);
        }
        if !start(model, input, label, bounds, rng, perturbed) {
            perturbed.copy_from_slice(input);
            return None;
        }
        along_line(Norm::TWO, model, input, label, bounds, perturbed);
        let mut shares = FIRST_SHARES;
        let mut point = vec![T::zero(); input.len()];
        let clip = |point: &mut [T]| {
            if let Some(bounds) = bounds {
                bounds.clip(point);
            }
        };
        for _ in 0..self.steps {
            propose(input, perturbed, shares[0], rng, &mut point);
            clip(&mut point);
            let along = model.is_fooled(&point, label);
            adapt(&mut shares, 0, along);
            if along {
                let rest = T::from_f64(1.0 - shares[1]);
                point.iter_mut().zip(input).for_each(|(value, &x)| *value = x + rest * (*value - x));
                clip(&mut point);
                let inwards = model.is_fooled(&point, label);
                adapt(&mut shares, 1, inwards);
                if inwards {
                    perturbed.copy_from_slice(&point);
                }
            }
        }
        Some(along_line(Norm::TWO, model, input, label, bounds, perturbed))
    }
}

/// Looks for a random point that fools the network: uniform in the box, or the input with Gaussian noise of growing size.
fn start<T: Real>(
    model: &mut Model<'_, T>,
    input: &[T],
    label: usize,
    bounds: Option<Bounds>,
    rng: &mut impl Rng,
    point: &mut [T],
) -> bool {
    let scale = scale(input, bounds);
    (0..STARTS).any(|attempt| {
        let size = scale * 2f64.powi((attempt / STARTS_OF_A_SCALE) as i32 - 2);
        for (value, &x) in point.iter_mut().zip(input) {
            *value = match bounds.map(Bounds::ends) {
                Some([low, high]) => T::from_f64(rng.random_range(low..=high)),
                None => x + T::from_f64(size * rng.sample::<f64, _>(StandardNormal)),
            };
        }
        if let Some(bounds) = bounds {
            // Single precision may round beyond the bounds.
            bounds.clip(point);
        }
        model.is_fooled(point, label)
    })
}

/// Writes a random neighbour of `from` on the sphere around `input`: a Gaussian step of length δ times the radius, orthogonal to
/// the line from the input, then back to the sphere.
fn propose<T: Real>(input: &[T], from: &[T], share: f64, rng: &mut impl Rng, point: &mut [T]) {
    let radius = distance(Norm::TWO, input, from);
    point.iter_mut().for_each(|value| *value = T::from_f64(rng.sample::<f64, _>(StandardNormal)));
    let outward = |index: usize| (from[index] - input[index]).as_f64() / radius;
    let along: f64 = point.iter().enumerate().map(|(index, value)| value.as_f64() * outward(index)).sum();
    let squares: f64 =
        point.iter().enumerate().map(|(index, value)| (value.as_f64() - along * outward(index)).powi(2)).sum();
    // In one dimension nothing is orthogonal.
    let factor = if squares > 0.0 { share / squares.sqrt() } else { 0.0 };
    let onto_sphere = radius / (1.0 + (factor * squares.sqrt()).powi(2)).sqrt();
    for (index, value) in point.iter_mut().enumerate() {
        let step = factor * (value.as_f64() - along * outward(index));
        *value = input[index] + T::from_f64(onto_sphere * (outward(index) + step));
    }
}

/// Lets a share grow after a success and shrink after a failure, so that successes are as frequent as they are to be.
fn adapt(shares: &mut [f64; 2], which: usize, success: bool) {
    let excess = f64::from(u8::from(success)) - SUCCESSES[which];
    shares[which] = (shares[which] * (RATE * excess).exp()).min(LARGEST_SHARES[which]);
}
