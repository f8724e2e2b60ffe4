//! One training step of the paper's CIFAR network for every objective, and the same step in PyTorch, run in alternation:
//! `cargo bench --bench training -- [--quick] [--python PATH]`.
//!
//! Batch norm of the input; six 3 × 3 convolutions of 64 channels with reflected edges, the last five followed by 2 × 2 average
//! pooling; batch norm and ReLU after each; linear. Batch 128, single precision, all cores. Input and labels are random: a step's
//! time does not depend on them. PyTorch runs twice: as one writes the network, and rearranged, its average pools moved into the kernels
//! or before the convolutions, which changes nothing but the work, as gradlaw does by itself. Of several rounds the best counts, for the peer in `benches/peers/training.py` too: the fastest
//! step by the clock, which other work on the machine slows, and processor time of all cores, of which it takes little away.

#[path = "../table/peers.rs"]
mod peers;
#[path = "../table/processor.rs"]
mod processor;

use std::path::PathBuf;
use std::time::Instant;

use gradlaw::network::layer::{
    AveragePool, BatchNorm, Conv, Dense, Flatten, Layer, PaddingMode, Relu, Statistics, Window,
};
use gradlaw::network::{Architecture, Initialisation, InstructionSet, Norm, Parameters, Shape, WeightDistribution};
use gradlaw::sampling::StreamKey;
use gradlaw::training::objective::{
    AdversarialAugmentation, CrossLipschitz, GradientPenalty, ObjectiveRule, Plain, ProjectedGradient,
};
use gradlaw::training::{BatchModel, Objective, Sgd};
use ndarray_rand::rand::Rng;
use peers::Peer;
use processor::processor_seconds;

const BATCH: usize = 128;

/// Seconds of each measurement.
const SECONDS: f64 = 3.0;

const OBJECTIVES: [(&str, Objective); 6] = [
    ("plain", Objective::Plain(Plain)),
    ("gradient l1", Objective::GradientPenalty(GradientPenalty { norm: Norm::ONE, strength: 0.01 })),
    ("gradient l2", Objective::GradientPenalty(GradientPenalty { norm: Norm::TWO, strength: 0.01 })),
    ("fgsm", Objective::AdversarialAugmentation(AdversarialAugmentation { norm: Norm::INFINITY, strength: 0.01 })),
    ("pgd-7", Objective::ProjectedGradient(ProjectedGradient { strength: 0.01, steps: 7 })),
    ("cross-lipschitz", Objective::CrossLipschitz(CrossLipschitz { strength: 0.01 })),
];

fn main() {
    let (mut quick, mut python, mut arguments) = (false, None, std::env::args().skip(1));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => quick = true,
            "--python" => python = arguments.next().map(PathBuf::from),
            // Cargo passes it to every benchmark.
            "--bench" => {}
            other => {
                eprintln!("unknown option {other}: there are --quick and --python PATH");
                std::process::exit(2);
            }
        }
    }
    let threads = threads();
    println!("{threads} threads, instruction set {}\n", InstructionSet::current());
    println!("| objective | time | ms a step | PyTorch | ratio | rearranged | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for (name, objective) in OBJECTIVES {
        let peers = [false, true].map(|rearranged| {
            let case = serde_json::json!({ "objective": name, "rearranged": rearranged }).to_string();
            python.as_ref().and_then(|python| Peer::tuned(python, "training.py", &case, "torch", quick))
        });
        let [ours, theirs @ ..] = side_by_side(objective, &peers, if quick { 2 } else { 4 });
        let times: [(&str, Time); 2] = [("clock", |step| step.clock), ("processor / cores", |step| step.processor)];
        for (kind, time) in times {
            let columns = theirs.map(|theirs| match time(theirs) {
                theirs if theirs.is_finite() => format!("{:.0} | {:.2}×", 1e3 * theirs, theirs / time(ours)),
                _ => "– | –".into(),
            });
            println!("| {name} | {kind} | {:.0} | {} |", 1e3 * time(ours), columns.join(" | "));
        }
    }
}

/// Our step and the peers', measured in turns; infinite where there is none.
fn side_by_side(objective: Objective, peers: &[Option<Peer>; 2], rounds: usize) -> [Step; 3] {
    let mut run = Run::new(objective);
    let first = run.step();
    let mut best = [Step { clock: f64::INFINITY, processor: f64::INFINITY }; 3];
    let [ours, theirs @ ..] = &mut best;
    for _ in 0..rounds {
        *ours = ours.min(run.measure(SECONDS));
        for (theirs, peer) in theirs.iter_mut().zip(peers) {
            let Some(peer) = peer else { continue };
            let result = peer.measure(SECONDS);
            let number = |value: &serde_json::Value| value.as_f64().unwrap_or(f64::NAN);
            let step = Step { clock: number(&result["fastest"]), processor: 1.0 / number(&result["rate"]) };
            *theirs = theirs.min(step);
            // Other random numbers: much more than that would be another objective.
            let its_first = number(&result["means"][0]);
            if (its_first / first - 1.0).abs() > 0.5 {
                eprintln!("{peer}: the objective begins at {its_first}, and at {first} here");
            }
        }
    }
    best
}

/// Seconds of a step.
#[derive(Debug, Clone, Copy)]
struct Step {
    clock: f64,
    /// Of all cores, divided by their number.
    processor: f64,
}

/// One of a step's times.
type Time = fn(Step) -> f64;

impl Step {
    /// The better of each; a NaN is nothing.
    fn min(self, other: Self) -> Self {
        Self { clock: self.clock.min(other.clock), processor: self.processor.min(other.processor) }
    }
}

/// A training run.
struct Run {
    network: Architecture,
    objective: Objective,
    model: BatchModel<f32>,
    parameters: Parameters<f32>,
    gradient: Parameters<f32>,
    velocity: Parameters<f32>,
    input: Vec<f32>,
    labels: Vec<usize>,
}

impl Run {
    fn new(objective: Objective) -> Self {
        let network = network();
        let mut rng = StreamKey::new(1, &["bench"]).draw(0);
        let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
        Self {
            objective,
            model: BatchModel::new(&network),
            parameters: initialisation.draw(&network, &mut rng),
            gradient: Parameters::zeros(&network),
            velocity: Parameters::zeros(&network),
            input: (0..BATCH * network.dimension()).map(|_| rng.random()).collect(),
            labels: (0..BATCH).map(|_| rng.random_range(0..10)).collect(),
            network,
        }
    }

    /// One step; returns the objective before it.
    fn step(&mut self) -> f64 {
        let mut rng = StreamKey::new(1, &["bench"]).draw(1);
        let optimiser = Sgd { momentum: 0.9, weight_decay: 0.0 };
        self.model.load(&self.parameters);
        let value = self.objective.accumulate(&mut self.model, &self.input, &self.labels, &mut rng, |_| {});
        self.model.take_gradient(&mut self.gradient);
        optimiser.step(&self.network, 1e-4, &self.gradient, &mut self.velocity, &mut self.parameters);
        value
    }

    /// The fastest of the steps of so many seconds by the clock, and their mean by processor time.
    fn measure(&mut self, seconds: f64) -> Step {
        let (start, before) = (Instant::now(), processor_seconds());
        let (mut steps, mut clock) = (0.0, f64::INFINITY);
        while steps == 0.0 || start.elapsed().as_secs_f64() < seconds {
            let start = Instant::now();
            self.step();
            clock = clock.min(start.elapsed().as_secs_f64());
            steps += 1.0;
        }
        let spent = before.zip(processor_seconds()).map(|(before, after)| (after - before) / threads() as f64);
        Step { clock, processor: spent.map_or(clock, |spent| spent / steps) }
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
