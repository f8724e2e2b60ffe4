//! Specs of trained networks in a run: train, save what is finished as it comes.

use gradlaw::experiment::results::{Measurement, ResultsError};
use gradlaw::experiment::trained::{self, Results, TrainingExperiment};
use gradlaw::experiment::{RunError, Verdict, judge, save};

use super::failure::Failure;
use super::progress::Progress;
use super::terminal::Terminal;
use super::{Common, interrupt};

/// What training came to.
pub struct Training {
    results: Results,
    pub measurements: Vec<Measurement>,
}

/// Runs these experiments in order.
pub fn train<'a>(
    experiments: impl Iterator<Item = &'a TrainingExperiment>,
    fresh: bool,
    common: &Common,
    terminal: &Terminal,
) -> Result<Vec<Training>, Failure> {
    experiments.map(|experiment| one(experiment, fresh, common, terminal)).collect()
}

fn one(
    experiment: &TrainingExperiment,
    fresh: bool,
    common: &Common,
    terminal: &Terminal,
) -> Result<Training, Failure> {
    let folder = common.out().join(&experiment.spec.name);
    save::make_folder(&folder)?;
    let progress = Progress::of_one(terminal);
    // What there is so far is judged for itself: of the other experiments of the run not all is known.
    let save = |so_far: &Results| {
        let measurements = experiment.measurements(so_far);
        let verdicts = judge(&[experiment.measured(&measurements)]).concat();
        trained::save(&folder, experiment, so_far, &measurements, &verdicts)
    };
    let result = experiment.run(&folder, fresh, &progress, &save);
    progress.clear();
    match result {
        Ok(results) => Ok(Training { measurements: experiment.measurements(&results), results }),
        Err(RunError::Interrupted) => Err(Failure::Interrupted {
            kept: "what was trained is kept; go on with",
            command: interrupt::command_line(),
        }),
        Err(RunError::Results(error)) => Err(error.into()),
    }
}

/// Saves what training came to with its verdicts, and draws the figure.
pub fn save(
    experiment: &TrainingExperiment,
    training: &Training,
    verdicts: &[Verdict],
    common: &Common,
) -> Result<(), ResultsError> {
    let folder = common.out().join(&experiment.spec.name);
    trained::save(&folder, experiment, &training.results, &training.measurements, verdicts)?;
    match trained::read(&folder)? {
        Some(saved) => trained::draw(&folder, "figure", &saved),
        None => Ok(()),
    }
}
