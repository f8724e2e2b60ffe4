//! Opens the data that a spec's inputs come from, and fits it to a network's input shape.

use std::cell::RefCell;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::expression::Variables;
use super::reader::SpecError;
use super::spec::{InputDistribution, LabelSpec, NetworkSpec, Spec};
use crate::data::{Cifar10, DataError, Npy, Resized, SampleSet};
use crate::network::{Architecture, Node, Shape};
use crate::sampling::{InputLaw, Samples};

/// What a spec's inputs come from, opened once.
#[derive(Debug)]
pub struct Source {
    kind: Kind,
    /// What changes when the data does.
    stamp: String,
}

#[derive(Debug)]
enum Kind {
    /// A law without data.
    Law(InputLaw),
    /// CIFAR-10 images.
    Images(Opened<Cifar10>),
    /// An array, read when the shape of its samples is known and then kept.
    Array { path: PathBuf, read: RefCell<Option<(Shape, Opened<Npy>)>> },
}

/// A set of samples with the first that is zero everywhere, which is looked for once.
#[derive(Debug)]
struct Opened<S> {
    samples: Arc<S>,
    zero: Option<usize>,
}

impl<S> Clone for Opened<S> {
    fn clone(&self) -> Self {
        Self { samples: self.samples.clone(), zero: self.zero }
    }
}

impl<S: SampleSet> Opened<S> {
    fn new(samples: S) -> Self {
        Self { zero: first_zero(&samples), samples: Arc::new(samples) }
    }
}

/// A set of samples as the sampler sees it.
#[derive(Debug)]
struct Held<S>(S);

impl<S: SampleSet> Samples for Held<S> {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn write(&self, index: usize, input: &mut [f32]) {
        self.0.copy_into(index, input);
    }
    fn label(&self, index: usize) -> Option<usize> {
        self.0.label(index)
    }
}

/// Opens what the spec's inputs come from. A relative path is looked up beside the spec, then in the working folder.
///
/// # Errors
/// The path is not given, or the data is missing or damaged.
pub fn open(spec: &Spec) -> Result<Source, SpecError> {
    let path = match spec.input.distribution.path() {
        Some(None) => {
            return Err(spec.origin.error(
                "input.path",
                "",
                "is missing; must be the path of the data: --set input.path=PATH",
            ));
        }
        Some(Some(path)) => locate(path, &spec.origin.file),
        None => PathBuf::new(),
    };
    let kind = match spec.input.distribution {
        InputDistribution::Gaussian => Kind::Law(InputLaw::Gaussian),
        InputDistribution::Uniform { low, high } => Kind::Law(InputLaw::Uniform { low: low as f32, high: high as f32 }),
        InputDistribution::Constant(value) => Kind::Law(InputLaw::Constant(value as f32)),
        InputDistribution::Cifar10 { .. } => {
            Kind::Images(Opened::new(Cifar10::open(&path).map_err(|error| refuse(spec, &error))?))
        }
        InputDistribution::Npy { .. } => Kind::Array { path: path.clone(), read: RefCell::new(None) },
    };
    Ok(Source { kind, stamp: stamp_of(&path) })
}

/// Names, sizes and times of change of a file, or of the files in a folder.
pub(super) fn stamp_of(path: &Path) -> String {
    let one = |path: &Path| {
        let metadata = path.metadata().ok();
        (path.to_owned(), metadata.as_ref().map(Metadata::len), metadata.and_then(|metadata| metadata.modified().ok()))
    };
    let inside = std::fs::read_dir(path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = inside.collect();
    files.sort();
    let files: Vec<_> = files.iter().map(|file| one(file)).collect();
    format!("{:?} {files:?}", one(path))
}

/// The data set's complaint, which begins with its path, under the spec's key.
fn refuse(spec: &Spec, error: &impl std::fmt::Display) -> SpecError {
    spec.origin.error("input.path", "", error.to_string())
}

/// A relative path is looked up beside the spec, then in the working folder.
pub(super) fn locate(path: &str, spec_file: &str) -> PathBuf {
    let beside = Path::new(spec_file).parent().unwrap_or(Path::new("")).join(path);
    if beside.exists() { beside } else { path.into() }
}

impl Source {
    /// A text that changes when the data does.
    pub fn stamp(&self) -> &str {
        &self.stamp
    }

    /// The law of the inputs of one network at one point.
    ///
    /// # Errors
    /// The data does not fit the input's shape, lacks labels that are asked for, or holds a sample that is zero
    /// everywhere, where a network without biases has no gradient.
    pub fn fit(
        &self,
        spec: &Spec,
        network: &NetworkSpec,
        architecture: &Architecture,
        variables: &Variables,
    ) -> Result<InputLaw, SpecError> {
        let shape = architecture.input();
        let (law, zero) = match &self.kind {
            Kind::Law(law) => return Ok(law.clone()),
            Kind::Images(images) => (fit_images(&images.samples, spec, network, shape, variables)?, images.zero),
            Kind::Array { path, read } => {
                let array = read_array(path, read, shape).map_err(|error| refuse(spec, &error))?;
                (InputLaw::Samples(Arc::new(Held(array.samples))), array.zero)
            }
        };
        if let InputLaw::Samples(samples) = &law
            && spec.input.label == LabelSpec::True
            && samples.label(0).is_none()
        {
            return Err(spec.origin.error("input.label", "true", "needs data with labels, and an array has none"));
        }
        let biases = architecture.nodes().iter().any(Node::has_bias);
        match zero {
            Some(index) if !biases => {
                let message =
                    format!("sample {index} is zero everywhere, where a network without biases has no gradient");
                Err(refuse(spec, &message))
            }
            _ => Ok(law),
        }
    }
}

fn read_array(
    path: &Path,
    read: &RefCell<Option<(Shape, Opened<Npy>)>>,
    shape: &Shape,
) -> Result<Opened<Npy>, DataError> {
    if let Some((known, array)) = &*read.borrow()
        && known == shape
    {
        return Ok(array.clone());
    }
    let array = Opened::new(Npy::open(path, shape.sizes())?);
    *read.borrow_mut() = Some((shape.clone(), array.clone()));
    Ok(array)
}

/// The first sample that is zero everywhere.
fn first_zero(samples: &impl SampleSet) -> Option<usize> {
    let mut sample = vec![0.0; samples.shape().iter().product()];
    (0..samples.len()).find(|&index| {
        samples.copy_into(index, &mut sample);
        sample.iter().all(|&value| value == 0.0)
    })
}

fn fit_images(
    images: &Arc<Cifar10>,
    spec: &Spec,
    network: &NetworkSpec,
    shape: &Shape,
    variables: &Variables,
) -> Result<InputLaw, SpecError> {
    let InputDistribution::Cifar10 { resize, filter, .. } = &spec.input.distribution else {
        return Err(spec.origin.error("input.distribution", "", "must be cifar10 for images"));
    };
    let native = images.shape();
    let side = match resize {
        None => native[1],
        Some(side) => {
            side.size(variables).map_err(|message| spec.origin.error("input.resize", side.text(), message))?
        }
    };
    let resized = [native[0], side, side];
    let flat = Some(shape.len()) == Shape::new(resized).map(|resized| resized.len()) && shape.as_vector().is_some();
    if shape.sizes() != resized && !flat {
        let key = format!("{}.input", network.path);
        let message = format!(
            "must be the images' shape {resized:?} (or its length) at this point: set input.resize to change the side"
        );
        return Err(spec.origin.error(&key, &shape.to_string(), message));
    }
    Ok(InputLaw::Samples(if side == native[1] {
        Arc::new(Held(images.clone()))
    } else {
        Arc::new(Held(Resized::with_filter(images.clone(), side, *filter)))
    }))
}
