//! What a draw cannot do without, what the machine can do at most, and the rate of draws that follows.

use std::fmt;
use std::hint::black_box;
use std::time::Instant;

use gradlaw::network::layer::LayerRule;
use gradlaw::network::{Architecture, Dense, Initialisation, Parameters, Shape, Tape, WeightDistribution};
use gradlaw::sampling::StreamKey;
use gradlaw::sampling::normal::{BulkGenerator, WeightLaw};

/// What one draw of a network takes at least.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// The law of its weights.
    pub distribution: WeightDistribution,
    /// Weights that are drawn.
    pub weights: f64,
    /// Inputs that are drawn; they are Gaussian.
    pub inputs: f64,
    /// One forward and one backward pass: each edge of the network's graph twice.
    pub multiply_adds: f64,
    /// The input and its gradient, each written and read once; weights need never leave the cache.
    pub bytes: f64,
}

impl Work {
    pub fn of(architecture: &Architecture, distribution: WeightDistribution) -> Self {
        let weighted = architecture.nodes().iter().filter(|node| node.fan().is_some());
        let edges: usize = weighted.map(|node| node.layer.edge_count(node.site())).sum();
        let dimension = architecture.dimension() as f64;
        Self {
            distribution,
            weights: architecture.parameter_count() as f64,
            inputs: dimension,
            multiply_adds: 2.0 * edges as f64,
            bytes: 4.0 * dimension * size_of::<f32>() as f64,
        }
    }
}

/// What all cores together do in a second.
#[derive(Debug, Clone, Copy)]
pub struct Ceilings {
    normals: f64,
    uniforms: f64,
    signs: f64,
    multiply_adds: f64,
    bytes: f64,
}

impl Ceilings {
    /// Each by its own loop on all threads at once, the best of several rounds.
    pub fn measure(threads: usize) -> Self {
        Self {
            normals: weights(threads, WeightDistribution::Normal),
            uniforms: weights(threads, WeightDistribution::Uniform),
            signs: weights(threads, WeightDistribution::Rademacher),
            multiply_adds: best(threads, || {
                // A product of two square matrices: one layer, as many samples as units.
                const SIZE: usize = 512;
                let layers = vec![Dense::new(SIZE).into()];
                let network = Architecture::new(Shape::new([SIZE]).expect("positive"), layers).expect("one layer");
                let he = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
                let weights: Parameters<f32> = he.draw(&network, &mut StreamKey::new(1, &[]).draw(0));
                let mut tape = Tape::with_batch(&network, SIZE);
                tape.input_mut().fill(0.5);
                move || {
                    black_box(tape.propagate(&network, &weights));
                    (SIZE * SIZE * SIZE) as f64
                }
            }),
            bytes: best(threads, || {
                let (from, mut to) = (vec![1.0f32; 1 << 24], vec![0.0f32; 1 << 24]);
                move || {
                    black_box(&mut to).copy_from_slice(black_box(&from));
                    2.0 * size_of_val(&from[..]) as f64
                }
            }),
        }
    }

    /// Draws per second at these ceilings. Random numbers and multiply-adds compete for the same vector units, so that their
    /// times add up; bytes move meanwhile.
    pub fn draws_per_second(&self, work: &Work) -> f64 {
        let weights = match work.distribution {
            WeightDistribution::Normal | WeightDistribution::Orthogonal => self.normals,
            WeightDistribution::Uniform => self.uniforms,
            WeightDistribution::Rademacher => self.signs,
        };
        let drawing = work.weights / weights + work.inputs / self.normals;
        let computing = drawing + work.multiply_adds / self.multiply_adds;
        1.0 / computing.max(work.bytes / self.bytes)
    }
}

/// Weights per second, made in a block that stays in the nearest cache.
fn weights(threads: usize, distribution: WeightDistribution) -> f64 {
    best(threads, || {
        let mut generator = BulkGenerator::new(&mut StreamKey::new(1, &["ceiling"]).draw(0));
        let (mut values, law) = (vec![0.0f32; 2048], WeightLaw { distribution, std_dev: 1.0 });
        move || {
            generator.fill(law, black_box(&mut values));
            2048.0
        }
    })
}

/// Amount per second of processor time on all threads at once.
fn best<W: FnMut() -> f64>(threads: usize, make: impl Fn() -> W + Sync) -> f64 {
    let one_thread = || {
        let mut work = make();
        work();
        let (start, before, mut done) = (Instant::now(), thread_seconds(), 0.0);
        while start.elapsed().as_secs_f64() < 1.0 {
            done += work();
        }
        let clock = start.elapsed().as_secs_f64();
        done / before.zip(thread_seconds()).map_or(clock, |(before, after)| after - before)
    };
    let round = || -> f64 {
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(one_thread)).collect();
            running.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        })
    };
    (0..3).map(|_| round()).fold(0.0, f64::max)
}

/// Processor time of this thread.
fn thread_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? * 1e-9)
}

impl fmt::Display for Ceilings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Ceilings, all threads: {} normals/s, {} uniforms/s, {} signs/s, {} multiply-adds/s (matrix product), {} bytes/s \
             (copies, read and written)",
            short(self.normals),
            short(self.uniforms),
            short(self.signs),
            short(self.multiply_adds),
            short(self.bytes)
        )
    }
}

/// Three digits and a prefix.
pub fn short(number: f64) -> String {
    let (value, prefix) = match number {
        n if n >= 1e9 => (n / 1e9, " G"),
        n if n >= 1e6 => (n / 1e6, " M"),
        n if n >= 1e3 => (n / 1e3, " k"),
        n => (n, ""),
    };
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$}{prefix}")
}
