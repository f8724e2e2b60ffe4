//! Labelled images made on the spot, so that everything runs without any file.
//!
//! Each class has a template, a smooth random pattern on the unit square; a sample is the template of its class, shifted
//! at random, with noise on each pixel. As templates are functions of the place and not of the pixel, a sample shows
//! the same pattern at every resolution. Nothing is stored but the templates: a sample is made again each time it is
//! copied.

use std::f64::consts::TAU;
use std::path::Path;

use ndarray_rand::rand::Rng;
use rand_distr::StandardNormal;

use super::{DataError, SampleSet, Split};
use crate::stream::{Stream, StreamKey};

/// Cosines in one channel of a template.
const WAVES: usize = 4;

/// Highest number of periods of a cosine along a side; low, so that images of few pixels still show it.
const MAX_FREQUENCY: i32 = 2;

/// Root mean square of a template around 1/2; three times this nearly fills \[0, 1\].
const CONTRAST: f64 = 0.15;

/// Largest shift of a sample along each axis, in units of a side.
const MAX_SHIFT: f64 = 0.12;

/// Most values accepted in one sample; far more than any network here takes.
const MAX_VALUES: usize = 1 << 28;

/// Most samples accepted: the order in which they are looked at is kept in memory, and each is made again in every epoch.
const MAX_SAMPLES: usize = 1 << 24;

/// Most classes accepted, as each has a template in memory.
const MAX_CLASSES: usize = 100_000;

/// What a [`Synthetic`] set holds.
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticSpec {
    /// Number of classes; sample i is of class i mod `classes`.
    pub classes: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Rows, and columns, of an image.
    pub side: usize,
    /// Number of samples.
    pub samples: usize,
    /// Standard deviation of the Gaussian noise on each pixel, before values are clamped to \[0, 1\].
    pub noise: f64,
    /// Sets of one seed have the same templates.
    pub seed: u64,
    /// The samples of the two parts have nothing in common but their templates.
    pub split: Split,
}

impl Default for SyntheticSpec {
    /// The shape of CIFAR-10 with fewer samples.
    fn default() -> Self {
        Self { classes: 10, channels: 3, side: 32, samples: 5000, noise: 0.1, seed: 0, split: Split::Training }
    }
}

/// Images `[channels, side, side]` in \[0, 1\] made on the spot.
///
/// Channel k of a sample of class c with shift s is, at the centre x of each pixel,
/// 1/2 + Σⱼ a cos(2π fⱼ·(x + s) + φⱼ) + noise, clamped to \[0, 1\]: four waves j with whole frequencies f from −2 to 2
/// (not both 0) and phases φ, all uniform and independent, drawn once for c and k; s is uniform in \[−0.12, 0.12\]², drawn once for the
/// sample; and a gives the sum a root mean square of 0.15 on average.
///
/// A sample depends on its index, the split, and the seed only (on no other sample); its shift does not depend on the
/// side.
#[derive(Debug)]
pub struct Synthetic {
    spec: SyntheticSpec,
    shape: [usize; 3],
    /// Waves of class 0, channel 0, then channel 1 and so on.
    waves: Vec<[Wave; WAVES]>,
    /// The key of the samples' streams, one stream a sample.
    key: StreamKey,
}

impl Synthetic {
    /// Draws the templates.
    ///
    /// # Errors
    ///
    /// A number in `spec` is 0, too large, or (the noise) negative or not finite; the message says which.
    pub fn new(spec: SyntheticSpec) -> Result<Self, DataError> {
        let SyntheticSpec { classes, channels, side, samples, noise, seed, split } = spec;
        let refuse = |message: String| Err(DataError::new(Path::new("synthetic"), message));
        for (name, number) in [("classes", classes), ("channels", channels), ("side", side), ("samples", samples)] {
            if number == 0 {
                return refuse(format!("{name} is 0; expected at least 1"));
            }
        }
        if classes > MAX_CLASSES || channels > MAX_CLASSES / classes {
            return refuse(format!("{classes} classes of {channels} channels are more than {MAX_CLASSES} templates"));
        }
        if samples > MAX_SAMPLES {
            return refuse(format!("samples = {samples}: must be at most {MAX_SAMPLES}"));
        }
        let values = side.checked_mul(side).and_then(|area| area.checked_mul(channels));
        if values.is_none_or(|values| values > MAX_VALUES) {
            return refuse(format!("images of shape [{channels}, {side}, {side}] have more than {MAX_VALUES} values"));
        }
        if !(noise.is_finite() && noise >= 0.0) {
            return refuse(format!("noise is {noise}; expected a finite standard deviation of at least 0"));
        }
        let templates = StreamKey::new(seed, &["synthetic", "templates"]);
        let class_waves = |class: usize| {
            let mut stream = templates.draw(class as u64);
            (0..channels).map(move |_| std::array::from_fn(|_| Wave::draw(&mut stream)))
        };
        let waves = (0..classes).flat_map(class_waves).collect();
        let key = StreamKey::new(seed, &["synthetic", "samples", &split.to_string()]);
        Ok(Self { spec, shape: [channels, side, side], waves, key })
    }

    /// What the set was made from.
    pub fn spec(&self) -> &SyntheticSpec {
        &self.spec
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.spec.classes
    }

    /// Writes the template of `class`, shifted, into `image`.
    fn write_template(&self, class: usize, shift: [f64; 2], image: &mut [f32]) {
        let SyntheticSpec { channels, side, .. } = self.spec;
        image.fill(0.5);
        let waves = &self.waves[class * channels..][..channels];
        for (plane, waves) in image.chunks_exact_mut(side * side).zip(waves) {
            for wave in waves {
                wave.add(shift, side, plane);
            }
        }
    }
}

impl SampleSet for Synthetic {
    fn rule(&self) -> Option<String> {
        Some(format!("{:?}", self.spec))
    }

    fn len(&self) -> usize {
        self.spec.samples
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn label(&self, index: usize) -> Option<usize> {
        assert!(index < self.len(), "sample {index} of a set of {} samples", self.len());
        Some(index % self.spec.classes)
    }

    fn copy_into(&self, index: usize, sample: &mut [f32]) {
        assert!(index < self.len(), "sample {index} of a set of {} samples", self.len());
        assert_eq!(sample.len(), self.shape.iter().product::<usize>(), "room for one sample of shape {:?}", self.shape);
        let mut stream = self.key.draw(index as u64);
        // The shift comes first, so that it is the same at every resolution.
        let shift = [(); 2].map(|()| stream.random_range(-MAX_SHIFT..=MAX_SHIFT));
        self.write_template(index % self.spec.classes, shift, sample);
        let noise = self.spec.noise as f32;
        for value in sample {
            let normal: f32 = stream.sample(StandardNormal);
            *value = (*value + noise * normal).clamp(0.0, 1.0);
        }
    }
}

/// A cos(2π(f₀ r + f₁ c) + φ) on the unit square, r down and c to the right.
#[derive(Debug)]
struct Wave {
    frequency: [f64; 2],
    phase: f64,
}

impl Wave {
    fn draw(stream: &mut Stream) -> Self {
        let mut frequency = [0; 2];
        while frequency == [0, 0] {
            frequency = [(); 2].map(|()| stream.random_range(-MAX_FREQUENCY..=MAX_FREQUENCY));
        }
        Self { frequency: frequency.map(f64::from), phase: stream.random_range(0.0..TAU) }
    }

    /// Adds the shifted wave, at the centres of the pixels, to a plane of `side` × `side`.
    ///
    /// cos(α + β) = cos α cos β − sin α sin β, with α for the row and β for the column: 4·side cosines and sines
    /// instead of side².
    fn add(&self, shift: [f64; 2], side: usize, plane: &mut [f32]) {
        // Each wave has mean square 1/2, and waves of independent phases add in mean square, on average over phases.
        let amplitude = CONTRAST * (2.0 / WAVES as f64).sqrt();
        let angle = |axis: usize, at: usize| {
            let place = (at as f64 + 0.5) / side as f64 + shift[axis];
            TAU * self.frequency[axis] * place
        };
        let columns: Vec<[f32; 2]> =
            (0..side).map(|c| angle(1, c).sin_cos()).map(|(s, c)| [c as f32, s as f32]).collect();
        for (r, row) in plane.chunks_exact_mut(side).enumerate() {
            let (sine, cosine) = (angle(0, r) + self.phase).sin_cos();
            let (sine, cosine) = ((amplitude * sine) as f32, (amplitude * cosine) as f32);
            for (value, [c, s]) in row.iter_mut().zip(&columns) {
                *value += cosine * c - sine * s;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(set: &Synthetic, index: usize) -> Vec<f32> {
        let mut sample = vec![f32::NAN; set.shape().iter().product()];
        set.copy_into(index, &mut sample);
        sample
    }

    fn distance(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
    }

    /// Share of samples that are nearest to the template of their class, unshifted.
    fn accuracy(spec: SyntheticSpec) -> f64 {
        let set = Synthetic::new(spec).unwrap();
        let templates: Vec<Vec<f32>> = (0..set.classes())
            .map(|class| {
                let mut template = vec![0.0; set.shape().iter().product()];
                set.write_template(class, [0.0; 2], &mut template);
                template
            })
            .collect();
        let right = (0..set.len()).filter(|&index| {
            let sample = copy(&set, index);
            let by_distance =
                |&a: &usize, &b: &usize| distance(&sample, &templates[a]).total_cmp(&distance(&sample, &templates[b]));
            (0..set.classes()).min_by(by_distance) == set.label(index)
        });
        right.count() as f64 / set.len() as f64
    }

    #[test]
    fn the_nearest_template_is_nearly_always_the_right_one() {
        for side in [8, 32] {
            for seed in 0..6 {
                for split in [Split::Training, Split::Test] {
                    let share = accuracy(SyntheticSpec { side, samples: 1000, seed, split, ..Default::default() });
                    assert!(share > 0.9, "{share} at side {side}, seed {seed}, {split}");
                }
            }
        }
    }

    fn small() -> SyntheticSpec {
        SyntheticSpec { classes: 3, channels: 2, side: 8, samples: 30, ..Default::default() }
    }

    fn made(spec: SyntheticSpec) -> Synthetic {
        Synthetic::new(spec).unwrap()
    }

    #[test]
    fn the_shift_makes_classes_hard_to_tell_by_one_template() {
        let share = accuracy(SyntheticSpec { samples: 2000, ..Default::default() });
        assert!(share < 0.995, "{share}");
    }

    #[test]
    fn samples_are_in_range_and_classes_take_turns() {
        let set = made(SyntheticSpec { noise: 0.5, ..small() });
        assert_eq!((set.len(), set.shape()), (30, &[2, 8, 8][..]));
        for index in 0..set.len() {
            assert_eq!(set.label(index), Some(index % 3));
            assert!(copy(&set, index).iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }

    #[test]
    fn a_sample_depends_on_seed_split_and_index_only() {
        let set = made(small());
        let fewer = made(SyntheticSpec { samples: 8, ..small() });
        let first = copy(&set, 7);
        assert_eq!(copy(&fewer, 7), first);
        copy(&set, 2);
        assert_eq!(copy(&set, 7), first);
        let distinct = [
            copy(&set, 4),
            copy(&made(SyntheticSpec { seed: 1, ..small() }), 7),
            copy(&made(SyntheticSpec { split: Split::Test, ..small() }), 7),
        ];
        assert!(distinct.iter().all(|other| *other != first));
    }

    #[test]
    fn the_two_parts_share_their_templates() {
        let template = |split| {
            let set = made(SyntheticSpec { split, ..small() });
            let mut template = vec![0.0; 128];
            set.write_template(2, [0.0; 2], &mut template);
            template
        };
        assert_eq!(template(Split::Training), template(Split::Test));
    }

    #[test]
    fn a_sample_looks_alike_at_every_resolution() {
        let at = |side| made(SyntheticSpec { side, noise: 0.0, ..small() });
        let (coarse, fine) = (copy(&at(32), 5), copy(&at(96), 5));
        // Pixel (r, c) of 32 × 32 has its centre where pixel (3r + 1, 3c + 1) of 96 × 96 has it.
        for (i, value) in coarse.iter().enumerate() {
            let (channel, r, c) = (i / 1024, i / 32 % 32, i % 32);
            let same = fine[(channel * 96 + 3 * r + 1) * 96 + 3 * c + 1];
            assert!((value - same).abs() < 1e-5, "{value} and {same}");
        }
    }

    #[test]
    fn a_wave_follows_its_formula() {
        let wave = Wave { frequency: [2.0, -1.0], phase: 0.7 };
        let mut plane = vec![0.25; 25];
        wave.add([0.1, -0.05], 5, &mut plane);
        for (i, &value) in plane.iter().enumerate() {
            let (r, c) = ((i / 5) as f64, (i % 5) as f64);
            let (r, c) = ((r + 0.5) / 5.0 + 0.1, (c + 0.5) / 5.0 - 0.05);
            let expected = 0.25 + 0.15 * 0.5f64.sqrt() * (TAU * (2.0 * r - c) + 0.7).cos();
            assert!((f64::from(value) - expected).abs() < 1e-6, "{value} and {expected}");
        }
    }

    #[test]
    fn the_noise_has_its_standard_deviation() {
        let noisy = |noise| made(SyntheticSpec { side: 64, noise, ..small() });
        let (clean, noisy) = (copy(&noisy(0.0), 1), copy(&noisy(0.01), 1));
        let deviation = (distance(&clean, &noisy) / clean.len() as f64).sqrt();
        assert!((deviation - 0.01).abs() < 5e-4, "{deviation}");
    }

    #[test]
    fn numbers_that_make_no_set_are_refused_by_name() {
        let refused = |spec: SyntheticSpec, part: &str| {
            let error = Synthetic::new(spec).unwrap_err();
            assert!(error.to_string().starts_with("synthetic: ") && error.message.contains(part), "{error}");
        };
        refused(SyntheticSpec { classes: 0, ..small() }, "classes is 0");
        refused(SyntheticSpec { channels: 0, ..small() }, "channels is 0");
        refused(SyntheticSpec { side: 0, ..small() }, "side is 0");
        refused(SyntheticSpec { samples: 0, ..small() }, "samples is 0");
        refused(SyntheticSpec { side: usize::MAX, ..small() }, "more than 268435456 values");
        refused(SyntheticSpec { classes: 1 << 20, ..small() }, "more than 100000 templates");
        refused(SyntheticSpec { classes: usize::MAX, channels: 9, ..small() }, "templates");
        for noise in [-0.1, f64::NAN, f64::INFINITY] {
            refused(SyntheticSpec { noise, ..small() }, "finite standard deviation");
        }
    }

    #[test]
    #[should_panic(expected = "sample 30 of a set of 30 samples")]
    fn an_index_past_the_end_is_refused() {
        copy(&made(small()), 30);
    }
}
