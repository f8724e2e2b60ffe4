//! `gradlaw explain`: one experiment in words and formulas.

use std::process::ExitCode;

use gradlaw::experiment::AnySpec;
use gradlaw::experiment::claim::Claim;
use gradlaw::experiment::load;
use gradlaw::experiment::specification::Heading;

use super::Common;
use super::failure::Failure;
use super::terminal::Terminal;

/// The claim in words with its network, and what it rests on.
pub(super) fn words(claim: &Claim) -> (String, String) {
    let network = claim.terms.network.as_ref().map(|label| format!(" [{label}]")).unwrap_or_default();
    let tolerance =
        if claim.terms.tolerance > 0.0 { format!(" within {}", claim.terms.tolerance) } else { String::new() };
    let detail = format!("{} of {}{tolerance}", claim.entry().key.replace('_', " "), claim.observables().join(" and "));
    (format!("{}{network}", claim.terms.statement), detail)
}

/// Prints what the spec says of itself.
pub fn explain(name: &str, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let spec = load::load(name, &common.overrides())?;
    common.check_paths([spec.origin()])?;
    let Heading { title, source, explanation, .. } = spec.heading();
    terminal.print(&format!("{title}\n{source}\n"))?;
    if !explanation.is_empty() {
        terminal.print(&format!("{explanation}\n"))?;
    }
    terminal.print("Claims")?;
    for (statement, detail) in spec.claims().iter().map(words) {
        terminal.print(&format!("  · {statement}: {detail}"))?;
    }
    let command = if matches!(spec, AnySpec::Draw(_)) { "gradlaw verify" } else { "gradlaw run" };
    terminal.print(&format!("\nRun it: {command} {name}"))?;
    Ok(ExitCode::SUCCESS)
}
