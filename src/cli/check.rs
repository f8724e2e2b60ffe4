//! `gradlaw check`: whether specs and their data are in order, and what a run of them takes, without running anything.

use std::process::ExitCode;

use serde::Serialize;

use gradlaw::experiment::{Experiment, Forecast, load};

use super::Common;
use super::failure::Failure;
use super::progress::USUAL_RATE;
use super::terminal::Terminal;

/// What a run takes, as JSON has it.
#[derive(Debug, Serialize)]
struct Row {
    experiment: String,
    /// Points that are drawn.
    points: Option<usize>,
    /// Networks that are trained.
    networks: Option<usize>,
    draws: Option<u64>,
    seconds: f64,
    gib: f64,
}

impl Row {
    fn of(experiment: &Experiment, common: &Common) -> Self {
        let limits = common.limits();
        let Forecast { parts, draws, multiplications, bytes } = experiment.forecast(&limits);
        let trains = draws.is_none();
        Self {
            experiment: experiment.heading().name.clone(),
            points: (!trains).then_some(parts),
            networks: trains.then_some(parts),
            draws,
            seconds: multiplications / (USUAL_RATE * limits.threads as f64),
            gib: bytes as f64 / f64::from(1u32 << 30),
        }
    }
}

/// Checks every spec, and prints what each takes.
pub fn check(specs: &[String], common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    common.start_threads()?;
    let (mut rows, mut origins) = (Vec::new(), Vec::new());
    for name in specs {
        let spec = load::load(name, &common.overrides())?;
        origins.push(spec.origin().clone());
        rows.push(Row::of(&Experiment::prepare(spec, &common.limits())?, common));
    }
    common.check_paths(&origins)?;
    // Rows are strings and numbers, which JSON can hold.
    let text = if common.json { serde_json::to_string_pretty(&rows).unwrap_or_default() } else { table(&rows) };
    terminal.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[Row]) -> String {
    let cells = |row: &Row| {
        let count = |number: Option<usize>| number.map(|number| number.to_string()).unwrap_or_default();
        [
            row.experiment.clone(),
            count(row.points),
            count(row.networks),
            row.draws.map(|draws| draws.to_string()).unwrap_or_default(),
            rough(row.seconds),
            rough(row.gib),
        ]
    };
    let header = ["experiment", "points", "networks", "draws", "seconds, about", "GiB at most"];
    super::table::plain(&header, 1, rows.iter().map(cells))
}

/// Two digits.
fn rough(number: f64) -> String {
    match number {
        number if number >= 10.0 => format!("{number:.0}"),
        number if number >= 0.001 => format!("{number:.2}"),
        _ => "0".into(),
    }
}
