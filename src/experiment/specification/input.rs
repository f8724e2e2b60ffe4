//! The `[input]` table: where inputs and labels come from.

use toml::Value;

use super::reader::{Origin, Reader, SpecError, as_whole};
use super::samples::{SAMPLE_KEYS, SamplesSpec, Set, part_named};
use crate::data::Split;
use crate::short::short;

/// The `[input]` table.
#[derive(Debug, Clone)]
pub struct InputSpec {
    /// Where inputs come from.
    pub distribution: InputDistribution,
    /// How labels are chosen.
    pub label: LabelSpec,
    /// Inputs that run together where a layer normalises by the statistics of its batch.
    pub batch: usize,
}

impl InputSpec {
    /// The same without the places where files of samples lie.
    pub(in crate::experiment) fn without_paths(&self) -> Self {
        let mut input = self.clone();
        if let InputDistribution::Samples { set, .. } = &mut input.distribution {
            *set = set.without_paths();
        }
        input
    }
}

impl Default for InputSpec {
    /// Gaussian inputs and random labels.
    fn default() -> Self {
        Self { distribution: InputDistribution::Gaussian, label: LabelSpec::Random, batch: DEFAULT_BATCH }
    }
}

/// Inputs that run together unless the spec says otherwise.
const DEFAULT_BATCH: usize = 16;
const MOST_BATCH: i64 = 1 << 20;

/// Where inputs come from.
#[derive(Debug, Clone)]
pub enum InputDistribution {
    /// Standard normal coordinates.
    Gaussian,
    /// Uniform on [low, high).
    Uniform {
        /// Smallest value.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Every coordinate the same.
    Constant(f64),
    /// A set of samples, each drawn with the same probability.
    Samples {
        /// The set.
        set: SamplesSpec,
        /// The part of it; unless given those for training, of CIFAR-10 the part that the path names.
        part: Option<Split>,
    },
}

impl InputDistribution {
    /// Whether data is needed of which no path was given.
    pub fn lacks_path(&self) -> bool {
        matches!(self, Self::Samples { set, .. } if set.lacks_path())
    }
}

/// How labels are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelSpec {
    /// Uniform over the logits.
    Random,
    /// This index.
    Fixed(usize),
    /// The data's own label.
    True,
}

pub(super) fn read_input(reader: &Reader<'_>, origin: &Origin) -> Result<InputSpec, SpecError> {
    let Some(table) = reader.table("input")? else { return Ok(InputSpec::default()) };
    let of_laws = &["low", "high", "value", "part"];
    let known = [&["distribution", "label", "batch"][..], of_laws, SAMPLE_KEYS].concat();
    let input = Reader::new(table, origin, "input", &known)?;
    let kind = input.string("distribution")?.unwrap_or("gaussian");
    let set = Set::named(kind);
    let keys: &[&str] = match kind {
        "gaussian" => &[],
        "uniform" => &["low", "high"],
        "constant" => &["value"],
        "npy" => &[],
        _ if set.is_some() => &["part"],
        _ => {
            let sets: Vec<&str> = Set::names().collect();
            let message = format!("must be gaussian, uniform, constant, or samples: {}", sets.join(", "));
            return Err(input.refuse("distribution", message));
        }
    };
    let others: &[&str] = if set.is_some() { &[] } else { SAMPLE_KEYS };
    let stray = |key: &&&str| input.has(key) && !keys.contains(*key);
    if let Some(key) = of_laws.iter().chain(others).find(stray) {
        return Err(input.refuse(key, format!("does not go with distribution = \"{kind}\"")));
    }
    // Inputs are in single precision.
    let single = |number: f64| (number as f32).is_finite();
    let number =
        |key, default| Ok(input.number(key, "must be a number within single precision", single)?.unwrap_or(default));
    let distribution = match (kind, set) {
        ("uniform", _) => InputDistribution::Uniform { low: number("low", 0.0)?, high: number("high", 1.0)? },
        ("constant", _) => InputDistribution::Constant(number("value", 1.0)?),
        (_, Some(set)) => InputDistribution::Samples {
            set: SamplesSpec::read(&input, "distribution", kind, set)?,
            part: input.word("part", ["train", "test"].into_iter(), part_named)?,
        },
        _ => InputDistribution::Gaussian,
    };
    match distribution {
        InputDistribution::Uniform { low, high } if low as f32 >= high as f32 => {
            return Err(input.complain("high", &short(high), format!("must be above low = {}", short(low))));
        }
        InputDistribution::Constant(value) if value as f32 == 0.0 => {
            return Err(input.refuse("value", "must not be 0: a bias-free network has no gradient at the origin"));
        }
        _ => {}
    }
    let label = read_label(&input, matches!(distribution, InputDistribution::Samples { .. }))?;
    let batch = input.whole("batch", 1, MOST_BATCH)?.map_or(DEFAULT_BATCH, |batch| batch as usize);
    Ok(InputSpec { distribution, label, batch })
}

fn read_label(input: &Reader<'_>, has_data: bool) -> Result<LabelSpec, SpecError> {
    let allowed = "must be random, an index of a logit from 0, or, for real images, true";
    match input.value("label") {
        None => Ok(LabelSpec::Random),
        Some(Value::String(word)) if word == "random" => Ok(LabelSpec::Random),
        Some(Value::String(word)) if word == "true" && has_data => Ok(LabelSpec::True),
        Some(Value::Boolean(true)) if has_data => Ok(LabelSpec::True),
        Some(value) => {
            let index = as_whole(value).and_then(|index| usize::try_from(index).ok());
            index.map(LabelSpec::Fixed).ok_or_else(|| input.refuse("label", allowed))
        }
    }
}
