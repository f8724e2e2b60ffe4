//! The tables `[[panel]]`: what a figure of panels shows.

use toml::Table;

use super::Sweep;
use super::expression::Expression;
use super::reader::{Origin, Reader, SpecError, did_you_mean, unknown};

/// A table `[[panel]]`.
#[derive(Debug, Clone)]
pub struct PanelSpec {
    /// Its heading; may be empty.
    pub title: String,
    /// What is on the horizontal axis: `dimension`, a sweep variable, an observable, or `size` (see `y`).
    pub x: String,
    /// The observable on the vertical axis; with `x = "size"` a family of them, `*` standing for the size of the attack.
    pub y: String,
    /// Whether the axes are logarithmic; where not said, they are if all values are above zero and span a factor of ten.
    pub logarithmic: [Option<bool>; 2],
    /// A law to compare with, a formula of `x`.
    pub guide: Option<Expression>,
    /// What the law is called.
    pub guide_label: String,
    /// Its dotted key, for error messages.
    pub path: String,
}

impl PanelSpec {
    /// Checks that the guide is a formula of `x`.
    pub fn check(&self, origin: &Origin) -> Result<(), SpecError> {
        let Some(guide) = &self.guide else { return Ok(()) };
        let Some(stray) = guide.names().iter().find(|name| *name != "x") else { return Ok(()) };
        let message = format!(
            "uses `{stray}`, which is not a variable here (variables: x){}",
            did_you_mean(stray, ["x", "PI", "E"])
        );
        Err(origin.error(&format!("{}.guide", self.path), guide.text(), message))
    }
}

const KEYS: &[&str] = &["title", "x", "y", "x_log", "y_log", "guide", "guide_label"];

pub(super) fn read_panels(
    reader: &Reader<'_>,
    origin: &Origin,
    ordinates: &[&str],
    sweep: &Sweep,
) -> Result<Vec<PanelSpec>, SpecError> {
    let abscissae: Vec<&str> =
        ["dimension"].into_iter().chain(sweep.names()).chain(ordinates.iter().copied()).collect();
    let tables = reader.tables("panel", "must be tables, [[panel]]")?;
    let panel = |(index, table): (usize, &Table)| {
        let path = format!("panel.{index}");
        let panel = Reader::new(table, origin, &path, KEYS)?;
        let known = |key: &str, known: &[&str]| {
            let name = panel.required_string(key)?;
            if known.contains(&name) {
                Ok(name.to_owned())
            } else {
                Err(panel.refuse(key, unknown("name", name, known)))
            }
        };
        let (x, y) = if panel.string("x")? == Some(SIZE) {
            let y = panel.required_string("y")?;
            if !ordinates.iter().any(|name| size_in(y, name).is_some()) {
                let allowed = "must be the name of observables with * for the size of an attack, where x is the size";
                return Err(panel.refuse("y", allowed));
            }
            (SIZE.to_owned(), y.to_owned())
        } else {
            (known("x", &abscissae)?, known("y", ordinates)?)
        };
        Ok(PanelSpec {
            title: panel.string("title")?.unwrap_or_default().into(),
            x,
            y,
            logarithmic: [panel.boolean("x_log")?, panel.boolean("y_log")?],
            guide: panel.expression("guide")?,
            guide_label: panel.string("guide_label")?.unwrap_or_default().into(),
            path: path.clone(),
        })
    };
    tables.into_iter().enumerate().map(panel).collect()
}

/// The panels of trained networks whose spec does not choose: what is measured against the first sweep variable.
pub(super) fn default_panels(ordinates: &[&str], sweep: &Sweep) -> Vec<PanelSpec> {
    let x = sweep.names().next().unwrap_or("dimension");
    let default = |y: &&str| PanelSpec {
        title: String::new(),
        x: x.into(),
        y: (*y).into(),
        logarithmic: [None; 2],
        guide: None,
        guide_label: String::new(),
        path: String::new(),
    };
    ordinates.iter().take(MOST_PANELS).map(default).collect()
}

/// The abscissa that is the size of an attack.
pub(in crate::experiment) const SIZE: &str = "size";

/// The size of the attack in an observable's name that a pattern, with `*` in the size's place, describes.
pub(in crate::experiment) fn size_in(pattern: &str, name: &str) -> Option<f64> {
    let (before, after) = pattern.split_once('*')?;
    name.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
}

/// Most panels where the spec does not choose.
const MOST_PANELS: usize = 6;
