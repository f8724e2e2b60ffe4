//! `gradlaw gradient` from outside: recorded PyTorch networks, agreement of the engines, saved arrays, and bad input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ndarray::{Array1, Array2, ArrayD};
use ndarray_npy::{read_npy, write_npy};
use serde_json::Value;
use tempfile::TempDir;

/// The recorded cases, with their files of weights.
const CASES: [(&str, &str); 3] =
    [("given-dense", "safetensors"), ("given-conv", "npz"), ("given-residual", "safetensors")];

/// A copy of the recorded cases that may be changed.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")).unwrap() {
            let file = file.unwrap();
            if file.path().is_dir() {
                continue;
            }
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, case: &str, weights: &str, more: &[&str]) -> Output {
        let files = [format!("{case}.toml"), format!("{case}.{weights}"), format!("{case}.x.npy")];
        let given = ["gradient", "--network", &files[0], "--weights", &files[1], "--input", &files[2]];
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradlaw"));
        command.current_dir(self.folder.path()).args(given).args(more).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a recorded case, asserts success, and returns what was printed.
    fn ok(&self, (case, weights): (&str, &str), more: &[&str]) -> Value {
        let output = self.run(case, weights, more);
        assert!(output.status.success(), "{case} {more:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn recorded(&self, case: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path(&format!("{case}.json"))).unwrap()).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// All numbers in a value, in order.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

/// Asserts that two lists differ by at most the tolerance, relative to the largest of the second.
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let far = found.iter().zip(expected).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
    assert!(far <= tolerance * scale, "{what}: {far:e} of {scale:e}");
}

fn labels(recorded: &Value) -> String {
    numbers(&recorded["labels"]).iter().map(f64::to_string).collect::<Vec<_>>().join(",")
}

#[test]
fn recorded_networks_have_the_gradients_that_pytorch_computes() {
    let place = Place::new();
    for case in CASES {
        let recorded = place.recorded(case.0);
        let labels = labels(&recorded);
        for (dtype, engine, tolerance) in [
            ("f64", "backprop", 1e-9),
            ("f32", "backprop", 2e-4),
            ("f64", "paths", 1e-9),
            ("f32", "paths", 2e-4),
            ("f64", "differences", 1e-7),
            ("f32", "differences", 2e-4),
        ] {
            let asked = ["--label", &labels, "--dtype", dtype, "--engine", engine, "--norm", "1.5", "--save", "G.npy"];
            let printed = place.ok(case, &asked);
            let what = |key: &str| format!("{} {dtype} {engine} {key}", case.0);
            for (key, expected) in recorded["norms"].as_object().unwrap() {
                let found = numbers(&printed["norms"][key]);
                for (found, expected) in found.iter().zip(numbers(expected)) {
                    assert_close(&[*found], &[expected], tolerance, &what(key));
                }
            }
            // Logits and losses are computed forwards whatever the engine.
            let forward = if dtype == "f64" { 1e-9 } else { 2e-4 };
            for key in ["logits", "loss"] {
                assert_close(&numbers(&printed[key]), &numbers(&recorded[key]), forward, &what(key));
            }
            let (gradient, shape): (Vec<f64>, Vec<usize>) = if dtype == "f64" {
                let array: ArrayD<f64> = read_npy(place.path("G.npy")).unwrap();
                (array.iter().copied().collect(), array.shape().to_vec())
            } else {
                let array: ArrayD<f32> = read_npy(place.path("G.npy")).unwrap();
                (array.iter().map(|&value| value.into()).collect(), array.shape().to_vec())
            };
            assert_close(&gradient, &numbers(&recorded["gradient"]), tolerance, &what("gradient"));
            assert_eq!(serde_json::json!(shape), recorded["shape"]);
            assert_eq!((&printed["dtype"], &printed["engine"]), (&dtype.into(), &engine.into()));
            assert_eq!(printed["nonfinite"], 0);
            match engine {
                "differences" => assert!(numbers(&printed["error"]).iter().all(|&error| error < 1e-7), "{printed}"),
                _ => assert!(printed.get("error").is_none()),
            }
            assert_eq!(printed["inputs"], recorded["logits"].as_array().unwrap().len());
        }
    }
}

/// Inputs of any size, and logits so far apart that the loss is e^(−60) or less: differences are what backpropagation gives, and say how
/// well; where a unit opens at the input they say that, too.
#[test]
fn differences_know_neither_the_size_of_the_input_nor_that_of_the_loss() {
    let place = Place::new();
    let layers = r#"[{ type = "dense", units = 4 }, { type = "relu" }, { type = "dense", units = 3 }]"#;
    fs::write(place.path("wave.toml"), format!("input = [5]\nlayers = {layers}\n")).unwrap();
    let wave = |rows, columns, factor: f64| {
        Array2::from_shape_fn((rows, columns), |(row, column)| {
            factor * (0.9 * (row * columns + column) as f64 + 0.4).sin()
        })
    };
    for size in [1e-50, 1e-8, 1.0, 1e8, 1e50] {
        for logits in [1.0, 15.0, 25.0, 60.0, 150.0] {
            let mut archive = ndarray_npy::NpzWriter::new(fs::File::create(place.path("wave.npz")).unwrap());
            archive.add_array("0.weight", &wave(4, 5, 1.0)).unwrap();
            archive.add_array("2.weight", &wave(3, 4, logits / size)).unwrap();
            archive.finish().unwrap();
            write_npy(place.path("wave.x.npy"), &wave(2, 5, size)).unwrap();
            let [exact, found] =
                ["backprop", "differences"].map(|engine| place.ok(("wave", "npz"), &["--engine", engine]));
            for (key, expected) in exact["norms"].as_object().unwrap() {
                for (found, expected) in numbers(&found["norms"][key]).into_iter().zip(numbers(expected)) {
                    assert!((found / expected - 1.0).abs() < 1e-6, "{key} {size:e} {logits}: {found:e} {expected:e}");
                }
            }
            assert!(numbers(&found["error"]).iter().all(|&error| error < 1e-6), "{size:e} {logits} {found}");
        }
    }
    write_npy(place.path("wave.x.npy"), &Array2::<f64>::zeros((1, 5))).unwrap();
    let at_kinks = place.ok(("wave", "npz"), &["--engine", "differences"]);
    assert!(numbers(&at_kinks["error"])[0] > 0.1, "{at_kinks}");
}

#[test]
fn labels_are_listed_repeated_read_or_predicted() {
    let place = Place::new();
    let case = CASES[0];
    let listed = place.ok(case, &["--label", "1,2,0"]);
    write_npy(place.path("labels.npy"), &Array1::from(vec![1i64, 2, 0])).unwrap();
    assert_eq!(place.ok(case, &["--label", "labels.npy"]), listed);
    assert_eq!(place.ok(case, &["--label", "2"]), place.ok(case, &["--label", "2,2,2"]));
    let predicted = place.ok(case, &[]);
    for (logits, label) in predicted["logits"].as_array().unwrap().iter().zip(numbers(&predicted["labels"])) {
        let logits = numbers(logits);
        assert!(logits.iter().all(|&logit| logit <= logits[label as usize]));
    }
}

#[test]
fn samples_may_be_flat_and_threads_do_not_matter() {
    let place = Place::new();
    let case = CASES[1];
    let one = place.ok(case, &["--threads", "1", "--save", "one.npy"]);
    let samples: ArrayD<f32> = read_npy(place.path("given-conv.x.npy")).unwrap();
    write_npy(place.path("given-conv.x.npy"), &samples.into_shape_with_order((2, 112)).unwrap()).unwrap();
    assert_eq!(place.ok(case, &["--threads", "2", "--save", "two.npy", "--quiet", "--json"]), one);
    assert_eq!(fs::read(place.path("one.npy")).unwrap(), fs::read(place.path("two.npy")).unwrap());
}

/// The recorded network with every array under another name.
fn renamed(place: &Place, from: &str, to: &str, rename: impl Fn(&str) -> String) {
    let bytes = fs::read(place.path(from)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let arrays = file.tensors().into_iter().map(|(name, view)| (rename(&name), view));
    fs::write(place.path(to), safetensors::serialize(arrays, None).unwrap()).unwrap();
}

#[test]
fn weights_under_other_names_are_found() {
    let place = Place::new();
    let case = "given-residual";
    let plain = place.ok((case, "safetensors"), &[]);
    fs::copy(place.path("given-residual.toml"), place.path("other.toml")).unwrap();
    fs::copy(place.path("given-residual.x.npy"), place.path("other.x.npy")).unwrap();
    // As of a module that was compiled or wrapped.
    renamed(&place, "given-residual.safetensors", "other.safetensors", |name| format!("_orig_mod.module.{name}"));
    assert_eq!(place.ok(("other", "safetensors"), &[]), plain);
    // As of modules that the layers' order tells nothing of, in an order of names that agrees with it.
    let other = |name: &str| {
        let (module, array) = name.rsplit_once('.').unwrap();
        format!("{}.{array}", module.replace("projection", "z_shortcut").replace("layers", "body"))
    };
    renamed(&place, "given-residual.safetensors", "other.safetensors", other);
    let refused = place.run("other", "safetensors", &[]);
    let message = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2));
    assert!(message.contains("also missing: ") && message.contains("of no use here: "), "{message}");
    let matched = place.run("other", "safetensors", &["--match", "order"]);
    assert!(matched.status.success(), "{}", text(&matched.stderr));
    assert_eq!(serde_json::from_slice::<Value>(&matched.stdout).unwrap(), plain);
    let table = text(&matched.stderr);
    assert!(table.lines().any(|line| line.contains("projection") && line.contains("z_shortcut")), "{table}");
}

#[test]
fn names_are_those_of_the_recorded_files() {
    let place = Place::new();
    let names = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradlaw"));
        let output = command.current_dir(place.folder.path()).arg("names").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let bytes = fs::read(place.path("given-residual.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let rows: Value = serde_json::from_str(&names(&["given-residual.toml", "--json"])).unwrap();
    let rows = rows.as_array().unwrap();
    for row in rows {
        match file.tensor(row["name"].as_str().unwrap()) {
            Ok(view) => assert_eq!(row["shape"], serde_json::json!(view.shape())),
            Err(_) => assert_eq!(row["optional"], true, "{row}"),
        }
    }
    let counted = |name: &&str| name.ends_with("num_batches_tracked");
    assert!(file.names().iter().all(|name| counted(name) || rows.iter().any(|row| row["name"] == **name)));
    // A name of its own stands in place of the position.
    fs::write(place.path("own.toml"), "input = [3]\nlayers = [{ type = \"dense\", units = 2, weights = \"fc1\" }]")
        .unwrap();
    let table = names(&["own.toml"]);
    assert!(table.contains("fc1.weight") && table.contains("[2, 3]") && table.contains("optional"), "{table}");
}

#[test]
fn gradients_that_are_not_finite_are_counted_and_null() {
    let place = Place::new();
    let layer = r#"{ type = "dense", units = 2 }"#;
    fs::write(place.path("large.toml"), format!("input = [2]\nlayers = [{layer}, {layer}]\n")).unwrap();
    let mut archive = ndarray_npy::NpzWriter::new(fs::File::create(place.path("large.npz")).unwrap());
    for name in ["0.weight", "1.weight"] {
        archive.add_array(name, &Array2::from_elem((2, 2), 1e200)).unwrap();
    }
    archive.finish().unwrap();
    write_npy(place.path("large.x.npy"), &Array1::from(vec![1.0, 2.0])).unwrap();
    let printed = place.ok(("large", "npz"), &["--save", "G.npy"]);
    assert_eq!(printed["nonfinite"], 4);
    for key in ["loss.l1", "logit.l2"] {
        assert!(printed["norms"][key][0].is_null(), "{printed}");
    }
    assert!(printed["loss"][0].is_null() && printed["logits"][0][0].is_null(), "{printed}");
    let gradient: Array1<f64> = read_npy(place.path("G.npy")).unwrap();
    assert!(gradient.iter().all(|value| value.is_nan()));
}

/// Each case below is wrong in one way: exit 2, at most four lines that name what is quoted, and nothing is written.
#[test]
fn bad_input_gets_one_clear_error_and_writes_nothing() {
    let place = Place::new();
    let toml = fs::read_to_string(place.path("given-dense.toml")).unwrap();
    let write = |name: &str, text: &str| fs::write(place.path(name), text).unwrap();
    let change = |name: &str, from: &str, to: &str| {
        assert!(toml.contains(from));
        write(name, &toml.replacen(from, to, 1));
    };
    change("wide.toml", "units = 5", "units = 6");
    change("type.toml", "\"relu\"", "\"rleu\"");
    change("batch.toml", "\"batch-norm\"", "\"batch-norm\", statistics = \"batch\"");
    change("bias.toml", "units = 3", "units = 3, bias = true");
    change("key.toml", "input", "inputs");
    change("sweep.toml", "input = [6]", "input = [\"d\"]");
    change("huge.toml", "units = 4", "units = 4000000000000");
    write("both.toml", &format!("{toml}\n[[network]]\ninput = [6]\n"));
    write("text.npy", "1 2 3");
    write("text.npz", "not an archive");
    write("weights.pt", "not ours");
    let weights = fs::read(place.path("given-dense.safetensors")).unwrap();
    fs::write(place.path("short.safetensors"), &weights[..weights.len() - 9]).unwrap();
    write_npy(place.path("five.npy"), &Array2::<f64>::zeros((3, 5))).unwrap();
    write_npy(place.path("negative.npy"), &Array1::from(vec![0i64, 1, -1])).unwrap();
    write_npy(place.path("floats.npy"), &Array1::from(vec![0.0, 1.0, 1.0])).unwrap();
    fs::create_dir(place.path("folder")).unwrap();
    let before = fs::read_dir(place.folder.path()).unwrap().count();
    for (arguments, expected) in [
        (&["--network", "wide.toml"][..], "0.weight: has shape [5, 6] where layer 0 (dense)"),
        (&["--network", "type.toml"], "did you mean `relu`?"),
        (&["--network", "batch.toml"], "layer 1 (batch-norm) has batch statistics"),
        (&["--network", "bias.toml"], "5.bias: is missing"),
        (&["--network", "key.toml"], "did you mean `input`?"),
        (&["--network", "sweep.toml"], "input.0 = d"),
        (&["--network", "huge.toml"], "GiB"),
        (&["--network", "both.toml"], "network"),
        (&["--network", "no.toml"], "no.toml: cannot be read"),
        (&["--network", "given-dense.x.npy"], "given-dense.x.npy"),
        (&["--weights", "given-conv.npz"], "given-conv.npz: "),
        (&["--weights", "short.safetensors"], "cut short or damaged"),
        (&["--weights", "text.npz"], "expected a .npz file"),
        (&["--weights", "weights.pt"], "ends in .safetensors or .npz"),
        (&["--weights", "no.npz"], "no.npz: cannot be read"),
        (&["--weights", "folder"], "folder: must be a file"),
        (&["--input", "text.npy"], "does not start as a .npy file does"),
        (&["--input", "five.npy"], "has shape [3, 5]; expected [6] (one sample), [N, 6]"),
        (&["--input", "no.npy"], "no.npy: does not exist"),
        (&["--label", "3"], "--label: label 3 at index 0 must be a class from 0 to 2"),
        (&["--label", "1,2"], "has 2 labels for 3 samples"),
        (&["--label", "-1"], "whole numbers from 0"),
        (&["--label", "cat"], "whole numbers from 0"),
        (&["--label", "negative.npy"], "-1 at index [2]"),
        (&["--label", "floats.npy"], "type f64"),
        (&["--norm", "0.9"], "from 1 on"),
        (&["--dtype", "f16"], "f16"),
        (&["--engine", "magic"], "magic"),
        (&["--set", "layers.0.units=7"], "0.weight"),
        (&["--memory", "1e-9"], "GiB"),
    ] {
        // A later option of the same name would be refused: options take the places of the recorded ones.
        let mut given = vec![
            ("--network", "given-dense.toml"),
            ("--weights", "given-dense.safetensors"),
            ("--input", "given-dense.x.npy"),
            ("--save", "G.npy"),
        ];
        match given.iter_mut().find(|(option, _)| *option == arguments[0]) {
            Some(option) => option.1 = arguments[1],
            None => given.push((arguments[0], arguments[1])),
        }
        let given: Vec<&str> = given.into_iter().flat_map(|(option, value)| [option, value]).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradlaw"));
        let output = command.current_dir(place.folder.path()).arg("gradient").args(&given).output().unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{expected}: {message}");
        assert!(message.contains(expected), "{expected}: {message}");
        assert!(message.lines().filter(|line| !line.is_empty()).count() <= 4, "{message}");
        assert!(!message.contains("panicked") && output.stdout.is_empty(), "{message}");
        assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), before, "{expected}");
    }
}

#[test]
fn an_engine_that_cannot_and_a_place_that_cannot_be_written_say_so() {
    let place = Place::new();
    let layer = r#"{ type = "dense", units = 80 }, { type = "relu" }"#;
    let text_of = format!("input = [6]\nlayers = [{layer}, {layer}, {layer}, {layer}, {layer}, {layer}]\n");
    fs::write(place.path("deep.toml"), text_of).unwrap();
    let mut archive = ndarray_npy::NpzWriter::new(fs::File::create(place.path("deep.npz")).unwrap());
    for (position, inputs) in [6, 80, 80, 80, 80, 80].into_iter().enumerate() {
        archive.add_array(format!("{}.weight", 2 * position), &Array2::<f32>::from_elem((80, inputs), 0.1)).unwrap();
    }
    archive.finish().unwrap();
    write_npy(place.path("deep.x.npy"), &Array1::<f32>::ones(6)).unwrap();
    let output = place.run("deep", "npz", &["--engine", "paths", "--save", "G.npy"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("paths, more than the 100000000"), "{}", text(&output.stderr));
    assert!(!place.path("G.npy").exists());

    let output = place.run("given-dense", "safetensors", &["--save", "no/such/G.npy"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("G.npy: cannot be written") && output.stdout.is_empty());
    fs::create_dir(place.path("taken")).unwrap();
    let output = place.run("given-dense", "safetensors", &["--save", "taken"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(!place.path("taken.part").exists());
}
