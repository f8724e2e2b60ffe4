//! From a spec to measurements: binds the points, drives the sampler through them, keeps states and draws.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use ndarray::Array2;
use thiserror::Error;

use super::cell::Cell;
use super::checkpoint::Checkpoint;
use super::claim::{Claim, Measured};
use super::inputs;
use super::point::{Limits, Point, bind, cells};
use super::reader::SpecError;
use super::results::{Measurement, ResultsError, Row, write_draws};
use super::spec::{Spec, names_of};
use crate::sampling::{Observer, Tally, monte_carlo};
use crate::stop::Stop;

/// File of all draws in a results folder.
const DRAWS: &str = "draws.npz";

/// A spec with its points, checked and ready to run.
pub struct Experiment {
    /// The spec.
    pub spec: Spec,
    /// Networks in order, each at every point of the grid.
    pub points: Vec<Point>,
}

/// Watches an experiment and may stop it.
pub trait Watcher: Sync {
    /// A point begins: its index, the number of points, and what it is.
    fn point(&self, index: usize, count: usize, description: &str) {
        let _ = (index, count, description);
    }

    /// Draws of the point so far, and the most there will be.
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
}

/// Why a run did not end.
#[derive(Debug, Error)]
pub enum RunError {
    /// The watcher stopped it; states are saved.
    #[error("interrupted")]
    Interrupted,
    /// The file system failed.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

impl Experiment {
    /// Opens the data and binds every point.
    ///
    /// # Errors
    /// The first thing in the spec or its data that is not allowed; nothing was written.
    pub fn prepare(spec: Spec, limits: &Limits) -> Result<Self, SpecError> {
        let source = inputs::open(&spec)?;
        let points = bind(&spec, &source, limits)?;
        let names = names_of(&spec.observables);
        let cells: Vec<&Cell> = points.iter().map(|point| &point.cell).collect();
        spec.claims.iter().try_for_each(|claim| claim.check(&spec.origin, &names, &cells))?;
        Ok(Self { spec, points })
    }

    /// The experiment with its measurements, before its judge.
    pub fn measured<'a>(&'a self, measurements: &'a [Measurement]) -> Measured<'a> {
        Measured {
            name: &self.spec.heading.name,
            family_error: self.spec.family_error,
            observables: names_of(&self.spec.observables),
            claims: &self.spec.claims,
            cells: self.points.iter().map(|point| &point.cell).collect(),
            measurements,
        }
    }

    /// Rows of a point without measurements, one for each observable.
    fn rows<'a>(&'a self, point: &'a Point) -> impl Iterator<Item = Row> + 'a {
        blank_rows(&self.spec, &point.cell)
    }

    /// In words, the theoretical means that are beyond double precision, and left out of the rows.
    pub fn theory_beyond_double(&self) -> Vec<String> {
        self.points.iter().flat_map(|point| beyond_double(&self.spec, &point.cell)).collect()
    }

    /// What each point costs beside the others, its sampler's cost for all draws that it may take.
    pub fn costs(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().map(|point| point.sampler.cost() * self.spec.rule.maximum() as f64)
    }

    /// Bytes that `--keep-draws` would hold, at most.
    pub fn bytes_of_draws(&self) -> u64 {
        self.spec
            .rule
            .maximum()
            .saturating_mul((self.points.len() * self.spec.observables.len() * size_of::<f64>()) as u64)
    }

    /// Samples every point on the threads of the current pool; `folder` is where states and draws are kept.
    ///
    /// # Errors
    /// Interrupted, or states or draws could not be read or written.
    pub fn run(&self, folder: &Path, options: RunOptions, watcher: &dyn Watcher) -> Result<Vec<Measurement>, RunError> {
        let draws = folder.join(DRAWS);
        if !options.keep_draws && draws.exists() {
            // Draws of an earlier run do not belong to these results.
            std::fs::remove_file(&draws).map_err(|error| ResultsError::new(&draws, error))?;
        }
        let mut measurements = Vec::new();
        let mut kept = Vec::new();
        let distributions = self.spec.claims.iter().any(Claim::needs_distributions);
        for (index, point) in self.points.iter().enumerate() {
            watcher.point(index, self.points.len(), &point.describe());
            let observer = PointObserver {
                watcher,
                checkpoint: Checkpoint::new(folder, &point.fingerprint),
                failure: Mutex::new(None),
                failed: AtomicBool::new(false),
                draws: options.keep_draws.then(|| Mutex::new(Vec::new())),
            };
            let tally = self.sample(point, options, &observer)?;
            if let Some(draws) = observer.draws {
                let values = draws.into_inner().unwrap_or_else(PoisonError::into_inner);
                let shape = (tally.draws as usize, self.spec.observables.len());
                let array = Array2::from_shape_vec(shape, values)
                    .map_err(|error| ResultsError::new(folder, format!("draws are not whole: {error}")))?;
                kept.push((point.describe(), array));
            }
            for ((row, summary), theory) in self.rows(point).zip(tally.summaries).zip(&point.theory) {
                measurements.push(Measurement::new(row, summary, *theory, distributions));
            }
        }
        if options.keep_draws {
            write_draws(&draws, &kept)?;
        }
        Ok(measurements)
    }

    fn sample(&self, point: &Point, options: RunOptions, observer: &PointObserver<'_>) -> Result<Tally, RunError> {
        let fresh = options.fresh || options.keep_draws;
        let saved = if fresh { None } else { observer.checkpoint.load(self.spec.rule.maximum())? };
        if let Some(tally) = &saved {
            tracing::info!(point = point.describe(), draws = tally.draws, "goes on");
        }
        let start = saved.unwrap_or_else(|| Tally::new(self.spec.observables.len()));
        let tally = monte_carlo::run(point.sampler.as_ref(), &point.key, self.spec.rule, start, observer);
        if let Some(failure) = observer.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(failure.into());
        }
        tally.ok_or(RunError::Interrupted)
    }
}

/// The rows that theory alone gives, at every point; neither data nor memory is needed. And, in words, the means that they leave
/// out because they are beyond double precision.
///
/// # Errors
/// The first size, shape or variance that is not allowed.
pub fn theory_rows(spec: &Spec) -> Result<(Vec<Row>, Vec<String>), SpecError> {
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for cell in cells(spec)? {
        let cell = cell.with_theory(spec.observables.iter().map(|(_, observable)| observable));
        rows.extend(blank_rows(spec, &cell));
        left_out.extend(beyond_double(spec, &cell));
    }
    Ok((rows, left_out))
}

/// In words, the theoretical means that are beyond double precision.
fn beyond_double(spec: &Spec, cell: &Cell) -> Vec<String> {
    let means =
        spec.observables.iter().zip(&cell.theory).filter_map(|((name, _), theory)| Some((name, theory.as_ref()?.mean)));
    let beyond = means.filter(|(_, mean)| mean.to_f64().is_none());
    let words = |(name, mean)| {
        format!(
            "{}: the exact {name} of {} is {mean}, beyond double precision, and left out",
            spec.name,
            cell.describe()
        )
    };
    beyond.map(words).collect()
}

fn blank_rows<'a>(spec: &'a Spec, cell: &'a Cell) -> impl Iterator<Item = Row> + 'a {
    let rows = spec.observables.iter().zip(&cell.theory);
    rows.map(|((name, _), theory)| Row::of(cell, name).with_theory(*theory))
}

/// Passes the driver's news to the watcher and keeps states and draws.
struct PointObserver<'a> {
    watcher: &'a dyn Watcher,
    checkpoint: Checkpoint,
    /// The first state that could not be saved; it stops the run.
    failure: Mutex<Option<ResultsError>>,
    /// Whether there is a failure: looked at before every draw.
    failed: AtomicBool,
    draws: Option<Mutex<Vec<f64>>>,
}

impl Observer for PointObserver<'_> {
    fn progress(&self, draws: u64, maximum: u64) {
        self.watcher.progress(draws, maximum);
    }

    fn values(&self, rows: &[f64]) {
        if let Some(draws) = &self.draws {
            draws.lock().unwrap_or_else(PoisonError::into_inner).extend(rows);
        }
    }

    fn state(&self, tally: &Tally, last: bool) {
        if let Err(error) = self.checkpoint.offer(tally, last) {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            self.failed.store(true, Ordering::Relaxed);
        }
    }

    fn stop(&self) -> Stop {
        self.watcher.stop()
    }

    fn interrupted(&self) -> bool {
        self.watcher.interrupted() || self.failed.load(Ordering::Relaxed)
    }
}
