//! One stream of random numbers for every draw.
//!
//! A sweep point has a key, the SHA-256 of the seed and of what names the point; draw i of the point uses stream i of
//! ChaCha8 under this key. No draw depends on which others were made, by which thread, or in which order.

use ndarray_rand::rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The random numbers of one draw.
pub type Stream = ChaCha8Rng;

/// The key of one sweep point, from which the streams of all its draws follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamKey([u8; 32]);

impl StreamKey {
    /// The key for a seed and the parts that name the point, such as a network's label and the sweep variables. Parts
    /// are hashed with their lengths, so that no two lists of parts give one key.
    pub fn new(seed: u64, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"gradlaw stream 1");
        hash.update(seed.to_le_bytes());
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().into())
    }

    /// A key that other random numbers choose.
    pub fn from_random(rng: &mut impl Rng) -> Self {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Self(key)
    }

    /// The stream of this name: its number is the name's hash (FNV-1a), which is quick to make.
    pub fn named(&self, name: &str) -> Stream {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.draw(name.bytes().fold(0xcbf2_9ce4_8422_2325, step))
    }

    /// The stream of draw `index`.
    pub fn draw(&self, index: u64) -> Stream {
        let mut stream = ChaCha8Rng::from_seed(self.0);
        stream.set_stream(index);
        stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn streams_of_points_and_draws_all_differ() {
        let keys = [
            StreamKey::new(1, &["a", "bc"]),
            StreamKey::new(1, &["ab", "c"]),
            StreamKey::new(1, &["a", "bc", ""]),
            StreamKey::new(1, &["a", "bd"]),
            StreamKey::new(2, &["a", "bc"]),
        ];
        let first: HashSet<u64> =
            keys.iter().flat_map(|key| (0..1000).map(|draw| key.draw(draw).random::<u64>())).collect();
        assert_eq!(first.len(), 5000);
    }

    #[test]
    fn a_stream_does_not_depend_on_the_others() {
        let key = StreamKey::new(7, &["point"]);
        let mut seventh = key.draw(7);
        let expected: Vec<u64> = (0..100).map(|_| seventh.random()).collect();
        let mut again = StreamKey::new(7, &["point"]).draw(7);
        assert!(expected.iter().all(|&value| value == again.random::<u64>()));
    }
}
