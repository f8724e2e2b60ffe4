//! The rows that a claim rests on, with their places in the sweep: grouped, paired, checked.

use std::collections::HashMap;

use crate::experiment::claim::Baseline;
use crate::experiment::expression::describe;
use crate::experiment::point::Point;
use crate::experiment::results::{Row, Sampled};
use crate::experiment::spec::with_dimension;

/// A row that a claim rests on, with its place.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub point: &'a Point,
    pub row: &'a Row,
    pub sampled: Sampled,
}

/// What is on the abscissa of an exponent.
pub(super) fn abscissa(place: &Place<'_>, against: &str) -> f64 {
    let variable = place.row.variables.iter().find(|(name, _)| name == against);
    variable.map_or(place.row.dimension as f64, |&(_, value)| value)
}

/// What a mean is divided by before an exponent is fitted.
pub(super) fn baseline(relative_to: Option<&Baseline>, place: &Place<'_>) -> Result<f64, String> {
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
pub(super) fn invalid(places: &[Place<'_>]) -> Option<String> {
    let bad = places.iter().find(|place| place.sampled.non_finite > 0)?;
    let Sampled { non_finite, draws, .. } = bad.sampled;
    let place = describe(&bad.row.variables);
    Some(format!("invalid: {non_finite} of {draws} draws at {place} are NaN or infinite"))
}

/// Rows of two networks at the same values of the sweep variables.
pub(super) fn pairs<'p>(
    first: &'p [Place<'_>],
    second: &'p [Place<'_>],
) -> impl Iterator<Item = (&'p Place<'p>, &'p Place<'p>)> {
    first.iter().filter_map(|a| Some((a, second.iter().find(|b| b.row.variables == a.row.variables)?)))
}

/// The rows of one fit, and the values of the sweep variables that they share.
pub(super) struct Group<'a> {
    pub variables: Vec<(String, f64)>,
    pub places: Vec<Place<'a>>,
}

/// Splits rows by the sweep variables that do not move the abscissa.
pub(super) fn groups<'p>(places: Vec<Place<'p>>, against: &str) -> Vec<Group<'p>> {
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
    let mut groups: Vec<Group<'p>> = Vec::new();
    for place in &places {
        let key: Vec<(String, f64)> = fixed.iter().map(|&index| place.row.variables[index].clone()).collect();
        match groups.iter_mut().find(|group| group.variables == key) {
            Some(group) => group.places.push(*place),
            None => groups.push(Group { variables: key, places: vec![*place] }),
        }
    }
    groups
}
