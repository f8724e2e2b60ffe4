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

    /// The variables with their values.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
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
        if let Some(Value::Table(table)) = sweep.value(name) {
            grid.push((name.to_owned(), read_range(&Reader::new(table, origin, &sweep.path_of(name), RANGE_KEYS)?)?));
            continue;
        }
        let allowed = "must be a list of different numbers, at least one, or a table { from, to, points, scale }";
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

/// Keys of a range of values.
const RANGE_KEYS: &[&str] = &["from", "to", "points", "scale", "whole"];

/// Reads `{ from, to, points, scale = "linear" | "log", whole }`: values in equal steps, or in equal ratios, both ends among them. Rounded to
/// whole numbers where both ends are whole and nothing else is said, as sizes have to be; to twelve digits otherwise.
fn read_range(range: &Reader<'_>) -> Result<Vec<f64>, SpecError> {
    let end = |key: &str| {
        let number = range.number(key, "must be a finite number", |number| number.is_finite())?;
        number.ok_or_else(|| range.missing(key, "a number"))
    };
    let (from, to) = (end("from")?, end("to")?);
    let points = range.whole("points", 2, MOST_POINTS as i64)?;
    let points = points.ok_or_else(|| range.missing("points", "a whole number, at least 2"))?;
    let is_log = match range.string("scale")? {
        None | Some("linear") => false,
        Some("log") => true,
        Some(_) => return Err(range.refuse("scale", "must be linear or log")),
    };
    if is_log
        && let Some(key) = ["from", "to"].into_iter().zip([from, to]).find_map(|(key, end)| (end <= 0.0).then_some(key))
    {
        return Err(range.refuse(key, "must be above 0 where the scale is log"));
    }
    let whole = range.boolean("whole")?.unwrap_or(from.fract() == 0.0 && to.fract() == 0.0);
    let value = |index: i64| {
        let share = index as f64 / (points - 1) as f64;
        let exact = if is_log { from * (to / from).powf(share) } else { from + share * (to - from) };
        match index {
            0 => from,
            _ if index == points - 1 => to,
            _ if whole => exact.round(),
            // A number that can be written is printed back with these digits at most.
            _ => format!("{exact:.11e}").parse().unwrap_or(exact),
        }
    };
    let values: Vec<f64> = (0..points).map(value).collect();
    let different: HashSet<u64> = values.iter().map(|number| (number + 0.0).to_bits()).collect();
    if different.len() < values.len() {
        let message =
            format!("must be at most {}, the different numbers that there are between the ends", different.len());
        return Err(range.refuse("points", message));
    }
    Ok(values)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::specification::load::parse_table;

    fn values(range: &str) -> Result<Vec<f64>, String> {
        let (table, origin) = parse_table("spec", &format!("[sweep]\nd = {range}"), &[]).unwrap();
        let reader = Reader::new(&table, &origin, "", &["sweep"]).unwrap();
        read_sweep(&reader, &origin).map(|sweep| sweep.0[0].1.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn ranges_are_lists_that_need_not_be_written_down() {
        let doubling: Vec<f64> = (6..=16).map(|power| f64::from(1 << power)).collect();
        assert_eq!(values("{ from = 64, to = 65536, points = 11, scale = \"log\" }").unwrap(), doubling);
        assert_eq!(values("{ from = 1, to = 2, points = 3, whole = false }").unwrap(), [1.0, 1.5, 2.0]);
        assert_eq!(
            values("{ from = 0.1, to = 0.0001, points = 4, scale = \"log\" }").unwrap(),
            [0.1, 0.01, 0.001, 0.0001]
        );
        assert_eq!(values("{ from = 10, to = 1, points = 4 }").unwrap(), [10.0, 7.0, 4.0, 1.0]);
        assert_eq!(values("[3, 1]").unwrap(), [3.0, 1.0]);
        for (range, part) in [
            ("{ from = 1, to = 3, points = 4 }", "sweep.d.points = 4: must be at most 3"),
            ("{ from = 0, to = 3, points = 4, scale = \"log\" }", "sweep.d.from = 0: must be above 0"),
            ("{ from = 1, points = 4 }", "sweep.d.to: is missing"),
            ("{ from = 1, to = 3, points = 1 }", "sweep.d.points = 1"),
            ("{ from = 1, to = 3, points = 3, scale = \"cubic\" }", "must be linear or log"),
            ("{ from = 1, to = 3, step = 1 }", "sweep.d.step"),
            ("3", "or a table"),
        ] {
            let refused = values(range).unwrap_err();
            assert!(refused.contains(part), "{range}: {refused}");
        }
    }
}
