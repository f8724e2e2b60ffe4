//! MNIST and the sets that share its format (Fashion-MNIST, KMNIST), read from IDX files, plain or gzip-compressed.
//!
//! Numbers are big-endian. The image file starts with the magic number 0x803, the number of images, of rows and of
//! columns, four bytes each; the pixel bytes follow, row by row. The label file starts with 0x801 and the number of
//! labels; one byte a label follows. The bytes are kept as they are and divided by 255 when a sample is copied.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::{DataError, SampleSet, Split, copy_bytes, open_file, read_all};

const CLASSES: u8 = 10;

/// Most bytes of pixels accepted, forty times those of MNIST: a small `.gz` can unpack to more than any memory holds.
const MAX_BYTES: u64 = 2 << 30;

const IMAGES: Format = Format { part: "images", rank: 3, magic: 0x803 };
const LABELS: Format = Format { part: "labels", rank: 1, magic: 0x801 };

const LAYOUT: &str = "a folder of the files train-images-idx3-ubyte, train-labels-idx1-ubyte, \
                      t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each as it is or as .gz";

/// MNIST images `[1, rows, columns]` (28 × 28 in MNIST), values byte/255 in \[0, 1\], with labels 0 to 9.
pub struct Mnist {
    pixels: Vec<u8>,
    /// One label an image, each below [`CLASSES`].
    labels: Vec<u8>,
    /// `[1, rows, columns]`, each at least 1.
    shape: [usize; 3],
}

impl Mnist {
    /// Reads one part of the set in the folder `path`: `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or
    /// those that start with `t10k` for the test part.
    ///
    /// Each file may end with `.gz`, and may have a dot before `idx`. Where one is there twice, the plain one is read.
    ///
    /// # Errors
    ///
    /// Says what is wrong and with which file: one that is missing, damaged, cut short or longer than its header says,
    /// of another kind (the magic number is not that of images or labels in bytes), without any image or with more
    /// than 2 GiB of pixels, another number of labels than of images, or a label above 9.
    pub fn open(path: &Path, split: Split) -> Result<Self, DataError> {
        let metadata = path.metadata().map_err(|error| DataError::io(path, &error, LAYOUT))?;
        if !metadata.is_dir() {
            return Err(DataError::new(path, format!("is not a folder; expected {LAYOUT}")));
        }
        let (images, place) = (find(path, IMAGES, split)?, find(path, LABELS, split)?);
        let ([count, rows, columns], pixels) = read(&images, IMAGES)?;
        let ([labelled], labels) = read(&place, LABELS)?;
        if labelled != count {
            let message = format!("has {labelled} labels for {count} images; expected one for each");
            return Err(DataError::new(&place, message));
        }
        if let Some(at) = labels.iter().position(|&label| label >= CLASSES) {
            let message = format!(
                "label {} of {labelled} (counting from 1) is {}; labels are 0 to {}",
                at + 1,
                labels[at],
                CLASSES - 1
            );
            return Err(DataError::new(&place, message));
        }
        Ok(Self { pixels, labels, shape: [1, rows, columns] })
    }
}

impl SampleSet for Mnist {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(usize::from(self.labels[index]))
    }

    fn copy_into(&self, index: usize, sample: &mut [f32]) {
        let size = self.shape[1] * self.shape[2];
        copy_bytes(&self.pixels[index * size..][..size], sample);
    }
}

impl fmt::Debug for Mnist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mnist").field("shape", &self.shape).field("len", &self.len()).finish_non_exhaustive()
    }
}

/// One of the two kinds of file.
#[derive(Clone, Copy)]
struct Format {
    part: &'static str,
    rank: u8,
    /// Third byte 8 for unsigned bytes, fourth the number of axes.
    magic: u32,
}

/// The file of one kind and one part of the set, under whichever of its names it has.
fn find(folder: &Path, format: Format, split: Split) -> Result<PathBuf, DataError> {
    let prefix = match split {
        Split::Training => "train",
        Split::Test => "t10k",
    };
    let Format { part, rank, .. } = format;
    let name = |mark: &str, end: &str| format!("{prefix}-{part}{mark}idx{rank}-ubyte{end}");
    let names = [name("-", ""), name(".", ""), name("-", ".gz"), name(".", ".gz")];
    let found = names.iter().map(|name| folder.join(name)).find(|path| path.exists());
    found.ok_or_else(|| {
        let message = format!("this folder holds neither {} nor {}; expected {LAYOUT}", names[0], names[2]);
        DataError::new(folder, message)
    })
}

/// Reads one file: the lengths of its axes, all at least 1, and its bytes.
fn read<const RANK: usize>(path: &Path, format: Format) -> Result<([usize; RANK], Vec<u8>), DataError> {
    let expected = format!("the {} of MNIST, an IDX file", format.part);
    let (file, _) = open_file(path, &expected)?;
    let file = BufReader::new(file);
    if path.extension().is_some_and(|end| end == "gz") {
        read_stream(path, MultiGzDecoder::new(file), format)
    } else {
        read_stream(path, file, format)
    }
}

fn read_stream<const RANK: usize>(
    path: &Path,
    mut stream: impl Read,
    format: Format,
) -> Result<([usize; RANK], Vec<u8>), DataError> {
    let failed = |error: &io::Error| DataError::new(path, format!("is damaged or cut short ({error})"));
    let mut next = || -> Result<u32, DataError> {
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).map_err(|error| failed(&error))?;
        Ok(u32::from_be_bytes(bytes))
    };
    let magic = next()?;
    if magic != format.magic {
        let message = format!(
            "starts with {magic:#010x}; expected {:#010x}, the magic number of {} in an IDX file",
            format.magic, format.part
        );
        return Err(DataError::new(path, message));
    }
    let mut lengths = [0; RANK];
    for length in &mut lengths {
        *length = next()?;
    }
    // Three 32-bit lengths overflow 64 bits, but not 128.
    let size: u128 = lengths.iter().map(|&length| u128::from(length)).product();
    let refuse = |problem: &str| {
        Err(DataError::new(path, format!("claims {} {problem}", lengths.map(|length| length.to_string()).join(" × "))))
    };
    if size == 0 {
        return refuse(&format!("{}, which is none; expected at least one", format.part));
    }
    if size > u128::from(MAX_BYTES) {
        return refuse(&format!("bytes of {}, more than the {MAX_BYTES} accepted", format.part));
    }
    let bytes = read_all(path, stream, size as u64, failed)?;
    Ok((lengths.map(|length| length as usize), bytes))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{folder_of, gzip};
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    /// An IDX file of bytes.
    fn idx(lengths: &[u32], bytes: &[u8]) -> Vec<u8> {
        let magic = 0x800 + lengths.len() as u32;
        let header = std::iter::once(&magic).chain(lengths).flat_map(|number| number.to_be_bytes());
        header.chain(bytes.iter().copied()).collect()
    }

    /// Three images of 2 × 3 pixels, which count up, and their labels.
    fn sound() -> (Vec<u8>, Vec<u8>) {
        (idx(&[3, 2, 3], &(0..18).collect::<Vec<u8>>()), idx(&[3], &[7, 0, 9]))
    }

    const NAMES: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];

    fn opened(images: &[u8], labels: &[u8]) -> Result<Mnist, DataError> {
        let folder = folder_of(&[(NAMES[0], images), (NAMES[1], labels)]);
        Mnist::open(folder.path(), Split::Training)
    }

    /// Opens what must be refused, with `part` of the message, for the file `name`.
    fn refused(images: &[u8], labels: &[u8], name: &str, part: &str) {
        let error = opened(images, labels).unwrap_err();
        assert!(error.path.ends_with(name), "{error}");
        assert!(error.message.contains(part), "{part:?} not in {error}");
    }

    fn assert_sound(set: &Mnist) {
        assert_eq!((set.len(), set.shape()), (3, &[1, 2, 3][..]));
        assert_eq!([0, 1, 2].map(|index| set.label(index)), [Some(7), Some(0), Some(9)]);
        let mut sample = [f32::NAN; 6];
        set.copy_into(2, &mut sample);
        assert_eq!(sample, [12.0, 13.0, 14.0, 15.0, 16.0, 17.0].map(|byte| byte / 255.0));
    }

    #[test]
    fn files_are_read_under_each_of_their_names() {
        let (images, labels) = sound();
        let (zipped, zipped_labels) = (gzip(&images), gzip(&labels));
        for (split, prefix) in [(Split::Training, "train"), (Split::Test, "t10k")] {
            for mark in ["-", "."] {
                let names = [format!("{prefix}-images{mark}idx3-ubyte"), format!("{prefix}-labels{mark}idx1-ubyte")];
                let folder = folder_of(&[(&names[0], &images), (&names[1], &labels)]);
                assert_sound(&Mnist::open(folder.path(), split).unwrap());
                let names = names.map(|name| name + ".gz");
                let folder = folder_of(&[(&names[0], &zipped), (&names[1], &zipped_labels)]);
                assert_sound(&Mnist::open(folder.path(), split).unwrap());
            }
        }
    }

    #[test]
    fn what_is_missing_is_named_with_the_layout() {
        let folder = folder_of(&[(NAMES[0], &sound().0)]);
        let open = |path: &Path, split| Mnist::open(path, split).unwrap_err();
        for (split, part) in
            [(Split::Training, NAMES[1]), (Split::Test, "t10k-images-idx3-ubyte.gz; expected a folder")]
        {
            let error = open(folder.path(), split);
            assert!(error.path == folder.path() && error.message.contains(part), "{error}");
        }
        let error = open(&folder.path().join("absent"), Split::Test);
        assert!(error.message.contains("does not exist; expected a folder of the files train-images"), "{error}");
        let error = open(&folder.path().join(NAMES[0]), Split::Test);
        assert!(error.message.contains("is not a folder"), "{error}");
        fs::create_dir(folder.path().join(NAMES[1])).unwrap();
        let error = open(folder.path(), Split::Training);
        assert!(error.message.contains("is not a regular file"), "{error}");
    }

    #[test]
    fn files_of_another_kind_or_size_are_refused() {
        let (images, labels) = sound();
        refused(&labels, &labels, NAMES[0], "starts with 0x00000801; expected 0x00000803");
        refused(&images, &images, NAMES[1], "magic number of labels");
        refused(&gzip(&images), &labels, NAMES[0], "starts with 0x1f8b");
        refused(&images[..images.len() - 1], &labels, NAMES[0], "the 18 bytes expected");
        refused(&[&images[..], b"x"].concat(), &labels, NAMES[0], "the 18 bytes expected");
        refused(&images[..10], &labels, NAMES[0], "cut short");
        refused(b"", &labels, NAMES[0], "cut short");
        refused(&images, &labels[..9], NAMES[1], "the 3 bytes expected");
    }

    #[test]
    fn counts_and_labels_are_checked() {
        let (images, labels) = sound();
        refused(&idx(&[0, 28, 28], &[]), &labels, NAMES[0], "claims 0 × 28 × 28 images, which is none");
        refused(&idx(&[3, 0, 28], &[]), &labels, NAMES[0], "claims 3 × 0 × 28");
        refused(&idx(&[u32::MAX; 3], &[]), &labels, NAMES[0], "more than the 2147483648 accepted");
        refused(&images, &idx(&[2], &[1, 2]), NAMES[1], "2 labels for 3 images");
        refused(&images, &idx(&[3], &[1, 10, 2]), NAMES[1], "label 2 of 3 (counting from 1) is 10; labels are 0 to 9");
    }

    #[test]
    fn damaged_gzip_is_refused() {
        let (images, labels) = sound();
        let whole = gzip(&images);
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        for bytes in [&whole[..whole.len() - 1], &whole[..12], &changed, b"not gzip", b""] {
            let folder = folder_of(&[("train-images-idx3-ubyte.gz", bytes), (NAMES[1], &labels)]);
            let error = Mnist::open(folder.path(), Split::Training).unwrap_err();
            assert!(error.path.ends_with("train-images-idx3-ubyte.gz"), "{error}");
            assert!(error.message.contains("damaged or cut short"), "{error}");
        }
    }

    #[test]
    #[should_panic(expected = "room for one sample")]
    fn a_buffer_of_the_wrong_size_is_refused() {
        let (images, labels) = sound();
        opened(&images, &labels).unwrap().copy_into(0, &mut [0.0; 5]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_content_panics(at in 0usize..34, byte: u8, kept in 0usize..40) {
            let (mut images, labels) = sound();
            images[at] = byte;
            images.truncate(kept);
            if let Ok(set) = opened(&images, &labels) {
                prop_assert_eq!((set.len(), set.shape().iter().product::<usize>()), (3, 6));
            }
        }
    }
}
