//! Reads from a TrueType file the two things plotters keeps to itself: whether
//! the font has a character, and how far right of the pen its ink begins.
//! plotters' bitmaps leave that distance out, which makes letters of one word
//! touch and others drift apart.

/// Ink of the character, as a distance right of the pen in units of the line
/// height; nothing if the font lacks the character.
pub fn bearing(font: &[u8], character: char) -> Option<f64> {
    let glyph = glyph_index(table(font, b"cmap")?, u32::from(character))?;
    let header = table(font, b"hhea")?;
    let line_height = f64::from(signed(header, 4)?) - f64::from(signed(header, 6)?);
    let full_entries = usize::from(short(header, 34)?);
    // The first glyphs have an advance and a bearing, the rest a bearing only.
    let offset = if glyph < full_entries { 4 * glyph + 2 } else { 4 * full_entries + 2 * (glyph - full_entries) };
    let bearing = signed(table(font, b"hmtx")?, offset)?;
    Some(f64::from(bearing) / line_height)
}

/// The table of this name.
fn table<'a>(font: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let count = usize::from(short(font, 4)?);
    let entry = font.get(12..12 + 16 * count)?;
    let entry = entry.chunks_exact(16).find(|entry| entry.starts_with(name))?;
    let (start, length) = (long(entry, 8)? as usize, long(entry, 12)? as usize);
    font.get(start..start.checked_add(length)?)
}

/// Index of the glyph of a code point, from the subtable that covers all
/// planes; zero, the glyph for what is missing, counts as none.
fn glyph_index(cmap: &[u8], code: u32) -> Option<usize> {
    let count = usize::from(short(cmap, 2)?);
    let subtable = (0..count)
        .filter_map(|i| cmap.get(long(cmap, 4 + 8 * i + 4)? as usize..))
        .find(|subtable| short(subtable, 0) == Some(12))?;
    let groups = long(subtable, 12)? as usize;
    let group = subtable
        .get(16..)?
        .chunks_exact(12)
        .take(groups)
        .find(|group| long(group, 4).is_some_and(|last| code <= last))?;
    let (first, glyph) = (long(group, 0)?, long(group, 8)?);
    let glyph = glyph + code.checked_sub(first)?;
    (glyph != 0).then_some(glyph as usize)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

fn signed(bytes: &[u8], at: usize) -> Option<i16> {
    short(bytes, at).map(u16::cast_signed)
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let high = u32::from(short(bytes, at)?);
    Some(high << 16 | u32::from(short(bytes, at + 2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearings_are_those_of_the_font() {
        let font = dejavu::sans::regular();
        // 201 of 2048 units per em, with lines of 1901 + 483 units.
        assert_eq!(bearing(font, 'L'), Some(201.0 / 2384.0));
        assert!(bearing(font, '‖') > bearing(font, 'A'));
    }

    #[test]
    fn missing_characters_and_damaged_files_have_none() {
        assert_eq!(bearing(dejavu::sans::regular(), '\u{10FFFD}'), None);
        assert_eq!(bearing(&dejavu::sans::regular()[..100], 'L'), None);
        assert_eq!(bearing(&[], 'L'), None);
    }
}
