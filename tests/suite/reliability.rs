//! What a run of days has to bear: kills, shares on other machines, other processes, changed specs, damaged files. Short forms of each;
//! `cargo test --release --test suite reliability -- --ignored` runs the long ones and prints how often each was tried.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::place::Place;

const DRAWN: &str = r#"
name = "drawn"
seed = 3
draws = 700
observables = ["loss.l1", "logit.l2sq"]
sweep = { d = [16, 64, 100, 144] }
[[network]]
label = "narrow"
input = ["d"]
layers = [{ type = "dense", units = 20 }, { type = "relu" }, { type = "dense", units = 5 }]
[[network]]
label = "wide"
sampler = "explicit"
input = ["d"]
layers = [{ type = "dense", units = 9000 }, { type = "relu" }, { type = "dense", units = 5 }]
[[claim]]
statement = "grows as d^0.5"
observable = "loss.l1"
against = "dimension"
exponent = 0.5
tolerance = 0.2
"#;

const TRAINED: &str = r#"
name = "trained"
seed = 5
repeats = 2
observables = ["accuracy", "loss.l1"]
sweep = { width = [16, 32, 48] }
data = { set = "synthetic", side = 8, samples = 300, validation = 40, test = 50 }
training = { epochs = 6, batch = 20, rate = 0.05 }
[[network]]
input = [192]
layers = [{ type = "dense", units = "width" }, { type = "relu" }, { type = "dense", units = 10 }]
[[claim]]
statement = "does not depend on the width"
observable = "loss.l1"
against = "width"
exponent = 0
tolerance = 0.5
"#;

/// Every network has an epoch of its own length, so that kills meet all kinds of moments.
const SLOW: [&str; 2] = ["training.epochs=40", "data.samples=600"];

fn place() -> Place {
    Place::with(&[("drawn.toml", DRAWN), ("trained.toml", TRAINED)])
}

/// The files by which runs are compared.
fn results(place: &Place, folder: &str, spec: &str) -> Vec<Vec<u8>> {
    let folder = place.path(folder).join(spec);
    let table = if spec == "drawn" { "verdicts.json" } else { "networks.csv" };
    ["points.csv", table, "figure.svg"].iter().map(|name| fs::read(folder.join(name)).unwrap()).collect()
}

#[test]
fn shares_of_other_machines_give_the_bits_of_one_run() {
    let place = place();
    for (spec, count) in [("drawn", 3), ("trained", 2)] {
        let file = format!("{spec}.toml");
        place.ok(&["run", &file, "--quiet", "--out", "whole"]);
        let folders: Vec<String> = (1..=count).map(|index| format!("{spec}-{index}")).collect();
        for (index, folder) in (1..=count).zip(&folders) {
            let share = format!("{index}/{count}");
            place.ok(&["run", &file, "--quiet", "--shard", &share, "--out", folder, "--threads", &index.to_string()]);
            assert!(!place.path(folder).join(spec).join("points.csv").exists(), "a share has no results");
        }
        let mut shares: Vec<&str> = folders.iter().map(String::as_str).collect();
        shares.reverse();
        place.ok(&[&["merge"][..], &shares, &["--quiet", "--out", "merged"]].concat());
        assert_eq!(results(&place, "merged", spec), results(&place, "whole", spec), "{spec}");

        // What does not fit is named, and nothing is written.
        let refused = |shares: &[&str], expected: &[&str]| {
            let message = place.refused(&[&["merge"], shares, &["--out", "refused"]].concat(), 2);
            assert!(expected.iter().all(|word| message.contains(word)), "{message}");
            assert!(!place.path("refused").exists());
        };
        refused(&shares[1..], &["missing", &count.to_string()]);
        refused(&[&shares[..], &shares[..1]].concat(), &["is share", shares[0]]);
        place.ok(&["run", &file, "--quiet", "--shard", &format!("1/{count}"), "--out", "other", "--seed", "99"]);
        refused(&[&shares[..count - 1], &["other"]].concat(), &["seed was", "99"]);
        refused(&["whole"], &["holds no share of an experiment"]);
        refused(&["nowhere"], &["nowhere"]);
    }
    // States that were damaged on their way.
    let states: Vec<PathBuf> =
        fs::read_dir(place.path("drawn-2/drawn/state")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for state in states {
        let mut bytes = fs::read(&state).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(&state, bytes).unwrap();
    }
    let message = place.refused(&["merge", "drawn-1", "drawn-2", "drawn-3", "--out", "damaged"], 3);
    assert!(message.contains("broken checkpoint") && message.contains("drawn-2"), "{message}");
}

#[test]
fn a_changed_spec_is_refused_with_the_difference_and_costs_no_draw_where_it_need_not() {
    let place = place();
    fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["run", "drawn.toml", "--quiet"], more].concat()
    }
    // A share leaves the state of every point, also of those that take less time than a state is worth.
    const WHOLE: [&str; 4] = ["--shard", "1/1", "--out", "runs"];
    place.ok(&run(&WHOLE));
    let states = || {
        let entries = fs::read_dir(place.path("runs/drawn/state")).unwrap().map(|entry| entry.unwrap());
        let json = entries.filter(|entry| entry.path().extension() == Some("json".as_ref()));
        let mut all: Vec<_> = json.map(|entry| (entry.path(), fs::read(entry.path()).unwrap())).collect();
        all.sort();
        all
    };
    let before = states();
    assert_eq!(before.len(), 8, "two networks at four sizes");
    let message = place.refused(&run(&["--seed", "4"]), 2);
    assert!(message.contains("seed was 3 and is 4") && message.contains("--fresh"), "{message}");
    let message = place.refused(&run(&["--set", "network.1.layers.0.units=9001"]), 2);
    assert!(message.contains("network.1.layers.0.units was 9000 and is 9001"), "{message}");
    assert_eq!(states(), before, "nothing is lost");
    for free in ["claim.0.tolerance=0.3", "title=other", "family_error=0.01", "draws=640"] {
        place.ok(&run(&["--set", free]));
        assert_eq!(states(), before, "{free}");
    }
    place.ok(&run(&[&["--seed", "4", "--fresh"][..], &WHOLE].concat()));
    assert_ne!(states(), before);
    place.ok(&run(&["--seed", "4", "--set", "draws=1400", "--out", "whole"]));
    place.ok(&run(&["--seed", "4", "--set", "draws=1400"]));
    assert_eq!(results(&place, "runs", "drawn"), results(&place, "whole", "drawn"));
}

/// Waits until a file is there.
fn wait_for(path: &Path, child: &mut Child) {
    let began = Instant::now();
    while !path.exists() {
        assert!(child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(60), "{}", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_second_process_is_told_which_one_has_the_folder() {
    let place = place();
    let arguments = ["run", "drawn.toml", "--quiet", "--set", "draws=1000000"];
    let mut child = place.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&place.path("runs/drawn/work.toml"), &mut child);
    let message = place.refused(&["run", "drawn.toml", "--quiet"], 3);
    assert!(message.contains(&format!("in use by process {}", child.id())), "{message}");
    child.kill().unwrap();
    child.wait().unwrap();
    place.ok(&["run", "drawn.toml", "--quiet", "--set", "draws=64"]);
}

#[cfg(unix)]
#[test]
fn a_run_under_nohup_goes_on_when_the_terminal_is_closed() {
    let place = place();
    let program = env!("CARGO_BIN_EXE_gradlaw");
    for (folder, trap, draws, status) in [("nohup", "trap '' HUP; ", 2000, 0), ("asked", "", 30_000, 130)] {
        let script = format!("{trap}exec {program} run drawn.toml --quiet --out {folder} --set draws={draws}");
        let mut command = Command::new("sh");
        command.current_dir(place.folder()).args(["-c", &script]).stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        wait_for(&place.path(folder).join("drawn/work.toml"), &mut child);
        std::thread::sleep(Duration::from_millis(100));
        assert!(Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(status), "{folder}");
    }
}

/// Kills runs after a while that grows from run to run until one gets to its end, and says how many were killed.
fn killed_again_and_again(place: &Place, arguments: &[&str], step: Duration) -> usize {
    for kills in 0.. {
        let mut child = place.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let wait = step * (kills as u32 % 25 + 1) + step / 7 * (kills as u32 % 11);
        let began = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if began.elapsed() > wait {
                break None;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        if let Some(status) = ended {
            let mut message = String::new();
            std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut message).unwrap();
            assert!(status.success(), "after {kills} kills: {message}");
            return kills;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    unreachable!("a run that goes on from where it was comes to its end")
}

fn no_kill_costs_a_bit(rounds: u32, step: Duration) -> usize {
    let mut kills = 0;
    for round in 0..rounds {
        let place = place();
        let changes: Vec<&str> = SLOW.iter().flat_map(|change| ["--set", change]).collect();
        for (spec, changes) in [("drawn", &[][..]), ("trained", &changes)] {
            let file = format!("{spec}.toml");
            let seed = round.to_string();
            let arguments = [&["run", &file, "--quiet", "--seed", &seed], changes].concat();
            place.ok(&[&arguments[..], &["--out", "whole"]].concat());
            kills += killed_again_and_again(&place, &[&arguments[..], &["--out", "killed"]].concat(), step);
            assert_eq!(results(&place, "killed", spec), results(&place, "whole", spec), "{spec}, round {round}");
            let left = fs::read_dir(place.path("killed").join(spec)).unwrap().map(|entry| entry.unwrap().file_name());
            let left: Vec<_> = left.filter(|name| name.to_string_lossy().ends_with(".part")).collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
    kills
}

#[test]
fn a_run_that_is_killed_again_and_again_gives_the_same_bits() {
    assert!(no_kill_costs_a_bit(1, Duration::from_millis(120)) >= 4);
}

#[test]
#[ignore = "takes half an hour and more"]
fn many_runs_that_are_killed_again_and_again_give_the_same_bits() {
    let kills = no_kill_costs_a_bit(28, Duration::from_millis(35));
    println!("kills: {kills}");
    assert!(kills >= 500);
}

#[test]
fn damaged_results_are_one_clear_error() {
    let place = place();
    place.ok(&["run", "drawn.toml", "--quiet"]);
    for name in ["points.csv", "verdicts.json", "spec.toml", "manifest.json", "figure.svg"] {
        let path = place.path("runs/drawn").join(name);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in [flipped, whole[..whole.len() / 3].to_vec(), Vec::new(), vec![0xff; 40]] {
            fs::write(&path, damaged).unwrap();
            for command in [&["plot", "runs"][..], &["report", "runs", "--out", "page"]] {
                let message = place.refused(command, 2);
                assert!(message.contains(name) && message.lines().count() <= 4, "{message}");
            }
        }
        fs::write(&path, whole).unwrap();
    }
    place.ok(&["plot", "runs"]);
    place.ok(&["report", "runs", "--out", "page"]);
}

#[test]
fn what_was_kept_stays_where_it_belongs_and_goes_where_it_does_not() {
    let place = place();
    place.ok(&["run", "drawn.toml", "--quiet", "--keep-draws"]);
    let draws = place.path("runs/drawn/draws.npz");
    let kept = fs::read(&draws).unwrap();
    place.ok(&["run", "drawn.toml", "--quiet"]);
    assert_eq!(fs::read(&draws).unwrap(), kept, "the same results have the same draws");
    place.ok(&["run", "drawn.toml", "--quiet", "--set", "draws=64"]);
    assert!(!draws.exists());

    // Weights that are asked for later are there.
    place.ok(&["run", "trained.toml", "--quiet"]);
    let before = results(&place, "runs", "trained");
    assert!(!place.path("runs/trained/weights").exists());
    place.ok(&["run", "trained.toml", "--quiet", "--set", "keep_weights=true"]);
    assert_eq!(fs::read_dir(place.path("runs/trained/weights")).unwrap().count(), 6);
    assert_eq!(results(&place, "runs", "trained"), before);

    // Nothing of a training stays beside drawn networks of the same name.
    fs::write(place.path("same.toml"), DRAWN.replace("\"drawn\"", "\"trained\"")).unwrap();
    let message = place.refused(&["run", "same.toml", "--quiet"], 2);
    assert!(message.contains("states of other work"), "{message}");
    place.ok(&["run", "same.toml", "--quiet", "--fresh"]);
    for name in ["networks.csv", "epochs.csv", "weights"] {
        assert!(!place.path("runs/trained").join(name).exists(), "{name}");
    }
}

#[test]
fn a_forecast_runs_and_writes_nothing() {
    let place = place();
    let table = place.ok(&["check", "drawn.toml", "trained.toml"]);
    assert!(table.contains("drawn") && table.contains("seconds"), "{table}");
    let rows: serde_json::Value =
        serde_json::from_str(&place.ok(&["check", "drawn.toml", "trained.toml", "--json"])).unwrap();
    assert_eq!((rows[0]["points"].as_u64(), rows[0]["draws"].as_u64()), (Some(8), Some(8 * 700)));
    assert_eq!((rows[1]["networks"].as_u64(), rows[1]["draws"].as_u64()), (Some(6), None));
    for row in rows.as_array().unwrap() {
        assert!(row["seconds"].as_f64().unwrap() > 0.0 && row["gib"].as_f64().unwrap() > 0.0, "{row}");
    }
    let message = place.refused(&["check", "drawn.toml", "--set", "claim.0.against=width"], 2);
    assert!(message.contains("claim.0.against"), "{message}");
    let message = place.refused(&["check", "trained.toml", "--set", "sweep.width=[1000000000]"], 2);
    assert!(message.contains("GiB"), "{message}");
    assert!(!place.path("runs").exists());
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_no_specs() {
    let place = place();
    assert!(Command::new("mkfifo").arg(place.path("pipe.toml")).status().unwrap().success());
    for spec in ["pipe.toml", "/dev/zero"] {
        let message = place.refused(&["run", spec], 2);
        assert!(message.contains("no regular file"), "{message}");
        let message = place.refused(&["gradient", "--network", spec, "--weights", "w.npz", "--input", "x.npy"], 2);
        assert!(message.contains("no regular file"), "{message}");
    }
    // More than a spec is ever long, and nothing of it is kept.
    fs::File::create(place.path("long.toml")).unwrap().set_len(1 << 30).unwrap();
    assert!(place.refused(&["run", "long.toml"], 2).contains("longer than 16 MiB"));
}
