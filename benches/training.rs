//! One training step of the paper's CIFAR network for every objective: `cargo bench --bench training`.
//!
//! Batch norm of the input; six 3 × 3 convolutions of 64 channels with reflected edges, the last five followed by 2 × 2 average
//! pooling; batch norm and ReLU after each; linear. Batch 128, single precision, all cores. Input and labels are random: a step's
//! time does not depend on them. `benches/peers/training.py` times the same steps in PyTorch.

use divan::Bencher;
use gradlaw::network::layer::{
    AveragePool, BatchNorm, Conv, Dense, Flatten, Layer, PaddingMode, Relu, Statistics, Window,
};
use gradlaw::network::{Architecture, Initialisation, Norm, Parameters, Shape, WeightDistribution};
use gradlaw::stream::StreamKey;
use gradlaw::training::objective::{
    AdversarialAugmentation, CrossLipschitz, GradientPenalty, ObjectiveRule, Plain, ProjectedGradient,
};
use gradlaw::training::{BatchModel, Objective, Sgd};
use ndarray_rand::rand::Rng;

const BATCH: usize = 128;

fn main() {
    divan::main();
}

fn network() -> Architecture {
    let norm = || BatchNorm { statistics: Statistics::Batch, epsilon: BatchNorm::USUAL_EPSILON };
    let mut layers: Vec<Layer> = vec![norm().into()];
    for index in 0..6 {
        let window = Window { padding: 1, mode: PaddingMode::Reflect, ..Window::new(3, 1) };
        layers.push(Conv { channels: 64, window, bias: false }.into());
        if index > 0 {
            layers.push(AveragePool(Window::new(2, 2)).into());
        }
        layers.extend([norm().into(), Relu.into()]);
    }
    layers.extend([Flatten.into(), Dense { units: 10, bias: true }.into()]);
    Architecture::new(Shape::new([3, 32, 32]).unwrap(), layers).unwrap()
}

const OBJECTIVES: [(&str, Objective); 6] = [
    ("plain", Objective::Plain(Plain)),
    ("gradient l1", Objective::GradientPenalty(GradientPenalty { norm: Norm::ONE, strength: 0.01 })),
    ("gradient l2", Objective::GradientPenalty(GradientPenalty { norm: Norm::TWO, strength: 0.01 })),
    ("fgsm", Objective::AdversarialAugmentation(AdversarialAugmentation { norm: Norm::INFINITY, strength: 0.01 })),
    ("pgd-7", Objective::ProjectedGradient(ProjectedGradient { strength: 0.01, steps: 7 })),
    ("cross-lipschitz", Objective::CrossLipschitz(CrossLipschitz { strength: 0.01 })),
];

#[divan::bench(args = OBJECTIVES.map(|(name, _)| name), sample_count = 5, sample_size = 1)]
fn step(bencher: Bencher<'_, '_>, name: &str) {
    let objective = OBJECTIVES.iter().find(|(known, _)| *known == name).unwrap().1;
    let network = network();
    let mut rng = StreamKey::new(1, &["bench"]).draw(0);
    let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
    let mut parameters: Parameters<f32> = initialisation.draw(&network, &mut rng);
    let input: Vec<f32> = (0..BATCH * network.dimension()).map(|_| rng.random()).collect();
    let labels: Vec<usize> = (0..BATCH).map(|_| rng.random_range(0..10)).collect();
    let optimiser = Sgd { momentum: 0.9, weight_decay: 0.0 };
    let mut model = BatchModel::new(&network);
    let (mut gradient, mut velocity) = (Parameters::zeros(&network), Parameters::zeros(&network));
    let mut one_step = || {
        model.load(&parameters);
        objective.learn(&mut model, &input, &labels, &mut rng, |_| {});
        model.take_gradient(&mut gradient);
        optimiser.step(&network, 1e-4, &gradient, &mut velocity, &mut parameters);
    };
    one_step();
    bencher.bench_local(one_step);
}
