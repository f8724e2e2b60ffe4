//! Specs of trained networks in a run: train, save what is finished as it comes, draw.

use std::path::Path;

use gradlaw::experiment::results::ResultsError;
use gradlaw::experiment::trained::{self, TrainingExperiment};
use gradlaw::experiment::{RunError, Verdict, save};

use super::failure::Failure;
use super::progress::Progress;
use super::terminal::Terminal;
use super::{Common, interrupt};

/// Runs these experiments in order and returns the verdicts of each.
pub fn train<'a>(
    experiments: impl Iterator<Item = &'a TrainingExperiment>,
    fresh: bool,
    common: &Common,
    terminal: &Terminal,
) -> Result<Vec<Vec<Verdict>>, Failure> {
    experiments.map(|experiment| one(experiment, fresh, common, terminal)).collect()
}

fn one(
    experiment: &TrainingExperiment,
    fresh: bool,
    common: &Common,
    terminal: &Terminal,
) -> Result<Vec<Verdict>, Failure> {
    let folder = common.out().join(&experiment.spec.name);
    save::make_folder(&folder)?;
    let progress = Progress::of_one(terminal);
    let result =
        experiment.run(&folder, fresh, &progress, &|so_far| trained::save(&folder, experiment, so_far).map(|_| ()));
    progress.clear();
    match result {
        Ok(results) => {
            let verdicts = trained::save(&folder, experiment, &results)?;
            draw(&folder)?;
            Ok(verdicts)
        }
        Err(RunError::Interrupted) => Err(Failure::Interrupted {
            kept: "what was trained is kept; go on with",
            command: interrupt::command_line(),
        }),
        Err(RunError::Results(error)) => Err(error.into()),
    }
}

/// Draws the figure of a results folder beside its results.
fn draw(folder: &Path) -> Result<(), ResultsError> {
    match trained::read(folder)? {
        Some(saved) => trained::draw(folder, "figure", &saved),
        None => Ok(()),
    }
}
