//! The CIFAR-10 binary version, read from its folder, straight from its `.tar.gz` archive, or from one of its files.
//!
//! Each batch file is a sequence of records of 3073 bytes: one label byte 0 to 9, then 3072 pixel
//! bytes, channel by channel (red, green, blue), each channel 32 rows of 32 pixels. The bytes are
//! kept as they are, a quarter of the memory of `f32`, and divided by 255 when a sample is copied.

#[cfg(test)]
mod tests;

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
