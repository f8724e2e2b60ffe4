//! The program: parse, run, exit status.

mod cli;

use std::io::{ErrorKind, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let ansi = std::io::stderr().is_terminal();
    let filter = EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
    match cli::Arguments::try_parse() {
        Ok(arguments) => cli::run(&arguments),
        Err(message) => match message.print() {
            Err(error) if !message.use_stderr() && error.kind() != ErrorKind::BrokenPipe => {
                eprintln!("error: standard output: {error}");
                ExitCode::from(cli::failure::MACHINE)
            }
            // Of help and of bad usage, 0 and 2.
            _ => ExitCode::from(message.exit_code() as u8),
        },
    }
}
