//! From a rule's `SELECT` to what the shared operator runs.
//!
//! DataFusion parses and types the query against empty tables; the plan is then taken apart into
//! scope, keys, window, aggregates and condition. Whatever the operator cannot run exactly and in
//! bounded memory is refused here, with its place and the reason, never half-supported later.

mod conjunct;
mod periodic;
mod plain;
mod refuse;
mod relation;
mod renumber;
mod shape;
mod shared;
mod sliding;
mod uses;
mod view;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::prelude::SessionContext;
use parking_lot::RwLock;
use vong_model::view::Layout;
use vong_model::{Stream, Table};
use vong_sql::functions::{AREAS, Areas, bind};
use vong_sql::rule::{RuleDefinition, Select};
use vong_sql::{Error, SessionLimits};

pub(crate) use conjunct::{Bound, Conjunct, Form};
pub(crate) use periodic::PeriodicPlan;
pub(crate) use relation::{Derived, Lookup, Of, On, Tables};
pub(crate) use renumber::Numbers;
pub(crate) use shared::{Function, SharedAggregate, Test};
pub(crate) use uses::Uses;
pub(crate) use view::ViewPlan;

/// Polls after which work that should wait for nothing is given up.
const MOST_POLLS: usize = 1_000_000;

/// An expression over the columns of a stream, known by its text so that rules can share it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) text: String,
    pub(crate) expr: Arc<dyn PhysicalExpr>,
}

/// How one rule is run.
#[derive(Clone, Debug)]
pub struct RulePlan {
    pub(crate) stream: Stream,
    /// Which rows the rule is about; all must hold.
    pub(crate) scope: Vec<Conjunct>,
    /// Columns that make the key, in order.
    pub(crate) keys: Vec<usize>,
    /// What is looked up for each row; their numbers follow those of the stream's columns.
    pub(crate) derived: Vec<Derived>,
    /// The tables the rule reads, as they were when it was planned.
    pub(crate) tables: Tables,
    /// Areas whose polygons stand in its expressions.
    pub(crate) areas: BTreeSet<String>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Each row of the scope says anew whether the condition holds for its key.
    Stateless { condition: Vec<Conjunct>, value: Option<Named> },
    /// Each closed window says it.
    Window(WindowPlan),
    /// The scope's keys, and how long they may be silent.
    Absence { limit: Duration },
    /// Each row, once nothing before it can come any more, says it together with those before it.
    Sliding(SlidingPlan),
    /// Each closed run of rows of a key says it.
    Session(SessionPlan),
    /// A query asked again and again says it.
    Periodic(Box<PeriodicPlan>),
    /// Each row of the scope is a row of a view.
    Rows(ViewPlan),
}

/// How far a frame looks back from its row, the row included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Frame {
    /// Microseconds of event time; rows of the same instant all belong to it.
    Range(i64),
    /// Rows of the key before this one.
    Rows(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SlidingFunction {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    /// Of a sample: divided by the count less one.
    Stddev,
    First,
}

/// One `OVER` expression.
#[derive(Clone, Debug)]
pub(crate) struct SlidingCall {
    pub(crate) function: SlidingFunction,
    /// Float; `None`: every row counts.
    pub(crate) argument: Option<Named>,
    pub(crate) frame: Frame,
}

#[derive(Clone, Debug)]
pub(crate) struct SlidingPlan {
    pub(crate) calls: Vec<SlidingCall>,
    /// Columns of the rows that condition and value read, in order.
    pub(crate) inputs: Vec<usize>,
    /// Those columns, then one for each call.
    pub(crate) schema: SchemaRef,
    pub(crate) condition: Arc<dyn PhysicalExpr>,
    pub(crate) value: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) view: Option<ViewPlan>,
}

#[derive(Clone, Debug)]
pub(crate) struct SessionPlan {
    /// A key that is silent for this long has ended its session.
    pub(crate) gap_us: i64,
    /// A session that has lasted this long ends in any case.
    pub(crate) longest_us: i64,
    pub(crate) aggregates: Vec<SharedAggregate>,
    /// Schema of the aggregate's output: group columns, then aggregates.
    pub(crate) schema: SchemaRef,
    pub(crate) groups: Vec<GroupColumn>,
    pub(crate) having: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) value: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) view: Option<ViewPlan>,
}

#[derive(Clone, Debug)]
pub(crate) struct WindowPlan {
    pub(crate) width_us: i64,
    /// From the start of one window to the start of the next; the width, when windows tumble.
    pub(crate) slide_us: i64,
    pub(crate) aggregates: Vec<AggregatePlan>,
    /// Schema of the aggregate's output: group columns, then aggregates.
    pub(crate) schema: SchemaRef,
    /// What each group column of the output is.
    pub(crate) groups: Vec<GroupColumn>,
    /// `None`: every key that is present.
    pub(crate) having: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) value: Option<Arc<dyn PhysicalExpr>>,
    /// The aggregates as shared panes compute them; `None` when some aggregate is beyond them.
    pub(crate) shared: Option<Vec<SharedAggregate>>,
    /// The condition as tests of single aggregates; `None`: `having` must be evaluated.
    pub(crate) tests: Option<Vec<(usize, Test)>>,
    /// The aggregate that is the value, when the value is one.
    pub(crate) value_of: Option<usize>,
    pub(crate) view: Option<ViewPlan>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupColumn {
    /// Position in [`RulePlan::keys`].
    Key(usize),
    WindowStart,
}

#[derive(Clone, Debug)]
pub(crate) struct AggregatePlan {
    /// Function, arguments and filter; equal texts compute equal things.
    pub(crate) text: String,
    pub(crate) function: Arc<AggregateFunctionExpr>,
    pub(crate) arguments: Vec<Named>,
    pub(crate) filter: Option<Named>,
}

impl WindowPlan {
    /// Whether the condition, the value or the view reads a key column.
    pub(crate) fn reads_keys(&self) -> bool {
        let is_key = |column: &usize| matches!(self.groups.get(*column), Some(GroupColumn::Key(_)));
        let outputs = self.view.iter().flat_map(|view| &view.outputs);
        let read = self.having.iter().chain(&self.value).chain(outputs);
        read.flat_map(columns_of).any(|column| is_key(&column))
    }
}

impl RulePlan {
    fn of(stream: Stream, kind: Kind) -> Self {
        let (scope, keys, derived) = (Vec::new(), Vec::new(), Vec::new());
        let (tables, areas) = (Tables::new(), BTreeSet::new());
        Self { stream, scope, keys, derived, tables, areas, kind }
    }

    /// Name of a column of the rows.
    pub(crate) fn column_name(&self, place: usize) -> &str {
        match self.stream.columns().get(place) {
            Some(column) => column.name,
            None => self.derived_at(place).map_or("", Derived::name),
        }
    }

    pub(crate) fn derived_at(&self, place: usize) -> Option<&Derived> {
        self.derived.get(place.checked_sub(self.stream.columns().len())?)
    }

    /// The stream the rule reads.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// Columns that are read of selected rows; the scope itself looks at whole batches.
    pub(crate) fn columns(&self) -> BTreeSet<usize> {
        let mut columns: BTreeSet<usize> = self.keys.iter().copied().collect();
        match &self.kind {
            Kind::Stateless { condition, value } => {
                let read = condition.iter().map(|c| &c.expr).chain(value.iter().map(|v| &v.expr));
                columns.extend(read.flat_map(columns_of));
            }
            Kind::Window(window) => {
                let named =
                    window.aggregates.iter().flat_map(|a| a.arguments.iter().chain(&a.filter));
                columns.extend(named.map(|n| &n.expr).flat_map(columns_of));
            }
            Kind::Absence { .. } | Kind::Periodic(_) => {}
            Kind::Rows(view) => columns.extend(view.outputs.iter().flat_map(columns_of)),
            Kind::Sliding(plan) => {
                let arguments = plan.calls.iter().flat_map(|call| &call.argument);
                columns.extend(arguments.map(|a| &a.expr).flat_map(columns_of));
                columns.extend(&plan.inputs);
            }
            Kind::Session(plan) => {
                let named = plan.aggregates.iter().flat_map(|a| a.argument.iter().chain(&a.masks));
                columns.extend(named.map(|n| &n.expr).flat_map(columns_of));
            }
        }
        columns
    }

    /// Whether an alert of the rule carries a number.
    pub(crate) fn has_value(&self) -> bool {
        match &self.kind {
            Kind::Stateless { value, .. } => value.is_some(),
            Kind::Window(plan) => plan.value.is_some(),
            Kind::Sliding(plan) => plan.value.is_some(),
            Kind::Session(plan) => plan.value.is_some(),
            Kind::Periodic(plan) => plan.value.is_some(),
            Kind::Absence { .. } | Kind::Rows(_) => false,
        }
    }

    /// The columns of the view; `None` for an alert rule.
    pub(crate) fn layout(&self) -> Option<&Layout> {
        let view = match &self.kind {
            Kind::Stateless { .. } | Kind::Absence { .. } => None,
            Kind::Window(plan) => plan.view.as_ref(),
            Kind::Sliding(plan) => plan.view.as_ref(),
            Kind::Session(plan) => plan.view.as_ref(),
            Kind::Periodic(plan) => plan.view.as_ref(),
            Kind::Rows(view) => Some(view),
        };
        view.map(|view| view.layout.as_ref())
    }

    /// `stateless`, `window`, `absence`, `sliding`, `session`, `periodic` or `rows`.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Stateless { .. } => "stateless",
            Kind::Window(_) => "window",
            Kind::Absence { .. } => "absence",
            Kind::Sliding(_) => "sliding",
            Kind::Session(_) => "session",
            Kind::Periodic(_) => "periodic",
            Kind::Rows(_) => "rows",
        }
    }
}

/// Columns an expression reads.
pub(crate) fn columns_of(expr: &Arc<dyn PhysicalExpr>) -> BTreeSet<usize> {
    collect_columns(expr).into_iter().map(|column| column.index()).collect()
}

/// Plans rules; holds a session with every stream and every dimension table, all empty.
pub struct RulePlanner {
    session: SessionContext,
    tables: RwLock<Tables>,
    areas: RwLock<Arc<Areas>>,
}

impl std::fmt::Debug for RulePlanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RulePlanner").finish_non_exhaustive()
    }
}

impl RulePlanner {
    /// A planner that knows no dimension table.
    ///
    /// # Errors
    /// [`Error::Session`] when the session cannot be built.
    pub fn new() -> Result<Self, Error> {
        let session = vong_sql::session(&SessionLimits::deterministic())?;
        for stream in Stream::ALL {
            register(&session, stream.name(), stream.schema())?;
        }
        Ok(Self { session, tables: RwLock::default(), areas: RwLock::default() })
    }

    /// From now on rules are planned against this version of a table.
    ///
    /// # Errors
    /// [`Error::Session`] when the session does not take it, [`Error::Plan`] for an area that is no
    /// polygon.
    pub fn set_table(&self, table: &Arc<Table>) -> Result<(), Error> {
        if table.name() == AREAS {
            let none = |message| Error::Plan { message, place: None, hint: None };
            *self.areas.write() = Arc::new(Areas::of(table).map_err(none)?);
        }
        self.take_out(table.name())?;
        register(&self.session, table.name(), table.rows().schema())?;
        self.tables.write().insert(table.name().to_owned(), Arc::clone(table));
        Ok(())
    }

    /// From now on the table is not known.
    ///
    /// # Errors
    /// As [`Self::set_table`].
    pub fn drop_table(&self, name: &str) -> Result<(), Error> {
        if name == AREAS {
            *self.areas.write() = Arc::default();
        }
        self.take_out(name)?;
        self.tables.write().remove(name);
        Ok(())
    }

    /// The tables rules are planned against, by name.
    pub fn tables(&self) -> BTreeMap<String, Arc<Table>> {
        self.tables.read().clone()
    }

    fn take_out(&self, name: &str) -> Result<(), Error> {
        let gone = self.session.deregister_table(name);
        gone.map(drop).map_err(|e| Error::Session(Box::new(e)))
    }

    /// Plans `rule`.
    ///
    /// # Errors
    /// What is wrong, where in the text the rule was parsed from, and what was meant instead.
    pub fn plan(&self, rule: &RuleDefinition) -> Result<RulePlan, Error> {
        let (tables, areas) = (self.tables.read(), Arc::clone(&self.areas.read()));
        if rule.periodic.is_some() {
            let planned = periodic::plan(rule, &tables, &areas)?;
            refuse::clauses(rule, &planned)?;
            return Ok(planned);
        }
        let (plan, areas) = logical(&self.session, &areas, &rule.select)?;
        let planned = shape::take_apart(&self.session, &tables, rule, &plan)?;
        Ok(RulePlan { areas, ..planned })
    }
}

fn register(session: &SessionContext, name: &str, schema: SchemaRef) -> Result<(), Error> {
    let table = MemTable::try_new(schema, vec![vec![]])
        .and_then(|table| session.register_table(name, Arc::new(table)));
    table.map(drop).map_err(|e| Error::Session(Box::new(e)))
}

/// The typed plan of a query over the tables of `session`, and the areas whose polygons stand in it.
fn logical(
    session: &SessionContext,
    areas: &Areas,
    select: &Select,
) -> Result<(LogicalPlan, BTreeSet<String>), Error> {
    let whole = |e| select.in_whole(e);
    let parsed = vong_sql::guard::parse(&select.text).map_err(whole)?;
    // Every table is in memory, so nothing in planning ever waits.
    let planned = match pin!(parsed.plan(session)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(planned) => planned,
        Poll::Pending => Err(Error::Plan {
            message: "planning waits for something outside".to_owned(),
            place: None,
            hint: None,
        }),
    };
    let plan = planned.map_err(whole)?;
    let state = session.state();
    let options = state.config_options();
    let typed = state.analyzer().execute_and_check(plan, options, |_, _| {});
    let typed = typed.map_err(|e| whole(parsed.explain(&e, session)))?;
    let (plan, bound) =
        bind(typed, areas).map_err(|e| select.refuse(e.strip_backtrace(), "select"))?;
    if let Some(unknown) = bound.unknown {
        return Err(select.refuse(unknown.to_string(), &unknown.id));
    }
    if bound.open {
        let message = "a rule names the area of st_within itself, as in st_within(s.lon, s.lat, \
                       '99001'): its polygon is made ready once";
        return Err(select.refuse(message, "st_within"));
    }
    Ok((plan, bound.areas))
}

/// The outcome of work that waits for nothing outside: all its tables are in memory and it has one
/// partition, so whoever polls it again and again does all of it.
fn now<T>(
    work: impl Future<Output = datafusion::error::Result<T>>,
) -> datafusion::error::Result<T> {
    let mut work = pin!(tokio::task::unconstrained(work));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..MOST_POLLS {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return done;
        }
    }
    let waits = "the query waits for something outside the rows";
    Err(datafusion::error::DataFusionError::Execution(waits.to_owned()))
}

#[cfg(test)]
mod tests;
