//! Progress with the time left on standard error: a bar on a terminal, a line now and then in the log of a job.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use gradlaw::experiment::Watcher;
use gradlaw::stop::Stop;

use super::interrupt;
use super::terminal::Terminal;

/// Steps of the bar.
const STEPS: f64 = 1e6;

/// Multiplications a second that a thread is taken to do before it was seen.
pub const USUAL_RATE: f64 = 4e9;

/// Seconds for which that is believed: what was seen counts more from then on.
const BELIEVED: f64 = 10.0;

/// How often a line is written where there is no bar.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// One bar over all points of a run, each as long as it costs: the time left knows that later ones take longer.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    terminal: Terminal,
    /// When the last line was written, where there are lines in place of a bar.
    lines: Option<Mutex<Instant>>,
    /// The seconds that all of it usually takes, as far as that is known.
    usual: Option<f64>,
    began: Instant,
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
    /// A bar over points of these costs, in multiplications; hidden when quiet or not on a terminal.
    pub fn new(costs: impl IntoIterator<Item = f64>, terminal: &Terminal) -> Self {
        let costs: Vec<f64> = costs.into_iter().collect();
        let usual = costs.iter().sum::<f64>() / (USUAL_RATE * rayon::current_num_threads() as f64);
        Self::with_prior(costs, Some(usual), terminal)
    }

    /// A bar over parts of work of which nothing is known before it is seen.
    pub fn of_parts(count: usize, terminal: &Terminal) -> Self {
        Self::with_prior(vec![1.0; count], None, terminal)
    }

    /// `usual`: the seconds that all of it takes, as far as that is known before.
    fn with_prior(costs: Vec<f64>, usual: Option<f64>, terminal: &Terminal) -> Self {
        let target = if terminal.quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(STEPS as u64), target);
        // The template is fixed and tested; a wrong one would leave the default style.
        if let Ok(style) = ProgressStyle::with_template("{wide_msg} {bar:24} {percent:>3} %  {left} left") {
            bar.set_style(style.with_key("left", move |state: &ProgressState, text: &mut dyn Write| {
                let left = seconds_left(state.elapsed().as_secs_f64(), state.pos() as f64 / STEPS, usual);
                // Where nothing is known yet the seconds are not finite. A string takes all that is written.
                let _ = match Duration::try_from_secs_f64(left) {
                    Ok(left) => write!(text, "{:#}", HumanDuration(left)),
                    Err(_) => write!(text, "?"),
                };
            }));
        }
        if !bar.is_hidden() {
            // The time left grows while nothing is done.
            bar.enable_steady_tick(Duration::from_secs(1));
        }
        interrupt::write_beside(Some(bar.clone()));
        let writes_lines = !terminal.quiet() && !std::io::stderr().is_terminal();
        let began = Instant::now();
        Self {
            bar,
            terminal: *terminal,
            lines: writes_lines.then(|| Mutex::new(began)),
            usual,
            began,
            ends: ends(&costs),
            before: AtomicUsize::default(),
            done: AtomicUsize::default(),
            position: AtomicU64::default(),
        }
    }

    /// The points of an experiment are done.
    pub fn finish_experiment(&self, points: usize) {
        self.before.fetch_add(points, Ordering::Relaxed);
    }

    /// Says something to people beside the bar.
    pub fn note(&self, text: &str) {
        self.bar.suspend(|| self.terminal.note(text));
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
            self.write_line(position as f64 / STEPS);
        }
    }

    /// Writes how far the work has come, where the last line is half a minute old.
    fn write_line(&self, share: f64) {
        // Another thread is at it where the lock is held.
        let Some(Ok(mut last)) = self.lines.as_ref().map(Mutex::try_lock) else { return };
        if last.elapsed() < BETWEEN_LINES {
            return;
        }
        *last = Instant::now();
        let left = seconds_left(self.began.elapsed().as_secs_f64(), share, self.usual);
        let left =
            Duration::try_from_secs_f64(left).map_or_else(|_| "?".into(), |left| format!("{:#}", HumanDuration(left)));
        self.terminal.note(&format!("{:.0} %, {left} left: {}", 100.0 * share, self.bar.message()));
    }
}

/// The time left after so many seconds of which a share is done: at the rate seen, with the usual one for some seconds more where
/// there is one.
fn seconds_left(elapsed: f64, share: f64, usual: Option<f64>) -> f64 {
    let seconds_a_share = match usual {
        Some(usual) if usual > 0.0 => (elapsed + BELIEVED) / (share + BELIEVED / usual),
        _ => elapsed / share,
    };
    (1.0 - share) * seconds_a_share
}

/// Where each of these costs ends, as a share of their sum; the first entry is the beginning, 0.
fn ends(costs: &[f64]) -> Vec<f64> {
    let mut ends = vec![0.0];
    let mut sum = 0.0;
    ends.extend(costs.iter().map(|cost| {
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
        assert_eq!(ends(&[1.0, 3.0, 12.0]), [0.0, 1.0 / 16.0, 4.0 / 16.0, 1.0]);
        assert_eq!(ends(&[]), [0.0]);
    }

    #[test]
    fn the_time_left_begins_with_what_is_usual_and_learns() {
        assert_eq!(seconds_left(0.0, 0.0, Some(600.0)), 600.0);
        // A hundredth of the work in a second says that the rest takes 99: it is believed more and more.
        let left = [1.0, 10.0, 50.0].map(|elapsed| seconds_left(elapsed, elapsed / 100.0, Some(600.0)) + elapsed);
        assert!(left[0] < 450.0 && left.is_sorted_by(|a, b| a > b) && left[2] < 110.0, "{left:?}");
        // Nothing done for a minute: no more than the minute says.
        assert!(seconds_left(60.0, 0.0, Some(600.0)) < 8.0 * 600.0);
        assert_eq!(seconds_left(30.0, 0.25, None), 90.0);
        assert!(!seconds_left(0.0, 0.0, None).is_finite() && seconds_left(9.0, 1.0, Some(5.0)) == 0.0);
    }
}
