//! Where inputs and labels come from: laws that need no memory, or samples that are held (real images).

use std::fmt::Debug;
use std::sync::Arc;

use ndarray_rand::rand::Rng;

use super::Stream;
use super::normal::BulkGenerator;

/// Samples that are held in memory, such as images.
pub trait Samples: Send + Sync + Debug {
    /// Number of samples, at least one.
    fn count(&self) -> usize;
    /// Writes sample `index`, of d values.
    fn write(&self, index: usize, input: &mut [f32]);
    /// The label of sample `index`, where it has one.
    fn label(&self, index: usize) -> Option<usize>;
}

/// The law of the inputs x.
#[derive(Debug, Clone)]
pub enum InputLaw {
    /// x ~ N(0, I).
    Gaussian,
    /// Independent coordinates, uniform on [low, high).
    Uniform {
        /// Smallest value.
        low: f32,
        /// Upper end, excluded.
        high: f32,
    },
    /// Every coordinate the same.
    Constant(f32),
    /// One of these samples, each with the same probability.
    Samples(Arc<dyn Samples>),
}

/// How the label y of the loss is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelRule {
    /// Uniform over the logits, independent of the input.
    Random,
    /// Always this index.
    Fixed(usize),
    /// The label that the sample has.
    OfSample,
}

/// One input, chosen but not yet written: the same coordinates come each time it is read.
#[derive(Debug, Clone)]
pub struct ChosenInput<'a> {
    law: &'a InputLaw,
    sample: usize,
    generator: BulkGenerator,
}

impl LabelRule {
    /// The label of an input that has none of its own.
    pub fn choose(self, outputs: usize, stream: &mut Stream) -> usize {
        match self {
            LabelRule::Fixed(label) => label,
            LabelRule::Random | LabelRule::OfSample => stream.random_range(0..outputs),
        }
    }
}

impl InputLaw {
    /// Chooses an input and its label from the stream.
    ///
    /// A sample without a label takes a random one under [`LabelRule::OfSample`]; specs refuse that before.
    pub fn choose(&self, rule: LabelRule, outputs: usize, stream: &mut Stream) -> (ChosenInput<'_>, usize) {
        let sample = match self {
            InputLaw::Samples(samples) => stream.random_range(0..samples.count()),
            _ => 0,
        };
        let label = match (rule, self) {
            (LabelRule::OfSample, InputLaw::Samples(samples)) => samples.label(sample),
            _ => None,
        };
        let label = label.unwrap_or_else(|| rule.choose(outputs, stream));
        (ChosenInput { law: self, sample, generator: BulkGenerator::new(stream) }, label)
    }

    /// Whether x ~ N(0, I), for which the collapsed sampler needs no coordinate of x.
    pub fn is_gaussian(&self) -> bool {
        matches!(self, InputLaw::Gaussian)
    }
}

impl ChosenInput<'_> {
    /// Reads the whole input into `input`, of length d.
    pub fn write(mut self, input: &mut [f32]) {
        self.next_block(input);
    }

    /// Reads the next coordinates, as many as `block` holds; a held sample is always read from its beginning.
    pub fn next_block(&mut self, block: &mut [f32]) {
        match self.law {
            InputLaw::Gaussian => self.generator.fill_normal(1.0, block),
            InputLaw::Uniform { low, high } => self.generator.fill_uniform(*low, *high, block),
            InputLaw::Constant(value) => block.fill(*value),
            InputLaw::Samples(samples) => samples.write(self.sample, block),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Moments;
    use crate::stream::StreamKey;

    #[derive(Debug)]
    struct Two;

    impl Samples for Two {
        fn count(&self) -> usize {
            2
        }
        fn write(&self, index: usize, input: &mut [f32]) {
            input.fill(index as f32);
        }
        fn label(&self, index: usize) -> Option<usize> {
            Some(index + 3)
        }
    }

    fn stream(draw: u64) -> Stream {
        StreamKey::new(1, &["input"]).draw(draw)
    }

    #[test]
    fn a_sample_keeps_its_label_and_all_samples_come() {
        let law = InputLaw::Samples(Arc::new(Two));
        let mut seen = [0; 2];
        for draw in 0..100 {
            let (input, label) = law.choose(LabelRule::OfSample, 10, &mut stream(draw));
            let mut values = [9.0; 4];
            input.write(&mut values);
            assert_eq!(values, [label as f32 - 3.0; 4]);
            seen[label - 3] += 1;
        }
        assert!(seen[0] > 20 && seen[1] > 20, "{seen:?}");
    }

    #[test]
    fn blocks_read_twice_are_the_same_and_labels_follow_the_rule() {
        let law = InputLaw::Uniform { low: -1.0, high: 1.0 };
        let (input, label) = law.choose(LabelRule::Fixed(7), 10, &mut stream(1));
        assert_eq!(label, 7);
        let (mut first, mut second) = ([0.0; 96], [0.0; 96]);
        input.clone().write(&mut first);
        let mut again = input;
        again.next_block(&mut second[..64]);
        again.next_block(&mut second[64..]);
        assert_eq!(first, second);
    }

    /// |z| < 4.5 for the mean label and mean coordinate (false alarms below 2·10⁻⁵).
    #[test]
    fn labels_and_coordinates_have_their_laws() {
        let law = InputLaw::Uniform { low: -1.0, high: 3.0 };
        let (mut labels, mut values) = (Moments::default(), Moments::default());
        for draw in 0..4000 {
            let (input, label) = law.choose(LabelRule::Random, 5, &mut stream(draw));
            labels.push(label as f64);
            let mut block = [0.0; 8];
            input.write(&mut block);
            values.extend(block.map(f64::from));
        }
        assert!((labels.mean() - 2.0).abs() < 4.5 * labels.std_error());
        assert!((values.mean() - 1.0).abs() < 4.5 * values.std_error());
    }
}
