//! A definition written as the statement that makes it.
//!
//! Invariant: what is written is read back to the same definition, whatever names, numbers and
//! texts it holds. The query is written as it was read, to the letter.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use vong_model::{InWords, LatePolicy, Limit, RuleId, Rung};

use super::{INHIBITED_ON, Inhibition, Periodic, RuleDefinition};

/// `CREATE ALERT RULE …`, whole, without the closing semicolon.
pub(super) fn statement(definition: &RuleDefinition) -> String {
    let mut text = String::new();
    write(&mut text, definition).expect("writing to a string cannot fail");
    text
}

fn write(out: &mut String, definition: &RuleDefinition) -> fmt::Result {
    let RuleDefinition {
        rule_id,
        purpose: _,
        severity,
        for_,
        keep_firing_for,
        no_data_for,
        periodic,
        ladder,
        cooldown,
        limit,
        inhibited_by,
        late,
        title_vi,
        title_en,
        action_vi,
        action_en,
        sql: _,
        select,
    } = definition;
    write!(out, "CREATE ALERT RULE {rule_id}\n  SEVERITY {severity}")?;
    // Before the ladder: a FOR that follows a rung would be read as the rung's.
    span(out, "\n  FOR", *for_)?;
    span(out, "\n  KEEP FIRING FOR", *keep_firing_for)?;
    span(out, "\n  NO DATA FOR", no_data_for.unwrap_or_default())?;
    if let Some(Periodic { every, over_last }) = periodic {
        span(out, "\n  EVERY", *every)?;
        span(out, " OVER LAST", *over_last)?;
    }
    for rung in ladder {
        let Rung { severity, comparison, bound, for_, lower_after } = rung;
        write!(out, "\n  RAISE TO {severity} WHEN {comparison} {bound}")?;
        span(out, " FOR", *for_)?;
        span(out, " LOWER AFTER", *lower_after)?;
    }
    span(out, "\n  COOLDOWN", *cooldown)?;
    if let Some(Limit { alerts, per }) = limit {
        write!(out, "\n  LIMIT {alerts} PER INTERVAL '{}'", InWords(*per))?;
    }
    if let Some(Inhibition { rules, on }) = inhibited_by {
        let rules: Vec<&str> = rules.iter().map(RuleId::as_str).collect();
        write!(out, "\n  INHIBITED BY {}", rules.join(", "))?;
        if *on != INHIBITED_ON {
            write!(out, " ON {on}")?;
        }
    }
    if *late != LatePolicy::default() {
        write!(out, "\n  LATE {}", late.as_str())?;
    }
    write!(out, "\n  TITLE vi {} en {}", Quoted(title_vi), Quoted(title_en))?;
    write!(out, "\n  ACTION vi {} en {}", Quoted(action_vi), Quoted(action_en))?;
    write!(out, "\nAS {}", select.text)
}

/// The clause, unless it says what goes without saying.
fn span(out: &mut String, clause: &str, duration: Duration) -> fmt::Result {
    if duration.is_zero() {
        return Ok(());
    }
    write!(out, "{clause} INTERVAL '{}'", InWords(duration))
}

/// A text as SQL quotes it.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}
