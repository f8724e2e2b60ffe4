//! Specs of networks at initialisation: how many are drawn, from which inputs, and what of them is observed.

use toml::{Table, Value};

use super::expression::{Variables, describe};
use super::input::{InputSpec, read_input};
use super::layer::LayerSpec;
use super::network::NetworkSpec;
use super::reader::{Origin, Reader, SpecError};
use super::sampler::{SamplerChoice, read_sampler};
use super::{Spec, Sweep, WorkSpec};
use crate::observable::Observable;
use crate::sampling::StoppingRule;

/// The word for draws until every claim is decided.
pub(super) const DECIDE: &str = "decide";

const DEFAULT_DRAWS: i64 = 4000;
const DEFAULT_MAX_DRAWS: i64 = 1_000_000;
const MOST_DRAWS: i64 = 1_000_000_000_000;

/// What is done with networks that are drawn.
#[derive(Debug, Clone)]
pub struct DrawSpec {
    /// When to stop drawing.
    pub rule: StoppingRule,
    /// Whether the draws of the rule are the most, and claims are looked at before, until all are decided.
    pub decides: bool,
    /// Where inputs come from.
    pub input: InputSpec,
}

impl WorkSpec for DrawSpec {
    type Observable = Observable;
    const KEYS: &'static [&'static str] = &["draws", "precision", "max_draws", "sampler", "input"];
    const TRAINS: bool = false;

    fn sampler(reader: &Reader<'_>) -> Result<SamplerChoice, SpecError> {
        Ok(read_sampler(reader)?.unwrap_or(SamplerChoice::Auto))
    }

    const EXAMPLE: &'static str = "loss.l1";

    fn observable(name: &str, sweep: &Sweep) -> Result<Observable, String> {
        let unknown = |at: String| format!("unknown observable{at}; must be {}", Observable::allowed());
        if parts_of_attack(name).is_none() {
            return name.parse().map_err(|_| unknown(String::new()));
        }
        // At every point of the grid, so that none is met later that has no meaning.
        let mut first = None;
        for point in sweep.points() {
            let at = || if point.is_empty() { String::new() } else { format!(" (at {})", describe(&point)) };
            let observable = observable_at(name, &point).ok_or_else(|| unknown(at()))?;
            first.get_or_insert(observable);
        }
        first.ok_or_else(|| unknown(String::new()))
    }

    fn defined() -> Observable {
        Observable::Defined
    }

    fn read(reader: &Reader<'_>, origin: &Origin) -> Result<Self, SpecError> {
        let decides = reader.value("draws").and_then(Value::as_str) == Some(DECIDE);
        let rule = if decides { read_most(reader)? } else { read_rule(reader)? };
        Ok(Self { input: read_input(reader, origin)?, rule, decides })
    }

    fn labels(&self, networks: &[NetworkSpec]) -> Vec<String> {
        networks.iter().map(|network| network.label.clone()).collect()
    }

    fn resolve(&self, networks: &[NetworkSpec], table: &mut Table) {
        if networks.iter().any(|network| has_batch_norm(&network.layers)) {
            let input = table.entry("input").or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(input) = input {
                input.entry("batch").or_insert(Value::Integer(self.input.batch as i64));
            }
        }
        table.entry("sampler").or_insert(Value::String("auto".into()));
        match self.rule {
            StoppingRule::Draws(most) if self.decides => {
                table.insert("max_draws".into(), Value::Integer(most.cast_signed()))
            }
            StoppingRule::Draws(draws) => {
                // It may stand there where an option has said how many.
                table.remove("max_draws");
                table.insert("draws".into(), Value::Integer(draws.cast_signed()))
            }
            StoppingRule::Precision { maximum, .. } => {
                table.insert("max_draws".into(), Value::Integer(maximum.cast_signed()))
            }
        };
    }
}

impl Spec<DrawSpec> {
    /// The sweep variable that is the size of an attack, where one is.
    pub fn size_variable(&self) -> Option<&str> {
        let sizes = self.observables.iter().filter_map(|(name, _)| parts_of_attack(name));
        sizes.map(|(_, size, _)| size).find(|size| self.sweep.names().any(|name| name == *size))
    }

    /// What is drawn at these values of the sweep variables: all but what is made of others.
    pub fn observables_at(&self, variables: &Variables) -> Vec<Observable> {
        let at = |(name, observable): &(String, Observable)| observable_at(name, variables).unwrap_or(*observable);
        let drawn = self.observables.iter().filter(|(_, observable)| *observable != Observable::Defined);
        drawn.map(at).collect()
    }
}

/// Whether a layer normalises by its batch, whose size then matters.
fn has_batch_norm(layers: &[LayerSpec]) -> bool {
    layers.iter().any(|layer| match layer {
        LayerSpec::Layer(layer) => layer.is("batch-norm"),
        LayerSpec::Residual { layers, projection } => has_batch_norm(layers) || has_batch_norm(projection),
        LayerSpec::Repeat { layers, .. } => has_batch_norm(layers),
    })
}

/// The most draws until every claim is decided.
fn read_most(reader: &Reader<'_>) -> Result<StoppingRule, SpecError> {
    if reader.has("precision") {
        return Err(reader.refuse("precision", "must stand without `draws`: give one or the other"));
    }
    let most = reader.whole("max_draws", 2, MOST_DRAWS)?;
    let most =
        most.ok_or_else(|| reader.missing("max_draws", "the most draws of a point, beside draws = \"decide\""))?;
    Ok(StoppingRule::Draws(most.cast_unsigned()))
}

fn read_rule(reader: &Reader<'_>) -> Result<StoppingRule, SpecError> {
    let precision = reader.number("precision", "must be a number between 0 and 1", |p| p > 0.0 && p < 1.0)?;
    if let Some(other) = reader.value("draws").filter(|value| value.is_str()) {
        let message = format!("must be a whole number from 2 to {MOST_DRAWS}, or \"{DECIDE}\"");
        return Err(reader.complain("draws", &other.to_string(), message));
    }
    let draws = reader.whole("draws", 2, MOST_DRAWS)?;
    let maximum = reader.whole("max_draws", 2, MOST_DRAWS)?;
    match (precision, draws) {
        (Some(_), Some(_)) => Err(reader.refuse("precision", "must stand without `draws`: give one or the other")),
        (Some(relative), None) => {
            let maximum = maximum.unwrap_or(DEFAULT_MAX_DRAWS).cast_unsigned();
            Ok(StoppingRule::Precision { relative, maximum })
        }
        // The spec's own maximum is passed over where an option says how many.
        (None, _) if maximum.is_some() && !reader.is_set("draws") => {
            Err(reader.refuse("max_draws", "must stand beside `precision` or draws = \"decide\""))
        }
        (None, draws) => Ok(StoppingRule::Draws(draws.unwrap_or(DEFAULT_DRAWS).cast_unsigned())),
    }
}

/// The parts of an attack observable's name: up to `@`, the size, and what follows it.
pub(super) fn parts_of_attack(name: &str) -> Option<(&str, &str, &str)> {
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
