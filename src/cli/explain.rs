//! `gradlaw explain`: one experiment in words and formulas.

use std::process::ExitCode;

use gradlaw::experiment::load;

use super::failure::Failure;
use super::terminal::Terminal;

/// Prints what the spec says of itself.
pub fn explain(name: &str, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let spec = load::load(name, &[])?;
    terminal.print(&format!("{}\n{}\n", spec.title, spec.source))?;
    if !spec.explanation.is_empty() {
        terminal.print(&format!("{}\n", spec.explanation))?;
    }
    terminal.print("Claims")?;
    for claim in &spec.claims {
        let network = claim.network.as_ref().map(|label| format!(" [{label}]")).unwrap_or_default();
        terminal
            .print(&format!("  · {}{network}: {} within {}", claim.statement, claim.observable, claim.tolerance))?;
    }
    terminal.print(&format!("\nRun it: gradlaw verify {name}"))?;
    Ok(ExitCode::SUCCESS)
}
