//! What specs of both kinds begin with.

use toml::{Table, Value};

use super::reader::{Reader, SpecError};

/// Longest name: it becomes a folder's.
const LONGEST_NAME: usize = 100;

/// Name, words and seed of an experiment.
#[derive(Debug, Clone)]
pub struct Heading {
    /// Also the name of the results' folder.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Theorem, section or paper.
    pub source: String,
    /// The claim as a formula, in LaTeX.
    pub formula: String,
    /// The claim in words and formulas, with its assumptions, and what was reduced.
    pub explanation: String,
    /// How long the experiment takes on two cores, in seconds, where its author says so.
    pub seconds: Option<f64>,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl Heading {
    /// Reads it from the top of a spec, where `version` may stand too, as in resolved ones.
    ///
    /// # Errors
    /// The first key that is not allowed.
    pub fn read(reader: &Reader<'_>) -> Result<Self, SpecError> {
        let name = reader.required_string("name")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) || name.starts_with('.') {
            let allowed = "must be at most 100 letters, digits, hyphens, underscores and dots: it names a folder";
            return Err(reader.refuse("name", allowed));
        }
        reader.string("version")?;
        Ok(Self {
            name: name.into(),
            title: reader.string("title")?.unwrap_or(name).into(),
            source: reader.string("source")?.unwrap_or_default().into(),
            formula: reader.string("formula")?.unwrap_or_default().trim().into(),
            explanation: reader.string("explanation")?.unwrap_or_default().trim().into(),
            seconds: reader.number("seconds", "must be a number above 0", |seconds| seconds > 0.0)?,
            // Within the limits of `whole`, so not negative.
            seed: reader.whole("seed", 0, i64::MAX)?.unwrap_or(1).cast_unsigned(),
        })
    }

    /// Fills version and seed into the table that is saved with the results.
    pub fn resolve(&self, table: &mut Table) {
        table.insert("version".into(), Value::String(env!("CARGO_PKG_VERSION").into()));
        table.insert("seed".into(), Value::Integer(self.seed.cast_signed()));
    }
}
