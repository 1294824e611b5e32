//! The read-only guard: one statement that only reads, or an error that says what and where.
//!
//! Three layers, each enough alone: the parsed statement is of a kind on the list, nothing inside
//! it writes, and the plan made of it holds no DDL, DML or session statement.

mod explain;
mod tokens;

pub use explain::nearest;

use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{self, SetExpr, Visit, Visitor};

use crate::session::{DIALECT, MAX_DEPTH, MAX_SQL_BYTES};
use crate::{Error, Place};

pub(crate) use tokens::find_word;

/// One statement that only reads, with its text.
#[derive(Debug)]
pub struct ReadOnly {
    sql: String,
    statement: Statement,
}

/// Parses `sql` and refuses what is not exactly one reading statement.
pub fn parse(sql: &str) -> Result<ReadOnly, Error> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(Error::TooLong { bytes: sql.len(), limit: MAX_SQL_BYTES });
    }
    let parsed = DFParserBuilder::new(sql)
        .with_dialect(&DIALECT)
        .with_recursion_limit(MAX_DEPTH)
        .build()
        .and_then(|mut parser| parser.parse_statements());
    let mut statements = match parsed {
        Ok(statements) => statements,
        Err(e) => return Err(explain::syntax(sql, &e)),
    };
    let found = statements.len();
    match statements.pop_front() {
        Some(statement) if found == 1 => {
            check(sql, &statement)?;
            Ok(ReadOnly { sql: sql.to_owned(), statement })
        }
        _ => {
            let place = tokens::second_statement(sql);
            Err(Error::NotOneStatement { found, place })
        }
    }
}

impl ReadOnly {
    /// The text the statement was parsed from.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The statement's tables, columns and functions resolved, nothing run yet.
    pub async fn plan(&self, session: &SessionContext) -> Result<LogicalPlan, Error> {
        let state = session.state();
        let planned = state.statement_to_plan(self.statement.clone()).await;
        let plan = planned.map_err(|e| explain::planning(&self.sql, &e, session))?;
        let nothing_but_reading = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        match nothing_but_reading.verify_plan(&plan) {
            Ok(()) => Ok(plan),
            Err(_refused) => Err(not_allowed(&self.sql, "a statement that changes something")),
        }
    }

    /// An error of the optimizer or of execution, in the same words as one of planning.
    pub fn explain(&self, error: &DataFusionError, session: &SessionContext) -> Error {
        explain::planning(&self.sql, error, session)
    }
}

fn check(sql: &str, statement: &Statement) -> Result<(), Error> {
    match statement {
        Statement::Statement(inner) => check_inner(sql, inner),
        Statement::Explain(explain) => check(sql, &explain.statement),
        Statement::CopyTo(_) => Err(not_allowed(sql, "COPY")),
        Statement::CreateExternalTable(_) => Err(not_allowed(sql, "CREATE EXTERNAL TABLE")),
        Statement::Reset(_) => Err(not_allowed(sql, "RESET")),
    }
}

fn check_inner(sql: &str, statement: &ast::Statement) -> Result<(), Error> {
    match statement {
        ast::Statement::Query(_)
        | ast::Statement::Explain { .. }
        | ast::Statement::ExplainTable { .. }
        | ast::Statement::ShowTables { .. }
        | ast::Statement::ShowColumns { .. }
        | ast::Statement::ShowFunctions { .. }
        | ast::Statement::ShowVariable { .. } => {}
        other => return Err(not_allowed(sql, &first_words(other))),
    }
    match statement.visit(&mut NothingWrites) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(what) => Err(not_allowed(sql, what)),
    }
}

/// The keyword a refused statement starts with.
fn first_words(statement: &ast::Statement) -> String {
    let text = statement.to_string();
    let word: String = text.chars().take_while(|c| c.is_ascii_alphabetic()).collect();
    if word.is_empty() { "this statement".to_owned() } else { word.to_ascii_uppercase() }
}

fn not_allowed(sql: &str, what: &str) -> Error {
    let place: Option<Place> = find_word(sql, what).or_else(|| tokens::first(sql));
    Error::NotAllowed { what: what.to_owned(), place }
}

/// Looks for writing inside of what reads: `WITH … INSERT`, `SELECT … INTO`, `EXPLAIN INSERT`.
struct NothingWrites;

impl Visitor for NothingWrites {
    type Break = &'static str;

    fn pre_visit_statement(&mut self, statement: &ast::Statement) -> ControlFlow<Self::Break> {
        match statement {
            ast::Statement::Query(_)
            | ast::Statement::Explain { .. }
            | ast::Statement::ExplainTable { .. }
            | ast::Statement::ShowTables { .. }
            | ast::Statement::ShowColumns { .. }
            | ast::Statement::ShowFunctions { .. }
            | ast::Statement::ShowVariable { .. } => ControlFlow::Continue(()),
            ast::Statement::Insert(_) => ControlFlow::Break("INSERT"),
            ast::Statement::Update(_) => ControlFlow::Break("UPDATE"),
            ast::Statement::Delete(_) => ControlFlow::Break("DELETE"),
            _ => ControlFlow::Break("a statement that changes something"),
        }
    }

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<Self::Break> {
        match query.body.as_ref() {
            SetExpr::Insert(_) => ControlFlow::Break("INSERT"),
            SetExpr::Update(_) => ControlFlow::Break("UPDATE"),
            SetExpr::Delete(_) => ControlFlow::Break("DELETE"),
            SetExpr::Merge(_) => ControlFlow::Break("MERGE"),
            SetExpr::Select(_)
            | SetExpr::Query(_)
            | SetExpr::SetOperation { .. }
            | SetExpr::Values(_)
            | SetExpr::Table(_) => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<Self::Break> {
        match select.into {
            Some(_) => ControlFlow::Break("INTO"),
            None => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests;
