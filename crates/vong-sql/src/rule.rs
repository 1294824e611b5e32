//! The statements about rules: `CREATE`, `DROP` and `ALTER ALERT RULE`.
//!
//! ```sql
//! CREATE [OR REPLACE] ALERT RULE name
//!   SEVERITY critical | high | medium | low
//!   [FOR INTERVAL '…'] [KEEP FIRING FOR INTERVAL '…'] [NO DATA FOR INTERVAL '…']
//!   TITLE vi '…' en '…'
//!   ACTION vi '…' en '…'
//! AS SELECT …;
//! DROP ALERT RULE name;
//! ALTER ALERT RULE name ENABLE | DISABLE;
//! ```
//!
//! A text may hold several statements and comments. Every error names its place in *that text*,
//! counted from line 1, column 1, also when it is found later, while the `SELECT` is planned.

mod interval;
mod parser;

use std::time::Duration;

use vong_model::{RuleId, Severity};

use crate::{Error, Place};

/// One statement about a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleStatement {
    Create(Box<RuleDefinition>),
    Drop { rule_id: RuleId },
    Enable { rule_id: RuleId },
    Disable { rule_id: RuleId },
}

impl RuleStatement {
    /// The rule the statement is about.
    pub fn rule_id(&self) -> &RuleId {
        match self {
            Self::Create(definition) => &definition.rule_id,
            Self::Drop { rule_id } | Self::Enable { rule_id } | Self::Disable { rule_id } => {
                rule_id
            }
        }
    }

    /// The word that stands in `rule_changes.action` for it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Drop { .. } => "drop",
            Self::Enable { .. } => "enable",
            Self::Disable { .. } => "disable",
        }
    }
}

/// What `CREATE ALERT RULE` says.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleDefinition {
    pub rule_id: RuleId,
    pub severity: Severity,
    /// How long the condition must hold before the alert fires; zero: at once.
    pub for_: Duration,
    /// How long the condition must be clear before the alert resolves; zero: at once.
    pub keep_firing_for: Duration,
    /// The rule is about silence: a key seen once and then not for this long.
    pub no_data_for: Option<Duration>,
    pub title_vi: String,
    pub title_en: String,
    pub action_vi: String,
    pub action_en: String,
    /// The whole statement as written, without the closing semicolon.
    pub sql: String,
    pub select: Select,
}

/// The query of a rule and where it stands in the text it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    pub text: String,
    pub place: Place,
}

impl Select {
    /// An error about [`Self::text`], with its place moved to the whole text.
    pub fn in_whole(&self, error: Error) -> Error {
        let moved = |place: Option<Place>| {
            place.map(|place| Place {
                line: place.line + self.place.line - 1,
                column: match place.line {
                    1 => place.column + self.place.column - 1,
                    _ => place.column,
                },
            })
        };
        match error {
            Error::Syntax { message, place } => Error::Syntax { message, place: moved(place) },
            Error::NotAllowed { what, place } => Error::NotAllowed { what, place: moved(place) },
            Error::NotOneStatement { found, place } => {
                Error::NotOneStatement { found, place: moved(place) }
            }
            Error::Unknown { what, name, place, did_you_mean } => {
                Error::Unknown { what, name, place: moved(place), did_you_mean }
            }
            Error::Plan { message, place, hint } => {
                Error::Plan { message, place: moved(place), hint }
            }
            other @ (Error::TooLong { .. } | Error::Session(_)) => other,
        }
    }

    /// A refusal that points at the first occurrence of `word` in the query, or at its start.
    pub fn refuse(&self, message: impl Into<String>, word: &str) -> Error {
        let start = Some(Place { line: 1, column: 1 });
        let place = crate::guard::find_word(&self.text, word).or(start);
        self.in_whole(Error::Plan { message: message.into(), place, hint: None })
    }
}

/// Parses every statement of `text`, in order.
///
/// # Errors
/// [`Error::Syntax`] at the first thing that is not as expected, with what was.
pub fn parse(text: &str) -> Result<Vec<RuleStatement>, Error> {
    parser::parse(text)
}

/// Parses exactly one statement, as `rule_changes.sql` holds it.
///
/// # Errors
/// As [`parse`]; [`Error::NotOneStatement`] for none or several.
pub fn parse_one(text: &str) -> Result<RuleStatement, Error> {
    let mut statements = parse(text)?;
    let found = statements.len();
    match statements.pop() {
        Some(statement) if found == 1 => Ok(statement),
        _ => Err(Error::NotOneStatement { found, place: None }),
    }
}

#[cfg(test)]
mod tests;
