//! The command line from outside: exit codes, messages, files, and that the same spec and seed give the same bits.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::place::{Place, text};

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

/// A network slow enough that its states are saved.
const SLOW: [&str; 6] = [
    "--set",
    "sweep.d=[256]",
    "--set",
    r#"network.1.layers=[{ type = "dense", units = 1200 }, { type = "relu" }, { type = "dense", units = 5 }]"#,
    "--threads",
    "1",
];

/// The instruction set that the environment forces, where the processor has it, changes no bit of dense draws, explicit or
/// collapsed.
#[test]
fn instruction_sets_give_the_same_bits_and_unknown_ones_are_refused() {
    let place = Place::new(
        &SPEC
            .replace("[16, 64, 256]", "[64, 800]")
            .replace("\"logit.l1\",", "\"logit.l1\", \"loss.linf\",")
            .replace("units = 20", "units = 40"),
    );
    let run = |set: &str| {
        let mut command = place.command(&["run", "spec.toml", "--out", set, "--quiet"]);
        command.env("GRADLAW_SIMD", set).output().unwrap()
    };
    assert!(run("baseline").status.success());
    let baseline = place.read("baseline/small/points.csv");
    for set in ["avx2", "avx512"] {
        let output = run(set);
        if output.status.success() {
            assert_eq!(place.read(&format!("{set}/small/points.csv")), baseline, "{set}");
        } else {
            assert!(text(&output.stderr).contains("this processor does not have"), "{set}");
        }
    }
    let refused = run("sse");
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("GRADLAW_SIMD=sse: must be avx512, avx2 or baseline"));
    assert!(!place.path("sse").exists());
}

#[test]
fn a_longer_run_continues_the_saved_states_of_a_shorter_one() {
    let place = Place::new(SPEC);
    let arguments = |out: &'static str, draws: &'static str| {
        [&["run", "spec.toml", "--out", out, "--set", draws][..], &SLOW].concat()
    };
    let run = |out, draws| place.ok(&arguments(out, draws));
    // A share leaves its states, however quick it was.
    place.ok(&[&arguments("grown", "draws=6001")[..], &["--shard", "1/1"]].concat());
    run("grown", "draws=6001");
    let states = || fs::read_dir(place.path("grown/small/state")).unwrap().collect::<Vec<_>>();
    assert!(!states().is_empty());
    run("grown", "draws=12001");
    run("whole", "draws=12001");
    assert_eq!(place.read("grown/small/points.csv"), place.read("whole/small/points.csv"));

    // A shorter run gives what it gives anew, and leaves the state of the longer one.
    let kept = || states().into_iter().map(|state| fs::read(state.unwrap().path()).unwrap()).collect::<Vec<_>>();
    let longer = kept();
    run("grown", "draws=6001");
    run("short", "draws=6001");
    assert_eq!(place.read("grown/small/points.csv"), place.read("short/small/points.csv"));
    assert_eq!(kept(), longer);

    for state in states() {
        fs::write(state.unwrap().path(), "damaged").unwrap();
    }
    let arguments = arguments("grown", "draws=12001");
    let broken = place.run(&arguments);
    assert_eq!(broken.status.code(), Some(3));
    assert!(text(&broken.stderr).contains("broken checkpoint") && text(&broken.stderr).contains("--fresh"));
    place.ok(&[&arguments[..], &["--fresh"]].concat());
}

/// One network, of which a draw takes about a millisecond.
#[cfg(unix)]
const ONE: &str = r#"
name = "one"
seed = 3
observables = ["loss.l1"]
[[network]]
label = "net"
sampler = "explicit"
input = [256]
layers = [{ type = "dense", units = 1200 }, { type = "relu" }, { type = "dense", units = 5 }]
"#;

/// Draws of the state that is saved in a results folder, where there is one.
#[cfg(unix)]
fn saved_draws(folder: &Path) -> Option<u64> {
    let state = fs::read_dir(folder.join("state"))
        .ok()?
        .flatten()
        .find(|file| file.path().extension() == Some("json".as_ref()))?;
    let text = fs::read_to_string(state.path()).unwrap();
    let (_, body) = text.split_once('\n').unwrap();
    serde_json::from_str::<serde_json::Value>(body).unwrap()["draws"].as_u64()
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_resumes_to_the_same_bits() {
    let place = Place::new(ONE);
    let arguments = |out: &str, draws: u64| -> Vec<String> {
        ["run", "spec.toml", "--out", out, "--set", &format!("draws={draws}"), "--threads", "2"]
            .map(String::from)
            .into()
    };
    let command = |out: &str, draws: u64| {
        let mut command = place.command(&arguments(out, draws).iter().map(String::as_str).collect::<Vec<_>>());
        command.env("RUST_LOG", "gradlaw=info").stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    // Days of work, stopped once some of it was saved.
    let mut child = command("stopped", 1_000_000_000).spawn().unwrap();
    let began = Instant::now();
    while saved_draws(&place.path("stopped/one")).is_none() {
        assert!(child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(120), "nothing was saved");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{message}");
    let [first, last] = ["Ctrl-C again quits at once", "go on with: "].map(|part| message.find(part).expect(&message));
    assert!(first < last, "{message}");
    assert!(!place.path("stopped/one/points.csv").exists());

    let saved = saved_draws(&place.path("stopped/one")).unwrap();
    let resumed = command("stopped", saved + 1000).output().unwrap();
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    // It went on from there, and did not begin anew.
    assert!(text(&resumed.stderr).contains("goes on") && text(&resumed.stderr).contains(&saved.to_string()));
    let whole = command("whole", saved + 1000).output().unwrap();
    assert!(whole.status.success() && !text(&whole.stderr).contains("goes on"));
    assert_eq!(place.read("stopped/one/points.csv"), place.read("whole/one/points.csv"));
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
    let notes = text(&place.run(&["theory", "spec.toml"]).stderr);
    assert!(
        notes.contains("no value for loss.l1 of ") && notes.contains("gradients of the loss have no closed form"),
        "{notes}"
    );
    // n = 20, last variance 1/20: E‖∂f‖₂² = 1 at every d.
    let squares: Vec<f64> = theory.iter().skip(2).step_by(3).map(|value| value.parse().unwrap()).collect();
    assert!(squares.iter().all(|square| (square - 1.0).abs() < 1e-12));
    place.ok(&["run", "spec.toml", "--quiet"]);
    assert_eq!(column(&place.read("runs/small/points.csv"), "theory"), theory);
}

#[test]
fn theory_in_json_holds_the_same_rows_of_all_specs() {
    let place = Place::new(SPEC);
    let csv = place.ok(&["theory", "spec.toml"]);
    let json = place.ok(&["theory", "spec.toml", "dense-dimension", "--json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let number = |value: &serde_json::Value| value.as_f64().map(|number| number.to_string()).unwrap_or_default();
    let small: Vec<_> = rows.iter().filter(|row| row["experiment"] == "small").collect();
    assert_eq!(small.iter().map(|row| number(&row["theory"])).collect::<Vec<_>>(), column(&csv, "theory"));
    assert_eq!(small.iter().map(|row| number(&row["variables"][0][1])).collect::<Vec<_>>(), column(&csv, "d"));
    assert!(rows.len() > small.len() && rows.iter().all(|row| row["network"].is_string()));
}

/// Each option below would change nothing: it is refused by its name, and without it the command works.
#[test]
fn options_that_a_command_would_ignore_are_refused() {
    let place = Place::new(SPEC);
    place.ok(&["run", "spec.toml", "--set", "draws=100"]);
    let commands: &[(&[&str], &[&str])] = &[
        (&["theory", "spec.toml"], &["--out", "--seed", "--threads", "--memory"]),
        (&["paths", "spec.toml", "--walks", "10"], &["--out", "--memory"]),
        (&["plot", "runs/small"], &["--out", "--seed", "--threads", "--set", "--memory", "--json"]),
        (&["report", "runs/small"], &["--seed", "--threads", "--set", "--memory", "--json"]),
        (&["list"], &["--out", "--seed", "--threads", "--set", "--memory", "--json"]),
        (&["explain", "spec.toml"], &["--out", "--seed", "--threads", "--memory", "--json"]),
        (&["completions", "bash"], &["--out", "--seed", "--threads", "--set", "--memory", "--json"]),
    ];
    for (command, ignored) in commands {
        place.ok(command);
        for option in *ignored {
            let value: &[&str] = match *option {
                "--json" => &[],
                "--set" => &["draws=7"],
                "--out" => &["elsewhere"],
                _ => &["1"],
            };
            let output = place.run(&[command, &[*option][..], value].concat());
            let message = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command:?} {option}: {message}");
            let expected = format!("{option}: changes nothing in `gradlaw {}`", command[0]);
            assert!(message.contains(&expected) && output.stdout.is_empty(), "{command:?} {option}: {message}");
        }
    }
    assert!(!place.path("elsewhere").exists());
    for command in
        [&["theory", "spec.toml"][..], &["paths", "spec.toml"], &["explain", "spec.toml"], &["verify", "spec.toml"]]
    {
        for key in ["input.path", "data.path"] {
            let output = place.run(&[command, &["--set", &format!("{key}=x")]].concat());
            let message = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command:?}: {message}");
            assert!(message.contains(&format!("--set {key}: nothing here reads such data")), "{command:?}: {message}");
        }
    }
    let explained = place.ok(&["explain", "spec.toml", "--set", "title=Another title"]);
    assert!(explained.starts_with("Another title"), "{explained}");
}

#[test]
fn numbers_with_an_exponent_are_whole_where_they_are() {
    let place = Place::new(SPEC);
    let (plain, scientific) = (["run", "spec.toml", "--set", "draws=100"], ["run", "spec.toml", "--set", "draws=1e2"]);
    place.ok(&[&plain[..], &["--out", "plain"]].concat());
    place.ok(&[&scientific[..], &["--out", "scientific"]].concat());
    for file in ["points.csv", "spec.toml", "verdicts.json"] {
        assert_eq!(
            place.read(&format!("plain/small/{file}")),
            place.read(&format!("scientific/small/{file}")),
            "{file}"
        );
    }
}

#[test]
fn verify_without_names_says_what_it_takes_and_errors_name_the_file() {
    let place = Place::new(SPEC);
    fs::create_dir(place.path("experiments")).unwrap();
    fs::copy(place.path("spec.toml"), place.path("experiments/one.toml")).unwrap();
    let said = |output: &Output| text(&output.stderr);
    let one = place.run(&["verify", "--set", "draws=100"]);
    assert!(said(&one).contains("no spec is named: takes the 1 in experiments/ of this folder\n"), "{}", said(&one));
    assert!(!said(&place.run(&["verify", "spec.toml", "--set", "draws=100"])).contains("no spec is named"));
    let broken = |contents: &[u8], expected: &str| {
        fs::write(place.path("experiments/two.toml"), contents).unwrap();
        let output = place.run(&["verify"]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let wanted = format!("error: ./experiments/two.toml: {expected}");
        assert!(said(&output).contains(&wanted), "{wanted}: {}", said(&output));
    };
    broken(b"name = ", "line 1");
    broken(b"name = \"\xff\"", "cannot be read");
    broken(b"colour = 1", "colour = 1: unknown key");
    broken(SPEC.as_bytes(), "name = small: must differ from the name of ./experiments/one.toml");
    broken(SPEC.replace("small", "wide").replace("\"d\"]", "\"d / 32\"]").as_bytes(), "network.0.input.0");
}

/// The sweep would do all the work twice; a variable that anything uses is none of these.
#[test]
fn sweep_variables_that_nothing_uses_are_refused() {
    let place = Place::new(SPEC);
    let refused = |changes: &[&str], expected: &str| {
        let output = place.run(&[&["theory", "spec.toml"][..], changes].concat());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{changes:?}: {message}");
        assert!(message.contains(expected), "{changes:?}: {message}");
    };
    let unused = ["--set", "sweep.widht=[1, 2]"];
    refused(&unused, "spec.toml with --set sweep.widht: sweep.widht: is used by nothing, so that every point");
    let meant = [&unused[..], &["--set", "network.0.layers.0.units=width"]].concat();
    refused(&meant, "or leave it out; did you mean `width`?");
    refused(&["--set", "sweep.layer=[1, 2]"], "or leave it out; did you mean `layers`?");
    for name in ["pi", "tau", "e", "sqrt", "max", "fan_in", "mean"] {
        refused(&["--set", &format!("sweep.{name}=[1, 2]")], "is not a name for a variable");
    }
    for used in [
        "network.0.layers.0.units=widht * 10",
        "observables=[\"loss.l1\", \"damage.fgsm@widht\"]",
        "claim.0.exponent=0.5 + 0 * widht",
        "claim.0.against=widht",
    ] {
        place.ok(&[&["theory", "spec.toml"][..], &unused, &["--set", used]].concat());
    }
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
    assert!(place.read("figures/small.csv").starts_with("panel,series,kind,x,y,low,high,q10,median,q90\n"));
    assert_eq!(place.run(&["plot", "nowhere"]).status.code(), Some(2));
}

#[test]
fn figures_for_papers_have_their_width_and_no_title() {
    let place = Place::new(SPEC);
    place.ok(&["run", "spec.toml"]);
    place.ok(&["run", "spec.toml", "--set", "name=other", "--set", "title=Another law"]);
    place.ok(&["plot", "runs", "--to", "paper", "--width", "column", "--format", "svg,pdf", "--no-title"]);
    for name in ["small", "other"] {
        let svg = place.read(&format!("paper/{name}.svg"));
        assert!(
            svg.starts_with("<svg width=\"86.36mm\"") && svg.contains("@font-face") && !svg.contains(">A small law")
        );
        assert!(fs::read(place.path(&format!("paper/{name}.pdf"))).unwrap().starts_with(b"%PDF-"));
        assert!(!place.path(&format!("paper/{name}.png")).exists());
    }
    place.ok(&["plot", "runs", "--to", "paper", "--grid", "both"]);
    let sheet = place.read("paper/both.svg");
    assert!(sheet.contains(">\na Another law") && sheet.contains(">\nb A small law"));
    assert!(place.read("paper/both.csv").lines().any(|line| line.starts_with("b,") || line.starts_with("b ")));
    for (wrong, says) in [
        (&["--width", "folio"][..], "column, page, slide"),
        (&["--width", "99"], "from 280 to 2400"),
        (&["--format", "tiff"], "svg, png, pdf, csv"),
        (&["--grid", "both"], "--to"),
    ] {
        let output = place.run(&[&["plot", "runs"][..], wrong].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    // Beside the results, a figure of another form belongs to them.
    place.ok(&["plot", "runs/small", "--format", "pdf"]);
    assert!(place.path("runs/small/figure.pdf").exists());
    place.ok(&["report", "runs", "--out", "page.html"]);
}

#[test]
fn a_sketch_shows_the_points_beneath_the_table() {
    let place = Place::new(SPEC);
    let plain = place.ok(&["run", "spec.toml"]);
    let sketched = place.ok(&["run", "spec.toml", "--sketch"]);
    let picture = sketched.strip_prefix(&plain).unwrap().to_owned();
    assert!(picture.contains("A small law") && picture.contains('└') && picture.contains("│"), "{picture}");
    let json = place.ok(&["run", "spec.toml", "--sketch", "--json"]);
    assert!(json.trim_end().ends_with(']'));
}

#[test]
fn manual_pages_are_made_of_the_help_texts() {
    let place = Place::new(SPEC);
    let page = place.ok(&["man"]);
    assert!(page.contains(".TH gradlaw 1") && page.contains("gradlaw\\-verify"), "{page}");
    place.ok(&["man", "--to", "man"]);
    assert!(place.read("man/gradlaw-plot.1").contains("86 mm"));
    assert!(place.path("man/gradlaw.1").exists() && place.path("man/gradlaw-self-test.1").exists());
}

#[test]
fn a_folder_of_results_is_drawn_and_reported_whole_whatever_else_it_holds() {
    let place = Place::new(SPEC);
    place.run(&["verify", "spec.toml", "--quiet"]);
    place.run(&["verify", "spec.toml", "--quiet", "--set", "name=other", "--set", "title=Another law"]);
    // The page is that of the folder, not of the last call.
    let page = place.read("runs/report.html");
    assert!(page.contains("A small law") && page.contains("Another law"));
    let output = place.run(&["plot", "runs/report.html", "runs/small", "runs/other", "--to", "figures"]);
    assert!(
        output.status.success() && text(&output.stderr).contains("runs/report.html: holds no results, passed over")
    );
    assert!(place.path("figures/small.svg").exists() && place.path("figures/other.png").exists());
    place.ok(&["plot", "runs", "--to", "again"]);
    assert!(place.path("again/small.svg").exists() && place.path("again/other.png").exists());
    place.ok(&["report", "runs", "--out", "page.html"]);
    assert_eq!(place.read("page.html"), page);
    // Results of another version do not keep a run from its report.
    std::fs::write(place.path("runs/other/spec.toml"), "name = 3").unwrap();
    let output = place.run(&["verify", "spec.toml"]);
    assert!(text(&output.stderr).contains("not in the report"), "{}", text(&output.stderr));
    assert!(!place.read("runs/report.html").contains("Another law"));
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
    // Texts say what columns and arrays stand for: NumPy reads UTF-32.
    let mut archive = zip::ZipArchive::new(fs::File::open(place.path("runs/small/draws.npz")).unwrap()).unwrap();
    let mut texts = |name: &str| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut archive.by_name(name).unwrap(), &mut bytes).unwrap();
        let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!(start % 64, 0);
        let letters = bytes[start..].chunks(4).map(|letter| u32::from_le_bytes(letter.try_into().unwrap()));
        letters.map(|letter| char::from_u32(letter).unwrap()).collect::<String>().replace('\0', " ")
    };
    assert!(texts("observables.npy").starts_with("loss.l1 "), "{}", texts("observables.npy"));
    assert!(texts("points.npy").contains("explicit net, d = 64 ") && texts("networks.npy").contains("explicit net "));
}

#[test]
fn gradients_that_overflow_are_counted_and_void_the_verdict() {
    let init = r#"network.1.init={ scheme = "normal", variance = "1e200" }"#;
    let hidden = r#"{ type = "dense", units = 20 }, { type = "relu" }"#;
    let layers = format!(r#"network.1.layers=[{hidden}, {hidden}, {hidden}, {{ type = "dense", units = 5 }}]"#);
    let place = Place::new(SPEC);
    let output = place.run(&["verify", "spec.toml", "--set", init, "--set", &layers]);
    assert_eq!(output.status.code(), Some(1));
    let table = text(&output.stdout);
    assert!(table.contains("inconclusive") && table.contains("NaN or infinite"), "{table}");
    let csv = place.read("runs/small/points.csv");
    let counted: Vec<u64> = column(&csv, "non_finite").iter().map(|count| count.parse().unwrap()).collect();
    assert!(counted[9] > 0 && counted[0] == 0);
    assert!(!column(&csv, "mean")[9].parse::<f64>().unwrap().is_finite());

    // Where no claim speaks of the network, the gradients that are not finite still void the run.
    let other = "claim.0.network=collapsed net";
    let output = place.run(&["verify", "spec.toml", "--set", init, "--set", &layers, "--set", other]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("every gradient is finite"));
}

#[test]
fn verify_leaves_a_page_and_report_makes_it_again() {
    let place = Place::new(SPEC);
    place.run(&["verify", "spec.toml", "--out", "runs", "--quiet"]);
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    let page = read("runs/report.html");
    assert!(page.contains("<svg") && page.contains("loss.l1 grows as d^0.5") && page.contains("A small law"));
    place.ok(&["report", "runs/small", "--out", "again.html"]);
    assert_eq!(read("again.html"), page);
    place.ok(&["report", "runs/small", "--out", "pages"]);
    assert_eq!(read("pages/report.html"), page);
    assert_eq!(place.run(&["report", "nowhere"]).status.code(), Some(2));
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

/// As the shell does when the tabulator is pressed behind `gradlaw run dense-d`.
#[test]
#[cfg(unix)]
fn bash_completes_names_of_experiments_and_options() {
    let place = Place::new(SPEC);
    let script = place.ok(&["completions", "bash"]);
    let completed = |words: &[&str]| {
        let last = words.len() - 1;
        let pressed = format!(
            "{script}\nCOMP_WORDS=({}); COMP_CWORD={last}; _gradlaw gradlaw '{}' '{}'; echo \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words[last],
            words[last - 1]
        );
        let output =
            std::process::Command::new("bash").args(["--norc", "-c", &pressed]).output().expect("bash is there");
        String::from_utf8(output.stdout).expect("words").trim().to_owned()
    };
    assert_eq!(completed(&["gradlaw", "run", "dense-d"]), "dense-dimension");
    assert_eq!(completed(&["gradlaw", "explain", "collapsed-e"]), "collapsed-explicit");
    assert_eq!(completed(&["gradlaw", "verify", "--keep"]), "--keep-draws");
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
    let image = |layer: &str| {
        let layers = format!(
            r#"input = [3, 4, 4]
layers = [{layer}, {{ type = "flatten" }}, "#
        );
        replaced("input = [\"d\"]\nlayers = [", &layers)
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
        (replaced("\"relu\"", "\"convolution\""), "did you mean `conv`?"),
        (image(r#"{ type = "conv", channels = 2, kernel = 5, padding = 0 }"#), "layer 0 (conv) spans 5 pixels"),
        (image(r#"{ type = "conv", channels = 2, kernel = 3, padding = 4, padding_mode = "reflect" }"#), "reflects 4"),
        (image(r#"{ type = "conv", channels = 2, kernel = 3, stride = 0 }"#), "stride = 0"),
        (image(r#"{ type = "conv", channels = 2, kernel = "4 * 10^15" }"#), "layer 0 (conv) spans"),
        (image(r#"{ type = "conv", channels = 2, kernel = 3, padding = 1, padding_mode = "mirror" }"#), "circular"),
        (image(r#"{ type = "avg-pool", size = 6 }"#), "layer 0 (avg-pool) spans 6 pixels"),
        (
            image(r#"{ type = "global-avg-pool" }, { type = "max-pool", size = 2 }"#),
            "layer 1 (max-pool) takes an image",
        ),
        (
            image(r#"{ type = "residual", layers = [{ type = "conv", channels = 2, kernel = 3 }] }"#),
            "layer 0 (residual) adds [3, 4, 4] to the [2, 2, 2]",
        ),
        (
            image(
                r#"{ type = "residual", layers = [{ type = "relu" }, { type = "conv", channels = 2, kernel = 9 }] }"#,
            ),
            "layer 0.layers.1 (conv) spans 9 pixels",
        ),
        (image(r#"{ type = "residual", layers = [] }"#), "layers.0.layers"),
        (image(r#"{ type = "weight-pool", size = 5 }"#), "layer 0 (weight-pool) spans 5 pixels"),
        (image(r#"{ type = "batch-norm", statistics = "moving" }"#), "must be batch or running"),
        (image(r#"{ type = "batch-norm", epsilon = 0 }"#), "epsilon = 0"),
        (
            replaced("{ type = \"relu\" }", "{ type = \"batch-norm\" }, { type = \"relu\" }")
                .replace("[sweep]", "[input]\nbatch = 1\n[sweep]"),
            "input.batch = 1: must be at least 2",
        ),
        (replaced("\"loss.l1\"", "\"damage.fgsm@0\""), "damage.fgsm@0"),
        (replaced("\"loss.l1\"", "\"damage.deepfool@1\""), "damage.deepfool@1"),
        (replaced("\"loss.l1\"", "\"damage.fgsm@size\""), "damage.fgsm@size"),
        (
            replaced("sampler = \"explicit\"", "init = { scheme = \"normal\", variance = 1, unit_correlation = 2 }"),
            "between 0 and 1",
        ),
        (
            replaced("sampler = \"explicit\"", "init = { scheme = \"normal\", variance = 1, shared = true }"),
            "no two layers have weights of one shape",
        ),
        (
            replaced("{ type = \"relu\" }, ", "").replace("\"loss.l1\",", "\"loss.l1\", \"masks.open\","),
            "masks.open: speaks of layers",
        ),
        (replaced("\"loss.l1\"", "\"damage.fgsm@1e-12\""), "1e-10 to 1e30"),
        (
            replaced("input = [\"d\"]", "input = [\"2^44\"]")
                .replace("\"loss.l1\",", "\"loss.l1\", \"logit.l2sq.gap\","),
            "GiB",
        ),
        (
            image(r#"{ type = "max-pool", size = 2 }"#).replace("\"loss.l1\",", "\"loss.l1\", \"logit.l2sq.gap\","),
            "no path theory to be compared with",
        ),
        (replaced(layers, "layers = []"), "network.0.layers"),
        (replaced("[sweep]", "[input]\ndistribution = \"gauss\"\n[sweep]"), "gauss"),
        (replaced("[sweep]", "[input]\nlabel = 5\n[sweep]"), "input.label = 5"),
        (replaced("[sweep]", "[input]\ndistribution = \"npy\"\npath = \"no.npy\"\n[sweep]"), "no.npy"),
        (replaced("[sweep]", "[input]\ndistribution = \"cifar10\"\npath = \"no\"\n[sweep]"), "input.path"),
        (
            replaced("[sweep]", "[input]\ndistribution = \"cifar10\"\nresize_filter = \"area\"\n[sweep]"),
            "input.resize_filter = \"area\": goes with resize",
        ),
        (
            replaced("[sweep]", "[input]\ndistribution = \"cifar10\"\nresize_filter = \"cubic\"\nresize = 8\n[sweep]"),
            "must be one of nearest, nearest-exact, area",
        ),
        (
            replaced("input = [\"d\"]", "input = [1e300]"),
            "input.0 = 1e300: must be a whole number from 1 to 2^53, but is 1e300 at d = 16",
        ),
        (replaced("tolerance = 0.05", "tolerance = -1e-300"), "tolerance = -1e-300"),
        (replaced("label = \"explicit net\"", "label = \"collapsed net\""), "network.1.label"),
        (replaced("sampler = \"explicit\"", "sampler = \"fast\""), "sampler = \"fast\""),
        (replaced("sampler = \"explicit\"", "sampler = \"collapsed\"\ninit = \"he-uniform\""), "not Gaussian"),
        (replaced("sampler = \"explicit\"", "init = \"he\""), "he-normal"),
        (replaced("sampler = \"explicit\"", "init = { scheme = \"normal\", variance = \"0 - 1\" }"), "above 0"),
        (replaced("sampler = \"explicit\"", "init = { scheme = \"normal\" }"), "variance"),
        (replaced("exponent = 0.5", ""), "claim.0"),
        (replaced("exponent = 0.5", "exponent = 0.5\nfactor = 2"), "factor"),
        (replaced("tolerance = 0.05", "tolerance = 0"), "tolerance = 0"),
        (replaced("exponent = 0.5", "exponent = \"1 - a/2\""), "`a`"),
        (replaced("exponent = 0.5", "exponent = 0.5\nrelative_to = \"loss.l2\""), "relative_to"),
        (replaced("against = \"dimension\"\nexponent = 0.5", "value = \"theory\""), "no exact value"),
        (replaced("against = \"dimension\"\nexponent = 0.5", "value = \"sqrt(dimesion)\""), "`dimesion`"),
        (replaced("input = [\"d\"]", "input = [\"d ** 2\"]"), "a power is written with ^"),
        (replaced("d = [16, 64, 256]", "d = [16, 64, 256]\ndraws = [1, 2]"), "sweep.draws"),
        (replaced("[sweep]", "[input]\ndistribution = \"constant\"\nvalue = 1e-60\n[sweep]"), "input.value"),
        (replaced("name = \"small\"", &format!("name = \"{}\"", "x".repeat(300))), "at most 100"),
        (replaced("units = 5 }", "units = 10000000000000 }"), "GiB"),
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
        &["run", "spec.toml", "--set", "input.path=x"],
        &["run", "spec.toml", "--set", "draws=1e-3"],
        &["explain", "nothing"],
        &["fly"],
    ] {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(!place.path("runs").exists());
    }
    for (name, meant) in [("dense-dimention", "dense-dimension"), ("experiments/poling.toml", "pooling")] {
        let message = text(&place.run(&["verify", name]).stderr);
        assert!(message.contains(&format!("{name}: no such file; did you mean `{meant}`?")), "{message}");
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

#[cfg(unix)]
#[test]
fn results_that_cannot_be_printed_exit_with_three() {
    let place = Place::new(SPEC);
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let Ok(full) = full else { return }; // Only some systems have this device.
    let status = place.command(&["theory", "spec.toml"]).stdout(full).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(3));
}

/// Images of random pixels in the binary layout of CIFAR-10, up- and down-sampled; a size or a file that does not fit is refused.
#[test]
fn real_samples_obey_the_law_and_damaged_data_is_refused() {
    let spec = r#"
name = "images"
draws = 6000
observables = ["loss.l1", "logit.l1"]
sweep = { side = [16, 32, 64] }
input = { distribution = "cifar10", path = "data", resize = "side", label = "true" }
[[network]]
input = [3, "side", "side"]
layers = [{ type = "flatten" }, { type = "dense", units = 30 }, { type = "relu" }, { type = "dense", units = 10 }]
[[claim]]
statement = "grows as the root of d"
observable = "loss.l1"
exponent = 0.5
tolerance = 0.05
[[claim]]
statement = "exact"
observable = "logit.l1"
value = "theory"
tolerance = 0.05
"#;
    let place = Place::new(spec);
    fs::create_dir(place.path("data")).unwrap();
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut records = Vec::new();
    for _ in 0..50 {
        records.push(byte() % 10);
        records.extend((0..3072).map(|_| byte()));
    }
    fs::write(place.path("data/data_batch_1.bin"), &records).unwrap();
    let table = place.ok(&["verify", "spec.toml"]);
    assert_eq!(table.matches("holds").count(), 2, "{table}");
    let refused = place.run(&["run", "spec.toml", "--set", "input.resize=16"]);
    assert!(text(&refused.stderr).contains("network.0.input"), "{}", text(&refused.stderr));
    fs::write(place.path("data/data_batch_1.bin"), &records[..3000]).unwrap();
    let damaged = place.run(&["run", "spec.toml", "--out", "damaged"]);
    assert_eq!(damaged.status.code(), Some(2));
    assert!(text(&damaged.stderr).contains("data_batch_1.bin") && !place.path("damaged").exists());
}

#[test]
fn arrays_are_inputs_and_a_zero_sample_is_refused() {
    let place = Place::new(&SPEC.replacen(
        "[sweep]\nd = [16, 64, 256]",
        "[input]\ndistribution = \"npy\"\npath = \"x.npy\"\n[sweep]\nd = [16]",
        1,
    ));
    let mut array = ndarray::Array2::from_shape_fn((5, 16), |(row, column)| (row * column) as f32 - 7.5);
    ndarray_npy::write_npy(place.path("x.npy"), &array).unwrap();
    place.ok(&["run", "spec.toml"]);
    let z = column(&place.read("runs/small/points.csv"), "z");
    assert!(z.iter().filter(|z| !z.is_empty()).all(|z| z.parse::<f64>().unwrap().abs() < 4.5), "{z:?}");
    array.row_mut(3).fill(0.0);
    ndarray_npy::write_npy(place.path("x.npy"), &array).unwrap();
    let zero = place.run(&["run", "spec.toml", "--out", "zero"]);
    assert_eq!(zero.status.code(), Some(2));
    assert!(text(&zero.stderr).contains("sample 3 is zero"), "{}", text(&zero.stderr));
}

#[test]
fn precision_draws_as_many_as_it_needs_and_says_when_it_may_not() {
    let place = Place::new(&SPEC.replace("draws = 1000", "precision = 0.01\nmax_draws = 100000"));
    place.ok(&["run", "spec.toml"]);
    let csv = place.read("runs/small/points.csv");
    let number =
        |name: &str| column(&csv, name).into_iter().map(|cell| cell.parse::<f64>().unwrap()).collect::<Vec<_>>();
    let (means, errors, draws) = (number("mean"), number("std_error"), number("draws"));
    assert!(means.iter().zip(&errors).all(|(mean, error)| error / mean <= 0.01));
    assert!(draws.iter().all(|&draws| draws > 1000.0 && draws < 60_000.0), "{draws:?}");
    let missed = place.run(&["run", "spec.toml", "--set", "max_draws=500"]);
    assert!(text(&missed.stderr).contains("max_draws = 500 was reached"), "{}", text(&missed.stderr));
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
