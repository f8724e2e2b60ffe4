//! Expressions of the sweep variables: "3 * side^2", "1 - a/2", "(1 + 5/n)^depth".
//!
//! Parsed once, when the spec is read. The grammar and its functions (`sqrt`, `ln`, `exp`, `^`, …) are those of the `exmex`
//! crate, with three surprises taken out before it reads a formula: numbers such as 1e-3 are numbers, −x^2 is −(x²), and a constant
//! is the same in small letters.

use std::str::FromStr;
use std::sync::Arc;

use crate::short::short;
use exmex::prelude::*;
use exmex::{FloatOpsFactory, MakeOperators};

use super::reader::did_you_mean;

/// Values of the variables that an expression may use, by name.
pub type Variables = [(String, f64)];

/// A formula that was parsed.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    // Shared: points clone their spec's formulas.
    compiled: Arc<FlatEx<f64>>,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Expression {
    /// Parses a formula.
    ///
    /// # Errors
    /// Says in words what cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("must be an expression of at most {LONGEST} characters"));
        }
        if has_tower(text) {
            return Err("has a power of a power: write (a^b)^c or a^(b^c)".into());
        }
        let compiled = exmex::parse::<f64>(&conventional(text))
            .map_err(|error| format!("must be an expression such as \"3 * side^2\"{}", hint(error.msg())))?;
        Ok(Self { text: text.into(), compiled: Arc::new(compiled) })
    }

    /// A number as an expression.
    pub fn number(value: f64) -> Self {
        Self { text: short(value), compiled: Arc::new(FlatEx::from_num(value)) }
    }

    /// The formula as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Names that the formula uses.
    pub fn names(&self) -> &[String] {
        self.compiled.var_names()
    }

    /// The value for these variables.
    ///
    /// # Errors
    /// Names a variable that is not there, or says that the value is not finite.
    pub fn evaluate(&self, variables: &Variables) -> Result<f64, String> {
        let look_up = |name: &String| {
            variables.iter().find(|(known, _)| known == name).map(|&(_, value)| value).ok_or_else(|| {
                let known: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
                let known = if known.is_empty() { "there are none".into() } else { known.join(", ") };
                let hint = did_you_mean(name, variables.iter().map(|(name, _)| name.as_str()));
                format!("uses `{name}`, which is not a variable here{hint} (variables: {known})")
            })
        };
        let values = self.names().iter().map(look_up).collect::<Result<Vec<_>, _>>()?;
        let value = self.compiled.eval(&values).map_err(|error| format!("cannot be evaluated{}", hint(error.msg())))?;
        if value.is_finite() { Ok(value) } else { Err(format!("evaluates to {value} {}", at(variables))) }
    }

    /// The value as a size: a whole number of at least 1.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), or says that the value is not a size.
    pub fn size(&self, variables: &Variables) -> Result<usize, String> {
        self.whole(variables, 1)
    }

    /// The value as a whole number of at least `least`.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), or says that the value is not such a number.
    pub fn whole(&self, variables: &Variables, least: u32) -> Result<usize, String> {
        let value = self.evaluate(variables)?;
        let nearest = value.round();
        // Tolerates the rounding of powers and roots, nothing more.
        if (value - nearest).abs() > 1e-9 * nearest.abs().max(1.0)
            || !(f64::from(least)..=LARGEST_SIZE).contains(&nearest)
        {
            return Err(format!(
                "must be a whole number from {least} to 2^53, but is {} {}",
                short(value),
                at(variables)
            ));
        }
        Ok(nearest as usize)
    }
}

impl From<f64> for Expression {
    fn from(value: f64) -> Self {
        Self::number(value)
    }
}

impl FromStr for Expression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

/// Longest formula that is read.
const LONGEST: usize = 1000;

/// Largest size that a double holds exactly.
const LARGEST_SIZE: f64 = 9_007_199_254_740_992.0;

/// Names of constants beside those that `exmex` knows, and the ones that they stand for.
const ALIASES: [(&str, &str); 2] = [("pi", "PI"), ("tau", "TAU")];

/// Names that have a meaning of their own in every formula: functions and constants.
pub fn reserved_names() -> impl Iterator<Item = String> {
    let operators = FloatOpsFactory::<f64>::make();
    let names = operators.into_iter().map(|operator| operator.repr().to_owned());
    names
        .filter(|name| name.starts_with(char::is_alphabetic))
        .chain(ALIASES.iter().map(|(alias, _)| (*alias).to_owned()))
}

/// The formula in a form that `exmex` reads as mathematicians do.
///
/// Names of constants in small letters become those that it knows. Numbers with an exponent are written out. `exmex` lets a sign
/// bind more tightly than a power: a minus that begins a formula, a parenthesis or an argument becomes a subtraction from 0, and one
/// after another operator a factor −1.
fn conventional(text: &str) -> String {
    let mut out = String::new();
    let mut before = '(';
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = match (next, before) {
            (digit, last) if (digit.is_ascii_digit() || digit == '.') && !(last.is_alphanumeric() || last == '_') => {
                let length = number_length(rest);
                match rest[..length].parse::<f64>() {
                    Ok(number) => out.push_str(&number.to_string()),
                    Err(_) => out.push_str(&rest[..length]),
                }
                length
            }
            (letter, last) if letter.is_alphabetic() && !(last.is_alphanumeric() || last == '_') => {
                let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                push_name(&rest[..length], &mut out);
                length
            }
            ('-', '(' | ',') => {
                out.push_str("0-");
                1
            }
            ('-', '*' | '/' | '+' | '-') => {
                out.push_str(if before == '/' { "(0-1)/" } else { "(0-1)*" });
                1
            }
            _ => {
                out.push(next);
                next.len_utf8()
            }
        };
        if let Some(last) = rest[..length].chars().next_back().filter(|last| !last.is_whitespace()) {
            before = last;
        }
        rest = &rest[length..];
    }
    out
}

/// Appends a name as `exmex` knows it. It takes a name that begins as a function of two numbers does for that function, unless the name
/// is in braces.
fn push_name(name: &str, out: &mut String) {
    if let Some((_, constant)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        out.push_str(constant);
    } else if reserved_names().any(|reserved| name == reserved)
        || !reserved_names().any(|start| name.starts_with(&start))
    {
        out.push_str(name);
    } else {
        out.extend(["{", name, "}"]);
    }
}

/// Bytes of the number at the beginning of a text: digits, a point, and an exponent where one follows.
fn number_length(text: &str) -> usize {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(0);
    if text[length..].starts_with('.') {
        length += 1 + digits(length + 1);
    }
    let exponent = text[length..].strip_prefix(['e', 'E']).map(|rest| rest.strip_prefix(['+', '-']).unwrap_or(rest));
    if let Some(exponent) = exponent.filter(|exponent| exponent.starts_with(|c: char| c.is_ascii_digit())) {
        let from = text.len() - exponent.len();
        length = from + digits(from);
    }
    length
}

/// The parser's complaint in parentheses, unless it shows its own insides.
fn hint(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    if line.contains('{') || line.contains("node") { String::new() } else { format!(" ({line})") }
}

/// Whether a power stands directly on another, as in a^b^c or a^-b^c, which `exmex` reads from the left.
fn has_tower(text: &str) -> bool {
    let (mut last, mut before) = (vec![' '], ' ');
    for next in text.chars().filter(|next| !next.is_whitespace()) {
        // There is always the level outside of all parentheses.
        let depth = last.len() - 1;
        match next {
            '^' if last[depth] == '^' => return true,
            '(' => last.push(' '),
            ')' if depth > 0 => drop(last.pop()),
            '-' if before == '^' => {}
            '^' | '*' | '/' | '+' | '-' | ',' | '%' => last[depth] = next,
            _ => {}
        }
        before = next;
    }
    false
}

/// "at d = 64, a = 0.5".
fn at(variables: &Variables) -> String {
    if variables.is_empty() {
        return "(no variables)".into();
    }
    format!("at {}", describe(variables))
}

/// "d = 64, a = 0.5".
pub fn describe(variables: &Variables) -> String {
    variables.iter().map(|(name, value)| format!("{name} = {}", short(value))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Vec<(String, f64)> {
        vec![("side".into(), 32.0), ("fan_in".into(), 100.0)]
    }

    fn evaluate(text: &str) -> Result<f64, String> {
        Expression::parse(text)?.evaluate(&variables())
    }

    #[test]
    fn formulas_have_their_values() {
        assert_eq!(evaluate("3 * side^2"), Ok(3072.0));
        assert_eq!(evaluate("sqrt(4)"), Ok(2.0));
        assert_eq!(evaluate("-side + 1"), Ok(-31.0));
        assert!((evaluate("2 / fan_in^1.5").unwrap() - 2e-3).abs() < 1e-15);
        assert!((evaluate("ln(exp(1.5))").unwrap() - 1.5).abs() < 1e-15);
        assert_eq!(Expression::number(-0.25).evaluate(&[]), Ok(-0.25));
    }

    #[test]
    fn signs_powers_and_exponents_are_read_as_mathematicians_do() {
        for (text, value) in [
            ("-2^2", -4.0),
            ("1 - -2^2", 5.0),
            ("1 + -2^2", -3.0),
            ("(-2)^2", 4.0),
            ("2 * -3^2", -18.0),
            ("18 / -3^2", -2.0),
            ("2^-1", 0.5),
            ("max(-2^2, -5)", -4.0),
            ("1e-3", 1e-3),
            ("2.5E+3 * side", 80_000.0),
            ("1e40", 1e40),
            (".5 + 1.", 1.5),
            ("fan_in - 1e2", 0.0),
        ] {
            assert!((evaluate(text).unwrap() - value).abs() <= 1e-12 * value.abs(), "{text}: {:?}", evaluate(text));
        }
        for tower in ["2^3^2", "2^-3^2", "2^(1+1)^2", "sqrt(2^3^2)"] {
            assert!(evaluate(tower).unwrap_err().contains("power of a power"), "{tower}");
        }
        assert_eq!(evaluate("2^(3^2) - 2^3 * 2^2"), Ok(480.0));
        let named = Expression::parse("2 * a1e3").unwrap();
        assert_eq!(named.evaluate(&[("a1e3".into(), 7.0)]), Ok(14.0));
    }

    #[test]
    fn constants_have_one_value_however_they_are_written() {
        for (names, value) in [
            (&["π", "pi", "PI"][..], std::f64::consts::PI),
            (&["τ", "tau", "TAU"], std::f64::consts::TAU),
            (&["e", "E"], std::f64::consts::E),
        ] {
            for name in names {
                assert_eq!(evaluate(name), Ok(value), "{name}");
                assert_eq!(evaluate(&format!("-2*{name}^2 + side/{name}")), Ok(-2.0 * value.powf(2.0) + 32.0 / value));
            }
        }
    }

    /// A name that begins as a constant or a function does is a name of its own.
    #[test]
    fn names_are_taken_whole() {
        for name in
            ["pix", "PIx", "pi2", "taus", "epochs", "e1", "E_2", "exponent", "sinus", "lnx", "max_width", "abs1", "_pi"]
        {
            let formula = Expression::parse(&format!("2 * {name} - {name}^2")).unwrap();
            assert_eq!(formula.names(), [name]);
            assert_eq!(formula.evaluate(&[(name.into(), 3.0)]), Ok(-3.0), "{name}");
        }
    }

    /// The README lists every function and every constant of formulas, and none that does not exist.
    #[test]
    fn the_readme_lists_functions_and_constants() {
        let readme = include_str!("../../../README.md");
        let (_, rest) = readme.split_once("**Formulas**").unwrap();
        let paragraph = rest.split("\n\n").next().unwrap();
        let words = |text: &str| {
            let quoted =
                text.split('`').skip(1).step_by(2).flat_map(|quoted| quoted.split(|c: char| !c.is_alphanumeric()));
            quoted.filter(|word| word.starts_with(char::is_alphabetic)).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut listed = words(paragraph);
        let mut known: Vec<String> = reserved_names().collect();
        listed.retain(|word| !["a", "b", "x", "y"].contains(&word.as_str()));
        listed.sort();
        listed.dedup();
        known.sort();
        assert_eq!(listed, known);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(evaluate("3 * width").unwrap_err().contains("`width`"));
        assert!(evaluate("3 * width").unwrap_err().contains("side, fan_in"));
        assert!(evaluate("3 * sdie").unwrap_err().contains("did you mean `side`?"));
        assert!(evaluate("1 / (side - 32)").unwrap_err().contains("inf"));
        assert!(evaluate("3 * (side").unwrap_err().contains("must be an expression"));
        assert!(evaluate("").is_err());
    }

    #[test]
    fn sizes_are_whole_and_positive() {
        let size = |text: &str| Expression::parse(text).unwrap().size(&variables());
        assert_eq!(size("side / 4"), Ok(8));
        assert_eq!(size("1000^(1/3)"), Ok(10));
        for wrong in ["side / 5", "side - 32", "0 - side", "10^17"] {
            assert!(size(wrong).unwrap_err().contains("whole number"), "{wrong}");
        }
    }
}
