//! Dimension tables of an installation: those made of its registers, and its own CSV files.

use std::path::Path;

use vong_model::{Assets, Table, tables};
use vong_sql::functions::AREAS;

use crate::config::Diagnostic;
use crate::site::files_of;

/// Tables made of the registers.
pub(crate) const OF_REGISTERS: [&str; 3] = ["sensors", "cameras", "units"];

/// Every table that rules can join: `sensors`, `cameras`, `units`, and one for each `*.csv` of the
/// directory, named after its file.
pub(crate) fn load(
    directory: &Path,
    assets: &Assets,
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<Table> {
    let mut found = tables::of_assets(assets);
    for (file, text) in files_of(directory, "csv", mistakes) {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        if OF_REGISTERS.contains(&&*name)
            || ["sources", AREAS].contains(&&*name)
            || vong_query::is_taken(&name)
        {
            let message = format!("there is a table '{name}' already, which is not made of a file");
            mistakes
                .push(Diagnostic::of_file(&file, message).with_hint("give the file another name"));
            continue;
        }
        match Table::parse(&name, &text) {
            Ok(table) => found.push(table),
            Err(fault) => {
                let told = Diagnostic::at(&file, fault.line, fault.column, fault.message);
                mistakes.push(Diagnostic { hint: fault.hint, ..told });
            }
        }
    }
    found
}
