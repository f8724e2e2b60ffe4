//! Shares of an experiment that other machines have done, and how they are put together.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Table;

use super::checkpoint::{Checkpoint, name_of};
use super::kept::Provenance;
use super::names::{DONE, STATES, WORK};
use super::states::{difference, read_table};
use super::storage::{self, ResultsError};
use crate::experiment::share::Share;
use crate::experiment::specification::text::text_of_spec;

/// Name of the file that says which share a folder has; it is written when the share is done.
const SHARD: &str = "shard.json";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    share: Share,
    version: String,
}

/// A share that is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Shard {
    /// Which.
    pub share: Share,
    /// Its results folder.
    pub folder: PathBuf,
    /// The spec.
    spec: Table,
}

/// Says in a results folder that a share is done.
pub(in crate::experiment) fn write(folder: &Path, share: Share) -> Result<(), ResultsError> {
    let path = folder.join(SHARD);
    let note = Note { share, version: env!("CARGO_PKG_VERSION").into() };
    let text = serde_json::to_string(&note).map_err(|error| ResultsError::new(&path, error))?;
    storage::write_atomically(&path, text.as_bytes())
}

/// Takes the word back: the share is being done again.
pub(in crate::experiment) fn unwrite(folder: &Path) -> Result<(), ResultsError> {
    storage::remove(&folder.join(SHARD))
}

/// The shares in these folders, each a results folder or a folder of some, experiment by experiment in the order in which they come.
///
/// # Errors
/// A folder holds no share that is done, or shares of one experiment do not fit together: of other specs, of another number, one twice, or
/// one missing.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Vec<Shard>>, ResultsError> {
    let mut groups: Vec<(String, Vec<Shard>)> = Vec::new();
    for path in paths {
        let inside: Vec<PathBuf> = if path.join(WORK).is_file() {
            vec![path.clone()]
        } else {
            let entries = std::fs::read_dir(path).map_err(|error| ResultsError::new(path, error))?;
            let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            folders.sort();
            folders.into_iter().filter(|folder| folder.join(WORK).is_file()).collect()
        };
        if inside.is_empty() {
            return Err(ResultsError::new(
                path,
                "holds no share of an experiment (gradlaw run SPEC --shard I/N --out DIR)",
            ));
        }
        for folder in inside {
            let shard = read(&folder)?;
            let name = shard.spec.get("name").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
            match groups.iter_mut().find(|(own, _)| *own == name) {
                Some((_, group)) => group.push(shard),
                None => groups.push((name, vec![shard])),
            }
        }
    }
    groups.iter().try_for_each(|(name, group)| check(name, group))?;
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

fn read(folder: &Path) -> Result<Shard, ResultsError> {
    let path = folder.join(SHARD);
    let note = storage::read(&path)?
        .ok_or_else(|| ResultsError::new(folder, "has no share that is done: go on with the command that began it"))?;
    let note: Note =
        serde_json::from_slice(&note).map_err(|error| ResultsError::new(&path, format!("is damaged: {error}")))?;
    if note.version != env!("CARGO_PKG_VERSION") {
        let message = format!("is of version {}, and this is {}", note.version, env!("CARGO_PKG_VERSION"));
        return Err(ResultsError::new(&path, message));
    }
    let spec = read_table(&folder.join(WORK))?.unwrap_or_default();
    Ok(Shard { share: note.share, folder: folder.into(), spec })
}

/// Shares of one experiment fit together.
fn check(name: &str, shards: &[Shard]) -> Result<(), ResultsError> {
    let Some(first) = shards.first() else { return Ok(()) };
    let refuse = |shard: &Shard, message: String| Err(ResultsError::new(&shard.folder, message));
    for (at, shard) in shards.iter().enumerate() {
        if shard.spec != first.spec {
            let difference = difference(Some(&first.spec), &shard.spec);
            return refuse(shard, format!("is of another spec than {}: {difference}", first.folder.display()));
        }
        if shard.share.count() != first.share.count() {
            let other = first.folder.display();
            return refuse(shard, format!("is share {}, and {other} is share {}", shard.share, first.share));
        }
        if let Some(twin) = shards[..at].iter().find(|other| other.share == shard.share) {
            return refuse(shard, format!("is share {} as {} is", shard.share, twin.folder.display()));
        }
    }
    let has = |index: &usize| shards.iter().any(|shard| shard.share.index() == *index);
    let missing: Vec<String> =
        (1..=first.share.count()).filter(|index| !has(index)).map(|index| index.to_string()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("the shares {} of {} of {name} are missing", missing.join(", "), first.share.count());
    Err(ResultsError::new(&first.folder, message))
}

impl Shard {
    /// The spec, as text.
    pub fn spec(&self) -> String {
        text_of_spec(&self.spec)
    }
}

/// Copies the state of the part with this fingerprint, and the weights that were kept with it, from the share that has it.
///
/// # Errors
/// No share has it, or what one has is damaged or cannot be copied.
pub(in crate::experiment) fn take(
    shards: &[Shard],
    fingerprint: &str,
    describe: impl Fn() -> String,
    weights: Option<&Provenance>,
    to: &Path,
) -> Result<(), ResultsError> {
    for shard in shards {
        let checkpoint = Checkpoint::new(&shard.folder, fingerprint);
        if checkpoint.load(DONE, |_| Ok(()))?.is_none() {
            continue;
        }
        let (entries, place) = (std::fs::read_dir(shard.folder.join(STATES)), to.join(STATES));
        let is_own = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(&name_of(fingerprint));
        for entry in entries.into_iter().flatten().flatten().filter(|entry| is_own(&entry.file_name())) {
            let Some(bytes) = storage::read(&entry.path())? else { continue };
            storage::make_folder(&place)?;
            storage::write_atomically(&place.join(entry.file_name()), &bytes)?;
        }
        return weights.map_or(Ok(()), |weights| weights.take(&shard.folder, to));
    }
    let folder = shards.first().map_or(to, |shard| shard.folder.as_path());
    Err(ResultsError::new(folder, format!("no share has the state of {}", describe())))
}
