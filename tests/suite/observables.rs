//! Observables of attacks, hypotheses and batches, seen from outside: what a run of the program writes.

use std::collections::HashMap;
use std::fs;

use super::place::Place;

/// A dense net under attack, beside one that normalises a batch.
const SPEC: &str = r#"
name = "observed"
seed = 5
draws = 2000
observables = [
  "loss.l1", "loss.l2", "damage.fgsm@size", "damage.fgsm@size.first-order", "damage.l2@size", "damage.pgd@size",
  "vulnerability.fgsm@size", "changed.fgsm@size", "masks.open", "weights.variance",
]
sweep = { size = [0.0001, 4] }
input = { batch = 8 }
[[network]]
label = "dense"
input = [40]
layers = [{ type = "dense", units = 30 }, { type = "relu" }, { type = "dense", units = 5 }]
[[network]]
label = "normalised"
input = [3, 4, 4]
layers = [
  { type = "conv", channels = 4, kernel = 3, padding = 1, bias = true }, { type = "batch-norm" }, { type = "relu" },
  { type = "residual", layers = [{ type = "conv", channels = 4, kernel = 3, padding = 1 }, { type = "relu" }] },
  { type = "weight-pool", size = 2 }, { type = "flatten" }, { type = "dense", units = 5 },
]
"#;

/// What a run writes of its points.
fn run(options: &[&str]) -> String {
    let place = Place::new(SPEC);
    place.ok(&[&["run", "spec.toml", "--out", "runs", "--quiet"], options].concat());
    fs::read_to_string(place.path("runs/observed/points.csv")).unwrap()
}

/// Mean and standard error of each observable, by network, observable and size.
fn means(points: &str) -> HashMap<(String, String, String), (f64, f64)> {
    let rows = points.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    rows.map(|row| {
        let number = |column: usize| row[column].parse().unwrap();
        ((row[0].clone(), row[1].clone(), row[2].clone()), (number(5), number(6)))
    })
    .collect()
}

/// First order: damages of size 10⁻⁴ are 10⁻⁴ times the mean dual norm of the same draws, to the 1 % that curvature and
/// rounding take, and hardly change a prediction; attacks of size 4, beyond all inputs, do. The share of open masks within 4.5 standard errors of ½.
#[test]
fn small_attacks_do_what_the_gradient_predicts_and_large_ones_change_predictions() {
    let means = means(&run(&[]));
    let mean = |network: &str, observable: &str, size: &str| {
        means[&(network.to_owned(), observable.to_owned(), size.to_owned())]
    };
    for (network, d) in [("dense", 40f64), ("normalised", 48.0)] {
        let small = |observable: &str| mean(network, observable, "0.0001").0;
        assert!((small("damage.fgsm@size") / (1e-4 * small("loss.l1")) - 1.0).abs() < 0.01, "{network}");
        assert!((small("damage.l2@size") / (1e-4 * d.sqrt() * small("loss.l2")) - 1.0).abs() < 0.01, "{network}");
        assert!((small("damage.fgsm@size.first-order") - 1.0).abs() < 0.01, "{network}");
        assert!((small("damage.pgd@size") / small("damage.fgsm@size") - 8.0 / 9.0).abs() < 0.02, "{network}");
        assert!(small("changed.fgsm@size") < 0.01, "{network}");
        let large = |observable: &str| mean(network, observable, "4");
        assert!(large("changed.fgsm@size").0 > 0.2, "{network}");
        // A wrong prediction seldom becomes right under attack, and a right one often becomes wrong.
        let (vulnerability, error) = large("vulnerability.fgsm@size");
        assert!(vulnerability > 4.5 * error && vulnerability < 0.4, "{network}: {vulnerability}");
        let (open, error) = large("masks.open");
        assert!((open - 0.5).abs() < 4.5 * error, "{network}: {open}");
        let (variance, error) = large("weights.variance");
        assert!((variance - 1.0).abs() < 4.5 * error, "{network}: {variance}");
    }
}

#[test]
fn attacks_and_batches_have_the_same_bits_for_any_number_of_threads() {
    let draws = ["--set", "draws=300"];
    let one = run(&[&draws[..], &["--threads", "1"]].concat());
    assert_eq!(one, run(&[&draws[..], &["--threads", "3"]].concat()));
    assert_ne!(one, run(&[&draws[..], &["--set", "input.batch=9"]].concat()), "the batch matters");
}

/// Convolutions, batch statistics and attacks, with every instruction set that this processor has.
#[test]
fn networks_of_all_layers_have_the_same_bits_with_every_instruction_set() {
    let mut points = Vec::new();
    for set in ["baseline", "avx2", "avx512"] {
        let place = Place::new(SPEC);
        let arguments =
            ["run", "spec.toml", "--out", "runs", "--quiet", "--set", "draws=100", "--set", "input.batch=3"];
        // A set that the processor lacks is refused, which is tested elsewhere.
        if place.command(&arguments).env("GRADLAW_SIMD", set).output().unwrap().status.success() {
            points.push(fs::read_to_string(place.path("runs/observed/points.csv")).unwrap());
        }
    }
    assert!(points.windows(2).all(|pair| pair[0] == pair[1]), "{points:#?}");
}
