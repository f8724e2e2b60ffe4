//! The program: parse, run, exit status.

mod cli;

use std::io::{ErrorKind, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> ExitCode {
    start_log();
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

/// Writes what `RUST_LOG` asks for, such as `gradlaw=info`, to standard error; errors alone where it asks for nothing that can be read.
fn start_log() {
    let asked = std::env::var("RUST_LOG").ok().and_then(|directives| directives.parse::<Targets>().ok());
    let filter = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::ERROR));
    let ansi = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi);
    tracing_subscriber::registry().with(lines).with(filter).init();
}
