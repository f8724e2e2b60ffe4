//! Ctrl-C: the first asks the run to stop and save, a second ends the program at once.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use gradlaw::stop::Stop;
use indicatif::ProgressBar;

static STOP: LazyLock<Stop> = LazyLock::new(Stop::new);

/// Whether there is work to be saved; before, a request ends the program at once.
static IS_WORKING: AtomicBool = AtomicBool::new(false);

/// The bar that is on the screen, below which nothing can be written.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// What the first Ctrl-C says, at once.
const STOPPING: &str =
    "stopping: what is done is being saved; Ctrl-C again quits at once and loses the last seconds' work";

/// Begins to listen for Ctrl-C and the system's requests to end. Nothing is lost where the program ends before work begins.
pub fn listen() {
    // Without a handler Ctrl-C ends the program, as it would have; states saved before are kept.
    if let Err(error) = handle() {
        tracing::warn!(%error, "no handler for Ctrl-C");
    }
}

/// Whether a request to end is for another process, which leads this one.
static IS_LED: AtomicBool = AtomicBool::new(false);

/// From now on requests to end are passed over: the process that leads this one ends it.
pub fn leave_to_others() {
    IS_LED.store(true, Ordering::Relaxed);
}

/// From now on a request to end is one to stop and save.
pub fn work_begins() {
    IS_WORKING.store(true, Ordering::Relaxed);
}

#[cfg(unix)]
fn handle() -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let hangup = (!ignores_hangup()).then_some(SIGHUP);
    let mut signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(hangup))?;
    std::thread::Builder::new().name("signals".into()).spawn(move || signals.forever().for_each(|_| asked()))?;
    Ok(())
}

/// Whether whoever started the program wants it to go on when the terminal is closed, as nohup does.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    // Where the system has no such file there is no way to know.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (signal_hook::consts::SIGHUP - 1) & 1 == 1)
}

#[cfg(not(unix))]
fn handle() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(asked)
}

/// Somebody asks the program to end.
fn asked() {
    if IS_LED.load(Ordering::Relaxed) {
        return;
    }
    if !IS_WORKING.load(Ordering::Relaxed) || STOP.ask() {
        std::process::exit(130);
    }
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(say_stopping),
        None => say_stopping(),
    }
}

fn say_stopping() {
    // Whoever closed the terminal does not read it.
    let _ = writeln!(std::io::stderr(), "{STOPPING}");
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
