//! `gradlaw paths`: path sums two ways, and the symmetry assumption (S), at every sweep point of a spec.

use std::process::ExitCode;

use gradlaw::experiment::load;
use gradlaw::experiment::paths::{path_rows, paths_to_csv};

use super::Common;
use super::failure::Failure;
use super::terminal::Terminal;

/// Prints one table for each spec, or with `--json` one list of all rows.
pub fn paths(specs: &[String], walks: u64, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let specs = specs.iter().map(|name| load::load_drawn(name, &common.overrides())).collect::<Result<Vec<_>, _>>()?;
    common.check_paths(specs.iter().map(|spec| &spec.origin))?;
    common.start_threads()?;
    let (mut rows, mut tables) = (Vec::new(), Vec::new());
    for spec in &specs {
        let more = path_rows(spec, walks)?;
        tables.push(paths_to_csv(&more, &spec.sweep.names().collect::<Vec<_>>()));
        rows.extend(more);
    }
    // Rows are strings and numbers, which JSON can hold.
    let text = if common.json { serde_json::to_string_pretty(&rows).unwrap_or_default() } else { tables.join("\n") };
    terminal.print(text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
