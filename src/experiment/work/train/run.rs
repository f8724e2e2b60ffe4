//! Runs the jobs of a training experiment: finished networks are passed over, one that was begun goes on where it stopped.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::bind::{Job, Training};
use super::measure::{Measure, Measured, measure};
use super::measurement::measurement;
use super::state::{self, Finished};
use crate::experiment::cell::Cell;
use crate::experiment::claim::judge;
use crate::experiment::results::folder::{self, EPOCHS, Files, NETWORKS};
use crate::experiment::results::{
    Checkpoint, Measurement, NetworkOutcome, ResultsError, Row, TrainedNetwork, Verdict, epochs_to_csv, networks_to_csv,
};
use crate::experiment::work::{Results, RunError, RunOptions, Watcher, keeps_distributions, measured, rows};
use crate::network::layer::Statistics;
use crate::network::{Parameters, weights};
use crate::training::{BatchModel, EpochReport, Samples, State, Trainer};

/// Stream of a network's initial parameters; those of its epochs follow a key of their own.
const PARAMETERS: u64 = u64::MAX;

/// Where weights are kept, and how.
const WEIGHTS: &str = "weights";
const SAFETENSORS: &str = "safetensors";

/// Samples whose statistics a network before training is measured with.
const CALIBRATION: usize = 256;

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
    pub fn run(&self, folder: &Path, options: RunOptions, watcher: &dyn Watcher) -> Result<Results, RunError> {
        let save = |so_far: &Trainings| {
            // A share has no results.
            if options.share.is_some() {
                return Ok(());
            }
            let results = self.results(so_far.clone());
            let verdicts = judge(&[measured(&self.spec, self.cells(), &results.measurements)]).concat();
            folder::write(folder, &self.spec.heading, &self.files(folder, &results, &verdicts)?)
        };
        self.train(folder, options, watcher, &save).map(|trainings| self.results(trainings))
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

    fn results(&self, trainings: Trainings) -> Results {
        Results { measurements: self.measurements(&trainings), trainings: Some(trainings) }
    }

    /// The same with a function that saves.
    fn train(
        &self,
        folder: &Path,
        options: RunOptions,
        watcher: &dyn Watcher,
        save: &(dyn Fn(&Trainings) -> Result<(), ResultsError> + Sync),
    ) -> Result<Trainings, RunError> {
        let mut results: Trainings = Vec::new();
        // One whose weights are asked for and were not kept is trained again.
        let has_weights =
            |checkpoint: &Checkpoint| !self.spec.work.keep_weights || checkpoint.keeps(WEIGHTS, SAFETENSORS);
        for job in &self.jobs {
            let checkpoint = Checkpoint::new(folder, &job.fingerprint);
            results.push(if options.fresh {
                JobState::Unfinished(Vec::new())
            } else if let Some(finished) =
                Finished::load(&checkpoint, self.spec.observables.len())?.filter(|_| has_weights(&checkpoint))
            {
                JobState::Finished(finished)
            } else {
                let state = state::load(&checkpoint, &job.architecture)?;
                JobState::Unfinished(state.map_or(Vec::new(), |state| state.epochs))
            });
        }
        let takes = options.share.map(|share| share.takes(&self.jobs.iter().map(Job::cost).collect::<Vec<_>>()));
        let is_left =
            |index: &usize| results[*index].finished().is_none() && takes.as_ref().is_none_or(|takes| takes[*index]);
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
        run.all(&left)?;
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
                measurement(Row::of(cell, name), &outcomes, index, measure.quantity.is_share(), distributions)
            };
            observables.map(of).collect::<Vec<_>>()
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

/// A run under way.
struct Run<'a> {
    experiment: &'a Training,
    folder: &'a Path,
    fresh: bool,
    watcher: &'a dyn Watcher,
    save: &'a (dyn Fn(&Trainings) -> Result<(), ResultsError> + Sync),
    /// What there is so far, and when it is to be saved.
    results: Mutex<(Trainings, Instant)>,
    /// The next of the jobs that are left.
    next: AtomicUsize,
    failure: Mutex<Option<RunError>>,
    stopped: AtomicBool,
    /// Cost of all that is done, where that of the whole run's jobs is [`PROGRESS`].
    done: AtomicU64,
    total: f64,
}

/// What progress counts in: parts so small that a step of one network among many is many of them.
const PROGRESS: f64 = 1e15;

impl Run<'_> {
    fn all(&self, left: &[usize]) -> Result<(), RunError> {
        let threads = rayon::current_num_threads();
        if left.len() < threads.max(2) || threads == 1 {
            self.worker(left);
        } else {
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                        Ok(pool) => pool.install(|| self.worker(left)),
                        // Without a pool of its own the thread works on the common one.
                        Err(_) => self.worker(left),
                    });
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
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                self.stopped.store(true, Ordering::Relaxed);
            }
            if self.is_stopped() {
                return;
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.watcher.interrupted()
    }

    /// A share of a job is done.
    fn advance(&self, job: &Job, share: f64) {
        let more = (PROGRESS * share * job.cost() / self.total) as u64;
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        self.watcher.progress(done, PROGRESS as u64);
    }

    fn job(&self, index: usize) -> Result<(), RunError> {
        let experiment = self.experiment;
        let (job, data) = (&experiment.jobs[index], &experiment.data);
        let checkpoint = Checkpoint::new(self.folder, &job.fingerprint);
        let samples = |part: usize| Samples { set: &*job.samples[part], shape: job.architecture.input() };
        let initial = || job.initialisation.draw(&job.architecture, &mut job.key.draw(PARAMETERS));
        let saved = if self.fresh { None } else { state::load(&checkpoint, &job.architecture)? };
        let mut state = saved.unwrap_or_else(|| State::new(&job.architecture, initial()));
        let mut trainer =
            Trainer::new(&job.architecture, job.settings, samples(0), &data.training, &data.validation, job.key);
        let steps = (job.settings.epochs * trainer.steps()).max(1) as f64;
        self.advance(job, state.epochs.len() as f64 / job.settings.epochs as f64);
        while !trainer.is_done(&state) {
            let epoch = format!("{}, epoch {} of {}", job.describe(), state.epochs.len() + 1, job.settings.epochs);
            self.watcher.point(0, 1, &epoch);
            self.advance(job, 0.0);
            let watch = || {
                self.advance(job, 1.0 / steps);
                if self.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let stopped = trainer.epoch(&mut state, watch).is_break();
            if stopped || !trainer.is_done(&state) {
                state::offer(&checkpoint, &state, stopped)?;
            }
            self.keep(index, JobState::Unfinished(state.epochs.clone()))?;
            if stopped {
                return Err(RunError::Interrupted);
            }
            if let Some(epoch) = state.epochs.last() {
                tracing::info!(
                    network = job.describe(),
                    epoch = state.epochs.len(),
                    objective = epoch.objective,
                    accuracy = epoch.validation.accuracy,
                );
            }
        }
        if experiment.spec.work.keep_weights {
            let weights = weights::to_bytes(&job.architecture, &state.best);
            checkpoint.keep(WEIGHTS, SAFETENSORS, &weights.map_err(|error| ResultsError::new(self.folder, error))?)?;
        }
        let outcome = self.measure(job, &state, &initial(), &samples(1));
        if self.watcher.stop().is_asked() {
            // Measured in part at best; trained as it is, it is measured when the run goes on.
            state::offer(&checkpoint, &state, true)?;
            return Err(RunError::Interrupted);
        }
        self.keep(index, JobState::Finished(Finished::save(&checkpoint, outcome, &state.epochs)?))?;
        Ok(())
    }

    /// Takes up what a job has come to, and saves the results if it is time or the run ends here.
    fn keep(&self, index: usize, state: JobState) -> Result<(), ResultsError> {
        let (results, due) = &mut *self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results[index] = state;
        let began = Instant::now();
        if self.is_stopped() || began >= *due {
            (self.save)(results)?;
            *due = Instant::now() + INTERVAL.max(began.elapsed() * PATIENCE);
        }
        Ok(())
    }

    /// The initial parameters with the running statistics of a batch of training samples: before training a network has none.
    fn calibrated(&self, job: &Job, initial: &Parameters<f32>) -> Parameters<f32> {
        let training = &self.experiment.data.training;
        let samples = Samples { set: &*job.samples[0], shape: job.architecture.input() };
        let (mut batch, mut labels) = (Vec::new(), Vec::new());
        samples.write(&training[..CALIBRATION.min(training.len())], &mut batch, &mut labels, |_, _| {});
        let (mut model, mut parameters) = (BatchModel::new(&job.architecture), initial.clone());
        model.load(initial);
        model.forward(&batch);
        model.update_statistics(&mut parameters, 1.0);
        parameters
    }

    /// What is measured of a network, after training and before it.
    fn measure(&self, job: &Job, state: &State, initial: &Parameters<f32>, samples: &Samples<'_>) -> NetworkOutcome {
        let experiment = self.experiment;
        let architecture = |statistics| job.architecture.clone().with_statistics(statistics);
        let indices = &experiment.data.test;
        let (diverged, stop) = (state.diverged(), self.watcher.stop());
        let after = (!diverged).then(|| {
            let quantities = experiment.quantities(false);
            measure(&architecture(Statistics::Running), &state.best, samples, indices, &quantities, job.key, &stop)
        });
        let quantities = experiment.quantities(true);
        let before = (!quantities.is_empty()).then(|| {
            measure(
                &architecture(Statistics::Running),
                &self.calibrated(job, initial),
                samples,
                indices,
                &quantities,
                job.key,
                &stop,
            )
        });
        let means = |measured: &Option<Measured>| measured.as_ref().map_or(Vec::new(), |m| m.means.clone()).into_iter();
        let [mut after_means, mut before_means] = [means(&after), means(&before)];
        let values = experiment.spec.observables.iter().map(|(_, measure)| {
            let value = if measure.initial { before_means.next() } else { after_means.next() };
            value.filter(|value| value.is_finite())
        });
        NetworkOutcome {
            diverged,
            epochs: state.epochs.len(),
            validation_accuracy: state.best_accuracy().max(0.0),
            samples: indices.len(),
            zero_gradients: after.as_ref().map_or(0, |measured| measured.zero_gradients),
            nonfinite_gradients: after.as_ref().map_or(0, |measured| measured.nonfinite_gradients),
            values: values.collect(),
        }
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
        let trainings = training
            .train(folder.path(), RunOptions { fresh: true, ..RunOptions::default() }, &Unwatched, &save)
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
