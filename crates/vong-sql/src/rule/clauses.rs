//! The clauses of a rule: what `CREATE` and `ALTER … SET` say about it besides its query.
//!
//! Invariant: a clause remembers where it stands, so that a refusal points at it also when only
//! the whole definition shows that it does not fit.

use std::time::Duration;

use datafusion::sql::sqlparser::tokenizer::Token;
use vong_model::{ColumnRole, Comparison, LatePolicy, Limit, RuleId, Rung, Severity, Stream};

use super::cursor::{Cursor, similar};
use super::{INHIBITED_ON, Inhibition, Periodic, RuleDefinition};
use crate::error::Thing;
use crate::{Error, Place};

const OF_CREATE: [&str; 13] = [
    "SEVERITY",
    "FOR",
    "KEEP",
    "NO",
    "EVERY",
    "RAISE",
    "COOLDOWN",
    "LIMIT",
    "INHIBITED",
    "LATE",
    "TITLE",
    "ACTION",
    "AS",
];
const OF_ALTER: [&str; 10] = [
    "SEVERITY",
    "FOR",
    "KEEP",
    "RAISE",
    "COOLDOWN",
    "LIMIT",
    "INHIBITED",
    "LATE",
    "TITLE",
    "ACTION",
];

/// Longest stretch a rule with EVERY looks back on: its rows are kept in memory.
const LONGEST_STRETCH: Duration = Duration::from_secs(3_600);

/// A text in Vietnamese and in English.
type Texts = (String, String);

#[derive(Clone, Debug, PartialEq)]
struct Placed<T> {
    value: T,
    place: Option<Place>,
}

/// Clauses as they were read; [`RuleDefinition::altered`] says what an `ALTER` makes of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleChanges {
    severity: Option<Placed<Severity>>,
    for_: Option<Placed<Duration>>,
    keep_firing_for: Option<Placed<Duration>>,
    no_data_for: Option<Placed<Duration>>,
    periodic: Option<Placed<Periodic>>,
    /// By severity; empty: nothing is said about it.
    ladder: Vec<Placed<Rung>>,
    cooldown: Option<Placed<Duration>>,
    limit: Option<Placed<Limit>>,
    inhibited_by: Option<Placed<Inhibition>>,
    late: Option<Placed<LatePolicy>>,
    title: Option<Placed<Texts>>,
    action: Option<Placed<Texts>>,
}

impl RuleChanges {
    /// The clauses up to and with `AS`.
    pub(super) fn of_create(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        let mut clauses = Self::default();
        loop {
            let at = cursor.at();
            match cursor.one_of(&OF_CREATE)? {
                "AS" => return Ok(clauses),
                word => clauses.read(word, at, cursor)?,
            }
        }
    }

    /// The clauses of a continuous view, up to and with `AS`.
    pub(super) fn of_view(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        let mut clauses = Self::default();
        loop {
            let at = cursor.at();
            match cursor.one_of(&["EVERY", "AS"])? {
                "AS" => return Ok(clauses),
                word => clauses.read(word, at, cursor)?,
            }
        }
    }

    /// The clauses after `SET`, at least one, up to the end of the statement.
    pub(super) fn of_alter(cursor: &mut Cursor<'_>, rule_id: &RuleId) -> Result<Self, Error> {
        let mut changes = Self::default();
        loop {
            let fixed = [("NO", "NO DATA FOR"), ("EVERY", "EVERY"), ("AS", "the query of a rule")];
            if let Some((_, what)) = fixed.iter().find(|(word, _)| cursor.is_word(word)) {
                return Err(Error::Plan {
                    message: format!("{what} cannot be altered"),
                    place: cursor.place(),
                    hint: Some(format!(
                        "CREATE OR REPLACE ALERT RULE {rule_id} … writes the rule anew."
                    )),
                });
            }
            let at = cursor.at();
            let word = cursor.one_of(&OF_ALTER)?;
            changes.read(word, at, cursor)?;
            if cursor.peek().is_none_or(|token| *token == Token::SemiColon) {
                return Ok(changes);
            }
        }
    }

    pub(super) fn severity(&self) -> Option<Severity> {
        self.severity.as_ref().map(|severity| severity.value)
    }

    pub(super) fn title(&self) -> Option<Texts> {
        self.title.as_ref().map(|title| title.value.clone())
    }

    pub(super) fn action(&self) -> Option<Texts> {
        self.action.as_ref().map(|action| action.value.clone())
    }

    /// Writes what was said over the definition; the rest of it stays.
    pub(super) fn apply(&self, definition: &mut RuleDefinition) {
        fn put<T: Clone>(to: &mut T, said: Option<&Placed<T>>) {
            if let Some(said) = said {
                to.clone_from(&said.value);
            }
        }
        put(&mut definition.severity, self.severity.as_ref());
        put(&mut definition.for_, self.for_.as_ref());
        put(&mut definition.keep_firing_for, self.keep_firing_for.as_ref());
        put(&mut definition.cooldown, self.cooldown.as_ref());
        put(&mut definition.late, self.late.as_ref());
        let said = |limit: &Placed<Limit>| limit.value;
        definition.limit = self.limit.as_ref().map(said).or(definition.limit);
        if let Some(limit) = &self.no_data_for {
            definition.no_data_for = Some(limit.value);
        }
        if let Some(periodic) = &self.periodic {
            definition.periodic = Some(periodic.value);
        }
        if let Some(inhibition) = &self.inhibited_by {
            definition.inhibited_by = Some(inhibition.value.clone());
        }
        if !self.ladder.is_empty() {
            definition.ladder = self.ladder.iter().map(|rung| rung.value).collect();
        }
        if let Some(title) = self.title() {
            (definition.title_vi, definition.title_en) = title;
        }
        if let Some(action) = self.action() {
            (definition.action_vi, definition.action_en) = action;
        }
    }

    /// Refuses a definition whose clauses contradict each other, at the clause that was read.
    pub(super) fn check(&self, definition: &RuleDefinition) -> Result<(), Error> {
        self.check_silence(definition)?;
        self.check_periodic(definition)?;
        self.check_ladder(definition)?;
        let own = |by: &Inhibition| by.rules.contains(&definition.rule_id);
        if definition.inhibited_by.as_ref().is_some_and(own) {
            return Err(refusal(
                format!("rule '{}' cannot be inhibited by itself", definition.rule_id),
                self.inhibited_by.as_ref().and_then(|by| by.place),
                "COOLDOWN and LIMIT quiet a rule's own alerts.",
            ));
        }
        Ok(())
    }

    fn check_silence(&self, definition: &RuleDefinition) -> Result<(), Error> {
        let Some(limit) = definition.no_data_for else { return Ok(()) };
        let place = self.no_data_for.as_ref().and_then(|limit| limit.place);
        if limit.is_zero() {
            return Err(refusal(
                "NO DATA FOR must be longer than zero".to_owned(),
                place,
                "Write how long a key may be silent, as in NO DATA FOR INTERVAL '20 seconds'.",
            ));
        }
        if !definition.for_.is_zero() || !definition.keep_firing_for.is_zero() {
            let other = self.for_.as_ref().or(self.keep_firing_for.as_ref());
            return Err(refusal(
                "NO DATA FOR cannot be combined with FOR or KEEP FIRING FOR: it says itself how long"
                    .to_owned(),
                other.and_then(|other| other.place).or(place),
                "Leave FOR and KEEP FIRING FOR out.",
            ));
        }
        if !definition.ladder.is_empty() {
            let rung = self.ladder.first().and_then(|rung| rung.place);
            return Err(refusal(
                "RAISE TO compares a number, and a rule with NO DATA FOR has none".to_owned(),
                rung.or(place),
                "Write a second rule with a longer NO DATA FOR and a higher SEVERITY.",
            ));
        }
        Ok(())
    }

    fn check_periodic(&self, definition: &RuleDefinition) -> Result<(), Error> {
        let Some(Periodic { every, over_last }) = definition.periodic else { return Ok(()) };
        let place = self.periodic.as_ref().and_then(|periodic| periodic.place);
        if definition.no_data_for.is_some() {
            return Err(refusal(
                "NO DATA FOR and EVERY do not go together".to_owned(),
                place,
                "A rule with EVERY can ask for silence itself, as with NOT EXISTS.",
            ));
        }
        let whole = every.subsec_nanos() == 0 && every >= Duration::from_secs(1);
        if !whole || over_last < every || over_last > LONGEST_STRETCH {
            return Err(refusal(
                "EVERY takes whole seconds, and OVER LAST at least as long and at most 1 hour"
                    .to_owned(),
                place,
                "Write it as in EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '5 minutes'.",
            ));
        }
        Ok(())
    }

    fn check_ladder(&self, definition: &RuleDefinition) -> Result<(), Error> {
        let base = definition.severity;
        let Some(low) = definition.ladder.iter().find(|rung| rung.severity <= base) else {
            return Ok(());
        };
        let said = self.ladder.iter().find(|rung| rung.value.severity == low.severity);
        let of_severity = self.severity.as_ref().and_then(|severity| severity.place);
        let above = Severity::ALL.into_iter().filter(|s| *s > base).map(Severity::as_str);
        let above: Vec<&str> = above.collect();
        let hint = match above.as_slice() {
            [] => "Nothing is above critical: give the rule a lower SEVERITY.".to_owned(),
            above => format!("Above {base}: {}.", above.join(", ")),
        };
        Err(Error::Plan {
            message: format!("RAISE TO {} does not rise above SEVERITY {base}", low.severity),
            place: said.and_then(|rung| rung.place).or(of_severity),
            hint: Some(hint),
        })
    }

    /// Reads the clause that began with `word` at token `at`.
    fn read(&mut self, word: &str, at: usize, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        fn put<T>(slot: &mut Option<Placed<T>>, value: T, place: Option<Place>) -> bool {
            slot.replace(Placed { value, place }).is_some()
        }
        let place = cursor.place_of(at);
        let again = match word {
            "SEVERITY" => put(&mut self.severity, severity(cursor)?, place),
            "FOR" => put(&mut self.for_, cursor.interval()?, place),
            "KEEP" => {
                words(cursor, &["FIRING", "FOR"])?;
                put(&mut self.keep_firing_for, cursor.interval()?, place)
            }
            "NO" => {
                words(cursor, &["DATA", "FOR"])?;
                put(&mut self.no_data_for, cursor.interval()?, place)
            }
            "EVERY" => put(&mut self.periodic, periodic(cursor)?, place),
            "RAISE" => return self.read_rung(cursor),
            "COOLDOWN" => put(&mut self.cooldown, cursor.interval()?, place),
            "LIMIT" => put(&mut self.limit, limit(cursor)?, place),
            "INHIBITED" => put(&mut self.inhibited_by, inhibition(cursor)?, place),
            "LATE" => put(&mut self.late, late(cursor)?, place),
            "TITLE" => put(&mut self.title, two_languages(cursor)?, place),
            _ => put(&mut self.action, two_languages(cursor)?, place),
        };
        if again {
            cursor.go_back_to(at);
            return Err(cursor.error(format!("{word} is given twice")));
        }
        Ok(())
    }

    /// `TO severity WHEN op number [FOR INTERVAL '…'] [LOWER AFTER INTERVAL '…']`.
    fn read_rung(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        cursor.expect_word("TO")?;
        let (at, place) = (cursor.at(), cursor.place());
        let severity = severity(cursor)?;
        if self.ladder.iter().any(|rung| rung.value.severity == severity) {
            cursor.go_back_to(at);
            return Err(cursor.error(format!("RAISE TO {severity} is given twice")));
        }
        cursor.expect_word("WHEN")?;
        let comparison = comparison(cursor)?;
        let bound = cursor.number()?;
        let for_ = if cursor.take_word("FOR") { cursor.interval()? } else { Duration::ZERO };
        let mut lower_after = Duration::ZERO;
        if cursor.take_word("LOWER") {
            cursor.expect_word("AFTER")?;
            lower_after = cursor.interval()?;
        }
        let value = Rung { severity, comparison, bound, for_, lower_after };
        let above = self.ladder.partition_point(|rung| rung.value.severity < severity);
        self.ladder.insert(above, Placed { value, place });
        Ok(())
    }
}

fn words(cursor: &mut Cursor<'_>, words: &[&'static str]) -> Result<(), Error> {
    words.iter().try_for_each(|word| cursor.expect_word(word))
}

/// `INTERVAL '…' OVER LAST INTERVAL '…'`.
fn periodic(cursor: &mut Cursor<'_>) -> Result<Periodic, Error> {
    let every = cursor.interval()?;
    words(cursor, &["OVER", "LAST"])?;
    Ok(Periodic { every, over_last: cursor.interval()? })
}

fn severity(cursor: &mut Cursor<'_>) -> Result<Severity, Error> {
    match cursor.peek_word().map(str::parse::<Severity>) {
        Some(Ok(severity)) => {
            cursor.skip();
            Ok(severity)
        }
        _ => {
            let names: Vec<&str> = Severity::ALL.iter().rev().map(|s| s.as_str()).collect();
            Err(cursor.unexpected_one_of(&names))
        }
    }
}

fn comparison(cursor: &mut Cursor<'_>) -> Result<Comparison, Error> {
    let (found, meant) = match cursor.peek() {
        Some(Token::Gt) => (Some(Comparison::Greater), None),
        Some(Token::GtEq) => (Some(Comparison::GreaterOrEqual), None),
        Some(Token::Lt) => (Some(Comparison::Less), None),
        Some(Token::LtEq) => (Some(Comparison::LessOrEqual), None),
        Some(Token::RArrow | Token::Char('≥')) => (None, Some(">=")),
        Some(Token::Char('≤')) => (None, Some("<=")),
        Some(Token::Eq | Token::DoubleEq) => (None, Some(">= or <=")),
        _ => (None, None),
    };
    if let Some(comparison) = found {
        cursor.skip();
        return Ok(comparison);
    }
    let known = Comparison::ALL.map(Comparison::as_str).join(", ");
    let hint = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
    let found = cursor.found();
    Err(cursor.error(format!("expected one of {known}, found {found}{hint}")))
}

fn limit(cursor: &mut Cursor<'_>) -> Result<Limit, Error> {
    let place = cursor.place();
    let alerts = cursor.count()?;
    if alerts == 0 {
        return Err(refusal(
            "LIMIT 0 would let no alert through".to_owned(),
            place,
            "ALTER ALERT RULE … DISABLE silences a rule.",
        ));
    }
    cursor.expect_word("PER")?;
    let place = cursor.place();
    let per = cursor.interval()?;
    if per.is_zero() {
        return Err(refusal(
            "LIMIT needs a span longer than zero".to_owned(),
            place,
            "Write it as in LIMIT 5 PER INTERVAL '10 minutes'.",
        ));
    }
    Ok(Limit { alerts, per })
}

/// `BY rule[, rule …] [ON column]`.
fn inhibition(cursor: &mut Cursor<'_>) -> Result<Inhibition, Error> {
    cursor.expect_word("BY")?;
    let mut rules = Vec::new();
    loop {
        let at = cursor.at();
        let rule = cursor.name()?;
        if rules.contains(&rule) {
            cursor.go_back_to(at);
            return Err(cursor.error(format!("rule '{rule}' is named twice")));
        }
        rules.push(rule);
        if !cursor.take_if(&Token::Comma) {
            break;
        }
    }
    let on = if cursor.take_word("ON") { key_column(cursor)? } else { INHIBITED_ON };
    Ok(Inhibition { rules, on })
}

/// A column that says what a row is about, of whatever stream rules may read.
fn key_column(cursor: &mut Cursor<'_>) -> Result<&'static str, Error> {
    let streams = Stream::ALL.into_iter().filter(|stream| stream.feeds_rules());
    let columns = streams.flat_map(|stream| stream.columns());
    let keys = columns.filter(|column| column.role == ColumnRole::Dimension);
    let mut known: Vec<&'static str> = keys.map(|column| column.name).collect();
    known.sort_unstable();
    known.dedup();
    let Some(word) = cursor.peek_word() else {
        return Err(cursor.unexpected("a key column, as in unit_code"));
    };
    match known.iter().find(|column| column.eq_ignore_ascii_case(word)) {
        Some(column) => {
            cursor.skip();
            Ok(column)
        }
        None => Err(Error::Unknown {
            what: Thing::Column,
            name: word.to_owned(),
            place: cursor.place(),
            did_you_mean: similar(word, &known).map(str::to_owned),
        }),
    }
}

fn late(cursor: &mut Cursor<'_>) -> Result<LatePolicy, Error> {
    let word = cursor.one_of(&LatePolicy::ALL.map(LatePolicy::as_str))?;
    let policy = LatePolicy::ALL.into_iter().find(|policy| policy.as_str() == word);
    Ok(policy.unwrap_or_default())
}

/// `vi '…' en '…'`, in either order.
fn two_languages(cursor: &mut Cursor<'_>) -> Result<Texts, Error> {
    let first = cursor.one_of(&["vi", "en"])?;
    let text = cursor.string("a text in quotes")?;
    let second = if first == "vi" { "en" } else { "vi" };
    cursor.expect_word(second)?;
    let other = cursor.string("a text in quotes")?;
    Ok(if first == "vi" { (text, other) } else { (other, text) })
}

fn refusal(message: String, place: Option<Place>, hint: &str) -> Error {
    Error::Plan { message, place, hint: Some(hint.to_owned()) }
}
