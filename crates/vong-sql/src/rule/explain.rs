//! `EXPLAIN` of what is not SQL: a rule, the windows of a stream, one alert.

use datafusion::sql::sqlparser::tokenizer::Token;
use vong_model::{AlertId, RuleId, Stream};

use super::cursor::Cursor;
use crate::Error;
use crate::session::MAX_SQL_BYTES;

/// A question about how the engine does what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExplainStatement {
    /// `EXPLAIN ALERT RULE name`, `EXPLAIN CONTINUOUS VIEW name`: how the rule is executed, what it shares, what it costs.
    Rule { rule_id: RuleId },
    /// `EXPLAIN WINDOW stream`: which source holds the watermark, and what came late.
    Window { stream: Stream },
    /// `EXPLAIN ALERT 'id'`: the rows and the footage behind one alert.
    Alert { alert_id: AlertId },
}

impl ExplainStatement {
    /// Reads one of these statements; `None` for any other text, also for an `EXPLAIN` of SQL.
    ///
    /// # Errors
    /// [`Error::Syntax`] at the first thing that is not as expected, once it is one of these.
    pub fn parse(text: &str) -> Result<Option<Self>, Error> {
        if text.len() > MAX_SQL_BYTES {
            return Ok(None);
        }
        // A text that cannot even be cut into words is for the SQL parser to refuse.
        let Ok(mut cursor) = Cursor::new(text) else { return Ok(None) };
        if !cursor.take_word("EXPLAIN") {
            return Ok(None);
        }
        let statement = if cursor.take_word("ALERT") {
            rule_or_alert(&mut cursor)?
        } else if cursor.take_word("CONTINUOUS") {
            cursor.expect_word("VIEW")?;
            Self::Rule { rule_id: cursor.name()? }
        } else if cursor.take_word("WINDOW") {
            Self::Window { stream: stream(&mut cursor)? }
        } else {
            return Ok(None);
        };
        while cursor.take_if(&Token::SemiColon) {}
        if !cursor.is_at_end() {
            return Err(cursor.unexpected("the end of the statement"));
        }
        Ok(Some(statement))
    }
}

fn rule_or_alert(cursor: &mut Cursor<'_>) -> Result<ExplainStatement, Error> {
    if cursor.take_word("RULE") {
        return Ok(ExplainStatement::Rule { rule_id: cursor.name()? });
    }
    let alert_id = cursor.string("RULE and its name, or the id of an alert in quotes")?;
    Ok(ExplainStatement::Alert { alert_id: AlertId::from(alert_id) })
}

/// A stream that has windows: one that rules read.
fn stream(cursor: &mut Cursor<'_>) -> Result<Stream, Error> {
    let streams = Stream::ALL.into_iter().filter(|stream| stream.feeds_rules());
    let names: Vec<&'static str> = streams.map(Stream::name).collect();
    let name = cursor.one_of(&names)?;
    Stream::from_name(name).ok_or_else(|| cursor.unexpected_one_of(&names))
}
