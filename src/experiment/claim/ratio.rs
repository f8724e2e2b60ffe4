//! `ratio`: mean of the first network = factor × mean of the second, at every point.

use std::sync::Arc;

use super::evidence::{Case, Estimate, Evidence, common, value_of};
use super::law::{Checked, Entry, Law, ratio_remark, relative};
use super::place::{Place, pairs, unsound};
use super::reader::ClaimReader;
use super::repetitions::{Statistic, over_repetitions};
use super::slope::{logarithm, quotient};
use super::target::Target;
use crate::experiment::format::interval;
use crate::experiment::place::with_dimension;
use crate::experiment::results::{Replicate, Row};
use crate::experiment::specification::expression::Expression;
use crate::experiment::specification::reader::SpecError;
use crate::statistics::{Fit, WeightedPoint};

/// A claim on the ratio of two networks.
#[derive(Debug, Clone)]
pub struct Ratio {
    /// The observable.
    pub observable: String,
    /// The two labels.
    pub networks: [String; 2],
    /// The factor, 1 where it is not said.
    pub factor: Target,
}

pub(super) const ENTRY: Entry = Entry {
    key: "ratio",
    name: "ratio",
    summary: "the mean of the first of two networks is `factor` times that of the second, at every point",
    keys: &["observable", "factor", "tolerance"],
    read,
    predicted: relative,
    remark: ratio_remark,
    interval,
};

fn read(claim: &ClaimReader<'_>) -> Result<Arc<dyn Law>, SpecError> {
    Ok(Arc::new(Ratio {
        observable: claim.observable()?,
        networks: claim.networks()?,
        factor: if claim.reader.has("factor") { claim.target("factor")? } else { Expression::number(1.0).into() },
    }))
}

impl Law for Ratio {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn check_in(&self, checked: &Checked<'_>) -> Result<(), SpecError> {
        checked.of(&self.networks[0]).into_iter().try_for_each(|cell| {
            let value = checked.evaluate("factor", &self.factor.formula, &cell.variables_with_dimension())?;
            let refuse = || checked.refuse("factor", self.factor.formula.text(), "must be above 0");
            if value > 0.0 { Ok(()) } else { Err(refuse()) }
        })
    }

    fn evidence(&self, case: &Case<'_>) -> Vec<Evidence> {
        vec![self.judged(case)]
    }

    fn observables(&self) -> Vec<&str> {
        vec![&self.observable]
    }

    fn is_bound(&self) -> bool {
        self.factor.is_bound()
    }

    fn pair(&self) -> Option<&[String; 2]> {
        Some(&self.networks)
    }

    fn is_relative(&self) -> bool {
        true
    }

    fn factor(&self, row: &Row) -> Option<f64> {
        self.factor.formula.evaluate(&with_dimension(&row.variables, row.dimension)).ok()
    }

    fn claimed(&self, row: &Row, rows: &[Row]) -> Option<f64> {
        let factor = self.factor(row)?;
        let [first, second] = &self.networks;
        let (other, ratio) = if row.network == *first { (second, factor) } else { (first, 1.0 / factor) };
        let there = |theirs: &&Row| {
            theirs.network == *other && theirs.observable == row.observable && theirs.variables == row.variables
        };
        Some(ratio * rows.iter().find(there)?.sampled?.mean)
    }
}

impl Ratio {
    fn judged(&self, case: &Case<'_>) -> Evidence {
        let mut verdict = case.start(&self.networks.join(" / "), &self.observable, ENTRY.name);
        let [first, second] = self.networks.each_ref().map(|label| case.places(label, &self.observable));
        if let Some(reason) = unsound(&first).or_else(|| unsound(&second)) {
            return Evidence::undecided(verdict, reason);
        }
        let pairs = pairs(&first, &second);
        let factors: Vec<f64> = pairs.iter().map(|(place, _)| value_of(&self.factor.formula, place)).collect();
        let shown = common(&factors);
        verdict.predicted = Some(shown);
        verdict.relation = self.factor.relation;
        let band = case.relative_band(&self.factor);
        let places: Vec<Place<'_>> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        let show = |log: f64| shown * log.exp();
        if case.repeats() {
            let statistic = |replicates: &[&Replicate]| mean_log_ratio(replicates, &factors);
            return match over_repetitions(&places, statistic) {
                Ok(estimate) => case.decide(verdict, vec![estimate], band, &places, show),
                Err(none) => Evidence::without_error(verdict, none, show),
            };
        }
        let points: Vec<WeightedPoint> = pairs
            .iter()
            .zip(&factors)
            .map(|((a, b), factor)| {
                let quotient = quotient(logarithm(1.0, a), logarithm(1.0, b));
                WeightedPoint { y: quotient.y - factor.ln(), ..quotient }
            })
            .collect();
        let Some(fit) = Fit::constant(&points) else {
            return Evidence::undecided(verdict, "needs positive means in both networks");
        };
        verdict.goodness_of_fit = Some(fit.goodness_of_fit);
        let estimates = if fit.is_poor() {
            // No one ratio: it must be inside the tolerance at every point, and any point outside refutes.
            let single = |(point, (place, _)): (&WeightedPoint, &(Place<'_>, Place<'_>))| {
                let words =
                    format!("no one ratio: that of the point that fits worst, {}", place.cell.variables_in_words());
                Some(Estimate::of_fit(&Fit::constant(&[*point])?, words))
            };
            points.iter().zip(&pairs).filter_map(single).collect()
        } else {
            vec![Estimate::of_fit(&fit, String::new())]
        };
        case.decide(verdict, estimates, band, &places, show)
    }
}

/// The mean over points of the logarithm of first/second over the factor, of one repetition: replicates stand in pairs.
pub(super) fn mean_log_ratio(replicates: &[&Replicate], factors: &[f64]) -> Statistic {
    let count = factors.len() as f64;
    let pairs = replicates.chunks(2).zip(factors);
    let (mut value, mut sampling) = (0.0, 0.0);
    for (pair, factor) in pairs {
        value += (pair[0].value / pair[1].value / factor).ln() / count;
        sampling += (pair[0].relative_sampling() + pair[1].relative_sampling()) / count;
    }
    Statistic { value, sampling, resolution: 0.0 }
}
