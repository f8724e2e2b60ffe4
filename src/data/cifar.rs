//! The CIFAR-10 binary version, read from its folder, straight from its `.tar.gz` archive, or from one of its files.
//!
//! Each batch file is a sequence of records of 3073 bytes: one label byte 0 to 9, then 3072 pixel
//! bytes, channel by channel (red, green, blue), each channel 32 rows of 32 pixels. The bytes are
//! kept as they are, a quarter of the memory of `f32`, and divided by 255 when a sample is copied.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry};

use super::{DataError, SampleSet, Split, copy_bytes, open_file, read_all};

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;
const RECORD: usize = 1 + PIXELS;
const CLASSES: u8 = 10;

/// Largest accepted batch, ten times a real one; larger ones are refused before they are read.
const MAX_BATCH_BYTES: u64 = 100_000 * RECORD as u64;

/// Most bytes accepted from one archive, about twelve times the real one: a small file can unpack to
/// more than any memory holds.
const MAX_UNPACKED_BYTES: u64 = 2 << 30;

const TEST_BATCH: &str = "test_batch.bin";

const EXPECTED: &str = "a folder of CIFAR-10 binary batches, a .tar.gz or .tgz archive of them, or one of them, \
                        data_batch_1.bin … or test_batch.bin";

const LAYOUT: &str = "expected data_batch_1.bin, data_batch_2.bin, … or test_batch.bin, as in the \
                      folder cifar-10-batches-bin of the CIFAR-10 binary version (not the Python \
                      or the Matlab one)";

/// CIFAR-10 images `[3, 32, 32]` (channel, row, column), values byte/255 in \[0, 1\], with labels
/// 0 to 9.
pub struct Cifar10 {
    /// File names of the batches.
    names: Vec<String>,
    /// Records of each batch.
    records: Vec<Vec<u8>>,
    /// Index of the first sample of each batch; the first is 0.
    starts: Vec<usize>,
    len: usize,
}

impl Cifar10 {
    /// Reads the training batches at `path`: a folder of `.bin` files, a `.tar.gz` or `.tgz`
    /// archive holding them at any depth, or one of them alone.
    ///
    /// Every `data_batch_*.bin` present is read and the samples follow each other in the order of
    /// the file names; `test_batch.bin` is read only where there is no training batch.
    ///
    /// # Errors
    ///
    /// Says what is wrong and with which file: a path that is missing or of another kind, no batch
    /// found, a batch that is empty, of a size other than a multiple of 3073 bytes or of more than
    /// 100 000 records, a label above 9, an archive that is damaged, cut short, holds a batch twice
    /// or unpacks to more than 2 GiB.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Self::open_kind(path, None)
    }

    /// Reads one part of the set at `path`, which is as in [`open`](Self::open): every
    /// `data_batch_*.bin` present for training, or `test_batch.bin`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and where that part is not there.
    pub fn open_split(path: &Path, split: Split) -> Result<Self, DataError> {
        Self::open_kind(path, Some(split))
    }

    /// Reads one part of the set, or any: the training batches if there are some, else the test batch.
    fn open_kind(path: &Path, split: Option<Split>) -> Result<Self, DataError> {
        let metadata = path.metadata().map_err(|error| DataError::io(path, &error, EXPECTED))?;
        let (mut batches, holder) = if metadata.is_dir() {
            (read_folder(path, split)?, path)
        } else if is_archive_name(path) {
            (read_archive(path, split, MAX_UNPACKED_BYTES)?, path)
        } else if let Some(name) = batch_file_name(path) {
            let holder = path.parent().unwrap_or(Path::new(""));
            (vec![read_alone(holder, name, split)?], holder)
        } else {
            let message = format!("is neither a folder nor named as an archive or a batch; expected {EXPECTED}");
            return Err(DataError::new(path, message));
        };
        batches.sort_by(|a, b| a.name.cmp(&b.name));
        for batch in &batches {
            check_labels(&batch.records).map_err(|m| DataError::new(&holder.join(&batch.name), m))?;
        }
        Ok(Self::from_batches(batches))
    }

    /// Whether `path` is named as one batch, of whichever part.
    pub fn is_batch(path: &Path) -> bool {
        batch_file_name(path).is_some()
    }

    /// The part that the samples are of.
    pub fn split(&self) -> Split {
        if self.names.iter().any(|name| is_test(name)) { Split::Test } else { Split::Training }
    }

    /// File names of the batches read, in the order of their samples.
    pub fn batches(&self) -> &[String] {
        &self.names
    }

    fn from_batches(batches: Vec<Batch>) -> Self {
        let mut set = Self { names: Vec::new(), records: Vec::new(), starts: Vec::new(), len: 0 };
        for batch in batches {
            set.starts.push(set.len);
            set.len += batch.records.len() / RECORD;
            set.names.push(batch.name);
            set.records.push(batch.records);
        }
        set
    }

    /// The label byte and the pixels of sample `index`.
    fn record(&self, index: usize) -> &[u8] {
        assert!(index < self.len, "sample {index} of a set of {} samples", self.len);
        // The first start is 0, so at least one start is not above `index`.
        let batch = self.starts.partition_point(|&start| start <= index) - 1;
        &self.records[batch][(index - self.starts[batch]) * RECORD..][..RECORD]
    }
}

impl SampleSet for Cifar10 {
    fn len(&self) -> usize {
        self.len
    }

    fn shape(&self) -> &[usize] {
        &SHAPE
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(usize::from(self.record(index)[0]))
    }

    fn copy_into(&self, index: usize, sample: &mut [f32]) {
        assert_eq!(sample.len(), PIXELS, "room for one sample of shape {SHAPE:?}");
        copy_bytes(&self.record(index)[1..], sample);
    }
}

impl fmt::Debug for Cifar10 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cifar10").field("batches", &self.names).field("len", &self.len).finish_non_exhaustive()
    }
}

/// One batch file as read: a whole number of records, their labels not checked yet.
struct Batch {
    name: String,
    records: Vec<u8>,
}

fn is_training(name: &str) -> bool {
    name.starts_with("data_batch_") && name.ends_with(".bin")
}

fn is_test(name: &str) -> bool {
    name == TEST_BATCH
}

/// Tells, by their names, the batches of one part from all others.
type Wanted = fn(&str) -> bool;

/// The batches to look for, in turn, until some are found.
fn kinds(split: Option<Split>) -> &'static [Wanted] {
    match split {
        None => &[is_training, is_test],
        Some(Split::Training) => &[is_training],
        Some(Split::Test) => &[is_test],
    }
}

/// The error of a `holder`, a folder or an archive, where no wanted batch is found.
fn no_batch(path: &Path, holder: &str, split: Option<Split>) -> DataError {
    let kind = split.map(|split| format!("{split} ")).unwrap_or_default();
    DataError::new(path, format!("this {holder} holds no {kind}batch; {LAYOUT}"))
}

/// The name of a file that is named as a batch.
fn batch_file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str().filter(|name| is_training(name) || is_test(name))
}

/// Reads a batch alone, which must be of the part that is asked for.
fn read_alone(folder: &Path, name: &str, split: Option<Split>) -> Result<Batch, DataError> {
    if let Some(split) = split.filter(|&split| !kinds(Some(split)).iter().any(|wanted| wanted(name))) {
        return Err(DataError::new(&folder.join(name), format!("is not a {split} batch")));
    }
    read_batch_file(folder, name.to_owned())
}

fn is_archive_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_lowercase();
    name.ends_with(".tar.gz") || name.ends_with(".tgz")
}

fn read_folder(folder: &Path, split: Option<Split>) -> Result<Vec<Batch>, DataError> {
    let failed = |error: io::Error| DataError::io(folder, &error, EXPECTED);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        // A name that is not Unicode is none of the names looked for.
        if let Ok(name) = entry.map_err(failed)?.file_name().into_string() {
            names.push(name);
        }
    }
    let wanted = kinds(split).iter().find(|wanted| names.iter().any(|name| wanted(name)));
    let wanted = wanted.ok_or_else(|| no_batch(folder, "folder", split))?;
    names.retain(|name| wanted(name));
    names.into_iter().map(|name| read_batch_file(folder, name)).collect()
}

fn read_batch_file(folder: &Path, name: String) -> Result<Batch, DataError> {
    let path = folder.join(&name);
    let expected = "a CIFAR-10 batch";
    let (file, size) = open_file(&path, expected)?;
    let failed = |error: &io::Error| DataError::io(&path, error, expected);
    let records = read_records(&path, file, size, failed)?;
    Ok(Batch { name, records })
}

/// Reads the batch of `size` bytes at `place`; `failed` makes the error of a failure to read.
fn read_records(
    place: &Path,
    reader: impl Read,
    size: u64,
    failed: impl FnOnce(&io::Error) -> DataError,
) -> Result<Vec<u8>, DataError> {
    check_size(size).map_err(|message| DataError::new(place, message))?;
    read_all(place, reader, size, failed)
}

/// A batch is one record or more, up to the largest accepted size.
fn check_size(size: u64) -> Result<(), String> {
    let record = RECORD as u64;
    if size == 0 {
        return Err(format!("is empty; expected records of {record} bytes"));
    }
    if size > MAX_BATCH_BYTES {
        return Err(format!("has {size} bytes, more than the {MAX_BATCH_BYTES} accepted for one batch"));
    }
    if !size.is_multiple_of(record) {
        return Err(format!(
            "has {size} bytes, which is not a multiple of {record}, the size of one record (a \
             label byte and 3·32·32 pixels); it is cut short or not a CIFAR-10 batch"
        ));
    }
    Ok(())
}

fn check_labels(records: &[u8]) -> Result<(), String> {
    let labels = records.iter().step_by(RECORD);
    match labels.clone().position(|&label| label >= CLASSES) {
        None => Ok(()),
        Some(at) => Err(format!(
            "record {} of {} (counting from 1) has label {}; labels are 0 to 9",
            at + 1,
            labels.len(),
            records[at * RECORD]
        )),
    }
}

fn read_archive(path: &Path, split: Option<Split>, limit: u64) -> Result<Vec<Batch>, DataError> {
    for &wanted in kinds(split) {
        let batches = unpack(path, wanted, limit)?;
        if !batches.is_empty() {
            return Ok(batches);
        }
    }
    Err(no_batch(path, "archive", split))
}

/// Reads the `wanted` members of the archive, and the whole archive to verify its checksum.
fn unpack(path: &Path, wanted: Wanted, limit: u64) -> Result<Vec<Batch>, DataError> {
    let (file, size) = open_file(path, EXPECTED)?;
    if size == 0 {
        let message = format!("is empty; expected {EXPECTED}");
        return Err(DataError::new(path, message));
    }
    let mut stream = MultiGzDecoder::new(BufReader::new(file)).take(limit.saturating_add(1));
    let batches = read_members(path, &mut stream, wanted).and_then(|batches| {
        io::copy(&mut stream, &mut io::sink()).map_err(|error| damaged(path, &error))?;
        Ok(batches)
    });
    // Looked at before any error: a stream stopped by the limit looks cut short.
    if stream.limit() == 0 {
        let message = format!("unpacks to more than {limit} bytes, the most accepted");
        return Err(DataError::new(path, message));
    }
    batches
}

fn read_members(path: &Path, stream: impl Read, wanted: Wanted) -> Result<Vec<Batch>, DataError> {
    let mut archive = Archive::new(stream);
    let mut batches: Vec<Batch> = Vec::new();
    for entry in archive.entries().map_err(|error| damaged(path, &error))? {
        let entry = entry.map_err(|error| damaged(path, &error))?;
        let Some(name) = batch_name(&entry, wanted) else {
            continue;
        };
        let place = path.join(&name);
        if batches.iter().any(|batch| batch.name == name) {
            let message = "is in the archive twice; expected once";
            return Err(DataError::new(&place, message));
        }
        let size = entry.size();
        let records = read_records(&place, entry, size, |error| damaged(path, error))?;
        batches.push(Batch { name, records });
    }
    Ok(batches)
}

/// File name of an archive's member if it is a wanted batch.
fn batch_name<R: Read>(entry: &Entry<'_, R>, wanted: Wanted) -> Option<String> {
    if !entry.header().entry_type().is_file() {
        return None;
    }
    let path = entry.path().ok()?;
    let name = path.file_name().and_then(OsStr::to_str)?;
    wanted(name).then(|| name.to_owned())
}

fn damaged(path: &Path, error: &io::Error) -> DataError {
    let message = format!("is damaged, cut short or not a gzip-compressed tar archive ({error})");
    DataError::new(path, message)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{folder_of, gzip};
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::path::PathBuf;
    use tempfile::TempDir;

    /// Records whose labels count up from `first` and whose pixels all differ from their
    /// neighbours and from the same pixels of the next record.
    fn records(count: usize, first: u8) -> Vec<u8> {
        (0..count)
            .flat_map(|n| {
                let label = (first as usize + n) % 10;
                let pixels = (0..PIXELS).map(move |i| (i * 7 + i / 256 + n * 31) as u8);
                std::iter::once(label as u8).chain(pixels)
            })
            .collect()
    }

    fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// A file of that name in a folder of its own.
    fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
        let folder = folder_of(&[(name, bytes)]);
        let path = folder.path().join(name);
        (folder, path)
    }

    fn archive_of(files: &[(&str, &[u8])]) -> (TempDir, PathBuf) {
        file("batches.tar.gz", &gzip(&tar_of(files)))
    }

    /// Opens what must be refused, with `parts` of the message and `at`, the end of its path.
    fn refused(path: &Path, at: &str, parts: &[&str]) {
        let error = Cifar10::open(path).unwrap_err();
        assert!(error.path.ends_with(at), "{error}");
        for part in parts {
            assert!(error.message.contains(part), "{part:?} not in {error}");
        }
    }

    fn copy(set: &Cifar10, index: usize) -> Vec<f32> {
        let mut sample = vec![f32::NAN; PIXELS];
        set.copy_into(index, &mut sample);
        sample
    }

    /// Asserts that `set` is the records of `expected`, in that order.
    fn assert_holds(set: &Cifar10, expected: &[u8]) {
        assert_eq!(set.len() * RECORD, expected.len());
        for (index, record) in expected.chunks(RECORD).enumerate() {
            assert_eq!(set.label(index), Some(record[0] as usize));
            let pixels: Vec<f32> = record[1..].iter().map(|&b| b as f32 / 255.0).collect();
            assert_eq!(copy(set, index), pixels);
        }
    }

    #[test]
    fn a_folder_is_read_in_name_order_without_the_test_batch() {
        let (one, two, test) = (records(2, 3), records(3, 8), records(1, 5));
        let folder = folder_of(&[
            ("test_batch.bin", &test),
            ("data_batch_2.bin", &two),
            ("data_batch_1.bin", &one),
            ("batches.meta.txt", b"airplane"),
        ]);
        let set = Cifar10::open(folder.path()).unwrap();
        assert_eq!(set.batches(), ["data_batch_1.bin", "data_batch_2.bin"]);
        assert_eq!(set.shape(), [3, 32, 32]);
        assert_holds(&set, &[one, two].concat());
    }

    #[test]
    fn an_archive_is_read_in_name_order_without_the_test_batch() {
        let (one, two, test) = (records(2, 3), records(3, 8), records(1, 5));
        let (_folder, path) = archive_of(&[
            ("cifar-10-batches-bin/data_batch_2.bin", &two),
            ("cifar-10-batches-bin/test_batch.bin", &test),
            ("cifar-10-batches-bin/data_batch_1.bin", &one),
        ]);
        let set = Cifar10::open(&path).unwrap();
        assert_eq!(set.batches(), ["data_batch_1.bin", "data_batch_2.bin"]);
        assert_holds(&set, &[one, two].concat());
    }

    #[test]
    fn the_test_batch_serves_where_there_is_no_training_batch() {
        let test = records(2, 9);
        let folder = folder_of(&[("test_batch.bin", &test), ("readme.html", b"")]);
        let set = Cifar10::open(folder.path()).unwrap();
        assert_eq!(set.batches(), ["test_batch.bin"]);
        assert_holds(&set, &test);
        let tar = tar_of(&[("a/test_batch.bin", &test)]);
        let (_folder, path) = file("Batches.TGZ", &gzip(&tar));
        assert_holds(&Cifar10::open(&path).unwrap(), &test);
    }

    #[test]
    fn a_part_is_read_by_itself() {
        let (one, four, test) = (records(2, 3), records(1, 8), records(3, 5));
        let files: [(&str, &[u8]); 3] =
            [("test_batch.bin", &test), ("data_batch_4.bin", &four), ("data_batch_1.bin", &one)];
        let (folder, (_archive, path)) = (folder_of(&files), archive_of(&files));
        for path in [folder.path(), &path] {
            let training = Cifar10::open_split(path, Split::Training).unwrap();
            assert_eq!(training.batches(), ["data_batch_1.bin", "data_batch_4.bin"]);
            assert_holds(&training, &[one.clone(), four.clone()].concat());
            assert_holds(&Cifar10::open_split(path, Split::Test).unwrap(), &test);
        }
    }

    #[test]
    fn a_batch_may_come_alone_and_is_of_its_part() {
        let (four, test, mislabelled) =
            (records(2, 3), records(3, 5), [vec![10], records(1, 0)[1..].to_vec()].concat());
        let files: [(&str, &[u8]); 3] =
            [("data_batch_4.bin", &four), ("test_batch.bin", &test), ("data_batch_5.bin", &mislabelled)];
        let folder = folder_of(&files);
        let at = |name: &str| folder.path().join(name);
        for (name, records, split, other) in [
            ("data_batch_4.bin", &four, Split::Training, Split::Test),
            ("test_batch.bin", &test, Split::Test, Split::Training),
        ] {
            for set in [Cifar10::open(&at(name)).unwrap(), Cifar10::open_split(&at(name), split).unwrap()] {
                assert_holds(&set, records);
                assert_eq!((set.batches(), set.split()), (&[name.to_owned()][..], split));
            }
            let error = Cifar10::open_split(&at(name), other).unwrap_err();
            assert_eq!(error.to_string(), format!("{}: is not a {other} batch", at(name).display()));
        }
        let error = Cifar10::open(&at("data_batch_5.bin")).unwrap_err();
        assert_eq!(error.path, at("data_batch_5.bin"));
    }

    #[test]
    fn a_part_is_never_taken_for_the_other() {
        let one = records(1, 0);
        for (name, absent, part) in [
            ("data_batch_1.bin", Split::Test, "holds no test batch; expected data_batch_1.bin"),
            ("test_batch.bin", Split::Training, "holds no training batch; expected data_batch_1.bin"),
        ] {
            let (folder, (_archive, path)) = (folder_of(&[(name, &one)]), archive_of(&[(name, &one)]));
            for path in [folder.path(), &path] {
                let error = Cifar10::open_split(path, absent).unwrap_err();
                assert!(error.path == path && error.message.contains(part), "{error}");
            }
        }
    }

    #[test]
    fn a_damaged_test_batch_that_is_not_needed_does_no_harm() {
        let one = records(1, 0);
        let files: [(&str, &[u8]); 2] = [("test_batch.bin", b"?"), ("data_batch_1.bin", &one)];
        let folder = folder_of(&files);
        assert_holds(&Cifar10::open(folder.path()).unwrap(), &one);
        let (_folder, path) = archive_of(&files);
        assert_holds(&Cifar10::open(&path).unwrap(), &one);
    }

    #[test]
    fn values_span_zero_to_one() {
        let mut record = vec![7; RECORD];
        (record[1], record[2], record[PIXELS]) = (0, 255, 51);
        let folder = folder_of(&[("data_batch_1.bin", &record)]);
        let sample = copy(&Cifar10::open(folder.path()).unwrap(), 0);
        assert_eq!((sample[0], sample[1], sample[PIXELS - 1]), (0.0, 1.0, 0.2));
    }

    #[test]
    #[should_panic(expected = "sample 2 of a set of 2 samples")]
    fn an_index_past_the_end_is_refused() {
        let folder = folder_of(&[("data_batch_1.bin", &records(2, 0))]);
        Cifar10::open(folder.path()).unwrap().label(2);
    }

    #[test]
    fn debug_output_leaves_out_the_pixels() {
        let folder = folder_of(&[("data_batch_1.bin", &records(2, 0))]);
        let shown = format!("{:?}", Cifar10::open(folder.path()).unwrap());
        assert!(shown.contains("data_batch_1.bin") && shown.len() < 100, "{shown}");
    }

    #[test]
    fn paths_of_the_wrong_kind_are_refused() {
        let folder = folder_of(&[("batch.bin", &records(1, 0)), ("empty.tgz", b"")]);
        let at = |name: &str| folder.path().join(name);
        refused(&at("absent"), "absent", &["does not exist", ".tar.gz"]);
        refused(&at("absent.tgz"), "absent.tgz", &["does not exist"]);
        refused(&at("batch.bin"), "batch.bin", &["neither a folder"]);
        refused(&at("empty.tgz"), "empty.tgz", &["is empty"]);
    }

    #[test]
    fn a_folder_or_an_archive_without_batches_is_told_the_layout() {
        let files: [(&str, &[u8]); 2] = [("data_batch_1", b"python"), ("other.bin", b"x")];
        let folder = folder_of(&files);
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        refused(folder.path(), name, &["folder holds no batch", "data_batch_1.bin"]);
        let (_folder, path) = archive_of(&files);
        refused(&path, "batches.tar.gz", &["archive holds no batch", "data_batch_1.bin"]);
    }

    #[test]
    fn sizes_that_are_not_whole_records_are_refused() {
        let whole = records(2, 0);
        for (bytes, part) in [
            (&whole[..0], "is empty"),
            (&whole[..RECORD + 1], "not a multiple of 3073"),
            (&whole[..2 * RECORD - 1], "has 6145 bytes"),
        ] {
            let files: [(&str, &[u8]); 2] = [("data_batch_1.bin", &whole), ("data_batch_2.bin", bytes)];
            let folder = folder_of(&files);
            refused(folder.path(), "data_batch_2.bin", &[part]);
            let (_folder, path) = archive_of(&files);
            refused(&path, "batches.tar.gz/data_batch_2.bin", &[part]);
        }
    }

    #[test]
    fn a_label_above_nine_is_refused_with_its_record() {
        let mut bytes = records(3, 0);
        bytes[2 * RECORD] = 10;
        let files: [(&str, &[u8]); 1] = [("data_batch_4.bin", &bytes)];
        let parts = ["record 3 of 3", "label 10"];
        let folder = folder_of(&files);
        refused(folder.path(), "data_batch_4.bin", &parts);
        let (_folder, path) = archive_of(&files);
        refused(&path, "batches.tar.gz/data_batch_4.bin", &parts);
    }

    #[test]
    fn an_archive_with_a_batch_twice_is_refused() {
        let bytes = records(1, 0);
        let (_folder, path) = archive_of(&[("a/data_batch_1.bin", &bytes), ("b/data_batch_1.bin", &bytes)]);
        refused(&path, "data_batch_1.bin", &["twice"]);
    }

    #[test]
    fn an_archive_cut_anywhere_is_refused() {
        let whole = gzip(&tar_of(&[("data_batch_1.bin", &records(4, 0))]));
        for kept in (1..whole.len()).step_by(97).chain([whole.len() - 1]) {
            let (_folder, path) = file("cut.tar.gz", &whole[..kept]);
            refused(&path, "cut.tar.gz", &["damaged, cut short"]);
        }
    }

    #[test]
    fn a_member_cut_short_inside_a_sound_gzip_is_refused() {
        let tar = tar_of(&[("data_batch_1.bin", &records(4, 0))]);
        let (_folder, path) = file("cut.tar.gz", &gzip(&tar[..512 + 2 * RECORD]));
        let error = Cifar10::open(&path).unwrap_err();
        assert!(error.message.contains("cut short"), "{error}");
    }

    #[test]
    fn a_batch_shorter_or_longer_than_claimed_is_refused() {
        let bytes = records(2, 0);
        let read = |size| {
            let failed = |error: &io::Error| panic!("{error}");
            read_records(Path::new("batch"), &bytes[..], size, failed)
        };
        assert_eq!(read(2 * RECORD as u64).unwrap(), bytes);
        for claimed in [1, 3] {
            let error = read(claimed * RECORD as u64).unwrap_err();
            assert!(error.message.contains("cut short or changed"), "{error}");
        }
    }

    #[test]
    fn only_regular_members_are_batches() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        builder.append_link(&mut link, "data_batch_1.bin", "/dev/zero").unwrap();
        let (_folder, path) = file("links.tgz", &gzip(&builder.into_inner().unwrap()));
        refused(&path, "links.tgz", &["holds no batch"]);
    }

    #[test]
    fn an_archive_compressed_in_pieces_is_read_whole() {
        let bytes = records(2, 0);
        let tar = tar_of(&[("data_batch_1.bin", &bytes)]);
        let (first, second) = tar.split_at(4000);
        let (_folder, path) = file("pieces.tgz", &[gzip(first), gzip(second)].concat());
        assert_holds(&Cifar10::open(&path).unwrap(), &bytes);
    }

    #[test]
    fn a_changed_pixel_is_found_by_the_checksum() {
        let tar = tar_of(&[("data_batch_1.bin", &records(2, 0))]);
        // Without compression the pixels are in the file as they are.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        io::Write::write_all(&mut encoder, &tar).unwrap();
        let mut bytes = encoder.finish().unwrap();
        bytes[3000] ^= 1;
        let (_folder, path) = file("changed.tar.gz", &bytes);
        refused(&path, "changed.tar.gz", &["damaged, cut short"]);
    }

    #[test]
    fn a_file_that_is_no_archive_is_refused() {
        for bytes in [&b"not gzip at all"[..], &gzip(b"not tar"), &gzip(&[7; 2000])] {
            let (_folder, path) = file("text.tar.gz", bytes);
            refused(&path, "text.tar.gz", &["not a gzip-compressed tar archive"]);
        }
    }

    #[test]
    fn a_member_claiming_an_absurd_size_is_refused_unread() {
        let mut header = tar::Header::new_gnu();
        header.set_path("data_batch_1.bin").unwrap();
        header.set_size((1 << 50) * RECORD as u64);
        header.set_cksum();
        let (_folder, path) = file("huge.tar.gz", &gzip(header.as_bytes()));
        refused(&path, "data_batch_1.bin", &["more than the 307300000 accepted"]);
    }

    #[test]
    fn an_archive_that_unpacks_to_more_than_the_limit_is_refused() {
        let tar = tar_of(&[("data_batch_1.bin", &records(3, 0)), ("zeros", &[0; 9000])]);
        let (_folder, path) = file("bomb.tar.gz", &gzip(&tar));
        let size = tar.len() as u64;
        assert_eq!(read_archive(&path, None, size).unwrap().len(), 1);
        // Within the batch, within the other member, within the end marker.
        for limit in [2000, 12_000, size - 1] {
            let error = read_archive(&path, None, limit).err().unwrap();
            let part = format!("more than {limit} bytes");
            assert!(error.message.contains(&part), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_archive_content_panics(
            at in 0usize..4000, byte: u8, compressed: bool, kept in 0usize..8000,
        ) {
            let tar = tar_of(&[("x/data_batch_1.bin", &records(1, 0)), ("y", b"z")]);
            let mut bytes = if compressed { gzip(&tar) } else { tar };
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(kept.max(1));
            let bytes = if compressed { bytes } else { gzip(&bytes) };
            let (_folder, path) = file("a.tgz", &bytes);
            if let Ok(set) = Cifar10::open(&path) {
                prop_assert_eq!(set.len(), 1);
                prop_assert!(set.label(0).is_some_and(|label| label < 10));
            }
        }
    }
}
