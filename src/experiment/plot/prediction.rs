//! What measured means are compared with in a figure: exact values, the law of a claim, or another network.

use super::{Strand, claim_of};
use crate::experiment::claim::{Baseline, ClaimKind, ValueSource};
use crate::experiment::results::{Row, Sampled};
use crate::experiment::spec::{Spec, with_dimension};
use crate::figure::{RatioCurve, RatioPanel, RatioPoint};
use crate::sampling::Observable;

/// Half-width of a 95 % interval in standard errors.
const REACH: f64 = 1.959_964;

/// The law that a claim predicts, through the strand's points: baseline × C xᵖ with C from the weighted mean of the
/// logarithms, or the stated value. Empty where no claim gives one.
pub(super) fn predicted_law(spec: &Spec, rows: &[Row], strand: &Strand<'_>, abscissa: &str) -> Vec<(f64, f64)> {
    let shape = |row: &Row, x: f64| -> Option<f64> {
        match &claim_of(spec, strand)?.kind {
            ClaimKind::Exponent { against, exponent, relative_to } if against == abscissa => {
                let power = exponent.evaluate(&strand.others).ok()?;
                Some(baseline(rows, row, relative_to.as_ref())? * x.powf(power))
            }
            _ => None,
        }
    };
    let stated = |row: &Row| match &claim_of(spec, strand)?.kind {
        ClaimKind::Value(ValueSource::Formula(formula)) => {
            formula.evaluate(&with_dimension(&row.variables, row.dimension)).ok()
        }
        _ => None,
    };
    let law: Option<Vec<(f64, f64)>> = strand.rows.iter().map(|&(x, row, _)| Some((x, shape(row, x)?))).collect();
    let Some(law) = law else {
        let stated: Option<Vec<_>> = strand.rows.iter().map(|&(x, row, _)| Some((x, stated(row)?))).collect();
        return stated.unwrap_or_default();
    };
    let weight = |sampled: &Sampled| (sampled.mean / sampled.std_error.max(1e-12 * sampled.mean.abs())).powi(2);
    let (mut total, mut sum) = (0.0, 0.0);
    for ((_, _, sampled), (_, shape)) in strand.rows.iter().zip(&law) {
        total += weight(sampled);
        sum += weight(sampled) * (sampled.mean / shape).ln();
    }
    let constant = (sum / total).exp();
    law.into_iter().map(|(x, shape)| (x, constant * shape)).collect()
}

fn baseline(rows: &[Row], row: &Row, relative_to: Option<&Baseline>) -> Option<f64> {
    match relative_to {
        None => Some(1.0),
        Some(Baseline::Formula(formula)) => formula.evaluate(&with_dimension(&row.variables, row.dimension)).ok(),
        Some(Baseline::Theory(observable)) => {
            let same = |other: &&Row| {
                other.network == row.network
                    && other.variables == row.variables
                    && other.observable.parse::<Observable>().as_ref() == Ok(observable)
            };
            rows.iter().find(same)?.theory.as_ref().map(|(mean, _)| *mean)
        }
    }
}

/// Measured over predicted: the exact value where there is one, else the law of the claim, else the other network.
pub(super) fn ratio_panel(spec: &Spec, strands: &[Strand<'_>], laws: &[Vec<(f64, f64)>]) -> Option<RatioPanel> {
    let mut curves = Vec::new();
    let mut labels: Vec<&str> = Vec::new();
    for (index, (strand, law)) in strands.iter().zip(laws).enumerate() {
        let exact = strand.rows.iter().all(|(_, row, _)| row.theory.is_some());
        // Strands that are claimed to agree are compared with each other, the first of two with the second.
        let paired = claim_of(spec, strand)
            .is_some_and(|claim| matches!(claim.kind, ClaimKind::Ratio { .. } | ClaimKind::SameLaw { .. }));
        let other = if paired { partner(spec, strand, strands) } else { None };
        let point = |(place, &(x, row, sampled)): (usize, &(f64, &Row, Sampled))| {
            let (reference, error) = match (other, &row.theory, law.get(place)) {
                (Some(other), _, _) => {
                    let there = other.rows.iter().find(|(_, theirs, _)| theirs.variables == row.variables)?;
                    (there.2.mean, there.2.std_error / there.2.mean)
                }
                _ if paired => return None,
                (_, Some((theory, _)), _) if exact => (*theory, 0.0),
                (_, _, Some(&(_, law))) => (law, 0.0),
                _ => return None,
            };
            let ratio = sampled.mean / reference;
            let spread = (sampled.std_error / sampled.mean).hypot(error);
            Some(RatioPoint { x, ratio, half_interval: (REACH * ratio * spread).abs() })
        };
        let points: Vec<RatioPoint> = strand.rows.iter().enumerate().filter_map(point).collect();
        if points.is_empty() {
            continue;
        }
        labels.push(match (paired, exact) {
            (true, _) => "ratio of networks",
            (false, true) => "measured / exact",
            (false, false) => "measured / predicted law",
        });
        curves.push(RatioCurve { curve: index, points });
    }
    let label = match labels[..] {
        [] => return None,
        [first, ref rest @ ..] if rest.iter().all(|label| *label == first) => first,
        _ => "measured / predicted",
    };
    Some(RatioPanel { label: label.into(), reference: reference_of(spec, label), band: band_of(spec, label), curves })
}

/// The strand of the second network of a ratio or of one law, for the first's ratio.
fn partner<'p, 'a>(spec: &Spec, strand: &Strand<'a>, strands: &'p [Strand<'a>]) -> Option<&'p Strand<'a>> {
    let second = spec.claims.iter().find_map(|claim| match &claim.kind {
        ClaimKind::Ratio { networks: [first, second], .. } | ClaimKind::SameLaw { networks: [first, second] }
            if first == strand.network && claim.observable == strand.observable =>
        {
            Some(second)
        }
        _ => None,
    })?;
    strands
        .iter()
        .find(|other| other.network == second && other.observable == strand.observable && other.others == strand.others)
}

/// The factor of ratio claims where they are drawn and have one number; else 1.
fn reference_of(spec: &Spec, label: &str) -> f64 {
    let factors = spec.claims.iter().filter_map(|claim| match &claim.kind {
        ClaimKind::Ratio { factor, .. } => factor.evaluate(&[]).ok(),
        _ => None,
    });
    match factors.collect::<Vec<_>>()[..] {
        [factor, ref rest @ ..] if label == "ratio of networks" && rest.iter().all(|other| *other == factor) => factor,
        _ => 1.0,
    }
}

/// The tolerance of claims on values or ratios, where it is one.
fn band_of(spec: &Spec, label: &str) -> Option<(f64, f64)> {
    let tolerances: Vec<f64> = spec
        .claims
        .iter()
        .filter(|claim| matches!(claim.kind, ClaimKind::Value(_) | ClaimKind::Ratio { .. }))
        .map(|claim| claim.tolerance)
        .collect();
    let first = *tolerances.first()?;
    let centre = reference_of(spec, label);
    tolerances.iter().all(|tolerance| *tolerance == first).then_some((centre * (1.0 - first), centre * (1.0 + first)))
}
