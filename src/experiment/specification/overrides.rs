//! `--set key=value`: changes to a spec before it is checked.

use std::str::FromStr;

use toml::{Table, Value};

use super::Set;
use super::reader::{Origin, SpecError, text_of};

/// One `--set key=value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    key: String,
    value: Value,
}

impl FromStr for Override {
    type Err = String;

    /// Parses `key=value`; the value is TOML, a bare word is a string.
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("must be key=value, such as draws=1000")?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || key.split('.').any(str::is_empty) {
            return Err("must begin with a dotted key, such as sweep.d=[64, 256]".into());
        }
        Ok(Self { key: key.into(), value: parse_value(value)? })
    }
}

impl Override {
    /// An override with a value at hand.
    pub fn new(key: &str, value: Value) -> Self {
        Self { key: key.into(), value }
    }

    /// Whether the override gives the path of the data, of networks at initialisation or of trained ones.
    pub fn is_data_path(&self) -> bool {
        ["input.path", "data.path"].contains(&self.key.as_str())
    }

    /// The key that it sets.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the override has a place in this spec. The path of the data does not in a spec that reads none, so that
    /// one path can be given for a whole run.
    fn applies_to(&self, table: &Table) -> bool {
        let word = |name: &str, key: &str| table.get(name).and_then(|table| table.get(key)).and_then(Value::as_str);
        match self.key.as_str() {
            "input.path" => reads_files(word("input", "distribution")),
            "data.path" => reads_files(word("data", "set")),
            _ => true,
        }
    }

    /// Puts the value in its place; tables on the way are made, entries of arrays must be there.
    ///
    /// # Errors
    /// Names a part of the key that is not a table, or an index that is not there.
    pub fn apply(&self, table: &mut Table, origin: &mut Origin) -> Result<(), SpecError> {
        if !self.applies_to(table) {
            return Ok(());
        }
        origin.overridden.push(self.key.clone());
        let parts: Vec<&str> = self.key.split('.').collect();
        // `split` gives one part at least.
        let (last, way) = parts.split_last().expect("a key has a last part");
        let wrong = |part: &str| origin.error(&self.key, &text_of(&self.value), format!("has no place: {part}"));
        let mut place = table;
        let mut parts = way.iter().peekable();
        while let Some(&part) = parts.next() {
            let next = place.entry(part).or_insert_with(|| Value::Table(Table::new()));
            place = match next {
                Value::Table(table) => table,
                Value::Array(entries) => {
                    let Some(&index) = parts.next() else {
                        return replace_entry(entries, last, &self.value).ok_or_else(|| wrong("no such entry"));
                    };
                    let entry = index.parse().ok().and_then(|index: usize| entries.get_mut(index));
                    let table = entry.and_then(Value::as_table_mut);
                    table.ok_or_else(|| wrong(&format!("{part} has no table at {index}")))?
                }
                _ => return Err(wrong(&format!("{part} is not a table"))),
            };
        }
        if let Some(Value::Array(_)) = place.get(*last)
            && !self.value.is_array()
        {
            return Err(wrong(&format!("{last} is a list, so the value must be one, in brackets")));
        }
        place.insert((*last).into(), self.value.clone());
        Ok(())
    }
}

/// Whether samples of this name are read from files.
fn reads_files(name: Option<&str>) -> bool {
    name.and_then(Set::named).is_some_and(Set::has_path)
}

fn replace_entry(entries: &mut [Value], index: &str, value: &Value) -> Option<()> {
    *entries.get_mut(index.parse::<usize>().ok()?)? = value.clone();
    Some(())
}

/// A value of TOML; what is not one is a string, unless it begins as only a list, a table or a string would.
fn parse_value(text: &str) -> Result<Value, String> {
    match format!("value = {text}").parse::<Table>() {
        Ok(mut table) if table.len() == 1 => table.remove("value").ok_or_else(|| "must have a value".into()),
        _ if text.starts_with(['[', '{', '"', '\'']) => Err(format!("has a value that is not TOML: {text}")),
        _ => Ok(Value::String(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(spec: &str, set: &str) -> Result<Table, String> {
        let mut table: Table = spec.parse().unwrap();
        let mut origin = Origin { file: "spec.toml".into(), overridden: vec![] };
        set.parse::<Override>()?.apply(&mut table, &mut origin).map_err(|error| error.to_string())?;
        Ok(table)
    }

    #[test]
    fn values_are_toml_and_bare_words_are_strings() {
        let value = |text: &str| format!("k={text}").parse::<Override>().unwrap().value;
        assert_eq!(value("1000"), Value::Integer(1000));
        assert_eq!(value("1e-3"), Value::Float(1e-3));
        assert_eq!(value("[1, 2]").as_array().unwrap().len(), 2);
        assert_eq!(value("explicit"), Value::String("explicit".into()));
        assert_eq!(value("data/cifar.tar.gz"), Value::String("data/cifar.tar.gz".into()));
        assert_eq!(value("\"1\""), Value::String("1".into()));
        for wrong in ["k=[1,", "draws", ".a=1"] {
            assert!(wrong.parse::<Override>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn dotted_keys_reach_tables_and_entries_of_lists() {
        let spec =
            "draws = 1\n[sweep]\nd = [1, 2]\n[[network]]\nlabel = \"a\"\nlayers = [{ units = 3 }]\ninput = [1, 2]";
        assert_eq!(applied(spec, "draws=7").unwrap()["draws"], Value::Integer(7));
        assert_eq!(applied(spec, "network.0.label=b").unwrap()["network"][0]["label"], Value::String("b".into()));
        assert_eq!(
            applied(spec, "network.0.layers.0.units=5").unwrap()["network"][0]["layers"][0]["units"],
            Value::Integer(5)
        );
        assert_eq!(applied(spec, "network.0.input.1=9").unwrap()["network"][0]["input"][1], Value::Integer(9));
        assert_eq!(applied(spec, "input.label=3").unwrap()["input"]["label"], Value::Integer(3));
        for wrong in ["network.4.label=b", "draws.x=1", "sweep.d=3", "network.0.input.7=1"] {
            assert!(applied(spec, wrong).unwrap_err().contains("spec.toml with --set"), "{wrong}");
        }
    }

    #[test]
    fn the_path_of_data_goes_only_to_specs_that_read_data() {
        assert!(applied("draws = 1", "input.path=x").unwrap().get("input").is_none());
        let spec = "[input]\ndistribution = \"cifar10\"";
        assert_eq!(applied(spec, "input.path=x").unwrap()["input"]["path"], Value::String("x".into()));
    }
}
