//! What is printed where: results to standard output, messages to standard error, colours only where wanted.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use gradlaw::experiment::results::ResultsError;

use super::ColorChoice;

/// The two streams and how to write to them.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    color: bool,
    quiet: bool,
    /// Whether even errors are another's to print.
    silent: bool,
}

impl Terminal {
    /// Decides on colours once; `NO_COLOR` counts as never under auto.
    pub fn new(color: ColorChoice, quiet: bool) -> Self {
        let auto = || io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let color = match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => auto(),
        };
        Self { color, quiet, silent: false }
    }

    /// Prints nothing at all: another process speaks for this one.
    pub fn silent() -> Self {
        Self { color: false, quiet: true, silent: true }
    }

    /// Whether to use colours.
    pub fn color(&self) -> bool {
        self.color
    }

    /// Whether to keep quiet.
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// Prints a result. A reader that went away, as `head` does, is no error.
    ///
    /// # Errors
    /// The results could not be written, as on a full disk.
    pub fn print(&self, text: &str) -> Result<(), ResultsError> {
        let mut output = io::stdout().lock();
        match writeln!(output, "{text}").and_then(|()| output.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(ResultsError::new(Path::new("standard output"), error))
            }
            _ => Ok(()),
        }
    }

    /// Prints a message for people, unless quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Prints an error, also when quiet.
    pub fn error(&self, text: &str) {
        if self.silent {
            return;
        }
        let head = if self.color && io::stderr().is_terminal() { "\x1b[1;31merror\x1b[0m" } else { "error" };
        let _ = writeln!(io::stderr().lock(), "{head}: {text}");
    }
}
