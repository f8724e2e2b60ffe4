//! What measured means are compared with in a figure: exact values, the law of a claim, or another network.

use super::{Series, claims_of, theory_of};
use crate::experiment::claim::Claim;
use crate::experiment::results::{Row, Sampled};
use crate::experiment::specification::{DrawSpec, Spec};
use crate::figure::{RatioCurve, RatioPanel, RatioPoint};

/// Half-width of a 95 % interval in standard errors.
const REACH: f64 = 1.959_964;

/// The law that a claim predicts, through the series's points: baseline × C xᵖ with C from the weighted mean of the
/// logarithms, the stated value, or the other network's means times the claimed ratio. Empty where the claim gives none.
pub(super) fn predicted_law(claim: &Claim, rows: &[Row], series: &Series<'_>, abscissa: &str) -> Vec<(f64, f64)> {
    let shape =
        |row: &Row, x: f64| claim.shape(row, rows, x, &series.others).filter(|_| claim.against() == Some(abscissa));
    let stated = |row: &Row| claim.claimed(row, rows);
    let law: Option<Vec<(f64, f64)>> = series.rows.iter().map(|&(x, row, _)| Some((x, shape(row, x)?))).collect();
    let Some(law) = law else {
        let stated: Option<Vec<_>> = series.rows.iter().map(|&(x, row, _)| Some((x, stated(row)?))).collect();
        return stated.unwrap_or_default();
    };
    let weight = |sampled: &Sampled| (sampled.mean / sampled.std_error.max(1e-12 * sampled.mean.abs())).powi(2);
    let (mut total, mut sum) = (0.0, 0.0);
    for ((_, _, sampled), (_, shape)) in series.rows.iter().zip(&law) {
        total += weight(sampled);
        sum += weight(sampled) * (sampled.mean / shape).ln();
    }
    let constant = (sum / total).exp();
    law.into_iter().map(|(x, shape)| (x, constant * shape)).collect()
}

/// Measured over predicted: the theoretical value where there is one, else the law of the claim; for claims on two
/// networks their ratio over the claimed factor, drawn with the network that fewer such claims speak of.
pub(super) fn ratio_panel(
    spec: &Spec<DrawSpec>,
    all_series: &[Series<'_>],
    laws: &[&[(f64, f64)]],
) -> Option<RatioPanel> {
    let mut curves = Vec::new();
    let mut labels: Vec<&str> = Vec::new();
    for (index, (series, law)) in all_series.iter().zip(laws).enumerate() {
        let theory = series.rows.iter().all(|(_, row, _)| theory_of(row).is_some());
        let claim = claims_of(spec, series).first().copied();
        let stated = claim.is_some_and(|claim| claim.states_value());
        let pair = claim.and_then(|claim| Some((claim, claim.pair()?)));
        let point = |(place, &(x, row, sampled)): (usize, &(f64, &Row, Sampled))| match (pair, theory_of(row)) {
            (Some((claim, networks)), _) => {
                let mean = |label: &String| mean_of(all_series, label, series, row);
                let (first, second) = (mean(&networks[0])?, mean(&networks[1])?);
                let ratio = first.mean / second.mean / claim.factor(row)?;
                let spread = (first.std_error / first.mean).hypot(second.std_error / second.mean);
                Some(RatioPoint { x, ratio, half_interval: (REACH * ratio * spread).abs() })
            }
            (None, theory_here) => {
                let reference = match (theory_here, law.get(place)) {
                    (Some(theory_mean), _) if theory && !stated => theory_mean,
                    (_, Some(&(_, law))) => law,
                    _ => return None,
                };
                let half_interval = (REACH * sampled.std_error / reference).abs();
                Some(RatioPoint { x, ratio: sampled.mean / reference, half_interval })
            }
        };
        let points: Vec<RatioPoint> = series.rows.iter().enumerate().filter_map(point).collect();
        if points.is_empty() {
            continue;
        }
        let all = |is: fn(&Row) -> bool| series.rows.iter().all(|(_, row, _)| is(row));
        labels.push(match (pair, theory && !stated) {
            (Some((claim, _)), _) => claim.name_of_ratio(),
            (None, true) if all(Row::has_exact_theory) => "measured / exact",
            (None, true) if all(Row::has_mean_field_theory) => "measured / mean field",
            (None, true) => "measured / path theory",
            (None, false) if claim.is_some_and(|claim| claim.is_bound()) => "measured / bound",
            (None, false) => "measured / predicted law",
        });
        curves.push(RatioCurve { curve: index, points });
    }
    let label = match labels[..] {
        [] => return None,
        [first, ref rest @ ..] if rest.iter().all(|label| *label == first) => first,
        _ => "measured / predicted",
    };
    Some(RatioPanel { label: label.into(), reference: 1.0, band: band_of(spec), curves })
}

/// What was measured of a network where the series has this row.
fn mean_of(all_series: &[Series<'_>], label: &str, series: &Series<'_>, row: &Row) -> Option<Sampled> {
    let there = all_series.iter().find(|other| {
        other.network == label && other.observable == series.observable && other.others == series.others
    })?;
    there.rows.iter().find(|(_, theirs, _)| theirs.variables == row.variables).map(|(_, _, sampled)| *sampled)
}

/// The tolerance of claims on what values or ratios are, where it is one.
fn band_of(spec: &Spec<DrawSpec>) -> Option<(f64, f64)> {
    let tolerances: Vec<f64> = spec
        .claims
        .iter()
        .filter(|claim| claim.is_relative() && !claim.is_bound())
        .map(|claim| claim.terms.tolerance)
        .collect();
    let first = *tolerances.first()?;
    tolerances.iter().all(|tolerance| *tolerance == first).then_some((1.0 - first, 1.0 + first))
}
