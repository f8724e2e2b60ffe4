//! The entries of `layers`: which layers, with sizes that may depend on the sweep variables.

use toml::{Table, Value};

use super::expression::Expression;
use super::reader::{Origin, Reader, SpecError, as_number, text_of, unknown};
use crate::network::{
    BatchNorm, Flatten, GlobalAveragePool, GlobalMaxPool, Layer, Normalise, PaddingMode, Relu, Statistics,
};

/// One entry of `layers`.
#[derive(Debug, Clone)]
pub enum LayerSpec {
    /// A layer without sizes: relu, flatten, the global pools.
    Plain(Layer),
    /// `{ type = "dense", units, bias }`
    Dense {
        /// Output units.
        units: Expression,
        /// Whether there are biases.
        bias: bool,
    },
    /// `{ type = "conv", channels, kernel, stride, padding, dilation, padding_mode, bias }`
    Conv {
        /// Output channels.
        channels: Expression,
        /// How the kernel slides.
        window: WindowSpec,
        /// Whether there are biases.
        bias: bool,
    },
    /// `{ type = "avg-pool", size, stride }`
    AveragePool(WindowSpec),
    /// `{ type = "max-pool", size, stride }`
    MaxPool(WindowSpec),
    /// `{ type = "weight-pool", size, stride }`
    WeightPool(WindowSpec),
    /// `{ type = "batch-norm", statistics, epsilon }`
    BatchNorm {
        /// Whose mean and variance, where the layer says.
        statistics: Option<Statistics>,
        /// What is added to the variance.
        epsilon: f64,
    },
    /// `{ type = "normalise", mean, std }`: the constants where the layer says, for each channel or one for all.
    Normalise(Option<Normalise>),
    /// `{ type = "residual", layers, projection }`
    Residual {
        /// The branch.
        layers: Vec<LayerSpec>,
        /// The other arm; none for the identity.
        projection: Vec<LayerSpec>,
    },
    /// `{ type = "repeat", times, layers }`: the layers, so many times over.
    Repeat {
        /// How often.
        times: Expression,
        /// What.
        layers: Vec<LayerSpec>,
    },
}

/// A sliding window whose sizes may depend on the sweep variables.
#[derive(Debug, Clone)]
pub struct WindowSpec {
    /// The key that holds the size, for error messages.
    pub size_key: &'static str,
    /// Pixels along each side.
    pub size: Expression,
    /// Pixels between two places.
    pub stride: Expression,
    /// Pixels between two taps.
    pub dilation: Expression,
    /// Pixels added on every side.
    pub padding: Expression,
    /// What they hold.
    pub mode: PaddingMode,
}

/// Reads the list of layers under the key `layers`.
///
/// # Errors
/// The first layer or key that is not allowed.
pub fn read_layers(reader: &Reader<'_>, origin: &Origin) -> Result<Vec<LayerSpec>, SpecError> {
    read_list(reader, origin, "layers")?
        .ok_or_else(|| reader.missing("layers", "a list of tables, such as [{ type = \"dense\", units = 10 }]"))
}

/// Reads a list of layers, or one alone; `None` where there is none.
fn read_list(reader: &Reader<'_>, origin: &Origin, key: &str) -> Result<Option<Vec<LayerSpec>>, SpecError> {
    let path = reader.path_of(key);
    let allowed = "must be a list of tables, such as [{ type = \"dense\", units = 10 }]";
    let tables = match reader.value(key) {
        Some(Value::Table(alone)) => vec![alone],
        _ => reader.tables(key, allowed)?,
    };
    let read = |(index, table)| read_layer(table, origin, &format!("{path}.{index}"));
    let layers = tables.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok((!layers.is_empty()).then_some(layers))
}

fn read_layer(table: &Table, origin: &Origin, path: &str) -> Result<LayerSpec, SpecError> {
    let types = &[Layer::NAMES, &["repeat"]].concat();
    let Some(kind) = table.get("type") else {
        return Err(origin.error(&format!("{path}.type"), "", format!("is missing; must be {}", types.join(", "))));
    };
    let name = kind.as_str().unwrap_or_default();
    let keys: &[&str] = match name {
        "dense" => &["type", "units", "bias"],
        "conv" => &["type", "channels", "kernel", "stride", "padding", "dilation", "padding_mode", "bias"],
        "avg-pool" | "max-pool" | "weight-pool" => &["type", "size", "stride"],
        "batch-norm" => &["type", "statistics", "epsilon"],
        "normalise" => &["type", "mean", "std"],
        "residual" => &["type", "layers", "projection"],
        "relu" | "flatten" | "global-avg-pool" | "global-max-pool" => &["type"],
        "repeat" => &["type", "times", "layers"],
        _ => {
            let message = unknown("layer type", name, types);
            return Err(origin.error(&format!("{path}.type"), &text_of(kind), message));
        }
    };
    let reader = Reader::new(table, origin, path, keys)?;
    let bias = || Ok::<_, SpecError>(reader.boolean("bias")?.unwrap_or(false));
    Ok(match name {
        "dense" => LayerSpec::Dense { units: required(&reader, "units")?, bias: bias()? },
        "conv" => LayerSpec::Conv {
            channels: required(&reader, "channels")?,
            window: read_window(&reader, "kernel", Expression::number(1.0))?,
            bias: bias()?,
        },
        "avg-pool" => LayerSpec::AveragePool(read_window(&reader, "size", required(&reader, "size")?)?),
        "max-pool" => LayerSpec::MaxPool(read_window(&reader, "size", required(&reader, "size")?)?),
        "weight-pool" => LayerSpec::WeightPool(read_window(&reader, "size", required(&reader, "size")?)?),
        "batch-norm" => read_batch_norm(&reader)?,
        "normalise" => LayerSpec::Normalise(read_constants(&reader)?),
        "residual" => LayerSpec::Residual {
            layers: read_layers(&reader, origin)?,
            projection: read_list(&reader, origin, "projection")?.unwrap_or_default(),
        },
        "repeat" => LayerSpec::Repeat { times: required(&reader, "times")?, layers: read_layers(&reader, origin)? },
        "flatten" => LayerSpec::Plain(Flatten.into()),
        "global-avg-pool" => LayerSpec::Plain(GlobalAveragePool.into()),
        "global-max-pool" => LayerSpec::Plain(GlobalMaxPool.into()),
        _ => LayerSpec::Plain(Relu.into()),
    })
}

fn read_batch_norm(reader: &Reader<'_>) -> Result<LayerSpec, SpecError> {
    let statistics = match reader.string("statistics")? {
        None => None,
        Some("batch") => Some(Statistics::Batch),
        Some("running") => Some(Statistics::Running),
        Some(_) => return Err(reader.refuse("statistics", "must be batch or running")),
    };
    let epsilon = reader.number("epsilon", "must be a number above 0", |epsilon| epsilon > 0.0)?;
    Ok(LayerSpec::BatchNorm { statistics, epsilon: epsilon.unwrap_or(BatchNorm::USUAL_EPSILON) })
}

/// Means and standard deviations, or neither.
fn read_constants(reader: &Reader<'_>) -> Result<Option<Normalise>, SpecError> {
    let allowed = "a number, or a list of one for each channel";
    let numbers = |key: &str| -> Result<Option<Vec<f64>>, SpecError> {
        let one = |value: &Value| as_number(value).filter(|number| number.is_finite());
        let numbers = match reader.value(key) {
            None => return Ok(None),
            Some(Value::Array(list)) if !list.is_empty() => list.iter().map(one).collect::<Option<Vec<f64>>>(),
            Some(value) => one(value).map(|number| vec![number]),
        };
        numbers.map(Some).ok_or_else(|| reader.refuse(key, format!("must be {allowed}")))
    };
    match (numbers("mean")?, numbers("std")?) {
        (Some(mean), Some(std)) if std.iter().all(|&std| std > 0.0) => Ok(Some(Normalise { mean, std })),
        (Some(_), Some(_)) => Err(reader.refuse("std", "must be above 0")),
        (Some(_), None) => Err(reader.missing("std", allowed)),
        (None, Some(_)) => Err(reader.missing("mean", allowed)),
        (None, None) => Ok(None),
    }
}

fn required(reader: &Reader<'_>, key: &str) -> Result<Expression, SpecError> {
    reader.expression(key)?.ok_or_else(|| reader.missing(key, "a whole number or an expression"))
}

fn read_window(reader: &Reader<'_>, size_key: &'static str, stride: Expression) -> Result<WindowSpec, SpecError> {
    let mode = match reader.string("padding_mode")? {
        None | Some("zeros") => PaddingMode::Zeros,
        Some("reflect") => PaddingMode::Reflect,
        Some("circular") => PaddingMode::Circular,
        Some(_) => return Err(reader.refuse("padding_mode", "must be zeros, reflect or circular")),
    };
    Ok(WindowSpec {
        size_key,
        size: required(reader, size_key)?,
        stride: reader.expression("stride")?.unwrap_or(stride),
        dilation: reader.expression("dilation")?.unwrap_or_else(|| Expression::number(1.0)),
        padding: reader.expression("padding")?.unwrap_or_else(|| Expression::number(0.0)),
        mode,
    })
}
