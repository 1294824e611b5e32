//! Rules with `EVERY … OVER LAST …`: any bounded query over the last stretch of the streams, asked
//! again at fixed instants of event time.
//!
//! DataFusion runs them as ordinary queries over tables that hold just those rows. That covers what
//! the shared operator does not run by itself: joins between streams, subqueries, any aggregate.
//! The leading text outputs of the query are the key of its alerts; a key that is returned holds,
//! one that is not does not.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use vong_model::streams::ColumnType;
use vong_model::{ColumnRole, Stream};
use vong_sql::rule::{RuleDefinition, Select};
use vong_sql::{Error, SessionLimits};

use super::view::Selected;
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
    pub(crate) keys: Vec<&'static str>,
    /// Output that is the value.
    pub(crate) value: Option<usize>,
    pub(crate) view: Option<ViewPlan>,
    /// Optimized: that does not depend on the rows, and is done once.
    plan: LogicalPlan,
    session: SessionContext,
    tables: Vec<(Stream, Arc<MemTable>)>,
    /// What it answers about a stretch without rows: always the same, so that hours in which nothing
    /// came are not asked about one by one.
    of_nothing: Arc<OnceLock<Vec<RecordBatch>>>,
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
        if let Some(known) = self.of_nothing.get() {
            return Ok(known.clone());
        }
        let answer = self.ask(rows)?;
        Ok(self.of_nothing.get_or_init(|| answer).clone())
    }

    fn ask(&self, rows: &[(Stream, RecordBatch)]) -> DfResult<Vec<RecordBatch>> {
        for (stream, table) in &self.tables {
            let batch = rows.iter().find(|(of, _)| of == stream).map(|(_, batch)| batch.clone());
            let Some(partition) = table.batches.first() else { continue };
            let busy = |_| DataFusionError::Internal("a rule's table is being read".to_owned());
            *partition.try_write().map_err(busy)? = batch.into_iter().collect();
        }
        let state = self.session.state();
        let physical = now(state.query_planner().create_physical_plan(&self.plan, &state))?;
        now(collect(physical, self.session.task_ctx()))
    }
}

/// Plans a rule with `EVERY … OVER LAST …`.
pub(super) fn plan(rule: &RuleDefinition) -> Result<RulePlan, Error> {
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
    let plan = super::logical(&session, select)?;
    let streams = check(&plan, select)?;
    tables.retain(|(stream, _)| streams.contains(stream));
    let view = view(rule, &plan)?;
    // The rows of a view are about nothing but themselves.
    let (keys, value) = if view.is_some() { (vec![], None) } else { outputs(&plan, select)? };
    let stream = *streams.first().unwrap_or(&Stream::Readings);
    let of_stream = keys.iter().filter_map(|k| stream.columns().iter().position(|c| c.name == *k));
    let of_stream = of_stream.collect();
    let plan = session.state().optimize(&plan);
    let plan = plan.map_err(|e| select.refuse(e.strip_backtrace(), "select"))?;
    let us = |span: std::time::Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    let (every_us, last_us) = (us(periodic.every), us(periodic.over_last));
    let of_nothing = Arc::default();
    let plan = PeriodicPlan {
        every_us,
        last_us,
        streams,
        keys,
        value,
        view,
        plan,
        session,
        tables,
        of_nothing,
    };
    Ok(RulePlan { stream, scope: Vec::new(), keys: of_stream, kind: Kind::Periodic(plan) })
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

/// Refuses what is not a function of the rows alone, and names the streams that are read.
fn check(plan: &LogicalPlan, select: &Select) -> Result<Vec<Stream>, Error> {
    let (mut streams, mut refused) = (Vec::new(), None);
    let walked = plan.apply_with_subqueries(|node| {
        refused = match node {
            LogicalPlan::Sort(_) => Some(refuse::unsupported(select, "ORDER BY", "order")),
            LogicalPlan::Limit(_) => Some(refuse::unsupported(select, "LIMIT", "limit")),
            LogicalPlan::RecursiveQuery(_) => {
                Some(refuse::unsupported(select, "WITH RECURSIVE", "with"))
            }
            LogicalPlan::TableScan(scan) => {
                match Stream::from_name(scan.table_name.table()) {
                    Some(stream) if !streams.contains(&stream) => streams.push(stream),
                    _ => {}
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
        None if streams.is_empty() => {
            Err(refuse::unsupported(select, "a SELECT that reads no stream", "select"))
        }
        None => Ok(streams),
    }
}

/// The leading outputs that are ids, by name, and the first that is a number.
fn outputs(
    plan: &LogicalPlan,
    select: &Select,
) -> Result<(Vec<&'static str>, Option<usize>), Error> {
    let known = Stream::ALL.into_iter().filter(|stream| stream.feeds_rules());
    let known = known.flat_map(Stream::columns);
    let known: Vec<&'static str> = known
        .filter(|c| c.column_type == ColumnType::Key && c.role == ColumnRole::Dimension)
        .map(|column| column.name)
        .collect();
    let fields = plan.schema().fields();
    let named = |name: &String| known.iter().find(|known| *known == name).copied();
    let keys = fields.iter().map_while(|field| named(field.name()));
    let keys: Vec<&'static str> = keys.take(MAX_KEYS).collect();
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
