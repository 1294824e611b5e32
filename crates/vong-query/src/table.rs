//! One stream as an SQL table: history files and log tail of one moment.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, ScalarValue, Statistics, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use vong_model::Stream;
use vong_store::{FileEntry, LOG_OFFSET};

use crate::tail::{Moment, table_schema};

/// Where the session finds the history's directory; the only storage it can reach.
pub(crate) const HISTORY_URL: &str = "history://files/";

/// A stream at a moment.
#[derive(Debug)]
pub(crate) struct StreamTable {
    stream: Stream,
    schema: SchemaRef,
    moment: Arc<Moment>,
}

impl StreamTable {
    pub(crate) fn new(stream: Stream, moment: Arc<Moment>) -> Self {
        Self { stream, schema: table_schema(stream), moment }
    }

    /// Reads the files, skipping what their statistics rule out.
    fn history(
        &self,
        session: &dyn Session,
        files: &[Arc<FileEntry>],
        request: &Request<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let url = ObjectStoreUrl::parse(HISTORY_URL)?;
        let runtime = session.runtime_env();
        let reader = CachedParquetFileReaderFactory::new(
            runtime.object_store(&url)?,
            runtime.cache_manager.get_file_metadata_cache(),
        );
        let mut source = ParquetSource::new(Arc::clone(&self.schema))
            .with_parquet_file_reader_factory(Arc::new(reader))
            .with_pushdown_filters(true)
            .with_reorder_filters(true);
        if let Some(filter) = conjunction(request.filters.to_vec()) {
            let columns = DFSchema::try_from(Arc::clone(&self.schema))?;
            source = source.with_predicate(session.create_physical_expr(filter, &columns)?);
        }
        let group: FileGroup = files.iter().map(|file| self.scanned(file)).collect();
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(group.split_files(session.config().target_partitions()))
            .with_statistics(self.statistics(files))
            .with_limit(request.limit)
            .with_projection_indices(request.projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn scanned(&self, file: &Arc<FileEntry>) -> PartitionedFile {
        let statistics = self.statistics(std::slice::from_ref(file));
        PartitionedFile::new(file.path.clone(), file.bytes).with_statistics(Arc::new(statistics))
    }

    /// Exact counts and ranges out of the manifest: `count(*)` and `max(event_time)` over history
    /// need not open a file, and files out of a query's range are never opened.
    fn statistics(&self, files: &[Arc<FileEntry>]) -> Statistics {
        let mut statistics = Statistics::new_unknown(&self.schema);
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        statistics.num_rows = Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX));
        statistics.total_byte_size =
            Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX));
        let time = |us: i64| ScalarValue::TimestampMicrosecond(Some(us), Some(Arc::from("UTC")));
        let offset = |offset: u64| ScalarValue::UInt64(Some(offset));
        let last = self.schema.fields().len().saturating_sub(1);
        for (index, column) in statistics.column_statistics.iter_mut().enumerate() {
            let range = match index {
                0 => range_of(files, |file| file.min_time_us, |file| file.max_time_us, time),
                _ if index == last => {
                    range_of(files, |file| file.first_offset, |file| file.last_offset, offset)
                }
                _ => None,
            };
            if let Some((min, max)) = range {
                *column = ColumnStatistics {
                    null_count: Precision::Exact(0),
                    min_value: Precision::Exact(min),
                    max_value: Precision::Exact(max),
                    ..ColumnStatistics::new_unknown()
                };
            }
        }
        statistics
    }
}

/// What a plan wants of a table.
struct Request<'a> {
    projection: Option<&'a Vec<usize>>,
    filters: &'a [Expr],
    limit: Option<usize>,
}

fn range_of<T: Ord>(
    files: &[Arc<FileEntry>],
    low: impl Fn(&FileEntry) -> T,
    high: impl Fn(&FileEntry) -> T,
    scalar: impl Fn(T) -> ScalarValue,
) -> Option<(ScalarValue, ScalarValue)> {
    let min = files.iter().map(|file| low(file)).min()?;
    let max = files.iter().map(|file| high(file)).max()?;
    Some((scalar(min), scalar(max)))
}

#[async_trait]
impl TableProvider for StreamTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Used to skip files and row groups; the plan filters again above.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        debug_assert_eq!(self.schema.fields().last().map(|f| f.name().as_str()), Some(LOG_OFFSET));
        let request = Request { projection, filters, limit };
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::with_capacity(2);
        let files = self.moment.store.files(self.stream);
        if !files.is_empty() {
            parts.push(self.history(session, &files, &request)?);
        }
        let tail = self.moment.tail(self.stream);
        if !tail.is_empty() {
            let partitions = [tail.to_vec()];
            let schema = Arc::clone(&self.schema);
            parts.push(MemorySourceConfig::try_new_exec(&partitions, schema, projection.cloned())?);
        }
        match (parts.pop(), parts.pop()) {
            (None, _) => Ok(Arc::new(EmptyExec::new(project_schema(&self.schema, projection)?))),
            (Some(only), None) => Ok(only),
            (Some(tail), Some(history)) => UnionExec::try_new(vec![history, tail]),
        }
    }
}
