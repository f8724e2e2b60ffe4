//! Laws that nobody shipped: observables and statistics of a spec's own, bounds, fits, drawn until decided.

use crate::place::Place;

const LAWS: &str = r#"
name = "laws"
draws = 20000
observables = ["loss.l1"]
[define]
ratio = "logit.l1 / logit.l2"
log_norm = "ln(logit.l2)"
scaled = "ratio / sqrt(dimension)"
[sweep]
d = [64, 256, 1024]
[[network]]
label = "dense"
input = ["d"]
layers = [{ type = "dense", units = 32 }, { type = "relu" }, { type = "dense", units = 10 }]
"#;

fn claim(body: &str) -> String {
    format!("{LAWS}\n[[claim]]\nstatement = \"said\"\n{body}\n")
}

/// A spec of small trained networks: how many, what is measured, and claims.
fn trained(repeats: &str, measured: &str, claims: &str) -> String {
    format!(
        r#"
name = "laws"
{repeats}
{measured}
[data]
set = "synthetic"
side = 4
samples = 200
validation = 50
test = 60
[training]
epochs = 1
batch = 50
rate = 0.1
[[network]]
label = "net"
input = [3, 4, 4]
layers = [{{ type = "flatten" }}, {{ type = "dense", units = 10 }}]
{claims}"#
    )
}

fn outcomes(place: &Place) -> Vec<String> {
    let verdicts: serde_json::Value = serde_json::from_str(&place.read("runs/laws/verdicts.json")).unwrap();
    verdicts.as_array().unwrap().iter().map(|verdict| verdict["verdict"].as_str().unwrap().to_owned()).collect()
}

/// Each claim is true of the first formula and false of the second.
#[test]
fn observables_and_statistics_of_ones_own_are_judged() {
    for (kind, right, wrong) in [
        ("observable = \"ratio\"\ntolerance = 0.02\nvalue", "\"sqrt(2 * d / pi)\"", "\"sqrt(d)\""),
        ("observable = \"scaled\"\nvalue", "{ at_most = 0.82 }", "{ at_least = 0.82 }"),
        // Var ln(A) of one layer of 32: about 5/32 times a quarter, and 1/(2d) of the norm.
        ("observable = \"var(log_norm)\"\nvalue", "{ at_most = 0.08 }", "{ at_most = 0.02 }"),
        ("observable = \"mean(logit.l1) / mean(logit.l2)\"\nagainst = \"d\"\ntolerance = 0.02\nexponent", "0.5", "0.6"),
        ("observable = \"median(loss.l1)\"\nagainst = \"d\"\nexponent", "{ at_most = 0.55 }", "{ at_most = 0.4 }"),
    ] {
        for (target, expected) in [(right, "holds"), (wrong, "refuted")] {
            let place = Place::new(&claim(&format!("{kind} = {target}")));
            place.ok(&["run", "spec.toml", "--quiet"]);
            assert_eq!(outcomes(&place), [expected], "{kind} = {target}");
        }
    }
}

#[test]
fn what_is_defined_stands_in_the_results_draw_by_draw() {
    let place = Place::new(LAWS);
    place.ok(&["run", "spec.toml", "--quiet", "--set", "draws=100", "--keep-draws", "--threads", "1"]);
    let points = place.read("runs/laws/points.csv");
    for name in ["loss.l1", "logit.l1", "logit.l2", "ratio", "log_norm", "scaled"] {
        assert_eq!(points.lines().filter(|line| line.starts_with(&format!("dense,{name},"))).count(), 3, "{name}");
    }
    let mut archive =
        ndarray_npy::NpzReader::new(std::fs::File::open(place.path("runs/laws/draws.npz")).unwrap()).unwrap();
    let points = archive.names().unwrap().into_iter().filter(|name| name.starts_with("dense, d = "));
    let points: Vec<String> = points.collect();
    assert_eq!(points.len(), 3);
    for name in points {
        let draws: ndarray::Array2<f64> = archive.by_name(&name).unwrap();
        for draw in draws.rows() {
            // Listed, then used, then defined.
            assert_eq!(draw[3], draw[1] / draw[2]);
            assert_eq!(draw[4], draw[2].ln());
        }
    }
    // A statistic that a claim asks for is a row, and more threads change no bit.
    let asks = claim("observable = \"std(log_norm)\"\nvalue = { at_most = 1 }");
    std::fs::write(place.path("spec.toml"), asks).unwrap();
    let run = |out: &str, threads: &str| {
        place.ok(&["run", "spec.toml", "--quiet", "--out", out, "--threads", threads, "--set", "draws=3001"]);
        place.read(&format!("{out}/laws/points.csv"))
    };
    let one = run("one", "1");
    assert_eq!(one, run("two", "2"));
    assert_eq!(one.lines().filter(|line| line.starts_with("dense,std(log_norm),")).count(), 3);
}

#[test]
fn definitions_and_statistics_that_mean_nothing_are_refused() {
    let place = Place::new(LAWS);
    for (change, key, says) in [
        ("define.bad=\"loss.l1 / los\"", "define.bad", "uses `los`"),
        ("define.bad=\"ratoi * 2\"", "define.bad", "did you mean `ratio`?"),
        ("define.bad=\"sqrt(d)\"", "define.bad", "at least one observable"),
        ("define.bad=\"loss.l1 +\"", "define.bad", "must be an expression"),
        ("define.d=\"loss.l1\"", "define.d", "is not a name"),
        ("define.sqrt=\"loss.l1\"", "define.sqrt", "is not a name"),
        ("define.bad=3", "define.bad", "must be a string"),
        (
            "claim=[{ statement = \"s\", observable = \"var(lgo_norm)\", value = 1, tolerance = 1 }]",
            "claim.0.observable",
            "did you mean `log_norm`?",
        ),
        (
            "claim=[{ statement = \"s\", observable = \"vra(log_norm)\", value = 1, tolerance = 1 }]",
            "claim.0.observable",
            "var(x)",
        ),
        (
            "claim=[{ statement = \"s\", observable = \"var(log_norm) / q\", value = 1, tolerance = 1 }]",
            "claim.0.observable",
            "variable",
        ),
        (
            "claim=[{ statement = \"s\", observable = \"log_nrom\", value = 1, tolerance = 1 }]",
            "claim.0.observable",
            "did you mean `log_norm`?",
        ),
    ] {
        let message = place.refused(&["run", "spec.toml", "--set", change], 2);
        assert!(message.contains(key) && message.contains(says), "{change}: {message}");
        assert!(!place.path("runs").exists());
    }
}

/// A network that is trained has them sample by sample; statistics of it are of means.
#[test]
fn trained_networks_have_definitions_too() {
    let trained = trained(
        "repeats = 3",
        r#"
observables = ["accuracy", "loss.l2"]
[define]
ratio = "loss.l1 / loss.l2"
"#,
        r#"
[[claim]]
statement = "no norm is larger than the other by more than √d"
observable = "ratio"
value = { at_most = "sqrt(dimension)" }
[[claim]]
statement = "of means too"
observable = "mean(loss.l1) / mean(loss.l2)"
value = { at_least = 1 }
"#,
    );
    let place = Place::new(&trained);
    place.ok(&["run", "spec.toml", "--quiet"]);
    assert_eq!(outcomes(&place), ["holds", "holds"]);
    let message = place.refused(&["run", "spec.toml", "--set", "claim.0.observable=var(ratio)"], 2);
    assert!(message.contains("formula of means"), "{message}");
}

/// Easy claims are decided by a part of the draws, hard ones take all; a run that was begun goes on to the same bits.
#[test]
fn draws_go_on_until_every_claim_is_decided() {
    let decide = claim("observable = \"ratio\"\nvalue = \"sqrt(2 * d / pi)\"\ntolerance = 0.02")
        .replace("draws = 20000", "draws = \"decide\"\nmax_draws = 100000");
    let place = Place::new(&decide);
    let draws = |out: &str| -> u64 {
        let points = place.read(&format!("{out}/laws/points.csv"));
        let line = points.lines().find(|line| line.starts_with("dense,ratio,64,")).unwrap().to_owned();
        line.split(',').nth(4).unwrap().parse().unwrap()
    };
    place.ok(&["run", "spec.toml", "--quiet"]);
    assert_eq!((outcomes(&place), draws("runs")), (vec!["holds".to_owned()], 6272));
    assert!(place.read("runs/laws/verdicts.json").contains("look 1 of 5, after 6272"));
    // At a tolerance that the draws just carry: the standard error of the slope is 0.0007.
    let hard = claim("observable = \"logit.l1\"\nagainst = \"d\"\nexponent = 0.5\ntolerance = 0.0015");
    std::fs::write(place.path("hard.toml"), hard.replace("draws = 20000", "draws = \"decide\"\nmax_draws = 100000"))
        .unwrap();
    place.ok(&["run", "hard.toml", "--quiet", "--out", "hard", "--threads", "1"]);
    assert_eq!(draws("hard"), 100_000);
    // One without a claim has nothing to decide, and one that is asked for draws makes them.
    place.ok(&["run", "spec.toml", "--quiet", "--out", "some", "--set", "draws=300"]);
    assert_eq!(draws("some"), 300);
    for (arguments, says) in [
        (&["--set", "max_draws=1"][..], "max_draws = 1"),
        (&["--set", "precision=0.1"], "must stand without `draws`"),
        (&["--set", "draws=\"some\""], "or \"decide\""),
        (&["--shard", "1/2"], "which no share sees"),
    ] {
        let message = place.refused(&[&["run", "spec.toml", "--out", "no"], arguments].concat(), 2);
        assert!(message.contains(says), "{message}");
    }
    let message = Place::new(&decide.replace("max_draws = 100000", "")).refused(&["run", "spec.toml"], 2);
    assert!(message.contains("max_draws: is missing"), "{message}");
}

#[test]
fn repetitions_go_on_until_every_claim_is_decided() {
    let trained = trained(
        "repeats = \"decide\"\nmax_repeats = 32",
        "observables = [\"loss\", \"initial.loss.l1\"]",
        r#"
[[claim]]
statement = "there is a loss"
observable = "loss"
value = { at_least = 0.1 }
"#,
    );
    let place = Place::new(&trained);
    place.ok(&["run", "spec.toml", "--quiet"]);
    let networks = |out: &str| place.read(&format!("{out}/laws/networks.csv")).lines().count() - 1;
    assert_eq!(outcomes(&place), ["holds"]);
    let early = networks("runs");
    assert!(early < 32, "{early} networks");
    let results =
        || ["points.csv", "networks.csv", "verdicts.json"].map(|name| place.read(&format!("runs/laws/{name}")));
    let first = results();
    place.ok(&["run", "spec.toml", "--quiet"]);
    assert_eq!(results(), first, "what is finished is not trained again");
    place.ok(&["run", "spec.toml", "--quiet", "--out", "all", "--set", "claim.0.value={ at_least = 2.3 }"]);
    assert!(networks("all") >= early);
    let message = Place::new(&trained.replace("max_repeats = 32", "")).refused(&["run", "spec.toml"], 2);
    assert!(message.contains("max_repeats: is missing"), "{message}");
}

/// Every spec of the tutorial has at most 25 lines and is decided as it says: all claims hold, and one asks for a number.
#[test]
fn the_laws_of_the_tutorial_hold() {
    let tutorial = include_str!("../../docs/tutorial.md");
    let specs: Vec<&str> =
        tutorial.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(specs.len(), 5);
    for spec in specs {
        assert!(spec.lines().count() <= 25, "{spec}");
        let name = spec.lines().next().unwrap().split('"').nth(1).unwrap();
        let place = Place::new(spec);
        place.ok(&["verify", "spec.toml", "--quiet"]);
        let verdicts = place.read(&format!("runs/{name}/verdicts.json"));
        assert!(verdicts.contains("\"holds\"") && !verdicts.contains("\"inconclusive\""), "{name}: {verdicts}");
    }
}
