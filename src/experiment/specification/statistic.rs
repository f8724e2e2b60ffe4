//! Statistics that a claim may speak of in place of a mean: "var(log_norm)", "mean(loss.l1) / mean(loss.l2)", "quantile(loss.l1, 0.9)".

use super::expression::{Expression, Variables};
use super::observables::length_of_name;
use super::reader::did_you_mean;
use crate::statistics::jackknife::Replica;

/// A formula of statistics of observables.
#[derive(Debug, Clone)]
pub struct StatisticSpec {
    /// The formula as written.
    pub name: String,
    formula: Expression,
    terms: Vec<Term>,
}

/// One statistic of one observable.
#[derive(Debug, Clone)]
struct Term {
    text: String,
    function: Function,
    observable: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Function {
    Mean,
    Variance,
    StandardDeviation,
    Variation,
    Quantile(f64),
}

/// Names of statistics with one argument.
const FUNCTIONS: [(&str, Function); 5] = [
    ("mean", Function::Mean),
    ("var", Function::Variance),
    ("std", Function::StandardDeviation),
    ("cv", Function::Variation),
    ("median", Function::Quantile(0.5)),
];

const QUANTILE: &str = "quantile";

/// What there is, for error messages.
pub const ALLOWED: &str = "mean(x), var(x), std(x), cv(x), median(x), quantile(x, 0.9), and formulas of them";

impl StatisticSpec {
    /// Reads a formula of statistics of `observables`; `None` where the text has none.
    ///
    /// # Errors
    /// In words: an observable that there is not, or a formula that cannot be read.
    pub fn parse(text: &str, observables: &[&str]) -> Result<Option<Self>, String> {
        let mut at = 0;
        let mut terms: Vec<Term> = Vec::new();
        while let Some(start) = text[at..].find(|c: char| c.is_ascii_alphabetic()).map(|start| at + start) {
            match term_at(&text[start..], observables)? {
                Some(term) => {
                    at = start + term.text.len();
                    if terms.iter().all(|known| known.text != term.text) {
                        terms.push(term);
                    }
                }
                None => at = start + text[start..].find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len() - start),
            }
        }
        if terms.is_empty() {
            return Ok(None);
        }
        let is_term = |rest: &str| term_at(rest, observables).ok().flatten().map(|term| term.text.len());
        let formula = Expression::parse_with(text, &is_term)?;
        Ok(Some(Self { name: text.into(), formula, terms }))
    }

    /// Whether it asks for quantiles of an observable.
    pub fn needs_quantiles(&self, observable: &str) -> bool {
        self.terms.iter().any(|term| term.observable == observable && matches!(term.function, Function::Quantile(_)))
    }

    /// Whether it is a formula of means alone, which one network has too.
    pub fn is_of_means(&self) -> bool {
        self.terms.iter().all(|term| term.function == Function::Mean)
    }

    /// The observables that it speaks of.
    pub fn observables(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|term| term.observable.as_str())
    }

    /// The variables of the formula that are no statistics.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let is_term = |name: &&String| self.terms.iter().any(|term| term.text == **name);
        self.formula.names().iter().filter(move |name| !is_term(name)).map(String::as_str)
    }

    /// The value of draws, given the observables' names in their order; NaN where it has none.
    pub fn of_draws(&self, replica: &Replica<'_>, names: &[&str], variables: &Variables) -> f64 {
        self.value(variables, |term| {
            let Some(index) = names.iter().position(|name| *name == term.observable) else { return f64::NAN };
            let moments = replica.moments(index);
            let (mean, deviation) = (moments.mean(), moments.std_dev());
            match term.function {
                Function::Mean => mean,
                Function::Variance => deviation * deviation,
                Function::StandardDeviation => deviation,
                Function::Variation => deviation / mean,
                Function::Quantile(probability) => replica.quantile(index, probability),
            }
        })
    }

    /// The value of one network, given the mean of each observable.
    pub fn of_means(&self, mean: impl Fn(&str) -> f64, variables: &Variables) -> f64 {
        self.value(variables, |term| mean(&term.observable))
    }

    fn value(&self, variables: &Variables, of: impl Fn(&Term) -> f64) -> f64 {
        let terms = self.terms.iter().map(|term| (term.text.clone(), of(term)));
        let all: Vec<(String, f64)> = variables.iter().cloned().chain(terms).collect();
        self.formula.evaluate(&all).unwrap_or(f64::NAN)
    }
}

/// The statistic at the beginning of a text, where one is.
fn term_at(text: &str, observables: &[&str]) -> Result<Option<Term>, String> {
    let word = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(word);
    let function = FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| Some(*function));
    let function = function.or_else(|| (name == QUANTILE).then_some(None));
    let Some((function, inner)) = function.zip(rest.strip_prefix('(')) else { return Ok(None) };
    let Some(end) = inner.find(')') else { return Ok(None) };
    let (observable, probability) = match (function, inner[..end].split_once(',')) {
        (Some(function), None) => (inner[..end].trim(), Ok(function)),
        (None, Some((observable, text))) => {
            let probability = text.trim().parse().ok().filter(|p: &f64| *p > 0.0 && *p < 1.0);
            (observable.trim(), probability.map(Function::Quantile).ok_or(text.trim()))
        }
        (Some(_), Some(_)) => return Err(format!("{name} takes one observable: must be {name}(x)")),
        (None, None) => {
            return Err(format!("{QUANTILE} takes an observable and a probability: must be as {QUANTILE}(x, 0.9)"));
        }
    };
    let is_known = |name: &str| observables.contains(&name);
    // A dotted name is one, and nothing else stands in the parentheses.
    if !is_known(observable) && length_of_name(observable, is_known) != Some(observable.len()) {
        let hint = did_you_mean(observable, observables.iter().copied());
        let known = observables.join(", ");
        return Err(format!("{name}({observable}): must be one of this spec's observables ({known}){hint}"));
    }
    let function =
        probability.map_err(|text| format!("{QUANTILE}(…, {text}): must be a probability between 0 and 1"))?;
    let text = text[..word + 1 + end + 1].to_owned();
    Ok(Some(Term { text, function, observable: observable.into() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::jackknife::Column;

    const NAMES: [&str; 3] = ["loss.l1", "loss.l2", "ratio"];

    #[test]
    fn formulas_of_statistics_have_the_values_of_their_columns() {
        let mut columns = vec![Column::default(); 3];
        for value in [1.0, 2.0, 3.0, 4.0] {
            for (index, column) in columns.iter_mut().enumerate() {
                column.moments.push(value * (index + 1) as f64);
                column.quantiles.push(value * (index + 1) as f64);
            }
        }
        let value = |text: &str| {
            let statistic = StatisticSpec::parse(text, &NAMES).unwrap().unwrap();
            statistic.of_draws(&Replica::of_all(&columns), &NAMES, &[("d".into(), 16.0)])
        };
        assert_eq!(value("mean(loss.l1)"), 2.5);
        assert_eq!(value("mean( loss.l2 ) / mean(loss.l1)"), 2.0);
        assert!((value("var(ratio) - 9 * std(loss.l1)^2")).abs() < 1e-12);
        assert!((value("cv(loss.l1) * sqrt(d)") - 4.0 * (5.0f64 / 3.0).sqrt() / 2.5).abs() < 1e-12);
        assert!((value("quantile(loss.l1, 0.9)") - 4.0).abs() < 0.01 && (value("median(ratio)") - 6.0).abs() < 3.01);
    }

    #[test]
    fn what_is_no_statistic_is_told_apart_and_named() {
        assert!(StatisticSpec::parse("loss.l1", &NAMES).unwrap().is_none());
        assert!(StatisticSpec::parse("sqrt(d)", &NAMES).unwrap().is_none());
        for (text, says) in [
            ("var(loss.l3)", "must be one of this spec's observables"),
            ("var(ratoi)", "did you mean `ratio`?"),
            ("quantile(ratio)", "must be as quantile(x, 0.9)"),
            ("quantile(ratio, 2)", "between 0 and 1"),
            ("mean(ratio, 2)", "takes one observable"),
            ("mean(ratio) +", "must be an expression"),
        ] {
            let error = StatisticSpec::parse(text, &NAMES).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
