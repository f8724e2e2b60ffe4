//! One error rate for many tests: Holm's step-down procedure.

/// Holm's adjusted p-values (1979): rejecting where they are at most α keeps the probability of any false rejection,
/// over the whole family, below α under every dependence of the tests.
///
/// p̃₍ᵢ₎ = max_{j ≤ i} min(1, (m − j + 1) p₍ⱼ₎) for the sorted p-values; a NaN counts as 1.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let known = |p: f64| if p.is_nan() { 1.0 } else { p };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| known(p_values[a]).total_cmp(&known(p_values[b])));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, &index) in order.iter().enumerate() {
        let scaled = (p_values.len() - rank) as f64 * known(p_values[index]);
        largest = largest.max(scaled.min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worked_example_is_adjusted_step_by_step() {
        // Sorted 0.005, 0.01, 0.03, 0.04 with factors 4, 3, 2, 1, then made monotone.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (got, want) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((got - want).abs() < 1e-15, "{got} against {want}");
        }
    }

    #[test]
    fn an_unknown_p_value_rejects_nothing() {
        assert_eq!(holm(&[f64::NAN, 0.5]), vec![1.0, 1.0]);
    }
}
