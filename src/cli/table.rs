//! Tables: of verdicts, and plain ones of what else there is to print.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};

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

/// The table of verdicts as text.
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
    let color = match verdict.verdict {
        Outcome::Holds => Color::Green,
        Outcome::Refuted => Color::Red,
        Outcome::Inconclusive => Color::Yellow,
        Outcome::Estimate => Color::Reset,
    };
    let statement = match &verdict.reason {
        Some(reason) => format!("{}\n({reason})", verdict.statement),
        None => verdict.statement.clone(),
    };
    vec![
        Cell::new(experiment),
        Cell::new(statement),
        Cell::new(&verdict.network),
        right(claim::predicted(verdict)),
        right(words::measured(verdict)),
        right(claim::interval(verdict)),
        Cell::new(verdict.verdict.name()).fg(color),
    ]
}
