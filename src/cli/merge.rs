//! `gradlaw merge`: puts the shares of experiments together.

use std::path::PathBuf;
use std::process::ExitCode;

use gradlaw::experiment::results::shards;
use gradlaw::experiment::{Experiment, Together, load};

use super::failure::Failure;
use super::run::{self, Entry};
use super::terminal::Terminal;
use super::{Common, Sampling, interrupt};

/// Takes the states of all shares into the results folder, and goes on as `gradlaw run` does, which has nothing left to draw or train.
pub fn merge(paths: &[PathBuf], common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    interrupt::listen();
    common.start_threads()?;
    // Shares that do not fit are the user's mistake, not the machine's.
    let groups = shards::find(paths).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut entries = Vec::new();
    for group in groups {
        let Some(first) = group.first() else { continue };
        let file = first.folder.join("spec.toml");
        let spec = load::parse(&file.to_string_lossy(), &first.spec(), &common.overrides())?;
        let experiment = Experiment::prepare(spec, &common.limits())?;
        let together = Together::new([&experiment], common.out());
        let locks = together.enter(false).map_err(run::failed)?;
        for (experiment, folder) in together.folders() {
            experiment.take(&group, &folder)?;
        }
        drop(locks);
        entries.push(Entry::Ready(Box::new(experiment)));
    }
    run::perform(&entries, &Sampling::default(), None, false, common, terminal, None)?;
    Ok(ExitCode::SUCCESS)
}
