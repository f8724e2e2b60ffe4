//! The rows that a claim rests on, with their places in the sweep: grouped, paired, checked.

use std::collections::HashMap;

use crate::experiment::claim::Baseline;
use crate::experiment::expression::{Variables, describe};
use crate::experiment::point::Point;
use crate::experiment::results::{Measurement, Row, Sampled};
use crate::short::short;
use crate::theory::TheoryValue;

/// A measurement that a claim rests on, with its place.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub point: &'a Point,
    pub measurement: &'a Measurement,
    pub sampled: Sampled,
}

impl Place<'_> {
    pub fn row(&self) -> &Row {
        &self.measurement.row
    }
}

/// What a mean is divided by before an exponent is fitted.
pub(super) fn baseline(relative_to: Option<&Baseline>, point: &Point) -> Result<f64, String> {
    let value = match relative_to {
        None => return Ok(1.0),
        Some(Baseline::Formula(formula)) => formula.evaluate(&point.variables_with_dimension())?,
        Some(Baseline::Theory(observable)) => match point.expected(observable) {
            Some(TheoryValue { mean, .. }) => {
                mean.to_f64().ok_or_else(|| format!("is {mean} at {}, beyond double precision", point.describe()))?
            }
            None => return Err(format!("has no exact mean for \"{}\"", point.network)),
        },
    };
    if value > 0.0 {
        Ok(value)
    } else {
        Err(format!("must be above 0, but is {} at {}", short(value), point.describe()))
    }
}

/// Why the rows cannot be judged: a gradient was not finite, or there are too few draws for the tail.
pub(super) fn unsound(places: &[Place<'_>]) -> Option<String> {
    let reason = |place: &Place<'_>| place.measurement.reference.as_ref().err().cloned();
    places.iter().find_map(|place| Some(format!("{} at {}", reason(place)?, place.point.describe())))
}

/// Rows of two networks at the same values of the sweep variables.
pub(super) fn pairs<'p>(
    first: &'p [Place<'_>],
    second: &'p [Place<'_>],
) -> impl Iterator<Item = (&'p Place<'p>, &'p Place<'p>)> {
    first.iter().filter_map(|a| Some((a, second.iter().find(|b| b.row().variables == a.row().variables)?)))
}

/// Points of one fit, and the values of the sweep variables that they share.
pub(super) struct Group<T> {
    pub variables: Vec<(String, f64)>,
    pub members: Vec<T>,
}

/// Splits points by the sweep variables that do not move the abscissa.
pub(super) fn groups<T>(members: Vec<T>, against: &str, point: impl Fn(&T) -> &Point) -> Vec<Group<T>> {
    let places = || members.iter().map(|member| (&point(member).variables[..], point(member).architecture.dimension()));
    let variables = members.first().map(|member| point(member).variables.clone()).unwrap_or_default();
    let moving = |name: &str| if against == "dimension" { moves_dimension(places(), name) } else { name == against };
    let fixed: Vec<usize> = (0..variables.len()).filter(|&index| !moving(&variables[index].0)).collect();
    let mut groups: Vec<Group<T>> = Vec::new();
    for member in members {
        let key: Vec<(String, f64)> = fixed.iter().map(|&index| point(&member).variables[index].clone()).collect();
        match groups.iter_mut().find(|group| group.variables == key) {
            Some(group) => group.members.push(member),
            None => groups.push(Group { variables: key, members: vec![member] }),
        }
    }
    groups
}

/// Whether two points that differ in nothing but this variable differ in dimension.
pub fn moves_dimension<'a>(points: impl Iterator<Item = (&'a Variables, usize)>, name: &str) -> bool {
    let mut dimensions: HashMap<String, usize> = HashMap::new();
    for (variables, dimension) in points {
        let others: Vec<(String, f64)> = variables.iter().filter(|(other, _)| other != name).cloned().collect();
        if *dimensions.entry(describe(&others)).or_insert(dimension) != dimension {
            return true;
        }
    }
    false
}
