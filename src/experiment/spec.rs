//! The one place that parses specs: from TOML to checked types.
//!
//! What can be checked without the sweep variables is checked here; [`super::point`] checks the rest at every sweep
//! point, before anything is sampled or written.

use toml::{Table, Value};

use super::claim::ClaimSpec;
use super::expression::{Expression, Variables};
use super::reader::{Origin, Reader, SpecError, unknown};
use crate::network::WeightDistribution;
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

const DEFAULT_DRAWS: i64 = 4000;
const DEFAULT_MAX_DRAWS: i64 = 1_000_000;
const MOST_DRAWS: i64 = 1_000_000_000_000;
const MOST_POINTS: usize = 100_000;

/// An experiment: networks, what is swept and measured, and the claims to judge.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Also the name of the results' folder.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Theorem, section or paper.
    pub source: String,
    /// The claim in words and formulas, with its assumptions.
    pub explanation: String,
    /// How long the experiment takes on two cores, in seconds, where its author says so.
    pub seconds: Option<f64>,
    /// Seed of all random numbers.
    pub seed: u64,
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
    pub claims: Vec<ClaimSpec>,
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

/// The `[input]` table.
#[derive(Debug, Clone)]
pub struct InputSpec {
    /// Where inputs come from.
    pub distribution: InputDistribution,
    /// How labels are chosen.
    pub label: LabelSpec,
}

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

/// A `[[network]]` table.
#[derive(Debug, Clone)]
pub struct NetworkSpec {
    /// Its name in results and claims.
    pub label: String,
    /// Sizes of one input.
    pub input: Vec<Expression>,
    /// The law of the weights.
    pub init: InitSpec,
    /// Variance × fan-in of the last layer.
    pub output_gain: Option<Expression>,
    /// The layers.
    pub layers: Vec<LayerSpec>,
    /// Which sampler draws it.
    pub sampler: SamplerChoice,
    /// Its dotted key, for error messages.
    pub path: String,
}

/// The law of the weights.
#[derive(Debug, Clone)]
pub struct InitSpec {
    /// Shape of the law.
    pub distribution: WeightDistribution,
    /// Variance of the weights.
    pub variance: VarianceSpec,
    /// Variance of the biases, an expression of `fan_in`, `fan_out` and the sweep variables.
    pub bias_variance: Option<Expression>,
}

/// Variance of the weights of a layer.
#[derive(Debug, Clone)]
pub enum VarianceSpec {
    /// 2/fan-in, and the output gain (1 unless given)/fan-in in the last layer.
    He,
    /// 2/(fan-in + fan-out).
    Xavier,
    /// An expression of `fan_in`, `fan_out` and the sweep variables.
    Formula(Expression),
}

/// One entry of `layers`.
#[derive(Debug, Clone)]
pub enum LayerSpec {
    /// `{ type = "dense", units, bias }`
    Dense {
        /// Output units.
        units: Expression,
        /// Whether there are biases.
        bias: bool,
    },
    /// `{ type = "relu" }`
    Relu,
    /// `{ type = "flatten" }`
    Flatten,
    /// `{ type = "repeat", times, layers }`: the layers, so many times over.
    Repeat {
        /// How often.
        times: Expression,
        /// What.
        layers: Vec<LayerSpec>,
    },
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

impl Spec {
    /// Checks a spec that was read as TOML.
    ///
    /// # Errors
    /// The first thing that is wrong, with its key.
    pub fn from_table(table: &Table, origin: Origin) -> Result<Self, SpecError> {
        let reader = Reader::new(table, &origin, "", KEYS)?;
        let name = reader.required_string("name")?;
        if name.is_empty()
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            || name.starts_with('.')
        {
            return Err(
                reader.refuse("name", "must be letters, digits, hyphens, underscores and dots: it names a folder")
            );
        }
        let sweep = read_sweep(&reader, &origin)?;
        let sampler = read_sampler(&reader)?.unwrap_or(SamplerChoice::Auto);
        let networks = read_networks(&reader, &origin, sampler)?;
        let observables = read_observables(&reader)?;
        let input = read_input(&reader, &origin)?;
        let claims = reader.tables("claim", "must be tables, [[claim]]")?;
        let claims = claims.iter().enumerate().map(|(index, table)| {
            ClaimSpec::read(table, &origin, &format!("claim.{index}"), &networks, &observables, &sweep)
        });
        let mut spec = Self {
            name: name.into(),
            title: reader.string("title")?.unwrap_or(name).into(),
            source: reader.string("source")?.unwrap_or_default().into(),
            explanation: reader.string("explanation")?.unwrap_or_default().trim().into(),
            seconds: reader.number("seconds", "must be a number above 0", |seconds| seconds > 0.0)?,
            // Within the limits of `whole`, so not negative.
            seed: reader.whole("seed", 0, i64::MAX)?.unwrap_or(1).cast_unsigned(),
            rule: read_rule(&reader)?,
            family_error: reader
                .number("family_error", "must be a number between 0 and 0.5", |rate| rate > 0.0 && rate < 0.5)?
                .unwrap_or(1e-3),
            claims: claims.collect::<Result<_, _>>()?,
            observables,
            sweep,
            input,
            networks,
            resolved: table.clone(),
            origin: origin.clone(),
        };
        reader.string("version")?;
        spec.resolve();
        Ok(spec)
    }

    /// Fills the defaults into the table that is saved with the results.
    fn resolve(&mut self) {
        let version = Value::String(env!("CARGO_PKG_VERSION").into());
        self.resolved.insert("version".into(), version);
        self.resolved.insert("seed".into(), Value::Integer(self.seed.cast_signed()));
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

fn read_observables(reader: &Reader<'_>) -> Result<Vec<(String, Observable)>, SpecError> {
    let allowed = "must be a list of names such as \"loss.l1\"";
    let names = reader.strings("observables", allowed)?.ok_or_else(|| reader.missing("observables", &allowed[8..]))?;
    if names.is_empty() {
        return Err(reader.refuse("observables", allowed));
    }
    let mut observables: Vec<(String, Observable)> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let key = format!("observables.{index}");
        let observable = name
            .parse()
            .map_err(|_| reader.complain(&key, name, format!("unknown observable; must be {}", Observable::ALLOWED)))?;
        if observables.iter().any(|(known, _)| known == name) {
            return Err(reader.complain(&key, name, "must stand only once"));
        }
        observables.push(((*name).into(), observable));
    }
    Ok(observables)
}

fn read_sweep(reader: &Reader<'_>, origin: &Origin) -> Result<Sweep, SpecError> {
    let Some(table) = reader.table("sweep")? else { return Ok(Sweep::default()) };
    let names: Vec<&str> = table.keys().map(String::as_str).collect();
    let sweep = Reader::new(table, origin, "sweep", &names)?;
    let mut grid = Vec::new();
    for name in names {
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain || ["dimension", "fan_in", "fan_out", "e", "E", "PI", "TAU"].contains(&name) {
            return Err(sweep.refuse(
                name,
                "is not a name for a variable: must be letters, digits and underscores, and not dimension, fan_in, \
                 fan_out or a constant (e, E, PI, TAU)",
            ));
        }
        let allowed = "must be a list of different numbers, at least one";
        let values = sweep.array(name, allowed)?.unwrap_or_default();
        let number = |value: &Value| value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
        let numbers: Option<Vec<f64>> = values.iter().map(number).collect();
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

fn read_input(reader: &Reader<'_>, origin: &Origin) -> Result<InputSpec, SpecError> {
    let gaussian = InputSpec { distribution: InputDistribution::Gaussian, label: LabelSpec::Random };
    let Some(table) = reader.table("input")? else { return Ok(gaussian) };
    let known = &["distribution", "label", "path", "resize", "low", "high", "value"];
    let input = Reader::new(table, origin, "input", known)?;
    let kind = input.string("distribution")?.unwrap_or("gaussian");
    let keys: &[&str] = match kind {
        "gaussian" => &[],
        "uniform" => &["low", "high"],
        "constant" => &["value"],
        "cifar10" => &["path", "resize"],
        "npy" => &["path"],
        _ => return Err(input.refuse("distribution", "must be gaussian, uniform, constant, cifar10 or npy")),
    };
    let stray = |key: &&&str| input.has(key) && !keys.contains(*key);
    if let Some(key) = known[2..].iter().find(stray) {
        return Err(input.refuse(key, format!("does not go with distribution = \"{kind}\"")));
    }
    let number = |key, default| Ok(input.number(key, "must be a number", |_| true)?.unwrap_or(default));
    let path = input.string("path")?.map(str::to_owned);
    let distribution = match kind {
        "uniform" => InputDistribution::Uniform { low: number("low", 0.0)?, high: number("high", 1.0)? },
        "constant" => InputDistribution::Constant(number("value", 1.0)?),
        "cifar10" => InputDistribution::Cifar10 { path, resize: input.expression("resize")? },
        "npy" => InputDistribution::Npy { path },
        _ => InputDistribution::Gaussian,
    };
    match distribution {
        InputDistribution::Uniform { low, high } if low >= high => {
            return Err(input.complain("high", &high.to_string(), format!("must be above low = {low}")));
        }
        InputDistribution::Constant(0.0) => {
            return Err(input.refuse("value", "must not be 0: a bias-free network has no gradient at the origin"));
        }
        _ => {}
    }
    let label = read_label(&input, distribution.path().is_some())?;
    Ok(InputSpec { distribution, label })
}

fn read_label(input: &Reader<'_>, has_data: bool) -> Result<LabelSpec, SpecError> {
    let allowed = "must be random, an index of a logit from 0, or, for real images, true";
    match input.value("label") {
        None => Ok(LabelSpec::Random),
        Some(Value::String(word)) if word == "random" => Ok(LabelSpec::Random),
        Some(Value::String(word)) if word == "true" && has_data => Ok(LabelSpec::True),
        Some(Value::Boolean(true)) if has_data => Ok(LabelSpec::True),
        Some(Value::Integer(index)) => {
            usize::try_from(*index).map(LabelSpec::Fixed).map_err(|_| input.refuse("label", allowed))
        }
        Some(_) => Err(input.refuse("label", allowed)),
    }
}

fn read_networks(reader: &Reader<'_>, origin: &Origin, default: SamplerChoice) -> Result<Vec<NetworkSpec>, SpecError> {
    let tables = reader.tables("network", "must be tables, [[network]]")?;
    if tables.is_empty() {
        return Err(reader.missing("network", "at least one table, [[network]]"));
    }
    let mut networks: Vec<NetworkSpec> = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let network = read_network(table, origin, &format!("network.{index}"), default)?;
        if networks.iter().any(|other| other.label == network.label) {
            let key = format!("network.{index}.label");
            return Err(origin.error(&key, &network.label, "must differ from the other networks' labels"));
        }
        networks.push(network);
    }
    Ok(networks)
}

fn read_network(table: &Table, origin: &Origin, path: &str, default: SamplerChoice) -> Result<NetworkSpec, SpecError> {
    let known = &["label", "input", "init", "output_gain", "layers", "sampler"];
    let reader = Reader::new(table, origin, path, known)?;
    let allowed = "must be a list of sizes, such as [\"d\"] or [3, \"side\", \"side\"]";
    let input = reader.array("input", allowed)?.ok_or_else(|| reader.missing("input", &allowed[8..]))?;
    let size = |(index, value)| reader.expression_of(&format!("input.{index}"), value);
    let input = input.iter().enumerate().map(size).collect::<Result<Vec<_>, _>>()?;
    if input.is_empty() {
        return Err(reader.refuse("input", allowed));
    }
    Ok(NetworkSpec {
        label: reader.string("label")?.unwrap_or("network").into(),
        input,
        init: read_init(&reader, origin)?,
        output_gain: reader.expression("output_gain")?,
        layers: read_layers(&reader, origin, path)?,
        sampler: read_sampler(&reader)?.unwrap_or(default),
        path: path.into(),
    })
}

fn read_init(reader: &Reader<'_>, origin: &Origin) -> Result<InitSpec, SpecError> {
    use WeightDistribution::{Normal, Rademacher, Uniform};
    let named = |distribution, variance| Ok(InitSpec { distribution, variance, bias_variance: None });
    let schemes = "he-normal, he-uniform, he-rademacher, xavier-normal";
    match reader.value("init") {
        None => named(Normal, VarianceSpec::He),
        Some(Value::String(name)) => match name.as_str() {
            "he-normal" => named(Normal, VarianceSpec::He),
            "he-uniform" => named(Uniform, VarianceSpec::He),
            "he-rademacher" => named(Rademacher, VarianceSpec::He),
            "xavier-normal" => named(Normal, VarianceSpec::Xavier),
            _ => Err(reader.refuse("init", format!("must be {schemes}, or a table {{ scheme, variance }}"))),
        },
        Some(Value::Table(table)) => {
            let path = reader.path_of("init");
            let init = Reader::new(table, origin, &path, &["scheme", "variance", "bias_variance"])?;
            let distribution = match init.required_string("scheme")? {
                "normal" => Normal,
                "uniform" => Uniform,
                "rademacher" => Rademacher,
                _ => return Err(init.refuse("scheme", "must be normal, uniform or rademacher")),
            };
            let formula = "an expression of fan_in, fan_out and the sweep variables, such as \"2 / fan_in^1.5\"";
            let variance = init.expression("variance")?.ok_or_else(|| init.missing("variance", formula))?;
            let bias_variance = init.expression("bias_variance")?;
            Ok(InitSpec { distribution, variance: VarianceSpec::Formula(variance), bias_variance })
        }
        Some(_) => Err(reader.refuse("init", format!("must be {schemes}, or a table {{ scheme, variance }}"))),
    }
}

fn read_layers(reader: &Reader<'_>, origin: &Origin, path: &str) -> Result<Vec<LayerSpec>, SpecError> {
    let allowed = "must be a list of tables, such as [{ type = \"dense\", units = 10 }]";
    let tables = reader.tables("layers", allowed)?;
    if tables.is_empty() {
        return Err(reader.missing("layers", &allowed[8..]));
    }
    let read = |(index, table)| read_layer(table, origin, &format!("{path}.layers.{index}"));
    tables.into_iter().enumerate().map(read).collect()
}

fn read_layer(table: &Table, origin: &Origin, path: &str) -> Result<LayerSpec, SpecError> {
    let types = &["dense", "relu", "flatten", "repeat"];
    let Some(kind) = table.get("type") else {
        return Err(origin.error(&format!("{path}.type"), "", format!("is missing; must be {}", types.join(", "))));
    };
    let keys: &[&str] = match kind.as_str() {
        Some("dense") => &["type", "units", "bias"],
        Some("relu" | "flatten") => &["type"],
        Some("repeat") => &["type", "times", "layers"],
        other => {
            let message = unknown("layer type", other.unwrap_or_default(), types);
            return Err(origin.error(&format!("{path}.type"), &kind.to_string(), message));
        }
    };
    let reader = Reader::new(table, origin, path, keys)?;
    let size = |key| reader.expression(key)?.ok_or_else(|| reader.missing(key, "a whole number or an expression"));
    match kind.as_str() {
        Some("dense") => Ok(LayerSpec::Dense { units: size("units")?, bias: reader.boolean("bias")?.unwrap_or(false) }),
        Some("repeat") => Ok(LayerSpec::Repeat { times: size("times")?, layers: read_layers(&reader, origin, path)? }),
        Some("flatten") => Ok(LayerSpec::Flatten),
        _ => Ok(LayerSpec::Relu),
    }
}

/// The variables of a point with its dimension, as claims see them.
pub fn with_dimension(variables: &Variables, dimension: usize) -> Vec<(String, f64)> {
    let mut all = variables.to_vec();
    all.push(("dimension".into(), dimension as f64));
    all
}
