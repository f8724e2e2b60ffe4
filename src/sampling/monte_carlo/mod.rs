//! The Monte Carlo driver: blocks of draws on all cores, reduced in a fixed order.
//!
//! Draws come in blocks of [`BLOCK`]; workers reduce blocks in any order, and the driver merges them in the order of
//! their indices. The result has the same bits for any number of threads, and 10⁴ draws are the first 10⁴ of 10⁵. The
//! driver knows nothing of terminals or files: an [`Observer`] watches it, may stop it, and keeps its state.

mod helpers;
#[cfg(test)]
mod tests;

use helpers::Shared;
pub use helpers::{Helpers, draws_of};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Stream, StreamKey};
use crate::statistics::jackknife::Batches;
use crate::statistics::{Moments, QuantileSketch};
use crate::stop::Stop;

/// Draws in a block, the unit of work and of reduction; part of what fixes the bits of a result.
pub const BLOCK: u64 = 64;

/// How long a wave of blocks should take: short enough for progress, and little to lose where it is interrupted; long beside the
/// time for which a core waits at its end, half a block's in the mean.
const WAVE: Duration = Duration::from_millis(800);

/// Multiplications from which on a draw takes so long that each one is reported.
const LONG_DRAW: f64 = 1e8;

/// Values that one wave may hold.
const WAVE_VALUES: usize = 1 << 21;

/// What a worker writes for a value that a draw does not have, as a ratio to nothing: the draw is left out of the observable's moments
/// and quantiles, whose counts say how many are in them. A NaN that no arithmetic gives.
pub const LEFT_OUT: f64 = f64::from_bits(0x7ff8_0000_6c65_6674);

/// Whether a value is [`LEFT_OUT`], and no other NaN.
pub fn is_left_out(value: f64) -> bool {
    value.to_bits() == LEFT_OUT.to_bits()
}

/// Something that can be drawn again and again.
pub trait Sampler: Sync {
    /// Number of values that a draw gives.
    fn observables(&self) -> usize;
    /// Bytes that one worker will hold, at most; nothing is allocated to know it.
    fn bytes_per_worker(&self) -> u64;
    /// Multiplications that a draw takes, about: what it costs beside draws of other samplers.
    fn cost(&self) -> f64 {
        1.0
    }
    /// The memory to make draws with, one for each thread.
    fn worker(&self) -> Box<dyn Worker + '_>;
}

/// One thread's means to make draws.
pub trait Worker: Send {
    /// Lets draws that take long look for a request to stop. One that finds it breaks off, and its values mean nothing.
    fn stop_at(&mut self, stop: &Stop) {
        let _ = stop;
    }

    /// Makes the draw of this stream and writes its values, [`LEFT_OUT`] where there is none.
    fn draw(&mut self, stream: Stream, values: &mut [f64]);
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StoppingRule {
    /// After this many draws.
    Draws(u64),
    /// When the relative standard error of every mean is at most `relative`, looked at after fixed numbers of draws, or
    /// after `maximum` draws.
    Precision {
        /// Relative standard error wanted.
        relative: f64,
        /// Most draws to make.
        maximum: u64,
    },
}

impl StoppingRule {
    /// The draws at which a run ends at the latest.
    pub fn maximum(self) -> u64 {
        match self {
            StoppingRule::Draws(draws) | StoppingRule::Precision { maximum: draws, .. } => draws,
        }
    }
}

/// What was drawn of one observable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Mean and variance of the draws that have a value.
    pub moments: Moments,
    /// Quantiles.
    pub quantiles: QuantileSketch,
    /// Draws that were exactly zero, as when a layer is dead; one that is only too small is the smallest number above zero.
    pub zeros: u64,
    /// Draws that were NaN or infinite, as where one is beyond double precision; they are in the mean, which they make so too.
    pub non_finite: u64,
}

/// All that was drawn of one sweep point.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Number of draws.
    pub draws: u64,
    /// One summary for each observable.
    pub summaries: Vec<Summary>,
    /// The draws in batches, where statistics are asked for whose error the summaries do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batches: Option<Batches>,
}

impl Tally {
    /// Nothing drawn yet.
    pub fn new(observables: usize) -> Self {
        Self { draws: 0, summaries: vec![Summary::default(); observables], batches: None }
    }

    /// The same with batches, of which quantiles are kept where `quantiles` says so.
    pub fn with_batches(self, quantiles: Vec<bool>) -> Self {
        Self { batches: Some(Batches::new(quantiles)), ..self }
    }

    /// Whether this can be a state of a run of so many observables: numbers that contradict each other cannot.
    ///
    /// # Errors
    /// In words, why not.
    pub fn check(&self, observables: usize) -> Result<(), String> {
        if self.summaries.len() != observables {
            return Err(format!("has {} observables, not {observables}", self.summaries.len()));
        }
        if !self.draws.is_multiple_of(BLOCK) {
            return Err(format!("has {} draws, which are no whole blocks of {BLOCK}", self.draws));
        }
        let fits = |summary: &Summary| {
            let Summary { moments, quantiles, zeros, non_finite } = summary;
            moments.count() <= self.draws
                && quantiles.count().checked_add(*non_finite) == Some(moments.count())
                && *zeros <= quantiles.count()
        };
        if self.summaries.iter().all(fits) { Ok(()) } else { Err("its numbers contradict each other".into()) }
    }

    /// Adds blocks in their order, each observable on a thread of its own.
    fn add(&mut self, blocks: &[BlockOfDraws]) {
        self.draws += blocks.iter().map(|block| block.draws).sum::<u64>();
        if let Some(batches) = &mut self.batches {
            let counts = |value: f64| !is_left_out(value);
            blocks.iter().for_each(|block| batches.push(block.draws, &block.moments, &block.values, counts));
        }
        self.summaries.par_iter_mut().enumerate().for_each(|(index, summary)| {
            for block in blocks {
                summary.moments.merge(&block.moments[index]);
                let values = block.values.iter().skip(index).step_by(block.moments.len());
                for &value in values.filter(|value| !is_left_out(**value)) {
                    summary.quantiles.push(value);
                    summary.zeros += u64::from(value == 0.0);
                    summary.non_finite += u64::from(!value.is_finite());
                }
            }
        });
    }

    /// Largest relative standard error of the means; infinite before two draws, and where a mean is zero or not finite.
    fn relative_error(&self) -> f64 {
        let relative = |summary: &Summary| {
            let error = summary.moments.std_error() / summary.moments.mean().abs();
            if summary.moments.count() < 2 || error.is_nan() { f64::INFINITY } else { error }
        };
        self.summaries.iter().map(relative).fold(0.0, f64::max)
    }
}

/// Watches a run.
pub trait Observer: Sync {
    /// Now and then: draws made, and the draws at which the run ends at the latest.
    fn progress(&self, draws: u64, maximum: u64) {
        let _ = (draws, maximum);
    }

    /// Every draw's values, in the order of draws: one row an observable vector.
    fn values(&self, rows: &[f64]) {
        let _ = rows;
    }

    /// A state from which [`run`] can go on: whole blocks only. Called after each wave, and with `last` when the run
    /// ends or was interrupted.
    fn state(&self, tally: &Tally, last: bool) {
        let _ = (tally, last);
    }

    /// Whether to stop before the end; once it says so it goes on saying so.
    fn interrupted(&self) -> bool {
        false
    }

    /// A request that is looked at inside draws, too. Where it is made, [`interrupted`](Self::interrupted) says so.
    fn stop(&self) -> Stop {
        Stop::default()
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {}

struct BlockOfDraws {
    draws: u64,
    values: Vec<f64>,
    moments: Vec<Moments>,
}

impl BlockOfDraws {
    /// A block of these values, draw after draw.
    fn of(values: Vec<f64>, draws: u64, observables: usize) -> Self {
        let mut moments = vec![Moments::default(); observables];
        for values in values.chunks_exact(observables.max(1)) {
            let values = moments.iter_mut().zip(values).filter(|(_, value)| !is_left_out(**value));
            values.for_each(|(moments, &value)| moments.push(value));
        }
        Self { draws, values, moments }
    }
}

/// Runs a sampler until the rule says stop, on the threads of the current rayon pool.
///
/// `start` is an empty tally, or one that an observer was given as a state. `None` when the observer interrupted it.
pub fn run(
    sampler: &dyn Sampler,
    key: &StreamKey,
    rule: StoppingRule,
    start: Tally,
    observer: &dyn Observer,
) -> Option<Tally> {
    run_with(sampler, key, rule, start, observer, None)
}

/// The same with helpers elsewhere, who make draws of this sampler and key; the bits do not depend on them.
pub fn run_with(
    sampler: &dyn Sampler,
    key: &StreamKey,
    rule: StoppingRule,
    start: Tally,
    observer: &dyn Observer,
    helpers: Option<&dyn Helpers>,
) -> Option<Tally> {
    let mut tally = start;
    let mut driver = Driver {
        sampler,
        key,
        observer,
        stop: observer.stop(),
        made: (sampler.cost() >= LONG_DRAW).then(AtomicU64::default),
        workers: workers(),
        wave: rayon::current_num_threads() as u64,
    };
    match rule {
        StoppingRule::Draws(draws) => {
            let done = driver.reach(&mut tally, draws, draws, helpers)?;
            observer.state(&tally, true);
            Some(done)
        }
        StoppingRule::Precision { relative, maximum } => {
            for target in looks(maximum) {
                if target < tally.draws {
                    continue;
                }
                let done = driver.reach(&mut tally, target, maximum, helpers)?;
                if done.draws >= maximum || done.relative_error() <= relative {
                    observer.state(&tally, true);
                    return Some(done);
                }
            }
            Some(tally)
        }
    }
}

/// Draws after which precision is looked at: 1024, and each time a quarter more, in whole blocks, up to the maximum.
fn looks(maximum: u64) -> impl Iterator<Item = u64> {
    let next = move |&last: &u64| (last < maximum).then(|| (last + last / 4).next_multiple_of(BLOCK).min(maximum));
    std::iter::successors(Some(maximum.min(1024)), next)
}

type Slot<'a> = Mutex<Option<Box<dyn Worker + 'a>>>;

fn workers<'a>() -> Vec<Slot<'a>> {
    (0..rayon::current_num_threads().max(1)).map(|_| Mutex::new(None)).collect()
}

struct Driver<'a> {
    sampler: &'a dyn Sampler,
    key: &'a StreamKey,
    observer: &'a dyn Observer,
    stop: Stop,
    /// Draws of the wave so far, where each one is reported.
    made: Option<AtomicU64>,
    workers: Vec<Slot<'a>>,
    /// Blocks in the next wave.
    wave: u64,
}

impl Driver<'_> {
    /// Brings `tally` to the last whole block within `draws`, and returns what `draws` draws give.
    fn reach(&mut self, tally: &mut Tally, draws: u64, maximum: u64, helpers: Option<&dyn Helpers>) -> Option<Tally> {
        while tally.draws + BLOCK <= draws {
            if self.is_interrupted() {
                self.observer.state(tally, true);
                return None;
            }
            let blocks = ((draws - tally.draws) / BLOCK).min(self.wave);
            let began = Instant::now();
            // A wave that was interrupted is thrown away whole: the next turn of the loop ends the run.
            let wave = self.draw(tally.draws, blocks * BLOCK, maximum, helpers).unwrap_or_default();
            self.merge(tally, &wave);
            self.resize_wave(began.elapsed(), helpers);
            self.observer.state(tally, false);
            self.observer.progress(tally.draws, maximum);
        }
        let mut whole = tally.clone();
        if whole.draws < draws {
            let Some(rest) = self.draw(whole.draws, draws - whole.draws, maximum, helpers) else {
                self.observer.state(tally, true);
                return None;
            };
            self.merge(&mut whole, &rest);
            self.observer.progress(whole.draws, maximum);
        }
        Some(whole)
    }

    fn is_interrupted(&self) -> bool {
        self.stop.is_asked() || self.observer.interrupted()
    }

    fn merge(&self, tally: &mut Tally, blocks: &[BlockOfDraws]) {
        tally.add(blocks);
        blocks.iter().for_each(|block| self.observer.values(&block.values));
    }

    fn resize_wave(&mut self, took: Duration, helpers: Option<&dyn Helpers>) {
        let threads = (self.workers.len() * (1 + helpers.map_or(0, Helpers::count))) as u64;
        let most = (WAVE_VALUES / (BLOCK as usize * self.sampler.observables().max(1))) as u64;
        let factor = (WAVE.as_secs_f64() / took.as_secs_f64().max(1e-6)).clamp(0.25, 4.0);
        let wave = ((self.wave as f64 * factor) as u64).min(most);
        // Whole rounds, at the end of which no thread waits for another.
        self.wave = (wave / threads).max(1) * threads;
    }

    /// Makes draws `first`, `first + 1`, …, in blocks, on all threads; `None` when interrupted.
    fn draw(&self, first: u64, count: u64, maximum: u64, helpers: Option<&dyn Helpers>) -> Option<Vec<BlockOfDraws>> {
        if let Some(helpers) = helpers {
            return Shared::new(self, first, count, maximum, helpers.count()).draw(helpers);
        }
        self.draw_here(first, count, maximum)
    }

    /// The same in this process.
    fn draw_here(&self, first: u64, count: u64, maximum: u64) -> Option<Vec<BlockOfDraws>> {
        self.made.iter().for_each(|made| made.store(first, Ordering::Relaxed));
        (0..count.div_ceil(BLOCK))
            .into_par_iter()
            .map(|block| self.draw_block(first + block * BLOCK, (count - block * BLOCK).min(BLOCK), maximum))
            .collect()
    }

    fn draw_block(&self, first: u64, draws: u64, maximum: u64) -> Option<BlockOfDraws> {
        let thread = rayon::current_thread_index().unwrap_or(0) % self.workers.len();
        // A worker holds no result between draws, so one whose thread panicked is as good as new.
        let mut slot = self.workers[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let worker = slot.get_or_insert_with(|| {
            let mut worker = self.sampler.worker();
            worker.stop_at(&self.stop);
            worker
        });
        let observables = self.sampler.observables();
        let mut all = vec![0.0; draws as usize * observables];
        if observables == 0 {
            return Some(BlockOfDraws { draws, values: all, moments: Vec::new() });
        }
        for (draw, values) in (first..).zip(all.chunks_exact_mut(observables)) {
            if self.is_interrupted() {
                return None;
            }
            worker.draw(self.key.draw(draw), values);
            // It may have been broken off.
            if self.stop.is_asked() {
                return None;
            }
            if let Some(made) = &self.made {
                self.observer.progress(made.fetch_add(1, Ordering::Relaxed) + 1, maximum);
            }
        }
        Some(BlockOfDraws::of(all, draws, observables))
    }
}
