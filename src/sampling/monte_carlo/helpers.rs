//! Draws that are made elsewhere: a wave is cut into pieces, which go to whoever is free, this process or another one. What comes back is
//! put in the order of the draws, so that the bits depend neither on who made which nor on how many there are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{BLOCK, BlockOfDraws, Driver, Sampler, Unobserved, workers};
use crate::sampling::StreamKey;
use crate::stop::Stop;

/// Other processes that make draws for this one. They are spoken to from one thread.
pub trait Helpers {
    /// How many there are.
    fn count(&self) -> usize;

    /// Asks a helper, who has nothing to do, for draws `first`, `first + 1`, ….
    fn ask(&self, helper: usize, first: u64, draws: u64);

    /// What one of them made, draw after draw, and who; `None` where nothing came in this time.
    fn answer(&self, patience: Duration) -> Option<(usize, Vec<f64>)>;
}

/// Draws `first`, `first + 1`, … of a sampler on the threads of the current pool, one row after the other: what a helper answers.
pub fn draws_of(sampler: &dyn Sampler, key: &StreamKey, first: u64, draws: u64) -> Vec<f64> {
    let driver =
        Driver { sampler, key, observer: &Unobserved, stop: Stop::default(), made: None, workers: workers(), wave: 1 };
    // Nobody interrupts it.
    let blocks = driver.draw_here(first, draws, first + draws).unwrap_or_default();
    blocks.into_iter().flat_map(|block| block.values).collect()
}

/// Pieces of a wave for each process: so that none waits long for another at its end.
const PIECES: u64 = 6;

/// How long to wait for an answer before looking for a request to stop.
const PATIENCE: Duration = Duration::from_millis(5);

/// Draws that are made by several processes.
pub(super) struct Shared<'a, 'd> {
    driver: &'a Driver<'d>,
    maximum: u64,
    pieces: Pieces,
    /// Where this process was interrupted.
    interrupted: AtomicBool,
}

/// The pieces that are left, and the blocks that are made.
struct Pieces {
    /// The first draw of the next piece.
    next: Mutex<u64>,
    first: u64,
    end: u64,
    /// Draws of a piece.
    size: u64,
}

impl Pieces {
    fn take(&self) -> Option<(u64, u64)> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, draws) = (*next, self.size.min(self.end - *next));
        *next += draws;
        (draws > 0).then_some((first, draws))
    }
}

impl<'a, 'd> Shared<'a, 'd> {
    /// Draws for this process and so many helpers.
    pub fn new(driver: &'a Driver<'d>, first: u64, count: u64, maximum: u64, helpers: usize) -> Self {
        let pieces = PIECES * (1 + helpers as u64);
        // Whole rounds of blocks, one for each thread of a process: with fewer some threads would have nothing to do.
        let threads = driver.workers.len() as u64;
        let rounds = (count.div_ceil(BLOCK).div_ceil(pieces) / threads).max(1);
        let size = rounds * threads * BLOCK;
        let pieces = Pieces { next: Mutex::new(first), first, end: first + count, size };
        Self { driver, maximum, pieces, interrupted: AtomicBool::new(false) }
    }

    /// All draws; `None` when interrupted, and whoever is at work then is not waited for.
    pub fn draw(&self, helpers: &dyn Helpers) -> Option<Vec<BlockOfDraws>> {
        let blocks = (self.pieces.end - self.pieces.first).div_ceil(BLOCK);
        let made: Mutex<Vec<Option<BlockOfDraws>>> = Mutex::new((0..blocks).map(|_| None).collect());
        let keep = |first: u64, new: Vec<BlockOfDraws>| {
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            let place = ((first - self.pieces.first) / BLOCK) as usize;
            new.into_iter().zip(&mut made[place..]).for_each(|(block, slot)| *slot = Some(block));
        };
        std::thread::scope(|scope| {
            let here = scope.spawn(|| {
                while let Some((first, draws)) = self.pieces.take() {
                    match self.driver.draw_here(first, draws, self.maximum) {
                        Some(blocks) => keep(first, blocks),
                        None => return self.interrupted.store(true, Ordering::Relaxed),
                    }
                }
            });
            self.lead(helpers, &keep);
            // It ends by itself where it is interrupted, too.
            let _ = here.join();
        });
        let made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
        made.into_iter().collect()
    }

    /// Gives pieces to helpers until none is left and all have answered.
    fn lead(&self, helpers: &dyn Helpers, keep: &dyn Fn(u64, Vec<BlockOfDraws>)) {
        let observables = self.driver.sampler.observables();
        let mut busy: Vec<Option<(u64, u64)>> = vec![None; helpers.count()];
        loop {
            if self.interrupted.load(Ordering::Relaxed) || self.driver.is_interrupted() {
                return;
            }
            for (helper, piece) in busy.iter_mut().enumerate().filter(|(_, piece)| piece.is_none()) {
                *piece = self.pieces.take();
                if let Some((first, draws)) = *piece {
                    helpers.ask(helper, first, draws);
                }
            }
            if busy.iter().all(Option::is_none) {
                return;
            }
            let Some((helper, values)) = helpers.answer(PATIENCE) else { continue };
            let Some((first, draws)) = busy[helper].take() else { continue };
            let blocks = (0..draws.div_ceil(BLOCK)).map(|block| {
                let own = (draws - block * BLOCK).min(BLOCK);
                let start = (block * BLOCK) as usize * observables;
                BlockOfDraws::of(values[start..start + own as usize * observables].to_vec(), own, observables)
            });
            keep(first, blocks.collect());
        }
    }
}
