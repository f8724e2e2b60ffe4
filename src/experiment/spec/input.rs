//! The `[input]` table: where inputs and labels come from.

use toml::Value;

use crate::data::ResizeFilter;
use crate::experiment::expression::Expression;
use crate::experiment::reader::{Origin, Reader, SpecError, as_whole};
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
    /// CIFAR-10 in the binary layout.
    Cifar10 {
        /// Folder or archive; without it the experiment cannot run.
        path: Option<String>,
        /// Side to resize to.
        resize: Option<Expression>,
        /// How.
        filter: ResizeFilter,
    },
    /// An array of samples.
    Npy {
        /// The file.
        path: Option<String>,
    },
}

impl InputDistribution {
    /// The path of the data where the distribution reads any: `None` for none, `Some(None)` for one not given.
    pub fn path(&self) -> Option<Option<&str>> {
        match self {
            Self::Cifar10 { path, .. } | Self::Npy { path } => Some(path.as_deref()),
            _ => None,
        }
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
    let known = &["distribution", "label", "batch", "path", "resize", "resize_filter", "low", "high", "value"];
    let input = Reader::new(table, origin, "input", known)?;
    let kind = input.string("distribution")?.unwrap_or("gaussian");
    let keys: &[&str] = match kind {
        "gaussian" => &[],
        "uniform" => &["low", "high"],
        "constant" => &["value"],
        "cifar10" => &["path", "resize", "resize_filter"],
        "npy" => &["path"],
        _ => return Err(input.refuse("distribution", "must be gaussian, uniform, constant, cifar10 or npy")),
    };
    let stray = |key: &&&str| input.has(key) && !keys.contains(*key);
    if let Some(key) = known[3..].iter().find(stray) {
        return Err(input.refuse(key, format!("does not go with distribution = \"{kind}\"")));
    }
    // Inputs are in single precision.
    let single = |number: f64| (number as f32).is_finite();
    let number =
        |key, default| Ok(input.number(key, "must be a number within single precision", single)?.unwrap_or(default));
    let path = input.string("path")?.map(str::to_owned);
    let distribution = match kind {
        "uniform" => InputDistribution::Uniform { low: number("low", 0.0)?, high: number("high", 1.0)? },
        "constant" => InputDistribution::Constant(number("value", 1.0)?),
        "cifar10" => InputDistribution::Cifar10 {
            path,
            resize: input.expression("resize")?,
            filter: read_resize_filter(&input)?,
        },
        "npy" => InputDistribution::Npy { path },
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
    let label = read_label(&input, distribution.path().is_some())?;
    let batch = input.whole("batch", 1, MOST_BATCH)?.map_or(DEFAULT_BATCH, |batch| batch as usize);
    Ok(InputSpec { distribution, label, batch })
}

/// Reads how images are resized, which goes with the side that they are resized to.
///
/// # Errors
/// A filter that there is not, or one without a side.
pub fn read_resize_filter(reader: &Reader<'_>) -> Result<ResizeFilter, SpecError> {
    let key = "resize_filter";
    let filter = reader.word(key, ResizeFilter::names(), ResizeFilter::named)?;
    if filter.is_some() && !reader.has("resize") {
        return Err(reader.refuse(key, "goes with resize, the side of the images"));
    }
    Ok(filter.unwrap_or_default())
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
