//! Which colour and marker each series has.

use crate::figure::theme;

/// For series the indices of their colours and markers; those that are not in it have their own.
#[derive(Debug, Clone, Default)]
pub struct Styles(Vec<usize>);

impl Styles {
    /// Those of series of these names. Where all names are of the form *one, other* and both parts recur, the first part has the colour and
    /// the second the marker; elsewhere they are in order.
    pub fn new(names: &[String]) -> Self {
        let parts: Option<Vec<(&str, &str)>> = names.iter().map(|name| name.split_once(", ")).collect();
        let Some(parts) = parts else { return Self::default() };
        let ones = indices(parts.iter().map(|part| part.0));
        let others = indices(parts.iter().map(|part| part.1));
        let recur = |of: &[usize]| of.iter().max().is_some_and(|&most| most + 1 < of.len());
        if !recur(&ones) || !recur(&others) {
            return Self::default();
        }
        Self(ones.into_iter().zip(others).map(|(one, other)| theme::mixed(one, other)).collect())
    }

    /// That of a series.
    pub fn of(&self, series: usize) -> usize {
        self.0.get(series).copied().unwrap_or(series)
    }
}

/// Of each name, which of the different ones it is, in the order of their first appearance.
fn indices<'a>(names: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let mut known: Vec<&str> = Vec::new();
    names
        .map(|name| {
            known.iter().position(|other| *other == name).unwrap_or_else(|| {
                known.push(name);
                known.len() - 1
            })
        })
        .collect()
}
