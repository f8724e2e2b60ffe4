//! One number for each repetition.
//!
//! Networks of one repetition share initial weights and batches over all points of a sweep: they are one observation, not several. A
//! claim's number (a slope, the logarithm of a ratio, a rank correlation) is computed once for each repetition, and Student's t test
//! runs over repetitions. One repetition alone has no interval.

use super::evidence::{Estimate, NoEstimate};
use super::place::Place;
use crate::experiment::results::Replicate;
use crate::statistics::{Moments, Reference};

/// Standard errors at most this, relative to the scale of the number, are rounding, not scatter.
const SCATTER_OF_ROUNDING: f64 = 1e-12;

/// A claim's number and the variance that the choice of test samples adds to it.
#[derive(Clone, Copy)]
pub(super) struct Statistic {
    pub value: f64,
    pub sampling: f64,
    /// The least scatter that can be told from none.
    pub resolution: f64,
}

/// The mean over repetitions of a number that one repetition's replicates give, those of the places in their order.
///
/// Repetitions that are not finished at every place are left out. All networks are measured on the same test samples, so that more
/// repetitions do not average the error of that choice away.
pub(super) fn over_repetitions(
    places: &[Place<'_>],
    statistic: impl Fn(&[&Replicate]) -> Statistic,
) -> Result<Estimate, NoEstimate> {
    let (mut values, mut sampling) = (Moments::default(), Moments::default());
    let mut resolution = 0f64;
    for replicates in repetitions(places) {
        let of_one = statistic(&replicates);
        values.push(of_one.value);
        sampling.push(of_one.sampling);
        resolution = resolution.max(of_one.resolution);
    }
    let refuse = |value, reason: &str| Err(NoEstimate { value, reason: reason.into() });
    let value = Some(values.mean()).filter(|value| value.is_finite());
    match values.count() {
        0 => return refuse(None, "no repetition is finished"),
        _ if value.is_none() || !values.are_finite() => return refuse(None, "needs values above 0 that differ in x"),
        1 => return refuse(value, "one repetition: nothing independent is behind an interval"),
        _ => {}
    }
    let count = values.count() as f64;
    let scatter = values.std_error().hypot(resolution / count.sqrt());
    if scatter <= SCATTER_OF_ROUNDING * values.mean().abs().max(f64::MIN_POSITIVE) || scatter <= f64::EPSILON {
        return refuse(value, "all repetitions agree: too little is seen of their scatter");
    }
    Ok(Estimate {
        value: values.mean(),
        std_error: scatter.hypot(sampling.mean().sqrt()),
        reference: Reference::StudentT(count - 1.0),
        against: None,
        chance: None,
        words: String::new(),
    })
}

/// The replicates of every repetition that is finished at all places.
pub(super) fn repetitions<'a>(places: &[Place<'a>]) -> Vec<Vec<&'a Replicate>> {
    let of = |place: &Place<'a>| place.measurement.replicates.as_deref().unwrap_or_default();
    let count = places.iter().map(|place| of(place).len()).min().unwrap_or(0);
    (0..count).filter_map(|index| places.iter().map(|place| of(place)[index].as_ref()).collect()).collect()
}
