//! Softmax cross-entropy, stable for logits of any size, and the class that logits predict.

use super::Real;

/// L = log Σⱼ exp(fⱼ) − f_y for logits f and label y.
///
/// Computed as log(1 + e^(−u)) from the log-odds u of the label, so that it keeps its relative precision where the label
/// is all but certain, down to e^(−745). NaN where a logit is NaN or infinite. Panics if `label` is not an index of `logits`.
pub fn cross_entropy<T: Real>(logits: &[T], label: usize) -> f64 {
    softplus(-log_odds(logits, label))
}

/// L(`after`) − L(`before`), precise also where the two are so near that their losses would cancel.
///
/// With Δ = `after` − `before`, log(1 + Σ_{k≠y} pₖ (exp(Δₖ − Δ_y) − 1)), p the softmax of `before`. Like
/// [`cross_entropy`] otherwise.
pub fn cross_entropy_difference(before: &[f64], after: &[f64], label: usize) -> f64 {
    let change = |index: usize| after[index] - before[index];
    let relative = |index: usize| change(index) - change(label);
    if !(0..before.len()).all(|index| relative(index).abs() <= 1.0) {
        // So far apart that nothing cancels.
        return cross_entropy(after, label) - cross_entropy(before, label);
    }
    let (largest, total) = shifted_total(before);
    let others = (0..before.len()).filter(|&index| index != label);
    let raised = others.map(|index| (before[index] - largest).exp() / total * relative(index).exp_m1());
    raised.sum::<f64>().ln_1p()
}

/// ∂L/∂f = softmax(f) − onehot(y), written into `gradient`.
///
/// The entry of the label is minus the sum of the others, so that it keeps its relative precision when the label is all
/// but certain. NaN where a logit is NaN or infinite. Panics if `label` is not an index of `logits`.
pub fn cross_entropy_gradient<T: Real>(logits: &[T], label: usize, gradient: &mut [T]) {
    let (largest, total) = shifted_total(logits);
    let mut others = 0.0;
    for (index, (entry, logit)) in gradient.iter_mut().zip(logits).enumerate() {
        if index != label {
            let probability = (logit.as_f64() - largest).exp() / total;
            others += probability;
            *entry = T::from_f64(probability);
        }
    }
    // Without other logits the gradient is 0; but a logit that is not finite must show.
    gradient[label] = T::from_f64(-others + 0.0 * total);
}

/// ∂L/∂f over the magnitude of its largest entry, which is that of the label: −1 there, and the softmax among the other logits
/// elsewhere, however sure of the label the network is. Returns the logarithm of that magnitude, log(1 − p_y).
///
/// What has no scale, as the direction of an attack, is to be computed from this. 0 without other logits; NaN where a logit is NaN or
/// infinite. Panics if `label` is not an index of `logits`.
pub fn cross_entropy_direction<T: Real>(logits: &[T], label: usize, direction: &mut [T]) -> f64 {
    let odds = log_odds(logits, label);
    let (largest, total) = shifted_total_of_others(logits, label);
    for (entry, logit) in direction.iter_mut().zip(logits) {
        *entry = T::from_f64((logit.as_f64() - largest).exp() / total);
    }
    let own = if logits.len() > 1 { -1.0 } else { 0.0 };
    direction[label] = T::from_f64(if odds.is_nan() { f64::NAN } else { own });
    -softplus(odds)
}

/// log(p_y/(1 − p_y)) = f_y − log Σ_{k≠y} exp(fₖ), p the softmax: infinite without other logits, NaN where a logit is NaN or infinite.
fn log_odds<T: Real>(logits: &[T], label: usize) -> f64 {
    if !logits.iter().all(|logit| logit.is_finite()) {
        return f64::NAN;
    }
    let (largest, total) = shifted_total_of_others(logits, label);
    (logits[label].as_f64() - largest) - total.ln()
}

/// log(1 + eᵛ).
fn softplus(value: f64) -> f64 {
    value.max(0.0) + (-value.abs()).exp().ln_1p()
}

/// How far below the largest logit another one counts as equal to it, over the largest magnitude and the type's precision.
const TIE: f64 = 128.0;

/// The predicted class: the lowest index among the largest logits. Logits are equal where they differ by less than 2⁷ times
/// the precision of `T` (2⁻²³ or 2⁻⁵²), relative to the largest magnitude of the logits.
///
/// Exactly equal logits are no accident: those of units that are dead or have the same weights up to signs. Rounding would give
/// one or the other the lead, from one input to the next; the margin keeps the prediction what it is without rounding.
pub fn prediction<T: Real>(logits: &[T]) -> usize {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |largest, logit| largest.max(logit.as_f64()));
    let least = largest - tie_margin(logits);
    let leads = |logit: f64| logit >= least || logit == largest;
    logits.iter().position(|logit| leads(logit.as_f64())).unwrap_or_default()
}

/// The difference up to which logits count as equal.
pub fn tie_margin<T: Real>(logits: &[T]) -> f64 {
    let size = logits.iter().fold(0.0f64, |size, logit| size.max(logit.abs().as_f64()));
    TIE * T::epsilon().as_f64() * size
}

/// The largest logit, and Σ exp(f − largest).
fn shifted_total<T: Real>(logits: &[T]) -> (f64, f64) {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |largest, logit| largest.max(logit.as_f64()));
    (largest, logits.iter().map(|logit| (logit.as_f64() - largest).exp()).sum())
}

/// The same over all logits but the label's; −∞ and 0 without others.
fn shifted_total_of_others<T: Real>(logits: &[T], label: usize) -> (f64, f64) {
    let others = || logits[..label].iter().chain(&logits[label + 1..]).map(|logit| logit.as_f64());
    let largest = others().fold(f64::NEG_INFINITY, f64::max);
    (largest, others().map(|logit| (logit - largest).exp()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gradient(logits: &[f64], label: usize) -> Vec<f64> {
        let mut gradient = vec![0.0; logits.len()];
        cross_entropy_gradient(logits, label, &mut gradient);
        gradient
    }

    #[test]
    fn huge_logits_neither_overflow_nor_lose_the_loss() {
        assert_eq!(cross_entropy(&[1e300, -1e300], 1), 2e300);
        assert_eq!(cross_entropy(&[1000.0, 0.0], 0), 0.0);
        assert_eq!(gradient(&[1e300, -1e300], 1), [1.0, -1.0]);
        let certain = gradient(&[60.0, 0.0], 0);
        assert!((certain[0] / -(-60f64).exp() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn logits_that_are_not_finite_are_not_hidden() {
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(gradient(&[1.0, bad, 0.0], 0).iter().any(|entry| entry.is_nan()));
            assert!(gradient(&[bad], 0)[0].is_nan());
            assert!(cross_entropy(&[1.0, bad], 0).is_nan() && cross_entropy(&[1.0, bad], 1).is_nan());
            for label in 0..2 {
                let mut direction = [0.0; 2];
                assert!(cross_entropy_direction(&[1.0, bad], label, &mut direction).is_nan());
                assert!(direction.iter().any(|entry| entry.is_nan()));
            }
        }
    }

    /// The loss and its gradient of a margin m of the label are log(1 + e^(−m)) and ∓1/(1 + e^m), at any m.
    #[test]
    fn a_sure_label_keeps_its_loss_and_its_direction() {
        for margin in [1e-12f64, 0.5, 15.0, 25.0, 35.0, 40.0, 104.0, 700.0, 1e4] {
            let loss = (-margin).exp().ln_1p();
            for logits in [[margin, 0.0], [3.0 + margin, 3.0]] {
                let exact = (logits[1] - logits[0]).exp().ln_1p();
                assert!((cross_entropy(&logits, 0) - exact).abs() <= 1e-15 * exact, "{margin}");
            }
            let wrong = cross_entropy(&[margin, 0.0], 1);
            assert!((wrong - (margin + loss)).abs() <= 1e-15 * wrong, "{margin}");
            let single = [margin as f32, 0.0f32];
            let mut direction = [f32::NAN; 2];
            let logarithm = cross_entropy_direction(&single, 0, &mut direction);
            assert_eq!(direction, [-1.0, 1.0], "{margin}");
            let exact = -(f64::from(single[0]) + (-f64::from(single[0])).exp().ln_1p());
            assert!((logarithm - exact).abs() <= 1e-15 * exact.abs(), "{margin}");
        }
        // Equally far behind the label, three classes share the loss.
        let loss = cross_entropy(&[50.0, 0.0, 0.0, 0.0], 0);
        assert!((loss / (3.0 * (-50f64).exp()) - 1.0).abs() < 1e-13);
        assert_eq!(cross_entropy(&[7.0f32], 0), 0.0);
        let mut direction = [f32::NAN];
        assert_eq!(cross_entropy_direction(&[7.0f32], 0, &mut direction), f64::NEG_INFINITY);
        assert_eq!(direction, [0.0]);
    }

    #[test]
    fn the_first_of_equal_logits_is_predicted_whatever_rounding_does() {
        assert_eq!(prediction(&[0.0f32; 5]), 0);
        assert_eq!(prediction(&[1.0, 3.0, 3.0]), 1);
        let up = |value: f32, steps: u32| f32::from_bits(value.to_bits() + steps);
        assert_eq!(prediction(&[-9.0, 3.0, up(3.0, 40), 3.0]), 1);
        assert_eq!(prediction(&[3.0f32, up(3.0, 400)]), 1);
        assert_eq!(prediction(&[3.0, 3.0 + 1e-14]), 0);
        assert_eq!(prediction(&[3.0, 3.0 + 1e-12]), 1);
        // Small logits beside none that is large differ as large ones do.
        assert_eq!(prediction(&[1e-30f32, 2e-30]), 1);
        assert_eq!(prediction(&[0.0, f64::INFINITY]), 1);
    }

    proptest! {
        #[test]
        fn directions_are_gradients_without_their_scale(
            logits in prop::collection::vec(-30.0f64..30.0, 2..8), choice in 0usize..8,
        ) {
            let label = choice % logits.len();
            let exact = gradient(&logits, label);
            let mut direction = vec![f64::NAN; logits.len()];
            let scale = cross_entropy_direction(&logits, label, &mut direction).exp();
            for (entry, exact) in direction.iter().zip(exact) {
                prop_assert!((scale * entry - exact).abs() <= 1e-13 * exact.abs());
            }
        }

        #[test]
        fn differences_of_losses_do_not_cancel(
            pairs in prop::collection::vec((-30.0f64..30.0, -1.0f64..1.0), 2..8), choice in 0usize..8, power in -14i32..2,
        ) {
            let label = choice % pairs.len();
            let before: Vec<f64> = pairs.iter().map(|(logit, _)| *logit).collect();
            let after: Vec<f64> = pairs.iter().map(|(logit, change)| logit + change * 10f64.powi(power)).collect();
            let found = cross_entropy_difference(&before, &after, label);
            // The mean value theorem along the line: ∫ ∂L/∂f·Δ by Simpson's rule, exact where Δ is small.
            let slope = |share: f64| {
                let point: Vec<f64> = before.iter().zip(&after).map(|(b, a)| b + share * (a - b)).collect();
                gradient(&point, label).iter().zip(before.iter().zip(&after)).map(|(g, (b, a))| g * (a - b)).collect()
            };
            let slopes: [Vec<f64>; 3] = [0.0, 0.5, 1.0].map(slope);
            let [start, middle, end] = [0, 1, 2].map(|which| slopes[which].iter().sum::<f64>());
            let size: f64 = slopes[1].iter().map(|term| term.abs()).sum();
            let expected = (start + 4.0 * middle + end) / 6.0;
            let bend = (10f64.powi(power) * 2.0).powi(4);
            prop_assert!((found - expected).abs() <= (1e-12 + bend) * size + 1e-300, "{found} {expected}");
        }

        #[test]
        fn the_gradient_is_the_derivative_and_sums_to_zero(
            logits in prop::collection::vec(-5.0f64..5.0, 2..8),
            choice in 0usize..8,
        ) {
            let label = choice % logits.len();
            let analytic = gradient(&logits, label);
            prop_assert!(analytic.iter().sum::<f64>().abs() < 1e-14);
            for index in 0..logits.len() {
                let moved = |step: f64| {
                    let mut moved = logits.clone();
                    moved[index] += step;
                    cross_entropy(&moved, label)
                };
                let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                prop_assert!((analytic[index] - numeric).abs() < 1e-8);
            }
        }
    }
}
