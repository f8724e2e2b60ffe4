//! A scene as a PDF document of one page: lines and areas as such, text as text in fonts that are embedded.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, LineJoinStyle, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use plotters::style::RGBAColor;

use super::embedded::Subset;
use super::font::{self, EM, Letter};
use super::scene::{Anchor, Scene, Shape, Text};

/// Share of a quarter circle's radius at which its Bézier curve has its handles.
const HANDLE: f64 = 0.552_284_75;

const SYSTEM: SystemInfo<'_> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// The scene as the bytes of a PDF; the error is a reason in words.
pub fn pdf(scene: &Scene) -> Result<Vec<u8>, String> {
    let subsets = Subset::of(scene)?;
    let points = 72.0 / f64::from(scene.unit.per_inch);
    let (width, height) = (f64::from(scene.size.0) * points, f64::from(scene.size.1) * points);
    let mut next = 0;
    let mut reference = || {
        next += 1;
        Ref::new(next)
    };
    let (catalog, pages, page, contents, info) = (reference(), reference(), reference(), reference(), reference());

    let mut painter = Painter { content: Content::new(), subsets: &subsets, opacities: Vec::new() };
    // From here on lengths are those of the scene, downwards.
    painter.content.transform([points, 0.0, 0.0, -points, 0.0, height].map(|number| number as f32));
    painter.content.set_line_join(LineJoinStyle::RoundJoin);
    scene.shapes.iter().for_each(|shape| painter.shape(shape));
    let Painter { content, opacities, .. } = painter;

    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages).kids([page]).count(1);
    let fonts: Vec<Ref> = subsets.iter().map(|_| reference()).collect();
    let mut sheet = pdf.page(page);
    sheet.media_box(Rect::new(0.0, 0.0, width as f32, height as f32)).parent(pages).contents(contents);
    let mut resources = sheet.resources();
    let mut named = resources.fonts();
    for (subset, &id) in subsets.iter().zip(&fonts) {
        named.pair(name_of(subset.bold), id);
    }
    named.finish();
    let mut states = resources.ext_g_states();
    for (i, opacity) in opacities.iter().enumerate() {
        let name = state_name(i);
        let mut state = states.insert(Name(name.as_bytes())).start::<pdf_writer::writers::ExtGraphicsState>();
        state.non_stroking_alpha(*opacity as f32).stroking_alpha(*opacity as f32);
    }
    states.finish();
    resources.finish();
    sheet.finish();
    pdf.stream(contents, &deflated(&content.finish())?).filter(Filter::FlateDecode);
    for (subset, id) in subsets.iter().zip(fonts) {
        embed(&mut pdf, subset, id, &mut reference)?;
    }
    // No date, so that equal figures are equal files.
    pdf.document_info(info)
        .title(TextStr(&scene.title))
        .subject(TextStr(&scene.note))
        .creator(TextStr(concat!("gradlaw ", env!("CARGO_PKG_VERSION"))));
    Ok(pdf.finish())
}

fn deflated(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(|error| error.to_string())
}

/// The name of a face within the page.
fn name_of(bold: bool) -> Name<'static> {
    if bold { Name(b"Bold") } else { Name(b"Regular") }
}

/// The name of the opacity with this index.
fn state_name(index: usize) -> String {
    format!("Opacity{index}")
}

/// Embeds a face as a font whose characters are its glyphs, with the text that they stand for.
fn embed(pdf: &mut Pdf, subset: &Subset, id: Ref, mut reference: impl FnMut() -> Ref) -> Result<(), String> {
    let (descendant, descriptor, map, data) = (reference(), reference(), reference(), reference());
    // Six letters in front of the name say that it is a part of a font.
    let base = if subset.bold { Name(b"GRADLB+DejaVuSans-Bold") } else { Name(b"GRADLR+DejaVuSans") };
    pdf.type0_font(id)
        .base_font(base)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(descendant)
        .to_unicode(map);

    let mut by_glyph: Vec<(u16, char)> = subset.glyphs.iter().map(|(&character, &glyph)| (glyph, character)).collect();
    by_glyph.sort_unstable();
    let mut font = pdf.cid_font(descendant);
    font.subtype(CidFontType::Type2).base_font(base).system_info(SYSTEM).font_descriptor(descriptor);
    font.default_width(0.0).cid_to_gid_map_predefined(Name(b"Identity"));
    let mut widths = font.widths();
    for &(glyph, character) in &by_glyph {
        widths.same(glyph, glyph, (1000.0 * subset.advance(character)) as f32);
    }
    widths.finish();
    font.finish();

    let face = &subset.face;
    let scaled = |length: i16| 1000.0 * f32::from(length) / f32::from(face.units_per_em());
    let bounds = face.global_bounding_box();
    pdf.font_descriptor(descriptor)
        .name(base)
        .flags(FontFlags::NON_SYMBOLIC)
        .bbox(Rect::new(scaled(bounds.x_min), scaled(bounds.y_min), scaled(bounds.x_max), scaled(bounds.y_max)))
        .italic_angle(0.0)
        .ascent(scaled(face.ascender()))
        .descent(scaled(face.descender()))
        .cap_height(scaled(face.capital_height().unwrap_or(face.ascender())))
        .stem_v(if subset.bold { 140.0 } else { 80.0 })
        .font_file2(data);

    let mut unicode = UnicodeCmap::<u16>::new(Name(b"Characters"), SYSTEM);
    by_glyph.iter().for_each(|&(glyph, character)| unicode.pair(glyph, character));
    pdf.cmap(map, &unicode.finish());
    pdf.stream(data, &deflated(&subset.font)?)
        .filter(Filter::FlateDecode)
        .pair(Name(b"Length1"), subset.font.len() as i32);
    Ok(())
}

/// Writes shapes as the operators of a page.
struct Painter<'a> {
    content: Content,
    subsets: &'a [Subset],
    /// The opacities that were used.
    opacities: Vec<f64>,
}

impl Painter<'_> {
    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Path(points, width, colour) => {
                self.colour(*colour);
                self.content.set_line_width(*width as f32);
                self.path(points);
                self.content.stroke();
            }
            Shape::Polygon(corners, colour) => {
                self.colour(*colour);
                self.path(corners);
                self.content.close_path().fill_nonzero();
            }
            Shape::Disc(centre, radius, colour) => {
                self.colour(*colour);
                self.circle(*centre, *radius);
                self.content.fill_nonzero();
            }
            Shape::Text(text) => self.text(text),
        }
    }

    /// Paints what follows in this colour.
    fn colour(&mut self, RGBAColor(r, g, b, opacity): RGBAColor) {
        let [r, g, b] = [r, g, b].map(|share| f32::from(share) / 255.0);
        self.content.set_stroke_rgb(r, g, b).set_fill_rgb(r, g, b);
        let known = self.opacities.iter().position(|known| *known == opacity);
        let index = known.unwrap_or_else(|| {
            self.opacities.push(opacity);
            self.opacities.len() - 1
        });
        self.content.set_parameters(Name(state_name(index).as_bytes()));
    }

    fn path(&mut self, points: &[(f64, f64)]) {
        for (i, &(x, y)) in points.iter().enumerate() {
            let (x, y) = (x as f32, y as f32);
            if i == 0 {
                self.content.move_to(x, y)
            } else {
                self.content.line_to(x, y)
            };
        }
    }

    /// A circle of four curves.
    fn circle(&mut self, (x, y): (f64, f64), radius: f64) {
        let at = |(dx, dy): (f64, f64)| ((x + radius * dx) as f32, (y + radius * dy) as f32);
        let start = at((1.0, 0.0));
        self.content.move_to(start.0, start.1);
        for (cos, sin) in [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)] {
            let (first, second) =
                (at((cos - HANDLE * sin, sin + HANDLE * cos)), at((HANDLE * cos - sin, HANDLE * sin + cos)));
            let end = at((-sin, cos));
            self.content.cubic_to(first.0, first.1, second.0, second.1, end.0, end.1);
        }
        self.content.close_path();
    }

    /// A line of text, a run of one face and level after the other.
    fn text(&mut self, text: &Text) {
        let (letters, width) = font::letters(&text.content, text.size, text.bold);
        let start = match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        };
        self.colour(text.colour);
        self.content.begin_text();
        for run in letters.chunk_by(|one, next| (one.bold, one.fall) == (next.bold, next.fall)) {
            let (x, y) = text.under(start + run[0].pen, run[0].fall);
            // Letters stand upright in a scene whose ordinates grow downwards.
            let matrix = if text.upwards { [0.0, -1.0, -1.0, 0.0, x, y] } else { [1.0, 0.0, 0.0, -1.0, x, y] };
            self.content.set_text_matrix(matrix.map(|number| number as f32));
            self.run(run, run[0].size * EM);
        }
        self.content.end_text();
    }

    /// Letters of one face and level, each where [`font::letters`] has put it.
    fn run(&mut self, run: &[Letter], em: f64) {
        let bold = run[0].bold;
        let Some(subset) = self.subsets.iter().find(|subset| subset.bold == bold) else { return };
        self.content.set_font(name_of(bold), em as f32);
        let mut shown = self.content.show_positioned();
        let mut items = shown.items();
        for (i, letter) in run.iter().enumerate() {
            let glyph = subset.glyphs.get(&letter.character).copied().unwrap_or(0);
            items.show(Str(&glyph.to_be_bytes()));
            if let Some(next) = run.get(i + 1) {
                // In thousandths of an em, to the left.
                items.adjust((1000.0 * (subset.advance(letter.character) - (next.pen - letter.pen) / em)) as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::Width;
    use super::super::theme;
    use super::*;

    #[test]
    fn a_page_has_the_size_of_its_width_and_brings_its_fonts() {
        let mut scene = Scene::on(Width::Column);
        scene.size = (340, 200);
        (scene.title, scene.note) = ("√d".into(), "seed 1".into());
        let text = Text::new("‖∂ₓL‖₁ ∝ √d", (20.0, 20.0), 12.0, theme::TEXT);
        scene.text(text.clone());
        scene.text(Text { bold: true, upwards: true, ..text });
        scene.disc((50.0, 50.0), 4.0, theme::faded(theme::GUIDE, 0.5));
        let bytes = pdf(&scene).unwrap();
        let has = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
        assert!(bytes.starts_with(b"%PDF-1."));
        // 3.4 inches of 72 points.
        assert!(has(b"/MediaBox [0 0 244.8 144]"));
        for words in ["DejaVuSans-Bold", "GRADLR+DejaVuSans", "/FontFile2", "/ToUnicode", "/ca 0.5", "(seed 1)"] {
            assert!(has(words.as_bytes()), "{words}");
        }
        // Two fonts of a few letters each.
        assert!(bytes.len() < 60_000, "{}", bytes.len());
        assert_eq!(bytes, pdf(&scene).unwrap());
    }
}
