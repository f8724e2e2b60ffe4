//! Samples read from a NumPy `.npy` array.
//!
//! The file's header is looked at before anything is reserved or read: a few damaged bytes there
//! could otherwise ask for any amount of memory.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use ndarray::ArrayD;
use ndarray_npy::{ReadNpyExt, ReadableElement, npy::header::Header};

use super::{DataError, SampleSet, open_file};

const EXPECTED: &str = "a NumPy .npy file";

/// Longest accepted header, in bytes; NumPy writes 128 for any array it can hold here.
const MAX_HEADER_BYTES: u64 = 4096;

/// Most opening brackets accepted in a header: one for its dictionary, one for the shape, and a few
/// so that a type that cannot be read is still named.
const MAX_BRACKETS: usize = 8;

/// Samples of a NumPy array, as `f32`, without labels.
pub struct Npy {
    /// All samples one after the other, C order.
    values: Vec<f32>,
    /// Shape of one sample.
    shape: Vec<usize>,
    /// Product of `shape`, at least 1.
    size: usize,
}

impl Npy {
    /// Reads the `.npy` file at `path` as samples of shape `sample_shape`.
    ///
    /// The array holds f32, f64 or u8 (any byte order), in C or Fortran order. Its shape is
    /// `sample_shape` (one sample), `[N, sample_shape…]`, or `[N, d]` where d is the product of
    /// `sample_shape` and each row one sample in C order. Values are taken as they are: f64 is
    /// rounded to the nearest f32, and u8 is **not** divided by 255.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the file: it is missing, damaged or cut short, holds another type,
    /// has another shape (both are named) or no sample, or has a value that is not finite or
    /// beyond f32 (its index is named). Refuses a `sample_shape` whose product is 0 or overflows.
    pub fn open(path: &Path, sample_shape: &[usize]) -> Result<Self, DataError> {
        let fail = |message: String| DataError::new(path, message);
        let failed = |error: io::Error| DataError::io(path, &error, EXPECTED);
        let size = checked_product(sample_shape).filter(|&size| size > 0);
        let size = size.ok_or_else(|| {
            fail(format!(
                "cannot be read as samples of shape {sample_shape:?}, which hold no values or too \
                 many to count; expected lengths of at least 1"
            ))
        })?;
        let (mut file, length) = open_file(path, EXPECTED)?;
        let (header, header_length) = read_header(&mut file).map_err(fail)?;
        check_shape(&header.shape, sample_shape, size).map_err(fail)?;
        let element = Element::of(&header).map_err(fail)?;
        check_length(&header, element, length.saturating_sub(header_length)).map_err(fail)?;
        file.rewind().map_err(failed)?;
        let values = match element {
            Element::F32 => read_values(file, |value: f32| value),
            Element::F64 => read_values(file, |value: f64| value as f32),
            Element::U8 => read_values(file, |value: u8| f32::from(value)),
        }
        .map_err(fail)?;
        Ok(Self { values, shape: sample_shape.to_vec(), size })
    }
}

impl SampleSet for Npy {
    fn len(&self) -> usize {
        self.values.len() / self.size
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn label(&self, _index: usize) -> Option<usize> {
        None
    }

    fn copy_into(&self, index: usize, sample: &mut [f32]) {
        assert!(index < self.len(), "sample {index} of a set of {} samples", self.len());
        sample.copy_from_slice(&self.values[index * self.size..][..self.size]);
    }
}

impl fmt::Debug for Npy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Npy").field("len", &self.len()).field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// The element types that can be read.
#[derive(Clone, Copy)]
enum Element {
    F32,
    F64,
    U8,
}

impl Element {
    fn of(header: &Header) -> Result<Self, String> {
        let found = &header.type_descriptor;
        match found.as_string().map(String::as_str) {
            Some("<f4" | ">f4") => Ok(Self::F32),
            Some("<f8" | ">f8") => Ok(Self::F64),
            Some("|u1") => Ok(Self::U8),
            _ => Err(format!("has elements of type {found}; expected f32 ('<f4'), f64 ('<f8') or u8 ('|u1')")),
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
            Self::U8 => 1,
        }
    }
}

/// Product of the lengths, or `None` on overflow; 1 for no axes.
fn checked_product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1, |product: usize, &n| product.checked_mul(n))
}

/// Reads the header, and its length in bytes, from the start of the file.
fn read_header(file: &mut File) -> Result<(Header, u64), String> {
    let mut start = Vec::new();
    file.take(MAX_HEADER_BYTES)
        .read_to_end(&mut start)
        .map_err(|error| format!("cannot be read ({error}); expected {EXPECTED}"))?;
    let mut bytes = header_bytes(&start).map_err(|what| format!("{what}; expected {EXPECTED}"))?;
    let length = bytes.len() as u64;
    let header = Header::from_reader(&mut bytes)
        .map_err(|error| format!("has a damaged header ({error}); expected {EXPECTED}"))?;
    Ok((header, length))
}

/// The part of `start` that is the header, once it is safe to hand to the parser.
///
/// The parser reserves the length the header claims, and each bracket inside another can triple its
/// work, so both are bounded here.
fn header_bytes(start: &[u8]) -> Result<&[u8], String> {
    if !start.starts_with(b"\x93NUMPY") {
        return Err("does not start as a .npy file does".to_owned());
    }
    let length = match *start {
        [_, _, _, _, _, _, 1, _, a, b, ..] => 10 + u64::from(u16::from_le_bytes([a, b])),
        [_, _, _, _, _, _, 2 | 3, _, a, b, c, d, ..] => 12 + u64::from(u32::from_le_bytes([a, b, c, d])),
        [_, _, _, _, _, _, major @ (0 | 4..), ..] => {
            return Err(format!("has the unknown format version {major}"));
        }
        _ => return Err("is cut short in its header".to_owned()),
    };
    if length > MAX_HEADER_BYTES {
        return Err(format!("has a header of {length} bytes, more than the {MAX_HEADER_BYTES} accepted"));
    }
    let header = start.get(..length as usize).ok_or("is cut short in its header")?;
    let brackets = header.iter().filter(|byte| b"([{".contains(byte)).count();
    if brackets > MAX_BRACKETS {
        return Err(format!("has a header with {brackets} brackets where the dictionary and the shape need 2"));
    }
    Ok(header)
}

/// Checks that an array of shape `found` is samples of shape `wanted`, `size` values each.
fn check_shape(found: &[usize], wanted: &[usize], size: usize) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    match found {
        [n, sample @ ..] if sample == wanted || sample == [size] => {
            if *n == 0 {
                return Err(format!("has shape {found:?}: no sample; expected at least one"));
            }
            Ok(())
        }
        _ => {
            let axes: String = wanted.iter().map(|length| format!(", {length}")).collect();
            let flat = if wanted.len() > 1 { format!(" or [N, {size}]") } else { String::new() };
            Err(format!("has shape {found:?}; expected {wanted:?} (one sample), [N{axes}]{flat}"))
        }
    }
}

/// Checks that `length` bytes of data are what the header promises.
fn check_length(header: &Header, element: Element, length: u64) -> Result<(), String> {
    let shape = &header.shape;
    let promised = checked_product(shape).and_then(|size| size.checked_mul(element.bytes()));
    if promised.is_some_and(|promised| promised as u64 == length) {
        return Ok(());
    }
    let promised = promised.map_or("more than can be counted".to_owned(), |n| n.to_string());
    Err(format!(
        "has {length} bytes of data where its shape {shape:?} and element type {} need {promised}; \
         it is cut short or damaged",
        header.type_descriptor
    ))
}

/// Reads the array and converts its values, in C order, refusing those that are not finite as f32.
fn read_values<A: ReadableElement + Copy + fmt::Display>(
    file: File,
    to_f32: impl Fn(A) -> f32,
) -> Result<Vec<f32>, String> {
    let array =
        ArrayD::<A>::read_npy(file).map_err(|error| format!("cannot be read ({error}); expected {EXPECTED}"))?;
    let mut values = Vec::with_capacity(array.len());
    for (at, &value) in array.iter().enumerate() {
        let converted = to_f32(value);
        if !converted.is_finite() {
            let index = unravel(at, array.shape());
            return Err(format!("has the value {value} at index {index:?}; expected finite values within f32"));
        }
        values.push(converted);
    }
    Ok(values)
}

/// Index along each axis of the element at C-order position `at` in an array without empty axes.
fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, &length) in index.iter_mut().zip(shape).rev() {
        *i = at % length;
        at /= length;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Array1, Array2, Array4, Dimension, ShapeBuilder};
    use ndarray_npy::{WritableElement, write_npy};
    use proptest::prelude::*;
    use std::fs;
    use std::path::PathBuf;
    use tempfile::TempDir;

    fn file_of(bytes: &[u8]) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.npy");
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn open<A: WritableElement, D: Dimension>(array: &Array<A, D>, sample_shape: &[usize]) -> Result<Npy, DataError> {
        let (_folder, path) = file_of(b"");
        write_npy(&path, array).unwrap();
        Npy::open(&path, sample_shape)
    }

    /// A file of format version `major` with that header text and these data.
    fn npy(major: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([major, 0]);
        let length = (header.len() as u32 + 1).to_le_bytes();
        bytes.extend(&length[..if major == 1 { 2 } else { 4 }]);
        bytes.extend(header.as_bytes());
        bytes.push(b'\n');
        bytes.extend(data);
        bytes
    }

    fn header(descr: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}")
    }

    /// Asserts that the file is refused, with `part` in the message.
    fn refused(bytes: &[u8], sample_shape: &[usize], part: &str) {
        let (_folder, path) = file_of(bytes);
        let error = Npy::open(&path, sample_shape).unwrap_err();
        assert_eq!(error.path, path);
        assert!(error.message.contains(part), "{part:?} not in {error}");
    }

    fn copy(set: &Npy, index: usize) -> Vec<f32> {
        let mut sample = vec![f32::NAN; set.shape().iter().product()];
        set.copy_into(index, &mut sample);
        sample
    }

    /// `[2, 3, 2, 2]`, each value its own C-order position.
    fn counted(fortran: bool) -> Array4<f32> {
        let shape = (2, 3, 2, 2).set_f(fortran);
        Array4::from_shape_fn(shape, |(n, c, h, w)| (12 * n + 4 * c + 2 * h + w) as f32)
    }

    #[test]
    fn samples_are_in_c_order_whatever_the_order_of_the_file() {
        for fortran in [false, true] {
            let set = open(&counted(fortran), &[3, 2, 2]).unwrap();
            assert_eq!((set.len(), set.shape()), (2, &[3, 2, 2][..]));
            assert_eq!(set.label(1), None);
            let expected: Vec<f32> = (12..24).map(|i| i as f32).collect();
            assert_eq!(copy(&set, 1), expected, "Fortran order: {fortran}");
        }
    }

    #[test]
    fn the_fortran_test_file_is_stored_in_another_order() {
        let (_folder, path) = file_of(b"");
        let mut files = [false, true].map(|fortran| {
            write_npy(&path, &counted(fortran)).unwrap();
            fs::read(&path).unwrap()
        });
        assert!(String::from_utf8_lossy(&files[1]).contains("'fortran_order': True"));
        let data = files.each_mut().map(|bytes| bytes.split_off(128));
        assert_ne!(data[0], data[1]);
    }

    #[test]
    fn one_sample_may_come_without_the_first_axis() {
        let set = open(&counted(true), &[2, 3, 2, 2]).unwrap();
        assert_eq!(set.len(), 1);
        assert_eq!(copy(&set, 0)[13], 13.0);
        let set = open(&Array1::from_elem(5, 2.5f64), &[]).unwrap();
        assert_eq!((set.len(), copy(&set, 4)), (5, vec![2.5]));
    }

    #[test]
    fn rows_may_be_flat_samples() {
        for fortran in [false, true] {
            let shape = (3, 12).set_f(fortran);
            let rows = Array2::from_shape_fn(shape, |(n, i)| (100 * n + i) as f64);
            let set = open(&rows, &[3, 2, 2]).unwrap();
            assert_eq!((set.len(), set.shape()), (3, &[3, 2, 2][..]));
            assert_eq!(copy(&set, 2)[..3], [200.0, 201.0, 202.0]);
        }
    }

    #[test]
    fn every_element_type_is_read_as_is() {
        let set = open(&Array1::from(vec![0u8, 128, 255]), &[3]).unwrap();
        assert_eq!(copy(&set, 0), [0.0, 128.0, 255.0]);
        let set = open(&Array1::from(vec![0.1f64, -1e-300, 3e38]), &[3]).unwrap();
        assert_eq!(copy(&set, 0), [0.1, 0.0, 3e38]);
        let data: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_be_bytes()).collect();
        let (_folder, path) = file_of(&npy(1, &header(">f4", "(2,)"), &data));
        assert_eq!(copy(&Npy::open(&path, &[2]).unwrap(), 0), [1.5, -2.0]);
    }

    #[test]
    fn later_format_versions_are_read() {
        for major in [2, 3] {
            let (_folder, path) = file_of(&npy(major, &header("|u1", "(2, 1)"), &[3, 4]));
            let set = Npy::open(&path, &[1]).unwrap();
            assert_eq!((copy(&set, 0), copy(&set, 1)), (vec![3.0], vec![4.0]));
        }
    }

    #[test]
    fn another_shape_is_refused_naming_both() {
        for (shape, sample) in [
            (vec![2, 3, 2, 2], vec![3, 4, 4]),
            (vec![2, 11], vec![3, 4]),
            (vec![12], vec![3, 4]),
            (vec![1, 2, 3, 4], vec![3, 4]),
            (vec![4, 3], vec![3, 4]),
            (vec![], vec![3, 4]),
        ] {
            let error = open(&ArrayD::<f32>::zeros(shape.clone()), &sample).unwrap_err();
            for part in [&shape, &sample].map(|shape| format!("{shape:?}")) {
                assert!(error.message.contains(&part), "{part} not in {error}");
            }
        }
        let error = open(&ArrayD::<f32>::zeros(vec![5]), &[3, 4]).unwrap_err();
        let all = "has shape [5]; expected [3, 4] (one sample), [N, 3, 4] or [N, 12]";
        assert_eq!(error.message, all);
    }

    #[test]
    fn an_array_without_samples_is_refused() {
        let error = open(&ArrayD::<f32>::zeros(vec![0, 3]), &[3]).unwrap_err();
        assert!(error.message.contains("no sample"), "{error}");
        for shape in [&[3, 0][..], &[usize::MAX, 2], &[usize::MAX, 2, 0]] {
            let error = open(&ArrayD::<f32>::zeros(vec![1]), shape).unwrap_err();
            assert!(error.message.contains(&format!("{shape:?}")), "{error}");
        }
    }

    #[test]
    fn values_that_are_not_finite_are_refused_with_their_index() {
        for (value, fortran) in [(f32::NAN, false), (f32::INFINITY, true)] {
            let mut array = counted(fortran);
            array[[1, 2, 0, 1]] = value;
            let error = open(&array, &[3, 2, 2]).unwrap_err();
            let part = format!("{value} at index [1, 2, 0, 1]");
            assert!(error.message.contains(&part), "{error}");
        }
        let error = open(&Array1::from(vec![0.0, -1e39f64]), &[2]).unwrap_err();
        assert!(error.message.contains("at index [1]"), "{error}");
    }

    #[test]
    fn other_types_are_refused_by_name() {
        let error = open(&Array1::from(vec![1i64, 2]), &[2]).unwrap_err();
        assert!(error.message.contains("'<i8'"), "{error}");
        refused(&npy(1, &header("|O", "(2,)"), &[0; 16]), &[2], "'|O'");
    }

    #[test]
    fn damaged_files_are_refused() {
        let sound = header("<f4", "(3,)");
        let (text, data) = (sound.as_str(), [0; 12]);
        refused(b"", &[3], "does not start");
        refused(b"PK\x03\x04", &[3], "does not start");
        refused(b"\x93NUMPY\x01", &[3], "cut short in its header");
        refused(&npy(1, text, &data)[..40], &[3], "cut short in its header");
        refused(&npy(4, text, &data), &[3], "version 4");
        refused(&npy(1, text, &data[1..]), &[3], "11 bytes of data");
        refused(&npy(1, text, &[0; 13]), &[3], "13 bytes of data");
        refused(&npy(1, &text.replace("descr", "type"), &data), &[3], "damaged header");
        refused(&npy(1, &text.replace("(3,)", "3"), &data), &[3], "damaged header");
    }

    #[test]
    fn headers_claiming_absurd_sizes_are_refused() {
        let huge = header("<f8", "(1152921504606846976, 3)");
        refused(&npy(1, &huge, &[0; 24]), &[3], "cut short or damaged");
        let terabytes = header("<f8", "(1099511627776, 3)");
        refused(&npy(1, &terabytes, &[0; 24]), &[3], "need 26388279066624");
        let mut long = npy(2, &header("<f4", "(3,)"), &[0; 12]);
        long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        refused(&long, &[3], "header of 4294967307 bytes");
        refused(&npy(1, &"(".repeat(4000), &[]), &[3], "4000 brackets");
        refused(&npy(1, &"{".repeat(8), &[]), &[3], "damaged header");
    }

    proptest! {
        #[test]
        fn no_file_content_panics(
            header in "[({\\[\\])}'a-zNU\\\\0-9.+:, <|-]{0,60}", major in 1u8..4,
        ) {
            let (_folder, path) = file_of(&npy(major, &header, &[0; 12]));
            prop_assert!(Npy::open(&path, &[3]).is_err());
        }

        #[test]
        fn no_damage_panics_or_changes_the_shape(
            changes in prop::collection::vec((6usize..128, any::<u8>()), 1..4), kept in 0usize..200,
        ) {
            let (_folder, path) = file_of(b"");
            write_npy(&path, &counted(false)).unwrap();
            let mut bytes = fs::read(&path).unwrap();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            bytes.truncate(kept.max(100));
            fs::write(&path, &bytes).unwrap();
            if let Ok(set) = Npy::open(&path, &[3, 2, 2]) {
                prop_assert_eq!((set.len(), set.shape()), (2, &[3, 2, 2][..]));
            }
        }

        #[test]
        fn positions_unravel_in_c_order(shape in prop::collection::vec(1usize..6, 0..5)) {
            let array = ArrayD::<u8>::zeros(shape.clone());
            for (at, (index, _)) in array.indexed_iter().enumerate() {
                prop_assert_eq!(unravel(at, &shape), index.slice());
            }
        }
    }
}
