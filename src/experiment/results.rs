//! Results and the files they are saved in: `points.csv`, `verdicts.json`, `spec.toml`, `draws.npz`.
//!
//! Files are written beside their place and then renamed, so that a reader never sees half of one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use ndarray_npy::NpzWriter;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::expression::{Variables, describe};
use crate::sampling::monte_carlo::Summary;
use crate::statistics::QuantileSketch;
use crate::theory::TheoryValue;

/// One row of `points.csv`: one observable of one network at one sweep point.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Label of the network.
    pub network: String,
    /// Name of the observable.
    pub observable: String,
    /// Values of the sweep variables.
    pub variables: Vec<(String, f64)>,
    /// Input dimension d.
    pub dimension: usize,
    /// What was measured; `None` where nothing was sampled.
    pub sampled: Option<Sampled>,
    /// What theory says: the mean, and the kind of statement.
    pub theory: Option<(f64, String)>,
}

/// Measured numbers of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampled {
    /// Number of draws.
    pub draws: u64,
    /// Their mean.
    pub mean: f64,
    /// Standard error of the mean.
    pub std_error: f64,
    /// Standard deviation of the draws.
    pub std_dev: f64,
    /// First decile.
    pub q10: f64,
    /// Median.
    pub median: f64,
    /// Last decile.
    pub q90: f64,
    /// Draws that were exactly zero.
    pub zeros: u64,
    /// Draws that were NaN or infinite.
    pub non_finite: u64,
    /// Skewness of the draws.
    pub skewness: f64,
}

/// Skewness over √n above which the mean of n draws is not normal enough to be tested: tail probabilities at 4.5 standard
/// errors are then off by more than a factor of two (first Edgeworth term).
const LARGEST_SKEWNESS: f64 = 0.1;

/// A row with the empirical distribution of its draws, where a claim needs it.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// The row.
    pub row: Row,
    /// Its quantiles.
    pub quantiles: Option<QuantileSketch>,
}

impl Sampled {
    /// The numbers of a summary; quantiles are NaN where a draw was not finite.
    pub fn new(summary: &Summary) -> Self {
        let quantile = |p| if summary.non_finite > 0 { f64::NAN } else { summary.quantiles.quantile(p) };
        Self {
            draws: summary.moments.count(),
            mean: summary.moments.mean(),
            std_error: summary.moments.std_error(),
            std_dev: summary.moments.std_dev(),
            q10: quantile(0.1),
            median: quantile(0.5),
            q90: quantile(0.9),
            zeros: summary.zeros,
            non_finite: summary.non_finite,
            skewness: summary.moments.skewness(),
        }
    }

    /// Why tests must not rest on this mean, if there is a reason: draws that are not finite, or too few draws for the
    /// skewness of their law.
    pub fn unsound(&self) -> Option<String> {
        if self.non_finite > 0 {
            return Some(format!("invalid: {} of {} draws are NaN or infinite", self.non_finite, self.draws));
        }
        let relative = self.skewness.abs() / (self.draws as f64).sqrt();
        (relative > LARGEST_SKEWNESS).then(|| {
            let needed = self.draws as f64 * (relative / LARGEST_SKEWNESS).powi(2);
            format!("too few draws for so skewed a law (about {needed:.0} are needed)")
        })
    }
}

impl Row {
    /// Attaches a theoretical value.
    pub fn with_theory(mut self, theory: Option<TheoryValue>) -> Self {
        self.theory = theory.map(|value| (value.mean, value.kind.name().into()));
        self
    }

    /// The network and the variables, for people.
    pub fn place(&self) -> String {
        place(&self.network, &self.variables)
    }

    /// z = (mean − theory)/standard error, where both are there; 0 for a difference of rounding size.
    pub fn z(&self) -> Option<f64> {
        let (sampled, (theory, _)) = (self.sampled?, self.theory.as_ref()?);
        let difference = sampled.mean - theory;
        if difference.abs() <= 1e-12 * theory.abs() {
            return Some(0.0);
        }
        Some(difference / sampled.std_error)
    }
}

/// A network at a point of the sweep, for people.
pub fn place(network: &str, variables: &Variables) -> String {
    if variables.is_empty() { network.to_owned() } else { format!("{network}, {}", describe(variables)) }
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Shown to be true within the tolerance.
    Holds,
    /// Shown to be false.
    Refuted,
    /// Neither: more draws, or a look at the reason, are needed.
    Inconclusive,
}

/// One entry of `verdicts.json`. Numbers that could not be computed are null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Name of the experiment.
    pub experiment: String,
    /// The claim in words.
    pub statement: String,
    /// Label of the network, or of two.
    pub network: String,
    /// Name of the observable.
    pub observable: String,
    /// What became of it.
    pub verdict: Outcome,
    /// What the claim predicts: an exponent, a ratio, a distance.
    pub predicted: Option<f64>,
    /// What was measured.
    pub measured: Option<f64>,
    /// Standard error of what was measured.
    pub std_error: Option<f64>,
    /// 95 % confidence interval.
    pub interval: Option<[f64; 2]>,
    /// The claim's tolerance.
    pub tolerance: f64,
    /// p-value of the equivalence test: small when the claim is shown to hold; null for laws, which are judged by the
    /// interval.
    pub p_value: Option<f64>,
    /// p-value against the claim after Holm's correction over the run: small when it is refuted.
    pub p_refuted: Option<f64>,
    /// Probability of a scatter around the fit at least as large, where there is a fit.
    pub goodness_of_fit: Option<f64>,
    /// Kind of the claim: exponent, ratio, value or same-law; finite for the verdict on gradients that are not.
    pub kind: String,
    /// Position of the claim in its spec, from 0; null for a verdict that no claim asked for.
    pub claim: Option<usize>,
    /// The other sweep variables' values, where the claim was judged separately for each.
    pub variables: Vec<(String, f64)>,
    /// Why, where the numbers do not say it.
    pub reason: Option<String>,
}

/// Writing or reading results failed.
#[derive(Debug, Error)]
#[error("{}: {message}", path.display())]
pub struct ResultsError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said, or what is wrong with the contents.
    pub message: String,
}

impl ResultsError {
    /// An error about a path.
    pub fn new(path: &Path, message: impl ToString) -> Self {
        Self { path: path.to_owned(), message: message.to_string() }
    }
}

/// The name under which a file is written before it is renamed.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Writes a file beside its place and renames it.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), ResultsError> {
    let temporary = beside(path);
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| ResultsError::new(path, format!("cannot be written: {error}")))
}

/// Columns after the sweep variables.
pub const COLUMNS: &[&str] = &[
    "dimension",
    "draws",
    "mean",
    "std_error",
    "std_dev",
    "q10",
    "median",
    "q90",
    "theory",
    "theory_kind",
    "z",
    "zeros",
    "non_finite",
    "skewness",
];

/// The rows as CSV. Numbers are the shortest that read back to the same bits.
pub fn to_csv(rows: &[Row], variables: &[&str]) -> String {
    // Writing to memory fails only when memory ends, and then it panics rather than returns.
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut records =
        vec![["network", "observable"].iter().chain(variables).chain(COLUMNS).map(|s| (*s).to_owned()).collect()];
    records.extend(rows.iter().map(row_fields));
    for record in records {
        writer.write_record(&record).expect("all records have the header's length");
    }
    let bytes = writer.into_inner().expect("a vector takes all that is written");
    String::from_utf8(bytes).expect("fields are strings")
}

fn row_fields(row: &Row) -> Vec<String> {
    let mut fields = vec![row.network.clone(), row.observable.clone()];
    fields.extend(row.variables.iter().map(|&(_, value)| number(value)));
    fields.push(row.dimension.to_string());
    match row.sampled {
        Some(s) => {
            fields.push(s.draws.to_string());
            fields.extend([s.mean, s.std_error, s.std_dev, s.q10, s.median, s.q90].map(number));
        }
        None => fields.extend(vec![String::new(); 7]),
    }
    let (theory, kind) = row.theory.clone().map_or_else(Default::default, |(mean, kind)| (number(mean), kind));
    fields.extend([theory, kind, row.z().map(number).unwrap_or_default()]);
    let counts = row.sampled.map(|s| [s.zeros.to_string(), s.non_finite.to_string(), number(s.skewness)]);
    fields.extend(counts.unwrap_or_default());
    fields
}

/// The shortest decimal that reads back to the same bits, with an exponent where that is shorter.
fn number(value: f64) -> String {
    let plain = value.to_string();
    let scientific = format!("{value:e}");
    if plain.len() <= scientific.len() + 4 { plain } else { scientific }
}

/// Reads `points.csv`.
pub fn read_points(path: &Path, variables: &[&str]) -> Result<Vec<Row>, ResultsError> {
    let wrong = |message: String| ResultsError::new(path, message);
    let mut reader = csv::Reader::from_path(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let column = |name: &str| {
        header.iter().position(|column| column == name).ok_or_else(|| wrong(format!("has no column `{name}`")))
    };
    let mut rows = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let text = |name: &str| column(name).map(|index| record.get(index).unwrap_or_default().to_owned());
        let parse = |name: &str| {
            let field = text(name)?;
            field.parse::<f64>().map_err(|_| wrong(format!("row {}: {name} = {field} is not a number", line + 1)))
        };
        let sampled = match text("draws")?.as_str() {
            "" => None,
            _ => Some(Sampled {
                draws: parse("draws")? as u64,
                mean: parse("mean")?,
                std_error: parse("std_error")?,
                std_dev: parse("std_dev")?,
                q10: parse("q10")?,
                median: parse("median")?,
                q90: parse("q90")?,
                zeros: parse("zeros")? as u64,
                non_finite: parse("non_finite")? as u64,
                skewness: parse("skewness")?,
            }),
        };
        let theory = match text("theory")?.as_str() {
            "" => None,
            _ => Some((parse("theory")?, text("theory_kind")?)),
        };
        rows.push(Row {
            network: text("network")?,
            observable: text("observable")?,
            variables: variables.iter().map(|name| Ok(((*name).into(), parse(name)?))).collect::<Result<_, _>>()?,
            dimension: parse("dimension")? as usize,
            sampled,
            theory,
        });
    }
    Ok(rows)
}

/// Writes every draw of every point: one array [draws, observables] a point, named by the network and the variables.
pub fn write_draws(path: &Path, points: &[(String, Array2<f64>)]) -> Result<(), ResultsError> {
    let temporary = beside(path);
    let failed = |error: &dyn std::fmt::Display| ResultsError::new(path, format!("cannot be written: {error}"));
    let file = fs::File::create(&temporary).map_err(|error| failed(&error))?;
    let mut archive = NpzWriter::new_compressed(file);
    for (name, draws) in points {
        archive.add_array(name, draws).map_err(|error| failed(&error))?;
    }
    archive.finish().map_err(|error| failed(&error))?;
    fs::rename(&temporary, path).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(mean: f64, theory: Option<f64>) -> Row {
        let sampled = Sampled {
            draws: 10,
            mean,
            std_error: mean / 7.0,
            std_dev: mean / 3.0,
            q10: f64::NAN,
            median: 1e-300,
            q90: 1e300,
            zeros: 1,
            non_finite: 2,
            skewness: -0.5,
        };
        Row {
            network: "two, \"wide\" layers".into(),
            observable: "loss.l1".into(),
            variables: vec![("d".into(), 64.0), ("a".into(), 0.5)],
            dimension: 64,
            sampled: Some(sampled),
            theory: theory.map(|theory| (theory, "exact".into())),
        }
    }

    proptest! {
        #[test]
        fn numbers_read_back_to_the_same_bits(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let read: f64 = number(value).parse().unwrap();
            prop_assert!(read.to_bits() == bits || (value.is_nan() && read.is_nan()));
        }

        #[test]
        fn rows_read_back_from_csv(mean in 1e-9f64..1e9, theory in prop::option::of(1e-9f64..1e9)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("points.csv");
            let rows = vec![row(mean, theory), Row { sampled: None, ..row(mean, theory) }];
            write_atomically(&path, to_csv(&rows, &["d", "a"]).as_bytes()).unwrap();
            let read = read_points(&path, &["d", "a"]).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{rows:?}"));
        }
    }

    #[test]
    fn z_compares_with_theory() {
        assert_eq!(row(7.0, Some(6.0)).z(), Some(1.0));
        assert_eq!(row(7.0, Some(7.0 * (1.0 + 1e-15))).z(), Some(0.0));
        assert_eq!(row(7.0, None).z(), None);
    }

    #[test]
    fn a_damaged_table_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("points.csv");
        fs::write(&path, "network,observable\na,b\n").unwrap();
        assert!(read_points(&path, &[]).unwrap_err().to_string().contains("points.csv: has no column"));
    }
}
