//! Claims on trained networks, as training specs state them.

use toml::{Table, Value};

use super::measure::Measure;
use crate::experiment::expression::Expression;
use crate::experiment::reader::{Origin, Reader, SpecError, as_number, unknown};

/// A `[[claim]]` table of a training spec.
#[derive(Debug, Clone)]
pub struct TrainingClaim {
    /// The claim in words.
    pub statement: String,
    /// The network it speaks of; `None` for each.
    pub network: Option<String>,
    /// How far the truth may lie from the prediction: absolute for exponents, relative otherwise, unused elsewhere.
    pub tolerance: f64,
    /// The values of sweep variables that it speaks of, from lowest to highest.
    pub within: Vec<(String, [f64; 2])>,
    /// What it says.
    pub kind: TrainingClaimKind,
    /// Its dotted key, for error messages.
    pub path: String,
}

/// What a claim on trained networks says.
#[derive(Debug, Clone)]
pub enum TrainingClaimKind {
    /// observable ∝ (dimension, or a sweep variable)^exponent.
    Exponent {
        /// The observable.
        observable: String,
        /// `dimension`, or a sweep variable.
        against: String,
        /// The exponent.
        exponent: f64,
    },
    /// observable of the first network = factor × that of the second, in the geometric mean over points and repetitions.
    Ratio {
        /// The observable.
        observable: String,
        /// The two labels.
        networks: [String; 2],
        /// The factor.
        factor: Expression,
    },
    /// observable = value, in the geometric mean over a network's points and repetitions.
    Value {
        /// The observable.
        observable: String,
        /// The value, a formula of `dimension`.
        value: Expression,
    },
    /// first observable / second = value, in the geometric mean over a network's points and repetitions.
    Quotient {
        /// The two observables.
        observables: [String; 2],
        /// The value, a formula of `dimension`.
        value: Expression,
    },
    /// Spearman's rank correlation of two observables over all networks is at least this.
    RankCorrelation {
        /// The two observables.
        observables: [String; 2],
        /// The least correlation.
        at_least: f64,
    },
    /// observable of the first network < that of the second, in the mean.
    Less {
        /// The observable.
        observable: String,
        /// The two labels.
        networks: [String; 2],
    },
}

impl TrainingClaimKind {
    /// Its name in verdicts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exponent { .. } => "exponent",
            Self::Ratio { .. } => "ratio",
            Self::Value { .. } => "value",
            Self::Quotient { .. } => "quotient",
            Self::RankCorrelation { .. } => "rank_correlation",
            Self::Less { .. } => "less",
        }
    }
}

const KEYS: &[&str] = &[
    "statement",
    "network",
    "observable",
    "against",
    "exponent",
    "ratio",
    "factor",
    "quotient",
    "value",
    "rank_correlation",
    "at_least",
    "less",
    "tolerance",
    "within",
];

/// The key that says what kind of claim it is, and the keys that go with it.
const KINDS: &[(&str, &[&str])] = &[
    ("exponent", &["observable", "against", "network", "tolerance"]),
    ("ratio", &["observable", "factor", "tolerance"]),
    ("quotient", &["value", "network", "tolerance"]),
    ("rank_correlation", &["at_least"]),
    ("less", &["observable"]),
    // Last: a quotient has a value too.
    ("value", &["observable", "network", "tolerance"]),
];

pub(super) fn read_claims(
    reader: &Reader<'_>,
    origin: &Origin,
    observables: &[(String, Measure)],
    labels: &[String],
) -> Result<Vec<TrainingClaim>, SpecError> {
    let tables = reader.tables("claim", "must be tables, [[claim]]")?;
    let names = Names { observables: observables.iter().map(|(name, _)| name.as_str()).collect(), labels };
    let read = |(index, table)| read_claim(table, origin, &format!("claim.{index}"), &names);
    tables.into_iter().enumerate().map(read).collect()
}

/// What claims may speak of.
struct Names<'a> {
    observables: Vec<&'a str>,
    labels: &'a [String],
}

impl Names<'_> {
    fn observable(&self, reader: &Reader<'_>, key: &str, name: &str) -> Result<String, SpecError> {
        if self.observables.contains(&name) {
            return Ok(name.into());
        }
        Err(reader.complain(key, name, unknown("observable", name, &self.observables)))
    }

    fn label(&self, reader: &Reader<'_>, key: &str, name: &str) -> Result<String, SpecError> {
        if self.labels.iter().any(|label| label == name) {
            return Ok(name.into());
        }
        let known: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        Err(reader.complain(key, name, unknown("network", name, &known)))
    }
}

fn read_claim(table: &Table, origin: &Origin, path: &str, names: &Names<'_>) -> Result<TrainingClaim, SpecError> {
    let reader = Reader::new(table, origin, path, KEYS)?;
    let Some(&(kind, keys)) = KINDS.iter().find(|(kind, _)| reader.has(kind)) else {
        let all: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
        return Err(reader.complain_of_all(format!("must have one of the keys {}", all.join(", "))));
    };
    let stray = |key: &&&str| !["statement", "within", kind].contains(*key) && reader.has(key) && !keys.contains(*key);
    if let Some(key) = KEYS.iter().find(stray) {
        return Err(reader.refuse(key, format!("does not go with `{kind}`")));
    }
    let observable = || {
        let name = reader.required_string("observable")?;
        names.observable(&reader, "observable", name)
    };
    let pair = |of: &dyn Fn(&str) -> Result<String, SpecError>| -> Result<[String; 2], SpecError> {
        match reader.strings(kind, "must be a list of two names")?.as_deref() {
            Some(&[first, second]) => Ok([of(first)?, of(second)?]),
            _ => Err(reader.refuse(kind, "must be a list of two names")),
        }
    };
    let label = |name: &str| names.label(&reader, kind, name);
    let both = |name: &str| names.observable(&reader, kind, name);
    let formula = |key: &str| reader.expression(key)?.ok_or_else(|| reader.missing(key, "a number or an expression"));
    let number = |key: &str| -> Result<f64, SpecError> {
        reader.number(key, "must be a number", |_| true)?.ok_or_else(|| reader.missing(key, "a number"))
    };
    let claim = match kind {
        "exponent" => TrainingClaimKind::Exponent {
            observable: observable()?,
            against: reader.string("against")?.unwrap_or("dimension").into(),
            exponent: number("exponent")?,
        },
        "ratio" => TrainingClaimKind::Ratio {
            observable: observable()?,
            networks: pair(&label)?,
            factor: reader.expression("factor")?.unwrap_or_else(|| Expression::number(1.0)),
        },
        "value" => TrainingClaimKind::Value { observable: observable()?, value: formula("value")? },
        "quotient" => TrainingClaimKind::Quotient { observables: pair(&both)?, value: formula("value")? },
        "rank_correlation" => {
            TrainingClaimKind::RankCorrelation { observables: pair(&both)?, at_least: number("at_least")? }
        }
        _ => TrainingClaimKind::Less { observable: observable()?, networks: pair(&label)? },
    };
    let tolerance = reader.number("tolerance", "must be a number above 0", |tolerance| tolerance > 0.0)?;
    if keys.contains(&"tolerance") && tolerance.is_none() {
        return Err(reader.missing("tolerance", "a number above 0"));
    }
    let network = reader.string("network")?.map(|name| names.label(&reader, "network", name)).transpose()?;
    Ok(TrainingClaim {
        statement: reader.required_string("statement")?.into(),
        network,
        tolerance: tolerance.unwrap_or(0.0),
        within: read_within(&reader)?,
        kind: claim,
        path: path.into(),
    })
}

/// `within = { strength = [0.001, 0.01] }`.
fn read_within(reader: &Reader<'_>) -> Result<Vec<(String, [f64; 2])>, SpecError> {
    let Some(table) = reader.table("within")? else { return Ok(Vec::new()) };
    let range = |(name, value): (&String, &Value)| match value.as_array().map(Vec::as_slice) {
        Some([low, high]) => Some((name.clone(), [as_number(low)?, as_number(high)?])),
        _ => None,
    };
    let ranges: Option<Vec<_>> = table.iter().map(range).collect();
    ranges.ok_or_else(|| {
        reader.refuse("within", "must be a table of sweep variables, each with its [lowest, highest] value")
    })
}
