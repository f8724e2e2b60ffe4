//! The reference in docs/reference, which is made of the program's own tables and must not fall behind them:
//! `GRADLAW_REFERENCE=write cargo test --release --test suite reference` writes it again.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use gradlaw::attack::AnyAttack;
use gradlaw::experiment::results::COLUMNS;
use gradlaw::experiment::{Measure, claim};
use gradlaw::network::Layer;
use gradlaw::network::layer::keys::{Key, Kind};
use gradlaw::observable::Observable;
use gradlaw::training::objective::Objective;

/// What a key may hold, in words.
fn allowed(kind: Kind) -> String {
    match kind {
        Kind::Size => "whole, from 1, or an expression".into(),
        Kind::Count => "whole, from 0, or an expression".into(),
        Kind::Flag => "true or false".into(),
        Kind::Word(words) => words.join(", "),
        Kind::Positive => "a number above 0".into(),
        Kind::Number => "a number".into(),
        Kind::PerChannel => "a number, or one for each channel".into(),
        Kind::Layers => "a list of layers".into(),
        Kind::Init => "an initialisation of the layer's own".into(),
        Kind::Arrays => "the name of its arrays in a file of weights".into(),
    }
}

fn layers() -> String {
    let mut page = "# Layers\n\nEntries of `layers` by their `type`. Keys in bold must be given.\n\n| type | does | keys |\n|---|---|---|\n".to_owned();
    for layer in Layer::types() {
        let key = |key: &Key| {
            let name = if key.required { format!("**`{}`**", key.name) } else { format!("`{}`", key.name) };
            format!("{name} ({})", allowed(key.kind))
        };
        let keys: Vec<String> = layer.keys.iter().map(key).collect();
        let cells = [layer.summary, &keys.join(" · ")].map(|text| text.replace('|', "\\|"));
        writeln!(page, "| `{}` | {} | {} |", layer.name, cells[0], cells[1]).unwrap();
    }
    page += "| `repeat` | the layers of `layers`, `times` over | **`times`** (whole, from 1, or an expression) · **`layers`** (a list of layers) |\n";
    page
}

fn claims() -> String {
    let mut page = "# Claims\n\nTables `[[claim]]`: a `statement`, one of these keys, and the keys beside it; `within` takes values of sweep variables to judge at. \
                    Numbers may be formulas, and bounds: `{ at_most = … }`, `{ at_least = … }`.\n\n| key | claims that | beside it |\n|---|---|---|\n"
        .to_owned();
    for kind in claim::kinds() {
        let keys: Vec<String> = kind.keys.iter().map(|key| format!("`{key}`")).collect();
        writeln!(page, "| `{}` | {} | {} |", kind.key, kind.summary, keys.join(", ")).unwrap();
    }
    page
}

fn attacks() -> String {
    let mut page = "# Attacks\n\nNames for `gradlaw attack --attack`, and in observables such as `damage.fgsm@0.01`.\n\n| attack | does | steps |\n|---|---|---|\n".to_owned();
    for (name, summary) in AnyAttack::summaries() {
        let steps = AnyAttack::named(name).and_then(|attack| attack.steps());
        writeln!(page, "| `{name}` | {summary} | {} |", steps.map_or("1".into(), |steps| steps.to_string())).unwrap();
    }
    page
}

fn objectives() -> String {
    let mut page = "# Objectives\n\nTables `[[method]]` by their `objective`; the strength ε may be an expression of sweep variables.\n\n| objective | minimises, in the mean over the batch | keys |\n|---|---|---|\n".to_owned();
    for kind in Objective::KINDS {
        let keys: Vec<String> = kind.keys.iter().map(|key| format!("`{key}`")).collect();
        writeln!(page, "| `{}` | {} | {} |", kind.name, kind.summary.replace('|', "\\|"), keys.join(", ")).unwrap();
    }
    page
}

fn observables() -> String {
    let mut page = "# Observables\n\nEntries of `observables`, and names in claims, panels and `[define]`. Q is the order of a norm, ATTACK the name of an \
                    [attack](attacks.md) that takes a size, E its size or a sweep variable. Before a measure of trained networks `initial.` asks \
                    for the same of the networks before training.\n\n| observable | is | of |\n|---|---|---|\n"
        .to_owned();
    for (form, summary) in Observable::summaries().chain(Measure::SUMMARIES) {
        let name = form.replace('Q', "1.5").replace("ATTACK", "fgsm").replace('E', "0.01");
        let of = match (name.parse::<Observable>().is_ok(), name.parse::<Measure>().is_ok()) {
            (true, true) => "drawn and trained networks",
            (true, false) => "drawn networks",
            _ => "trained networks",
        };
        writeln!(page, "| `{form}` | {} | {of} |", summary.replace('|', "\\|")).unwrap();
    }
    page
}

fn results() -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|name| format!("`{name}`")).collect();
    format!(
        "# Results\n\nColumns of `points.csv`: `network`, `observable`, one for each sweep variable, then {}.\n",
        columns.join(", ")
    )
}

#[test]
fn the_reference_is_that_of_the_tables() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    let writes = std::env::var_os("GRADLAW_REFERENCE").is_some_and(|value| value == "write");
    for (name, page) in [
        ("layers", layers()),
        ("claims", claims()),
        ("attacks", attacks()),
        ("objectives", objectives()),
        ("observables", observables()),
        ("results", results()),
    ] {
        let path = folder.join(format!("{name}.md"));
        if writes {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &page).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == page, "{}: is not that of the tables; GRADLAW_REFERENCE=write makes it again", path.display());
    }
}

/// Every page has its place in the book, and every place its page.
#[test]
fn the_book_has_every_page() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let pages = |folder: &str| {
        let names = fs::read_dir(docs.join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| format!("{folder}{}", name.to_string_lossy()));
        names.filter(|name| name.ends_with(".md") && name != "SUMMARY.md").collect::<Vec<_>>()
    };
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let mut listed: Vec<String> =
        summary.lines().filter_map(|line| Some(line.split_once("](")?.1.trim_end_matches(')').to_owned())).collect();
    let mut there = [pages(""), pages("reference/")].concat();
    listed.sort();
    there.sort();
    assert_eq!(listed, there);
}
