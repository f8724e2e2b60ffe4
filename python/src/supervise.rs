//! Work on a thread of its own, watched from Python's.

use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use gradlaw::experiment::Watcher;
use gradlaw::stop::Stop;
use pyo3::prelude::*;

/// How long the caller's thread waits before it looks for signals and tells progress.
const BREATH: Duration = Duration::from_millis(50);

/// Where the work is.
#[derive(Debug, Clone, Default, PartialEq)]
struct Place {
    part: usize,
    parts: usize,
    description: String,
    done: u64,
    most: u64,
}

/// What work is watched by: it keeps the last place, and hears that it is to stop.
#[derive(Debug)]
pub struct Reporter {
    place: Mutex<Place>,
    stop: Stop,
}

impl Reporter {
    fn change(&self, change: impl FnOnce(&mut Place)) {
        // A thread that panicked while it held the place left it whole: its fields are written one by one.
        change(&mut self.place.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Watcher for Reporter {
    fn point(&self, index: usize, count: usize, description: &str) {
        self.change(|place| {
            *place = Place { part: index, parts: count, description: description.into(), done: 0, most: 0 }
        });
    }

    fn progress(&self, draws: u64, maximum: u64) {
        self.change(|place| (place.done, place.most) = (draws, maximum));
    }

    fn stop(&self) -> Stop {
        self.stop.clone()
    }

    fn interrupted(&self) -> bool {
        self.stop.is_asked()
    }
}

/// Does the work on so many threads, all of them unless told otherwise, while this one calls `progress(part, parts, description, done,
/// most)` and listens for signals. Where a signal handler or the callback raises, the work is asked to stop, and what was raised is
/// raised again.
pub fn supervised<R: Send>(
    py: Python<'_>,
    threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Reporter) -> R + Send,
) -> PyResult<R> {
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = threads {
        pool = pool.num_threads(threads.max(1));
    }
    let pool = pool.build().map_err(|error| crate::bad_value(format!("threads: cannot be started: {error}")))?;
    let reporter = Reporter { place: Mutex::default(), stop: Stop::new() };
    let reporter = &reporter;
    std::thread::scope(|scope| {
        let (sender, receiver) = channel();
        scope.spawn(move || {
            // Nobody waits for the result where the caller has gone with an error.
            let _ = sender.send(pool.install(|| work(reporter)));
        });
        let mut told = Place::default();
        let receiver = Mutex::new(receiver);
        loop {
            let wait = || receiver.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv_timeout(BREATH);
            match py.detach(wait) {
                Ok(result) => return Ok(result),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(crate::bad_value("the work ended with a panic")),
            }
            let heard = py.check_signals().and_then(|()| tell(progress, reporter, &mut told));
            if let Err(error) = heard {
                reporter.stop.ask();
                // Until the work has saved what it has.
                py.detach(|| receiver.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv().ok());
                return Err(error);
            }
        }
    })
}

/// Calls the callback where the work has come on.
fn tell(progress: Option<&Bound<'_, PyAny>>, reporter: &Reporter, told: &mut Place) -> PyResult<()> {
    let Some(progress) = progress else { return Ok(()) };
    let mut place = told.clone();
    reporter.change(|now| place = now.clone());
    if place != *told {
        progress.call1((place.part, place.parts, place.description.as_str(), place.done, place.most))?;
        *told = place;
    }
    Ok(())
}
