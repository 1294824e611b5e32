//! Brings the rules on the log in line with the rule files, once, at start-up.
//!
//! A rule on the log is a fact with an offset: what the files say anew is appended, what they no
//! longer say is dropped, what did not change is left alone and keeps its open alerts.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use tracing::info;
use vong_log::{Entry, Log};
use vong_model::{EventTime, Stream, columns};
use vong_sql::rule::RuleStatement;
use vong_stream::RuleStatus;

/// One row of `rule_changes`.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    rule_id: String,
    version: u32,
    action: &'static str,
    sql: String,
}

/// Appends the difference between `files` and `in_force`.
pub(crate) async fn align(
    log: &Arc<dyn Log>,
    files: &[RuleStatement],
    in_force: &[RuleStatus],
    now: EventTime,
) -> Result<(), vong_log::Error> {
    let known = in_force
        .iter()
        .map(|status| {
            (
                status.rule.rule_id().as_str(),
                (status.rule.version, status.rule.definition.sql.as_str()),
            )
        })
        .collect();
    let changes = changes(files, &known);
    if changes.is_empty() {
        return Ok(());
    }
    info!(changes = changes.len(), "rules changed since the last start");
    log.append(vec![Entry::new(Stream::RuleChanges, to_batch(&changes, now))]).await?;
    Ok(())
}

fn changes(files: &[RuleStatement], known: &BTreeMap<&str, (u32, &str)>) -> Vec<Change> {
    let mut wanted = BTreeMap::new();
    for statement in files {
        match statement {
            RuleStatement::Create(rule) => {
                wanted.insert(rule.rule_id.as_str(), rule.sql.as_str());
            }
            // Files say what there is: a rule that is switched off in them is not there.
            RuleStatement::Drop { rule_id } | RuleStatement::Disable { rule_id } => {
                wanted.remove(rule_id.as_str());
            }
            // A file with an ALTER … SET is refused when it is read.
            RuleStatement::Enable { .. } | RuleStatement::Alter { .. } => {}
        }
    }
    let mut changes = Vec::new();
    for (rule_id, (version, sql)) in known {
        if !wanted.contains_key(rule_id) {
            let (rule_id, sql) = ((*rule_id).to_owned(), (*sql).to_owned());
            changes.push(Change { rule_id, version: version + 1, action: "drop", sql });
        }
    }
    for (rule_id, sql) in wanted {
        let (version, action) = match known.get(rule_id) {
            Some((_, in_force)) if *in_force == sql => continue,
            Some((version, _)) => (version + 1, "alter"),
            None => (1, "create"),
        };
        changes.push(Change { rule_id: rule_id.to_owned(), version, action, sql: sql.to_owned() });
    }
    changes
}

/// Rows of [`Stream::RuleChanges`], in its column order.
fn to_batch(changes: &[Change], now: EventTime) -> RecordBatch {
    let versions: ArrayRef =
        Arc::new(UInt32Array::from_iter_values(changes.iter().map(|c| c.version)));
    let columns = vec![
        columns::time_column(changes.iter().map(|_| Some(now))),
        columns::key_column(changes.iter().map(|c| Some(c.rule_id.as_str()))),
        versions,
        columns::key_column(changes.iter().map(|c| Some(c.action))),
        columns::text_column(changes.iter().map(|c| Some(c.sql.as_str()))),
        columns::text_column(changes.iter().map(|_| Some("rule files"))),
    ];
    RecordBatch::try_new(Stream::RuleChanges.schema(), columns)
        .expect("columns are made in the schema's order")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "SEVERITY low TITLE vi 'a' en 'a' ACTION vi 'a' en 'a' AS SELECT sensor_id FROM readings WHERE value >";

    #[test]
    fn only_what_differs_is_appended() {
        let text = format!("CREATE ALERT RULE a {HEAD} 1; CREATE ALERT RULE b {HEAD} 2;");
        let files = vong_sql::rule::parse(&text).unwrap();
        let sql_of = |index: usize| match &files[index] {
            RuleStatement::Create(rule) => rule.sql.clone(),
            other => unreachable!("{other:?}"),
        };
        let (a, b) = (sql_of(0), sql_of(1));
        let told = |known: &[(&str, (u32, &str))]| -> Vec<(String, u32, &str)> {
            let known = known.iter().copied().collect();
            changes(&files, &known).into_iter().map(|c| (c.rule_id, c.version, c.action)).collect()
        };
        assert_eq!(told(&[]), [("a".into(), 1, "create"), ("b".into(), 1, "create")]);
        assert_eq!(told(&[("a", (1, &a)), ("b", (1, &b))]), []);
        assert_eq!(
            told(&[("a", (3, &b)), ("b", (1, &b)), ("c", (2, &a))]),
            [("c".into(), 3, "drop"), ("a".into(), 4, "alter")]
        );
    }
}
