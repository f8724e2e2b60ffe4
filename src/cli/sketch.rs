//! A figure in letters: the measured points on logarithmic axes, for a look without leaving the terminal.

use gradlaw::experiment::format::rounded;
use gradlaw::figure::DrawnPoint;

/// Columns and rows of letters.
const SIZE: (usize, usize) = (64, 16);

/// The first panel's points that logarithmic axes have a place for, each series by a letter, `*` where several fall together, over the
/// dots of the claimed laws; nothing where there are no points.
pub fn sketch(points: &[DrawnPoint]) -> Option<String> {
    let panel = &points.first()?.panel;
    let shown = |point: &&DrawnPoint| {
        let drawable = |value: f64| value > 0.0 && value.is_finite();
        point.panel == *panel && drawable(point.x) && drawable(point.y)
    };
    let of = |kind: &'static str| points.iter().filter(shown).filter(move |point| point.kind == kind);
    let range = |value: fn(&DrawnPoint) -> f64| {
        let values = || of("measured").map(value);
        let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        (most > 0.0).then_some((least, most))
    };
    let (x, y) = (range(|point| point.x)?, range(|point| point.y)?);
    let mut series: Vec<&str> = Vec::new();
    let mut rows = vec![vec![' '; SIZE.0]; SIZE.1];
    for point in of("law").chain(of("measured")) {
        let place = (share(point.x, x, SIZE.0), share(point.y, y, SIZE.1));
        let (Some(column), Some(row)) = place else { continue };
        let letter = if point.kind == "law" { '·' } else { letter_of(&mut series, &point.series) };
        let cell = &mut rows[SIZE.1 - 1 - row][column];
        *cell = if [' ', '·', letter].contains(cell) { letter } else { '*' };
    }
    let [top, bottom, left, right] = [y.1, y.0, x.0, x.1].map(|value| rounded(value, 3));
    let margin = top.chars().count().max(bottom.chars().count());
    let mut lines: Vec<String> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let label = if i == 0 {
            &top
        } else if i + 1 == SIZE.1 {
            &bottom
        } else {
            ""
        };
        lines.push(format!("{label:>margin$} │{}", row.iter().collect::<String>().trim_end()));
    }
    lines.push(format!("{:margin$} └{}", "", "─".repeat(SIZE.0)));
    let gap = SIZE.0.saturating_sub(left.chars().count() + right.chars().count());
    lines.push(format!("{:margin$}  {left}{}{right}", "", " ".repeat(gap)));
    let names = series.iter().enumerate().map(|(i, name)| format!("{:margin$}  {} {name}", "", nth(i)));
    Some(lines.into_iter().chain(names).collect::<Vec<_>>().join("\n"))
}

/// Which of so many cells a value falls into, on a logarithmic axis between these ends; nothing beyond them.
fn share(value: f64, (least, most): (f64, f64), cells: usize) -> Option<usize> {
    if most == least {
        return (value == least).then_some(cells / 2);
    }
    let share = (value / least).ln() / (most / least).ln();
    (0.0..=1.0).contains(&share).then(|| (share * (cells - 1) as f64).round() as usize)
}

/// The letter of a series, in the order in which they come.
fn letter_of<'a>(series: &mut Vec<&'a str>, name: &'a str) -> char {
    let index = series.iter().position(|known| *known == name).unwrap_or_else(|| {
        series.push(name);
        series.len() - 1
    });
    nth(index)
}

/// a to z, and again from a.
fn nth(index: usize) -> char {
    char::from(b'a' + (index % 26) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(series: &str, kind: &'static str, x: f64, y: f64) -> DrawnPoint {
        DrawnPoint { panel: String::new(), series: series.into(), kind, x, y, bar: None, deciles: None }
    }

    #[test]
    fn a_power_law_is_a_diagonal() {
        let law = |x: f64| point("net", "measured", x, x.sqrt());
        let mut points: Vec<DrawnPoint> = [16.0, 64.0, 256.0, 1024.0].map(law).into();
        points.extend([point("other", "measured", 16.0, 4.0), point("other", "measured", 64.0, -1.0)]);
        points.push(DrawnPoint { panel: "ratio".into(), ..point("net", "measured", 1.0, 1e9) });
        let text = sketch(&points).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), SIZE.1 + 4);
        assert!(lines[0].starts_with("32 │") && lines[0].ends_with('a'), "{text}");
        assert!(lines[SIZE.1 - 1].starts_with(" 4 │*"), "{text}");
        assert!(lines[SIZE.1 + 1].trim_start().starts_with("16 ") && lines[SIZE.1 + 1].ends_with("1024"), "{text}");
        assert!(text.ends_with("  b other"), "{text}");
    }

    #[test]
    fn what_has_no_place_is_left_out() {
        assert_eq!(sketch(&[]), None);
        assert_eq!(sketch(&[point("net", "measured", 1.0, 0.0)]), None);
        let one = sketch(&[point("net", "measured", 2.0, 3.0), point("net", "law", 2.0, 1e9)]).unwrap();
        assert!(!one.contains('·') && one.contains('a'), "{one}");
    }
}
