//! The ℓ_q norms of gradients: summed in double precision, block by block, and the perturbation that attains them.
//!
//! No norm over- or underflows on the way: it is infinite or zero only where its own value, or every coordinate, is.
//!
//! To first order, an attack of size ε in ‖·‖ₚ raises the loss by ε‖∂ₓL‖_q at most, with the dual norm 1/p + 1/q = 1.

use std::fmt;

use pulp::NullaryFnOnce;

use super::{InstructionSet, Real};

/// An ℓ_q norm, q ≥ 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm(f64);

impl Norm {
    /// ‖g‖₁ = Σ|gᵢ|.
    pub const ONE: Norm = Norm(1.0);
    /// ‖g‖₂ = √Σgᵢ².
    pub const TWO: Norm = Norm(2.0);
    /// ‖g‖_∞ = max|gᵢ|.
    pub const INFINITY: Norm = Norm(f64::INFINITY);

    /// The norm of order q; `None` unless 1 ≤ q ≤ ∞.
    pub fn new(q: f64) -> Option<Self> {
        (q >= 1.0).then_some(Self(q))
    }

    /// The order q.
    pub fn order(self) -> f64 {
        self.0
    }

    /// The dual norm, of order p with 1/p + 1/q = 1.
    pub fn dual(self) -> Self {
        match self {
            Self::ONE => Self::INFINITY,
            Self::INFINITY => Self::ONE,
            Self(q) => Self(q / (q - 1.0)),
        }
    }

    /// d^(1 − 1/q) = d^(1/p): the size, in the dual norm, of a perturbation of 1 in every coordinate. Multiplied by it,
    /// norms of every order compare attacks of one size per coordinate.
    pub fn dimension_factor(self, dimension: usize) -> f64 {
        (dimension as f64).powf(1.0 - 1.0 / self.0)
    }

    /// d^(1/q): the size, in this norm, of a perturbation of 1 in every coordinate.
    pub fn uniform_size(self, dimension: usize) -> f64 {
        (dimension as f64).powf(1.0 / self.0)
    }

    /// ‖g‖_q, summed in double precision.
    pub fn of<T: Real>(self, gradient: &[T]) -> f64 {
        let mut sums = NormSums::new(&[self]);
        sums.add(gradient);
        sums.norm(self)
    }

    /// Writes the perturbation δ with ‖δ‖ₚ = 1 in the dual norm that attains Hölder's bound g·δ = ‖g‖_q: sign(g) for q = 1,
    /// g/‖g‖₂ for q = 2, sign(gᵢ)|gᵢ|^(q−1)/‖g‖_q^(q−1) in general, and the largest coordinate alone for q = ∞.
    /// Zero where g is zero; the size of g does not matter, as far as `T` holds it.
    pub fn steepest_direction<T: Real>(self, gradient: &[T], direction: &mut [T]) {
        let sign = |g: T| if g == T::zero() { T::zero() } else { g.signum() };
        if self == Self::ONE {
            return direction.iter_mut().zip(gradient).for_each(|(delta, &g)| *delta = sign(g));
        }
        direction.copy_from_slice(gradient);
        let mut norm = self.of(direction);
        if self == Self::INFINITY {
            direction.fill(T::zero());
            if let Some(largest) = gradient.iter().position(|g| g.abs().as_f64() == norm) {
                direction[largest] = sign(gradient[largest]);
            }
            return;
        }
        // Between these, neither a square nor the reciprocal of the norm over- or underflows.
        let [least, most] = [T::min_positive_value(), T::max_value()].map(|extreme| extreme.as_f64().sqrt());
        if !(least..=most).contains(&norm) {
            let largest = T::from_f64(Self::INFINITY.of(direction));
            if largest == T::zero() {
                return;
            }
            direction.iter_mut().for_each(|g| *g /= largest);
            norm = self.of(direction);
        }
        if self == Self::TWO {
            let inverse = T::from_f64(1.0 / norm);
            direction.iter_mut().for_each(|g| *g = inverse * *g);
        } else {
            let power = |g: T| T::from_f64((g.abs().as_f64() / norm).powf(self.0 - 1.0));
            direction.iter_mut().for_each(|g| *g = sign(*g) * power(*g));
        }
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_infinite() { formatter.write_str("linf") } else { write!(formatter, "l{}", self.0) }
    }
}

/// Sums from which norms of several orders follow, over a gradient that comes in blocks.
#[derive(Debug, Clone)]
pub struct NormSums {
    count: usize,
    absolute: f64,
    squares: SquareSum,
    largest: f64,
    powers: Vec<PowerSum>,
}

/// Σ gᵢ² in three parts (Blue 1978): plain; and, scaled by powers of two, of coordinates whose squares could over- or
/// underflow, which only doubles have.
#[derive(Debug, Clone, Copy, Default)]
struct SquareSum {
    plain: f64,
    /// Of coordinates from [`LARGE`] on, divided by [`UNIT`].
    large: f64,
    /// Of coordinates below [`SMALL`], multiplied by [`UNIT`].
    small: f64,
}

/// 2⁴⁸⁰: the squares of smaller numbers can be summed, 2⁶⁰ of them and more.
const LARGE: f64 = power_of_two(480);

/// 2⁻⁴⁵⁰: beside the square of a number from here on, what underflows is nothing.
const SMALL: f64 = power_of_two(-450);

/// 2⁷⁰⁰: the squares of all smaller numbers times it, and of all larger ones divided by it, can be summed.
const UNIT: f64 = power_of_two(700);

const fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// Σ (|gᵢ|/scale)^q with the scale the largest |gᵢ| so far: no order q over- or underflows.
#[derive(Debug, Clone)]
struct PowerSum {
    order: f64,
    scale: f64,
    sum: f64,
}

/// Independent partial sums, enough to fill the vector units.
const LANES: usize = 16;

impl NormSums {
    /// Empty sums for these norms; ℓ₁, ℓ₂ and ℓ_∞ come with any.
    pub fn new(norms: &[Norm]) -> Self {
        let mut powers: Vec<PowerSum> = Vec::new();
        for norm in norms.iter().filter(|norm| ![Norm::ONE, Norm::TWO, Norm::INFINITY].contains(norm)) {
            if !powers.iter().any(|power| power.order == norm.0) {
                powers.push(PowerSum { order: norm.0, scale: 0.0, sum: 0.0 });
            }
        }
        Self { count: 0, absolute: 0.0, squares: SquareSum::default(), largest: 0.0, powers }
    }

    /// Forgets all that was added.
    pub fn clear(&mut self) {
        (self.count, self.absolute, self.squares, self.largest) = (0, 0.0, SquareSum::default(), 0.0);
        for power in &mut self.powers {
            (power.scale, power.sum) = (0.0, 0.0);
        }
    }

    /// Adds a block of coordinates.
    pub fn add<T: Real>(&mut self, block: &[T]) {
        let LaneSums { absolute, squares, largest } = InstructionSet::current().run(SumLanes(block));
        self.count += block.len();
        self.absolute += absolute.iter().sum::<f64>();
        let larger = |most: T, magnitude: T| if magnitude > most { magnitude } else { most };
        let block_largest = largest.into_iter().fold(T::zero(), larger).as_f64();
        if block_largest == 0.0 || (SMALL..LARGE).contains(&block_largest) {
            self.squares.plain += squares.iter().sum::<f64>();
        } else {
            block.iter().for_each(|coordinate| self.squares.add(coordinate.abs().as_f64()));
        }
        self.largest = self.largest.max(block_largest);
        for power in &mut self.powers {
            power.add(block, block_largest);
        }
    }

    /// Number of coordinates added.
    pub fn count(&self) -> usize {
        self.count
    }

    /// ‖g‖_q of all that was added; NaN if any coordinate was. Panics for an order that was not asked for in
    /// [`new`](Self::new).
    pub fn norm(&self, norm: Norm) -> f64 {
        match norm {
            Norm::ONE => self.absolute,
            Norm::TWO => self.squares.root(),
            // The largest magnitude passes over a NaN; the sum of magnitudes does not.
            _ if self.absolute.is_nan() => f64::NAN,
            Norm::INFINITY => self.largest,
            Norm(order) => {
                let power = self.powers.iter().find(|power| power.order == order);
                let power = power.expect("a norm is asked for before it is summed");
                power.scale * power.sum.powf(1.0 / order)
            }
        }
    }
}

/// Partial sums of a block's coordinates, and the largest magnitude, for each place within [`LANES`].
struct LaneSums<T> {
    absolute: [f64; LANES],
    squares: [f64; LANES],
    largest: [T; LANES],
}

/// The loop that makes them.
struct SumLanes<'a, T>(&'a [T]);

impl<T: Real> NullaryFnOnce for SumLanes<'_, T> {
    type Output = LaneSums<T>;

    #[inline(always)]
    fn call(self) -> LaneSums<T> {
        let mut sums = LaneSums { absolute: [0.0; LANES], squares: [0.0; LANES], largest: [T::zero(); LANES] };
        let (chunks, rest) = self.0.as_chunks::<LANES>();
        chunks.iter().for_each(|chunk| sums.add(chunk));
        // Zeros change no sum.
        let mut last = [T::zero(); LANES];
        last[..rest.len()].copy_from_slice(rest);
        sums.add(&last);
        sums
    }
}

impl<T: Real> LaneSums<T> {
    #[inline(always)]
    fn add(&mut self, chunk: &[T; LANES]) {
        for (lane, coordinate) in chunk.iter().enumerate() {
            let magnitude = coordinate.abs();
            let wide = magnitude.as_f64();
            self.absolute[lane] += wide;
            self.squares[lane] = wide.mul_add(wide, self.squares[lane]);
            self.largest[lane] = if magnitude > self.largest[lane] { magnitude } else { self.largest[lane] };
        }
    }
}

impl SquareSum {
    /// Adds the square of a magnitude of any size; not a number goes to the plain part, and shows.
    fn add(&mut self, magnitude: f64) {
        let add = |sum: &mut f64, ratio: f64| *sum = ratio.mul_add(ratio, *sum);
        if magnitude >= LARGE {
            add(&mut self.large, magnitude / UNIT);
        } else if magnitude < SMALL {
            add(&mut self.small, magnitude * UNIT);
        } else {
            add(&mut self.plain, magnitude);
        }
    }

    /// √Σ gᵢ².
    fn root(self) -> f64 {
        // The other parts have no digit beside a large one, nor a small one beside a plain one of any size.
        if self.large > 0.0 {
            UNIT * (self.large + self.plain / UNIT / UNIT).sqrt()
        } else if self.small == 0.0 || self.plain > power_of_two(-800) {
            self.plain.sqrt()
        } else {
            (self.small + self.plain * UNIT * UNIT).sqrt() / UNIT
        }
    }
}

impl PowerSum {
    fn add<T: Real>(&mut self, block: &[T], block_largest: f64) {
        if block_largest > self.scale {
            self.sum *= (self.scale / block_largest).powf(self.order);
            self.scale = block_largest;
        }
        if self.scale == 0.0 {
            return;
        }
        let scale = self.scale;
        self.sum += if (SMALL..LARGE).contains(&scale) {
            let inverse = 1.0 / scale;
            self.of_ratios(block, |magnitude| magnitude * inverse)
        } else {
            // The inverse would not have all digits, or be infinite.
            self.of_ratios(block, |magnitude| magnitude / scale)
        };
    }

    /// Σ ratio(|gᵢ|)^q.
    fn of_ratios<T: Real>(&self, block: &[T], ratio: impl Fn(f64) -> f64) -> f64 {
        let ratios = block.iter().map(|coordinate| ratio(coordinate.abs().as_f64()));
        // The common orders need no general power, which is ten times slower.
        if self.order == 1.5 {
            ratios.map(|ratio| ratio * ratio.sqrt()).sum::<f64>()
        } else if self.order == 3.0 {
            ratios.map(|ratio| ratio * ratio * ratio).sum::<f64>()
        } else {
            ratios.map(|ratio| ratio.powf(self.order)).sum::<f64>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order() -> impl Strategy<Value = Norm> {
        prop_oneof![
            Just(Norm::ONE),
            Just(Norm::TWO),
            Just(Norm::INFINITY),
            Just(Norm(1.5)),
            Just(Norm(3.0)),
            (1.01f64..40.0).prop_map(Norm)
        ]
    }

    #[test]
    fn known_vectors_have_their_norms() {
        let vector = [3.0f32, -4.0, 0.0];
        assert_eq!(Norm::ONE.of(&vector), 7.0);
        assert_eq!(Norm::TWO.of(&vector), 5.0);
        assert_eq!(Norm::INFINITY.of(&vector), 4.0);
        assert!((Norm(3.0).of(&vector) - 91f64.cbrt()).abs() < 1e-12);
        assert!((Norm(400.0).of(&[1e-30f64, -2e-30]) / 2e-30 - 1.0).abs() < 1e-12, "no underflow");
        assert_eq!(Norm(7.5).of(&[0.0f32; 5]), 0.0);
        assert_eq!(Norm::new(0.99), None);
    }

    /// The gradient of a sure linear classifier in single precision, below the smallest normal number.
    #[test]
    fn the_direction_of_a_vanishing_gradient_has_norm_one() {
        for norm in [Norm::TWO, Norm(3.0), Norm(1.5)] {
            for gradient in [[3e-40f32, -4e-40], [f32::from_bits(1), f32::from_bits(1)], [3e38, -3e38]] {
                let mut direction = [f32::NAN; 2];
                norm.steepest_direction(&gradient, &mut direction);
                assert!((norm.dual().of(&direction) - 1.0).abs() < 1e-6, "{norm} {direction:?}");
            }
        }
        let mut direction = [f32::NAN; 2];
        Norm::TWO.steepest_direction(&[f32::INFINITY, 1.0], &mut direction);
        assert!(direction[0].is_nan(), "what is not finite shows");
    }

    #[test]
    fn sums_beyond_double_precision_do_not_hide_what_is_within() {
        // ‖g‖₁ alone is too large, and g is finite.
        let vector = [1.2e308, -1.2e308];
        assert_eq!(Norm::ONE.of(&vector), f64::INFINITY);
        assert_eq!(Norm::INFINITY.of(&vector), 1.2e308);
        assert!((Norm::TWO.of(&vector) / 1.2e308 - 2f64.sqrt()).abs() < 1e-15);
        assert!((Norm(3.0).of(&vector) / 1.2e308 - 2f64.cbrt()).abs() < 1e-15);
        let least = f64::from_bits(1);
        for norm in [Norm::ONE, Norm::TWO, Norm::INFINITY, Norm(1.5), Norm(2.5), Norm(3.0)] {
            assert_eq!(norm.of(&[0.0, least]), least, "{norm}");
        }
        assert_eq!(Norm::TWO.of(&[3.0 * least, 4.0 * least]), 5.0 * least);
        assert!((Norm::TWO.of(&[3e-200, 3e200, -4e200, 1.0]) / 5e200 - 1.0).abs() < 1e-15);
        assert_eq!(Norm::TWO.of(&[f32::from_bits(3), -f32::from_bits(4)]), f64::from(f32::from_bits(5)));
    }

    #[test]
    fn a_coordinate_that_is_not_finite_shows_in_every_norm() {
        for norm in [Norm::ONE, Norm::TWO, Norm::INFINITY, Norm(1.5), Norm(2.5)] {
            assert!(!norm.of(&[1.0f32, f32::NAN, 2.0]).is_finite(), "{norm}");
            assert!(!norm.of(&[1.0f32, f32::INFINITY]).is_finite(), "{norm}");
            assert!(norm.of(&[1e-200, f64::NAN, 1e200]).is_nan(), "{norm}");
            assert!(norm.of(&[f64::NAN, 1e-200]).is_nan(), "{norm}");
            assert!(!norm.of(&[f64::INFINITY, 1e-200]).is_finite(), "{norm}");
        }
    }

    proptest! {
        #[test]
        fn hoelders_bound_holds_and_is_attained(
            gradient in prop::collection::vec(-2.0f64..2.0, 1..40),
            other in prop::collection::vec(-2.0f64..2.0, 40),
            norm in order(),
        ) {
            let product = |delta: &[f64]| gradient.iter().zip(delta).map(|(g, d)| g * d).sum::<f64>();
            let other = &other[..gradient.len()];
            let bound = norm.of(&gradient) * norm.dual().of(other);
            prop_assert!(product(other).abs() <= bound * (1.0 + 1e-9));
            let mut steepest = vec![f64::NAN; gradient.len()];
            norm.steepest_direction(&gradient, &mut steepest);
            prop_assert!((product(&steepest) - norm.of(&gradient)).abs() < 1e-9 * norm.of(&gradient));
            prop_assert!((norm.dual().of(&steepest) - 1.0).abs() < 1e-9 || norm.of(&gradient) == 0.0);
        }

        /// Down to the smallest numbers that single precision holds whole, and up to the largest.
        #[test]
        fn directions_do_not_know_the_size_of_the_gradient(
            gradient in prop::collection::vec(-2.0f32..2.0, 2..40), norm in order(), power in -110i32..=126,
        ) {
            let scaled: Vec<f32> = gradient.iter().map(|g| g * 2f32.powi(power)).collect();
            let [mut one, mut other] = [vec![f32::NAN; gradient.len()], vec![f32::NAN; gradient.len()]];
            norm.steepest_direction(&gradient, &mut one);
            norm.steepest_direction(&scaled, &mut other);
            for (one, other) in one.iter().zip(&other) {
                prop_assert!((one - other).abs() < 1e-5, "{norm} {one} {other}");
            }
            let double: Vec<f64> = gradient.iter().map(|&g| f64::from(g) * 2f64.powi(8 * power)).collect();
            let mut other = vec![f64::NAN; gradient.len()];
            norm.steepest_direction(&double, &mut other);
            for (&one, other) in one.iter().zip(&other) {
                prop_assert!((f64::from(one) - other).abs() < 1e-5, "{norm} {one} {other}");
            }
        }

        #[test]
        fn blocks_add_up_to_the_whole(
            gradient in prop::collection::vec(-2.0f32..2.0, 0..100), cut in 0usize..100, norm in order(),
        ) {
            let cut = cut.min(gradient.len());
            let mut sums = NormSums::new(&[norm]);
            sums.add(&gradient[..cut]);
            sums.add(&gradient[cut..]);
            prop_assert_eq!(sums.count(), gradient.len());
            prop_assert!((sums.norm(norm) - norm.of(&gradient)).abs() <= 1e-12 * norm.of(&gradient));
        }

        #[test]
        fn norms_are_homogeneous_and_decrease_with_the_order(
            gradient in prop::collection::vec(-2.0f64..2.0, 1..40), norm in order(), scale in -9.0f64..9.0,
        ) {
            let scaled: Vec<f64> = gradient.iter().map(|g| scale * g).collect();
            let size = norm.of(&gradient);
            prop_assert!((norm.of(&scaled) - scale.abs() * size).abs() <= 1e-9 * size.max(1e-300) * (1.0 + scale.abs()));
            prop_assert!(size <= Norm::ONE.of(&gradient) * (1.0 + 1e-9));
            prop_assert!(size >= Norm::INFINITY.of(&gradient) * (1.0 - 1e-9));
        }

        /// From the smallest to the largest numbers, in one block and in several of different sizes.
        #[test]
        fn norms_of_any_scale_are_those_of_ordinary_numbers(
            gradient in prop::collection::vec(-2.0f64..2.0, 1..40), norm in order(), power in -1000i32..1000, cut in 0usize..40,
        ) {
            let unit = |value: f64| value * 2f64.powi(power / 2) * 2f64.powi(power - power / 2);
            let scaled: Vec<f64> = gradient.iter().map(|&g| unit(g)).collect();
            let size = norm.of(&gradient);
            prop_assert!((norm.of(&scaled) - unit(size)).abs() <= 1e-13 * unit(size));
            let mut sums = NormSums::new(&[norm]);
            let cut = cut.min(gradient.len());
            sums.add(&scaled[..cut]);
            sums.add(&gradient[cut..]);
            let parts = [norm.of(&scaled[..cut]), norm.of(&gradient[cut..])];
            prop_assert!((sums.norm(norm) - norm.of(&parts)).abs() <= 1e-13 * norm.of(&parts));
        }
    }
}
