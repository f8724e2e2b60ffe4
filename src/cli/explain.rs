//! `gradlaw explain`: one experiment in words and formulas.

use std::process::ExitCode;

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
        let of = |statement: &str, network: Option<&String>| match network {
            Some(label) => format!("{statement} [{label}]"),
            None => statement.to_owned(),
        };
        match spec {
            AnySpec::Initialisation(spec) => {
                let claims = spec.claims.iter().map(|claim| {
                    let detail = format!("{} within {}", claim.observable, claim.tolerance);
                    (of(&claim.statement, claim.network.as_ref()), detail)
                });
                Self { heading: spec, claims: claims.collect(), command: "gradlaw verify" }
            }
            AnySpec::Training(spec) => {
                let claims = spec.claims.iter();
                let claims = claims
                    .map(|claim| (of(&claim.statement, claim.network.as_ref()), claim.kind.name().replace('_', " ")));
                Self { heading: spec, claims: claims.collect(), command: "gradlaw run" }
            }
        }
    }
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
