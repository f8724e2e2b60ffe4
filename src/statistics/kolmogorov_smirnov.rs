//! The two-sample Kolmogorov–Smirnov test, on sorted samples or on quantile sketches.

use super::QuantileSketch;

/// Largest distance of two empirical distribution functions, with its p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KolmogorovSmirnov {
    /// D = sup |F₁ − F₂|.
    pub distance: f64,
    /// Probability of a distance at least as large when both samples have one law (asymptotic, with the small-sample
    /// correction of Stephens 1970; conservative for laws with atoms and for binned samples).
    pub p_value: f64,
    /// √(1/n₁ + 1/n₂), the scale of the distance under one law.
    pub scale: f64,
}

impl KolmogorovSmirnov {
    /// Compares two samples; they are sorted in place.
    pub fn of_samples(first: &mut [f64], second: &mut [f64]) -> Self {
        first.sort_by(f64::total_cmp);
        second.sort_by(f64::total_cmp);
        let once = |values: &[f64]| values.iter().map(|&value| (value, 1)).collect::<Vec<_>>();
        Self::of_counts(&once(first), &once(second), |a, b| a.total_cmp(b))
    }

    /// Compares two sketches; exact for the binned values (bins of relative width 2⁻¹²).
    pub fn of_sketches(first: &QuantileSketch, second: &QuantileSketch) -> Self {
        let first: Vec<_> = first.bins().collect();
        let second: Vec<_> = second.bins().collect();
        Self::of_counts(&first, &second, i64::cmp)
    }

    fn of_counts<K: Copy>(
        first: &[(K, u64)],
        second: &[(K, u64)],
        order: impl Fn(&K, &K) -> std::cmp::Ordering,
    ) -> Self {
        let total = |counts: &[(K, u64)]| counts.iter().map(|&(_, count)| count).sum::<u64>() as f64;
        let (n1, n2) = (total(first), total(second));
        let (mut i, mut j, mut below1, mut below2, mut distance) = (0, 0, 0u64, 0u64, 0f64);
        while i < first.len() && j < second.len() {
            let key = if order(&first[i].0, &second[j].0).is_le() { first[i].0 } else { second[j].0 };
            while i < first.len() && order(&first[i].0, &key).is_le() {
                below1 += first[i].1;
                i += 1;
            }
            while j < second.len() && order(&second[j].0, &key).is_le() {
                below2 += second[j].1;
                j += 1;
            }
            distance = distance.max((below1 as f64 / n1 - below2 as f64 / n2).abs());
        }
        let scale = (1.0 / n1 + 1.0 / n2).sqrt();
        Self { distance, p_value: p_value(distance, scale), scale }
    }

    /// Upper confidence bound of the distance of the two laws: D + √(ln(4/α)/2)·(1/√n₁ + 1/√n₂) holds with
    /// probability 1 − α at least (Dvoretzky–Kiefer–Wolfowitz inequality with Massart's constant, for each sample).
    pub fn distance_bound(&self, first: u64, second: u64, alpha: f64) -> f64 {
        let reach = ((4.0 / alpha).ln() / 2.0).sqrt();
        self.distance + reach * (1.0 / (first as f64).sqrt() + 1.0 / (second as f64).sqrt())
    }

    /// p-value against "the distance of the two laws is at most `tolerance`": D − sup |F₁ − F₂| is at most the distance of the two
    /// samples' errors, whose law is that of D under one law up to what the places where the laws differ least take away from it.
    pub fn beyond(&self, tolerance: f64) -> f64 {
        p_value((self.distance - tolerance).max(0.0), self.scale)
    }
}

/// Q(λ) = 2 Σ_{k≥1} (−1)^{k−1} exp(−2k²λ²) at λ = D(1/s + 0.12 + 0.11 s), s the scale.
fn p_value(distance: f64, scale: f64) -> f64 {
    let lambda = distance * (1.0 / scale + 0.12 + 0.11 * scale);
    if lambda < 0.2 {
        return 1.0; // The series converges slowly there, and Q differs from 1 by less than 1e-12.
    }
    let term = |k: f64| (-2.0 * k * k * lambda * lambda).exp();
    let sum: f64 = (1..=50).map(|k| if k % 2 == 1 { term(k.into()) } else { -term(k.into()) }).sum();
    (2.0 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::StreamKey;
    use ndarray_rand::rand::Rng;
    use rand_distr::StandardNormal;

    #[test]
    fn the_kolmogorov_distribution_has_its_published_critical_values() {
        // Smirnov (1948): Q(1.3581) = 0.05, Q(1.6276) = 0.01; the correction vanishes for large samples.
        assert!((p_value(1.3581e-6, 1e-6) - 0.05).abs() < 1e-4);
        assert!((p_value(1.6276e-6, 1e-6) - 0.01).abs() < 1e-4);
    }

    /// Normal laws at a distance of exactly the tolerance, 2Φ(s/2) − 1 for a shift s: 2 000 pairs of samples of 400. At 5 % at most 100
    /// false alarms are expected, and more than 139 have probability below 10⁻⁴.
    #[test]
    fn laws_at_the_tolerance_are_refuted_no_more_often_than_stated() {
        let mut stream = StreamKey::new(5, &["distance"]).draw(0);
        let (shift, tolerance) = (0.25, 0.099_476);
        let mut alarms = 0;
        for _ in 0..2000 {
            let mut sample = |shift: f64| -> Vec<f64> {
                (0..400).map(|_| shift + stream.sample::<f64, _>(StandardNormal)).collect()
            };
            let (mut first, mut second) = (sample(0.0), sample(shift));
            let test = KolmogorovSmirnov::of_samples(&mut first, &mut second);
            assert!(test.beyond(tolerance) >= test.p_value);
            alarms += usize::from(test.beyond(tolerance) < 0.05);
        }
        assert!(alarms <= 139, "{alarms}");
        assert!(alarms >= 5, "the test has some power at its edge: {alarms}");
    }

    #[test]
    fn the_distance_counts_ties_on_both_sides() {
        let test = KolmogorovSmirnov::of_samples(&mut [1.0, 2.0, 2.0, 3.0], &mut [2.0, 2.0, 3.0, 4.0]);
        assert_eq!(test.distance, 0.25);
    }

    #[test]
    fn sketches_and_samples_agree_and_a_shift_is_seen() {
        let first: Vec<f64> = (1..2000).map(|i| f64::from(i) / 2000.0).collect();
        let second: Vec<f64> = first.iter().map(|value| value + 0.1).collect();
        let sketch = |values: &[f64]| {
            let mut sketch = QuantileSketch::default();
            values.iter().for_each(|&value| sketch.push(value));
            sketch
        };
        let binned = KolmogorovSmirnov::of_sketches(&sketch(&first), &sketch(&second));
        let exact = KolmogorovSmirnov::of_samples(&mut first.clone(), &mut second.clone());
        assert!((binned.distance - 0.1).abs() < 1e-3 && (exact.distance - 0.1).abs() < 1e-3);
        assert!(exact.p_value < 1e-6);
        assert!(exact.distance_bound(1999, 1999, 0.05) > 0.1);
    }
}
