//! `fit`: the means follow a formula with free constants, fitted by weighted least squares; any of the constants may be claimed.

use std::sync::Arc;

use toml::Value;

use super::evidence::{Case, Estimate, Evidence};
use super::law::{Checked, Entry, Law, Remark};
use super::place::{Place, unsound};
use super::reader::ClaimReader;
use super::repetitions::{Statistic, over_repetitions};
use super::target::Target;
use crate::experiment::format::{interval, rounded};
use crate::experiment::place::with_dimension;
use crate::experiment::results::{Relation, Replicate, Row, Verdict};
use crate::experiment::specification::expression::{Expression, Variables};
use crate::experiment::specification::reader::{SpecError, as_number, did_you_mean, unknown};
use crate::statistics::Reference;
use crate::statistics::least_squares::{self, Constants};
use crate::statistics::regression::{POOR_FIT, scatter_p_value};

/// A claim on the form of a law.
#[derive(Debug, Clone)]
struct FittedForm {
    observable: String,
    formula: Expression,
    /// The formula's free constants, in their order, with what is claimed of each.
    constants: Vec<(String, Option<Claimed>)>,
}

/// What is claimed of a constant.
#[derive(Debug, Clone)]
struct Claimed {
    target: Target,
    value: f64,
    tolerance: f64,
}

pub(super) const ENTRY: Entry = Entry {
    key: "fit",
    name: "fit",
    summary: "the means follow a formula with free constants; claims of `constants` are judged, the others fitted",
    keys: &["observable", "network", "constants", "tolerance"],
    read,
    predicted: |predicted, tolerance| format!("{} ± {}", rounded(predicted, 4), rounded(tolerance, 4)),
    remark: |remark: &Remark| format!("measured/fitted {}", remark.measured),
    interval,
};

/// Most constants: a fit starts from every combination of [`STARTS`].
const MOST_CONSTANTS: usize = 4;

/// Where constants begin.
const STARTS: [f64; 3] = [1.0, 0.1, -0.5];

fn read(claim: &ClaimReader<'_>) -> Result<Arc<dyn Law>, SpecError> {
    let formula = claim.formula("fit")?;
    let known = claim.abscissae();
    let table = claim.reader.table("constants")?;
    let declared = |name: &str| table.is_some_and(|table| table.contains_key(name));
    let mut constants = Vec::new();
    for name in formula.names().iter().filter(|name| !known.contains(&name.as_str())) {
        if !declared(name) && !is_letter(name) {
            let message = format!(
                "uses `{name}`, which is no variable of the sweep{}; a constant is one letter, with or without digits, or stands under \
                 constants",
                did_you_mean(name, known.iter().copied())
            );
            return Err(claim.reader.refuse("fit", message));
        }
        let claimed = table.and_then(|table| table.get(name));
        constants.push((name.clone(), claimed.map(|value| claimed_of(claim, name, value)).transpose()?.flatten()));
    }
    let names: Vec<&str> = constants.iter().map(|(name, _)| name.as_str()).collect();
    if let Some(stray) = table.and_then(|table| table.keys().find(|name| !names.contains(&name.as_str()))) {
        return Err(claim.reader.complain(&format!("constants.{stray}"), "", unknown("constant", stray, &names)));
    }
    if constants.is_empty() || constants.len() > MOST_CONSTANTS {
        let message = format!("must have from one to {MOST_CONSTANTS} free constants, and has {}", constants.len());
        return Err(claim.reader.refuse("fit", message));
    }
    Ok(Arc::new(FittedForm { observable: claim.observable()?, formula, constants }))
}

/// A name that needs no declaration: `a`, `c0`, `k_1`.
fn is_letter(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(char::is_alphabetic) && characters.all(|c| c.is_ascii_digit() || c == '_')
}

/// "0.5 ± 0.01", a bound, or "fit".
fn claimed_of(claim: &ClaimReader<'_>, name: &str, value: &Value) -> Result<Option<Claimed>, SpecError> {
    let key = format!("constants.{name}");
    let refuse = || {
        let allowed = "must be as \"0.5 ± 0.01\", { value = 0.5, tolerance = 0.01 }, { at_most = 0.55 }, { at_least = 0.45 }, or \"fit\"";
        claim.reader.complain(&key, &value.to_string(), allowed)
    };
    let (relation, value, tolerance) = match value {
        Value::String(text) if text == "fit" => return Ok(None),
        Value::String(text) => {
            let (value, tolerance) = text.split_once('±').or_else(|| text.split_once("+-")).ok_or_else(refuse)?;
            let read = |text: &str| text.trim().parse::<f64>().map_err(|_| refuse());
            (Relation::Is, read(value)?, read(tolerance)?)
        }
        Value::Table(table) => {
            let of = |key: &str| table.get(key).and_then(as_number);
            match (table.len(), of("value"), of("tolerance"), of("at_most"), of("at_least")) {
                (2, Some(value), Some(tolerance), None, None) => (Relation::Is, value, tolerance),
                (1, None, None, Some(bound), None) => (Relation::AtMost, bound, 0.0),
                (1, None, None, None, Some(bound)) => (Relation::AtLeast, bound, 0.0),
                _ => return Err(refuse()),
            }
        }
        _ => return Err(refuse()),
    };
    let is_sound = value.is_finite() && tolerance.is_finite() && (relation != Relation::Is || tolerance > 0.0);
    if !is_sound {
        return Err(refuse());
    }
    Ok(Some(Claimed { target: Target { formula: Expression::number(value), relation }, value, tolerance }))
}

impl Law for FittedForm {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn check_in(&self, checked: &Checked<'_>) -> Result<(), SpecError> {
        let ones: Vec<(String, f64)> = self.constants.iter().map(|(name, _)| (name.clone(), 1.0)).collect();
        for label in checked.labels() {
            let cells = checked.of(label);
            if cells.len() <= self.constants.len() {
                let message = format!(
                    "has {} free constants, and \"{label}\" has {} points: must have more points than constants",
                    self.constants.len(),
                    cells.len()
                );
                return Err(checked.refuse("fit", self.formula.text(), message));
            }
            for cell in cells {
                let variables = [cell.variables_with_dimension(), ones.clone()].concat();
                // A formula may have no value at these constants; a name that is unknown has none at any.
                if let Err(message) = self.formula.evaluate(&variables)
                    && message.starts_with("uses")
                {
                    return Err(checked.refuse("fit", self.formula.text(), message));
                }
            }
        }
        Ok(())
    }

    fn evidence(&self, case: &Case<'_>) -> Vec<Evidence> {
        case.labels.iter().copied().flat_map(|label| self.of_network(case, label)).collect()
    }

    fn observables(&self) -> Vec<&str> {
        vec![&self.observable]
    }

    fn needs_tolerance(&self) -> bool {
        false
    }

    fn claimed(&self, row: &Row, rows: &[Row]) -> Option<f64> {
        let same = |other: &&Row| other.network == row.network && other.observable == row.observable;
        let sampled: Vec<&Row> = rows.iter().filter(same).filter(|row| row.sampled.is_some()).collect();
        let places: Vec<Vec<(String, f64)>> =
            sampled.iter().map(|row| with_dimension(&row.variables, row.dimension)).collect();
        let means: Option<Vec<_>> =
            sampled.iter().map(|row| Some((row.sampled?.mean, row.sampled?.std_error))).collect();
        let fitted = self.fitted(&places, &means?)?;
        Some(self.at(&with_dimension(&row.variables, row.dimension), &fitted.values)).filter(|value| value.is_finite())
    }
}

impl FittedForm {
    /// The formula at a point with these constants; NaN where it has no value.
    fn at(&self, variables: &Variables, constants: &[f64]) -> f64 {
        let named = self.constants.iter().zip(constants).map(|((name, _), value)| (name.clone(), *value));
        let all: Vec<(String, f64)> = variables.iter().cloned().chain(named).collect();
        self.formula.evaluate(&all).unwrap_or(f64::NAN)
    }

    /// The fit to means with their errors: of logarithms where all means are above 0.
    fn fitted(&self, places: &[Vec<(String, f64)>], means: &[(f64, f64)]) -> Option<Constants> {
        let logarithmic = means.iter().all(|(mean, _)| *mean > 0.0);
        let points: Vec<(f64, f64)> = means
            .iter()
            .map(|&(mean, error)| if logarithmic { (mean.ln(), error / mean) } else { (mean, error) })
            .collect();
        least_squares::fit(&points, self.constants.len(), &STARTS, |constants, index| {
            let value = self.at(&places[index], constants);
            if logarithmic { value.ln() } else { value }
        })
    }

    fn of_network(&self, case: &Case<'_>, label: &str) -> Vec<Evidence> {
        let start = || case.start(label, &self.observable, ENTRY.name);
        let places = case.places(label, &self.observable);
        let variables: Vec<_> = places.iter().map(|place| place.cell.variables_with_dimension()).collect();
        let refused = |reason: &str| vec![Evidence::undecided(start(), reason)];
        if let Some(reason) = unsound(&places) {
            return refused(&reason);
        }
        if places.len() <= self.constants.len() {
            return refused("has fewer points than constants");
        }
        if case.repeats() {
            return self.of_repetitions(case, &start, &places, &variables);
        }
        let means: Vec<_> = places.iter().map(|place| (place.sampled.mean, place.sampled.std_error)).collect();
        let Some(fitted) = self.fitted(&variables, &means) else {
            return refused("has no fit: the points do not tell its constants apart, or it has no value there");
        };
        let left = (places.len() - self.constants.len()) as f64;
        // On the average a point has the same share of the constants.
        let share = 1.0 - self.constants.len() as f64 / places.len() as f64;
        let noise = places.iter().map(|place| share * share / place.degrees()).sum();
        let goodness = scatter_p_value(fitted.chi_squared, left, noise);
        let is_poor = goodness < POOR_FIT;
        let widened = if is_poor { (fitted.chi_squared / left).sqrt() } else { 1.0 };
        let degrees = places.iter().map(Place::degrees).fold(f64::INFINITY, f64::min);
        let reference = Reference::StudentT(if is_poor { left } else { degrees });
        let words = format!("{}: χ²/ν = {}", self.with(&fitted.values), rounded(fitted.chi_squared / left, 3));
        let residual = |(place, variables): (&Place<'_>, &Vec<_>)| {
            let predicted = self.at(variables, &fitted.values);
            Estimate {
                value: place.sampled.mean / predicted,
                std_error: (place.sampled.std_error / predicted).abs(),
                reference: Reference::StudentT(place.degrees()),
                against: None,
                chance: None,
                words: format!("{words}; the worst of {} points, {}", places.len(), place.cell.variables_in_words()),
            }
        };
        let mut verdict = start();
        verdict.goodness_of_fit = Some(goodness);
        let form = if case.terms.tolerance > 0.0 {
            let residuals = places.iter().zip(&variables).map(residual).collect();
            let band = (1.0 - case.terms.tolerance, 1.0 + case.terms.tolerance);
            let verdict = Verdict { predicted: Some(1.0), ..verdict };
            case.decide(verdict, residuals, band, &places, |x| x)
        } else {
            // Points that lie on the curve within their errors do not show the form: only its failure is judged.
            Evidence { against: vec![case.adjusted(goodness)], ..Evidence::undecided(verdict, words).into_estimate() }
        };
        let estimates = fitted.values.iter().enumerate().map(|(index, &value)| Estimate {
            value,
            std_error: fitted.covariance[index][index].sqrt() * widened,
            reference,
            against: None,
            chance: None,
            words: if is_poor { "the points do not lie on the curve".into() } else { String::new() },
        });
        let judged =
            estimates.enumerate().map(|(index, estimate)| self.constant(case, start(), index, estimate, &places));
        std::iter::once(form).chain(judged).collect()
    }

    /// The fit of each repetition, all points of one weight.
    fn of_repetitions(
        &self,
        case: &Case<'_>,
        start: &dyn Fn() -> Verdict,
        places: &[Place<'_>],
        variables: &[Vec<(String, f64)>],
    ) -> Vec<Evidence> {
        let fitted = |replicates: &[&Replicate]| {
            let weight = |replicate: &&Replicate| if replicate.value > 0.0 { replicate.value } else { 1.0 };
            let means: Vec<_> = replicates.iter().map(|replicate| (replicate.value, weight(replicate))).collect();
            self.fitted(variables, &means)
        };
        let constant = |index: usize| {
            over_repetitions(places, |replicates| Statistic {
                value: fitted(replicates).map_or(f64::NAN, |fitted| fitted.values[index]),
                sampling: 0.0,
                resolution: 0.0,
            })
        };
        let mut judged = Vec::new();
        if case.terms.tolerance > 0.0 {
            judged.push(self.form_of_repetitions(case, start(), places, variables, &fitted));
        }
        for index in 0..self.constants.len() {
            judged.push(match constant(index) {
                Ok(estimate) => self.constant(case, start(), index, estimate, places),
                Err(none) => {
                    let evidence = Evidence::without_error(self.of_constant(start(), index), none, |x| x);
                    if self.constants[index].1.is_some() { evidence } else { evidence.into_estimate() }
                }
            });
        }
        judged
    }

    fn form_of_repetitions(
        &self,
        case: &Case<'_>,
        verdict: Verdict,
        places: &[Place<'_>],
        variables: &[Vec<(String, f64)>],
        fitted: &dyn Fn(&[&Replicate]) -> Option<Constants>,
    ) -> Evidence {
        let verdict = Verdict { predicted: Some(1.0), ..verdict };
        let mut residuals = Vec::new();
        for (point, place) in places.iter().enumerate() {
            let residual = |replicates: &[&Replicate]| {
                let predicted =
                    fitted(replicates).map_or(f64::NAN, |fitted| self.at(&variables[point], &fitted.values));
                let value = (replicates[point].value / predicted).ln();
                Statistic { value, sampling: replicates[point].relative_sampling(), resolution: 0.0 }
            };
            let words = format!("the worst of {} points, {}", places.len(), place.cell.variables_in_words());
            match over_repetitions(places, residual) {
                Ok(estimate) => residuals.push(Estimate { words, ..estimate }),
                Err(none) => return Evidence::without_error(verdict, none, f64::exp),
            }
        }
        case.decide(verdict, residuals, case.relative_band(&Expression::number(1.0).into()), places, f64::exp)
    }

    /// The verdict on a constant: judged where it is claimed, reported where it is not.
    fn constant(
        &self,
        case: &Case<'_>,
        verdict: Verdict,
        index: usize,
        estimate: Estimate,
        places: &[Place<'_>],
    ) -> Evidence {
        let verdict = self.of_constant(verdict, index);
        match &self.constants[index].1 {
            Some(Claimed { target, value, tolerance }) => {
                let band = target.band(*value, *tolerance, *tolerance);
                case.decide(verdict, vec![estimate], band, places, |x| x)
            }
            None => {
                let anywhere = (f64::NEG_INFINITY, f64::INFINITY);
                case.decide(verdict, vec![estimate], anywhere, places, |x| x).into_estimate()
            }
        }
    }

    fn of_constant(&self, verdict: Verdict, index: usize) -> Verdict {
        let (name, claimed) = &self.constants[index];
        Verdict {
            statement: format!("{} [{name}]", verdict.statement),
            predicted: claimed.as_ref().map(|claimed| claimed.value),
            relation: claimed.as_ref().map_or(Relation::Is, |claimed| claimed.target.relation),
            tolerance: claimed.as_ref().map_or(0.0, |claimed| claimed.tolerance),
            ..verdict
        }
    }

    /// "c = 1.02, a = 0.499".
    fn with(&self, constants: &[f64]) -> String {
        let named = self.constants.iter().zip(constants).map(|((name, _), value)| {
            format!("{name} = {}", if value.abs() < 1e-3 { format!("{value:.2e}") } else { rounded(*value, 4) })
        });
        named.collect::<Vec<_>>().join(", ")
    }
}
