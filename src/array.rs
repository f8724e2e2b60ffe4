//! Arrays of numbers in files: how their values lie there, and the header of NumPy's `.npy` format.
//!
//! A header is looked at before anything is reserved or read: a few damaged bytes there could otherwise ask for any amount
//! of memory.

use std::fmt;
use std::io::Read;

use half::{bf16, f16};
use ndarray_npy::npy::header::Header;

const EXPECTED: &str = "a NumPy .npy file";

/// Longest accepted header of a `.npy` file, in bytes: any of format version 1. NumPy writes 128 for the arrays that can be used
/// here, but other programs pad to the size of a page, or more.
const MAX_HEADER_BYTES: u64 = 10 + u16::MAX as u64;

/// Bytes before the length of the header is known, in every format version.
const PREFIX_BYTES: u64 = 12;

/// Most opening brackets accepted in a header: one for its dictionary, one for the shape, and a few so that a type that
/// cannot be read is still named.
const MAX_BRACKETS: usize = 8;

/// Types of numbers that can be read; each becomes a double exactly, but for whole numbers beyond 2⁵³.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    F16,
    Bf16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

impl Element {
    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }

    /// The number with these bits, which are the lowest ones.
    fn value(self, bits: u64) -> f64 {
        match self {
            Self::F16 => f16::from_bits(bits as u16).to_f64(),
            Self::Bf16 => bf16::from_bits(bits as u16).to_f64(),
            Self::F32 => f32::from_bits(bits as u32).into(),
            Self::F64 => f64::from_bits(bits),
            Self::I8 => (bits as i8).into(),
            Self::I16 => (bits as i16).into(),
            Self::I32 => (bits as i32).into(),
            Self::I64 => bits as i64 as f64,
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => bits as f64,
        }
    }

    /// From NumPy's name without the byte order, such as `f4`.
    fn of_numpy(name: &str) -> Option<Self> {
        Some(match name {
            "f2" => Self::F16,
            "f4" => Self::F32,
            "f8" => Self::F64,
            "i1" => Self::I8,
            "i2" => Self::I16,
            "i4" => Self::I32,
            "i8" => Self::I64,
            "u1" => Self::U8,
            "u2" => Self::U16,
            "u4" => Self::U32,
            "u8" => Self::U64,
            _ => return None,
        })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// What a file says of one of its arrays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Sizes, outermost first; none for a single number.
    pub shape: Vec<usize>,
    /// The type of its elements as the file names it.
    pub type_name: String,
    /// That type, where it can be read.
    pub element: Option<Element>,
    /// Whether the bytes of a number begin with the most significant one.
    pub big_endian: bool,
    /// Whether the first index runs fastest (Fortran order) instead of the last (C order).
    pub fortran: bool,
}

impl Layout {
    /// The array as numbers of one of the allowed types, for which the file has `length` bytes.
    ///
    /// # Errors
    /// Says that its type is another, or that its shape needs another number of bytes.
    pub fn numbers(&self, allowed: &[Element], length: u64) -> Result<Numbers<'_>, String> {
        let Some(element) = self.element.filter(|element| allowed.contains(element)) else {
            let allowed: Vec<String> = allowed.iter().map(Element::to_string).collect();
            return Err(format!("has elements of type {}; expected {}", self.type_name, allowed.join(", ")));
        };
        let promised = checked_product(&self.shape).and_then(|count| count.checked_mul(element.bytes()));
        match promised {
            Some(bytes) if bytes as u64 == length => Ok(Numbers { layout: self, element, bytes }),
            _ => {
                let promised = promised.map_or("more than can be counted".to_owned(), |bytes| bytes.to_string());
                Err(format!(
                    "has {length} bytes of data where its shape {:?} and element type {} need {promised}; it is cut short \
                     or damaged",
                    self.shape, self.type_name
                ))
            }
        }
    }
}

/// An array of numbers whose type and number of bytes were checked.
#[derive(Debug, Clone, Copy)]
pub struct Numbers<'a> {
    layout: &'a Layout,
    element: Element,
    bytes: usize,
}

impl<'a> Numbers<'a> {
    /// Reads the array's bytes.
    ///
    /// # Errors
    /// Reading fails, or ends before the array does.
    pub fn read(&self, reader: impl Read) -> Result<Vec<u8>, String> {
        let mut data = Vec::new();
        // To the end where there is one, so that a checksum that stands there is verified.
        let read = reader.take(self.bytes as u64 + 1).read_to_end(&mut data);
        read.map_err(|error| format!("cannot be read ({error})"))?;
        if data.len() < self.bytes {
            return Err(format!("ends after {} of its {} bytes", data.len(), self.bytes));
        }
        data.truncate(self.bytes);
        Ok(data)
    }

    /// The values in C order, from what [`read`](Self::read) gave.
    pub fn values(self, data: &'a [u8]) -> impl Iterator<Item = f64> + 'a {
        let size = self.element.bytes();
        (0..self.bytes / size).map(move |at| {
            let stored = &data[self.place(at) * size..][..size];
            let byte = |bits, byte: &u8| bits << 8 | u64::from(*byte);
            let bits =
                if self.layout.big_endian { stored.iter().fold(0, byte) } else { stored.iter().rev().fold(0, byte) };
            self.element.value(bits)
        })
    }

    /// Where the value at a position in C order is stored.
    fn place(&self, at: usize) -> usize {
        if !self.layout.fortran {
            return at;
        }
        let index = unravel(at, &self.layout.shape);
        index.iter().zip(&self.layout.shape).rev().fold(0, |place, (index, size)| place * size + index)
    }
}

/// Product of the lengths, or `None` on overflow; 1 for no axes.
pub fn checked_product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1, |product: usize, &size| product.checked_mul(size))
}

/// Index along each axis of the element at a position in C order, in an array without empty axes.
pub fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, &size) in index.iter_mut().zip(shape).rev() {
        *i = at % size;
        at /= size;
    }
    index
}

/// Reads the header of a `.npy` file from its start: the array's layout, and the header's length in bytes.
///
/// As NumPy does, it takes what Python 2 wrote (`5L`, `u'descr'`), a header without a line break at its end, and bytes beyond ASCII.
///
/// # Errors
/// Says what is wrong with the header. Reading may have gone past its end.
pub fn read_npy_header(mut reader: impl Read) -> Result<(Layout, u64), String> {
    let expected = |what: String| format!("{what}; expected {EXPECTED}");
    let mut start = Vec::new();
    let mut read_to = |length: u64, start: &mut Vec<u8>| {
        let more = reader.by_ref().take(length.saturating_sub(start.len() as u64)).read_to_end(start);
        more.map_err(|error| expected(format!("cannot be read ({error})")))
    };
    read_to(PREFIX_BYTES, &mut start)?;
    let [text_at, length] = header_place(&start).map_err(expected)?;
    read_to(length, &mut start)?;
    let text = start.get(text_at as usize..length as usize);
    let text = text.ok_or_else(|| expected("is cut short in its header".into()))?;
    let damaged = |error: String| expected(format!("has a damaged header ({error})"));
    // Version 3 is in UTF-8, the others in Latin-1.
    let text = match start[6] {
        3 => std::str::from_utf8(text).map_err(|error| damaged(error.to_string()))?.to_owned(),
        _ => text.iter().copied().map(char::from).collect(),
    };
    let brackets = text.chars().filter(|bracket| "([{".contains(*bracket)).count();
    if brackets > MAX_BRACKETS {
        let what = format!("has a header with {brackets} brackets where the dictionary and the shape need 2");
        return Err(expected(what));
    }
    let text = in_python_3(&text);
    let mut bytes = b"\x93NUMPY\x03\x00".to_vec();
    // At most four bytes for each one of a text that was short enough.
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    // The parser's error is a drawing of many lines.
    let header =
        Header::from_reader(&mut &bytes[..]).map_err(|_| damaged("not the dictionary that NumPy writes".into()))?;
    let descriptor = header.type_descriptor.as_string().map(String::as_str).unwrap_or_default();
    let element = descriptor.get(1..).and_then(Element::of_numpy);
    let layout = Layout {
        shape: header.shape,
        type_name: element.map_or_else(|| header.type_descriptor.to_string(), |element| element.to_string()),
        element: element.filter(|_| descriptor.starts_with(['<', '>', '|', '='])),
        big_endian: descriptor.starts_with('>'),
        fortran: header.layout.is_fortran(),
    };
    Ok((layout, length))
}

/// Where the header's text begins and ends, from the first bytes of a file: what it is, and how long it claims to be.
///
/// What is read and what the parser reserves is the length the header claims, and each bracket inside another can triple the parser's
/// work, so both are bounded.
fn header_place(start: &[u8]) -> Result<[u64; 2], String> {
    if !start.starts_with(b"\x93NUMPY") {
        return Err("does not start as a .npy file does".to_owned());
    }
    let [from, to] = match *start {
        [_, _, _, _, _, _, 1, _, a, b, ..] => [10, 10 + u64::from(u16::from_le_bytes([a, b]))],
        [_, _, _, _, _, _, 2 | 3, _, a, b, c, d, ..] => [12, 12 + u64::from(u32::from_le_bytes([a, b, c, d]))],
        [_, _, _, _, _, _, major @ (0 | 4..), ..] => {
            return Err(format!("has the unknown format version {major}"));
        }
        _ => return Err("is cut short in its header".to_owned()),
    };
    if to > MAX_HEADER_BYTES {
        return Err(format!("has a header of {to} bytes, more than the {MAX_HEADER_BYTES} accepted"));
    }
    Ok([from, to])
}

/// A header's text as Python 3 writes it, on one line that ends: outside of strings, whole numbers lose the `L` of Python 2,
/// strings their `u`, and line breaks become spaces.
fn in_python_3(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    let (mut quote, mut before) = (None, ' ');
    let mut characters = text.chars().peekable();
    while let Some(next) = characters.next() {
        let starts_string = matches!(characters.peek(), Some('\'' | '"')) && !before.is_alphanumeric();
        match (quote, next) {
            (Some(_), '\\') => {
                out.push(next);
                out.extend(characters.next());
            }
            (Some(open), _) => {
                out.push(next);
                quote = quote.filter(|_| next != open);
            }
            (None, '\n' | '\r') => out.push(' '),
            (None, 'L' | 'l') if before.is_ascii_digit() => {}
            (None, 'u' | 'U') if starts_string => {}
            (None, _) => {
                out.push(next);
                quote = matches!(next, '\'' | '"').then_some(next);
            }
        }
        before = next;
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, Dimension};
    use proptest::prelude::*;

    fn values(element: Element, big_endian: bool, fortran: bool, shape: &[usize], data: &[u8]) -> Vec<f64> {
        let layout = Layout {
            shape: shape.to_vec(),
            type_name: element.to_string(),
            element: Some(element),
            big_endian,
            fortran,
        };
        layout.numbers(&[element], data.len() as u64).unwrap().values(data).collect()
    }

    #[test]
    fn numbers_of_every_type_become_doubles() {
        assert_eq!(values(Element::F16, false, false, &[2], &[0x00, 0x3c, 0x01, 0x00]), [1.0, 2f64.powi(-24)]);
        assert_eq!(values(Element::Bf16, false, false, &[1], &[0x80, 0xbf]), [-1.0]);
        assert_eq!(values(Element::F32, true, false, &[1], &1.5f32.to_be_bytes()), [1.5]);
        assert_eq!(values(Element::F64, false, false, &[], &0.1f64.to_le_bytes()), [0.1]);
        assert_eq!(values(Element::I8, false, false, &[2], &[255, 3]), [-1.0, 3.0]);
        assert_eq!(values(Element::I16, true, false, &[1], &[0xff, 0xfe]), [-2.0]);
        assert_eq!(values(Element::I32, false, false, &[1], &(-7i32).to_le_bytes()), [-7.0]);
        assert_eq!(values(Element::I64, false, false, &[1], &(-7i64).to_le_bytes()), [-7.0]);
        assert_eq!(values(Element::U16, false, false, &[1], &[1, 1]), [257.0]);
    }

    #[test]
    fn values_come_in_c_order_whatever_the_order_of_the_file() {
        assert_eq!(values(Element::U8, false, true, &[2, 3], &[0, 3, 1, 4, 2, 5]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn types_and_lengths_are_checked() {
        let layout = Layout {
            shape: vec![usize::MAX, 2],
            type_name: "i64".into(),
            element: Some(Element::I64),
            big_endian: false,
            fortran: false,
        };
        let refused = layout.numbers(&[Element::F32, Element::F64], 8).unwrap_err();
        assert_eq!(refused, "has elements of type i64; expected f32, f64");
        assert!(layout.numbers(&[Element::I64], 8).unwrap_err().contains("more than can be counted"));
    }

    proptest! {
        #[test]
        fn positions_unravel_in_c_order(shape in prop::collection::vec(1usize..6, 0..5)) {
            let array = ArrayD::<u8>::zeros(shape.clone());
            for (at, (index, _)) in array.indexed_iter().enumerate() {
                prop_assert_eq!(unravel(at, &shape), index.slice());
            }
        }
    }
}
