//! A progress bar with the time left, on standard error and only on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicU64, Ordering};

use gradlaw::experiment::Watcher;

use super::interrupt;
use super::terminal::Terminal;

/// Steps of the bar for one point.
const STEPS: u64 = 1000;

/// One bar over all points of a run.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Points of the experiments that are done.
    before: AtomicU64,
    /// Points done, of this experiment and those before.
    done: AtomicU64,
}

impl Progress {
    /// A bar over this many points; hidden when quiet or not on a terminal.
    pub fn new(points: usize, terminal: &Terminal) -> Self {
        let target = if terminal.quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(points as u64 * STEPS), target);
        // The template is fixed and tested; a wrong one would leave the default style.
        if let Ok(style) = ProgressStyle::with_template("{wide_msg} {bar:24} {percent:>3} %  {eta} left") {
            bar.set_style(style);
        }
        Self { bar, before: AtomicU64::new(0), done: AtomicU64::new(0) }
    }

    /// The points of an experiment are done.
    pub fn finish_experiment(&self, points: usize) {
        self.before.fetch_add(points as u64, Ordering::Relaxed);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watcher for Progress {
    fn point(&self, index: usize, _: usize, description: &str) {
        let done = self.before.load(Ordering::Relaxed) + index as u64;
        self.done.store(done, Ordering::Relaxed);
        self.bar.set_message(description.to_owned());
        self.bar.set_position(done * STEPS);
    }

    fn progress(&self, draws: u64, maximum: u64) {
        let share = (draws as f64 / maximum.max(1) as f64 * STEPS as f64) as u64;
        self.bar.set_position(self.done.load(Ordering::Relaxed) * STEPS + share.min(STEPS));
    }

    fn interrupted(&self) -> bool {
        interrupt::asked()
    }
}
