//! The system's own tables: what it holds and what it is doing.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::error::ArrowError;
use vong_footage::Footage;
use vong_model::{EventTime, Stream};

use crate::registry::Registry;
use crate::tail::Moment;

pub(super) const NAMES: [&str; 6] = ["tables", "columns", "streams", "files", "queries", "footage"];

/// `(table, column, doc)`.
pub(super) const DOCS: [(&str, &str, &str); 36] = [
    ("vong.tables", "table_name", "Table or view."),
    ("vong.tables", "doc", "What a row is."),
    ("vong.streams", "name", "Stream, and table of the same name."),
    ("vong.streams", "doc", "What a row is."),
    ("vong.streams", "history_rows", "Rows in history files."),
    ("vong.streams", "history_bytes", "Size of those files."),
    ("vong.streams", "tail_rows", "Rows in the log that are not in the history yet."),
    ("vong.columns", "table_name", "Table, with its schema unless that is public."),
    ("vong.columns", "column_name", "Column."),
    ("vong.columns", "data_type", "Arrow type."),
    ("vong.columns", "doc", "What it holds, in which unit."),
    ("vong.files", "stream", "Stream the rows are of."),
    ("vong.files", "path", "Below the history's directory."),
    ("vong.files", "rows", "Rows in it."),
    ("vong.files", "bytes", "Its size."),
    ("vong.files", "first_offset", "Smallest log offset in it."),
    ("vong.files", "last_offset", "Largest log offset in it."),
    ("vong.files", "min_time", "Smallest event time (arrival time where there is none)."),
    ("vong.files", "max_time", "Largest of them."),
    ("vong.queries", "query_id", "Counts up since the process started."),
    ("vong.queries", "principal", "Who asked."),
    ("vong.queries", "sql", "What was asked."),
    ("vong.queries", "state", "running, ok, or the class of the error."),
    ("vong.queries", "started_time", "When its turn came."),
    ("vong.queries", "ended_time", "When it ended; null while it runs."),
    ("vong.queries", "rows", "Rows given out so far."),
    ("vong.footage", "class", "Class of cameras; null for cameras no register names any more."),
    ("vong.footage", "cameras", "Cameras of the class with footage."),
    ("vong.footage", "files", "Their files."),
    ("vong.footage", "bytes", "Size of these files."),
    ("vong.footage", "held_bytes", "Size of those that a hold keeps."),
    ("vong.footage", "oldest_time", "Instant of the oldest frame."),
    (
        "vong.footage",
        "bytes_per_day",
        "At the rate of the last 24 hours or less; null while too little is recorded to say.",
    ),
    ("vong.footage", "keep_days", "Older footage is deleted; null is never."),
    ("vong.footage", "room_bytes", "Of all classes: bytes that may still be recorded."),
    (
        "vong.footage",
        "days_until_full",
        "Of all classes: days until footage is deleted before its time; null while it cannot be said, infinite where it never will be.",
    ),
];

fn text<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn count(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(values))
}

fn time(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn table(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
}

pub(super) fn streams(moment: &Moment) -> Result<RecordBatch, ArrowError> {
    let all = || Stream::ALL.into_iter();
    let bytes = |stream| moment.store.files(stream).iter().map(|file| file.bytes).sum();
    table(vec![
        ("name", text(all().map(Stream::name))),
        ("doc", text(all().map(Stream::doc))),
        ("history_rows", count(all().map(|stream| moment.store.rows(stream)))),
        ("history_bytes", count(all().map(bytes))),
        ("tail_rows", count(all().map(|stream| moment.tail_rows(stream) as u64))),
    ])
}

pub(super) fn files(moment: &Moment) -> Result<RecordBatch, ArrowError> {
    let all = || moment.store.all_files().iter();
    table(vec![
        ("stream", text(all().map(|file| file.stream.as_str()))),
        ("path", text(all().map(|file| file.path.as_str()))),
        ("rows", count(all().map(|file| file.rows))),
        ("bytes", count(all().map(|file| file.bytes))),
        ("first_offset", count(all().map(|file| file.first_offset))),
        ("last_offset", count(all().map(|file| file.last_offset))),
        ("min_time", time(all().map(|file| Some(file.min_time_us)))),
        ("max_time", time(all().map(|file| Some(file.max_time_us)))),
    ])
}

pub(super) fn footage(footage: &Footage) -> Result<RecordBatch, ArrowError> {
    let outlook = footage.outlook();
    let all = || outlook.classes.iter();
    let names = all().map(|of| Some(of.class.as_str()).filter(|class| !class.is_empty()));
    let number = |values: &mut dyn Iterator<Item = Option<f64>>| -> ArrayRef {
        Arc::new(values.collect::<Float64Array>())
    };
    let days = all().map(|of| of.keep_days.map(u64::from));
    let room = all().map(|_| outlook.room_bytes);
    table(vec![
        ("class", Arc::new(names.collect::<StringArray>())),
        ("cameras", count(all().map(|of| of.cameras))),
        ("files", count(all().map(|of| of.files))),
        ("bytes", count(all().map(|of| of.bytes))),
        ("held_bytes", count(all().map(|of| of.held_bytes))),
        ("oldest_time", time(all().map(|of| of.oldest.map(EventTime::micros)))),
        ("bytes_per_day", number(&mut all().map(|of| of.bytes_per_day))),
        ("keep_days", Arc::new(days.collect::<UInt64Array>())),
        ("room_bytes", Arc::new(room.collect::<UInt64Array>())),
        ("days_until_full", number(&mut all().map(|_| outlook.days_until_full))),
    ])
}

pub(super) fn queries(registry: &Registry) -> Result<RecordBatch, ArrowError> {
    let list = registry.list();
    let all = || list.iter();
    table(vec![
        ("query_id", count(all().map(|query| query.query_id))),
        ("principal", text(all().map(|query| query.principal.as_str()))),
        ("sql", text(all().map(|query| query.sql.as_str()))),
        ("state", text(all().map(|query| query.state))),
        ("started_time", time(all().map(|query| Some(query.started_us)))),
        ("ended_time", time(all().map(|query| query.ended_us))),
        ("rows", count(all().map(|query| query.rows))),
    ])
}
