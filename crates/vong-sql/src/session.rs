//! The one place that builds an SQL session.
//!
//! A session reaches no file, no URL and no network: its object stores are only those registered
//! by hand, there is no table factory and no file format behind `COPY`. Instants are UTC unless a
//! query says `AT TIME ZONE`; `time_bucket` alone counts local days.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::exec_err;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::object_store::ObjectStore;
use datafusion::prelude::{SessionConfig, SessionContext};
use parking_lot::RwLock;

use crate::{Error, functions};

/// Name of the catalog every table is in.
pub const CATALOG: &str = "city";
/// Name of the schema that needs not be written.
pub const SCHEMA: &str = "public";
/// The parser's dialect.
pub const DIALECT: datafusion::sql::sqlparser::dialect::GenericDialect =
    datafusion::sql::sqlparser::dialect::GenericDialect {};
/// Longest statement that is parsed.
pub const MAX_SQL_BYTES: usize = 64 * 1024;
/// Deepest nesting that is parsed.
pub const MAX_DEPTH: usize = 64;

/// What a session may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Degree of parallelism inside one query.
    pub target_partitions: usize,
    /// Rows in a batch between operators.
    pub batch_rows: usize,
    /// Memory for sorts, joins and groups, shared by all sessions of one runtime.
    pub memory_bytes: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { target_partitions: 2, batch_rows: 8 * 1024, memory_bytes: 512 * 1024 * 1024 }
    }
}

impl SessionLimits {
    /// For rules: one partition, so that no answer depends on how threads interleave.
    pub fn deterministic() -> Self {
        Self { target_partitions: 1, ..Self::default() }
    }
}

/// A runtime whose memory pool and object stores several sessions share.
pub fn runtime(limits: &SessionLimits) -> Result<Arc<RuntimeEnv>, Error> {
    let five = std::num::NonZeroUsize::MIN.saturating_add(4);
    let pool = TrackConsumersPool::new(GreedyMemoryPool::new(limits.memory_bytes), five);
    let no_spill = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(no_spill)
        .with_object_store_registry(Arc::new(OnlyRegistered::default()))
        .build_arc()
        .map_err(|e| Error::Session(Box::new(e)))
}

/// A session of its own, with our functions and no tables.
pub fn session(limits: &SessionLimits) -> Result<SessionContext, Error> {
    Ok(session_in(limits, runtime(limits)?))
}

/// A session that shares `runtime` with others.
pub fn session_in(limits: &SessionLimits, runtime: Arc<RuntimeEnv>) -> SessionContext {
    let mut config = SessionConfig::new()
        .with_target_partitions(limits.target_partitions.max(1))
        .with_batch_size(limits.batch_rows.max(1))
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(true)
        .with_default_catalog_and_schema(CATALOG, SCHEMA);
    let options = config.options_mut();
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    options.sql_parser.collect_spans = true;
    options.explain.show_statistics = false;

    let mut builder = SessionStateBuilder::new_with_default_features()
        .with_config(config)
        .with_runtime_env(runtime);
    // Nothing that could create an external table or write a file is left in the session.
    *builder.table_factories() = None;
    *builder.file_formats() = None;
    builder.scalar_functions().get_or_insert_with(Vec::new).extend(functions::scalar());
    SessionContext::new_with_state(builder.build())
}

/// Object stores that were registered by hand, and no others: not even the local file system.
#[derive(Debug, Default)]
struct OnlyRegistered {
    stores: RwLock<BTreeMap<String, Arc<dyn ObjectStore>>>,
}

impl ObjectStoreRegistry for OnlyRegistered {
    fn register_store(
        &self,
        url: &url::Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        self.stores.write().insert(store_key(url), store)
    }

    fn get_store(&self, url: &url::Url) -> DataFusionResult<Arc<dyn ObjectStore>> {
        match self.stores.read().get(&store_key(url)) {
            Some(store) => Ok(Arc::clone(store)),
            None => exec_err!("no storage is registered for '{url}'"),
        }
    }
}

fn store_key(url: &url::Url) -> String {
    format!("{}://{}", url.scheme(), url.authority())
}
