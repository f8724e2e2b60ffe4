//! Networks whose weights act against networks whose weights are drawn, in law, on random architectures of all layers; and defects that
//! are planted in the mathematics, each of which is found.

use ndarray_rand::rand::seq::IndexedRandom;
use ndarray_rand::rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::input::{InputLaw, LabelRule};
use super::super::{Stream, StreamKey};
use super::*;
use crate::network::layer::{Activation, Scratch};
use crate::network::{
    AveragePool, BatchNorm, Conv, Dense, Flatten, GlobalAveragePool, Initialisation, Kin, MaxPool, Operator,
    PaddingMode, Parameters, Part, Place, Pointwise, Real, Relu, SampleNorm, Shape, Statistics, Variances, WeightPool,
    Window,
};
use crate::sampling::general::Weights;
use crate::statistics::{KolmogorovSmirnov, Moments};
use crate::stop::Stop;

const NAMES: [&str; 5] = ["loss.l1", "loss.l2", "logit.l1", "logit.linf", "logit.l3"];
const DRAWS: u64 = 2000;

fn activation(rng: &mut ChaCha8Rng) -> Part {
    use Activation::{Abs, Elu, Erf, Gelu, HardTanh, Identity, LeakyRelu, Sigmoid, Silu, Softplus, Tanh};
    let others = [Abs, Elu, Erf, Gelu, HardTanh, Identity, LeakyRelu { slope: 0.2 }, Sigmoid, Silu, Softplus, Tanh];
    if rng.random_ratio(1, 4) { Relu.into() } else { Pointwise(*others.choose(rng).unwrap()).into() }
}

fn norm(channels: usize, rng: &mut ChaCha8Rng) -> Part {
    match rng.random_range(0..4) {
        0 => BatchNorm { statistics: Statistics::Batch, epsilon: 0.1 }.into(),
        1 => SampleNorm { kin: Kin::Layer, epsilon: 0.01 }.into(),
        2 => SampleNorm { kin: Kin::Rms, epsilon: 0.01 }.into(),
        _ => SampleNorm { kin: Kin::Group(if channels.is_multiple_of(2) { 2 } else { 1 }), epsilon: 0.01 }.into(),
    }
}

/// A network of dense layers or convolutions, with any layers between.
fn architecture(rng: &mut ChaCha8Rng) -> Architecture {
    let dense = |units, rng: &mut ChaCha8Rng| Part::from(Dense { units, bias: rng.random() });
    if rng.random() {
        let width = rng.random_range(3..9);
        let mut parts = vec![dense(width, rng), activation(rng)];
        for _ in 0..rng.random_range(0..3) {
            let branch = vec![norm(width, rng), dense(width, rng), activation(rng)];
            parts.push(match rng.random_range(0..3) {
                0 => Part::Residual { branch, projection: vec![] },
                1 => Part::Residual { branch, projection: vec![dense(width, rng)] },
                _ => activation(rng),
            });
            parts.push(dense(width, rng));
            parts.push(activation(rng));
        }
        parts.push(dense(4, rng));
        return Architecture::from_parts(Shape::new([rng.random_range(2..7)]).unwrap(), parts).unwrap();
    }
    let conv = |stride, rng: &mut ChaCha8Rng| {
        let mode = *[PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Circular].choose(rng).unwrap();
        let window = Window { padding: 1, dilation: rng.random_range(1..3), mode, ..Window::new(2, stride) };
        Part::from(Conv { channels: 4, window, bias: rng.random() })
    };
    let pool: Part = match rng.random_range(0..3) {
        0 => AveragePool(Window::new(2, 1)).into(),
        1 => MaxPool(Window::new(2, 1)).into(),
        _ => WeightPool(Window::new(2, 1)).into(),
    };
    let mut parts = vec![conv(1, rng), norm(4, rng), activation(rng), pool, conv(2, rng), activation(rng)];
    parts.push(if rng.random() { Flatten.into() } else { GlobalAveragePool.into() });
    parts.push(dense(4, rng));
    Architecture::from_parts(Shape::new([2, 3, 3]).unwrap(), parts).unwrap()
}

fn networks(architecture: Architecture, bias: f64, rng: &mut ChaCha8Rng) -> ExplicitSampler {
    let gain = rng.random_range(0.8..2.5);
    let rule = |_, fan_in: usize, _| Ok::<_, ()>(Variances { weight: gain / fan_in as f64, bias });
    let batch = if architecture.mixes_batch() { 3 } else { 1 };
    ExplicitSampler {
        initialisation: Initialisation::by_layer(&architecture, WeightDistribution::Normal, rule).unwrap(),
        architecture,
        input: if rng.random() { InputLaw::Gaussian } else { InputLaw::Constant(0.7) },
        label: LabelRule::Random,
        observables: NAMES.map(|name| name.parse().unwrap()).to_vec(),
        batch,
        path_total: None,
    }
}

fn draws<'a>(mut worker: Box<dyn Worker + 'a>, name: &str, count: u64) -> Vec<Vec<f64>> {
    let key = StreamKey::new(16, &[name]);
    let mut columns = vec![Vec::new(); NAMES.len()];
    let mut values = [0.0; NAMES.len()];
    for draw in 0..count {
        worker.draw(key.draw(draw), &mut values);
        columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
    }
    columns
}

/// The largest |z| of a mean, and the smallest p of Kolmogorov and Smirnov, over all observables.
fn compare(one: Vec<Vec<f64>>, other: Vec<Vec<f64>>) -> (f64, f64) {
    let mut worst = (0.0f64, 1.0f64);
    for (mut one, mut other) in one.into_iter().zip(other) {
        // Rounding must not tell two equal values apart.
        one.iter_mut().chain(&mut other).for_each(|value| *value = f64::from((*value * 1e5).round() as f32));
        let [a, b] = [&one, &other].map(|values| values.iter().copied().collect::<Moments>());
        let error = a.std_error().hypot(b.std_error());
        worst.0 = worst.0.max(if error > 0.0 { (a.mean() - b.mean()).abs() / error } else { 0.0 });
        worst.1 = worst.1.min(KolmogorovSmirnov::of_samples(&mut one, &mut other).p_value);
    }
    worst
}

/// 30 random architectures, 5 observables, 2 000 draws: |z| of every mean below 4.5 (false alarms below 10⁻³ in all), and
/// Kolmogorov–Smirnov p above 10⁻⁵ (1.5·10⁻³).
#[test]
fn weights_that_act_have_the_law_of_weights_that_are_drawn() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for case in 0..30 {
        let explicit = networks(architecture(&mut rng), if rng.random() { 0.3 } else { 0.0 }, &mut rng);
        let conditioned = ConditionedSampler::new(explicit.clone()).unwrap().always();
        let one = draws(conditioned.worker(), &format!("conditioned {case}"), DRAWS);
        let (z, p) = compare(one, draws(explicit.worker(), &format!("explicit {case}"), DRAWS));
        assert!(z < 4.5 && p > 1e-5, "{case}: z = {z}, p = {p}, {:?}", explicit.architecture);
    }
}

/// Where a pool runs before the convolution that it follows, every layer keeps its own law. |z| below 4.5 and p above 10⁻⁵ (false alarms
/// below 10⁻⁴).
#[test]
fn layers_that_change_places_keep_their_laws() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let conv = || Conv { channels: 5, window: Window { padding: 1, ..Window::new(3, 1) }, bias: true }.into();
    let pool = || AveragePool(Window::new(2, 2)).into();
    let layers = vec![conv(), pool(), Relu.into(), conv(), pool(), Relu.into(), Flatten.into(), Dense::new(4).into()];
    let network = Architecture::new(Shape::new([2, 4, 4]).unwrap(), layers).unwrap();
    let explicit = networks(network, 0.3, &mut rng);
    assert_ne!(explicit.running(), explicit.architecture);
    for (name, conditioned) in [("cheaper", false), ("always", true)] {
        let sampler = ConditionedSampler::new(explicit.clone()).unwrap();
        let sampler = if conditioned { sampler.always() } else { sampler };
        let (z, p) = compare(draws(sampler.worker(), name, DRAWS), draws(explicit.worker(), "explicit", DRAWS));
        assert!(z < 4.5 && p > 1e-5, "{name}: z = {z}, p = {p}");
    }
}

/// Convolutions of few and of many channels by pixels, with strides, dilation, every padding, batches, biases, and one gradient or two, on
/// pixels in coordinates of their span. |z| below 4.5 and p above 10⁻⁵ (false alarms below 10⁻³ in all).
#[test]
fn coordinates_in_the_span_of_pixels_change_no_law() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let norm = || BatchNorm { statistics: Statistics::Batch, epsilon: 0.1 }.into();
    let modes = [PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Circular];
    for (case, (mode, [stride, dilation])) in
        modes.into_iter().flat_map(|mode| [[1, 1], [2, 1], [3, 1], [2, 2]].map(|steps| (mode, steps))).enumerate()
    {
        let conv = |channels, size, stride, dilation| -> Part {
            let window = Window { padding: 1, dilation, mode, ..Window::new(size, stride) };
            Conv { channels, window, bias: case % 2 == 0 }.into()
        };
        let mut parts = vec![conv(40, 2, 1, 1), Relu.into(), conv(6, 3, stride, dilation), Relu.into()];
        if case % 3 == 0 {
            parts.push(norm());
        }
        parts.extend([conv(5, 2, 1, 1), Pointwise(Activation::Tanh).into(), Flatten.into(), Dense::new(3).into()]);
        let network = Architecture::from_parts(Shape::new([2, 4, 4]).unwrap(), parts).unwrap();
        let mut explicit = networks(network, 0.3, &mut rng);
        explicit.batch = explicit.batch.min(2);
        let explicit = ExplicitSampler { input: InputLaw::Gaussian, ..explicit };
        let sampler = ConditionedSampler::new(explicit.clone()).unwrap();
        let means: Vec<Means> = explicit
            .running()
            .nodes()
            .iter()
            .map(|node| match node.layer.product(node.site()) {
                Some(product) if product.taps > 1 => Means::InSpan(product),
                _ => sampler.means(node),
            })
            .collect();
        assert_eq!(means.iter().filter(|means| matches!(means, Means::InSpan(_))).count(), 3);
        let weights = |law: Initialisation| Conditioned::<f32>::new(&explicit, law, &means);
        let worker = Box::new(GeneralWorker::<f32, _>::new(&explicit, weights));
        let one = draws(worker, &format!("span {case}"), DRAWS);
        let (z, p) = compare(one, draws(explicit.worker(), &format!("whole {case}"), DRAWS));
        assert!(z < 4.5 && p > 1e-5, "{case}: z = {z}, p = {p}, {mode:?} {stride} {dilation}");
    }
}

/// Which part of the mathematics is wrong.
#[derive(Clone, Copy, PartialEq)]
enum Defect {
    None,
    /// What is known of the forward pass is left out of the backward pass.
    NoProjection,
    /// Biases have one and a half times the standard deviation.
    Bias,
    /// Directions are given up that still have half of the square.
    GramFactor,
}

/// Weights with a defect.
struct Defective<T>(Conditioned<T>, Defect);

impl<T: Real> Weights<T> for Defective<T>
where
    Conditioned<T>: Weights<T>,
    for<'a> &'a mut Conditioned<T>: Operator<T>,
{
    fn draw(&mut self, stream: &mut Stream, stop: &Stop) {
        self.0.draw(stream, stop);
    }

    fn operator(&mut self) -> impl Operator<T> + '_ {
        self
    }

    fn parameters(&self) -> Option<&Parameters<T>> {
        None
    }
}

impl<T: Real> Operator<T> for Defective<T>
where
    for<'a> &'a mut Conditioned<T>: Operator<T>,
{
    fn apply(&mut self, place: Place<'_>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        (&mut self.0).apply(place, input, output, scratch);
    }

    fn apply_transposed(
        &mut self,
        place: Place<'_>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        if self.1 == Defect::NoProjection {
            self.0.forget(place.index);
        }
        (&mut self.0).apply_transposed(place, input, upstream, downstream, scratch);
    }
}

/// A convolution of overlapping patches, one of more channels than pixels, and dense layers so narrow that most of a gradient lies along what
/// was seen before, all with biases: without a defect |z| below 4.5 and p above 10⁻⁵ in all, with one beyond in any.
#[test]
fn planted_defects_are_found() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let window = Window { padding: 1, mode: PaddingMode::Circular, ..Window::new(3, 1) };
    let conv = || Conv { channels: 6, window, bias: true }.into();
    let dense = |units| Dense { units, bias: true }.into();
    let tanh = || Pointwise(Activation::Tanh).into();
    let of_images = vec![conv(), tanh(), conv(), Relu.into(), Flatten.into(), dense(4)];
    let wide = || Conv { channels: 24, window, bias: true }.into();
    let in_span = vec![wide(), tanh(), wide(), Relu.into(), Flatten.into(), dense(4)];
    let of_vectors = vec![dense(2), Pointwise(Activation::Abs).into(), dense(2), tanh(), dense(3)];
    let of_images = Architecture::new(Shape::new([2, 3, 3]).unwrap(), of_images).unwrap();
    let of_vectors = Architecture::new(Shape::new([2]).unwrap(), of_vectors).unwrap();
    let in_span = Architecture::new(Shape::new([2, 3, 3]).unwrap(), in_span).unwrap();
    let cases = [of_images, of_vectors, in_span].map(|network| {
        let explicit = ExplicitSampler { input: InputLaw::Constant(1.0), ..networks(network, 0.6, &mut rng) };
        let drawn = draws(explicit.worker(), "drawn", 2 * DRAWS);
        (explicit, drawn)
    });
    for defect in [Defect::None, Defect::NoProjection, Defect::Bias, Defect::GramFactor] {
        let is_found = |(explicit, drawn): &(ExplicitSampler, Vec<Vec<f64>>)| {
            let sampler = ConditionedSampler::new(explicit.clone()).unwrap().always();
            let means: Vec<Means> = explicit.running().nodes().iter().map(|node| sampler.means(node)).collect();
            let weights = |law: Initialisation| {
                let mut weights = Conditioned::<f32>::new(explicit, law, &means);
                match defect {
                    Defect::Bias => weights.scale_biases(1.5),
                    Defect::GramFactor => weights.give_up_at(0.5),
                    Defect::None | Defect::NoProjection => {}
                }
                Defective(weights, defect)
            };
            let worker = Box::new(GeneralWorker::<f32, _>::new(explicit, weights));
            let (z, p) = compare(draws(worker, "defective", 2 * DRAWS), drawn.clone());
            z > 4.5 || p < 1e-5
        };
        let found = cases.each_ref().map(is_found);
        let name = ["none", "projection", "bias", "factor"][defect as usize];
        assert_eq!(found.contains(&true), defect != Defect::None, "{name}: {found:?}");
    }
}

#[test]
fn what_it_cannot_do_is_refused_with_the_reason() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let sampler = networks(architecture(&mut rng), 0.0, &mut rng);
    let reason = |change: &dyn Fn(&mut ExplicitSampler)| {
        let mut changed = sampler.clone();
        change(&mut changed);
        ConditionedSampler::new(changed).map(|_| ()).unwrap_err()
    };
    let uniform = |s: &mut ExplicitSampler| {
        s.initialisation = s.initialisation.clone().with_distribution(0, WeightDistribution::Uniform);
    };
    assert!(reason(&uniform).contains("not Gaussian"));
    assert!(reason(&|s| s.initialisation.broken_hypotheses.shared = true).contains("not independent"));
    assert!(reason(&|s| s.observables.push("masks.open".parse().unwrap())).contains("masks or weights"));
    assert!(reason(&|s| s.observables.push("damage.fgsm@0.1".parse().unwrap())).contains("attacks"));
}

/// Wide layers act; a kernel with fewer values than its patches is drawn.
#[test]
fn each_layer_takes_the_cheaper_way() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let conv = |channels| Conv { channels, window: Window { padding: 1, ..Window::new(3, 1) }, bias: false }.into();
    let layers = vec![conv(8), Relu.into(), Flatten.into(), Dense::new(500).into(), Relu.into(), Dense::new(4).into()];
    let network = Architecture::new(Shape::new([3, 8, 8]).unwrap(), layers).unwrap();
    let sampler = ConditionedSampler::new(networks(network, 0.0, &mut rng)).unwrap();
    let means: Vec<Means> = sampler.networks.running().nodes().iter().map(|node| sampler.means(node)).collect();
    assert_eq!(means[0], Means::Drawn);
    assert_eq!(means[3], Means::Acting(Product { outputs: 500, channels: 512, taps: 1, patches: 1 }));
    assert!(sampler.pays() && sampler.cost() < sampler.networks.cost());
    assert!(sampler.bytes_per_worker() < sampler.networks.bytes_per_worker());
}
