//! Laws of networks of every layer type, on random small architectures: backpropagation, path enumeration and
//! difference quotients are three ways to one gradient; the pass over variances is the mean over fair coins, and random walks
//! and path-degrees are counted on the same graph.

use gradlaw::network::layer::{LayerRule, Pass, Role, Scratch};
use gradlaw::network::path::{PathError, path_gradient};
use gradlaw::network::{
    Architecture, AveragePool, BatchNorm, Conv, Dense, Flatten, GlobalAveragePool, GlobalMaxPool, Initialisation,
    Layer, MaxPool, Normalise, PaddingMode, Parameters, Part, Relu, Shape, Statistics, Tape, Variances,
    WeightDistribution, WeightPool, Window, loss,
};
use gradlaw::sampling::StreamKey;
use gradlaw::statistics::Moments;
use gradlaw::theory::{PathDegrees, PathGraph, Start, check_applies, path_variances, random_walks};
use ndarray_rand::rand::seq::IndexedRandom;
use ndarray_rand::rand::{Rng, SeedableRng};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

const MODES: [PaddingMode; 3] = [PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Circular];

/// What random networks may be made of.
#[derive(Clone, Copy)]
struct Kinds {
    /// Layers without a pass over variances: max pools.
    max_pools: bool,
    /// Batch normalisation with the statistics of the batch.
    batch_statistics: bool,
    bias: bool,
}

const ALL: Kinds = Kinds { max_pools: true, batch_statistics: false, bias: true };

fn batch_norm(statistics: Statistics) -> BatchNorm {
    BatchNorm { statistics, epsilon: 0.1 }
}

/// A random piece of a network behind images of so many channels, which may not fit.
fn random_piece(kinds: Kinds, channels: usize, rng: &mut ChaCha8Rng) -> Vec<Part> {
    let pool = Window::new(rng.random_range(1..4), rng.random_range(1..3));
    let window = Window {
        size: rng.random_range(1..4),
        stride: rng.random_range(1..3),
        dilation: rng.random_range(1..3),
        padding: rng.random_range(0..3),
        mode: *MODES.choose(rng).unwrap(),
    };
    let conv = |channels, window| Conv { channels, window, bias: kinds.bias };
    let same = Window { padding: 1, ..Window::new(3, 1) };
    match rng.random_range(0..9) {
        0 => vec![AveragePool(pool).into()],
        1 if kinds.max_pools => vec![MaxPool(pool).into()],
        2 => vec![WeightPool(pool).into()],
        3 => vec![conv(2, window).into(), batch_norm(Statistics::Running).into(), Relu.into()],
        4 if kinds.batch_statistics => vec![conv(2, window).into(), batch_norm(Statistics::Batch).into(), Relu.into()],
        5 if rng.random() => {
            let branch = vec![conv(channels, same).into(), Relu.into()];
            vec![Part::Residual { branch, projection: vec![] }, Relu.into()]
        }
        5 => {
            let branch = vec![Relu.into(), conv(channels, same).into()];
            vec![conv(channels, same).into(), Part::Residual { branch, projection: vec![] }, Relu.into()]
        }
        6 => {
            let branch = vec![conv(3, Window { stride: 2, ..same }).into(), Relu.into(), conv(3, same).into()];
            vec![Part::Residual { branch, projection: vec![conv(3, Window::new(1, 2)).into()] }, Relu.into()]
        }
        7 if rng.random() => {
            let mean = if rng.random() { vec![0.0] } else { vec![0.3, -0.2] };
            vec![conv(2, window).into(), Normalise { mean, std: vec![0.5, 1.5] }.into(), Relu.into()]
        }
        _ => vec![conv(rng.random_range(1..4), window).into(), Relu.into()],
    }
}

/// A random network that fits its input; pieces that do not fit are left out.
fn random_network(kinds: Kinds, rng: &mut ChaCha8Rng) -> Architecture {
    let input = Shape::new([rng.random_range(1..3), rng.random_range(2..6), rng.random_range(2..6)]).unwrap();
    let mut parts: Vec<Part> = Vec::new();
    let mut channels = input.sizes()[0];
    for _ in 0..rng.random_range(1..4) {
        let more = random_piece(kinds, channels, rng);
        let ends: Vec<Part> = [&parts[..], &more, &[Flatten.into(), Dense::new(1).into()]].concat();
        if let Ok(longer) = Architecture::from_parts(input.clone(), ends) {
            parts.extend(more);
            channels = longer.nodes()[longer.nodes().len() - 2].input.sizes()[0];
        }
    }
    parts.push(match rng.random_range(0..4) {
        0 => GlobalAveragePool.into(),
        1 if kinds.max_pools => GlobalMaxPool.into(),
        _ => Flatten.into(),
    });
    if rng.random() {
        parts.extend([Dense { units: rng.random_range(1..5), bias: kinds.bias }.into(), Relu.into()]);
    }
    parts.push(Dense { units: 3, bias: kinds.bias }.into());
    Architecture::from_parts(input, parts).unwrap()
}

/// A random network to which path theory applies.
fn network_with_paths(rng: &mut ChaCha8Rng) -> Architecture {
    loop {
        let network = random_network(Kinds { max_pools: false, ..ALL }, rng);
        if check_applies(&network).is_ok() {
            return network;
        }
    }
}

fn variances(network: &Architecture, bias: f64) -> Initialisation {
    let rule = |_, fan_in: usize, _| Ok::<_, ()>(Variances { weight: 2.0 / fan_in as f64, bias });
    Initialisation::by_layer(network, WeightDistribution::Normal, rule).unwrap()
}

/// Random weights, and random parameters of every normalisation.
fn learned(network: &Architecture, rng: &mut ChaCha8Rng) -> Parameters<f64> {
    let mut parameters: Parameters<f64> = variances(network, 0.25).draw(network, rng);
    for node in network.nodes() {
        for (index, tensor) in node.tensors.iter().enumerate() {
            let law = match tensor.role {
                Role::Scale | Role::RunningVariance => 0.5..2.0,
                Role::Shift | Role::RunningMean => -0.5..0.5,
                Role::Weight(_) | Role::Bias => continue,
            };
            parameters.tensor_mut(node, index).fill_with(|| rng.random_range(law.clone()));
        }
    }
    parameters
}

fn normals(count: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count).map(|_| WeightDistribution::Normal.draw(rng)).collect()
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn backpropagation_is_the_sum_over_paths_and_the_derivative(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let network = random_network(Kinds { bias: seed % 2 == 0, batch_statistics: seed % 4 == 1, ..ALL }, &mut rng);
        let batch = if network.mixes_batch() { 3 } else { 1 };
        let parameters = learned(&network, &mut rng);
        let input = normals(batch * network.dimension(), &mut rng);
        let mut tape = Tape::with_batch(&network, batch);
        tape.forward(&network, &parameters, &input);
        let logit = tape.logit_gradient(&network, &parameters, 1).to_vec();
        let label = tape.loss_gradient(&network, &parameters, 2).to_vec();

        match path_gradient(&network, &parameters, &tape, 1) {
            Ok(paths) => {
                prop_assert!(batch == 1, "batch statistics have no paths");
                for (path, gradient) in paths.iter().zip(&logit) {
                    prop_assert!(close(*path, *gradient, 1e-10), "{path} {gradient} {network:?}");
                }
            }
            Err(refused) => prop_assert!(matches!(refused, PathError::TooMany(_)) || batch == 3, "{refused}"),
        }
        let mut kinks = 0;
        for index in 0..network.dimension() {
            let mut quotient = |step: f64| {
                let mut value = |step: f64| {
                    let mut moved = input.clone();
                    moved[index] += step;
                    let logits = &tape.forward(&network, &parameters, &moved)[..3];
                    (logits[1], loss::cross_entropy(logits, 2))
                };
                let (up, down) = (value(step), value(-step));
                ((up.0 - down.0) / (2.0 * step), (up.1 - down.1) / (2.0 * step))
            };
            let (coarse, fine) = (quotient(1e-5), quotient(1e-6));
            if !close(coarse.0, fine.0, 1e-6) {
                kinks += 1;
                continue;
            }
            prop_assert!(close(logit[index], coarse.0, 1e-7), "{} {} {network:?}", logit[index], coarse.0);
            prop_assert!(close(label[index], coarse.1, 1e-7), "{} {} {network:?}", label[index], coarse.1);
        }
        prop_assert!(kinks <= 1 + network.dimension() / 4, "{kinks} coordinates at a kink");
    }

    #[test]
    fn samples_that_run_together_are_what_they_are_alone(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let network = random_network(ALL, &mut rng);
        let parameters = learned(&network, &mut rng);
        let input = normals(5 * network.dimension(), &mut rng);
        let together = Tape::with_batch(&network, 5).forward(&network, &parameters, &input).to_vec();
        let mut alone = Tape::new(&network);
        let samples = input.chunks_exact(network.dimension());
        let alone: Vec<f64> = samples.flat_map(|sample| alone.forward(&network, &parameters, sample).to_vec()).collect();
        for (a, b) in together.iter().zip(&alone) {
            prop_assert!(close(*a, *b, 1e-12), "{a} {b} {network:?}");
        }
    }

    /// The graph of connections is what the faster passes of the layers sum over.
    #[test]
    fn variance_passes_are_sums_over_connections(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let network = random_network(Kinds { max_pools: false, ..ALL }, &mut rng);
        for node in network.nodes() {
            let upstream = normals(node.output.len(), &mut rng);
            let (mut fast, mut sum) = (vec![0.0; node.input.len()], vec![0.0; node.input.len()]);
            node.layer.variance_backward(node.site(), 0.3, &upstream, &mut fast).unwrap();
            node.layer.connections(node.site(), 0.3, |from, to, factor| sum[from] += factor * upstream[to]).unwrap();
            for (a, b) in fast.iter().zip(&sum) {
                prop_assert!(close(*a, *b, 1e-12), "{a} {b} {node:?}");
            }
        }
    }

    /// Two passes over one graph and the layers' own pass: factors along all paths give the variances, and the multisets of
    /// path-degrees hold all paths.
    #[test]
    fn the_graph_holds_the_paths_of_every_input(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let network = network_with_paths(&mut rng);
        let initialisation = variances(&network, 0.0);
        let graph = PathGraph::new(&network, &initialisation).unwrap();
        let (mut sums, mut counts) = (vec![0.0; graph.logit() + 1], vec![0u128; graph.logit() + 1]);
        (sums[graph.logit()], counts[graph.logit()]) = (1.0, 1);
        for unit in (0..graph.logit()).rev() {
            let targets = || graph.edges(unit).iter().map(|&target| target as usize);
            sums[unit] = targets().map(|target| graph.factor(target) * sums[target]).sum();
            counts[unit] = targets().map(|target| counts[target]).sum();
        }
        let degrees = PathDegrees::new(&graph).unwrap();
        for (input, variance) in path_variances(&network, &initialisation).unwrap().into_iter().enumerate() {
            prop_assert!((sums[input] - variance).abs() <= 1e-12 * variance, "{} {variance} {network:?}", sums[input]);
            prop_assert_eq!(degrees.of(input).iter().map(|&(_, count)| count).sum::<u128>(), counts[input]);
            prop_assert!(degrees.of(input).is_sorted_by(|a, b| a.0 < b.0));
        }
        prop_assert_eq!(counts[..graph.dimension()].iter().sum::<u128>() as f64, graph.path_count().nearest());
        for node in network.nodes() {
            let mut edges = 0;
            node.layer.connections(node.site(), 1.0, |_, _, _| edges += 1).unwrap();
            prop_assert!(edges <= node.layer.edge_count(node.site()), "{node:?}");
        }
    }

    /// Both are linear, so a convolution behind an average pool is one convolution with the averaged kernel: of size
    /// kernel + pool − 1 and the pool's stride.
    #[test]
    fn an_average_pool_commutes_with_its_convolution(
        kernel in 1usize..4, pool in 1usize..4, padding in 0usize..3, side in 4usize..8, seed in any::<u64>(),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let conv = |size, stride| {
            let window = Window { padding, ..Window::new(size, stride) };
            Layer::from(Conv { channels: 2, window, bias: false })
        };
        let input = Shape::new([2, side, side]).unwrap();
        let pooled = vec![conv(kernel, 1), AveragePool(Window::new(pool, pool)).into(), Flatten.into()];
        let merged = vec![conv(kernel + pool - 1, pool), Flatten.into()];
        let Ok(pooled) = Architecture::new(input.clone(), pooled) else { return Ok(()) };
        let merged = Architecture::new(input, merged).unwrap();
        prop_assert_eq!(pooled.outputs(), merged.outputs());

        let one: Parameters<f64> = variances(&pooled, 0.0).draw(&pooled, &mut rng);
        let mut other = Parameters::new(&merged);
        let size = kernel + pool - 1;
        let kernels = one.of(&pooled.nodes()[0]).chunks_exact(kernel * kernel);
        for (weights, sums) in kernels.zip(other.tensor_mut(&merged.nodes()[0], 0).chunks_exact_mut(size * size)) {
            for (tap, weight) in weights.iter().enumerate() {
                for shift in 0..pool * pool {
                    let (row, column) = (tap / kernel + shift / pool, tap % kernel + shift % pool);
                    sums[row * size + column] += weight / (pool * pool) as f64;
                }
            }
        }
        let image = normals(pooled.dimension(), &mut rng);
        let logits = Tape::new(&pooled).forward(&pooled, &one, &image).to_vec();
        for (a, b) in logits.iter().zip(Tape::new(&merged).forward(&merged, &other, &image)) {
            prop_assert!(close(*a, *b, 1e-12));
        }
    }
}

/// Fair coins in place of masks make H1 true. Mean squared gradients of 3 000 networks meet the pass over variances,
/// |z| < 4.5 for ‖∂ₓf₀‖₂² of 30 random architectures (false alarms below 3·10⁻⁴); networks in which two paths can meet
/// again over one weight are passed over, since the pass leaves their cross terms out.
#[test]
fn the_pass_over_variances_is_the_mean_over_fair_coins() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut tested = 0;
    while tested < 30 {
        let network = network_with_paths(&mut rng);
        let crossing = network.nodes().iter().any(|node| sees_twice(&node.layer, &node.input, &node.output));
        if crossing {
            continue;
        }
        tested += 1;
        let initialisation = variances(&network, 0.0);
        let expected: f64 = path_variances(&network, &initialisation).unwrap().iter().sum();
        let measured: Moments =
            (0..3000).map(|_| squared_gradient_with_coins(&network, &initialisation, &mut rng)).collect();
        if expected == 0.0 {
            // A kernel that sees nothing but padding.
            assert_eq!(measured.mean(), 0.0);
            continue;
        }
        let z = (measured.mean() - expected) / measured.std_error();
        assert!(z.abs() < 4.5, "{} against {expected} (z = {z}) {network:?}", measured.mean());
    }
}

/// Random walks meet the pass over variances, |z| < 4.5 for ‖∂ₓf₀‖₂² and for one coordinate of 40 random architectures (false
/// alarms below 6·10⁻⁴); weights are bounded products over few layers, so that 100 000 of them have a normal mean.
#[test]
fn random_walks_agree_with_the_pass_over_variances() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut spread = 0;
    for index in 0..40 {
        let network = network_with_paths(&mut rng);
        let initialisation = variances(&network, 0.0);
        let graph = PathGraph::new(&network, &initialisation).unwrap();
        let expected = path_variances(&network, &initialisation).unwrap();
        let input = rng.random_range(0..network.dimension());
        let key = StreamKey::new(index, &["walks"]);
        for (start, expected) in [(Start::Anywhere, expected.iter().sum()), (Start::Input(input), expected[input])] {
            let walks = random_walks(&graph, start, 100_000, &key);
            let error = 4.5 * walks.std_error() + 1e-12 * expected;
            assert!((walks.mean() - expected).abs() <= error, "{walks:?} against {expected} {network:?}");
            assert!(walks.skewness().abs() < 0.1 * (walks.count() as f64).sqrt());
            spread += usize::from(walks.std_error() > 1e-6 * expected);
        }
    }
    assert!(spread >= 20, "{spread} of 80 means have walks of different weights");
}

/// Whether two paths can take one weight through different places: a pixel in two pools, or under one tap of a kernel at
/// two places, as with reflect padding or wide circular padding.
fn sees_twice(layer: &Layer, input: &Shape, output: &Shape) -> bool {
    let (window, is_pool) = match layer {
        Layer::AveragePool(AveragePool(window)) => (window, true),
        Layer::Conv(conv) => (&conv.window, false),
        _ => return false,
    };
    let plane = |shape: &Shape| [shape.sizes()[1], shape.sizes()[2]];
    let mut seen = std::collections::HashSet::new();
    let mut twice = false;
    window.for_each(plane(input), plane(output), |tap, _, pixel| {
        twice |= !seen.insert((if is_pool { 0 } else { tap }, pixel));
    });
    twice
}

/// ‖∂ₓf₀‖₂² of one drawn network whose masks are fair coins: the layers are run one by one on the transposed graph.
fn squared_gradient_with_coins(network: &Architecture, initialisation: &Initialisation, rng: &mut ChaCha8Rng) -> f64 {
    let parameters: Parameters<f64> = initialisation.draw(network, rng);
    let values = 0..=network.nodes().len();
    let mut gradients: Vec<Vec<f64>> = values.map(|value| vec![0.0; network.value_shape(value).len()]).collect();
    gradients[network.nodes().len()][0] = 1.0;
    for (index, node) in network.nodes().iter().enumerate().rev() {
        let upstream = gradients[index + 1].clone();
        let mut downstream = vec![0.0; node.input.len()];
        if matches!(node.layer, Layer::Relu(_)) {
            let pairs = downstream.iter_mut().zip(&upstream);
            pairs.for_each(|(below, above)| *below = if rng.random() { *above } else { 0.0 });
        } else {
            let input = vec![0.0; node.input.len()];
            let pass = Pass { site: node.site(), batch: 1, parameters: parameters.of(node) };
            node.layer.backward(pass, &input, &upstream, &mut downstream, &mut Scratch::default());
        }
        add(&mut gradients[node.source], &downstream);
        if let Some(addend) = node.addend {
            add(&mut gradients[addend.value], &upstream);
        }
    }
    gradients[0].iter().map(|gradient| gradient * gradient).sum()
}

fn add(sums: &mut [f64], more: &[f64]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}
