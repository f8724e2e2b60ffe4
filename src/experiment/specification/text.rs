//! A spec as the text of a file, as people write them: values of a table in a line each, layers one to a line.

use std::fmt::Write as _;

use toml::{Table, Value};

/// The list whose entries have lines of their own.
const LAYERS: &str = "layers";

/// The text of a spec; parsed again it is the same table.
pub fn text_of_spec(spec: &Table) -> String {
    let mut text = String::new();
    // What follows the head of a table belongs to it.
    let (tables, values): (Vec<_>, Vec<_>) = spec.iter().partition(|(_, value)| value.is_table() || is_tables(value));
    values.into_iter().for_each(|(key, value)| entry(&mut text, key, value));
    for (key, value) in tables {
        match value {
            Value::Table(table) => section(&mut text, &format!("[{}]", written(key)), table),
            Value::Array(tables) => {
                let head = format!("[[{}]]", written(key));
                tables.iter().filter_map(Value::as_table).for_each(|table| section(&mut text, &head, table));
            }
            _ => {}
        }
    }
    text
}

/// Whether a value is a list of nothing but tables, with one at least.
fn is_tables(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_table))
}

fn section(text: &mut String, head: &str, table: &Table) {
    text.push('\n');
    text.push_str(head);
    text.push('\n');
    table.iter().for_each(|(key, value)| entry(text, key, value));
}

fn entry(text: &mut String, key: &str, value: &Value) {
    // A string takes whatever is written to it.
    let _ = match value {
        Value::Array(layers) if key == LAYERS && !layers.is_empty() => {
            let lines: String = layers.iter().map(|layer| format!("  {layer},\n")).collect();
            writeln!(text, "{} = [\n{lines}]", written(key))
        }
        Value::String(words) if is_paragraph(words) => writeln!(text, "{} = \"\"\"\n{words}\"\"\"", written(key)),
        _ => writeln!(text, "{} = {value}", written(key)),
    };
}

/// Whether a text has several lines and none of the letters that stand for something else between three quotes.
fn is_paragraph(words: &str) -> bool {
    let plain = |letter: char| letter == '\n' || !(letter.is_control() || letter == '\\' || letter == '"');
    words.contains('\n') && words.chars().all(plain)
}

/// A key as TOML writes it.
fn written(key: &str) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if !key.is_empty() && key.chars().all(bare) {
        return key.to_owned();
    }
    // A string of JSON is one of TOML, but for one letter that TOML does not take as it is.
    serde_json::Value::from(key).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::experiment::catalogue;
    use crate::experiment::specification::load;

    #[test]
    fn shipped_specs_come_back_and_have_a_line_for_a_layer() {
        for shipped in catalogue::SHIPPED {
            let spec = load::load(shipped.name, &[]).unwrap();
            let text = text_of_spec(spec.resolved());
            assert_eq!(text.parse::<Table>().as_ref(), Ok(spec.resolved()), "{text}");
            assert!(!text.contains("[[network.layers"), "{text}");
            assert!(text.lines().count() < 2 * shipped.text.lines().count() + 40, "{text}");
        }
        let spec = load::load("dense-dimension", &[]).unwrap();
        assert!(text_of_spec(spec.resolved()).contains("\n  { type = \"dense\", units = "));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Integer),
            any::<bool>().prop_map(Value::Boolean),
            (-1e300..1e300f64).prop_map(Value::Float),
            ".{0,12}".prop_map(Value::String),
            "[a-z\"'\\\\\n\t #=]{0,12}".prop_map(Value::String),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::vec(("(layers|[a-z]{1,6}|.{0,4})", inner), 0..4)
                    .prop_map(|entries| Value::Table(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_table_comes_back(entries in proptest::collection::vec(("(layers|[a-z]{1,6}|.{0,4})", values()), 0..6)) {
            let table: Table = entries.into_iter().collect();
            let text = text_of_spec(&table);
            prop_assert_eq!(text.parse::<Table>(), Ok(table), "{}", text);
        }
    }
}
