//! Parameter gradients against differences of the objectives, and Proposition 3.

use ndarray_rand::rand::{Rng, SeedableRng};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

use super::super::BatchModel;
use super::*;
use crate::network::layer::*;
use crate::network::{Architecture, Initialisation, Norm, Parameters, Part, Shape, WeightDistribution};

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
        let value = objective.learn(&mut model, input, &self.labels, &mut rng, |_| calls += 1);
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
