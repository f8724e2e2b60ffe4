//! Quantiles and empirical distribution of any number of draws in bounded memory.
//!
//! Values are counted in bins of relative width 2⁻¹² (0.02 %), taken from the sign and the leading bits of the
//! floating-point number, so that the order of the bins is that of the values. Counts are integers, so the sketch of many
//! draws does not depend on the order in which they came, merges are exact, and the two-sample distance of two sketches is
//! that of their binned samples.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Leading mantissa bits that tell bins apart: relative width 2⁻¹².
const MANTISSA_BITS: u32 = 12;
const BINS_PER_OCTAVE: usize = 1 << MANTISSA_BITS;
const SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - MANTISSA_BITS;

/// Counts of values in bins of relative width 2⁻¹², with the exact minimum and maximum.
///
/// Zero has a bin of its own. Subnormal numbers have bins of one absolute width, 2⁻¹⁰³⁴, where their own precision ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "SparseSketch", into = "SparseSketch")]
pub struct QuantileSketch {
    octaves: BTreeMap<i16, Box<[u64]>>,
    count: u64,
    minimum: f64,
    maximum: f64,
}

/// The form in which a sketch is saved: only the bins that hold something.
#[derive(Serialize, Deserialize)]
struct SparseSketch {
    bins: Vec<(i64, u64)>,
    minimum: Option<f64>,
    maximum: Option<f64>,
}

impl Default for QuantileSketch {
    fn default() -> Self {
        Self { octaves: BTreeMap::new(), count: 0, minimum: f64::INFINITY, maximum: f64::NEG_INFINITY }
    }
}

impl QuantileSketch {
    /// Counts one value; values that are not finite are not counted (see [`count`](Self::count) against the number of
    /// draws).
    pub fn push(&mut self, value: f64) {
        if value.is_finite() {
            self.add(bin_of(value), 1);
            self.minimum = self.minimum.min(value);
            self.maximum = self.maximum.max(value);
        }
    }

    fn add(&mut self, bin: i64, count: u64) {
        let octave = (bin >> MANTISSA_BITS) as i16;
        let bins = self.octaves.entry(octave).or_insert_with(|| vec![0; BINS_PER_OCTAVE].into());
        bins[bin as usize & (BINS_PER_OCTAVE - 1)] += count;
        self.count += count;
    }

    /// Counts what another sketch has counted.
    pub fn merge(&mut self, other: &Self) {
        for (octave, theirs) in &other.octaves {
            let own = self.octaves.entry(*octave).or_insert_with(|| vec![0; BINS_PER_OCTAVE].into());
            own.iter_mut().zip(theirs).for_each(|(own, theirs)| *own += theirs);
        }
        self.count += other.count;
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
    }

    /// Number of values counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The `probability`-quantile, linear in the rank between the edges of its bin, so within 0.02 % of a sample
    /// quantile; NaN when nothing was counted.
    pub fn quantile(&self, probability: f64) -> f64 {
        if self.count == 0 {
            return f64::NAN;
        }
        let rank = probability.clamp(0.0, 1.0) * self.count as f64;
        let mut below = 0u64;
        for (bin, count) in self.bins() {
            if (below + count) as f64 >= rank {
                let (low, high) = edges(bin);
                let inside = (rank - below as f64) / count as f64;
                return (low + inside * (high - low)).clamp(self.minimum, self.maximum);
            }
            below += count;
        }
        self.maximum
    }

    /// The share of values at or below `value`, linear between the edges of its bin: what [`quantile`](Self::quantile) inverts. NaN
    /// when nothing was counted.
    pub fn share_below(&self, value: f64) -> f64 {
        self.share_below_without(&Self::default(), value)
    }

    /// The same of the values that are left where some of them, a `part`, are taken away.
    pub fn share_below_without(&self, part: &Self, value: f64) -> f64 {
        let bin = bin_of(value);
        let ([below, at], [part_below, part_at]) = (self.counts_up_to(bin), part.counts_up_to(bin));
        let (low, high) = edges(bin);
        let inside = if low < high { (value - low) / (high - low) } else { 1.0 };
        ((below - part_below) as f64 + inside * (at - part_at) as f64) / (self.count - part.count) as f64
    }

    /// How many values are in the bins below one, and how many in it.
    fn counts_up_to(&self, bin: i64) -> [u64; 2] {
        let (octave, place) = ((bin >> MANTISSA_BITS) as i16, bin as usize & (BINS_PER_OCTAVE - 1));
        let lower: u64 = self.octaves.range(..octave).flat_map(|(_, bins)| bins.iter()).sum();
        match self.octaves.get(&octave) {
            None => [lower, 0],
            Some(bins) => [lower + bins[..place].iter().sum::<u64>(), bins[place]],
        }
    }

    /// The bins that hold something, in increasing order: (bin, count).
    pub fn bins(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.octaves.iter().flat_map(|(&octave, bins)| {
            let first = i64::from(octave) << MANTISSA_BITS;
            bins.iter().enumerate().filter(|&(_, &count)| count > 0).map(move |(i, &count)| (first + i as i64, count))
        })
    }
}

/// 0 for zero; for others the leading bits of the magnitude, counted from 1, with the sign of the value.
fn bin_of(value: f64) -> i64 {
    if value == 0.0 {
        return 0;
    }
    let magnitude = (value.abs().to_bits() >> SHIFT) as i64 + 1;
    if value < 0.0 { -magnitude } else { magnitude }
}

/// Lower and upper edge.
fn edges(bin: i64) -> (f64, f64) {
    if bin == 0 {
        return (0.0, 0.0);
    }
    let magnitude = bin.unsigned_abs();
    let (inner, outer) = (f64::from_bits((magnitude - 1) << SHIFT), f64::from_bits(magnitude << SHIFT).min(f64::MAX));
    if bin < 0 { (-outer, -inner) } else { (inner, outer) }
}

impl From<QuantileSketch> for SparseSketch {
    fn from(sketch: QuantileSketch) -> Self {
        let some = sketch.count > 0;
        Self {
            bins: sketch.bins().collect(),
            minimum: some.then_some(sketch.minimum),
            maximum: some.then_some(sketch.maximum),
        }
    }
}

impl From<SparseSketch> for QuantileSketch {
    fn from(sparse: SparseSketch) -> Self {
        let mut sketch = QuantileSketch::default();
        let largest = bin_of(f64::MAX);
        for (bin, count) in sparse.bins {
            sketch.add(bin.clamp(-largest, largest), count);
        }
        sketch.minimum = sparse.minimum.unwrap_or(f64::INFINITY);
        sketch.maximum = sparse.maximum.unwrap_or(f64::NEG_INFINITY);
        sketch
    }
}

/// A quantile of sorted values, at least one, interpolated between neighbours.
pub fn interpolated(sorted: &[f64], probability: f64) -> f64 {
    let place = probability * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + place.fract() * (high - low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch(values: &[f64]) -> QuantileSketch {
        let mut sketch = QuantileSketch::default();
        values.iter().for_each(|&value| sketch.push(value));
        sketch
    }

    #[test]
    fn zeros_and_one_repeated_value_are_exact() {
        assert_eq!(sketch(&[0.0; 9]).quantile(0.5), 0.0);
        assert_eq!(sketch(&[0.0, -0.0, 3.0]).quantile(0.5), 0.0);
        assert_eq!(sketch(&[1.2345; 9]).quantile(0.9), 1.2345);
        assert_eq!(sketch(&[-1.2345; 9]).quantile(0.1), -1.2345);
        assert!(sketch(&[f64::NAN]).quantile(0.5).is_nan());
        assert!((f64::MAX - sketch(&[-f64::MAX, f64::MAX]).quantile(0.9)).abs() < 2.5e-4 * f64::MAX);
    }

    #[test]
    fn the_order_of_bins_is_that_of_values() {
        let tiny = f64::from_bits(1);
        let values =
            [-f64::MAX, -2.0, -1.0, -f64::MIN_POSITIVE, -tiny, 0.0, tiny, f64::MIN_POSITIVE, 1.0, 2.0, f64::MAX];
        assert!(values.map(bin_of).is_sorted_by(|a, b| a < b));
        for value in values {
            let (low, high) = edges(bin_of(value));
            assert!(low <= value && value <= high, "{value:e} in [{low:e}, {high:e}]");
        }
    }

    /// Numbers of every size and sign: ordinary, tiny, subnormal and zero.
    fn any_sign() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => -1e6f64..1e6,
            2 => -1e-6f64..1e-6,
            1 => any::<f64>().prop_filter("finite", |value| value.is_finite()),
            1 => (-(1i64 << 52)..1 << 52).prop_map(|bits| f64::from_bits(bits.unsigned_abs()).copysign(bits as f64)),
            1 => Just(0.0),
        ]
    }

    /// 2⁻¹⁰³⁴, to which `powi` does not come everywhere: the power above it overflows.
    const SUBNORMAL_BIN: f64 = f64::from_bits(1 << 40);

    proptest! {
        #[test]
        fn quantiles_are_within_a_bin_of_the_sorted_sample(
            mut values in prop::collection::vec(any_sign(), 1..300),
            probability in 0.01f64..0.99,
        ) {
            let estimate = sketch(&values).quantile(probability);
            values.sort_by(f64::total_cmp);
            let rank = (probability * values.len() as f64).ceil() as usize;
            let exact = values[rank.clamp(1, values.len()) - 1];
            let bin = (2.5e-4 * exact.abs()).max(SUBNORMAL_BIN);
            prop_assert!((estimate - exact).abs() <= bin, "{:e} against {:e}", estimate, exact);
        }

        #[test]
        fn the_share_below_a_quantile_is_its_probability(
            values in prop::collection::vec(any_sign(), 1..300),
            probability in 0.01f64..0.99,
        ) {
            let sketch = sketch(&values);
            let quantile = sketch.quantile(probability);
            // Zero has no width, and the outermost bins are cut at the extremes.
            prop_assume!(quantile != 0.0 && quantile != sketch.minimum && quantile != sketch.maximum);
            prop_assert!((sketch.share_below(quantile) - probability).abs() < 1e-6);
            let below_all = sketch.minimum - sketch.minimum.abs().max(1.0);
            prop_assert_eq!(sketch.share_below(below_all), 0.0);
        }

        #[test]
        fn a_part_that_is_taken_away_leaves_the_share_of_the_others(
            values in prop::collection::vec(any_sign(), 2..300),
            split in any::<prop::sample::Index>(),
            value in any_sign(),
        ) {
            let (part, others) = values.split_at(1 + split.index(values.len() - 1));
            prop_assume!(!others.is_empty());
            let left = sketch(&values).share_below_without(&sketch(part), value);
            prop_assert_eq!(left.to_bits(), sketch(others).share_below(value).to_bits());
        }

        #[test]
        fn order_does_not_matter_and_saving_loses_nothing(mut values in prop::collection::vec(any_sign(), 0..100)) {
            let forward = sketch(&values);
            values.reverse();
            prop_assert_eq!(&sketch(&values), &forward);
            prop_assert_eq!(forward.count(), values.len() as u64);
            let text = serde_json::to_string(&forward).unwrap();
            prop_assert_eq!(&serde_json::from_str::<QuantileSketch>(&text).unwrap(), &forward);
        }
    }
}
