//! Sweeps of trained networks from outside: results do not depend on threads or on being killed, networks that diverge are marked,
//! and wrong specs are refused before anything is written.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const SPEC: &str = r#"
name = "sweep"
repeats = 2
observables = ["accuracy", "loss", "loss.l1", "loss.l2", "vulnerability.fgsm@0.02", "initial.loss.l1"]
[sweep]
strength = [0.001, 0.01]
[data]
set = "synthetic"
samples = 400
side = 8
classes = 4
validation = 50
test = 60
[training]
epochs = 2
batch = 32
rate = 0.05
crop = 1
flip = true
[[method]]
label = "penalty"
objective = "gradient-penalty"
norm = 1
strength = "strength"
[[method]]
label = "fgsm"
objective = "augmentation"
norm = "inf"
strength = "strength"
[[method]]
label = "pgd"
objective = "pgd"
steps = 2
strength = "strength"
[[network]]
input = [3, 8, 8]
layers = [
  { type = "batch-norm" },
  { type = "conv", channels = 6, kernel = 3, padding = 1, padding_mode = "reflect" },
  { type = "avg-pool", size = 2 },
  { type = "batch-norm" },
  { type = "relu" },
  { type = "flatten" },
  { type = "dense", units = 4, bias = true },
]
[[claim]]
statement = "penalty and augmentation are one"
ratio = ["penalty", "fgsm"]
observable = "loss.l1"
tolerance = 0.2
[[claim]]
statement = "the norms have the quotient of Gaussian vectors"
quotient = ["loss.l1", "loss.l2"]
value = "sqrt(2 * dimension / PI)"
tolerance = 0.3
[[claim]]
statement = "vulnerability follows the norm"
rank_correlation = ["loss.l1", "vulnerability.fgsm@0.02"]
at_least = -0.9
"#;

fn gradlaw(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradlaw"));
    command.current_dir(folder).args(arguments);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    gradlaw(folder, arguments).output().unwrap()
}

fn with_spec(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sweep.toml"), text).unwrap();
    folder
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

const FILES: [&str; 4] = ["networks.csv", "epochs.csv", "points.csv", "verdicts.json"];

#[test]
fn results_do_not_depend_on_threads_or_on_being_killed() {
    let folder = with_spec(SPEC);
    let folder = folder.path();
    let whole = run(folder, &["run", "sweep.toml", "--out", "whole", "--threads", "1", "--json"]);
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
    let networks = text(folder, "whole/sweep/networks.csv");
    assert_eq!(networks.lines().count(), 1 + 12);
    assert!(networks.lines().skip(1).all(|line| line.contains(",trained,2,")), "{networks}");
    let verdicts: serde_json::Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!(verdicts.as_array().unwrap().len(), 1 + 3 + 1);
    assert!(text(folder, "whole/sweep/figure.svg").contains("‖∂ₓL‖₁"));

    // Killed as soon as the first networks are finished, and again after a few more.
    for count in [2, 6] {
        let arguments = ["run", "sweep.toml", "--out", "killed", "--threads", "2", "--quiet"];
        let mut child = gradlaw(folder, &arguments).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        let finished = || {
            let states = fs::read_dir(folder.join("killed/sweep/state")).into_iter().flatten();
            states
                .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|e| e == "json")))
                .count()
        };
        while finished() < count && child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(120), "no network was finished");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let resumed = run(folder, &["run", "sweep.toml", "--out", "killed", "--threads", "3", "--quiet"]);
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    for name in FILES {
        assert_eq!(
            text(folder, &format!("whole/sweep/{name}")),
            text(folder, &format!("killed/sweep/{name}")),
            "{name}"
        );
    }

    // Figures and the report come from what was saved.
    fs::remove_file(folder.join("whole/sweep/figure.svg")).unwrap();
    let plot = run(folder, &["plot", "whole/sweep"]);
    assert!(plot.status.success(), "{}", String::from_utf8_lossy(&plot.stderr));
    let report = run(folder, &["report", "whole/sweep", "--out", "page.html"]);
    assert!(report.status.success() && text(folder, "page.html").contains("penalty and augmentation are one"));
}

#[test]
fn a_network_that_diverges_is_marked_and_the_sweep_goes_on() {
    let spec = SPEC.replace("rate = 0.05", "rate = \"0.05 + 1e30 * (strength - 0.001)\"");
    let folder = with_spec(&spec);
    let output = run(folder.path(), &["run", "sweep.toml", "--set", "repeats=1", "--quiet"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let networks = text(folder.path(), "runs/sweep/networks.csv");
    assert_eq!(networks.lines().filter(|line| line.contains(",trained,")).count(), 3, "{networks}");
    assert_eq!(networks.lines().filter(|line| line.contains(",diverged,")).count(), 3, "{networks}");
}

#[test]
fn epochs_are_shown_before_the_first_network_is_finished() {
    let folder = with_spec(&SPEC.replace("epochs = 2", "epochs = 1000000"));
    let folder = folder.path();
    let mut child = gradlaw(folder, &["run", "sweep.toml", "--quiet"]).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let epochs = || fs::read_to_string(folder.join("runs/sweep/epochs.csv")).unwrap_or_default().lines().count();
    while epochs() < 2 && began.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(epochs() >= 2);
    assert_eq!(text(folder, "runs/sweep/networks.csv").lines().count(), 1);
}

/// Constants that are not given are those of the training samples, about those of all samples.
#[test]
fn a_network_can_be_normalised_by_constants_of_its_data() {
    let one = SPEC.replacen("{ type = \"batch-norm\" }", "{ type = \"normalise\" }", 1);
    // Another normalisation would undo the scale.
    let one = one.replacen("{ type = \"batch-norm\" },", "", 1);
    let one = one.replace("repeats = 2", "repeats = 1").replace("strength = [0.001, 0.01]", "strength = [0.001]");
    let given = |constants: &str| one.replace("\"normalise\"", &format!("\"normalise\", {constants}"));
    let losses = |spec: &str| -> Vec<f64> {
        let folder = with_spec(spec);
        let output = run(folder.path(), &["run", "sweep.toml", "--quiet"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let networks = text(folder.path(), "runs/sweep/networks.csv");
        let mut rows = csv::Reader::from_reader(networks.as_bytes());
        let column = rows.headers().unwrap().iter().position(|name| name == "initial.loss.l1").unwrap();
        // The spec that was saved holds the constants, and gives the same.
        let saved = text(folder.path(), "runs/sweep/spec.toml");
        assert!(saved.contains("mean = "), "{saved}");
        rows.records().map(|row| row.unwrap()[column].parse().unwrap()).collect()
    };
    let data = losses(&one);
    let (usual, wide) = (losses(&given("mean = [0.5, 0.5, 0.5], std = 0.3")), losses(&given("mean = 0.5, std = 30")));
    assert!(data.iter().zip(&usual).all(|(data, usual)| (0.3..3.0).contains(&(data / usual))), "{data:?} {usual:?}");
    assert!(wide.iter().zip(&usual).all(|(wide, usual)| wide < &(0.2 * usual)), "{wide:?} {usual:?}");
}

/// Images of 6 rows and 5 columns: taken as they are, refused with their own shape, and resized to a square.
#[test]
fn images_need_not_be_square() {
    let folder = with_spec(RECTANGLES);
    let folder = folder.path();
    let idx = |lengths: &[u32], bytes: Vec<u8>| {
        let magic = 0x800 + lengths.len() as u32;
        let header = std::iter::once(&magic).chain(lengths).flat_map(|number| number.to_be_bytes());
        header.chain(bytes).collect::<Vec<u8>>()
    };
    let write = |part: &str, count: u32, [rows, columns]: [u32; 2]| {
        let pixels = (0..count * rows * columns).map(|at| (at * 37 % 251) as u8).collect();
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), idx(&[count, rows, columns], pixels)).unwrap();
        let labels = (0..count).map(|at| (at % 3) as u8).collect();
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), idx(&[count], labels)).unwrap();
    };
    write("train", 40, [6, 5]);
    write("t10k", 20, [6, 5]);
    let run = |changes: &[&str]| run(folder, &[&["run", "sweep.toml", "--quiet", "--fresh"][..], changes].concat());
    let refused = |output: Output, expected: &str| {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(expected), "{expected}: {message}");
    };
    refused(run(&["--set", "network.0.input=[1, 6, 6]"]), "must be the training images' shape [1, 6, 5]");
    refused(run(&["--set", "network.0.input=[1, 5, 5]"]), "must be the training images' shape [1, 6, 5]");
    for changes in [
        &[][..],
        &["--set", "data.resize=6", "--set", "network.0.input=[1, 6, 6]"],
        &["--set", "data.resize=5", "--set", "network.0.input=[25]"],
    ] {
        let output = run(changes);
        assert!(output.status.success(), "{changes:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // As many pixels, and another height.
    write("t10k", 20, [5, 6]);
    refused(run(&[]), "must be the test images' shape [1, 5, 6]");
}

const RECTANGLES: &str = r#"
name = "rectangles"
observables = ["accuracy", "loss.l1"]
[data]
set = "mnist"
path = "."
validation = 10
[training]
epochs = 1
batch = 10
rate = 0.05
crop = 1
flip = true
[[network]]
input = [1, 6, 5]
layers = [{ type = "flatten" }, { type = "dense", units = 10 }]
"#;

#[test]
fn weights_that_are_kept_can_be_attacked() {
    let folder = with_spec(&SPEC.replacen("{ type = \"batch-norm\" }", "{ type = \"normalise\" }", 1));
    let folder = folder.path();
    let changes = ["--set", "keep_weights=true", "--set", "repeats=1", "--set", "sweep.strength=[0.01]"];
    let output = run(folder, &[&["run", "sweep.toml", "--quiet"][..], &changes].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let weights: Vec<_> =
        fs::read_dir(folder.join("runs/sweep/weights")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(weights.len(), 3);
    let mut names: Vec<_> =
        weights.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, ["fgsm", "penalty", "pgd"].map(|method| format!("{method}@strength=0.01#0.safetensors")));
    // The spec of the results says by which constants the network normalises.
    let network: toml::Table = text(folder, "runs/sweep/spec.toml").parse().unwrap();
    let network = network["network"][0].as_table().unwrap().clone();
    fs::write(folder.join("net.toml"), network.to_string()).unwrap();
    let array = ndarray::Array4::<f32>::from_elem((1, 3, 8, 8), 0.5);
    ndarray_npy::write_npy(folder.join("x.npy"), &array).unwrap();
    let weights = weights[0].to_str().unwrap();
    let gradient = run(folder, &["gradient", "--network", "net.toml", "--weights", weights, "--input", "x.npy"]);
    assert!(gradient.status.success(), "{}", String::from_utf8_lossy(&gradient.stderr));
    // Weights say which network of that spec they are of, and at which point.
    let of_results = ["gradient", "--network", "runs/sweep/spec.toml", "--weights", weights, "--input", "x.npy"];
    assert_eq!(run(folder, &of_results).stdout, gradient.stdout);
    let unknown = run(folder, &[&of_results[..], &["--which", "nets"]].concat());
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("unknown label"));
    // Those of a training that is no longer asked for go.
    let others = ["--set", "keep_weights=true", "--set", "repeats=1", "--set", "sweep.strength=[0.02]", "--fresh"];
    let output = run(folder, &[&["run", "sweep.toml", "--quiet"][..], &others].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_dir(folder.join("runs/sweep/weights")).unwrap().count(), 3);
}

const TWO: &str = r#"
name = "two"
draws = 10
observables = ["loss.l1"]
[sweep]
k = [2, 4]
[[network]]
label = "first"
input = ["k"]
layers = [{ type = "dense", units = 4 }]
[[network]]
label = "second"
input = [3, "4 * k", 8]
layers = [{ type = "flatten" }, { type = "dense", units = 4 }]
"#;

#[test]
fn a_network_of_a_spec_with_several_is_named() {
    let folder = with_spec(TWO);
    let folder = folder.path();
    let refused = |arguments: &[&str], says: &str| {
        let output = run(folder, &[&["names", "sweep.toml"][..], arguments].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(says), "{}", String::from_utf8_lossy(&output.stderr));
    };
    refused(&[], "--which LABEL");
    refused(&["--which", "secnd"], "did you mean `second`");
    refused(&["--which", "second"], "--set sweep.k=[VALUE]");
    let found = run(folder, &["names", "sweep.toml", "--which", "second", "--set", "sweep.k=[2]"]);
    assert!(String::from_utf8_lossy(&found.stdout).contains("[4, 192]"), "{}", String::from_utf8_lossy(&found.stderr));
}

#[test]
fn wrong_specs_are_refused_and_nothing_is_written() {
    let cases: &[(&str, &str, &str)] = &[
        ("input = [3, 8, 8]", "input = [3, 9, 9]", "images' shape [3, 8, 8]"),
        ("classes = 4", "classes = 9", "a logit for every class"),
        ("batch = 32", "batch = 4000", "training.batch"),
        ("batch = 32", "batch = 1", "from 2 to"),
        ("validation = 50", "validation = 5000", "data.training"),
        ("test = 60", "test = 6000", "data.test"),
        ("objective = \"pgd\"", "objective = \"pdg\"", "known: plain, gradient-penalty"),
        ("norm = \"inf\"", "norm = 0.5", "at least 1"),
        ("steps = 2", "norm = 2", "does not go with"),
        ("rate = 0.05", "rate = -1", "must be above 0"),
        ("rate = 0.05", "rat = 0.05", "did you mean `rate`"),
        ("set = \"synthetic\"", "set = \"synthetic\"\nresize_filter = \"area\"", "data.resize_filter"),
        ("rate = 0.05", "rate = -1e300", "rate = -1e300: must be above 0, but is -1e300"),
        ("set = \"synthetic\"", "set = \"cifar\"", "cifar10, mnist, images or synthetic"),
        ("\"loss.l2\", \"vuln", "\"loss.l0\", \"vuln", "unknown observable"),
        ("ratio = [\"penalty\", \"fgsm\"]", "ratio = [\"penalty\", \"fgms\"]", "did you mean `fgsm`"),
        (
            "{ type = \"batch-norm\" },\n  { type = \"conv\"",
            "{ type = \"normalise\", std = 2 },\n  { type = \"conv\"",
            "mean",
        ),
        (
            "{ type = \"batch-norm\" },\n  { type = \"conv\"",
            "{ type = \"normalise\", mean = [0, 1], std = 2 },\n  { type = \"conv\"",
            "2 values of mean",
        ),
        ("at_least = -0.9", "at_least = -0.9\ntolerance = 1", "does not go with `rank_correlation`"),
        ("at_least = -0.9", "at_least = 1", "from -1 to 1"),
        ("tolerance = 0.2", "tolerance = 0.2\nfactor = \"pi2\"", "uses `pi2`"),
    ];
    for (from, to, expected) in cases {
        assert!(SPEC.contains(from), "{from}");
        let folder = with_spec(&SPEC.replace(from, to));
        let output = run(folder.path(), &["run", "sweep.toml"]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{to}: {message}");
        assert!(message.contains("sweep.toml") && message.contains(expected), "{to}: {message}");
        assert!(message.lines().count() <= 4 && !message.contains("panicked"), "{message}");
        assert!(!folder.path().join("runs").exists());
    }
    let folder =
        with_spec(&SPEC.replace("set = \"synthetic\"\nsamples = 400\nside = 8\nclasses = 4", "set = \"cifar10\""));
    let output = run(folder.path(), &["run", "sweep.toml"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--set data.path=PATH"));
    let output = run(with_spec(SPEC).path(), &["run", "sweep.toml", "--keep-draws"]);
    assert!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("--keep-draws: "));
    let idle = SPEC.replace("[sweep]", "[sweep]\nstrenght = [1, 2]");
    let output = run(with_spec(&idle).path(), &["run", "sweep.toml"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("sweep.strenght: is used by nothing"), "{message}");
    assert!(message.contains("did you mean `strength`?"), "{message}");
    let output = run(folder.path(), &["theory", "sweep.toml"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && message.contains("trained networks"), "{message}");
}

/// A definition may use what no claim asks for, beside observables of networks before training: those are measured apart from it.
#[test]
fn definitions_are_of_what_is_measured_after_training() {
    let listed = SPEC.replace("\"initial.loss.l1\"]", "\"initial.loss.l1\", \"spread\"]");
    let defined = |formula: &str| listed.replace("[sweep]", &format!("[define]\nspread = \"{formula}\"\n[sweep]"));
    let folder = with_spec(&defined("loss.l4 / loss.l2"));
    let done = run(folder.path(), &["run", "sweep.toml", "--out", "out", "--json"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let points = text(folder.path(), "out/sweep/points.csv");
    let means: Vec<f64> = points
        .lines()
        .filter(|line| line.contains(",spread,"))
        .map(|line| line.split(',').nth(5).unwrap().parse().unwrap())
        .collect();
    // ‖g‖₄/‖g‖₂ of 192 coordinates lies between 192^(−1/4) and 1.
    assert_eq!(means.len(), 6, "{points}");
    assert!(means.iter().all(|mean| (192f64.powf(-0.25)..1.0).contains(mean)), "{means:?}");

    let folder = with_spec(&defined("loss.l1 / initial.loss.l1"));
    let refused = run(folder.path(), &["run", "sweep.toml", "--out", "out"]);
    let message = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(message.contains("define.spread") && message.contains("`initial.loss.l1`"), "{message}");
    assert!(!folder.path().join("out").exists());
}
