//! `gradlaw list`: the shipped experiments, their claims, and how long each takes.

use std::process::ExitCode;

use gradlaw::experiment::specification::Heading;
use gradlaw::experiment::{catalogue, load};

use super::explain::words;
use super::failure::Failure;
use super::table;
use super::terminal::Terminal;

/// Prints every shipped experiment in a line, or with `long` with its source and its claims.
pub fn list(long: bool, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let mut rows = Vec::new();
    for shipped in catalogue::SHIPPED {
        let spec = load::parse(&format!("experiments/{}.toml", shipped.name), shipped.text, &[])?;
        let Heading { name, title, source, seconds, .. } = spec.heading();
        if !long {
            let claims = match spec.claims().len() {
                1 => "1 claim".into(),
                count => format!("{count} claims"),
            };
            let seconds = seconds.map(|seconds| format!("{seconds} s")).unwrap_or_default();
            rows.push([name.clone(), claims, seconds, title.clone()]);
            continue;
        }
        let seconds = seconds.map(|seconds| format!(", about {seconds} s on two cores")).unwrap_or_default();
        terminal.print(&format!("{name}: {title} ({source}{seconds})"))?;
        for (statement, _) in spec.claims().iter().map(words) {
            terminal.print(&format!("  · {statement}"))?;
        }
    }
    if !long {
        terminal.print(&table::plain(&["experiment", "claims", "on two cores", "title"], usize::MAX, rows))?;
    }
    Ok(ExitCode::SUCCESS)
}
