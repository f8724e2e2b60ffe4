//! What speaks for and against a claim: estimates with their errors, tested against the band that the claim allows.

use super::place::{Group, Place, groups};
use super::target::Target;
use super::terms::Terms;
use crate::experiment::cell::Cell;
use crate::experiment::results::{Measurement, Verdict};
use crate::experiment::specification::expression::Expression;
use crate::statistics::{Equivalence, Fit, Look, Reference};

/// Level of the equivalence tests.
pub(super) const EQUIVALENCE_LEVEL: f64 = 0.05;
const COVERAGE: f64 = 0.95;

/// What speaks for and against a claim, before the run's other tests are known.
pub struct Evidence {
    pub verdict: Verdict,
    /// Whether the equivalence tests place the truth inside the tolerance.
    pub equivalent: bool,
    /// p-values of the tests against the claim.
    pub against: Vec<f64>,
    /// Whether it is a number that was asked for without a claim on it.
    pub is_estimate: bool,
    /// About how many replicates of a cell would decide, if nothing does; in words.
    pub needed: Option<(f64, &'static str)>,
}

impl Evidence {
    /// Evidence that decides nothing, and why.
    pub fn undecided(verdict: Verdict, reason: impl Into<String>) -> Self {
        let verdict = Verdict { reason: Some(reason.into()), ..verdict };
        Self { verdict, equivalent: false, against: Vec::new(), is_estimate: false, needed: None }
    }

    /// The same as a number that was asked for without a claim on it.
    pub fn into_estimate(self) -> Self {
        Self { against: Vec::new(), is_estimate: true, needed: None, ..self }
    }

    /// The same where repetitions give a number, and no error of it; `show` turns its scale into the one that people read.
    pub fn without_error(verdict: Verdict, none: NoEstimate, show: impl Fn(f64) -> f64) -> Self {
        Self::undecided(Verdict { measured: none.value.map(show), ..verdict }, none.reason)
    }
}

/// Why repetitions give no estimate, and the number that they give nevertheless.
pub struct NoEstimate {
    pub value: Option<f64>,
    pub reason: String,
}

/// What was measured of one experiment.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// Its name.
    pub name: &'a str,
    /// Names of what is measured.
    pub observables: Vec<&'a str>,
    /// The cells, network by network.
    pub cells: Vec<&'a Cell>,
    /// Cell by cell, a measurement for each observable.
    pub measurements: &'a [Measurement],
}

/// Which look these measurements are of, where there are several.
pub(super) fn look_of(measurements: &[Measurement]) -> Option<Look> {
    measurements.first().and_then(|measurement| measurement.look)
}

/// One claim of one experiment with what was measured.
pub struct Case<'a> {
    pub observed: &'a Observed<'a>,
    pub terms: &'a Terms,
    /// The labels that the claim speaks of.
    pub labels: Vec<&'a str>,
    /// The claim's place in the spec.
    pub index: usize,
}

impl<'a> Case<'a> {
    /// Whether a repetition is the unit, in place of a draw.
    pub fn repeats(&self) -> bool {
        self.observed.measurements.iter().any(|measurement| measurement.replicates.is_some())
    }

    /// What was measured of an observable of one network, in every cell that the claim speaks of.
    pub fn places(&self, label: &str, observable: &str) -> Vec<Place<'a>> {
        self.all_places(observable).filter(|place| place.cell.network == label).collect()
    }

    /// The same of each network that the claim speaks of, split by the sweep variables that do not move the abscissa.
    pub(super) fn groups(&self, observable: &str, against: &str) -> Vec<(&'a str, Group<Place<'a>>)> {
        let of = |&label: &&'a str| {
            let groups = groups(self.places(label, observable), against, |place| place.cell);
            groups.into_iter().map(move |group| (label, group)).collect::<Vec<_>>()
        };
        self.labels.iter().flat_map(of).collect()
    }

    /// The same of all networks.
    pub fn all_places(&self, observable: &str) -> impl Iterator<Item = Place<'a>> {
        let Observed { observables, cells, measurements, .. } = self.observed;
        let terms = self.terms;
        let index = observables.iter().position(|name| *name == observable);
        // Measurements stand cell by cell, one for each observable.
        let rows = measurements.chunks(observables.len().max(1)).zip(cells);
        rows.filter(|(_, cell)| terms.is_within(&cell.variables)).filter_map(move |(rows, cell)| {
            let measurement = rows.get(index?)?;
            Some(Place { cell, measurement, sampled: measurement.row.sampled? })
        })
    }

    /// The share of every level that this look at the data may spend; all of it where there is one look.
    pub fn share(&self) -> f64 {
        look_of(self.observed.measurements).map_or(1.0, |look| look.share)
    }

    /// A p-value as one of all looks together.
    pub fn adjusted(&self, p_value: f64) -> f64 {
        look_of(self.observed.measurements).map_or(p_value, |look| look.adjusted(p_value))
    }

    /// A verdict on the claim to which nothing was found yet.
    pub fn start(&self, network: &str, observable: &str, kind: &str) -> Verdict {
        let blank = Verdict::blank(self.observed.name, network, observable, kind, self.terms.tolerance);
        Verdict { statement: self.terms.statement.clone(), claim: Some(self.index), ..blank }
    }

    /// The band of what was measured over the target in logarithms: 1 ± tolerance, or beyond a bound.
    pub fn relative_band(&self, target: &Target) -> (f64, f64) {
        let tolerance = self.terms.tolerance;
        let below = if tolerance < 1.0 { -(-tolerance).ln_1p() } else { f64::INFINITY };
        target.band(0.0, below, tolerance.ln_1p())
    }

    /// Tests every estimate against the band and completes the verdict with the one that decides: the claim holds when all are
    /// inside, and any one may refute it. `show` turns the tested scale into the one that people read.
    pub fn decide(
        &self,
        verdict: Verdict,
        estimates: Vec<Estimate>,
        band: (f64, f64),
        places: &[Place<'_>],
        show: impl Fn(f64) -> f64,
    ) -> Evidence {
        let tested: Vec<(Estimate, Equivalence)> = estimates
            .into_iter()
            .map(|estimate| {
                let mut test = Equivalence::test(estimate.value, estimate.std_error, band, estimate.reference);
                test.outside = estimate.against.unwrap_or(test.outside);
                test.inside = test.inside.max(estimate.chance.unwrap_or(0.0));
                (test.inside, test.outside) = (self.adjusted(test.inside), self.adjusted(test.outside));
                (estimate, test)
            })
            .collect();
        // p-values too small for a double are one; then the estimate is shown that lies nearest to the edge.
        let margin = |estimate: &Estimate| (estimate.value - band.0).min(band.1 - estimate.value) / estimate.std_error;
        let most = |key: fn(&Equivalence) -> f64| {
            tested
                .iter()
                .max_by(|a, b| key(&a.1).total_cmp(&key(&b.1)).then_with(|| margin(&b.0).total_cmp(&margin(&a.0))))
        };
        let (least_inside, farthest_outside) = (most(|test| test.inside), most(|test| -test.outside));
        let worst = farthest_outside.filter(|(_, test)| test.outside < NOTEWORTHY).or(least_inside);
        let Some((estimate, test)) = worst else { return Evidence::undecided(verdict, "has no points") };
        let Estimate { value, std_error, reference, .. } = *estimate;
        let slope = (show(value + 1e-6) - show(value - 1e-6)) / 2e-6;
        let unit = if self.repeats() { "repetitions" } else { "draws" };
        let most = places.iter().map(|place| place.sampled.draws).max().unwrap_or(0);
        let verdict = Verdict {
            measured: Some(show(value)),
            std_error: Some(std_error * slope.abs()),
            interval: Some(reference.interval(value, std_error, 1.0 - self.share() * (1.0 - COVERAGE)).map(show)),
            p_value: Some(test.inside),
            reason: Some(estimate.words.clone()).filter(|words| !words.is_empty()),
            ..verdict
        };
        Evidence {
            verdict,
            equivalent: tested.iter().all(|(_, test)| test.inside <= EQUIVALENCE_LEVEL),
            against: tested.iter().map(|(_, test)| test.outside).collect(),
            is_estimate: false,
            // What there is did not decide.
            needed: Some(((most as f64 * growth_to_decide(value, std_error, band)).max(most as f64 + 1.0), unit)),
        }
    }
}

/// The value of a formula that was checked before the run; NaN, which decides nothing, if it has none after all.
pub(super) fn value_of(formula: &Expression, place: &Place<'_>) -> f64 {
    formula.evaluate(&place.cell.variables_with_dimension()).unwrap_or(f64::NAN)
}

/// What is shown where predictions differ from point to point: the measured number over the predicted one, predicted 1.
pub(super) fn common(predictions: &[f64]) -> f64 {
    let same = predictions.windows(2).all(|pair| pair[0] == pair[1]);
    if same { predictions.first().copied().unwrap_or(1.0) } else { 1.0 }
}

/// One number that a claim speaks of, with its error.
pub struct Estimate {
    pub value: f64,
    pub std_error: f64,
    pub reference: Reference,
    /// p-value of a test against the claim, where it is not that of a value beyond the tolerance.
    pub against: Option<f64>,
    /// Probability of such a number by chance alone, where the claim says that it is none.
    pub chance: Option<f64>,
    /// What it is, where it is one of several.
    pub words: String,
}

impl Estimate {
    pub fn of_fit(fit: &Fit, words: String) -> Self {
        Self {
            value: fit.estimate,
            std_error: fit.std_error,
            reference: fit.reference(),
            against: None,
            chance: None,
            words,
        }
    }
}

/// How many times as many replicates would probably decide a claim, if the truth is where the estimate is: the distance to the nearest
/// edge of the band is then that of a one-sided 5 % test of 80 % power, or outside of the band of a test at 10⁻⁵.
fn growth_to_decide(value: f64, std_error: f64, (lower, upper): (f64, f64)) -> f64 {
    let distance = (value - lower).min(upper - value);
    let errors = if distance > 0.0 { 1.645 + 0.842 } else { 4.265 + 0.842 };
    (errors * std_error / distance).powi(2)
}

/// A point at which the p-value against the claim is below this is the one to show.
const NOTEWORTHY: f64 = 1e-3;

/// Two-sided p-value of a mean against its exact value; `None` where there is no exact value, or where the draws do not
/// support a test.
pub(super) fn exact_p_value(measurement: &Measurement) -> Option<f64> {
    let z = measurement.row.z.filter(|_| measurement.row.has_exact_theory())?;
    Some(measurement.reference.as_ref().ok()?.two_sided(z))
}
