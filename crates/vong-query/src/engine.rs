//! Runs queries: who may, when it is their turn, how long, how much.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use parking_lot::RwLock;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tracing::debug;
use vong_footage::Footage;
use vong_log::Log;
use vong_model::view::ViewTables;
use vong_model::{Action, Assets, Principal, authorize};
use vong_runtime::Clock;
use vong_runtime::channel::{Capacity, Sender, WhenFull, bounded};
use vong_sql::functions::{Areas, st_within};
use vong_sql::guard::{self, ReadOnly};
use vong_sql::{CATALOG, SessionLimits};
use vong_store::Store;
use vong_telemetry::Classify;

use crate::catalog::{CamerasFacing, City, Surroundings};
use crate::registry::Registry;
use crate::results::{Event, Worker};
use crate::table::HISTORY_URL;
use crate::tail::{Moment, TailCache};
use crate::watch::{Watch, watched};
use crate::{Dimensions, Error, QueryConfig, QueryMetrics, QueryStream};

/// Answers SQL; a cheap handle.
#[derive(Clone, Debug)]
pub struct QueryEngine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: QueryConfig,
    tail: TailCache,
    around: Surroundings,
    /// As they are now; a query keeps those it began with.
    facts: RwLock<Facts>,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    clock: Arc<dyn Clock>,
    metrics: QueryMetrics,
    pool: Pool,
}

/// What stands in the city, as queries see it.
#[derive(Clone, Debug)]
struct Facts {
    tables: Arc<BTreeMap<String, RecordBatch>>,
    areas: Arc<Areas>,
    assets: Arc<Assets>,
}

impl Facts {
    fn of(dimensions: Dimensions) -> Self {
        let (tables, areas, assets) = dimensions.into_parts();
        Self { tables: Arc::new(tables), areas, assets }
    }
}

/// Threads of their own: planning and running never touch the runtime that serves sockets.
#[derive(Debug)]
struct Pool {
    /// Taken only when the pool is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Pool {
    fn start(threads: usize) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(threads.max(1) * 4)
            .thread_name("vong-query")
            .enable_time()
            .build()
            .map_err(Error::Pool)?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background(); // waiting would block whoever drops the last handle
        }
    }
}

/// What a query engine is built around.
#[derive(Debug)]
pub struct Sources {
    pub log: Arc<dyn Log>,
    pub store: Store,
    pub dimensions: Dimensions,
    pub clock: Arc<dyn Clock>,
    /// What `video_gops` lists.
    pub footage: Footage,
    /// Continuous views, now and later.
    pub views: watch::Receiver<ViewTables>,
}

impl QueryEngine {
    pub fn new(
        config: QueryConfig,
        sources: Sources,
        metrics: QueryMetrics,
    ) -> Result<Self, Error> {
        let Sources { log, store, dimensions, clock, footage, views } = sources;
        let limits = SessionLimits {
            target_partitions: config.partitions,
            memory_bytes: config.memory_bytes,
            ..SessionLimits::default()
        };
        let runtime = vong_sql::runtime(&limits)?;
        let files = LocalFileSystem::new_with_prefix(store.snapshot().dir())
            .map_err(|e| Error::Run(Box::new(DataFusionError::ObjectStore(Box::new(e)))))?;
        let url = url::Url::parse(HISTORY_URL).expect("the literal is a URL");
        runtime.register_object_store(&url, Arc::new(files));
        let facts = Facts::of(dimensions);
        let around = Surroundings {
            limits,
            runtime,
            dimensions: Arc::clone(&facts.tables),
            areas: Arc::clone(&facts.areas),
            registry: Arc::new(Registry::default()),
            footage,
            views,
        };
        let inner = Inner {
            tail: TailCache::new(log, store, config.max_tail_rows),
            around,
            facts: RwLock::new(facts),
            turns: Arc::new(Semaphore::new(config.concurrent.max(1))),
            waiting: AtomicUsize::new(0),
            clock,
            metrics,
            pool: Pool::start(config.threads)?,
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Queries that begin from now on see these dimension tables.
    pub fn set_dimensions(&self, dimensions: Dimensions) {
        *self.inner.facts.write() = Facts::of(dimensions);
    }

    /// Runs one reading statement for `principal`; returns once its first rows can come.
    ///
    /// Dropping the stream stops the query and frees its turn.
    ///
    /// # Errors
    /// Whatever is wrong with the statement, the principal's rights, or the limits; an error while
    /// rows flow comes as the stream's last item.
    pub async fn execute(&self, principal: &Principal, sql: &str) -> Result<QueryStream, Error> {
        let started = self.start(principal, sql).await;
        if let Err(e) = &started {
            self.inner.metrics.queries.with_label_values(&[e.kind().as_str()]).inc();
        }
        started
    }

    async fn start(&self, principal: &Principal, sql: &str) -> Result<QueryStream, Error> {
        authorize(principal, Action::QuerySql, "*")?;
        let statement = guard::parse(sql)?;
        let turn = self.turn().await?;
        let (events, results) = bounded("query/results", Capacity::items(2), WhenFull::Wait);
        let principal = principal.name().to_owned();
        let deadline_s = self.inner.config.deadline_s;
        let watch = Watch::until(Instant::now() + Duration::from_secs(deadline_s));
        let job = Job {
            inner: Arc::clone(&self.inner),
            statement,
            principal,
            events,
            watch: Arc::clone(&watch),
        };
        // Not a supervised task: it belongs to its one reader, who stops it by going away.
        let task = self.inner.pool.handle.spawn(job.run(turn)).abort_handle();
        QueryStream::start(results, Worker { task, watch, deadline_s }).await
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let inner = &self.inner;
        let config = &inner.config;
        if let Ok(turn) = Arc::clone(&inner.turns).try_acquire_owned() {
            return Ok(turn);
        }
        let waiting = Waiting::join(inner);
        if waiting.others >= config.waiting {
            return Err(Error::Busy { waiting: waiting.others, limit: config.waiting });
        }
        let wait = Duration::from_secs(config.wait_s);
        match tokio::time::timeout(wait, Arc::clone(&inner.turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_closed)) => Err(Error::Stopped),
            Err(_elapsed) => {
                Err(Error::NoTurn { wait_s: config.wait_s, running: config.concurrent })
            }
        }
    }
}

/// One who waits for a turn.
struct Waiting<'a> {
    inner: &'a Inner,
    others: usize,
}

impl<'a> Waiting<'a> {
    fn join(inner: &'a Inner) -> Self {
        inner.metrics.waiting.inc();
        Self { inner, others: inner.waiting.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.inner.waiting.fetch_sub(1, Ordering::Relaxed);
        self.inner.metrics.waiting.dec();
    }
}

/// One query on the pool.
struct Job {
    inner: Arc<Inner>,
    statement: ReadOnly,
    principal: String,
    events: Sender<Event>,
    watch: Arc<Watch>,
}

/// Counts the query as running, and as stopped unless told how it ended.
struct Running<'a> {
    inner: &'a Inner,
    query_id: u64,
    began: Instant,
    outcome: &'static str,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let metrics = &self.inner.metrics;
        metrics.running.dec();
        metrics.duration.observe(self.began.elapsed().as_secs_f64());
        metrics.queries.with_label_values(&[self.outcome]).inc();
        self.inner.around.registry.end(self.query_id, self.outcome, self.inner.clock.now());
    }
}

impl Job {
    async fn run(self, turn: OwnedSemaphorePermit) {
        let registry = &self.inner.around.registry;
        let query_id =
            registry.begin(&self.principal, self.statement.sql(), self.inner.clock.now());
        self.inner.metrics.running.inc();
        let mut running =
            Running { inner: &self.inner, query_id, began: Instant::now(), outcome: "cancelled" };
        let deadline_s = self.inner.config.deadline_s;
        let deadline = self.watch.deadline();
        let ended = match tokio::time::timeout_at(deadline, self.answer(query_id)).await {
            Ok(Ok(())) => Event::Done,
            Ok(Err(_)) if self.watch.is_past() => Event::Failed(Error::Deadline { deadline_s }),
            Ok(Err(_)) if self.watch.is_abandoned() => Event::Failed(Error::Stopped),
            Ok(Err(e)) => Event::Failed(e),
            Err(_elapsed) => Event::Failed(Error::Deadline { deadline_s }),
        };
        running.outcome = match &ended {
            Event::Failed(e) => e.kind().as_str(),
            _ => "ok",
        };
        drop(running);
        drop(turn); // a reader who does not read must not keep others waiting
        if self.events.send(ended).await.is_err() {
            debug!(query_id, "nobody waited for the end of the query");
        }
    }

    async fn answer(&self, query_id: u64) -> Result<(), Error> {
        let moment = self.moment().await?;
        let inner = &self.inner;
        let session = vong_sql::session_in(&inner.around.limits, Arc::clone(&inner.around.runtime));
        let Facts { tables: dimensions, areas, assets } = inner.facts.read().clone();
        let around = Surroundings { dimensions, areas, ..inner.around.clone() };
        session.register_udf(st_within(Arc::clone(&around.areas)));
        session.register_udtf(CamerasFacing::NAME, Arc::new(CamerasFacing::new(assets)));
        session.register_catalog(CATALOG, Arc::new(City::new(&moment, &around)));
        let rows = self.rows(&session).await?;
        let (as_of, lost) = (moment.head, moment.lost.clone());
        let started = Event::Started { schema: rows.schema(), as_of, lost };
        if self.events.send(started).await.is_err() {
            return Err(Error::Stopped);
        }
        self.pump(rows, &session, query_id).await
    }

    /// Reading the log can block on disk.
    async fn moment(&self) -> Result<Arc<Moment>, Error> {
        let inner = Arc::clone(&self.inner);
        let read = tokio::task::spawn_blocking(move || inner.tail.moment());
        let moment = read.await.map_err(|_panicked_or_stopped| Error::Stopped)??;
        let tail: usize =
            vong_model::Stream::ALL.into_iter().map(|stream| moment.tail_rows(stream)).sum();
        let lost: u64 = moment.lost.iter().map(|lost| lost.end.0 - lost.start.0).sum();
        self.inner.metrics.tail_rows.set(i64::try_from(tail).unwrap_or(i64::MAX));
        self.inner.metrics.tail_lost.set(i64::try_from(lost).unwrap_or(i64::MAX));
        Ok(Arc::new(moment))
    }

    async fn rows(&self, session: &SessionContext) -> Result<SendableRecordBatchStream, Error> {
        let plan = self.statement.plan(session).await?;
        let state = session.state();
        let optimized = state.optimize(&plan).map_err(|e| self.explain(e, session))?;
        let physical = state.query_planner().create_physical_plan(&optimized, &state).await;
        let physical = physical.and_then(|physical| watched(physical, &self.watch));
        let physical = physical.map_err(|e| self.explain(e, session))?;
        execute_stream(physical, session.task_ctx()).map_err(|e| self.explain(e, session))
    }

    async fn pump(
        &self,
        mut rows: SendableRecordBatchStream,
        session: &SessionContext,
        query_id: u64,
    ) -> Result<(), Error> {
        let config = &self.inner.config;
        let (mut sent_rows, mut sent_bytes) = (0_u64, 0_u64);
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(|e| self.explain(e, session))?;
            if batch.num_rows() == 0 {
                continue;
            }
            sent_rows += batch.num_rows() as u64;
            sent_bytes += slice_bytes(&batch);
            if sent_rows > config.max_rows {
                return Err(Error::TooManyRows { limit: config.max_rows });
            }
            if sent_bytes > config.max_bytes {
                return Err(Error::TooManyBytes { limit: config.max_bytes });
            }
            self.inner.metrics.rows.inc_by(batch.num_rows() as u64);
            self.inner.around.registry.add_rows(query_id, batch.num_rows() as u64);
            if self.events.send(Event::Batch(batch)).await.is_err() {
                return Err(Error::Stopped);
            }
        }
        Ok(())
    }

    /// Whose fault it is: the machine's limits, the disk, or the statement.
    fn explain(&self, error: DataFusionError, session: &SessionContext) -> Error {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(detail) => {
                let detail = detail.lines().next().unwrap_or_default().to_owned();
                Error::Memory { detail }
            }
            DataFusionError::Plan(_)
            | DataFusionError::SchemaError(_, _)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Execution(_)
            | DataFusionError::ArrowError(_, _)
            | DataFusionError::SQL(_, _) => Error::Sql(self.statement.explain(&error, session)),
            _ => Error::Run(Box::new(error)),
        }
    }
}

/// Memory of the rows a batch shows, not of buffers it shares with others.
fn slice_bytes(batch: &RecordBatch) -> u64 {
    let columns = batch.columns().iter();
    columns.map(|c| c.to_data().get_slice_memory_size().unwrap_or(0) as u64).sum()
}

#[cfg(test)]
mod tests;
