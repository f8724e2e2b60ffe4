//! The table `[data]`: which samples networks are trained, validated and tested on.

use std::sync::{Arc, OnceLock};

use ndarray_rand::rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::data::{SampleSet, Split, contents};
use crate::experiment::specification::expression::Variables;
use crate::experiment::specification::reader::{Origin, Reader, SpecError};
use crate::experiment::specification::{SAMPLE_KEYS, SamplesSpec, Set};
use crate::experiment::work::draw::as_seen;
use crate::network::{Normalise, Shape};
use crate::stream::StreamKey;

/// The table `[data]`.
#[derive(Debug, Clone)]
pub struct DataSpec {
    /// Which samples.
    pub samples: SamplesSpec,
    /// Training samples; all that are left beside the validation samples, unless given.
    pub training: Option<usize>,
    /// Validation samples, taken from the training part.
    pub validation: usize,
    /// Test samples; all unless given.
    pub test: Option<usize>,
}

const MOST: i64 = 1 << 32;

pub(in crate::experiment) fn read_data(reader: &Reader<'_>, origin: &Origin) -> Result<DataSpec, SpecError> {
    let table = reader.table("data")?.ok_or_else(|| reader.missing("data", "a table"))?;
    let everywhere = &["set", "training", "validation", "test"];
    let data = Reader::new(table, origin, "data", &[&everywhere[..], SAMPLE_KEYS].concat())?;
    let name = data.required_string("set")?;
    let Some(set) = Set::named(name).filter(|set| *set != Set::Npy) else {
        let message = "must be cifar10, mnist, images or synthetic: samples with a training and a test part";
        return Err(data.refuse("set", message));
    };
    let count = |key, least, default: i64| Ok(data.whole(key, least, MOST)?.unwrap_or(default) as usize);
    Ok(DataSpec {
        samples: SamplesSpec::read(&data, "set", name, set)?,
        training: data.whole("training", 1, MOST)?.map(|count| count as usize),
        validation: count("validation", 1, 1000)?,
        test: data.whole("test", 1, MOST)?.map(|count| count as usize),
    })
}

/// The samples of an experiment.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    /// Both parts at their own size.
    parts: [Arc<dyn SampleSet>; 2],
    /// Which samples of the training part are for training.
    pub training: Vec<usize>,
    /// Which are for validation.
    pub validation: Vec<usize>,
    /// Which samples of the test part are for testing.
    pub test: Vec<usize>,
    /// The digests of both parts.
    pub contents: [String; 2],
    /// Mean and standard deviation of each channel over the training samples, once they were asked for.
    constants: OnceLock<Result<Normalise, String>>,
}

impl Data {
    /// Mean and standard deviation of each channel over the training samples, for networks with this input; images count at the
    /// size at which they were opened.
    ///
    /// # Errors
    /// In words, which channel does not vary.
    pub fn constants(&self, input: &Shape) -> Result<Normalise, String> {
        let constants = self.constants.get_or_init(|| constants(&*self.parts[0], &self.training)).clone();
        // A flat image has the constants of a channel at every pixel.
        let pixels = if input.as_vector().is_some() { input.len() / self.parts[0].shape()[0] } else { 1 };
        let repeated =
            |values: Vec<f64>| values.into_iter().flat_map(|value| std::iter::repeat_n(value, pixels)).collect();
        constants.map(|Normalise { mean, std }| Normalise { mean: repeated(mean), std: repeated(std) })
    }
}

/// Mean and standard deviation, √(Σ(x − mean)²/n), of each channel over some samples. The sums, about the channel's first value, are
/// those of the samples in their order, whatever the number of threads.
fn constants(set: &dyn SampleSet, indices: &[usize]) -> Result<Normalise, String> {
    let (channels, length) = (set.shape()[0], set.shape().iter().product::<usize>());
    let pixels = length / channels;
    let copy = |index: usize, sample: &mut Vec<f32>| set.copy_into(index, sample);
    let mut first = vec![0.0; length];
    indices.first().into_iter().for_each(|&index| copy(index, &mut first));
    let pivots: Vec<f64> = first.iter().step_by(pixels).map(|&value| value.into()).collect();
    let sums = |sample: &mut Vec<f32>, &index: &usize| -> Vec<[f64; 2]> {
        copy(index, sample);
        let of_channel = |(values, pivot): (&[f32], &f64)| {
            values
                .iter()
                .map(|&value| f64::from(value) - pivot)
                .fold([0.0; 2], |[sum, square], x| [sum + x, square + x * x])
        };
        sample.chunks_exact(pixels).zip(&pivots).map(of_channel).collect()
    };
    let all: Vec<Vec<[f64; 2]>> = indices.par_iter().map_init(|| vec![0.0; length], sums).collect();
    let count = (indices.len() * pixels) as f64;
    let (mut mean, mut std) = (Vec::new(), Vec::new());
    for (channel, pivot) in pivots.iter().enumerate() {
        let [sum, square] =
            all.iter().fold([0.0; 2], |[sum, square], sample| [sum + sample[channel][0], square + sample[channel][1]]);
        let (shift, variance) = (sum / count, square / count - (sum / count).powi(2));
        if variance <= 0.0 {
            return Err(format!("must have mean and std: channel {channel} is the same in all training samples"));
        }
        mean.push(pivot + shift);
        std.push(variance.sqrt());
    }
    Ok(Normalise { mean, std })
}

impl DataSpec {
    /// The same without the places where the files lie.
    pub(super) fn without_paths(&self) -> Self {
        Self { samples: self.samples.without_paths(), ..self.clone() }
    }

    /// Opens the samples, and chooses at random, by the seed, which are for what. Folders of images are opened at the largest side
    /// that the grid asks for.
    ///
    /// # Errors
    /// Data is missing, damaged, or less than is asked for.
    pub(super) fn open(&self, origin: &Origin, grid: &[Vec<(String, f64)>], seed: u64) -> Result<Data, SpecError> {
        let path = self.samples.locate(origin, "data")?;
        let side = self.samples.largest_side(origin, "data", grid)?;
        let open = |split: Split| self.samples.open(&path, Some(split), side, seed);
        let open = |split: Split| open(split).map_err(|error| origin.error("data", "", error.to_string()));
        let parts = [open(Split::Training)?, open(Split::Test)?];
        let order = |part: usize, name: &str| {
            let mut order: Vec<usize> = (0..parts[part].len()).collect();
            order.shuffle(&mut StreamKey::new(seed, &["data", name]).draw(0));
            order
        };
        let (mut training, mut test) = (order(0, "training"), order(1, "test"));
        let wanted = self.validation + self.training.unwrap_or(1);
        if wanted > training.len() {
            let message = format!("and validation = {} together must be at most {}", self.validation, training.len());
            return Err(origin.error("data.training", &self.training.unwrap_or(1).to_string(), message));
        }
        if let Some(count) = self.test {
            if count > test.len() {
                let message = format!("must be at most {}", test.len());
                return Err(origin.error("data.test", &count.to_string(), message));
            }
            test.truncate(count);
        }
        let validation = training.split_off(training.len() - self.validation);
        training.truncate(self.training.unwrap_or(usize::MAX));
        let contents = [contents::digest(&*parts[0]), contents::digest(&*parts[1])];
        Ok(Data { parts, training, validation, test, contents, constants: OnceLock::new() })
    }

    /// Both parts of the data as a network with this input sees them.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub(super) fn fit(
        &self,
        data: &Data,
        origin: &Origin,
        shape: &Shape,
        key: &str,
        variables: &Variables,
    ) -> Result<[Arc<dyn SampleSet>; 2], SpecError> {
        let side = self.samples.side(origin, "data", variables)?;
        // The files of one part may hold images of another size than those of the other.
        let seen = |part: usize, name: Split| {
            as_seen(data.parts[part].clone(), side, self.samples.filter, shape).map_err(|seen| {
                let message = format!(
                    "must be the {name} images' shape {seen:?} (or its length): set data.resize to change the side"
                );
                origin.error(key, &shape.to_string(), message)
            })
        };
        Ok([seen(0, Split::Training)?, seen(1, Split::Test)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images of two channels and two pixels.
    #[derive(Debug)]
    struct Images(Vec<[f32; 4]>);

    impl SampleSet for Images {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn shape(&self) -> &[usize] {
            &[2, 1, 2]
        }

        fn label(&self, _: usize) -> Option<usize> {
            None
        }

        fn copy_into(&self, index: usize, sample: &mut [f32]) {
            sample.copy_from_slice(&self.0[index]);
        }
    }

    #[test]
    fn constants_are_those_of_the_training_samples_alone() {
        let images = Images(vec![[1.0, 3.0, 0.0, 0.0], [5.0, 7.0, 2.0, 0.0], [900.0; 4]]);
        let Normalise { mean, std } = constants(&images, &[1, 0]).unwrap();
        assert_eq!(mean, [4.0, 0.5]);
        assert!((std[0] - 5f64.sqrt()).abs() < 1e-15 && (std[1] - 0.75f64.sqrt()).abs() < 1e-15, "{std:?}");
        assert!(constants(&images, &[2]).unwrap_err().contains("channel 0 is the same"));
    }
}
