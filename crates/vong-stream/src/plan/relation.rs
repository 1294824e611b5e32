//! What the rows of a rule are: the rows of its stream, each with what is looked up for it in
//! dimension tables.
//!
//! A table has one row a key at most, so a join neither multiplies rows nor keeps any: it is a
//! look-up that adds columns to the row. Columns are numbered: the stream's, then all of each joined
//! table, then for each inner join whether there was a row.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, DFSchemaRef, JoinType};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Join, LogicalPlan, Operator, TableScan};
use serde::{Deserialize, Serialize};
use vong_model::streams::ColumnType;
use vong_model::{ColumnRole, Stream, Table};
use vong_sql::Error;
use vong_sql::rule::Select;

use super::conjunct::{is_text, text_of, uncast};
use super::refuse;

/// Tables a rule may join, by name.
pub(crate) type Tables = BTreeMap<String, Arc<Table>>;

/// What one part of a table's key must equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum On {
    /// A column before those of the table.
    Column(usize),
    Text(String),
}

/// A look-up: which table, and what each of its key columns equals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lookup {
    pub(crate) table: Arc<str>,
    pub(crate) on: Vec<(Arc<str>, On)>,
}

/// What a look-up gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Whether there is a row.
    Matched,
    /// A column of the row; null without one.
    Column { name: Arc<str>, data_type: DataType },
}

/// A column that a look-up adds to the rows of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Derived {
    pub(crate) lookup: Lookup,
    pub(crate) of: Of,
}

impl Derived {
    pub(crate) fn name(&self) -> &str {
        match &self.of {
            Of::Matched => "matched",
            Of::Column { name, .. } => name,
        }
    }

    pub(crate) fn data_type(&self) -> DataType {
        match &self.of {
            Of::Matched => DataType::Boolean,
            Of::Column { data_type, .. } => data_type.clone(),
        }
    }
}

/// A joined table and where its columns begin.
struct Joined {
    table: Arc<Table>,
    lookup: Lookup,
    first: usize,
    inner: bool,
}

/// The rows of a rule.
pub(super) struct Relation {
    pub(super) stream: Stream,
    /// Every column, by the name the rule gives it.
    pub(super) schema: DFSchemaRef,
    /// What inner joins ask beside their keys.
    pub(super) conditions: Vec<Expr>,
    joins: Vec<Joined>,
}

impl Relation {
    /// Reads `FROM` and its joins.
    pub(super) fn of(node: &LogicalPlan, tables: &Tables, select: &Select) -> Result<Self, Error> {
        let mut relation = Self {
            stream: Stream::Readings,
            schema: Arc::new(DFSchema::empty()),
            conditions: Vec::new(),
            joins: Vec::new(),
        };
        relation.walk(node, tables, select)?;
        relation.add_matched(select)?;
        Ok(relation)
    }

    fn walk(&mut self, node: &LogicalPlan, tables: &Tables, select: &Select) -> Result<(), Error> {
        if let LogicalPlan::Join(join) = node {
            self.walk(&join.left, tables, select)?;
            return self.join(join, tables, select);
        }
        let name = scan(node, select)?.table_name.table();
        match Stream::from_name(name) {
            Some(stream) if stream.feeds_rules() => self.stream = stream,
            _ => return Err(not_a_stream(name, tables, select)),
        }
        self.schema = Arc::clone(node.schema());
        Ok(())
    }

    fn join(&mut self, join: &Join, tables: &Tables, select: &Select) -> Result<(), Error> {
        let name = scan(&join.right, select)?.table_name.table();
        let Some(table) = tables.get(name) else {
            let known = tables.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let message = format!(
                "'{name}' is no dimension table; {known} are. Two streams are joined by a rule with \
                 EVERY … OVER LAST …"
            );
            return Err(select.refuse(message, name));
        };
        let inner = match join.join_type {
            JoinType::Inner => true,
            JoinType::Left => false,
            other => return Err(refuse::unsupported(select, &format!("{other} JOIN"), "join")),
        };
        let first = self.schema.fields().len();
        self.schema = Arc::clone(&join.schema);
        let equal = |(a, b): &(Expr, Expr)| a.clone().eq(b.clone());
        let pairs: Vec<Expr> = join.on.iter().map(equal).collect();
        let rest = join.filter.iter().flat_map(split_conjunction).cloned();
        let mut on: BTreeMap<&str, On> = BTreeMap::new();
        let mut others = Vec::new();
        for condition in pairs.into_iter().chain(rest) {
            match self.key_part(&condition, table, first) {
                Some((key, part)) if !on.contains_key(key) => {
                    on.insert(key, part);
                }
                _ => others.push(condition),
            }
        }
        let keys: Vec<&str> = table.keys().collect();
        if let Some(missing) = keys.iter().find(|key| !on.contains_key(*key)) {
            let message = format!(
                "a row of '{name}' is found by its key ({}): JOIN … ON says with = which column of \
                 the stream, or which text, {missing} is",
                keys.join(", ")
            );
            return Err(select.refuse(message, name));
        }
        if !inner && !others.is_empty() {
            let message = "LEFT JOIN takes the table's key and nothing else in ON: write the other \
                           conditions in WHERE";
            return Err(select.refuse(message, name));
        }
        self.conditions.extend(others);
        let on = keys.into_iter().filter_map(|key| Some((Arc::from(key), on.remove(key)?)));
        let lookup = Lookup { table: Arc::from(name), on: on.collect() };
        self.joins.push(Joined { table: Arc::clone(table), lookup, first, inner });
        Ok(())
    }

    /// The key column of `table` that the condition fixes, and to what.
    fn key_part<'t>(
        &self,
        condition: &Expr,
        table: &'t Table,
        first: usize,
    ) -> Option<(&'t str, On)> {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else {
            return None;
        };
        let column = |expr: &Expr| match uncast(expr, is_text) {
            Expr::Column(column) => self.schema.maybe_index_of_column(column),
            _ => None,
        };
        let key = |expr: &Expr| {
            let place = column(expr)?.checked_sub(first)?;
            table.keys().nth(place)
        };
        let part = |expr: &Expr| match column(expr) {
            Some(place) if place < first && is_text(self.schema.field(place).data_type()) => {
                Some(On::Column(self.plain(place)))
            }
            Some(_) => None,
            None => text_of(expr).map(On::Text),
        };
        let straight = key(left).zip(part(right));
        straight.or_else(|| key(right).zip(part(left)))
    }

    /// One column for each inner join: whether there was a row.
    fn add_matched(&mut self, select: &Select) -> Result<(), Error> {
        let fields = self.joins.iter().enumerate().filter(|(_, join)| join.inner);
        let fields: Vec<_> = fields
            .map(|(place, _)| {
                (None, Arc::new(Field::new(matched_name(place), DataType::Boolean, true)))
            })
            .collect();
        if fields.is_empty() {
            return Ok(());
        }
        let fault =
            |e: datafusion::error::DataFusionError| select.refuse(e.strip_backtrace(), "join");
        let more = DFSchema::new_with_metadata(fields, std::collections::HashMap::new());
        let whole = self.schema.join(&more.map_err(fault)?).map_err(fault)?;
        self.schema = Arc::new(whole);
        Ok(())
    }

    /// What every row must meet because of inner joins.
    pub(super) fn matched(&self) -> Vec<Expr> {
        let inner = self.joins.iter().enumerate().filter(|(_, join)| join.inner);
        inner.map(|(place, _)| Expr::Column(Column::from_name(matched_name(place)))).collect()
    }

    /// Number of the column.
    pub(super) fn index(&self, column: &Column) -> Option<usize> {
        self.schema.maybe_index_of_column(column).map(|place| self.plain(place))
    }

    /// Number of the column, when it is one that alerts can be about.
    pub(super) fn key(&self, column: &Column) -> Option<usize> {
        let place = self.index(column)?;
        let is_key = match self.stream.columns().get(place) {
            Some(column) => is_key(column),
            None => is_text(self.schema.field(place).data_type()),
        };
        is_key.then_some(place)
    }

    /// What the column is to the stream; `None` when it comes from a table.
    pub(super) fn role(&self, place: usize) -> Option<ColumnRole> {
        self.stream.columns().get(place).map(|column| column.role)
    }

    pub(super) fn data_type(&self, place: usize) -> &DataType {
        self.schema.field(place).data_type()
    }

    /// In an inner join a key column of the table is what it is compared with.
    fn plain(&self, place: usize) -> usize {
        for join in self.joins.iter().filter(|join| join.inner) {
            let on = place.checked_sub(join.first).and_then(|at| join.lookup.on.get(at));
            if let Some((_, On::Column(same))) = on {
                return *same;
            }
        }
        place
    }

    /// The look-up behind a column; `None` for one of the stream.
    pub(super) fn derived(&self, place: usize) -> Option<Derived> {
        if place < self.stream.columns().len() {
            return None;
        }
        for join in self.joins.iter() {
            let column = place.checked_sub(join.first);
            if let Some(column) = column.and_then(|at| join.table.columns().get(at)) {
                let name = Arc::from(column.name.as_str());
                let data_type = column.field_type.data_type();
                let lookup = join.lookup.clone();
                return Some(Derived { lookup, of: Of::Column { name, data_type } });
            }
        }
        let name = self.schema.field(place).name();
        let joins = self.joins.iter().enumerate();
        let join = joins.filter(|(at, _)| matched_name(*at) == *name).map(|(_, join)| join).next();
        join.map(|join| Derived { lookup: join.lookup.clone(), of: Of::Matched })
    }

    /// As [`Self::index`], for a number.
    pub(super) fn same(&self, place: usize) -> usize {
        self.plain(place)
    }

    pub(super) fn tables(&self) -> Tables {
        let tables = self.joins.iter().map(|join| (join.table.name(), &join.table));
        tables.map(|(name, table)| (name.to_owned(), Arc::clone(table))).collect()
    }
}

/// Not a name a rule can write without quotes.
fn matched_name(place: usize) -> String {
    format!("<matched {place}>")
}

fn scan<'a>(node: &'a LogicalPlan, select: &Select) -> Result<&'a TableScan, Error> {
    match node {
        LogicalPlan::SubqueryAlias(alias) => scan(&alias.input, select),
        LogicalPlan::TableScan(scan) => Ok(scan),
        _ => Err(refuse::unsupported(select, "a query inside the query", "(")),
    }
}

fn not_a_stream(name: &str, tables: &Tables, select: &Select) -> Error {
    if tables.contains_key(name) {
        let message = format!(
            "'{name}' is a dimension table: write the stream first, as in FROM readings r JOIN {name}"
        );
        return select.refuse(message, name);
    }
    let feeding = Stream::ALL.iter().filter(|s| s.feeds_rules()).map(|s| s.name());
    let feeding = feeding.collect::<Vec<_>>().join(", ");
    select.refuse(format!("'{name}' does not feed rules; {feeding} do"), name)
}

/// Whether alerts can be about a column of a stream.
pub(super) fn is_key(column: &vong_model::Column) -> bool {
    column.column_type == ColumnType::Key && column.role == ColumnRole::Dimension
}
