//! Loads specs: from a file, or by the name of a shipped experiment, with `--set` applied.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use toml::Table;

use super::catalogue;
use super::overrides::Override;
use super::reader::{Origin, SpecError, did_you_mean};
use super::spec::Spec;
use super::trained::{TrainingSpec, is_training};

/// A spec of either kind.
#[derive(Debug, Clone)]
pub enum AnySpec {
    /// Of networks at initialisation.
    Initialisation(Box<Spec>),
    /// Of trained networks.
    Training(Box<TrainingSpec>),
}

impl AnySpec {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Initialisation(spec) => &spec.name,
            Self::Training(spec) => &spec.name,
        }
    }

    /// File and options, for error messages.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Initialisation(spec) => &spec.origin,
            Self::Training(spec) => &spec.origin,
        }
    }
}

/// Loads the spec at a path or of a shipped name, changed by the overrides.
///
/// # Errors
/// There is no such spec, it is not TOML, something in it is not allowed, or it is one of trained networks.
pub fn load(name: &str, overrides: &[Override]) -> Result<Spec, SpecError> {
    match load_any(name, overrides)? {
        AnySpec::Initialisation(spec) => Ok(*spec),
        AnySpec::Training(spec) => Err(spec.origin.error(
            "training",
            "",
            "makes this a spec of trained networks, which `gradlaw run` and `gradlaw verify` take, and nothing else here",
        )),
    }
}

/// The same for specs of either kind.
///
/// # Errors
/// There is no such spec, it is not TOML, or something in it is not allowed.
pub fn load_any(name: &str, overrides: &[Override]) -> Result<AnySpec, SpecError> {
    let error = |message: String| Origin { file: name.into(), overridden: Vec::new() }.error("", "", message);
    match (catalogue::find(name), fs::read_to_string(name)) {
        (Some(shipped), Err(_)) => parse_any(&format!("experiments/{name}.toml"), shipped.text, overrides),
        (_, Ok(text)) => parse_any(name, &text, overrides),
        (None, Err(_)) if !Path::new(name).exists() => {
            let names: Vec<&str> = catalogue::SHIPPED.iter().map(|shipped| shipped.name).collect();
            // A path is compared by its file's name.
            let stem = Path::new(name).file_stem().and_then(OsStr::to_str).unwrap_or(name);
            let (hint, known) = (did_you_mean(stem, names.iter().copied()), names.join(", "));
            Err(error(format!("no such file{hint} (must be the path of a spec, or a shipped experiment: {known})")))
        }
        (None, Err(reason)) => Err(error(format!("cannot be read: {reason}"))),
    }
}

/// Parses the text of a spec.
///
/// # Errors
/// It is not TOML, or something in it is not allowed.
pub fn parse(file: &str, text: &str, overrides: &[Override]) -> Result<Spec, SpecError> {
    let (table, origin) = parse_table(file, text, overrides)?;
    Spec::from_table(&table, origin)
}

/// Parses the text of a spec of either kind.
///
/// # Errors
/// It is not TOML, or something in it is not allowed.
pub fn parse_any(file: &str, text: &str, overrides: &[Override]) -> Result<AnySpec, SpecError> {
    let (table, origin) = parse_table(file, text, overrides)?;
    if is_training(&table) {
        TrainingSpec::from_table(&table, origin).map(|spec| AnySpec::Training(Box::new(spec)))
    } else {
        Spec::from_table(&table, origin).map(|spec| AnySpec::Initialisation(Box::new(spec)))
    }
}

/// Parses a text as TOML and applies the overrides.
pub(super) fn parse_table(file: &str, text: &str, overrides: &[Override]) -> Result<(Table, Origin), SpecError> {
    let mut origin = Origin { file: file.into(), overridden: Vec::new() };
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or_default());
        let (line, column) =
            (before.lines().count().max(1), before.lines().last().map_or(0, |line| line.chars().count()));
        let what = error.message().lines().next().unwrap_or("not TOML").to_owned();
        origin.error("", "", format!("line {line}, column {}: is not TOML: {what}", column + 1))
    })?;
    // The path of the data last: whether a spec reads data may itself be overridden.
    let (paths, others): (Vec<_>, Vec<_>) = overrides.iter().partition(|change| change.is_data_path());
    for change in others.into_iter().chain(paths) {
        change.apply(&mut table, &mut origin)?;
    }
    Ok((table, origin))
}
