//! `gradlaw theory`: exact values at every sweep point, as rows of `points.csv` or in JSON, without sampling.

use std::process::ExitCode;

use serde::Serialize;

use gradlaw::experiment::results::to_csv;
use gradlaw::experiment::{Row, load, theory_rows};

use super::Common;
use super::failure::Failure;
use super::terminal::Terminal;

/// A row in JSON.
#[derive(Debug, Serialize)]
struct TheoryRow {
    experiment: String,
    network: String,
    observable: String,
    variables: Vec<(String, f64)>,
    dimension: usize,
    theory: Option<f64>,
    theory_kind: Option<String>,
}

impl TheoryRow {
    fn new(experiment: &str, row: Row) -> Self {
        let Row { network, observable, variables, dimension, theory, .. } = row;
        let (theory, theory_kind) = theory.unzip();
        Self { experiment: experiment.into(), network, observable, variables, dimension, theory, theory_kind }
    }
}

/// Prints one table for each spec, or with `--json` one list of all rows.
pub fn theory(specs: &[String], common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let (mut rows, mut tables) = (Vec::new(), Vec::new());
    let specs = specs.iter().map(|name| load::load_drawn(name, &common.overrides())).collect::<Result<Vec<_>, _>>()?;
    common.check_paths(specs.iter().map(|spec| &spec.origin))?;
    for spec in &specs {
        let variables: Vec<&str> = spec.sweep.names().collect();
        let (more, notes) = theory_rows(spec)?;
        notes.iter().for_each(|words| terminal.note(words));
        tables.push(to_csv(&more, &variables));
        rows.extend(more.into_iter().map(|row| TheoryRow::new(&spec.name, row)));
    }
    // Rows are strings and numbers, which JSON can hold.
    let text = if common.json { serde_json::to_string_pretty(&rows).unwrap_or_default() } else { tables.join("\n") };
    terminal.print(text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
