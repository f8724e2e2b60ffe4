//! The report: one HTML page that stands alone, with the verdicts, figures and specs of saved results.

use math_core::{LatexToMathML, MathCoreConfig, MathDisplay};
use minijinja::{AutoEscape, Environment, HtmlEscape, Value, context};
use serde::Serialize;

use toml::Table;

use crate::experiment::results::folder::Saved;
use crate::experiment::results::{Provenance, words};
use crate::experiment::specification::Heading;
use crate::experiment::specification::text::text_of_spec;
use crate::experiment::{Outcome, Verdict, claim};
use crate::figure::{Level, Part, parts};

const PAGE: &str = include_str!("page.html");

/// Saved results of either kind, as far as the page shows them.
#[derive(Debug, Clone)]
pub struct Reported {
    heading: Heading,
    /// Rows, or trained networks.
    points: usize,
    spec: Table,
    verdicts: Vec<Verdict>,
    figure: Option<String>,
    provenance: Option<Provenance>,
}

impl From<Saved> for Reported {
    fn from(saved: Saved) -> Self {
        let Saved { spec, rows, networks, verdicts, figure, provenance } = saved;
        let points = if networks.is_empty() { rows.len() } else { networks.len() };
        Self { heading: spec.heading().clone(), points, spec: spec.resolved().clone(), verdicts, figure, provenance }
    }
}

/// One experiment as the page shows it.
#[derive(Serialize)]
struct Section<'a> {
    name: &'a str,
    title: &'a str,
    source: &'a str,
    /// The claim as MathML; as it was written where it is no LaTeX.
    formula: Option<String>,
    latex: &'a str,
    explanation: Vec<Paragraph>,
    version: &'a str,
    seed: u64,
    made: Option<String>,
    points: usize,
    holds: usize,
    refuted: usize,
    inconclusive: usize,
    verdicts: Vec<Line<'a>>,
    figure: Option<&'a str>,
    spec: String,
}

/// A part of an explanation.
#[derive(Debug, PartialEq, Serialize)]
struct Paragraph {
    text: String,
    /// Whether its lines are to stay as they are, as those of a list or a table.
    is_set: bool,
}

/// The parts between empty lines. Lines of a paragraph run on, for a page breaks them where it wants; those that are indented, or begin as a
/// list or a table does, stay.
fn paragraphs(explanation: &str) -> Vec<Paragraph> {
    let parts = explanation.split("\n\n").map(|part| part.trim_matches('\n')).filter(|part| !part.is_empty());
    let starts = |line: &str| line.starts_with([' ', '\t', '-', '*', '|', '·']);
    let paragraph = |part: &str| {
        let is_set = part.lines().any(starts);
        let text = if is_set { part.to_owned() } else { part.lines().collect::<Vec<_>>().join(" ") };
        Paragraph { text, is_set }
    };
    parts.map(paragraph).collect()
}

/// One verdict, in words and rounded numbers.
#[derive(Serialize)]
struct Line<'a> {
    statement: &'a str,
    remark: Option<String>,
    network: &'a str,
    predicted: String,
    measured: String,
    interval: String,
    outcome: &'static str,
}

/// The page of these results, in their order. Everything but the figures, which are our own SVG, is escaped.
pub fn html(results: &[Reported]) -> String {
    let verdicts: Vec<&Verdict> = results.iter().flat_map(|saved| &saved.verdicts).collect();
    let experiments = Value::from_serialize(results.iter().map(section).collect::<Vec<_>>());
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("levels", |text: &str| Value::from_safe_string(levels(text)));
    let page = environment.render_str(PAGE, context! { summary => words::summary(&verdicts), experiments });
    // The template is part of the program, and a test renders it; its values are strings and numbers.
    page.unwrap_or_else(|error| format!("<p>The report cannot be made: {error}</p>"))
}

fn section(saved: &Reported) -> Section<'_> {
    let count = |outcome| saved.verdicts.iter().filter(|verdict| verdict.verdict == outcome).count();
    Section {
        name: &saved.heading.name,
        title: &saved.heading.title,
        source: &saved.heading.source,
        formula: mathml(&saved.heading.formula),
        latex: &saved.heading.formula,
        explanation: paragraphs(&saved.heading.explanation),
        version: saved.spec.get("version").and_then(|version| version.as_str()).unwrap_or_default(),
        seed: saved.heading.seed,
        made: saved.provenance.as_ref().map(made),
        points: saved.points,
        holds: count(Outcome::Holds),
        refuted: count(Outcome::Refuted),
        inconclusive: count(Outcome::Inconclusive),
        verdicts: saved.verdicts.iter().map(line).collect(),
        figure: saved.figure.as_deref(),
        spec: text_of_spec(&saved.spec),
    }
}

/// A title or statement as HTML, with its exponents high and its indices low.
fn levels(text: &str) -> String {
    let set = |part: Part<'_>| {
        let says = HtmlEscape(part.text);
        match part.level {
            Level::Line => says.to_string(),
            Level::Index => format!("<sub>{says}</sub>"),
            Level::Exponent => format!("<sup>{says}</sup>"),
        }
    };
    parts(text).into_iter().map(set).collect()
}

/// When, how long and on what results were made, in words.
fn made(Provenance { finished, seconds, threads, processor }: &Provenance) -> String {
    let several = if *threads == 1 { "" } else { "s" };
    format!("{finished}, {seconds:.1} s on {threads} thread{several}, {processor}")
}

/// A formula as MathML, which every browser shows without a script; `None` of no formula, or one that is no LaTeX.
fn mathml(latex: &str) -> Option<String> {
    if latex.is_empty() {
        return None;
    }
    let converter = LatexToMathML::new(MathCoreConfig::default()).ok()?;
    let converted = converter.convert_with_local_state(latex, MathDisplay::Block).ok()?;
    Some(converted.mathml)
}

fn line(verdict: &Verdict) -> Line<'_> {
    Line {
        statement: &verdict.statement,
        remark: words::remark(verdict),
        network: &verdict.network,
        predicted: claim::predicted(verdict),
        measured: words::measured(verdict),
        interval: claim::interval(verdict),
        outcome: verdict.verdict.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::specification::load;

    #[test]
    fn lines_of_a_paragraph_run_on_and_lists_stay() {
        let found = paragraphs("one\ntwo\n\n\n- a\n- b\n");
        let expected = [("one two", false), ("- a\n- b", true)];
        assert_eq!(found, expected.map(|(text, is_set)| Paragraph { text: text.into(), is_set }));
        assert!(paragraphs("").is_empty());
    }

    #[test]
    fn formulas_of_shipped_experiments_are_set() {
        for shipped in crate::experiment::catalogue::SHIPPED {
            let spec = load::parse(shipped.name, shipped.text, &[]).unwrap();
            let set = mathml(&spec.heading().formula);
            assert!(set.is_some_and(|math| math.starts_with("<math") && !math.contains("merror")), "{}", shipped.name);
        }
        assert_eq!(mathml(""), None);
        assert_eq!(mathml("\\frac{1"), None);
    }

    #[test]
    fn a_page_holds_what_was_saved_and_escapes_it() {
        let changes = ["title=\"a < b & c of d^(1 − q) in ‖x‖_∞\"".parse().unwrap()];
        let spec = load::load("dense-dimension", &changes).unwrap();
        let figure = Some("<svg>curve</svg>".into());
        let (finished, processor) = ("2020-02-02T20:20:02Z".into(), "abacus".into());
        let provenance = Some(Provenance { finished, seconds: 1.26, threads: 1, processor });
        let saved = Saved { spec, rows: Vec::new(), networks: Vec::new(), verdicts: Vec::new(), figure, provenance };
        let page = html(&[saved.into()]);
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        assert!(page.contains("a &lt; b &amp; c of d<sup>1 − q</sup> in ‖x‖<sub>∞</sub></h2>"), "titles are set");
        assert!(!page.contains("a < b"), "titles are escaped");
        assert!(page.contains("2020-02-02T20:20:02Z, 1.3 s on 1 thread, abacus"), "{page}");
        assert!(page.contains("><svg>curve</svg></figure>"), "figures are not");
        assert!(page.contains("0 claims: 0 hold") && page.contains("Theorem 4"));
    }

    /// The colours of the page, by name, light and dark.
    fn palettes() -> [Vec<(String, [f64; 3])>; 2] {
        let page = html(&[]);
        let of = |part: &str| {
            let block = part.split_once('}').unwrap().0;
            let colour = |declaration: &str| {
                let (name, digits) = declaration.trim().strip_prefix("--")?.split_once(": #")?;
                let digits =
                    if digits.len() == 3 { digits.chars().flat_map(|d| [d, d]).collect() } else { digits.to_owned() };
                let channel = |at: usize| f64::from(u8::from_str_radix(&digits[at..at + 2], 16).unwrap()) / 255.0;
                Some((name.to_owned(), [0, 2, 4].map(channel)))
            };
            block.split(';').filter_map(colour).collect::<Vec<_>>()
        };
        let mut parts = page.split(":root {").skip(1).map(of);
        [parts.next().unwrap(), parts.next().unwrap()]
    }

    /// WCAG 2.2, success criterion 1.4.3: text has at least 4.5 times the luminance of what it stands on, or the other way round.
    #[test]
    fn every_colour_of_text_can_be_read_in_light_and_in_dark() {
        let luminance = |[r, g, b]: [f64; 3]| {
            let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
            0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
        };
        for palette in palettes() {
            let of = |name: &str| luminance(palette.iter().find(|(known, _)| known == name).unwrap().1);
            for (text, under) in ["text", "aside", "link", "holds", "refuted", "inconclusive"]
                .map(|text| (text, "page"))
                .into_iter()
                .chain([("text", "code")])
            {
                let (one, other) = (of(text) + 0.05, of(under) + 0.05);
                assert!(
                    one.max(other) / one.min(other) >= 4.5,
                    "{text} on {under}: {}",
                    one.max(other) / one.min(other)
                );
            }
        }
    }

    #[test]
    fn a_page_fetches_nothing_and_has_a_language_headings_in_order_and_names_for_figures() {
        let page = {
            let spec = load::load("dense-dimension", &[]).unwrap();
            let figure = Some("<svg></svg>".into());
            let (rows, networks, verdicts) = (Vec::new(), Vec::new(), Vec::new());
            html(&[Saved { spec, rows, networks, verdicts, figure, provenance: None }.into()])
        };
        assert!(page.contains("<html lang=\"en\">"));
        for fetches in ["<script", "<link", "<img", "@import", "src=", "url(http"] {
            assert!(!page.contains(fetches), "{fetches}");
        }
        let levels: Vec<u8> = page.match_indices("<h").filter_map(|(at, _)| page[at + 2..].bytes().next()).collect();
        let levels: Vec<u8> = levels.into_iter().filter(u8::is_ascii_digit).collect();
        assert!(levels[0] == b'1' && levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
        assert_eq!(page.matches("<figure").count(), page.matches("aria-label=\"Figure: ").count());
    }
}
