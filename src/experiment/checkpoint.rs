//! States of points on disk, from which a run goes on with the same bits.
//!
//! Draws are cheap to make again, so only points that took a while are saved; a state holds whole blocks of draws and a
//! checksum.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::results::{ResultsError, write_atomically};
use crate::sampling::Tally;

/// A point that took less is drawn again rather than saved.
const WORTH_SAVING: Duration = Duration::from_millis(500);
/// Time between two states of a point that is being drawn.
const INTERVAL: Duration = Duration::from_secs(5);

/// The fingerprint of all that a text says.
pub fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Serialize, Deserialize)]
struct Saved {
    fingerprint: String,
    tally: Tally,
}

/// Where one point's state is kept.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    fingerprint: String,
    began: Instant,
    /// When a state was saved last.
    last: Mutex<Option<Instant>>,
}

impl Checkpoint {
    /// The checkpoint of the point with this fingerprint, in a results folder.
    pub fn new(folder: &Path, fingerprint: &str) -> Self {
        let name: String = fingerprint.chars().take(16).collect();
        let path = folder.join("state").join(format!("{name}.json"));
        Self { path, fingerprint: fingerprint.into(), began: Instant::now(), last: Mutex::new(None) }
    }

    /// The state that was saved, if there is one of at most `draws` draws.
    ///
    /// # Errors
    /// The file is there but damaged.
    pub fn load(&self, draws: u64) -> Result<Option<Tally>, ResultsError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.broken(error)),
        };
        let (checksum, body) = text.split_once('\n').ok_or_else(|| self.broken("is cut off"))?;
        if checksum != format!("{:08x}", crc32fast::hash(body.as_bytes())) {
            return Err(self.broken("its checksum does not fit"));
        }
        let saved: Saved = serde_json::from_str(body).map_err(|error| self.broken(error))?;
        Ok((saved.fingerprint == self.fingerprint && saved.tally.draws <= draws).then_some(saved.tally))
    }

    fn broken(&self, reason: impl std::fmt::Display) -> ResultsError {
        ResultsError::new(&self.path, format!("broken checkpoint: {reason}; --fresh starts over without it"))
    }

    /// Saves a state when it is time: once the point took a while, and then now and then, and at the last call.
    pub fn offer(&self, tally: &Tally, last: bool) -> Result<(), ResultsError> {
        let mut saved = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = match *saved {
            Some(saved) if !last => saved.elapsed() > INTERVAL,
            _ => self.began.elapsed() > WORTH_SAVING,
        };
        // JSON has no NaN; a point that has one is drawn again.
        let finite = tally.summaries.iter().all(|summary| summary.moments.are_finite());
        if !due || !finite || tally.draws == 0 {
            return Ok(());
        }
        *saved = Some(Instant::now());
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| ResultsError::new(folder, error))?;
        let body = serde_json::to_string(&Saved { fingerprint: self.fingerprint.clone(), tally: tally.clone() })
            .map_err(|error| ResultsError::new(&self.path, error))?;
        let text = format!("{:08x}\n{body}", crc32fast::hash(body.as_bytes()));
        write_atomically(&self.path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::monte_carlo::Summary;

    fn tally() -> Tally {
        let mut summary = Summary::default();
        for value in [0.1, 2.0 / 3.0, 1e-300] {
            summary.moments.push(value);
            summary.quantiles.push(value);
        }
        Tally { draws: 64, summaries: vec![summary] }
    }

    fn saved(folder: &Path) -> Checkpoint {
        let mut checkpoint = Checkpoint::new(folder, "0123456789abcdef-and-more");
        checkpoint.began -= Duration::from_secs(60);
        checkpoint.offer(&tally(), true).unwrap();
        checkpoint
    }

    #[test]
    fn a_state_comes_back_with_its_bits_for_the_same_point_only() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(saved(folder.path()).load(64).unwrap(), Some(tally()));
        assert_eq!(saved(folder.path()).load(63).unwrap(), None);
        assert_eq!(Checkpoint::new(folder.path(), "0123456789abcdef-other").load(64).unwrap(), None);
        assert_eq!(Checkpoint::new(folder.path(), "another").load(64).unwrap(), None);
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = saved(folder.path());
        let text = fs::read_to_string(&checkpoint.path).unwrap();
        for damaged in [text.replace("64", "65"), text[..text.len() / 2].into(), String::new()] {
            fs::write(&checkpoint.path, damaged).unwrap();
            assert!(checkpoint.load(64).unwrap_err().to_string().contains("broken checkpoint"));
        }
    }

    #[test]
    fn quick_points_are_not_saved() {
        let folder = tempfile::tempdir().unwrap();
        Checkpoint::new(folder.path(), "quick").offer(&tally(), true).unwrap();
        assert!(!folder.path().join("state").exists());
    }
}
