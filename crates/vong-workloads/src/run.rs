//! The same question asked of the live engine and of stock batch SQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use vong_log::Record;
use vong_sql::SessionLimits;
use vong_sql::rule::{RuleDefinition, RuleStatement, parse_one};
use vong_stream::{Engine, Outputs, RulePlanner, TransitionRow};

use crate::Feed;

/// `CREATE CONTINUOUS VIEW name … AS select`; a query that begins with `EVERY` has its own `AS`.
///
/// # Errors
/// What is wrong with the statement, and where.
pub fn view(name: &str, query: &str) -> Result<RuleDefinition> {
    let query = query.trim();
    let frame = if query.to_ascii_uppercase().starts_with("EVERY") { "" } else { "AS " };
    definition(&format!("CREATE CONTINUOUS VIEW {name} {frame}{query}"))
}

/// An alert rule with the texts that a workload does not care about.
///
/// # Errors
/// What is wrong with the statement, and where.
pub fn rule(name: &str, clauses: &str, select: &str) -> Result<RuleDefinition> {
    definition(&format!(
        "CREATE ALERT RULE {name} SEVERITY high {clauses} TITLE vi 'a' en 'b' ACTION vi 'c' en 'd' \
         AS {select}"
    ))
}

fn definition(sql: &str) -> Result<RuleDefinition> {
    match parse_one(sql).with_context(|| sql.to_owned())? {
        RuleStatement::Create(definition) => Ok(*definition),
        _ => bail!("not a CREATE statement: {sql}"),
    }
}

/// What the engine found.
#[derive(Debug, Default)]
pub struct Live {
    /// Rows of each view, in the order in which they were decided.
    pub views: BTreeMap<String, Vec<RecordBatch>>,
    pub transitions: Vec<TransitionRow>,
    /// Rows that took part.
    pub rows: u64,
}

/// An engine with rules and views in force, and nothing seen.
#[derive(Debug)]
pub struct Prepared {
    engine: Engine,
}

/// # Errors
/// The first rule or view that cannot be planned.
pub fn prepare(rules: &[RuleDefinition]) -> Result<Prepared> {
    let planner = Arc::new(RulePlanner::new()?);
    Ok(Prepared { engine: Engine::with_rules(planner, rules)? })
}

impl Prepared {
    /// Lets the engine read the records.
    ///
    /// # Errors
    /// When the engine failed on a record, or found a row late.
    pub fn run(self, records: &[Record]) -> Result<Live> {
        self.run_told(records, |_| {})
    }

    /// As [`Self::run`]; `told` is given what each record caused, before the next is read.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_told(mut self, records: &[Record], mut told: impl FnMut(&Outputs)) -> Result<Live> {
        let mut live = Live::default();
        for record in records {
            let outputs = self.engine.apply(record);
            let failed = self.engine.counts().failed;
            ensure!(failed == 0, "a rule or view fails on the record at {}", record.offset);
            told(&outputs);
            live.transitions.extend(outputs.transitions);
            for found in outputs.views {
                let rows = live.views.entry(found.view().to_string()).or_default();
                rows.push(found.rows().clone());
            }
        }
        let counts = self.engine.counts();
        ensure!(counts.late == 0, "{} rows were late", counts.late);
        live.rows = counts.rows;
        Ok(live)
    }
}

/// Runs `sql` over all rows of the feed at once, in one partition.
///
/// # Errors
/// What the query fails with.
pub async fn batch(feed: &Feed, sql: &str) -> Result<Vec<RecordBatch>> {
    let session = session(feed)?;
    let query = session.sql(sql).await.with_context(|| sql.to_owned())?;
    query.collect().await.with_context(|| sql.to_owned())
}

fn session(feed: &Feed) -> Result<SessionContext> {
    let session = vong_sql::session(&SessionLimits::deterministic())?;
    for stream in feed.streams() {
        let table = MemTable::try_new(stream.schema(), vec![feed.batches(stream)])?;
        session.register_table(stream.name(), Arc::new(table))?;
    }
    Ok(session)
}

/// Every row as text, sorted: instants without their day, floats to twelve digits, null as `NULL`.
///
/// # Errors
/// When a column cannot be shown.
pub fn shown(batches: &[RecordBatch]) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter().map(texts).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().filter_map(|column| column.get(row).map(String::as_str));
            rows.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    rows.sort_unstable();
    Ok(rows)
}

fn texts(column: &ArrayRef) -> Result<Vec<String>> {
    let null = || "NULL".to_owned();
    if column.data_type().is_floating() {
        let floats = cast(column, &DataType::Float64)?;
        let floats = floats.as_primitive::<Float64Type>();
        return Ok(floats.iter().map(|float| float.map_or_else(null, number)).collect());
    }
    let options = FormatOptions::new().with_timestamp_tz_format(Some("%H:%M:%S%.f"));
    let shown = ArrayFormatter::try_new(column, &options)?;
    let cell = |row| if column.is_null(row) { null() } else { shown.value(row).to_string() };
    Ok((0..column.len()).map(cell).collect())
}

/// Sums in another order differ in their last digits.
fn number(float: f64) -> String {
    let text = format!("{float:.11e}");
    text.parse::<f64>().map_or(text, |rounded| format!("{rounded:?}"))
}
