//! What the measurements say for and against one claim: fits and tests for each kind of claim.

use super::places::{Group, Place, baseline, groups, pairs, unsound};
use super::{COVERAGE, EQUIVALENCE_LEVEL, Evidence, Measured, blank, exact_p_value};
use crate::experiment::claim::{Baseline, ClaimKind, ClaimSpec, ValueSource};
use crate::experiment::expression::{Expression, describe};
use crate::experiment::format::rounded;
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

    /// What was measured of the claim's observable in one network, at every point.
    fn places(&self, label: &str) -> Vec<Place<'a>> {
        let Measured { spec, points, measurements } = *self.experiment;
        // Measurements stand point by point, one for each observable.
        let rows = measurements.chunks(spec.observables.len()).zip(points);
        let all = rows.flat_map(|(rows, point)| rows.iter().map(move |measurement| (point, measurement)));
        let concerned = all.filter(|(point, measurement)| {
            point.network == label && measurement.row.observable == self.claim.observable
        });
        let place = |(point, measurement): (&'a Point, &'a Measurement)| {
            Some(Place { point, measurement, sampled: measurement.row.sampled? })
        };
        concerned.filter_map(place).collect()
    }

    fn start(&self, network: &str, kind: &str) -> Verdict {
        let spec = self.experiment.spec;
        let blank = blank(&spec.name, network, &self.claim.observable, kind, self.claim.tolerance);
        Verdict { statement: self.claim.statement.clone(), claim: Some(self.index), ..blank }
    }

    /// Evidence that decides nothing, and why.
    fn undecided(verdict: Verdict, reason: impl Into<String>) -> Evidence {
        let verdict = Verdict { reason: Some(reason.into()), ..verdict };
        Evidence { verdict, equivalent: false, against: Vec::new(), draws_to_decide: None }
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
            WeightedPoint { y: ordinate.ln(), ..logarithm(place.point.abscissa(against), &place.sampled) }
        };
        let points: Vec<WeightedPoint> = places.iter().map(point).collect();
        let band = (predicted - self.claim.tolerance, predicted + self.claim.tolerance);
        let Some(fit) = Fit::line(&points) else {
            let positive = places.iter().all(|place| place.sampled.mean > 0.0);
            let reason = if positive { "needs two different values on the abscissa" } else { "needs positive means" };
            return Self::undecided(verdict, reason);
        };
        verdict.goodness_of_fit = Some(fit.goodness_of_fit);
        if !fit.is_poor() {
            return decide(verdict, vec![Estimate::of_fit(&fit, String::new())], band, &places, |x| x);
        }
        // No power law, so the exponent must be inside the tolerance everywhere along the curve.
        let pieces = regression::pieces(&points);
        let estimates = pieces.map(|([from, to], piece)| {
            let number = |point: WeightedPoint| rounded(point.x.exp(), 4);
            Estimate::of_fit(
                &piece,
                format!(
                    "no power law: the local slope that fits worst, from {against} = {} to {}",
                    number(from),
                    number(to)
                ),
            )
        });
        decide(verdict, estimates.collect(), band, &places, |x| x)
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
            let quotient = quotient(logarithm(1.0, &a.sampled), logarithm(1.0, &b.sampled));
            points.push(WeightedPoint { y: quotient.y - factor.ln(), ..quotient });
            factors.push(factor);
        }
        // One number where the factor is the same everywhere; else the ratio to the factor, predicted 1.
        let same = factors.windows(2).all(|pair| pair[0] == pair[1]);
        let shown = if same { factors.first().copied().unwrap_or(1.0) } else { 1.0 };
        verdict.predicted = Some(shown);
        let Some(fit) = Fit::constant(&points) else {
            return Self::undecided(verdict, "needs positive means in both networks");
        };
        verdict.goodness_of_fit = Some(fit.goodness_of_fit);
        let estimates = if fit.is_poor() {
            // No one ratio: it must be inside the tolerance at every point, and any point outside refutes.
            let single = |(point, place): (&WeightedPoint, &Place<'_>)| {
                let words =
                    format!("no one ratio: that of the point that fits worst, {}", place.point.variables_in_words());
                Some(Estimate::of_fit(&Fit::constant(&[*point])?, words))
            };
            points.iter().zip(&first).filter_map(single).collect()
        } else {
            vec![Estimate::of_fit(&fit, String::new())]
        };
        decide(verdict, estimates, self.relative_band(), &[first, second].concat(), |log| shown * log.exp())
    }

    /// The band 1 ± tolerance of a ratio, in logarithms.
    fn relative_band(&self) -> (f64, f64) {
        ((1.0 - self.claim.tolerance).max(f64::MIN_POSITIVE).ln(), self.claim.tolerance.ln_1p())
    }

    /// mean = value at every point: every point must be inside the tolerance; any point may refute.
    fn value(&self, label: &str, source: &ValueSource) -> Evidence {
        let mut verdict = self.start(label, "value");
        let places = self.places(label);
        if let Some(reason) = unsound(&places) {
            return Self::undecided(verdict, reason);
        }
        let band = (1.0 - self.claim.tolerance, 1.0 + self.claim.tolerance);
        let estimates = places.iter().map(|place| {
            let value = match source {
                ValueSource::Formula(formula) => Self::value_of(formula, place),
                ValueSource::Theory => place.row().theory.as_ref().map_or(f64::NAN, |(theory, _)| *theory),
            };
            // An exact law is refuted by any difference that is not chance; path theory, which holds under hypotheses, and a
            // stated value by one beyond the tolerance.
            let exact = matches!(source, ValueSource::Theory) && place.row().has_exact_theory();
            let against = if exact { Some(exact_p_value(place.measurement).unwrap_or(1.0)) } else { None };
            let reference = place.measurement.reference.clone().unwrap_or(Reference::Normal);
            Estimate {
                value: place.sampled.mean / value,
                std_error: (place.sampled.std_error / value).abs(),
                // A division by what is negative turns the law over.
                reference: if value < 0.0 { reference.mirrored() } else { reference },
                against,
                words: if places.len() > 1 {
                    format!("the worst of {} points, {}", places.len(), place.point.variables_in_words())
                } else {
                    String::new()
                },
            }
        });
        let estimates: Vec<Estimate> = estimates.collect();
        if estimates.is_empty() || estimates.iter().any(|estimate| !estimate.value.is_finite()) {
            return Self::undecided(verdict, "needs a value other than zero at every point");
        }
        verdict.predicted = Some(1.0);
        decide(verdict, estimates, band, &places, |x| x)
    }

    /// One law in both networks: the distance of the distribution functions is bounded at every point.
    fn same_law(&self, networks: &[String; 2]) -> Evidence {
        let mut verdict = self.start(&networks.join(" ~ "), "same-law");
        let places = [0, 1].map(|index| self.places(&networks[index]));
        let [first, second] =
            places.each_ref().map(|places| places.iter().map(|place| &place.measurement.quantiles).collect::<Vec<_>>());
        let level = EQUIVALENCE_LEVEL / first.len().max(1) as f64;
        let (mut distance, mut bound, mut against) = (0.0f64, 0.0f64, Vec::new());
        for (a, b) in first.iter().zip(&second) {
            let (Some(a), Some(b)) = (a, b) else { continue };
            let test = KolmogorovSmirnov::of_sketches(a, b);
            distance = distance.max(test.distance);
            bound = bound.max(test.distance_bound(a.count(), b.count(), level));
            against.push(test.p_value);
        }
        let mut bad = places.concat();
        bad.retain(|place| place.sampled.non_finite > 0 || place.sampled.draws == 0);
        if let Some(reason) = unsound(&bad) {
            return Self::undecided(verdict, reason);
        }
        verdict.predicted = Some(0.0);
        verdict.measured = Some(distance);
        verdict.interval = Some([0.0, bound]);
        let equivalent = !against.is_empty() && bound <= self.claim.tolerance;
        Evidence { verdict, equivalent, against, draws_to_decide: None }
    }
}

/// One number that a claim speaks of, with its error.
struct Estimate {
    value: f64,
    std_error: f64,
    reference: Reference,
    /// p-value of a test against the claim, where it is not that of a value beyond the tolerance.
    against: Option<f64>,
    /// What it is, where it is one of several.
    words: String,
}

impl Estimate {
    fn of_fit(fit: &Fit, words: String) -> Self {
        Self { value: fit.estimate, std_error: fit.std_error, reference: fit.reference(), against: None, words }
    }
}

/// Tests every estimate against the band and completes the verdict with the one that decides: the claim holds when all are
/// inside, and any one may refute it. `show` turns the tested scale into the one that people read.
fn decide(
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
            (estimate, test)
        })
        .collect();
    let most = |key: fn(&Equivalence) -> f64| tested.iter().max_by(|a, b| key(&a.1).total_cmp(&key(&b.1)));
    let (least_inside, farthest_outside) = (most(|test| test.inside), most(|test| -test.outside));
    let worst = farthest_outside.filter(|(_, test)| test.outside < NOTEWORTHY).or(least_inside);
    let Some((estimate, test)) = worst else { return Judge::undecided(verdict, "has no points") };
    let Estimate { value, std_error, reference, .. } = *estimate;
    let slope = (show(value + 1e-6) - show(value - 1e-6)) / 2e-6;
    let draws = places.iter().map(|place| place.sampled.draws).max().unwrap_or(0);
    let verdict = Verdict {
        measured: Some(show(value)),
        std_error: Some(std_error * slope.abs()),
        interval: Some(reference.interval(value, std_error, COVERAGE).map(show)),
        p_value: Some(test.inside),
        reason: Some(estimate.words.clone()).filter(|words| !words.is_empty()),
        ..verdict
    };
    Evidence {
        verdict,
        equivalent: tested.iter().all(|(_, test)| test.inside <= EQUIVALENCE_LEVEL),
        against: tested.iter().map(|(_, test)| test.outside).collect(),
        draws_to_decide: Some(draws as f64 * growth_to_decide(value, std_error, band)),
    }
}

/// How many times as many draws would probably decide a claim, if the truth is where the estimate is: the distance to the nearest
/// edge of the band is then that of a one-sided 5 % test of 80 % power, or outside of the band of a test at 10⁻⁵.
fn growth_to_decide(value: f64, std_error: f64, (lower, upper): (f64, f64)) -> f64 {
    let distance = (value - lower).min(upper - value);
    let errors = if distance > 0.0 { 1.645 + 0.842 } else { 4.265 + 0.842 };
    (errors * std_error / distance).powi(2)
}

/// A point at which the p-value against the claim is below this is the one to show.
const NOTEWORTHY: f64 = 1e-3;

/// A point on logarithmic axes: the standard error of ln y is that of y over y.
fn logarithm(x: f64, sampled: &Sampled) -> WeightedPoint {
    let Sampled { mean, std_error, draws, .. } = *sampled;
    let degrees = draws.saturating_sub(1) as f64;
    WeightedPoint { x: x.ln(), y: mean.ln(), std_error: (std_error / mean).abs(), degrees }
}

/// The difference of two logarithms, with the degrees of freedom of its error by Welch and Satterthwaite.
fn quotient(first: WeightedPoint, second: WeightedPoint) -> WeightedPoint {
    let std_error = first.std_error.hypot(second.std_error);
    let share = |point: WeightedPoint| (point.std_error / std_error).powi(4) / point.degrees;
    WeightedPoint { y: first.y - second.y, std_error, degrees: (share(first) + share(second)).recip(), ..first }
}
