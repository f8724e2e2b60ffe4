//! Opens the data that a spec's inputs come from, and fits it to a network's input shape.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::array::checked_product;
use crate::data::{DataError, ResizeFilter, Resized, SampleSet, contents};
use crate::experiment::specification::expression::Variables;
use crate::experiment::specification::reader::{Origin, SpecError};
use crate::experiment::specification::{DrawSpec, InputDistribution, LabelSpec, NetworkSpec, SamplesSpec, Set, Spec};
use crate::network::{Architecture, Node, Shape};
use crate::sampling::{InputLaw, Samples};

/// What a spec's inputs come from, opened once.
#[derive(Debug)]
pub struct Source(Kind);

#[derive(Debug)]
enum Kind {
    /// A law without data.
    Law(InputLaw),
    /// Images, or other samples of a shape of their own.
    Samples { opened: Opened, set: SamplesSpec },
    /// An array, read when the shape of its samples is known and then kept.
    Array { path: PathBuf, read: RefCell<Option<(Shape, Opened)>>, set: SamplesSpec },
}

/// A set of samples with what is looked for once: the first that is zero everywhere, and the digest of what it holds.
#[derive(Debug, Clone)]
struct Opened {
    samples: Arc<dyn SampleSet>,
    zero: Option<usize>,
    contents: String,
}

impl Opened {
    fn new(samples: Arc<dyn SampleSet>) -> Self {
        Self { zero: first_zero(&*samples), contents: contents::digest(&*samples), samples }
    }
}

/// A set of samples as the sampler sees it.
#[derive(Debug)]
struct Held(Arc<dyn SampleSet>);

impl Samples for Held {
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
pub fn open(spec: &Spec<DrawSpec>) -> Result<Source, SpecError> {
    let law = |law| Ok(Source(Kind::Law(law)));
    match &spec.work.input.distribution {
        InputDistribution::Gaussian => law(InputLaw::Gaussian),
        InputDistribution::Uniform { low, high } => law(InputLaw::Uniform { low: *low as f32, high: *high as f32 }),
        InputDistribution::Constant(value) => law(InputLaw::Constant(*value as f32)),
        InputDistribution::Samples { set, part } => {
            let path = set.locate(&spec.origin, "input")?;
            if set.set == Set::Npy {
                return Ok(Source(Kind::Array { path, read: RefCell::new(None), set: set.clone() }));
            }
            let side = set.largest_side(&spec.origin, "input", &spec.sweep.points())?;
            let samples = set.open(&path, *part, side, spec.seed).map_err(|error| refuse(spec, &error))?;
            Ok(Source(Kind::Samples { opened: Opened::new(samples), set: set.clone() }))
        }
    }
}

/// The data set's complaint, which begins with its path, under the spec's key.
fn refuse(spec: &Spec<DrawSpec>, error: &impl std::fmt::Display) -> SpecError {
    spec.origin.error("input.path", "", error.to_string())
}

impl Source {
    /// The digest of the data; empty where there is none, or none was [fitted](Self::fit) yet.
    pub fn contents(&self) -> String {
        match &self.0 {
            Kind::Law(_) => String::new(),
            Kind::Samples { opened, .. } => opened.contents.clone(),
            Kind::Array { read, .. } => {
                read.borrow().as_ref().map_or_else(String::new, |(_, array)| array.contents.clone())
            }
        }
    }

    /// The law of the inputs of one network at one point.
    ///
    /// # Errors
    /// The data does not fit the input's shape, lacks labels that are asked for, or holds a sample that is zero
    /// everywhere, where a network without biases has no gradient.
    pub fn fit(
        &self,
        spec: &Spec<DrawSpec>,
        network: &NetworkSpec,
        architecture: &Architecture,
        variables: &Variables,
    ) -> Result<InputLaw, SpecError> {
        let shape = architecture.input();
        let (samples, zero) = match &self.0 {
            Kind::Law(law) => return Ok(law.clone()),
            Kind::Samples { opened, set } => {
                (fit_samples(&opened.samples, set, spec, network, shape, variables)?, opened.zero)
            }
            Kind::Array { path, read, set } => {
                let array = read_array(path, read, set, &spec.origin, shape).map_err(|error| refuse(spec, &error))?;
                (array.samples, array.zero)
            }
        };
        if spec.work.input.label == LabelSpec::True && samples.label(0).is_none() {
            let message = "needs samples with labels; an array has them where input.labels names their file";
            return Err(spec.origin.error("input.label", "true", message));
        }
        let biases = architecture.nodes().iter().any(Node::has_bias);
        match zero {
            Some(index) if !biases => {
                let message =
                    format!("sample {index} is zero everywhere, where a network without biases has no gradient");
                Err(refuse(spec, &message))
            }
            _ => Ok(InputLaw::Samples(Arc::new(Held(samples)))),
        }
    }
}

fn read_array(
    path: &Path,
    read: &RefCell<Option<(Shape, Opened)>>,
    set: &SamplesSpec,
    origin: &Origin,
    shape: &Shape,
) -> Result<Opened, DataError> {
    if let Some((known, array)) = &*read.borrow()
        && known == shape
    {
        return Ok(array.clone());
    }
    let array = Opened::new(set.open_array(path, origin, shape)?);
    *read.borrow_mut() = Some((shape.clone(), array.clone()));
    Ok(array)
}

/// The first sample that is zero everywhere.
fn first_zero(samples: &dyn SampleSet) -> Option<usize> {
    let mut sample = vec![0.0; samples.shape().iter().product()];
    (0..samples.len()).find(|&index| {
        samples.copy_into(index, &mut sample);
        sample.iter().all(|&value| value == 0.0)
    })
}

fn fit_samples(
    samples: &Arc<dyn SampleSet>,
    set: &SamplesSpec,
    spec: &Spec<DrawSpec>,
    network: &NetworkSpec,
    shape: &Shape,
    variables: &Variables,
) -> Result<Arc<dyn SampleSet>, SpecError> {
    let side = set.side(&spec.origin, "input", variables)?;
    as_seen(samples.clone(), side, set.filter, shape).map_err(|seen| {
        let key = format!("{}.input", network.path);
        let message = format!(
            "must be the images' shape {seen:?} (or its length) at this point: set input.resize to change the side"
        );
        spec.origin.error(&key, &shape.to_string(), message)
    })
}

/// Images `[channels, height, width]` as a network with this input sees them: at their own height and width, or with `side` rows and
/// `side` columns through this filter.
///
/// # Errors
/// The shape in which they come, which is not the input's, nor as long as it is where it is a vector.
pub(crate) fn as_seen(
    images: Arc<dyn SampleSet>,
    side: Option<usize>,
    filter: ResizeFilter,
    input: &Shape,
) -> Result<Arc<dyn SampleSet>, Vec<usize>> {
    let native = images.shape().to_vec();
    let seen = side.map_or_else(|| native.clone(), |side| vec![native[0], side, side]);
    let is_flat = input.as_vector().is_some() && checked_product(&seen) == Some(input.len());
    if input.sizes() != seen && !is_flat {
        return Err(seen);
    }
    Ok(match side {
        Some(side) if seen != native => Arc::new(Resized::with_filter(images, side, filter)),
        _ => images,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Synthetic, SyntheticSpec};
    use proptest::prelude::*;

    /// Images of one channel in which every pixel is its own position.
    #[derive(Debug)]
    struct Numbered([usize; 3]);

    impl SampleSet for Numbered {
        fn len(&self) -> usize {
            1
        }

        fn shape(&self) -> &[usize] {
            &self.0
        }

        fn label(&self, _: usize) -> Option<usize> {
            None
        }

        fn copy_into(&self, _: usize, sample: &mut [f32]) {
            assert_eq!(sample.len(), self.0.iter().product::<usize>());
            sample.iter_mut().enumerate().for_each(|(at, value)| *value = at as f32);
        }
    }

    proptest! {
        /// Height and width count each for itself: what is taken can be copied into the input, and holds the pixels that it should.
        #[test]
        fn images_of_any_height_and_width_are_seen_as_they_are_or_resized(
            [height, width, rows, columns] in prop::array::uniform4(1usize..9),
            side in prop::option::of(1usize..9),
            flat in any::<bool>(),
        ) {
            let input = if flat { Shape::new([rows * columns]) } else { Shape::new([1, rows, columns]) }.unwrap();
            let [seen_rows, seen_columns] = side.map_or([height, width], |side| [side; 2]);
            let fits = if flat {
                rows * columns == seen_rows * seen_columns
            } else {
                [rows, columns] == [seen_rows, seen_columns]
            };
            match as_seen(Arc::new(Numbered([1, height, width])), side, ResizeFilter::default(), &input) {
                Ok(seen) => {
                    prop_assert!(fits);
                    let mut sample = vec![f32::NAN; input.len()];
                    seen.copy_into(0, &mut sample);
                    for (at, &value) in sample.iter().enumerate() {
                        let [row, column] = [at / seen_columns, at % seen_columns];
                        let expected = (row * height / seen_rows) * width + column * width / seen_columns;
                        prop_assert_eq!(value, expected as f32);
                    }
                }
                Err(seen) => {
                    prop_assert!(!fits);
                    prop_assert_eq!(seen, vec![1, seen_rows, seen_columns]);
                }
            }
        }
    }

    #[test]
    fn a_side_too_large_to_count_is_refused() {
        let spec = SyntheticSpec {
            classes: 2,
            channels: 3,
            side: 2,
            samples: 2,
            noise: 0.0,
            seed: 1,
            split: crate::data::Split::Test,
        };
        let images = Arc::new(Synthetic::new(spec).unwrap());
        assert!(as_seen(images, Some(1 << 40), ResizeFilter::default(), &Shape::new([12]).unwrap()).is_err());
    }
}
