//! Translates the parser's and planner's errors into ours: what, where, what was meant instead.

use std::collections::BTreeSet;

use datafusion::common::{Diagnostic, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

use super::tokens;
use crate::error::Thing;
use crate::{Error, Place};

/// A name this similar (Jaro-Winkler, 0 to 1) is offered instead.
const SIMILAR: f64 = 0.85;

/// The text cannot be parsed.
pub(super) fn syntax(sql: &str, error: &DataFusionError) -> Error {
    let text = match root(error) {
        DataFusionError::SQL(parser, _) => parser.to_string(),
        other => other.strip_backtrace(),
    };
    let text = text.strip_prefix("sql parser error: ").unwrap_or(&text);
    if text.contains("recursion limit exceeded") {
        let message = format!("nested more than {} deep", crate::MAX_DEPTH);
        return Error::Syntax { message, place: None };
    }
    let (message, place) = split_place(text);
    let place = place.or_else(|| tokens::first(sql));
    Error::Syntax { message: lower_first(message.trim()), place }
}

/// Splits `… at Line: 1, Column: 8` off the end of the parser's text.
fn split_place(text: &str) -> (&str, Option<Place>) {
    let Some((message, place)) = text.rsplit_once(" at Line: ") else {
        return (text, None);
    };
    let Some((line, column)) = place.split_once(", Column: ") else {
        return (text, None);
    };
    match (line.trim().parse(), column.trim().parse()) {
        (Ok(line), Ok(column)) => (message, Some(Place { line, column })),
        _ => (text, None),
    }
}

/// The statement names or combines what cannot be.
pub(super) fn planning(sql: &str, error: &DataFusionError, session: &SessionContext) -> Error {
    let diagnostic = error.diagnostic();
    let place = diagnostic.and_then(place_of);
    if let DataFusionError::SchemaError(schema, _) = root(error)
        && let SchemaError::FieldNotFound { field, valid_fields } = schema.as_ref()
    {
        let name = field.name().to_owned();
        let known = valid_fields.iter().map(|c| c.name().to_owned()).collect();
        let place = place.or_else(|| tokens::find_word(sql, &name));
        let did_you_mean = nearest(&name, &known);
        return Error::Unknown { what: Thing::Column, name, place, did_you_mean };
    }
    let text = message_of(root(error));
    let ends = text.ends_with("not found");
    if let Some(name) = quoted_after(&text, "table '").filter(|_| ends) {
        return unknown_table(sql, &name, place, session);
    }
    if let Some(name) = text.strip_prefix("Table not found: ") {
        return unknown_table(sql, name, place, session);
    }
    let table_function = || quoted_after(&text, "able function '");
    if let Some(name) = quoted_after(&text, "Invalid function '").or_else(table_function) {
        let place = place.or_else(|| tokens::find_word(sql, &name));
        let did_you_mean = nearest(&name, &functions(session));
        return Error::Unknown { what: Thing::Function, name, place, did_you_mean };
    }
    let text = diagnostic.map_or_else(|| without_wrapping(&text), |d| d.message.as_str());
    let hint = diagnostic.and_then(|d| d.helps.first()).map(|help| help.message.clone());
    Error::Plan { message: lower_first(text.trim()), place, hint }
}

fn unknown_table(sql: &str, full: &str, place: Option<Place>, session: &SessionContext) -> Error {
    let default = format!("{}.{}.", crate::CATALOG, crate::SCHEMA);
    let in_catalog = format!("{}.", crate::CATALOG);
    let name = full.strip_prefix(&default).or_else(|| full.strip_prefix(&in_catalog));
    let name = name.unwrap_or(full).to_owned();
    let place = place.or_else(|| tokens::find_word(sql, &name));
    let did_you_mean = nearest(&name, &tables(session));
    Error::Unknown { what: Thing::Table, name, place, did_you_mean }
}

/// The error inside all contexts and wrappers.
fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(all) => all.first().map_or(error, root),
        other => other,
    }
}

/// What a function said about its arguments, out of the planner's sentence around it.
fn without_wrapping(text: &str) -> &str {
    let inner = text.rsplit_once("Error during planning: ").map_or(text, |(_, inner)| inner);
    inner.split_once(". No function matches").map_or(inner, |(said, _)| said)
}

/// The error's own words, without its class in front.
fn message_of(error: &DataFusionError) -> String {
    match error {
        DataFusionError::Plan(text)
        | DataFusionError::Execution(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::ResourcesExhausted(text)
        | DataFusionError::Configuration(text) => DataFusionError::Plan(text.clone())
            .strip_backtrace()
            .replacen("Error during planning: ", "", 1),
        DataFusionError::ArrowError(inner, _) => inner.to_string(),
        other => other.strip_backtrace(),
    }
}

fn place_of(diagnostic: &Diagnostic) -> Option<Place> {
    let start = diagnostic.span?.start;
    let line = u32::try_from(start.line).ok().filter(|line| *line > 0)?;
    Some(Place { line, column: u32::try_from(start.column).ok()? })
}

fn quoted_after(text: &str, before: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once('\'').map(|(name, _)| name.to_owned())
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    // A word all in capitals is a keyword and stays so.
    if letters.clone().next().is_some_and(char::is_uppercase) {
        return text.to_owned();
    }
    first.to_lowercase().chain(letters).collect()
}

/// The known name most like `name`, when it is like enough to be meant.
pub fn nearest(name: &str, known: &BTreeSet<String>) -> Option<String> {
    let wanted = name.to_lowercase();
    let scored = known.iter().map(|k| (strsim::jaro_winkler(&wanted, &k.to_lowercase()), k));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= SIMILAR).then(|| best.1.clone())
}

fn tables(session: &SessionContext) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    let Some(catalog) = session.catalog(crate::CATALOG) else { return known };
    for schema_name in catalog.schema_names() {
        let Some(schema) = catalog.schema(&schema_name) else { continue };
        for table in schema.table_names() {
            let default = schema_name == crate::SCHEMA;
            known.insert(if default { table } else { format!("{schema_name}.{table}") });
        }
    }
    known
}

fn functions(session: &SessionContext) -> BTreeSet<String> {
    let state = session.state();
    let scalar = state.scalar_functions().keys().cloned();
    let aggregate = state.aggregate_functions().keys().cloned();
    let window = state.window_functions().keys().cloned();
    scalar.chain(aggregate).chain(window).collect()
}
