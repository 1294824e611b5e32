//! Batches to bytes and back: a body is an Arrow IPC stream of one batch.
//!
//! What is written holds no more than the rows appended: a slice of a large batch, or a dictionary
//! of which few values are used, is cut down first. The same holds for what stays in memory.

use std::sync::{Arc, OnceLock};

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, StringBuilder,
    new_null_array,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Int32Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::MetadataVersion;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, StreamWriter,
    write_message,
};
use vong_model::Stream;

use crate::{Entry, Error};

/// A batch that may weigh this many times its encoded size stays as it is; above, it is copied.
const SLACK: usize = 2;
const SLACK_BYTES: usize = 4 * 1024;
/// Below this the schema costs more time than the rows.
const SMALL_BYTES: usize = 64 * 1024;
const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// Array objects of a decoded batch, beside the bytes of its body.
const OBJECT_BYTES: usize = 4 * 1024;
/// What a column takes beside what Arrow counts: its shared objects, and what the allocator rounds up
/// and keeps for itself. Resident memory of thousands of batches of one row, of which a quiet log is
/// full, grew by 200 to 315 bytes a column more than Arrow counts, for streams of 4 to 13 columns.
const COLUMN_BYTES: usize = 300;

/// An entry ready to be written.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) stream: Stream,
    pub(crate) batch: RecordBatch,
    pub(crate) body: Vec<u8>,
    /// CRC-32C of `body`.
    pub(crate) crc: u32,
    /// What `batch` weighs in memory, about.
    pub(crate) held_bytes: usize,
}

/// Says whether `batch` is one of `stream`, and gives it the stream's own schema object.
pub(crate) fn validate(entry: Entry) -> Result<Entry, Error> {
    let Entry { stream, batch } = entry;
    let expected = stream.schema();
    if Arc::ptr_eq(&expected, batch.schema_ref()) {
        return Ok(Entry { stream, batch });
    }
    if let Some(detail) = difference(&expected, batch.schema_ref()) {
        return Err(Error::Schema { stream, detail });
    }
    let batch = with_schema(expected, &batch)
        .map_err(|e| Error::Schema { stream, detail: e.to_string() })?;
    Ok(Entry { stream, batch })
}

/// The same rows under `schema`, which differs at most in metadata.
fn with_schema(schema: SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)
}

/// In words, the first way in which `found` is not `expected`; metadata does not count.
fn difference(expected: &SchemaRef, found: &SchemaRef) -> Option<String> {
    for (index, want) in expected.fields().iter().enumerate() {
        let Some(have) = found.fields().get(index) else {
            return Some(format!("column {index} '{}' is missing", want.name()));
        };
        if !same_column(want, have) {
            return Some(format!(
                "column {index} must be '{}' {}{}, found '{}' {}{}",
                want.name(),
                want.data_type(),
                nullability(want),
                have.name(),
                have.data_type(),
                nullability(have),
            ));
        }
    }
    let extra = found.fields().get(expected.fields().len())?;
    Some(format!("column '{}' does not exist in the stream", extra.name()))
}

fn same_column(a: &Field, b: &Field) -> bool {
    a.name() == b.name() && a.data_type() == b.data_type() && a.is_nullable() == b.is_nullable()
}

fn nullability(field: &Field) -> &'static str {
    if field.is_nullable() { " nullable" } else { " not null" }
}

/// Encodes an entry that was validated.
pub(crate) fn encode(entry: Entry) -> Result<Encoded, Error> {
    let Entry { stream, batch } = entry;
    let failed = |source| Error::Encode { stream, source: Arc::new(source) };
    let batch = compact_dictionaries(&batch).map_err(failed)?;
    let array_bytes = batch.get_array_memory_size();
    let body = to_ipc(stream, &batch, array_bytes).map_err(failed)?;
    let crc = crc32c::crc32c(&body);
    let allowed = body.len().saturating_mul(SLACK).saturating_add(SLACK_BYTES);
    if array_bytes <= allowed {
        let held_bytes = array_bytes + COLUMN_BYTES * batch.num_columns();
        return Ok(Encoded { stream, batch, body, crc, held_bytes });
    }
    // A slice that would keep its large parent alive, or columns built with room to spare: what was
    // written is the exact copy.
    let batch = from_ipc(stream, Buffer::from(body.as_slice())).map_err(failed)?;
    let held_bytes = body.len() + OBJECT_BYTES;
    Ok(Encoded { stream, batch, body, crc, held_bytes })
}

fn to_ipc(stream: Stream, batch: &RecordBatch, held_bytes: usize) -> Result<Vec<u8>, ArrowError> {
    if held_bytes < SMALL_BYTES {
        return small_to_ipc(stream, batch, held_bytes);
    }
    let mut writer =
        StreamWriter::try_new_with_options(Vec::new(), batch.schema_ref(), options()?)?;
    writer.write(batch)?;
    writer.into_inner()
}

/// The same bytes as from a [`StreamWriter`], with a schema that is encoded once per process.
fn small_to_ipc(
    stream: Stream,
    batch: &RecordBatch,
    held_bytes: usize,
) -> Result<Vec<u8>, ArrowError> {
    let Opening { bytes, dictionaries } = opening(stream)?;
    let options = options()?;
    let mut tracker = DictionaryTracker::new(false);
    for _ in 0..*dictionaries {
        tracker.next_dict_id();
    }
    let (parts, rows) = IpcDataGenerator::default().encode(
        batch,
        &mut tracker,
        &options,
        &mut IpcWriteContext::default(),
    )?;
    let mut body = Vec::with_capacity(bytes.len() + held_bytes);
    body.extend_from_slice(bytes);
    for part in parts.into_iter().chain([rows]) {
        write_message(&mut body, part, &options)?;
    }
    body.extend_from_slice(&END_OF_STREAM);
    Ok(body)
}

/// What every body of a stream begins with.
#[derive(Debug)]
struct Opening {
    /// The message that holds the schema.
    bytes: Vec<u8>,
    /// Columns that are dictionaries.
    dictionaries: usize,
}

fn opening(stream: Stream) -> Result<&'static Opening, ArrowError> {
    static OPENINGS: [OnceLock<Opening>; 256] = [const { OnceLock::new() }; 256];
    let Some(place) = OPENINGS.get(usize::from(stream.id())) else {
        return Err(ArrowError::IpcError("stream without a place".to_owned()));
    };
    if let Some(opening) = place.get() {
        return Ok(opening);
    }
    let schema = stream.schema();
    let writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options()?)?;
    let is_dictionary = |field: &&Arc<Field>| matches!(field.data_type(), DataType::Dictionary(..));
    let dictionaries = schema.fields().iter().filter(is_dictionary).count();
    Ok(place.get_or_init(|| Opening { bytes: writer.get_ref().clone(), dictionaries }))
}

fn options() -> Result<IpcWriteOptions, ArrowError> {
    IpcWriteOptions::try_new(8, false, MetadataVersion::V5)
}

/// Decodes a body. A batch written before columns were added gets them as nulls.
pub(crate) fn from_ipc(stream: Stream, mut body: Buffer) -> Result<RecordBatch, ArrowError> {
    let mut decoder = StreamDecoder::new();
    let mut found = None;
    while !body.is_empty() {
        match decoder.decode(&mut body)? {
            Some(batch) if found.is_none() => found = Some(batch),
            Some(_) => return Err(ArrowError::IpcError("more than one batch in a record".into())),
            None => {}
        }
    }
    decoder.finish()?;
    let batch = found.ok_or_else(|| ArrowError::IpcError("no batch in the record".into()))?;
    widen(&stream.schema(), &batch)
}

fn widen(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let rows = batch.num_rows();
    let mut columns = batch.columns().to_vec();
    for (index, field) in schema.fields().iter().enumerate() {
        match batch.schema_ref().fields().get(index) {
            Some(have) if have.name() == field.name() => {}
            Some(have) => {
                return Err(ArrowError::SchemaError(format!(
                    "column {index} is '{}' on disk and '{}' in this program",
                    have.name(),
                    field.name()
                )));
            }
            None => columns.push(new_null_array(field.data_type(), rows)),
        }
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn compact_dictionaries(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut changed = false;
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .map(|column| match compact_dictionary(column)? {
            Some(compacted) => {
                changed = true;
                Ok(compacted)
            }
            None => Ok(Arc::clone(column)),
        })
        .collect::<Result<_, ArrowError>>()?;
    if !changed {
        return Ok(batch.clone());
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

/// The column with unused dictionary values left out; `None` when there are none.
fn compact_dictionary(column: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
    let DataType::Dictionary(..) = column.data_type() else { return Ok(None) };
    let Some(column) = column.as_any().downcast_ref::<DictionaryArray<Int32Type>>() else {
        return Ok(None);
    };
    let Some(values) = column.values().as_any().downcast_ref::<StringArray>() else {
        return Ok(None);
    };
    let mut new_code: Vec<Option<i32>> = vec![None; values.len()];
    let mut used = 0_i32;
    for code in column.keys().iter().flatten() {
        let slot = usize::try_from(code).ok().and_then(|code| new_code.get_mut(code));
        if let Some(slot) = slot
            && slot.is_none()
        {
            *slot = Some(used);
            used += 1;
        }
    }
    if usize::try_from(used).is_ok_and(|used| used == values.len()) {
        return Ok(None);
    }
    let mut kept: Vec<Option<&str>> = vec![None; usize::try_from(used).unwrap_or(0)];
    for (old, new) in new_code.iter().enumerate() {
        let slot = new.and_then(|new| usize::try_from(new).ok()).and_then(|new| kept.get_mut(new));
        if let Some(slot) = slot {
            *slot = (!values.is_null(old)).then(|| values.value(old));
        }
    }
    let text_bytes = kept.iter().flatten().map(|text| text.len()).sum();
    let mut builder = StringBuilder::with_capacity(kept.len(), text_bytes);
    builder.extend(kept);
    let keys: Int32Array = column
        .keys()
        .iter()
        .map(|code| {
            let code = usize::try_from(code?).ok()?;
            new_code.get(code).copied().flatten()
        })
        .collect();
    Ok(Some(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(builder.finish()))?)))
}

#[cfg(test)]
mod tests;
