//! Dimension tables in the log: a change of one is a row of `config_changes`.
//!
//! Invariant: what rules see of a table comes from the log alone, so that live, after a restart and
//! in a backtest each row meets the same version.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use sha2::{Digest, Sha256};
use tracing::warn;
use vong_log::{Log, Record};
use vong_model::{EventTime, Offset, Stream, Table, columns};

use crate::Error;
use crate::backtest::read_on;
use crate::outputs::text_at;

/// Tables by name.
pub(crate) type Tables = BTreeMap<String, Arc<Table>>;

/// What stands before a table's name in `config_changes.item`.
const PREFIX: &str = "table/";

/// A table of the log that cannot be read; what it was before stays in force.
#[derive(Debug, thiserror::Error)]
#[error("read table '{table}' of the log at offset {offset}")]
pub(crate) struct Unreadable {
    table: String,
    offset: Offset,
    #[source]
    source: vong_model::TableFault,
}

/// The change of a table; `None`: it is gone.
pub(crate) type TableChange = (String, Option<Arc<Table>>);

/// The changes of tables that a record of `config_changes` holds.
pub(crate) fn changes(record: &Record) -> Vec<Result<TableChange, Unreadable>> {
    let of_row = |row: usize| {
        let name = text_at(record, "item", row)?.strip_prefix(PREFIX)?;
        let Some(text) = text_at(record, "detail", row) else {
            return Some(Ok((name.to_owned(), None)));
        };
        let read = Table::parse(name, text).map(|table| (name.to_owned(), Some(Arc::new(table))));
        let (table, offset) = (name.to_owned(), record.offset);
        Some(read.map_err(|source| Unreadable { table, offset, source }))
    };
    (0..record.batch.num_rows()).filter_map(of_row).collect()
}

/// One row of `config_changes`; `text`: the whole table, or `None` when it is gone.
pub(crate) fn to_batch(name: &str, text: Option<&str>, now: EventTime) -> RecordBatch {
    let digest = Sha256::digest(text.unwrap_or_default());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let columns = vec![
        columns::time_column([Some(now)]),
        columns::text_column([Some(format!("{PREFIX}{name}"))]),
        columns::text_column([Some(hex)]),
        columns::text_column([text]),
    ];
    RecordBatch::try_new(Stream::ConfigChanges.schema(), columns)
        .expect("columns are made in the schema's order")
}

/// The tables in force at `at`, from the start of the log.
///
/// # Errors
/// [`Error::Read`] when the log cannot be read.
pub(crate) fn in_force_at(log: &dyn Log, at: Offset) -> Result<Tables, Error> {
    let mut tables = Tables::new();
    each_change(log, (log.floor(), at), |(name, table)| {
        match table {
            Some(table) => tables.insert(name, table),
            None => tables.remove(&name),
        };
    })?;
    Ok(tables)
}

/// The first version of each table that is not among `known`, in `from..to`.
///
/// # Errors
/// As [`in_force_at`].
pub(crate) fn first_after(
    log: &dyn Log,
    range: (Offset, Offset),
    known: &Tables,
) -> Result<Tables, Error> {
    let mut tables = Tables::new();
    each_change(log, range, |(name, table)| {
        if let Some(table) = table.filter(|_| !known.contains_key(&name)) {
            tables.entry(name).or_insert(table);
        }
    })?;
    Ok(tables)
}

fn each_change(
    log: &dyn Log,
    (from, to): (Offset, Offset),
    mut act: impl FnMut(TableChange),
) -> Result<(), Error> {
    let mut next = from;
    while next < to {
        let records = read_on(log, &mut next)?;
        if records.is_empty() {
            break;
        }
        let of_config = records
            .iter()
            .filter(|record| record.stream == Stream::ConfigChanges && record.offset < to);
        for change in of_config.flat_map(changes) {
            match change {
                Ok(change) => act(change),
                Err(e) => warn!(error = &e as &dyn std::error::Error, "table is not in force"),
            }
        }
    }
    Ok(())
}
