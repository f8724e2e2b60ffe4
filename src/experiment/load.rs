//! Loads specs: from a file, or by the name of a shipped experiment, with `--set` applied.

use std::fs;
use std::path::Path;

use toml::Table;

use super::catalogue;
use super::overrides::Override;
use super::reader::{Origin, SpecError};
use super::spec::Spec;

/// Loads the spec at a path or of a shipped name, changed by the overrides.
///
/// # Errors
/// There is no such spec, it is not TOML, or something in it is not allowed.
pub fn load(name: &str, overrides: &[Override]) -> Result<Spec, SpecError> {
    let error = |message: String| Origin { file: name.into(), overridden: Vec::new() }.error("", "", message);
    match (catalogue::find(name), fs::read_to_string(name)) {
        (Some(shipped), Err(_)) => parse(&format!("experiments/{name}.toml"), shipped.text, overrides),
        (_, Ok(text)) => parse(name, &text, overrides),
        (None, Err(_)) if !Path::new(name).exists() => {
            let names: Vec<&str> = catalogue::SHIPPED.iter().map(|shipped| shipped.name).collect();
            let known = names.join(", ");
            Err(error(format!("no such file; must be the path of a spec, or a shipped experiment ({known})")))
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
