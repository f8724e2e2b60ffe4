//! From a spec to measurements: binds the points, drives the sampler through them, keeps states and draws.

mod builder;
mod exponent;
mod inputs;
mod point;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ndarray::Array2;

use super::crew::{Crew, PointCrew};
use super::{RunError, RunOptions, Watcher, check, keeps_distributions, measured};
use crate::experiment::cell::Cell;
use crate::experiment::claim::{Measured, is_decided, judge};
use crate::experiment::results::folder::{PointDraws, write_draws};
use crate::experiment::results::names::{DONE, SPEC};
use crate::experiment::results::states::read_table;
use crate::experiment::results::{Checkpoint, Measurement, ResultsError, Row, Verdict, storage};
use crate::experiment::specification::reader::SpecError;
use crate::experiment::specification::{DrawSpec, Spec, names_of};
use crate::experiment::work::Limits;
use crate::observable::Observable;
use crate::sampling::monte_carlo::{BLOCK, Helpers};
use crate::sampling::{Observer, StoppingRule, Tally, monte_carlo};
use crate::short::short;
use crate::statistics::Look;
use crate::statistics::jackknife::{Batches, Replica};
use crate::stop::Stop;
use crate::theory::{MeanField, TheoryKind, TheoryValue};
use point::bind;

pub use builder::ExperimentBuilder;
pub use exponent::fit_exponent;
pub(crate) use inputs::as_seen;
pub use point::{Point, cells};

/// Points, in words, with all their draws one after the other.
type KeptDraws = Vec<(String, Vec<f64>)>;

/// Fewest draws of a first look.
const LEAST_LOOK: u64 = 256;

/// File of all draws in a results folder.
const DRAWS: &str = "draws.npz";

/// A spec of networks at initialisation with its points, checked and ready to be drawn.
pub struct Drawing {
    /// The spec.
    pub spec: Spec<DrawSpec>,
    /// Networks in order, each at every point of the grid.
    pub(crate) points: Vec<Point>,
}

impl Drawing {
    /// Opens the data and binds every point.
    ///
    /// # Errors
    /// The first thing in the spec or its data that is not allowed; nothing was written.
    pub fn prepare(spec: Spec<DrawSpec>, limits: &Limits) -> Result<Self, SpecError> {
        let source = inputs::open(&spec)?;
        let points = bind(&spec, &source, limits)?;
        check(&spec, &points.iter().map(|point| &point.cell).collect::<Vec<_>>())?;
        Ok(Self { spec, points })
    }

    /// The networks at the points of the sweep.
    pub fn cells(&self) -> Vec<&Cell> {
        self.points.iter().map(|point| &point.cell).collect()
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
    pub fn costs(&self) -> Vec<f64> {
        self.points.iter().map(|point| point.sampler.cost() * self.spec.work.rule.maximum() as f64).collect()
    }

    /// Bytes that the networks of so many threads hold, at most.
    pub fn bytes(&self, threads: usize) -> u64 {
        let most = self.points.iter().map(|point| point.sampler.bytes_per_worker()).max().unwrap_or(0);
        most.saturating_mul(threads as u64)
    }

    /// Bytes that `--keep-draws` would hold, at most.
    pub fn bytes_of_draws(&self) -> u64 {
        self.spec
            .work
            .rule
            .maximum()
            .saturating_mul((self.points.len() * self.spec.observables.len() * size_of::<f64>()) as u64)
    }

    /// Samples every point on the threads of the current pool; `folder` is where states and draws are kept.
    ///
    /// # Errors
    /// Interrupted, or states or draws could not be read or written.
    pub fn run(
        &self,
        folder: &Path,
        options: RunOptions,
        watcher: &dyn Watcher,
        crew: Option<Crew<'_>>,
    ) -> Result<Vec<Measurement>, RunError> {
        let draws = folder.join(DRAWS);
        let is_same = || read_table(&folder.join(SPEC)).is_ok_and(|spec| spec.as_ref() == Some(&self.spec.resolved));
        if !options.keep_draws && draws.exists() && !is_same() {
            // Draws of another run do not belong to these results.
            storage::remove(&draws)?;
        }
        let (measurements, kept) = self.sample(Some(folder), options, watcher, crew)?;
        if options.keep_draws {
            let observables = names_of(&self.spec.observables);
            let shaped = |((name, draws), point): ((String, Vec<f64>), &Point)| {
                let array = Array2::from_shape_vec((draws.len() / observables.len(), observables.len()), draws);
                let values =
                    array.map_err(|error| ResultsError::new(folder, format!("draws are not whole: {error}")))?;
                Ok(PointDraws { name, network: point.cell.network.clone(), values })
            };
            let kept = kept.into_iter().zip(&self.points).map(shaped).collect::<Result<Vec<_>, ResultsError>>()?;
            write_draws(&draws, &observables, &kept)?;
        }
        Ok(measurements)
    }

    /// Samples every point and judges the claims, without a file.
    ///
    /// # Errors
    /// Interrupted.
    pub fn judged(&self, watcher: &dyn Watcher) -> Result<Vec<Verdict>, RunError> {
        Ok(judge(&[self.measured(&self.measurements(watcher)?)]).concat())
    }

    /// Samples every point, without a file.
    ///
    /// # Errors
    /// Interrupted.
    pub fn measurements(&self, watcher: &dyn Watcher) -> Result<Vec<Measurement>, RunError> {
        let (measurements, _) = self.sample(None, RunOptions::default(), watcher, None)?;
        Ok(measurements)
    }

    /// What the judge sees of measurements.
    pub fn measured<'a>(&'a self, measurements: &'a [Measurement]) -> Measured<'a> {
        measured(&self.spec, self.cells(), measurements)
    }

    /// The measurements, and every draw of each point where they are kept.
    fn sample(
        &self,
        folder: Option<&Path>,
        options: RunOptions,
        watcher: &dyn Watcher,
        crew: Option<Crew<'_>>,
    ) -> Result<(Vec<Measurement>, KeptDraws), RunError> {
        let run = Sampling { drawing: self, folder, options, watcher, crew };
        if self.spec.work.decides { run.until_decided() } else { run.to(self.spec.work.rule, None) }
    }

    /// The tally of no draws, with batches where statistics are asked for.
    fn nothing(&self) -> Tally {
        let tally = Tally::new(self.spec.observables.len());
        if self.spec.statistics.is_empty() {
            return tally;
        }
        let quantiles = |(name, _): &(String, Observable)| {
            self.spec.statistics.iter().any(|statistic| statistic.needs_quantiles(name))
        };
        tally.with_batches(self.spec.observables.iter().map(quantiles).collect())
    }

    /// Adds the statistics of a point, whose observables were measured last.
    fn add_statistics(&self, point: &Point, batches: Option<&Batches>, measurements: &mut Vec<Measurement>) {
        let Some(batches) = batches else { return };
        let first = measurements.len() - self.spec.observables.len();
        let (names, variables) = (names_of(&self.spec.observables), point.variables_with_dimension());
        let replicas = batches.replicas();
        for statistic in &self.spec.statistics {
            let value = |replica: &Replica<'_>| statistic.of_draws(replica, &names, &variables);
            let jackknife = replicas.as_ref().map(|replicas| replicas.jackknife(value));
            let of =
                measurements[first..].iter().filter(|of| statistic.observables().any(|name| name == of.row.observable));
            let measurement = Measurement::of_statistic(Row::of(point, &statistic.name), jackknife, of);
            measurements.push(measurement);
        }
    }
}

/// What there is of a point.
#[derive(Default)]
struct Begun {
    /// What was drawn.
    tally: Option<Tally>,
    /// Draws of the state on disk, which no shorter one replaces.
    on_disk: u64,
}

impl Begun {
    /// The same for a run of at most so many draws: one of more is no state of fewer, and is kept for when as many are asked for.
    fn within(self, most: u64) -> Self {
        Self { tally: self.tally.filter(|tally| tally.draws <= most), ..self }
    }
}

/// A run of all points.
#[derive(Clone, Copy)]
struct Sampling<'a> {
    drawing: &'a Drawing,
    folder: Option<&'a Path>,
    options: RunOptions,
    watcher: &'a dyn Watcher,
    crew: Option<Crew<'a>>,
}

impl Sampling<'_> {
    /// Draws every point in turn, from what is begun or from the states that were saved; what was drawn takes the place of what was begun.
    fn to(
        &self,
        rule: StoppingRule,
        mut begun: Option<&mut [Begun]>,
    ) -> Result<(Vec<Measurement>, KeptDraws), RunError> {
        let Self { drawing, options, watcher, .. } = *self;
        let (mut measurements, mut kept) = (Vec::new(), Vec::new());
        let distributions = keeps_distributions(&drawing.spec.claims);
        let takes = options.share.map(|share| share.takes(&drawing.costs()));
        for (index, point) in drawing.points.iter().enumerate() {
            if takes.as_ref().is_some_and(|takes| !takes[index]) {
                continue;
            }
            watcher.point(index, drawing.points.len(), &point.describe());
            let observer = self.observer(point);
            let crew = self.crew.map(|crew| PointCrew { crew, point: index });
            let helpers = crew.as_ref().map(|crew| crew as &dyn Helpers);
            let Begun { tally: start, on_disk } = match &mut begun {
                Some(begun) => std::mem::take(&mut begun[index]),
                None => self.saved(&observer)?.within(rule.maximum()),
            };
            observer.saved.store(on_disk, Ordering::Relaxed);
            let tally = self.point(point, rule, start, &observer, helpers)?;
            if let Some(begun) = &mut begun {
                begun[index] = Begun { tally: Some(tally.clone()), on_disk: observer.saved.load(Ordering::Relaxed) };
            }
            if let Some(draws) = observer.draws {
                kept.push((point.describe(), draws.into_inner().unwrap_or_else(PoisonError::into_inner)));
            }
            for ((row, summary), theory) in drawing.rows(point).zip(tally.summaries).zip(&point.theory) {
                measurements.push(Measurement::new(row, summary, *theory, distributions));
            }
            drawing.add_statistics(point, tally.batches.as_ref(), &mut measurements);
        }
        Ok((measurements, kept))
    }

    /// Draws until a look finds every claim decided. A look that the saved states have passed was taken, and did not.
    fn until_decided(&self) -> Result<(Vec<Measurement>, KeptDraws), RunError> {
        let drawing = self.drawing;
        let most = drawing.spec.work.rule.maximum();
        let saved = |point: &Point| Ok(self.saved(&self.observer(point))?.within(most));
        let mut begun = drawing.points.iter().map(saved).collect::<Result<Vec<Begun>, RunError>>()?;
        let farthest = begun.iter().filter_map(|begun| Some(begun.tally.as_ref()?.draws)).max().unwrap_or(0);
        // Draws are kept once it is known how many there are.
        let looking = Self { options: RunOptions { keep_draws: false, ..self.options }, ..*self };
        let mut decided = (Vec::new(), Vec::new());
        for look in Look::all(most, BLOCK, LEAST_LOOK) {
            if look.count < farthest && !look.is_last() {
                continue;
            }
            let rule = StoppingRule::Draws(look.count);
            decided = looking.to(rule, Some(&mut begun))?;
            decided.0.iter_mut().for_each(|measurement| measurement.look = Some(look));
            if look.is_last() || is_decided(&measured(&drawing.spec, drawing.cells(), &decided.0)) {
                if self.options.keep_draws {
                    decided.1 = self.to(rule, None)?.1;
                }
                break;
            }
        }
        Ok(decided)
    }

    fn observer(&self, point: &Point) -> PointObserver<'_> {
        let Self { drawing, folder, options, watcher, .. } = *self;
        PointObserver {
            watcher,
            checkpoint: folder
                .map(|folder| Checkpoint::new(folder, &point.fingerprint).keeping_all(options.share.is_some())),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
            saved: AtomicU64::default(),
            draws: options.keep_draws.then(|| Mutex::new(Vec::new())),
            observables: drawing.spec.observables.len(),
        }
    }

    /// The state of a point that was saved and serves.
    fn saved(&self, observer: &PointObserver<'_>) -> Result<Begun, RunError> {
        let Self { drawing, options, .. } = *self;
        if options.fresh || options.keep_draws {
            return Ok(Begun::default());
        }
        let wanted = drawing.nothing().batches;
        // One without what statistics need is begun again.
        let serves = |tally: &Tally| match (&wanted, &tally.batches) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wanted), Some(batches)) => batches.keep_what(wanted) && batches.draws() == tally.draws,
        };
        let saved = observer.load()?.filter(serves);
        let on_disk = saved.as_ref().map_or(0, |tally| tally.draws);
        let tally = saved.map(|tally| Tally { batches: tally.batches.filter(|_| wanted.is_some()), ..tally });
        Ok(Begun { tally, on_disk })
    }

    fn point(
        &self,
        point: &Point,
        rule: StoppingRule,
        start: Option<Tally>,
        observer: &PointObserver<'_>,
        helpers: Option<&dyn Helpers>,
    ) -> Result<Tally, RunError> {
        if let Some(tally) = &start {
            tracing::info!(point = point.describe(), draws = tally.draws, "goes on");
        }
        let start = start.unwrap_or_else(|| self.drawing.nothing());
        let tally = monte_carlo::run_with(point.sampler.as_ref(), &point.key, rule, start, observer, helpers);
        if let Some(failure) = observer.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(failure.into());
        }
        tally.ok_or(RunError::Interrupted)
    }
}

/// The rows that theory alone gives, at every point; neither data nor memory is needed. And, in words, the means that they leave
/// out because they are beyond double precision, where deep networks come to whose limit mean-field theory knows, and why there is no value.
///
/// # Errors
/// The first size, shape or variance that is not allowed.
pub fn theory_rows(spec: &Spec<DrawSpec>) -> Result<(Vec<Row>, Vec<String>), SpecError> {
    let (mut rows, mut notes, mut reasons) = (Vec::new(), Vec::new(), HashSet::new());
    for cell in cells(spec)? {
        let cell = cell.with_theory(spec.observables.iter().map(|(_, observable)| observable));
        rows.extend(blank_rows(spec, &cell));
        notes.extend(beyond_double(spec, &cell));
        notes.extend(phase(spec, &cell));
        // Mostly the same at every point of a sweep.
        notes.extend(gaps(spec, &cell).into_iter().filter(|reason| reasons.insert(reason.clone())));
    }
    Ok((rows, notes))
}

/// In words, why a network has no theoretical mean of some observables, a sentence for each reason.
fn gaps(spec: &Spec<DrawSpec>, cell: &Cell) -> Vec<String> {
    let empty = || spec.observables.iter().zip(&cell.theory).filter(|(_, theory)| theory.is_none()).map(|(one, _)| one);
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for ((name, _), reason) in empty().zip(cell.no_theory(empty().map(|(_, observable)| observable))) {
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name),
            None => reasons.push((reason, vec![name])),
        }
    }
    let words = |(reason, names): (String, Vec<&str>)| {
        format!("{}: no value for {} of {}: {reason}", spec.name, names.join(", "), cell.network)
    };
    reasons.into_iter().map(words).collect()
}

/// In words, the theoretical means that are beyond double precision.
fn beyond_double(spec: &Spec<DrawSpec>, cell: &Cell) -> Vec<String> {
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

/// Of a network whose means are those of the limit of wide layers, in words where that leads as layers are added.
fn phase(spec: &Spec<DrawSpec>, cell: &Cell) -> Option<String> {
    let is_limit = |value: &TheoryValue| value.kind == TheoryKind::MeanField;
    if !cell.theory.iter().flatten().any(is_limit) {
        return None;
    }
    let limit = MeanField::new(&cell.architecture, &cell.initialisation, cell.input?.mean_square?)?;
    let last = limit.layers.last()?;
    // Four digits.
    let number = |value: f64| short(format!("{value:.3e}").parse::<f64>().unwrap_or(value));
    let [weight, bias, variance] = [last.weight, last.bias, last.variance].map(number);
    let place = format!(
        "{}: mean-field limit of {}, last hidden layer: σ_w² = {weight}, σ_b² = {bias}, q = {variance}",
        spec.name,
        cell.describe()
    );
    Some(match last.fixed_point() {
        Some(point) => {
            let [q, chi] = [point.variance, point.chi].map(number);
            format!("{place}; more layers like it lead to q = {q} with χ = {chi}, {}", point.phase().name())
        }
        None => format!("{place}; with more layers like it q has no limit above zero"),
    })
}

fn blank_rows<'a>(spec: &'a Spec<DrawSpec>, cell: &'a Cell) -> impl Iterator<Item = Row> + 'a {
    let rows = spec.observables.iter().zip(&cell.theory);
    rows.map(|((name, _), theory)| Row::of(cell, name).with_theory(*theory))
}

/// Passes the driver's news to the watcher and keeps states and draws.
struct PointObserver<'a> {
    watcher: &'a dyn Watcher,
    /// Where states are kept, if they are.
    checkpoint: Option<Checkpoint>,
    /// The first state that could not be saved; it stops the run.
    failure: Mutex<Option<ResultsError>>,
    /// Whether there is a failure: looked at before every draw.
    failed: AtomicBool,
    /// Draws of the state on disk, which no shorter one replaces.
    saved: AtomicU64,
    draws: Option<Mutex<Vec<f64>>>,
    /// How many there are of each draw.
    observables: usize,
}

impl PointObserver<'_> {
    /// The state that was saved, if there is one.
    fn load(&self) -> Result<Option<Tally>, ResultsError> {
        let Some(checkpoint) = &self.checkpoint else { return Ok(None) };
        checkpoint.load(DONE, |body| {
            let tally: Tally = serde_json::from_slice(body).map_err(|error| error.to_string())?;
            tally.check(self.observables).map(|()| tally)
        })
    }

    /// Saves a state when it is due.
    fn offer(&self, tally: &Tally, last: bool) -> Result<(), ResultsError> {
        let Some(checkpoint) = &self.checkpoint else { return Ok(()) };
        let saved = self.saved.load(Ordering::Relaxed);
        // A share says of all its points that they are done, also of those without a whole block.
        let is_longer = tally.draws > saved || (last && checkpoint.keeps_all() && tally.draws == saved);
        if !is_longer || !checkpoint.is_due(last) {
            return Ok(());
        }
        checkpoint.save_as_json(DONE, tally)?;
        self.saved.store(tally.draws, Ordering::Relaxed);
        Ok(())
    }
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
        if let Err(error) = self.offer(tally, last) {
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
