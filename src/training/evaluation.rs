//! The loss and the accuracy of a network over a set of samples.

use super::BatchModel;
use super::trainer::Samples;
use crate::network::loss;

/// Samples that run together; with running statistics the result does not depend on it.
const TOGETHER: usize = 128;

/// Means over samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// The share of right predictions.
    pub accuracy: f64,
}

impl Evaluation {
    /// Runs a network, loaded, over samples.
    pub fn of(model: &mut BatchModel<f32>, samples: &Samples<'_>, indices: &[usize]) -> Self {
        let (mut total, mut right) = (0.0, 0);
        let (mut batch, mut labels) = (Vec::new(), Vec::new());
        for indices in indices.chunks(TOGETHER) {
            samples.write(indices, &mut batch, &mut labels, |_, _| {});
            model.forward(&batch);
            for (logits, &label) in model.logits().zip(&labels) {
                total += loss::cross_entropy(logits, label);
                right += usize::from(loss::prediction(logits) == label);
            }
        }
        let count = indices.len() as f64;
        Self { loss: total / count, accuracy: right as f64 / count }
    }
}
