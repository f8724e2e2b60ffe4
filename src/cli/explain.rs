//! `gradlaw explain`: one experiment in words and formulas.

use std::process::ExitCode;

use gradlaw::experiment::claim::Claim;
use gradlaw::experiment::load::{self, AnySpec};
use gradlaw::experiment::spec::Heading;

use super::Common;
use super::failure::Failure;
use super::terminal::Terminal;

/// What a spec of either kind says of itself.
pub struct Summary<'a> {
    pub heading: &'a Heading,
    /// Each claim in words with its network, and what it rests on.
    pub claims: Vec<(String, String)>,
    /// The command that runs it.
    pub command: &'static str,
}

impl<'a> Summary<'a> {
    pub fn of(spec: &'a AnySpec) -> Self {
        let (heading, claims, command): (&Heading, _, _) = match spec {
            AnySpec::Initialisation(spec) => (spec, &spec.claims, "gradlaw verify"),
            AnySpec::Training(spec) => (spec, &spec.claims, "gradlaw run"),
        };
        Self { heading, claims: claims.iter().map(words).collect(), command }
    }
}

/// The claim in words with its network, and what it rests on.
fn words(claim: &Claim) -> (String, String) {
    let network = claim.network.as_ref().map(|label| format!(" [{label}]")).unwrap_or_default();
    let tolerance = if claim.tolerance > 0.0 { format!(" within {}", claim.tolerance) } else { String::new() };
    let detail = format!("{} of {}{tolerance}", claim.key().replace('_', " "), claim.observables().join(" and "));
    (format!("{}{network}", claim.statement), detail)
}

/// Prints what the spec says of itself.
pub fn explain(name: &str, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let spec = load::load_any(name, &common.overrides())?;
    common.check_paths([spec.origin()])?;
    let Summary { heading: Heading { title, source, explanation, .. }, claims, command } = Summary::of(&spec);
    terminal.print(&format!("{title}\n{source}\n"))?;
    if !explanation.is_empty() {
        terminal.print(&format!("{explanation}\n"))?;
    }
    terminal.print("Claims")?;
    for (statement, detail) in &claims {
        terminal.print(&format!("  · {statement}: {detail}"))?;
    }
    terminal.print(&format!("\nRun it: {command} {name}"))?;
    Ok(ExitCode::SUCCESS)
}
