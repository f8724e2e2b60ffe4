//! `same_exponent`: two networks' means grow as one power, whatever it is: the exponent of their ratio is 0 within the tolerance.

use std::sync::Arc;

use super::evidence::{Case, Evidence};
use super::law::{Checked, Entry, Law, Remark};
use super::place::{Group, Place, groups, pairs};
use super::reader::ClaimReader;
use super::slope::{Slopes, logarithm, of_variables, quotient};
use crate::experiment::format::{interval, rounded};
use crate::experiment::results::{Replicate, Row, Verdict};
use crate::experiment::specification::reader::SpecError;
use crate::statistics::WeightedPoint;

/// A claim on the exponents of two networks.
#[derive(Debug, Clone)]
struct SameExponent {
    observable: String,
    /// `dimension`, or a sweep variable.
    against: String,
    /// The two labels.
    networks: [String; 2],
}

pub(super) const ENTRY: Entry = Entry {
    key: "same_exponent",
    name: "same-exponent",
    summary: "two networks have one exponent, within the tolerance",
    keys: &["observable", "against", "tolerance"],
    read,
    predicted: |_, tolerance| format!("0 ± {}", rounded(tolerance, 4)),
    remark,
    interval,
};

fn remark(remark: &Remark) -> String {
    let what = if remark.is_worst { "worst local difference" } else { "difference" };
    format!("{what} of exponents {}", remark.measured)
}

fn read(claim: &ClaimReader<'_>) -> Result<Arc<dyn Law>, SpecError> {
    let (observable, against) = (claim.observable()?, claim.against()?);
    Ok(Arc::new(SameExponent { observable, against, networks: claim.networks()? }))
}

impl Law for SameExponent {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn check_in(&self, checked: &Checked<'_>) -> Result<(), SpecError> {
        let [first, second] = self.networks.each_ref().map(|label| checked.of(label));
        for (a, b) in first.iter().zip(&second) {
            let [x, y] = [a, b].map(|cell| cell.abscissa(&self.against));
            if x <= 0.0 || x != y {
                let message = "must be above 0, and the same for both networks, at every point";
                return Err(checked.refuse("against", &self.against, message));
            }
        }
        for Group { members, .. } in groups(first, &self.against, |cell| *cell) {
            let x = members[0].abscissa(&self.against);
            if members.iter().all(|cell| cell.abscissa(&self.against) == x) {
                return Err(checked.refuse("against", &self.against, "needs two different values"));
            }
        }
        Ok(())
    }

    fn evidence(&self, case: &Case<'_>) -> Vec<Evidence> {
        let [first, second] = self.networks.each_ref().map(|label| case.places(label, &self.observable));
        let groups = groups(pairs(&first, &second), &self.against, |(place, _)| place.cell);
        groups.into_iter().map(|group| self.of_group(case, group)).collect()
    }

    fn observables(&self) -> Vec<&str> {
        vec![&self.observable]
    }

    fn pair(&self) -> Option<&[String; 2]> {
        Some(&self.networks)
    }

    fn name_of_ratio(&self) -> &'static str {
        "ratio of networks"
    }

    fn factor(&self, _: &Row) -> Option<f64> {
        Some(1.0)
    }
}

impl SameExponent {
    fn of_group(&self, case: &Case<'_>, group: Group<(Place<'_>, Place<'_>)>) -> Evidence {
        let Group { variables, members } = group;
        let verdict = of_variables(case.start(&self.networks.join(" − "), &self.observable, ENTRY.name), variables);
        let verdict = Verdict { predicted: Some(0.0), ..verdict };
        let places: Vec<Place<'_>> = members.iter().flat_map(|(a, b)| [*a, *b]).collect();
        let point = |(a, b): &(Place<'_>, Place<'_>)| {
            let x = a.cell.abscissa(&self.against);
            quotient(logarithm(x, a), logarithm(x, b))
        };
        let ratio = |pair: &[&Replicate]| {
            let logarithm = (pair[0].value / pair[1].value).ln();
            [logarithm, pair[0].relative_sampling() + pair[1].relative_sampling()]
        };
        let of_one = |replicates: &[&Replicate]| replicates.chunks_exact(2).map(ratio).collect();
        let band = Some((-case.terms.tolerance, case.terms.tolerance));
        let points: Vec<WeightedPoint> = members.iter().map(point).collect();
        Slopes { case, places: &places, against: &self.against, band }.judged(verdict, &points, of_one)
    }
}
