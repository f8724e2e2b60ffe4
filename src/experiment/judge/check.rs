//! Checks, before anything is sampled, that every claim can be judged: its formulas have values at every point, and the
//! exact means that it needs exist.

use super::places::{Group, baseline, groups};
use crate::experiment::claim::{Baseline, ClaimKind, ClaimSpec, ValueSource};
use crate::experiment::expression::{Expression, Variables};
use crate::experiment::point::Point;
use crate::experiment::reader::SpecError;
use crate::experiment::spec::Spec;
use crate::theory::TheoryValue;

/// Checks every claim at every point.
///
/// # Errors
/// The first formula that has no value, with its key and the point.
pub fn check(spec: &Spec, points: &[Point]) -> Result<(), SpecError> {
    spec.claims.iter().try_for_each(|claim| Checker { spec, claim }.check(points))
}

struct Checker<'a> {
    spec: &'a Spec,
    claim: &'a ClaimSpec,
}

impl Checker<'_> {
    fn check(&self, points: &[Point]) -> Result<(), SpecError> {
        let concerned = |label: &str| points.iter().filter(|point| point.network == label).collect::<Vec<_>>();
        let labels = self.spec.networks.iter().map(|network| network.label.as_str());
        let mut labels = labels.filter(|label| self.claim.concerns(label));
        match &self.claim.kind {
            ClaimKind::Exponent { against, exponent, relative_to } => labels.try_for_each(|label| {
                groups(concerned(label), against, |point| *point)
                    .iter()
                    .try_for_each(|group| self.exponent(group, against, exponent, relative_to.as_ref()))
            }),
            ClaimKind::Value(source) => {
                labels.try_for_each(|label| concerned(label).iter().try_for_each(|point| self.value(point, source)))
            }
            ClaimKind::Ratio { networks, factor } => concerned(&networks[0]).iter().try_for_each(|point| {
                let value = self.evaluate("factor", factor, &point.variables_with_dimension())?;
                if value > 0.0 { Ok(()) } else { Err(self.refuse("factor", factor.text(), "must be above 0")) }
            }),
            ClaimKind::SameLaw { .. } => Ok(()),
        }
    }

    fn refuse(&self, key: &str, value: &str, message: &str) -> SpecError {
        self.spec.origin.error(&format!("{}.{key}", self.claim.path), value, message)
    }

    fn evaluate(&self, key: &str, formula: &Expression, variables: &Variables) -> Result<f64, SpecError> {
        formula.evaluate(variables).map_err(|message| self.refuse(key, formula.text(), &message))
    }

    fn exponent(
        &self,
        group: &Group<&Point>,
        against: &str,
        exponent: &Expression,
        relative_to: Option<&Baseline>,
    ) -> Result<(), SpecError> {
        self.evaluate("exponent", exponent, &group.variables)?;
        for point in &group.members {
            if point.abscissa(against) <= 0.0 {
                return Err(self.refuse("against", against, "must be a variable whose values are above 0"));
            }
            baseline(relative_to, point).map_err(|message| self.refuse("relative_to", "", &message))?;
        }
        Ok(())
    }

    fn value(&self, point: &Point, source: &ValueSource) -> Result<(), SpecError> {
        match source {
            ValueSource::Formula(formula) => {
                let value = self.evaluate("value", formula, &point.variables_with_dimension())?;
                if value == 0.0 {
                    let message = format!("must not be 0, as it is at {}: the tolerance is relative", point.describe());
                    return Err(self.refuse("value", formula.text(), &message));
                }
            }
            ValueSource::Theory => {
                let observables = self.spec.observables.iter().map(|(name, _)| *name == self.claim.observable);
                let mut theory = observables.zip(&point.theory).filter(|(named, _)| *named);
                let exact = theory.find_map(|(_, theory)| *theory);
                if let Some(TheoryValue { mean, .. }) = exact.filter(|value| value.mean.to_f64().is_none()) {
                    let message = format!("is {mean} at {}, beyond double precision", point.describe());
                    return Err(self.refuse("value", "theory", &message));
                }
                if exact.is_none() {
                    let message = format!(
                        "has no exact value for {} of \"{}\": name a network that has, or state a value",
                        self.claim.observable, point.network
                    );
                    return Err(self.refuse("value", "theory", &message));
                }
            }
        }
        Ok(())
    }
}
