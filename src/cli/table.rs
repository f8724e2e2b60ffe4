//! The table of verdicts.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};

use gradlaw::experiment::format::{interval, rounded, with_error};
use gradlaw::experiment::{Outcome, Verdict};

use super::terminal::Terminal;

/// What one experiment contributes to the table.
pub enum Section<'a> {
    /// Its verdicts.
    Judged {
        /// Name of the experiment.
        name: &'a str,
        /// Its verdicts.
        verdicts: &'a [Verdict],
    },
    /// It was not run, and why.
    Skipped {
        /// Name of the experiment.
        name: &'a str,
        /// Why.
        reason: &'a str,
    },
}

/// The table as text.
pub fn render(sections: &[Section<'_>], terminal: &Terminal) -> String {
    let mut table = Table::new();
    let rule = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().top_border(rule).header_separator(rule).bottom_border(rule));
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if terminal.color() {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let bold = |text: &str| Cell::new(text).add_attribute(Attribute::Bold);
    let header = ["experiment", "claim", "network", "predicted ± tolerance", "measured", "95 % interval", "verdict"];
    table.set_header(header.map(bold));
    for section in sections {
        match section {
            Section::Skipped { name, reason } => {
                let cells = [name, *reason, "", "", "", ""].map(Cell::new);
                table.add_row(cells.into_iter().chain([Cell::new("skipped").fg(Color::Yellow)]));
            }
            Section::Judged { name, verdicts } => {
                for (index, verdict) in verdicts.iter().enumerate() {
                    table.add_row(row(if index == 0 { name } else { "" }, verdict));
                }
            }
        }
    }
    table.to_string()
}

fn row(experiment: &str, verdict: &Verdict) -> Vec<Cell> {
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let measured = verdict.measured.map(|measured| with_error(measured, verdict.std_error.unwrap_or(0.0)));
    let (word, color) = match verdict.verdict {
        Outcome::Holds => ("holds", Color::Green),
        Outcome::Refuted => ("refuted", Color::Red),
        Outcome::Inconclusive => ("inconclusive", Color::Yellow),
    };
    let statement = match &verdict.reason {
        Some(reason) => format!("{}\n({reason})", verdict.statement),
        None => verdict.statement.clone(),
    };
    vec![
        Cell::new(experiment),
        Cell::new(statement),
        Cell::new(&verdict.network),
        right(verdict.predicted.map(|predicted| predicted_with_tolerance(predicted, verdict)).unwrap_or_default()),
        right(measured.unwrap_or_default()),
        right(verdict.interval.map(|bounds| shown_interval(bounds, verdict)).unwrap_or_default()),
        Cell::new(word).fg(color),
    ]
}

/// "0.5 ± 0.01"; relative tolerances as "4 ± 10 %".
fn predicted_with_tolerance(predicted: f64, verdict: &Verdict) -> String {
    match verdict.kind.as_str() {
        "exponent" => format!("{} ± {}", rounded(predicted, 4), rounded(verdict.tolerance, 4)),
        "same-law" => format!("≤ {}", rounded(verdict.tolerance, 4)),
        _ => format!("{} ± {} %", rounded(predicted, 4), rounded(100.0 * verdict.tolerance, 3)),
    }
}

/// The distance of two laws has an upper bound only.
fn shown_interval(bounds: [f64; 2], verdict: &Verdict) -> String {
    if verdict.kind == "same-law" { format!("≤ {}", rounded(bounds[1], 4)) } else { interval(bounds) }
}

/// "37 claims: 36 hold, 1 refuted, 0 inconclusive".
pub fn summary(verdicts: &[&Verdict]) -> String {
    let count = |outcome| verdicts.iter().filter(|verdict| verdict.verdict == outcome).count();
    format!(
        "{} claims: {} hold, {} refuted, {} inconclusive",
        verdicts.len(),
        count(Outcome::Holds),
        count(Outcome::Refuted),
        count(Outcome::Inconclusive)
    )
}
