//! Shares of an experiment's work, for machines that know nothing of each other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of several shares of the parts of an experiment: points that are drawn, networks that are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Share {
    /// Which, from 1.
    index: usize,
    /// Of how many.
    count: usize,
}

/// Most shares.
const MOST: usize = 100_000;

impl Share {
    /// The share `index`, from 1, of `count`; `None` where there is no such share.
    pub fn new(index: usize, count: usize) -> Option<Self> {
        ((1..=count).contains(&index) && count <= MOST).then_some(Self { index, count })
    }

    /// Which, from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// Of how many.
    pub fn count(self) -> usize {
        self.count
    }

    /// Which parts are in this share, given what each costs: the dearest first, each goes to the share that has least so far. Every part
    /// is in one share, and the largest share exceeds the mean by no more than one part.
    pub fn takes(self, costs: &[f64]) -> Vec<bool> {
        let mut order: Vec<usize> = (0..costs.len()).collect();
        order.sort_by(|&one, &other| costs[other].total_cmp(&costs[one]));
        let mut loads = vec![0f64; self.count];
        let mut takes = vec![false; costs.len()];
        for part in order {
            // There is one share at least.
            let least = (0..self.count).min_by(|&one, &other| loads[one].total_cmp(&loads[other])).unwrap_or(0);
            loads[least] += costs[part];
            takes[part] = least + 1 == self.index;
        }
        takes
    }
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let share = text.split_once('/').and_then(|(index, count)| Self::new(index.parse().ok()?, count.parse().ok()?));
        share.ok_or_else(|| format!("must be I/N with I from 1 to N, such as 2/8, and N at most {MOST}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_part_is_in_one_share_and_shares_are_alike(
            costs in prop::collection::vec(0.1f64..100.0, 0..40), count in 1usize..9,
        ) {
            let shares: Vec<Vec<bool>> = (1..=count).map(|index| Share::new(index, count).unwrap().takes(&costs)).collect();
            for part in 0..costs.len() {
                prop_assert_eq!(shares.iter().filter(|share| share[part]).count(), 1);
            }
            let dearest = costs.iter().copied().fold(0.0, f64::max);
            let mean = costs.iter().sum::<f64>() / count as f64;
            for share in &shares {
                let load: f64 = costs.iter().zip(share).filter(|(_, takes)| **takes).map(|(cost, _)| cost).sum();
                prop_assert!(load <= mean + dearest + 1e-9);
            }
        }
    }

    #[test]
    fn a_share_is_one_of_its_number() {
        assert_eq!("2/3".parse::<Share>().unwrap().to_string(), "2/3");
        for bad in ["0/3", "4/3", "1/0", "1", "a/b", "-1/2", "1/100001", "1/2/3"] {
            assert!(bad.parse::<Share>().unwrap_err().contains("must be I/N"), "{bad}");
        }
    }
}
