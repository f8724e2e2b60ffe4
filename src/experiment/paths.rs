//! The rows of `gradlaw paths`: path sums by the pass over variances and by random walks, and the symmetry assumption (S), at
//! every sweep point of a spec.

use serde::Serialize;

use super::cell::Cell;
use super::format::needed;
use super::results::{number, records_to_csv, z_score};
use super::specification::reader::SpecError;
use super::specification::{DrawSpec, Spec};
use super::work::draw::cells;
use crate::scaled::Scaled;
use crate::statistics::Skewness;
use crate::stream::StreamKey;
use crate::theory::{Condition, PathDegrees, PathGraph, PathVariances, Start, random_walks};

/// Columns after the sweep variables.
pub const PATH_COLUMNS: &[&str] = &[
    "dimension",
    "paths",
    "theory",
    "walks",
    "mean",
    "std_error",
    "z",
    "skewness",
    "symmetry",
    "share",
    "spread",
    "reason",
];

/// What path sums say of one network at one sweep point; what could not be computed is `None`, and `reason` says why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PathRow {
    /// Name of the experiment.
    pub experiment: String,
    /// Label of the network.
    pub network: String,
    /// Values of the sweep variables.
    pub variables: Vec<(String, f64)>,
    /// Input dimension d.
    pub dimension: usize,
    /// Number of paths from all inputs to logit 0; exact below 2⁵³.
    pub paths: Option<f64>,
    /// E‖∂ₓf₀‖₂² by the pass over variances.
    pub theory: Option<f64>,
    /// Number of random walks.
    pub walks: Option<u64>,
    /// Their mean weight, the estimate of the same number.
    pub mean: Option<f64>,
    /// Its standard error.
    pub std_error: Option<f64>,
    /// (mean − theory)/standard error; 0 for a difference of rounding size. `None` where the skewness makes the standard error
    /// untrustworthy.
    pub z: Option<f64>,
    /// Skewness of the walks' weights.
    pub skewness: Option<f64>,
    /// How far (S) is true.
    pub symmetry: Option<Condition>,
    /// Share of the inputs that see the commonest multiset of path-degrees.
    pub share: Option<f64>,
    /// (largest − smallest)/mean of E(∂f₀/∂xᵢ)² over the inputs.
    pub spread: Option<f64>,
    /// Why something is missing.
    pub reason: Option<String>,
}

/// The rows of every network at every point, each from so many random walks on the threads of the current pool.
///
/// # Errors
/// The first size, shape or variance that is not allowed, or a sweep variable that is named like a column.
pub fn path_rows(spec: &Spec<DrawSpec>, walks: u64) -> Result<Vec<PathRow>, SpecError> {
    if let Some(name) = spec.sweep.names().find(|name| PATH_COLUMNS.contains(name)) {
        let columns = PATH_COLUMNS.join(", ");
        let message = format!("has the name of a column of the table of paths ({columns}): give it another");
        return Err(spec.origin.error(&format!("sweep.{name}"), "", message));
    }
    Ok(cells(spec)?.iter().map(|cell| row(spec, cell, walks)).collect())
}

fn row(spec: &Spec<DrawSpec>, cell: &Cell, walks: u64) -> PathRow {
    let mut row = PathRow {
        experiment: spec.name.clone(),
        network: cell.network.clone(),
        variables: cell.variables.clone(),
        dimension: cell.architecture.dimension(),
        paths: None,
        theory: None,
        walks: None,
        mean: None,
        std_error: None,
        z: None,
        skewness: None,
        symmetry: None,
        share: None,
        spread: None,
        reason: None,
    };
    if let Err(reason) = row.fill(cell, walks, &cell.stream_key(spec.seed, "random walks")) {
        row.add_reason(reason);
    }
    row
}

impl PathRow {
    /// Computes one thing after the other, until a network is too large for the next or path theory does not apply.
    fn fill(&mut self, cell: &Cell, walks: u64, key: &StreamKey) -> Result<(), String> {
        let variances =
            PathVariances::new(&cell.architecture, &cell.initialisation).map_err(|error| error.to_string())?;
        self.theory = self.held("E‖∂ₓf₀‖₂²", variances.total());
        self.spread = Some(variances.relative_spread());
        let graph = PathGraph::new(&cell.architecture, &cell.initialisation).map_err(|error| error.to_string())?;
        self.paths = self.held("the number of paths", graph.path_count());
        if let Some(theory) = self.theory {
            self.walk(&graph, walks, key, theory);
        }
        let degrees = PathDegrees::new(&graph).map_err(|error| error.to_string())?;
        (self.symmetry, self.share) = (Some(degrees.condition()), Some(degrees.commonest_share()));
        Ok(())
    }

    /// A number as a double, or the reason why it is missing.
    fn held(&mut self, what: &str, value: Scaled) -> Option<f64> {
        if value.to_f64().is_none() {
            self.add_reason(format!("{what} is {value}, beyond double precision"));
        }
        value.to_f64()
    }

    fn add_reason(&mut self, reason: String) {
        let reasons: Vec<String> = self.reason.take().into_iter().chain([reason]).collect();
        self.reason = Some(reasons.join("; "));
    }

    /// Estimates what is known to theory by random walks.
    fn walk(&mut self, graph: &PathGraph, walks: u64, key: &StreamKey, theory: f64) {
        let weights = random_walks(graph, Start::Anywhere, walks, key);
        (self.walks, self.skewness) = (Some(walks), Some(weights.skewness()));
        (self.mean, self.std_error) = (Some(weights.mean()), Some(weights.std_error()));
        match Skewness::Estimated(weights.skewness()).reference(walks) {
            // As differences of rounding size are, the skewness of equal weights is rounding.
            Err(few) if weights.std_error() > 1e-12 * weights.mean() => {
                self.add_reason(format!("too few walks for weights so skewed ({})", needed(few)));
            }
            _ => self.z = Some(z_score(weights.mean(), weights.std_error(), theory)),
        }
    }

    fn fields(&self) -> Vec<String> {
        let maybe = |value: Option<f64>| value.map(number).unwrap_or_default();
        let mut fields = vec![self.network.clone()];
        fields.extend(self.variables.iter().map(|&(_, value)| number(value)));
        fields.extend([self.dimension.to_string(), maybe(self.paths), maybe(self.theory)]);
        fields.push(self.walks.map(|walks| walks.to_string()).unwrap_or_default());
        fields.extend([self.mean, self.std_error, self.z, self.skewness].map(maybe));
        fields.push(self.symmetry.map(|condition| condition.name().to_owned()).unwrap_or_default());
        fields.extend([self.share, self.spread].map(maybe));
        fields.push(self.reason.clone().unwrap_or_default());
        fields
    }
}

/// The rows as CSV: the network, the sweep variables, and [`PATH_COLUMNS`].
pub fn paths_to_csv(rows: &[PathRow], variables: &[&str]) -> String {
    let header = ["network"].iter().chain(variables).chain(PATH_COLUMNS).map(|name| (*name).to_owned()).collect();
    records_to_csv(std::iter::once(header).chain(rows.iter().map(PathRow::fields)))
}
