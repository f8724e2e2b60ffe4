//! The table `[sweep]`: what is swept, over a grid.

use std::collections::{BTreeSet, HashSet};

use toml::{Table, Value};

use super::draw::parts_of_attack;
use super::expression::{Expression, reserved_names};
use super::reader::{Origin, Reader, SpecError, as_number, did_you_mean};
use crate::experiment::results::COLUMNS;

/// Names that formulas of weights and results give a meaning of their own.
const RESERVED: &[&str] = &["fan_in", "fan_out", "network", "observable"];

/// Keys whose values are words for people, or names of the spec's own.
const WORDS: &[&str] =
    &["name", "title", "source", "formula", "explanation", "version", "label", "statement", "guide_label"];
const MOST_POINTS: usize = 100_000;

/// The swept variables and their values; the grid is their product.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sweep(pub Vec<(String, Vec<f64>)>);

impl Sweep {
    /// Values of the variables at every point of the grid; the last variable runs fastest.
    pub fn points(&self) -> Vec<Vec<(String, f64)>> {
        let mut points = vec![Vec::new()];
        for (name, values) in &self.0 {
            let extend = |point: &Vec<(String, f64)>| {
                let point = point.clone();
                values.iter().map(move |&value| [point.clone(), vec![(name.clone(), value)]].concat())
            };
            points = points.iter().flat_map(extend).collect();
        }
        points
    }

    /// Number of points of the grid.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(_, values)| values.len()).product()
    }

    /// Names of the variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// Reads the grid.
pub(super) fn read_sweep(reader: &Reader<'_>, origin: &Origin) -> Result<Sweep, SpecError> {
    let Some(table) = reader.table("sweep")? else { return Ok(Sweep::default()) };
    let names: Vec<&str> = table.keys().map(String::as_str).collect();
    let sweep = Reader::new(table, origin, "sweep", &names)?;
    let mut grid = Vec::new();
    for name in names {
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_taken =
            RESERVED.contains(&name) || COLUMNS.contains(&name) || reserved_names().any(|reserved| reserved == name);
        if !plain || is_taken {
            return Err(sweep.refuse(
                name,
                "is not a name for a variable: must be letters, digits and underscores, and neither a column of points.csv \
                 nor fan_in, fan_out, a function or a constant of formulas (e, E, pi, PI, tau, TAU)",
            ));
        }
        let allowed = "must be a list of different numbers, at least one";
        let values = sweep.array(name, allowed)?.unwrap_or_default();
        let numbers: Option<Vec<f64>> = values.iter().map(as_number).collect();
        let numbers = numbers.filter(|numbers| numbers.iter().all(|number| number.is_finite()));
        let numbers = numbers.ok_or_else(|| sweep.refuse(name, allowed))?;
        // Adding zero makes one of -0 and 0.
        let different: HashSet<u64> = numbers.iter().map(|number| (number + 0.0).to_bits()).collect();
        if numbers.is_empty() || different.len() < numbers.len() {
            return Err(sweep.refuse(name, allowed));
        }
        grid.push((name.to_owned(), numbers));
    }
    let size = grid.iter().try_fold(1usize, |size, (_, values)| size.checked_mul(values.len()));
    match size {
        Some(size) if size <= MOST_POINTS => Ok(Sweep(grid)),
        _ => Err(reader.complain("sweep", "", format!("must have at most {MOST_POINTS} points in all"))),
    }
}

/// Refuses a swept variable that nothing else in the spec names: it would sample every point again for each of its values.
///
/// Any text but words for people counts as a use where it is a formula of the variable, its name alone, or an observable with the
/// variable as the size of an attack.
pub(super) fn check_use(table: &Table, sweep: &Sweep, origin: &Origin) -> Result<(), SpecError> {
    let (mut keys, mut names) = (BTreeSet::new(), BTreeSet::new());
    let others = table.iter().filter(|(key, _)| *key != "sweep");
    others.for_each(|(key, value)| collect_names(key, value, &mut keys, &mut names));
    let Some((unused, _)) = sweep.0.iter().find(|(name, _)| !names.contains(name)) else { return Ok(()) };
    let known = names.iter().map(String::as_str).chain(sweep.names().filter(|name| name != unused)).chain(keys);
    let message = format!(
        "is used by nothing, so that every point would be sampled again for each of its values: use it in a size, a formula, an \
         observable or a claim, or leave it out{}",
        did_you_mean(unused, known)
    );
    Err(origin.error(&format!("sweep.{unused}"), "", message))
}

/// Collects the keys of tables, and the names that their values use.
fn collect_names<'a>(key: &'a str, value: &'a Value, keys: &mut BTreeSet<&'a str>, names: &mut BTreeSet<String>) {
    match value {
        Value::Table(table) => table.iter().for_each(|(key, value)| {
            keys.insert(key);
            collect_names(key, value, keys, names);
        }),
        Value::Array(values) => values.iter().for_each(|value| collect_names(key, value, keys, names)),
        Value::String(text) if !WORDS.contains(&key) => {
            let size = parts_of_attack(text).map(|(_, size, _)| size.to_owned());
            // A formula of observables is not one of variables alone: its words are what may be one.
            let words = || text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map(str::to_owned).collect();
            let formula = Expression::parse(text).map(|formula| formula.names().to_vec());
            names.extend(size.into_iter().chain(formula.unwrap_or_else(|_| words())));
        }
        _ => {}
    }
}
