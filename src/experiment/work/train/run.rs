//! Runs the jobs of a training experiment: finished networks are passed over, one that was begun goes on where it stopped.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::bind::{Job, Training};
use super::measure::Measure;
use super::measurement::measurement;
use super::one::{Desk, Trained};
use super::state::{self, Finished};
use crate::experiment::cell::Cell;
use crate::experiment::claim::{is_decided, judge};
use crate::experiment::results::folder::{self, Files};
use crate::experiment::results::kept;
use crate::experiment::results::names::{EPOCHS, NETWORKS};
use crate::experiment::results::{
    Checkpoint, Measurement, NetworkOutcome, ResultsError, Row, TrainedNetwork, Verdict, epochs_to_csv, networks_to_csv,
};
use crate::experiment::specification::{StatisticSpec, names_of};
use crate::experiment::work::crew::Crew;
use crate::experiment::work::{Results, RunError, RunOptions, Watcher, keeps_distributions, measured, rows};
use crate::statistics::Look;
use crate::stop::Stop;
use crate::training::{EpochReport, State};

/// Least time between two savings of early results.
const INTERVAL: Duration = Duration::from_secs(2);

/// Times as long as saving early results took, until they are saved again: all files are written and all networks judged, which takes
/// the longer the more networks there are.
const PATIENCE: u32 = 20;

/// What the trainings have come to, job by job.
pub type Trainings = Vec<JobState>;

/// What became of a job so far.
#[derive(Debug, Clone, PartialEq)]
pub enum JobState {
    /// The epochs that were run; none before it is begun.
    Unfinished(Vec<EpochReport>),
    /// Trained and measured.
    Finished(Finished),
}

impl JobState {
    fn finished(&self) -> Option<&Finished> {
        match self {
            Self::Unfinished(_) => None,
            Self::Finished(finished) => Some(finished),
        }
    }

    fn history(&self) -> Vec<EpochReport> {
        match self {
            Self::Unfinished(epochs) => epochs.clone(),
            Self::Finished(finished) => finished.history(),
        }
    }
}

impl Training {
    /// Trains every network that is not finished, side by side on the threads of the current pool where there are as many
    /// networks left as threads, else one after the other on all of them; numbers do not depend on it. What there is so far is saved
    /// into `folder` now and then, seldom enough that it takes a small share of the time, and when the run is stopped, with verdicts
    /// that know of this experiment alone; every network that is finished has a state of its own.
    ///
    /// # Errors
    /// Interrupted, or a file could not be read or written; states are saved.
    pub fn run(
        &self,
        folder: &Path,
        options: RunOptions,
        watcher: &dyn Watcher,
        crew: Option<Crew<'_>>,
    ) -> Result<Results, RunError> {
        if self.spec.work.decides {
            return self.until_decided(folder, options, watcher, crew);
        }
        let begun = self.begun(folder, options)?;
        let part = Part { folder, options, repeats: usize::MAX, look: None };
        let trained = self.train(part, begun, watcher, crew, &|so_far| self.save_early(&part, so_far))?;
        Ok(self.results(trained, None))
    }

    /// Trains more and more repetitions until a look finds every claim decided. A look that saved networks have passed was taken, and
    /// did not.
    fn until_decided(
        &self,
        folder: &Path,
        options: RunOptions,
        watcher: &dyn Watcher,
        crew: Option<Crew<'_>>,
    ) -> Result<Results, RunError> {
        let begun = self.begun(folder, options)?;
        let is_begun = |state: &JobState| *state != JobState::Unfinished(Vec::new());
        let jobs = self.jobs.iter().zip(&begun).filter(|(_, state)| is_begun(state));
        let farthest = jobs.map(|(job, _)| job.repeat as u64 + 1).max().unwrap_or(0);
        let mut results = self.results(begun, None);
        for look in Look::all(self.spec.work.repeats as u64, 1, 2) {
            if look.count < farthest && !look.is_last() {
                continue;
            }
            let part = Part { folder, options, repeats: look.count as usize, look: Some(look) };
            let so_far = results.trainings.take().unwrap_or_default();
            let trained = self.train(part, so_far, watcher, crew, &|so_far| self.save_early(&part, so_far))?;
            results = self.results(trained, Some(look));
            if look.is_last() || is_decided(&measured(&self.spec, self.cells(), &results.measurements)) {
                break;
            }
        }
        Ok(results)
    }

    /// The files of what there is so far: of finished networks `networks.csv`, and of all epochs `epochs.csv`, beside those of every
    /// experiment.
    ///
    /// # Errors
    /// The spec or a verdict has no text.
    pub fn files(&self, folder: &Path, results: &Results, verdicts: &[Verdict]) -> Result<Files, ResultsError> {
        let trainings = results.trainings.as_deref().unwrap_or_default();
        let networks = networks_to_csv(&self.spec, &self.networks(trainings));
        let epochs = epochs_to_csv(&self.spec, self.histories(trainings));
        let mut files = folder::files(folder, &self.spec, &rows(&results.measurements), verdicts)?;
        files.extend([(NETWORKS.to_owned(), networks.into_bytes()), (EPOCHS.to_owned(), epochs.into_bytes())]);
        Ok(files)
    }

    fn results(&self, trainings: Trainings, look: Option<Look>) -> Results {
        let mut measurements = self.measurements(&trainings);
        measurements.iter_mut().for_each(|measurement| measurement.look = look);
        Results { measurements, trainings: Some(trainings), provenance: None }
    }

    /// Saves what there is so far, with verdicts that know of this experiment alone.
    fn save_early(&self, part: &Part<'_>, so_far: &Trainings) -> Result<(), ResultsError> {
        // A share has no results.
        if part.options.share.is_some() {
            return Ok(());
        }
        let results = self.results(so_far.clone(), part.look);
        let verdicts = judge(&[measured(&self.spec, self.cells(), &results.measurements)]).concat();
        folder::write(part.folder, &self.spec.heading, &self.files(part.folder, &results, &verdicts)?)
    }

    /// What the states of an earlier run say of each job.
    fn begun(&self, folder: &Path, options: RunOptions) -> Result<Trainings, ResultsError> {
        let mut results: Trainings = Vec::new();
        // One whose weights are asked for and were not kept is trained again.
        let has_weights = |job: &Job| self.kept(job).is_none_or(|kept| kept.is_kept(folder));
        let own: HashSet<&str> = self.jobs.iter().map(|job| job.fingerprint.as_str()).collect();
        kept::remove_stale(folder, |fingerprint| own.contains(fingerprint))?;
        for job in &self.jobs {
            let checkpoint = Checkpoint::new(folder, &job.fingerprint);
            results.push(if options.fresh {
                JobState::Unfinished(Vec::new())
            } else if let Some(finished) =
                Finished::load(&checkpoint, self.spec.observables.len())?.filter(|_| has_weights(job))
            {
                JobState::Finished(finished)
            } else {
                let state = state::load(&checkpoint, &job.architecture)?;
                JobState::Unfinished(state.map_or(Vec::new(), |state| state.epochs))
            });
        }
        Ok(results)
    }

    /// Trains the jobs of a part that are not finished.
    fn train(
        &self,
        part: Part<'_>,
        results: Trainings,
        watcher: &dyn Watcher,
        crew: Option<Crew<'_>>,
        save: &(dyn Fn(&Trainings) -> Result<(), ResultsError> + Sync),
    ) -> Result<Trainings, RunError> {
        let Part { folder, options, repeats, .. } = part;
        let takes = options.share.map(|share| share.takes(&self.jobs.iter().map(Job::cost).collect::<Vec<_>>()));
        let is_left = |index: &usize| {
            results[*index].finished().is_none()
                && self.jobs[*index].repeat < repeats
                && takes.as_ref().is_none_or(|takes| takes[*index])
        };
        let mut left: Vec<usize> = (0..self.jobs.len()).filter(is_left).collect();
        let finished = self.jobs.iter().zip(&results).filter(|(_, state)| state.finished().is_some());
        let finished: Vec<&Job> = finished.map(|(job, _)| job).collect();
        // Long ones first, so that at the end no thread waits long for another.
        left.sort_by(|&a, &b| self.jobs[b].cost().total_cmp(&self.jobs[a].cost()));
        let total: f64 = self.jobs.iter().map(Job::cost).sum();
        let run = Run {
            experiment: self,
            folder,
            fresh: options.fresh,
            watcher,
            save,
            results: Mutex::new((results, Instant::now() + INTERVAL)),
            next: AtomicUsize::new(0),
            failure: Mutex::new(None),
            stopped: AtomicBool::new(false),
            done: AtomicU64::new(0),
            total,
        };
        finished.iter().for_each(|job| run.advance(job, 1.0));
        run.all(&left, crew)?;
        Ok(run.results.into_inner().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// The networks that are finished, cell by cell and repetition by repetition.
    pub fn networks(&self, results: &[JobState]) -> Vec<TrainedNetwork> {
        let network = |cell: &Cell, repeat: usize, job: usize| {
            Some(TrainedNetwork {
                label: cell.network.clone(),
                variables: cell.variables.clone(),
                repeat,
                dimension: cell.dimension(),
                outcome: results[job].finished()?.outcome.clone(),
            })
        };
        let of_cell = |(cell, jobs): (&Cell, &[usize])| {
            jobs.iter().enumerate().filter_map(|(repeat, &job)| network(cell, repeat, job)).collect::<Vec<_>>()
        };
        self.trainings().flat_map(of_cell).collect()
    }

    /// What was measured so far, cell by cell, of every observable.
    pub fn measurements(&self, results: &[JobState]) -> Vec<Measurement> {
        let distributions = keeps_distributions(&self.spec.claims);
        let of_cell = |(cell, jobs): (&Cell, &[usize])| {
            let outcomes: Vec<(usize, Option<&NetworkOutcome>)> =
                jobs.iter().map(|&job| (job, results[job].finished().map(|finished| &finished.outcome))).collect();
            let observables = self.spec.observables.iter().enumerate();
            let of = |(index, (name, measure)): (usize, &(String, Measure))| {
                let value = |outcome: &NetworkOutcome| outcome.value(index);
                measurement(Row::of(cell, name), &outcomes, value, measure.quantity.is_share(), distributions)
            };
            let (names, variables) = (names_of(&self.spec.observables), cell.variables_with_dimension());
            let of_means = |statistic: &StatisticSpec| {
                let value = |outcome: &NetworkOutcome| {
                    let mean =
                        |name: &str| names.iter().position(|known| *known == name).map(|index| outcome.value(index));
                    statistic.of_means(|name| mean(name).unwrap_or(f64::NAN), &variables)
                };
                measurement(Row::of(cell, &statistic.name), &outcomes, value, false, distributions)
            };
            observables.map(of).chain(self.spec.statistics.iter().map(of_means)).collect::<Vec<_>>()
        };
        self.trainings().flat_map(of_cell).collect()
    }

    /// How the training of every network went so far.
    pub fn histories<'a>(
        &'a self,
        results: &'a [JobState],
    ) -> impl Iterator<Item = (&'a str, &'a [(String, f64)], usize, Vec<EpochReport>)> {
        let of_cell = |(cell, jobs): (&'a Cell, &'a [usize])| {
            let jobs = jobs.iter().enumerate();
            jobs.map(|(repeat, &job)| (&*cell.network, &*cell.variables, repeat, results[job].history()))
        };
        self.trainings().flat_map(of_cell)
    }
}

/// What is trained of an experiment, and where.
#[derive(Clone, Copy)]
struct Part<'a> {
    folder: &'a Path,
    options: RunOptions,
    /// Repetitions, of each cell the first.
    repeats: usize,
    /// The look at the claims that comes after them, where there are several.
    look: Option<Look>,
}

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) experiment: &'a Training,
    pub(super) folder: &'a Path,
    pub(super) fresh: bool,
    watcher: &'a dyn Watcher,
    save: &'a (dyn Fn(&Trainings) -> Result<(), ResultsError> + Sync),
    /// What there is so far, and when it is to be saved.
    results: Mutex<(Trainings, Instant)>,
    /// The next of the jobs that are left.
    pub(super) next: AtomicUsize,
    failure: Mutex<Option<RunError>>,
    stopped: AtomicBool,
    /// Cost of all that is done, where that of the whole run's jobs is [`PROGRESS`].
    done: AtomicU64,
    total: f64,
}

/// What progress counts in: parts so small that a step of one network among many is many of them.
const PROGRESS: f64 = 1e15;

impl Run<'_> {
    fn all(&self, left: &[usize], crew: Option<Crew<'_>>) -> Result<(), RunError> {
        let threads = rayon::current_num_threads();
        let side_by_side = left.len() >= threads.max(2) && threads > 1;
        if !side_by_side && crew.is_none() {
            self.worker(left);
        } else {
            std::thread::scope(|scope| {
                for _ in 0..if side_by_side { threads } else { 1 } {
                    scope.spawn(|| match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                        Ok(pool) if side_by_side => pool.install(|| self.worker(left)),
                        // One after the other, or without a pool of its own, the thread works on the common one.
                        _ => self.worker(left),
                    });
                }
                if let Some(crew) = crew
                    && let Err(error) = self.lead(left, crew)
                {
                    self.fail(error.into());
                }
            });
        }
        if let Some(failure) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(failure);
        }
        // Stopped between two networks.
        let (results, _) = &*self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if left.iter().any(|&index| results[index].finished().is_none()) { Err(RunError::Interrupted) } else { Ok(()) }
    }

    /// Trains jobs until none is left or the run stops.
    fn worker(&self, left: &[usize]) {
        while let Some(&index) = left.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = self.job(index) {
                self.fail(error);
            }
            if self.is_stopped() {
                return;
            }
        }
    }

    /// The first failure is the run's, and ends it.
    fn fail(&self, error: RunError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.watcher.interrupted()
    }

    /// A share of a job is done.
    pub(super) fn advance(&self, job: &Job, share: f64) {
        let more = (PROGRESS * share * job.cost() / self.total) as u64;
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        self.watcher.progress(done, PROGRESS as u64);
    }

    fn job(&self, index: usize) -> Result<(), RunError> {
        let job = &self.experiment.jobs[index];
        let desk = Here { run: self, index, checkpoint: Checkpoint::new(self.folder, &job.fingerprint) };
        let saved = if self.fresh { None } else { state::load(&desk.checkpoint, &job.architecture)? };
        let trained = self.experiment.train_one(job, saved, &desk)?;
        self.finish(index, &desk.checkpoint, trained)?;
        Ok(())
    }

    /// Keeps what a trained network came to.
    pub(super) fn finish(&self, index: usize, checkpoint: &Checkpoint, trained: Trained) -> Result<(), ResultsError> {
        if let (Some(kept), Some(weights)) = (self.experiment.kept(&self.experiment.jobs[index]), &trained.weights) {
            kept.keep(self.folder, weights)?;
        }
        self.keep(index, JobState::Finished(Finished::save(checkpoint, trained.outcome, &trained.epochs)?))
    }

    /// Takes up what a job has come to, and saves the results if it is time or the run ends here.
    pub(super) fn keep(&self, index: usize, state: JobState) -> Result<(), ResultsError> {
        let (results, due) = &mut *self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results[index] = state;
        let began = Instant::now();
        if self.is_stopped() || began >= *due {
            (self.save)(results)?;
            *due = Instant::now() + INTERVAL.max(began.elapsed() * PATIENCE);
        }
        Ok(())
    }
}

/// A network that is trained in this process, whose states are kept in the results folder.
struct Here<'r> {
    run: &'r Run<'r>,
    index: usize,
    checkpoint: Checkpoint,
}

impl Desk for Here<'_> {
    fn is_stopped(&self) -> bool {
        self.run.is_stopped()
    }

    fn stop(&self) -> Stop {
        self.run.watcher.stop()
    }

    fn begins(&self, description: &str) {
        self.run.watcher.point(0, 1, description);
    }

    fn advance(&self, share: f64) {
        self.run.advance(&self.run.experiment.jobs[self.index], share);
    }

    fn epoch(&self, state: &State, at_once: bool) -> Result<(), ResultsError> {
        state::offer(&self.checkpoint, state, at_once)?;
        self.run.keep(self.index, JobState::Unfinished(state.epochs.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::AnySpec;
    use crate::experiment::specification::load::parse;
    use crate::experiment::work::{Limits, Unwatched};

    const SPEC: &str = r#"
        name = "many"
        repeats = 80
        observables = ["accuracy"]
        sweep = { strength = [0.001, 0.002, 0.004] }
        data = { set = "synthetic", side = 4, samples = 60, validation = 10, test = 10 }
        training = { epochs = 1, batch = 25, rate = 0.1 }
        [[method]]
        objective = "plain"
        [[method]]
        objective = "gradient-penalty"
        norm = 1
        strength = "strength"
        [[network]]
        input = [48]
        layers = [{ type = "dense", units = 10 }]
    "#;

    fn training(spec: &str) -> Training {
        let AnySpec::Train(spec) = parse("many.toml", spec, &[]).unwrap() else { panic!("trained networks") };
        Training::prepare(*spec, &Limits { threads: 2, memory: 1 << 30 }).unwrap()
    }

    /// However many networks there are, writing what there is so far takes a small share of the time: once in two seconds at most.
    /// Plain networks do not depend on the strength: they are trained once for all three, and stand at each.
    #[test]
    fn networks_are_trained_once_and_early_results_are_saved_now_and_then() {
        let (training, folder) = (training(SPEC), tempfile::tempdir().unwrap());
        assert_eq!((training.jobs.len(), training.cells.len()), (80 + 3 * 80, 6));
        let (saved, began) = (AtomicUsize::new(0), Instant::now());
        let save = |_: &Trainings| {
            saved.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let options = RunOptions { fresh: true, ..RunOptions::default() };
        let part = Part { folder: folder.path(), options, repeats: usize::MAX, look: None };
        let trainings = training
            .train(part, training.begun(folder.path(), part.options).unwrap(), &Unwatched, None, &save)
            .unwrap();
        let networks = training.networks(&trainings);
        assert_eq!(networks.len(), 480);
        let plain = |point: usize| networks[80 * point..80 * (point + 1)].iter().map(|network| &network.outcome);
        assert!(plain(0).eq(plain(1)) && plain(0).eq(plain(2)));
        let saved = saved.into_inner();
        assert!(saved as u64 <= began.elapsed().as_secs() / 2, "{saved} savings");
    }

    #[test]
    fn memory_is_looked_at_before_anything_is_trained() {
        let AnySpec::Train(spec) = parse("many.toml", SPEC, &[]).unwrap() else { panic!("trained networks") };
        let error = Training::prepare(*spec, &Limits { threads: 2, memory: 1 << 10 }).unwrap_err().to_string();
        assert!(error.contains("network.0.layers") && error.contains("raise --memory"), "{error}");
    }
}
