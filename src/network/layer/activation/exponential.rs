//! Exponential functions without branches, which the compiler turns into vector instructions: the same bits on every processor.

/// ln 2 in two parts, of which the first has so few digits that its products with exponents are exact.
const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];

/// Adding and subtracting it rounds to a whole number, which stands in the lowest digits of the sum.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// Where results and the scale below are normal numbers.
const RANGE: [f64; 2] = [-708.0, 709.0];

/// 1/2!, 1/3!, …, 1/13!, of the series of (e^r − 1 − r)/r².
const SERIES: [f64; 12] = [
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
];

/// 2^k and e^r − 1, with x = k ln 2 + r and |r| at most half of ln 2. What is out of range counts as its end; a NaN stays one.
#[inline(always)]
fn parts(x: f64) -> [f64; 2] {
    let x = if x < RANGE[0] { RANGE[0] } else { x };
    let x = if x > RANGE[1] { RANGE[1] } else { x };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = (x - whole * LN_2[0]) - whole * LN_2[1];
    let mut sum = SERIES[11];
    for index in (0..11).rev() {
        sum = sum * rest + SERIES[index];
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(1023);
    [f64::from_bits(exponent << 52), rest + rest * rest * sum]
}

/// e^x.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    let [power, less_one] = parts(x);
    power + power * less_one
}

/// e^x − 1, exact to rounding near zero too.
#[inline(always)]
pub fn exp_m1(x: f64) -> f64 {
    let [power, less_one] = parts(x);
    power * less_one + (power - 1.0)
}

/// tanh x.
#[inline(always)]
pub fn tanh(x: f64) -> f64 {
    let decay = exp_m1(-2.0 * x.abs());
    (-decay / (2.0 + decay)).copysign(x)
}

/// 1 − tanh² x, without the cancellation.
#[inline(always)]
pub fn tanh_slope(x: f64) -> f64 {
    let decay = exp(-2.0 * x.abs());
    4.0 * decay / ((1.0 + decay) * (1.0 + decay))
}

/// 1/(1 + e^(−x)).
#[inline(always)]
pub fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the system's library, on logarithmic and on even grids of both signs.
    #[test]
    fn functions_are_exact_to_a_few_units_in_the_last_place() {
        let grid = (-400..=400).flat_map(|step| {
            let even = f64::from(step) * 1.7;
            let small = 10f64.powf(f64::from(step) / 25.0 - 14.0);
            [even, small, -small]
        });
        for x in grid.filter(|x| x.abs() < 700.0) {
            for (name, found, expected) in [
                ("exp", exp(x), x.exp()),
                ("exp_m1", exp_m1(x), x.exp_m1()),
                ("tanh", tanh(x), x.tanh()),
                ("tanh_slope", tanh_slope(x), x.cosh().powi(-2)),
                ("logistic", logistic(x), 1.0 / (1.0 + (-x).exp())),
            ] {
                assert!((found - expected).abs() <= 2e-15 * expected.abs() + 1e-300, "{name} {x}: {found} {expected}");
            }
        }
    }

    #[test]
    fn nothing_overflows_and_what_is_no_number_stays_so() {
        assert_eq!([tanh(1e300), tanh(-1e300), tanh_slope(1e300)], [1.0, -1.0, tanh_slope(354.0)]);
        assert!(exp(f64::INFINITY).is_finite() && exp(f64::NEG_INFINITY) < 1e-300);
        assert!(
            [exp(f64::NAN), exp_m1(f64::NAN), tanh(f64::NAN), logistic(f64::NAN)].iter().all(|value| value.is_nan())
        );
        assert!(tanh(-0.0).is_sign_negative());
    }
}
