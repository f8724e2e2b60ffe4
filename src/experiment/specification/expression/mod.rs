//! Formulas of the sweep variables: "3 * side^2", "1 - a/2", "(1 + 5/n)^depth".
//!
//! A formula is parsed once, when the spec is read, and has a value at each sweep point. `parser.rs` holds the grammar, `vocabulary.rs`
//! the functions and constants.

mod parser;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use self::parser::{Formula, Names, Node, Operand};
pub use self::vocabulary::reserved_names;
use crate::nearest::did_you_mean;
use crate::short::short;

/// Values of the variables that an expression may use, by name.
pub type Variables = [(String, f64)];

/// A formula that was parsed; two are the same where their texts are.
#[derive(Clone)]
pub struct Expression {
    text: String,
    // Shared: points clone their spec's formulas.
    formula: Arc<Formula>,
}

/// Shows the text alone, for fingerprints of specs must not depend on where functions lie in memory.
impl fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Expression({:?})", self.text)
    }
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
    /// Names the place in the formula that cannot be read, and what is allowed there.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_with(text, &|_| None)
    }

    /// The same where names beside words may stand for numbers: `names` says how many bytes of a text, from its beginning, are one.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(text: &str, names: &Names<'_>) -> Result<Self, String> {
        Ok(Self { text: text.into(), formula: Arc::new(Formula::parse(text, names)?) })
    }

    /// The formula as a function of numbers in a row: `place` gives the place of a name among them; all others are variables.
    ///
    /// # Errors
    /// Names a variable that is not there.
    pub fn function(
        &self,
        place: impl Fn(&str) -> Option<usize>,
        variables: &Variables,
    ) -> Result<impl Fn(&[f64]) -> f64 + Send + Sync + 'static, String> {
        let operand = |name: &String| match place(name) {
            Some(place) => Ok(Operand::Value(place)),
            None => look_up(name, variables).map(Operand::Number),
        };
        let operands = self.names().iter().map(operand).collect::<Result<Vec<_>, _>>()?;
        let node = self.formula.root.bound(&operands);
        Ok(move |values: &[f64]| node.value(values))
    }

    /// A number as an expression.
    pub fn number(value: f64) -> Self {
        let formula = Formula { root: Node::Number(value), names: Vec::new() };
        Self { text: short(value), formula: Arc::new(formula) }
    }

    /// The formula as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The free variables of the formula, each once, in the order in which they appear.
    pub fn names(&self) -> &[String] {
        &self.formula.names
    }

    /// The value for these variables.
    ///
    /// # Errors
    /// Names a variable that is not there, or says that the value is not finite.
    pub fn evaluate(&self, variables: &Variables) -> Result<f64, String> {
        let values = self.names().iter().map(|name| look_up(name, variables)).collect::<Result<Vec<_>, _>>()?;
        let value = self.formula.root.value(&values);
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

fn look_up(name: &str, variables: &Variables) -> Result<f64, String> {
    variables.iter().find(|(known, _)| known == name).map(|&(_, value)| value).ok_or_else(|| {
        let known: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
        let known = if known.is_empty() { "there are none".into() } else { known.join(", ") };
        let hint = did_you_mean(name, variables.iter().map(|(name, _)| name.as_str()));
        format!("uses `{name}`, which is not a variable here{hint} (variables: {known})")
    })
}

/// Largest size that a double holds exactly.
const LARGEST_SIZE: f64 = 9_007_199_254_740_992.0;

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
