//! Weight pooling: a pool whose weights are learned, one k×k filter a channel (a depthwise convolution).

pub(in crate::network) mod batch;

use crate::network::batch::OnBatches;
use crate::network::layer::keys::{Defaults, Key, Keyed, Refusal, Values};
use crate::network::layer::window::{Window, window_shape};
use crate::network::layer::{Fan, LayerRule, NoPathTheory, Pass, Real, Role, Scratch, Shape, Site, Tensor};

/// `z[c, r, s] = Σ w[c, a, b] x[c, r·stride + a, s·stride + b]`, with w of shape `[channels, 1, size, size]`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightPool(pub Window);

impl WeightPool {
    fn taps(&self) -> usize {
        self.0.size.saturating_mul(self.0.size)
    }

    /// Visits every edge of one channel: (pixel, place, tap).
    fn for_each_edge(&self, site: Site<'_>, mut visit: impl FnMut(usize, usize, usize)) {
        let plane = |shape: &Shape| [shape.sizes()[1], shape.sizes()[2]];
        self.0.for_each(plane(site.input), plane(site.output), |tap, place, pixel| visit(pixel, place, tap));
    }

    /// Number of channels, and units of one channel below and above.
    fn channel_sizes(site: Site<'_>) -> [usize; 3] {
        let channels = site.input.sizes()[0];
        [channels, site.input.len() / channels, site.output.len() / channels]
    }

    /// Visits every edge of all channels: (input unit, output unit, index of its weight).
    fn for_each_edge_of_all(&self, site: Site<'_>, mut visit: impl FnMut(usize, usize, usize)) {
        let [channels, pixels, places] = Self::channel_sizes(site);
        for channel in 0..channels {
            self.for_each_edge(site, |pixel, place, tap| {
                visit(channel * pixels + pixel, channel * places + place, channel * self.taps() + tap);
            });
        }
    }
}

impl Keyed for WeightPool {
    const SUMMARY: &'static str = "one learned filter a channel, over windows";
    const KEYS: &'static [Key] = &[Window::KEYS_OF_POOLS[0], Window::KEYS_OF_POOLS[1], Key::INIT, Key::WEIGHTS];

    fn from_values(values: &Values, _: Defaults<'_>) -> Result<Self, Refusal> {
        Ok(Self(Window::of_pool(values)))
    }
}

impl LayerRule for WeightPool {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        window_shape(&self.0, input)
    }

    fn tensors(&self, input: &Shape) -> Vec<Tensor> {
        let fan = Fan { inputs: self.taps(), outputs: self.taps() };
        vec![Tensor::new("weight", [input.sizes()[0], 1, self.0.size, self.0.size], Role::Weight(fan))]
    }

    /// A sum over weights of random sign.
    fn is_symmetric(&self, _: bool) -> bool {
        true
    }

    fn forward<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], _: &mut Scratch<T>) {
        let [channels, pixels, places] = Self::channel_sizes(pass.site);
        output.fill(T::zero());
        let maps = input.chunks_exact(pixels).zip(output.chunks_exact_mut(places));
        for (index, (image, pooled)) in maps.enumerate() {
            let filter = &pass.parameters[index % channels * self.taps()..][..self.taps()];
            self.for_each_edge(pass.site, |pixel, place, tap| pooled[place] += filter[tap] * image[pixel]);
        }
    }

    fn backward<T: Real>(&self, pass: Pass<'_, T>, _: &[T], upstream: &[T], downstream: &mut [T], _: &mut Scratch<T>) {
        let [channels, pixels, places] = Self::channel_sizes(pass.site);
        downstream.fill(T::zero());
        let maps = downstream.chunks_exact_mut(pixels).zip(upstream.chunks_exact(places));
        for (index, (below, above)) in maps.enumerate() {
            let filter = &pass.parameters[index % channels * self.taps()..][..self.taps()];
            self.for_each_edge(pass.site, |pixel, place, tap| below[pixel] += filter[tap] * above[place]);
        }
    }

    fn on_batches<T: Real>(&self, site: Site<'_>) -> OnBatches<T> {
        OnBatches::of_samples(batch::Depthwise::new(&self.0, site))
    }

    fn edges<T: Real>(
        &self,
        pass: Pass<'_, T>,
        _: &[T],
        mut visit: impl FnMut(usize, usize, T),
    ) -> Result<(), NoPathTheory> {
        self.for_each_edge_of_all(pass.site, |from, to, weight| visit(from, to, pass.parameters[weight]));
        Ok(())
    }

    fn connections(
        &self,
        site: Site<'_>,
        weight_variance: f64,
        mut visit: impl FnMut(usize, usize, f64),
    ) -> Result<(), NoPathTheory> {
        self.for_each_edge_of_all(site, |from, to, _| visit(from, to, weight_variance));
        Ok(())
    }

    fn edge_count(&self, site: Site<'_>) -> usize {
        self.taps().saturating_mul(site.output.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_its_own_filter() {
        let layer = WeightPool(Window::new(2, 2));
        let input = Shape::new([2, 2, 4]).unwrap();
        let output = layer.output_shape(&input).unwrap();
        assert_eq!(output.sizes(), [2, 1, 2]);
        assert_eq!(layer.tensors(&input)[0].sizes, [2, 1, 2, 2]);
        // The first filter takes the upper left pixel, the second twice the lower right.
        let parameters = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0];
        let pass = Pass { site: Site { input: &input, output: &output }, batch: 1, parameters: &parameters };
        let image: Vec<f64> = (0..16).map(f64::from).collect();
        let (mut values, mut gradient) = ([0.0; 4], [9.0; 16]);
        layer.forward(pass, &image, &mut values, &mut Scratch::default());
        assert_eq!(values, [0.0, 2.0, 26.0, 30.0]);
        layer.backward(pass, &image, &[1.0, 2.0, 3.0, 4.0], &mut gradient, &mut Scratch::default());
        let mut expected = [0.0; 16];
        (expected[0], expected[2], expected[13], expected[15]) = (1.0, 2.0, 6.0, 8.0);
        assert_eq!(gradient, expected);
    }
}
