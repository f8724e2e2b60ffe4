//! Numbers beyond the range of double precision: products over thousands of layers, such as 4¹⁰⁰⁰ and its inverse.

use std::cmp::Ordering;
use std::fmt;
use std::iter::{Product, Sum};
use std::ops::{Add, Div, Mul};

/// mantissa · 2^exponent, with as many digits as a double and a range without end.
///
/// The exponent is 0 for ordinary numbers, from 2⁻²⁵⁶ (10⁻⁷⁷) to 2²⁵⁶ (10⁷⁷): what is computed with them has the bits, and
/// nearly the cost, of doubles. Elsewhere it is a multiple of 512, so that every number is held in one way. A mantissa that is
/// zero or not finite has the exponent 0.
///
/// ```
/// use gradlaw::theory::Scaled;
///
/// let product: Scaled = (0..10_000).map(|_| Scaled::from(0.25)).product();
/// assert_eq!(product.to_string(), "2.512e-6021");
/// assert_eq!(product.to_f64(), None);
/// assert_eq!((product * Scaled::power_of_two(20_000)).to_f64(), Some(1.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaled {
    mantissa: f64,
    exponent: i64,
}

/// Exponents are multiples of this.
const STEP: i64 = 512;
/// 2⁵¹².
const UNIT: f64 = f64::from_bits((1023 + 512) << 52);
/// 2⁻⁵¹².
const INVERSE: f64 = f64::from_bits((1023 - 512) << 52);
/// 2²⁵⁶, above every mantissa.
const MOST: f64 = f64::from_bits((1023 + 256) << 52);
/// 2⁻²⁵⁶, the least mantissa.
const LEAST: f64 = f64::from_bits((1023 - 256) << 52);

impl Scaled {
    /// 0.
    pub const ZERO: Self = Self { mantissa: 0.0, exponent: 0 };
    /// 1.
    pub const ONE: Self = Self { mantissa: 1.0, exponent: 0 };

    /// 2^exponent.
    pub fn power_of_two(exponent: i64) -> Self {
        let steps = (exponent + STEP / 2).div_euclid(STEP);
        // Between −256 and 255.
        let rest = exponent - STEP * steps;
        Self { mantissa: f64::from_bits(((1023 + rest) as u64) << 52), exponent: STEP * steps }
    }

    /// mantissa · 2^exponent, for an exponent that is a multiple of [`STEP`].
    #[inline]
    fn new(mantissa: f64, exponent: i64) -> Self {
        if (LEAST..MOST).contains(&mantissa.abs()) {
            Self { mantissa, exponent }
        } else {
            Self::far(mantissa, exponent)
        }
    }

    #[cold]
    fn far(mut mantissa: f64, mut exponent: i64) -> Self {
        if mantissa == 0.0 || !mantissa.is_finite() {
            return Self { mantissa, exponent: 0 };
        }
        while mantissa.abs() >= MOST {
            (mantissa, exponent) = (mantissa * INVERSE, exponent + STEP);
        }
        while mantissa.abs() < LEAST {
            (mantissa, exponent) = (mantissa * UNIT, exponent - STEP);
        }
        Self { mantissa, exponent }
    }

    /// Whether it is exactly zero.
    #[inline]
    pub fn is_zero(self) -> bool {
        self.mantissa == 0.0
    }

    /// The number, where double precision holds it with all its digits: `None` above 1.8·10³⁰⁸, and below 2.2·10⁻³⁰⁸ but for 0.
    pub fn to_f64(self) -> Option<f64> {
        let value = self.nearest();
        (value.is_normal() || self.is_zero() || self.mantissa.is_nan()).then_some(value)
    }

    /// The nearest double: infinite where it is too large; where it is too small, the smallest double above zero, so that nothing
    /// becomes zero that is none.
    #[inline]
    pub fn nearest(self) -> f64 {
        if self.exponent == 0 { self.mantissa } else { self.nearest_of_far() }
    }

    #[cold]
    fn nearest_of_far(self) -> f64 {
        let Self { mut mantissa, mut exponent } = self;
        while exponent > 0 && mantissa.is_finite() {
            (mantissa, exponent) = (mantissa * UNIT, exponent - STEP);
        }
        while exponent < 0 && mantissa != 0.0 {
            (mantissa, exponent) = (mantissa * INVERSE, exponent + STEP);
        }
        if mantissa == 0.0 && !self.is_zero() { f64::from_bits(1).copysign(self.mantissa) } else { mantissa }
    }

    /// A double from 2⁻⁷⁶⁸ to 2⁷⁶⁸, and the power of two by which to multiply it: 1 for ordinary numbers. Where only the order of
    /// magnitude counts, as for the softmax of huge and tiny logits, the double will do.
    #[inline]
    pub fn clamped(self) -> (f64, Self) {
        if self.exponent == 0 {
            return (self.mantissa, Self::ONE);
        }
        let step = self.exponent.clamp(-STEP, STEP);
        (Self { exponent: step, ..self }.nearest(), Self { mantissa: 1.0, exponent: self.exponent - step })
    }

    /// (m, e) with m·2^e the number: m from 2⁻²⁵⁶ to 2²⁵⁶ and e = 0 for ordinary numbers.
    pub fn parts(self) -> (f64, i64) {
        (self.mantissa, self.exponent)
    }

    /// A power of two between the number's magnitude and half of it; of a number that is finite and not zero.
    pub fn power_below(self) -> Self {
        // The mantissa is a normal number.
        Self { mantissa: f64::from_bits(self.mantissa.abs().to_bits() >> 52 << 52), ..self }
    }

    /// The base-2 logarithm of its magnitude.
    pub fn log2(self) -> f64 {
        self.mantissa.abs().log2() + self.exponent as f64
    }

    /// √ of a number that is not negative.
    #[inline]
    pub fn sqrt(self) -> Self {
        if self.exponent == 0 {
            // Nearer to 1 than the number is.
            return Self { mantissa: self.mantissa.sqrt(), exponent: 0 };
        }
        self.sqrt_of_far()
    }

    #[cold]
    fn sqrt_of_far(self) -> Self {
        // Half of an odd multiple of 512 is 256 more than a multiple of it.
        let (half, is_odd) = (self.exponent.div_euclid(2 * STEP) * STEP, self.exponent % (2 * STEP) != 0);
        Self::new(self.mantissa.sqrt() * if is_odd { MOST } else { 1.0 }, half)
    }

    /// The power of a whole exponent from 0 on, by repeated squaring.
    #[inline]
    pub fn power(self, exponent: u32) -> Self {
        match exponent {
            1 => self,
            2 => self * self,
            _ => by_squaring(self, exponent),
        }
    }
}

/// What products over layers are computed with: doubles where their range is known to do, [`Scaled`] numbers elsewhere, to the same bits.
pub(crate) trait Magnitude:
    Copy + From<f64> + Into<Scaled> + Mul<Output = Self> + Div<Output = Self> + Add<Output = Self>
{
    /// Whether it is exactly zero.
    fn is_zero(self) -> bool;
    /// √ of a number that is not negative.
    fn root(self) -> Self;
    /// The power of a whole exponent.
    fn powered(self, exponent: u32) -> Self;
    /// See [`Scaled::clamped`].
    fn clamped(self) -> (f64, Self);
    /// See [`Scaled::nearest`].
    fn nearest(self) -> f64;
}

impl Magnitude for f64 {
    #[inline]
    fn is_zero(self) -> bool {
        self == 0.0
    }

    #[inline]
    fn root(self) -> Self {
        self.sqrt()
    }

    #[inline]
    fn powered(self, exponent: u32) -> Self {
        by_squaring(self, exponent)
    }

    #[inline]
    fn clamped(self) -> (f64, Self) {
        (self, 1.0)
    }

    #[inline]
    fn nearest(self) -> f64 {
        self
    }
}

impl Magnitude for Scaled {
    #[inline]
    fn is_zero(self) -> bool {
        Scaled::is_zero(self)
    }

    #[inline]
    fn root(self) -> Self {
        self.sqrt()
    }

    #[inline]
    fn powered(self, exponent: u32) -> Self {
        self.power(exponent)
    }

    #[inline]
    fn clamped(self) -> (f64, Self) {
        Scaled::clamped(self)
    }

    #[inline]
    fn nearest(self) -> f64 {
        Scaled::nearest(self)
    }
}

/// The power of a whole exponent from 0 on.
#[inline]
fn by_squaring<M: Magnitude>(base: M, exponent: u32) -> M {
    let (mut power, mut square, mut left) = (M::from(1.0), base, exponent);
    while left > 0 {
        if left % 2 == 1 {
            power = power * square;
        }
        square = square * square;
        left /= 2;
    }
    power
}

impl Default for Scaled {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<f64> for Scaled {
    #[inline]
    fn from(value: f64) -> Self {
        Self::new(value, 0)
    }
}

impl Mul for Scaled {
    type Output = Self;

    #[inline]
    fn mul(self, other: Self) -> Self {
        Self::new(self.mantissa * other.mantissa, self.exponent + other.exponent)
    }
}

impl Div for Scaled {
    type Output = Self;

    #[inline]
    fn div(self, other: Self) -> Self {
        Self::new(self.mantissa / other.mantissa, self.exponent - other.exponent)
    }
}

impl Add for Scaled {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        if self.exponent == other.exponent || self.is_zero() || other.is_zero() {
            let exponent = if self.is_zero() { other.exponent } else { self.exponent };
            return Self::new(self.mantissa + other.mantissa, exponent);
        }
        let (large, small) = if self.exponent > other.exponent { (self, other) } else { (other, self) };
        // Two steps down there is nothing left beside the least mantissa.
        let small_mantissa = if large.exponent - small.exponent > STEP { 0.0 } else { small.mantissa * INVERSE };
        let not_finite = if small.mantissa.is_finite() { 0.0 } else { small.mantissa };
        Self::new(large.mantissa + small_mantissa + not_finite, large.exponent)
    }
}

impl Product for Scaled {
    fn product<I: Iterator<Item = Self>>(factors: I) -> Self {
        factors.fold(Self::ONE, |product, factor| product * factor)
    }
}

impl Sum for Scaled {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(Self::ZERO, |sum, term| sum + term)
    }
}

impl PartialOrd for Scaled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (*self + Self { mantissa: -other.mantissa, ..*other }).mantissa.partial_cmp(&0.0)
    }
}

/// Four digits, as in 2.512e-6021.
impl fmt::Display for Scaled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(value) = self.to_f64().or((!self.mantissa.is_finite()).then_some(self.mantissa)) {
            return write!(formatter, "{value:.3e}");
        }
        let logarithm = self.log2() * std::f64::consts::LOG10_2;
        let mut power = logarithm.floor();
        let mut digits = 10f64.powf(logarithm - power);
        // What rounds up to 10.000.
        if digits >= 9.9995 {
            (digits, power) = (1.0, power + 1.0);
        }
        write!(formatter, "{}{digits:.3}e{power}", if self.mantissa < 0.0 { "-" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any sign and size, with the exponents of doubles and beyond.
    fn any_scaled() -> impl Strategy<Value = (f64, i64)> {
        (prop_oneof![-2.0f64..-1.0, 1.0f64..2.0], -3000i64..3000)
    }

    fn scaled((digits, exponent): (f64, i64)) -> Scaled {
        Scaled::from(digits) * Scaled::power_of_two(exponent)
    }

    #[test]
    fn doubles_come_back_and_what_is_beyond_them_is_said_to_be() {
        for value in [0.0, 1.0, -3.5, 1e77, 1e-77, 1e300, -1e-300, f64::MAX, f64::MIN_POSITIVE] {
            assert_eq!(Scaled::from(value).to_f64(), Some(value));
            assert_eq!(Scaled::from(value).nearest(), value);
        }
        assert_eq!(Scaled::from(1e-310).to_f64(), None, "digits are lost there");
        assert_eq!(Scaled::from(1e-310).nearest(), 1e-310);
        let (huge, tiny) = (Scaled::from(1e300).power(2), Scaled::from(-1e-300).power(3));
        assert_eq!((huge.to_f64(), tiny.to_f64()), (None, None));
        assert_eq!((huge.nearest(), tiny.nearest()), (f64::INFINITY, -f64::from_bits(1)));
        assert_eq!((huge.to_string(), tiny.to_string()), ("1.000e600".into(), "-1.000e-900".into()));
        assert_eq!(Scaled::from(0.25).to_string(), "2.500e-1");
        assert_eq!(Scaled::power_of_two(-1024).to_string(), "5.563e-309");
        assert!(Scaled::from(f64::NAN).to_f64().is_some_and(f64::is_nan), "not a number stays visible");
        assert_eq!(Scaled::from(f64::INFINITY).nearest(), f64::INFINITY);
    }

    #[test]
    fn zero_is_zero_at_every_scale() {
        let huge = Scaled::power_of_two(5000);
        assert_eq!(Scaled::ZERO * huge, Scaled::ZERO);
        assert_eq!(Scaled::ZERO + huge, huge);
        assert_eq!(Scaled::from(0.0).sqrt().to_f64(), Some(0.0));
        assert_eq!([huge, huge * Scaled::from(-1.0)].into_iter().sum::<Scaled>(), Scaled::ZERO);
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_digits_and_exponents(a in any_scaled(), b in any_scaled()) {
            let product = Scaled::from(a.0 * b.0) * Scaled::power_of_two(a.1 + b.1);
            prop_assert_eq!(scaled(a) * scaled(b), product);
            prop_assert!(((product / scaled(b) / scaled(a)).nearest() - 1.0).abs() < 1e-15);
            let square = Scaled::from(a.0 * a.0) * Scaled::power_of_two(2 * a.1);
            prop_assert_eq!(scaled(a).power(2), square);
            prop_assert!(((square.sqrt() / scaled(a)).nearest().abs() - 1.0).abs() < 1e-15);
            // Digits of the smaller one beyond the larger one's last are rounded off.
            let far = (b.1 - a.1).clamp(-200, 200) as i32;
            let sum = Scaled::from(a.0 + b.0 * 2f64.powi(far)) * Scaled::power_of_two(a.1);
            if far.abs() < 200 {
                prop_assert_eq!(scaled(a) + scaled(b), sum);
            } else {
                prop_assert_eq!(scaled(a) + scaled(b), scaled(if far > 0 { b } else { a }));
            }
            let larger = (scaled(a) * Scaled::from(a.0.signum())) > (scaled(b) * Scaled::from(b.0.signum()));
            prop_assert_eq!(larger, (a.1, a.0.abs()) > (b.1, b.0.abs()));
            prop_assert!((scaled(a).log2() - a.0.abs().log2() - a.1 as f64).abs() < 1e-9);
            prop_assert_eq!(scaled(a).power_below(), Scaled::power_of_two(a.1));
            let (clamped, rest) = scaled(a).clamped();
            prop_assert_eq!(Scaled::from(clamped) * rest, scaled(a));
        }

        #[test]
        fn ordinary_numbers_have_the_bits_of_doubles(a in 1e-30f64..1e30, b in 1e-30f64..1e30) {
            let (x, y) = (Scaled::from(a), Scaled::from(b));
            prop_assert_eq!((x * y).nearest(), a * b);
            prop_assert_eq!((x / y).nearest(), a / b);
            prop_assert_eq!((x + y).nearest(), a + b);
            prop_assert_eq!(x.sqrt().nearest(), a.sqrt());
            prop_assert_eq!(x.power(2).nearest(), a.powi(2));
            prop_assert_eq!(x.power(4).nearest(), a.powi(4));
        }
    }
}
