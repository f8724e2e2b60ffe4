//! What a claim rests on: measurements with their cells, grouped, paired, checked.

use std::collections::HashMap;

use crate::experiment::cell::Cell;
use crate::experiment::results::{Measurement, Row, Sampled};
use crate::experiment::specification::expression::{Variables, describe};

/// A measurement that a claim rests on, with its cell.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub cell: &'a Cell,
    pub measurement: &'a Measurement,
    pub sampled: Sampled,
}

impl Place<'_> {
    pub fn row(&self) -> &Row {
        &self.measurement.row
    }

    /// Degrees of freedom of the standard error.
    pub fn degrees(&self) -> f64 {
        self.measurement.degrees()
    }
}

/// Why the measurements cannot be judged: a value was not finite, or there are too few draws for the tail.
pub(super) fn unsound(places: &[Place<'_>]) -> Option<String> {
    let reason = |place: &Place<'_>| place.measurement.reference.as_ref().err().cloned();
    places.iter().find_map(|place| Some(format!("{} at {}", reason(place)?, place.cell.describe())))
}

/// Places of two networks at the same values of the sweep variables.
pub(super) fn pairs<'a>(first: &[Place<'a>], second: &[Place<'a>]) -> Vec<(Place<'a>, Place<'a>)> {
    let key =
        |place: &Place<'_>| -> Vec<u64> { place.cell.variables.iter().map(|(_, value)| value.to_bits()).collect() };
    let theirs: HashMap<Vec<u64>, &Place<'a>> = second.iter().map(|place| (key(place), place)).collect();
    first.iter().filter_map(|place| Some((*place, **theirs.get(&key(place))?))).collect()
}

/// Members of one fit, and the values of the sweep variables that they share.
pub(super) struct Group<T> {
    pub variables: Vec<(String, f64)>,
    pub members: Vec<T>,
}

/// Splits members by the sweep variables that do not move the abscissa.
pub(super) fn groups<T>(members: Vec<T>, against: &str, cell: impl Fn(&T) -> &Cell) -> Vec<Group<T>> {
    let places = || members.iter().map(|member| (&cell(member).variables[..], cell(member).architecture.dimension()));
    let variables = members.first().map(|member| cell(member).variables.clone()).unwrap_or_default();
    let moving = |name: &str| if against == "dimension" { moves_dimension(places(), name) } else { name == against };
    let fixed: Vec<usize> = (0..variables.len()).filter(|&index| !moving(&variables[index].0)).collect();
    let mut groups: Vec<Group<T>> = Vec::new();
    for member in members {
        let key: Vec<(String, f64)> = fixed.iter().map(|&index| cell(&member).variables[index].clone()).collect();
        match groups.iter_mut().find(|group| group.variables == key) {
            Some(group) => group.members.push(member),
            None => groups.push(Group { variables: key, members: vec![member] }),
        }
    }
    groups
}

/// Whether two cells that differ in nothing but this variable differ in dimension.
pub(in crate::experiment) fn moves_dimension<'a>(
    places: impl Iterator<Item = (&'a Variables, usize)>,
    name: &str,
) -> bool {
    let mut dimensions: HashMap<String, usize> = HashMap::new();
    for (variables, dimension) in places {
        let others: Vec<(String, f64)> = variables.iter().filter(|(other, _)| other != name).cloned().collect();
        if *dimensions.entry(describe(&others)).or_insert(dimension) != dimension {
            return true;
        }
    }
    false
}
