//! Verdicts in words.

use super::{Outcome, Verdict};
use crate::experiment::format::with_error;

/// What a verdict measured, with its standard error.
pub fn measured(verdict: &Verdict) -> String {
    verdict.measured.map(|measured| with_error(measured, verdict.std_error.unwrap_or(0.0))).unwrap_or_default()
}

/// "37 claims: 36 hold, 1 refuted, 0 inconclusive".
pub fn summary(verdicts: &[&Verdict]) -> String {
    let count = |outcome| verdicts.iter().filter(|verdict| verdict.verdict == outcome).count();
    let estimates = count(Outcome::Estimate);
    let (all, hold) = (verdicts.len() - estimates, count(Outcome::Holds));
    let claims = format!(
        "{all} claim{}: {hold} hold{}, {} refuted, {} inconclusive",
        if all == 1 { "" } else { "s" },
        if hold == 1 { "s" } else { "" },
        count(Outcome::Refuted),
        count(Outcome::Inconclusive)
    );
    match estimates {
        0 => claims,
        1 => format!("{claims}; 1 estimate"),
        _ => format!("{claims}; {estimates} estimates"),
    }
}

/// What became of the claims of a figure: "4 claims hold", or how many do and which do not: "1 of 2 claims holds; refuted: …".
pub fn outcomes(verdicts: &[Verdict]) -> String {
    let with = |outcome: Outcome| verdicts.iter().filter(move |verdict| verdict.verdict == outcome);
    let (hold, all) = (with(Outcome::Holds).count(), verdicts.len() - with(Outcome::Estimate).count());
    let claims = if all == 1 { "claim" } else { "claims" };
    let verb = if hold == 1 { "holds" } else { "hold" };
    let mut parts = match hold {
        _ if all == 0 => return String::new(),
        _ if hold == all => vec![format!("{all} {claims} {verb}")],
        _ => vec![format!("{hold} of {all} {claims} {verb}")],
    };
    for outcome in [Outcome::Refuted, Outcome::Inconclusive] {
        let mut statements: Vec<&str> = with(outcome).map(|verdict| verdict.statement.as_str()).collect();
        statements.dedup();
        if !statements.is_empty() {
            parts.push(format!("{}: {}", outcome.name(), statements.join(", ")));
        }
    }
    parts.join("; ")
}
