//! Labelled samples for a given network: an array with labels listed, or any set that specs name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{GivenNetwork, Labels, of_data, read_samples};
use crate::attack::Bounds;
use crate::data::{Cifar10, Npy, ResizeFilter, Resized, SampleSet, Split};
use crate::experiment::SpecError;
use crate::experiment::specification::reader::Origin;
use crate::experiment::specification::{SamplesSpec, Set};
use crate::network::{Real, Shape, Tape, loss};
use crate::short::short;

/// Samples that are taken of CIFAR-10 unless it is said how many.
const IMAGES: usize = 1000;

/// Samples in the shape of a network's input, each with a label that the network has an output for.
#[derive(Debug)]
pub struct LabelledSamples<T> {
    values: Values<T>,
    labels: Vec<usize>,
    /// How many there are to take samples from.
    pub available: usize,
    /// The part of the set and the files that hold it, where the set has parts.
    pub part: Option<(Split, Vec<String>)>,
    /// The values that all coordinates are within, where it is known.
    pub bounds: Option<Bounds>,
}

#[derive(Debug)]
enum Values<T> {
    Array(Npy<T>),
    Images(Box<dyn SampleSet>),
}

/// Which samples are read, and what is asked of them.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// Samples as specs name them, `SET:PATH`, or the path alone of a `.npy` file or of CIFAR-10 in the binary layout (its folder, its
    /// `.tar.gz` or one of its batches); `synthetic` alone for images made on the spot.
    pub path: &'a Path,
    /// The part of a set; unless given that of the batch of CIFAR-10 which the path names, else the test part.
    pub split: Option<Split>,
    /// Labels of an array; other sets have their own.
    pub labels: Option<&'a Labels>,
    /// How many are taken, from the first on; unless given the first 1000 of images, all of an array.
    pub count: Option<usize>,
    /// How images are resized to the network's side; by the nearest pixel unless given.
    pub filter: Option<ResizeFilter>,
    /// The values that coordinates may take, `Some(None)` for any; unless given [0, 1] for CIFAR-10 and any for an array.
    pub bounds: Option<Option<Bounds>>,
}

impl<T: Real> LabelledSamples<T> {
    /// Reads samples for a network. Images of CIFAR-10, byte/255, are resized to the network's side.
    ///
    /// # Errors
    /// The data is missing or damaged, does not fit the network, has fewer samples than asked for, or one of these is outside the
    /// bounds.
    pub fn read(network: &GivenNetwork<T>, selection: &Selection<'_>) -> Result<Self, SpecError> {
        let (set, path) = set_of(selection.path)?;
        let selection = &Selection { path: &path, ..*selection };
        let is_array = set == Set::Npy;
        let read =
            if is_array { Self::from_array(network, selection)? } else { Self::from_images(network, set, selection)? };
        match selection.bounds {
            None => Ok(Self { bounds: (!is_array).then_some(Bounds::UNIT), ..read }),
            Some(bounds) => Self { bounds, ..read }.inside(selection.path),
        }
    }

    /// The samples of an array with their labels, one each that the network has an output for, or the predicted ones.
    ///
    /// # Errors
    /// A coordinate is outside the bounds.
    pub fn of_array(
        network: &GivenNetwork<T>,
        array: Npy<T>,
        labels: Option<Vec<usize>>,
        bounds: Option<Bounds>,
    ) -> Result<Self, SpecError> {
        let available = array.count();
        let labels = labels.unwrap_or_else(|| predicted(network, &array, available));
        let samples = Self { values: Values::Array(array), labels, available, part: None, bounds };
        samples.inside(Path::new("samples"))
    }

    fn from_array(network: &GivenNetwork<T>, selection: &Selection<'_>) -> Result<Self, SpecError> {
        if selection.split.is_some() {
            return Err(refuse(Path::new("--split"), "goes with CIFAR-10; a .npy file has no parts"));
        }
        if selection.filter.is_some() {
            return Err(refuse(Path::new("--resize-filter"), "goes with images; .npy samples are taken as they are"));
        }
        let array: Npy<T> = read_samples(selection.path, &network.architecture)?;
        let available = array.count();
        let count = taken(selection, available, available)?;
        let labels = selection.labels.unwrap_or(&Labels::Predicted);
        let labels = match labels.resolve(available, network.architecture.outputs())? {
            Some(mut labels) => {
                labels.truncate(count);
                labels
            }
            None => predicted(network, &array, count),
        };
        Ok(Self { values: Values::Array(array), labels, available, part: None, bounds: None })
    }

    fn from_images(network: &GivenNetwork<T>, set: Set, selection: &Selection<'_>) -> Result<Self, SpecError> {
        let Selection { path, .. } = *selection;
        if selection.labels.is_some() {
            return Err(refuse(Path::new("--label"), "goes with .npy samples; other sets have their own labels"));
        }
        let input = network.architecture.input();
        let refuse_shape = |channels: usize| {
            let message =
                format!("must be [{channels}, side, side], or {channels}·side² for a vector, to take these images");
            network.origin.error("input", &input.to_string(), message)
        };
        let (images, part): (Arc<dyn SampleSet>, _) = match set {
            Set::Cifar10 => {
                let images = match selection.split {
                    None if Cifar10::is_batch(path) => Cifar10::open(path),
                    split => Cifar10::open_split(path, split.unwrap_or(Split::Test)),
                };
                let images = images.map_err(|error| of_data(&error))?;
                let part = (images.split(), images.batches().to_vec());
                (Arc::new(images), part)
            }
            _ => {
                let split = selection.split.unwrap_or(Split::Test);
                // Other images have three channels, or come as they are.
                let side = side_of(input, 3).unwrap_or(1);
                let spec = SamplesSpec { set, path: None, labels: None, resize: None, filter: ResizeFilter::default() };
                let images = spec.open(path, Some(split), side, SEED).map_err(|error| of_data(&error))?;
                (images, (split, Vec::new()))
            }
        };
        let channels = images.shape()[0];
        let side = side_of(input, channels).ok_or_else(|| refuse_shape(channels))?;
        let images: Box<dyn SampleSet> =
            Box::new(Resized::with_filter(images, side, selection.filter.unwrap_or_default()));
        let available = images.len();
        let count = taken(selection, available, IMAGES.min(available))?;
        let outputs = network.architecture.outputs();
        // Every image of these sets has a label.
        let labels: Vec<usize> = (0..count).filter_map(|index| images.label(index)).collect();
        if let Some(at) = labels.iter().position(|&label| label >= outputs) {
            let classes = (0..available).filter_map(|index| images.label(index)).max().map_or(0, |label| label + 1);
            let message = format!(
                "sample {at} has label {}; the network has {outputs} outputs, and must have {classes}",
                labels[at]
            );
            return Err(refuse(path, &message));
        }
        Ok(Self { values: Values::Images(images), labels, available, part: Some(part), bounds: None })
    }

    /// Refuses samples with a coordinate outside the bounds.
    fn inside(self, path: &Path) -> Result<Self, SpecError> {
        let Some(bounds) = self.bounds else { return Ok(self) };
        let mut sample = vec![T::zero(); self.dimension()];
        for index in 0..self.count() {
            self.write(index, &mut sample);
            if let Some(at) = bounds.outside(&sample) {
                let ([low, high], value) = (bounds.ends().map(short), short(sample[at]));
                let message = format!(
                    "sample {index} has the value {value} outside the box; with --box {low},{high} all must be inside"
                );
                return Err(refuse(path, &message));
            }
        }
        Ok(self)
    }

    /// Number of samples.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// Number of coordinates of a sample.
    pub fn dimension(&self) -> usize {
        match &self.values {
            Values::Array(array) => array.sample(0).len(),
            Values::Images(images) => images.shape().iter().product(),
        }
    }

    /// Writes a sample.
    pub fn write(&self, index: usize, sample: &mut [T]) {
        match &self.values {
            Values::Array(array) => sample.copy_from_slice(array.sample(index)),
            Values::Images(images) => {
                let mut image = vec![0.0; sample.len()];
                images.copy_into(index, &mut image);
                sample.iter_mut().zip(image).for_each(|(value, pixel)| *value = T::from_f64(pixel.into()));
            }
        }
    }

    /// A sample's label.
    pub fn label(&self, index: usize) -> usize {
        self.labels[index]
    }
}

/// The set that `--data` names, and its path: `SET:PATH`, or what the name of the path tells.
fn set_of(data: &Path) -> Result<(Set, PathBuf), SpecError> {
    let text = data.to_string_lossy();
    if !data.exists() {
        let (name, path) = text.split_once(':').unwrap_or((&text, ""));
        if let Some(set) = Set::named(name) {
            if path.is_empty() == set.has_path() {
                let message = if set.has_path() {
                    format!("must be {name}:PATH, with the path of the data")
                } else {
                    format!("must be {name} alone: these images are made, not read")
                };
                return Err(refuse(data, &message));
            }
            return Ok((set, path.into()));
        }
    }
    if has_extension(data, &[".npy"]) {
        return Ok((Set::Npy, data.into()));
    }
    if data.is_dir() || has_extension(data, &[".tar.gz", ".tgz"]) || Cifar10::is_batch(data) {
        return Ok((Set::Cifar10, data.into()));
    }
    let sets: Vec<&str> = Set::names().filter(|name| *name != "synthetic").collect();
    let message = format!(
        "must be a .npy file, or CIFAR-10 in the binary layout (its folder, its .tar.gz, or a batch such as test_batch.bin), or \
         SET:PATH with a set of {}, or synthetic",
        sets.join(", ")
    );
    Err(refuse(data, &message))
}

/// Seed of images that are made on the spot.
const SEED: u64 = 1;

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    extensions.iter().any(|extension| name.ends_with(extension))
}

pub(super) fn refuse(place: &Path, message: &str) -> SpecError {
    Origin { file: place.display().to_string(), overridden: Vec::new() }.error("", "", message)
}

fn taken(selection: &Selection<'_>, available: usize, default: usize) -> Result<usize, SpecError> {
    match selection.count {
        Some(count) if count > available => {
            let message = format!("is more than the {available} samples of {}", selection.path.display());
            Err(refuse(Path::new(&format!("--samples {count}")), &message))
        }
        count => Ok(count.unwrap_or(default)),
    }
}

fn predicted<T: Real>(network: &GivenNetwork<T>, array: &Npy<T>, count: usize) -> Vec<usize> {
    let GivenNetwork { architecture, parameters, .. } = network;
    let mut tape = Tape::new(architecture);
    (0..count).map(|index| loss::prediction(tape.forward(architecture, parameters, array.sample(index)))).collect()
}

/// The side of the square images that an input of this shape takes, [channels, side, side] or a vector of as many values.
fn side_of(input: &Shape, channels: usize) -> Option<usize> {
    match *input.sizes() {
        [found, height, width] if found == channels && height == width => Some(height),
        [length] => {
            let side = (length / channels).isqrt();
            (channels * side * side == length).then_some(side)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn square_images_and_vectors_of_as_many_values_have_a_side() {
        let side = |sizes: &[usize]| side_of(&Shape::new(sizes).unwrap(), 3);
        assert_eq!(side(&[3, 32, 32]), Some(32));
        assert_eq!(side(&[3072]), Some(32));
        assert_eq!(side(&[27]), Some(3));
        for sizes in [&[1, 32, 32][..], &[3, 32, 16], &[3, 8], &[3073], &[1]] {
            assert_eq!(side(sizes), None, "{sizes:?}");
        }
    }
}
