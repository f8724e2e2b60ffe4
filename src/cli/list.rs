//! `gradlaw list`: the shipped experiments, their claims, and how long each takes.

use std::process::ExitCode;

use gradlaw::experiment::{catalogue, load};

use super::failure::Failure;
use super::terminal::Terminal;

/// Prints every shipped experiment with its claims.
pub fn list(terminal: &Terminal) -> Result<ExitCode, Failure> {
    for shipped in catalogue::SHIPPED {
        let spec = load::parse(&format!("experiments/{}.toml", shipped.name), shipped.text, &[])?;
        let seconds = spec.seconds.map(|seconds| format!(", about {seconds} s on two cores")).unwrap_or_default();
        terminal.print(&format!("{}: {} ({}{seconds})", spec.name, spec.title, spec.source))?;
        for claim in &spec.claims {
            let network = claim.network.as_ref().map(|label| format!(" [{label}]")).unwrap_or_default();
            terminal.print(&format!("  · {}{network}", claim.statement))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
