//! `vong.columns`: every column of every table with its documentation.
//!
//! A column without a text here is a failing test, not an empty cell.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::catalog::SchemaProvider;
use datafusion::error::Result;
use vong_model::Stream;
use vong_store::LOG_OFFSET;

use crate::gops;

use super::{SYSTEM_SCHEMA, Tables, dimensions, system, views};

const LOG_OFFSET_DOC: &str = "Place of the row's record in the log: the same number on a wall, \
in an audit and in a backtest.";

/// Of the columns a continuous view computes.
const CONTINUOUS_DOC: &str = "As the statement of the view says: vong.tables shows it.";

/// Documentation of tables that are neither stream nor view.
const TABLES: [(&str, &str); 11] = [
    (gops::NAME, gops::DOC),
    ("sources", "One configured origin of rows."),
    ("sensors", "One measuring device."),
    ("cameras", "One camera."),
    ("units", "One administrative unit, for as long as it is valid."),
    ("vong.tables", "One table or view."),
    ("vong.columns", "One column of a table or view."),
    ("vong.streams", "One stream of the log, and how much of it there is."),
    ("vong.files", "One file of the history."),
    (
        "vong.footage",
        "How much footage of one class there is, and how long there is room for more.",
    ),
    ("vong.queries", "One query that runs, or ended lately."),
];

pub(super) fn tables(tables: &Tables) -> Result<RecordBatch> {
    let system = system::NAMES.iter().map(|name| format!("{SYSTEM_SCHEMA}.{name}"));
    let names: Vec<String> = tables.table_names().into_iter().chain(system).collect();
    let docs: ArrayRef =
        Arc::new(names.iter().map(|name| doc_of_table(tables, name)).collect::<StringArray>());
    let names: ArrayRef = Arc::new(StringArray::from(names));
    let columns = [("table_name", names, true), ("doc", docs, true)];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn doc_of_table<'a>(tables: &'a Tables, name: &str) -> Option<&'a str> {
    let of_stream = Stream::from_name(name).map(Stream::doc);
    let of_view = || views::find(name).map(|view| view.doc);
    let of_other = || TABLES.iter().find(|(table, _)| *table == name).map(|(_, doc)| *doc);
    let of_continuous = || tables.continuous.get(name).map(|view| view.sql.as_str());
    of_stream.or_else(of_view).or_else(of_other).or_else(of_continuous)
}

pub(super) async fn columns(tables: &Tables) -> Result<RecordBatch> {
    let mut rows: Vec<[String; 4]> = Vec::new();
    for name in tables.table_names() {
        let Some(table) = tables.table(&name).await? else { continue };
        let is_continuous = tables.continuous.contains_key(&name);
        describe(&mut rows, (&name, is_continuous), &table.schema());
    }
    for (table, column, doc) in system::DOCS {
        rows.push([table.to_owned(), column.to_owned(), String::new(), doc.to_owned()]);
    }
    let column = |index: usize| -> ArrayRef {
        let cells = rows.iter().map(|row| row.get(index).map(String::as_str));
        Arc::new(cells.collect::<StringArray>())
    };
    let columns = [
        ("table_name", column(0)),
        ("column_name", column(1)),
        ("data_type", column(2)),
        ("doc", column(3)),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true)))?)
}

fn describe(rows: &mut Vec<[String; 4]>, (table, is_continuous): (&str, bool), schema: &SchemaRef) {
    for field in schema.fields() {
        let of_continuous = || doc_in(Stream::ViewRows, field.name()).unwrap_or(CONTINUOUS_DOC);
        let doc = doc_of(table, field.name()).or_else(|| is_continuous.then(of_continuous));
        let doc = doc.unwrap_or_default();
        let data_type = type_name(field.data_type());
        rows.push([table.to_owned(), field.name().clone(), data_type, doc.to_owned()]);
    }
}

fn doc_of(table: &str, column: &str) -> Option<&'static str> {
    if column == LOG_OFFSET {
        return Some(LOG_OFFSET_DOC);
    }
    if let Some(stream) = Stream::from_name(table) {
        return doc_in(stream, column);
    }
    if table == gops::NAME {
        return gops::doc_of_column(column);
    }
    if let Some(view) = views::find(table) {
        let own = view.columns.iter().find(|(name, _)| *name == column).map(|(_, doc)| *doc);
        return own
            .or_else(|| doc_in(Stream::AlertTransitions, column))
            .or_else(|| doc_in(Stream::Readings, column));
    }
    let dimension = dimensions::DOCS.iter().find(|(t, c, _)| *t == table && *c == column);
    dimension.map(|(_, _, doc)| *doc)
}

fn doc_in(stream: Stream, column: &str) -> Option<&'static str> {
    stream.columns().iter().find(|c| c.name == column).map(|c| c.doc)
}

/// Short names for the types we use; Arrow's own for others.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamp".to_owned(),
        DataType::Dictionary(_, value) => type_name(value),
        DataType::Utf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::BinaryView => "bytes".to_owned(),
        DataType::Float64 => "float64".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::UInt32 => "uint32".to_owned(),
        DataType::UInt64 => "uint64".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::List(item) => format!("{}[]", type_name(item.data_type())),
        other => other.to_string(),
    }
}
