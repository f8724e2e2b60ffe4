//! Claims: what a spec says of the means that it measures, and the one table of their kinds.
//!
//! A kind is one file: its keys, what is checked before any work, its evidence, and the words for what was found. Each kind speaks of
//! networks at initialisation and of trained ones alike. Draws of networks at initialisation are independent; trained networks share
//! weights and batches over a sweep, so that there a repetition is the unit.

mod evidence;
mod exponent;
mod family;
mod less;
mod place;
mod quotient;
mod rank_correlation;
mod ratio;
mod read;
mod repetitions;
mod same_law;
#[cfg(test)]
mod tests;
mod value;

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;

use super::cell::Cell;
use super::format::{self, rounded, unbroken, with_error};
use super::results::{Row, Verdict};
use super::specification::expression::{Expression, Variables};
use super::specification::reader::{Origin, SpecError};
use crate::sampling::Observable;
use crate::statistics::regression::POOR_FIT;
use evidence::Evidence;

pub use exponent::Baseline;
pub(super) use family::blank;
pub use family::{Measured, judge};
pub(super) use place::moves_dimension;
pub(super) use read::{Scope, read_claims};

/// A `[[claim]]` table.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The claim in words.
    pub statement: String,
    /// The network it speaks of; `None` for each network.
    pub network: Option<String>,
    /// How far the truth may lie from the prediction: absolute for exponents and distances; relative otherwise, t meaning
    /// from 1 − t to 1 + t times the prediction; 0 for kinds that have none.
    pub tolerance: f64,
    /// The values of sweep variables that it speaks of, from lowest to highest.
    pub within: Vec<(String, [f64; 2])>,
    /// Its dotted key, for error messages.
    pub path: String,
    /// What it says.
    law: Arc<dyn Law>,
}

impl Deref for Claim {
    type Target = dyn Law;

    fn deref(&self) -> &Self::Target {
        self.law.as_ref()
    }
}

/// What every kind of claim knows of itself; all but the first four have an answer for kinds that do not need it.
pub trait Law: Debug + Send + Sync {
    /// Its kind.
    fn entry(&self) -> &'static Entry;

    /// Checks, before any work, that it can be judged in these cells: formulas have values, exact means exist.
    fn check_in(&self, checked: &Checked<'_>) -> Result<(), SpecError>;

    /// What was measured says for and against it.
    fn evidence(&self, case: &evidence::Case<'_>) -> Vec<Evidence>;

    /// The observables that it speaks of.
    fn observables(&self) -> Vec<&str>;

    /// The two networks that it compares.
    fn pair(&self) -> Option<&[String; 2]> {
        None
    }

    /// What is on the abscissa of its fit.
    fn against(&self) -> Option<&str> {
        None
    }

    /// Whether it needs whole distributions beside means.
    fn needs_distributions(&self) -> bool {
        false
    }

    /// Whether it compares a mean with its theory, so that no other test need do so.
    fn is_of_theory(&self) -> bool {
        false
    }

    /// Whether its tolerance is a band around 1 of what was measured over what is claimed.
    fn is_relative(&self) -> bool {
        false
    }

    /// Whether it says what a mean is.
    fn is_of_value(&self) -> bool {
        false
    }

    /// Whether it states what the means are, rather than leaving it to theory.
    fn states_value(&self) -> bool {
        false
    }

    /// What a figure says of a verdict.
    fn remark(&self, remark: &Remark) -> String {
        (self.entry().remark)(remark)
    }

    /// What the ratio of its two networks is called in a figure.
    fn name_of_ratio(&self) -> &'static str {
        "ratio of networks / claimed"
    }

    /// The value that it claims at the place of a row, of the row's network: that of a formula, or another network's mean times a factor.
    fn claimed(&self, row: &Row, rows: &[Row]) -> Option<f64> {
        let _ = (row, rows);
        None
    }

    /// The law that it claims up to a constant, at the place of a row; `others` are the sweep variables that are not on the abscissa.
    fn shape(&self, row: &Row, rows: &[Row], x: f64, others: &Variables) -> Option<f64> {
        let _ = (row, rows, x, others);
        None
    }

    /// The ratio of its two networks at the place of a row.
    fn factor(&self, row: &Row) -> Option<f64> {
        let _ = row;
        None
    }
}

/// A kind of claim: the key that says so, the keys that go with it, and its words.
pub struct Entry {
    /// The key.
    pub key: &'static str,
    /// The name in verdicts.
    name: &'static str,
    /// Keys beside its own, `statement` and `within`.
    keys: &'static [&'static str],
    read: fn(&read::ClaimReader<'_>) -> Result<Arc<dyn Law>, SpecError>,
    /// What is predicted, with the tolerance.
    predicted: fn(predicted: f64, tolerance: f64) -> String,
    /// What a figure says of the numbers that were measured.
    remark: fn(&Remark) -> String,
    /// The 95 % interval, in words.
    interval: fn([f64; 2]) -> String,
}

/// The numbers of a verdict as a figure shows them.
pub struct Remark {
    /// "0.499 ± 0.001".
    measured: String,
    /// The same without its error.
    number: String,
    /// ", predicted 0.5", or nothing.
    predicted: String,
    /// Whether no one number fits all points, and the worst one is shown.
    is_worst: bool,
}

impl Remark {
    /// The numbers of a verdict that has measured something.
    pub fn of(verdict: &Verdict) -> Option<Self> {
        let measured = verdict.measured?;
        let predicted = verdict.predicted.map(|predicted| unbroken(&format!("predicted {}", rounded(predicted, 4))));
        Some(Self {
            measured: unbroken(&with_error(measured, verdict.std_error.unwrap_or(0.0))),
            number: rounded(measured, 4),
            predicted: predicted.map(|predicted| format!(", {predicted}")).unwrap_or_default(),
            is_worst: verdict.goodness_of_fit.is_some_and(|probability| probability < POOR_FIT),
        })
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
];

impl Claim {
    fn new(statement: String, tolerance: f64, law: impl Law + 'static) -> Self {
        Self { statement, network: None, tolerance, within: Vec::new(), path: "claim".into(), law: Arc::new(law) }
    }

    /// The mean of an observable grows as a power of `dimension` or of a sweep variable, within an absolute tolerance.
    pub fn exponent(observable: &str, against: &str, exponent: impl Into<Expression>, tolerance: f64) -> Self {
        let (exponent, observable, against) = (exponent.into(), observable.to_owned(), against.to_owned());
        let statement = format!("{observable} grows as {against}^{}", exponent.text());
        Self::new(statement, tolerance, exponent::Exponent { observable, against, exponent, relative_to: None })
    }

    /// The mean of an observable is a value, within a relative tolerance.
    pub fn value(observable: &str, value: impl Into<Expression>, tolerance: f64) -> Self {
        let value = value.into();
        let statement = format!("{observable} is {}", value.text());
        let law = value::Value { observable: observable.into(), source: value::Source::Formula(value) };
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
        let law = ratio::Ratio { observable: observable.into(), networks: networks.map(str::to_owned), factor };
        Self::new(statement, tolerance, law)
    }

    /// The mean of the first observable is a value times that of the second, within a relative tolerance.
    pub fn quotient(observables: [&str; 2], value: impl Into<Expression>, tolerance: f64) -> Self {
        let value = value.into();
        let statement = format!("{} is {} times {}", observables[0], value.text(), observables[1]);
        Self::new(statement, tolerance, quotient::Quotient { observables: observables.map(str::to_owned), value })
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
        self.network = Some(label.into());
        self
    }

    /// The claim in other words.
    #[must_use]
    pub fn in_words(mut self, statement: &str) -> Self {
        self.statement = statement.into();
        self
    }

    /// Whether it speaks of the network of this label.
    pub fn concerns(&self, network: &str) -> bool {
        match self.pair() {
            Some(networks) => networks.iter().any(|label| label == network),
            None => self.network.as_deref().is_none_or(|label| label == network),
        }
    }

    /// Whether it speaks of points with these values of the sweep variables.
    pub fn is_within(&self, variables: &Variables) -> bool {
        self.within.iter().all(|(name, [low, high])| {
            let value = variables.iter().find(|(variable, _)| variable == name);
            value.is_some_and(|(_, value)| (low..=high).contains(&value))
        })
    }

    /// Whether it speaks of what a row measured.
    pub fn speaks_of(&self, row: &Row) -> bool {
        self.concerns(&row.network) && self.is_on(&row.observable) && self.is_within(&row.variables)
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
        self.check_in(&Checked { claim: self, origin, observables, cells })
    }
}

/// What a verdict predicts, in words: "0.5 ± 0.01".
pub fn predicted(verdict: &Verdict) -> String {
    let entry = TABLE.iter().find(|entry| entry.name == verdict.kind);
    match (verdict.predicted, entry) {
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

/// "4 ± 10 %".
fn relative(predicted: f64, tolerance: f64) -> String {
    format!("{} ± {} %", rounded(predicted, 4), rounded(100.0 * tolerance, 3))
}

/// "ratio 2.003 ± 0.004, predicted 2".
fn ratio_remark(remark: &Remark) -> String {
    let what = if remark.is_worst { "worst ratio" } else { "ratio" };
    format!("{what} {}{}", remark.measured, remark.predicted)
}

/// A claim and the cells of its experiment, before any work.
pub struct Checked<'a> {
    claim: &'a Claim,
    origin: &'a Origin,
    observables: &'a [&'a str],
    cells: &'a [&'a Cell],
}

impl<'a> Checked<'a> {
    /// The cells of a network that the claim speaks of.
    fn of(&self, label: &str) -> Vec<&'a Cell> {
        let own = |cell: &&&Cell| cell.network == label && self.claim.is_within(&cell.variables);
        self.cells.iter().filter(own).copied().collect()
    }

    /// The labels of the networks that it speaks of.
    fn labels(&self) -> Vec<&'a str> {
        let mut labels: Vec<&str> = self.cells.iter().map(|cell| cell.network.as_str()).collect();
        labels.dedup();
        labels.retain(|label| self.claim.concerns(label));
        labels
    }

    /// All the cells that it speaks of.
    fn each(&self, mut check: impl FnMut(&Cell) -> Result<(), SpecError>) -> Result<(), SpecError> {
        self.labels().into_iter().try_for_each(|label| self.of(label).into_iter().try_for_each(&mut check))
    }

    fn refuse(&self, key: &str, value: &str, message: impl Into<String>) -> SpecError {
        self.origin.error(&format!("{}.{key}", self.claim.path), value, message)
    }

    fn evaluate(&self, key: &str, formula: &Expression, variables: &Variables) -> Result<f64, SpecError> {
        formula.evaluate(variables).map_err(|message| self.refuse(key, formula.text(), message))
    }

    /// A formula with a relative tolerance has a value other than 0 in every cell.
    fn nonzero(&self, key: &str, formula: &Expression) -> Result<(), SpecError> {
        self.each(|cell| {
            let value = self.evaluate(key, formula, &cell.variables_with_dimension())?;
            if value != 0.0 {
                return Ok(());
            }
            let message = format!("must not be 0, as it is at {}: the tolerance is relative", cell.describe());
            Err(self.refuse(key, formula.text(), message))
        })
    }

    /// The place of an observable among those that are measured.
    fn place_of(&self, observable: &str) -> Option<usize> {
        self.observables.iter().position(|name| *name == observable)
    }
}

/// An observable in a claim's formula, where the name is one.
fn observable(name: &str) -> Option<Observable> {
    name.parse().ok()
}
