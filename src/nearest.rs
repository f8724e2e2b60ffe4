//! The nearest known name to one that is not known, for error messages.

/// The known name that is most like this one; `None` where none is much like it.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let similar = known.into_iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    let close = similar.filter(|(similarity, _)| *similarity > 0.75);
    close.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, candidate)| candidate)
}
