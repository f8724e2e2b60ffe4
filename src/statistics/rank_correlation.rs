//! Spearman's rank correlation, and how often chance gives one as large.

use statrs::distribution::{ChiSquared, ContinuousCDF, StudentsT};

/// Spearman's ρ of pairs: the correlation of their ranks, ties sharing the mean of theirs.
///
/// `None` for fewer than four pairs, for values that are not finite, and where one of both never changes.
pub fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    let ranks = Ranks::of(pairs)?;
    Some((ranks.product(&ranks.second) / ranks.scale).clamp(-1.0, 1.0))
}

/// Most pairs of which all orders are gone through: 9! are 362 880.
const MOST_EXACT: usize = 9;

/// P(ρ at least as large) where the two values have nothing to do with each other: every order of the second ones is then equally
/// probable. Exact up to nine pairs (±1 of four pairs has 1/24); beyond, Student's t law of ρ√((n − 2)/(1 − ρ²)) with n − 2 degrees.
/// 1 where there is no ρ.
pub fn chance(pairs: &[(f64, f64)]) -> f64 {
    let Some(ranks) = Ranks::of(pairs) else { return 1.0 };
    let product = ranks.product(&ranks.second);
    if pairs.len() > MOST_EXACT {
        let rho = (product / ranks.scale).clamp(-1.0, 1.0);
        let degrees = pairs.len() as f64 - 2.0;
        let t = rho * (degrees / (1.0 - rho * rho)).sqrt();
        // At ρ = 1 the law of t is left, and no order is more extreme: one in n!.
        let orders: f64 = (1..=pairs.len()).map(|count| count as f64).product();
        return StudentsT::new(0.0, 1.0, degrees)
            .map_or(1.0, |law| if t.is_finite() { law.sf(t) } else { f64::from(t < 0.0) })
            .max(orders.recip());
    }
    // Ranks are multiples of ½, whose products are exact.
    let (mut as_large, mut all) = (0u64, 0u64);
    let mut second = ranks.second.clone();
    visit_orders(&mut second, 0, &mut |order| {
        all += 1;
        as_large += u64::from(ranks.product(order) >= product);
    });
    as_large as f64 / all as f64
}

/// One p-value of several independent ones: −2 Σ ln p has the χ² law with two degrees for each (Fisher 1932), and a larger one for
/// p-values that are discrete.
pub fn combined(p_values: &[f64]) -> f64 {
    let sum: f64 = p_values.iter().map(|p_value| -2.0 * p_value.ln()).sum();
    ChiSquared::new(2.0 * p_values.len() as f64).map_or(1.0, |law| law.sf(sum))
}

/// Every order of the values from `fixed` on.
fn visit_orders(values: &mut Vec<f64>, fixed: usize, visit: &mut impl FnMut(&[f64])) {
    if fixed + 1 >= values.len() {
        return visit(values);
    }
    for place in fixed..values.len() {
        values.swap(fixed, place);
        visit_orders(values, fixed + 1, visit);
        values.swap(fixed, place);
    }
}

/// The ranks of pairs.
struct Ranks {
    first: Vec<f64>,
    second: Vec<f64>,
    /// √ of the product of both sums of squares.
    scale: f64,
}

impl Ranks {
    fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let finite = pairs.iter().all(|(x, y)| x.is_finite() && y.is_finite());
        if pairs.len() < 4 || !finite {
            return None;
        }
        let [first, second] = [ranks(pairs.iter().map(|pair| pair.0)), ranks(pairs.iter().map(|pair| pair.1))];
        let squares = |ranks: &[f64]| ranks.iter().map(|rank| rank * rank).sum::<f64>();
        let scale = (squares(&first) * squares(&second)).sqrt();
        (scale > 0.0).then_some(Self { first, second, scale })
    }

    fn product(&self, second: &[f64]) -> f64 {
        self.first.iter().zip(second).map(|(a, b)| a * b).sum()
    }
}

/// Ranks from their mean on; equal values share the mean of theirs.
fn ranks(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let values: Vec<f64> = values.collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mean = (values.len() as f64 + 1.0) / 2.0;
    let (mut ranks, mut below) = (vec![0.0; values.len()], 0);
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = below as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|&place| ranks[place] = rank - mean);
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
        assert!((spearman(&pairs).unwrap() + 29.0 / 165.0).abs() < 1e-15);
        assert!((chance(&pairs) - 0.686_4).abs() < 1e-3, "one-sided, by Student's t: {}", chance(&pairs));
    }

    #[test]
    fn ties_share_their_ranks_and_monotone_pairs_are_perfect() {
        let cubes: Vec<(f64, f64)> = (1..9).map(|x| (f64::from(x), f64::from(x).powi(3))).collect();
        assert_eq!(spearman(&cubes), Some(1.0));
        assert_eq!(ranks([2.0, 1.0, 2.0, 5.0].into_iter()), [0.0, -1.5, 0.0, 1.5]);
        assert_eq!(spearman(&cubes[..3]), None);
        assert_eq!(spearman(&[(1.0, 2.0); 5]), None);
        assert_eq!(spearman(&[(1.0, 2.0), (2.0, 3.0), (3.0, f64::NAN), (4.0, 5.0)]), None);
    }

    /// The exact distribution of ρ for four pairs (Kendall and Gibbons, *Rank Correlation Methods*, table 2): P(ρ ≥ 1) = 0.042,
    /// P(ρ ≥ 0.8) = 0.167, P(ρ ≥ 0.6) = 0.208.
    #[test]
    fn chance_is_that_of_all_orders() {
        let of = |second: [f64; 4]| chance(&[1.0, 2.0, 3.0, 4.0].into_iter().zip(second).collect::<Vec<_>>());
        for (second, expected) in [
            ([1.0, 2.0, 3.0, 4.0], 1.0 / 24.0),
            ([2.0, 1.0, 3.0, 4.0], 4.0 / 24.0),
            ([2.0, 1.0, 4.0, 3.0], 5.0 / 24.0),
            ([4.0, 3.0, 2.0, 1.0], 1.0),
        ] {
            assert!((of(second) - expected).abs() < 1e-15, "{second:?}: {}", of(second));
        }
        let perfect: Vec<(f64, f64)> = (0..20).map(|x| (f64::from(x), f64::from(x))).collect();
        assert!(chance(&perfect) > 0.0 && chance(&perfect) < 1e-12);
        assert!((combined(&[0.05]) - 0.05).abs() < 1e-12);
        // χ²₄ beyond −4 ln 0.05: 0.05² (1 − ln 0.05²).
        assert!((combined(&[0.05, 0.05]) - 0.0025 * (1.0 - 0.0025f64.ln())).abs() < 1e-12);
    }
}
