//! Average and max pooling over a sliding window, and over the whole image.

use super::window::Window;
use super::{LayerRule, NoVariancePass, Real, Shape, Site};

/// What a pooled unit takes of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pool {
    Average,
    Max,
}

/// The mean of the k inputs under a window, in each channel.
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

/// Why max pooling has no pass over variances.
const MAX_POOLING: NoVariancePass = NoVariancePass(
    "max pooling breaks H1: a pooled unit is positive far more often than half of the time (1 − 2⁻ᵏ for k independent inputs)",
);

/// Inputs of each unit of the output, within one channel.
type Members = Vec<Vec<usize>>;

/// Height and width of the input, and the inputs of each output.
fn sliding(window: &Window, site: Site<'_>) -> (usize, Members) {
    let [height, width] = [site.input.sizes()[1], site.input.sizes()[2]];
    let places = [site.output.sizes()[1], site.output.sizes()[2]];
    let mut members = vec![Vec::with_capacity(window.size.pow(2)); places[0] * places[1]];
    window.for_each([height, width], places, |_, place, pixel| members[place].push(pixel));
    (height * width, members)
}

fn global(site: Site<'_>) -> (usize, Members) {
    let pixels = site.input.len() / site.input.sizes()[0];
    (pixels, vec![(0..pixels).collect()])
}

impl Pool {
    fn forward<T: Real>(self, (pixels, members): (usize, Members), input: &[T], output: &mut [T]) {
        for (image, pooled) in input.chunks_exact(pixels).zip(output.chunks_exact_mut(members.len())) {
            for (unit, inputs) in pooled.iter_mut().zip(&members) {
                *unit = match self {
                    Pool::Average => {
                        let sum = inputs.iter().fold(T::zero(), |sum, &pixel| sum + image[pixel]);
                        sum / T::from_f64(inputs.len() as f64)
                    }
                    Pool::Max => image[first_largest(image, inputs)],
                };
            }
        }
    }

    fn backward<T: Real>(self, (pixels, members): (usize, Members), input: &[T], upstream: &[T], downstream: &mut [T]) {
        downstream.fill(T::zero());
        let images = input.chunks_exact(pixels).zip(downstream.chunks_exact_mut(pixels));
        for ((image, below), above) in images.zip(upstream.chunks_exact(members.len())) {
            for (&gradient, inputs) in above.iter().zip(&members) {
                match self {
                    Pool::Average => {
                        let share = gradient / T::from_f64(inputs.len() as f64);
                        inputs.iter().for_each(|&pixel| below[pixel] += share);
                    }
                    Pool::Max => below[first_largest(image, inputs)] += gradient,
                }
            }
        }
    }
}

impl Pool {
    fn edges<T: Real>(self, (pixels, members): (usize, Members), input: &[T], mut visit: impl FnMut(usize, usize, T)) {
        for (channel, image) in input.chunks_exact(pixels).enumerate() {
            let (below, above) = (channel * pixels, channel * members.len());
            for (unit, inputs) in members.iter().enumerate() {
                match self {
                    Pool::Average => {
                        let share = T::one() / T::from_f64(inputs.len() as f64);
                        inputs.iter().for_each(|&pixel| visit(below + pixel, above + unit, share));
                    }
                    Pool::Max => visit(below + first_largest(image, inputs), above + unit, T::one()),
                }
            }
        }
    }
}

/// The first input that attains the largest value; a NaN counts as largest, so that it is not passed over.
fn first_largest<T: Real>(image: &[T], inputs: &[usize]) -> usize {
    let mut largest = inputs[0];
    for &pixel in &inputs[1..] {
        if image[pixel] > image[largest] || image[pixel].is_nan() {
            largest = pixel;
        }
    }
    largest
}

/// Each of k pooled edges multiplies by (1/k)².
fn average_variance((pixels, members): (usize, Members), upstream: &[f64], downstream: &mut [f64]) {
    downstream.fill(0.0);
    for (below, above) in downstream.chunks_exact_mut(pixels).zip(upstream.chunks_exact(members.len())) {
        for (variance, inputs) in above.iter().zip(&members) {
            let share = variance / (inputs.len() as f64).powi(2);
            inputs.iter().for_each(|&pixel| below[pixel] += share);
        }
    }
}

fn channels(input: &Shape) -> Result<Shape, String> {
    match input.sizes() {
        &[channels, _, _] => Shape::new([channels]).ok_or_else(|| "needs at least one channel".into()),
        _ => Err(format!("takes an image [channels, height, width], not an input of shape {input}")),
    }
}

/// The four layers differ in how units find their inputs and in what they take of them.
macro_rules! pools {
    ($($layer:ident, $pool:expr, $shape:expr, $members:expr;)*) => {$(
        impl LayerRule for $layer {
            fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
                $shape(self, input)
            }

            fn forward<T: Real>(&self, site: Site<'_>, _: &[T], input: &[T], output: &mut [T], _: &mut Vec<T>) {
                $pool.forward($members(self, site), input, output);
            }

            fn backward<T: Real>(
                &self,
                site: Site<'_>,
                _: &[T],
                input: &[T],
                _: &[T],
                upstream: &[T],
                downstream: &mut [T],
                _: &mut Vec<T>,
            ) {
                $pool.backward($members(self, site), input, upstream, downstream);
            }

            fn edges<T: Real>(
                &self,
                site: Site<'_>,
                _: &[T],
                input: &[T],
                _: &[T],
                visit: impl FnMut(usize, usize, T),
            ) {
                $pool.edges($members(self, site), input, visit);
            }

            fn variance_backward(
                &self,
                site: Site<'_>,
                _: f64,
                upstream: &[f64],
                downstream: &mut [f64],
            ) -> Result<(), NoVariancePass> {
                match $pool {
                    Pool::Average => average_variance($members(self, site), upstream, downstream),
                    Pool::Max => return Err(MAX_POOLING),
                }
                Ok(())
            }
        }
    )*};
}

fn window_shape(window: &Window, input: &Shape) -> Result<Shape, String> {
    let ([channels, ..], [rows, columns]) = window.slide(input)?;
    Shape::new([channels, rows, columns]).ok_or_else(|| "leaves nothing".into())
}

pools! {
    AveragePool, Pool::Average, |layer: &Self, input| window_shape(&layer.0, input), |layer: &Self, site| sliding(&layer.0, site);
    MaxPool, Pool::Max, |layer: &Self, input| window_shape(&layer.0, input), |layer: &Self, site| sliding(&layer.0, site);
    GlobalAveragePool, Pool::Average, |_: &Self, input| channels(input), |_: &Self, site| global(site);
    GlobalMaxPool, Pool::Max, |_: &Self, input| channels(input), |_: &Self, site| global(site);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(layer: &impl LayerRule, input: [usize; 3], image: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let input = Shape::new(input).unwrap();
        let output = layer.output_shape(&input).unwrap();
        let site = Site { input: &input, output: &output };
        let (mut values, mut gradient) = (vec![0.0; output.len()], vec![0.0; input.len()]);
        layer.forward(site, &[], image, &mut values, &mut Vec::new());
        let ones = vec![1.0; output.len()];
        layer.backward(site, &[], image, &values, &ones, &mut gradient, &mut Vec::new());
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

    #[test]
    fn global_pools_leave_the_channels() {
        let image = [1.0, 3.0, -5.0, -1.0];
        assert_eq!(run(&GlobalAveragePool, [2, 1, 2], &image), (vec![2.0, -3.0], vec![0.5; 4]));
        assert_eq!(run(&GlobalMaxPool, [2, 1, 2], &image), (vec![3.0, -1.0], vec![0.0, 1.0, 0.0, 1.0]));
        assert!(GlobalMaxPool.output_shape(&Shape::new([7]).unwrap()).unwrap_err().contains("[7]"));
    }
}
