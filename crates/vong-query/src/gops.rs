//! `video_gops`: the index of the recorded footage as an SQL table.
//!
//! Not a stream of the log: the index lies beside the footage and is repaired with it, so that what
//! is listed is what can be played, after a crash and after retention alike. Read a few files at a
//! time, and only those of the cameras and hours a query asks for.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use vong_footage::{Footage, GopFilter, GopListing, ListedGop};
use vong_model::EventTime;
use vong_model::columns::{key_column, time_column};
use vong_model::streams::ColumnType;

mod filter;

/// Name of the table.
pub(crate) const NAME: &str = "video_gops";

/// What a row is.
pub(crate) const DOC: &str = "A group of pictures that is recorded and can be played.";

/// A column of `video_gops`: name, type, whether it may be null, meaning.
pub(crate) type GopColumn = (&'static str, DataType, bool, &'static str);

static COLUMNS: LazyLock<[GopColumn; 14]> = LazyLock::new(|| {
    let (key, time) = (ColumnType::Key.data_type(), ColumnType::Time.data_type());
    let (u32, u64, bool) = (DataType::UInt32, DataType::UInt64, DataType::Boolean);
    let text = DataType::Utf8;
    [
        ("camera_id", key.clone(), false, "Camera that was recorded."),
        ("file", key, false, "Path below the footage directory."),
        ("start_time", time.clone(), false, "Instant of its first frame, by our clock."),
        ("end_time", time.clone(), false, "Instant after its last frame, by our clock."),
        (
            "camera_time",
            time,
            true,
            "Instant of its first frame by the camera's clock; null when the camera does not say.",
        ),
        ("byte_offset", u64.clone(), false, "Where it begins in the file."),
        ("bytes", u64, false, "Its length in the file, its head included."),
        ("frames", u32.clone(), false, "Frames in it."),
        ("lost_packets", u32, false, "RTP packets lost before it or in it."),
        (
            "starts_with_key",
            bool.clone(),
            false,
            "Whether decoding can begin here; false in the continuation of a very long group.",
        ),
        ("sha256", text.clone(), false, "Of its frames, taken when they were received; hex."),
        (
            "chained_sha256",
            text.clone(),
            false,
            "Of everything known of it, the hashes beside this one included; hex.",
        ),
        (
            "previous_sha256",
            text,
            false,
            "`chained_sha256` of the camera's group before it; zeros for the first.",
        ),
        ("held", bool, false, "Whether a hold in force keeps its file from being deleted."),
    ]
});

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let columns = COLUMNS.iter();
    let fields =
        columns.map(|(name, kind, nullable, _)| Field::new(*name, kind.clone(), *nullable));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// The columns of `video_gops` in order, for documentation.
pub fn gop_columns() -> &'static [GopColumn] {
    &*COLUMNS
}

pub(crate) fn doc_of_column(name: &str) -> Option<&'static str> {
    COLUMNS.iter().find(|(column, ..)| *column == name).map(|(.., doc)| *doc)
}

/// The table.
#[derive(Debug)]
pub(crate) struct GopTable {
    footage: Footage,
}

impl GopTable {
    pub(crate) fn new(footage: Footage) -> Self {
        Self { footage }
    }
}

#[async_trait]
impl TableProvider for GopTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Used to leave out cameras and files; the plan filters again above.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = Rows { footage: self.footage.clone(), filter: filter::of(filters) };
        let partitions: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(rows)];
        let schema = Arc::clone(&SCHEMA);
        let plan = StreamingTableExec::try_new(schema, partitions, projection, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// The rows one query asks for.
#[derive(Debug)]
struct Rows {
    footage: Footage,
    filter: GopFilter,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &SCHEMA
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let listing = self.footage.list(self.filter.clone());
        let batches = futures::stream::unfold(Some(listing), |listing| async move {
            let mut listing = listing?;
            // The index is read on the threads of queries, which are there to be blocked.
            let step = step(&mut listing).transpose()?;
            let rest = step.is_ok().then_some(listing);
            Some((step, rest))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&SCHEMA), batches))
    }
}

fn step(listing: &mut GopListing) -> Result<Option<RecordBatch>> {
    let external = |error: vong_footage::Error| DataFusionError::External(Box::new(error));
    let gops = listing.next_step().map_err(external)?;
    gops.map(|gops| batch(&gops)).transpose()
}

fn batch(gops: &[ListedGop]) -> Result<RecordBatch> {
    let times = |of: &dyn Fn(&ListedGop) -> Option<EventTime>| time_column(gops.iter().map(of));
    let ints = |of: &dyn Fn(&ListedGop) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(gops.iter().map(of)))
    };
    let longs = |of: &dyn Fn(&ListedGop) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(gops.iter().map(of)))
    };
    let flags = |of: &dyn Fn(&ListedGop) -> bool| -> ArrayRef {
        Arc::new(gops.iter().map(|gop| Some(of(gop))).collect::<BooleanArray>())
    };
    let hashes = |of: &dyn Fn(&ListedGop) -> [u8; 32]| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(gops.iter().map(|gop| hex(&of(gop)))))
    };
    let columns = vec![
        key_column(gops.iter().map(|gop| Some(gop.camera_id.as_str()))),
        key_column(gops.iter().map(|gop| Some(&*gop.file))),
        times(&|gop| Some(gop.entry.start)),
        times(&|gop| Some(gop.entry.end())),
        times(&|gop| gop.entry.camera_time),
        longs(&|gop| gop.entry.offset),
        longs(&|gop| gop.entry.end_offset().saturating_sub(gop.entry.offset)),
        ints(&|gop| gop.entry.frames),
        ints(&|gop| gop.entry.lost_packets),
        flags(&|gop| gop.entry.key),
        hashes(&|gop| gop.entry.hashes.payload),
        hashes(&|gop| gop.entry.hashes.chained),
        hashes(&|gop| gop.entry.hashes.previous),
        flags(&|gop| gop.held),
    ];
    Ok(RecordBatch::try_new(Arc::clone(&SCHEMA), columns)?)
}

fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests;
