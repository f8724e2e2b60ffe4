//! Claims: what a spec says of the means that it measures, and the one table of their kinds.
//!
//! A kind is one file: its keys, what is checked before any work, its evidence, and the words for what was found. Each kind speaks of
//! networks at initialisation and of trained ones alike. Draws of networks at initialisation are independent; trained networks share
//! weights and batches over a sweep, so that there a repetition is the unit.

mod evidence;
mod exponent;
mod family;
mod fit;
mod law;
mod less;
mod monotone;
mod place;
mod quotient;
mod rank_correlation;
mod ratio;
mod reader;
mod repetitions;
mod same_exponent;
mod same_law;
mod slope;
mod target;
mod terms;
mod value;

use std::ops::Deref;
use std::sync::Arc;

use super::cell::Cell;
use super::format::{self, rounded};
use super::results::{Relation, Row, Verdict};
use super::specification::expression::Expression;
use super::specification::reader::{Origin, Reader, SpecError};
use law::Checked;
use reader::ClaimReader;
use toml::Table;

pub use evidence::Observed;
pub use exponent::Baseline;
pub use family::{Measured, is_decided, judge};
pub use law::{Entry, Law, Remark};
pub(super) use place::moves_dimension;
pub(super) use reader::Scope;
pub use terms::Terms;

/// A `[[claim]]` table.
#[derive(Debug, Clone)]
pub struct Claim {
    /// What it says of itself.
    pub terms: Terms,
    /// What it says.
    law: Arc<dyn Law>,
}

impl Deref for Claim {
    type Target = dyn Law;

    fn deref(&self) -> &Self::Target {
        self.law.as_ref()
    }
}

/// All kinds of claims. A quotient has a `value` too, and comes before the claim of a value.
const TABLE: &[Entry] = &[
    exponent::ENTRY,
    ratio::ENTRY,
    quotient::ENTRY,
    value::ENTRY,
    same_law::ENTRY,
    rank_correlation::ENTRY,
    less::ENTRY,
    monotone::INCREASING,
    monotone::DECREASING,
    same_exponent::ENTRY,
    fit::ENTRY,
];

/// All kinds of claims, by their keys.
pub fn kinds() -> impl Iterator<Item = &'static Entry> {
    TABLE.iter()
}

impl Claim {
    fn new(statement: String, tolerance: f64, law: impl Law + 'static) -> Self {
        let terms = Terms { statement, network: None, tolerance, within: Vec::new(), path: "claim".into() };
        Self { terms, law: Arc::new(law) }
    }

    /// The mean of an observable grows as a power of `dimension` or of a sweep variable, within an absolute tolerance.
    pub fn exponent(observable: &str, against: &str, exponent: impl Into<Expression>, tolerance: f64) -> Self {
        let (exponent, observable, against) = (exponent.into(), observable.to_owned(), against.to_owned());
        let statement = format!("{observable} grows as {against}^{}", exponent.text());
        Self::new(
            statement,
            tolerance,
            exponent::Exponent { observable, against, exponent: Some(exponent.into()), relative_to: None },
        )
    }

    /// Asks for the power of `dimension` or of a sweep variable as which the mean of an observable grows, without a claim.
    pub fn fitted_exponent(observable: &str, against: &str) -> Self {
        let (observable, against) = (observable.to_owned(), against.to_owned());
        let statement = format!("the exponent of {observable} against {against}");
        Self::new(statement, 0.0, exponent::Exponent { observable, against, exponent: None, relative_to: None })
    }

    /// The mean of an observable is a value, within a relative tolerance.
    pub fn value(observable: &str, value: impl Into<Expression>, tolerance: f64) -> Self {
        let value = value.into();
        let statement = format!("{observable} is {}", value.text());
        let law = value::Value { observable: observable.into(), source: value::Source::Formula(value.into()) };
        Self::new(statement, tolerance, law)
    }

    /// The mean of an observable is what theory says, within a relative tolerance.
    pub fn value_of_theory(observable: &str, tolerance: f64) -> Self {
        let law = value::Value { observable: observable.into(), source: value::Source::Theory };
        Self::new(format!("{observable} is what theory says"), tolerance, law)
    }

    /// The mean of the first network is a factor times that of the second, within a relative tolerance.
    pub fn ratio(networks: [&str; 2], observable: &str, factor: impl Into<Expression>, tolerance: f64) -> Self {
        let factor = factor.into();
        let statement = format!("{observable} of {} is {} times that of {}", networks[0], factor.text(), networks[1]);
        let law = ratio::Ratio {
            observable: observable.into(),
            networks: networks.map(str::to_owned),
            factor: factor.into(),
        };
        Self::new(statement, tolerance, law)
    }

    /// The mean of the first observable is a value times that of the second, within a relative tolerance.
    pub fn quotient(observables: [&str; 2], value: impl Into<Expression>, tolerance: f64) -> Self {
        let value = value.into();
        let statement = format!("{} is {} times {}", observables[0], value.text(), observables[1]);
        Self::new(
            statement,
            tolerance,
            quotient::Quotient { observables: observables.map(str::to_owned), value: value.into() },
        )
    }

    /// The mean of the first network is less than that of the second.
    pub fn less(networks: [&str; 2], observable: &str) -> Self {
        let statement = format!("{observable} of {} is less than that of {}", networks[0], networks[1]);
        Self::new(statement, 0.0, less::Less { observable: observable.into(), networks: networks.map(str::to_owned) })
    }

    /// The observable has one law in both networks, up to a Kolmogorov–Smirnov distance of the tolerance.
    pub fn same_law(networks: [&str; 2], observable: &str, tolerance: f64) -> Self {
        let statement = format!("{observable} has one law in {} and {}", networks[0], networks[1]);
        let law = same_law::SameLaw { observable: observable.into(), networks: networks.map(str::to_owned) };
        Self::new(statement, tolerance, law)
    }

    /// The claim of one network, where it speaks of each.
    #[must_use]
    pub fn of_network(mut self, label: &str) -> Self {
        self.terms.network = Some(label.into());
        self
    }

    /// The claim in other words.
    #[must_use]
    pub fn in_words(mut self, statement: &str) -> Self {
        self.terms.statement = statement.into();
        self
    }

    /// Whether it speaks of the network of this label.
    pub fn is_about(&self, network: &str) -> bool {
        self.concerns(&self.terms, network)
    }

    /// Whether it speaks of what a row measured.
    pub fn speaks_of(&self, row: &Row) -> bool {
        self.is_about(&row.network) && self.is_on(&row.observable) && self.terms.is_within(&row.variables)
    }

    /// Whether it speaks of this observable.
    pub(super) fn is_on(&self, observable: &str) -> bool {
        self.observables().contains(&observable)
    }

    /// Checks, before any work, that the claim can be judged in these cells.
    ///
    /// # Errors
    /// The first formula that has no value, with its key and the cell; an exact mean that there is none of.
    pub(super) fn check(&self, origin: &Origin, observables: &[&str], cells: &[&Cell]) -> Result<(), SpecError> {
        self.check_in(&Checked { terms: &self.terms, law: self.law.as_ref(), origin, observables, cells })
    }
}

/// Reads all claims of a spec.
pub(super) fn read_claims(reader: &Reader<'_>, origin: &Origin, scope: Scope<'_>) -> Result<Vec<Claim>, SpecError> {
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
    let law = (entry.read)(&claim)?;
    if law.needs_tolerance() && tolerance.is_none() {
        return Err(claim.reader.missing("tolerance", "a number above 0"));
    }
    let terms = Terms {
        statement: claim.reader.required_string("statement")?.into(),
        network,
        tolerance: tolerance.unwrap_or(0.0),
        within: claim.within()?,
        path: path.into(),
    };
    Ok(Claim { terms, law })
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

/// What a verdict predicts, in words: "0.5 ± 0.01".
pub fn predicted(verdict: &Verdict) -> String {
    let entry = TABLE.iter().find(|entry| entry.name == verdict.kind);
    let slack = |sign: &str| match verdict.tolerance {
        0.0 => String::new(),
        tolerance => format!(" {sign} {}", rounded(tolerance, 4)),
    };
    match (verdict.predicted, entry) {
        (Some(bound), Some(_)) if verdict.relation == Relation::AtMost => {
            format!("≤ {}{}", rounded(bound, 4), slack("+"))
        }
        (Some(bound), Some(_)) if verdict.relation == Relation::AtLeast => {
            format!("≥ {}{}", rounded(bound, 4), slack("−"))
        }
        (Some(predicted), Some(entry)) => (entry.predicted)(predicted, verdict.tolerance),
        _ => String::new(),
    }
}

/// A verdict's interval, in words.
pub fn interval(verdict: &Verdict) -> String {
    let words = TABLE
        .iter()
        .find(|entry| entry.name == verdict.kind)
        .map_or(format::interval as fn(_) -> _, |entry| entry.interval);
    verdict.interval.map(words).unwrap_or_default()
}
