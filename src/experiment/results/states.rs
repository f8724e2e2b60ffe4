//! The states in a results folder as a whole: which work they are of, and what became of it.

use std::path::Path;

use toml::{Table, Value};

use super::Lock;
use super::checkpoint::name_of;
use super::names::{SPEC, STATES, WEIGHTS, WORK};
use super::storage::{self, ResultsError};
use crate::experiment::specification::reader::text_of;
use crate::experiment::specification::text::text_of_spec;

/// Most differences that are told.
const TOLD: usize = 5;

/// Why a folder's states are not gone on from.
#[derive(Debug)]
pub enum Refused {
    /// The file system failed, or another process is at work.
    Results(ResultsError),
    /// They are of other work: how it differs, in words.
    Changed(String),
}

impl From<ResultsError> for Refused {
    fn from(error: ResultsError) -> Self {
        Self::Results(error)
    }
}

/// Locks a results folder for work with these fingerprints; `fresh` takes all states away, and what was kept with them.
///
/// # Errors
/// Another process holds the folder, the file system failed, or states are there of other work, which would be given up.
pub fn enter<'f>(
    folder: &Path,
    fingerprints: impl IntoIterator<Item = &'f str>,
    spec: &Table,
    fresh: bool,
) -> Result<Lock, Refused> {
    let lock = Lock::of(folder)?;
    let states = folder.join(STATES);
    let path = folder.join(WORK);
    if fresh {
        [STATES, WEIGHTS].iter().try_for_each(|kept| storage::remove(&folder.join(kept)))?;
    } else {
        let own: Vec<String> = fingerprints.into_iter().map(name_of).collect();
        let names = std::fs::read_dir(&states).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let is_other = |name: &std::ffi::OsString| {
            let name = name.to_string_lossy();
            !own.iter().any(|own| name.starts_with(own.as_str()))
        };
        if names.into_iter().any(|name| is_other(&name)) {
            let before = [WORK, SPEC].into_iter().find_map(|name| read_table(&folder.join(name)).ok()?);
            return Err(Refused::Changed(difference(before.as_ref(), spec)));
        }
    }
    storage::write_atomically(&path, text_of_spec(spec).as_bytes())?;
    Ok(lock)
}

/// A file of TOML, where it is there.
///
/// # Errors
/// It cannot be read, or is damaged.
pub(in crate::experiment) fn read_table(path: &Path) -> Result<Option<Table>, ResultsError> {
    let damaged = |reason: &dyn std::fmt::Display| ResultsError::new(path, format!("is damaged: {reason}"));
    let Some(bytes) = storage::read(path)? else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|error| damaged(&error))?;
    text.parse().map(Some).map_err(|error: toml::de::Error| damaged(&error.message()))
}

/// The results have the spec of the states now.
///
/// # Errors
/// The file cannot be removed.
pub fn have_results(folder: &Path) -> Result<(), ResultsError> {
    storage::remove(&folder.join(WORK))
}

/// In words, how the spec differs from the one before.
pub(super) fn difference(before: Option<&Table>, now: &Table) -> String {
    let Some(before) = before else { return "the spec or the program".into() };
    let (before, now) = (flat(before), flat(now));
    let value =
        |of: &[(String, String)], key: &str| of.iter().find(|(own, _)| own == key).map(|(_, value)| value.clone());
    let keys = now.iter().chain(before.iter().filter(|(key, _)| value(&now, key).is_none())).map(|(key, _)| key);
    let all: Vec<String> = keys
        .filter_map(|key| match (value(&before, key), value(&now, key)) {
            (Some(was), Some(is)) if was != is => Some(format!("{key} was {was} and is {is}")),
            (Some(was), None) => Some(format!("{key} was {was} and is gone")),
            (None, Some(is)) => Some(format!("{key} is {is} and was not there")),
            _ => None,
        })
        .collect();
    match all.len() {
        0 => "the data or the program".into(),
        count if count > TOLD => format!("{}; and {} keys more", all[..TOLD].join("; "), count - TOLD),
        _ => all.join("; "),
    }
}

/// Every value with its dotted key.
fn flat(table: &Table) -> Vec<(String, String)> {
    fn add(key: &str, value: &Value, all: &mut Vec<(String, String)>) {
        let inner = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
        match value {
            Value::Table(table) => table.iter().for_each(|(name, value)| add(&inner(name), value, all)),
            Value::Array(list) if list.iter().any(|value| value.is_table()) => {
                list.iter().enumerate().for_each(|(index, value)| add(&inner(&index.to_string()), value, all));
            }
            value => all.push((key.to_owned(), text_of(value))),
        }
    }
    let mut all = Vec::new();
    add("", &Value::Table(table.clone()), &mut all);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::results::Checkpoint;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn states_of_other_work_are_not_given_up_without_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let spec = table("seed = 1\ndraws = 10\n[[network]]\nlayers = [{ type = \"dense\", units = 64 }]");
        let enter = |prints: &[&str], spec: &Table, fresh| enter(folder.path(), prints.iter().copied(), spec, fresh);
        drop(enter(&["one", "two"], &spec, false).unwrap());
        Checkpoint::new(folder.path(), "one").save("json", b"{}").unwrap();
        Checkpoint::new(folder.path(), "two").save("json", b"{}").unwrap();
        // More work goes on from what there is.
        drop(enter(&["one", "two", "three"], &spec, false).unwrap());
        let other = table("seed = 2\n[[network]]\nlayers = [{ type = \"dense\", units = 65 }]");
        let Err(Refused::Changed(difference)) = enter(&["one", "four"], &other, false) else { panic!("refused") };
        assert_eq!(
            difference,
            "seed was 1 and is 2; network.0.layers.0.units was 64 and is 65; draws was 10 and is gone"
        );
        let Err(Refused::Changed(difference)) = enter(&["four"], &spec, false) else { panic!("refused") };
        assert_eq!(difference, "the data or the program");
        drop(enter(&["four"], &other, true).unwrap());
        assert_eq!(Checkpoint::new(folder.path(), "one").load("json", |_| Ok(())).unwrap(), None);
    }
}
