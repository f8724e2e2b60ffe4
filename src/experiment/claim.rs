//! Claims as specs state them: what is said of which observable of which network, and within which tolerance.

use toml::Table;

use super::expression::Expression;
use super::reader::{Origin, Reader, SpecError, unknown};
use super::results::Row;
use super::spec::{NetworkSpec, Sweep, with_dimension};
use crate::sampling::Observable;

/// A `[[claim]]` table.
#[derive(Debug, Clone)]
pub struct ClaimSpec {
    /// The claim in words.
    pub statement: String,
    /// The network it speaks of; `None` for each network.
    pub network: Option<String>,
    /// The observable it speaks of.
    pub observable: String,
    /// How far the truth may lie from the prediction: absolute for exponents and distances, relative otherwise.
    pub tolerance: f64,
    /// What it says.
    pub kind: ClaimKind,
    /// Its dotted key, for error messages.
    pub path: String,
}

/// What a claim says.
#[derive(Debug, Clone)]
pub enum ClaimKind {
    /// mean ∝ (what is swept)^exponent, or ∝ baseline × (what is swept)^exponent.
    Exponent {
        /// `dimension`, or a sweep variable.
        against: String,
        /// The exponent, which may depend on the other sweep variables.
        exponent: Expression,
        /// A known function of the point that is divided out first.
        relative_to: Option<Baseline>,
    },
    /// mean of the first network = factor × mean of the second, at every point.
    Ratio {
        /// The two labels.
        networks: [String; 2],
        /// The factor.
        factor: Expression,
    },
    /// mean = value at every point.
    Value(ValueSource),
    /// The observable has one law in both networks, at every point: the distance of the distribution functions is at most
    /// the tolerance.
    SameLaw {
        /// The two labels.
        networks: [String; 2],
    },
}

/// What the means are divided by before an exponent is fitted.
#[derive(Debug, Clone)]
pub enum Baseline {
    /// The exact mean of another observable.
    Theory(Observable),
    /// A formula of the sweep variables and `dimension`.
    Formula(Expression),
}

/// What the means are compared with.
#[derive(Debug, Clone)]
pub enum ValueSource {
    /// The exact mean that theory gives.
    Theory,
    /// A formula of the sweep variables and `dimension`.
    Formula(Expression),
}

const KEYS: &[&str] = &[
    "statement",
    "network",
    "observable",
    "against",
    "exponent",
    "relative_to",
    "tolerance",
    "ratio",
    "factor",
    "value",
    "same_law",
];

/// The key that says what kind of claim it is, and the keys that go with it.
const KINDS: &[(&str, &[&str])] = &[
    ("exponent", &["against", "relative_to", "network"]),
    ("ratio", &["factor"]),
    ("value", &["network"]),
    ("same_law", &[]),
];

impl ClaimSpec {
    /// The two networks that the claim compares, if it does.
    pub fn pair(&self) -> Option<&[String; 2]> {
        match &self.kind {
            ClaimKind::Ratio { networks, .. } | ClaimKind::SameLaw { networks } => Some(networks),
            _ => None,
        }
    }

    /// Whether it states what the means are, rather than leaving it to theory.
    pub fn states_value(&self) -> bool {
        matches!(self.kind, ClaimKind::Value(ValueSource::Formula(_)))
    }

    /// The ratio that a claim on two networks predicts at the place of a row; 1 for one law.
    pub fn factor_at(&self, row: &Row) -> Option<f64> {
        match &self.kind {
            ClaimKind::Ratio { factor, .. } => factor.evaluate(&with_dimension(&row.variables, row.dimension)).ok(),
            ClaimKind::SameLaw { .. } => Some(1.0),
            _ => None,
        }
    }

    /// Whether the claim speaks of the network of this label.
    pub fn concerns(&self, network: &str) -> bool {
        match self.pair() {
            Some(networks) => networks.iter().any(|label| label == network),
            None => self.network.as_deref().is_none_or(|label| label == network),
        }
    }

    /// Checks a `[[claim]]` against what the spec measures.
    pub(super) fn read(
        table: &Table,
        origin: &Origin,
        path: &str,
        networks: &[NetworkSpec],
        observables: &[(String, Observable)],
        sweep: &Sweep,
    ) -> Result<Self, SpecError> {
        let reader = Reader::new(table, origin, path, KEYS)?;
        let kind = kind_of(&reader)?;
        let labels: Vec<&str> = networks.iter().map(|network| network.label.as_str()).collect();
        let network = reader.string("network")?;
        if let Some(label) = network.filter(|label| !labels.contains(label)) {
            return Err(reader.refuse("network", unknown("network", label, &labels)));
        }
        let observable = reader.required_string("observable")?;
        if !observables.iter().any(|(name, _)| name == observable) {
            let names: Vec<&str> = observables.iter().map(|(name, _)| name.as_str()).collect();
            return Err(
                reader.refuse("observable", format!("must be among this spec's observables ({})", names.join(", ")))
            );
        }
        let tolerance = reader.number("tolerance", "must be a number above 0", |tolerance| tolerance > 0.0)?;
        let kind = match kind {
            "exponent" => read_exponent(&reader, sweep)?,
            "ratio" => {
                let factor = reader
                    .expression("factor")?
                    .ok_or_else(|| reader.missing("factor", "a number or an expression"))?;
                ClaimKind::Ratio { networks: read_pair(&reader, "ratio", &labels)?, factor }
            }
            "value" if reader.value("value").and_then(|value| value.as_str()) == Some("theory") => {
                ClaimKind::Value(ValueSource::Theory)
            }
            "value" => {
                // The key is there: `kind_of` found it.
                let formula = reader.expression("value")?.ok_or_else(|| reader.missing("value", "a number"))?;
                ClaimKind::Value(ValueSource::Formula(formula))
            }
            _ => ClaimKind::SameLaw { networks: read_pair(&reader, "same_law", &labels)? },
        };
        Ok(Self {
            statement: reader.required_string("statement")?.into(),
            network: network.map(str::to_owned),
            observable: observable.into(),
            path: path.into(),
            tolerance: tolerance.ok_or_else(|| reader.missing("tolerance", "a number above 0"))?,
            kind,
        })
    }
}

fn kind_of(reader: &Reader<'_>) -> Result<&'static str, SpecError> {
    let present: Vec<_> = KINDS.iter().filter(|(kind, _)| reader.has(kind)).collect();
    let [(kind, keys)] = present[..] else {
        let found = if present.is_empty() { "has none" } else { "has several" };
        let message = format!("must have one of the keys exponent, ratio, value, same_law, and {found}");
        return Err(reader.complain_of_all(message));
    };
    let all = KINDS.iter().flat_map(|(_, keys)| keys.iter());
    match all.copied().find(|key| reader.has(key) && !keys.contains(key)) {
        Some(key) => Err(reader.refuse(key, format!("does not go with `{kind}`"))),
        None => Ok(kind),
    }
}

fn read_exponent(reader: &Reader<'_>, sweep: &Sweep) -> Result<ClaimKind, SpecError> {
    let variables: Vec<&str> = std::iter::once("dimension").chain(sweep.names()).collect();
    let against = reader.string("against")?.unwrap_or("dimension");
    if !variables.contains(&against) {
        return Err(reader.refuse("against", unknown("variable", against, &variables)));
    }
    let relative_to = match reader.string("relative_to")? {
        None => None,
        Some(name) => match name.parse() {
            Ok(observable) => Some(Baseline::Theory(observable)),
            Err(_) => {
                let formula = Expression::parse(name);
                let formula = formula.map_err(|_| {
                    reader.refuse("relative_to", "must be an observable with an exact mean, or an expression")
                })?;
                Some(Baseline::Formula(formula))
            }
        },
    };
    // The key is there: `kind_of` found it.
    let exponent = reader.expression("exponent")?.ok_or_else(|| reader.missing("exponent", "a number"))?;
    Ok(ClaimKind::Exponent { against: against.into(), exponent, relative_to })
}

fn read_pair(reader: &Reader<'_>, key: &str, labels: &[&str]) -> Result<[String; 2], SpecError> {
    let allowed = format!("must be the labels of two networks (known: {})", labels.join(", "));
    let pair = reader.strings(key, &allowed)?.unwrap_or_default();
    match pair[..] {
        [first, second] if first != second && labels.contains(&first) && labels.contains(&second) => {
            Ok([first.into(), second.into()])
        }
        _ => Err(reader.refuse(key, allowed)),
    }
}
