//! Experiments: a spec whose cells are bound, whose networks are drawn or trained, and whose claims are judged.

mod crew;
pub mod draw;
mod together;
pub mod train;

pub use crew::{Crew, Link};
pub use together::{Together, check_names};

use std::path::Path;
use std::time::{Duration, Instant};

use thiserror::Error;
use toml::Table;

use super::cell::Cell;
use super::claim::{Claim, Measured, Observed};
use super::format::rounded;
use super::results::shards::{self, Shard};
use super::results::states::{self, Refused};
use super::results::{Lock, Measurement, Provenance, ResultsError, Row, Verdict, folder};
use super::share::Share;
use super::specification::reader::{Origin, SpecError};
use super::specification::{AnySpec, Heading, Spec, WorkSpec};
use crate::network::Architecture;
use crate::sampling::monte_carlo::draws_of;
use crate::stop::Stop;
use crew::{LEADER, Task, message, parted};
use draw::Drawing;
use train::{Report, Training};

/// Watches an experiment and may stop it.
pub trait Watcher: Sync {
    /// A part of the work begins: its index, the number of parts, and what it is.
    fn point(&self, index: usize, count: usize, description: &str) {
        let _ = (index, count, description);
    }

    /// How far the part has come, and where it ends at the latest.
    fn progress(&self, draws: u64, maximum: u64) {
        let _ = (draws, maximum);
    }

    /// A request to stop, which long work looks at as it goes.
    fn stop(&self) -> Stop {
        Stop::default()
    }

    /// Whether to stop: asked often, where a watcher that can stop says it without a copy of the request.
    fn interrupted(&self) -> bool {
        self.stop().is_asked()
    }
}

/// Watches nothing and never stops.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watcher for Unwatched {}

/// How to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// Ignore saved states.
    pub fresh: bool,
    /// Keep every draw in `draws.npz`; implies `fresh`.
    pub keep_draws: bool,
    /// Do this share of the parts alone, and keep the states of all of them.
    pub share: Option<Share>,
}

/// What a run may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Threads that work.
    pub threads: usize,
    /// Bytes that the networks of all threads may hold together.
    pub memory: u64,
}

impl Default for Limits {
    /// All threads of the current pool, and 4 GiB.
    fn default() -> Self {
        Self { threads: rayon::current_num_threads(), memory: 4 << 30 }
    }
}

impl Limits {
    /// Whether so many bytes are allowed for a network.
    ///
    /// # Errors
    /// In words, what is needed and allowed.
    pub fn check(&self, bytes: u64, architecture: &Architecture) -> Result<(), String> {
        if bytes <= self.memory {
            return Ok(());
        }
        let gib = |bytes: u64| rounded(bytes as f64 / f64::from(1u32 << 30), 3);
        Err(format!(
            "needs {} GiB for {} threads and {} parameters, more than the {} GiB allowed: make it smaller, use fewer \
             --threads, or raise --memory",
            gib(bytes),
            self.threads,
            architecture.parameter_count(),
            gib(self.memory),
        ))
    }
}

/// Why a run did not end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The watcher stopped it; states are saved.
    #[error("interrupted")]
    Interrupted,
    /// Its folder has states of other work.
    #[error(transparent)]
    Changed(SpecError),
    /// The file system failed.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// A spec with its cells, checked and ready to run.
pub enum Experiment {
    /// Networks are drawn.
    Draw(Box<Drawing>),
    /// Networks are trained.
    Train(Box<Training>),
}

/// What the work of an experiment takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Points that are drawn, or networks that are trained.
    pub parts: usize,
    /// Draws of all points at most, where networks are drawn.
    pub draws: Option<u64>,
    /// Multiplications, about.
    pub multiplications: f64,
    /// Bytes that the networks hold at a time, at most.
    pub bytes: u64,
}

/// What an experiment came to.
#[derive(Debug, Clone)]
pub struct Results {
    /// Cell by cell, a measurement for each observable.
    pub measurements: Vec<Measurement>,
    /// The trainings, where networks are trained.
    pub trainings: Option<train::Trainings>,
    /// When, how long and on what; nothing of results that are not all there.
    pub provenance: Option<Provenance>,
}

impl Experiment {
    /// Opens the data, binds every cell, and checks every claim in it.
    ///
    /// # Errors
    /// The first thing in the spec or its data that is not allowed; nothing was written.
    pub fn prepare(spec: AnySpec, limits: &Limits) -> Result<Self, SpecError> {
        Ok(match spec {
            AnySpec::Draw(spec) => Self::Draw(Box::new(Drawing::prepare(*spec, limits)?)),
            AnySpec::Train(spec) => Self::Train(Box::new(Training::prepare(*spec, limits)?)),
        })
    }

    /// Name, words and seed.
    pub fn heading(&self) -> &Heading {
        match self {
            Self::Draw(drawing) => &drawing.spec.heading,
            Self::Train(training) => &training.spec.heading,
        }
    }

    /// File and options, for error messages.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Draw(drawing) => &drawing.spec.origin,
            Self::Train(training) => &training.spec.origin,
        }
    }

    /// The networks at the points of the sweep.
    pub fn cells(&self) -> Vec<&Cell> {
        match self {
            Self::Draw(drawing) => drawing.cells(),
            Self::Train(training) => training.cells(),
        }
    }

    /// What each part of the work costs, in multiplications.
    pub fn costs(&self) -> Vec<f64> {
        match self {
            Self::Draw(drawing) => drawing.costs(),
            Self::Train(training) => vec![training.cost()],
        }
    }

    /// Whether work goes on until every claim is decided.
    pub fn decides(&self) -> bool {
        match self {
            Self::Draw(drawing) => drawing.spec.work.decides,
            Self::Train(training) => training.spec.work.decides,
        }
    }

    /// The fingerprints of the parts of the work.
    fn fingerprints(&self) -> Vec<&str> {
        match self {
            Self::Draw(drawing) => drawing.points.iter().map(|point| point.fingerprint.as_str()).collect(),
            Self::Train(training) => training.jobs.iter().map(|job| job.fingerprint.as_str()).collect(),
        }
    }

    /// Says in a results folder that a share of the work is done.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish_share(&self, folder: &Path, share: Share) -> Result<(), ResultsError> {
        shards::write(folder, share)
    }

    /// Takes the states of all parts from the shares that did them.
    ///
    /// # Errors
    /// A part is in no share, or a state is damaged or cannot be copied.
    pub fn take(&self, shards: &[Shard], folder: &Path) -> Result<(), ResultsError> {
        for (index, fingerprint) in self.fingerprints().into_iter().enumerate() {
            let describe = || match self {
                Self::Draw(drawing) => drawing.points[index].describe(),
                Self::Train(training) => training.jobs[index].describe(),
            };
            let weights = match self {
                Self::Draw(_) => None,
                Self::Train(training) => training.kept(&training.jobs[index]),
            };
            shards::take(shards, fingerprint, describe, weights.as_ref(), folder)?;
        }
        Ok(())
    }

    /// What the work takes: parts, draws of all of them at most, multiplications, and bytes at a time.
    pub fn forecast(&self, limits: &Limits) -> Forecast {
        match self {
            Self::Draw(drawing) => Forecast {
                parts: drawing.points.len(),
                draws: Some(drawing.spec.work.rule.maximum().saturating_mul(drawing.points.len() as u64)),
                multiplications: drawing.costs().iter().sum(),
                bytes: drawing.bytes(limits.threads),
            },
            Self::Train(training) => Forecast {
                parts: training.jobs.len(),
                draws: None,
                multiplications: training.cost(),
                bytes: training.bytes(limits.threads),
            },
        }
    }

    /// The spec with its defaults.
    fn resolved(&self) -> &Table {
        match self {
            Self::Draw(drawing) => &drawing.spec.resolved,
            Self::Train(training) => &training.spec.resolved,
        }
    }

    /// Takes a results folder for this experiment, until what is returned is dropped: no other process writes to it. States that are
    /// there are gone on from, or with `fresh` taken away.
    ///
    /// # Errors
    /// Another process has the folder, it holds states of other work, or the file system failed.
    pub fn enter(&self, folder: &Path, fresh: bool) -> Result<Lock, RunError> {
        let entered = states::enter(folder, self.fingerprints(), self.resolved(), fresh);
        let lock = entered.map_err(|refused| match refused {
            Refused::Results(error) => error.into(),
            Refused::Changed(difference) => {
                let message = format!(
                    "{} has states of other work: {difference}. --fresh starts over without them; another --out keeps both",
                    folder.display()
                );
                RunError::Changed(self.origin().error("name", &self.heading().name, message))
            }
        })?;
        // It is no share, or not yet.
        shards::unwrite(folder)?;
        Ok(lock)
    }

    /// Draws or trains all networks on the threads of the current pool; `folder` is where states are kept, and where training saves
    /// early results.
    ///
    /// # Errors
    /// Interrupted, or a file could not be read or written.
    pub fn run(&self, folder: &Path, options: RunOptions, watcher: &dyn Watcher) -> Result<Results, RunError> {
        self.run_with(folder, options, watcher, None)
    }

    /// The same with other processes, who [`serve`] it; the bits do not depend on them.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with(
        &self,
        folder: &Path,
        options: RunOptions,
        watcher: &dyn Watcher,
        crew: Option<Crew<'_>>,
    ) -> Result<Results, RunError> {
        let began = Instant::now();
        let results = match self {
            Self::Draw(drawing) => {
                let measurements = drawing.run(folder, options, watcher, crew)?;
                Results { measurements, trainings: None, provenance: None }
            }
            Self::Train(training) => training.run(folder, options, watcher, crew)?,
        };
        Ok(Results { provenance: Some(Provenance::since(began)), ..results })
    }

    /// The experiment with its measurements, before its judge.
    pub fn measured<'a>(&'a self, measurements: &'a [Measurement]) -> Measured<'a> {
        match self {
            Self::Draw(drawing) => drawing.measured(measurements),
            Self::Train(training) => measured(&training.spec, training.cells(), measurements),
        }
    }

    /// Writes the results, and draws the figure.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, folder: &Path, results: &Results, verdicts: &[Verdict]) -> Result<(), ResultsError> {
        let files = match self {
            Self::Draw(drawing) => folder::files(folder, &drawing.spec, &rows(&results.measurements), verdicts)?,
            Self::Train(training) => training.files(folder, results, verdicts)?,
        };
        folder::write_with_figure(folder, self.heading(), files)?;
        results.provenance.iter().try_for_each(|provenance| provenance.keep(folder))?;
        states::have_results(folder)
    }
}

/// Does what the leader says, as a member, until there is nothing more to do.
pub fn serve(experiments: &[&Experiment], link: &dyn Link) {
    loop {
        let Some((_, bytes)) = link.receive(Duration::from_secs(1)) else { continue };
        let Some((task, body)) = parted(&bytes) else { continue };
        match task {
            Task::Draw { experiment, point, first, draws } => {
                let Some(Experiment::Draw(drawing)) = experiments.get(experiment) else { continue };
                let Some(point) = drawing.points.get(point) else { continue };
                let values = draws_of(point.sampler.as_ref(), &point.key, first, draws);
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                link.send(LEADER, &bytes);
            }
            Task::Train { experiment, job } => {
                let Some(Experiment::Train(training)) = experiments.get(experiment) else { continue };
                let report = |report: &Report, body: &[u8]| link.send(LEADER, &message(report, body));
                training.train_for(job, body, &report);
            }
            Task::End => return,
        }
    }
}

/// The rows of measurements that there are.
fn rows(measurements: &[Measurement]) -> Vec<Row> {
    let rows = measurements.iter().map(|measurement| &measurement.row);
    rows.filter(|row| row.sampled.is_some()).cloned().collect()
}

fn measured<'a, W: WorkSpec>(spec: &'a Spec<W>, cells: Vec<&'a Cell>, measurements: &'a [Measurement]) -> Measured<'a> {
    let observables = spec.names();
    let observed = Observed { name: &spec.heading.name, observables, cells, measurements };
    Measured { observed, claims: &spec.claims, family_error: spec.family_error }
}

/// Checks every claim and panel in the cells.
fn check<W: WorkSpec>(spec: &Spec<W>, cells: &[&Cell]) -> Result<(), SpecError> {
    let names = spec.names();
    spec.claims.iter().try_for_each(|claim| claim.check(&spec.origin, &names, cells))?;
    spec.panels.iter().try_for_each(|panel| panel.check(&spec.origin))
}

/// Whether a claim needs whole distributions.
fn keeps_distributions(claims: &[Claim]) -> bool {
    claims.iter().any(|claim| claim.needs_distributions())
}

#[cfg(test)]
mod tests;
