//! Labelled images (or any other samples of one shape) as an input distribution.
//!
//! A [`SampleSet`] is a finite set of samples at hand; drawing an index uniformly and copying that
//! sample is one draw of the distribution. [`Cifar10`] reads the CIFAR-10 binary version, [`Mnist`]
//! the IDX files of MNIST, [`ImageFolder`] folders of JPEG and PNG images, one a class, and [`Npy`]
//! a NumPy array; [`Synthetic`] makes labelled images on the spot, without any file; [`Resized`]
//! shows another set at another image size. A set with labels comes in two parts, [`Split`].

pub(crate) mod cifar;
pub(crate) mod contents;
pub(crate) mod images;
mod labelled;
pub(crate) mod mnist;
pub(crate) mod npy;
pub(crate) mod resize;
pub(crate) mod synthetic;

pub use cifar::Cifar10;
pub use images::ImageFolder;
pub use labelled::Labelled;
pub use mnist::Mnist;
pub use npy::Npy;
pub use resize::{ResizeFilter, Resized};
pub use synthetic::{Synthetic, SyntheticSpec};

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The part of a data set to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// The samples to train on.
    Training,
    /// The samples held back to measure what training gave.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Training => "training",
            Self::Test => "test",
        })
    }
}

/// A finite, non-empty set of samples of one shape.
///
/// A sample is usually an image `[channels, height, width]` with values in \[0, 1\], but any shape
/// and any finite values are allowed; values have no unit.
#[expect(clippy::len_without_is_empty, reason = "no set is empty, so a caller would check what cannot be")]
pub trait SampleSet: Send + Sync + std::fmt::Debug {
    /// Number of samples, always at least 1.
    fn len(&self) -> usize;

    /// Shape of one sample, the slowest-varying axis first.
    fn shape(&self) -> &[usize];

    /// Class of sample `index`, or `None` where the set has no labels.
    ///
    /// # Panics
    ///
    /// May panic if `index >= self.len()`.
    fn label(&self, index: usize) -> Option<usize>;

    /// Overwrites `sample` with sample `index`, the last axis contiguous (C order).
    ///
    /// # Panics
    ///
    /// Panics if `index >= self.len()` or `sample.len()` is not the product of
    /// [`shape`](Self::shape).
    fn copy_into(&self, index: usize, sample: &mut [f32]);

    /// What determines every sample of a set that is made by a rule, in words; `None` for one that is read.
    fn rule(&self) -> Option<String> {
        None
    }
}

/// Implements [`SampleSet`] for a pointer by asking what it points to, so that a set chosen at run
/// time (or shared between several [`Resized`] views) is itself a set.
macro_rules! forward_sample_set {
    ($pointer:ident) => {
        impl<S: SampleSet + ?Sized> SampleSet for $pointer<S> {
            fn len(&self) -> usize {
                (**self).len()
            }

            fn shape(&self) -> &[usize] {
                (**self).shape()
            }

            fn label(&self, index: usize) -> Option<usize> {
                (**self).label(index)
            }

            fn rule(&self) -> Option<String> {
                (**self).rule()
            }

            fn copy_into(&self, index: usize, sample: &mut [f32]) {
                (**self).copy_into(index, sample);
            }
        }
    };
}

forward_sample_set!(Arc);
forward_sample_set!(Box);

/// Why a data file cannot be used; displayed as `PATH: MESSAGE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", .path.display())]
pub struct DataError {
    /// The file or folder at fault; for a member of an archive, the archive's path followed by the
    /// member's file name; for images made on the spot, the word `synthetic`.
    pub path: PathBuf,
    /// What is wrong and what is expected instead.
    pub message: String,
}

impl DataError {
    /// An error about a path.
    pub(crate) fn of(path: &Path, message: &str) -> Self {
        Self::new(path, message)
    }

    fn new(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_path_buf(), message: message.into() }
    }

    /// The error for a system call that failed; `expected` says what should have been at `path`.
    fn io(path: &Path, error: &io::Error, expected: &str) -> Self {
        let message = if error.kind() == io::ErrorKind::NotFound {
            format!("does not exist; expected {expected}")
        } else {
            format!("cannot be read ({error}); expected {expected}")
        };
        Self::new(path, message)
    }
}

/// Opens a regular file and returns it with its size in bytes.
///
/// Asks for the kind of file before opening it: opening a named pipe would wait forever.
fn open_file(path: &Path, expected: &str) -> Result<(File, u64), DataError> {
    let failed = |error: io::Error| DataError::io(path, &error, expected);
    let metadata = path.metadata().map_err(failed)?;
    if !metadata.is_file() {
        let message = format!("is not a regular file; expected {expected}");
        return Err(DataError::new(path, message));
    }
    let file = File::open(path).map_err(failed)?;
    Ok((file, metadata.len()))
}

/// Reads the rest of `reader`, which must be `size` bytes; `failed` makes the error of a failure to read.
///
/// Nothing is reserved ahead, for `size` is only what a header claims; one byte more than claimed
/// is enough to see that there is more.
fn read_all(
    place: &Path,
    reader: impl Read,
    size: u64,
    failed: impl FnOnce(&io::Error) -> DataError,
) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let mut reader = reader.take(size + 1);
    reader.read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 != size {
        let message = format!("does not have the {size} bytes expected; it was cut short or changed");
        return Err(DataError::new(place, message));
    }
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// Writes `bytes` into `sample` as byte/255, in \[0, 1\].
///
/// # Panics
///
/// Panics if the lengths differ.
fn copy_bytes(bytes: &[u8], sample: &mut [f32]) {
    assert_eq!(sample.len(), bytes.len(), "room for one sample");
    for (value, &byte) in sample.iter_mut().zip(bytes) {
        *value = f32::from(byte) / 255.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::fs;
    use tempfile::TempDir;

    /// A folder of files, with the folders that their names need.
    pub(super) fn folder_of(files: &[(&str, &[u8])]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Samples of any shape, given as one flat list.
    #[derive(Debug)]
    pub(super) struct Flat {
        pub(super) shape: Vec<usize>,
        pub(super) values: Vec<f32>,
    }

    impl SampleSet for Flat {
        fn len(&self) -> usize {
            self.values.len() / self.shape.iter().product::<usize>()
        }

        fn shape(&self) -> &[usize] {
            &self.shape
        }

        fn label(&self, index: usize) -> Option<usize> {
            Some(index % 7)
        }

        fn copy_into(&self, index: usize, sample: &mut [f32]) {
            let size = self.shape.iter().product::<usize>();
            sample.copy_from_slice(&self.values[index * size..][..size]);
        }
    }

    #[test]
    fn pointers_answer_as_what_they_point_to() {
        let values = (0..12u8).map(f32::from).collect();
        let shared: Arc<dyn SampleSet> = Arc::new(Flat { shape: vec![2, 3], values });
        let boxed: Box<dyn SampleSet> = Box::new(Arc::clone(&shared));
        assert_eq!((boxed.len(), boxed.shape()), (2, &[2, 3][..]));
        assert_eq!(boxed.label(1), Some(1));
        let mut sample = [0.0; 6];
        boxed.copy_into(1, &mut sample);
        assert_eq!(sample, [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
    }

    #[test]
    fn an_error_displays_its_path_then_its_message() {
        let error = DataError::new(Path::new("some/file.npy"), "is empty");
        assert_eq!(error.to_string(), "some/file.npy: is empty");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let error = open_file(folder.path(), "a file").unwrap_err();
        assert_eq!(error.path, folder.path());
        assert!(error.message.contains("not a regular file"), "{error}");
        let error = open_file(&folder.path().join("absent"), "a thing").unwrap_err();
        assert_eq!(error.message, "does not exist; expected a thing");
    }
}
