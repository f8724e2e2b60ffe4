//! `gradlaw list`: the shipped experiments, their claims, and how long each takes.

use std::process::ExitCode;

use gradlaw::experiment::specification::Heading;
use gradlaw::experiment::{catalogue, load};

use super::explain::words;
use super::failure::Failure;
use super::terminal::Terminal;

/// Prints every shipped experiment with its claims.
pub fn list(terminal: &Terminal) -> Result<ExitCode, Failure> {
    for shipped in catalogue::SHIPPED {
        let spec = load::parse(&format!("experiments/{}.toml", shipped.name), shipped.text, &[])?;
        let Heading { name, title, source, seconds, .. } = spec.heading();
        let seconds = seconds.map(|seconds| format!(", about {seconds} s on two cores")).unwrap_or_default();
        terminal.print(&format!("{name}: {title} ({source}{seconds})"))?;
        for (statement, _) in spec.claims().iter().map(words) {
            terminal.print(&format!("  · {statement}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
