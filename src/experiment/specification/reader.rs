//! Reads TOML tables key by key, so that every complaint names the file, the key, the value and what is allowed.

use std::fmt;

use toml::{Table, Value};

use super::expression::Expression;
pub use crate::nearest::{did_you_mean, unknown};
use crate::short::short;

/// One thing that is wrong with a spec or another input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// File, or the option that set the key.
    pub file: String,
    /// Dotted key, such as `network.0.layers.2.units`; empty when the file as a whole is meant.
    pub key: String,
    /// The value as written, shortened; empty where there is none.
    pub value: String,
    /// What is allowed.
    pub message: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.file)?;
        match (self.key.is_empty(), self.value.is_empty()) {
            (true, _) => {}
            (false, true) => write!(formatter, "{}: ", self.key)?,
            (false, false) => write!(formatter, "{} = {}: ", self.key, self.value)?,
        }
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for SpecError {}

/// Where a table comes from: its file, and the keys that options have set in it.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The file's name.
    pub file: String,
    /// Keys set by `--set`.
    pub overridden: Vec<String>,
}

impl Origin {
    /// An error about a key of this origin.
    pub fn error(&self, key: &str, value: &str, message: impl Into<String>) -> SpecError {
        let set = |set: &&String| key == *set || key.starts_with(&format!("{set}."));
        let file = match self.overridden.iter().find(set) {
            Some(set) => format!("{} with --set {set}", self.file),
            None => self.file.clone(),
        };
        SpecError { file, key: shorten(key), value: shorten(value), message: message.into() }
    }
}

/// A table whose keys are all known.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    table: &'a Table,
    origin: &'a Origin,
    path: &'a str,
}

impl<'a> Reader<'a> {
    /// Opens a table at a dotted path (empty for the whole file).
    ///
    /// # Errors
    /// A key that is not among `known`, with the nearest one that is.
    pub fn new(table: &'a Table, origin: &'a Origin, path: &'a str, known: &[&str]) -> Result<Self, SpecError> {
        let reader = Self { table, origin, path };
        match table.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(reader),
            Some((key, value)) => Err(reader.complain(key, &text_of(value), unknown("key", key, known))),
        }
    }

    /// The full path of a key of this table.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    /// An error about a key of this table.
    pub fn complain(&self, key: &str, value: &str, message: impl Into<String>) -> SpecError {
        self.origin.error(&self.path_of(key), value, message)
    }

    /// An error about the table as a whole.
    pub fn complain_of_all(&self, message: impl Into<String>) -> SpecError {
        self.origin.error(self.path, "", message)
    }

    /// An error about the value that a key has.
    pub fn refuse(&self, key: &str, message: impl Into<String>) -> SpecError {
        let value = self.table.get(key).map(text_of).unwrap_or_default();
        self.complain(key, &value, message)
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether an option has set the key.
    pub fn is_set(&self, key: &str) -> bool {
        self.origin.overridden.contains(&self.path_of(key))
    }

    /// Whatever the key holds.
    pub fn value(&self, key: &str) -> Option<&'a Value> {
        self.table.get(key)
    }

    /// A string.
    pub fn string(&self, key: &str) -> Result<Option<&'a str>, SpecError> {
        self.get(key, "must be a string", Value::as_str)
    }

    /// A string that must be there.
    pub fn required_string(&self, key: &str) -> Result<&'a str, SpecError> {
        self.string(key)?.ok_or_else(|| self.missing(key, "a string"))
    }

    /// true or false.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, SpecError> {
        self.get(key, "must be true or false", Value::as_bool)
    }

    /// A whole number within limits.
    pub fn whole(&self, key: &str, least: i64, most: i64) -> Result<Option<i64>, SpecError> {
        let allowed = format!("must be a whole number from {least} to {most}");
        self.get(key, &allowed, |value| as_whole(value).filter(|number| (least..=most).contains(number)))
    }

    /// One of some words; `named` gives what a word stands for.
    pub fn word<T>(
        &self,
        key: &str,
        names: impl Iterator<Item = &'static str>,
        named: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SpecError> {
        let allowed = format!("must be one of {}", names.collect::<Vec<_>>().join(", "));
        self.get(key, &allowed, |value| value.as_str().and_then(&named))
    }

    /// A number that satisfies a condition, said in words ("must be a number above 0").
    pub fn number(&self, key: &str, allowed: &str, fits: impl Fn(f64) -> bool) -> Result<Option<f64>, SpecError> {
        self.get(key, allowed, |value| as_number(value).filter(|&number| number.is_finite() && fits(number)))
    }

    /// A number or an expression in a string.
    pub fn expression(&self, key: &str) -> Result<Option<Expression>, SpecError> {
        match self.table.get(key) {
            None => Ok(None),
            Some(value) => self.expression_of(key, value).map(Some),
        }
    }

    /// A number or an expression in a string, at a key that may lie inside an array.
    pub fn expression_of(&self, key: &str, value: &Value) -> Result<Expression, SpecError> {
        match (as_number(value), value.as_str()) {
            (Some(number), _) if number.is_finite() => Ok(Expression::number(number)),
            (_, Some(text)) => Expression::parse(text).map_err(|message| self.complain(key, &text_of(value), message)),
            _ => Err(self.complain(key, &text_of(value), "must be a number, or an expression as a string")),
        }
    }

    /// An array.
    pub fn array(&self, key: &str, allowed: &str) -> Result<Option<&'a [Value]>, SpecError> {
        self.get(key, allowed, |value| value.as_array().map(Vec::as_slice))
    }

    /// An array of strings.
    pub fn strings(&self, key: &str, allowed: &str) -> Result<Option<Vec<&'a str>>, SpecError> {
        let Some(values) = self.array(key, allowed)? else { return Ok(None) };
        let all: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
        all.map(Some).ok_or_else(|| self.refuse(key, allowed))
    }

    /// A table.
    pub fn table(&self, key: &str) -> Result<Option<&'a Table>, SpecError> {
        self.get(key, "must be a table", Value::as_table)
    }

    /// An array of tables.
    pub fn tables(&self, key: &str, allowed: &str) -> Result<Vec<&'a Table>, SpecError> {
        let Some(values) = self.array(key, allowed)? else { return Ok(Vec::new()) };
        let all: Option<Vec<&Table>> = values.iter().map(Value::as_table).collect();
        all.ok_or_else(|| self.refuse(key, allowed))
    }

    /// The error of a key that must be there.
    pub fn missing(&self, key: &str, what: &str) -> SpecError {
        self.complain(key, "", format!("is missing; must be {what}"))
    }

    fn get<T>(&self, key: &str, allowed: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, SpecError> {
        match self.table.get(key) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.refuse(key, allowed)),
        }
    }
}

/// A number, whole or not.
pub fn as_number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
}

/// A value as it may be written, numbers in their short form.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Float(number) => short(number),
        Value::Array(list) => format!("[{}]", list.iter().map(text_of).collect::<Vec<_>>().join(", ")),
        _ => value.to_string(),
    }
}

/// A whole number however it is written, `1000`, `1e3` or `1000.0`; one with a point or an exponent only where doubles tell whole
/// numbers apart.
pub fn as_whole(value: &Value) -> Option<i64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    let is_whole = |number: &f64| number.fract() == 0.0 && number.abs() <= LARGEST;
    value.as_integer().or_else(|| value.as_float().filter(is_whole).map(|number| number as i64))
}

/// Long values are cut, line breaks become spaces: an error stays a few lines long.
fn shorten(value: &str) -> String {
    let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 72 { line } else { line.chars().take(71).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { file: "law.toml".into(), overridden: vec!["sweep.d".into()] }
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let table: Table = "layer = 3".parse().unwrap();
        let error = Reader::new(&table, &origin(), "network.0", &["layers", "label", "init"]).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("law.toml: network.0.layer = 3: unknown key; did you mean `layers`?"), "{text}");
    }

    #[test]
    fn wrong_types_and_limits_name_what_is_allowed() {
        let table: Table = "draws = 2.5\nseed = -1\nname = 3\nfactor = [1]".parse().unwrap();
        let origin = origin();
        let reader = Reader::new(&table, &origin, "", &["draws", "seed", "name", "factor"]).unwrap();
        let message = |result: SpecError| result.to_string();
        assert_eq!(
            message(reader.whole("draws", 2, 10).unwrap_err()),
            "law.toml: draws = 2.5: must be a whole number from 2 to 10"
        );
        assert!(reader.whole("seed", 0, 10).is_err() && reader.required_string("name").is_err());
        let table: Table = "a = 1e3\nb = 40.0\nc = 1e300\nd = nan\ne = 9007199254740993\nf = 1e-3".parse().unwrap();
        let written = Reader::new(&table, &origin, "", &["a", "b", "c", "d", "e", "f"]).unwrap();
        let whole = |key: &str| written.whole(key, 0, i64::MAX).ok().flatten();
        let expected = [Some(1000), Some(40), None, None, Some(9_007_199_254_740_993), None];
        assert_eq!(["a", "b", "c", "d", "e", "f"].map(whole), expected);
        assert!(reader.expression("factor").is_err() && reader.required_string("title").is_err());
    }

    #[test]
    fn an_error_in_an_overridden_key_names_the_option() {
        let error = origin().error("sweep.d.0", "x", "must be a number");
        assert_eq!(error.to_string(), "law.toml with --set sweep.d: sweep.d.0 = x: must be a number");
        assert!(origin().error("a", &"9 ".repeat(200), "too long").to_string().len() < 120);
    }
}
