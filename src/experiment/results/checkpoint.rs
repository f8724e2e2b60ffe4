//! States on disk, from which a run goes on with the same bits: of a point that is drawn, of a network that is trained, and of one that
//! is finished.
//!
//! Every state is one file: a line with a checksum and the fingerprint of all that it depends on, and then a body in whatever form suits
//! it. What is quick to do again is not saved.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::{ResultsError, write_atomically};

/// What took less is done again rather than saved.
const WORTH_SAVING: Duration = Duration::from_millis(500);
/// Time between two states of one piece of work.
const INTERVAL: Duration = Duration::from_secs(5);

/// The fingerprint of all that a text says.
pub fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the states of one piece of work are kept.
#[derive(Debug)]
pub struct Checkpoint {
    results: PathBuf,
    /// The file's name without its suffix.
    name: String,
    fingerprint: String,
    began: Instant,
    /// When a state was saved last.
    last: Mutex<Option<Instant>>,
}

impl Checkpoint {
    /// The checkpoint of the work with this fingerprint, in a results folder.
    pub fn new(results: &Path, fingerprint: &str) -> Self {
        Self {
            results: results.into(),
            name: fingerprint.chars().take(16).collect(),
            fingerprint: fingerprint.into(),
            began: Instant::now(),
            last: Mutex::new(None),
        }
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.results.join("state").join(format!("{}.{kind}", self.name))
    }

    /// The body of the state of this kind, if there is one of the same work.
    ///
    /// # Errors
    /// The file is there but damaged.
    pub fn load(&self, kind: &str) -> Result<Option<Vec<u8>>, ResultsError> {
        let bytes = match fs::read(self.path(kind)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.broken(kind, error)),
        };
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| self.broken(kind, "is cut off"))?;
        let (line, body) = (&bytes[..end], &bytes[end + 1..]);
        let line = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' '));
        let (checksum, fingerprint) = line.ok_or_else(|| self.broken(kind, "its first line is no checksum"))?;
        if checksum != format!("{:08x}", crc32fast::hash(body)) {
            return Err(self.broken(kind, "its checksum does not fit"));
        }
        Ok((fingerprint == self.fingerprint).then(|| body.to_vec()))
    }

    /// The error of a state that cannot be read.
    pub fn broken(&self, kind: &str, reason: impl std::fmt::Display) -> ResultsError {
        let message = format!("broken checkpoint: {reason}; --fresh starts over without it");
        ResultsError::new(&self.path(kind), message)
    }

    /// Whether a state is to be saved: once the work took a while, and then now and then, or `at_once`.
    pub fn is_due(&self, at_once: bool) -> bool {
        match *self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(saved) if !at_once => saved.elapsed() > INTERVAL,
            _ => self.began.elapsed() > WORTH_SAVING,
        }
    }

    /// Saves a state, in place of the last one of its kind.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, kind: &str, body: &[u8]) -> Result<(), ResultsError> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let line = format!("{:08x} {}\n", crc32fast::hash(body), self.fingerprint);
        self.write(&self.path(kind), &[line.as_bytes(), body].concat())
    }

    /// Takes a state away; where there is none, nothing is done.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn remove(&self, kind: &str) -> Result<(), ResultsError> {
        let path = self.path(kind);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(ResultsError::new(&path, error)),
            _ => Ok(()),
        }
    }

    /// Keeps a file beside the results, in `FOLDER/` under the same name.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, folder: &str, kind: &str, bytes: &[u8]) -> Result<(), ResultsError> {
        self.write(&self.results.join(folder).join(format!("{}.{kind}", self.name)), bytes)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ResultsError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| ResultsError::new(folder, error))?;
        write_atomically(path, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_with_its_bytes_for_the_same_work_only() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = |fingerprint| Checkpoint::new(folder.path(), fingerprint);
        let body = b"any\nbytes \xff\0";
        checkpoint("0123456789abcdef-and-more").save("bin", body).unwrap();
        assert_eq!(checkpoint("0123456789abcdef-and-more").load("bin").unwrap().unwrap(), body);
        assert_eq!(checkpoint("0123456789abcdef-and-more").load("json").unwrap(), None);
        assert_eq!(checkpoint("0123456789abcdef-other").load("bin").unwrap(), None);
        assert_eq!(checkpoint("another").load("bin").unwrap(), None);
        checkpoint("0123456789abcdef-and-more").remove("bin").unwrap();
        checkpoint("0123456789abcdef-and-more").remove("bin").unwrap();
        assert_eq!(checkpoint("0123456789abcdef-and-more").load("bin").unwrap(), None);
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::new(folder.path(), "fingerprint");
        checkpoint.save("bin", b"some body").unwrap();
        let bytes = fs::read(checkpoint.path("bin")).unwrap();
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for damaged in [&flipped[..], &bytes[..bytes.len() - 3], b"{}", b"", b"\xff\n", b"00000000 fingerprint\nx"] {
            fs::write(checkpoint.path("bin"), damaged).unwrap();
            assert!(checkpoint.load("bin").unwrap_err().to_string().contains("broken checkpoint"));
        }
    }

    #[test]
    fn quick_work_is_not_saved() {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::new(folder.path(), "quick");
        assert!(!checkpoint.is_due(false) && !checkpoint.is_due(true));
        checkpoint.began -= WORTH_SAVING * 2;
        assert!(checkpoint.is_due(false));
        checkpoint.save("bin", b"").unwrap();
        assert!(!checkpoint.is_due(false) && checkpoint.is_due(true));
    }
}
