//! Random stacks of all layers, in any order and nested, in all that networks are used for: nothing panics, a batch is its
//! samples one by one, and the parameter gradients of training objectives are derivatives.

use gradlaw::attack::{AnyAttack, Attack, Bounds, Model, Threat};
use gradlaw::network::batch::{BatchTape, to_channels_first, to_channels_last};
use gradlaw::network::layer::{LayerRule, Role};
use gradlaw::network::path::path_gradient;
use gradlaw::network::{
    Activation, Architecture, AveragePool, BatchNorm, Conv, Dense, Flatten, GlobalAveragePool, GlobalMaxPool,
    Initialisation, Kin, MaxPool, Norm, Normalise, PaddingMode, Parameters, Part, Pointwise, Relu, SampleNorm, Shape,
    Statistics, Tape, WeightDistribution, WeightPool, Window,
};
use gradlaw::observable::{HypothesisObservable, Observable};
use gradlaw::sampling::{ExplicitSampler, InputLaw, LabelRule, Sampler, StreamKey};
use gradlaw::theory::{PathDegrees, PathGraph, path_variances};
use gradlaw::training::objective::{
    AdversarialAugmentation, CrossLipschitz, GradientPenalty, ObjectiveRule, Plain, ProjectedGradient,
};
use gradlaw::training::{BatchModel, Objective};
use ndarray_rand::rand::seq::IndexedRandom;
use ndarray_rand::rand::{Rng, SeedableRng};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

/// Units and samples beyond which a network takes too long for the number of cases.
const MOST_UNITS: usize = 400;

fn window(rng: &mut ChaCha8Rng) -> Window {
    Window {
        size: rng.random_range(1..4),
        stride: rng.random_range(1..3),
        dilation: rng.random_range(1..3),
        padding: rng.random_range(0..3),
        mode: *[PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Circular].choose(rng).unwrap(),
    }
}

/// Any layer, or a block of any layers, whether it fits or not.
fn random_part(depth: usize, rng: &mut ChaCha8Rng) -> Part {
    let constants = |rng: &mut ChaCha8Rng| {
        let count = rng.random_range(1..4);
        let mut some = |low: f64| (0..count).map(|_| low + rng.random::<f64>()).collect();
        Normalise { mean: some(-0.5), std: some(0.5) }
    };
    match rng.random_range(0..17) {
        0 => Dense { units: rng.random_range(1..5), bias: rng.random() }.into(),
        1 => Conv { channels: rng.random_range(1..4), window: window(rng), bias: rng.random() }.into(),
        2 => AveragePool(window(rng)).into(),
        3 => MaxPool(window(rng)).into(),
        4 => WeightPool(window(rng)).into(),
        5 => GlobalAveragePool.into(),
        6 => GlobalMaxPool.into(),
        7 => {
            let statistics = if rng.random() { Statistics::Batch } else { Statistics::Running };
            BatchNorm { statistics, epsilon: 0.1 }.into()
        }
        8 => constants(rng).into(),
        9 => Flatten.into(),
        10 | 11 if depth < 2 => {
            let mut arm = |most: usize| (0..rng.random_range(0..most)).map(|_| random_part(depth + 1, rng)).collect();
            Part::Residual { branch: arm(4), projection: arm(2) }
        }
        12 | 13 => {
            use Activation::{Abs, Elu, Erf, Gelu, HardTanh, Identity, LeakyRelu, Sigmoid, Silu, Softplus, Tanh};
            let all =
                [Abs, Elu, Erf, Gelu, HardTanh, Identity, LeakyRelu { slope: 0.3 }, Sigmoid, Silu, Softplus, Tanh];
            Pointwise(*all.choose(rng).unwrap()).into()
        }
        14 => {
            let kin = *[Kin::Layer, Kin::Rms, Kin::Group(1), Kin::Group(2)].choose(rng).unwrap();
            SampleNorm { kin, epsilon: 0.1 }.into()
        }
        _ => Relu.into(),
    }
}

/// A stack that fits: parts that do not are left out, and it ends as it happens to, in a vector of at least two logits.
fn random_stack(rng: &mut ChaCha8Rng) -> Architecture {
    let mut size = || rng.random_range(1..6);
    let sizes = [size(), size(), size()];
    let axes = if rng.random() { 3 } else { rng.random_range(1..4) };
    let input = Shape::new(&sizes[..axes]).unwrap();
    let build = |parts: &[Part]| Architecture::from_parts(input.clone(), parts.to_vec());
    let probed = |parts: &[Part]| build(&[parts, &[Flatten.into(), Dense::new(2).into()]].concat());
    let units = |network: &Architecture| network.nodes().iter().map(|node| node.output.len()).max().unwrap_or(0);
    let mut parts: Vec<Part> = Vec::new();
    for _ in 0..rng.random_range(1..9) {
        parts.push(random_part(0, rng));
        if !probed(&parts).is_ok_and(|network| units(&network) <= MOST_UNITS) {
            parts.pop();
        }
    }
    build(&parts).ok().filter(|network| network.outputs() > 1).unwrap_or_else(|| probed(&parts).unwrap())
}

/// A network with parameters, and samples with labels.
struct Case {
    network: Architecture,
    parameters: Parameters<f64>,
    /// Samples with their channels first.
    samples: Vec<f64>,
    labels: Vec<usize>,
}

impl Case {
    fn new(network: Architecture, rng: &mut ChaCha8Rng) -> Self {
        // More than a chunk of the batch.
        let count = network.least_batch().max(9);
        let mut parameters = Initialisation::he(&network, WeightDistribution::Normal, 1.0).draw(&network, rng);
        for node in network.nodes() {
            for (index, tensor) in node.tensors.iter().enumerate() {
                if !matches!(tensor.role, Role::Weight(_)) {
                    let values = parameters.tensor_mut(node, index).iter_mut();
                    values.for_each(|value: &mut f64| *value += rng.random_range(0.1..0.5));
                }
            }
        }
        let samples = (0..count * network.dimension()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let labels = (0..count).map(|_| rng.random_range(0..network.outputs())).collect();
        Self { network, parameters, samples, labels }
    }

    /// The samples as batches want them.
    fn batch(&self) -> Vec<f64> {
        let dimension = self.network.dimension();
        let mut batch = vec![0.0; self.samples.len()];
        for (sample, pixels) in self.samples.chunks_exact(dimension).zip(batch.chunks_exact_mut(dimension)) {
            to_channels_last(self.network.input(), sample, pixels);
        }
        batch
    }

    /// Logits of all samples and ∂ₓL of one, by the way of the sampler: alone where samples do not mix.
    fn one_by_one(&self) -> (Vec<f64>, Vec<Vec<f64>>) {
        let (network, dimension) = (&self.network, self.network.dimension());
        let together = if network.mixes_batch() { self.labels.len() } else { 1 };
        let mut tape = Tape::with_batch(network, together);
        let (mut logits, mut gradients) = (Vec::new(), Vec::new());
        for (samples, labels) in self.samples.chunks(together * dimension).zip(self.labels.chunks(together)) {
            logits.extend_from_slice(tape.forward(network, &self.parameters, samples));
            gradients.push(tape.loss_gradient(network, &self.parameters, labels[0]).to_vec());
        }
        (logits, gradients)
    }

    /// A batch has the logits and the gradients of its samples.
    fn batch_is_its_samples(&self) {
        let (network, dimension, outputs) = (&self.network, self.network.dimension(), self.network.outputs());
        let (expected, gradients) = self.one_by_one();
        let mut tape = BatchTape::new(network);
        tape.load(&self.parameters);
        let found = tape.forward(&self.batch()).to_vec();
        assert_close(&found, &expected, network);
        // Where samples mix, the gradient of the first one's loss alone; else of all.
        let mut upstream = vec![0.0; found.len()];
        let rows = upstream.chunks_exact_mut(outputs).zip(found.chunks_exact(outputs)).zip(&self.labels);
        for ((upstream, logits), &label) in rows.take(gradients.len()) {
            gradlaw::network::loss::cross_entropy_gradient(logits, label, upstream);
        }
        let found = tape.backward(&upstream).to_vec();
        let mut sample = vec![0.0; dimension];
        for (pixels, expected) in found.chunks_exact(dimension).zip(&gradients) {
            to_channels_first(network.input(), pixels, &mut sample);
            assert_close(&sample, expected, network);
        }
    }

    /// The objective and its parameter gradient at θ + t·direction.
    fn accumulate(&self, objective: Objective, t: f64, direction: &[f64]) -> (f64, Parameters<f64>) {
        let mut parameters = self.parameters.clone();
        parameters.values_mut().iter_mut().zip(direction).for_each(|(value, step)| *value += t * step);
        let mut model = BatchModel::new(&self.network);
        model.load(&parameters);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let value = objective.accumulate(&mut model, &self.batch(), &self.labels, &mut rng, |_| ());
        let mut gradient = Parameters::zeros(&self.network);
        model.take_gradient(&mut gradient);
        model.update_statistics(&mut parameters, 0.1);
        (value, gradient)
    }

    /// A random direction of all that is learned.
    fn direction(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut direction = Parameters::<f64>::zeros(&self.network);
        for node in self.network.nodes() {
            for (index, tensor) in node.tensors.iter().enumerate() {
                if !matches!(tensor.role, Role::RunningMean | Role::RunningVariance) {
                    direction.tensor_mut(node, index).fill_with(|| rng.random_range(-1.0..1.0));
                }
            }
        }
        direction.values().to_vec()
    }

    /// Whether the slope of an objective along a direction is that of its parameter gradient; `None` at a kink.
    fn slope_is_that_of_the_gradient(&self, objective: Objective, direction: &[f64]) -> Option<bool> {
        let slope = |step: f64| {
            let ends = [-step, step].map(|t| self.accumulate(objective, t, direction).0);
            (ends[1] - ends[0]) / (2.0 * step)
        };
        let (coarse, fine) = (slope(4e-6), slope(1e-6));
        let close = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()));
        let (_, gradient) = self.accumulate(objective, 0.0, direction);
        let found: f64 = gradient.values().iter().zip(direction).map(|(g, way)| g * way).sum();
        close(coarse, fine, 1e-6).then(|| close(found, fine, 1e-4))
    }
}

fn assert_close(found: &[f64], expected: &[f64], network: &Architecture) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-10 * (1.0 + b.abs()), "{a} {b} {network:?}");
    }
}

/// Objectives, and whether differences see their whole gradient: the steps of adversarial samples are held fixed, which changes
/// nothing where they are signs.
fn objectives() -> [(Objective, bool); 7] {
    let penalty = |norm| Objective::GradientPenalty(GradientPenalty { norm, strength: 0.2 });
    let augmentation = |norm| Objective::AdversarialAugmentation(AdversarialAugmentation { norm, strength: 0.01 });
    [
        (Objective::Plain(Plain), true),
        (penalty(Norm::ONE), true),
        (penalty(Norm::TWO), true),
        (penalty(Norm::new(3.0).unwrap()), true),
        (augmentation(Norm::TWO), false),
        (Objective::ProjectedGradient(ProjectedGradient { strength: 0.01, steps: 3 }), false),
        (Objective::CrossLipschitz(CrossLipschitz { strength: 0.3 }), true),
    ]
}

/// Every observable that the network has, drawn twice; they are numbers.
fn sample(network: &Architecture, input: InputLaw) {
    let of = |name: &str| name.parse::<Observable>().ok();
    let attacks = AnyAttack::names().filter_map(|name| of(&format!("changed.{name}@0.1")));
    let hypotheses = [
        "masks.open",
        "masks.weight-correlation",
        "masks.square-correlation",
        "weights.variance",
        "weights.layer-correlation",
        "weights.unit-correlation",
    ];
    let hypotheses = hypotheses
        .iter()
        .filter(|name| name.parse().is_ok_and(|hypothesis: HypothesisObservable| hypothesis.is_measurable(network)));
    let gradients = ["loss.l1", "logit.l2sq", "loss.linf", "logit.coordinate"];
    let all: Vec<Observable> = gradients.iter().chain(hypotheses).filter_map(|name| of(name)).collect();
    for observables in [gradients.iter().filter_map(|name| of(name)).chain(attacks).collect(), all] {
        let sampler = ExplicitSampler {
            initialisation: Initialisation::he(network, WeightDistribution::Normal, 1.0),
            architecture: network.clone(),
            input: input.clone(),
            label: LabelRule::Random,
            batch: network.least_batch(),
            path_total: None,
            observables,
        };
        let mut worker = sampler.worker();
        for draw in 0..2 {
            let mut values = vec![f64::NAN; sampler.observables()];
            worker.draw(StreamKey::new(5, &["stacks"]).draw(draw), &mut values);
            for (value, observable) in values.iter().zip(&sampler.observables) {
                assert!(!value.is_nan(), "{observable:?} of {network:?}");
            }
        }
    }
}

/// What theory says of the network, or why it says nothing.
fn theory(case: &Case) {
    let initialisation = Initialisation::he(&case.network, WeightDistribution::Normal, 1.0);
    let variances = path_variances(&case.network, &initialisation);
    assert!(variances.iter().flatten().all(|variance| *variance >= 0.0), "{:?}", case.network);
    if let Ok(graph) = PathGraph::new(&case.network, &initialisation) {
        let _ = PathDegrees::new(&graph);
    }
    let mut tape = Tape::with_batch(&case.network, case.labels.len());
    tape.forward(&case.network, &case.parameters, &case.samples);
    let _ = path_gradient(&case.network, &case.parameters, &tape, 0);
    for node in case.network.nodes() {
        node.layer.edge_count(node.site());
    }
}

/// Every attack, for its largest damage at a size and for its smallest perturbation.
fn attack(case: &Case) {
    let mut tape = Tape::with_batch(&case.network, case.labels.len());
    tape.forward(&case.network, &case.parameters, &case.samples);
    let input = case.samples[..case.network.dimension()].to_vec();
    let mut perturbed = input.clone();
    let mut model = Model::new(&case.network, &case.parameters, &mut tape);
    for attack in AnyAttack::names().filter_map(AnyAttack::named) {
        let attack = attack.with_steps(4).unwrap_or(attack);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        attack.perturb(&mut model, &input, case.labels[0], Threat::unbounded(0.1), &mut rng, &mut perturbed);
        assert!(perturbed.iter().all(|value| value.is_finite()), "{attack:?} of {:?}", case.network);
        attack.smallest(&mut model, &input, case.labels[0], Bounds::new(-1.0, 1.0), &mut rng, &mut perturbed);
    }
}

proptest! {
    /// 256 stacks, or as many as `PROPTEST_CASES` says.
    #[test]
    fn random_stacks_work_in_all_work(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let case = Case::new(random_stack(&mut rng), &mut rng);
        case.batch_is_its_samples();
        let direction = case.direction(&mut rng);
        for (objective, is_whole) in objectives() {
            let agrees = case.slope_is_that_of_the_gradient(objective, &direction);
            prop_assert!(!is_whole || agrees != Some(false), "{objective:?} of {:?}", case.network);
        }
        sample(&case.network, InputLaw::Gaussian);
        sample(&case.network, InputLaw::Constant(0.7));
        theory(&case);
        attack(&case);
    }
}

/// ReLUs that follow each other are one.
#[test]
fn relus_in_a_row_are_one() {
    let stack = |relus: usize| {
        let conv = Conv { channels: 3, window: Window::new(1, 1), bias: true };
        let relus = std::iter::repeat_n(Part::from(Relu), relus);
        let parts = std::iter::once(conv.into()).chain(relus).chain([Flatten.into(), Dense::new(4).into()]);
        Case::new(
            Architecture::from_parts(Shape::new([2, 3, 3]).unwrap(), parts.collect()).unwrap(),
            &mut ChaCha8Rng::seed_from_u64(3),
        )
    };
    let one = stack(1);
    for relus in [2, 3, 4] {
        let several = stack(relus);
        for (objective, _) in objectives() {
            let (value, gradient) = one.accumulate(objective, 0.0, &[]);
            let (found, found_gradient) = several.accumulate(objective, 0.0, &[]);
            assert_eq!(found.to_bits(), value.to_bits(), "{relus} {objective:?}");
            assert_eq!(found_gradient, gradient, "{relus} {objective:?}");
        }
    }
}
