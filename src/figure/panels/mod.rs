//! Figures of several panels in a grid: small multiples that share one key.

mod data;
mod description;
mod inset;
mod styles;

use super::layout::{Panel as Frame, Range};
use super::page::{Page, letter};
use super::scene::{Anchor, Rect, Scene, Text};
use super::ticks::Tick;
use super::{axes, font, headings, key, theme};

pub use description::{Panel, PanelCurve, PanelFigure, PanelPoint};

use axes::Side;
use key::Sample;
use styles::Styles;

/// Draws the figure, or nothing if there is not one value that can be drawn.
pub fn compose(figure: &PanelFigure, page: &Page) -> Option<Scene> {
    let grid = Grid::new(figure, page);
    if grid.cells.iter().all(|cell| cell.ranges.is_none()) {
        return None;
    }
    let mut scene = Scene::on(page.width);
    scene.title.clone_from(&figure.title);
    scene.note.clone_from(&figure.footnote);
    let width = 2.0 * theme::MARGIN + grid.width();
    let sheet = Rect { left: theme::MARGIN, top: theme::MARGIN, right: width - theme::MARGIN, bottom: f64::INFINITY };
    let top = headings::draw_titles(&mut scene, page, (&figure.title, &figure.subtitle), sheet);
    let top = draw_key(&mut scene, figure, &grid.styles, Rect { top: top + 2.0, ..sheet });
    let bottom = grid.draw(&mut scene, (sheet.left, top + 8.0));

    let lines = small_print(figure, page, sheet.width());
    let bottom = bottom + headings::small_print_height(lines.len());
    let height = (bottom + theme::MARGIN).ceil();
    scene.size = (page.width.units().unwrap_or(width.ceil() as u32), height as u32);
    headings::draw_small_print(&mut scene, lines, Rect { bottom: height - theme::MARGIN, ..sheet });
    Some(scene)
}

/// Draws the key, which names the series and the marks that are in the figure; returns where it ends.
fn draw_key(scene: &mut Scene, figure: &PanelFigure, styles: &Styles, row: Rect) -> f64 {
    let series: Vec<(Sample, String)> = figure
        .series
        .iter()
        .enumerate()
        .filter_map(|(i, name)| {
            let curves = figure.panels.iter().flat_map(|panel| panel.curves.iter().map(move |curve| (panel, curve)));
            let drawn = |(panel, curve): &(&Panel, &PanelCurve)| {
                curve.series == i && curve.points.iter().any(|point| data::has_place(panel, point))
            };
            let joined: Vec<bool> = curves.filter(drawn).map(|(_, curve)| curve.joined).collect();
            let sample = if joined.contains(&true) { Sample::JoinedMarker } else { Sample::Marker };
            (!joined.is_empty()).then(|| (sample(styles.of(i)), name.clone()))
        })
        .collect();
    let bars = figure.panels.iter().flat_map(data::drawn_points).any(|point| point.bar().is_some());
    let guides = figure.panels.iter().any(|panel| panel.guide.len() > 1);
    let bars = bars.then(|| (Sample::Bar, format!("bars {}", figure.bars)));
    let guides = guides.then(|| (Sample::Guide, "predicted law".to_owned()));
    let marks = bars.into_iter().chain(guides);
    let all: Vec<_> = series.iter().cloned().chain(marks.clone()).collect();
    if key::width(&all) <= row.width() {
        return key::draw_entries(scene, &all, row);
    }
    let end = key::draw_columns(scene, &series, row);
    key::draw_entries(scene, &marks.collect::<Vec<_>>(), Rect { top: end, ..row })
}

/// The footnote, and how many points are not drawn.
fn small_print(figure: &PanelFigure, page: &Page, width: f64) -> Vec<String> {
    let missing = figure.panels.iter().map(|panel| {
        let points = panel.curves.iter().map(|curve| curve.points.len()).sum::<usize>();
        points - data::drawn_points(panel).count()
    });
    let mut lines = headings::small_print(page, &figure.footnote, width);
    let note = match missing.sum() {
        0 => String::new(),
        1 => "1 point not drawn: zero or less on a logarithmic axis, or not finite.".to_owned(),
        many => format!("{many} points not drawn: zero or less on a logarithmic axis, or not finite."),
    };
    lines.extend(headings::small_print(page, &note, width));
    lines
}

/// Panels in rows and columns, with the sizes that they share.
struct Grid<'a> {
    cells: Vec<Cell<'a>>,
    columns: usize,
    /// Width of a cell.
    width: f64,
    /// Room left of the axes.
    margin: f64,
    /// Width and height within the axes.
    inside: (f64, f64),
    /// Most lines of a heading, and of the name of a horizontal axis.
    lines: (usize, usize),
    /// Of each series, which colour and marker it has.
    styles: Styles,
}

/// A panel with what stands around it.
struct Cell<'a> {
    panel: &'a Panel,
    letter: Option<String>,
    ranges: Option<(Range, Range)>,
    title: Vec<String>,
    side: Side,
    x_ticks: Vec<Tick>,
    x_name: Vec<String>,
}

impl<'a> Grid<'a> {
    fn new(figure: &'a PanelFigure, page: &Page) -> Self {
        let wanted = match figure.panels.len() {
            0 | 1 => 1,
            2 | 4 => 2,
            _ => 3,
        };
        let (columns, (width, height)) = match page.width.units() {
            None => (wanted, theme::GRID_PANELS[wanted - 1]),
            Some(units) => {
                let room = f64::from(units) - 2.0 * theme::MARGIN;
                let width = |columns: usize| (room + theme::GRID_GAPS.0) / columns as f64 - theme::GRID_GAPS.0;
                let columns = (1..=wanted).rev().find(|&columns| width(columns) >= theme::GIVEN_PANELS.0).unwrap_or(1);
                (columns, (width(columns), theme::GIVEN_PANELS.1 * width(columns)))
            }
        };
        // One panel needs no letter, and a figure that has one itself shows no others beneath it.
        let lettered = figure.panels.len() > 1 && page.letter.is_none();
        let letter_of = |i| lettered.then(|| letter(i));
        let panels = figure.panels.iter().enumerate();
        let mut cells: Vec<Cell> = panels.map(|(i, panel)| Cell::new(panel, letter_of(i), height)).collect();
        let margin = cells.iter().map(|cell| cell.side.width()).fold(0.0, f64::max);
        // The last number may reach beyond the end of its axis.
        let inside = (width - margin - theme::GRID_OVERHANG, height);
        cells.iter_mut().for_each(|cell| cell.fit(inside.0));
        let most = |count: fn(&Cell) -> usize| cells.iter().map(count).max().unwrap_or(0);
        let lines = (most(|cell| cell.title.len()), most(|cell| cell.x_name.len()));
        Grid { cells, columns, width, margin, inside, lines, styles: Styles::new(&figure.series) }
    }

    /// Width of all columns.
    fn width(&self) -> f64 {
        self.columns as f64 * (self.width + theme::GRID_GAPS.0) - theme::GRID_GAPS.0
    }

    /// Draws the panels from the upper left corner of the first; returns where they end.
    fn draw(&self, scene: &mut Scene, (left, top): (f64, f64)) -> f64 {
        let title = theme::PANEL_TITLE_SIZE * theme::LEADING * self.lines.0 as f64 + 5.0;
        let beneath = axes::numbers_height() + axes::x_name_height(self.lines.1);
        let row = title + self.inside.1 + beneath + theme::GRID_GAPS.1;
        for (i, cell) in self.cells.iter().enumerate() {
            let left = left + (i % self.columns) as f64 * (self.width + theme::GRID_GAPS.0);
            let axes_left = left + self.margin;
            let axes_top = top + (i / self.columns) as f64 * row + title;
            let (right, bottom) = (axes_left + self.inside.0, axes_top + self.inside.1);
            cell.draw(scene, Rect { left: axes_left, top: axes_top, right, bottom }, left, &self.styles);
        }
        top + self.cells.len().div_ceil(self.columns) as f64 * row - theme::GRID_GAPS.1
    }
}

impl<'a> Cell<'a> {
    /// A panel with axes of this height.
    fn new(panel: &'a Panel, letter: Option<String>, height: f64) -> Self {
        let ranges = data::ranges(panel);
        let side = match ranges {
            Some((_, y)) => Side::new(y, &panel.y.label, height),
            None => Side::bare(&panel.y.label, height),
        };
        Cell { panel, letter, ranges, title: Vec::new(), side, x_ticks: Vec::new(), x_name: Vec::new() }
    }

    /// Chooses the ticks and breaks the texts that are as wide as the axes.
    fn fit(&mut self, inside: f64) {
        let x = &self.panel.x;
        let words = [self.letter.as_deref().unwrap_or_default(), &self.panel.title];
        self.title = font::wrapped(words.join(" ").trim(), theme::PANEL_TITLE_SIZE, true, inside, 2);
        self.x_name = font::wrapped(&x.label, theme::AXIS_SIZE, false, inside, 2);
        if let Some((range, _)) = self.ranges {
            self.x_ticks = axes::horizontal_ticks(range, &x.marks, inside);
        }
    }

    /// Draws the panel with its axes at `rect`; `left` is the left edge of the name of the vertical one.
    fn draw(&self, scene: &mut Scene, rect: Rect, left: f64, styles: &Styles) {
        let (x, y) = self.ranges.unwrap_or((Range::UNIT, Range::UNIT));
        let frame = Frame { rect, x, y };
        axes::draw(scene, &frame, &self.x_ticks, &self.side, left);
        axes::draw_x_numbers(scene, &frame, &self.x_ticks);
        axes::draw_x_name(scene, &frame, &self.x_name);
        self.draw_title(scene, rect);
        if self.ranges.is_some() {
            let dodges = data::dodges(self.panel, &frame);
            data::draw(scene, self.panel, &frame, &dodges, styles);
            inset::draw(scene, self.panel, &frame, &dodges);
        } else {
            let at = ((rect.left + rect.right) / 2.0, (rect.top + rect.bottom) / 2.0);
            let text = Text::new("nothing to draw", at, theme::INSET_SIZE, theme::FAINT_TEXT);
            scene.text(text.anchored(Anchor::Middle));
        }
    }

    /// Draws the heading, the last line of which is closest to the axes.
    fn draw_title(&self, scene: &mut Scene, rect: Rect) {
        let size = theme::PANEL_TITLE_SIZE;
        for (i, line) in self.title.iter().rev().enumerate() {
            let baseline = rect.top - 8.0 - size * theme::LEADING * i as f64;
            let text = Text::new(line, (rect.left, baseline), size, theme::TEXT);
            scene.text(Text { bold: true, ..text });
        }
    }
}

#[cfg(test)]
mod tests;
