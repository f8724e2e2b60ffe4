//! What a claim says of a number: what it is, or a bound.

use toml::Value;

use super::reader::ClaimReader;
use crate::experiment::results::Relation;
use crate::experiment::specification::expression::Expression;
use crate::experiment::specification::reader::{Reader, SpecError, unknown};

/// A formula, and how the number that is measured stands to it.
#[derive(Debug, Clone)]
pub struct Target {
    pub formula: Expression,
    pub relation: Relation,
}

impl From<Expression> for Target {
    fn from(formula: Expression) -> Self {
        Self { formula, relation: Relation::Is }
    }
}

impl Target {
    /// Where the number may lie for the claim to be true: within `below` and `above` the value of the formula, or beyond it where it is
    /// a bound.
    pub fn band(&self, value: f64, below: f64, above: f64) -> (f64, f64) {
        match self.relation {
            Relation::Is => (value - below, value + above),
            Relation::AtMost => (f64::NEG_INFINITY, value + above),
            Relation::AtLeast => (value - below, f64::INFINITY),
        }
    }

    pub fn is_bound(&self) -> bool {
        self.relation != Relation::Is
    }
}

/// The keys of bounds.
const BOUNDS: [(&str, Relation); 2] = [("at_most", Relation::AtMost), ("at_least", Relation::AtLeast)];

/// What a key takes, for error messages.
const ALLOWED: &str = "must be a number, a formula, or a bound as { at_most = … } or { at_least = … }";

impl ClaimReader<'_> {
    /// A number, a formula, or one bound, that must be there.
    pub fn target(&self, key: &str) -> Result<Target, SpecError> {
        match self.reader.value(key) {
            None => Err(self.reader.missing(key, &ALLOWED["must be ".len()..])),
            Some(Value::Table(_)) => bound(&self.reader, key),
            Some(_) => self.formula(key).map(Target::from),
        }
    }
}

/// The bound that a table says.
fn bound(reader: &Reader<'_>, key: &str) -> Result<Target, SpecError> {
    let table = reader.table(key)?.ok_or_else(|| reader.refuse(key, ALLOWED))?;
    let names = BOUNDS.map(|(name, _)| name);
    if let Some(stray) = table.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(reader.complain(&format!("{key}.{stray}"), "", unknown("key", stray, &names)));
    }
    let mut bounds = BOUNDS.iter().filter_map(|(name, relation)| Some((name, table.get(*name)?, *relation)));
    match (bounds.next(), bounds.next()) {
        (Some((name, value, relation)), None) => {
            Ok(Target { formula: reader.expression_of(&format!("{key}.{name}"), value)?, relation })
        }
        _ => Err(reader.refuse(key, format!("{ALLOWED}, one of them"))),
    }
}
