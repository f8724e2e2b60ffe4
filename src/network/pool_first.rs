//! A convolution followed by an average pool is an average pool followed by a convolution of fewer places: both are linear
//! sums over shifted images, in which the shifts commute.
//!
//! The pool then slides with a stride of one over the convolution's padded input, and the convolution takes over the pool's
//! stride s: for k × k taps it multiplies k² times for a pooled pixel and pair of channels instead of k² s² times. All parameters
//! stay as they are.

use super::architecture::{Architecture, Node};
use super::layer::{AveragePool, Conv, Layer, LayerRule, Window};

/// What an addition of a pool costs, in multiplications of a convolution, whose sums stay in registers.
const ADDITION: usize = 4;

/// The architecture that computes the same function of the same parameters by fewer operations, wherever convolutions come
/// before average pools; the same one where nothing is saved.
pub fn pools_first(architecture: &Architecture) -> Architecture {
    let nodes = architecture.nodes();
    let mut reordered = architecture.clone();
    for (value, pair) in (1..).zip(nodes.windows(2)) {
        let [conv, pool] = pair else { continue };
        let readers = nodes.iter().flat_map(Node::sources).filter(|&source| source == value).count();
        if pool.source == value
            && readers == 1
            && let Some(pair) = exchanged(conv, pool)
        {
            reordered.replace(value - 1, pair);
        }
    }
    reordered
}

/// The two layers in the other order, where that saves operations.
fn exchanged(conv: &Node, pool: &Node) -> Option<[Node; 2]> {
    let (Layer::Conv(kernel), Layer::AveragePool(AveragePool(mean))) = (&conv.layer, &pool.layer) else { return None };
    // Zeros around the convolution's output are not those around its input.
    if mean.padding > 0 {
        return None;
    }
    let Window { size, stride, .. } = kernel.window;
    let dilation = stride.checked_mul(mean.dilation)?;
    let smooth = AveragePool(Window { size: mean.size, stride: 1, dilation, ..kernel.window });
    let stride = stride.checked_mul(mean.stride)?;
    let sparse = Conv { window: Window { stride, padding: 0, ..kernel.window }, ..*kernel };
    let between = smooth.output_shape(&conv.input).ok()?;
    let operations = |convolved: usize, pooled: usize| {
        let [product, mean] = [size * size * conv.input.sizes()[0], ADDITION * mean.size * mean.size];
        product.saturating_mul(convolved).saturating_add(mean.saturating_mul(pooled))
    };
    if operations(pool.output.len(), between.len()) >= operations(conv.output.len(), pool.output.len()) {
        return None;
    }
    let output = between.clone();
    Some([
        Node {
            layer: smooth.into(),
            input: conv.input.clone(),
            output,
            source: conv.source,
            offset: conv.offset,
            ..pool.clone()
        },
        Node { layer: sparse.into(), input: between, output: pool.output.clone(), source: pool.source, ..conv.clone() },
    ])
}

#[cfg(test)]
mod tests {
    use super::super::layer::PaddingMode;
    use super::super::{Flatten, Initialisation, Parameters, Part, Relu, Shape, Tape, WeightDistribution};
    use super::*;
    use ndarray_rand::rand::SeedableRng;
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;

    fn conv(window: Window) -> Layer {
        Conv { channels: 6, window, bias: true }.into()
    }

    proptest! {
        /// Logits and gradients are the same for every padding, stride and dilation, in chains and in residual blocks.
        #[test]
        fn the_order_changes_nothing_but_the_work(
            size in 1usize..4, strides in (1usize..3, 1usize..4), dilations in (1usize..3, 1usize..3), pool in 1usize..4, padding in 0usize..3,
            mode in 0usize..3, seed in any::<u64>(),
        ) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mode = [PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Circular][mode];
            let mean = || Layer::from(AveragePool(Window { dilation: dilations.1, ..Window::new(pool, strides.1) }));
            let outer = conv(Window { padding, mode, dilation: dilations.0, ..Window::new(size, strides.0) });
            let branch = vec![conv(Window { padding: 1, mode, ..Window::new(3, 1) }).into(), mean().into()];
            let projection = vec![conv(Window { padding: 1, mode, ..Window::new(3, 1) }).into(), mean().into(), Relu.into()];
            let parts = vec![outer.into(), mean().into(), Relu.into(), Part::Residual { branch, projection }, Flatten.into()];
            let Ok(network) = Architecture::from_parts(Shape::new([2, 13, 15]).unwrap(), parts) else { return Ok(()) };
            let reordered = pools_first(&network);
            if reordered == network {
                prop_assert!(strides.1 == 1 || pool == 3);
                return Ok(());
            }
            prop_assert_eq!(reordered.parameter_count(), network.parameter_count());
            let parameters: Parameters<f64> =
                Initialisation::he(&network, WeightDistribution::Normal, 1.0).draw(&network, &mut rng);
            let image: Vec<f64> = (0..390).map(|_| WeightDistribution::Normal.draw(&mut rng)).collect();
            let run = |network: &Architecture| {
                let mut tape = Tape::new(network);
                let logits = tape.forward(network, &parameters, &image).to_vec();
                [logits, tape.logit_gradient(network, &parameters, 0).to_vec()]
            };
            for (a, b) in run(&network).iter().flatten().zip(run(&reordered).iter().flatten()) {
                prop_assert!((a - b).abs() < 1e-12 * (1.0 + a.abs()), "{} {}", a, b);
            }
        }
    }

    #[test]
    fn the_order_stays_where_nothing_is_saved() {
        let moves = |parts: Vec<Part>| {
            let network = Architecture::from_parts(Shape::new([3, 12, 12]).unwrap(), parts).unwrap();
            pools_first(&network) != network
        };
        let pair = |layers: [Layer; 2]| moves(layers.into_iter().chain([Flatten.into()]).map(Part::Layer).collect());
        let pool = || Layer::from(AveragePool(Window::new(2, 2)));
        assert!(pair([conv(Window::new(3, 1)), pool()]));
        assert!(!pair([pool(), conv(Window::new(3, 1))]), "it is that order");
        let narrow = Conv { channels: 2, window: Window::new(3, 1), bias: true };
        assert!(!pair([narrow.into(), AveragePool(Window::new(2, 1)).into()]), "as many places, less to pool");
        let both = Part::Residual { branch: vec![pool().into()], projection: vec![pool().into()] };
        let parts = vec![conv(Window::new(3, 1)).into(), both, Flatten.into()];
        assert!(!moves(parts), "the convolution is read twice");
        let padded = AveragePool(Window { padding: 1, ..Window::new(2, 2) });
        assert!(!pair([conv(Window::new(3, 1)), padded.into()]), "zeros that the convolution does not see");
    }
}
