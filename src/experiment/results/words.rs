//! Verdicts in words.

use super::{Outcome, Relation, Verdict};
use crate::experiment::format::{rounded, with_error};

/// What a verdict measured, with its standard error.
pub fn measured(verdict: &Verdict) -> String {
    verdict.measured.map(|measured| with_error(measured, verdict.std_error.unwrap_or(0.0))).unwrap_or_default()
}

/// Standard errors from a prediction at which what holds is said to differ from it: chance alone comes so far once in 16 000 times.
const FAR: f64 = 4.0;

/// What there is to say of a verdict beside its numbers: why, and how far from its prediction that is which holds by its tolerance only.
pub fn remark(verdict: &Verdict) -> Option<String> {
    let differs = match (verdict.verdict, verdict.relation, verdict.predicted, verdict.measured, verdict.std_error) {
        (Outcome::Holds, Relation::Is, Some(predicted), Some(measured), Some(error)) if error > 0.0 => {
            let distance = (measured - predicted).abs() / error;
            (distance >= FAR).then(|| {
                let predicted = rounded(predicted, 4);
                format!("differs from {predicted} by {distance:.0} standard errors, inside the tolerance")
            })
        }
        _ => None,
    };
    let all: Vec<String> = verdict.reason.clone().into_iter().chain(differs).collect();
    (!all.is_empty()).then(|| all.join("; "))
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
        let mut statements: Vec<(&str, Vec<&str>)> = Vec::new();
        for Verdict { statement, network, .. } in with(outcome) {
            match statements.iter_mut().find(|(other, _)| other == statement) {
                Some((_, networks)) if networks.contains(&network.as_str()) => {}
                Some((_, networks)) => networks.push(network),
                None => statements.push((statement, vec![network])),
            }
        }
        // Which networks, where it is not all of those that the statement speaks of.
        let speaks_of_others = |statement: &str, networks: &[&str]| {
            verdicts
                .iter()
                .any(|verdict| verdict.statement == statement && !networks.contains(&verdict.network.as_str()))
        };
        let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
        for (statement, networks) in statements {
            let named = speaks_of_others(statement, &networks);
            let title =
                if named { format!("{} ({})", outcome.name(), networks.join(", ")) } else { outcome.name().to_owned() };
            match groups.iter_mut().find(|(other, _)| *other == title) {
                Some((_, statements)) => statements.push(statement),
                None => groups.push((title, vec![statement])),
            }
        }
        parts.extend(groups.into_iter().map(|(title, statements)| format!("{title}: {}", statements.join(", "))));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_the_networks_of_which_it_is_not_true() {
        let verdict = |network: &str, statement: &str, outcome| Verdict {
            statement: statement.into(),
            verdict: outcome,
            ..Verdict::blank("", network, "", "exponent", 0.1)
        };
        let verdicts = [
            verdict("pools", "grows", Outcome::Holds),
            verdict("strides", "grows", Outcome::Refuted),
            verdict("pools", "falls", Outcome::Refuted),
            verdict("strides", "falls", Outcome::Refuted),
            verdict("pools", "stays", Outcome::Inconclusive),
        ];
        assert_eq!(
            outcomes(&verdicts),
            "1 of 5 claims holds; refuted (strides): grows; refuted: falls; inconclusive: stays"
        );
    }

    #[test]
    fn what_holds_by_its_tolerance_only_says_how_far_it_is() {
        let verdict = |measured: f64, outcome, relation| Verdict {
            predicted: Some(0.0),
            measured: Some(measured),
            std_error: Some(0.0029),
            verdict: outcome,
            relation,
            ..Verdict::blank("", "", "", "value", 0.1)
        };
        let of = |measured, outcome, relation| remark(&verdict(measured, outcome, relation));
        let far = of(0.032, Outcome::Holds, Relation::Is).unwrap();
        assert_eq!(far, "differs from 0 by 11 standard errors, inside the tolerance");
        assert_eq!(of(0.005, Outcome::Holds, Relation::Is), None);
        assert_eq!(of(0.032, Outcome::Inconclusive, Relation::Is), None);
        assert_eq!(of(0.032, Outcome::Holds, Relation::AtMost), None);
        let with_reason = Verdict { reason: Some("early".into()), ..verdict(0.032, Outcome::Holds, Relation::Is) };
        assert_eq!(remark(&with_reason).unwrap(), format!("early; {far}"));
    }
}
