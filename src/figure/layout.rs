//! Geometry that is independent of what is drawn: mapping data to pixels,
//! pushing labels apart, and setting coinciding curves side by side.

use super::description::Scale;
use super::scene::Rect;

/// Numbers beyond this, or below its inverse on a logarithmic axis, are not
/// drawn: differences of two of them, and an axis with padding around them,
/// must stay finite.
const LARGEST: f64 = 1e250;

/// Whether an axis of this scale has a place for the value.
pub fn is_drawable(scale: Scale, value: f64) -> bool {
    match scale {
        Scale::Linear => value.abs() <= LARGEST,
        Scale::Log2 | Scale::Log10 => (1.0 / LARGEST..=LARGEST).contains(&value),
    }
}

/// The range of an axis, in coordinates in which the scale is even.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// How values are spaced.
    pub scale: Scale,
    lo: f64,
    hi: f64,
}

impl Range {
    /// The range that holds all drawable `values` with `padding` (a share of
    /// the span) on both sides, or nothing if no value is drawable.
    pub fn around(scale: Scale, values: impl IntoIterator<Item = f64>, padding: f64) -> Option<Self> {
        let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|&v| is_drawable(scale, v)) {
            lo = lo.min(even(scale, value));
            hi = hi.max(even(scale, value));
        }
        if lo > hi {
            return None;
        }
        // A span of next to nothing has no room for ticks.
        let largest = lo.abs().max(hi.abs());
        let least = match scale {
            Scale::Linear => (1e-6 * largest).max(1.0 / LARGEST),
            Scale::Log2 => 0.1,
            Scale::Log10 => 0.03,
        };
        if hi - lo <= least {
            let half = match scale {
                Scale::Linear if largest > 1.0 / LARGEST => 0.05 * largest,
                _ => 0.5,
            };
            (lo, hi) = ((lo + hi) / 2.0 - half, (lo + hi) / 2.0 + half);
        }
        let margin = (hi - lo) * padding;
        Some(Range { scale, lo: lo - margin, hi: hi + margin })
    }

    /// The numbers from 0 to 1, evenly.
    pub const UNIT: Range = Range { scale: Scale::Linear, lo: 0.0, hi: 1.0 };

    /// Both ends, in the units of the data.
    pub fn ends(&self) -> (f64, f64) {
        let back = |v: f64| match self.scale {
            Scale::Linear => v,
            Scale::Log2 => v.exp2(),
            Scale::Log10 => 10f64.powf(v),
        };
        (back(self.lo), back(self.hi))
    }

    /// Whether `value` lies between the ends.
    pub fn holds(&self, value: f64) -> bool {
        is_drawable(self.scale, value) && (self.lo..=self.hi).contains(&even(self.scale, value))
    }

    /// Position of `value` between the ends, from 0 to 1; values that the axis
    /// has no place for, and those beyond an end, are moved to that end.
    pub fn share(&self, value: f64) -> f64 {
        if self.scale != Scale::Linear && value <= 0.0 {
            return 0.0;
        }
        let share = (even(self.scale, value) - self.lo) / (self.hi - self.lo);
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }
}

/// The coordinate in which the scale is even.
fn even(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value,
        Scale::Log2 => value.log2(),
        Scale::Log10 => value.log10(),
    }
}

/// A rectangle with the ranges of its axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Panel {
    /// Where on the canvas.
    pub rect: Rect,
    /// Horizontal axis.
    pub x: Range,
    /// Vertical axis.
    pub y: Range,
}

impl Panel {
    /// Horizontal pixel of a value.
    pub fn px(&self, value: f64) -> f64 {
        self.rect.left + self.x.share(value) * self.rect.width()
    }

    /// Vertical pixel of a value.
    pub fn py(&self, value: f64) -> f64 {
        self.rect.bottom - self.y.share(value) * self.rect.height()
    }

    /// Pixel of a pair of values, if the axes have a place for it.
    pub fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let both = is_drawable(self.x.scale, x) && is_drawable(self.y.scale, y);
        both.then(|| (self.px(x), self.py(y)))
    }
}

/// Moves blocks (desired top and height) as little as possible, in the sense
/// of least squares, so that they do not overlap, keep the order of their
/// desired tops, and stay between `lo` and `hi` if they fit there at all.
pub fn push_apart(blocks: &[(f64, f64)], gap: f64, lo: f64, hi: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by(|&a, &b| blocks[a].0.total_cmp(&blocks[b].0));
    // With the heights above it subtracted, each top only has to be no less
    // than its predecessor: isotonic regression, by pooling violators.
    let mut used = 0.0;
    let mut above = Vec::with_capacity(blocks.len());
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for &i in &order {
        above.push(used);
        let mut pool = (blocks[i].0 - used, 1);
        while let Some(&(sum, count)) = pools.last() {
            if sum / count as f64 <= pool.0 / pool.1 as f64 {
                break;
            }
            pools.pop();
            pool = (pool.0 + sum, pool.1 + count);
        }
        pools.push(pool);
        used += blocks[i].1 + gap;
    }
    let latest = (hi - (used - gap)).max(lo);
    let pooled = pools.iter().flat_map(|&(sum, count)| std::iter::repeat_n(sum / count as f64, count));
    let mut tops = vec![lo; blocks.len()];
    for ((&i, above), start) in order.iter().zip(above).zip(pooled) {
        tops[i] = start.clamp(lo, latest) + above;
    }
    tops
}

/// How one curve is shifted sideways against others that would hide it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dodge {
    /// Shift in pixels.
    pub shift: f64,
    /// Width that is free of neighbours, in pixels; infinite without any.
    pub slot: f64,
}

/// Shifts curves (given as pixels) that lie within `reach` of one another at
/// half or more of the abscissas they share; others stay in place. They end up
/// `step` apart, or less if together they would take up more than `share` of
/// the space between neighbouring abscissas.
pub fn dodge(curves: &[Vec<(f64, f64)>], reach: f64, step: f64, share: f64) -> Vec<Dodge> {
    let mut group: Vec<usize> = (0..curves.len()).collect();
    for a in 0..curves.len() {
        for b in 0..a {
            if coincide(&curves[a], &curves[b], reach) {
                let (from, to) = (group[a], group[b]);
                group.iter_mut().filter(|g| **g == from).for_each(|g| *g = to);
            }
        }
    }
    let spacing = least_spacing(curves).unwrap_or(f64::INFINITY);
    (0..curves.len())
        .map(|i| {
            let members = group.iter().filter(|&&g| g == group[i]).count() as f64;
            let rank = group[..i].iter().filter(|&&g| g == group[i]).count() as f64;
            let slot = step.min(share * spacing / members);
            Dodge {
                shift: (rank - (members - 1.0) / 2.0) * slot,
                slot: if members > 1.0 { slot } else { f64::INFINITY },
            }
        })
        .collect()
}

/// Whether two curves hide one another at half or more of shared abscissas.
fn coincide(a: &[(f64, f64)], b: &[(f64, f64)], reach: f64) -> bool {
    let (mut shared, mut close) = (0, 0);
    for p in a {
        for q in b.iter().filter(|q| (q.0 - p.0).abs() < 0.5) {
            shared += 1;
            close += usize::from((q.1 - p.1).abs() < reach);
        }
    }
    shared > 0 && 2 * close >= shared
}

/// Least distance between different abscissas.
fn least_spacing(curves: &[Vec<(f64, f64)>]) -> Option<f64> {
    let mut xs: Vec<f64> = curves.iter().flatten().map(|p| p.0).collect();
    xs.sort_by(f64::total_cmp);
    xs.windows(2).map(|pair| pair[1] - pair[0]).filter(|&distance| distance >= 0.5).reduce(f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_even_and_out_of_place_values_go_to_an_end() {
        let range = Range::around(Scale::Log2, [64.0, 1024.0, -3.0, f64::NAN], 0.0).unwrap();
        assert!((range.share(256.0) - 0.5).abs() < 1e-12);
        assert_eq!(range.share(0.0), 0.0);
        assert_eq!(range.share(1e9), 1.0);
    }

    #[test]
    fn a_single_value_sits_in_the_middle_of_a_range_of_some_width() {
        for scale in [Scale::Linear, Scale::Log2, Scale::Log10] {
            for value in [1e-200, 1e-30, 1.0, 64.0, 1e12] {
                let range = Range::around(scale, [value], 0.05).unwrap();
                let (lo, hi) = range.ends();
                assert!(lo < value && value < hi, "{scale:?} {value}");
                assert!((range.share(value) - 0.5).abs() < 1e-6);
            }
        }
        for nothing in [0.0, 5e-324] {
            let range = Range::around(Scale::Linear, [0.0, nothing], 0.0).unwrap();
            assert!(range.ends() == (-0.5, 0.5));
        }
        assert_eq!(Range::around(Scale::Log10, [0.0, -1.0], 0.0), None);
        assert_eq!(Range::around(Scale::Linear, [f64::NAN, f64::INFINITY], 0.0), None);
    }

    #[test]
    fn labels_with_room_stay_where_they_want_to_be() {
        assert_eq!(push_apart(&[(50.0, 10.0), (0.0, 10.0)], 2.0, 0.0, 100.0), [50.0, 0.0]);
    }

    #[test]
    fn labels_that_want_the_same_place_are_spread_around_it() {
        let tops = push_apart(&[(40.0, 10.0); 3], 2.0, 0.0, 100.0);
        assert_eq!(tops, [28.0, 40.0, 52.0]);
    }

    #[test]
    fn labels_never_overlap_nor_leave_the_column() {
        let mut state = 7u32;
        let mut next = |n: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from((state >> 8) % n)
        };
        for _ in 0..200 {
            let blocks: Vec<_> = (0..8).map(|_| (next(700) - 100.0, 5.0 + next(40))).collect();
            let tops = push_apart(&blocks, 3.0, 20.0, 480.0);
            let mut spans: Vec<_> = tops.iter().zip(&blocks).map(|(t, b)| (*t, t + b.1)).collect();
            spans.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(spans[0].0 >= 20.0 && spans[7].1 <= 480.0 + 1e-9);
            assert!(spans.windows(2).all(|s| s[1].0 >= s[0].1 + 3.0 - 1e-9));
        }
    }

    #[test]
    fn labels_without_enough_room_still_do_not_overlap() {
        let tops = push_apart(&[(5.0, 30.0), (5.0, 30.0)], 0.0, 0.0, 40.0);
        assert_eq!(tops, [0.0, 30.0]);
    }

    #[test]
    fn only_coinciding_curves_are_shifted() {
        let line = |y: f64| vec![(0.0, y), (50.0, y), (100.0, y)];
        let shifts = dodge(&[line(10.0), line(12.0), line(80.0)], 7.0, 5.0, 0.75);
        assert_eq!(shifts[0].shift, -2.5);
        assert_eq!(shifts[1].shift, 2.5);
        assert_eq!(shifts[2].shift, 0.0);
    }

    #[test]
    fn many_coinciding_curves_stay_nearer_to_their_abscissa_than_to_the_next() {
        let curves = vec![vec![(0.0, 0.0), (20.0, 0.0)]; 8];
        let shifts = dodge(&curves, 7.0, 5.0, 0.75);
        assert!(shifts.iter().all(|d| d.shift.abs() < 10.0));
        assert!(shifts.windows(2).all(|w| w[1].shift > w[0].shift));
    }
}
