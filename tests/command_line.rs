//! The command line from outside: exit codes, messages, files, and that the same spec and seed give the same bits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const SPEC: &str = r#"
name = "small"
title = "A small law"
source = "a test"
seed = 3
draws = 1000
observables = ["loss.l1", "logit.l1", "logit.l2sq"]

[sweep]
d = [16, 64, 256]

[[network]]
label = "collapsed net"
input = ["d"]
layers = [{ type = "dense", units = 20 }, { type = "relu" }, { type = "dense", units = 5 }]

[[network]]
label = "explicit net"
sampler = "explicit"
input = ["d"]
layers = [{ type = "dense", units = 20 }, { type = "relu" }, { type = "dense", units = 5 }]

[[claim]]
statement = "loss.l1 grows as d^0.5"
observable = "loss.l1"
against = "dimension"
exponent = 0.5
tolerance = 0.05
"#;

/// A folder with one spec.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(spec: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("spec.toml"), spec).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradlaw"));
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs, asserts success, and returns standard output.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The cells of one column of a CSV text.
fn column(csv: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let index = reader.headers().unwrap().iter().position(|header| header == name).unwrap();
    reader.records().map(|record| record.unwrap()[index].to_owned()).collect()
}

#[test]
fn results_have_the_columns_and_files_of_the_contract() {
    let place = Place::new(SPEC);
    place.ok(&["run", "spec.toml", "--out", "out"]);
    let csv = place.read("out/small/points.csv");
    let contract = "network,observable,d,dimension,draws,mean,std_error,std_dev,q10,median,q90,theory,theory_kind,z";
    assert!(csv.starts_with(contract), "{csv}");
    assert_eq!(csv.lines().count(), 1 + 2 * 3 * 3);
    for file in ["spec.toml", "verdicts.json", "figure.svg", "figure.png"] {
        assert!(place.path("out/small").join(file).exists(), "{file}");
    }
    let verdicts: serde_json::Value = serde_json::from_str(&place.read("out/small/verdicts.json")).unwrap();
    let verdicts = verdicts.as_array().unwrap();
    assert_eq!(verdicts.len(), 2);
    for key in ["experiment", "statement", "network", "observable", "verdict", "predicted", "measured", "std_error"] {
        assert!(!verdicts[0][key].is_null(), "{key}");
    }
    assert_eq!(verdicts[0]["interval"].as_array().unwrap().len(), 2);
    assert!(verdicts[0]["tolerance"].is_number() && verdicts[0]["p_value"].is_number());
}

#[test]
fn the_saved_spec_repeats_the_run() {
    let place = Place::new(SPEC);
    place.ok(&["run", "spec.toml", "--out", "one", "--seed", "9", "--set", "draws=200"]);
    place.ok(&["run", "one/small/spec.toml", "--out", "two"]);
    assert_eq!(place.read("one/small/points.csv"), place.read("two/small/points.csv"));
    let other_seed = place.ok(&["run", "spec.toml", "--out", "three", "--set", "draws=200", "--json"]);
    assert!(other_seed.starts_with('['));
    assert_ne!(place.read("one/small/points.csv"), place.read("three/small/points.csv"));
}

#[test]
fn threads_resumption_and_the_order_of_the_sweep_do_not_change_a_bit() {
    let place = Place::new(SPEC);
    let points = |out: &str| place.read(&format!("{out}/small/points.csv"));
    place.ok(&["run", "spec.toml", "--out", "one", "--threads", "1", "--set", "draws=10000"]);
    place.ok(&["run", "spec.toml", "--out", "two", "--threads", "2", "--set", "draws=10000"]);
    assert_eq!(points("one"), points("two"));

    place.ok(&["run", "spec.toml", "--out", "grown", "--set", "draws=1000"]);
    place.ok(&["run", "spec.toml", "--out", "grown", "--set", "draws=10000"]);
    assert_eq!(points("one"), points("grown"));

    place.ok(&["run", "spec.toml", "--out", "turned", "--set", "draws=10000", "--set", "sweep.d=[256, 16]"]);
    let rows = |csv: String| csv.lines().map(str::to_owned).collect::<Vec<_>>();
    let whole = rows(points("one"));
    assert!(rows(points("turned")).iter().all(|row| whole.contains(row)));
}

#[test]
fn an_interrupted_run_resumes_to_the_same_bits() {
    let place = Place::new(SPEC);
    let long = ["--set", "draws=400000", "--threads", "1", "--set", "sweep.d=[256]"];
    let arguments = |out| [&["run", "spec.toml", "--out", out][..], &long[..]].concat();
    let mut command = place.command(&arguments("stopped"));
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Long enough to be drawing the explicit network, which takes several seconds on one thread.
    std::thread::sleep(Duration::from_millis(2500));
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    if signal.is_err() || output.status.success() {
        return; // No way to send the signal here, or a machine so fast that the run was over.
    }
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(text(&output.stderr).contains("go on with: "), "{}", text(&output.stderr));
    assert!(fs::read_dir(place.path("stopped/small/state")).unwrap().next().is_some());

    place.ok(&arguments("stopped"));
    place.ok(&arguments("whole"));
    assert_eq!(place.read("stopped/small/points.csv"), place.read("whole/small/points.csv"));
}

#[test]
fn verify_exits_with_the_verdict() {
    let place = Place::new(SPEC);
    let table = place.ok(&["verify", "spec.toml", "--set", "draws=20000"]);
    assert_eq!(table.matches("holds").count(), 2, "{table}");

    let refuted = place.run(&["verify", "spec.toml", "--set", "claim.0.exponent=0.8"]);
    assert_eq!(refuted.status.code(), Some(1));
    assert_eq!(text(&refuted.stdout).matches("refuted").count(), 2);
    assert_eq!(place.run(&["run", "spec.toml", "--set", "claim.0.exponent=0.8"]).status.code(), Some(0));

    let vague = place.run(&["verify", "spec.toml", "--set", "draws=20", "--set", "claim.0.tolerance=1e-4"]);
    assert_eq!(vague.status.code(), Some(1));
    assert_eq!(text(&vague.stdout).matches("inconclusive").count(), 2);
}

#[test]
fn theory_prints_the_rows_without_sampling() {
    let place = Place::new(SPEC);
    let csv = place.ok(&["theory", "spec.toml"]);
    assert!(!place.path("runs").exists());
    assert!(column(&csv, "mean").iter().all(String::is_empty));
    let theory = column(&csv, "theory");
    assert!(theory[0].is_empty(), "loss.l1 has no closed form");
    // n = 20, last variance 1/20: E‖∂f‖₂² = 1 at every d.
    let squares: Vec<f64> = theory.iter().skip(2).step_by(3).map(|value| value.parse().unwrap()).collect();
    assert!(squares.iter().all(|square| (square - 1.0).abs() < 1e-12));
    place.ok(&["run", "spec.toml", "--quiet"]);
    assert_eq!(column(&place.read("runs/small/points.csv"), "theory"), theory);
}

#[test]
fn quiet_prints_nothing_and_no_terminal_gets_no_progress() {
    let place = Place::new(SPEC);
    let quiet = place.run(&["run", "spec.toml", "--quiet"]);
    assert!(quiet.stdout.is_empty() && quiet.stderr.is_empty());
    let loud = place.run(&["run", "spec.toml"]);
    assert!(!text(&loud.stderr).contains('\r') && !text(&loud.stdout).contains('\u{1b}'));
    assert!(text(&place.run(&["run", "spec.toml", "--color", "always"]).stdout).contains('\u{1b}'));
}

#[test]
fn figures_are_drawn_again_from_saved_results() {
    let place = Place::new(SPEC);
    place.ok(&["run", "spec.toml"]);
    let svg = place.read("runs/small/figure.svg");
    fs::remove_file(place.path("runs/small/figure.svg")).unwrap();
    place.ok(&["plot", "runs/small"]);
    assert_eq!(place.read("runs/small/figure.svg"), svg);
    place.ok(&["plot", "runs/small", "--to", "figures"]);
    assert_eq!(place.read("figures/small.svg"), svg);
    assert_eq!(place.run(&["plot", "nowhere"]).status.code(), Some(2));
}

#[test]
fn kept_draws_are_those_of_the_table() {
    let place = Place::new(SPEC);
    place.ok(&["run", "spec.toml", "--keep-draws"]);
    let file = fs::File::open(place.path("runs/small/draws.npz")).unwrap();
    let mut archive = ndarray_npy::NpzReader::new(file).unwrap();
    let draws: ndarray::Array2<f64> = archive.by_name("explicit net, d = 64").unwrap();
    assert_eq!(draws.dim(), (1000, 3));
    let means = column(&place.read("runs/small/points.csv"), "mean");
    let mean: f64 = means[9 + 3].parse().unwrap();
    assert!((draws.column(0).mean().unwrap() / mean - 1.0).abs() < 1e-12);
}

#[test]
fn gradients_that_overflow_are_counted_and_void_the_verdict() {
    let init = "network.1.init={ scheme = \"normal\", variance = \"1e40\" }";
    let place = Place::new(SPEC);
    let output = place.run(&["verify", "spec.toml", "--set", init]);
    assert_eq!(output.status.code(), Some(1));
    let table = text(&output.stdout);
    assert!(table.contains("inconclusive") && table.contains("NaN or infinite"), "{table}");
    let csv = place.read("runs/small/points.csv");
    let counted: Vec<u64> = column(&csv, "non_finite").iter().map(|count| count.parse().unwrap()).collect();
    assert!(counted[9] > 0 && counted[0] == 0);
    assert!(!column(&csv, "mean")[9].parse::<f64>().unwrap().is_finite());
}

#[test]
fn list_and_explain_speak_of_every_shipped_experiment() {
    let place = Place::new(SPEC);
    let list = place.ok(&["list"]);
    for shipped in gradlaw::experiment::catalogue::SHIPPED {
        assert!(list.contains(shipped.name));
        let explanation = place.ok(&["explain", shipped.name]);
        assert!(explanation.contains("Claim.") && explanation.contains("Claims"), "{}", shipped.name);
        assert!(explanation.lines().nth(1).is_some_and(|source| !source.is_empty()), "{} has a source", shipped.name);
    }
    assert!(place.ok(&["completions", "bash"]).contains("gradlaw"));
}

#[test]
fn data_that_is_not_given_skips_in_verify_and_is_asked_for_in_run() {
    let place = Place::new(SPEC);
    let table = place.ok(&["verify", "spec.toml", "real-images", "--set", "draws=20000"]);
    assert!(table.contains("skipped") && table.contains("--set input.path=PATH"), "{table}");
    let run = place.run(&["run", "real-images"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains("input.path"));
}

/// Each spec below is wrong in one way: exit 2, at most four lines that name the file and what is quoted, and no folder.
#[test]
fn bad_input_gets_one_clear_error_and_writes_nothing() {
    let replaced = |from: &str, to: &str| {
        assert!(SPEC.contains(from), "{from}");
        SPEC.replacen(from, to, 1)
    };
    let layers = r#"layers = [{ type = "dense", units = 20 }, { type = "relu" }, { type = "dense", units = 5 }]"#;
    for (spec, expected) in [
        ("name = ".to_owned(), "line 1"),
        (String::new(), "name"),
        (replaced("draws = 1000", "drawz = 1000"), "did you mean `draws`?"),
        (replaced("draws = 1000", "draws = 1.5"), "draws = 1.5"),
        (replaced("draws = 1000", "draws = 1"), "whole number from 2"),
        (replaced("draws = 1000", "draws = \"many\""), "draws = \"many\""),
        (replaced("draws = 1000", "draws = 1000\nprecision = 0.1"), "precision"),
        (replaced("draws = 1000", "precision = 2"), "precision = 2"),
        (replaced("seed = 3", "seed = -3"), "seed = -3"),
        (replaced("name = \"small\"", "name = \"../small\""), "name"),
        (replaced("\"loss.l1\"", "\"loss.l0\""), "loss.l0"),
        (replaced("\"loss.l1\", \"logit.l1\"", "\"loss.l1\", \"loss.l1\""), "once"),
        (replaced("d = [16, 64, 256]", "d = []"), "sweep.d"),
        (replaced("d = [16, 64, 256]", "d = [16, \"x\"]"), "sweep.d"),
        (replaced("input = [\"d\"]", "input = [\"d / 3\"]"), "d / 3"),
        (replaced("input = [\"d\"]", "input = [0]"), "network.0.input.0"),
        (replaced("input = [\"d\"]", "input = [\"width\"]"), "`width`"),
        (replaced("input = [\"d\"]", "input = [3, \"d\", \"d\"]"), "flatten"),
        (replaced("units = 20", "units = 2.5"), "network.0.layers.0.units = 2.5"),
        (replaced("units = 20", "units = 0"), "units"),
        (replaced("units = 20", "widths = 20"), "widths"),
        (replaced("units = 20", "units = 20, bias = 1"), "bias = 1"),
        (replaced("\"relu\"", "\"rleu\""), "did you mean `relu`?"),
        (replaced("\"relu\"", "\"conv\""), "unknown layer type"),
        (replaced(layers, "layers = []"), "network.0.layers"),
        (replaced("[sweep]", "[input]\ndistribution = \"gauss\"\n[sweep]"), "gauss"),
        (replaced("[sweep]", "[input]\nlabel = 5\n[sweep]"), "input.label = 5"),
        (replaced("[sweep]", "[input]\ndistribution = \"npy\"\npath = \"no.npy\"\n[sweep]"), "no.npy"),
        (replaced("[sweep]", "[input]\ndistribution = \"cifar10\"\npath = \"no\"\n[sweep]"), "input.path"),
        (replaced("label = \"explicit net\"", "label = \"collapsed net\""), "network.1.label"),
        (replaced("sampler = \"explicit\"", "sampler = \"fast\""), "sampler = \"fast\""),
        (replaced("sampler = \"explicit\"", "sampler = \"collapsed\"\ninit = \"he-uniform\""), "not Gaussian"),
        (replaced("sampler = \"explicit\"", "init = \"he\""), "he-normal"),
        (replaced("sampler = \"explicit\"", "init = { scheme = \"normal\", variance = \"0 - 1\" }"), "above 0"),
        (replaced("sampler = \"explicit\"", "init = { scheme = \"normal\" }"), "variance"),
        (replaced("exponent = 0.5", ""), "claim.0"),
        (replaced("exponent = 0.5", "exponent = 0.5\nfactor = 2"), "factor"),
        (replaced("tolerance = 0.05", "tolerance = 0"), "tolerance = 0"),
        (replaced("against = \"dimension\"", "against = \"width\""), "against"),
        (replaced("observable = \"loss.l1\"", "observable = \"loss.l2\""), "claim.0.observable"),
        (
            replaced(
                "label = \"explicit net\"\nsampler = \"explicit\"\ninput = [\"d\"]",
                "label = \"explicit net\"\nsampler = \"explicit\"\ninput = [\"d * 10^9\"]",
            ),
            "GiB",
        ),
    ] {
        let place = Place::new(&spec);
        let output = place.run(&["run", "spec.toml"]);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{expected}: {message}");
        assert!(message.contains(expected), "{expected}: {message}");
        assert!(message.contains("spec.toml"), "{message}");
        assert!(message.lines().count() <= 4, "{message}");
        assert!(!message.contains("panicked"), "{message}");
        assert!(!place.path("runs").exists(), "{expected}");
    }
}

#[test]
fn bad_usage_exits_with_two() {
    let place = Place::new(SPEC);
    for arguments in [
        &["run"][..],
        &["run", "nothing.toml"],
        &["verify", "--threads", "0"],
        &["run", "spec.toml", "--set", "draws"],
        &["run", "spec.toml", "--set", "draw=7"],
        &["run", "spec.toml", "spec.toml"],
        &["run", "spec.toml", "--set", "input.path=x", "--set", "input.distribution=npy"],
        &["explain", "nothing"],
        &["fly"],
    ] {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(!place.path("runs").exists());
    }
}

#[test]
fn a_folder_that_cannot_be_written_exits_with_three() {
    let place = Place::new(SPEC);
    fs::write(place.path("taken"), "a file where a folder should be").unwrap();
    let output = place.run(&["run", "spec.toml", "--out", "taken"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("taken"));
}

/// Real images, where their folder or archive is named by GRADLAW_CIFAR10; passes over it elsewhere.
#[test]
fn the_law_holds_on_real_images_where_they_are_given() {
    let Some(data) = std::env::var_os("GRADLAW_CIFAR10").filter(|data| Path::new(data).exists()) else {
        eprintln!("skipped: GRADLAW_CIFAR10 names no data");
        return;
    };
    let place = Place::new(SPEC);
    let path = format!("input.path={}", data.to_string_lossy());
    let table = place.ok(&["verify", "real-images", "--set", &path, "--set", "draws=4000"]);
    assert_eq!(table.matches("holds").count(), 2, "{table}");
}
