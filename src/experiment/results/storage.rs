//! The one place that changes files: what a reader finds is whole, whenever a process is killed or a disk fails.
//!
//! A file is written beside its place under a name of its own, brought to the disk, and renamed; the folder is brought to the disk after.
//! Every step can be made to fail in the tests of this crate.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

/// Writing or reading results failed.
#[derive(Debug, Error)]
#[error("{}: {message}", path.display())]
pub struct ResultsError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said, or what is wrong with the contents.
    pub message: String,
}

impl ResultsError {
    /// An error about a path.
    pub fn new(path: &Path, message: impl ToString) -> Self {
        Self { path: path.to_owned(), message: message.to_string() }
    }

    fn unwritten(path: &Path, error: &io::Error) -> Self {
        Self::new(path, format!("cannot be written: {error}"))
    }
}

/// Ends the name of a file that is being written.
const PART: &str = ".part";

/// A file that is on the disk, but not in its place yet.
#[derive(Debug)]
struct Pending<'a> {
    temporary: PathBuf,
    path: &'a Path,
}

impl<'a> Pending<'a> {
    /// Writes a file beside its place, under a name that no other process and no other thread takes.
    fn write(path: &'a Path, contents: &[u8]) -> Result<Self, ResultsError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.{}{PART}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let pending = Self { temporary: path.with_file_name(name), path };
        let write = || -> io::Result<()> {
            fault::before(path)?;
            let mut file = File::create_new(&pending.temporary)?;
            if let Err(error) = fault::before(path) {
                // A disk that is full takes a part.
                file.write_all(&contents[..contents.len() / 2])?;
                return Err(error);
            }
            file.write_all(contents)?;
            fault::before(path)?;
            file.sync_all()
        };
        write().map_err(|error| ResultsError::unwritten(path, &error))?;
        Ok(pending)
    }

    fn put_in_place(self) -> Result<(), ResultsError> {
        let rename = fault::before(self.path).and_then(|()| fs::rename(&self.temporary, self.path));
        rename.map_err(|error| ResultsError::unwritten(self.path, &error))
    }
}

impl Drop for Pending<'_> {
    /// Nothing is left of what was not put in its place.
    fn drop(&mut self) {
        // It is not there any more where it was.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Writes a file whole or not at all.
///
/// # Errors
/// What the system said; the file is as it was.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), ResultsError> {
    Pending::write(path, contents)?.put_in_place()?;
    sync_folder_of(path)
}

/// Writes a file, and keeps the one that was in its place under another name.
///
/// # Errors
/// What the system said; one of both names has the file as it was.
pub fn write_after(path: &Path, before: &Path, contents: &[u8]) -> Result<(), ResultsError> {
    let pending = Pending::write(path, contents)?;
    if path.exists() {
        // By a second name, so that the first is never without a file; where the system has no such thing, by another one.
        let second = pending.temporary.with_extension("before");
        let renamed = fault::before(before).and_then(|()| {
            let linked = fs::hard_link(path, &second).and_then(|()| fs::rename(&second, before));
            linked.or_else(|_| fs::rename(path, before))
        });
        renamed.map_err(|error| ResultsError::unwritten(before, &error))?;
    }
    pending.put_in_place()?;
    sync_folder_of(path)
}

/// Writes files of one folder: none is changed unless all are on the disk.
///
/// # Errors
/// What the system said of the first file that cannot be written.
pub fn write_together(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<(), ResultsError> {
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| folder.join(name)).collect();
    let pending = paths.iter().zip(files).map(|(path, (_, contents))| Pending::write(path, contents));
    let pending = pending.collect::<Result<Vec<_>, _>>()?;
    pending.into_iter().try_for_each(Pending::put_in_place)?;
    paths.first().map_or(Ok(()), |path| sync_folder_of(path))
}

/// Brings the names in a file's folder to the disk, where the system can.
fn sync_folder_of(path: &Path) -> Result<(), ResultsError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let sync = || -> io::Result<()> {
        fault::before(path)?;
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    };
    sync().map_err(|error| ResultsError::unwritten(path, &error))
}

/// Takes a file, or a folder with all that is in it, away; where there is none, nothing is done.
///
/// # Errors
/// The system does not let us.
pub fn remove(path: &Path) -> Result<(), ResultsError> {
    let removed =
        fault::before(path).and_then(|()| if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) });
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(ResultsError::new(path, format!("cannot be removed: {error}")))
        }
        _ => Ok(()),
    }
}

/// Makes a folder, with those above it.
///
/// # Errors
/// The system does not let us.
pub fn make_folder(folder: &Path) -> Result<(), ResultsError> {
    let made = fault::before(folder).and_then(|()| fs::create_dir_all(folder));
    made.map_err(|error| ResultsError::new(folder, format!("cannot be made: {error}")))
}

/// Takes away what a process that was killed left half written in a folder that no other process writes to.
///
/// # Errors
/// The system does not let us.
pub fn sweep(folder: &Path) -> Result<(), ResultsError> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_part = |path: &PathBuf| {
        path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with('.') && (name.ends_with(PART) || name.ends_with(".before"))
        })
    };
    entries.map(|entry| entry.path()).filter(is_part).try_for_each(|path| remove(&path))
}

/// The bytes of a regular file, `None` where there is none; a pipe or a device would be read without end.
///
/// # Errors
/// What the system said.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, ResultsError> {
    let failed = |error: io::Error| ResultsError::new(path, format!("cannot be read: {error}"));
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(ResultsError::new(path, "cannot be read: it is no regular file")),
        Ok(_) => fs::read(path).map(Some).map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(not(test))]
mod fault {
    use super::{Path, io};

    #[inline(always)]
    #[expect(clippy::unnecessary_wraps, reason = "its twin in tests fails")]
    pub fn before(_: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// Steps in one folder that fail in tests, one at a time.
#[cfg(test)]
pub mod fault {
    use std::sync::Mutex;

    use super::{ErrorKind, Path, PathBuf, io};

    struct Plan {
        folder: PathBuf,
        /// Steps until the one that fails.
        left: usize,
        kind: ErrorKind,
        failed: bool,
    }

    static PLANS: Mutex<Vec<Plan>> = Mutex::new(Vec::new());

    /// Does something while the step of this index in a folder fails, and says whether the step was reached.
    pub fn during<T>(folder: &Path, index: usize, kind: ErrorKind, work: impl FnOnce() -> T) -> (T, bool) {
        PLANS.lock().unwrap().push(Plan { folder: folder.into(), left: index, kind, failed: false });
        let result = work();
        let mut plans = PLANS.lock().unwrap();
        let place = plans.iter().position(|plan| plan.folder == folder).unwrap();
        let reached = plans.remove(place).failed;
        (result, reached)
    }

    pub(super) fn before(path: &Path) -> io::Result<()> {
        let mut plans = PLANS.lock().unwrap();
        let Some(plan) = plans.iter_mut().find(|plan| path.starts_with(&plan.folder)) else { return Ok(()) };
        if plan.failed || plan.left > 0 {
            plan.left = plan.left.saturating_sub(1);
            return Ok(());
        }
        plan.failed = true;
        Err(plan.kind.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Whichever step fails, a file holds what it held or what it was to hold, and nothing lies beside it.
    #[test]
    fn a_file_is_old_or_new_whatever_fails() {
        for kind in [ErrorKind::StorageFull, ErrorKind::Other, ErrorKind::PermissionDenied] {
            for index in 0.. {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("points.csv");
                write_atomically(&path, b"old").unwrap();
                let (written, reached) =
                    fault::during(folder.path(), index, kind, || write_atomically(&path, b"the new one"));
                assert_eq!(written.is_err(), reached);
                let found = fs::read(&path).unwrap();
                assert!(found == b"the new one" || (reached && found == b"old"), "{found:?}");
                assert_eq!(names(folder.path()), ["points.csv"]);
                if !reached {
                    assert_eq!(index, 5, "create, write, sync, rename, sync of the folder");
                    break;
                }
                assert!(written.unwrap_err().to_string().contains("points.csv: cannot be written"));
            }
        }
    }

    #[test]
    fn no_file_of_several_is_changed_unless_all_are_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let files = |text: &str| ["a", "b", "c"].map(|name| (name.to_owned(), text.as_bytes().to_vec())).to_vec();
        write_together(folder.path(), &files("old")).unwrap();
        for index in 0..9 {
            let write = || write_together(folder.path(), &files("new"));
            let (written, reached) = fault::during(folder.path(), index, ErrorKind::StorageFull, write);
            assert!(written.is_err() && reached);
            assert!(["a", "b", "c"].iter().all(|name| fs::read(folder.path().join(name)).unwrap() == b"old"));
            assert_eq!(names(folder.path()), ["a", "b", "c"]);
        }
        write_together(folder.path(), &files("new")).unwrap();
        assert_eq!(fs::read(folder.path().join("c")).unwrap(), b"new");
    }

    #[test]
    fn what_a_killed_process_left_is_swept_away_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".points.csv.17.0.part", "points.csv", ".hidden", "x.part"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        sweep(folder.path()).unwrap();
        assert_eq!(names(folder.path()), [".hidden", "points.csv", "x.part"]);
        sweep(&folder.path().join("none")).unwrap();
    }
}
