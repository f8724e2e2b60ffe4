//! `points.csv`: one row for each network, observable and sweep point, in numbers that read back to the same bits.

use std::path::Path;

use super::ResultsError;
use super::{Row, Sampled};

/// Columns after the sweep variables.
pub const COLUMNS: &[&str] = &[
    "dimension",
    "draws",
    "mean",
    "std_error",
    "std_dev",
    "q10",
    "median",
    "q90",
    "theory",
    "theory_kind",
    "z",
    "zeros",
    "non_finite",
    "skewness",
];

/// The rows as CSV. Numbers are the shortest that read back to the same bits.
pub fn to_csv(rows: &[Row], variables: &[&str]) -> String {
    let header = ["network", "observable"].iter().chain(variables).chain(COLUMNS).map(|s| (*s).to_owned()).collect();
    records_to_csv(std::iter::once(header).chain(rows.iter().map(row_fields)))
}

/// Records of one length as CSV.
pub fn records_to_csv(records: impl IntoIterator<Item = Vec<String>>) -> String {
    // Writing to memory fails only when memory ends, and then it panics rather than returns.
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer.write_record(&record).expect("all records have the header's length");
    }
    let bytes = writer.into_inner().expect("a vector takes all that is written");
    String::from_utf8(bytes).expect("fields are strings")
}

fn row_fields(row: &Row) -> Vec<String> {
    let mut fields = vec![row.network.clone(), row.observable.clone()];
    fields.extend(row.variables.iter().map(|&(_, value)| number(value)));
    fields.push(row.dimension.to_string());
    match row.sampled {
        Some(s) => {
            fields.push(s.draws.to_string());
            fields.extend([s.mean, s.std_error, s.std_dev, s.q10, s.median, s.q90].map(number));
        }
        None => fields.extend(vec![String::new(); 7]),
    }
    let (theory, kind) = row.theory.clone().map_or_else(Default::default, |(mean, kind)| (number(mean), kind));
    fields.extend([theory, kind, row.z.map(number).unwrap_or_default()]);
    let counts = row.sampled.map(|s| [s.zeros.to_string(), s.non_finite.to_string(), number(s.skewness)]);
    fields.extend(counts.unwrap_or_default());
    fields
}

/// The shortest decimal that reads back to the same bits, with an exponent where that is shorter.
pub fn number(value: f64) -> String {
    let plain = value.to_string();
    let scientific = format!("{value:e}");
    if plain.len() <= scientific.len() + 4 { plain } else { scientific }
}

/// Reads the text of `points.csv`; the path is that of errors.
pub fn read_points(path: &Path, text: &str, variables: &[&str]) -> Result<Vec<Row>, ResultsError> {
    let wrong = |message: String| ResultsError::new(path, message);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let column = |name: &str| {
        header.iter().position(|column| column == name).ok_or_else(|| wrong(format!("has no column `{name}`")))
    };
    let mut rows = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let text = |name: &str| column(name).map(|index| record.get(index).unwrap_or_default().to_owned());
        let parse = |name: &str| {
            let field = text(name)?;
            field.parse::<f64>().map_err(|_| wrong(format!("row {}: {name} = {field} is not a number", line + 1)))
        };
        let sampled = match text("draws")?.as_str() {
            "" => None,
            _ => Some(Sampled {
                draws: parse("draws")? as u64,
                mean: parse("mean")?,
                std_error: parse("std_error")?,
                std_dev: parse("std_dev")?,
                q10: parse("q10")?,
                median: parse("median")?,
                q90: parse("q90")?,
                zeros: parse("zeros")? as u64,
                non_finite: parse("non_finite")? as u64,
                skewness: parse("skewness")?,
            }),
        };
        let theory = match text("theory")?.as_str() {
            "" => None,
            _ => Some((parse("theory")?, text("theory_kind")?)),
        };
        rows.push(Row {
            network: text("network")?,
            observable: text("observable")?,
            variables: variables.iter().map(|name| Ok(((*name).into(), parse(name)?))).collect::<Result<_, _>>()?,
            dimension: parse("dimension")? as usize,
            sampled,
            theory,
            z: match text("z")?.as_str() {
                "" => None,
                _ => Some(parse("z")?),
            },
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(mean: f64, theory: Option<f64>) -> Row {
        let sampled = Sampled {
            draws: 10,
            mean,
            std_error: mean / 7.0,
            std_dev: mean / 3.0,
            q10: f64::NAN,
            median: 1e-300,
            q90: 1e300,
            zeros: 1,
            non_finite: 2,
            skewness: -0.5,
        };
        Row {
            network: "two, \"wide\" layers".into(),
            observable: "loss.l1".into(),
            variables: vec![("d".into(), 64.0), ("a".into(), 0.5)],
            dimension: 64,
            sampled: Some(sampled),
            theory: theory.map(|theory| (theory, "exact".into())),
            z: theory.map(|theory| 7.0 * (1.0 - theory / mean)),
        }
    }

    proptest! {
        #[test]
        fn numbers_read_back_to_the_same_bits(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let read: f64 = number(value).parse().unwrap();
            prop_assert!(read.to_bits() == bits || (value.is_nan() && read.is_nan()));
        }

        #[test]
        fn rows_read_back_from_csv(mean in 1e-9f64..1e9, theory in prop::option::of(1e-9f64..1e9)) {
            let rows = vec![row(mean, theory), Row { sampled: None, ..row(mean, theory) }];
            let read = read_points(Path::new("points.csv"), &to_csv(&rows, &["d", "a"]), &["d", "a"]).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{rows:?}"));
        }
    }

    #[test]
    fn a_damaged_table_is_named() {
        let read = read_points(Path::new("points.csv"), "network,observable\na,b\n", &[]);
        assert!(read.unwrap_err().to_string().contains("points.csv: has no column"));
    }
}
