//! What a query can name: streams, views over them, continuous views, dimension tables, `vong.*`.
//!
//! Built anew for each query around its one moment; views and system tables cost nothing until
//! they are named.

mod continuous;
mod dimensions;
mod docs;
mod facing;
mod system;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProvider, MemTable, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::TableType;
use datafusion::prelude::SessionContext;
use tokio::sync::watch;
use vong_footage::Footage;
use vong_model::Stream;
use vong_model::view::ViewTables;
use vong_sql::SessionLimits;
use vong_sql::functions::Areas;

use crate::gops::{self, GopTable};
use crate::registry::Registry;
use crate::table::StreamTable;
use crate::tail::Moment;

pub use dimensions::Dimensions;
pub(crate) use facing::CamerasFacing;

/// Schema of the system's own tables.
const SYSTEM_SCHEMA: &str = "vong";

/// Whether a table of the installation cannot have the name, because a stream or a view has it.
pub fn is_taken(name: &str) -> bool {
    Stream::from_name(name).is_some() || views::find(name).is_some() || name == gops::NAME
}

/// Everything a query can name.
#[derive(Debug)]
pub(crate) struct City {
    tables: Arc<Tables>,
    system: Arc<System>,
}

impl City {
    pub(crate) fn new(moment: &Arc<Moment>, around: &Surroundings) -> Self {
        let continuous = Arc::clone(&around.views.borrow());
        let (moment, around) = (Arc::clone(moment), around.clone());
        let tables = Arc::new(Tables { moment, around, continuous });
        let system = Arc::new(System { tables: Arc::clone(&tables) });
        Self { tables, system }
    }
}

/// What queries share; tables and areas are those of the moment a query begins.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) limits: SessionLimits,
    pub(crate) runtime: Arc<RuntimeEnv>,
    pub(crate) dimensions: Arc<BTreeMap<String, RecordBatch>>,
    pub(crate) areas: Arc<Areas>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) footage: Footage,
    /// Continuous views, as the engine knows them.
    pub(crate) views: watch::Receiver<ViewTables>,
}

impl CatalogProvider for City {
    fn schema_names(&self) -> Vec<String> {
        vec![vong_sql::SCHEMA.to_owned(), SYSTEM_SCHEMA.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            vong_sql::SCHEMA => Some(Arc::clone(&self.tables) as Arc<dyn SchemaProvider>),
            SYSTEM_SCHEMA => Some(Arc::clone(&self.system) as Arc<dyn SchemaProvider>),
            _ => None,
        }
    }
}

/// Streams, views and dimensions.
#[derive(Debug)]
struct Tables {
    moment: Arc<Moment>,
    around: Surroundings,
    continuous: ViewTables,
}

impl Tables {
    /// A view is planned in a session of its own, which sees the same moment.
    async fn view(&self, sql: &'static str) -> Result<Arc<dyn TableProvider>> {
        let session = vong_sql::session_in(&self.around.limits, Arc::clone(&self.around.runtime));
        let moment = &self.moment;
        session.register_catalog(vong_sql::CATALOG, Arc::new(City::new(moment, &self.around)));
        // Boxed: a view may name a view, so this future can hold itself.
        let plan = Box::pin(plan_view(&session, sql)).await?;
        Ok(Arc::new(ViewTable::new(plan, Some(sql.to_owned()))))
    }
}

async fn plan_view(
    session: &SessionContext,
    sql: &str,
) -> Result<datafusion::logical_expr::LogicalPlan> {
    session.state().create_logical_plan(sql).await
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        // Every stream: nothing the system decided is hidden from those who audit it.
        let streams = Stream::ALL.into_iter().map(|stream| stream.name().to_owned());
        let views = views::ALL.iter().map(|view| view.name.to_owned());
        let dimensions = self.around.dimensions.keys().cloned();
        let streams = streams.chain([gops::NAME.to_owned()]);
        streams.chain(views).chain(dimensions).chain(self.continuous.keys().cloned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if let Some(stream) = Stream::from_name(name) {
            return Ok(Some(Arc::new(StreamTable::new(stream, Arc::clone(&self.moment)))));
        }
        if name == gops::NAME {
            return Ok(Some(Arc::new(GopTable::new(self.around.footage.clone()))));
        }
        if let Some(view) = views::find(name) {
            return self.view(view.sql).await.map(Some);
        }
        if let Some(rows) = self.around.dimensions.get(name) {
            return table_of(rows.clone()).map(Some);
        }
        let continuous = self.continuous.get(name);
        continuous.map(|known| continuous::table(name, known, &self.moment)).transpose()
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        if views::find(name).is_some() || self.continuous.contains_key(name) {
            return Ok(Some(TableType::View));
        }
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        Stream::from_name(name).is_some()
            || name == gops::NAME
            || views::find(name).is_some()
            || self.around.dimensions.contains_key(name)
            || self.continuous.contains_key(name)
    }
}

/// The tables `vong.*`.
#[derive(Debug)]
struct System {
    tables: Arc<Tables>,
}

#[async_trait]
impl SchemaProvider for System {
    fn table_names(&self) -> Vec<String> {
        system::NAMES.iter().map(|name| (*name).to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let Tables { moment, around, continuous: _ } = self.tables.as_ref();
        let rows = match name {
            "tables" => docs::tables(&self.tables)?,
            "streams" => system::streams(moment)?,
            "columns" => docs::columns(&self.tables).await?,
            "files" => system::files(moment)?,
            "queries" => system::queries(&around.registry)?,
            "footage" => system::footage(&around.footage)?,
            _ => return Ok(None),
        };
        table_of(rows).map(Some)
    }

    fn table_exist(&self, name: &str) -> bool {
        system::NAMES.contains(&name)
    }
}

fn table_of(rows: RecordBatch) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?))
}
