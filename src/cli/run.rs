//! `gradlaw verify` and `gradlaw run`: check every spec, sample, judge all claims together, save, print.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use gradlaw::experiment::reader::Origin;
use gradlaw::experiment::results::{Measurement, ResultsError, Sampled, folder, words};
use gradlaw::experiment::{
    AnySpec, Crew, Experiment, Outcome, Results, RunError, RunOptions, Share, Together, Verdict, catalogue,
    check_names, load, serve,
};

use gradlaw::sampling::StoppingRule;

use super::failure::Failure;
use super::progress::Progress;
use super::ranks::Ranks;
use super::table::{self, Section};
use super::terminal::Terminal;
use super::{Common, Sampling, interrupt, report, sketch};

/// An experiment of the run, or why it is left out.
pub enum Entry {
    Ready(Box<Experiment>),
    Skipped { name: String, reason: String },
}

/// `gradlaw verify`: the exit status says whether every claim holds.
pub fn verify(
    specs: &[String],
    sampling: &Sampling,
    common: &Common,
    terminal: &Terminal,
    ranks: Option<&Ranks>,
) -> Result<ExitCode, Failure> {
    interrupt::listen();
    // First, since data is looked through on all threads.
    common.start_threads()?;
    let entries = prepare(&default_specs(specs, terminal), common, sampling, true)?;
    if let Some(member) = ranks.filter(|ranks| !ranks.leads()) {
        return Ok(help(&entries, member));
    }
    let verdicts = perform(&entries, sampling, None, true, common, terminal, ranks)?;
    let all_hold = verdicts.iter().all(|verdict| matches!(verdict.verdict, Outcome::Holds | Outcome::Estimate));
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// `gradlaw run`: the exit status does not depend on the verdicts.
pub fn run(
    specs: &[String],
    sampling: &Sampling,
    share: Option<Share>,
    common: &Common,
    terminal: &Terminal,
    ranks: Option<&Ranks>,
) -> Result<ExitCode, Failure> {
    interrupt::listen();
    common.start_threads()?;
    if share.is_some() && sampling.keep_draws {
        return Err(Failure::Usage("--keep-draws: a share has states and no results; leave it out".into()));
    }
    let entries = prepare(specs, common, sampling, false)?;
    if share.is_some()
        && let Some(experiment) = ready(&entries).find(|experiment| experiment.decides())
    {
        let name = &experiment.heading().name;
        let message =
            format!("--shard: {name} goes on until its claims are decided, which no share sees; set draws or repeats");
        return Err(Failure::Usage(message));
    }
    if let Some(member) = ranks.filter(|ranks| !ranks.leads()) {
        return Ok(help(&entries, member));
    }
    perform(&entries, sampling, share, false, common, terminal, ranks)?;
    Ok(ExitCode::SUCCESS)
}

/// Does what the leader of a run says, until it is over. Requests to end are its, too: it is the leader that is asked.
fn help(entries: &[Entry], member: &Ranks) -> ExitCode {
    interrupt::leave_to_others();
    serve(&ready(entries).collect::<Vec<_>>(), member.link());
    ExitCode::SUCCESS
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
    matches!(load::load(name, &[]), Ok(AnySpec::Train(_)))
}

/// Draws or trains, judges, saves and prints, with a report where it `verifies`; `share` where one share alone is to be done, which gives
/// states and no results.
pub fn perform(
    entries: &[Entry],
    sampling: &Sampling,
    share: Option<Share>,
    verifies: bool,
    common: &Common,
    terminal: &Terminal,
    ranks: Option<&Ranks>,
) -> Result<Vec<Verdict>, Failure> {
    let drawings = ready(entries).filter_map(|experiment| match experiment {
        Experiment::Draw(drawing) => Some(drawing),
        Experiment::Train(_) => None,
    });
    drawings.flat_map(|drawing| drawing.theory_beyond_double()).for_each(|words| terminal.note(&words));
    let together = Together::new(ready(entries), common.out());
    // Held until all is written.
    let _locks = together.enter(sampling.fresh).map_err(failed)?;
    interrupt::work_begins();
    let began = Instant::now();
    let (done, stopped) = work(&together, sampling, share, terminal, ranks);
    if let Some(share) = share {
        for ((experiment, folder), _) in together.folders().zip(&done) {
            experiment.finish_share(&folder, share)?;
            terminal
                .note(&format!("{}: share {share} is done; gradlaw merge puts all of them together", folder.display()));
        }
        return stopped.map_or(Ok(Vec::new()), Err);
    }
    let judged = together.save(&done)?;
    if let Some(failure) = stopped {
        return Err(failure);
    }
    if verifies && entries.iter().any(|entry| !matches!(entry, Entry::Skipped { .. })) {
        report::of_folder(common.out(), terminal)?;
    }
    print(entries, &judged, common, terminal)?;
    if sampling.sketch && !(common.json || common.quiet) {
        print_sketches(&together, terminal)?;
    }
    ready(entries)
        .zip(&done)
        .for_each(|(experiment, results)| warn_of_precision(experiment, &results.measurements, terminal));
    let count: Vec<&Verdict> = judged.iter().flatten().collect();
    if count.is_empty() {
        terminal.note("no claim was judged");
    }
    for verdict in count.iter().filter(|verdict| matches!(verdict.verdict, Outcome::Refuted | Outcome::Inconclusive)) {
        terminal.note(&format!("{}: {}: {}", verdict.verdict.name(), verdict.experiment, verdict.statement));
    }
    let seconds = began.elapsed().as_secs_f64();
    terminal.note(&format!("{} · {seconds:.1} s · results in {}", words::summary(&count), common.out().display()));
    Ok(judged.into_iter().flatten().collect())
}

/// Says where `max_draws` ended the draws before the precision was reached.
fn warn_of_precision(experiment: &Experiment, measurements: &[Measurement], terminal: &Terminal) {
    let Experiment::Draw(drawing) = experiment else { return };
    let StoppingRule::Precision { relative, maximum } = drawing.spec.work.rule else { return };
    let missed = measurements.iter().filter_map(|measurement| measurement.row.sampled);
    let reached = |sampled: &Sampled| sampled.std_error <= relative * sampled.mean.abs();
    let missed = missed.filter(|sampled| !reached(sampled)).count();
    if missed > 0 {
        terminal.note(&format!(
            "{}: {missed} of {} means are less precise than {relative}: max_draws = {maximum} was reached",
            experiment.heading().name,
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
    let overrides = common.overrides();
    let specs: Vec<AnySpec> = specs.iter().map(|name| load::load(name, &overrides)).collect::<Result<_, _>>()?;
    check_names(&specs)?;
    let origins: Vec<Origin> = specs.iter().map(|spec| spec.origin().clone()).collect();
    let draws = specs.iter().any(|spec| matches!(spec, AnySpec::Draw(_)));
    let mut entries: Vec<Entry> = Vec::new();
    for spec in specs {
        if let Some(key) = spec.missing_data().filter(|_| skip_without_data) {
            let reason = format!("needs data: --set {key}=PATH");
            entries.push(Entry::Skipped { name: spec.heading().name.clone(), reason });
            continue;
        }
        let experiment = Experiment::prepare(spec, &common.limits())?;
        if let Experiment::Draw(drawing) = &experiment {
            let bytes = drawing.bytes_of_draws();
            if sampling.keep_draws && bytes > common.limits().memory {
                let gib = bytes as f64 / f64::from(1u32 << 30);
                let message = format!("--keep-draws would hold {gib:.1} GiB: take fewer draws, or raise --memory");
                return Err(drawing.spec.origin.error("draws", "", message).into());
            }
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
        Entry::Skipped { .. } => None,
    })
}

/// Runs the experiments in order; what was finished is returned even if a later one was not.
fn work(
    together: &Together<'_>,
    sampling: &Sampling,
    share: Option<Share>,
    terminal: &Terminal,
    ranks: Option<&Ranks>,
) -> (Vec<Results>, Option<Failure>) {
    let options = RunOptions { fresh: sampling.fresh, keep_draws: sampling.keep_draws, share };
    let experiments = || together.folders().map(|(experiment, _)| experiment);
    let progress = Progress::new(experiments().flat_map(Experiment::costs), terminal);
    let several = experiments().count() > 1;
    let trains = experiments().any(|experiment| matches!(experiment, Experiment::Train(_)));
    let mut done = Vec::new();
    let mut stopped = None;
    for (index, (experiment, folder)) in together.folders().enumerate() {
        let crew = ranks.map(|ranks| Crew::new(ranks.link(), index));
        let began = Instant::now();
        match experiment.run_with(&folder, options, &progress, crew) {
            Ok(results) => done.push(results),
            Err(RunError::Interrupted) => stopped = Some(interrupted(experiment, sampling)),
            Err(error) => stopped = Some(failed(error)),
        }
        if stopped.is_some() {
            break;
        }
        progress.finish_experiment(experiment.costs().len());
        let (name, seconds) = (&experiment.heading().name, began.elapsed().as_secs_f64());
        tracing::info!(experiment = name, seconds, "done");
        if share.is_some() || !(trains || several) {
            continue;
        }
        // What comes may take long: what is done is told, by verdicts that know of this much.
        let verdicts = together.judged(&done);
        let Some((results, verdicts)) = done.last().zip(verdicts.last()) else { continue };
        if trains && let Err(error) = experiment.save(&folder, results, verdicts) {
            stopped = Some(error.into());
            break;
        }
        let outcomes = words::outcomes(verdicts);
        let outcomes = if outcomes.is_empty() { "no claims".into() } else { outcomes };
        progress.note(&format!("{name}: {outcomes} · {seconds:.1} s"));
    }
    progress.clear();
    (done, stopped)
}

pub fn failed(error: RunError) -> Failure {
    match error {
        RunError::Results(error) => error.into(),
        RunError::Changed(error) => error.into(),
        // Whoever interrupts has more to say.
        other => Failure::Usage(other.to_string()),
    }
}

fn interrupted(experiment: &Experiment, sampling: &Sampling) -> Failure {
    let kept = match experiment {
        Experiment::Train(_) => "what was trained is kept; go on with",
        Experiment::Draw(_) if sampling.keep_draws => {
            "--keep-draws starts this experiment over, finished ones are saved; go on with"
        }
        Experiment::Draw(_) => "what was sampled is kept; go on with",
    };
    Failure::Interrupted { kept, command: interrupt::command_line() }
}

fn print(entries: &[Entry], judged: &[Vec<Verdict>], common: &Common, terminal: &Terminal) -> Result<(), ResultsError> {
    if common.json {
        let all: Vec<&Verdict> = judged.iter().flatten().collect();
        // Verdicts are strings and numbers, which JSON can hold.
        return terminal.print(&serde_json::to_string_pretty(&all).unwrap_or_default());
    }
    if common.quiet {
        return Ok(());
    }
    let mut verdicts = judged.iter();
    let mut own = || verdicts.next().map_or(&[][..], Vec::as_slice);
    let sections: Vec<Section<'_>> = entries
        .iter()
        .map(|entry| match entry {
            Entry::Ready(experiment) => Section::Judged { name: &experiment.heading().name, verdicts: own() },
            Entry::Skipped { name, reason } => Section::Skipped { name, reason },
        })
        .collect();
    terminal.print(&table::render(&sections, terminal))
}

/// Prints a picture of every experiment that was saved and has points to show.
fn print_sketches(together: &Together<'_>, terminal: &Terminal) -> Result<(), ResultsError> {
    for (experiment, folder) in together.folders() {
        let saved = folder::read(&folder)?;
        if let Some(picture) = sketch::sketch(&saved.drawing().points()) {
            terminal.print(&format!("\n{}\n{picture}", experiment.heading().title))?;
        }
    }
    Ok(())
}
