//! Turns results into the description of a figure: which curves, against what, compared with which prediction.

use super::claim::{Baseline, ClaimKind, ClaimSpec, ValueSource};
use super::format::{rounded, with_error};
use super::results::{Row, Sampled, Verdict};
use super::spec::{Spec, with_dimension};
use crate::figure::{Axis, Curve, Figure, Point, RatioCurve, RatioPanel, RatioPoint, Scale};
use crate::sampling::Observable;
use crate::sampling::observable::{Gradient, Statistic};

/// Most curves that one figure can label.
const MOST_CURVES: usize = 8;
/// Half-width of a 95 % interval in standard errors.
const REACH: f64 = 1.959_964;

/// The rows of one curve: a network, an observable, and the sweep variables that are not on the abscissa.
struct Strand<'a> {
    network: &'a str,
    observable: &'a str,
    others: Vec<(String, f64)>,
    rows: Vec<(f64, &'a Row, Sampled)>,
}

/// The figure of an experiment.
pub fn figure_of(spec: &Spec, rows: &[Row], verdicts: &[Verdict]) -> Figure {
    let abscissa = abscissa(spec, rows);
    let all = strands(spec, rows, &abscissa);
    let hidden = all.len().saturating_sub(MOST_CURVES);
    let shown = &all[..all.len() - hidden];
    let predictions: Vec<Vec<(f64, f64)>> =
        shown.iter().map(|strand| predicted_law(spec, rows, strand, &abscissa)).collect();
    let curves =
        shown.iter().zip(&predictions).map(|(strand, law)| curve(spec, strand, law, shown, verdicts)).collect();
    let mut footnote = format!("gradlaw {} · seed {} · {}", env!("CARGO_PKG_VERSION"), spec.seed, draws_of(rows));
    if !spec.source.is_empty() {
        footnote = format!("{} · {footnote}", spec.source);
    }
    if hidden > 0 {
        footnote.push_str(&format!(" · {hidden} more curves in points.csv"));
    }
    Figure {
        title: spec.title.clone(),
        subtitle: String::new(),
        x: Axis { label: abscissa_label(&abscissa), scale: x_scale(&all) },
        y: Axis { label: ordinate_label(&all), scale: Scale::Log10 },
        curves,
        ratio: ratio_panel(spec, &all[..all.len() - hidden], &predictions),
        footnote,
    }
}

/// What is on the abscissa: that of the first claim of an exponent, else the first sweep variable, else the dimension.
fn abscissa(spec: &Spec, rows: &[Row]) -> String {
    let claimed = spec.claims.iter().find_map(|claim| match &claim.kind {
        ClaimKind::Exponent { against, .. } => Some(against.clone()),
        _ => None,
    });
    let dimension = rows.iter().any(|row| row.dimension != rows[0].dimension);
    claimed.unwrap_or_else(|| match spec.sweep.names().next() {
        Some(name) if !dimension => name.into(),
        _ => "dimension".into(),
    })
}

fn abscissa_label(abscissa: &str) -> String {
    if abscissa == "dimension" { "input dimension d".into() } else { abscissa.into() }
}

fn x_of(row: &Row, abscissa: &str) -> f64 {
    row.variables.iter().find(|(name, _)| name == abscissa).map_or(row.dimension as f64, |&(_, value)| value)
}

/// The curves that claims speak of, in the order of networks and observables; all where there are no claims.
fn strands<'a>(spec: &Spec, rows: &'a [Row], abscissa: &str) -> Vec<Strand<'a>> {
    let spoken = |row: &Row| {
        spec.claims.is_empty()
            || spec.claims.iter().any(|claim| concerns(claim, &row.network) && claim.observable == row.observable)
    };
    let mut strands: Vec<Strand<'a>> = Vec::new();
    for row in rows.iter().filter(|row| spoken(row)) {
        let Some(sampled) = row.sampled else { continue };
        let moving = |name: &str| name == abscissa || (abscissa == "dimension" && moves_dimension(rows, name));
        let others: Vec<(String, f64)> = row.variables.iter().filter(|(name, _)| !moving(name)).cloned().collect();
        let place = (x_of(row, abscissa), row, sampled);
        let same = |strand: &&mut Strand<'a>| {
            strand.network == row.network && strand.observable == row.observable && strand.others == others
        };
        match strands.iter_mut().find(same) {
            Some(strand) => strand.rows.push(place),
            None => {
                strands.push(Strand { network: &row.network, observable: &row.observable, others, rows: vec![place] })
            }
        }
    }
    strands
}

/// Whether rows of one network that differ in this variable differ in dimension.
fn moves_dimension(rows: &[Row], name: &str) -> bool {
    let without = |row: &Row| row.variables.iter().filter(|(other, _)| other != name).cloned().collect::<Vec<_>>();
    let Some(first) = rows.first() else { return false };
    let others = without(first);
    rows.iter().any(|row| row.network == first.network && without(row) == others && row.dimension != first.dimension)
}

fn concerns(claim: &ClaimSpec, network: &str) -> bool {
    match &claim.kind {
        ClaimKind::Ratio { networks, .. } | ClaimKind::SameLaw { networks } => {
            networks.iter().any(|label| label == network)
        }
        _ => claim.network.as_deref().is_none_or(|label| label == network),
    }
}

/// The claim whose prediction is drawn with a strand.
fn claim_of<'s>(spec: &'s Spec, strand: &Strand<'_>) -> Option<&'s ClaimSpec> {
    let mut about =
        spec.claims.iter().filter(|claim| claim.observable == strand.observable && concerns(claim, strand.network));
    about.clone().find(|claim| matches!(claim.kind, ClaimKind::Exponent { .. })).or_else(|| about.next())
}

/// The law that a claim predicts, through the strand's points: baseline × C xᵖ with C from the weighted mean of the
/// logarithms, or the stated value. Empty where no claim gives one.
fn predicted_law(spec: &Spec, rows: &[Row], strand: &Strand<'_>, abscissa: &str) -> Vec<(f64, f64)> {
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

fn curve(spec: &Spec, strand: &Strand<'_>, law: &[(f64, f64)], shown: &[Strand<'_>], verdicts: &[Verdict]) -> Curve {
    let points = strand.rows.iter().map(|&(x, _, sampled)| Point {
        x,
        mean: sampled.mean,
        std_error: sampled.std_error,
        q10: sampled.q10,
        median: sampled.median,
        q90: sampled.q90,
    });
    let theory: Option<Vec<(f64, f64)>> =
        strand.rows.iter().map(|&(x, row, _)| Some((x, row.theory.as_ref()?.0))).collect();
    Curve {
        label: strand_label(strand, shown),
        annotation: claim_of(spec, strand).map(|claim| annotation(claim, strand, verdicts)).unwrap_or_default(),
        points: points.collect(),
        theory: theory.unwrap_or_default(),
        guide: law.to_vec(),
    }
}

/// "slope 0.4998 ± 0.0004, predicted 0.5".
fn annotation(claim: &ClaimSpec, strand: &Strand<'_>, verdicts: &[Verdict]) -> String {
    let verdict = verdicts.iter().find(|verdict| {
        verdict.observable == strand.observable
            && verdict.statement.starts_with(&claim.statement)
            && verdict.network.contains(strand.network)
            && (verdict.variables.is_empty() || verdict.variables == strand.others)
    });
    let Some((measured, std_error, verdict)) = verdict.and_then(|v| Some((v.measured?, v.std_error.unwrap_or(0.0), v)))
    else {
        return String::new();
    };
    let numbers = with_error(measured, std_error);
    let predicted =
        verdict.predicted.map(|predicted| format!(", predicted\u{a0}{}", rounded(predicted, 4))).unwrap_or_default();
    match verdict.kind.as_str() {
        "exponent" if matches!(&claim.kind, ClaimKind::Exponent { relative_to: Some(_), .. }) => {
            format!("residual slope {numbers}{predicted}")
        }
        "exponent" => format!("slope {numbers}{predicted}"),
        "ratio" => format!("ratio {numbers}{predicted}"),
        "value" => format!("measured/predicted {numbers}"),
        _ => format!("distance of the laws {}", rounded(measured, 4)),
    }
}

fn strand_label(strand: &Strand<'_>, all: &[Strand<'_>]) -> String {
    let several = |key: fn(&Strand<'_>) -> String| all.iter().any(|other| key(other) != key(&all[0]));
    let mut parts = Vec::new();
    if several(|strand| strand.observable.to_owned()) {
        parts.push(symbol(strand.observable));
    }
    if several(|strand| strand.network.to_owned()) {
        parts.push(strand.network.to_owned());
    }
    parts.extend(strand.others.iter().map(|(name, value)| format!("{name} = {value}")));
    if parts.is_empty() { symbol(strand.observable) } else { parts.join(", ") }
}

/// The observable in the paper's notation.
pub fn symbol(name: &str) -> String {
    let Ok(observable) = name.parse::<Observable>() else { return name.into() };
    let function = match observable.gradient {
        Gradient::Loss => "∂ₓL",
        Gradient::Logit => "∂ₓf",
    };
    let base = match observable.statistic {
        Statistic::Coordinate => match observable.gradient {
            Gradient::Loss => "|∂ᵢL|".into(),
            Gradient::Logit => "|∂ᵢf|".into(),
        },
        Statistic::RaoBlackwell => format!("E‖{function}‖₁ given scalars"),
        Statistic::Norm(norm) => {
            let order = match norm.order() {
                1.0 => "₁".into(),
                2.0 => "₂".into(),
                3.0 => "₃".into(),
                f64::INFINITY => "∞".into(),
                order => format!("_{order}"),
            };
            let scale = if observable.scaled { "εₚ " } else { "" };
            format!("{scale}‖{function}‖{order}")
        }
    };
    match observable.power {
        2 => format!("{base}²"),
        4 => format!("{base}⁴"),
        _ => base,
    }
}

fn ordinate_label(strands: &[Strand<'_>]) -> String {
    match strands {
        [first, rest @ ..] if rest.iter().all(|strand| strand.observable == first.observable) => {
            format!("mean of {}", symbol(first.observable))
        }
        _ => "mean".into(),
    }
}

/// Powers of two where the values are; else powers of ten, or a linear axis for values that are not positive.
fn x_scale(strands: &[Strand<'_>]) -> Scale {
    let xs = || strands.iter().flat_map(|strand| strand.rows.iter().map(|&(x, _, _)| x));
    if xs().any(|x| x <= 0.0) {
        return Scale::Linear;
    }
    let binary = xs().filter(|x| x.log2().fract() == 0.0).count();
    if 2 * binary >= xs().count() { Scale::Log2 } else { Scale::Log10 }
}

/// Draws of every point, or their range.
fn draws_of(rows: &[Row]) -> String {
    let draws = || rows.iter().filter_map(|row| row.sampled.map(|sampled| sampled.draws));
    match (draws().min(), draws().max()) {
        (Some(least), Some(most)) if least == most => format!("{least} draws a point"),
        (Some(least), Some(most)) => format!("{least} to {most} draws a point"),
        _ => "nothing sampled".into(),
    }
}

/// Measured over predicted: the exact value where there is one, else the law of the claim, else the other network.
fn ratio_panel(spec: &Spec, strands: &[Strand<'_>], laws: &[Vec<(f64, f64)>]) -> Option<RatioPanel> {
    let mut curves = Vec::new();
    let mut labels: Vec<&str> = Vec::new();
    for (index, (strand, law)) in strands.iter().zip(laws).enumerate() {
        let exact = strand.rows.iter().all(|(_, row, _)| row.theory.is_some());
        let other = partner(spec, strand, strands);
        let point = |(place, &(x, row, sampled)): (usize, &(f64, &Row, Sampled))| {
            let (reference, error) = match (&row.theory, law.get(place), other) {
                (Some((theory, _)), _, _) if exact => (*theory, 0.0),
                (_, Some(&(_, law)), _) => (law, 0.0),
                (_, _, Some(other)) => {
                    let there = other.rows.iter().find(|(_, theirs, _)| theirs.variables == row.variables)?;
                    (there.2.mean, there.2.std_error / there.2.mean)
                }
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
        labels.push(match (exact, law.is_empty()) {
            (true, _) => "measured / exact",
            (false, false) => "measured / predicted law",
            _ => "ratio of networks",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observables_are_written_as_in_the_paper() {
        for (name, expected) in [
            ("loss.l1", "‖∂ₓL‖₁"),
            ("logit.l2sq", "‖∂ₓf‖₂²"),
            ("loss.linf.scaled", "εₚ ‖∂ₓL‖∞"),
            ("loss.l1.5", "‖∂ₓL‖_1.5"),
            ("loss.coordinate", "|∂ᵢL|"),
        ] {
            assert_eq!(symbol(name), expected);
        }
    }
}
