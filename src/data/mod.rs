//! Labelled images (or any other samples of one shape) as an input distribution.
//!
//! A [`SampleSet`] is a finite set of samples held in memory; drawing an index uniformly and
//! copying that sample is one draw of the distribution. [`Cifar10`] reads the CIFAR-10 binary
//! version, [`Npy`] reads a NumPy array, and [`Resized`] shows another set at another image size.

pub mod cifar;
pub mod npy;
pub mod resize;

pub use cifar::Cifar10;
pub use npy::Npy;
pub use resize::Resized;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// member's file name.
    pub path: PathBuf,
    /// What is wrong and what is expected instead.
    pub message: String,
}

impl DataError {
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

#[cfg(test)]
mod tests {
    use super::*;

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
