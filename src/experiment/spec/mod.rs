//! The one place that parses specs: from TOML to checked types.
//!
//! What can be checked without the sweep variables is checked here; [`super::point`] checks the rest at every sweep
//! point, before anything is sampled or written.

mod heading;
mod input;
mod layer;
mod network;

use std::collections::BTreeSet;
use std::ops::Deref;

use toml::{Table, Value};

pub use heading::Heading;
pub(super) use input::read_resize_filter;
pub use input::{InputDistribution, InputSpec, LabelSpec};
pub use layer::{LayerSpec, WindowSpec, read_layers};
pub use network::{InitSpec, NetworkSpec, VarianceSpec};
pub(super) use network::{NETWORK_KEYS, read_input, read_networks};

use super::claim::{Claim, Scope, read_claims};
use super::expression::{Expression, Variables, describe, reserved_names};
use super::reader::{Origin, Reader, SpecError, as_number, did_you_mean};
use super::results::COLUMNS;
use crate::sampling::{Observable, StoppingRule};

const KEYS: &[&str] = &[
    "name",
    "title",
    "source",
    "explanation",
    "seconds",
    "version",
    "seed",
    "draws",
    "precision",
    "max_draws",
    "sampler",
    "family_error",
    "observables",
    "sweep",
    "input",
    "network",
    "claim",
];

/// Names that formulas of weights and results give a meaning of their own.
const RESERVED: &[&str] = &["fan_in", "fan_out", "network", "observable"];

/// Keys whose values are words for people, or names of the spec's own.
const WORDS: &[&str] = &["name", "title", "source", "explanation", "version", "label", "statement", "guide_label"];
const DEFAULT_DRAWS: i64 = 4000;
const DEFAULT_MAX_DRAWS: i64 = 1_000_000;
const MOST_DRAWS: i64 = 1_000_000_000_000;
const MOST_POINTS: usize = 100_000;

/// An experiment: networks, what is swept and measured, and the claims to judge.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name, words and seed.
    pub heading: Heading,
    /// When to stop drawing.
    pub rule: StoppingRule,
    /// Family-wise error rate of the run that judges it.
    pub family_error: f64,
    /// What is measured, with the names as written.
    pub observables: Vec<(String, Observable)>,
    /// The grid.
    pub sweep: Sweep,
    /// Where inputs come from.
    pub input: InputSpec,
    /// The networks.
    pub networks: Vec<NetworkSpec>,
    /// The claims.
    pub claims: Vec<Claim>,
    /// File and options, for error messages.
    pub origin: Origin,
    /// The spec as TOML with defaults filled in: enough to repeat the run.
    pub resolved: Table,
}

/// The swept variables and their values; the grid is their product.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sweep(pub Vec<(String, Vec<f64>)>);

/// Which sampler draws the networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamplerChoice {
    /// Collapsed where it is exact, explicit elsewhere.
    Auto,
    /// Always networks with all their weights.
    Explicit,
    /// Always the collapsed sampler; refused where it is not exact.
    Collapsed,
}

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

    /// Names of the variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl Deref for Spec {
    type Target = Heading;

    fn deref(&self) -> &Heading {
        &self.heading
    }
}

impl Spec {
    /// The sweep variable that is the size of an attack, where one is.
    pub fn size_variable(&self) -> Option<&str> {
        let sizes = self.observables.iter().filter_map(|(name, _)| parts_of_attack(name));
        sizes.map(|(_, size, _)| size).find(|size| self.sweep.names().any(|name| name == *size))
    }

    /// What is measured at these values of the sweep variables.
    pub fn observables_at(&self, variables: &Variables) -> Vec<Observable> {
        let at = |(name, observable): &(String, Observable)| observable_at(name, variables).unwrap_or(*observable);
        self.observables.iter().map(at).collect()
    }

    /// Checks a spec that was read as TOML.
    ///
    /// # Errors
    /// The first thing that is wrong, with its key.
    pub fn from_table(table: &Table, origin: Origin) -> Result<Self, SpecError> {
        let reader = Reader::new(table, &origin, "", KEYS)?;
        let heading = Heading::read(&reader)?;
        let sweep = read_sweep(&reader, &origin)?;
        let sampler = read_sampler(&reader)?.unwrap_or(SamplerChoice::Auto);
        let networks = network::read_networks(&reader, &origin, sampler)?;
        let observables = read_observables(&reader, &sweep)?;
        let input = input::read_input(&reader, &origin)?;
        let labels: Vec<&str> = networks.iter().map(|network| network.label.as_str()).collect();
        let variables: Vec<&str> = sweep.names().collect();
        let names = names_of(&observables);
        let scope = Scope { labels: &labels, observables: &names, variables: &variables, trains: false };
        let claims = read_claims(&reader, &origin, scope)?;
        let mut spec = Self {
            heading,
            rule: read_rule(&reader)?,
            family_error: read_family_error(&reader)?,
            claims,
            observables,
            sweep,
            input,
            networks,
            resolved: table.clone(),
            origin: origin.clone(),
        };
        // Last, so that a formula which cannot be read is refused as such.
        check_use(table, &spec.sweep, &spec.origin)?;
        spec.resolve();
        Ok(spec)
    }

    /// Fills the defaults into the table that is saved with the results.
    fn resolve(&mut self) {
        self.heading.resolve(&mut self.resolved);
        if self.networks.iter().any(|network| has_batch_norm(&network.layers)) {
            let input = self.resolved.entry("input").or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(input) = input {
                input.entry("batch").or_insert(Value::Integer(self.input.batch as i64));
            }
        }
        self.resolved.entry("sampler").or_insert(Value::String("auto".into()));
        self.resolved.entry("family_error").or_insert(Value::Float(self.family_error));
        match self.rule {
            StoppingRule::Draws(draws) => self.resolved.insert("draws".into(), Value::Integer(draws.cast_signed())),
            StoppingRule::Precision { maximum, .. } => {
                self.resolved.insert("max_draws".into(), Value::Integer(maximum.cast_signed()))
            }
        };
    }
}

/// The key `family_error`: the rate of false alarms of a whole run.
pub(super) fn read_family_error(reader: &Reader<'_>) -> Result<f64, SpecError> {
    let allowed = "must be a number between 0 and 0.5";
    Ok(reader.number("family_error", allowed, |rate| rate > 0.0 && rate < 0.5)?.unwrap_or(1e-3))
}

/// Whether a layer normalises by its batch, whose size then matters.
fn has_batch_norm(layers: &[LayerSpec]) -> bool {
    layers.iter().any(|layer| match layer {
        LayerSpec::BatchNorm { .. } => true,
        LayerSpec::Residual { layers, projection } => has_batch_norm(layers) || has_batch_norm(projection),
        LayerSpec::Repeat { layers, .. } => has_batch_norm(layers),
        _ => false,
    })
}

fn read_rule(reader: &Reader<'_>) -> Result<StoppingRule, SpecError> {
    let precision = reader.number("precision", "must be a number between 0 and 1", |p| p > 0.0 && p < 1.0)?;
    let draws = reader.whole("draws", 2, MOST_DRAWS)?;
    let maximum = reader.whole("max_draws", 2, MOST_DRAWS)?;
    match (precision, draws) {
        (Some(_), Some(_)) => Err(reader.refuse("precision", "must stand without `draws`: give one or the other")),
        (Some(relative), None) => {
            let maximum = maximum.unwrap_or(DEFAULT_MAX_DRAWS).cast_unsigned();
            Ok(StoppingRule::Precision { relative, maximum })
        }
        (None, _) if maximum.is_some() => Err(reader.refuse("max_draws", "must stand beside `precision`")),
        (None, draws) => Ok(StoppingRule::Draws(draws.unwrap_or(DEFAULT_DRAWS).cast_unsigned())),
    }
}

fn read_sampler(reader: &Reader<'_>) -> Result<Option<SamplerChoice>, SpecError> {
    match reader.string("sampler")? {
        None => Ok(None),
        Some("auto") => Ok(Some(SamplerChoice::Auto)),
        Some("explicit") => Ok(Some(SamplerChoice::Explicit)),
        Some("collapsed") => Ok(Some(SamplerChoice::Collapsed)),
        Some(_) => Err(reader.refuse("sampler", "must be auto, explicit or collapsed")),
    }
}

fn read_observables(reader: &Reader<'_>, sweep: &Sweep) -> Result<Vec<(String, Observable)>, SpecError> {
    let allowed = "must be a list of names such as \"loss.l1\"";
    let names = reader.strings("observables", allowed)?.ok_or_else(|| reader.missing("observables", &allowed[8..]))?;
    if names.is_empty() {
        return Err(reader.refuse("observables", allowed));
    }
    let mut observables: Vec<(String, Observable)> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let key = format!("observables.{index}");
        let unknown = |point: &Variables| {
            let at = if point.is_empty() { String::new() } else { format!(" (at {})", describe(point)) };
            reader.complain(&key, name, format!("unknown observable{at}; must be {}", Observable::allowed()))
        };
        // At every point of the grid, so that none is met later that has no meaning.
        let read = |point: &Vec<(String, f64)>| observable_at(name, point).ok_or_else(|| unknown(point));
        let at_points = sweep.points().iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if observables.iter().any(|(known, _)| known == name) {
            return Err(reader.complain(&key, name, "must stand only once"));
        }
        // A grid has at least one point.
        observables.extend(at_points.first().map(|observable| ((*name).into(), *observable)));
    }
    Ok(observables)
}

/// The parts of an attack observable's name: up to `@`, the size, and what follows it.
fn parts_of_attack(name: &str) -> Option<(&str, &str, &str)> {
    let (attack, rest) = name.split_once('@')?;
    let end = rest.strip_suffix(".first-order").map_or(rest.len(), str::len);
    Some((attack, &rest[..end], &rest[end..]))
}

/// The observable of this name; an attack's size, `@E`, may be a sweep variable.
fn observable_at(name: &str, variables: &Variables) -> Option<Observable> {
    let sized = parts_of_attack(name).and_then(|(attack, size, tail)| {
        let (_, value) = variables.iter().find(|(variable, _)| variable == size)?;
        Some(format!("{attack}@{value:e}{tail}"))
    });
    sized.as_deref().unwrap_or(name).parse().ok()
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
        let repeated = numbers.iter().enumerate().any(|(index, number)| numbers[..index].contains(number));
        if numbers.is_empty() || repeated {
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
            let formula = Expression::parse(text).map(|formula| formula.names().to_vec());
            names.extend(size.into_iter().chain(formula.unwrap_or_default()));
        }
        _ => {}
    }
}

/// The names of what is measured.
pub(super) fn names_of<T>(observables: &[(String, T)]) -> Vec<&str> {
    observables.iter().map(|(name, _)| name.as_str()).collect()
}

/// The variables of a point with its dimension, as claims see them.
pub fn with_dimension(variables: &Variables, dimension: usize) -> Vec<(String, f64)> {
    let mut all = variables.to_vec();
    all.push(("dimension".into(), dimension as f64));
    all
}

/// What is on an abscissa: a sweep variable by its name, else the dimension.
pub fn abscissa(variables: &Variables, dimension: usize, against: &str) -> f64 {
    let variable = variables.iter().find(|(name, _)| name == against);
    variable.map_or(dimension as f64, |&(_, value)| value)
}
