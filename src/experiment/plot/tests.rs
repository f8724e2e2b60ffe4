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

#[test]
fn a_figure_says_of_every_claim_what_became_of_it_and_says_it_once() {
    let spec = load::parse("several.toml", SPEC, &[]).unwrap();
    let experiment = Experiment::prepare(spec, &Limits { threads: 2, memory: 1 << 30 }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let results = experiment.run(folder.path(), RunOptions::default(), &Unwatched).unwrap();
    let verdicts = judge(&[experiment.measured(&results.measurements)]).remove(0);
    let outcomes: Vec<Outcome> = verdicts.iter().map(|verdict| verdict.verdict).collect();
    assert_eq!(outcomes, [Outcome::Holds, Outcome::Holds, Outcome::Holds, Outcome::Refuted]);
    let rows: Vec<Row> = results.measurements.into_iter().map(|measurement| measurement.row).collect();
    let Experiment::Draw(drawing) = experiment else { panic!("drawn networks") };
    let figure = figure_of(&drawing.spec, &rows, &verdicts);
    let annotation = &figure.curves[0].annotation;
    assert!(annotation.contains("predicted\u{a0}1, refuted"), "the claim that is false: {annotation}");
    assert!(annotation.contains("predicted\u{a0}0;"), "the one that holds: {annotation}");
    assert_eq!(annotation.matches("measured/exact").count(), 1, "{annotation}");
    assert!(figure.subtitle.contains("refuted") && figure.subtitle.contains('3'), "{}", figure.subtitle);
}
