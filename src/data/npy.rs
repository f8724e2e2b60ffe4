//! Samples, and their labels, read from NumPy `.npy` arrays.

use std::fmt;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;

use super::{DataError, SampleSet, open_file};
use crate::array::{Element, Layout, checked_product, read_npy_header, unravel};
use crate::network::Real;
use crate::short::short;

const EXPECTED: &str = "a NumPy .npy file";

/// Samples of a NumPy array, in single or double precision, without labels.
pub struct Npy<T = f32> {
    /// All samples one after the other, C order.
    values: Vec<T>,
    /// Shape of one sample.
    shape: Vec<usize>,
    /// Product of `shape`, at least 1.
    size: usize,
    /// Whether the array is one sample, without an axis for their number.
    alone: bool,
}

impl<T: Real> Npy<T> {
    /// Reads the `.npy` file at `path` as samples of shape `sample_shape`.
    ///
    /// The array holds numbers of any type that NumPy has (any byte order), in C or Fortran order. Its shape is
    /// `sample_shape` (one sample), `[N, sample_shape…]`, or `[N, d]` where d is the product of
    /// `sample_shape` and each row one sample in C order. Values are taken as they are, rounded to the
    /// nearest `T`; bytes are **not** divided by 255.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the file: it is missing, damaged or cut short, holds another type,
    /// has another shape (both are named) or no sample, or has a value that is not finite or
    /// beyond `T` (its index is named). Refuses a `sample_shape` whose product is 0 or overflows.
    pub fn open(path: &Path, sample_shape: &[usize]) -> Result<Self, DataError> {
        let size = checked_product(sample_shape).filter(|&size| size > 0);
        let size = size.ok_or_else(|| {
            DataError::new(
                path,
                format!(
                    "cannot be read as samples of shape {sample_shape:?}, which hold no values or too \
                     many to count; expected lengths of at least 1"
                ),
            )
        })?;
        let check = |layout: &Layout| check_shape(&layout.shape, sample_shape, size);
        let (values, found) = read(path, NUMBERS, check, finite)?;
        Ok(Self { values, shape: sample_shape.to_vec(), size, alone: found == sample_shape })
    }

    /// The samples of an array that a program holds, of this shape and in C order, by the same rules.
    ///
    /// # Errors
    /// In words: it has another shape or no sample, or a value that is not finite or beyond `T`.
    pub fn of_values(values: &[f64], shape: &[usize], sample_shape: &[usize]) -> Result<Self, String> {
        let size = checked_product(sample_shape).filter(|&size| size > 0);
        let size = size.ok_or_else(|| format!("samples of shape {sample_shape:?} hold no values"))?;
        check_shape(shape, sample_shape, size)?;
        let values = values.iter().enumerate();
        let values = values.map(|(at, &value)| finite(value, &|| unravel(at, shape))).collect::<Result<_, _>>()?;
        Ok(Self { values, shape: sample_shape.to_vec(), size, alone: shape == sample_shape })
    }
}

/// The types of numbers that NumPy has.
const NUMBERS: &[Element] = {
    use Element::{F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    &[F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64]
};

/// A value rounded to `T`, where that is finite.
fn finite<T: Real>(value: f64, index: &dyn Fn() -> Vec<usize>) -> Result<T, String> {
    let converted = T::from_f64(value);
    if converted.is_finite() {
        return Ok(converted);
    }
    let (index, name) = (index(), std::any::type_name::<T>());
    Err(format!("has the value {} at index {index:?}; expected finite values within {name}", short(value)))
}

impl<T> Npy<T> {
    /// Number of samples, at least 1.
    pub fn count(&self) -> usize {
        self.values.len() / self.size
    }

    /// Sample `index`, in C order.
    pub fn sample(&self, index: usize) -> &[T] {
        &self.values[index * self.size..][..self.size]
    }

    /// Whether the array is one sample, without an axis for their number.
    pub fn is_alone(&self) -> bool {
        self.alone
    }
}

/// Reads labels from the `.npy` file at `path`: whole numbers of any type in an array of shape `[N]`, or one alone.
///
/// # Errors
///
/// Says what is wrong with the file, or which value is below 0.
pub fn read_labels(path: &Path) -> Result<Vec<usize>, DataError> {
    use Element::{I8, I16, I32, I64, U8, U16, U32, U64};
    let check = |layout: &Layout| match layout.shape[..] {
        [] | [_] => Ok(()),
        _ => Err(format!("has shape {:?}; expected [N], one label for each of N samples", layout.shape)),
    };
    let convert = |value: f64, index: &dyn Fn() -> Vec<usize>| {
        let refused =
            || format!("has the value {} at index {:?}; expected labels of at least 0", short(value), index());
        // Whole numbers beyond 2⁵³ are rounded or saturate, and remain far above any label.
        if value >= 0.0 { Ok(value as usize) } else { Err(refused()) }
    };
    Ok(read(path, &[I8, I16, I32, I64, U8, U16, U32, U64], check, convert)?.0)
}

/// Reads an array of allowed elements whose layout passes a check: its values, each converted (or refused, given its
/// index), in C order, and its shape.
fn read<T>(
    path: &Path,
    allowed: &[Element],
    check: impl Fn(&Layout) -> Result<(), String>,
    convert: impl Fn(f64, &dyn Fn() -> Vec<usize>) -> Result<T, String>,
) -> Result<(Vec<T>, Vec<usize>), DataError> {
    let fail = |message: String| DataError::new(path, message);
    let failed = |error: io::Error| DataError::io(path, &error, EXPECTED);
    let (mut file, length) = open_file(path, EXPECTED)?;
    let (layout, header) = read_npy_header(&mut file).map_err(fail)?;
    check(&layout).map_err(fail)?;
    let numbers = layout.numbers(allowed, length.saturating_sub(header)).map_err(fail)?;
    file.seek(SeekFrom::Start(header)).map_err(failed)?;
    let data = numbers.read(&file).map_err(fail)?;
    let convert = |(at, value)| convert(value, &|| unravel(at, &layout.shape));
    let values = numbers.values(&data).enumerate().map(convert).collect::<Result<Vec<T>, String>>();
    Ok((values.map_err(fail)?, layout.shape))
}

impl SampleSet for Npy {
    fn len(&self) -> usize {
        self.count()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn label(&self, _index: usize) -> Option<usize> {
        None
    }

    fn copy_into(&self, index: usize, sample: &mut [f32]) {
        assert!(index < self.len(), "sample {index} of a set of {} samples", self.len());
        sample.copy_from_slice(self.sample(index));
    }
}

impl<T> fmt::Debug for Npy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Npy").field("count", &self.count()).field("shape", &self.shape).finish_non_exhaustive()
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Array1, Array2, Array4, ArrayD, Dimension, ShapeBuilder};
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
        let error = Npy::<f32>::open(&path, sample_shape).unwrap_err();
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
    fn double_precision_is_kept_where_it_is_asked_for() {
        let (_folder, path) = file_of(b"");
        write_npy(&path, &Array2::from_shape_fn((2, 3), |(n, i)| 0.1 + (n * 3 + i) as f64)).unwrap();
        let set = Npy::<f64>::open(&path, &[3]).unwrap();
        assert_eq!((set.count(), set.sample(1), set.is_alone()), (2, &[3.1, 4.1, 5.1][..], false));
        assert!(Npy::<f64>::open(&path, &[2, 3]).unwrap().is_alone());
        write_npy(&path, &Array1::from(vec![1e300])).unwrap();
        assert_eq!(Npy::<f64>::open(&path, &[1]).unwrap().sample(0), [1e300]);
        assert!(Npy::<f32>::open(&path, &[1]).unwrap_err().message.contains("within f32"));
    }

    #[test]
    fn labels_are_whole_numbers_of_any_type() {
        let (_folder, path) = file_of(b"");
        write_npy(&path, &Array1::from(vec![3i64, 0, 9])).unwrap();
        assert_eq!(read_labels(&path).unwrap(), [3, 0, 9]);
        write_npy(&path, &ndarray::arr0(7u8)).unwrap();
        assert_eq!(read_labels(&path).unwrap(), [7]);
        write_npy(&path, &Array1::from(vec![3i32, -1])).unwrap();
        assert!(read_labels(&path).unwrap_err().message.contains("-1 at index [1]"));
        write_npy(&path, &Array1::from(vec![3.0])).unwrap();
        assert!(read_labels(&path).unwrap_err().message.contains("type f64"));
        write_npy(&path, &Array2::from(vec![[3i32, 1]])).unwrap();
        assert!(read_labels(&path).unwrap_err().message.contains("[1, 2]; expected [N]"));
    }

    #[test]
    fn later_format_versions_are_read() {
        for major in [2, 3] {
            let (_folder, path) = file_of(&npy(major, &header("|u1", "(2, 1)"), &[3, 4]));
            let set = Npy::open(&path, &[1]).unwrap();
            assert_eq!((copy(&set, 0), copy(&set, 1)), (vec![3.0], vec![4.0]));
        }
    }

    /// NumPy reads all of these.
    #[test]
    fn headers_of_python_2_without_an_end_and_of_any_length_are_read() {
        let data: Vec<u8> = (0..15u8).flat_map(|value| f32::from(value).to_le_bytes()).collect();
        let python_2 = "{'descr': '<f4', 'fortran_order': False, 'shape': (5L, 3L), }";
        let unicode = "{u'descr': u'<f4', u'fortran_order': False, u'shape': (5L, 3), }";
        let lines = "{'descr': \"<f4\",\n 'fortran_order': False,\r\n 'shape': (5, 3)}";
        let long = format!("{}{}", header("<f4", "(5, 3)"), " ".repeat(20_000));
        let longest = format!("{}{}", header("<f4", "(5L, 3L)"), " ".repeat(usize::from(u16::MAX) - 75));
        for text in [python_2, unicode, lines, &long, &longest] {
            for major in 1..4 {
                let whole = npy(major, text, &data);
                let prefix = if major == 1 { 10 } else { 12 };
                // The same without the line break at the end of the header.
                let mut endless = whole.clone();
                endless.remove(prefix + text.len());
                let length = (text.len() as u32).to_le_bytes();
                endless.splice(8..prefix, length[..prefix - 8].iter().copied());
                for bytes in [whole, endless] {
                    let (_folder, path) = file_of(&bytes);
                    let set = Npy::open(&path, &[3]).unwrap();
                    assert_eq!((set.len(), copy(&set, 4)), (5, vec![12.0, 13.0, 14.0]), "version {major}: {text}");
                }
            }
        }
        // In strings nothing changes, and what is no number is none.
        refused(&npy(1, &header("<5L", "(5, 3)"), &data), &[3], "'<5L'");
        refused(&npy(1, &header("<f4", "(5LL, 3)"), &data), &[3], "damaged header");
        refused(&npy(1, &header("<f4", "(L, 3)"), &data), &[3], "damaged header");
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
        let error = open(&Array1::from(vec![true, false]), &[2]).unwrap_err();
        assert!(error.message.contains("expected f16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64"), "{error}");
        refused(&npy(1, &header("|O", "(2,)"), &[0; 16]), &[2], "'|O'");
    }

    #[test]
    fn whole_numbers_are_samples_too() {
        assert_eq!(open(&Array1::from(vec![-3i64, 2]), &[2]).unwrap().sample(0), [-3.0, 2.0]);
        assert_eq!(open(&Array1::from(vec![7u16]), &[1]).unwrap().sample(0), [7.0]);
    }

    #[test]
    fn values_of_a_program_are_samples_by_the_same_rules() {
        let samples = Npy::<f32>::of_values(&[1.0, 2.0, 3.0, 4.0], &[2, 2], &[2]).unwrap();
        assert_eq!((samples.count(), samples.sample(1), samples.is_alone()), (2, &[3.0, 4.0][..], false));
        assert!(Npy::<f32>::of_values(&[1.0, 2.0], &[2], &[2]).unwrap().is_alone());
        for (values, shape, part) in [(vec![1.0, 2.0, 3.0], vec![3], "[3]"), (vec![1.0, 1e39], vec![2], "at index [1]")]
        {
            let refused = Npy::<f32>::of_values(&values, &shape, &[2]).map(|_| ()).unwrap_err();
            assert!(refused.contains(part), "{refused}");
        }
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
            prop_assert!(Npy::<f32>::open(&path, &[3]).is_err());
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
            if let Ok(set) = Npy::<f32>::open(&path, &[3, 2, 2]) {
                prop_assert_eq!((set.len(), set.shape()), (2, &[3, 2, 2][..]));
            }
        }
    }
}
