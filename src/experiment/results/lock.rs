//! One process at a time writes to a results folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::names::{STATES, WEIGHTS};
use super::storage::{ResultsError, make_folder, sweep};

/// The lock of a results folder, held as long as this lives. The system frees it when the process ends, however it does.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Name of the file that is locked, and that names the process which holds it.
const LOCK: &str = ".lock";

impl Lock {
    /// Makes the folder where there is none, locks it, and takes away what a killed process left half written.
    ///
    /// # Errors
    /// Another process holds the lock, or the system does not let us.
    pub fn of(folder: &Path) -> Result<Self, ResultsError> {
        make_folder(folder)?;
        let path = folder.join(LOCK);
        let failed = |error: std::io::Error| ResultsError::new(&path, format!("cannot be locked: {error}"));
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // It is for the message alone.
                let _ = file.read_to_string(&mut holder);
                let holder =
                    if holder.is_empty() { "another process".into() } else { format!("process {}", holder.trim()) };
                let message = format!("is in use by {holder}; wait for it to end, or write elsewhere with --out");
                return Err(ResultsError::new(folder, message));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let name = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        name(&mut file).map_err(failed)?;
        [folder.to_owned(), folder.join(STATES), folder.join(WEIGHTS)].iter().try_for_each(|place| sweep(place))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_who_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::of(folder.path()).unwrap();
        let refused = Lock::of(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("in use by process {}", std::process::id())), "{refused}");
        drop(lock);
        Lock::of(folder.path()).unwrap();
    }
}
