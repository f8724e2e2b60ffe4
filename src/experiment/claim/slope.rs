//! Slopes on logarithmic axes: what speaks for and against a power law, of one network or of the ratio of two.

use super::evidence::{Case, Estimate, Evidence};
use super::place::{Place, unsound};
use super::repetitions::{Statistic, over_repetitions};
use crate::experiment::format::rounded;
use crate::experiment::results::{Replicate, Verdict};
use crate::experiment::specification::expression::describe;
use crate::statistics::{Fit, WeightedPoint, regression};

/// Points of one line, and the band in which its slope should lie; none where the slope is only asked for.
pub(super) struct Slopes<'a> {
    pub case: &'a Case<'a>,
    /// The places of the points; two a point where it is a ratio.
    pub places: &'a [Place<'a>],
    pub against: &'a str,
    pub band: Option<(f64, f64)>,
}

impl Slopes<'_> {
    /// Of draws: the weighted fit through `points`, or every local slope where they lie on no line. Of trained networks: the slope of
    /// each repetition, from the logarithms of its points and their variances by the choice of test samples.
    pub fn judged(
        &self,
        mut verdict: Verdict,
        points: &[WeightedPoint],
        of_one: impl Fn(&[&Replicate]) -> Vec<[f64; 2]>,
    ) -> Evidence {
        let Self { case, places, .. } = *self;
        if let Some(reason) = unsound(places) {
            return self.ended(Evidence::undecided(verdict, reason));
        }
        let band = self.band.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        if case.repeats() {
            let xs: Vec<f64> = points.iter().map(|point| point.x).collect();
            return self.ended(match over_repetitions(places, |replicates| slope(&xs, &of_one(replicates))) {
                Ok(estimate) => case.decide(verdict, vec![estimate], band, places, |x| x),
                Err(none) => Evidence::without_error(verdict, none, |x| x),
            });
        }
        let Some(fit) = Fit::line(points) else {
            let positive = points.iter().all(|point| point.y.is_finite());
            let reason = if positive { "needs two different values on the abscissa" } else { "needs positive means" };
            return self.ended(Evidence::undecided(verdict, reason));
        };
        verdict.goodness_of_fit = Some(fit.goodness_of_fit);
        if !fit.is_poor() {
            return self.ended(case.decide(verdict, vec![Estimate::of_fit(&fit, String::new())], band, places, |x| x));
        }
        let pieces = regression::pieces(points);
        if self.band.is_none() {
            let slopes: Vec<f64> = pieces.map(|(_, piece)| piece.estimate).collect();
            let least = slopes.iter().copied().fold(f64::INFINITY, f64::min);
            let most = slopes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let words = format!("no power law: local slopes from {} to {}", rounded(least, 3), rounded(most, 3));
            return self.ended(case.decide(verdict, vec![Estimate::of_fit(&fit, words)], band, places, |x| x));
        }
        // No power law, so the exponent must be inside the tolerance everywhere along the curve.
        let estimates = pieces.map(|([from, to], piece)| {
            let number = |point: WeightedPoint| rounded(point.x.exp(), 4);
            Estimate::of_fit(
                &piece,
                format!(
                    "no power law: the local slope that fits worst, from {} = {} to {}",
                    self.against,
                    number(from),
                    number(to)
                ),
            )
        });
        case.decide(verdict, estimates.collect(), band, places, |x| x)
    }

    fn ended(&self, evidence: Evidence) -> Evidence {
        if self.band.is_none() { evidence.into_estimate() } else { evidence }
    }
}

/// The slope of one repetition's values, all points of one weight.
fn slope(xs: &[f64], logarithms: &[[f64; 2]]) -> Statistic {
    let centre = xs.iter().sum::<f64>() / xs.len() as f64;
    let spread: f64 = xs.iter().map(|x| (x - centre).powi(2)).sum();
    let (mut value, mut sampling) = (0.0, 0.0);
    for (x, [logarithm, variance]) in xs.iter().zip(logarithms) {
        let lever = (x - centre) / spread;
        value += lever * logarithm;
        sampling += lever * lever * variance;
    }
    Statistic { value, sampling, resolution: 0.0 }
}

/// The verdict of one group: with the values of the sweep variables that its points share.
pub(super) fn of_variables(verdict: Verdict, variables: Vec<(String, f64)>) -> Verdict {
    if variables.is_empty() {
        return verdict;
    }
    let statement = format!("{} [{}]", verdict.statement, describe(&variables));
    Verdict { statement, variables, ..verdict }
}

/// A point on logarithmic axes: the standard error of ln y is that of y over y.
pub(super) fn logarithm(x: f64, place: &Place<'_>) -> WeightedPoint {
    let (mean, std_error) = (place.sampled.mean, place.sampled.std_error);
    WeightedPoint { x: x.ln(), y: mean.ln(), std_error: (std_error / mean).abs(), degrees: place.degrees() }
}

/// The difference of two logarithms, with the degrees of freedom of its error by Welch and Satterthwaite.
pub(super) fn quotient(first: WeightedPoint, second: WeightedPoint) -> WeightedPoint {
    let std_error = first.std_error.hypot(second.std_error);
    let share = |point: WeightedPoint| (point.std_error / std_error).powi(4) / point.degrees;
    WeightedPoint { y: first.y - second.y, std_error, degrees: (share(first) + share(second)).recip(), ..first }
}
