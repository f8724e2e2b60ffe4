//! The smallest perturbation that fools a network: by bisection over the sizes of an attack, and along a line.

use ndarray_rand::rand::Rng;

use super::{Attack, Bounds, Model, Threat};
use crate::network::{Norm, Real};

/// Halvings of the bracket of the threshold, s to 2s: its upper end is then within 2⁻¹² of the lower one, relative to s.
const HALVINGS: usize = 12;

/// Halvings of a line from the input to a point that fools the network.
const LINE_HALVINGS: usize = 30;

/// The first size that is tried, over the scale of the coordinates.
const FIRST: f64 = 1.0 / 256.0;

/// Most doublings of the first size: to the width of the box, or to 64 times the scale where there is none.
const DOUBLINGS: usize = 8;
const DOUBLINGS_WITHOUT_BOX: usize = 14;

/// Most halvings of the first size.
const DIVISIONS: usize = 40;

/// The smallest size, within 2⁻¹², at which the attack fools the network, and where: the first success among sizes that double
/// (or the last among sizes that halve, where the first one succeeds), then bisection of that bracket. Where success does not grow
/// with the size this is an upper bound. Each size starts from the same random numbers. `None` where no size of the search does.
pub(super) fn by_bisection<T: Real>(
    attack: &impl Attack,
    model: &mut Model<'_, T>,
    input: &[T],
    label: usize,
    bounds: Option<Bounds>,
    rng: &mut (impl Rng + Clone),
    perturbed: &mut [T],
) -> Option<f64> {
    if model.is_fooled(input, label) {
        perturbed.copy_from_slice(input);
        return Some(0.0);
    }
    let mut succeeds = |size: f64, perturbed: &mut [T]| {
        attack.perturb(model, input, label, Threat { size, bounds }, &mut rng.clone(), perturbed);
        model.is_fooled(perturbed, label)
    };
    let first = FIRST * scale(input, bounds) * attack.norm().uniform_size(input.len());
    let mut high = first;
    let mut low = if succeeds(high, perturbed) {
        let mut sizes = (1..=DIVISIONS).map(|halvings| first * 0.5f64.powi(halvings as i32));
        let failure = sizes.find(|&size| {
            let fails = !succeeds(size, perturbed);
            if !fails {
                high = size;
            }
            fails
        });
        failure.unwrap_or(0.0)
    } else {
        let doublings = if bounds.is_some() { DOUBLINGS } else { DOUBLINGS_WITHOUT_BOX };
        let mut sizes = (1..=doublings).map(|doublings| first * 2f64.powi(doublings as i32));
        high = sizes.find(|&size| succeeds(size, perturbed))?;
        high / 2.0
    };
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if succeeds(middle, perturbed) {
            high = middle;
        } else {
            low = middle;
        }
    }
    // The last size that was tried need not be the smallest that succeeded.
    succeeds(high, perturbed);
    Some(high)
}

/// Moves a point that fools the network towards the input, along the line between them, to where it only just does: by bisection,
/// to 2⁻³⁰ of the line. Returns the perturbation's norm.
pub(super) fn along_line<T: Real>(
    norm: Norm,
    model: &mut Model<'_, T>,
    input: &[T],
    label: usize,
    bounds: Option<Bounds>,
    perturbed: &mut [T],
) -> f64 {
    let end = perturbed.to_vec();
    let mut point = end.clone();
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..LINE_HALVINGS {
        let middle = 0.5 * (low + high);
        let share = T::from_f64(middle);
        for (value, (&x, &far)) in point.iter_mut().zip(input.iter().zip(&end)) {
            *value = x + share * (far - x);
        }
        if let Some(bounds) = bounds {
            bounds.clip(&mut point);
        }
        if model.is_fooled(&point, label) {
            high = middle;
            perturbed.copy_from_slice(&point);
        } else {
            low = middle;
        }
    }
    distance(norm, input, perturbed)
}

/// ‖point − input‖.
pub(super) fn distance<T: Real>(norm: Norm, input: &[T], point: &[T]) -> f64 {
    let difference: Vec<T> = point.iter().zip(input).map(|(&value, &x)| value - x).collect();
    norm.of(&difference)
}

/// The scale of the coordinates: the width of the box, without one their root mean square (1 where all are zero).
pub(super) fn scale<T: Real>(input: &[T], bounds: Option<Bounds>) -> f64 {
    let root_mean_square = || match Norm::TWO.of(input) / Norm::TWO.uniform_size(input.len()) {
        0.0 => 1.0,
        size => size,
    };
    bounds.map_or_else(root_mean_square, Bounds::width)
}
