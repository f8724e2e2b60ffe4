//! From measurements to verdicts: fits, equivalence tests, and one family-wise error rate over the run.
//!
//! A claim *holds* when the 5 % equivalence test places the truth inside the tolerance; it is *refuted* when a test
//! against it is significant after Holm's correction over every test of the run; else it is *inconclusive*. Absence of
//! evidence never makes a claim hold. A measured NaN or infinity makes every claim that rests on it inconclusive.

use std::collections::HashMap;

use super::claim::{Baseline, ClaimKind, ClaimSpec, ValueSource};
use super::expression::{Expression, describe};
use super::point::Point;
use super::results::{Measurement, Outcome, Row, Sampled, Verdict};
use super::spec::{Spec, with_dimension};
use crate::statistics::{Equivalence, Fit, KolmogorovSmirnov, Reference, WeightedPoint, multiple_testing};

/// Level of the equivalence tests.
const EQUIVALENCE_LEVEL: f64 = 0.05;
const COVERAGE: f64 = 0.95;

/// One experiment with what was measured, ready to be judged with the others of its run.
#[derive(Clone, Copy)]
pub struct Measured<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// Its points.
    pub points: &'a [Point],
    /// Its measurements.
    pub measurements: &'a [Measurement],
}

/// What speaks for and against a claim, before the run's other tests are known.
struct Evidence {
    verdict: Verdict,
    /// Whether the equivalence tests place the truth inside the tolerance.
    equivalent: bool,
    /// p-values of the tests against the claim.
    against: Vec<f64>,
}

/// Judges all claims of a run together; one list of verdicts for each experiment, in order.
///
/// Every comparison of a mean with its exact value belongs to the family of tests, whether a claim speaks of it or not;
/// one that fails without a claim gives a verdict of its own.
pub fn judge(run: &[Measured<'_>]) -> Vec<Vec<Verdict>> {
    let mut family: Vec<f64> = Vec::new();
    let mut gathered = Vec::new();
    for experiment in run {
        let comparisons: Vec<(&Row, f64)> = exact_comparisons(experiment.measurements).collect();
        let first_comparison = family.len();
        family.extend(comparisons.iter().map(|(_, p_value)| p_value));
        let evidence: Vec<Evidence> =
            experiment.spec.claims.iter().flat_map(|claim| Judge { experiment, claim }.evidence()).collect();
        let first_claim = family.len();
        family.extend(evidence.iter().flat_map(|evidence| &evidence.against));
        gathered.push((comparisons, first_comparison, evidence, first_claim));
    }
    let adjusted = multiple_testing::holm(&family);
    let mut verdicts = Vec::new();
    for (experiment, (comparisons, first_comparison, evidence, first_claim)) in run.iter().zip(gathered) {
        let rate = experiment.spec.family_error;
        let mut next = first_claim;
        let mut judged: Vec<Verdict> = evidence
            .into_iter()
            .map(|evidence| {
                let against = &adjusted[next..next + evidence.against.len()];
                next += against.len();
                conclude(evidence, against, rate)
            })
            .collect();
        let failed: Vec<&Row> = comparisons
            .iter()
            .zip(&adjusted[first_comparison..])
            .filter(|(_, p_value)| **p_value <= rate)
            .map(|((row, _), _)| *row)
            .collect();
        if !failed.is_empty()
            && !judged.iter().any(|verdict| verdict.kind == "value" && verdict.verdict == Outcome::Refuted)
        {
            judged.push(disagreement(&experiment.spec.name, &failed));
        }
        verdicts.push(judged);
    }
    verdicts
}

fn conclude(evidence: Evidence, adjusted: &[f64], rate: f64) -> Verdict {
    let Evidence { mut verdict, equivalent, .. } = evidence;
    let strongest = adjusted.iter().copied().reduce(f64::min);
    verdict.p_refuted = strongest;
    verdict.verdict = match strongest {
        _ if verdict.reason.as_deref().is_some_and(|reason| reason.starts_with("invalid")) => Outcome::Inconclusive,
        Some(p_value) if p_value <= rate => Outcome::Refuted,
        _ if equivalent => Outcome::Holds,
        _ => Outcome::Inconclusive,
    };
    verdict
}

/// Two-sided p-values of all means that have an exact value.
fn exact_comparisons(measurements: &[Measurement]) -> impl Iterator<Item = (&Row, f64)> {
    measurements.iter().filter_map(|measurement| {
        let z = measurement.row.z()?;
        Some((&measurement.row, two_sided(z)))
    })
}

fn two_sided(z: f64) -> f64 {
    (2.0 * Reference::Normal.upper_tail(z.abs())).min(1.0)
}

/// The verdict of means that differ from their exact values where no claim speaks of it.
fn disagreement(experiment: &str, rows: &[&Row]) -> Verdict {
    let worst = rows.iter().filter_map(|row| Some((row.z()?, *row))).max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    let (z, row) = worst.map_or((f64::NAN, rows[0]), |worst| worst);
    let place = describe(&row.variables);
    Verdict {
        statement: "every mean that has an exact value agrees with it".into(),
        reason: Some(format!("{} means differ, most at {place} (z = {z:.1})", rows.len())),
        verdict: Outcome::Refuted,
        ..blank(experiment, &row.network, &row.observable, "value", 0.0)
    }
}

fn blank(experiment: &str, network: &str, observable: &str, kind: &str, tolerance: f64) -> Verdict {
    Verdict {
        experiment: experiment.into(),
        statement: String::new(),
        network: network.into(),
        observable: observable.into(),
        verdict: Outcome::Inconclusive,
        predicted: None,
        measured: None,
        std_error: None,
        interval: None,
        tolerance,
        p_value: None,
        p_refuted: None,
        goodness_of_fit: None,
        kind: kind.into(),
        variables: Vec::new(),
        reason: None,
    }
}

/// A row that a claim rests on, with its place.
#[derive(Clone, Copy)]
struct Place<'a> {
    point: &'a Point,
    row: &'a Row,
    sampled: Sampled,
}

struct Judge<'a> {
    experiment: &'a Measured<'a>,
    claim: &'a ClaimSpec,
}

impl<'a> Judge<'a> {
    fn evidence(&self) -> Vec<Evidence> {
        let labels = || {
            let all = self.experiment.spec.networks.iter().map(|network| network.label.as_str());
            all.filter(|label| self.claim.network.as_deref().is_none_or(|wanted| wanted == *label))
        };
        match &self.claim.kind {
            ClaimKind::Exponent { against, exponent, relative_to } => labels()
                .flat_map(|label| {
                    groups(self.places(label), against)
                        .into_iter()
                        .map(move |(variables, places)| (label, variables, places))
                })
                .map(|(label, variables, places)| {
                    self.exponent(label, variables, &places, against, exponent, relative_to.as_ref())
                })
                .collect(),
            ClaimKind::Value(source) => labels().map(|label| self.value(label, source)).collect(),
            ClaimKind::Ratio { networks, factor } => vec![self.ratio(networks, factor)],
            ClaimKind::SameLaw { networks } => vec![self.same_law(networks)],
        }
    }

    /// The claim's observable of one network, at every point where it was measured.
    fn places(&self, label: &str) -> Vec<Place<'a>> {
        let count = self.experiment.spec.observables.len();
        let rows = self.experiment.measurements.iter().enumerate();
        rows.filter(|(_, measurement)| {
            measurement.row.network == label && measurement.row.observable == self.claim.observable
        })
        .filter_map(|(index, measurement)| {
            let point = &self.experiment.points[index / count];
            Some(Place { point, row: &measurement.row, sampled: measurement.row.sampled? })
        })
        .collect()
    }

    fn start(&self, network: &str, kind: &str) -> Verdict {
        let spec = self.experiment.spec;
        let blank = blank(&spec.name, network, &self.claim.observable, kind, self.claim.tolerance);
        Verdict { statement: self.claim.statement.clone(), ..blank }
    }

    /// Evidence that decides nothing, and why.
    fn undecided(verdict: Verdict, reason: impl Into<String>) -> Evidence {
        Evidence { verdict: Verdict { reason: Some(reason.into()), ..verdict }, equivalent: false, against: Vec::new() }
    }

    fn exponent(
        &self,
        label: &str,
        variables: Vec<(String, f64)>,
        places: &[Place<'_>],
        against: &str,
        exponent: &Expression,
        relative_to: Option<&Baseline>,
    ) -> Evidence {
        let mut verdict = self.start(label, "exponent");
        if let Some(reason) = invalid(places) {
            return Self::undecided(verdict, reason);
        }
        let predicted = match exponent.evaluate(&variables) {
            Ok(predicted) => predicted,
            Err(reason) => return Self::undecided(verdict, format!("exponent {reason}")),
        };
        verdict.predicted = Some(predicted);
        if !variables.is_empty() {
            verdict.statement = format!("{} [{}]", verdict.statement, describe(&variables));
            verdict.variables = variables;
        }
        let mut points = Vec::new();
        for place in places {
            let baseline = match baseline(relative_to, place) {
                Ok(baseline) => baseline,
                Err(reason) => return Self::undecided(verdict, reason),
            };
            points.push(logarithm(
                abscissa(place, against),
                place.sampled.mean / baseline,
                relative_error(&place.sampled),
            ));
        }
        match Fit::line(&points) {
            Some(fit) => self.decide(
                verdict,
                &fit,
                predicted,
                (predicted - self.claim.tolerance, predicted + self.claim.tolerance),
                |x| x,
            ),
            None => Self::undecided(verdict, "needs positive means at two points at least"),
        }
    }

    fn ratio(&self, networks: &[String; 2], factor: &Expression) -> Evidence {
        let mut verdict = self.start(&networks.join(" / "), "ratio");
        let (first, second) = (self.places(&networks[0]), self.places(&networks[1]));
        if let Some(reason) = invalid(&first).or_else(|| invalid(&second)) {
            return Self::undecided(verdict, reason);
        }
        let (mut points, mut factors) = (Vec::new(), Vec::new());
        for (a, b) in pairs(&first, &second) {
            let factor = match factor.evaluate(&with_dimension(&a.row.variables, a.row.dimension)) {
                Ok(factor) if factor > 0.0 => factor,
                Ok(factor) => return Self::undecided(verdict, format!("factor = {factor} must be above 0")),
                Err(reason) => return Self::undecided(verdict, format!("factor {reason}")),
            };
            let error = relative_error(&a.sampled).hypot(relative_error(&b.sampled));
            points.push(logarithm(1.0, a.sampled.mean / b.sampled.mean / factor, error));
            factors.push(factor);
        }
        // One number where the factor is the same everywhere; else the ratio to the factor, predicted 1.
        let shown = if factors.windows(2).all(|pair| pair[0] == pair[1]) {
            factors.first().copied().unwrap_or(1.0)
        } else {
            1.0
        };
        verdict.predicted = Some(shown);
        match Fit::constant(&points) {
            Some(fit) => self.decide(verdict, &fit, 0.0, self.relative_band(), |log| shown * log.exp()),
            None => Self::undecided(verdict, "needs positive means in both networks"),
        }
    }

    /// The band 1 ± tolerance of a ratio, in logarithms.
    fn relative_band(&self) -> (f64, f64) {
        ((1.0 - self.claim.tolerance).max(f64::MIN_POSITIVE).ln(), self.claim.tolerance.ln_1p())
    }

    /// Completes a verdict from a fit: `show` turns the fitted scale into the one that people read.
    fn decide(
        &self,
        verdict: Verdict,
        fit: &Fit,
        target: f64,
        band: (f64, f64),
        show: impl Fn(f64) -> f64,
    ) -> Evidence {
        let reference = fit.reference();
        let test = Equivalence::test(fit.estimate, fit.std_error, band, reference);
        let reach = reference.quantile(COVERAGE) * fit.std_error;
        let slope = (show(fit.estimate + 1e-6) - show(fit.estimate - 1e-6)) / 2e-6;
        let curved = fit.is_poor().then(|| {
            let largest = (fit.chi_squared / fit.degrees as f64).sqrt();
            format!("the points scatter {largest:.1} times more than their errors; the interval is widened for it")
        });
        let verdict = Verdict {
            predicted: verdict.predicted.or(Some(show(target))),
            measured: Some(show(fit.estimate)),
            std_error: Some(fit.std_error * slope.abs()),
            interval: Some([show(fit.estimate - reach), show(fit.estimate + reach)]),
            p_value: Some(test.inside),
            goodness_of_fit: Some(fit.goodness_of_fit),
            reason: curved,
            ..verdict
        };
        Evidence { verdict, equivalent: test.inside <= EQUIVALENCE_LEVEL, against: vec![test.outside] }
    }

    /// mean = value at every point: every point must be inside the tolerance; any point may refute.
    fn value(&self, label: &str, source: &ValueSource) -> Evidence {
        let verdict = self.start(label, "value");
        let places = self.places(label);
        if let Some(reason) = invalid(&places) {
            return Self::undecided(verdict, reason);
        }
        let (mut points, mut inside, mut against) = (Vec::new(), 0.0f64, Vec::new());
        for place in &places {
            let value = match source {
                ValueSource::Formula(formula) => {
                    match formula.evaluate(&with_dimension(&place.row.variables, place.row.dimension)) {
                        Ok(value) => value,
                        Err(reason) => return Self::undecided(verdict, format!("value {reason}")),
                    }
                }
                ValueSource::Theory => match place.row.theory {
                    Some((theory, _)) => theory,
                    None => {
                        return Self::undecided(
                            verdict,
                            "theory has no exact value for this observable of this network",
                        );
                    }
                },
            };
            let (ratio, error) = (place.sampled.mean / value, (place.sampled.std_error / value).abs());
            let error = error.max(ROUNDING);
            let band = (1.0 - self.claim.tolerance, 1.0 + self.claim.tolerance);
            let test = Equivalence::test(ratio, error, band, Reference::Normal);
            inside = inside.max(test.inside);
            // An exact law is refuted by any difference that is not chance; a stated value by one beyond its tolerance.
            against.push(match source {
                ValueSource::Theory => place.row.z().map_or(1.0, two_sided),
                ValueSource::Formula(_) => test.outside,
            });
            points.push(WeightedPoint { x: 1.0, y: ratio, std_error: error });
        }
        let Some(fit) = Fit::constant(&points) else {
            return Self::undecided(verdict, "needs a value other than zero at every point");
        };
        let reach = fit.reference().quantile(COVERAGE) * fit.std_error;
        let verdict = Verdict {
            predicted: Some(1.0),
            measured: Some(fit.estimate),
            std_error: Some(fit.std_error),
            interval: Some([fit.estimate - reach, fit.estimate + reach]),
            p_value: Some(inside),
            goodness_of_fit: Some(fit.goodness_of_fit),
            ..verdict
        };
        Evidence { verdict, equivalent: inside <= EQUIVALENCE_LEVEL, against }
    }

    /// One law in both networks: the distance of the distribution functions is bounded at every point.
    fn same_law(&self, networks: &[String; 2]) -> Evidence {
        let mut verdict = self.start(&networks.join(" ~ "), "same-law");
        let (first, second) = (self.sketches(&networks[0]), self.sketches(&networks[1]));
        let level = EQUIVALENCE_LEVEL / first.len().max(1) as f64;
        let (mut distance, mut bound, mut against) = (0.0f64, 0.0f64, Vec::new());
        for (a, b) in first.iter().zip(&second) {
            let (Some(a), Some(b)) = (&a.quantiles, &b.quantiles) else { continue };
            let test = KolmogorovSmirnov::of_sketches(a, b);
            distance = distance.max(test.distance);
            bound = bound.max(test.distance_bound(a.count(), b.count(), level));
            against.push(test.p_value);
        }
        let places = [self.places(&networks[0]), self.places(&networks[1])].concat();
        if let Some(reason) = invalid(&places) {
            return Self::undecided(verdict, reason);
        }
        verdict.predicted = Some(0.0);
        verdict.measured = Some(distance);
        verdict.interval = Some([0.0, bound]);
        verdict.p_value = against.iter().copied().reduce(f64::min);
        verdict.reason =
            Some("distance of distribution functions with its upper 95 % bound; p-value of one law".into());
        let equivalent = !against.is_empty() && bound <= self.claim.tolerance;
        Evidence { verdict, equivalent, against }
    }

    fn sketches(&self, label: &str) -> Vec<&'a Measurement> {
        let rows = self.experiment.measurements.iter();
        rows.filter(|measurement| {
            measurement.row.network == label && measurement.row.observable == self.claim.observable
        })
        .collect()
    }
}

/// Relative errors are not taken below the rounding of single precision in a sum.
const ROUNDING: f64 = 1e-12;

fn relative_error(sampled: &Sampled) -> f64 {
    (sampled.std_error / sampled.mean).abs().max(ROUNDING)
}

/// A point on logarithmic axes: the standard error of ln y is that of y over y.
fn logarithm(x: f64, y: f64, relative_error: f64) -> WeightedPoint {
    WeightedPoint { x: x.ln(), y: y.ln(), std_error: relative_error }
}

/// What is on the abscissa of an exponent.
fn abscissa(place: &Place<'_>, against: &str) -> f64 {
    let variable = place.row.variables.iter().find(|(name, _)| name == against);
    variable.map_or(place.row.dimension as f64, |&(_, value)| value)
}

fn baseline(relative_to: Option<&Baseline>, place: &Place<'_>) -> Result<f64, String> {
    match relative_to {
        None => Ok(1.0),
        Some(Baseline::Formula(formula)) => {
            let value = formula.evaluate(&with_dimension(&place.row.variables, place.row.dimension));
            value.map_err(|reason| format!("relative_to {reason}"))
        }
        Some(Baseline::Theory(observable)) => {
            let theory = place.point.expected(observable);
            theory.map(|value| value.mean).ok_or_else(|| "relative_to has no exact mean for this network".into())
        }
    }
}

/// Why the rows cannot be judged: something was not finite.
fn invalid(places: &[Place<'_>]) -> Option<String> {
    let bad = places.iter().find(|place| place.sampled.non_finite > 0)?;
    let Sampled { non_finite, draws, .. } = bad.sampled;
    let place = describe(&bad.row.variables);
    Some(format!("invalid: {non_finite} of {draws} draws at {place} are NaN or infinite"))
}

/// Rows of two networks at the same values of the sweep variables.
fn pairs<'p>(first: &'p [Place<'_>], second: &'p [Place<'_>]) -> impl Iterator<Item = (&'p Place<'p>, &'p Place<'p>)> {
    first.iter().filter_map(|a| Some((a, second.iter().find(|b| b.row.variables == a.row.variables)?)))
}

/// Splits rows by the sweep variables that do not move the abscissa.
fn groups<'p>(places: Vec<Place<'p>>, against: &str) -> Vec<(Vec<(String, f64)>, Vec<Place<'p>>)> {
    let moves = |index: usize, name: &str| {
        if against != "dimension" {
            return name == against;
        }
        // A variable moves the dimension if two points that differ in nothing else have different dimensions.
        let mut dimensions: HashMap<String, usize> = HashMap::new();
        places.iter().any(|place| {
            let mut others = place.row.variables.clone();
            others.remove(index);
            let dimension = place.row.dimension;
            *dimensions.entry(describe(&others)).or_insert(dimension) != dimension
        })
    };
    let variables = places.first().map(|place| place.row.variables.clone()).unwrap_or_default();
    let fixed: Vec<usize> = (0..variables.len()).filter(|&index| !moves(index, &variables[index].0)).collect();
    let mut groups: Vec<(Vec<(String, f64)>, Vec<Place<'p>>)> = Vec::new();
    for place in &places {
        let key: Vec<(String, f64)> = fixed.iter().map(|&index| place.row.variables[index].clone()).collect();
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(*place),
            None => groups.push((key, vec![*place])),
        }
    }
    groups
}
