//! Spearman's rank correlation with its interval.

use super::Reference;

/// Spearman's ρ of pairs: the correlation of their ranks, ties sharing the mean of theirs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankCorrelation {
    /// ρ.
    pub estimate: f64,
    /// atanh ρ.
    transformed: f64,
    /// Its standard error, 1.03/√(n − 3) (Fieller, Hartley and Pearson 1957).
    std_error: f64,
}

impl RankCorrelation {
    /// The correlation of at least four pairs; `None` for fewer, for values that are not finite, and where one of both never
    /// changes.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let finite = pairs.iter().all(|(x, y)| x.is_finite() && y.is_finite());
        if pairs.len() < 4 || !finite {
            return None;
        }
        let [x, y] = [ranks(pairs.iter().map(|pair| pair.0)), ranks(pairs.iter().map(|pair| pair.1))];
        let mean = (pairs.len() as f64 + 1.0) / 2.0;
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
        let scale = (product(&x, &x) * product(&y, &y)).sqrt();
        if scale == 0.0 {
            return None;
        }
        let estimate = (product(&x, &y) / scale).clamp(-1.0, 1.0);
        let std_error = (1.06 / (pairs.len() as f64 - 3.0)).sqrt();
        Some(Self { estimate, transformed: estimate.atanh(), std_error })
    }

    /// The interval that covers the truth with this probability, by Fisher's transformation.
    pub fn interval(&self, coverage: f64) -> [f64; 2] {
        Reference::Normal.interval(self.transformed, self.std_error, coverage).map(f64::tanh)
    }

    /// p-value of "the truth is at most `bound`", one-sided.
    pub fn above(&self, bound: f64) -> f64 {
        Reference::Normal.upper_tail((self.transformed - bound.atanh()) / self.std_error)
    }
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let values: Vec<f64> = values.collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let (mut ranks, mut below) = (vec![0.0; values.len()], 0);
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = below as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|&place| ranks[place] = rank);
        below += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_example_has_its_value() {
        // Intelligence quotients against hours of television a week: ρ = −29/165.
        let x = [86.0, 97.0, 99.0, 100.0, 101.0, 103.0, 106.0, 110.0, 112.0, 113.0];
        let y = [2.0, 20.0, 28.0, 27.0, 50.0, 29.0, 7.0, 17.0, 6.0, 12.0];
        let pairs: Vec<(f64, f64)> = x.into_iter().zip(y).collect();
        let correlation = RankCorrelation::of(&pairs).unwrap();
        assert!((correlation.estimate + 29.0 / 165.0).abs() < 1e-12);
        let [low, high] = correlation.interval(0.95);
        assert!(low < correlation.estimate && correlation.estimate < high && correlation.above(-0.9) < 0.01);
    }

    #[test]
    fn ties_share_their_ranks_and_monotone_pairs_are_perfect() {
        assert_eq!(ranks([2.0, 1.0, 2.0].into_iter()), [2.5, 1.0, 2.5]);
        let cubes: Vec<(f64, f64)> = (1..9).map(|x| (f64::from(x), f64::from(x).powi(3))).collect();
        assert_eq!(RankCorrelation::of(&cubes).unwrap().estimate, 1.0);
        assert_eq!(RankCorrelation::of(&cubes).unwrap().above(0.9), 0.0);
        assert_eq!(RankCorrelation::of(&[(1.0, 2.0), (2.0, 2.0), (3.0, 2.0), (4.0, 2.0)]), None);
    }
}
