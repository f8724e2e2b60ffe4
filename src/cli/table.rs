//! Tables: of verdicts, and plain ones of what else there is to print.

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle,
};

use gradlaw::experiment::results::words;
use gradlaw::experiment::{Outcome, Verdict, claim};

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

/// A table without lines whose columns from `numbers` on stand to the right.
pub fn plain<R>(header: &[&str], numbers: usize, rows: impl IntoIterator<Item = R>) -> String
where
    R: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table.column_iter_mut().skip(numbers).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.trim_fmt()
}

/// Columns of a terminal from which on every number of a verdict has a column of its own.
const WIDE: u16 = 140;

/// The table of verdicts as text. In a narrow terminal what belongs to a claim is stacked; numbers are never wrapped, words only
/// between each other.
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
    let is_narrow = table.width().is_some_and(|width| width < WIDE);
    let header: &[&str] = if is_narrow {
        &["claim", "predicted, measured, 95 %", "verdict"]
    } else {
        &["experiment", "claim", "network", "predicted ± tolerance", "measured", "95 % interval", "verdict"]
    };
    table.set_header(header.iter().copied().map(bold));
    for section in sections {
        match section {
            Section::Skipped { name, reason } => {
                let skipped = Cell::new("skipped").fg(Color::Yellow);
                let cells = if is_narrow {
                    vec![Cell::new(format!("{name}\n{reason}")), Cell::new("")]
                } else {
                    [name, *reason, "", "", "", ""].map(Cell::new).to_vec()
                };
                table.add_row(cells.into_iter().chain([skipped]));
            }
            Section::Judged { name, verdicts } => {
                for (index, verdict) in verdicts.iter().enumerate() {
                    let name = if index == 0 { name } else { "" };
                    table.add_row(if is_narrow { stacked(name, verdict) } else { row(name, verdict) });
                }
            }
        }
    }
    // Names of experiments and numbers stay whole.
    let wrapped = if is_narrow { 0..1 } else { 1..3 };
    for (index, column) in table.column_iter_mut().enumerate() {
        if !wrapped.contains(&index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.to_string()
}

/// A verdict in three cells.
fn stacked(experiment: &str, verdict: &Verdict) -> Vec<Cell> {
    let [statement, network, predicted, measured, interval, word] = texts(verdict);
    let mut claim = vec![experiment.to_owned(), statement, network];
    claim.retain(|line| !line.is_empty());
    vec![
        Cell::new(claim.join("\n")),
        Cell::new([predicted, measured, interval].join("\n")).set_alignment(CellAlignment::Right),
        Cell::new(word).fg(color(verdict.verdict)),
    ]
}

/// A verdict with a cell for everything.
fn row(experiment: &str, verdict: &Verdict) -> Vec<Cell> {
    let [statement, network, predicted, measured, interval, word] = texts(verdict);
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    vec![
        Cell::new(experiment),
        Cell::new(statement),
        Cell::new(network),
        right(predicted),
        right(measured),
        right(interval),
        Cell::new(word).fg(color(verdict.verdict)),
    ]
}

/// Statement, network, prediction, measurement, interval and verdict.
fn texts(verdict: &Verdict) -> [String; 6] {
    let statement = match words::remark(verdict) {
        Some(remark) => format!("{}\n({remark})", verdict.statement),
        None => verdict.statement.clone(),
    };
    let word = verdict.verdict.name().to_owned();
    [
        statement,
        verdict.network.clone(),
        claim::predicted(verdict),
        words::measured(verdict),
        claim::interval(verdict),
        word,
    ]
}

fn color(outcome: Outcome) -> Color {
    match outcome {
        Outcome::Holds => Color::Green,
        Outcome::Refuted => Color::Red,
        Outcome::Inconclusive => Color::Yellow,
        Outcome::Estimate => Color::Reset,
    }
}
