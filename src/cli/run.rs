//! `gradlaw verify` and `gradlaw run`: check every spec, sample, judge all claims together, save, print.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use gradlaw::experiment::load::AnySpec;
use gradlaw::experiment::reader::Origin;
use gradlaw::experiment::results::{Measurement, ResultsError, Sampled};
use gradlaw::experiment::trained::TrainingExperiment;
use gradlaw::experiment::{
    Experiment, Measured, Outcome, Row, RunError, RunOptions, Verdict, catalogue, format, judge, load, save,
};

use gradlaw::sampling::StoppingRule;

use super::failure::Failure;
use super::progress::Progress;
use super::table::{self, Section};
use super::terminal::Terminal;
use super::{Common, Sampling, interrupt, report, train};

/// An experiment of the run, or why it is left out.
enum Entry {
    Ready(Box<Experiment>),
    Training(Box<TrainingExperiment>),
    Skipped { name: String, reason: String },
}

/// `gradlaw verify`: the exit status says whether every claim holds.
pub fn verify(
    specs: &[String],
    sampling: &Sampling,
    common: &Common,
    terminal: &Terminal,
) -> Result<ExitCode, Failure> {
    let verdicts = perform(&default_specs(specs, terminal), sampling, common, terminal, true)?;
    let all_hold = verdicts.iter().all(|verdict| verdict.verdict == Outcome::Holds);
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// `gradlaw run`: the exit status does not depend on the verdicts.
pub fn run(specs: &[String], sampling: &Sampling, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    perform(specs, sampling, common, terminal, false)?;
    Ok(ExitCode::SUCCESS)
}

/// The given specs; else those of the working folder's `experiments`; else all that ship; but for those that train. Which of them is
/// said where none is given.
fn default_specs(specs: &[String], terminal: &Terminal) -> Vec<String> {
    if !specs.is_empty() {
        return specs.to_vec();
    }
    let mut here = catalogue::specs_in(Path::new("."));
    catalogue::sort_as_shipped(&mut here);
    let here = here.iter().map(|path| path.to_string_lossy().into_owned());
    let here: Vec<String> = here.filter(|path| !trains(path)).collect();
    if here.is_empty() {
        let names = catalogue::SHIPPED.iter().map(|shipped| shipped.name.to_owned());
        let shipped: Vec<String> = names.filter(|name| !trains(name)).collect();
        terminal.note(&format!(
            "no spec is named: takes the {} that ship, for there is none in experiments/",
            shipped.len()
        ));
        return shipped;
    }
    terminal.note(&format!("no spec is named: takes the {} in experiments/ of this folder", here.len()));
    here
}

/// Whether a spec is one of trained networks, which are run only when asked for: they take long.
fn trains(name: &str) -> bool {
    matches!(load::load_any(name, &[]), Ok(AnySpec::Training(_)))
}

fn perform(
    specs: &[String],
    sampling: &Sampling,
    common: &Common,
    terminal: &Terminal,
    verifies: bool,
) -> Result<Vec<Verdict>, Failure> {
    // First, since data is looked through on all threads.
    common.start_threads()?;
    let entries = prepare(specs, common, sampling, verifies)?;
    ready(&entries).flat_map(Experiment::theory_beyond_double).for_each(|words| terminal.note(&words));
    interrupt::listen();
    let began = Instant::now();
    let (done, stopped) = sample(&entries, sampling, common, terminal);
    // Before the long part, and as far as it goes where it is stopped.
    let drawn = judge(&measured(&entries, &done));
    save_drawn(&entries, &done, &drawn, common)?;
    if let Some(failure) = stopped {
        return Err(failure);
    }
    let trainings = train::train(training(&entries), sampling.fresh, common, terminal)?;
    let (judged, trained) = if trainings.is_empty() {
        (drawn, Vec::new())
    } else {
        let networks = training(&entries).zip(&trainings);
        let networks = networks.map(|(experiment, training)| experiment.measured(&training.measurements));
        let mut judged = judge(&measured(&entries, &done).into_iter().chain(networks).collect::<Vec<_>>());
        let trained = judged.split_off(done.len());
        save_drawn(&entries, &done, &judged, common)?;
        for ((experiment, training), verdicts) in training(&entries).zip(&trainings).zip(&trained) {
            train::save(experiment, training, verdicts, common)?;
        }
        (judged, trained)
    };
    if verifies && entries.iter().any(|entry| !matches!(entry, Entry::Skipped { .. })) {
        report::of_folder(common.out(), terminal)?;
    }
    print(&entries, &judged, &trained, common, terminal)?;
    ready(&entries)
        .zip(&done)
        .for_each(|(experiment, measurements)| warn_of_precision(experiment, measurements, terminal));
    let count: Vec<&Verdict> = judged.iter().chain(&trained).flatten().collect();
    if count.is_empty() {
        terminal.note("no claim was judged");
    }
    let seconds = began.elapsed().as_secs_f64();
    terminal.note(&format!("{} · {seconds:.1} s · results in {}", format::summary(&count), common.out().display()));
    Ok(judged.into_iter().chain(trained).flatten().collect())
}

fn save_drawn(
    entries: &[Entry],
    done: &[Vec<Measurement>],
    judged: &[Vec<Verdict>],
    common: &Common,
) -> Result<(), ResultsError> {
    for ((experiment, measurements), verdicts) in ready(entries).zip(done).zip(judged) {
        let rows: Vec<Row> = measurements.iter().map(|measurement| measurement.row.clone()).collect();
        save::save(&save::folder_of(common.out(), &experiment.spec), &experiment.spec, &rows, verdicts)?;
    }
    Ok(())
}

/// Says where `max_draws` ended the draws before the precision was reached.
fn warn_of_precision(experiment: &Experiment, measurements: &[Measurement], terminal: &Terminal) {
    let StoppingRule::Precision { relative, maximum } = experiment.spec.rule else { return };
    let missed = measurements.iter().filter_map(|measurement| measurement.row.sampled);
    let reached = |sampled: &Sampled| sampled.std_error <= relative * sampled.mean.abs();
    let missed = missed.filter(|sampled| !reached(sampled)).count();
    if missed > 0 {
        terminal.note(&format!(
            "{}: {missed} of {} means are less precise than {relative}: max_draws = {maximum} was reached",
            experiment.spec.name,
            measurements.len()
        ));
    }
}

/// Checks all specs before anything is sampled or written.
fn prepare(
    specs: &[String],
    common: &Common,
    sampling: &Sampling,
    skip_without_data: bool,
) -> Result<Vec<Entry>, Failure> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut origins: Vec<Origin> = Vec::new();
    let mut draws = false;
    for name in specs {
        let spec = load::load_any(name, &common.overrides())?;
        if let Some(at) = names.iter().position(|known| known == spec.name()) {
            let other = &origins[at].file;
            let message = format!("must differ from the name of {other}, whose results it would overwrite in this run");
            return Err(spec.origin().error("name", spec.name(), message).into());
        }
        names.push(spec.name().to_owned());
        origins.push(spec.origin().clone());
        draws |= matches!(spec, AnySpec::Initialisation(_));
        let spec = match spec {
            AnySpec::Initialisation(spec) => *spec,
            AnySpec::Training(spec) => {
                entries.push(if skip_without_data && spec.data.lacks_path() {
                    Entry::Skipped { name: spec.heading.name, reason: "needs data: --set data.path=PATH".into() }
                } else {
                    Entry::Training(Box::new(TrainingExperiment::prepare(*spec, &common.limits())?))
                });
                continue;
            }
        };
        if skip_without_data && spec.input.distribution.path() == Some(None) {
            let reason = "needs data: --set input.path=PATH".into();
            entries.push(Entry::Skipped { name: spec.heading.name, reason });
            continue;
        }
        let experiment = Experiment::prepare(spec, &common.limits())?;
        if sampling.keep_draws && experiment.bytes_of_draws() > common.limits().memory {
            let gib = experiment.bytes_of_draws() as f64 / f64::from(1u32 << 30);
            let message = format!("--keep-draws would hold {gib:.1} GiB: take fewer draws, or raise --memory");
            return Err(experiment.spec.origin.error("draws", "", message).into());
        }
        entries.push(Entry::Ready(Box::new(experiment)));
    }
    common.check_paths(&origins)?;
    if sampling.keep_draws && !draws {
        return Err(Failure::Usage("--keep-draws: these specs train networks and have no draws; leave it out".into()));
    }
    Ok(entries)
}

fn ready(entries: &[Entry]) -> impl Iterator<Item = &Experiment> {
    entries.iter().filter_map(|entry| match entry {
        Entry::Ready(experiment) => Some(experiment.as_ref()),
        Entry::Training(_) | Entry::Skipped { .. } => None,
    })
}

fn training(entries: &[Entry]) -> impl Iterator<Item = &TrainingExperiment> {
    entries.iter().filter_map(|entry| match entry {
        Entry::Training(experiment) => Some(experiment.as_ref()),
        Entry::Ready(_) | Entry::Skipped { .. } => None,
    })
}

/// Samples the experiments in order; what was finished is returned even if a later one was not.
fn sample(
    entries: &[Entry],
    sampling: &Sampling,
    common: &Common,
    terminal: &Terminal,
) -> (Vec<Vec<Measurement>>, Option<Failure>) {
    let options = RunOptions { fresh: sampling.fresh, keep_draws: sampling.keep_draws };
    let progress = Progress::new(ready(entries).flat_map(Experiment::costs), terminal);
    let mut done = Vec::new();
    let mut stopped = None;
    for experiment in ready(entries) {
        let folder: PathBuf = save::folder_of(common.out(), &experiment.spec);
        let began = Instant::now();
        let result = save::make_folder(&folder)
            .map_err(RunError::from)
            .and_then(|()| experiment.run(&folder, options, &progress));
        match result {
            Ok(measurements) => done.push(measurements),
            Err(RunError::Interrupted) => stopped = Some(interrupted(sampling)),
            Err(RunError::Results(error)) => stopped = Some(error.into()),
        }
        if stopped.is_some() {
            break;
        }
        progress.finish_experiment(experiment.points.len());
        tracing::info!(experiment = experiment.spec.name, seconds = began.elapsed().as_secs_f64(), "sampled");
    }
    progress.clear();
    (done, stopped)
}

fn interrupted(sampling: &Sampling) -> Failure {
    let kept = if sampling.keep_draws {
        "--keep-draws starts this experiment over, finished ones are saved; go on with"
    } else {
        "what was sampled is kept; go on with"
    };
    Failure::Interrupted { kept, command: interrupt::command_line() }
}

fn measured<'a>(entries: &'a [Entry], done: &'a [Vec<Measurement>]) -> Vec<Measured<'a>> {
    ready(entries).zip(done).map(|(experiment, measurements)| experiment.measured(measurements)).collect()
}

fn print(
    entries: &[Entry],
    judged: &[Vec<Verdict>],
    trained: &[Vec<Verdict>],
    common: &Common,
    terminal: &Terminal,
) -> Result<(), ResultsError> {
    if common.json {
        let all: Vec<&Verdict> = judged.iter().chain(trained).flatten().collect();
        // Verdicts are strings and numbers, which JSON can hold.
        return terminal.print(&serde_json::to_string_pretty(&all).unwrap_or_default());
    }
    if common.quiet {
        return Ok(());
    }
    let (mut verdicts, mut trained) = (judged.iter(), trained.iter());
    fn own<'v>(verdicts: &mut std::slice::Iter<'v, Vec<Verdict>>) -> &'v [Verdict] {
        verdicts.next().map_or(&[][..], Vec::as_slice)
    }
    let sections: Vec<Section<'_>> = entries
        .iter()
        .map(|entry| match entry {
            Entry::Ready(experiment) => Section::Judged { name: &experiment.spec.name, verdicts: own(&mut verdicts) },
            Entry::Training(experiment) => Section::Judged { name: &experiment.spec.name, verdicts: own(&mut trained) },
            Entry::Skipped { name, reason } => Section::Skipped { name, reason },
        })
        .collect();
    terminal.print(&table::render(&sections, terminal))
}
