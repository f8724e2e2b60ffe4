//! A convolution followed by an average pool is one convolution: both are linear, so the pool can be averaged into the
//! kernel once instead of over every pixel.
//!
//! For a kernel of k × k taps with stride and dilation 1 and a pool of m × m with stride s, the merged kernel has
//! (k + m − 1)² taps and stride s: (k + m − 1)² multiplications a pooled pixel and pair of channels instead of k² s².

use super::architecture::{Architecture, Node, Parameters};
use super::layer::{AveragePool, Conv, Layer, Window};
use super::{Part, Real};

/// Multiplications that a pair of channels must save to be worth the averaging of its kernel in every draw.
const WORTH_MERGING: usize = 2500;

/// An architecture that computes the same function as another, with some convolutions and average pools merged.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    architecture: Architecture,
    /// The pool, m, that each node of the merged architecture averages its kernels over; 1 for parameters that are copied.
    pools: Vec<usize>,
}

impl Merged {
    /// Merges what is worth it; `None` where nothing is, or where the architecture is not a chain.
    pub fn new(architecture: &Architecture) -> Option<Self> {
        Self::with_threshold(architecture, WORTH_MERGING)
    }

    /// Merges whatever saves any multiplications, as is worth it where many samples share the averaged kernels.
    pub fn for_batches(architecture: &Architecture) -> Option<Self> {
        Self::with_threshold(architecture, 0)
    }

    fn with_threshold(architecture: &Architecture, worth: usize) -> Option<Self> {
        let nodes = architecture.nodes();
        if nodes.iter().any(|node| node.addend.is_some()) {
            return None;
        }
        let (mut parts, mut pools, mut rest) = (Vec::<Part>::new(), Vec::new(), nodes);
        while let [node, after @ ..] = rest {
            let pair = after.first().and_then(|after| merged(node, after, worth));
            rest = if pair.is_some() { &after[1..] } else { after };
            let (layer, pool) = pair.map_or((node.layer.clone(), 1), |(conv, pool)| (conv.into(), pool));
            parts.push(Part::Layer(layer));
            pools.push(pool);
        }
        let architecture = Architecture::from_parts(architecture.input().clone(), parts).ok()?;
        pools.iter().any(|&pool| pool > 1).then_some(Self { architecture, pools })
    }

    /// The merged architecture.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Turns parameters of the original into those of the merged architecture.
    pub fn convert<T: Real>(&self, original: &Architecture, from: &Parameters<T>, to: &mut Parameters<T>) {
        self.for_each_tensor(original, |source, node, place, kernel| {
            let (kernels, averaged) = (from.tensor(source, place), to.tensor_mut(node, place));
            match kernel {
                Some([size, pool]) => average(size, pool, kernels, averaged),
                None => averaged.copy_from_slice(kernels),
            }
        });
    }

    /// Adds a gradient with respect to the parameters of the merged architecture, turned into one with respect to those of the
    /// original, to `to`: the adjoint of [`convert`](Self::convert).
    pub fn pull_back<T: Real>(&self, original: &Architecture, from: &Parameters<T>, to: &mut Parameters<T>) {
        self.for_each_tensor(original, |source, node, place, kernel| {
            let (averaged, kernels) = (from.tensor(node, place), to.tensor_mut(source, place));
            match kernel {
                Some([size, pool]) => spread(size, pool, averaged, kernels),
                None => kernels.iter_mut().zip(averaged).for_each(|(sum, &value)| *sum += value),
            }
        });
    }

    /// Visits every tensor: the original's node, the merged one, which of their tensors, and for averaged kernels the sizes
    /// of the kernel and the pool.
    fn for_each_tensor(&self, original: &Architecture, mut visit: impl FnMut(&Node, &Node, usize, Option<[usize; 2]>)) {
        let mut originals = original.nodes().iter();
        for (node, &pool) in self.architecture.nodes().iter().zip(&self.pools) {
            // One original node for each merged one, and another for a pool that went into it.
            let Some(source) = originals.next() else { return };
            for place in 0..node.tensors.len() {
                let kernel = match (&source.layer, pool, place) {
                    (Layer::Conv(conv), 2.., 0) => Some([conv.window.size, pool]),
                    _ => None,
                };
                visit(source, node, place, kernel);
            }
            if pool > 1 {
                originals.next();
            }
        }
    }
}

/// The convolution that does the work of both layers, and the pool's size, where that saves enough.
fn merged(node: &Node, after: &Node, worth: usize) -> Option<(Conv, usize)> {
    let (Layer::Conv(conv), Layer::AveragePool(AveragePool(pool))) = (&node.layer, &after.layer) else { return None };
    if (conv.window.stride, conv.window.dilation) != (1, 1) || pool.size == 1 {
        return None;
    }
    let (size, places) = (conv.window.size + pool.size - 1, after.output.len() / conv.channels);
    let [own, both] = [node.output.len() / conv.channels * conv.window.size.pow(2), places * size.pow(2)];
    let window = Window { size, stride: pool.stride, ..conv.window };
    (own >= both + worth).then_some((Conv { channels: conv.channels, window, bias: conv.bias }, pool.size))
}

/// Averages every kernel of k × k taps over the m × m places of a pool: first along its rows, then along its columns.
fn average<T: Real>(size: usize, pool: usize, kernels: &[T], averaged: &mut [T]) {
    let (wide, share) = (size + pool - 1, T::one() / T::from_f64((pool * pool) as f64));
    let mut rows = vec![T::zero(); size * wide];
    for (kernel, averaged) in kernels.chunks_exact(size * size).zip(averaged.chunks_exact_mut(wide * wide)) {
        rows.fill(T::zero());
        for (taps, row) in kernel.chunks_exact(size).zip(rows.chunks_exact_mut(wide)) {
            for shift in 0..pool {
                row[shift..].iter_mut().zip(taps).for_each(|(sum, &tap)| *sum += share * tap);
            }
        }
        averaged.fill(T::zero());
        for shift in 0..pool {
            averaged[shift * wide..].iter_mut().zip(&rows).for_each(|(sum, &tap)| *sum += tap);
        }
    }
}

/// Adds to every kernel what its taps have given to the averaged one: the adjoint of [`average`].
fn spread<T: Real>(size: usize, pool: usize, averaged: &[T], kernels: &mut [T]) {
    let (wide, share) = (size + pool - 1, T::one() / T::from_f64((pool * pool) as f64));
    for (kernel, averaged) in kernels.chunks_exact_mut(size * size).zip(averaged.chunks_exact(wide * wide)) {
        for (tap, sum) in kernel.iter_mut().enumerate() {
            let (row, column) = (tap / size, tap % size);
            let rows = averaged.chunks_exact(wide).skip(row).take(pool);
            let total = rows.flat_map(|row| &row[column..column + pool]).fold(T::zero(), |total, &value| total + value);
            *sum += share * total;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::layer::PaddingMode;
    use super::super::{Flatten, Initialisation, Relu, Shape, Tape, WeightDistribution};
    use super::*;
    use ndarray_rand::rand::SeedableRng;
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;

    proptest! {
        /// Logits and gradients of the merged network are those of the original, for every padding.
        #[test]
        fn merging_changes_nothing_but_the_work(
            kernel in 1usize..4, size in 2usize..4, stride in 1usize..4, padding in 0usize..3, mode in 0usize..3, seed in any::<u64>(),
        ) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mode = [PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Circular][mode];
            let window = Window { padding, mode, ..Window::new(kernel, 1) };
            let conv = || Layer::from(Conv { channels: 3, window, bias: true });
            let pool = || AveragePool(Window::new(size, stride)).into();
            let layers = vec![conv(), pool(), Relu.into(), conv(), Relu.into(), Flatten.into()];
            let input = Shape::new([2, 7, 9]).unwrap();
            let Ok(network) = Architecture::new(input, layers) else { return Ok(()) };
            let Some(merged) = Merged::with_threshold(&network, 0) else { return Ok(()) };
            prop_assert_eq!(merged.architecture().nodes().len(), network.nodes().len() - 1);

            let parameters: Parameters<f64> =
                Initialisation::he(&network, WeightDistribution::Normal, 1.0).draw(&network, &mut rng);
            let mut converted = Parameters::new(merged.architecture());
            merged.convert(&network, &parameters, &mut converted);
            // ⟨gradient, convert(θ)⟩ = ⟨pull_back(gradient), θ⟩.
            let mut gradient = converted.clone();
            gradient.values_mut().fill_with(|| WeightDistribution::Normal.draw(&mut rng));
            let mut pulled = Parameters::zeros(&network);
            merged.pull_back(&network, &gradient, &mut pulled);
            let product = |a: &Parameters<f64>, b: &Parameters<f64>| -> f64 {
                a.values().iter().zip(b.values()).map(|(x, y)| x * y).sum()
            };
            let (one, other) = (product(&gradient, &converted), product(&pulled, &parameters));
            prop_assert!((one - other).abs() < 1e-10 * (1.0 + one.abs()), "{one} {other}");

            let image: Vec<f64> = (0..126).map(|_| WeightDistribution::Normal.draw(&mut rng)).collect();
            let run = |network: &Architecture, parameters: &Parameters<f64>| {
                let mut tape = Tape::new(network);
                let logits = tape.forward(network, parameters, &image).to_vec();
                [logits, tape.logit_gradient(network, parameters, 1).to_vec()]
            };
            let (one, other) = (run(&network, &parameters), run(merged.architecture(), &converted));
            for (a, b) in one.iter().flatten().zip(other.iter().flatten()) {
                prop_assert!((a - b).abs() < 1e-12 * (1.0 + a.abs()), "{a} {b}");
            }
        }
    }

    #[test]
    fn small_images_and_strided_convolutions_are_left_alone() {
        let network = |side: usize, stride: usize| {
            let window = Window { padding: 1, ..Window::new(3, stride) };
            let conv = Conv { channels: 4, window, bias: false };
            let layers = vec![conv.into(), AveragePool(Window::new(2, 2)).into(), Flatten.into()];
            Architecture::new(Shape::new([3, side, side]).unwrap(), layers).unwrap()
        };
        assert!(Merged::new(&network(32, 1)).is_some());
        assert!(Merged::new(&network(8, 1)).is_none(), "too little to save");
        assert!(Merged::new(&network(64, 2)).is_none(), "taps of neighbouring places do not overlap");
    }
}
