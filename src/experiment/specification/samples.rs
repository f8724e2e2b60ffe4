//! Sets of samples by name: the same names and keys in `[input]`, in `[data]` and in `gradlaw attack --data`, opened by one function.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::expression::{Expression, Variables};
use super::reader::{Origin, Reader, SpecError};
use crate::data::npy::read_labels;
use crate::data::{
    Cifar10, DataError, ImageFolder, Labelled, Mnist, Npy, ResizeFilter, SampleSet, Split, Synthetic, SyntheticSpec,
};
use crate::network::Shape;

/// A set of samples with the keys that go with it.
#[derive(Debug, Clone)]
pub struct SamplesSpec {
    /// Which set.
    pub set: Set,
    /// Folder, archive or file, where it was given.
    pub path: Option<String>,
    /// A file of labels, for an array.
    pub labels: Option<String>,
    /// The side to which images are resized.
    pub resize: Option<Expression>,
    /// How they are.
    pub filter: ResizeFilter,
}

/// Which set of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Set {
    /// CIFAR-10 in the binary layout.
    Cifar10,
    /// MNIST in the IDX layout.
    Mnist,
    /// Folders of images, one a class, resized to the side of `resize`.
    Images,
    /// A NumPy array of samples in the shape of the network's input.
    Npy,
    /// Images made on the spot.
    Synthetic {
        /// Number of classes.
        classes: usize,
        /// Side of the images.
        side: usize,
        /// Samples of each part.
        samples: usize,
        /// Standard deviation of the pixels' noise.
        noise: f64,
    },
}

/// A name, with the keys that go with it.
struct Entry {
    name: &'static str,
    keys: &'static [&'static str],
    set: Set,
}

const OF_IMAGES: &[&str] = &["path", "resize", "resize_filter"];

const TABLE: &[Entry] = &[
    Entry { name: "cifar10", keys: OF_IMAGES, set: Set::Cifar10 },
    Entry { name: "mnist", keys: OF_IMAGES, set: Set::Mnist },
    Entry { name: "images", keys: OF_IMAGES, set: Set::Images },
    Entry { name: "npy", keys: &["path", "labels"], set: Set::Npy },
    Entry {
        name: "synthetic",
        keys: &["classes", "side", "samples", "noise", "resize", "resize_filter"],
        set: Set::Synthetic { classes: 10, side: 32, samples: 5000, noise: 0.1 },
    },
];

/// Keys that go with one set or another.
pub(in crate::experiment) const SAMPLE_KEYS: &[&str] =
    &["path", "labels", "resize", "resize_filter", "classes", "side", "samples", "noise"];

const MOST: i64 = 1 << 32;

impl Set {
    /// The names of all sets.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|entry| entry.name)
    }

    /// The set of this name, with its defaults.
    pub fn named(name: &str) -> Option<Self> {
        TABLE.iter().find(|entry| entry.name == name).map(|entry| entry.set)
    }

    /// Whether it is read from files.
    pub fn has_path(self) -> bool {
        !matches!(self, Self::Synthetic { .. })
    }

    fn keys(self) -> &'static [&'static str] {
        let same = |entry: &&Entry| std::mem::discriminant(&entry.set) == std::mem::discriminant(&self);
        TABLE.iter().find(same).map_or(&[], |entry| entry.keys)
    }

    fn read(self, reader: &Reader<'_>) -> Result<Self, SpecError> {
        let Self::Synthetic { classes, side, samples, noise } = self else { return Ok(self) };
        let count =
            |key, least, default: usize| Ok(reader.whole(key, least, MOST)?.map_or(default, |count| count as usize));
        Ok(Self::Synthetic {
            classes: count("classes", 2, classes)?,
            side: count("side", 1, side)?,
            samples: count("samples", 2, samples)?,
            noise: reader.number("noise", "must be a number of at least 0", |noise| noise >= 0.0)?.unwrap_or(noise),
        })
    }
}

impl SamplesSpec {
    /// The keys of a set in a table that names it under `key`.
    ///
    /// # Errors
    /// A key that does not go with it, or a value that is not allowed.
    pub(in crate::experiment) fn read(reader: &Reader<'_>, key: &str, name: &str, set: Set) -> Result<Self, SpecError> {
        let keys = set.keys();
        if let Some(stray) = SAMPLE_KEYS.iter().find(|stray| reader.has(stray) && !keys.contains(*stray)) {
            return Err(reader.refuse(stray, format!("does not go with {key} = \"{name}\"")));
        }
        let resize = reader.expression("resize")?;
        if set == Set::Images && resize.is_none() {
            return Err(reader.missing("resize", "the side of the images"));
        }
        let filter = reader.word("resize_filter", ResizeFilter::names(), ResizeFilter::named)?;
        if filter.is_some() && resize.is_none() {
            return Err(reader.refuse("resize_filter", "goes with resize, the side of the images"));
        }
        Ok(Self {
            set: set.read(reader)?,
            path: reader.string("path")?.map(str::to_owned),
            labels: reader.string("labels")?.map(str::to_owned),
            resize,
            filter: filter.unwrap_or_default(),
        })
    }

    /// The same without the places where the files lie, for what depends on their contents alone.
    pub(in crate::experiment) fn without_paths(&self) -> Self {
        Self { path: None, labels: None, ..self.clone() }
    }

    /// Whether a path is needed that was not given.
    pub fn lacks_path(&self) -> bool {
        self.set.has_path() && self.path.is_none()
    }

    /// The path, empty for samples that are made; a relative one is looked up beside the spec, then in the working folder. `table` is the
    /// one that names the set.
    ///
    /// # Errors
    /// It is needed and was not given.
    pub(in crate::experiment) fn locate(&self, origin: &Origin, table: &str) -> Result<PathBuf, SpecError> {
        match &self.path {
            Some(path) => Ok(locate(path, &origin.file)),
            None if self.lacks_path() => {
                let message = format!("is missing; must be the path of the data: --set {table}.path=PATH");
                Err(origin.error(&format!("{table}.path"), "", message))
            }
            None => Ok(PathBuf::new()),
        }
    }

    /// The side that images are resized to at a point, where they are.
    ///
    /// # Errors
    /// The formula has no size.
    pub(in crate::experiment) fn side(
        &self,
        origin: &Origin,
        table: &str,
        variables: &Variables,
    ) -> Result<Option<usize>, SpecError> {
        let side = self.resize.as_ref().map(|resize| {
            resize.size(variables).map_err(|message| origin.error(&format!("{table}.resize"), resize.text(), message))
        });
        side.transpose()
    }

    /// The largest side over a grid, at which folders of images are opened; 1 where there is none.
    ///
    /// # Errors
    /// As [`side`](Self::side).
    pub(in crate::experiment) fn largest_side(
        &self,
        origin: &Origin,
        table: &str,
        grid: &[Vec<(String, f64)>],
    ) -> Result<usize, SpecError> {
        let mut sides = grid.iter().map(|variables| self.side(origin, table, variables));
        sides.try_fold(1, |largest, side| Ok(largest.max(side?.unwrap_or(1))))
    }

    /// Opens one part of the samples, those for training where `part` does not say which; of CIFAR-10 then the part that the path
    /// names. Folders of images are opened at this side; `seed` is that of images made on the spot. An array needs a shape
    /// and is refused.
    ///
    /// # Errors
    /// The data is missing or damaged.
    pub fn open(
        &self,
        path: &Path,
        part: Option<Split>,
        side: usize,
        seed: u64,
    ) -> Result<Arc<dyn SampleSet>, DataError> {
        let split = part.unwrap_or(Split::Training);
        Ok(match self.set {
            Set::Cifar10 => Arc::new(match part {
                Some(split) => Cifar10::open_split(path, split)?,
                None => Cifar10::open(path)?,
            }),
            Set::Mnist => Arc::new(Mnist::open(path, split)?),
            Set::Images => Arc::new(ImageFolder::open(path, split, side)?),
            Set::Synthetic { classes, side, samples, noise } => {
                Arc::new(Synthetic::new(SyntheticSpec { classes, channels: 3, side, samples, noise, seed, split })?)
            }
            Set::Npy => return Err(DataError::of(path, "is an array, which has no parts")),
        })
    }

    /// Opens an array whose samples have this shape, with its labels where they are named.
    ///
    /// # Errors
    /// A file is missing or damaged, or there are not as many labels as samples.
    pub(in crate::experiment) fn open_array(
        &self,
        path: &Path,
        origin: &Origin,
        shape: &Shape,
    ) -> Result<Arc<dyn SampleSet>, DataError> {
        let array = Npy::open(path, shape.sizes())?;
        Ok(match &self.labels {
            None => Arc::new(array),
            Some(labels) => {
                let file = locate(labels, &origin.file);
                Arc::new(Labelled::new(array, read_labels(&file)?).map_err(|message| DataError::of(&file, &message))?)
            }
        })
    }
}

/// A relative path is looked up beside the spec, then in the working folder.
fn locate(path: &str, spec_file: &str) -> PathBuf {
    let beside = Path::new(spec_file).parent().unwrap_or(Path::new("")).join(path);
    if beside.exists() { beside } else { path.into() }
}

/// The words for parts of a set.
pub(in crate::experiment) fn part_named(name: &str) -> Option<Split> {
    match name {
        "train" => Some(Split::Training),
        "test" => Some(Split::Test),
        _ => None,
    }
}
