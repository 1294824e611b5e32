//! The statements about rules, read from tokens.
//!
//! Only the frame of a statement is read here; the `SELECT` is handed to the SQL parser whole.

use datafusion::sql::sqlparser::tokenizer::Token;
use vong_model::{RuleId, Severity};

use super::clauses::RuleChanges;
use super::cursor::Cursor;
use super::{Purpose, RuleDefinition, RuleStatement, Select};
use crate::{Error, Place};
use vong_model::view::is_taken;

/// Longest file of rules, a limit of ours: 10,000 rules of 800 bytes.
const MAX_BYTES: usize = 8 * 1024 * 1024;

pub(super) fn parse(text: &str) -> Result<Vec<RuleStatement>, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::TooLong { bytes: text.len(), limit: MAX_BYTES });
    }
    let mut cursor = Cursor::new(text)?;
    let mut statements = Vec::new();
    loop {
        while cursor.take_if(&Token::SemiColon) {}
        if cursor.is_at_end() {
            return Ok(statements);
        }
        statements.push(statement(&mut cursor)?);
        if !cursor.is_at_end() && !cursor.take_if(&Token::SemiColon) {
            return Err(cursor.unexpected("';' between statements"));
        }
    }
}

fn statement(cursor: &mut Cursor<'_>) -> Result<RuleStatement, Error> {
    let first = cursor.at();
    match cursor.one_of(&["CREATE", "DROP", "ALTER"])? {
        "CREATE" => {
            if cursor.take_word("OR") {
                cursor.expect_word("REPLACE")?;
            }
            match purpose(cursor)? {
                Purpose::Alert => create(cursor, first),
                Purpose::View => create_view(cursor, first),
            }
        }
        "DROP" => {
            let purpose = purpose(cursor)?;
            Ok(RuleStatement::Drop { rule_id: cursor.name()?, purpose })
        }
        _ => alter(cursor),
    }
}

fn alter(cursor: &mut Cursor<'_>) -> Result<RuleStatement, Error> {
    let purpose = purpose(cursor)?;
    let rule_id = cursor.name()?;
    let acts: &[&'static str] = match purpose {
        Purpose::Alert => &["ENABLE", "DISABLE", "SET"],
        Purpose::View => &["ENABLE", "DISABLE"],
    };
    Ok(match cursor.one_of(acts)? {
        "ENABLE" => RuleStatement::Enable { rule_id, purpose },
        "DISABLE" => RuleStatement::Disable { rule_id, purpose },
        _ => {
            let changes = Box::new(RuleChanges::of_alter(cursor, &rule_id)?);
            RuleStatement::Alter { rule_id, changes }
        }
    })
}

fn purpose(cursor: &mut Cursor<'_>) -> Result<Purpose, Error> {
    match cursor.one_of(&["ALERT", "CONTINUOUS"])? {
        "ALERT" => cursor.expect_word("RULE").map(|()| Purpose::Alert),
        _ => cursor.expect_word("VIEW").map(|()| Purpose::View),
    }
}

fn create_view(cursor: &mut Cursor<'_>, first: usize) -> Result<RuleStatement, Error> {
    let named = cursor.at();
    let rule_id = cursor.name()?;
    if is_taken(rule_id.as_str()) {
        let message = format!("'{rule_id}' is a table already: a view needs a name of its own");
        return Err(Error::Plan { message, place: cursor.place_of(named), hint: None });
    }
    let clauses = RuleChanges::of_view(cursor)?;
    let select = select(cursor)?;
    // A view has no severity; the field is there for rules.
    let mut definition = RuleDefinition::bare(rule_id, Severity::Low, select);
    definition.purpose = Purpose::View;
    cursor.text_from(first).clone_into(&mut definition.sql);
    clauses.apply(&mut definition);
    clauses.check(&definition)?;
    Ok(RuleStatement::Create(Box::new(definition)))
}

fn create(cursor: &mut Cursor<'_>, first: usize) -> Result<RuleStatement, Error> {
    let rule_id = cursor.name()?;
    let clauses = RuleChanges::of_create(cursor)?;
    let select = select(cursor)?;
    let sql = cursor.text_from(first).to_owned();
    let definition = whole(rule_id, &clauses, sql, select, cursor.place_of(first))?;
    clauses.check(&definition)?;
    Ok(RuleStatement::Create(Box::new(definition)))
}

/// The definition that the clauses make, if none is missing.
fn whole(
    rule_id: RuleId,
    clauses: &RuleChanges,
    sql: String,
    select: Select,
    place: Option<Place>,
) -> Result<RuleDefinition, Error> {
    let missing =
        |what: &str| Error::Syntax { message: format!("rule '{rule_id}' has no {what}"), place };
    let Some(title) = clauses.title() else {
        return Err(missing("TITLE vi '…' en '…'"));
    };
    let Some(action) = clauses.action() else {
        return Err(missing("ACTION vi '…' en '…': an alert nobody can act on is not an alert"));
    };
    let Some(severity) = clauses.severity() else {
        return Err(missing("SEVERITY critical, high, medium or low"));
    };
    let mut definition = RuleDefinition::bare(rule_id, severity, select);
    definition.sql = sql;
    (definition.title_vi, definition.title_en) = title;
    (definition.action_vi, definition.action_en) = action;
    clauses.apply(&mut definition);
    Ok(definition)
}

/// The query: every token up to the semicolon, checked to be one reading statement.
fn select(cursor: &mut Cursor<'_>) -> Result<Select, Error> {
    let first = cursor.at();
    if !cursor.is_word("select") && !cursor.is_word("with") {
        return Err(cursor.unexpected("SELECT"));
    }
    while cursor.peek().is_some_and(|token| *token != Token::SemiColon) {
        cursor.skip();
    }
    let text = cursor.text_from(first).to_owned();
    let start = cursor.place_of(first).unwrap_or(Place { line: 1, column: 1 });
    let select = Select { text, place: start };
    match crate::guard::parse(&select.text) {
        Ok(_) => Ok(select),
        Err(e) => Err(select.in_whole(e)),
    }
}
