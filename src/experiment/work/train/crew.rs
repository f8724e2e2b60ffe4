//! Networks that are trained by several processes: the leader hands jobs out and keeps their states, a member trains what it is told.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use std::cell::Cell;

use serde::{Deserialize, Serialize};

use super::bind::Training;
use super::one::{Desk, Trained};
use super::run::{JobState, Run};
use super::state::{self, Finished};
use crate::experiment::results::{Checkpoint, ResultsError};
use crate::experiment::work::crew::{Crew, Task, message, parted};
use crate::stop::Stop;
use crate::training::State;

/// How long the leader waits for a report before it looks for a request to stop.
const PATIENCE: Duration = Duration::from_millis(10);

/// Least time between two states that a member sends.
const INTERVAL: Duration = Duration::from_secs(2);

/// What a member reports.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Report {
    /// An epoch ended; the state follows.
    State,
    /// The network is finished; its weights follow, where they are kept.
    Finished(Box<Finished>),
    /// It is not, for this reason.
    Failed(String),
}

impl Run<'_> {
    /// Hands jobs out to members until none is left and all have reported, or the run stops.
    pub(super) fn lead(&self, left: &[usize], crew: Crew<'_>) -> Result<(), ResultsError> {
        let mut busy: Vec<Option<usize>> = vec![None; crew.link.peers()];
        let checkpoint = |index: usize| Checkpoint::new(self.folder, &self.experiment.jobs[index].fingerprint);
        while !self.is_stopped() {
            for (member, job) in busy.iter_mut().enumerate().filter(|(_, job)| job.is_none()) {
                *job = left.get(self.next.fetch_add(1, Ordering::Relaxed)).copied();
                let Some(index) = *job else { continue };
                let architecture = &self.experiment.jobs[index].architecture;
                let saved = if self.fresh { None } else { state::load(&checkpoint(index), architecture)? };
                let failed = |error| ResultsError::new(self.folder, error);
                let state = saved.map(|state| state::to_bytes(&state)).transpose().map_err(failed)?;
                let task = Task::Train { experiment: crew.experiment, job: index };
                crew.link.send(member, &message(&task, &state.unwrap_or_default()));
            }
            if busy.iter().all(Option::is_none) {
                return Ok(());
            }
            let Some((member, bytes)) = crew.link.receive(PATIENCE) else { continue };
            let (Some(index), Some((report, body))) = (busy[member], parted(&bytes)) else { continue };
            self.take_up(index, report, body, &checkpoint(index), &mut busy[member])?;
        }
        Ok(())
    }

    fn take_up(
        &self,
        index: usize,
        report: Report,
        body: &[u8],
        checkpoint: &Checkpoint,
        job: &mut Option<usize>,
    ) -> Result<(), ResultsError> {
        let own = &self.experiment.jobs[index];
        let failed = |error: String| ResultsError::new(self.folder, format!("{}: {error}", own.describe()));
        match report {
            Report::State => {
                let state = state::read(body, &own.architecture).map_err(failed)?;
                self.advance(own, 0.0);
                state::save(checkpoint, &state)?;
                self.keep(index, JobState::Unfinished(state.epochs))
            }
            Report::Finished(finished) => {
                *job = None;
                self.advance(own, 1.0);
                let (epochs, outcome) = (finished.history(), finished.outcome);
                let weights = self.experiment.spec.work.keep_weights.then(|| body.to_vec());
                self.finish(index, checkpoint, Trained { outcome, epochs, weights })
            }
            Report::Failed(reason) => Err(failed(reason)),
        }
    }
}

/// A network that is trained for the leader.
struct There<'a> {
    report: &'a dyn Fn(&Report, &[u8]),
    /// When a state was sent last.
    last: Cell<Instant>,
}

impl Desk for There<'_> {
    // The leader ends the process of a member that is no longer needed.
    fn is_stopped(&self) -> bool {
        false
    }

    fn stop(&self) -> Stop {
        Stop::default()
    }

    fn begins(&self, _: &str) {}

    fn advance(&self, _: f64) {}

    fn epoch(&self, state: &State, _: bool) -> Result<(), ResultsError> {
        if self.last.get().elapsed() > INTERVAL {
            let bytes = state::to_bytes(state).map_err(|error| ResultsError::new("state".as_ref(), error))?;
            (self.report)(&Report::State, &bytes);
            self.last.set(Instant::now());
        }
        Ok(())
    }
}

impl Training {
    /// Trains a network for the leader, from a state where there is one.
    pub(in crate::experiment::work) fn train_for(&self, index: usize, state: &[u8], report: &dyn Fn(&Report, &[u8])) {
        let Some(job) = self.jobs.get(index) else { return report(&Report::Failed("no such network".into()), &[]) };
        let saved = if state.is_empty() { Ok(None) } else { state::read(state, &job.architecture).map(Some) };
        let desk = There { report, last: Cell::new(Instant::now()) };
        let trained = saved.and_then(|saved| self.train_one(job, saved, &desk).map_err(|error| error.to_string()));
        match trained {
            Ok(Trained { outcome, epochs, weights }) => {
                let finished = Box::new(Finished::new(outcome, &epochs));
                report(&Report::Finished(finished), &weights.unwrap_or_default());
            }
            Err(reason) => report(&Report::Failed(reason), &[]),
        }
    }
}
