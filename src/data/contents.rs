//! What a set of samples holds, in one digest: a state that was saved for some samples is gone on with for no others.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::SampleSet;
use crate::digest::hexadecimal;

/// Samples that are hashed together, so that many threads can.
const TOGETHER: usize = 1024;

/// SHA-256, in hexadecimal digits, of all samples' values and labels, or of the rule that makes them: it changes when one of them
/// does, wherever and however they are stored.
pub fn digest(set: &dyn SampleSet) -> String {
    if let Some(rule) = set.rule() {
        return hexadecimal(&Sha256::digest(rule));
    }
    let length = set.shape().iter().product();
    let block = |first: usize| {
        let (mut hash, mut sample) = (Sha256::new(), vec![0f32; length]);
        let mut bytes = Vec::with_capacity(4 * length);
        for index in first..set.len().min(first + TOGETHER) {
            set.copy_into(index, &mut sample);
            bytes.clear();
            bytes.extend(sample.iter().flat_map(|value| value.to_bits().to_le_bytes()));
            hash.update(&bytes);
            // No label is one that no sample has.
            hash.update(set.label(index).map_or(u64::MAX, |label| label as u64).to_le_bytes());
        }
        hash.finalize()
    };
    let firsts: Vec<usize> = (0..set.len()).step_by(TOGETHER).collect();
    let blocks: Vec<_> = firsts.into_par_iter().map(block).collect();
    let whole = blocks.iter().fold(Sha256::new(), |hash, block| hash.chain_update(block)).finalize();
    hexadecimal(&whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Sample = ([f32; 3], Option<usize>);

    /// Samples of three values, with labels or without.
    #[derive(Debug, Clone)]
    struct Few(Vec<Sample>);

    impl SampleSet for Few {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn shape(&self) -> &[usize] {
            &[3]
        }

        fn label(&self, index: usize) -> Option<usize> {
            self.0[index].1
        }

        fn copy_into(&self, index: usize, sample: &mut [f32]) {
            sample.copy_from_slice(&self.0[index].0);
        }
    }

    #[test]
    fn every_value_every_label_and_their_order_count() {
        let set = Few((0..2500).map(|index| ([index as f32, 0.5, -1.0], Some(index % 10))).collect());
        let whole = digest(&set);
        assert_eq!(digest(&set.clone()), whole);
        let changed = |change: fn(&mut Vec<Sample>)| {
            let mut set = set.clone();
            change(&mut set.0);
            digest(&set)
        };
        let changes: [fn(&mut Vec<Sample>); 6] = [
            |samples| samples[2499].0[2] = -1.000_000_1,
            |samples| samples[1023].1 = Some(4),
            |samples| samples[7].1 = None,
            |samples| samples.swap(3, 4),
            |samples| samples.truncate(2499),
            |samples| samples[0].0[0] = -0.0,
        ];
        let mut all: Vec<String> = changes.into_iter().map(changed).chain([whole]).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 7);
    }
}
