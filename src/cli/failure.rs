//! How commands fail, and the exit status of each way.

use std::process::ExitCode;

use thiserror::Error;

use gradlaw::experiment::SpecError;
use gradlaw::experiment::results::ResultsError;

/// The exit status where the machine failed.
pub const MACHINE: u8 = 3;

/// Why a command did not end as asked.
#[derive(Debug, Error)]
pub enum Failure {
    /// Usage, a spec or data is wrong: exit status 2, nothing was written.
    #[error("{0}")]
    Input(#[from] SpecError),
    /// Usage is wrong in a way that clap does not see.
    #[error("{0}")]
    Usage(String),
    /// The machine failed: exit status 3, what was sampled is kept.
    #[error("{0}")]
    Machine(#[from] ResultsError),
    /// Ctrl-C: exit status 130.
    #[error("interrupted; {kept}: {command}")]
    Interrupted {
        /// What is kept.
        kept: &'static str,
        /// The command that goes on.
        command: String,
    },
}

impl Failure {
    /// The exit status.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// The same as a number.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Input(_) | Failure::Usage(_) => 2,
            Failure::Machine(_) => MACHINE,
            Failure::Interrupted { .. } => 130,
        }
    }
}
