//! The convolution (cross-correlation) of an image with learned kernels.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use super::window::Window;
use super::{LayerRule, NoVariancePass, ParameterCount, Real, Shape, Site};

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

impl Conv {
    /// Channels, height and width of the input; height and width of the output.
    fn sizes(site: Site<'_>) -> ([usize; 3], [usize; 2]) {
        // The shapes were checked when the architecture was made.
        let image = |shape: &Shape| [shape.sizes()[0], shape.sizes()[1], shape.sizes()[2]];
        let [_, rows, columns] = image(site.output);
        (image(site.input), [rows, columns])
    }

    /// The input's pixels under every tap at every place: a matrix [channels in · taps, places], zero beyond the edge.
    fn unfold<T: Real>(&self, site: Site<'_>, input: &[T], columns: &mut Vec<T>) {
        let ([channels, height, width], places) = Self::sizes(site);
        let (pixels, count, taps) = (height * width, places[0] * places[1], self.window.size.pow(2));
        columns.clear();
        columns.resize(channels * taps * count, T::zero());
        for (image, rows) in input.chunks_exact(pixels).zip(columns.chunks_exact_mut(taps * count)) {
            self.window.for_each_run([height, width], places, |run| {
                let row = &mut rows[run.tap * count + run.place..][..run.length];
                let under = image[run.pixel..].iter().step_by(self.window.stride);
                row.iter_mut().zip(under).for_each(|(value, &pixel)| *value = pixel);
            });
        }
    }
}

/// A matrix over a slice whose length is the product of its sizes.
fn matrix<T>(values: &[T], rows: usize) -> ArrayView2<'_, T> {
    let columns = values.len() / rows;
    ArrayView2::from_shape((rows, columns), values).expect("the slice has rows × columns values")
}

fn matrix_mut<T>(values: &mut [T], rows: usize) -> ArrayViewMut2<'_, T> {
    let columns = values.len() / rows;
    ArrayViewMut2::from_shape((rows, columns), values).expect("the slice has rows × columns values")
}

impl LayerRule for Conv {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        let (_, [rows, columns]) = self.window.slide(input)?;
        Shape::new([self.channels, rows, columns]).ok_or_else(|| "needs at least one channel".into())
    }

    fn parameters(&self, input: &Shape) -> Option<ParameterCount> {
        let taps = self.window.size.saturating_mul(self.window.size);
        let fan_in = input.sizes()[0].saturating_mul(taps);
        Some(ParameterCount {
            weights: self.channels.saturating_mul(fan_in),
            biases: if self.bias { self.channels } else { 0 },
            fan_in,
            fan_out: self.channels.saturating_mul(taps),
        })
    }

    fn scratch_count(&self, site: Site<'_>) -> usize {
        let ([channels, ..], [rows, columns]) = Self::sizes(site);
        let taps = self.window.size.saturating_mul(self.window.size);
        channels.saturating_mul(taps).saturating_mul(rows.saturating_mul(columns))
    }

    fn forward<T: Real>(&self, site: Site<'_>, parameters: &[T], input: &[T], output: &mut [T], scratch: &mut Vec<T>) {
        self.unfold(site, input, scratch);
        let fan_in = site.input.sizes()[0] * self.window.size.pow(2);
        let (weights, biases) = parameters.split_at(self.channels * fan_in);
        let mut product = matrix_mut(output, self.channels);
        general_mat_mul(T::one(), &matrix(weights, self.channels), &matrix(scratch, fan_in), T::zero(), &mut product);
        for (mut channel, &bias) in product.rows_mut().into_iter().zip(biases) {
            channel += bias;
        }
    }

    fn backward<T: Real>(
        &self,
        site: Site<'_>,
        parameters: &[T],
        _: &[T],
        _: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Vec<T>,
    ) {
        let ([channels, height, width], places) = Self::sizes(site);
        let (taps, count) = (self.window.size.pow(2), places[0] * places[1]);
        scratch.clear();
        scratch.resize(channels * taps * count, T::zero());
        let weights = matrix(&parameters[..self.channels * channels * taps], self.channels);
        let mut columns = matrix_mut(scratch, channels * taps);
        general_mat_mul(T::one(), &weights.t(), &matrix(upstream, self.channels), T::zero(), &mut columns);
        downstream.fill(T::zero());
        for (image, rows) in downstream.chunks_exact_mut(height * width).zip(scratch.chunks_exact(taps * count)) {
            self.window.for_each_run([height, width], places, |run| {
                let row = &rows[run.tap * count + run.place..][..run.length];
                let under = image[run.pixel..].iter_mut().step_by(self.window.stride);
                under.zip(row).for_each(|(pixel, &gradient)| *pixel += gradient);
            });
        }
    }

    fn edges<T: Real>(
        &self,
        site: Site<'_>,
        parameters: &[T],
        _: &[T],
        _: &[T],
        mut visit: impl FnMut(usize, usize, T),
    ) {
        let ([channels, height, width], places) = Self::sizes(site);
        let (taps, count, pixels) = (self.window.size.pow(2), places[0] * places[1], height * width);
        let kernels = parameters[..self.channels * channels * taps].chunks_exact(taps);
        for (index, kernel) in kernels.enumerate() {
            let (out, image) = (index / channels, index % channels);
            self.window.for_each([height, width], places, |tap, place, pixel| {
                visit(image * pixels + pixel, out * count + place, kernel[tap]);
            });
        }
    }

    /// Every edge multiplies by the weight's variance; the channels of a pixel all have the same sum.
    fn variance_backward(
        &self,
        site: Site<'_>,
        weight_variance: f64,
        upstream: &[f64],
        downstream: &mut [f64],
    ) -> Result<(), NoVariancePass> {
        let ([_, height, width], places) = Self::sizes(site);
        let mut above = vec![0.0; places[0] * places[1]];
        for channel in upstream.chunks_exact(above.len()) {
            above.iter_mut().zip(channel).for_each(|(sum, value)| *sum += value);
        }
        let mut below = vec![0.0; height * width];
        self.window.for_each([height, width], places, |_, place, pixel| below[pixel] += weight_variance * above[place]);
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
        conv.forward(Site { input: &input, output: &output }, weights, image, &mut values, &mut Vec::new());
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
