//! Rates of a sampler: by processor time where the system tells it, else by the clock.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use rayon::ThreadPool;

use gradlaw::sampling::monte_carlo::Unobserved;
use gradlaw::sampling::{Sampler, StoppingRule, StreamKey, Tally, monte_carlo};

use crate::processor::processor_seconds;

/// What a measurement gave.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Draws per second of processor time of all threads.
    pub draws_per_second: f64,
    /// Draws per second of the clock.
    pub by_clock: f64,
    /// Mean of the first observable.
    pub mean: f64,
}

/// A pool of so many threads. Pools live as long as the program: the time of a thread that ended is not counted.
fn pool(threads: usize) -> Arc<ThreadPool> {
    static POOLS: Mutex<Vec<Arc<ThreadPool>>> = Mutex::new(Vec::new());
    let mut pools = POOLS.lock().expect("no panic");
    let known = pools.iter().find(|pool| pool.current_num_threads() == threads).cloned();
    known.unwrap_or_else(|| {
        let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start"));
        pools.push(pool.clone());
        pool
    })
}

/// Draws for about so many seconds on so many threads.
pub fn rate(sampler: &dyn Sampler, threads: usize, seconds: f64) -> Rate {
    let pool = pool(threads);
    let mut draws = 1;
    loop {
        let (start, before) = (Instant::now(), processor_seconds());
        let start_tally = Tally::new(sampler.observables());
        let key = StreamKey::new(1, &["benchmark"]);
        let rule = StoppingRule::Draws(draws * monte_carlo::BLOCK * threads as u64);
        let tally = pool.install(|| monte_carlo::run(sampler, &key, rule, start_tally, &Unobserved));
        let tally = tally.expect("nothing interrupts");
        let clock = start.elapsed().as_secs_f64();
        let spent = before.zip(processor_seconds()).map_or(clock, |(before, after)| (after - before) / threads as f64);
        if spent >= 0.5 * seconds {
            return Rate {
                draws_per_second: tally.draws as f64 / spent,
                by_clock: tally.draws as f64 / clock,
                mean: tally.summaries[0].moments.mean(),
            };
        }
        let factor = (0.8 * seconds / spent.max(1e-4)).clamp(1.5, 50.0);
        draws = (draws as f64 * factor).ceil() as u64;
    }
}
