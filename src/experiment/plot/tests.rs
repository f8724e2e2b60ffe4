use super::*;
use crate::experiment::claim::judge;
use crate::experiment::results::Outcome;
use crate::experiment::specification::load;
use crate::experiment::{Experiment, Limits, RunOptions, Unwatched};

/// A spec whose second and third claims say one thing, and whose fourth is false.
const SPEC: &str = r#"
    name = "several"
    draws = 2000
    observables = ["logit.l2sq"]
    sweep = { d = [16, 64, 256] }
    [[network]]
    label = "A"
    input = ["d"]
    layers = [{ type = "dense", units = 16 }, { type = "relu" }, { type = "dense", units = 2 }]
    [[claim]]
    statement = "constant"
    observable = "logit.l2sq"
    exponent = 0
    tolerance = 0.05
    [[claim]]
    statement = "as theory says"
    observable = "logit.l2sq"
    value = "theory"
    tolerance = 0.1
    [[claim]]
    statement = "as theory says, more loosely"
    observable = "logit.l2sq"
    value = "theory"
    tolerance = 0.2
    [[claim]]
    statement = "grows"
    observable = "logit.l2sq"
    exponent = 1
    tolerance = 0.05
"#;

/// The spec of an experiment with its rows and verdicts.
fn run(text: &str) -> (Spec<DrawSpec>, Vec<Row>, Vec<Verdict>) {
    let spec = load::parse("several.toml", text, &[]).unwrap();
    let experiment = Experiment::prepare(spec, &Limits { threads: 2, memory: 1 << 30 }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let results = experiment.run(folder.path(), RunOptions::default(), &Unwatched).unwrap();
    let verdicts = judge(&[experiment.measured(&results.measurements)]).remove(0);
    let rows = results.measurements.into_iter().map(|measurement| measurement.row).collect();
    let Experiment::Draw(drawing) = experiment else { panic!("drawn networks") };
    (drawing.spec, rows, verdicts)
}

#[test]
fn a_figure_says_of_every_claim_what_became_of_it_and_says_it_once() {
    let (spec, rows, verdicts) = run(SPEC);
    assert!(spec.panels.is_empty(), "panels are drawn where they are asked for");
    let outcomes: Vec<Outcome> = verdicts.iter().map(|verdict| verdict.verdict).collect();
    assert_eq!(outcomes, [Outcome::Holds, Outcome::Holds, Outcome::Holds, Outcome::Refuted]);
    let figure = figure_of(&spec, &rows, &verdicts);
    let annotation = &figure.curves[0].annotation;
    assert!(annotation.contains("predicted\u{a0}1, refuted"), "the claim that is false: {annotation}");
    assert!(annotation.contains("predicted\u{a0}0;"), "the one that holds: {annotation}");
    assert_eq!(annotation.matches("measured/exact").count(), 1, "{annotation}");
    assert!(figure.subtitle.contains("refuted") && figure.subtitle.contains('3'), "{}", figure.subtitle);
}

#[test]
fn panels_of_drawn_networks_show_means_against_anything() {
    let panels =
        "[[panel]]\nx = \"n\"\ny = \"logit.l2sq\"\nguide = \"x\"\n[[panel]]\nx = \"logit.l2\"\ny = \"logit.l2sq\"\n";
    let spec = SPEC.replace("sweep = { d = [16, 64, 256] }", "sweep = { d = [16, 64], n = [4, 8] }");
    let spec =
        spec.replace("[\"logit.l2sq\"]", "[\"logit.l2sq\", \"logit.l2\"]").replace("units = 16", "units = \"n\"");
    let (spec, rows, verdicts) = run(&(spec + panels));
    let figure = panels_of_drawn(&spec, &rows, &verdicts);
    assert_eq!((figure.series.len(), figure.bars.as_str()), (1, "95 %"));
    let [against, scattered] = [0, 1].map(|panel| &figure.panels[panel].curves[0]);
    let xs: Vec<f64> = against.points.iter().map(|point| point.x).collect();
    // Two dimensions at each width: no line joins them.
    assert_eq!((xs, against.joined), (vec![4.0, 4.0, 8.0, 8.0], false));
    let find = |observable: &str, n: f64, d: f64| {
        let at = [("d".to_owned(), d), ("n".to_owned(), n)];
        rows.iter().find(|row| row.observable == observable && row.variables == at).unwrap().sampled.unwrap()
    };
    let [squared, norm] = ["logit.l2sq", "logit.l2"].map(|observable| find(observable, 4.0, 16.0));
    let shown = against.points.iter().find(|point| point.y == squared.mean).unwrap();
    assert!((shown.high - squared.mean - 1.96 * squared.std_error).abs() < 1e-4 * squared.std_error);
    assert!(scattered.points.iter().any(|point| (point.x, point.y) == (norm.mean, squared.mean)));
    assert!(figure.panels[0].guide.len() > 1);
}
