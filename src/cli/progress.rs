//! A progress bar with the time left, on standard error and only on a terminal.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use gradlaw::experiment::Watcher;
use gradlaw::stop::Stop;

use super::interrupt;
use super::terminal::Terminal;

/// Steps of the bar.
const STEPS: f64 = 1e6;

/// One bar over all points of a run, each as long as it costs: the time left knows that later ones take longer.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Where each point ends on the bar, from the first one's beginning on.
    ends: Vec<f64>,
    /// Points of the experiments that are done.
    before: AtomicUsize,
    /// Points done, of this experiment and those before.
    done: AtomicUsize,
    /// How far the bar has come.
    position: AtomicU64,
}

impl Progress {
    /// A bar over points of these costs; hidden when quiet or not on a terminal.
    pub fn new(costs: impl IntoIterator<Item = f64>, terminal: &Terminal) -> Self {
        let target = if terminal.quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(STEPS as u64), target);
        // The template is fixed and tested; a wrong one would leave the default style.
        if let Ok(style) = ProgressStyle::with_template("{wide_msg} {bar:24} {percent:>3} %  {eta} left") {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            // The time left grows where nothing is done.
            bar.enable_steady_tick(Duration::from_secs(1));
        }
        interrupt::write_beside(Some(bar.clone()));
        Self {
            bar,
            ends: ends(costs),
            before: AtomicUsize::default(),
            done: AtomicUsize::default(),
            position: AtomicU64::default(),
        }
    }

    /// The points of an experiment are done.
    pub fn finish_experiment(&self, points: usize) {
        self.before.fetch_add(points, Ordering::Relaxed);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        interrupt::write_beside(None);
        self.bar.finish_and_clear();
    }

    /// Shows that a share of the point that is under way is done. Threads may report in any order: the bar never goes back.
    fn reach(&self, share: f64) {
        let point = self.done.load(Ordering::Relaxed);
        let [begin, end] = [point, point + 1].map(|index| self.ends.get(index).copied().unwrap_or(1.0));
        let position = (STEPS * (begin + share.min(1.0) * (end - begin))) as u64;
        if self.position.fetch_max(position, Ordering::Relaxed) < position {
            self.bar.set_position(position);
        }
    }
}

/// Where each of these costs ends, as a share of their sum; the first entry is the beginning, 0.
fn ends(costs: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut ends = vec![0.0];
    let mut sum = 0.0;
    ends.extend(costs.into_iter().map(|cost| {
        sum += cost;
        sum
    }));
    ends.iter_mut().for_each(|end| *end /= sum.max(f64::MIN_POSITIVE));
    ends
}

impl Watcher for Progress {
    fn point(&self, index: usize, _: usize, description: &str) {
        self.done.store(self.before.load(Ordering::Relaxed) + index, Ordering::Relaxed);
        self.bar.set_message(description.to_owned());
        self.reach(0.0);
    }

    fn progress(&self, draws: u64, maximum: u64) {
        self.reach(draws as f64 / maximum.max(1) as f64);
    }

    fn stop(&self) -> Stop {
        interrupt::stop().clone()
    }

    fn interrupted(&self) -> bool {
        interrupt::stop().is_asked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_as_long_as_they_cost() {
        assert_eq!(ends([1.0, 3.0, 12.0]), [0.0, 1.0 / 16.0, 4.0 / 16.0, 1.0]);
        assert_eq!(ends([]), [0.0]);
    }
}
