//! `increasing`, `decreasing`: along the abscissa every mean lies above, or below, the one before.

use std::sync::Arc;

use toml::Value;

use super::evidence::{Case, Estimate, Evidence};
use super::law::{Checked, Entry, Law, Remark};
use super::less::{mean_difference, of_draws};
use super::place::{Group, Place, groups, unsound};
use super::reader::ClaimReader;
use super::repetitions::over_repetitions;
use super::slope::of_variables;
use crate::experiment::format::{interval, rounded};
use crate::experiment::specification::reader::SpecError;

/// A claim that means grow, or fall, from point to point.
#[derive(Debug, Clone)]
struct Monotone {
    observable: String,
    /// `dimension`, or a sweep variable.
    against: String,
    /// Whether they grow.
    grows: bool,
}

pub(super) const INCREASING: Entry = Entry {
    key: "increasing",
    name: "increasing",
    summary: "the means grow from each point to the next along `against`",
    keys: &["observable", "against", "network"],
    read: |claim| read(claim, true),
    predicted: |_, _| "steps > 0".into(),
    remark,
    interval,
};

pub(super) const DECREASING: Entry = Entry {
    key: "decreasing",
    name: "decreasing",
    summary: "the means fall from each point to the next along `against`",
    read: |claim| read(claim, false),
    predicted: |_, _| "steps < 0".into(),
    ..INCREASING
};

fn remark(remark: &Remark) -> String {
    format!("step that shows least {}", remark.measured)
}

/// The key says `true`, what it is along, or which observable it is.
fn read(claim: &ClaimReader<'_>, grows: bool) -> Result<Arc<dyn Law>, SpecError> {
    let (mut against, mut observable) = (None, None);
    match claim.reader.value(claim.key) {
        Some(Value::Boolean(true)) => {}
        Some(Value::String(name)) if claim.scope.observables.contains(&name.as_str()) => {
            observable = Some(name.clone())
        }
        Some(Value::String(name)) if claim.abscissae().contains(&name.as_str()) => against = Some(name.clone()),
        _ => {
            let message = format!(
                "must be true, or what the means are along ({}), or an observable of this spec ({})",
                claim.abscissae().join(", "),
                claim.scope.observables.join(", ")
            );
            return Err(claim.reader.refuse(claim.key, message));
        }
    }
    Ok(Arc::new(Monotone {
        observable: observable.map_or_else(|| claim.observable(), Ok)?,
        against: against.map_or_else(|| claim.against(), Ok)?,
        grows,
    }))
}

impl Law for Monotone {
    fn entry(&self) -> &'static Entry {
        if self.grows { &INCREASING } else { &DECREASING }
    }

    fn check_in(&self, checked: &Checked<'_>) -> Result<(), SpecError> {
        for label in checked.labels() {
            for Group { members, .. } in groups(checked.of(label), &self.against, |cell| *cell) {
                let mut xs: Vec<f64> = members.iter().map(|cell| cell.abscissa(&self.against)).collect();
                let count = xs.len();
                xs.sort_by(f64::total_cmp);
                xs.dedup();
                if xs.len() < 2 || xs.len() < count {
                    let message = format!("needs two or more points of \"{label}\" with different values of it");
                    return Err(checked.refuse("against", &self.against, message));
                }
            }
        }
        Ok(())
    }

    fn evidence(&self, case: &Case<'_>) -> Vec<Evidence> {
        let groups = case.groups(&self.observable, &self.against).into_iter();
        groups.map(|(label, group)| self.of_group(case, label, group)).collect()
    }

    fn observables(&self) -> Vec<&str> {
        vec![&self.observable]
    }

    fn against(&self) -> Option<&str> {
        Some(&self.against)
    }
}

impl Monotone {
    fn of_group(&self, case: &Case<'_>, label: &str, group: Group<Place<'_>>) -> Evidence {
        let Group { variables, members: mut places } = group;
        let mut verdict = of_variables(case.start(label, &self.observable, self.entry().name), variables);
        verdict.predicted = Some(0.0);
        if let Some(reason) = unsound(&places) {
            return Evidence::undecided(verdict, reason);
        }
        places.sort_by(|a, b| a.cell.abscissa(&self.against).total_cmp(&b.cell.abscissa(&self.against)));
        let mut steps = Vec::new();
        for pair in places.windows(2) {
            let [from, to] = [&pair[0], &pair[1]].map(|place| rounded(place.cell.abscissa(&self.against), 4));
            let words = format!("the step that shows least, from {} = {from} to {to}", self.against);
            let words = if places.len() > 2 { words } else { String::new() };
            // A step is what comes after less what comes before.
            let step = [pair[1], pair[0]];
            if !case.repeats() {
                steps.push(Estimate { words, ..of_draws(&[step.into()]) });
                continue;
            }
            match over_repetitions(&step, mean_difference) {
                Ok(estimate) => steps.push(Estimate { words, ..estimate }),
                Err(none) => return Evidence::without_error(verdict, none, |x| x),
            }
        }
        let band = if self.grows { (0.0, f64::INFINITY) } else { (f64::NEG_INFINITY, 0.0) };
        case.decide(verdict, steps, band, &places, |x| x)
    }
}
