//! Ctrl-C: the first asks the run to stop and save, a second ends the program at once.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Begins to listen for Ctrl-C and the system's request to end.
pub fn listen() {
    let handler = || {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    };
    // Without a handler Ctrl-C ends the program, as it would have; states saved before are kept.
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::warn!(%error, "no handler for Ctrl-C");
    }
}

/// Whether Ctrl-C was pressed.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
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
