//! Floating-point numbers in messages.

use std::fmt::Debug;

/// The shortest text that is read back as this floating-point number: plain digits from 10⁻⁵ to 10¹⁶, powers of ten beyond,
/// where `Display` writes up to three hundred zeros.
pub fn short(number: impl Debug) -> String {
    let mut text = format!("{number:?}");
    if text.ends_with(".0") {
        text.truncate(text.len() - 2);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_few_digits_and_are_read_back() {
        for (number, text) in [(0.0, "0"), (-3.0, "-3"), (0.1, "0.1"), (1e300, "1e300"), (-2.5e-310, "-2.5e-310")] {
            assert_eq!(short(number), text);
            assert_eq!(text.parse(), Ok(number));
        }
        assert_eq!([short(0.1f32), short(123_456_789.0)], ["0.1", "123456789"]);
        assert_eq!([short(f64::INFINITY), short(f64::NAN)], ["inf", "NaN"]);
        assert!([f64::MAX, f64::MIN_POSITIVE, 1.0 / 3e200].iter().all(|&number| short(number).len() < 26));
    }
}
