//! The figure of trained networks: panels of one number against another.

use super::symbol;
use crate::experiment::claim::{Claim, Remark};
use crate::experiment::place::abscissa;
use crate::experiment::results::words::outcomes;
use crate::experiment::results::{TrainedNetwork, Verdict};
use crate::experiment::specification::expression::Expression;
use crate::experiment::specification::{PanelSpec, SIZE, Spec, TrainSpec, size_in};
use crate::figure::{Axis, Panel, PanelCurve, PanelFigure, PanelPoint, Scale};
use crate::statistics::quantile::interpolated;

/// The figure of an experiment, from what is finished of it.
pub fn panels_of(spec: &Spec<TrainSpec>, networks: &[TrainedNetwork], verdicts: &[Verdict]) -> PanelFigure {
    let labels = spec.labels();
    let diverged = networks.iter().filter(|network| network.outcome.diverged).count();
    let mut footnote =
        format!("gradlaw {} · seed {} · {} networks", env!("CARGO_PKG_VERSION"), spec.seed, networks.len());
    if !spec.source.is_empty() {
        footnote = format!("{} · {footnote}", spec.source);
    }
    if diverged > 0 {
        footnote.push_str(&format!(", {diverged} of them diverged"));
    }
    PanelFigure {
        title: spec.title.clone(),
        subtitle: outcomes(verdicts),
        panels: spec.panels.iter().map(|panel| panel_of(spec, panel, &labels, networks, verdicts)).collect(),
        series: labels,
        footnote,
    }
}

fn panel_of(
    spec: &Spec<TrainSpec>,
    panel: &PanelSpec,
    labels: &[String],
    networks: &[TrainedNetwork],
    verdicts: &[Verdict],
) -> Panel {
    let index = |name: &str| spec.observables.iter().position(|(known, _)| known == name);
    let x_observable = index(&panel.x);
    let value = |network: &TrainedNetwork| -> Option<(f64, f64)> {
        let x = match x_observable {
            Some(index) => network.value(index)?,
            None => abscissa(&network.variables, network.dimension, &panel.x),
        };
        Some((x, network.value(index(&panel.y)?)?))
    };
    let family = |network: &TrainedNetwork| -> Vec<(f64, f64)> {
        let names = spec.observables.iter().enumerate();
        names.filter_map(|(index, (name, _))| Some((size_in(&panel.y, name)?, network.value(index)?))).collect()
    };
    let curve = |(series, label): (usize, &String)| {
        let own = networks.iter().filter(|network| network.label == *label);
        let pairs: Vec<(f64, f64)> =
            if panel.x == SIZE { own.flat_map(family).collect() } else { own.filter_map(value).collect() };
        let points = if x_observable.is_some() { scattered(&pairs) } else { summarised(pairs) };
        PanelCurve { series, points, joined: x_observable.is_none() }
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

/// A point for each network.
fn scattered(pairs: &[(f64, f64)]) -> Vec<PanelPoint> {
    pairs.iter().map(|&(x, y)| PanelPoint { x, y, low: y, high: y }).collect()
}

/// A point for each abscissa: the median over the networks there, with the first and the last decile as its bar.
fn summarised(mut pairs: Vec<(f64, f64)>) -> Vec<PanelPoint> {
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let point = |group: &[(f64, f64)]| {
        let values: Vec<f64> = group.iter().map(|pair| pair.1).collect();
        let [low, y, high] = [0.1, 0.5, 0.9].map(|probability| interpolated(&values, probability));
        PanelPoint { x: group[0].0, y, low, high }
    };
    pairs.chunk_by(|a, b| a.0 == b.0).map(point).collect()
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
fn annotation(spec: &Spec<TrainSpec>, panel: &PanelSpec, verdicts: &[Verdict]) -> String {
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
