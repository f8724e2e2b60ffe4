//! Batches against single samples, and all derivatives against differences, on networks with every type of layer.

use ndarray_rand::rand::{Rng, SeedableRng};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

use super::super::layer::{ALL_ACTIVATIONS, *};
use super::super::loss::{cross_entropy, cross_entropy_gradient};
use super::super::{Architecture, Initialisation, Parameters, Part, Shape, Tape, WeightDistribution};
use super::*;

/// A small network with every type of layer; which ones is up to `kind`.
fn network(kind: usize, statistics: Statistics) -> Architecture {
    let mode = [PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Circular][kind % 3];
    let conv = |channels, size, stride, bias| Conv {
        channels,
        window: Window { padding: size / 2, mode, ..Window::new(size, stride) },
        bias,
    };
    let norm = || BatchNorm { statistics, epsilon: 1e-3 };
    let pool: Layer = match kind / 3 % 3 {
        0 => AveragePool(Window::new(2, 2)).into(),
        1 => MaxPool(Window::new(2, 2)).into(),
        _ => WeightPool(Window::new(2, 2)).into(),
    };
    let branch = vec![conv(5, 3, 1, false).into(), norm().into(), Relu.into()];
    let projection = if kind.is_multiple_of(2) { vec![] } else { vec![conv(5, 1, 1, true).into()] };
    let mut parts: Vec<Part> = vec![
        norm().into(),
        conv(5, 3, 1 + kind / 9 % 2, true).into(),
        norm().into(),
        Pointwise(ALL_ACTIVATIONS[11 - kind / 54]).into(),
        Part::Residual { branch, projection },
        SampleNorm { kin: [Kin::Layer, Kin::Rms, Kin::Group(5), Kin::Group(1)][kind / 2 % 4], epsilon: 1e-3 }.into(),
        pool.into(),
        Normalise { mean: vec![0.1, -0.2, 0.3, 0.0, 0.2], std: vec![0.8] }.into(),
    ];
    match kind / 18 % 3 {
        0 => parts.push(Flatten.into()),
        1 => parts.push(GlobalAveragePool.into()),
        _ => parts.push(GlobalMaxPool.into()),
    }
    parts.push(Dense { units: 18, bias: true }.into());
    parts.push(norm().into());
    parts.push(match ALL_ACTIVATIONS[kind / 54] {
        Activation::Relu => Relu.into(),
        other => Pointwise(other).into(),
    });
    parts.push(Dense { units: 4, bias: false }.into());
    Architecture::from_parts(Shape::new([2, 8, 6]).unwrap(), parts).unwrap()
}

struct Case {
    architecture: Architecture,
    parameters: Parameters<f64>,
    /// Channels last.
    input: Vec<f64>,
    labels: Vec<usize>,
}

impl Case {
    fn new(kind: usize, statistics: Statistics, samples: usize, seed: u64) -> Self {
        Self::of(network(kind, statistics), samples, seed)
    }

    fn of(architecture: Architecture, samples: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let initialisation = Initialisation::he(&architecture, WeightDistribution::Normal, 1.0);
        let mut parameters: Parameters<f64> = initialisation.draw(&architecture, &mut rng);
        for node in architecture.nodes() {
            for (index, tensor) in node.tensors.iter().enumerate() {
                if !matches!(tensor.role, Role::Weight(_)) {
                    parameters
                        .tensor_mut(node, index)
                        .iter_mut()
                        .for_each(|value| *value += rng.random_range(0.1..0.5));
                }
            }
        }
        let input = (0..samples * architecture.dimension()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let labels = (0..samples).map(|_| rng.random_range(0..4)).collect();
        Self { architecture, parameters, input, labels }
    }

    /// Logits and the gradient of one of them are those of the other way of running networks.
    fn agrees_with_the_tape(&self) {
        let (shape, dimension) = (self.architecture.input(), self.architecture.dimension());
        let mut first = vec![0.0; self.input.len()];
        for (pixels, sample) in self.input.chunks_exact(dimension).zip(first.chunks_exact_mut(dimension)) {
            to_channels_first(shape, pixels, sample);
        }
        let mut tape = self.tape();
        let logits = tape.forward(&self.input).to_vec();
        let mut other = Tape::with_batch(&self.architecture, self.labels.len());
        let expected = other.forward(&self.architecture, &self.parameters, &first).to_vec();
        for (a, b) in logits.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-10 * (1.0 + b.abs()), "{a} {b}");
        }
        let mut upstream = vec![0.0; logits.len()];
        upstream[1] = 1.0;
        let expected = other.logit_gradient(&self.architecture, &self.parameters, 1).to_vec();
        let mut gradient = vec![0.0; dimension];
        to_channels_first(shape, &tape.backward(&upstream)[..dimension], &mut gradient);
        for (a, b) in gradient.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-10 * (1.0 + b.abs()), "{a} {b}");
        }
    }

    fn tape(&self) -> BatchTape<f64> {
        let mut tape = BatchTape::new(&self.architecture);
        tape.load(&self.parameters);
        tape
    }

    /// Σ L over the batch, at a point θ + t·direction of the parameters and x + s·way of the inputs.
    fn loss(&self, [t, s]: [f64; 2], direction: &[f64], way: &[f64]) -> f64 {
        let mut parameters = self.parameters.clone();
        parameters.values_mut().iter_mut().zip(direction).for_each(|(value, step)| *value += t * step);
        let mut tape = BatchTape::new(&self.architecture);
        tape.load(&parameters);
        let input: Vec<f64> = self.input.iter().zip(way).map(|(x, step)| x + s * step).collect();
        let logits = tape.forward(&input);
        logits.chunks_exact(4).zip(&self.labels).map(|(logits, &label)| cross_entropy(logits, label)).sum()
    }

    /// ∂ΣL/∂logits.
    fn upstream(&self, logits: &[f64]) -> Vec<f64> {
        let mut upstream = vec![0.0; logits.len()];
        for ((logits, upstream), &label) in logits.chunks_exact(4).zip(upstream.chunks_exact_mut(4)).zip(&self.labels) {
            cross_entropy_gradient(logits, label, upstream);
        }
        upstream
    }

    /// ∂ΣL/∂x at θ + t·direction.
    fn input_gradient(&self, t: f64, direction: &[f64]) -> Vec<f64> {
        let mut parameters = self.parameters.clone();
        parameters.values_mut().iter_mut().zip(direction).for_each(|(value, step)| *value += t * step);
        let mut tape = BatchTape::new(&self.architecture);
        tape.load(&parameters);
        let upstream = self.upstream(tape.forward(&self.input));
        tape.backward(&upstream).to_vec()
    }

    /// Random numbers for every learned parameter, zero for running statistics.
    fn direction(&self, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut direction = Parameters::<f64>::new(&self.architecture);
        for node in self.architecture.nodes() {
            for (index, tensor) in node.tensors.iter().enumerate() {
                let fixed = matches!(tensor.role, Role::RunningMean | Role::RunningVariance);
                let mut draw = || if fixed { 0.0 } else { rng.random_range(-1.0..1.0) };
                direction.tensor_mut(node, index).fill_with(&mut draw);
            }
        }
        direction.values().to_vec()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

const BOTH: [Statistics; 2] = [Statistics::Batch, Statistics::Running];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A batch has the logits and input gradients of its samples run by the other way of running networks.
    #[test]
    fn batches_agree_with_the_tape_of_the_sampler(kind in 0usize..648, samples in 2usize..20, seed in any::<u64>()) {
        for statistics in BOTH {
            Case::new(kind, statistics, samples, seed).agrees_with_the_tape();
        }
    }

    /// Parameter gradients, tangents, and parameter gradients of tangents are the derivatives that they claim to be.
    #[test]
    fn derivatives_are_those_of_differences(kind in 0usize..648, seed in any::<u64>()) {
        for statistics in BOTH {
            let case = Case::new(kind, statistics, 9, seed);
            let (direction, mut tape) = (case.direction(seed ^ 1), case.tape());
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 2);
            let way: Vec<f64> = case.input.iter().map(|_| rng.random_range(-1.0..1.0)).collect();
            let upstream = case.upstream(tape.forward(&case.input));
            let mut gradient = Parameters::zeros(&case.architecture);
            tape.accumulate(&upstream, &mut gradient, true);
            let step = 1e-6;
            let slope = |ends: [f64; 2]| (ends[1] - ends[0]) / (2.0 * step);
            let along = |t: f64, s: f64| case.loss([t, s], &direction, &way);
            let close = |a: f64, b: f64, tolerance: f64| (a - b).abs() < tolerance * (1.0 + a.abs());
            // A step over a kink, of a ReLU or a maximum, has another slope than a shorter one.
            let is_smooth = |along: &dyn Fn(f64) -> f64| {
                let slopes = [1.0, 0.2].map(|part| (along(part * step) - along(-part * step)) / (2.0 * part * step));
                close(slopes[0], slopes[1], 2e-6)
            };
            let ends = [along(-step, 0.0), along(step, 0.0)];
            if is_smooth(&|t| along(t, 0.0)) {
                let found = dot(gradient.values(), &direction);
                prop_assert!(close(slope(ends), found, 1e-5), "{kind}: {} {found}", slope(ends));
            }
            let ends = [along(0.0, -step), along(0.0, step)];
            let tangent = tape.tangent(&way).to_vec();
            if is_smooth(&|s| along(0.0, s)) {
                prop_assert!(close(slope(ends), dot(&tangent, &upstream), 1e-5));
                prop_assert!(close(slope(ends), dot(tape.input_gradient(), &way), 1e-5));
            }

            // ∂/∂θ of d(ΣL)/dx along the way: du of the softmax is its Hessian times the logits' tangent.
            tape.backward(&upstream);
            tape.add_tangent_gradient();
            let mut moved = Vec::new();
            for ((above, tangent), &label) in upstream.chunks_exact(4).zip(tangent.chunks_exact(4)).zip(&case.labels) {
                let probability = |k: usize| above[k] + if k == label { 1.0 } else { 0.0 };
                let mean: f64 = (0..4).map(|k| probability(k) * tangent[k]).sum();
                moved.extend((0..4).map(|k| probability(k) * (tangent[k] - mean)));
            }
            let mut second = Parameters::zeros(&case.architecture);
            tape.accumulate(&moved, &mut second, false);
            let t = 1e-7;
            let slopes = [-t, 0.0, t].map(|t| dot(&case.input_gradient(t, &direction), &way));
            let expected = (slopes[2] - slopes[0]) / (2.0 * t);
            let bend = slopes[0] - 2.0 * slopes[1] + slopes[2];
            let found = dot(second.values(), &direction);
            if bend.abs() < 1e-10 + 1e-4 * (slopes[2] - slopes[0]).abs() {
                prop_assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{kind} {found} {expected}");
            }
        }
    }
}

/// Channels that fill registers, one or several, and some that are left.
#[test]
fn channels_may_be_of_any_number() {
    let conv =
        |channels, stride| Conv { channels, window: Window { padding: 1, ..Window::new(3, stride) }, bias: true };
    for channels in [[16, 20, 37], [32, 64, 7], [130, 1, 48]] {
        let mut layers: Vec<Layer> = Vec::new();
        for (index, channels) in channels.into_iter().enumerate() {
            layers.push(conv(channels, 1 + index % 2).into());
            layers.push(AveragePool(Window { padding: index % 2, ..Window::new(2, 1) }).into());
            layers.push(Relu.into());
        }
        layers.extend([Flatten.into(), Dense::new(4).into()]);
        let architecture = Architecture::new(Shape::new([3, 7, 6]).unwrap(), layers).unwrap();
        Case::of(architecture, 11, 3).agrees_with_the_tape();
    }
}

#[test]
fn chunks_and_threads_change_no_bit() {
    let case = Case::new(4, Statistics::Batch, 37, 5);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut tape = case.tape();
            let upstream = case.upstream(tape.forward(&case.input));
            let mut gradient = Parameters::zeros(&case.architecture);
            tape.accumulate(&upstream, &mut gradient, true);
            (gradient, tape.input_gradient().to_vec())
        })
    };
    assert_eq!(run(1), run(3));
}
