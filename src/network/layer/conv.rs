//! The convolution (cross-correlation) of an image with learned kernels.

use std::ops::Range;

use super::unfold::Unfolding;
use super::window::Window;
use super::{Fan, LayerRule, NoPathTheory, Pass, Real, Role, Scratch, Shape, Site, Tensor};
use crate::network::matrix::{Matrix, MatrixMut};

/// `z[o, r, c] = Σ W[o, i, a, b] x[i, r·stride + a·dilation − padding, c·stride + b·dilation − padding] + b[o]`, with W of
/// shape `[channels out, channels in, size, size]`, row-major, followed in memory by b where there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// Output channels.
    pub channels: usize,
    /// How the kernel slides.
    pub window: Window,
    /// Whether there are biases.
    pub bias: bool,
}

/// Output pixels that are unfolded at a time: 64 channels of 3 × 3 taps then take half a megabyte, a second-level cache.
const BLOCK_PLACES: usize = 256;

impl Conv {
    /// Channels, height and width of the input; height and width of the output.
    fn sizes(site: Site<'_>) -> ([usize; 3], [usize; 2]) {
        // The shapes were checked when the architecture was made.
        let image = |shape: &Shape| [shape.sizes()[0], shape.sizes()[1], shape.sizes()[2]];
        let [_, rows, columns] = image(site.output);
        (image(site.input), [rows, columns])
    }

    /// Whether each output pixel sees one input pixel, its own: then the image is its own unfolded matrix.
    fn is_pointwise(&self) -> bool {
        (self.window.size, self.window.stride, self.window.padding) == (1, 1, 0)
    }

    /// Blocks of rows of the output: as many rows as keep the unfolded matrix of a block in the processor's cache.
    fn blocks(site: Site<'_>) -> impl Iterator<Item = Range<usize>> {
        let (_, [rows, columns]) = Self::sizes(site);
        let step = (BLOCK_PLACES / columns).max(1);
        (0..rows).step_by(step).map(move |first| first..(first + step).min(rows))
    }

    fn unfolding(&self, site: Site<'_>) -> Unfolding<'_> {
        let (image, places) = Self::sizes(site);
        Unfolding::new(&self.window, image, places)
    }

    /// Visits every edge, (input unit, output unit, index of its weight).
    fn for_each_edge(&self, site: Site<'_>, mut visit: impl FnMut(usize, usize, usize)) {
        let ([channels, height, width], places) = Self::sizes(site);
        let (taps, count, pixels) = (self.window.size.pow(2), places[0] * places[1], height * width);
        for kernel in 0..self.channels * channels {
            let (out, image) = (kernel / channels, kernel % channels);
            self.window.for_each([height, width], places, |tap, place, pixel| {
                visit(image * pixels + pixel, out * count + place, kernel * taps + tap);
            });
        }
    }
}

impl LayerRule for Conv {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        let (_, [rows, columns]) = self.window.slide(input)?;
        Shape::new([self.channels, rows, columns]).ok_or_else(|| "needs from 1 to 2^53 output units".into())
    }

    fn tensors(&self, input: &Shape) -> Vec<Tensor> {
        let (channels, size) = (input.sizes()[0], self.window.size);
        let taps = size.saturating_mul(size);
        let fan = Fan { inputs: channels.saturating_mul(taps), outputs: self.channels.saturating_mul(taps) };
        let kernels = Tensor::new("weight", [self.channels, channels, size, size], Role::Weight(fan));
        std::iter::once(kernels).chain(self.bias.then(|| Tensor::biases(self.channels))).collect()
    }

    fn scratch_count(&self, site: Site<'_>) -> usize {
        if self.is_pointwise() {
            return 0;
        }
        let ([channels, ..], [rows, columns]) = Self::sizes(site);
        let places = columns.saturating_mul((BLOCK_PLACES / columns).clamp(1, rows));
        let taps = self.window.size.saturating_mul(self.window.size);
        channels.saturating_mul(taps).saturating_mul(places).saturating_add(self.unfolding(site).padded_len())
    }

    fn add_bias(&mut self) {
        self.bias = true;
    }

    /// A sum over weights of random sign.
    fn is_symmetric(&self, _: bool) -> bool {
        true
    }

    fn forward<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        let ([channels, ..], places) = Self::sizes(pass.site);
        let (fan_in, count) = (channels * self.window.size.pow(2), places[0] * places[1]);
        let (weights, biases) = pass.parameters.split_at(self.channels * fan_in);
        let weights = Matrix::new(weights, self.channels, fan_in);
        let unfolding = self.unfolding(pass.site);
        let samples = input.chunks_exact(pass.site.input.len());
        for (image, maps) in samples.zip(output.chunks_exact_mut(pass.site.output.len())) {
            if self.is_pointwise() {
                let product = MatrixMut::new(maps, self.channels, count);
                weights.multiply(Matrix::new(image, fan_in, count), product, false);
            } else {
                unfolding.pad(image, &mut scratch.image);
                for rows in Self::blocks(pass.site) {
                    let range = rows.start * places[1]..rows.end * places[1];
                    scratch.matrix.resize(fan_in * range.len(), T::zero());
                    unfolding.unfold(rows, &scratch.image, &mut scratch.matrix);
                    let columns = Matrix::new(&scratch.matrix, fan_in, range.len());
                    weights.multiply(columns, MatrixMut::new(maps, self.channels, count).columns(range), false);
                }
            }
            for (map, &bias) in maps.chunks_exact_mut(count).zip(biases) {
                map.iter_mut().for_each(|unit| *unit += bias);
            }
        }
    }

    fn backward<T: Real>(
        &self,
        pass: Pass<'_, T>,
        _: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let ([channels, ..], places) = Self::sizes(pass.site);
        let (fan_in, count) = (channels * self.window.size.pow(2), places[0] * places[1]);
        let weights = Matrix::new(&pass.parameters[..self.channels * fan_in], self.channels, fan_in).transposed();
        let unfolding = self.unfolding(pass.site);
        let samples = upstream.chunks_exact(pass.site.output.len());
        for (maps, image) in samples.zip(downstream.chunks_exact_mut(pass.site.input.len())) {
            let maps = Matrix::new(maps, self.channels, count);
            if self.is_pointwise() {
                weights.multiply(maps, MatrixMut::new(image, fan_in, count), false);
                continue;
            }
            unfolding.clear(&mut scratch.image);
            for rows in Self::blocks(pass.site) {
                let range = rows.start * places[1]..rows.end * places[1];
                scratch.matrix.resize(fan_in * range.len(), T::zero());
                let columns = MatrixMut::new(&mut scratch.matrix, fan_in, range.len());
                weights.multiply(maps.columns(range), columns, false);
                unfolding.fold(rows, &scratch.matrix, &mut scratch.image);
            }
            unfolding.unpad(&scratch.image, image);
        }
    }

    fn edges<T: Real>(
        &self,
        pass: Pass<'_, T>,
        _: &[T],
        mut visit: impl FnMut(usize, usize, T),
    ) -> Result<(), NoPathTheory> {
        self.for_each_edge(pass.site, |from, to, weight| visit(from, to, pass.parameters[weight]));
        Ok(())
    }

    fn connections(
        &self,
        site: Site<'_>,
        weight_variance: f64,
        mut visit: impl FnMut(usize, usize, f64),
    ) -> Result<(), NoPathTheory> {
        self.for_each_edge(site, |from, to, _| visit(from, to, weight_variance));
        Ok(())
    }

    fn edge_count(&self, site: Site<'_>) -> usize {
        let ([channels, ..], _) = Self::sizes(site);
        let taps = self.window.size.saturating_mul(self.window.size);
        channels.saturating_mul(taps).saturating_mul(site.output.len())
    }

    /// Every edge multiplies by the weight's variance; the channels of a pixel all have the same sum.
    fn variance_backward(
        &self,
        site: Site<'_>,
        weight_variance: f64,
        upstream: &[f64],
        downstream: &mut [f64],
    ) -> Result<(), NoPathTheory> {
        let ([_, height, width], places) = Self::sizes(site);
        let mut above = vec![0.0; places[0] * places[1]];
        for channel in upstream.chunks_exact(above.len()) {
            above.iter_mut().zip(channel).for_each(|(sum, value)| *sum += value);
        }
        let mut below = vec![0.0; height * width];
        above.iter_mut().for_each(|sum| *sum *= weight_variance);
        self.window.sum_backward([height, width], places, &above, &mut below);
        downstream.chunks_exact_mut(below.len()).for_each(|channel| channel.copy_from_slice(&below));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::PaddingMode;
    use super::*;

    fn run(conv: &Conv, input: [usize; 3], weights: &[f64], image: &[f64]) -> Vec<f64> {
        let input = Shape::new(input).unwrap();
        let output = conv.output_shape(&input).unwrap();
        let mut values = vec![0.0; output.len()];
        let pass = Pass { site: Site { input: &input, output: &output }, batch: 1, parameters: weights };
        conv.forward(pass, image, &mut values, &mut Scratch::default());
        values
    }

    #[test]
    fn a_small_convolution_has_the_values_computed_by_hand() {
        let conv = |mode| Conv { channels: 1, window: Window { padding: 1, mode, ..Window::new(3, 2) }, bias: true };
        let image: Vec<f64> = (1..=9).map(f64::from).collect();
        // The sum of the 3 × 3 window around each corner of the image 1 … 9, plus ½.
        let parameters = [[1.0; 9].as_slice(), &[0.5]].concat();
        let values = |mode| run(&conv(mode), [1, 3, 3], &parameters, &image);
        assert_eq!(values(PaddingMode::Zeros), [12.5, 16.5, 24.5, 28.5]);
        assert_eq!(values(PaddingMode::Circular), [45.5; 4]);
        assert_eq!(values(PaddingMode::Reflect), [33.5, 39.5, 51.5, 57.5]);
    }

    #[test]
    fn dilation_channels_and_rectangles_are_in_their_places() {
        let conv = Conv { channels: 2, window: Window { dilation: 2, ..Window::new(2, 1) }, bias: false };
        // Two channels in; the first kernel takes the lower right tap of channel 1, the second the upper left of both.
        let mut weights = vec![0.0; 16];
        (weights[7], weights[8], weights[12]) = (1.0, 1.0, 1.0);
        let image: Vec<f64> = (0..24).map(f64::from).collect();
        let values = run(&conv, [2, 3, 4], &weights, &image);
        assert_eq!(values, [22.0, 23.0, 12.0, 14.0]);
    }
}
