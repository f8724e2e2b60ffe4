//! Several figures on one sheet, in rows, each with its letter.

use super::page::{Page, Width, letter};
use super::points::DrawnPoint;
use super::scene::Scene;
use super::{Drawing, theme};

/// Figures side by side. One that has nothing to draw is left out.
pub struct Sheet(pub Vec<Box<dyn Drawing>>);

impl Sheet {
    /// How many figures stand side by side, and how wide each is.
    fn columns(&self, page: &Page) -> (usize, u32) {
        let wanted = (self.0.len() as f64).sqrt().ceil().max(1.0) as usize;
        match page.width.units() {
            None => (wanted.min(theme::SHEET_COLUMNS), theme::SHEET_CELL),
            Some(width) => {
                let columns = wanted.min((width / theme::LEAST_CELL) as usize).max(1);
                (columns, width / columns as u32)
            }
        }
    }
}

impl Drawing for Sheet {
    fn scene(&self, page: &Page) -> Option<Scene> {
        let (columns, width) = self.columns(page);
        let mut scenes = Vec::new();
        for drawing in &self.0 {
            let page = Page { width: Width::Pixels(width), titled: page.titled, letter: Some(letter(scenes.len())) };
            scenes.extend(drawing.scene(&page));
        }
        let mut sheet = Scene::on(page.width);
        let mut top = 0;
        for row in scenes.chunks(columns) {
            for (i, scene) in row.iter().enumerate() {
                let at = (f64::from(width * i as u32), f64::from(top));
                sheet.shapes.extend(scene.shapes.iter().map(|shape| shape.moved(at)));
            }
            top += row.iter().map(|scene| scene.size.1).max().unwrap_or(0);
        }
        let joined = |text: fn(&Scene) -> &str| scenes.iter().map(text).collect::<Vec<_>>().join("; ");
        sheet.title = joined(|scene| &scene.title);
        sheet.note = joined(|scene| &scene.note);
        sheet.size = (page.width.units().unwrap_or(width * columns.min(scenes.len()) as u32), top);
        (!scenes.is_empty()).then_some(sheet)
    }

    fn points(&self) -> Vec<DrawnPoint> {
        let drawn = self.0.iter().filter(|drawing| drawing.scene(&Page::default()).is_some());
        let lettered = drawn.enumerate().flat_map(|(i, drawing)| {
            let named =
                move |point: DrawnPoint| DrawnPoint { panel: format!("{} {}", letter(i), point.panel), ..point };
            drawing.points().into_iter().map(named)
        });
        lettered.map(|point| DrawnPoint { panel: point.panel.trim_end().into(), ..point }).collect()
    }
}
