//! Normalisations within a sample on batches, whose values lie pixel after pixel.

use super::SampleNorm;
use super::group::Group;
use crate::network::Real;
use crate::network::batch::{BatchRule, pixels_and_channels};
use crate::network::layer::Site;

/// The layer in its place, with γ and β.
#[derive(Debug, Clone)]
pub struct Normalised {
    layer: SampleNorm,
    /// Values of one sample.
    length: usize,
    /// Of every group, where its values lie in a sample, and which γ and β each of them has.
    groups: Vec<Vec<[usize; 2]>>,
    scales: Vec<f64>,
    shifts: Vec<f64>,
}

impl Normalised {
    pub fn new(layer: &SampleNorm, site: Site<'_>) -> Self {
        let [pixels, channels] = pixels_and_channels(site.input);
        let [groups, shared] = layer.counts(site);
        let length = site.input.len();
        // Unit by unit as shapes count them: all pixels of a channel, then the next.
        let place = |unit: usize| [unit % pixels * channels + unit / pixels, unit / shared];
        let of_group = |group: usize| (group * length / groups..(group + 1) * length / groups).map(place).collect();
        let parameters = length / shared;
        Self {
            length,
            groups: (0..groups).map(of_group).collect(),
            scales: vec![1.0; parameters],
            shifts: vec![0.0; if layer.is_centred() { parameters } else { 0 }],
            layer: layer.clone(),
        }
    }

    /// Runs `each` on every group of every sample: its values normalised, where the sample begins, and where its values lie.
    fn for_each_group<T: Real>(&self, input: &[T], mut each: impl FnMut(&Group, usize, &[[usize; 2]])) {
        let (mut values, mut memory) = (Vec::new(), Vec::new());
        for (sample, all) in input.chunks_exact(self.length).enumerate() {
            for places in &self.groups {
                values.clear();
                values.extend(places.iter().map(|&[place, _]| all[place]));
                let group = Group::new(&values, memory, self.layer.is_centred(), self.layer.epsilon);
                each(&group, sample * self.length, places);
                memory = group.normalised;
            }
        }
    }

    /// The values of a group.
    fn of<T: Real>(values: &[T], first: usize, places: &[[usize; 2]]) -> Vec<f64> {
        places.iter().map(|&[place, _]| values[first + place].as_f64()).collect()
    }

    /// The gradient with respect to x̂ of a group.
    fn above<T: Real>(&self, upstream: &[T], first: usize, places: &[[usize; 2]]) -> Vec<f64> {
        places.iter().map(|&[place, parameter]| upstream[first + place].as_f64() * self.scales[parameter]).collect()
    }
}

impl<T: Real> BatchRule<T> for Normalised {
    fn load(&mut self, parameters: &[T]) {
        let own = self.scales.iter_mut().chain(&mut self.shifts);
        own.zip(parameters).for_each(|(own, value)| *own = value.as_f64());
    }

    fn forward(&self, input: &[T], output: &mut [T]) {
        self.for_each_group(input, |group, first, places| {
            for (&[place, parameter], x) in places.iter().zip(&group.normalised) {
                let shift = self.shifts.get(parameter).copied().unwrap_or_default();
                output[first + place] = T::from_f64(self.scales[parameter] * x + shift);
            }
        });
    }

    fn tangent(&self, input: &[T], tangent: &[T], output: &mut [T]) {
        self.for_each_group(input, |group, first, places| {
            let moved = group.tangent(&Self::of(tangent, first, places));
            for (&[place, parameter], x) in places.iter().zip(moved) {
                output[first + place] = T::from_f64(self.scales[parameter] * x);
            }
        });
    }

    fn backward(&self, input: &[T], upstream: &[T], downstream: &mut [T]) {
        self.for_each_group(input, |group, first, places| {
            let mut below = vec![T::zero(); places.len()];
            group.backward(&self.above(upstream, first, places), &mut below);
            places.iter().zip(below).for_each(|(&[place, _], value)| downstream[first + place] = value);
        });
    }

    fn is_curved(&self) -> bool {
        true
    }

    fn add_curvature(&self, input: &[T], tangent: &[T], upstream: &[T], source: &mut [T]) {
        self.for_each_group(input, |group, first, places| {
            let bent = group.curvature(&Self::of(tangent, first, places), &self.above(upstream, first, places));
            places.iter().zip(bent).for_each(|(&[place, _], value)| source[first + place] += T::from_f64(value));
        });
    }

    fn gradient_len(&self) -> usize {
        self.scales.len() + self.shifts.len()
    }

    fn add_gradient(&self, input: &[T], upstream: &[T], biases: bool, gradient: &mut [T]) {
        let (scales, shifts) = gradient.split_at_mut(self.scales.len());
        self.for_each_group(input, |group, first, places| {
            for (&[place, parameter], &x) in places.iter().zip(&group.normalised) {
                let above = upstream[first + place];
                scales[parameter] += above * T::from_f64(x);
                if biases && let Some(shift) = shifts.get_mut(parameter) {
                    *shift += above;
                }
            }
        });
    }

    fn add_tangent_gradient(&self, input: &[T], tangent: &[T], upstream: &[T], gradient: &mut [T]) {
        self.for_each_group(input, |group, first, places| {
            let moved = group.tangent(&Self::of(tangent, first, places));
            for (&[place, parameter], x) in places.iter().zip(moved) {
                gradient[parameter] += upstream[first + place] * T::from_f64(x);
            }
        });
    }

    fn unpack(&self, gradient: &[T], parameters: &mut [T]) {
        parameters.iter_mut().zip(gradient).for_each(|(sum, &more)| *sum += more);
    }
}
