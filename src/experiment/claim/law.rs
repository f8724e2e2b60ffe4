//! What a kind of claim is: its keys, what is checked before any work, its evidence, and its words.

use std::fmt::Debug;
use std::sync::Arc;

use super::evidence::{Case, Evidence};
use super::reader::ClaimReader;
use super::terms::Terms;
use crate::experiment::cell::Cell;
use crate::experiment::format::{rounded, unbroken, with_error};
use crate::experiment::results::{Relation, Row, Verdict};
use crate::experiment::specification::expression::{Expression, Variables};
use crate::experiment::specification::reader::{Origin, SpecError};
use crate::observable::Observable;
use crate::statistics::regression::POOR_FIT;

/// What every kind of claim knows of itself; all but the first four have an answer for kinds that do not need it.
pub trait Law: Debug + Send + Sync {
    /// Its kind.
    fn entry(&self) -> &'static Entry;

    /// Checks, before any work, that it can be judged in these cells: formulas have values, exact means exist.
    fn check_in(&self, checked: &Checked<'_>) -> Result<(), SpecError>;

    /// What was measured says for and against it.
    fn evidence(&self, case: &Case<'_>) -> Vec<Evidence>;

    /// The observables that it speaks of.
    fn observables(&self) -> Vec<&str>;

    /// Whether a tolerance must be given; where it need not, there is none unless it is.
    fn needs_tolerance(&self) -> bool {
        self.entry().keys.contains(&"tolerance") && !self.is_bound()
    }

    /// Whether it says that a number is no larger, or no smaller, than another.
    fn is_bound(&self) -> bool {
        false
    }

    /// The two networks that it compares.
    fn pair(&self) -> Option<&[String; 2]> {
        None
    }

    /// Whether it speaks of the network of this label.
    fn concerns(&self, terms: &Terms, network: &str) -> bool {
        match self.pair() {
            Some(networks) => networks.iter().any(|label| label == network),
            None => terms.network.as_deref().is_none_or(|label| label == network),
        }
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
        "measured / claimed ratio"
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
    pub name: &'static str,
    /// What is claimed, in a line of the reference.
    pub summary: &'static str,
    /// Keys beside its own, `statement` and `within`.
    pub keys: &'static [&'static str],
    /// Reads what is its own in a table.
    pub read: fn(&ClaimReader<'_>) -> Result<Arc<dyn Law>, SpecError>,
    /// What is predicted, with the tolerance.
    pub predicted: fn(predicted: f64, tolerance: f64) -> String,
    /// What a figure says of the numbers that were measured.
    pub remark: fn(&Remark) -> String,
    /// The 95 % interval, in words.
    pub interval: fn([f64; 2]) -> String,
}

/// The numbers of a verdict as a figure shows them.
pub struct Remark {
    /// "0.499 ± 0.001".
    pub measured: String,
    /// The same without its error.
    pub number: String,
    /// ", predicted 0.5", or nothing.
    pub predicted: String,
    /// Whether no one number fits all points, and the worst one is shown.
    pub is_worst: bool,
}

impl Remark {
    /// The numbers of a verdict that has measured something.
    pub fn of(verdict: &Verdict) -> Option<Self> {
        let measured = verdict.measured?;
        let word = match verdict.relation {
            Relation::Is => "predicted",
            Relation::AtMost => "at most",
            Relation::AtLeast => "at least",
        };
        let predicted = verdict.predicted.map(|predicted| unbroken(&format!("{word} {}", rounded(predicted, 4))));
        Some(Self {
            measured: unbroken(&with_error(measured, verdict.std_error.unwrap_or(0.0))),
            number: rounded(measured, 4),
            predicted: predicted.map(|predicted| format!(", {predicted}")).unwrap_or_default(),
            is_worst: verdict.goodness_of_fit.is_some_and(|probability| probability < POOR_FIT),
        })
    }
}

/// "4 ± 10 %".
pub fn relative(predicted: f64, tolerance: f64) -> String {
    format!("{} ± {} %", rounded(predicted, 4), rounded(100.0 * tolerance, 3))
}

/// "ratio 2.003 ± 0.004, predicted 2".
pub fn ratio_remark(remark: &Remark) -> String {
    let what = if remark.is_worst { "worst ratio" } else { "ratio" };
    format!("{what} {}{}", remark.measured, remark.predicted)
}

/// A claim and the cells of its experiment, before any work.
pub struct Checked<'a> {
    pub terms: &'a Terms,
    pub law: &'a dyn Law,
    pub origin: &'a Origin,
    pub observables: &'a [&'a str],
    pub cells: &'a [&'a Cell],
}

impl<'a> Checked<'a> {
    /// The cells of a network that the claim speaks of.
    pub fn of(&self, label: &str) -> Vec<&'a Cell> {
        let own = |cell: &&&Cell| cell.network == label && self.terms.is_within(&cell.variables);
        self.cells.iter().filter(own).copied().collect()
    }

    /// The labels of the networks that it speaks of.
    pub fn labels(&self) -> Vec<&'a str> {
        let mut labels: Vec<&str> = self.cells.iter().map(|cell| cell.network.as_str()).collect();
        labels.dedup();
        labels.retain(|label| self.law.concerns(self.terms, label));
        labels
    }

    /// All the cells that it speaks of.
    pub fn each(&self, mut check: impl FnMut(&Cell) -> Result<(), SpecError>) -> Result<(), SpecError> {
        self.labels().into_iter().try_for_each(|label| self.of(label).into_iter().try_for_each(&mut check))
    }

    pub fn refuse(&self, key: &str, value: &str, message: impl Into<String>) -> SpecError {
        self.origin.error(&format!("{}.{key}", self.terms.path), value, message)
    }

    pub fn evaluate(&self, key: &str, formula: &Expression, variables: &Variables) -> Result<f64, SpecError> {
        formula.evaluate(variables).map_err(|message| self.refuse(key, formula.text(), message))
    }

    /// A formula with a relative tolerance has a value other than 0 in every cell.
    pub fn nonzero(&self, key: &str, formula: &Expression) -> Result<(), SpecError> {
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
    pub fn place_of(&self, observable: &str) -> Option<usize> {
        self.observables.iter().position(|name| *name == observable)
    }
}

/// An observable in a claim's formula, where the name is one.
pub fn observable(name: &str) -> Option<Observable> {
    name.parse().ok()
}
