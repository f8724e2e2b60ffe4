//! DeepFool (Moosavi-Dezfooli, Fawzi and Frossard, arXiv 1511.04599): the nearest decision boundary, step by step.

use ndarray_rand::rand::Rng;

use super::smallest::{along_line, distance, scale};
use super::{Attack, Bounds, Model, Threat, Tunable};
use crate::network::{Norm, Real, loss};

/// Steps to the nearest boundary of the network linearised where the point is, until the prediction changes: with
/// w_k = ∂ₓf_k − ∂ₓf_y the boundary of class k is |f_k − f_y|/‖w_k‖_q away, in the direction that attains Hölder's bound of
/// w_k. In a box each step goes to the nearest point of the boundary that the box holds: min ‖r‖ₚ with w_k·r = f_y − f_k. Then
/// the point moves back along the line to the input until it only just succeeds. Exact for a linear classifier, with a box or
/// without. An input whose prediction is not its label stays. Where one class is the target, only its boundary counts, with the class
/// that is predicted at the point in the label's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeepFool {
    /// The norm ‖·‖ₚ that is made small.
    pub norm: Norm,
    /// Most steps.
    pub steps: usize,
}

/// How far a step goes, over the distance of the boundary: a little beyond it.
const OVERSHOOT: f64 = 1.02;

impl Tunable for DeepFool {
    fn steps_mut(&mut self) -> Option<&mut usize> {
        Some(&mut self.steps)
    }
}

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
        let mut point = input.to_vec();
        for _ in 0..self.steps {
            let boundary = self.nearest_boundary(model, &point, label, bounds)?;
            // A step that the box bends is shortest where it ends on the boundary, not where it goes beyond.
            let shares: &[f64] = if bounds.is_some() { &[1.0, OVERSHOOT] } else { &[OVERSHOOT] };
            for &share in shares {
                self.step(&boundary, &point, share, least, bounds, perturbed);
                // A boundary so far away that numbers do not reach it is none.
                if !perturbed.iter().all(|value| value.is_finite()) {
                    perturbed.copy_from_slice(&point);
                    return None;
                }
                if model.is_fooled(perturbed, label) {
                    return Some(along_line(self.norm, model, input, label, bounds, perturbed));
                }
            }
            if *perturbed == *point {
                return None;
            }
            point.copy_from_slice(perturbed);
        }
        None
    }
}

/// The boundary of a class, of the network linearised where the point is.
struct Boundary<T> {
    /// w_k = ∂ₓf_k − ∂ₓf_y.
    slope: Vec<T>,
    /// ‖w_k‖_q.
    steepness: f64,
    /// f_y − f_k and what makes the two differ by more than a tie, for which w_k·r has to make up.
    rise: f64,
}

impl DeepFool {
    /// The nearest boundary of the linearised network at `point` that lies in the box; where none does, the one of which the box
    /// leaves the largest share of the way. `None` where there is none, or a logit or a gradient is not finite.
    fn nearest_boundary<T: Real>(
        &self,
        model: &mut Model<'_, T>,
        point: &[T],
        label: usize,
        bounds: Option<Bounds>,
    ) -> Option<Boundary<T>> {
        let target = model.target();
        let logits = model.logits(point).to_vec();
        let label = if target.is_some() { loss::prediction(&logits) } else { label };
        let of_label = model.logit_gradient(label).to_vec();
        let mut nearest: Option<(Boundary<T>, Reach)> = None;
        let mut end = point.to_vec();
        let counts = |class: usize| class != label && target.is_none_or(|target| target == class);
        for (class, logit) in logits.iter().enumerate().filter(|(class, _)| counts(*class)) {
            let gradient = model.logit_gradient(class);
            let slope: Vec<T> = gradient.iter().zip(&of_label).map(|(&one, &other)| one - other).collect();
            let steepness = self.norm.dual().of(&slope);
            if !(steepness.is_finite() && logit.is_finite() && logits[label].is_finite()) {
                return None;
            }
            if steepness == 0.0 {
                continue;
            }
            // A little beyond the boundary: on it logits are equal, and the prediction may be the label still.
            let rise = (logits[label] - *logit).as_f64().abs() + 2.0 * loss::tie_margin(&logits);
            let boundary = Boundary { slope, steepness, rise };
            let reach = match bounds {
                None => Reach::Boundary(rise / steepness),
                Some(_) => self.step(&boundary, point, 1.0, 0.0, bounds, &mut end),
            };
            if nearest.as_ref().is_none_or(|(_, other)| reach.is_better_than(*other)) {
                nearest = Some((boundary, reach));
            }
        }
        nearest.map(|(boundary, _)| boundary)
    }

    /// Writes point + r with the smallest ‖r‖ for which w·r is a `share` of the rise, and `least` more where r is free, within the
    /// box: coordinates that the steepest step would take out of it are held at the bound, and the others go on for them, until none
    /// is left outside. Exact, for a coordinate that was held stays so when the others go on. Where the box holds every
    /// coordinate, the corner in which w·r is largest.
    fn step<T: Real>(
        &self,
        boundary: &Boundary<T>,
        point: &[T],
        share: f64,
        least: f64,
        bounds: Option<Bounds>,
        end: &mut [T],
    ) -> Reach {
        let dual = self.norm.dual();
        let mut free = boundary.slope.clone();
        let mut direction = vec![T::zero(); point.len()];
        let mut length = share * (boundary.rise / boundary.steepness) + least;
        let mut gained = 0.0;
        end.copy_from_slice(point);
        loop {
            dual.steepest_direction(&free, &mut direction);
            let Some(bounds) = bounds else {
                let size = T::from_f64(length);
                end.iter_mut().zip(&direction).for_each(|(moved, &along)| *moved += size * along);
                return Reach::Boundary(length);
            };
            let [low, high] = bounds.ends().map(T::from_f64);
            let size = T::from_f64(length);
            let mut holds_more = false;
            for ((slope, &along), (moved, &x)) in free.iter_mut().zip(&direction).zip(end.iter_mut().zip(point)) {
                if along == T::zero() {
                    continue;
                }
                *moved = x + size * along;
                let (bound, is_outside) = if along > T::zero() { (high, *moved > high) } else { (low, *moved < low) };
                if is_outside {
                    gained += slope.as_f64() * (bound - x).as_f64();
                    (*moved, *slope, holds_more) = (bound, T::zero(), true);
                }
            }
            if !holds_more {
                return Reach::Boundary(distance(self.norm, point, end));
            }
            let steepness = dual.of(&free);
            if steepness == 0.0 {
                return Reach::Corner(gained / boundary.rise);
            }
            let wanted = share * boundary.rise + least * boundary.steepness;
            length = (wanted - gained).max(0.0) / steepness;
        }
    }
}

/// How far a step comes.
#[derive(Debug, Clone, Copy)]
enum Reach {
    /// To the boundary, with this ‖r‖.
    Boundary(f64),
    /// To a corner of the box, after this share of the rise.
    Corner(f64),
}

impl Reach {
    fn is_better_than(self, other: Self) -> bool {
        match (self, other) {
            (Self::Boundary(one), Self::Boundary(other)) => one < other,
            (Self::Corner(one), Self::Corner(other)) => one > other,
            (Self::Boundary(_), Self::Corner(_)) => true,
            (Self::Corner(_), Self::Boundary(_)) => false,
        }
    }
}
