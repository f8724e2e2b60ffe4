//! `gradlaw attack` from outside: numbers that can be worked out by hand, recorded networks, CIFAR-10, and bad input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ndarray::{Array1, Array2, Array3};
use ndarray_npy::{NpzWriter, read_npy, write_npy};
use serde_json::Value;
use tempfile::TempDir;

/// Rows of the linear classifier of two classes and three inputs.
const ROWS: [[f64; 3]; 2] = [[1.0, -0.5, 0.25], [-0.5, 1.0, 0.0]];

/// Samples with logits (1.5, −0.5), (0.4, −0.15), (−0.25, 0.875) and (0.05, 0.05): the last one a tie, predicted as class 0.
const SAMPLES: [[f64; 3]; 4] = [[1.0, 0.0, 2.0], [0.4, 0.05, 0.1], [0.25, 1.0, 0.0], [0.1, 0.1, 0.0]];

const LABELS: [usize; 4] = [0, 0, 1, 1];

/// A folder with the linear classifier, a network for images of 4×4 pixels, ten images, and the recorded networks.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")).unwrap() {
            let file = file.unwrap();
            if file.path().is_dir() {
                continue;
            }
            fs::copy(file.path(), place.path(file.file_name().to_str().unwrap())).unwrap();
        }
        let dense = |units: usize| format!("{{ type = \"dense\", units = {units} }}");
        place.write("linear.toml", &format!("input = [3]\nlayers = [{}]\n", dense(2)));
        place.weights("linear.npz", &[("0.weight", Array2::from(ROWS.to_vec()))]);
        write_npy(place.path("linear.npy"), &Array2::from(SAMPLES.to_vec())).unwrap();
        let layers = format!("{{ type = \"flatten\" }}, {}, {{ type = \"relu\" }}, {}", dense(6), dense(10));
        place.write("image.toml", &format!("input = [3, 4, 4]\nlayers = [{layers}]\n"));
        let wave = |rows, columns, speed: f64| {
            Array2::from_shape_fn((rows, columns), |(row, column)| (speed * (row * columns + column) as f64).sin())
        };
        place.weights("image.npz", &[("1.weight", wave(6, 48, 0.7)), ("3.weight", wave(10, 6, 1.3))]);
        fs::create_dir(place.path("cifar")).unwrap();
        let record = |label: u8| {
            let pixels = (0..3072u32).map(move |at| ((at * (u32::from(label) + 3)) % 256) as u8);
            std::iter::once(label).chain(pixels)
        };
        let batch = |labels: &[u8]| labels.iter().copied().flat_map(record).collect::<Vec<u8>>();
        fs::write(place.path("cifar/test_batch.bin"), batch(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])).unwrap();
        fs::write(place.path("cifar/data_batch_1.bin"), batch(&[9, 3, 3])).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn weights(&self, name: &str, arrays: &[(&str, Array2<f64>)]) {
        let mut archive = NpzWriter::new(fs::File::create(self.path(name)).unwrap());
        for (name, array) in arrays {
            archive.add_array(*name, array).unwrap();
        }
        archive.finish().unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradlaw"));
        command.current_dir(self.folder.path()).arg("attack").args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Attacks, asserts success, and returns what was printed.
    fn ok(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The same for the linear classifier with its labels, in double precision.
    fn linear(&self, more: &str) -> Value {
        self.ok(&words(&format!("{LINEAR} --label 0,0,1,1 {more}")))
    }
}

const LINEAR: &str = "--network linear.toml --weights linear.npz --data linear.npy --dtype f64";
const IMAGES: &str = "--network image.toml --weights image.npz --data cifar";

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} of {value}"))
}

fn assert_near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{what}: {found} {expected}");
}

/// log(1 + exp(−margin)), the loss of a margin f_y − f_other.
fn loss(margin: f64) -> f64 {
    (-margin).max(0.0) + (-margin.abs()).exp().ln_1p()
}

/// f_y − f_other of each sample.
fn margins() -> Vec<f64> {
    let logit = |row: [f64; 3], sample: [f64; 3]| row.iter().zip(sample).map(|(weight, x)| weight * x).sum::<f64>();
    let margin = |(sample, label): (&[f64; 3], usize)| logit(ROWS[label], *sample) - logit(ROWS[1 - label], *sample);
    SAMPLES.iter().zip(LABELS).map(margin).collect()
}

/// w₀ − w₁ is (1.5, −1.5, 0.25): ε lowers every margin by 3.25 ε in ‖·‖_∞, and by √3 ε √4.5625 in ‖·‖₂.
#[test]
fn a_linear_classifier_suffers_what_is_worked_out_by_hand() {
    let place = Place::new();
    let epsilon = 0.15;
    for (name, slope, scale) in
        [("fgsm", 3.25, 1.0), ("l2", 4.5625f64.sqrt(), 3f64.sqrt()), ("il2", 4.5625f64.sqrt(), 3f64.sqrt())]
    {
        let printed = place.linear(&format!("--attack {name} --epsilon {epsilon}"));
        let margins = margins();
        let mean = |value: &dyn Fn(f64) -> f64| margins.iter().map(|&margin| value(margin)).sum::<f64>() / 4.0;
        assert_near(number(&printed, "/loss"), mean(&loss), name);
        let size = epsilon * scale;
        let damage = |margin: f64| loss(margin - size * slope) - loss(margin);
        let damages: Vec<f64> = margins.iter().map(|&margin| damage(margin)).collect();
        assert_near(number(&printed, "/thresholds/0/damage/mean"), mean(&damage), name);
        let squares: f64 = damages.iter().map(|one| (one - mean(&damage)).powi(2)).sum();
        assert_near(number(&printed, "/thresholds/0/damage/std_error"), (squares / 12.0).sqrt(), name);
        // |∂L/∂f_y| is 1/(1 + exp(margin)).
        let first_order = mean(&|margin| size * slope / (1.0 + margin.exp()));
        assert_near(number(&printed, "/thresholds/0/first_order"), first_order, name);
        assert_near(number(&printed, "/thresholds/0/ratio"), mean(&damage) / first_order, name);
        assert_near(number(&printed, "/thresholds/0/size"), size, name);
        // Margins are 2, 0.55, 1.125 and 0, a tie that goes to class 0 though its label is 1. An ε of 0.15 takes 0.4875
        // in ‖·‖_∞ and 0.555 in ‖·‖₂.
        let crosses = f64::from(u8::from(name != "fgsm"));
        assert_eq!(number(&printed, "/accuracy"), 0.75);
        assert_eq!(number(&printed, "/thresholds/0/epsilon"), epsilon);
        assert_eq!(number(&printed, "/thresholds/0/accuracy"), 0.75 - 0.25 * crosses);
        assert_eq!(number(&printed, "/thresholds/0/vulnerability/mean"), 0.25 * crosses);
        assert_eq!(number(&printed, "/thresholds/0/changed"), 0.25 * crosses);
    }
}

#[test]
fn smallest_sizes_are_distances_to_the_boundary() {
    let place = Place::new();
    let right = [2.0, 0.55, 1.125];
    for (name, tolerance) in
        [("fgsm", 3e-4), ("ifgsm", 3e-4), ("l2", 3e-4), ("deepfool", 1e-6), ("deepfool-linf", 1e-6), ("boundary", 0.02)]
    {
        let printed = place.linear(&format!("--attack {name} --epsilon 0.2 1"));
        let slope = if printed["norm"] == "linf" { 3.25 } else { 4.5625f64.sqrt() * 3f64.sqrt() };
        let smallest = &printed["smallest"];
        assert_eq!((&smallest["count"], &smallest["unfound"]), (&3.into(), &0.into()), "{name}");
        let exact = right.map(|margin| margin / slope);
        let mean = exact.iter().sum::<f64>() / 3.0;
        let excess = |key: &str, exact: f64| number(smallest, key) / exact - 1.0;
        for (key, exact) in [("/mean", mean), ("/median", exact[2])] {
            assert!((-1e-9..tolerance).contains(&excess(key, exact)), "{name} {key}: {smallest}");
        }
        let squares: f64 = exact.iter().map(|one| (one - mean).powi(2)).sum();
        assert!(excess("/std_error", (squares / 6.0).sqrt()).abs() < 2.0 * tolerance, "{name}: {smallest}");
        // ε = 0.2 is beyond one boundary, ε = 1 beyond all.
        assert_eq!(number(&printed, "/thresholds/0/vulnerability/mean"), 0.25, "{name}");
        assert_eq!(number(&printed, "/thresholds/1/vulnerability/mean"), 0.75, "{name}");
    }
}

#[test]
fn a_linear_classifier_of_two_classes_grows_more_vulnerable_with_the_size() {
    let place = Place::new();
    let sizes = ["1e-6", "0.05", "0.1", "0.18", "0.3", "0.5", "7"];
    for name in ["fgsm", "l2", "pgd", "pgd-l2", "deepfool"] {
        let printed = place.linear(&format!("--attack {name} --epsilon {}", sizes.join(",")));
        let each: Vec<f64> =
            (0..sizes.len()).map(|at| number(&printed, &format!("/thresholds/{at}/vulnerability/mean"))).collect();
        assert!(each.windows(2).all(|pair| pair[0] <= pair[1]), "{name}: {each:?}");
        assert!(each[0] == 0.0 && each[6] == 0.75, "{name}: {each:?}");
    }
}

/// The input of label 0 is moved by −ε, +ε, −ε; in the box only the second coordinate may.
#[test]
fn the_box_holds_what_it_forbids_back() {
    let place = Place::new();
    write_npy(place.path("edge.npy"), &Array1::from(vec![0.0, 0.5, 0.0])).unwrap();
    let given = "--network linear.toml --weights linear.npz --data edge.npy --dtype f64 --label 0 --epsilon 0.25,0.75";
    let margin = -0.75;
    for name in ["fgsm", "ifgsm", "pgd", "pgd-l2", "il2"] {
        let boxed = place.ok(&words(&format!("{given} --attack {name} --box 0,1")));
        let damage = number(&boxed, "/thresholds/1/damage/mean");
        // At most 0.5 is left to the second coordinate.
        let most = loss(margin - 1.5 * 0.5) - loss(margin);
        assert!(damage <= most + 1e-12, "{name}: {damage} {most}");
        let free = place.ok(&words(&format!("{given} --attack {name}")));
        assert!(number(&free, "/thresholds/1/damage/mean") > most, "{name}");
        assert_eq!((&free["box"], &boxed["box"]), (&Value::Null, &serde_json::json!([0.0, 1.0])));
    }
    let fgsm = place.ok(&words(&format!("{given} --attack fgsm --box 0,1")));
    assert_near(number(&fgsm, "/thresholds/0/damage/mean"), loss(margin - 1.5 * 0.25) - loss(margin), "fgsm");
    assert_near(number(&fgsm, "/thresholds/1/damage/mean"), loss(margin - 1.5 * 0.5) - loss(margin), "fgsm");
    // One sample has no standard error, and a wrong prediction no smallest perturbation.
    assert!(fgsm["thresholds"][0]["damage"]["std_error"].is_null() && fgsm["smallest"]["mean"].is_null(), "{fgsm}");
    assert_eq!((&fgsm["smallest"]["count"], &fgsm["accuracy"]), (&0.into(), &serde_json::json!(0.0)));
}

#[test]
fn recorded_networks_are_attacked_alike_on_any_number_of_threads() {
    let place = Place::new();
    for attack in ["fgsm", "pgd", "pgd-l2", "deepfool", "boundary"] {
        let given =
            "--network given-conv.toml --weights given-conv.npz --data given-conv.x.npy --epsilon 0.01 0.5 --steps 40";
        let given = if attack == "fgsm" { given.replace(" --steps 40", "") } else { given.to_owned() };
        let run = |more: &str| {
            let output = place.run(&words(&format!("{given} --attack {attack} {more}")));
            assert!(output.status.success(), "{attack}: {}", text(&output.stderr));
            output.stdout
        };
        let one = run("--threads 1");
        assert_eq!(run("--threads 2"), one, "{attack}");
        assert_eq!(run("--seed 1 --quiet --json --threads 2"), one, "{attack}");
        let printed: Value = serde_json::from_slice(&one).unwrap();
        // Without labels the predicted ones are right, so that a changed prediction is an error.
        assert_eq!(number(&printed, "/accuracy"), 1.0);
        let threshold = &printed["thresholds"][1];
        assert_eq!(threshold["changed"], threshold["vulnerability"]["mean"]);
        let other = run("--seed 2");
        let random = ["pgd", "pgd-l2", "boundary"].contains(&attack);
        let mut other: Value = serde_json::from_slice(&other).unwrap();
        other["seed"] = 1.into();
        assert_eq!(other != printed, random, "{attack}");
    }
}

#[test]
fn images_come_with_labels_and_a_box_and_are_resized() {
    let place = Place::new();
    let printed = place.ok(&words(&format!("{IMAGES} --attack pgd --epsilon 0.01 0.1 --dtype f64")));
    assert_eq!((&printed["samples"], &printed["box"]), (&10.into(), &serde_json::json!([0.0, 1.0])));
    assert_eq!((&printed["steps"], &printed["seed"], &printed["norm"]), (&7.into(), &1.into(), &"linf".into()));
    assert!(number(&printed, "/thresholds/1/damage/mean") > number(&printed, "/thresholds/0/damage/mean"));
    // The same images as an array, every eighth row and column, in the same box.
    let pixel = |image: usize, at: usize| {
        let (channel, row, column) = (at / 16, at / 4 % 4 * 8, at % 4 * 8);
        f64::from(((channel * 1024 + row * 32 + column) * (image + 3) % 256) as f32 / 255.0)
    };
    let array = Array2::from_shape_fn((10, 48), |(image, at)| pixel(image, at));
    write_npy(place.path("images.npy"), &array).unwrap();
    let given = IMAGES.replace("cifar", "images.npy");
    let labels = "--label 0,1,2,3,4,5,6,7,8,9 --box 0,1";
    let mut again = place.ok(&words(&format!("{given} --attack pgd --epsilon 0.01 0.1 --dtype f64 {labels}")));
    again["data"] = "cifar".into();
    again["split"] = "test".into();
    again["files"] = serde_json::json!(["test_batch.bin"]);
    assert_eq!(again, printed);

    // The same by means of all pixels.
    let mean = |image: usize, at: usize| {
        let (channel, row, column) = (at / 16, at / 4 % 4 * 8, at % 4 * 8);
        let pixels = (0..64).map(|pixel| (row + pixel / 8) * 32 + column + pixel % 8);
        let values = pixels.map(|pixel| f64::from(((channel * 1024 + pixel) * (image + 3) % 256) as f32 / 255.0));
        f64::from((values.sum::<f64>() / 64.0) as f32)
    };
    write_npy(place.path("images.npy"), &Array2::from_shape_fn((10, 48), |(image, at)| mean(image, at))).unwrap();
    let area =
        |given: &str, more: &str| place.ok(&words(&format!("{given} --attack pgd --epsilon 0.1 --dtype f64 {more}")));
    let mut again = area(&given, labels);
    again["data"] = "cifar".into();
    again["split"] = "test".into();
    again["files"] = serde_json::json!(["test_batch.bin"]);
    assert_eq!(again, area(IMAGES, "--resize-filter area"));
    assert_ne!(again["loss"], printed["loss"]);

    let few = place.ok(&words(&format!("{IMAGES} --attack fgsm --epsilon 0.1 --samples 3 --box none")));
    assert_eq!((&few["samples"], &few["box"], &few["dtype"]), (&3.into(), &Value::Null, &"f32".into()));
}

/// The part held back from training unless the other is asked for, by the folder as by a batch alone, and what is printed says so.
#[test]
fn images_are_of_the_test_part_unless_the_training_part_is_asked_for() {
    let place = Place::new();
    let printed = |data: &str, more: &str| {
        let given = IMAGES.replace("cifar", data);
        place.ok(&words(&format!("{given} --attack fgsm --epsilon 0.1 {more}")))
    };
    let source = |value: &Value| ["split", "files", "samples", "available"].map(|key| value[key].clone()).to_vec();
    let test = printed("cifar", "--samples 4");
    assert_eq!(source(&test), serde_json::json!(["test", ["test_batch.bin"], 4, 10]).as_array().unwrap().clone());
    let training = printed("cifar", "--split train");
    assert_eq!(source(&training), serde_json::json!(["train", ["data_batch_1.bin"], 3, 3]).as_array().unwrap().clone());
    assert_ne!(test["loss"], training["loss"]);
    for (alone, whole) in [
        (printed("cifar/test_batch.bin", "--samples 4"), &test),
        (printed("cifar/test_batch.bin", "--samples 4 --split test"), &test),
        (printed("cifar/data_batch_1.bin", ""), &training),
    ] {
        let mut alone = alone;
        alone["data"] = "cifar".into();
        assert_eq!(&alone, whole);
    }
    let array = place.linear("--attack fgsm --epsilon 0.1");
    assert!(array.get("split").is_none() && array.get("files").is_none() && array["available"] == 4, "{array}");
}

/// Weights a million times as large have the same boundaries, though ∂ₓL, e^(−10⁵) and less, is no number any more; and of weights
/// some fifty times as large it is none that single precision holds whole.
#[test]
fn sure_networks_have_the_boundaries_of_doubtful_ones() {
    let place = Place::new();
    let margins = margins();
    let (slopes, unit) = ([3.25, 4.5625f64.sqrt()], 3f64.sqrt());
    for factor in [45.0, 50.0, 52.0, 500.0, 1e6] {
        place.weights("steep.npz", &[("0.weight", Array2::from(ROWS.to_vec()) * factor)]);
        let given = LINEAR.replace("linear.npz", "steep.npz").replace(" --dtype f64", "");
        for dtype in ["f32", "f64"] {
            for (name, size) in
                [("fgsm", 1.0 / slopes[0]), ("l2", 1.0 / (slopes[1] * unit)), ("il2", 1.0 / (slopes[1] * unit))]
            {
                let given = format!("{given} --dtype {dtype} --label 0,0,1,1 --samples 3 --attack {name}");
                let printed = place.ok(&words(&format!("{given} --epsilon 0.3 1")));
                let expected = margins[..3].iter().map(|margin| margin * size).sum::<f64>() / 3.0;
                let found = number(&printed, "/smallest/mean");
                assert!((found / expected - 1.0).abs() < 3e-4, "{name} {factor}: {found} {expected}");
                assert_eq!(printed["masking"], serde_json::json!({ "zero_gradients": 0, "nonfinite_gradients": 0 }));
                assert_eq!((&printed["smallest"]["count"], &printed["smallest"]["unfound"]), (&3.into(), &0.into()));
                for (at, epsilon) in [0.3, 1.0].into_iter().enumerate() {
                    let damage = |margin: &f64| loss(factor * (margin - epsilon / size)) - loss(factor * margin);
                    let expected = margins[..3].iter().map(damage).sum::<f64>() / 3.0;
                    let found = number(&printed, &format!("/thresholds/{at}/damage/mean"));
                    assert!((found - expected).abs() <= 2e-5 * expected, "{name} {factor}: {found} {expected}");
                }
            }
        }
    }
}

#[test]
fn gradients_that_mask_and_logits_that_overflow_are_counted() {
    let place = Place::new();
    // Of equal rows there is no gradient at all.
    place.weights("flat.npz", &[("0.weight", Array2::from(vec![ROWS[0], ROWS[0]]))]);
    let given = format!("{} --label 0 --samples 3", LINEAR.replace("linear.npz", "flat.npz"));
    let printed = place.ok(&words(&format!("{given} --attack fgsm --epsilon 1")));
    assert_eq!(printed["masking"], serde_json::json!({ "zero_gradients": 3, "nonfinite_gradients": 0 }));
    assert_eq!((&printed["smallest"]["count"], &printed["smallest"]["unfound"]), (&0.into(), &3.into()));
    assert_eq!((number(&printed, "/accuracy"), number(&printed, "/thresholds/0/changed")), (1.0, 0.0));

    place.weights("huge.npz", &[("0.weight", Array2::from(ROWS.to_vec()) * 1e308)]);
    write_npy(place.path("large.npy"), &Array2::from(vec![[10.0, 0.0, 0.0], [0.1, 0.0, 0.0]])).unwrap();
    let given = "--network linear.toml --weights huge.npz --data large.npy --dtype f64 --label 0";
    let printed = place.ok(&words(&format!("{given} --attack fgsm --epsilon 0.01")));
    assert_eq!((&printed["nonfinite"], &printed["masking"]["nonfinite_gradients"]), (&1.into(), &1.into()));
    assert!(printed["accuracy"].is_null() && printed["thresholds"][0]["damage"]["mean"].is_null(), "{printed}");
}

/// Each case below is wrong in one way: exit 2, at most four lines that name what is quoted, and nothing is printed.
#[test]
fn perturbed_samples_and_a_row_for_each_are_written() {
    let place = Place::new();
    let epsilons = [0.5, 4.0 / 3.0];
    let report = place.linear("--attack fgsm --epsilon 0.5,4/3 --save adv.npy --per-sample rows.csv");
    assert_eq!(number(&report, "/thresholds/1/epsilon"), epsilons[1]);
    let perturbed: Array3<f64> = read_npy(place.path("adv.npy")).unwrap();
    assert_eq!(perturbed.dim(), (2, 4, 3));
    let mut rows = csv::Reader::from_path(place.path("rows.csv")).unwrap();
    let header: Vec<String> = rows.headers().unwrap().iter().map(String::from).collect();
    let third = epsilons[1].to_string();
    let of_size = |size: &str| ["prediction", "loss", "success"].map(|name| format!("{name}@{size}"));
    let usual = ["sample", "label", "prediction", "loss", "smallest"].map(String::from);
    assert_eq!(header, [usual.to_vec(), of_size("0.5").to_vec(), of_size(&third).to_vec()].concat());
    let records: Vec<csv::StringRecord> = rows.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(records.len(), 4);
    for (index, record) in records.iter().enumerate() {
        let (label, margin) = (LABELS[index], margins()[index]);
        // The step of FGSM lowers the margin by ε times the ℓ₁ distance of the rows.
        let steepness: f64 = ROWS[0].iter().zip(ROWS[1]).map(|(one, other)| (one - other).abs()).sum();
        assert_eq!((&record[0], &record[1]), (index.to_string().as_str(), label.to_string().as_str()));
        assert_near(record[3].parse().unwrap(), loss(margin), "loss");
        // The tie is predicted as class 0, which is wrong, so that nothing is looked for.
        assert_eq!(record[4].is_empty(), index == 3, "{record:?}");
        for (at, epsilon) in epsilons.into_iter().enumerate() {
            let after = margin - epsilon * steepness;
            assert_near(record[5 + 3 * at + 1].parse().unwrap(), loss(after), "loss after");
            assert_eq!(&record[5 + 3 * at + 2], if after < 0.0 { "1" } else { "0" }, "{record:?}");
            for (coordinate, value) in perturbed.slice(ndarray::s![at, index, ..]).iter().enumerate() {
                let away = (ROWS[1 - label][coordinate] - ROWS[label][coordinate]).signum();
                assert_near(*value, SAMPLES[index][coordinate] + epsilon * away, "coordinate");
            }
        }
    }
    // One size has no axis of its own.
    place.linear("--attack l2 --epsilon 0.5 --save adv.npy");
    let perturbed: Array2<f64> = read_npy(place.path("adv.npy")).unwrap();
    assert_eq!(perturbed.dim(), (4, 3));
}

#[test]
fn attacks_are_aimed_started_again_and_take_steps_of_a_size() {
    let place = Place::new();
    // Towards class 1 from the two samples of class 0: both are there once the margin, 2 and 0.55 at ‖w₁ − w₀‖₁ = 3.25, is used up.
    let aimed = place.linear("--attack fgsm --epsilon 0.3,1 --target 1");
    assert_eq!(number(&aimed, "/target"), 1.0);
    assert_eq!([number(&aimed, "/thresholds/0/success"), number(&aimed, "/thresholds/1/success")], [0.5, 1.0]);
    assert_eq!(number(&aimed, "/smallest/count"), 2.0);
    assert!(aimed.pointer("/thresholds/0/first_order").unwrap().is_null());
    // Three steps of 0.1 without a way back are one of 0.3 where the network is linear.
    let steps = place.linear("--attack ifgsm --steps 3 --step-size 0.1 --epsilon 1");
    let one = place.linear("--attack fgsm --epsilon 0.3");
    let damage = |report: &Value| number(report, "/thresholds/0/damage/mean");
    assert!((damage(&steps) - damage(&one)).abs() < 1e-12);
    // One step from a random start rarely ends in the best corner; the best of many nearly does.
    let starts = |more: &str| place.linear(&format!("--attack pgd --steps 1 --step-size 0.05 --epsilon 0.3 {more}"));
    let (once, often) = (starts(""), starts("--restarts 50"));
    assert!(damage(&once) < damage(&often) && damage(&often) < damage(&one), "{once} {often}");
    // What finds its size needs none.
    let found = place.linear("--attack deepfool --per-sample rows.csv");
    assert_eq!(found.pointer("/thresholds").unwrap(), &serde_json::json!([]));
    assert_eq!(number(&found, "/smallest/count"), 3.0);
}

#[test]
fn bad_input_gets_one_clear_error() {
    let place = Place::new();
    place.write("text.npy", "1 2 3");
    place.write("notes.txt", "no data");
    fs::create_dir(place.path("empty")).unwrap();
    write_npy(place.path("five.npy"), &Array2::<f64>::zeros((3, 5))).unwrap();
    write_npy(place.path("negative.npy"), &Array1::from(vec![0i64, 1, 1, -1])).unwrap();
    place
        .write("three.toml", "input = [3, 4, 5]\nlayers = [{ type = \"flatten\" }, { type = \"dense\", units = 2 }]\n");
    place.weights("three.npz", &[("1.weight", Array2::ones((2, 60)))]);
    place.write("two.toml", "input = [48]\nlayers = [{ type = \"dense\", units = 2 }]\n");
    place.weights("two.npz", &[("0.weight", Array2::ones((2, 48)))]);
    let linear = [
        ("--network", "no.toml", "no.toml: cannot be read"),
        ("--weights", "image.npz", "image.npz: "),
        ("--data", "no.npy", "no.npy: does not exist"),
        ("--data", "text.npy", "does not start as a .npy file does"),
        ("--data", "five.npy", "has shape [3, 5]; expected [3] (one sample), [N, 3]"),
        ("--data", "notes.txt", "notes.txt: must be a .npy file, or CIFAR-10"),
        ("--data", "empty", "empty: this folder holds no test batch"),
        ("--split", "train", "--split: goes with CIFAR-10"),
        ("--split", "val", "possible values: train, test"),
        ("--data", "no.tar.gz", "no.tar.gz: does not exist"),
        ("--attack", "fsgm", "possible values: fgsm, l2, ifgsm"),
        ("--epsilon", "0", "from 1e-10 to 1e30"),
        ("--epsilon", "-1", "from 1e-10 to 1e30"),
        ("--epsilon", "nan", "from 1e-10 to 1e30"),
        ("--epsilon", "0.1,two", "from 1e-10 to 1e30"),
        ("--label", "2", "--label: label 2 at index 0 must be a class from 0 to 1"),
        ("--label", "0,1", "has 2 labels for 4 samples"),
        ("--label", "cat", "whole numbers from 0"),
        ("--label", "negative.npy", "-1 at index [3]"),
        ("--samples", "5", "--samples 5: is more than the 4 samples of linear.npy"),
        ("--samples", "0", "--samples"),
        ("--box", "1,0", "LOW below HIGH"),
        ("--box", "0,1,2", "LOW below HIGH"),
        ("--box", "0,inf", "LOW below HIGH"),
        ("--box", "0,1", "linear.npy: sample 0 has the value 2 outside the box"),
        ("--steps", "3", "--steps 3: fgsm takes one step"),
        ("--steps", "0", "--steps"),
        ("--step-size", "0.1", "--step-size 0.1: fgsm has no such steps"),
        ("--restarts", "2", "--restarts 2: fgsm draws no random numbers"),
        ("--restarts", "0", "--restarts"),
        ("--target", "2", "--target 2: must be a class from 0 to 1"),
        ("--epsilon", "8/", "from 1e-10 to 1e30"),
        ("--dtype", "f16", "f16"),
        ("--resize-filter", "cubic", "nearest-exact"),
        ("--resize-filter", "area", "--resize-filter: goes with images"),
        ("--memory", "1e-9", "GiB"),
    ];
    let mut cases: Vec<(String, &str)> = Vec::new();
    for (option, value, expected) in linear {
        // An option given twice would be refused: options take the places of the usual ones.
        let usual = format!("{LINEAR} --attack fgsm --epsilon 0.1");
        let usual = words(&usual);
        let pairs = usual.chunks(2).filter(|pair| pair[0] != option).flatten().copied();
        cases.push((pairs.chain([option, value]).collect::<Vec<_>>().join(" "), expected));
    }
    let images = |network: &str, more: &str| {
        format!("--network {network}.toml --weights {network}.npz --data cifar --attack fgsm --epsilon 0.1 {more}")
    };
    cases.extend([
        (images("three", ""), "three.toml: input = [3, 4, 5]: must be [3, side, side]"),
        (images("two", ""), "cifar: sample 2 has label 2; the network has 2 outputs"),
        (images("image", "--label 1"), "--label: goes with .npy samples"),
        (images("image", "--samples 4 --split train"), "--samples 4: is more than the 3 samples of cifar"),
        (
            format!("{} --attack fgsm --epsilon 0.1 --split train", IMAGES.replace("cifar", "cifar/test_batch.bin")),
            "cifar/test_batch.bin: is not a training batch",
        ),
        (images("image", "--box 0.25,1"), "cifar: sample 0 has the value 0 outside the box"),
        (format!("{LINEAR} --attack fgsm"), "--epsilon"),
        (format!("{LINEAR} --epsilon 1"), "--attack"),
    ]);
    for (arguments, expected) in cases {
        let output = place.run(&words(&arguments));
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {message}");
        assert!(message.contains(expected), "{arguments}: {expected}: {message}");
        assert!(output.stdout.is_empty() && !message.contains("panicked"), "{message}");
    }
}
