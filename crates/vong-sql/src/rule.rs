//! The statements about rules and continuous views: `CREATE`, `ALTER`, `DROP`, `EXPLAIN`.
//!
//! ```sql
//! CREATE [OR REPLACE] ALERT RULE name
//!   SEVERITY critical | high | medium | low
//!   [FOR INTERVAL '…'] [KEEP FIRING FOR INTERVAL '…'] [NO DATA FOR INTERVAL '…']
//!   [EVERY INTERVAL '…' OVER LAST INTERVAL '…']
//!   [RAISE TO severity WHEN > | >= | < | <= number [FOR INTERVAL '…'] [LOWER AFTER INTERVAL '…']] …
//!   [COOLDOWN INTERVAL '…'] [LIMIT n PER INTERVAL '…']
//!   [INHIBITED BY rule[, rule …] [ON column]]
//!   [LATE IGNORE | REVISE]
//!   TITLE vi '…' en '…'
//!   ACTION vi '…' en '…'
//! AS SELECT …;
//! DROP ALERT RULE name;
//! ALTER ALERT RULE name ENABLE | DISABLE | SET <clauses as above, except NO DATA FOR>;
//! CREATE [OR REPLACE] CONTINUOUS VIEW name
//!   [EVERY INTERVAL '…' OVER LAST INTERVAL '…']
//! AS SELECT …;
//! DROP CONTINUOUS VIEW name; ALTER CONTINUOUS VIEW name ENABLE | DISABLE;
//! EXPLAIN ALERT RULE name; EXPLAIN CONTINUOUS VIEW name; EXPLAIN WINDOW stream; EXPLAIN ALERT 'id';
//! ```
//!
//! Clauses stand in any order; only a `FOR` straight after `WHEN …` is that rung's. A text may hold
//! several statements and comments. Every error names its place in *that text*, counted from line 1,
//! column 1, also when it is found later, while the `SELECT` is planned.

mod clauses;
mod cursor;
mod explain;
mod inhibition;
mod interval;
mod parser;
mod print;

use std::time::Duration;

use vong_model::{LatePolicy, Limit, RuleId, Rung, Severity};

use crate::{Error, Place};

pub use clauses::RuleChanges;
pub use explain::ExplainStatement;
pub use inhibition::{INHIBITED_ON, Inhibition, inhibition_order};

/// One statement about a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleStatement {
    Create(Box<RuleDefinition>),
    Drop {
        rule_id: RuleId,
        purpose: Purpose,
    },
    Enable {
        rule_id: RuleId,
        purpose: Purpose,
    },
    Disable {
        rule_id: RuleId,
        purpose: Purpose,
    },
    /// `ALTER … SET`: [`RuleDefinition::altered`] makes the new definition.
    Alter {
        rule_id: RuleId,
        changes: Box<RuleChanges>,
    },
}

impl RuleStatement {
    /// The rule the statement is about.
    pub fn rule_id(&self) -> &RuleId {
        match self {
            Self::Create(definition) => &definition.rule_id,
            Self::Drop { rule_id, .. }
            | Self::Enable { rule_id, .. }
            | Self::Disable { rule_id, .. }
            | Self::Alter { rule_id, .. } => rule_id,
        }
    }

    /// Whether it is about a rule or a view.
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Create(definition) => definition.purpose,
            Self::Drop { purpose, .. }
            | Self::Enable { purpose, .. }
            | Self::Disable { purpose, .. } => *purpose,
            Self::Alter { .. } => Purpose::Alert,
        }
    }

    /// The word that stands in `rule_changes.action` for it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Drop { .. } => "drop",
            Self::Enable { .. } => "enable",
            Self::Disable { .. } => "disable",
            Self::Alter { .. } => "alter",
        }
    }
}

/// What the rows that a query finds are for. Rules and views have their names in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// An alert rule: they say whether there is an alert.
    #[default]
    Alert,
    /// A continuous view: they are kept.
    View,
}

impl Purpose {
    /// As the statements call it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Alert => "ALERT RULE",
            Self::View => "CONTINUOUS VIEW",
        }
    }
}

/// `EVERY … OVER LAST …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periodic {
    /// From one asking to the next; whole seconds.
    pub every: Duration,
    /// The stretch of event time that is asked about.
    pub over_last: Duration,
}

/// What `CREATE ALERT RULE` or `CREATE CONTINUOUS VIEW` says.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleDefinition {
    pub rule_id: RuleId,
    /// A view has nothing of what follows but [`Self::periodic`], [`Self::sql`], [`Self::select`].
    pub purpose: Purpose,
    pub severity: Severity,
    /// How long the condition must hold before the alert fires; zero: at once.
    pub for_: Duration,
    /// How long the condition must be clear before the alert resolves; zero: at once.
    pub keep_firing_for: Duration,
    /// The rule is about silence: a key seen once and then not for this long.
    pub no_data_for: Option<Duration>,
    /// The query is asked again and again about a stretch of the streams.
    pub periodic: Option<Periodic>,
    /// By rising severity, all above [`Self::severity`]. They compare the first numeric output of
    /// the query.
    pub ladder: Vec<Rung>,
    /// How long after a resolved alert the key's next one stays pending; zero: not at all.
    pub cooldown: Duration,
    /// How many alerts of the rule may start firing in one span of event time.
    pub limit: Option<Limit>,
    pub inhibited_by: Option<Inhibition>,
    pub late: LatePolicy,
    pub title_vi: String,
    pub title_en: String,
    pub action_vi: String,
    pub action_en: String,
    /// The whole statement as written, without the closing semicolon.
    pub sql: String,
    pub select: Select,
}

impl RuleDefinition {
    /// A rule with nothing but what it must have; texts and statement are empty.
    fn bare(rule_id: RuleId, severity: Severity, select: Select) -> Self {
        Self {
            rule_id,
            purpose: Purpose::Alert,
            severity,
            for_: Duration::ZERO,
            keep_firing_for: Duration::ZERO,
            no_data_for: None,
            periodic: None,
            ladder: Vec::new(),
            cooldown: Duration::ZERO,
            limit: None,
            inhibited_by: None,
            late: LatePolicy::default(),
            title_vi: String::new(),
            title_en: String::new(),
            action_vi: String::new(),
            action_en: String::new(),
            sql: String::new(),
            select,
        }
    }

    pub fn is_view(&self) -> bool {
        self.purpose == Purpose::View
    }

    /// The rule with these changes. Its [`Self::sql`] is a whole `CREATE` statement, written anew,
    /// that is read back to the same; places in [`Self::select`] count in that statement.
    ///
    /// # Errors
    /// [`Error::Plan`] when the changes and the rest of the rule contradict each other, with a
    /// place in the text of the changes.
    pub fn altered(&self, changes: &RuleChanges) -> Result<Self, Error> {
        let mut definition = self.clone();
        changes.apply(&mut definition);
        changes.check(&definition)?;
        match parse_one(&print::statement(&definition))? {
            RuleStatement::Create(written) => Ok(*written),
            _ => Err(Error::NotOneStatement { found: 0, place: None }),
        }
    }
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
