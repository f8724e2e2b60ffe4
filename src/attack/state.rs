//! What is seen of a network at one input: its loss and its prediction.

use crate::network::{Real, loss};

/// The loss and the prediction at one input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct State {
    /// The softmax cross-entropy with the input's label.
    pub loss: f64,
    /// The predicted class, by the one rule for ties ([`loss::prediction`]).
    pub prediction: usize,
    /// Whether every logit is finite. Where one is not, no comparison of predictions means anything.
    pub is_finite: bool,
}

impl State {
    /// What these logits say, given the label.
    pub fn new<T: Real>(logits: &[T], label: usize) -> Self {
        Self {
            loss: loss::cross_entropy(logits, label),
            prediction: loss::prediction(logits),
            is_finite: logits.iter().all(|logit| logit.is_finite()),
        }
    }

    /// The 0-1 loss; NaN where a logit is not finite.
    pub fn error(&self, label: usize) -> f64 {
        self.compared(self.prediction != label)
    }

    /// Whether an attack has what it wants: a wrong prediction, or that of its target where it has one. Not where a logit is not finite.
    pub fn is_success(&self, label: usize, target: Option<usize>) -> bool {
        self.is_finite && target.map_or(self.prediction != label, |target| self.prediction == target)
    }

    /// 1 where the prediction differs from another one, else 0; NaN where a logit of either is not finite.
    pub fn changed(&self, other: &Self) -> f64 {
        self.compared(self.prediction != other.prediction) + other.compared(false)
    }

    fn compared(&self, differs: bool) -> f64 {
        if self.is_finite { f64::from(u8::from(differs)) } else { f64::NAN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_that_are_not_finite_are_no_prediction() {
        let right = State::new(&[0.0, 2.0], 1);
        assert_eq!((right.prediction, right.error(1), right.error(0)), (1, 0.0, 1.0));
        assert!((right.loss - (1.0 + (-2f64).exp()).ln()).abs() < 1e-15);
        let other = State::new(&[3.0f32, 2.0], 1);
        assert_eq!((right.changed(&other), right.changed(&right)), (1.0, 0.0));
        for bad in [f64::NAN, f64::INFINITY] {
            let doubtful = State::new(&[0.0, bad], 1);
            assert!(
                doubtful.error(1).is_nan() && doubtful.changed(&right).is_nan() && right.changed(&doubtful).is_nan()
            );
        }
    }
}
