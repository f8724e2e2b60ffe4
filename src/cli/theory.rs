//! `gradlaw theory`: exact values at every sweep point, as rows of `points.csv`, without sampling.

use std::process::ExitCode;

use gradlaw::experiment::results::to_csv;
use gradlaw::experiment::{load, theory_rows};

use super::Common;
use super::failure::Failure;
use super::terminal::Terminal;

/// Prints one table for each spec.
pub fn theory(specs: &[String], common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let mut tables = Vec::new();
    for name in specs {
        let spec = load::load(name, &common.overrides())?;
        let variables: Vec<&str> = spec.sweep.names().collect();
        let (rows, left_out) = theory_rows(&spec)?;
        left_out.iter().for_each(|words| terminal.note(words));
        tables.push(to_csv(&rows, &variables));
    }
    terminal.print(tables.join("\n").trim_end())?;
    Ok(ExitCode::SUCCESS)
}
