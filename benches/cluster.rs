//! To how many ranks of MPI do draws scale? `cargo bench --bench cluster` measures what the leader does alone, and simulates waves of draws as
//! `sampling::monte_carlo` hands them out.
//!
//! The simulation has one server, the leader, who takes one answer after the other, and helpers who wait for it. Messages cost what
//! MPI takes between two hosts of a common network; both numbers are options: `--latency-us 20 --gigabytes-per-second 1`.

use std::time::Instant;

use gradlaw::sampling::monte_carlo::{BLOCK, Unobserved};

use gradlaw::sampling::{Sampler, StoppingRule, Stream, StreamKey, Tally, Worker, monte_carlo};
use ndarray_rand::rand::Rng as _;

/// Threads of a rank.
const THREADS: u64 = 8;
/// Values of a draw.
const OBSERVABLES: u64 = 3;
/// What [`monte_carlo`] aims at, in seconds, and holds at most, in values.
const WAVE: f64 = 0.8;
const WAVE_VALUES: u64 = 1 << 21;
/// Pieces of a wave for each rank.
const PIECES: u64 = 6;
/// Half the nap between two looks for a message.
const NAP: f64 = 50e-6;

/// What the parts of a run cost, in seconds.
struct Costs {
    latency: f64,
    /// Of a byte on its way.
    byte: f64,
    /// Of a value, from bytes to the sums of its observable, on one thread.
    value: f64,
}

/// Draws of no cost.
struct Nothing;

impl Sampler for Nothing {
    fn observables(&self) -> usize {
        OBSERVABLES as usize
    }

    fn bytes_per_worker(&self) -> u64 {
        0
    }

    fn worker(&self) -> Box<dyn Worker + '_> {
        Box::new(Nothing)
    }
}

impl Worker for Nothing {
    fn draw(&mut self, mut stream: Stream, values: &mut [f64]) {
        values.fill_with(|| stream.random());
    }
}

/// Seconds that a value takes on one thread, with all that is done to it: more than its reduction alone.
fn seconds_of_a_value() -> f64 {
    let draws = 1 << 20;
    let key = StreamKey::new(1, &["cluster"]);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let run = || {
        let tally = Tally::new(OBSERVABLES as usize);
        let began = Instant::now();
        let done = monte_carlo::run(&Nothing, &key, StoppingRule::Draws(draws), tally, &Unobserved);
        assert!(done.is_some());
        began.elapsed().as_secs_f64() / (draws * OBSERVABLES) as f64
    };
    pool.install(|| (0..5).map(|_| run()).fold(f64::INFINITY, f64::min))
}

/// The share of the ranks' time that is spent on draws of this cost.
fn efficiency(ranks: u64, draw: f64, costs: &Costs) -> f64 {
    let wanted = (WAVE * (ranks * THREADS) as f64 / draw / BLOCK as f64) as u64;
    let rounds = wanted.min(WAVE_VALUES / (BLOCK * OBSERVABLES)) / (ranks * THREADS);
    let blocks = rounds.max(1) * ranks * THREADS;
    let size = (blocks.div_ceil(PIECES * ranks) / THREADS).max(1) * THREADS;
    let seconds = |blocks: u64| blocks.div_ceil(THREADS) as f64 * BLOCK as f64 * draw;
    let answer = |blocks: u64| costs.byte * (8 * blocks * BLOCK * OBSERVABLES) as f64;

    let mut left = blocks;
    let mut take = || {
        let piece = size.min(left);
        left -= piece;
        piece
    };
    // When each rank has done its piece; the leader's own is at no distance.
    let mut busy: Vec<(f64, u64)> = Vec::new();
    let mut free = 0.0;
    for rank in 0..ranks {
        let piece = take();
        if piece == 0 {
            break;
        }
        free += if rank == 0 { 0.0 } else { costs.latency };
        busy.push((free + seconds(piece), piece));
    }
    let mut end = 0.0;
    while let Some((next, _)) = busy.iter().enumerate().min_by(|(_, a), (_, b)| a.0.total_cmp(&b.0)) {
        let (done, piece) = busy[next];
        let is_own = next == 0;
        let taken = if is_own { done } else { free.max(done + costs.latency + NAP) + answer(piece) };
        let new = take();
        if !is_own {
            free = taken + if new > 0 { costs.latency } else { 0.0 };
        }
        end = f64::max(end, taken);
        busy[next] =
            if new > 0 { (taken.max(if is_own { 0.0 } else { free }) + seconds(new), new) } else { (f64::INFINITY, 0) };
        if busy.iter().all(|(done, _)| done.is_infinite()) {
            break;
        }
    }
    // Each observable is reduced on a thread of its own.
    let reduced = costs.value * (blocks * BLOCK) as f64 * OBSERVABLES.div_ceil(THREADS) as f64;
    (blocks * BLOCK) as f64 * draw / ((ranks * THREADS) as f64 * (end + reduced))
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: f64| {
        let given = arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
        given.map_or(default, |text| text.parse().expect("a number"))
    };
    let latency = 1e-6 * option("--latency-us", 20.0);
    let byte = 1e-9 / option("--gigabytes-per-second", 1.0);
    let costs = Costs { latency, byte, value: seconds_of_a_value() };
    println!(
        "a value on the leader: {:.1} ns; ranks of {THREADS} threads, {OBSERVABLES} observables\n",
        1e9 * costs.value
    );
    let ranks = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
    let header: Vec<String> = ranks.iter().map(u64::to_string).collect();
    println!("| a draw takes | {} |\n|---|{}", header.join(" | "), "---|".repeat(ranks.len()));
    for (name, draw) in [("10 µs", 1e-5), ("100 µs", 1e-4), ("1 ms", 1e-3), ("10 ms", 1e-2), ("100 ms", 1e-1)] {
        let shares: Vec<String> =
            ranks.iter().map(|&ranks| format!("{:.0} %", 100.0 * efficiency(ranks, draw, &costs))).collect();
        println!("| {name} | {} |", shares.join(" | "));
    }
}
