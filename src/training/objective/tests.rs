//! Parameter gradients against differences of the objectives, and Proposition 3.

use ndarray_rand::rand::{Rng, SeedableRng};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

use super::super::BatchModel;
use super::*;
use crate::attack::{Ascent, GradientStep, Threat};
use crate::network::layer::*;
use crate::network::{Architecture, Initialisation, Norm, Parameters, Part, Shape, WeightDistribution, loss};

/// A network with every type of layer that has parameters; its average pool runs before the convolution.
fn network(statistics: Statistics) -> Architecture {
    let conv = |channels| Conv {
        channels,
        window: Window { padding: 1, mode: PaddingMode::Reflect, ..Window::new(3, 1) },
        bias: true,
    };
    let norm = || BatchNorm { statistics, epsilon: 1e-3 };
    let parts: Vec<Part> = vec![
        norm().into(),
        conv(4).into(),
        AveragePool(Window::new(2, 2)).into(),
        norm().into(),
        Relu.into(),
        Part::Residual { branch: vec![conv(4).into(), norm().into(), Relu.into()], projection: vec![] },
        WeightPool(Window::new(2, 2)).into(),
        MaxPool(Window::new(2, 1)).into(),
        Flatten.into(),
        Dense { units: 3, bias: true }.into(),
    ];
    Architecture::from_parts(Shape::new([2, 8, 8]).unwrap(), parts).unwrap()
}

struct Case {
    architecture: Architecture,
    parameters: Parameters<f64>,
    input: Vec<f64>,
    labels: Vec<usize>,
}

impl Case {
    fn new(statistics: Statistics, seed: u64) -> Self {
        let architecture = network(statistics);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let initialisation = Initialisation::he(&architecture, WeightDistribution::Normal, 1.0);
        let parameters = initialisation.draw(&architecture, &mut rng);
        let input = (0..10 * architecture.dimension()).map(|_| rng.random_range(0.0..1.0)).collect();
        let labels = (0..10).map(|_| rng.random_range(0..3)).collect();
        Self { architecture, parameters, input, labels }
    }

    /// The objective and its gradient at θ + t·direction; random numbers are the same every time.
    fn at(&self, objective: Objective, t: f64, direction: &[f64]) -> (f64, Parameters<f64>) {
        let mut parameters = self.parameters.clone();
        parameters.values_mut().iter_mut().zip(direction).for_each(|(value, step)| *value += t * step);
        let mut model = BatchModel::new(&self.architecture);
        model.load(&parameters);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut calls = 0;
        let input = &self.input;
        let value = objective.accumulate(&mut model, input, &self.labels, &mut rng, |_| calls += 1);
        assert_eq!(calls, 1);
        let mut gradient = Parameters::zeros(&self.architecture);
        model.take_gradient(&mut gradient);
        (value, gradient)
    }

    fn direction(&self, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut direction = Parameters::<f64>::zeros(&self.architecture);
        for node in self.architecture.nodes() {
            for (index, tensor) in node.tensors.iter().enumerate() {
                if !matches!(tensor.role, Role::RunningMean | Role::RunningVariance) {
                    direction.tensor_mut(node, index).fill_with(|| rng.random_range(-1.0..1.0));
                }
            }
        }
        direction.values().to_vec()
    }
}

const BOTH: [Statistics; 2] = [Statistics::Batch, Statistics::Running];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Away from kinks, gradients are derivatives. Steps of attacks are held fixed in the gradient; where they are signs they
    /// are constant anyway, so that differences see nothing of it.
    #[test]
    fn gradients_are_those_of_differences(seed in any::<u64>(), q in 1.2f64..4.0) {
        let objectives = [
            Objective::Plain(Plain),
            Objective::GradientPenalty(GradientPenalty { norm: Norm::ONE, strength: 0.2 }),
            Objective::GradientPenalty(GradientPenalty { norm: Norm::TWO, strength: 0.2 }),
            Objective::GradientPenalty(GradientPenalty { norm: Norm::new(q).unwrap(), strength: 0.2 }),
            Objective::AdversarialAugmentation(AdversarialAugmentation { norm: Norm::INFINITY, strength: 0.01 }),
            Objective::ProjectedGradient(ProjectedGradient { strength: 0.01, steps: 3 }),
            Objective::CrossLipschitz(CrossLipschitz { strength: 0.3 }),
        ];
        for statistics in BOTH {
            let case = Case::new(statistics, seed);
            let direction = case.direction(seed ^ 1);
            for objective in objectives {
                let step = 1e-7;
                let values = [-step, 0.0, step].map(|t| case.at(objective, t, &direction).0);
                let bend = values[0] - 2.0 * values[1] + values[2];
                if bend.abs() > 1e-4 * (values[2] - values[0]).abs() + 1e-13 {
                    // A kink lies between.
                    continue;
                }
                let (_, gradient) = case.at(objective, 0.0, &direction);
                let expected = (values[2] - values[0]) / (2.0 * step);
                let found: f64 = gradient.values().iter().zip(&direction).map(|(g, way)| g * way).sum();
                prop_assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{objective:?} {found} {expected}");
            }
        }
    }
}

/// Proposition 3: penalty and augmentation of dual norms have parameter gradients that agree as ε → 0, the difference being of
/// the second order: it falls by 4 with every halving, until kinks are the nearest thing.
#[test]
fn penalties_equal_augmentation_to_first_order() {
    let case = Case::new(Statistics::Batch, 3);
    for norm in [Norm::ONE, Norm::TWO, Norm::new(1.5).unwrap()] {
        let differences = [4e-6, 2e-6, 1e-6].map(|strength| {
            let penalty = Objective::GradientPenalty(GradientPenalty { norm, strength });
            let augmentation = AdversarialAugmentation { norm: norm.dual(), strength };
            let augmentation = Objective::AdversarialAugmentation(augmentation);
            let gradient = |objective| case.at(objective, 0.0, &[]).1;
            let (one, other) = (gradient(penalty), gradient(augmentation));
            let plain = gradient(Objective::Plain(Plain));
            let distance = |a: &Parameters<f64>, b: &Parameters<f64>| {
                a.values().iter().zip(b.values()).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
            };
            [distance(&one, &other), distance(&one, &plain)]
        });
        for pair in differences.windows(2) {
            let [order, first] = [0, 1].map(|which| (pair[0][which] / pair[1][which]).log2());
            assert!((order - 2.0).abs() < 0.1, "{norm}: order {order}");
            assert!((first - 1.0).abs() < 0.01, "{norm}: the penalty's own share is of first order, {first}");
        }
    }
}

/// Two classes whose rows differ by w, of twelve inputs.
const ROW: [f32; 12] = [0.9, -0.4, 0.3, 0.7, -1.1, 0.2, -0.6, 0.5, 1.3, -0.8, 0.1, -0.2];

/// A linear classifier with rows w and 0, and samples of these margins.
fn linear(margins: &[f32]) -> (BatchModel<f32>, Vec<f32>) {
    let network = Architecture::new(Shape::new([12]).unwrap(), vec![Dense::new(2).into()]).unwrap();
    let mut parameters = Parameters::zeros(&network);
    parameters.values_mut()[..12].copy_from_slice(&ROW);
    let mut model = BatchModel::new(&network);
    model.load(&parameters);
    let square: f32 = ROW.iter().map(|weight| weight * weight).sum();
    let samples = margins.iter().flat_map(|margin| ROW.map(|weight| weight * margin / square)).collect();
    (model, samples)
}

/// Of a linear network what an attack of size ε does is known: it takes ε‖w‖ from the margin, however sure the network is of a sample
/// and of the others beside it.
#[test]
fn sure_samples_are_attacked_in_training_too() {
    for margins in [vec![1.0], vec![93.0], vec![102.0], vec![110.0, 1.0, 60.0, 0.0, 1e4], vec![105.0, 300.0]] {
        for (norm, q) in [(Norm::INFINITY, Norm::ONE), (Norm::TWO, Norm::TWO)] {
            let (mut model, samples) = linear(&margins);
            let labels = vec![0; margins.len()];
            let strength = 4.0;
            let taken = strength * norm.uniform_size(12) * q.of(&ROW);
            let loss = |margin: f64| (-margin).max(0.0) + (-margin.abs()).exp().ln_1p();
            let both = |&margin: &f32| 0.5 * (loss(margin.into()) + loss(f64::from(margin) - taken));
            let expected = margins.iter().map(both).sum::<f64>() / margins.len() as f64;
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            let objective = AdversarialAugmentation { norm, strength };
            let found = objective.accumulate(&mut model, &samples, &labels, &mut rng, |_| ());
            assert!((found - expected).abs() < 1e-4 * (1.0 + expected), "{margins:?} {norm}: {found} {expected}");
            let threat = Threat::unbounded(strength * norm.uniform_size(12));
            let mut again = samples.clone();
            GradientStep { norm }.ascend(&mut model, &samples, &labels, threat, &mut rng, &mut again);
            model.forward(&again);
            let after =
                2.0 * expected - margins.iter().map(|&margin| loss(margin.into())).sum::<f64>() / margins.len() as f64;
            assert!((model.mean_loss(&labels) - after).abs() < 1e-4 * (1.0 + after), "{margins:?} {norm}");
            let penalty = GradientPenalty { norm: q, strength };
            let penalised = penalty.accumulate(&mut model, &samples, &labels, &mut rng, |_| ());
            let mut gradient = Parameters::zeros(model.architecture());
            model.take_gradient(&mut gradient);
            assert!(penalised.is_finite() && gradient.values().iter().all(|value| value.is_finite()), "{margins:?}");
        }
        // Every coordinate ends a third of the way at least, at the right side.
        let (mut model, samples) = linear(&margins);
        let attack = crate::attack::ProjectedGradient { norm: Norm::INFINITY, steps: 3, step_size: None };
        let labels = vec![0; margins.len()];
        let mut moved = samples.clone();
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        attack.ascend(&mut model, &samples, &labels, Threat::unbounded(0.5), &mut rng, &mut moved);
        for ((value, x), weight) in moved.iter().zip(&samples).zip(ROW.iter().cycle()) {
            let way = (x - value) * weight.signum();
            assert!(way > 0.16 - 1e-6 * x.abs() && way < 0.51 + 1e-6 * x.abs(), "{margins:?}: {way}");
        }
    }
}

/// Where samples act on each other the direction is that of the whole batch's loss, in single precision as in double, where nothing
/// underflows; and a sample's own where they do not.
#[test]
fn directions_are_those_of_the_gradients_of_the_batch() {
    for statistics in BOTH {
        let case = Case::new(statistics, 11);
        let mut double = BatchModel::new(&case.architecture);
        double.load(&case.parameters);
        double.forward(&case.input);
        // The predicted classes, so that all are sure.
        let labels: Vec<usize> = double.logits().map(loss::prediction).collect();
        let margins = double.logits().zip(&labels).map(|(logits, &label)| {
            let others = logits.iter().enumerate().filter(|(index, _)| *index != label);
            logits[label] - others.map(|(_, logit)| *logit).fold(f64::NEG_INFINITY, f64::max)
        });
        let margins: Vec<f64> = margins.collect();
        // Single precision holds no gradient of a margin above 104, double precision none above 745.
        let factor = match statistics {
            Statistics::Batch => 150.0 / margins.iter().copied().fold(f64::INFINITY, f64::min),
            Statistics::Running => 300.0 / margins.iter().copied().fold(0.0, f64::max),
        };
        let mut parameters = case.parameters.clone();
        let head = case.architecture.nodes().last().unwrap();
        parameters.tensor_mut(head, 0).iter_mut().for_each(|weight| *weight *= factor);
        double.load(&parameters);
        double.forward(&case.input);
        let exact = double.loss_gradient(&labels).to_vec();
        let mut single = BatchModel::<f32>::new(&case.architecture);
        single.load(&parameters.converted());
        single.forward(&case.input.iter().map(|&value| value as f32).collect::<Vec<_>>());
        let found: Vec<f64> = single.loss_direction(&labels).iter().map(|&value| value.into()).collect();
        let mut compared = 0;
        let dimension = if statistics == Statistics::Batch { found.len() } else { case.architecture.dimension() };
        for (found, exact) in found.chunks(dimension).zip(exact.chunks(dimension)) {
            if Norm::ONE.of(exact) == 0.0 {
                assert_eq!(Norm::ONE.of(found), 0.0, "no unit is open");
                continue;
            }
            compared += 1;
            let product: f64 = found.iter().zip(exact).map(|(one, other)| one * other / Norm::TWO.of(exact)).sum();
            // Logits of hundreds have errors of 10⁻⁴ in single precision.
            assert!((product / Norm::TWO.of(found) - 1.0).abs() < 1e-3, "{statistics:?} {margins:?} {product}");
        }
        assert!(compared > 0, "{statistics:?}");
    }
}
