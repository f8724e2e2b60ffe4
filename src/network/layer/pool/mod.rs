//! Average and max pooling over a sliding window, and over the whole image.

pub(in crate::network) mod batch;

use crate::network::batch::OnBatches;
use crate::network::layer::keys::{Defaults, Key, Keyed, Refusal, Values};
use crate::network::layer::window::{Run, Window, window_shape};
use crate::network::layer::{LayerRule, NoPathTheory, Pass, Real, Scratch, Shape, Site};
use crate::network::simd::vectorized;
use batch::{Average, Largest};

/// What a pooled unit takes of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pool {
    Average,
    Max,
}

/// The mean of the k inputs under a window, in each channel, zeros beyond the edge among them.
#[derive(Debug, Clone, PartialEq)]
pub struct AveragePool(pub Window);

/// The largest input under a window, in each channel; its gradient goes to the first that attains it.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxPool(pub Window);

/// The mean of each channel: an image becomes a vector of its channels.
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalAveragePool;

/// The largest value of each channel: an image becomes a vector of its channels.
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalMaxPool;

impl Keyed for AveragePool {
    const SUMMARY: &'static str = "the mean of each window";
    const KEYS: &'static [Key] = Window::KEYS_OF_POOLS;

    fn from_values(values: &Values, _: Defaults<'_>) -> Result<Self, Refusal> {
        Ok(Self(Window::of_pool(values)))
    }
}

impl Keyed for MaxPool {
    const SUMMARY: &'static str = "the maximum of each window";
    const KEYS: &'static [Key] = Window::KEYS_OF_POOLS;

    fn from_values(values: &Values, _: Defaults<'_>) -> Result<Self, Refusal> {
        Ok(Self(Window::of_pool(values)))
    }
}

impl Keyed for GlobalAveragePool {
    const SUMMARY: &'static str = "the mean of each channel, as a vector";
    fn from_values(_: &Values, _: Defaults<'_>) -> Result<Self, Refusal> {
        Ok(Self)
    }
}

impl Keyed for GlobalMaxPool {
    const SUMMARY: &'static str = "the maximum of each channel, as a vector";
    fn from_values(_: &Values, _: Defaults<'_>) -> Result<Self, Refusal> {
        Ok(Self)
    }
}

/// Why max pooling has no pass over variances.
const MAX_POOLING: NoPathTheory = NoPathTheory::Layers(
    "max pooling breaks H1: a pooled unit is positive far more often than half of the time (1 − 2⁻ᵏ for k independent inputs)",
);

/// Where the windows of one channel lie.
#[derive(Debug, Clone, Copy)]
struct Windows {
    window: Window,
    /// Pixels under a window, k, zeros beyond the edge among them.
    members: usize,
    /// Height and width of the image.
    image: [usize; 2],
    /// Windows along the height and the width.
    places: [usize; 2],
}

impl Windows {
    fn sliding(window: &Window, site: Site<'_>) -> Self {
        let plane = |shape: &Shape| [shape.sizes()[1], shape.sizes()[2]];
        let (image, places) = (plane(site.input), plane(site.output));
        Self { window: *window, members: window.size * window.size, image, places }
    }

    /// One window over all pixels; along the shorter side some of its taps see nothing.
    fn global(site: Site<'_>) -> Self {
        let [height, width] = [site.input.sizes()[1], site.input.sizes()[2]];
        let window = Window::new(height.max(width), 1);
        Self { window, members: height * width, image: [height, width], places: [1, 1] }
    }

    /// Pixels of an image.
    fn pixels(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// Number of windows.
    fn count(&self) -> usize {
        self.places[0] * self.places[1]
    }

    /// The pixels under a window, row by row.
    fn under(self, place: usize) -> impl Iterator<Item = usize> {
        let ([height, width], window) = (self.image, self.window);
        let [row, column] = [place / self.places[1], place % self.places[1]];
        let rows = (0..window.size).filter_map(move |tap| window.source(row, tap, height));
        let columns = move || (0..window.size).filter_map(move |tap| window.source(column, tap, width));
        rows.flat_map(move |row| columns().map(move |column| row * width + column))
    }

    /// Whether there is one window, which sees all pixels once: no dilation leaves any out, and none lies beyond the edge.
    fn is_global(&self) -> bool {
        let is_dense = self.window.size == 1 || self.window.dilation == 1;
        self.count() == 1 && self.members == self.pixels() && self.window.padding == 0 && is_dense
    }

    /// Neighbouring places under one tap.
    fn runs(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        self.window.for_each_run(self.image, self.places, |run| runs.push(run));
        runs
    }

    /// The first pixel under a window that attains the largest value; a NaN counts as largest, so that it is not passed
    /// over.
    fn first_largest<T: Real>(self, image: &[T], place: usize) -> usize {
        let larger = |largest: usize, pixel: usize| {
            if image[pixel] > image[largest] || image[pixel].is_nan() { pixel } else { largest }
        };
        // Windows have at least one pixel.
        self.under(place).reduce(larger).unwrap_or(0)
    }
}

/// The mean of the pixels under each place.
fn average<T: Real>(windows: Windows, input: &[T], output: &mut [T]) {
    let (share, stride) = (T::one() / T::from_f64(windows.members as f64), windows.window.stride);
    let images = input.chunks_exact(windows.pixels());
    if windows.is_global() {
        let mean = |image: &[T]| share * image.iter().fold(T::zero(), |sum, &pixel| sum + pixel);
        return output.iter_mut().zip(images).for_each(|(unit, image)| *unit = mean(image));
    }
    let runs = windows.runs();
    vectorized(
        #[inline(always)]
        || {
            for (image, pooled) in images.zip(output.chunks_exact_mut(windows.count())) {
                pooled.fill(T::zero());
                for run in &runs {
                    let (units, pixels) = (&mut pooled[run.place..][..run.length], &image[run.pixel..]);
                    if stride == 1 {
                        units.iter_mut().zip(pixels).for_each(|(unit, &pixel)| *unit += pixel);
                    } else {
                        let pixels = pixels.iter().step_by(stride);
                        units.iter_mut().zip(pixels).for_each(|(unit, &pixel)| *unit += pixel);
                    }
                }
                pooled.iter_mut().for_each(|unit| *unit *= share);
            }
        },
    );
}

/// The gradient of [`average`].
fn average_backward<T: Real>(windows: Windows, upstream: &[T], downstream: &mut [T]) {
    let (share, stride) = (T::one() / T::from_f64(windows.members as f64), windows.window.stride);
    let images = downstream.chunks_exact_mut(windows.pixels());
    if windows.is_global() {
        return images.zip(upstream).for_each(|(image, &gradient)| image.fill(share * gradient));
    }
    let runs = windows.runs();
    vectorized(
        #[inline(always)]
        || {
            for (image, pooled) in images.zip(upstream.chunks_exact(windows.count())) {
                image.fill(T::zero());
                for run in &runs {
                    let (units, pixels) = (&pooled[run.place..][..run.length], &mut image[run.pixel..]);
                    if stride == 1 {
                        pixels.iter_mut().zip(units).for_each(|(pixel, &unit)| *pixel += unit);
                    } else {
                        let pixels = pixels.iter_mut().step_by(stride);
                        pixels.zip(units).for_each(|(pixel, &unit)| *pixel += unit);
                    }
                }
                image.iter_mut().for_each(|gradient| *gradient *= share);
            }
        },
    );
}

impl Pool {
    fn forward<T: Real>(self, windows: Windows, input: &[T], output: &mut [T]) {
        if self == Pool::Average {
            return average(windows, input, output);
        }
        for (image, pooled) in input.chunks_exact(windows.pixels()).zip(output.chunks_exact_mut(windows.count())) {
            for (place, unit) in pooled.iter_mut().enumerate() {
                *unit = image[windows.first_largest(image, place)];
            }
        }
    }

    fn backward<T: Real>(self, windows: Windows, input: &[T], upstream: &[T], downstream: &mut [T]) {
        if self == Pool::Average {
            return average_backward(windows, upstream, downstream);
        }
        downstream.fill(T::zero());
        let images = input.chunks_exact(windows.pixels()).zip(downstream.chunks_exact_mut(windows.pixels()));
        for ((image, below), above) in images.zip(upstream.chunks_exact(windows.count())) {
            for (place, &gradient) in above.iter().enumerate() {
                below[windows.first_largest(image, place)] += gradient;
            }
        }
    }

    fn edges<T: Real>(self, windows: Windows, input: &[T], mut visit: impl FnMut(usize, usize, T)) {
        let share = T::one() / T::from_f64(windows.members as f64);
        for (channel, image) in input.chunks_exact(windows.pixels()).enumerate() {
            let (below, above) = (channel * windows.pixels(), channel * windows.count());
            for place in 0..windows.count() {
                match self {
                    Pool::Average => windows.under(place).for_each(|pixel| visit(below + pixel, above + place, share)),
                    Pool::Max => visit(below + windows.first_largest(image, place), above + place, T::one()),
                }
            }
        }
    }

    /// Each of k averaged edges multiplies by 1/k².
    fn connections(
        self,
        windows: Windows,
        channels: usize,
        mut visit: impl FnMut(usize, usize, f64),
    ) -> Result<(), NoPathTheory> {
        if self == Pool::Max {
            return Err(MAX_POOLING);
        }
        let factor = (windows.members as f64).powi(-2);
        for unit in 0..channels * windows.count() {
            let (channel, place) = (unit / windows.count(), unit % windows.count());
            windows.under(place).for_each(|pixel| visit(channel * windows.pixels() + pixel, unit, factor));
        }
        Ok(())
    }
}

fn channels(input: &Shape) -> Result<Shape, String> {
    match input.sizes() {
        &[channels, _, _] => Shape::new([channels]).ok_or_else(|| "needs at least one channel".into()),
        _ => Err(format!("takes an image [channels, height, width], not an input of shape {input}")),
    }
}

/// The four layers differ in where their windows lie and in what they take of them.
macro_rules! pools {
    ($($layer:ident, $pool:expr, $shape:expr, $windows:expr, $on_batches:expr;)*) => {$(
        impl LayerRule for $layer {
            fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
                $shape(self, input)
            }

            fn is_symmetric(&self, input: bool) -> bool {
                input && $pool == Pool::Average
            }

            fn forward<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], _: &mut Scratch<T>) {
                $pool.forward($windows(self, pass.site), input, output);
            }

            fn backward<T: Real>(
                &self,
                pass: Pass<'_, T>,
                input: &[T],
                upstream: &[T],
                downstream: &mut [T],
                _: &mut Scratch<T>,
            ) {
                $pool.backward($windows(self, pass.site), input, upstream, downstream);
            }

            fn on_batches<T: Real>(&self, site: Site<'_>) -> OnBatches<T> {
                OnBatches::of_samples($on_batches(self, site))
            }

            fn edges<T: Real>(
                &self,
                pass: Pass<'_, T>,
                input: &[T],
                visit: impl FnMut(usize, usize, T),
            ) -> Result<(), NoPathTheory> {
                $pool.edges($windows(self, pass.site), input, visit);
                Ok(())
            }

            fn connections(
                &self,
                site: Site<'_>,
                _: f64,
                visit: impl FnMut(usize, usize, f64),
            ) -> Result<(), NoPathTheory> {
                $pool.connections($windows(self, site), site.input.sizes()[0], visit)
            }

            fn edge_count(&self, site: Site<'_>) -> usize {
                $windows(self, site).members.saturating_mul(site.output.len())
            }
        }
    )*};
}

pools! {
    AveragePool, Pool::Average, |layer: &Self, input| window_shape(&layer.0, input), |layer: &Self, site| Windows::sliding(&layer.0, site),
        |layer: &Self, site| Average(batch::Pool::sliding(&layer.0, site));
    MaxPool, Pool::Max, |layer: &Self, input| window_shape(&layer.0, input), |layer: &Self, site| Windows::sliding(&layer.0, site),
        |layer: &Self, site| Largest(batch::Pool::sliding(&layer.0, site));
    GlobalAveragePool, Pool::Average, |_: &Self, input| channels(input), |_: &Self, site| Windows::global(site),
        |_: &Self, site| Average(batch::Pool::global(site));
    GlobalMaxPool, Pool::Max, |_: &Self, input| channels(input), |_: &Self, site| Windows::global(site),
        |_: &Self, site| Largest(batch::Pool::global(site));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(layer: &impl LayerRule, input: [usize; 3], image: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let input = Shape::new(input).unwrap();
        let output = layer.output_shape(&input).unwrap();
        let pass = Pass { site: Site { input: &input, output: &output }, batch: 1, parameters: &[] };
        let (mut values, mut gradient) = (vec![0.0; output.len()], vec![0.0; input.len()]);
        layer.forward(pass, image, &mut values, &mut Scratch::default());
        let ones = vec![1.0; output.len()];
        layer.backward(pass, image, &ones, &mut gradient, &mut Scratch::default());
        (values, gradient)
    }

    #[test]
    fn windows_average_or_take_the_largest() {
        let image = [1.0, 2.0, 3.0, 4.0, 8.0, 7.0, 6.0, 5.0];
        let average = run(&AveragePool(Window::new(2, 2)), [1, 2, 4], &image);
        assert_eq!(average, (vec![4.5, 4.5], vec![0.25; 8]));
        let largest = run(&MaxPool(Window::new(2, 2)), [1, 2, 4], &image);
        assert_eq!(largest, (vec![8.0, 6.0], vec![0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]));
        assert!(run(&MaxPool(Window::new(2, 2)), [1, 2, 2], &[1.0, f64::NAN, 3.0, 0.0]).0[0].is_nan());
    }

    /// As many pixels under the one window as there are, but others: zeros beyond the edge among them, or gaps.
    #[test]
    fn a_window_over_gaps_is_not_the_whole_image() {
        let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let gaps = Window { padding: 1, dilation: 2, ..Window::new(3, 1) };
        let (values, gradient) = run(&AveragePool(gaps), [1, 3, 3], &image);
        assert_eq!(values, [5.0 * (1.0 / 9.0)]);
        assert_eq!(gradient, [0.0, 0.0, 0.0, 0.0, 1.0 / 9.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn global_pools_leave_the_channels() {
        let image = [1.0, 3.0, -5.0, -1.0];
        assert_eq!(run(&GlobalAveragePool, [2, 1, 2], &image), (vec![2.0, -3.0], vec![0.5; 4]));
        assert_eq!(run(&GlobalMaxPool, [2, 1, 2], &image), (vec![3.0, -1.0], vec![0.0, 1.0, 0.0, 1.0]));
        assert!(GlobalMaxPool.output_shape(&Shape::new([7]).unwrap()).unwrap_err().contains("[7]"));
    }
}
