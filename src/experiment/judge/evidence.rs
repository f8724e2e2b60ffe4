//! What the measurements say for and against one claim: fits and tests for each kind of claim.

use super::places::{Group, Place, baseline, groups, pairs, unsound};
use super::{COVERAGE, EQUIVALENCE_LEVEL, Evidence, Measured, blank, exact_p_value, reference_of};
use crate::experiment::claim::{Baseline, ClaimKind, ClaimSpec, ValueSource};
use crate::experiment::expression::{Expression, describe};
use crate::experiment::point::Point;
use crate::experiment::results::{Measurement, Sampled, Verdict};
use crate::statistics::{Equivalence, Fit, KolmogorovSmirnov, Reference, WeightedPoint, regression};

/// One claim of one experiment, before its judge.
pub(super) struct Judge<'a> {
    pub experiment: &'a Measured<'a>,
    pub claim: &'a ClaimSpec,
    /// The claim's place in the spec.
    pub index: usize,
}

impl<'a> Judge<'a> {
    /// Evidence for each network, and each group of points, that the claim speaks of.
    pub fn evidence(&self) -> Vec<Evidence> {
        let labels = || {
            let all = self.experiment.spec.networks.iter().map(|network| network.label.as_str());
            all.filter(|label| self.claim.concerns(label))
        };
        match &self.claim.kind {
            ClaimKind::Exponent { against, exponent, relative_to } => labels()
                .flat_map(|label| {
                    let groups = groups(self.places(label), against, |place| place.point);
                    groups.into_iter().map(move |group| (label, group))
                })
                .map(|(label, group)| self.exponent(label, group, against, exponent, relative_to.as_ref()))
                .collect(),
            ClaimKind::Value(source) => labels().map(|label| self.value(label, source)).collect(),
            ClaimKind::Ratio { networks, factor } => vec![self.ratio(networks, factor)],
            ClaimKind::SameLaw { networks } => vec![self.same_law(networks)],
        }
    }

    /// What was measured of the claim's observable in one network, with the points.
    fn measurements(&self, label: &str) -> impl Iterator<Item = (&'a Point, &'a Measurement)> {
        let Measured { spec, points, measurements } = *self.experiment;
        // Measurements stand point by point, one for each observable.
        let rows = measurements.chunks(spec.observables.len()).zip(points);
        let pairs = rows.flat_map(|(rows, point)| rows.iter().map(move |row| (point, row)));
        pairs.filter(move |(point, measurement)| {
            point.network == label && measurement.row.observable == self.claim.observable
        })
    }

    /// The same as rows with their places.
    fn places(&self, label: &str) -> Vec<Place<'a>> {
        let place = |(point, measurement): (&'a Point, &'a Measurement)| {
            Some(Place { point, row: &measurement.row, sampled: measurement.row.sampled? })
        };
        self.measurements(label).filter_map(place).collect()
    }

    fn start(&self, network: &str, kind: &str) -> Verdict {
        let spec = self.experiment.spec;
        let blank = blank(&spec.name, network, &self.claim.observable, kind, self.claim.tolerance);
        Verdict { statement: self.claim.statement.clone(), claim: Some(self.index), ..blank }
    }

    /// Evidence that decides nothing, and why.
    fn undecided(verdict: Verdict, reason: impl Into<String>) -> Evidence {
        Evidence { verdict: Verdict { reason: Some(reason.into()), ..verdict }, equivalent: false, against: Vec::new() }
    }

    /// The value of a formula that was checked before the run; NaN, which decides nothing, if it has none after all.
    fn value_of(formula: &Expression, place: &Place<'_>) -> f64 {
        formula.evaluate(&place.point.variables_with_dimension()).unwrap_or(f64::NAN)
    }

    fn exponent(
        &self,
        label: &str,
        Group { variables, members: places }: Group<Place<'_>>,
        against: &str,
        exponent: &Expression,
        relative_to: Option<&Baseline>,
    ) -> Evidence {
        let mut verdict = self.start(label, "exponent");
        let predicted = exponent.evaluate(&variables).unwrap_or(f64::NAN);
        verdict.predicted = Some(predicted);
        if !variables.is_empty() {
            verdict.statement = format!("{} [{}]", verdict.statement, describe(&variables));
            verdict.variables = variables;
        }
        if let Some(reason) = unsound(&places) {
            return Self::undecided(verdict, reason);
        }
        let point = |place: &Place<'_>| {
            let ordinate = place.sampled.mean / baseline(relative_to, place.point).unwrap_or(f64::NAN);
            logarithm(place.point.abscissa(against), ordinate, relative_error(&place.sampled))
        };
        let points: Vec<WeightedPoint> = places.iter().map(point).collect();
        let band = (predicted - self.claim.tolerance, predicted + self.claim.tolerance);
        let Some(fit) = Fit::line(&points) else {
            let positive = places.iter().all(|place| place.sampled.mean > 0.0);
            let reason = if positive { "needs two different values on the abscissa" } else { "needs positive means" };
            return Self::undecided(verdict, reason);
        };
        let mut evidence = self.decide(verdict, &fit, predicted, band, |x| x);
        if fit.is_poor() {
            // No power law, so the exponent must be inside the tolerance everywhere along the curve.
            let inside =
                |piece: Fit| Equivalence::test(piece.estimate, piece.std_error, band, piece.reference()).inside;
            evidence.equivalent = regression::pieces(&points).all(|piece| inside(piece) <= EQUIVALENCE_LEVEL);
        }
        evidence
    }

    fn ratio(&self, networks: &[String; 2], factor: &Expression) -> Evidence {
        let mut verdict = self.start(&networks.join(" / "), "ratio");
        let (first, second) = (self.places(&networks[0]), self.places(&networks[1]));
        if let Some(reason) = unsound(&first).or_else(|| unsound(&second)) {
            return Self::undecided(verdict, reason);
        }
        let (mut points, mut factors) = (Vec::new(), Vec::new());
        for (a, b) in pairs(&first, &second) {
            let factor = Self::value_of(factor, a);
            let error = relative_error(&a.sampled).hypot(relative_error(&b.sampled));
            points.push(logarithm(1.0, a.sampled.mean / b.sampled.mean / factor, error));
            factors.push(factor);
        }
        // One number where the factor is the same everywhere; else the ratio to the factor, predicted 1.
        let same = factors.windows(2).all(|pair| pair[0] == pair[1]);
        let shown = if same { factors.first().copied().unwrap_or(1.0) } else { 1.0 };
        verdict.predicted = Some(shown);
        let Some(fit) = Fit::constant(&points) else {
            return Self::undecided(verdict, "needs positive means in both networks");
        };
        let mut evidence = self.decide(verdict, &fit, 0.0, self.relative_band(), |log| shown * log.exp());
        if fit.is_poor() {
            // No one ratio: it must be inside the tolerance at every point, and any point outside refutes.
            let band = self.relative_band();
            let test = |point: &WeightedPoint| Equivalence::test(point.y, point.std_error, band, Reference::Normal);
            let tests: Vec<Equivalence> = points.iter().map(test).collect();
            evidence.equivalent = tests.iter().all(|test| test.inside <= EQUIVALENCE_LEVEL);
            evidence.against = tests.iter().map(|test| test.outside).collect();
        }
        evidence
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
        if let Some(reason) = unsound(&places) {
            return Self::undecided(verdict, reason);
        }
        let band = (1.0 - self.claim.tolerance, 1.0 + self.claim.tolerance);
        let (mut points, mut inside, mut against, mut worst) =
            (Vec::new(), 0.0f64, Vec::new(), (1.0f64, String::new()));
        for place in &places {
            let value = match source {
                ValueSource::Formula(formula) => Self::value_of(formula, place),
                ValueSource::Theory => place.row.theory.as_ref().map_or(f64::NAN, |(theory, _)| *theory),
            };
            let (ratio, error) = (place.sampled.mean / value, (place.sampled.std_error / value).abs().max(ROUNDING));
            let test = Equivalence::test(ratio, error, band, reference_of(place.sampled.draws));
            inside = inside.max(test.inside);
            // An exact law is refuted by any difference that is not chance; path theory, which holds under hypotheses, and a
            // stated value by one beyond the tolerance.
            let p_value = match source {
                ValueSource::Theory if place.row.has_exact_theory() => exact_p_value(place.row).unwrap_or(1.0),
                _ => test.outside,
            };
            if p_value < worst.0 {
                worst = (p_value, format!("most at {}: ratio {ratio:.4} ± {error:.1e}", place.point.describe()));
            }
            against.push(p_value);
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
            reason: (inside > EQUIVALENCE_LEVEL || worst.0 < NOTEWORTHY).then_some(worst.1),
            ..verdict
        };
        Evidence { verdict, equivalent: inside <= EQUIVALENCE_LEVEL, against }
    }

    /// One law in both networks: the distance of the distribution functions is bounded at every point.
    fn same_law(&self, networks: &[String; 2]) -> Evidence {
        let mut verdict = self.start(&networks.join(" ~ "), "same-law");
        let sketches =
            |label| self.measurements(label).map(|(_, measurement)| &measurement.quantiles).collect::<Vec<_>>();
        let (first, second) = (sketches(&networks[0]), sketches(&networks[1]));
        let level = EQUIVALENCE_LEVEL / first.len().max(1) as f64;
        let (mut distance, mut bound, mut against) = (0.0f64, 0.0f64, Vec::new());
        for (a, b) in first.iter().zip(&second) {
            let (Some(a), Some(b)) = (a, b) else { continue };
            let test = KolmogorovSmirnov::of_sketches(a, b);
            distance = distance.max(test.distance);
            bound = bound.max(test.distance_bound(a.count(), b.count(), level));
            against.push(test.p_value);
        }
        let mut places = [self.places(&networks[0]), self.places(&networks[1])].concat();
        places.retain(|place| place.sampled.non_finite > 0 || place.sampled.draws == 0);
        if let Some(reason) = unsound(&places) {
            return Self::undecided(verdict, reason);
        }
        verdict.predicted = Some(0.0);
        verdict.measured = Some(distance);
        verdict.interval = Some([0.0, bound]);
        let equivalent = !against.is_empty() && bound <= self.claim.tolerance;
        Evidence { verdict, equivalent, against }
    }
}

/// A point whose p-value is below this is named in the verdict.
const NOTEWORTHY: f64 = 1e-3;

/// Relative errors are not taken below this: draws that are all equal have none, and a fit needs one.
const ROUNDING: f64 = 1e-12;

fn relative_error(sampled: &Sampled) -> f64 {
    (sampled.std_error / sampled.mean).abs().max(ROUNDING)
}

/// A point on logarithmic axes: the standard error of ln y is that of y over y.
fn logarithm(x: f64, y: f64, relative_error: f64) -> WeightedPoint {
    WeightedPoint { x: x.ln(), y: y.ln(), std_error: relative_error }
}
