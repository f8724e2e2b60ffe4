//! `gradlaw paths` from outside: what the table says of known networks, its bits, and what it refuses.

use std::fs;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const SPEC: &str = r#"
name = "paths"
seed = 3
observables = ["logit.l2sq"]

[sweep]
side = [4, 16]

[[network]]
label = "dense"
input = ["side^2"]
layers = [{ type = "dense", units = 20 }, { type = "relu" }, { type = "dense", units = 5 }]

[[network]]
label = "zero padding"
input = [1, "side", "side"]
layers = [
  { type = "conv", channels = 2, kernel = 3, padding = 1 }, { type = "relu" },
  { type = "flatten" }, { type = "dense", units = 5 },
]

[[network]]
label = "strided"
input = [1, "side", "side"]
layers = [
  { type = "conv", channels = 2, kernel = 3, stride = 2, padding = 1, padding_mode = "circular" }, { type = "relu" },
  { type = "flatten" }, { type = "dense", units = 5 },
]

[[network]]
label = "max pool"
input = [1, "side", "side"]
layers = [{ type = "max-pool", size = 2 }, { type = "flatten" }, { type = "dense", units = 5 }]
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

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradlaw"));
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs, asserts success, and returns standard output.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The cells of one column.
fn column(csv: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let index = reader.headers().unwrap().iter().position(|header| header == name).unwrap();
    reader.records().map(|record| record.unwrap()[index].to_owned()).collect()
}

fn numbers(csv: &str, name: &str) -> Vec<Option<f64>> {
    column(csv, name).iter().map(|cell| (!cell.is_empty()).then(|| cell.parse().unwrap())).collect()
}

/// |z| < 4.5 in the two rows whose walks differ in weight: false alarms below 2·10⁻⁵.
#[test]
fn the_table_says_what_is_known_of_each_network() {
    let place = Place::new(SPEC);
    let csv = place.ok(&["paths", "spec.toml", "--walks", "20000"]);
    let header = "network,side,dimension,paths,theory,walks,mean,std_error,z,skewness,symmetry,share,spread,reason";
    assert!(csv.starts_with(header), "{csv}");
    assert_eq!(column(&csv, "network").len(), 8);
    // Edges of a row of pixels under a 3×3 kernel: 3n − 2 with zero padding; 3n/2 at stride 2 around a circle.
    let expected = [16.0 * 20.0, 256.0 * 20.0, 200.0, 4232.0, 72.0, 1152.0].map(Some);
    assert_eq!(numbers(&csv, "paths")[..6], expected);
    let theory = numbers(&csv, "theory");
    // Dense and circular nets keep E‖∂ₓf₀‖₂² = 1; zero padding loses the edges that it has not.
    for (row, expected) in [1.0, 1.0, 100.0 / 144.0, 2116.0 / 2304.0, 1.0, 1.0].into_iter().enumerate() {
        assert!((theory[row].unwrap() - expected).abs() < 1e-12, "{csv}");
    }
    assert!(numbers(&csv, "z")[..6].iter().all(|z| z.unwrap().abs() < 4.5), "{csv}");
    assert_eq!(numbers(&csv, "walks")[..6], [Some(20000.0); 6]);
    let symmetry = column(&csv, "symmetry");
    assert_eq!(symmetry[..6], ["exact", "exact", "violated", "approximate", "violated", "violated"]);
    assert_eq!(numbers(&csv, "share")[..2], [Some(1.0); 2]);
    assert_eq!(numbers(&csv, "share")[3..6], [144.0 / 256.0, 0.5, 0.5].map(Some));
    // Edges of a pixel: 4 to 9 of 9 with zero padding, 1 to 4 with mean 9/4 at stride 2.
    let spread = numbers(&csv, "spread");
    assert!((spread[2].unwrap() - 5.0 / (100.0 / 16.0)).abs() < 1e-12);
    assert!((spread[4].unwrap() - 3.0 / 2.25).abs() < 1e-12);
    for name in ["paths", "theory", "walks", "mean", "std_error", "z", "skewness", "symmetry", "share", "spread"] {
        assert!(column(&csv, name)[6..].iter().all(String::is_empty), "{name}");
    }
    let reasons = column(&csv, "reason");
    assert!(reasons[..6].iter().all(String::is_empty) && reasons[6].starts_with("max pooling breaks H1"));
}

#[test]
fn seeds_change_the_walks_and_threads_do_not() {
    let place = Place::new(SPEC);
    let paths = |more: &[&str]| place.ok(&[&["paths", "spec.toml", "--walks", "9000"][..], more].concat());
    let csv = paths(&["--threads", "1"]);
    assert_eq!(csv, paths(&["--threads", "3"]));
    let other = paths(&["--seed", "4"]);
    assert_ne!(column(&csv, "mean")[2..], column(&other, "mean")[2..]);
    assert_eq!(column(&csv, "theory"), column(&other, "theory"));
}

#[test]
fn json_holds_the_same_rows_of_all_specs() {
    let place = Place::new(SPEC);
    let csv = place.ok(&["paths", "spec.toml", "--walks", "500"]);
    let json = place.ok(&["paths", "spec.toml", "dense-dimension", "--walks", "500", "--json", "--set", "seed=3"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    for (row, mean) in rows.iter().zip(numbers(&csv, "mean")) {
        assert_eq!((&row["experiment"], row["mean"].as_f64()), (&"paths".into(), mean));
    }
    assert_eq!((&rows[3]["symmetry"], &rows[3]["variables"][0][1]), (&"approximate".into(), &16.0.into()));
    assert!(rows[7]["theory"].is_null() && rows[7]["reason"].is_string());
    assert_eq!(rows[8]["experiment"], "dense-dimension");
}

#[test]
fn what_is_too_large_says_so_and_keeps_what_is_known() {
    let dense = |size: &str| {
        let place = Place::new(SPEC);
        let size = format!("network.0.input=[\"{size}\"]");
        place.ok(&["paths", "spec.toml", "--walks", "2", "--set", &size])
    };
    // 10⁷ inputs have a pass, 2·10⁸ edges are too many, 10⁹ units as well.
    let edges = dense("10^7");
    assert!((numbers(&edges, "theory")[0].unwrap() - 1.0).abs() < 1e-9);
    assert!(column(&edges, "mean")[0].is_empty() && column(&edges, "reason")[0].contains("50000000"));
    let units = dense("10^9");
    assert!(column(&units, "theory")[0].is_empty() && column(&units, "reason")[0].contains("1000000045 units"));
}

#[test]
fn walks_that_are_too_few_for_their_skewness_are_not_tested() {
    let place = Place::new(SPEC);
    let csv = place.ok(&["paths", "spec.toml", "--walks", "10"]);
    let (z, reason) = (numbers(&csv, "z"), column(&csv, "reason"));
    let (means, errors) = (numbers(&csv, "mean"), numbers(&csv, "std_error"));
    let mut skewed = 0;
    for row in 2..6 {
        // Ten are too few wherever weights scatter; equal ones have an error of rounding size.
        let few = errors[row].unwrap() > 1e-12 * means[row].unwrap();
        assert_eq!((z[row].is_none(), reason[row].starts_with("too few walks")), (few, few), "{csv}");
        skewed += usize::from(few);
    }
    assert!(skewed > 0 && !column(&csv, "symmetry")[5].is_empty());
}

#[test]
fn bad_input_exits_with_two() {
    let place = Place::new(SPEC);
    for (arguments, expected) in [
        (&["paths"][..], "SPEC"),
        (&["paths", "nothing.toml"], "nothing.toml"),
        (&["paths", "spec.toml", "--walks", "1"], "--walks"),
        (&["paths", "spec.toml", "--walks", "many"], "--walks"),
        (
            &["paths", "spec.toml", "--set", "sweep.share=[1]", "--set", "network.0.input=[\"share\"]"],
            "sweep.share: has the name of a column",
        ),
        (&["paths", "spec.toml", "--set", "network.0.input=[\"side / 3\"]"], "network.0.input.0"),
    ] {
        let output = place.run(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(expected) && output.stdout.is_empty(), "{arguments:?}: {message}");
    }
}
