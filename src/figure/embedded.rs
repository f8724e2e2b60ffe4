//! The letters of a scene as small fonts that a file can bring along, so that it looks the same wherever it is opened
//! and its text can still be selected.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use subsetter::GlyphRemapper;
use ttf_parser::{Face, RawFace, Tag};

use super::font;
use super::scene::{Scene, Shape};

/// The part of a face that a scene uses.
pub struct Subset {
    /// Whether it is the bold face.
    pub bold: bool,
    /// The face it was taken from.
    pub face: Face<'static>,
    /// Its glyphs by character, as numbered in the font below.
    pub glyphs: BTreeMap<char, u16>,
    /// The font, without a table of characters.
    pub font: Vec<u8>,
}

impl Subset {
    /// The faces that a scene uses, each with its letters; the error is a reason in words.
    pub fn of(scene: &Scene) -> Result<Vec<Subset>, String> {
        let used = |bold| {
            let mut characters: Vec<char> = scene
                .shapes
                .iter()
                .filter_map(|shape| if let Shape::Text(text) = shape { Some(text) } else { None })
                .flat_map(|text| font::letters(&text.content, text.size, text.bold).0)
                .filter(|letter| letter.bold == bold)
                .map(|letter| letter.character)
                .collect();
            characters.sort_unstable();
            characters.dedup();
            characters
        };
        let faces = [false, true].into_iter().map(|bold| (bold, used(bold)));
        faces.filter(|(_, characters)| !characters.is_empty()).map(|(bold, used)| Self::with(bold, &used)).collect()
    }

    fn with(bold: bool, characters: &[char]) -> Result<Self, String> {
        let file = font::file(bold);
        let face = Face::parse(file, 0).map_err(|error| error.to_string())?;
        let mut remapper = GlyphRemapper::new();
        // What the face lacks is its glyph 0, an empty box.
        let glyph = |&character: &char| (character, face.glyph_index(character).map_or(0, |glyph| glyph.0));
        let glyphs = characters.iter().map(glyph).map(|(character, glyph)| (character, remapper.remap(glyph)));
        let glyphs = glyphs.collect();
        let font = subsetter::subset(file, 0, &remapper).map_err(|error| error.to_string())?;
        Ok(Self { bold, face, glyphs, font })
    }

    /// How far the pen moves after a character, in ems.
    pub fn advance(&self, character: char) -> f64 {
        let glyph = self.face.glyph_index(character).unwrap_or_default();
        f64::from(self.face.glyph_hor_advance(glyph).unwrap_or(0)) / f64::from(self.face.units_per_em())
    }

    /// The font as WOFF 1.0, the form that browsers read: with a table of characters, and the metrics of the whole face.
    pub fn woff(&self) -> Result<Vec<u8>, String> {
        let raw = RawFace::parse(&self.font, 0).map_err(|error| error.to_string())?;
        let mut tables: BTreeMap<Tag, Vec<u8>> = raw
            .table_records
            .into_iter()
            .filter_map(|record| Some((record.tag, raw.table(record.tag)?.to_vec())))
            .collect();
        tables.insert(Tag::from_bytes(b"cmap"), character_map(&self.glyphs));
        let metrics = Tag::from_bytes(b"OS/2");
        if let Some(table) = self.face.raw_face().table(metrics) {
            tables.insert(metrics, table.to_vec());
        }
        woff(&tables)
    }
}

/// A `cmap` table of format 4, for Unicode's basic plane: one segment for each character.
fn character_map(glyphs: &BTreeMap<char, u16>) -> Vec<u8> {
    let basic = glyphs.iter().filter_map(|(&character, &glyph)| Some((u16::try_from(character).ok()?, glyph)));
    // The last segment has to end at 0xFFFF, and leads to glyph 0.
    let pairs: Vec<(u16, u16)> = basic.chain([(u16::MAX, 0)]).collect();
    let segments = pairs.len() as u16;
    let power = segments.ilog2() as u16;
    let length = 16 + 8 * segments;
    let header = [4, length, 0, 2 * segments, 2 << power, power, 2 * segments - (2 << power)];
    let codes = || pairs.iter().map(|&(code, _)| code);
    let deltas = pairs.iter().map(|&(code, glyph)| glyph.wrapping_sub(code));
    let offsets = pairs.iter().map(|_| 0);
    // One table, of platform 3 (Windows) and encoding 1 (basic plane), 12 bytes from here.
    let index: [u16; 6] = [0, 1, 3, 1, 0, 12];
    let words = index.into_iter().chain(header).chain(codes()).chain([0]).chain(codes()).chain(deltas).chain(offsets);
    words.flat_map(u16::to_be_bytes).collect()
}

/// Packs the tables of a font as WOFF 1.0 (W3C recommendation, sections 3 to 5).
fn woff(tables: &BTreeMap<Tag, Vec<u8>>) -> Result<Vec<u8>, String> {
    let count = tables.len();
    let padded = |length: usize| length.next_multiple_of(4);
    let (mut directory, mut data) = (Vec::new(), Vec::new());
    let start = 44 + 20 * count;
    for (tag, table) in tables {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        let packed = packed.write_all(table).and_then(|()| packed.finish()).map_err(|error| error.to_string())?;
        // A table that does not shrink is stored as it is, which equal lengths say.
        let stored = if packed.len() < table.len() { &packed } else { table };
        for word in [tag.0, (start + data.len()) as u32, stored.len() as u32, table.len() as u32, checksum(table)] {
            directory.extend(word.to_be_bytes());
        }
        data.extend_from_slice(stored);
        data.resize(padded(data.len()), 0);
    }
    let plain = 12 + 16 * count + tables.values().map(|table| padded(table.len())).sum::<usize>();
    let mut file = b"wOFF".to_vec();
    for word in [0x0001_0000, (start + data.len()) as u32, (count as u32) << 16, plain as u32] {
        file.extend(word.to_be_bytes());
    }
    // Version 0.0, no metadata, no private data.
    file.resize(44, 0);
    file.extend(directory);
    file.extend(data);
    Ok(file)
}

/// The sum of a table's words.
fn checksum(table: &[u8]) -> u32 {
    let word = |bytes: &[u8]| bytes.iter().zip([24, 16, 8, 0]).map(|(&byte, shift)| u32::from(byte) << shift).sum();
    table.chunks(4).map(word).fold(0, u32::wrapping_add)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::scene::Text;
    use super::super::theme;
    use super::*;

    fn subset(text: &str) -> Subset {
        let mut scene = Scene::default();
        scene.text(Text::new(text, (0.0, 0.0), 12.0, theme::TEXT));
        Subset::of(&scene).unwrap().remove(0)
    }

    #[test]
    fn only_the_letters_that_are_used_are_taken_and_they_keep_their_widths() {
        let subset = subset("‖∂ₓL‖₁ √d");
        assert_eq!(subset.glyphs.len(), 8);
        assert!(subset.font.len() < font::file(false).len() / 20, "{}", subset.font.len());
        let small = Face::parse(&subset.font, 0).unwrap();
        for (&character, &glyph) in &subset.glyphs {
            let em = f64::from(small.units_per_em());
            let advance = f64::from(small.glyph_hor_advance(ttf_parser::GlyphId(glyph)).unwrap()) / em;
            assert_eq!(advance, subset.advance(character), "{character}");
        }
    }

    #[test]
    fn a_font_for_browsers_finds_its_glyphs() {
        let subset = subset("‖∂ₓL‖₁ grows");
        let woff = subset.woff().unwrap();
        let word = |at: usize| u32::from_be_bytes(woff[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((&woff[..4], word(8)), (&b"wOFF"[..], woff.len()));
        // Unpacked again, it is a font that reads as it should.
        let count = word(12) >> 16;
        let (mut directory, mut data) = (Vec::new(), Vec::new());
        for entry in (0..count).map(|i| 44 + 20 * i) {
            let (offset, packed, length) = (word(entry + 4), word(entry + 8), word(entry + 12));
            let stored = &woff[offset..offset + packed];
            let mut table = Vec::new();
            if packed == length {
                table.extend_from_slice(stored);
            } else {
                flate2::read::ZlibDecoder::new(stored).read_to_end(&mut table).unwrap();
            }
            assert_eq!(table.len(), length);
            directory.extend_from_slice(&woff[entry..entry + 4]);
            for number in [checksum(&table) as usize, 12 + 16 * count + data.len(), length] {
                directory.extend((number as u32).to_be_bytes());
            }
            data.extend(table);
            data.resize(data.len().next_multiple_of(4), 0);
        }
        let mut file = 0x0001_0000u32.to_be_bytes().to_vec();
        file.extend((count as u16).to_be_bytes());
        file.extend([0; 6]);
        file.extend(directory);
        file.extend(data);
        assert_eq!(file.len(), word(16));
        let face = Face::parse(&file, 0).unwrap();
        for (&character, &glyph) in &subset.glyphs {
            assert_eq!(face.glyph_index(character).map(|glyph| glyph.0), Some(glyph), "{character}");
        }
        assert_eq!(face.glyph_index('Z'), None);
    }
}
