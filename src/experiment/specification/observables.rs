//! The key `observables` and the table `[define]`: what is measured, by name, and what is made of it draw by draw.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::expression::{Expression, Variables, reserved_names};
use super::reader::{Origin, Reader, SpecError, did_you_mean};
use super::{Sweep, WorkSpec};
use crate::observable::{Combine, Defined};

/// An observable of the spec's own.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// How it is made.
    pub making: Making,
}

/// How an observable is made of others.
#[derive(Clone)]
pub enum Making {
    /// By a formula of observables, of definitions before it, of sweep variables and of `dimension`.
    Formula(Expression),
    /// By a function of the values of these observables.
    Function(Vec<String>, Arc<Combine>),
}

impl fmt::Debug for Making {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Formula(formula) => write!(formatter, "{formula:?}"),
            Self::Function(bases, _) => write!(formatter, "a function of {bases:?}"),
        }
    }
}

impl Definition {
    /// The names that it uses.
    pub fn names(&self) -> &[String] {
        match &self.making {
            Making::Formula(formula) => formula.names(),
            Making::Function(bases, _) => bases,
        }
    }

    /// The definition at a point with these variables, where `place` gives the place of a name among a draw's values.
    fn at(&self, place: impl Fn(&str) -> Option<usize>, variables: &Variables) -> Result<Defined, String> {
        let bases: Vec<usize> = self.names().iter().filter_map(|name| place(name)).collect();
        match &self.making {
            Making::Formula(formula) => Ok(Defined::new(bases, formula.function(place, variables)?)),
            Making::Function(_, combine) => {
                let (places, combine) = (bases.clone(), combine.clone());
                let of_values = move |values: &[f64]| {
                    let own: Vec<f64> = places.iter().map(|&place| values[place]).collect();
                    combine(&own)
                };
                Ok(Defined::new(bases, of_values))
            }
        }
    }
}

/// What is measured: names with their meaning, those of definitions last.
pub(super) struct Measured<O> {
    pub observables: Vec<(String, O)>,
    pub definitions: Vec<Definition>,
}

/// Reads what is measured: the names that are listed, those that definitions use, and the definitions.
pub(super) fn read_observables<W: WorkSpec>(
    reader: &Reader<'_>,
    origin: &Origin,
    sweep: &Sweep,
) -> Result<Measured<W::Observable>, SpecError> {
    let allowed = format!("must be a list of names such as \"{}\"", W::EXAMPLE);
    let definitions = read_definitions::<W>(reader, origin, sweep)?;
    let names = reader.strings("observables", &allowed)?;
    let names = match names {
        None if definitions.is_empty() => return Err(reader.missing("observables", &allowed["must be ".len()..])),
        None => Vec::new(),
        Some(names) if names.is_empty() => return Err(reader.refuse("observables", allowed)),
        Some(names) => names,
    };
    let is_defined = |name: &str| definitions.iter().any(|definition| definition.name == name);
    let mut observables: Vec<(String, W::Observable)> = Vec::new();
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        let key = format!("observables.{index}");
        if !seen.insert(*name) {
            return Err(reader.complain(&key, name, "must stand only once"));
        }
        if !is_defined(name) {
            let read = W::observable(name, sweep).map_err(|message| reader.complain(&key, name, message));
            observables.push(((*name).into(), read?));
        }
    }
    // What definitions use is measured beside what is listed.
    for base in definitions.iter().flat_map(|definition| definition.names()) {
        if !seen.contains(base.as_str())
            && !is_defined(base)
            && let Ok(observable) = W::observable(base, sweep)
        {
            seen.insert(base);
            observables.push((base.clone(), observable));
        }
    }
    observables.extend(definitions.iter().map(|definition| (definition.name.clone(), W::defined())));
    Ok(Measured { observables, definitions })
}

fn read_definitions<W: WorkSpec>(
    reader: &Reader<'_>,
    origin: &Origin,
    sweep: &Sweep,
) -> Result<Vec<Definition>, SpecError> {
    let Some(table) = reader.table("define")? else { return Ok(Vec::new()) };
    let names: Vec<&str> = table.keys().map(String::as_str).collect();
    let define = Reader::new(table, origin, "define", &names)?;
    let variables: Vec<&str> = sweep.names().chain(["dimension"]).collect();
    let mut definitions: Vec<Definition> = Vec::new();
    for name in names {
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_taken = variables.contains(&name)
            || reserved_names().any(|reserved| reserved == name)
            || W::observable(name, sweep).is_ok();
        if !plain || is_taken {
            let message = "is not a name for an observable: must be letters, digits and underscores, and none of an observable, a sweep \
                           variable, `dimension`, a function or a constant";
            return Err(define.refuse(name, message));
        }
        let text = define.required_string(name)?;
        let is_observable = |name: &str| W::observable(name, sweep).is_ok();
        let formula = Expression::parse_with(text, &|rest| length_of_name(rest, is_observable))
            .map_err(|message| define.refuse(name, message))?;
        let mut measured = 0;
        for used in formula.names() {
            let is_made = definitions.iter().any(|definition| definition.name == *used);
            measured += usize::from(is_made || is_observable(used));
            if !(is_made || is_observable(used) || variables.contains(&used.as_str())) {
                let known =
                    definitions.iter().map(|definition| definition.name.as_str()).chain(variables.iter().copied());
                let message = format!(
                    "uses `{used}`, which is no observable, no definition before it and no variable{}",
                    did_you_mean(used, known)
                );
                return Err(define.refuse(name, message));
            }
            if W::observable(used, sweep).is_ok_and(|observable| !W::in_definitions(&observable)) {
                let message = format!(
                    "uses `{used}`, which is measured before training: definitions are of what is measured after it"
                );
                return Err(define.refuse(name, message));
            }
        }
        if measured == 0 {
            return Err(
                define.refuse(name, "must be a formula of at least one observable, such as \"loss.l1 / loss.l2\"")
            );
        }
        definitions.push(Definition { name: name.into(), making: Making::Formula(formula) });
    }
    Ok(definitions)
}

/// Bytes of the longest name at the beginning of a text for which `is_name` is true, where it holds more than letters and digits.
pub(super) fn length_of_name(text: &str, is_name: impl Fn(&str) -> bool) -> Option<usize> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._@+-".contains(c);
    let mut length = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
    let word = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    while length > word {
        if is_name(&text[..length]) {
            return Some(length);
        }
        length -= 1;
    }
    None
}

/// The definitions as functions of a draw's values, at one point of the sweep; `names` are those of the values in their order.
///
/// # Errors
/// Names a variable that is not there.
pub fn defined_at(definitions: &[Definition], names: &[&str], variables: &Variables) -> Result<Vec<Defined>, String> {
    let place = |name: &str| names.iter().position(|known| *known == name);
    definitions.iter().map(|definition| definition.at(place, variables)).collect()
}
