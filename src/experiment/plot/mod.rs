//! Turns results into the description of a figure: which curves, against what, compared with which prediction.

mod label;
mod panels;
mod prediction;
#[cfg(test)]
mod tests;

use super::claim::{Claim, moves_dimension};
use super::place;
use super::results::words::outcomes;
use super::results::{Row, Sampled, Verdict};
use super::specification::{DrawSpec, Spec, WorkSpec};
use crate::figure::{Axis, Curve, Figure, Point, Scale};
use label::{annotation, ordinate_label, series_label};
use prediction::{predicted_law, ratio_panel};

pub use label::symbol;
pub use panels::{panels_of_drawn, panels_of_trained};

/// Most curves that one figure can label.
const MOST_CURVES: usize = 8;

/// The rows of one curve: a network, an observable, and the sweep variables that are not on the abscissa.
struct Series<'a> {
    network: &'a str,
    observable: &'a str,
    others: Vec<(String, f64)>,
    rows: Vec<(f64, &'a Row, Sampled)>,
}

/// The figure of an experiment.
pub fn figure_of(spec: &Spec<DrawSpec>, rows: &[Row], verdicts: &[Verdict]) -> Figure {
    let abscissa = abscissa(spec, rows);
    let all = series_of(spec, rows, &abscissa);
    let hidden = all.len().saturating_sub(MOST_CURVES);
    let shown = &all[..all.len() - hidden];
    let laws: Vec<Vec<Vec<(f64, f64)>>> = shown
        .iter()
        .map(|series| {
            claims_of(spec, series).iter().map(|claim| predicted_law(claim, rows, series, &abscissa)).collect()
        })
        .collect();
    let curves = shown.iter().zip(&laws).map(|(series, laws)| curve(spec, series, laws, shown, verdicts)).collect();
    let first: Vec<&[(f64, f64)]> = laws.iter().map(|laws| laws.first().map_or(&[][..], Vec::as_slice)).collect();
    let mut footnote = footnote(spec, &draws_of(rows));
    if hidden > 0 {
        footnote.push_str(&format!(" · {hidden} more curves in points.csv"));
    }
    Figure {
        title: spec.title.clone(),
        subtitle: outcomes(verdicts),
        x: x_axis(spec, &all, &abscissa),
        y: Axis { label: ordinate_label(&all), scale: Scale::Log10, marks: Vec::new() },
        curves,
        ratio: ratio_panel(spec, shown, &first),
        footnote,
    }
}

/// What is on the abscissa: that of the first claim of an exponent, else the size of the attacks where it is swept, else
/// the dimension where it changes, else the first sweep variable.
fn abscissa(spec: &Spec<DrawSpec>, rows: &[Row]) -> String {
    let claimed = spec.claims.iter().find_map(|claim| claim.against().map(str::to_owned));
    let dimension = rows.iter().any(|row| row.dimension != rows[0].dimension);
    claimed.or(spec.size_variable().map(str::to_owned)).unwrap_or_else(|| match spec.sweep.names().next() {
        Some(name) if !dimension => name.into(),
        _ => "dimension".into(),
    })
}

fn abscissa_label(abscissa: &str) -> String {
    if abscissa == "dimension" { "input dimension d".into() } else { abscissa.into() }
}

/// The theoretical mean of a row, where it can be drawn and divided by: a theory of zero, as of a gap, has no place on a
/// logarithmic axis.
fn theory_of(row: &Row) -> Option<f64> {
    row.theory.as_ref().map(|(mean, _)| *mean).filter(|&mean| mean > 0.0)
}

/// The curves that claims speak of, in the order of networks and observables; all where there are no claims.
fn series_of<'a>(spec: &Spec<DrawSpec>, rows: &'a [Row], abscissa: &str) -> Vec<Series<'a>> {
    let spoken = |row: &Row| {
        spec.claims.is_empty()
            || spec.claims.iter().any(|claim| claim.is_about(&row.network) && claim.is_on(&row.observable))
    };
    let network = rows.first().map(|row| row.network.as_str()).unwrap_or_default();
    let places = || rows.iter().filter(|row| row.network == network).map(|row| (&row.variables[..], row.dimension));
    let movers: Vec<&str> = spec.sweep.names().filter(|name| moves_dimension(places(), name)).collect();
    let mut all_series: Vec<Series<'a>> = Vec::new();
    for row in rows.iter().filter(|row| spoken(row)) {
        let Some(sampled) = row.sampled else { continue };
        let moving = |name: &str| name == abscissa || (abscissa == "dimension" && movers.contains(&name));
        let others: Vec<(String, f64)> = row.variables.iter().filter(|(name, _)| !moving(name)).cloned().collect();
        let place = (place::abscissa(&row.variables, row.dimension, abscissa), row, sampled);
        let same = |series: &&mut Series<'a>| {
            series.network == row.network && series.observable == row.observable && series.others == others
        };
        match all_series.iter_mut().find(same) {
            Some(series) => series.rows.push(place),
            None => all_series.push(Series {
                network: &row.network,
                observable: &row.observable,
                others,
                rows: vec![place],
            }),
        }
    }
    all_series
}

/// The claims that speak of a series, the one that it is compared with first: exponents, then values, then comparisons of two networks,
/// if the series is the one of the two that fewer other claims speak of.
fn claims_of<'s>(spec: &'s Spec<DrawSpec>, series: &Series<'_>) -> Vec<&'s Claim> {
    let about = |claim: &&Claim| claim.is_on(series.observable) && claim.is_about(series.network);
    let comparisons = |label: &str| {
        let speaks = |claim: &&Claim| claim.is_on(series.observable) && claim.pair().is_some();
        spec.claims.iter().filter(speaks).filter(|claim| claim.is_about(label)).count()
    };
    // A network of which a claim of its own speaks has something drawn with it already.
    let own = |label: &str| {
        let speaks = |claim: &&Claim| claim.is_on(series.observable) && claim.pair().is_none();
        spec.claims.iter().filter(speaks).any(|claim| claim.is_about(label))
    };
    let rank = |claim: &&Claim| match (claim.against(), claim.pair()) {
        (Some(_), _) => Some(0),
        (_, None) => Some(1),
        (_, Some([first, second])) => {
            let busy = |label: &String| (own(label), comparisons(label));
            let carrier = if busy(second) < busy(first) { second } else { first };
            (carrier == series.network).then_some(2)
        }
    };
    let mut ranked: Vec<(u8, &Claim)> =
        spec.claims.iter().filter(about).filter_map(|claim| Some((rank(&claim)?, claim))).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, claim)| claim).collect()
}

fn curve(
    spec: &Spec<DrawSpec>,
    series: &Series<'_>,
    laws: &[Vec<(f64, f64)>],
    shown: &[Series<'_>],
    verdicts: &[Verdict],
) -> Curve {
    let points = series.rows.iter().map(|&(x, _, sampled)| Point {
        x,
        mean: sampled.mean,
        std_error: sampled.std_error,
        q10: sampled.q10,
        median: sampled.median,
        q90: sampled.q90,
    });
    let theory: Option<Vec<(f64, f64)>> = series.rows.iter().map(|&(x, row, _)| Some((x, theory_of(row)?))).collect();
    let theory = theory.unwrap_or_default();
    let remarks = claims_of(spec, series).into_iter().zip(laws).map(|(claim, law)| {
        let predictions = if theory.is_empty() || claim.states_value() { law } else { &theory };
        annotation(claim, series, predictions, verdicts)
    });
    let mut said: Vec<String> = Vec::new();
    for remark in remarks {
        // Two claims may speak of one number.
        if !remark.is_empty() && !said.contains(&remark) {
            said.push(remark);
        }
    }
    Curve {
        label: series_label(series, shown),
        annotation: said.join("; "),
        points: points.collect(),
        theory,
        guides: laws.iter().filter(|law| !law.is_empty()).cloned().collect(),
    }
}

/// Most values of a sweep variable that are marked one by one.
const MOST_MARKS: usize = 8;

/// The horizontal axis, on which few values of a sweep variable are marked one by one unless they are powers of two.
fn x_axis(spec: &Spec<DrawSpec>, all_series: &[Series<'_>], abscissa: &str) -> Axis {
    let scale = x_scale(all_series);
    let values = spec.sweep.0.iter().find(|(name, _)| name == abscissa).map_or(&[][..], |(_, values)| values);
    let marks = if scale == Scale::Log2 || values.len() > MOST_MARKS { Vec::new() } else { values.to_vec() };
    Axis { label: abscissa_label(abscissa), scale, marks }
}

/// Powers of two where the values are, a linear axis for small counts and for values that are not positive; else powers
/// of ten.
fn x_scale(all_series: &[Series<'_>]) -> Scale {
    let xs = || all_series.iter().flat_map(|series| series.rows.iter().map(|&(x, _, _)| x));
    if xs().any(|x| x <= 0.0) {
        return Scale::Linear;
    }
    let binary = xs().filter(|x| x.log2().fract() == 0.0).count();
    if binary == xs().count() && binary > 0 && xs().any(|x| x > 2.0) {
        return Scale::Log2;
    }
    if xs().all(|x| x.fract() == 0.0 && x <= MOST_MARKS as f64) {
        return Scale::Linear;
    }
    if 2 * binary >= xs().count() { Scale::Log2 } else { Scale::Log10 }
}

/// Draws of every point, or their range.
/// Where a figure comes from: source, version, seed, and how much it rests on.
fn footnote<W: WorkSpec>(spec: &Spec<W>, count: &str) -> String {
    let own = format!("gradlaw {} · seed {} · {count}", env!("CARGO_PKG_VERSION"), spec.seed);
    if spec.source.is_empty() { own } else { format!("{} · {own}", spec.source) }
}

fn draws_of(rows: &[Row]) -> String {
    let draws = || rows.iter().filter_map(|row| row.sampled.map(|sampled| sampled.draws));
    match (draws().min(), draws().max()) {
        (Some(least), Some(most)) if least == most => format!("{least} draws a point"),
        (Some(least), Some(most)) => format!("{least} to {most} draws a point"),
        _ => "nothing sampled".into(),
    }
}
