//! The key `init`, of a network or of one layer: the law of weights and biases, before the sweep variables are known.

use toml::Value;

use super::expression::Expression;
use super::reader::{Origin, Reader, SpecError};
use crate::network::WeightDistribution;

/// The law of the weights.
#[derive(Debug, Clone)]
pub struct InitSpec {
    /// Shape of the law.
    pub distribution: WeightDistribution,
    /// Variance of the weights.
    pub variance: VarianceSpec,
    /// Variance of the biases, an expression of `fan_in`, `fan_out` and the sweep variables.
    pub bias_variance: Option<Expression>,
    /// Mean of the biases, an expression of the sweep variables; breaks H1.
    pub bias_mean: Option<Expression>,
    /// Correlation of weights that enter one unit, an expression of the sweep variables; breaks H5.
    pub unit_correlation: Option<Expression>,
    /// Whether layers of one shape share their weights; breaks H4.
    pub shared: bool,
}

impl InitSpec {
    /// Independent weights of this law, and no biases.
    pub(super) fn of(distribution: WeightDistribution, variance: VarianceSpec) -> Self {
        Self { distribution, variance, bias_variance: None, bias_mean: None, unit_correlation: None, shared: false }
    }
}

/// Variance of the weights of a layer.
#[derive(Debug, Clone)]
pub enum VarianceSpec {
    /// 2/fan-in before a ReLU, otherwise by the factor of the activation, and the output gain (1 unless given)/fan-in in the last layer.
    He,
    /// 2/(fan-in + fan-out).
    Xavier,
    /// An expression of `fan_in`, `fan_out` and the sweep variables.
    Formula(Expression),
}

/// Keys of an `init` table of a network.
pub(super) const INIT_KEYS: &[&str] =
    &["scheme", "variance", "bias_variance", "bias_mean", "unit_correlation", "shared"];

/// Keys of an `init` table of a layer.
pub(super) const LAYER_INIT_KEYS: &[&str] = &["scheme", "variance", "bias_variance"];

/// Reads the law of weights under the key `init`, a table with these keys at most.
pub(super) fn read_init(reader: &Reader<'_>, origin: &Origin, known: &[&str]) -> Result<InitSpec, SpecError> {
    use WeightDistribution::{Normal, Orthogonal, Rademacher, Uniform};
    let named = |distribution, variance| Ok(InitSpec::of(distribution, variance));
    let schemes = "he-normal, he-uniform, he-rademacher, xavier-normal, orthogonal";
    match reader.value("init") {
        None => named(Normal, VarianceSpec::He),
        Some(Value::String(name)) => match name.as_str() {
            "he-normal" => named(Normal, VarianceSpec::He),
            "he-uniform" => named(Uniform, VarianceSpec::He),
            "he-rademacher" => named(Rademacher, VarianceSpec::He),
            "xavier-normal" => named(Normal, VarianceSpec::Xavier),
            "orthogonal" => named(Orthogonal, VarianceSpec::He),
            _ => Err(reader.refuse("init", format!("must be {schemes}, or a table {{ scheme, variance }}"))),
        },
        Some(Value::Table(table)) => {
            let path = reader.path_of("init");
            let init = Reader::new(table, origin, &path, known)?;
            let distribution = match init.required_string("scheme")? {
                "normal" => Normal,
                "uniform" => Uniform,
                "rademacher" => Rademacher,
                "orthogonal" => Orthogonal,
                _ => return Err(init.refuse("scheme", "must be normal, uniform, rademacher or orthogonal")),
            };
            let formula = "an expression of fan_in, fan_out and the sweep variables, such as \"2 / fan_in^1.5\"";
            let variance = init.expression("variance")?.ok_or_else(|| init.missing("variance", formula))?;
            Ok(InitSpec {
                bias_variance: init.expression("bias_variance")?,
                bias_mean: init.expression("bias_mean")?,
                unit_correlation: init.expression("unit_correlation")?,
                shared: init.boolean("shared")?.unwrap_or(false),
                ..InitSpec::of(distribution, VarianceSpec::Formula(variance))
            })
        }
        Some(_) => Err(reader.refuse("init", format!("must be {schemes}, or a table {{ scheme, variance }}"))),
    }
}
