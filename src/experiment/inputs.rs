//! Opens the data that a spec's inputs come from, and fits it to a network's input shape.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::expression::Variables;
use super::reader::SpecError;
use super::spec::{InputDistribution, LabelSpec, NetworkSpec, Spec};
use crate::data::{Cifar10, Npy, Resized, SampleSet};
use crate::network::Shape;
use crate::sampling::{InputLaw, Samples};

/// Data of a spec, opened once.
#[derive(Debug, Clone)]
pub enum Source {
    /// A law without data.
    Law(InputLaw),
    /// CIFAR-10 images.
    Images(Arc<Cifar10>),
    /// An array, whose samples are read when the shape is known.
    Array(PathBuf),
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
    let source = match spec.input.distribution {
        InputDistribution::Gaussian => Source::Law(InputLaw::Gaussian),
        InputDistribution::Uniform { low, high } => {
            Source::Law(InputLaw::Uniform { low: low as f32, high: high as f32 })
        }
        InputDistribution::Constant(value) => Source::Law(InputLaw::Constant(value as f32)),
        InputDistribution::Cifar10 { .. } => {
            Source::Images(Arc::new(Cifar10::open(&path).map_err(|e| refuse(spec, &e))?))
        }
        InputDistribution::Npy { .. } => Source::Array(path),
    };
    Ok(source)
}

/// The data set's complaint, which begins with its path, under the spec's key.
fn refuse(spec: &Spec, error: &impl std::fmt::Display) -> SpecError {
    spec.origin.error("input.path", "", error.to_string())
}

fn locate(path: &str, spec_file: &str) -> PathBuf {
    let beside = Path::new(spec_file).parent().unwrap_or(Path::new("")).join(path);
    if beside.exists() { beside } else { path.into() }
}

impl Source {
    /// The law of the inputs of one network at one point.
    ///
    /// # Errors
    /// The data does not fit the input's shape, or has no labels where they are asked for.
    pub fn fit(
        &self,
        spec: &Spec,
        network: &NetworkSpec,
        shape: &Shape,
        variables: &Variables,
    ) -> Result<InputLaw, SpecError> {
        let law = match self {
            Source::Law(law) => law.clone(),
            Source::Images(images) => fit_images(images, spec, network, shape, variables)?,
            Source::Array(path) => {
                let array = Npy::open(path, shape.sizes()).map_err(|error| refuse(spec, &error))?;
                InputLaw::Samples(Arc::new(Held(array)))
            }
        };
        match &law {
            InputLaw::Samples(samples) if spec.input.label == LabelSpec::True && samples.label(0).is_none() => {
                Err(spec.origin.error("input.label", "true", "needs data with labels, and an array has none"))
            }
            _ => Ok(law),
        }
    }
}

fn fit_images(
    images: &Arc<Cifar10>,
    spec: &Spec,
    network: &NetworkSpec,
    shape: &Shape,
    variables: &Variables,
) -> Result<InputLaw, SpecError> {
    let InputDistribution::Cifar10 { resize, .. } = &spec.input.distribution else {
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
        Arc::new(Held(Resized::new(images.clone(), side)))
    }))
}
