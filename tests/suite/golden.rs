//! What the shipped experiments give at short draws and fixed seeds, recorded in `tests/data/golden/`: a change of structure changes none
//! of it, and a change of a number or of a verdict has to be recorded, and argued, with the change that makes it.
//!
//! `GRADLAW_GOLDEN=record cargo test --release --test suite golden::` writes the files anew.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use gradlaw::experiment::load;
use gradlaw::experiment::{AnySpec, Experiment, Limits, Override, RunOptions, Unwatched, Verdict, catalogue, judge};

const LIMITS: Limits = Limits { threads: 2, memory: 1 << 30 };

/// Six digits: what another processor's arithmetic leaves.
fn number(value: Option<f64>) -> String {
    value.map(|value| format!("{value:.5e}")).unwrap_or_default()
}

fn line(verdict: &Verdict) -> String {
    let Verdict { experiment, kind, network, observable, statement, measured, std_error, .. } = verdict;
    let outcome = verdict.verdict.name();
    let fields = [experiment, outcome, kind, network, observable, &number(*measured), &number(*std_error), statement];
    fields.join("\t")
}

/// The text is the recorded one: the same words, and numbers that differ by rounding at most.
fn compare(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden").join(name);
    if std::env::var_os("GRADLAW_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(path, text).unwrap();
    }
    let recorded = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), recorded.lines().count(), "{name}: as many lines as were recorded");
    for (line, recorded) in text.lines().zip(recorded.lines()) {
        let same = |(a, b): (&str, &str)| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a == b || (a - b).abs() <= 2e-5 * a.abs().max(b.abs()),
            _ => a == b,
        };
        let mut fields = line.split('\t').zip(recorded.split('\t'));
        assert!(fields.all(same), "{name}:\n  now {line}\n  was {recorded}");
    }
}

fn overrides(changes: &[&str]) -> Vec<Override> {
    changes.iter().map(|change| change.parse().unwrap()).collect()
}

fn drawn(spec: AnySpec, points: &mut String) -> Vec<Verdict> {
    let experiment = Experiment::prepare(spec, &LIMITS).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let results = experiment.run(folder.path(), RunOptions::default(), &Unwatched).unwrap();
    for measurement in &results.measurements {
        let row = &measurement.row;
        let (place, mean) = (row.place(), number(row.sampled.map(|sampled| sampled.mean)));
        writeln!(points, "{}\t{place}\t{}\t{mean}", experiment.heading().name, row.observable).unwrap();
    }
    let measured = experiment.measured(&results.measurements);
    judge(&[measured]).remove(0)
}

#[test]
fn networks_at_initialisation_give_what_was_recorded() {
    let (mut verdicts, mut points) = (String::new(), String::new());
    for shipped in catalogue::SHIPPED.iter().filter(|shipped| !shipped.text.contains("cifar10")) {
        // Convolutional networks are slow to draw.
        let draws = if shipped.text.contains("\"conv\"") { "draws=60" } else { "draws=600" };
        let spec = load::load(shipped.name, &overrides(&["seed=2025", draws])).unwrap();
        drawn(spec, &mut points).iter().for_each(|verdict| writeln!(verdicts, "{}", line(verdict)).unwrap());
    }
    compare("verdicts.tsv", &verdicts);
    compare("points.tsv", &points);
}

/// On images made on the spot, few of them.
#[test]
fn trained_networks_give_what_was_recorded() {
    let (mut verdicts, mut networks) = (String::new(), String::new());
    let changes = [
        "data={ set = \"synthetic\", samples = 150, validation = 50, test = 20, noise = 1.5 }",
        "training.epochs=1",
        "training.batch=50",
    ];
    for shipped in catalogue::SHIPPED.iter().filter(|shipped| shipped.text.contains("[training]")) {
        // At the largest sides a network takes a minute.
        let resize = ["data.resize=\"side\"", "sweep.side=[32, 64]"];
        let resized = shipped.text.contains("resize = \"side\"");
        let repeats = shipped.text.lines().any(|line| line.starts_with("repeats") && line != "repeats = 1");
        let changes: Vec<&str> = changes
            .iter()
            .copied()
            .chain(resize.into_iter().filter(|_| resized))
            .chain(repeats.then_some("repeats=2"))
            .collect();
        let spec = load::load(shipped.name, &overrides(&changes)).unwrap();
        let experiment = Experiment::prepare(spec, &LIMITS).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let results = experiment.run(folder.path(), RunOptions::default(), &Unwatched).unwrap();
        let Experiment::Train(training) = &experiment else { panic!("{} trains networks", shipped.name) };
        let trained = training.networks(results.trainings.as_deref().unwrap());
        for network in &trained {
            let values: Vec<String> = network.outcome.values.iter().map(|value| number(*value)).collect();
            let place = format!("{} {:?} {}", network.label, network.variables, network.repeat);
            writeln!(networks, "{}\t{place}\t{}", shipped.name, values.join("\t")).unwrap();
        }
        judge(&[experiment.measured(&results.measurements)])
            .concat()
            .iter()
            .for_each(|verdict| writeln!(verdicts, "{}", line(verdict)).unwrap());
    }
    compare("trained-verdicts.tsv", &verdicts);
    compare("networks.tsv", &networks);
}
