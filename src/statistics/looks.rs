//! Looks at data that grow, until a question is decided: how much of a level each may spend.
//!
//! After the share t of the most data the level spent in all is α(t) = 2 − 2Φ(z_{α/2}/√t) (O'Brien and Fleming 1979, as the spending
//! function of Lan and DeMets 1983); a look spends what was not spent before it. By the union bound the level stays α, whatever the
//! dependence of the looks. Nearly all of it is left for the last one, and an easy question is decided early.

use statrs::distribution::{ContinuousCDF, Normal};

/// The level whose spending gives the shares.
const LEVEL: f64 = 0.05;

/// Looks at most, each after twice as much as the one before: earlier ones could spend nothing to speak of.
const MOST: u32 = 5;

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Which, from 1.
    pub number: usize,
    /// How many there are at most.
    pub of: usize,
    /// What there is at this look: draws of each point, or repetitions.
    pub count: u64,
    /// The share of every level that it spends. A p-value over this share is one of all looks together.
    pub share: f64,
}

impl Look {
    /// The looks up to `most`, each after a multiple of `unit` except for the last, the first after at least `least`.
    pub fn all(most: u64, unit: u64, least: u64) -> Vec<Self> {
        let counts = (0..MOST).rev().map(|halvings| (most >> halvings).next_multiple_of(unit).min(most));
        let mut counts: Vec<u64> = counts.filter(|count| *count >= least.min(most)).collect();
        counts.dedup();
        let spent = |count: u64| spent(count as f64 / most as f64) / LEVEL;
        let mut before = 0.0;
        let look = |(index, count): (usize, &u64)| {
            let share = spent(*count) - before;
            before += share;
            Self { number: index + 1, of: counts.len(), count: *count, share }
        };
        counts.iter().enumerate().map(look).collect()
    }

    /// Whether there is none after it.
    pub fn is_last(&self) -> bool {
        self.number == self.of
    }

    /// A p-value as one of all looks together.
    pub fn adjusted(&self, p_value: f64) -> f64 {
        (p_value / self.share).min(1.0)
    }
}

/// α(t) = 2 − 2Φ(z_{α/2}/√t).
fn spent(information: f64) -> f64 {
    let normal = Normal::standard();
    2.0 * normal.sf(normal.inverse_cdf(1.0 - LEVEL / 2.0) / information.sqrt())
}

#[cfg(test)]
mod tests {
    use ndarray_rand::rand::Rng;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::stream::StreamKey;

    #[test]
    fn looks_spend_the_level_and_no_more() {
        let looks = Look::all(100_000, 64, 64);
        let counts: Vec<u64> = looks.iter().map(|look| look.count).collect();
        assert_eq!(counts, [6272, 12_544, 25_024, 50_048, 100_000]);
        assert!((looks.iter().map(|look| look.share).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(looks.windows(2).all(|pair| pair[0].share < pair[1].share));
        // z = 1.96 · √2: half of the data spend 0.0056.
        assert!((spent(0.5) - 0.005_575).abs() < 1e-5 && (spent(1.0) - 0.05).abs() < 1e-9);
        let few = Look::all(3, 1, 2);
        assert_eq!(few.iter().map(|look| look.count).collect::<Vec<_>>(), [3]);
        assert!(few[0].is_last() && (few[0].share - 1.0).abs() < 1e-9);
    }

    /// A null mean that is looked at five times is rejected at any look in at most 5 % of 20 000 runs (380 are ten errors below that).
    #[test]
    fn no_more_nulls_are_rejected_than_the_level_says() {
        let looks = Look::all(1600, 1, 1);
        let (mut rejected, runs) = (0, 20_000);
        let mut stream = StreamKey::new(3, &["looks"]).draw(0);
        let normal = Normal::standard();
        for _ in 0..runs {
            let (mut sum, mut count) = (0.0, 0u64);
            let is_rejected = looks.iter().any(|look| {
                // A sum of normal values is one.
                let more = (look.count - count) as f64;
                sum += more.sqrt() * stream.sample::<f64, _>(StandardNormal);
                count = look.count;
                let z = sum / (count as f64).sqrt();
                look.adjusted(2.0 * normal.sf(f64::abs(z))) <= LEVEL
            });
            rejected += usize::from(is_rejected);
        }
        assert!((700..=1000).contains(&rejected), "{rejected} of {runs}");
    }
}
