//! Draws per second of both samplers on all cores, and normals per second on one: `cargo bench`.
//!
//! Fresh weights, input and label for every draw. Compare columns of one run only: machines differ, and so do moments.

use divan::Bencher;
use divan::counter::ItemsCount;

use gradlaw::network::{
    Architecture, Conv, Dense, GlobalAveragePool, Initialisation, Layer, Relu, Shape, WeightDistribution, Window,
};
use gradlaw::observable::Observable;
use gradlaw::sampling::monte_carlo::Unobserved;
use gradlaw::sampling::normal::BulkGenerator;
use gradlaw::sampling::{
    CollapsedSampler, ExplicitSampler, InputLaw, LabelRule, Sampler, StoppingRule, StreamKey, Tally, monte_carlo,
};
use ndarray_rand::rand::Rng;
use rand_distr::StandardNormal;

/// The norms of the comparison with other programs.
const NORMS: [&str; 3] = ["loss.l1", "loss.l2", "loss.linf"];

fn main() {
    divan::main();
}

fn network(dimension: usize, widths: &[usize]) -> Architecture {
    let mut layers: Vec<Layer> = widths.iter().flat_map(|&units| [Dense::new(units).into(), Relu.into()]).collect();
    layers.push(Dense::new(10).into());
    Architecture::new(Shape::new([dimension]).expect("positive"), layers).expect("layers fit")
}

fn collapsed(dimension: usize, observables: &[&str], input: InputLaw) -> CollapsedSampler {
    let network = network(dimension, &[256, 256, 256]);
    let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
    CollapsedSampler::new(&network, &initialisation, input, LabelRule::Random, parsed(observables))
        .expect("a dense chain")
}

fn parsed(observables: &[&str]) -> Vec<Observable> {
    observables.iter().map(|name| name.parse().expect("an observable")).collect()
}

fn explicit(dimension: usize, widths: &[usize], distribution: WeightDistribution) -> ExplicitSampler {
    let architecture = network(dimension, widths);
    ExplicitSampler {
        initialisation: Initialisation::he(&architecture, distribution, 1.0),
        architecture,
        input: InputLaw::Gaussian,
        label: LabelRule::Random,
        observables: parsed(&NORMS),
        batch: 1,
        path_total: None,
    }
}

/// Makes so many draws on all cores, again and again.
fn draws(bencher: Bencher, sampler: &dyn Sampler, count: u64) {
    let key = StreamKey::new(1, &["benchmark"]);
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let start = Tally::new(sampler.observables());
        monte_carlo::run(sampler, &key, StoppingRule::Draws(count), start, &Unobserved)
    });
}

/// `loss.l2` at depth 3: no pass over coordinates, whatever d.
#[divan::bench(args = [784, 49_152, 1_000_000_000], sample_count = 10)]
fn collapsed_l2(bencher: Bencher, dimension: usize) {
    draws(bencher, &collapsed(dimension, &["loss.l2"], InputLaw::Gaussian), 400_000);
}

/// `loss.l1`: one pass over d normals.
#[divan::bench(args = [784, 49_152], sample_count = 10)]
fn collapsed_l1(bencher: Bencher, dimension: usize) {
    let count = 100_000_000 / dimension as u64;
    draws(bencher, &collapsed(dimension, &["loss.l1"], InputLaw::Gaussian), count);
}

/// All three norms: one pass over d normals.
#[divan::bench(args = [784, 49_152], sample_count = 10)]
fn collapsed_norms(bencher: Bencher, dimension: usize) {
    draws(bencher, &collapsed(dimension, &NORMS, InputLaw::Gaussian), 400_000_000 / dimension as u64);
}

/// `loss.l1` of inputs that are not Gaussian: two passes over inputs and normals.
#[divan::bench(args = [49_152], sample_count = 10)]
fn collapsed_l1_uniform_input(bencher: Bencher, dimension: usize) {
    let input = InputLaw::Uniform { low: 0.0, high: 1.0 };
    draws(bencher, &collapsed(dimension, &["loss.l1"], input), 2000);
}

/// The Rao–Blackwell form of `loss.l1`: no pass over coordinates.
#[divan::bench(args = [49_152], sample_count = 10)]
fn collapsed_l1_rao_blackwell(bencher: Bencher, dimension: usize) {
    draws(bencher, &collapsed(dimension, &["loss.l1.rao-blackwell"], InputLaw::Gaussian), 400_000);
}

/// Explicit networks of Gaussian weights: (inputs, width), three hidden layers.
#[divan::bench(args = [(64, 128), (784, 256), (3072, 512)], sample_count = 10)]
fn explicit_normal(bencher: Bencher, (dimension, width): (usize, usize)) {
    let weights = (dimension * width + 2 * width * width + 10 * width) as u64;
    draws(bencher, &explicit(dimension, &[width; 3], WeightDistribution::Normal), 1_000_000_000 / weights);
}

/// Explicit networks of Rademacher weights.
#[divan::bench(args = [(784, 256), (3072, 512)], sample_count = 10)]
fn explicit_rademacher(bencher: Bencher, (dimension, width): (usize, usize)) {
    draws(
        bencher,
        &explicit(dimension, &[width; 3], WeightDistribution::Rademacher),
        2_000_000_000 / (dimension * width) as u64,
    );
}

/// Explicit convolutional networks: 3×s×s, four 3×3 convolutions of 64 channels with zero padding and strides 1, 2, 1, 2,
/// global average pool, linear to 10.
#[divan::bench(args = [16, 32, 64], sample_count = 5)]
fn explicit_conv(bencher: Bencher, side: usize) {
    let mut layers: Vec<Layer> = Vec::new();
    for stride in [1, 2, 1, 2] {
        let window = Window { padding: 1, ..Window::new(3, stride) };
        layers.extend([Conv { channels: 64, window, bias: false }.into(), Relu.into()]);
    }
    layers.extend([GlobalAveragePool.into(), Dense::new(10).into()]);
    let architecture = Architecture::new(Shape::new([3, side, side]).expect("positive"), layers).expect("layers fit");
    let sampler = ExplicitSampler {
        initialisation: Initialisation::he(&architecture, WeightDistribution::Normal, 1.0),
        architecture,
        input: InputLaw::Gaussian,
        label: LabelRule::Random,
        observables: parsed(&NORMS),
        batch: 1,
        path_total: None,
    };
    // Threads take whole blocks of draws: as many for each, so that none waits for another.
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let count = (600_000 / (side * side)) as u64;
    draws(bencher, &sampler, count.next_multiple_of(monte_carlo::BLOCK * threads));
}

/// Bulk normals against the ziggurat of `rand_distr`, on one core.
#[divan::bench]
fn normals_in_bulk(bencher: Bencher) {
    let mut generator = BulkGenerator::new(&mut StreamKey::new(1, &[]).draw(0));
    let mut values = vec![0.0f32; 8192];
    bencher.counter(ItemsCount::new(values.len())).bench_local(|| generator.fill_normal(1.0, &mut values));
}

/// The scalar sampler that the bulk generator replaces.
#[divan::bench]
fn normals_one_by_one(bencher: Bencher) {
    let mut stream = StreamKey::new(1, &[]).draw(0);
    let mut values = vec![0.0f32; 8192];
    bencher
        .counter(ItemsCount::new(values.len()))
        .bench_local(|| values.fill_with(|| stream.sample::<f32, _>(StandardNormal)));
}
