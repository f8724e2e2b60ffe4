//! Specs of trained networks: how many are trained, on which samples, by which methods, and what of them is measured.

use toml::{Table, Value};

use super::draw::DECIDE;
use super::expression::Expression;
use super::network::NetworkSpec;
use super::reader::{Origin, Reader, SpecError, as_number, unknown};
use super::sampler::SamplerChoice;
use super::{Sweep, WorkSpec};
use crate::experiment::work::train::{DataSpec, Measure, read_data};
use crate::network::Norm;
use crate::training::objective::{Choices, Objective, ObjectiveKind};

const MOST_REPEATS: i64 = 10_000;
const MOST_EPOCHS: i64 = 1_000_000;
const MOST_BATCH: i64 = 1 << 16;

/// What is done with networks that are trained.
#[derive(Debug, Clone)]
pub struct TrainSpec {
    /// Networks trained at every point.
    pub repeats: usize,
    /// Whether these are the most, and claims are looked at before, until all are decided.
    pub decides: bool,
    /// Whether the weights that were measured are kept in files.
    pub keep_weights: bool,
    /// The samples.
    pub data: DataSpec,
    /// How networks are trained.
    pub settings: SettingsSpec,
    /// The objectives.
    pub methods: Vec<MethodSpec>,
}

/// The table `[training]`.
#[derive(Debug, Clone)]
pub struct SettingsSpec {
    /// Passes over the training samples.
    pub epochs: usize,
    /// Samples of one step.
    pub batch: usize,
    /// The first learning rate.
    pub rate: Expression,
    /// Epochs between two halvings of the rate; 0 for never.
    pub halve_every: usize,
    /// Momentum.
    pub momentum: f64,
    /// Weight decay, of weights only.
    pub weight_decay: f64,
    /// Pixels of padding before a random crop.
    pub crop: usize,
    /// Whether images are flipped at random.
    pub flip: bool,
}

/// A table `[[method]]`: an objective.
#[derive(Debug, Clone)]
pub struct MethodSpec {
    /// Its name in results and claims.
    pub label: String,
    /// Its kind.
    pub kind: &'static ObjectiveKind,
    /// What of its kind it is, but for the strength.
    pub choices: Choices,
    /// Its strength ε; 0 for plain training.
    pub strength: Expression,
    /// Its dotted key, for error messages.
    pub path: String,
}

impl WorkSpec for TrainSpec {
    type Observable = Measure;
    const KEYS: &'static [&'static str] = &["repeats", "max_repeats", "keep_weights", "data", "training", "method"];
    const TRAINS: bool = true;

    fn sampler(_: &Reader<'_>) -> Result<SamplerChoice, SpecError> {
        Ok(SamplerChoice::Explicit)
    }

    const EXAMPLE: &'static str = "accuracy";

    fn observable(name: &str, _: &Sweep) -> Result<Measure, String> {
        name.parse().map_err(|()| format!("unknown observable; must be {}", Measure::allowed()))
    }

    fn defined() -> Measure {
        Measure::DEFINED
    }

    /// Networks are measured before and after training one by one, and definitions are of what is measured after it.
    fn in_definitions(measure: &Measure) -> bool {
        !measure.initial
    }

    fn read(reader: &Reader<'_>, origin: &Origin) -> Result<Self, SpecError> {
        let (repeats, decides) = read_repeats(reader)?;
        Ok(Self {
            methods: read_methods(reader, origin)?,
            repeats,
            decides,
            keep_weights: reader.boolean("keep_weights")?.unwrap_or(false),
            data: read_data(reader, origin)?,
            settings: read_settings(reader, origin)?,
        })
    }

    fn labels(&self, networks: &[NetworkSpec]) -> Vec<String> {
        let pairs = networks.iter().flat_map(|network| self.methods.iter().map(move |method| (network, method)));
        pairs.map(|(network, method)| self.label(networks, network, method)).collect()
    }

    fn resolve(&self, _: &[NetworkSpec], table: &mut Table) {
        if !self.decides {
            table.remove("max_repeats");
        }
        let key = if self.decides { "max_repeats" } else { "repeats" };
        table.insert(key.into(), Value::Integer(self.repeats as i64));
    }
}

impl TrainSpec {
    /// The label of a network trained by a method: those of both, but for one of which there is no other.
    pub fn label(&self, networks: &[NetworkSpec], network: &NetworkSpec, method: &MethodSpec) -> String {
        match (networks.len(), self.methods.len()) {
            (_, 1) => network.label.clone(),
            (1, _) => method.label.clone(),
            _ => format!("{}, {}", network.label, method.label),
        }
    }
}

/// How many networks are trained for each cell, and whether fewer will do where they decide every claim.
fn read_repeats(reader: &Reader<'_>) -> Result<(usize, bool), SpecError> {
    let most = reader.whole("max_repeats", 2, MOST_REPEATS)?;
    match (reader.value("repeats"), most) {
        (Some(Value::String(word)), most) if word == DECIDE => {
            let most =
                most.ok_or_else(|| reader.missing("max_repeats", "the most repetitions, beside repeats = \"decide\""))?;
            Ok((most as usize, true))
        }
        (Some(Value::String(_)), _) => {
            Err(reader.refuse("repeats", format!("must be a whole number from 1 to {MOST_REPEATS}, or \"{DECIDE}\"")))
        }
        (_, Some(_)) if !reader.is_set("repeats") => {
            Err(reader.refuse("max_repeats", format!("must stand beside repeats = \"{DECIDE}\"")))
        }
        _ => Ok((reader.whole("repeats", 1, MOST_REPEATS)?.unwrap_or(1) as usize, false)),
    }
}

fn read_settings(reader: &Reader<'_>, origin: &Origin) -> Result<SettingsSpec, SpecError> {
    let table = reader.table("training")?.ok_or_else(|| reader.missing("training", "a table"))?;
    let known = &["epochs", "batch", "rate", "halve_every", "momentum", "weight_decay", "crop", "flip"];
    let training = Reader::new(table, origin, "training", known)?;
    let epochs = training.whole("epochs", 1, MOST_EPOCHS)?;
    Ok(SettingsSpec {
        epochs: epochs.ok_or_else(|| training.missing("epochs", "a whole number"))? as usize,
        batch: training.whole("batch", 2, MOST_BATCH)?.unwrap_or(128) as usize,
        rate: training.expression("rate")?.ok_or_else(|| training.missing("rate", "a learning rate above 0"))?,
        halve_every: training.whole("halve_every", 0, MOST_EPOCHS)?.unwrap_or(30) as usize,
        momentum: training
            .number("momentum", "must be a number from 0 to 1, without 1", |momentum| (0.0..1.0).contains(&momentum))?
            .unwrap_or(0.9),
        weight_decay: training
            .number("weight_decay", "must be a number of at least 0", |decay| decay >= 0.0)?
            .unwrap_or(0.0),
        crop: training.whole("crop", 0, 1 << 20)?.unwrap_or(0) as usize,
        flip: training.boolean("flip")?.unwrap_or(false),
    })
}

fn read_methods(reader: &Reader<'_>, origin: &Origin) -> Result<Vec<MethodSpec>, SpecError> {
    let tables = reader.tables("method", "must be tables, [[method]]")?;
    let mut methods: Vec<MethodSpec> = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let method = read_method(table, origin, &format!("method.{index}"))?;
        if methods.iter().any(|other| other.label == method.label) {
            let key = format!("method.{index}.label");
            return Err(origin.error(&key, &method.label, "must differ from the other methods' labels"));
        }
        methods.push(method);
    }
    if methods.is_empty() {
        methods.push(read_method(&Table::from_iter([("objective".into(), "plain".into())]), origin, "method")?);
    }
    Ok(methods)
}

fn read_method(table: &Table, origin: &Origin, path: &str) -> Result<MethodSpec, SpecError> {
    const CHOICES: [&str; 3] = ["norm", "steps", "strength"];
    let reader = Reader::new(table, origin, path, &[&["label", "objective"], &CHOICES[..]].concat())?;
    let objective = reader.required_string("objective")?;
    let kind = Objective::KINDS.iter().find(|kind| kind.name == objective).ok_or_else(|| {
        let known: Vec<&str> = Objective::KINDS.iter().map(|kind| kind.name).collect();
        reader.refuse("objective", unknown("objective", objective, &known))
    })?;
    let has = |key: &str| kind.keys.contains(&key);
    if let Some(key) = CHOICES.iter().find(|key| reader.has(key) && !has(key)) {
        return Err(reader.refuse(key, format!("does not go with objective = \"{objective}\"")));
    }
    let norm = || -> Result<Norm, SpecError> {
        let allowed = "must be a number of at least 1, or \"inf\"";
        match reader.value("norm") {
            None => Err(reader.missing("norm", &allowed[8..])),
            Some(Value::String(word)) if word == "inf" => Ok(Norm::INFINITY),
            Some(value) => as_number(value).and_then(Norm::new).ok_or_else(|| reader.refuse("norm", allowed)),
        }
    };
    let mut choices = Choices::default();
    if has("norm") {
        choices.norm = norm()?;
    }
    if has("steps") {
        choices.steps = reader.whole("steps", 1, 10_000)?.map_or(choices.steps, |steps| steps as usize);
    }
    let strength = if has("strength") {
        reader.expression("strength")?.ok_or_else(|| reader.missing("strength", "a size of attack, ε"))?
    } else {
        Expression::number(0.0)
    };
    let label = reader.string("label")?.unwrap_or(objective).into();
    Ok(MethodSpec { label, kind, choices, strength, path: path.into() })
}
