//! Reads the tables `[[claim]]`: keys and names are those that there are.

use toml::{Table, Value};

use super::{Claim, Entry, TABLE};
use crate::experiment::specification::expression::Expression;
use crate::experiment::specification::reader::{Origin, Reader, SpecError, as_number, unknown};

/// What claims may speak of.
#[derive(Debug, Clone, Copy)]
pub(in crate::experiment) struct Scope<'a> {
    /// Labels of networks.
    pub labels: &'a [&'a str],
    /// Names of observables.
    pub observables: &'a [&'a str],
    /// Sweep variables.
    pub variables: &'a [&'a str],
    /// Whether networks are trained.
    pub trains: bool,
}

/// Reads all claims of a spec.
pub(in crate::experiment) fn read_claims(
    reader: &Reader<'_>,
    origin: &Origin,
    scope: Scope<'_>,
) -> Result<Vec<Claim>, SpecError> {
    let tables = reader.tables("claim", "must be tables, [[claim]]")?;
    let read = |(index, table)| read_claim(table, origin, &format!("claim.{index}"), scope);
    tables.into_iter().enumerate().map(read).collect()
}

/// Keys that go with every kind.
const COMMON: &[&str] = &["statement", "within"];

fn read_claim(table: &Table, origin: &Origin, path: &str, scope: Scope<'_>) -> Result<Claim, SpecError> {
    let kinds = TABLE.iter().map(|entry| entry.key);
    let mut known: Vec<&str> =
        COMMON.iter().copied().chain(kinds).chain(TABLE.iter().flat_map(|entry| entry.keys.iter().copied())).collect();
    known.sort_unstable();
    known.dedup();
    let reader = Reader::new(table, origin, path, &known)?;
    let entry = entry_of(&reader)?;
    let stray =
        |key: &&&str| reader.has(key) && **key != entry.key && !entry.keys.contains(*key) && !COMMON.contains(*key);
    if let Some(key) = known.iter().find(stray) {
        return Err(reader.refuse(key, format!("does not go with `{}`", entry.key)));
    }
    let claim = ClaimReader { reader, key: entry.key, scope };
    let network = claim.reader.string("network")?.map(|name| claim.label("network", name)).transpose()?;
    let tolerance = claim.reader.number("tolerance", "must be a number above 0", |tolerance| tolerance > 0.0)?;
    if entry.keys.contains(&"tolerance") && tolerance.is_none() {
        return Err(claim.reader.missing("tolerance", "a number above 0"));
    }
    Ok(Claim {
        law: (entry.read)(&claim)?,
        statement: claim.reader.required_string("statement")?.into(),
        network,
        tolerance: tolerance.unwrap_or(0.0),
        within: claim.within()?,
        path: path.into(),
    })
}

/// The kind that the keys of a table name.
fn entry_of(reader: &Reader<'_>) -> Result<&'static Entry, SpecError> {
    let present: Vec<&Entry> = TABLE.iter().filter(|entry| reader.has(entry.key)).collect();
    // The key of one kind may go with another.
    let own = |entry: &&&Entry| !present.iter().any(|other| other.keys.contains(&entry.key));
    let kinds: Vec<&&Entry> = present.iter().filter(own).collect();
    if let [entry] = kinds[..] {
        return Ok(entry);
    }
    let all: Vec<&str> = TABLE.iter().map(|entry| entry.key).collect();
    let found = if kinds.is_empty() { "has none" } else { "has several" };
    Err(reader.complain_of_all(format!("must have one of the keys {}, and {found}", all.join(", "))))
}

/// A table `[[claim]]` with what it may speak of.
pub struct ClaimReader<'a> {
    pub reader: Reader<'a>,
    /// The key that says what kind of claim it is.
    key: &'static str,
    pub scope: Scope<'a>,
}

impl ClaimReader<'_> {
    /// The key `observable`.
    pub fn observable(&self) -> Result<String, SpecError> {
        let name = self.reader.required_string("observable")?;
        self.known_observable("observable", name)
    }

    fn known_observable(&self, key: &str, name: &str) -> Result<String, SpecError> {
        if self.scope.observables.contains(&name) {
            return Ok(name.into());
        }
        let message = format!(
            "must be among this spec's observables ({}){}",
            self.scope.observables.join(", "),
            crate::experiment::specification::reader::did_you_mean(name, self.scope.observables.iter().copied())
        );
        Err(self.reader.complain(key, name, message))
    }

    fn label(&self, key: &str, name: &str) -> Result<String, SpecError> {
        if self.scope.labels.contains(&name) {
            return Ok(name.into());
        }
        Err(self.reader.complain(key, name, unknown("network", name, self.scope.labels)))
    }

    /// Two labels of networks under the claim's own key.
    pub fn networks(&self) -> Result<[String; 2], SpecError> {
        let allowed = format!("must be the labels of two networks (known: {})", self.scope.labels.join(", "));
        match self.reader.strings(self.key, &allowed)?.as_deref() {
            Some(&[first, second]) if first != second => {
                Ok([self.label(self.key, first)?, self.label(self.key, second)?])
            }
            _ => Err(self.reader.refuse(self.key, allowed)),
        }
    }

    /// Two observables under the claim's own key.
    pub fn observables(&self) -> Result<[String; 2], SpecError> {
        let allowed = format!("must be two of this spec's observables ({})", self.scope.observables.join(", "));
        match self.reader.strings(self.key, &allowed)?.as_deref() {
            Some(&[first, second]) if first != second => {
                Ok([self.known_observable(self.key, first)?, self.known_observable(self.key, second)?])
            }
            _ => Err(self.reader.refuse(self.key, allowed)),
        }
    }

    /// A formula that must be there.
    pub fn formula(&self, key: &str) -> Result<Expression, SpecError> {
        self.reader.expression(key)?.ok_or_else(|| self.reader.missing(key, "a number or an expression"))
    }

    /// `dimension`, or a sweep variable.
    pub fn against(&self) -> Result<String, SpecError> {
        let known: Vec<&str> = std::iter::once("dimension").chain(self.scope.variables.iter().copied()).collect();
        let name = self.reader.string("against")?.unwrap_or("dimension");
        if known.contains(&name) {
            Ok(name.into())
        } else {
            Err(self.reader.refuse("against", unknown("variable", name, &known)))
        }
    }

    /// `within = { strength = [0.001, 0.01] }`.
    fn within(&self) -> Result<Vec<(String, [f64; 2])>, SpecError> {
        let Some(table) = self.reader.table("within")? else { return Ok(Vec::new()) };
        let range = |(name, value): (&String, &Value)| {
            if !self.scope.variables.contains(&name.as_str()) {
                let message = format!("must be a sweep variable: {}", unknown("variable", name, self.scope.variables));
                return Err(self.reader.complain("within", name, message));
            }
            let ends = value.as_array().map(Vec::as_slice);
            let ends = if let Some([low, high]) = ends { as_number(low).zip(as_number(high)) } else { None };
            match ends {
                Some((low, high)) if low <= high => Ok((name.clone(), [low, high])),
                _ => Err(self
                    .reader
                    .refuse("within", "must be a table of sweep variables, each with its [lowest, highest] value")),
            }
        };
        table.iter().map(range).collect()
    }
}
