//! `same_law`: the observable has one law in both networks, at every point, up to a distance of the distribution functions of at most
//! the tolerance.

use std::sync::Arc;

use super::evidence::{Case, EQUIVALENCE_LEVEL, Evidence};
use super::law::{Checked, Entry, Law};
use super::place::{Place, pairs, unsound};
use super::reader::ClaimReader;
use crate::experiment::format::rounded;
use crate::experiment::results::Row;
use crate::experiment::specification::reader::SpecError;
use crate::statistics::KolmogorovSmirnov;

/// A claim on the law of an observable.
#[derive(Debug, Clone)]
pub struct SameLaw {
    /// The observable.
    pub observable: String,
    /// The two labels.
    pub networks: [String; 2],
}

pub(super) const ENTRY: Entry = Entry {
    key: "same_law",
    name: "same-law",
    summary: "an observable has one law in two networks: their distance of Kolmogorov and Smirnov is within the tolerance",
    keys: &["observable", "tolerance"],
    read,
    predicted: |_, tolerance| format!("≤ {}", rounded(tolerance, 4)),
    remark: |remark| format!("distance of the laws {}", remark.number),
    // The distance of two laws has an upper bound only.
    interval: |[_, high]| format!("≤ {}", rounded(high, 4)),
};

fn read(claim: &ClaimReader<'_>) -> Result<Arc<dyn Law>, SpecError> {
    Ok(Arc::new(SameLaw { observable: claim.observable()?, networks: claim.networks()? }))
}

impl Law for SameLaw {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn check_in(&self, _: &Checked<'_>) -> Result<(), SpecError> {
        Ok(())
    }

    fn evidence(&self, case: &Case<'_>) -> Vec<Evidence> {
        vec![self.judged(case)]
    }

    fn observables(&self) -> Vec<&str> {
        vec![&self.observable]
    }

    fn pair(&self) -> Option<&[String; 2]> {
        Some(&self.networks)
    }

    fn needs_distributions(&self) -> bool {
        true
    }

    fn name_of_ratio(&self) -> &'static str {
        "ratio of networks"
    }

    fn factor(&self, _: &Row) -> Option<f64> {
        Some(1.0)
    }
}

impl SameLaw {
    /// The distance is bounded from above at every point, all at once at the level of the equivalence tests; it refutes where a
    /// distance beyond the tolerance is no chance.
    fn judged(&self, case: &Case<'_>) -> Evidence {
        let mut verdict = case.start(&self.networks.join(" ~ "), &self.observable, ENTRY.name);
        verdict.predicted = Some(0.0);
        let [first, second] = self.networks.each_ref().map(|label| case.places(label, &self.observable));
        let is_bad = |place: &&Place<'_>| place.sampled.non_finite > 0 || place.sampled.draws == 0;
        let bad: Vec<Place<'_>> = first.iter().chain(&second).filter(is_bad).copied().collect();
        if let Some(reason) = unsound(&bad) {
            return Evidence::undecided(verdict, reason);
        }
        let pairs = pairs(&first, &second);
        let level = case.share() * EQUIVALENCE_LEVEL / pairs.len().max(1) as f64;
        let (mut distance, mut bound, mut against) = (0.0f64, 0.0f64, Vec::new());
        for (a, b) in &pairs {
            let (Some(a), Some(b)) = (&a.measurement.quantiles, &b.measurement.quantiles) else { continue };
            let test = KolmogorovSmirnov::of_sketches(a, b);
            distance = distance.max(test.distance);
            bound = bound.max(test.distance_bound(a.count(), b.count(), level));
            against.push(case.adjusted(test.beyond(case.terms.tolerance)));
        }
        verdict.measured = Some(distance);
        verdict.interval = Some([0.0, bound.min(1.0)]);
        let equivalent = !against.is_empty() && bound <= case.terms.tolerance;
        Evidence { verdict, equivalent, against, is_estimate: false, needed: None }
    }
}
