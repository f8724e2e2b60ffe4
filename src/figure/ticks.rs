//! Where an axis has ticks and what they say. plotters' own logarithmic axis
//! crowds its labels, hence ticks of our own, thinned to the room there is.

use super::description::Scale;

/// One tick of an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// Where it is, in the units of the data.
    pub value: f64,
    /// What it says; empty for minor ticks.
    pub label: String,
}

/// Strides between labelled powers, from which the smallest that fits is taken.
const STRIDES: [i32; 14] = [1, 2, 3, 4, 5, 6, 8, 10, 20, 25, 50, 100, 200, 500];

/// Slack in exponents, so that an end of the range that is a power counts.
const SLACK: f64 = 1e-9;

/// Ticks between `lo` and `hi` (in the units of the data) with at most `room`
/// labels. On logarithmic scales both ends must be positive.
pub fn ticks(scale: Scale, lo: f64, hi: f64, room: usize) -> Vec<Tick> {
    let room = room.max(2);
    match scale {
        Scale::Linear => linear(lo, hi, room),
        Scale::Log2 => powers(2.0, lo, hi, room, 3).unwrap_or_else(|| linear(lo, hi, room)),
        Scale::Log10 => powers(10.0, lo, hi, room, 3)
            .or_else(|| one_two_five(lo, hi, room))
            .or_else(|| powers(10.0, lo, hi, room, 2))
            .unwrap_or_else(|| linear(lo, hi, room)),
    }
}

/// Ticks at powers of `base`, unless fewer than `least` lie in the range.
fn powers(base: f64, lo: f64, hi: f64, room: usize, least: i32) -> Option<Vec<Tick>> {
    let log = |v: f64| if base == 2.0 { v.log2() } else { v.log10() };
    let first = (log(lo) - SLACK).ceil() as i32;
    let last = (log(hi) + SLACK).floor() as i32;
    if last - first + 1 < least {
        return None;
    }
    let labelled = |stride: i32| last.div_euclid(stride) - (first - 1).div_euclid(stride);
    let stride = STRIDES.into_iter().find(|&stride| labelled(stride) as usize <= room).unwrap_or(1000);
    let mut found = Vec::new();
    // Beyond some forty powers, minor ticks would merge into a line.
    for exponent in (first..=last).filter(|e| e % stride == 0 || last - first <= 40) {
        let label = if exponent % stride == 0 { format!("{base}{}", superscript(exponent)) } else { String::new() };
        let value = base.powi(exponent);
        found.push(Tick { value, label });
    }
    if base == 10.0 && stride == 1 && last - first <= 5 {
        found.extend(between_decades(lo, hi, first - 1, last));
    }
    Some(found)
}

/// Minor ticks at 2, 3 … 9 times the powers of ten.
fn between_decades(lo: f64, hi: f64, first: i32, last: i32) -> Vec<Tick> {
    (first..=last)
        .flat_map(|exponent| (2..10).map(move |digit| f64::from(digit) * 10f64.powi(exponent)))
        .filter(|value| (lo..=hi).contains(value))
        .map(|value| Tick { value, label: String::new() })
        .collect()
}

/// Ticks at 1, 2 and 5 times the powers of ten, unless there are fewer than
/// three of them or more than fit.
fn one_two_five(lo: f64, hi: f64, room: usize) -> Option<Vec<Tick>> {
    let first = lo.log10().floor() as i32;
    let last = hi.log10().ceil() as i32;
    let found: Vec<Tick> = (first..=last)
        .flat_map(|exponent| [1, 2, 5].map(|digit| (digit, exponent)))
        .map(|(digit, exponent)| Tick {
            value: f64::from(digit) * 10f64.powi(exponent),
            label: digit_times_power(digit, exponent),
        })
        .filter(|tick| tick.value >= lo * (1.0 - SLACK) && tick.value <= hi * (1.0 + SLACK))
        .collect();
    (3..=room).contains(&found.len()).then_some(found)
}

/// Ticks at equal steps of 1, 2 or 5 times a power of ten.
fn linear(lo: f64, hi: f64, room: usize) -> Vec<Tick> {
    let span = hi - lo;
    // Steps must be normal numbers, or counting them would never end.
    if !(span > 1e-290 && span.is_finite()) {
        return Vec::new();
    }
    let mut exponent = (span / room as f64).log10().floor() as i32;
    let mut digit = 1;
    let mut step = 10f64.powi(exponent);
    let count = |step: f64| (hi / step + SLACK).floor() - (lo / step - SLACK).ceil() + 1.0;
    while count(step) > room as f64 {
        (digit, exponent) = match digit {
            1 => (2, exponent),
            2 => (5, exponent),
            _ => (1, exponent + 1),
        };
        step = f64::from(digit) * 10f64.powi(exponent);
    }
    let first = (lo / step - SLACK).ceil();
    let largest = lo.abs().max(hi.abs());
    (0..count(step).max(0.0) as usize)
        .map(|i| (first + i as f64) * step)
        .map(|value| Tick { value, label: stepped(value, exponent, largest) })
        .collect()
}

/// A multiple of `10^step`, with as many digits as tell neighbours apart, in
/// the notation that suits the largest number of the axis.
fn stepped(value: f64, step: i32, largest: f64) -> String {
    let magnitude = largest.log10().floor() as i32;
    if value.abs() < 10f64.powi(step) * 0.5 {
        return "0".to_owned();
    }
    if (-4..6).contains(&magnitude) {
        let decimals = usize::try_from(-step).unwrap_or(0);
        return with_minus(&format!("{value:.decimals$}"));
    }
    let decimals = usize::try_from(magnitude - step).unwrap_or(0);
    let mantissa = value / 10f64.powi(magnitude);
    with_minus(&format!("{mantissa:.decimals$}·10{}", superscript(magnitude)))
}

/// `digit · 10^exponent`, written out if that is short.
fn digit_times_power(digit: u8, exponent: i32) -> String {
    match exponent {
        0..6 => format!("{digit}{}", "0".repeat(exponent as usize)),
        -4..0 => format!("0.{}{digit}", "0".repeat((-exponent - 1) as usize)),
        _ if digit == 1 => format!("10{}", superscript(exponent)),
        _ => format!("{digit}·10{}", superscript(exponent)),
    }
}

/// A true minus sign is as wide as the digits beside it; a hyphen is not.
fn with_minus(number: &str) -> String {
    number.replace('-', "−")
}

/// An integer in superscript digits.
pub fn superscript(number: i32) -> String {
    let raise = |c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '0' => '⁰',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        other => other,
    };
    number.to_string().chars().map(raise).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, lo: f64, hi: f64, room: usize) -> Vec<String> {
        ticks(scale, lo, hi, room).into_iter().map(|tick| tick.label).filter(|label| !label.is_empty()).collect()
    }

    #[test]
    fn powers_of_two_are_thinned_to_the_room() {
        assert_eq!(labels(Scale::Log2, 64.0, 1024.0, 8), ["2⁶", "2⁷", "2⁸", "2⁹", "2¹⁰"]);
        assert_eq!(labels(Scale::Log2, 64.0, 1024.0, 4), ["2⁶", "2⁸", "2¹⁰"]);
        let wide = labels(Scale::Log2, 64.0, 1e9, 6);
        assert_eq!(wide, ["2⁸", "2¹²", "2¹⁶", "2²⁰", "2²⁴", "2²⁸"]);
    }

    #[test]
    fn unlabelled_powers_remain_as_minor_ticks() {
        let all = ticks(Scale::Log2, 64.0, 1024.0, 4);
        assert_eq!(all.len(), 5);
        assert_eq!(all[1].value, 128.0);
        assert!(all[1].label.is_empty());
    }

    #[test]
    fn powers_of_ten_have_signed_exponents() {
        assert_eq!(labels(Scale::Log10, 1e-3, 1.0, 9), ["10⁻³", "10⁻²", "10⁻¹", "10⁰"]);
        assert_eq!(labels(Scale::Log10, 1e-3, 1e7, 6), ["10⁻²", "10⁰", "10²", "10⁴", "10⁶"]);
        assert!(labels(Scale::Log10, 1e-300, 1e300, 6).len() <= 6);
    }

    #[test]
    fn a_decade_or_two_get_plain_numbers_where_these_fit() {
        assert_eq!(labels(Scale::Log10, 1.5, 12.0, 9), ["2", "5", "10"]);
        assert_eq!(labels(Scale::Log10, 0.04, 0.6, 9), ["0.05", "0.1", "0.2", "0.5"]);
        assert_eq!(labels(Scale::Log2, 70.0, 110.0, 5), ["70", "80", "90", "100", "110"]);
        assert_eq!(labels(Scale::Log10, 4.0, 400.0, 5), ["10¹", "10²"]);
        assert_eq!(labels(Scale::Log10, 2e-8, 2e-7, 9), ["2·10⁻⁸", "5·10⁻⁸", "10⁻⁷", "2·10⁻⁷"]);
    }

    #[test]
    fn linear_ticks_are_round_and_tell_neighbours_apart() {
        assert_eq!(labels(Scale::Linear, 0.97, 1.031, 5), ["0.98", "1.00", "1.02"]);
        assert_eq!(labels(Scale::Linear, -1.0, 1.0, 5), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
        assert_eq!(labels(Scale::Linear, 1e9, 1.4e9, 3), ["1.0·10⁹", "1.2·10⁹", "1.4·10⁹"]);
    }

    #[test]
    fn every_label_lies_in_the_range_and_no_two_agree() {
        for scale in [Scale::Linear, Scale::Log2, Scale::Log10] {
            for (lo, hi) in [(0.99, 1.01), (3.0, 4e9), (1e-12, 2e-2), (5.0, 31.0)] {
                for room in 2..12 {
                    let all = ticks(scale, lo, hi, room);
                    let slack = match scale {
                        Scale::Linear => 1e-6 * (hi - lo),
                        _ => 1e-6 * lo,
                    };
                    let mut seen = labels(scale, lo, hi, room);
                    assert!(!seen.is_empty() && seen.len() <= room, "{scale:?} {lo} {hi}");
                    assert!(all.iter().all(|t| t.value > lo - slack && t.value < hi + slack));
                    let before = seen.len();
                    seen.sort();
                    seen.dedup();
                    assert_eq!(seen.len(), before, "{scale:?} {lo} {hi} {room}");
                }
            }
        }
    }

    #[test]
    fn an_empty_range_has_no_ticks() {
        assert!(ticks(Scale::Linear, 1.0, 1.0, 5).is_empty());
        assert!(ticks(Scale::Linear, 0.0, 5e-324, 5).is_empty());
        assert!(ticks(Scale::Linear, f64::NEG_INFINITY, 1.0, 5).is_empty());
    }
}
