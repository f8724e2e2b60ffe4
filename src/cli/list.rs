//! `gradlaw list`: the shipped experiments, their claims, and how long each takes.

use std::process::ExitCode;

use gradlaw::experiment::spec::Heading;
use gradlaw::experiment::{catalogue, load};

use super::explain::Summary;
use super::failure::Failure;
use super::terminal::Terminal;

/// Prints every shipped experiment with its claims.
pub fn list(terminal: &Terminal) -> Result<ExitCode, Failure> {
    for shipped in catalogue::SHIPPED {
        let spec = load::parse_any(&format!("experiments/{}.toml", shipped.name), shipped.text, &[])?;
        let Summary { heading: Heading { name, title, source, seconds, .. }, claims, .. } = Summary::of(&spec);
        let seconds = seconds.map(|seconds| format!(", about {seconds} s on two cores")).unwrap_or_default();
        terminal.print(&format!("{name}: {title} ({source}{seconds})"))?;
        for (statement, _) in &claims {
            terminal.print(&format!("  · {statement}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
