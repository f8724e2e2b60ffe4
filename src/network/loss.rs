//! Softmax cross-entropy, stable for logits of any size.

use super::Real;

/// L = log Σⱼ exp(fⱼ) − f_y for logits f and label y, computed from the logits' differences to the largest.
///
/// NaN where a logit is NaN or infinite. Panics if `label` is not an index of `logits`.
pub fn cross_entropy<T: Real>(logits: &[T], label: usize) -> f64 {
    let (largest, total) = shifted_total(logits);
    total.ln() - (logits[label].as_f64() - largest)
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

/// The predicted class: the index of the first logit that is largest.
pub fn prediction<T: Real>(logits: &[T]) -> usize {
    (1..logits.len()).fold(0, |best, index| if logits[index] > logits[best] { index } else { best })
}

/// The largest logit, and Σ exp(f − largest).
fn shifted_total<T: Real>(logits: &[T]) -> (f64, f64) {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |largest, logit| largest.max(logit.as_f64()));
    (largest, logits.iter().map(|logit| (logit.as_f64() - largest).exp()).sum())
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
        }
    }

    proptest! {
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
