//! Rules with `EVERY … OVER LAST …`: any bounded query over the last stretch of the streams, asked
//! again at fixed instants of event time.
//!
//! DataFusion runs them as ordinary queries over tables that hold just those rows. That covers what
//! the shared operator does not run by itself: joins between streams, subqueries, any aggregate.
//! The leading text outputs of the query are the key of its alerts; a key that is returned holds,
//! one that is not does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::FieldRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use parking_lot::Mutex;
use vong_model::streams::ColumnType;
use vong_model::tables::FieldType;
use vong_model::{ColumnRole, Stream, Table};
use vong_sql::functions::Areas;
use vong_sql::rule::{RuleDefinition, Select};
use vong_sql::{Error, SessionLimits};

use super::relation::Tables;
use super::view::Selected;
use super::work::Work;
use super::{Kind, RulePlan, ViewPlan, now, refuse};

/// Most output columns that make a key.
const MAX_KEYS: usize = 4;

/// A query and the tables it reads.
#[derive(Clone)]
pub(crate) struct PeriodicPlan {
    pub(crate) every_us: i64,
    pub(crate) last_us: i64,
    /// The streams it reads, each once.
    pub(crate) streams: Vec<Stream>,
    /// Names of the leading outputs that make the key.
    pub(crate) keys: Vec<Arc<str>>,
    /// Output that is the value.
    pub(crate) value: Option<usize>,
    pub(crate) view: Option<ViewPlan>,
    pub(crate) work: Work,
    /// Optimized: that does not depend on the rows, and is done once.
    plan: LogicalPlan,
    session: SessionContext,
    tables: Vec<(Stream, Arc<MemTable>)>,
    /// Dimension tables, as they are now.
    dimensions: BTreeMap<String, Arc<MemTable>>,
    /// What it answers about a stretch without rows: the same until a dimension table changes, so
    /// that hours in which nothing came are not asked about one by one.
    of_nothing: Arc<Mutex<Option<Vec<RecordBatch>>>>,
}

impl fmt::Debug for PeriodicPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeriodicPlan")
            .field("every_us", &self.every_us)
            .field("last_us", &self.last_us)
            .field("streams", &self.streams)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl PeriodicPlan {
    /// Runs the query over these rows, one batch a stream, and gives its rows.
    pub(crate) fn run(&self, rows: &[(Stream, RecordBatch)]) -> DfResult<Vec<RecordBatch>> {
        if rows.iter().any(|(_, batch)| batch.num_rows() > 0) {
            return self.ask(rows);
        }
        if let Some(known) = self.of_nothing.lock().as_ref() {
            return Ok(known.clone());
        }
        let answer = self.ask(rows)?;
        *self.of_nothing.lock() = Some(answer.clone());
        Ok(answer)
    }

    fn ask(&self, rows: &[(Stream, RecordBatch)]) -> DfResult<Vec<RecordBatch>> {
        for (stream, table) in &self.tables {
            let batch = rows.iter().find(|(of, _)| of == stream).map(|(_, batch)| batch.clone());
            fill(table, batch)?;
        }
        let state = self.session.state();
        let physical = now(state.query_planner().create_physical_plan(&self.plan, &state))?;
        now(collect(physical, self.session.task_ctx()))
    }

    /// From now on the table holds these rows; its columns must be the ones it had.
    pub(crate) fn set_table(&self, table: &Table) -> DfResult<()> {
        *self.of_nothing.lock() = None;
        match self.dimensions.get(table.name()) {
            Some(known) => fill(known, Some(table.rows().clone())),
            None => Ok(()),
        }
    }
}

fn fill(table: &MemTable, batch: Option<RecordBatch>) -> DfResult<()> {
    let Some(partition) = table.batches.first() else { return Ok(()) };
    let busy = |_| DataFusionError::Internal("a rule's table is being read".to_owned());
    *partition.try_write().map_err(busy)? = batch.into_iter().collect();
    Ok(())
}

/// Plans a rule with `EVERY … OVER LAST …`.
pub(super) fn plan(
    rule: &RuleDefinition,
    known: &Tables,
    areas: &Areas,
) -> Result<RulePlan, Error> {
    let select = &rule.select;
    let Some(periodic) = rule.periodic else {
        return Err(select.refuse("a rule without EVERY is not asked again and again", "select"));
    };
    let session = vong_sql::session(&SessionLimits::deterministic())?;
    let mut tables = Vec::new();
    for stream in Stream::ALL.into_iter().filter(|stream| stream.feeds_rules()) {
        let table = MemTable::try_new(stream.schema(), vec![vec![]]).map(Arc::new);
        let table = table.map_err(|e| Error::Session(Box::new(e)))?;
        session
            .register_table(stream.name(), Arc::clone(&table) as _)
            .map_err(|e| Error::Session(Box::new(e)))?;
        tables.push((stream, table));
    }
    let mut dimensions = BTreeMap::new();
    for (name, table) in known {
        let rows = table.rows();
        let filled = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]]).map(Arc::new);
        let filled = filled.map_err(|e| Error::Session(Box::new(e)))?;
        session
            .register_table(name, Arc::clone(&filled) as _)
            .map_err(|e| Error::Session(Box::new(e)))?;
        dimensions.insert(name.clone(), filled);
    }
    let (plan, areas) = super::logical(&session, areas, select)?;
    let Read { streams, tables: read } = check(&plan, select)?;
    tables.retain(|(stream, _)| streams.contains(stream));
    dimensions.retain(|name, _| read.contains(name));
    let read = known.iter().filter(|(name, _)| read.contains(*name));
    let read: Tables = read.map(|(name, table)| (name.clone(), Arc::clone(table))).collect();
    let view = view(rule, &plan)?;
    // The rows of a view are about nothing but themselves.
    let (keys, value) =
        if view.is_some() { (vec![], None) } else { outputs(&plan, &read, select)? };
    let stream = *streams.first().unwrap_or(&Stream::Readings);
    let place = |key: &Arc<str>| stream.columns().iter().position(|c| *c.name == **key);
    let of_stream = keys.iter().filter_map(place).collect();
    let us = |span: std::time::Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    let (every_us, last_us) = (us(periodic.every), us(periodic.over_last));
    let plan = session.state().optimize(&plan);
    let plan = plan.map_err(|e| select.refuse(e.strip_backtrace(), "select"))?;
    let work = Work::of(&plan, &read);
    let of_nothing = Arc::default();
    let plan = PeriodicPlan {
        work,
        every_us,
        last_us,
        streams,
        keys,
        value,
        view,
        plan,
        session,
        tables,
        dimensions,
        of_nothing,
    };
    Ok(RulePlan {
        keys: of_stream,
        tables: read,
        areas,
        ..RulePlan::of(stream, Kind::Periodic(Box::new(plan)))
    })
}

/// A view keeps the query's columns as they are.
fn view(rule: &RuleDefinition, plan: &LogicalPlan) -> Result<Option<ViewPlan>, Error> {
    let schema = plan.schema();
    let outputs: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
    let selected = Selected { plan, outputs: &outputs, schema, of_rows: false };
    ViewPlan::of(rule, &selected, |expr| {
        let place = outputs.iter().position(|known| known == expr).unwrap_or_default();
        let name = schema.fields().get(place).map_or("", |field| field.name());
        Ok(Arc::new(Column::new(name, place)) as Arc<dyn PhysicalExpr>)
    })
}

/// What a query reads.
#[derive(Default)]
struct Read {
    /// Each once, in the order they are met.
    streams: Vec<Stream>,
    tables: BTreeSet<String>,
}

/// Refuses what is not a function of the rows alone, and names what is read.
fn check(plan: &LogicalPlan, select: &Select) -> Result<Read, Error> {
    let (mut read, mut refused) = (Read::default(), None);
    let walked = plan.apply_with_subqueries(|node| {
        refused = match node {
            LogicalPlan::Sort(_) => Some(refuse::unsupported(select, "ORDER BY", "order")),
            LogicalPlan::Limit(_) => Some(refuse::unsupported(select, "LIMIT", "limit")),
            LogicalPlan::RecursiveQuery(_) => {
                Some(refuse::unsupported(select, "WITH RECURSIVE", "with"))
            }
            LogicalPlan::TableScan(scan) => {
                let name = scan.table_name.table();
                match Stream::from_name(name) {
                    Some(stream) if !read.streams.contains(&stream) => read.streams.push(stream),
                    Some(_) => {}
                    None => {
                        read.tables.insert(name.to_owned());
                    }
                }
                None
            }
            _ => None,
        };
        if refused.is_none() {
            node.apply_expressions(|expr| {
                if let ControlFlow::Break(error) = refuse::volatile(expr, select) {
                    refused = Some(*error);
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    if let Err(e) = walked {
        return Err(select.refuse(e.strip_backtrace(), "select"));
    }
    match refused {
        Some(error) => Err(error),
        None if read.streams.is_empty() => {
            Err(refuse::unsupported(select, "a SELECT that reads no stream", "select"))
        }
        None => Ok(read),
    }
}

/// The leading outputs that are ids, by name, and the first that is a number. Ids are those of the
/// streams; the first output alone may also be a text of a table.
fn outputs(
    plan: &LogicalPlan,
    tables: &Tables,
    select: &Select,
) -> Result<(Vec<Arc<str>>, Option<usize>), Error> {
    let known = Stream::ALL.into_iter().filter(|stream| stream.feeds_rules());
    let known = known.flat_map(Stream::columns);
    let known: Vec<&'static str> = known
        .filter(|c| c.column_type == ColumnType::Key && c.role == ColumnRole::Dimension)
        .map(|column| column.name)
        .collect();
    let fields = plan.schema().fields();
    let of_table = tables.values().flat_map(|table| table.columns());
    let of_table = of_table.filter(|c| matches!(c.field_type, FieldType::Key | FieldType::Text));
    let of_table: BTreeSet<&str> = of_table.map(|column| column.name.as_str()).collect();
    let is_key = |(place, field): &(usize, &FieldRef)| {
        let name = field.name().as_str();
        known.contains(&name) || (*place == 0 && of_table.contains(name))
    };
    let keys = fields.iter().enumerate().take_while(is_key);
    let keys: Vec<Arc<str>> =
        keys.take(MAX_KEYS).map(|(_, field)| Arc::from(field.name().as_str())).collect();
    if keys.is_empty() {
        let mut names = known.clone();
        names.sort_unstable();
        names.dedup();
        let message = format!(
            "the first output names what the alert is about: one of {}, by that name",
            names.join(", ")
        );
        return Err(select.refuse(message, "select"));
    }
    Ok((keys, fields.iter().position(|field| field.data_type().is_numeric())))
}
