//! The report in a browser, where there is one: Chromium, as Debian installs it. Elsewhere the test says so and ends.

use std::fs;
use std::process::Command;

use crate::place::Place;

const SPEC: &str = r#"
name = "small"
title = "A small law with a title that is long enough to be broken on a telephone"
draws = 500
observables = ["loss.l1"]
formula = '\mathbb{E}\,\|\partial_x L\|_1 \propto \sqrt{d}'
sweep = { d = [16, 64] }
[[network]]
label = "a network with a long name"
input = ["d"]
layers = [{ type = "dense", units = 10 }]
[[claim]]
statement = "grows as the square root of the number of all inputs of the network"
observable = "loss.l1"
exponent = 0.5
tolerance = 0.2
"#;

/// Widths of the page; the second is a telephone's.
const WIDTHS: [u32; 2] = [1400, 420];

/// What Chromium makes of a page: its document after all scripts, here those of the test alone.
fn document(place: &Place, page: &str) -> Option<String> {
    let profile = format!("--user-data-dir={}", place.path("profile").display());
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-sync", "--allow-file-access-from-files", "--dump-dom", &profile])
        .arg(place.path(page))
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_report_fits_wide_and_narrow_screens() {
    let place = Place::new(SPEC);
    place.ok(&["verify", "spec.toml", "--quiet"]);
    // Frames stand for screens: a window is never as narrow as a telephone. What is wider than its frame is told, and a
    // table that scrolls within its own box is not.
    let frames: String = WIDTHS
        .iter()
        .map(|width| format!("<iframe src=\"runs/report.html\" width=\"{width}\" height=\"900\"></iframe>"))
        .collect();
    let script = "onload = () => { document.title = [...document.querySelectorAll('iframe')].map(frame => { \
                  const page = frame.contentDocument; \
                  return page.documentElement.scrollWidth + ' ' + page.querySelectorAll('svg text').length; }).join(';'); }";
    let page = format!("<!doctype html><title>none</title>{frames}<script>{script}</script>");
    fs::write(place.path("screens.html"), page).unwrap();
    let Some(document) = document(&place, "screens.html") else {
        eprintln!("there is no Chromium here: the report was not opened");
        return;
    };
    let title = document.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).unwrap();
    let screens: Vec<[u32; 2]> = title
        .split(';')
        .map(|screen| {
            let numbers: Vec<u32> = screen.split(' ').map(|number| number.parse().unwrap()).collect();
            [numbers[0], numbers[1]]
        })
        .collect();
    assert_eq!(screens.len(), WIDTHS.len(), "{title}");
    for ([scrolled, texts], width) in screens.into_iter().zip(WIDTHS) {
        assert!(scrolled <= width && texts > 10, "{title}");
    }
}
