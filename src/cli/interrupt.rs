//! Ctrl-C: the first asks the run to stop and save, a second ends the program at once.

use std::sync::{LazyLock, Mutex, PoisonError};

use gradlaw::stop::Stop;
use indicatif::ProgressBar;

static STOP: LazyLock<Stop> = LazyLock::new(Stop::new);

/// The bar that is on the screen, below which nothing can be written.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// What the first Ctrl-C says, at once.
const STOPPING: &str =
    "stopping: what is done is being saved; Ctrl-C again quits at once and loses the last seconds' work";

/// Begins to listen for Ctrl-C and the system's request to end.
pub fn listen() {
    let handler = || {
        if STOP.ask() {
            std::process::exit(130);
        }
        let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match bar {
            Some(bar) => bar.suspend(|| eprintln!("{STOPPING}")),
            None => eprintln!("{STOPPING}"),
        }
    };
    // Without a handler Ctrl-C ends the program, as it would have; states saved before are kept.
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::warn!(%error, "no handler for Ctrl-C");
    }
}

/// The request that Ctrl-C makes.
pub fn stop() -> &'static Stop {
    &STOP
}

/// Says which bar is on the screen, if any.
pub fn write_beside(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// The command line that started this program, quoted for a shell.
pub fn command_line() -> String {
    let plain = |argument: &str| {
        !argument.is_empty() && argument.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@+".contains(c))
    };
    let quote = |argument: String| {
        if plain(&argument) { argument } else { format!("'{}'", argument.replace('\'', r"'\''")) }
    };
    let arguments = std::env::args_os().map(|argument| quote(argument.to_string_lossy().into_owned()));
    arguments.filter(|argument| argument != "--fresh").collect::<Vec<_>>().join(" ")
}
