//! The nearest known name to one that is not known, for error messages.

/// The known name that is most like this one; `None` where none is much like it.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let similar = known.into_iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    let close = similar.filter(|(similarity, _)| *similarity > 0.75);
    close.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, candidate)| candidate)
}

/// "; did you mean `layers`?", where a known name is much like this one.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map(|candidate| format!("; did you mean `{candidate}`?")).unwrap_or_default()
}

/// "unknown key; did you mean `layers`? (known: …)".
pub fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let hint = did_you_mean(name, known.iter().copied());
    format!("unknown {what}{hint} (known: {})", known.join(", "))
}
