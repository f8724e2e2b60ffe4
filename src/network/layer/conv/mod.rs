//! The convolution (cross-correlation) of an image with learned kernels.
//!
//! Both passes are sums over a kernel's taps of an image laid out for them, the gradient above for the backward pass; in single
//! and double precision they have the same bits on every processor.

pub(super) mod correlation;
mod residues;
mod shifts;
#[cfg(test)]
mod tests;
mod winograd;

use std::ops::Range;

use crate::network::batch::{Affine, OnBatches};
use crate::network::layer::keys::{Defaults, Key, Keyed, Kind, Refusal, Values};
use crate::network::layer::relu::mask;
use crate::network::layer::window::{PaddingMode, Window};
use crate::network::layer::{Fan, LayerRule, NoPathTheory, Pass, Product, Real, Role, Scratch, Shape, Site, Tensor};
use crate::network::simd::{LANES, aligned, vectorized};
use correlation::{Correlation, Step, Target};
use residues::Gradient;
use shifts::{Axis, Shifts, Tap};
use winograd::{Kernels, Memory, Winograd};

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

/// Channels on both sides, and places, from which on fewer multiplications pay.
const FAST_CHANNELS: usize = 16;
const FAST_PLACES: usize = 1024;

/// Values that are laid out at a time, about: half a megabyte in single precision, a part of a second-level cache.
const BLOCK_VALUES: usize = 1 << 17;

impl Conv {
    /// Channels, height and width of the input; height and width of the output.
    fn sizes(site: Site<'_>) -> ([usize; 3], [usize; 2]) {
        // The shapes were checked when the architecture was made.
        let image = |shape: &Shape| [shape.sizes()[0], shape.sizes()[1], shape.sizes()[2]];
        let [_, rows, columns] = image(site.output);
        (image(site.input), [rows, columns])
    }

    /// How the taps slide over an axis of the image.
    fn axis(&self, places: usize) -> Axis {
        let Window { size, stride, dilation, padding, .. } = self.window;
        let first = |tap: usize| (tap * dilation).cast_signed() - padding.cast_signed();
        Axis { firsts: (0..size).map(first).collect(), stride, places }
    }

    /// Whether an image has so few channels that its gradient is cheaper by [`scatter`](Self::scatter): fewer values are then
    /// scattered than would be laid out.
    fn scatters(&self, site: Site<'_>) -> bool {
        Self::sizes(site).0[0].saturating_mul(self.window.size) < self.channels
    }

    /// The gradient of an image of few channels: what every place gives to the pixel under every tap, a sum over the channels
    /// above, is added to that pixel.
    fn scatter<T: Real>(&self, pass: Pass<'_, T>, maps: &[T], image: &mut [T], scratch: &mut Scratch<T>) {
        let ([channels, height, width], [rows, columns]) = Self::sizes(pass.site);
        let (taps, count) = (self.window.size.pow(2), rows * columns);
        let fan_in = channels * taps;
        let Scratch { image: memory, residues, steps, .. } = scratch;
        let shares = aligned(residues, fan_in * count);
        let weights = &pass.parameters[..self.channels * fan_in];
        let sums =
            Correlation { steps: &[], pixels: &[], weights, weight_stride: 1, biases: &[], floor: T::neg_infinity() };
        // Nothing is then read beyond the last place, and channels do not all want one place in the cache.
        if count % LANES == 0 && count % 1024 != 0 {
            steps.clear();
            steps.extend((0..self.channels).map(|channel| Step { pixel: channel * count, weight: channel * fan_in }));
            let target = Target { values: shares, channels: fan_in, places: count, pitch: count };
            Correlation { steps, pixels: maps, ..sums }.write(target);
        } else {
            // Blocks that stay in the first-level cache: their pixels are read by every tap.
            for block in blocks(rows, 16 * self.channels * columns) {
                let one = |places| Axis { firsts: vec![0], stride: 1, places };
                let shifts =
                    Shifts::new([rows, columns], PaddingMode::Zeros, [one(rows).at(block.clone()), one(columns)]);
                shifts.steps(self.channels, [&[(0, 0)]; 2], [fan_in, 0], steps);
                Correlation { steps, pixels: shifts.lay(maps, memory), ..sums }.write(Target {
                    values: &mut shares[block.start * columns..],
                    channels: fan_in,
                    places: block.len() * columns,
                    pitch: count,
                });
            }
        }
        let mut runs = Vec::new();
        self.window.for_each_run([height, width], [rows, columns], |run| runs.push(run));
        image.fill(T::zero());
        vectorized(
            #[inline(always)]
            || {
                let images = image.chunks_exact_mut(height * width);
                for (pixels, shares) in images.zip(shares.chunks_exact(taps * count)) {
                    for run in &runs {
                        let shares = &shares[run.tap * count + run.place..][..run.length];
                        let pixels = &mut pixels[run.pixel..];
                        if self.window.stride == 1 {
                            pixels.iter_mut().zip(shares).for_each(|(pixel, &share)| *pixel += share);
                        } else {
                            let pixels = pixels.iter_mut().step_by(self.window.stride);
                            pixels.zip(shares).for_each(|(pixel, &share)| *pixel += share);
                        }
                    }
                }
            },
        );
    }

    /// The gradient of an image by convolutions of the gradient above, one for each residue of the stride.
    fn gather<T: Real>(
        &self,
        pass: Pass<'_, T>,
        maps: &[T],
        image: &mut [T],
        open: Option<&[T]>,
        scratch: &mut Scratch<T>,
    ) {
        let ([channels, height, width], [rows, columns]) = Self::sizes(pass.site);
        let (size, fan_in) = (self.window.size, channels * self.window.size.pow(2));
        let weights = &pass.parameters[..self.channels * fan_in];
        let gradient = Gradient::new(&self.window, [height, width]);
        let [down, across] = &gradient.residues;
        let places = across.axis.places;
        let Scratch { image: memory, residues, steps, .. } = scratch;
        let mut convolve = |parts: &mut [T]| {
            for block in blocks(down.axis.places, self.channels * across.axis.firsts.len() * places) {
                let axes = [down.axis.at(block.clone()), across.axis.clone()];
                let shifts = Shifts::new([rows, columns], PaddingMode::Zeros, axes);
                let pixels = shifts.lay(maps, memory);
                let pairs = down.taps.iter().flat_map(|down| across.taps.iter().map(move |across| [&down[..], across]));
                for (pair, taps) in pairs.enumerate() {
                    // Without any taps, as where a stride steps over pixels, the sums are zeros.
                    shifts.steps(self.channels, taps, [fan_in, size], steps);
                    Correlation {
                        steps,
                        pixels,
                        weights,
                        weight_stride: size * size,
                        biases: &[],
                        floor: T::neg_infinity(),
                    }
                    .write(Target {
                        values: &mut parts[pair * gradient.part() + block.start * places..],
                        channels,
                        places: block.len() * places,
                        pitch: gradient.count(),
                    });
                }
            }
        };
        if gradient.is_plain() {
            convolve(image);
            open.inspect(|open| mask(image, open));
        } else {
            let parts = aligned(residues, channels * gradient.count());
            convolve(parts);
            gradient.join(parts, image, open);
        }
    }

    /// The forward pass, with a ReLU behind it if it is rectified.
    fn propagate<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: &[T],
        output: &mut [T],
        is_rectified: bool,
        scratch: &mut Scratch<T>,
    ) {
        if self.is_fast(pass.site) {
            return self.fast_forward(pass, input, output, is_rectified, scratch);
        }
        let ([channels, height, width], [rows, columns]) = Self::sizes(pass.site);
        let (size, count) = (self.window.size, rows * columns);
        let fan_in = channels * size * size;
        let (weights, biases) = pass.parameters.split_at(self.channels * fan_in);
        let taps: Vec<Tap> = (0..size).map(|tap| (tap, tap)).collect();
        let floor = if is_rectified { T::zero() } else { T::neg_infinity() };
        let Scratch { image: memory, steps, .. } = scratch;
        for block in blocks(rows, channels * size * columns * self.window.stride.min(size)) {
            let axes = [self.axis(rows).at(block.clone()), self.axis(columns)];
            let shifts = Shifts::new([height, width], self.window.mode, axes);
            shifts.steps(channels, [&taps; 2], [size * size, size], steps);
            let samples = input.chunks_exact(pass.site.input.len());
            for (image, maps) in samples.zip(output.chunks_exact_mut(pass.site.output.len())) {
                let pixels = shifts.lay(image, memory);
                Correlation { steps, pixels, weights, weight_stride: fan_in, biases, floor }.write(Target {
                    values: &mut maps[block.start * columns..],
                    channels: self.channels,
                    places: block.len() * columns,
                    pitch: count,
                });
            }
        }
    }

    /// The backward pass, through the ReLU that gave the input if that is given.
    fn backpropagate<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: Option<&[T]>,
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let pixels = pass.site.input.len();
        let samples = upstream.chunks_exact(pass.site.output.len()).zip(downstream.chunks_exact_mut(pixels));
        for (sample, (maps, image)) in samples.enumerate() {
            let open = input.map(|input| &input[sample * pixels..][..pixels]);
            if self.is_fast(pass.site) && self.window.mode == PaddingMode::Zeros {
                self.fast_backward(pass, maps, image, scratch);
                open.inspect(|open| mask(image, open));
            } else if self.scatters(pass.site) {
                self.scatter(pass, maps, image, scratch);
                open.inspect(|open| mask(image, open));
            } else {
                self.gather(pass, maps, image, open, scratch);
            }
        }
    }

    /// Whether fewer multiplications pay for the additions that they take: for large images of many channels.
    fn is_fast(&self, site: Site<'_>) -> bool {
        let ([channels, ..], [rows, columns]) = Self::sizes(site);
        let Window { size, stride, dilation, .. } = self.window;
        (size, stride, dilation) == (3, 1, 1)
            && channels.min(self.channels) >= FAST_CHANNELS
            && rows * columns >= FAST_PLACES
    }

    /// The forward pass by fewer multiplications.
    fn fast_forward<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: &[T],
        output: &mut [T],
        is_rectified: bool,
        scratch: &mut Scratch<T>,
    ) {
        let ([channels, height, width], places) = Self::sizes(pass.site);
        let (weights, biases) = pass.parameters.split_at(self.channels * channels * 9);
        let winograd = Winograd {
            image: [height, width],
            first: -self.window.padding.cast_signed(),
            mode: self.window.mode,
            places,
        };
        let kernels =
            Kernels { weights, channels: [self.channels, channels], biases, is_backward: false, is_rectified };
        let samples = input.chunks_exact(pass.site.input.len());
        for (image, maps) in samples.zip(output.chunks_exact_mut(pass.site.output.len())) {
            let Scratch { image: laid, points, kernels: transformed, steps, .. } = scratch;
            let memory = Memory { image: laid, points, kernels: transformed, steps };
            winograd.convolve(image, kernels, maps, memory);
        }
    }

    /// The backward pass by fewer multiplications: a convolution of the gradient above with the mirrored kernels.
    fn fast_backward<T: Real>(&self, pass: Pass<'_, T>, maps: &[T], image: &mut [T], scratch: &mut Scratch<T>) {
        let ([channels, height, width], places) = Self::sizes(pass.site);
        let weights = &pass.parameters[..self.channels * channels * 9];
        let winograd = Winograd {
            image: places,
            first: self.window.padding.cast_signed() - 2,
            mode: PaddingMode::Zeros,
            places: [height, width],
        };
        let kernels = Kernels {
            weights,
            channels: [self.channels, channels],
            biases: &[],
            is_backward: true,
            is_rectified: false,
        };
        let Scratch { image: laid, points, kernels: transformed, steps, .. } = scratch;
        let memory = Memory { image: laid, points, kernels: transformed, steps };
        winograd.convolve(maps, kernels, image, memory);
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

impl Keyed for Conv {
    const SUMMARY: &'static str =
        "kernels slide over the image, whose border is padded by `padding_mode`: `zeros`, `reflect` or `circular`";
    const KEYS: &'static [Key] = &[
        Key::required("channels", Kind::Size),
        Key::required("kernel", Kind::Size),
        Key::optional("stride", Kind::Size),
        Key::optional("padding", Kind::Count),
        Key::optional("dilation", Kind::Size),
        Key::optional("padding_mode", Kind::Word(PaddingMode::NAMES)),
        Key::optional("bias", Kind::Flag),
        Key::INIT,
        Key::WEIGHTS,
    ];

    fn from_values(values: &Values, _: Defaults<'_>) -> Result<Self, Refusal> {
        let whole = |key, default| values.whole(key).unwrap_or(default);
        let window = Window {
            padding: whole("padding", 0),
            dilation: whole("dilation", 1),
            mode: values.word("padding_mode").and_then(PaddingMode::named).unwrap_or_default(),
            ..Window::new(values.size("kernel"), whole("stride", 1))
        };
        Ok(Self { channels: values.size("channels"), window, bias: values.flag("bias") })
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
        let ([channels, height, width], [_, columns]) = Self::sizes(site);
        let Window { size, stride, dilation, padding, .. } = self.window;
        let (most, taps) = (channels.max(self.channels), size.saturating_mul(size));
        // A block of rows of places, and the rows that taps see beyond it: of the input, then of the gradient above.
        let reach = (size - 1).saturating_mul(dilation) / stride + 2;
        let side = |pixels: usize| pixels.saturating_add(padding.saturating_mul(2));
        let forward = Shifts::copy_len(reach.saturating_mul(size.min(stride)), columns).saturating_mul(channels);
        let backward = Shifts::copy_len(reach, side(width) / stride + 1).saturating_mul(self.channels);
        let laid = forward.max(backward).saturating_mul(size).saturating_add(BLOCK_VALUES);
        let gradient = if self.scatters(site) {
            channels.saturating_mul(taps).saturating_mul(site.output.len() / self.channels)
        } else {
            let whole = |positions: usize| positions.div_ceil(stride).saturating_mul(stride.min(positions));
            [height, width].iter().fold(channels, |product, &pixels| product.saturating_mul(whole(side(pixels))))
        };
        // A step is two indices, as large as four values in single precision.
        let steps = most.saturating_mul(taps).saturating_mul(4);
        let fast = if self.is_fast(site) {
            let [rows, columns] = [height, width].map(side);
            winograd::scratch_count([self.channels, channels], [rows, columns])
                .saturating_add(Shifts::copy_len(side(height) + 2, side(width)).saturating_mul(2 * most))
        } else {
            0
        };
        laid.saturating_add(gradient).saturating_add(steps).saturating_add(fast)
    }

    fn add_bias(&mut self) {
        self.bias = true;
    }

    /// A sum over weights of random sign.
    fn is_symmetric(&self, _: bool) -> bool {
        true
    }

    fn forward<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        self.propagate(pass, input, output, false, scratch);
    }

    fn backward<T: Real>(
        &self,
        pass: Pass<'_, T>,
        _: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        self.backpropagate(pass, None, upstream, downstream, scratch);
    }

    fn forward_relu<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        self.propagate(pass, input, output, true, scratch);
    }

    fn backward_relu<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        self.backpropagate(pass, Some(input), upstream, downstream, scratch);
    }

    fn product(&self, site: Site<'_>) -> Option<Product> {
        let ([channels, ..], [rows, columns]) = Self::sizes(site);
        let taps = self.window.size.saturating_pow(2);
        Some(Product { outputs: self.channels, channels, taps, patches: rows * columns })
    }

    fn for_each_seen(&self, site: Site<'_>, visit: impl FnMut(usize, usize, usize)) {
        let ([_, height, width], places) = Self::sizes(site);
        self.window.for_each([height, width], places, visit);
    }

    fn on_batches<T: Real>(&self, site: Site<'_>) -> OnBatches<T> {
        OnBatches::of_samples(Affine::conv(self, site))
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

/// Blocks of so many rows in all, each of which takes so many values to lay out.
fn blocks(rows: usize, row_values: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (BLOCK_VALUES / row_values.max(1)).max(1);
    (0..rows).step_by(step).map(move |first| first..(first + step).min(rows))
}
