//! Figures of panels, each of one number against another: of trained networks, and of drawn ones whose spec asks for them.

use super::{draws_of, footnote, symbol};
use crate::experiment::claim::{Claim, Remark};
use crate::experiment::place::abscissa;
use crate::experiment::results::words::outcomes;
use crate::experiment::results::{Row, TrainedNetwork, Verdict};
use crate::experiment::specification::expression::Expression;
use crate::experiment::specification::{DrawSpec, PanelSpec, SIZE, Spec, TrainSpec, WorkSpec, size_in};
use crate::figure::{Axis, Panel, PanelCurve, PanelFigure, PanelPoint, Scale};
use crate::statistics::Reference;
use crate::statistics::quantile::interpolated;

/// What a panel can show of one network at one point.
struct Shown<'a> {
    label: &'a str,
    variables: &'a [(String, f64)],
    dimension: usize,
    /// For each observable of the spec its value and half its bar.
    values: Vec<Option<(f64, f64)>>,
}

/// The figure of trained networks, from what is finished of them: medians over repetitions, with deciles as bars.
pub fn panels_of_trained(spec: &Spec<TrainSpec>, networks: &[TrainedNetwork], verdicts: &[Verdict]) -> PanelFigure {
    let diverged = networks.iter().filter(|network| network.outcome.diverged).count();
    let mut count = format!("{} networks", networks.len());
    if diverged > 0 {
        count.push_str(&format!(", {diverged} of them diverged"));
    }
    let indices = 0..spec.observables.len();
    let shown = networks.iter().map(|network| Shown {
        label: &network.label,
        variables: &network.variables,
        dimension: network.dimension,
        values: indices.clone().map(|index| network.value(index).map(|value| (value, 0.0))).collect(),
    });
    figure_of_panels(spec, &shown.collect::<Vec<_>>(), verdicts, "10–90 %", &count)
}

/// The figure of drawn networks whose spec has panels: means with their 95 % intervals.
pub fn panels_of_drawn(spec: &Spec<DrawSpec>, rows: &[Row], verdicts: &[Verdict]) -> PanelFigure {
    let mut shown: Vec<Shown<'_>> = Vec::new();
    for row in rows {
        let Some(index) = spec.observables.iter().position(|(name, _)| *name == row.observable) else { continue };
        let is_same = |other: &Shown<'_>| other.label == row.network && other.variables == row.variables;
        // Rows of one network at one point follow each other.
        if !shown.last().is_some_and(is_same) {
            let values = vec![None; spec.observables.len()];
            shown.push(Shown { label: &row.network, variables: &row.variables, dimension: row.dimension, values });
        }
        if let (Some(last), Some(sampled)) = (shown.last_mut(), row.sampled) {
            let [_, half] = Reference::Normal.interval(0.0, sampled.std_error, 0.95);
            last.values[index] = Some((sampled.mean, half));
        }
    }
    figure_of_panels(spec, &shown, verdicts, "95 %", &draws_of(rows))
}

fn figure_of_panels<W: WorkSpec>(
    spec: &Spec<W>,
    shown: &[Shown<'_>],
    verdicts: &[Verdict],
    bars: &str,
    count: &str,
) -> PanelFigure {
    let labels = spec.labels();
    PanelFigure {
        title: spec.title.clone(),
        subtitle: outcomes(verdicts),
        panels: spec.panels.iter().map(|panel| panel_of(spec, panel, &labels, shown, verdicts)).collect(),
        series: labels,
        bars: bars.into(),
        footnote: footnote(spec, count),
    }
}

fn panel_of<W: WorkSpec>(
    spec: &Spec<W>,
    panel: &PanelSpec,
    labels: &[String],
    all: &[Shown<'_>],
    verdicts: &[Verdict],
) -> Panel {
    let index = |name: &str| spec.observables.iter().position(|(known, _)| known == name);
    let x_observable = index(&panel.x);
    let value = |shown: &Shown<'_>| -> Option<PanelPoint> {
        let x = match x_observable {
            Some(index) => shown.values[index]?.0,
            None => abscissa(shown.variables, shown.dimension, &panel.x),
        };
        Some(point(x, shown.values[index(&panel.y)?]?))
    };
    let family = |shown: &Shown<'_>| -> Vec<PanelPoint> {
        let names = spec.observables.iter().enumerate();
        names.filter_map(|(index, (name, _))| Some(point(size_in(&panel.y, name)?, shown.values[index]?))).collect()
    };
    let curve = |(series, label): (usize, &String)| {
        let own = all.iter().filter(|shown| shown.label == *label);
        let points: Vec<PanelPoint> =
            if panel.x == SIZE { own.flat_map(family).collect() } else { own.filter_map(value).collect() };
        // Drawn networks have one mean at a point: of several at one abscissa none stands for the others.
        let (points, joined) = match (x_observable, W::TRAINS) {
            (Some(_), _) => (points, false),
            (None, true) => (summarised(points), true),
            (None, false) => in_order(points),
        };
        PanelCurve { series, points, joined }
    };
    let curves: Vec<PanelCurve> = labels.iter().enumerate().map(curve).collect();
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let scale = |which: usize, of: fn(&PanelPoint) -> f64| {
        let values: Vec<f64> = points().map(of).collect();
        let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
        let wide = least > 0.0 && most > 10.0 * least;
        if panel.logarithmic[which].unwrap_or(wide) { Scale::Log10 } else { Scale::Linear }
    };
    let axis = |name: &str, scale| Axis { label: symbol_of(&name.replace("@*", "@ε")), scale, marks: Vec::new() };
    let (x_scale, y_scale) = (scale(0, |point| point.x), scale(1, |point| point.y));
    Panel {
        title: panel.title.clone(),
        guide: panel.guide.as_ref().map_or(Vec::new(), |guide| law(guide, points().map(|point| point.x), x_scale)),
        guide_label: panel.guide_label.clone(),
        annotation: annotation(spec, panel, verdicts),
        x: axis(&panel.x, x_scale),
        y: axis(&panel.y, y_scale),
        curves,
    }
}

fn symbol_of(name: &str) -> String {
    match name {
        "dimension" => "input dimension d".into(),
        "strength" => "strength ε".into(),
        SIZE => "size of the attack ε".into(),
        "accuracy" | "loss" => name.into(),
        _ => match name.strip_prefix("initial.") {
            Some(rest) => format!("{} before training", symbol_of(rest)),
            None => symbol(name),
        },
    }
}

/// A value with its bar.
fn point(x: f64, (y, half): (f64, f64)) -> PanelPoint {
    PanelPoint { x, y, low: y - half, high: y + half }
}

/// Points from left to right, and whether no two have one abscissa.
fn in_order(mut points: Vec<PanelPoint>) -> (Vec<PanelPoint>, bool) {
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    let distinct = points.windows(2).all(|pair| pair[0].x < pair[1].x);
    (points, distinct)
}

/// A point for each abscissa: the median over the networks there, with the first and the last decile as its bar.
fn summarised(mut points: Vec<PanelPoint>) -> Vec<PanelPoint> {
    points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let point = |group: &[PanelPoint]| {
        let values: Vec<f64> = group.iter().map(|point| point.y).collect();
        let [low, y, high] = [0.1, 0.5, 0.9].map(|probability| interpolated(&values, probability));
        PanelPoint { x: group[0].x, y, low, high }
    };
    points.chunk_by(|a, b| a.x == b.x).map(point).collect()
}

/// The law over the range of the abscissae.
fn law(guide: &Expression, xs: impl Iterator<Item = f64>, scale: Scale) -> Vec<(f64, f64)> {
    const STEPS: usize = 40;
    let (least, most) = xs.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    if least >= most {
        return Vec::new();
    }
    let along = |step: usize| {
        let share = step as f64 / STEPS as f64;
        if scale == Scale::Linear { least + share * (most - least) } else { least * (most / least).powf(share) }
    };
    let point = |step| {
        let x = along(step);
        Some((x, guide.evaluate(&[("x".into(), x)]).ok()?))
    };
    (0..=STEPS).filter_map(point).collect()
}

/// What claims say of what the panel shows.
fn annotation<W: WorkSpec>(spec: &Spec<W>, panel: &PanelSpec, verdicts: &[Verdict]) -> String {
    let axes = [panel.x.as_str(), panel.y.as_str()];
    let shown = |claim: &Claim| match (claim.against(), &claim.observables()[..]) {
        (Some(against), [observable]) => axes == [against, observable],
        (None, [first, second]) => axes == [*first, *second] || axes == [*second, *first],
        _ => false,
    };
    // One number stands for all curves: that of a claim which has a verdict for each network would not.
    let is_alone = |verdict: &Verdict| verdicts.iter().filter(|other| other.claim == verdict.claim).count() == 1;
    let remark = |verdict: &Verdict| {
        let claim = spec.claims.get(verdict.claim?).filter(|claim| is_alone(verdict) && shown(claim))?;
        Some(claim.remark(&Remark::of(verdict)?))
    };
    verdicts.iter().find_map(remark).unwrap_or_default()
}
