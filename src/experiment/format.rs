//! Numbers for people: as many digits as their errors allow. Files keep every digit.

use crate::statistics::TooFew;

/// A number with as many digits as its standard error says, and the error to two digits: "0.49982 ± 0.00043".
pub fn with_error(value: f64, std_error: f64) -> String {
    if !std_error.is_finite() || std_error <= 0.0 {
        return rounded(value, 4);
    }
    if value.abs().max(std_error) >= LONG {
        return format!("{} ± {}", rounded(value, 4), rounded(std_error, 4));
    }
    let digits = digits_of(std_error);
    format!("{value:.digits$} ± {std_error:.digits$}")
}

/// An interval with the digits that its width allows: "[0.4990, 0.5006]".
pub fn interval([low, high]: [f64; 2]) -> String {
    let width = high - low;
    if !width.is_finite() || low.abs().max(high.abs()) >= LONG {
        return format!("[{}, {}]", rounded(low, 4), rounded(high, 4));
    }
    let digits = if width > 0.0 { digits_of(width / 4.0) } else { 4 };
    format!("[{low:.digits$}, {high:.digits$}]")
}

/// Numbers from here on are written with a power of ten.
const LONG: f64 = 1e15;

/// At most so many decimals, without trailing zeros; four significant digits for what would vanish.
pub fn rounded(value: f64, decimals: usize) -> String {
    if value != 0.0 && value.abs() < 10f64.powi(-(decimals as i32)) {
        return format!("{value:.1e}");
    }
    if value.is_finite() && value.abs() >= LONG {
        return format!("{value:.decimals$e}");
    }
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// A count in two digits: more would look like knowledge. "210000", "1.3e20".
pub fn about(count: f64) -> String {
    if !count.is_finite() {
        return "more than any machine's".into();
    }
    let unit = 10f64.powf((count.max(1.0).log10().floor() - 1.0).max(0.0));
    let rough = (count / unit).ceil() * unit;
    if rough < 1e7 { format!("{rough:.0}") } else { format!("{rough:.1e}") }
}

/// How many values a test would need: "about 210000 are needed".
pub fn needed(few: TooFew) -> String {
    // A sample shows too little of a long tail, so that what it tells is a lower bound.
    format!("{} {} are needed", if few.is_known { "about" } else { "at least" }, about(few.needed))
}

/// A text that is not broken across lines, with minus signs for hyphens.
pub fn unbroken(text: &str) -> String {
    text.replace(' ', "\u{a0}").replace('-', "−")
}

/// Decimals that show a standard error to two digits.
fn digits_of(std_error: f64) -> usize {
    (1.0 - std_error.log10().floor()).clamp(0.0, 12.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_the_digits_that_their_errors_allow() {
        assert_eq!(with_error(0.499_82, 0.000_43), "0.49982 ± 0.00043");
        assert_eq!(with_error(12.345, 3.2), "12.3 ± 3.2");
        assert_eq!(with_error(0.5, 0.0), "0.5");
        assert_eq!(interval([0.499_02, 0.500_62]), "[0.49902, 0.50062]");
        assert_eq!([about(201_696.0), about(48.1), about(7.0)], ["210000", "49", "7"]);
        assert_eq!(about(1.23e20), "1.3e20");
        assert_eq!(rounded(-0.5, 4), "-0.5");
        assert_eq!(rounded(0.000_012, 4), "1.2e-5");
        assert_eq!(rounded(1e300 / 3.0, 4), "3.3333e299");
        assert_eq!(with_error(1e300, 2e298), "1.0000e300 ± 2.0000e298");
        assert_eq!(interval([-1e300, f64::INFINITY]), "[-1.0000e300, inf]");
    }
}
