//! Dense layers and convolutions on batches: both sum input channels times weights over a [`Gather`].

use super::super::Real;
use super::super::layer::{Conv, Site};
use super::BatchRule;
use super::gather::Gather;
use super::product::{Outer, Product, pitch};

/// Values of the gradient above that one pass over the weights' gradient reads, about: a part of a second-level cache.
const PASS_VALUES: usize = 1 << 16;

/// A layer `z[o] = Σ W[o, i, tap] x[i, under tap] + b[o]`, its weights laid out for both passes.
#[derive(Debug, Clone)]
pub struct Affine<T> {
    there: Gather,
    back: Gather,
    inputs: usize,
    outputs: usize,
    taps: usize,
    has_bias: bool,
    /// `[taps, inputs, pitch(outputs)]`.
    weights: Vec<T>,
    /// `[taps, outputs, pitch(inputs)]`, or for [few inputs](has_few) `[outputs, pitch(taps · inputs)]`.
    transposed: Vec<T>,
    biases: Vec<T>,
}

impl<T: Real> Affine<T> {
    /// A dense layer.
    pub fn dense(inputs: usize, outputs: usize, has_bias: bool) -> Self {
        Self::new([Gather::single(), Gather::single()], [inputs, outputs], 1, has_bias)
    }

    /// A convolution.
    pub fn conv(conv: &Conv, site: Site<'_>) -> Self {
        let plane = |sizes: &[usize]| [sizes[1], sizes[2]];
        let ways = Gather::sliding(&conv.window, plane(site.input.sizes()), plane(site.output.sizes()));
        Self::new(ways, [site.input.sizes()[0], conv.channels], conv.window.size.pow(2), conv.bias)
    }

    fn new([there, back]: [Gather; 2], [inputs, outputs]: [usize; 2], taps: usize, has_bias: bool) -> Self {
        let transposed = outputs * if has_few(inputs, taps) { pitch(taps * inputs) } else { taps * pitch(inputs) };
        Self {
            weights: vec![T::zero(); taps * inputs * pitch(outputs)],
            transposed: vec![T::zero(); transposed],
            biases: if has_bias { vec![T::zero(); pitch(outputs)] } else { Vec::new() },
            there,
            back,
            inputs,
            outputs,
            taps,
            has_bias,
        }
    }

    /// The backward pass for few inputs: what every place gives to the inputs under every tap, one product of matrices, is then
    /// collected. One sample at a time, so that it is still in the cache.
    fn scatter(&self, upstream: &[T], downstream: &mut [T]) {
        let Self { back, inputs, outputs, transposed, .. } = self;
        let (single, pitch) = (Gather::single(), pitch(self.taps * inputs));
        let product = Product { gather: &single, inputs: *outputs, outputs: pitch, weights: transposed };
        let mut shares = vec![T::zero(); back.sources * pitch];
        let samples = upstream.chunks_exact(back.sources * outputs);
        for (upstream, downstream) in samples.zip(downstream.chunks_exact_mut(back.targets * inputs)) {
            product.write(&[], upstream, &mut shares);
            back.for_each_target(|target, taps, places| {
                let sums = &mut downstream[target * inputs..][..*inputs];
                sums.fill(T::zero());
                for (tap, place) in taps.iter().zip(places) {
                    let values = &shares[place * pitch + tap * inputs..];
                    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
                }
            });
        }
    }

    fn product(&self) -> Product<'_, T> {
        Product { gather: &self.there, inputs: self.inputs, outputs: self.outputs, weights: &self.weights }
    }
}

impl<T: Real> BatchRule<T> for Affine<T> {
    /// Lays out W of shape `[outputs, inputs, taps]`, followed by b where there is one.
    fn load(&mut self, parameters: &[T]) {
        let [above, below, all] = [self.outputs, self.inputs, self.taps * self.inputs].map(pitch);
        let is_shared = has_few(self.inputs, self.taps);
        for (index, &weight) in parameters[..self.outputs * self.inputs * self.taps].iter().enumerate() {
            let (tap, pair) = (index % self.taps, index / self.taps);
            let (input, output) = (pair % self.inputs, pair / self.inputs);
            self.weights[(tap * self.inputs + input) * above + output] = weight;
            let place = match is_shared {
                true => output * all + tap * self.inputs + input,
                false => (tap * self.outputs + output) * below + input,
            };
            self.transposed[place] = weight;
        }
        if self.has_bias {
            self.biases[..self.outputs].copy_from_slice(&parameters[self.outputs * self.inputs * self.taps..]);
        }
    }

    fn forward(&self, input: &[T], output: &mut [T]) {
        self.product().write(&self.biases, input, output);
    }

    /// The forward pass without biases.
    fn tangent(&self, _: &[T], tangent: &[T], output: &mut [T]) {
        self.product().write(&[], tangent, output);
    }

    fn backward(&self, _: &[T], upstream: &[T], downstream: &mut [T]) {
        let Self { back, inputs, outputs, transposed, .. } = self;
        if has_few(*inputs, self.taps) {
            return self.scatter(upstream, downstream);
        }
        let product = Product { gather: back, inputs: *outputs, outputs: *inputs, weights: transposed };
        product.write(&[], upstream, downstream);
    }

    /// The weights', then that of biases.
    fn gradient_len(&self) -> usize {
        self.weights.len() + pitch(self.outputs)
    }

    fn add_gradient(&self, input: &[T], upstream: &[T], biases: bool, gradient: &mut [T]) {
        let (weights, shifts) = gradient.split_at_mut(self.weights.len());
        let [below, above] = [self.there.sources * self.inputs, self.there.targets * self.outputs];
        let pitch = pitch(self.outputs);
        let mut padded = Vec::new();
        let together = (PASS_VALUES / above).max(1);
        for (input, upstream) in input.chunks(together * below).zip(upstream.chunks(together * above)) {
            let upstream = if pitch == self.outputs {
                upstream
            } else {
                padded.clear();
                padded.resize(upstream.len() / self.outputs * pitch, T::zero());
                let rows = padded.chunks_exact_mut(pitch).zip(upstream.chunks_exact(self.outputs));
                rows.for_each(|(padded, row)| padded[..self.outputs].copy_from_slice(row));
                &padded
            };
            Outer { gather: &self.there, inputs: self.inputs, pitch, input, upstream }.add_to(weights);
            if biases && self.has_bias {
                for row in upstream.chunks_exact(pitch) {
                    shifts.iter_mut().zip(row).for_each(|(sum, &above)| *sum += above);
                }
            }
        }
    }

    fn unpack(&self, gradient: &[T], parameters: &mut [T]) {
        let (weights, shifts) = gradient.split_at(self.weights.len());
        let (own, biases) = parameters.split_at_mut(self.outputs * self.inputs * self.taps);
        for (index, weight) in own.iter_mut().enumerate() {
            let (tap, pair) = (index % self.taps, index / self.taps);
            let (input, output) = (pair % self.inputs, pair / self.inputs);
            *weight += weights[(tap * self.inputs + input) * pitch(self.outputs) + output];
        }
        biases.iter_mut().zip(shifts).for_each(|(bias, &shift)| *bias += shift);
    }
}

/// Whether so few channels come in that registers of them would be half empty, and are better shared by all taps: where that
/// saves a fifth of them, which pays for collecting.
fn has_few(inputs: usize, taps: usize) -> bool {
    5 * pitch(taps * inputs) <= 4 * taps * pitch(inputs)
}
