//! The shipped experiments hold, at a reduced number of draws and with wider tolerances than `gradlaw verify` uses: a
//! wrong gradient, a wrong variance or a shared stream makes them fail.

use gradlaw::experiment::{
    Experiment, Limits, Measured, Outcome, Override, RunOptions, Watcher, catalogue, judge, load,
};

struct Silent;

impl Watcher for Silent {
    fn point(&self, _: usize, _: usize, _: &str) {}
    fn progress(&self, _: u64, _: u64) {}
    fn interrupted(&self) -> bool {
        false
    }
}

fn verdicts(name: &str, changes: &[&str]) -> Vec<gradlaw::experiment::Verdict> {
    let overrides: Vec<Override> = changes.iter().map(|change| Override::parse(change).unwrap()).collect();
    let spec = load::load(name, &overrides).unwrap();
    let experiment = Experiment::prepare(spec, &Limits { threads: 2, memory: 1 << 30 }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let measurements = experiment.run(folder.path(), RunOptions::default(), &Silent).unwrap();
    let measured = Measured { spec: &experiment.spec, points: &experiment.points, measurements: &measurements };
    judge(&[measured]).remove(0)
}

/// A fresh seed, fewer draws, no claim refuted: false alarms below 10⁻³ an experiment, the family-wise error rate.
#[test]
fn no_claim_of_a_shipped_experiment_is_refuted_under_another_seed() {
    for shipped in catalogue::SHIPPED.iter().filter(|shipped| shipped.name != "real-images") {
        let verdicts = verdicts(shipped.name, &["seed=2024", "draws=1500"]);
        assert!(!verdicts.is_empty());
        for verdict in verdicts {
            assert_ne!(verdict.verdict, Outcome::Refuted, "{verdict:#?}");
        }
    }
}

#[test]
fn false_claims_are_refuted() {
    for (name, change) in [
        ("dense-dimension", "claim.0.exponent=0.53"),
        ("dense-norms", "claim.2.exponent=0.05"),
        ("broken-variance", "claim.0.exponent=1 - a/3"),
        ("weight-laws", "claim.3.factor=1.1"),
        ("dense-fluctuations", "claim.0.value=(1 + 2/dimension) * (1 + 7/n)^depth"),
        ("collapsed-explicit", "network.1.output_gain=1.3"),
    ] {
        let verdicts = verdicts(name, &[change, "draws=4000"]);
        assert!(verdicts.iter().any(|verdict| verdict.verdict == Outcome::Refuted), "{name}: {verdicts:#?}");
    }
}

/// A law that is one per cent off is seen where there are enough draws, even inside a claim's tolerance.
#[test]
fn a_constant_one_per_cent_off_an_exact_value_is_refuted() {
    // Widths say 129 where theory is asked about 128: a stand-in for a wrong constant is a stated value.
    let off = "claim.1.value=1.01 * 0.5640 * sqrt(dimension)";
    let changes = ["claim.1.tolerance=0.002", "sweep.a=[1]", "draws=40000", off];
    let verdicts = verdicts("broken-variance", &changes);
    assert!(
        verdicts.iter().any(|verdict| verdict.kind == "value" && verdict.verdict == Outcome::Refuted),
        "{verdicts:#?}"
    );
}

#[test]
fn too_few_draws_are_inconclusive_not_a_success() {
    let verdicts = verdicts("dense-dimension", &["draws=10", "claim.0.tolerance=0.001"]);
    assert!(verdicts.iter().all(|verdict| verdict.verdict == Outcome::Inconclusive), "{verdicts:#?}");
}
