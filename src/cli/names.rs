//! `gradlaw names`: the arrays that a given network expects in its file of weights.

use std::path::Path;
use std::process::ExitCode;

use gradlaw::experiment::given::{self, Which};
use gradlaw::network::weights::{Expected, expected};

use super::failure::Failure;
use super::terminal::Terminal;
use super::{Common, table};

/// Prints the name, the shape and the layer's type of every array.
pub fn names(network: &Path, which: &Which, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let (architecture, origin) = given::read_architecture(network, &common.overrides, which)?;
    common.check_paths([&origin])?;
    let arrays = expected(&architecture);
    if common.json {
        // Strings and numbers, which JSON can hold.
        terminal.print(&serde_json::to_string(&arrays).unwrap_or_default())?;
    } else {
        let row = |array: &Expected| {
            let optional = if array.optional { "optional" } else { "" };
            [array.name.clone(), format!("{:?}", array.shape), array.layer.to_owned(), optional.to_owned()]
        };
        terminal.print(&table::plain(&["array", "shape", "layer", ""], usize::MAX, arrays.iter().map(row)))?;
    }
    Ok(ExitCode::SUCCESS)
}
