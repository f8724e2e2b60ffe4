//! Loads specs: from a file, or by the name of a shipped experiment, with `--set` applied.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml::Table;

use super::overrides::Override;
use super::reader::{Origin, SpecError, did_you_mean};
use super::{AnySpec, DrawSpec, Spec};
use crate::experiment::catalogue;

/// Most bytes of a file of TOML.
const LONGEST: u64 = 16 << 20;

/// The text of a file of TOML. A pipe without a writer would be waited for, and a device read, without end.
///
/// # Errors
/// It is not there, no regular file, too long, or no text.
pub(in crate::experiment) fn read_text(path: &Path) -> io::Result<String> {
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    if metadata.len() > LONGEST {
        return Err(io::Error::other(format!("it is longer than {} MiB", LONGEST >> 20)));
    }
    text_of_stream(File::open(path)?)
}

/// All that a stream gives, within bounds.
fn text_of_stream(stream: impl Read) -> io::Result<String> {
    let mut text = String::new();
    stream.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it is longer than {} MiB", LONGEST >> 20)));
    }
    Ok(text)
}

/// The name of the spec that comes from standard input.
const STANDARD_INPUT: &str = "-";

/// Loads the spec at a path, of a shipped name, or from standard input where the name is `-`, changed by the overrides.
///
/// # Errors
/// There is no such spec, it is not TOML, or something in it is not allowed.
pub fn load(name: &str, overrides: &[Override]) -> Result<AnySpec, SpecError> {
    let error = |message: String| Origin { file: name.into(), overridden: Vec::new() }.error("", "", message);
    if name == STANDARD_INPUT {
        let text = text_of_stream(io::stdin().lock());
        return parse("standard input", &text.map_err(|reason| error(format!("cannot be read: {reason}")))?, overrides);
    }
    match (catalogue::find(name), read_text(Path::new(name))) {
        (Some(shipped), Err(_)) => parse(&format!("experiments/{name}.toml"), shipped.text, overrides),
        (_, Ok(text)) => parse(name, &text, overrides),
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

/// The same of networks at initialisation only.
///
/// # Errors
/// There is no such spec, it is not TOML, something in it is not allowed, or it is one of trained networks.
pub fn load_drawn(name: &str, overrides: &[Override]) -> Result<Spec<DrawSpec>, SpecError> {
    load(name, overrides)?.drawn()
}

/// Parses the text of a spec.
///
/// # Errors
/// It is not TOML, or something in it is not allowed.
pub fn parse(file: &str, text: &str, overrides: &[Override]) -> Result<AnySpec, SpecError> {
    let (table, origin) = parse_table(file, text, overrides)?;
    AnySpec::from_table(&table, origin)
}

/// Parses a text as TOML, or as JSON where it begins with a brace, and applies the overrides.
pub(in crate::experiment) fn parse_table(
    file: &str,
    text: &str,
    overrides: &[Override],
) -> Result<(Table, Origin), SpecError> {
    let mut origin = Origin { file: file.into(), overridden: Vec::new() };
    let refuse = |[line, column]: [usize; 2], what: String| {
        origin.error("", "", format!("line {line}, column {column}: is not {what}"))
    };
    // No TOML begins so.
    let is_json = text.trim_start().starts_with('{');
    let mut table: Table = if is_json {
        serde_json::from_str(text).map_err(|error| {
            // Its words end with the place, which stands before them.
            let what = error.to_string();
            let what = what.split(" at line ").next().unwrap_or_default();
            refuse([error.line(), error.column()], format!("JSON: {what}"))
        })?
    } else {
        text.parse().map_err(|error: toml::de::Error| {
            let what = error.message().lines().next().unwrap_or("not TOML");
            refuse(place_of(text, error.span().map_or(0, |span| span.start)), format!("TOML: {what}"))
        })?
    };
    // The path of the data last: whether a spec reads data may itself be overridden.
    let (paths, others): (Vec<_>, Vec<_>) = overrides.iter().partition(|change| change.is_data_path());
    for change in others.into_iter().chain(paths) {
        change.apply(&mut table, &mut origin)?;
    }
    Ok((table, origin))
}

/// Line and column of a byte of a text, both counted from 1, columns in characters.
fn place_of(text: &str, byte: usize) -> [usize; 2] {
    let before = text.get(..byte).unwrap_or_default();
    let line_begins = before.rfind('\n').map_or(0, |end| end + 1);
    [before.matches('\n').count() + 1, before[line_begins..].chars().count() + 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_may_be_json() {
        let same = |text: &str| parse_table("spec", text, &[]).unwrap().0;
        let table = same("name = \"a\"\ndraws = 3\nprecision = 0.5\n[sweep]\nd = [1, 2.5]");
        assert_eq!(same(r#" {"name": "a", "draws": 3, "precision": 0.5, "sweep": {"d": [1, 2.5]}}"#), table);
        for (text, message) in [
            ("{\"a\": 1,\n \"b\" 2}", "spec: line 2, column 6: is not JSON: expected `:`"),
            ("{\"a\": null}", "is not JSON"),
            ("{\"a\": 1", "line 1, column 7: is not JSON: EOF"),
        ] {
            let error = parse_table("spec", text, &[]).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn errors_of_toml_stand_where_they_are() {
        for (text, place) in [
            ("= 3", "line 1, column 1:"),
            ("a = 1\nb = 2\n= 3", "line 3, column 1:"),
            ("a = 1\r\n\r\n= 3", "line 3, column 1:"),
            ("a = 1\nb = 2\n  = 3", "line 3, column 3:"),
            ("a = 1\né = 2", "line 2, column 1:"),
            ("a = \"é\" é", "line 1, column 9:"),
            ("a = 1\n\n\nb = [1,\n2 3]\n", "line 5, column 1:"),
        ] {
            let error = parse("spec.toml", text, &[]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("spec.toml: {place} is not TOML")), "{text:?}: {error}");
        }
    }
}
