//! States on disk, from which a run goes on with the same bits: of a point that is drawn, of a network that is trained, and of one that
//! is finished.
//!
//! Every state is one file: a line with a checksum of all that follows it and the fingerprint of all that the state depends on, and then a
//! body in whatever form suits it. The state before the last is kept beside it, and serves where the last one is damaged. What
//! is quick to do again is not saved.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::names::STATES;
use super::storage::{self, ResultsError};
use crate::digest::sha256;

/// What took less is done again rather than saved.
const WORTH_SAVING: Duration = Duration::from_millis(500);
/// Times as long as it took to save a state, until the next one is saved: saving takes at most a hundredth of the work.
const PATIENCE: u32 = 100;

/// Ends the name of the state before the last.
const BEFORE: &str = "before";

/// The beginning of the names of files that belong to the work with this fingerprint.
pub(super) fn name_of(fingerprint: &str) -> String {
    fingerprint.chars().take(16).collect()
}

/// Where the states of one piece of work are kept.
#[derive(Debug)]
pub struct Checkpoint {
    results: PathBuf,
    /// The file's name without its suffix.
    name: String,
    fingerprint: String,
    began: Instant,
    /// Whether every state is kept, however quick it was.
    keeps_all: bool,
    /// When a state was saved last, and how long that took.
    last: Mutex<Option<(Instant, Duration)>>,
}

impl Checkpoint {
    /// The checkpoint of the work with this fingerprint, in a results folder.
    pub fn new(results: &Path, fingerprint: &str) -> Self {
        Self {
            results: results.into(),
            name: name_of(fingerprint),
            fingerprint: fingerprint.into(),
            began: Instant::now(),
            keeps_all: false,
            last: Mutex::new(None),
        }
    }

    /// The same, which keeps the last state of work however quick it was, or not.
    pub fn keeping_all(self, keeps_all: bool) -> Self {
        Self { keeps_all, ..self }
    }

    /// Whether the last state is kept, however quick the work was.
    pub fn keeps_all(&self) -> bool {
        self.keeps_all
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.results.join(STATES).join(format!("{}.{kind}", self.name))
    }

    /// What a state of this kind says, as `read` takes it from the body, if there is one of the same work: the last one, or the one before
    /// where the last is damaged.
    ///
    /// # Errors
    /// There are states, and all are damaged: cut or changed, or with a body that `read` refuses.
    pub fn load<T>(&self, kind: &str, read: impl Fn(&[u8]) -> Result<T, String>) -> Result<Option<T>, ResultsError> {
        let before = || self.load_one(&format!("{kind}.{BEFORE}"), &read);
        match self.load_one(kind, &read) {
            Ok(Some(state)) => Ok(Some(state)),
            // Where a process ended as it put one in the place of the other, there is the one before alone.
            Ok(None) => before(),
            Err(reason) => match before() {
                Ok(Some(state)) => {
                    tracing::warn!(state = %self.path(kind).display(), "is damaged; goes on from the one before");
                    Ok(Some(state))
                }
                _ => Err(reason),
            },
        }
    }

    fn load_one<T>(&self, kind: &str, read: &impl Fn(&[u8]) -> Result<T, String>) -> Result<Option<T>, ResultsError> {
        let broken = |reason: &str| {
            let message = format!(
                "broken checkpoint: {reason}; without this file its part is done anew and the others are kept, with --fresh all is"
            );
            ResultsError::new(&self.path(kind), message)
        };
        let Some(bytes) = storage::read(&self.path(kind))? else { return Ok(None) };
        let Some((checksum, rest)) = split_at(&bytes, b' ') else { return Err(broken("it is cut off")) };
        if checksum != sha256(rest).as_bytes() {
            return Err(broken("its checksum does not fit"));
        }
        match split_at(rest, b'\n') {
            Some((fingerprint, body)) if fingerprint == self.fingerprint.as_bytes() => {
                read(body).map(Some).map_err(|reason| broken(&reason))
            }
            // One of other work whose name begins alike.
            _ => Ok(None),
        }
    }

    /// Whether a state is to be saved: once the work took a while, and then now and then, or `at_once`.
    pub fn is_due(&self, at_once: bool) -> bool {
        match *self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((saved, took)) if !at_once => saved.elapsed() > took * PATIENCE,
            _ => (at_once && self.keeps_all) || self.began.elapsed() > WORTH_SAVING,
        }
    }

    /// Saves a state; the last one of its kind becomes the one before.
    ///
    /// # Errors
    /// The file cannot be written; the last one is there as it was.
    pub fn save(&self, kind: &str, body: &[u8]) -> Result<(), ResultsError> {
        let began = Instant::now();
        let signed = [self.fingerprint.as_bytes(), b"\n", body].concat();
        let bytes = [sha256(&signed).as_bytes(), b" ", &signed].concat();
        let path = self.path(kind);
        storage::make_folder(&self.results.join(STATES))?;
        storage::write_after(&path, &self.path(&format!("{kind}.{BEFORE}")), &bytes)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), began.elapsed()));
        Ok(())
    }

    /// Saves a state as JSON.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_as_json(&self, kind: &str, state: &impl Serialize) -> Result<(), ResultsError> {
        let body = serde_json::to_vec(state).map_err(|error| ResultsError::new(&self.path(kind), error))?;
        self.save(kind, &body)
    }

    /// Takes the states of a kind away; where there is none, nothing is done.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn remove(&self, kind: &str) -> Result<(), ResultsError> {
        storage::remove(&self.path(&format!("{kind}.{BEFORE}")))?;
        storage::remove(&self.path(kind))
    }
}

/// The bytes before the first of these, and those after it.
fn split_at(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::ErrorKind;

    fn bytes(body: &[u8]) -> Result<Vec<u8>, String> {
        Ok(body.to_vec())
    }

    #[test]
    fn a_state_comes_back_with_its_bytes_for_the_same_work_only() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = |fingerprint| Checkpoint::new(folder.path(), fingerprint);
        let body = b"any\nbytes \xff\0";
        checkpoint("0123456789abcdef-and-more").save("bin", body).unwrap();
        let load = |fingerprint, kind| checkpoint(fingerprint).load(kind, bytes).unwrap();
        assert_eq!(load("0123456789abcdef-and-more", "bin").unwrap(), body);
        assert_eq!(load("0123456789abcdef-and-more", "json"), None);
        assert_eq!(load("0123456789abcdef-other", "bin"), None);
        assert_eq!(load("another", "bin"), None);
        checkpoint("0123456789abcdef-and-more").remove("bin").unwrap();
        checkpoint("0123456789abcdef-and-more").remove("bin").unwrap();
        assert_eq!(load("0123456789abcdef-and-more", "bin"), None);
    }

    /// Cut at every length and with every bit changed, no state is taken for what it is not: alone it is refused, and one that was saved
    /// before serves in its place.
    #[test]
    fn a_damaged_state_is_refused_and_the_one_before_serves() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::new(folder.path(), "fingerprint");
        checkpoint.save("bin", b"first").unwrap();
        checkpoint.save("bin", b"second").unwrap();
        let whole = fs::read(checkpoint.path("bin")).unwrap();
        let cuts = (0..whole.len()).map(|length| whole[..length].to_vec());
        let flips = (0..8 * whole.len()).map(|bit| {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        });
        let longer = [&whole[..], b"\n"].concat();
        for damaged in cuts.chain(flips).chain([longer, b"{}".to_vec(), b"\n\n\n".to_vec()]) {
            fs::write(checkpoint.path("bin"), &damaged).unwrap();
            assert_eq!(checkpoint.load("bin", bytes).unwrap().unwrap(), b"first");
            let alone = checkpoint.load_one("bin", &bytes).unwrap_err().to_string();
            assert!(alone.contains("broken checkpoint") && alone.contains(".bin"), "{alone}");
        }
        fs::write(checkpoint.path("bin.before"), b"").unwrap();
        assert!(checkpoint.load("bin", bytes).is_err());
        // A body that means nothing is as bad.
        checkpoint.save("bin", b"third").unwrap();
        let refused = checkpoint.load::<()>("bin", |_| Err("has 33 draws".into())).unwrap_err().to_string();
        assert!(refused.contains("has 33 draws"), "{refused}");
    }

    #[test]
    fn a_state_that_cannot_be_saved_leaves_one_that_can_be_loaded() {
        for index in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let checkpoint = Checkpoint::new(folder.path(), "fingerprint");
            checkpoint.save("bin", b"first").unwrap();
            let save = || checkpoint.save("bin", b"second");
            let (saved, reached) = storage::fault::during(folder.path(), index, ErrorKind::StorageFull, save);
            let loaded = checkpoint.load("bin", bytes).unwrap().unwrap();
            assert!(loaded == b"second" || (saved.is_err() && loaded == b"first"));
            if !reached {
                break;
            }
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
