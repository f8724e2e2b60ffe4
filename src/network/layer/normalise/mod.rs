//! Normalisation of each channel by constants, as of a data set.

pub(in crate::network) mod batch;

use crate::network::batch::OnBatches;
use crate::network::layer::keys::{Defaults, Key, Keyed, Kind, Refusal, Values};
use crate::network::layer::{LayerRule, NoPathTheory, Pass, Real, Scratch, Shape, Site};
use crate::short::short;

/// y = (x − mean)/std for each channel: the first axis of an image, the units of a vector. One constant alone is that of all
/// channels. It has no parameters and learns nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalise {
    /// What is subtracted.
    pub mean: Vec<f64>,
    /// What the difference is divided by, above 0.
    pub std: Vec<f64>,
}

impl Normalise {
    /// For every channel, in order, 1/std and −mean/std: y = factor · x + shift.
    pub fn coefficients(&self, channels: usize) -> impl Iterator<Item = [f64; 2]> {
        let constant = |values: &[f64], channel: usize| values[if values.len() == 1 { 0 } else { channel }];
        (0..channels).map(move |channel| {
            let factor = 1.0 / constant(&self.std, channel);
            [factor, -constant(&self.mean, channel) * factor]
        })
    }

    /// `to[unit] = each(factor, shift, from[unit])` for all units of all samples.
    fn map<T: Real>(&self, site: Site<'_>, from: &[T], to: &mut [T], each: impl Fn(T, T, T) -> T) {
        let channels = site.input.sizes()[0];
        let pixels = site.input.len() / channels;
        for (from, to) in from.chunks_exact(site.input.len()).zip(to.chunks_exact_mut(site.input.len())) {
            let planes = from.chunks_exact(pixels).zip(to.chunks_exact_mut(pixels));
            for ((from, to), coefficients) in planes.zip(self.coefficients(channels)) {
                let [factor, shift] = coefficients.map(T::from_f64);
                to.iter_mut().zip(from).for_each(|(to, &from)| *to = each(factor, shift, from));
            }
        }
    }

    /// Visits every unit with its channel's factor.
    fn for_each_unit(&self, site: Site<'_>, mut visit: impl FnMut(usize, f64)) {
        let channels = site.input.sizes()[0];
        let pixels = site.input.len() / channels;
        for (channel, [factor, _]) in self.coefficients(channels).enumerate() {
            (channel * pixels..(channel + 1) * pixels).for_each(|unit| visit(unit, factor));
        }
    }
}

impl Keyed for Normalise {
    const SUMMARY: &'static str =
        "(x − mean)/std by constants, for each channel or one for all; those of the training data unless given";
    const KEYS: &'static [Key] = &[Key::optional("mean", Kind::PerChannel), Key::optional("std", Kind::PerChannel)];

    fn from_values(values: &Values, defaults: Defaults<'_>) -> Result<Self, Refusal> {
        let refuse = |key, message| Err(Refusal { key, message });
        match (values.per_channel("mean"), values.per_channel("std")) {
            (Some(mean), Some(std)) if std.iter().all(|&std| std > 0.0) => {
                Ok(Self { mean: mean.into(), std: std.into() })
            }
            (Some(_), Some(_)) => refuse("std", "must be above 0"),
            (Some(_), None) => refuse("std", "is missing; must be a number, or a list of one for each channel"),
            (None, Some(_)) => refuse("mean", "is missing; must be a number, or a list of one for each channel"),
            (None, None) => defaults.constants.cloned().ok_or(Refusal {
                key: "mean",
                message: "is missing; only the first layer of a network that is trained finds mean and std by itself",
            }),
        }
    }
}

impl LayerRule for Normalise {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        let channels = input.sizes()[0];
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != 1 && values.len() != channels {
                let count = values.len();
                return Err(format!("has {count} values of {name}, but its input {input} has {channels} channels"));
            }
        }
        if let Some(mean) = self.mean.iter().find(|mean| !mean.is_finite()) {
            return Err(format!("subtracts {}; mean must be finite", short(mean)));
        }
        let is_divisor = |std: f64| std.is_finite() && std > 0.0 && ((1.0 / std) as f32).is_finite();
        if let Some(std) = self.std.iter().find(|std| !is_divisor(**std)) {
            return Err(format!("divides by {}; std must be above 0, and 1/std within single precision", short(std)));
        }
        Ok(input.clone())
    }

    fn is_symmetric(&self, input: bool) -> bool {
        input && self.mean.iter().all(|&mean| mean == 0.0)
    }

    fn forward<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], _: &mut Scratch<T>) {
        self.map(pass.site, input, output, |factor, shift, x| factor * x + shift);
    }

    fn backward<T: Real>(&self, pass: Pass<'_, T>, _: &[T], upstream: &[T], downstream: &mut [T], _: &mut Scratch<T>) {
        self.map(pass.site, upstream, downstream, |factor, _, above| factor * above);
    }

    fn on_batches<T: Real>(&self, site: Site<'_>) -> OnBatches<T> {
        OnBatches::of_samples(batch::Constants::new(self, site))
    }

    fn edges<T: Real>(
        &self,
        pass: Pass<'_, T>,
        _: &[T],
        mut visit: impl FnMut(usize, usize, T),
    ) -> Result<(), NoPathTheory> {
        self.for_each_unit(pass.site, |unit, factor| visit(unit, unit, T::from_f64(factor)));
        Ok(())
    }

    /// An edge multiplies by its constant weight's square.
    fn connections(
        &self,
        site: Site<'_>,
        _: f64,
        mut visit: impl FnMut(usize, usize, f64),
    ) -> Result<(), NoPathTheory> {
        self.for_each_unit(site, |unit, factor| visit(unit, unit, factor * factor));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both_passes(layer: &Normalise, values: &[f64]) -> [Vec<f64>; 2] {
        let shape = Shape::new([2, 1, 2]).unwrap();
        let pass = Pass { site: Site { input: &shape, output: &shape }, batch: 1, parameters: &[] };
        let (mut output, mut gradient) = (vec![0.0; 4], vec![0.0; 4]);
        layer.forward(pass, values, &mut output, &mut Scratch::default());
        layer.backward(pass, values, &[1.0; 4], &mut gradient, &mut Scratch::default());
        [output, gradient]
    }

    #[test]
    fn channels_are_shifted_and_scaled_by_their_constants() {
        let layer = Normalise { mean: vec![1.0, 2.0], std: vec![0.5, 4.0] };
        assert_eq!(both_passes(&layer, &[1.0, 2.0, 2.0, 0.0]), [[0.0, 2.0, 0.0, -0.5], [2.0, 2.0, 0.25, 0.25]]);
        let alone = Normalise { mean: vec![1.0], std: vec![0.5] };
        assert_eq!(both_passes(&alone, &[1.0, 2.0, 2.0, 0.0])[0], [0.0, 2.0, 2.0, -2.0]);
    }

    #[test]
    fn constants_that_do_not_fit_are_refused() {
        let input = Shape::new([3, 2, 2]).unwrap();
        let refused = |mean: &[f64], std: &[f64]| {
            Normalise { mean: mean.to_vec(), std: std.to_vec() }.output_shape(&input).unwrap_err()
        };
        assert!(refused(&[0.0, 1.0], &[1.0]).contains("2 values of mean"));
        assert!(refused(&[0.0], &[1.0, 0.0, 1.0]).contains("divides by 0"));
        assert!(refused(&[0.0], &[f64::NAN]).contains("above 0"));
        assert!(refused(&[0.0], &[1e-39]).contains("single precision"));
        assert!(refused(&[f64::INFINITY], &[1.0]).contains("must be finite"));
    }

    #[test]
    fn a_shift_breaks_symmetry_and_a_scale_does_not() {
        assert!(Normalise { mean: vec![0.0], std: vec![2.0] }.is_symmetric(true));
        assert!(!Normalise { mean: vec![0.1], std: vec![2.0] }.is_symmetric(true));
    }
}
