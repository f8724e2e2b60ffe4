//! `gradlaw man`: manual pages, from the same tables as the help texts.

use std::path::Path;
use std::process::ExitCode;

use gradlaw::experiment::results::{ResultsError, make_folder, write_atomically};

use super::failure::Failure;
use super::terminal::Terminal;

/// Prints the page of the program, or writes those of all commands into a folder.
pub fn man(command: clap::Command, to: Option<&Path>, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let failed = |error: std::io::Error| Failure::Machine(ResultsError::new(Path::new("manual page"), error));
    let page = |command: clap::Command| -> Result<(String, Vec<u8>), Failure> {
        let page = clap_mangen::Man::new(command);
        let mut text = Vec::new();
        page.render(&mut text).map_err(failed)?;
        Ok((page.get_filename(), text))
    };
    let Some(folder) = to else {
        let (_, text) = page(command)?;
        terminal.print(String::from_utf8_lossy(&text).trim_end())?;
        return Ok(ExitCode::SUCCESS);
    };
    make_folder(folder)?;
    let mut whole = command.disable_help_subcommand(true);
    // Names the pages of the commands, gradlaw-run.1.
    whole.build();
    let commands: Vec<clap::Command> = whole.get_subcommands().cloned().collect();
    for command in std::iter::once(whole).chain(commands) {
        let (name, text) = page(command)?;
        write_atomically(&folder.join(name), &text)?;
    }
    Ok(ExitCode::SUCCESS)
}
