//! Indices and exponents within text, which is written as one writes it in a terminal: `d^(1/q)`, `f_k`, `‖x‖_∞`.

use std::ops::Range;

/// Where a piece of text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// On the baseline.
    Line,
    /// Below it, as the ∞ of ‖x‖∞.
    Index,
    /// Above it, as the ½ of d^½.
    Exponent,
}

impl Level {
    /// Its line height, as a share of its line's.
    pub fn size(self) -> f64 {
        if self == Level::Line { 1.0 } else { 0.7 }
    }

    /// How far it stands below the baseline, in line heights of its line.
    pub fn fall(self) -> f64 {
        match self {
            Level::Line => 0.0,
            Level::Index => 0.13,
            Level::Exponent => -0.3,
        }
    }
}

/// A piece of a line of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// What it says.
    pub text: &'a str,
    /// Where it stands.
    pub level: Level,
    /// Where it begins, in bytes.
    pub start: usize,
}

/// Takes text apart into indices, exponents, and what is between them.
///
/// Unicode has small low and high digits, which are letters like others, but no such ∞ and few letters. An index is the ∞
/// behind a norm, as in ‖x‖∞, and the single character behind the underscore of a single character, as in f_k, ε_∞ and
/// ‖x‖_∞; names of several letters, such as `g_norm` and `my_x`, stay as they are. An exponent is a number or a word behind
/// a caret, as in d^0.55, or what is in parentheses behind it, as in d^(1/q − 1/2). Underscore, caret and parentheses are
/// in no part.
pub fn parts(text: &str) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    let mut done = 0;
    for (place, _) in text.char_indices() {
        let Some((level, script, end)) = (place >= done).then(|| script(text, place)).flatten() else { continue };
        found.extend((done < place).then(|| Part { text: &text[done..place], level: Level::Line, start: done }));
        found.push(Part { text: &text[script.clone()], level, start: script.start });
        done = end;
    }
    found.extend((done < text.len()).then(|| Part { text: &text[done..], level: Level::Line, start: done }));
    found
}

/// The index or exponent that begins at this place, if one does: where its text is, and where it ends with its marks.
fn script(text: &str, place: usize) -> Option<(Level, Range<usize>, usize)> {
    // Of names like those of observables; the ₓ of ∂ₓf_k is of none.
    let word = |character: Option<char>| character.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let (mut before, mut after) = (text[..place].chars().rev(), text[place..].chars());
    let last = before.next().filter(|character| !character.is_whitespace())?;
    let start = place + 1;
    match after.next()? {
        '∞' if last == '‖' => {
            let range = place..place + '∞'.len_utf8();
            Some((Level::Index, range.clone(), range.end))
        }
        '_' if last != '_' && !(word(Some(last)) && word(before.next())) => {
            let index = after.next().filter(|character| character.is_alphanumeric() || *character == '∞')?;
            let end = start + index.len_utf8();
            (!word(after.next())).then_some((Level::Index, start..end, end))
        }
        '^' => {
            let rest = &text[start..];
            if let Some(inner) = rest.strip_prefix('(') {
                let mut depth = 1;
                let close = inner.find(|character| {
                    depth += i32::from(character == '(') - i32::from(character == ')');
                    depth == 0
                })?;
                return Some((Level::Exponent, start + 1..start + 1 + close, start + close + 2));
            }
            let signed = rest.trim_start_matches(['-', '−', '+']);
            let length = signed.find(|c: char| !(c.is_alphanumeric() || c == '.')).unwrap_or(signed.len());
            // A full stop ends the sentence.
            let exponent = signed[..length].trim_end_matches('.');
            let end = text.len() - signed.len() + exponent.len();
            (!exponent.is_empty()).then_some((Level::Exponent, start..end, end))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_and_exponents_are_parts() {
        let marked = |text| {
            let parts = parts(text).into_iter();
            let marked = parts.map(|Part { text, level, start: _ }| match level {
                Level::Line => text.to_owned(),
                Level::Index => format!("[{text}]"),
                Level::Exponent => format!("{{{text}}}"),
            });
            marked.collect::<String>()
        };
        for (text, expected) in [
            ("‖∂ₓL‖∞", "‖∂ₓL‖[∞]"),
            ("E‖∂ₓf_k‖_∞ of f_k, ε_∞ d", "E‖∂ₓf[k]‖[∞] of f[k], ε[∞] d"),
            ("‖x‖₁ at ε → ∞", "‖x‖₁ at ε → ∞"),
            ("g_norm, my_x, x_10, a_b_c, __x, x_, ∞", "g_norm, my_x, x_10, a_b_c, __x, x_, ∞"),
            ("d^(1/q − 1/2)", "d{1/q − 1/2}"),
            ("1.5 · pools^0.37, d^-0.5.", "1.5 · pools{0.37}, d{-0.5}."),
            ("2/fan-in^a and c^depth at d^((1 − a)/2) d", "2/fan-in{a} and c{depth} at d{(1 − a)/2} d"),
            ("x^, ^2, x ^ 2, x^(1, (^)^", "x^, ^2, x ^ 2, x^(1, (^)^"),
            ("", ""),
        ] {
            assert_eq!(marked(text), expected);
        }
    }
}
