//! Samples with labels from elsewhere, as those of an array are.

use super::SampleSet;

/// A set of samples with a label for each.
#[derive(Debug)]
pub struct Labelled<S> {
    samples: S,
    labels: Vec<usize>,
}

impl<S: SampleSet> Labelled<S> {
    /// Samples with their labels.
    ///
    /// # Errors
    /// In words, where there are not as many labels as samples.
    pub fn new(samples: S, labels: Vec<usize>) -> Result<Self, String> {
        if labels.len() == samples.len() {
            Ok(Self { samples, labels })
        } else {
            Err(format!("has {} labels for {} samples", labels.len(), samples.len()))
        }
    }
}

impl<S: SampleSet> SampleSet for Labelled<S> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn shape(&self) -> &[usize] {
        self.samples.shape()
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.labels.get(index).copied()
    }

    fn copy_into(&self, index: usize, sample: &mut [f32]) {
        self.samples.copy_into(index, sample);
    }
}
