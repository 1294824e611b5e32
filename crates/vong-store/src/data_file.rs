//! One Parquet file: rows of one stream and day, with the place each row has in the log.
//!
//! Rows are sorted by (entity, time, log offset, row): the commonest question is about one sensor
//! over a time. `log_offset` and `log_row` bring back the log's own order.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType, UInt64Type};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};
use vong_model::streams::ColumnType;
use vong_model::{Offset, Stream};
use vong_runtime::fs::sync_directory;

use crate::{Error, FileEntry, StoreConfig};

/// Column that holds the log offset of a row's record, `UInt64`.
pub const LOG_OFFSET: &str = "log_offset";
/// Column that holds a row's place in its record, `UInt32`.
pub const LOG_ROW: &str = "log_row";

pub(crate) const DAY_US: i64 = 86_400_000_000;

/// The columns of a stream, then [`LOG_OFFSET`] and [`LOG_ROW`].
pub fn stored_schema(stream: Stream) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = stream.schema().fields().iter().map(Arc::clone).collect();
    fields.push(Arc::new(Field::new(LOG_OFFSET, DataType::UInt64, false)));
    fields.push(Arc::new(Field::new(LOG_ROW, DataType::UInt32, false)));
    Arc::new(Schema::new(fields))
}

/// Adds the place in the log to a record's rows.
pub(crate) fn with_log_place(
    stream: Stream,
    offset: Offset,
    batch: &RecordBatch,
) -> Result<RecordBatch, ArrowError> {
    let rows = u32::try_from(batch.num_rows())
        .map_err(|_too_many| ArrowError::InvalidArgumentError("more than 2^32 rows".to_owned()))?;
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(UInt64Array::from_value(offset.0, batch.num_rows())));
    columns.push(Arc::new(UInt32Array::from_iter_values(0..rows)));
    RecordBatch::try_new(stored_schema(stream), columns)
}

/// Sorts rows as they stand in a file.
pub(crate) fn sorted(stream: Stream, batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let whole = concat_batches(&stored_schema(stream), batches)?;
    let time = stream.columns().first().map(|column| column.name);
    let keys = stream.entity().into_iter().chain(time).chain([LOG_OFFSET, LOG_ROW]);
    let columns: Vec<SortColumn> = keys
        .filter_map(|name| whole.column_by_name(name))
        .map(|values| SortColumn { values: Arc::clone(values), options: None })
        .collect();
    let order = lexsort_to_indices(&columns, None)?;
    take_record_batch(&whole, &order)
}

/// The UTC day, counted from 1970-01-01, of each row.
pub(crate) fn days(batch: &RecordBatch) -> Vec<i64> {
    let Some(times) = time_column(batch) else { return vec![0; batch.num_rows()] };
    times.values().iter().map(|us| us.div_euclid(DAY_US)).collect()
}

fn time_column(
    batch: &RecordBatch,
) -> Option<&arrow::array::PrimitiveArray<TimestampMicrosecondType>> {
    batch.columns().first()?.as_primitive_opt::<TimestampMicrosecondType>()
}

/// Encodes sorted rows, writes them durably to `path` below `dir` and describes the file.
pub(crate) fn write(
    config: &StoreConfig,
    dir: &Path,
    path: String,
    stream: Stream,
    rows: &RecordBatch,
) -> Result<FileEntry, Error> {
    let bytes = encode(config, stream, rows)
        .map_err(|source| Error::Encode { stream: stream.name(), source })?;
    let entry = describe(stream, path, rows, &bytes);
    let absolute = dir.join(&entry.path);
    write_durably(dir, &absolute, &bytes)
        .map_err(|source| Error::Write { path: absolute, source })?;
    Ok(entry)
}

fn describe(stream: Stream, path: String, rows: &RecordBatch, bytes: &[u8]) -> FileEntry {
    let times = time_column(rows).map(|times| times.values().as_ref()).unwrap_or_default();
    let offsets = rows
        .column_by_name(LOG_OFFSET)
        .and_then(|column| column.as_primitive_opt::<UInt64Type>())
        .map(|offsets| offsets.values().as_ref())
        .unwrap_or_default();
    FileEntry {
        stream: stream.name().to_owned(),
        path,
        rows: rows.num_rows() as u64,
        bytes: bytes.len() as u64,
        first_offset: offsets.iter().copied().min().unwrap_or(0),
        last_offset: offsets.iter().copied().max().unwrap_or(0),
        min_time_us: times.iter().copied().min().unwrap_or(0),
        max_time_us: times.iter().copied().max().unwrap_or(0),
        sha256: hex_sha256(bytes),
    }
}

/// Lower-case hexadecimal SHA-256.
pub(crate) fn hex_sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

fn encode(
    config: &StoreConfig,
    stream: Stream,
    rows: &RecordBatch,
) -> Result<Vec<u8>, ParquetError> {
    let level = ZstdLevel::try_new(config.zstd_level)?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(config.row_group_rows.max(1)));
    for column in stream.columns() {
        let path = ColumnPath::from(column.name);
        // Times and hashes hardly repeat: a dictionary of them would be the column twice.
        properties = match (column.column_type, column.name) {
            (ColumnType::Time, _) => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            (_, "message_hash") => properties.set_column_dictionary_enabled(path, false),
            _ => properties,
        };
    }
    for name in [LOG_OFFSET, LOG_ROW] {
        let path = ColumnPath::from(name);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties.build()))?;
    writer.write(rows)?;
    writer.into_inner()
}

fn write_durably(dir: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let day = path.parent().unwrap_or(dir);
    std::fs::create_dir_all(day)?;
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    sync_directory(day)?;
    // The day's and the stream's directory may be new: their names must survive too.
    sync_directory(day.parent().unwrap_or(dir))?;
    sync_directory(dir)
}

/// All rows of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<RecordBatch>, Error> {
    let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let decode = |source| Error::Decode { path: path.to_owned(), source };
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(decode)?;
    let reader = reader.with_batch_size(64 * 1024).build().map_err(decode)?;
    reader.map(|batch| batch.map_err(|e| decode(ParquetError::ArrowError(e.to_string())))).collect()
}
