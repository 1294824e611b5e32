//! Statements about rules from people: checked, written to the log, in force when the answer is given.
//!
//! Everyone who changes rules goes through here, one at a time: the rule files at start-up, the HTTP
//! interface and the SQL prompt. What is refused here never reaches the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use tokio::sync::Mutex;
use vong_log::{Entry, Log};
use vong_model::{EventTime, RuleId, Stream, Table, columns};
use vong_runtime::Clock;
use vong_sql::nearest;
use vong_sql::rule::{ExplainStatement, RuleDefinition, RuleStatement, inhibition_order, parse};

use crate::Error;
use crate::cost::RuleBudget;
use crate::operator::RuleStatus;
use crate::service::EngineHandle;
use crate::tables;

/// Who changed a rule when nobody did but the files.
pub const RULE_FILES: &str = "rule files";
/// How long an answer waits for the engine to obey; the change is on the log before.
const OBEYED_WITHIN: Duration = Duration::from_secs(10);

/// A change that is on the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleChanged {
    pub rule_id: RuleId,
    pub version: u32,
    /// `create`, `alter`, `drop`, `enable` or `disable`.
    pub action: &'static str,
    sql: String,
}

/// A rule as the desk sees it while it works through statements.
#[derive(Clone, Debug)]
struct Known {
    version: u32,
    by: String,
    definition: RuleDefinition,
}

type Book = BTreeMap<RuleId, Known>;

/// The one place where rules are changed; a cheap handle.
#[derive(Clone, Debug)]
pub struct RuleDesk {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    engine: EngineHandle,
    budget: RuleBudget,
    turn: Arc<Mutex<()>>,
}

impl RuleDesk {
    pub fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>, engine: EngineHandle) -> Self {
        let budget = RuleBudget::default();
        Self { log, clock, engine, budget, turn: Arc::new(Mutex::new(())) }
    }

    /// With another budget than the usual one.
    #[must_use]
    pub fn with_budget(self, budget: RuleBudget) -> Self {
        Self { budget, ..self }
    }

    /// Whether the text is about rules or views, so that it belongs here and not to the query engine.
    pub fn is_about_rules(text: &str) -> bool {
        let mut words = text.split_whitespace().map(str::to_ascii_uppercase);
        let first = words.next().unwrap_or_default();
        let rest: Vec<String> = words.take(4).collect();
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let what = match (first.as_str(), rest.as_slice()) {
            ("CREATE", ["OR", "REPLACE", what @ ..]) | ("CREATE" | "DROP" | "ALTER", what) => what,
            _ => return false,
        };
        matches!(what, ["ALERT", "RULE", ..] | ["CONTINUOUS", "VIEW", ..])
    }

    /// Carries out every statement of `text`, all or none.
    ///
    /// # Errors
    /// [`Error::RuleText`] for what is wrong with a statement and where, [`Error::NoSuchRule`],
    /// [`Error::Ring`]; [`Error::Append`] when the log does not take it.
    pub async fn change(&self, actor: &str, text: &str) -> Result<Vec<RuleChanged>, Error> {
        let statements = parse(text).map_err(|e| Error::RuleText(Box::new(e)))?;
        let _turn = self.turn.lock().await;
        let mut book = self.book();
        let mut changes = Vec::new();
        for statement in statements {
            changes.push(self.one(&mut book, &statement, actor)?);
        }
        self.write(actor, changes).await
    }

    /// Brings what the rule files say on the log: what they say anew is written, what they no
    /// longer say is dropped, what did not change keeps its open alerts. Rules that people made
    /// elsewhere are left alone.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub async fn align(&self, files: &[RuleStatement]) -> Result<Vec<RuleChanged>, Error> {
        let _turn = self.turn.lock().await;
        let book = self.book();
        self.write(RULE_FILES, differences(files, &book)).await
    }

    /// Brings dimension tables on the log: those that differ from what it has, and those that are
    /// no longer there. Gives the number of changes. Rules that join them come after.
    ///
    /// # Errors
    /// [`Error::Append`] when the log does not take them.
    pub async fn align_tables(&self, wanted: &[Table]) -> Result<usize, Error> {
        let _turn = self.turn.lock().await;
        let known = self.engine.planner().tables();
        let differs = |table: &&Table| known.get(table.name()).is_none_or(|k| **k != **table);
        let changed = wanted.iter().filter(differs).map(|t| (t.name(), Some(t.to_text())));
        let is_gone = |name: &&String| !wanted.iter().any(|table| table.name() == **name);
        let gone = known.keys().filter(is_gone).map(|name| (name.as_str(), None));
        let mut changes = 0;
        for (name, text) in changed.chain(gone) {
            let batch = tables::to_batch(name, text.as_deref(), EventTime(self.clock.now()));
            self.append(Stream::ConfigChanges, batch).await?;
            changes += 1;
        }
        Ok(changes)
    }

    /// Every rule, by name, also those that are switched off; at most a second old.
    pub fn in_force(&self) -> Vec<RuleStatus> {
        self.engine.rules()
    }

    /// As [`EngineHandle::explain`], with the estimate of what a rule costs.
    ///
    /// # Errors
    /// [`Error::Gone`] when the engine is not running.
    pub async fn explain(&self, statement: ExplainStatement) -> Result<Option<Vec<String>>, Error> {
        let about = match &statement {
            ExplainStatement::Rule { rule_id } => self.book().remove(rule_id),
            ExplainStatement::Window { .. } | ExplainStatement::Alert { .. } => None,
        };
        let is_it = |status: &RuleStatus| {
            about.as_ref().is_some_and(|known| known.definition.rule_id == *status.rule.rule_id())
        };
        let so_far = self.in_force().into_iter().find(is_it);
        let Some(mut lines) = self.engine.explain(statement).await? else { return Ok(None) };
        let plan = about.and_then(|known| self.engine.planner().plan(&known.definition).ok());
        lines.extend(plan.iter().flat_map(|plan| self.budget.cost(plan).lines()));
        lines.extend(so_far.as_ref().map(measured));
        Ok(Some(lines))
    }

    fn book(&self) -> Book {
        let known = self.engine.rules().into_iter().map(|status| {
            let (version, definition) = (status.rule.version, status.rule.definition.clone());
            let known = Known { version, definition, by: status.by };
            (known.definition.rule_id.clone(), known)
        });
        known.collect()
    }

    fn one(
        &self,
        book: &mut Book,
        statement: &RuleStatement,
        actor: &str,
    ) -> Result<RuleChanged, Error> {
        let known = book.get(statement.rule_id()).cloned();
        if let Some(known) = known.as_ref().filter(|k| k.definition.purpose != statement.purpose())
        {
            let is = known.definition.purpose;
            return Err(Error::OtherPurpose { rule_id: statement.rule_id().clone(), is });
        }
        let missing = || {
            let names = book.keys().map(ToString::to_string).collect();
            let did_you_mean = nearest(statement.rule_id().as_str(), &names);
            Error::NoSuchRule { rule_id: statement.rule_id().clone(), did_you_mean }
        };
        let (definition, action) = match statement {
            RuleStatement::Create(definition) => {
                let action = if known.is_some() { "alter" } else { "create" };
                (definition.as_ref().clone(), action)
            }
            RuleStatement::Alter { changes, .. } => {
                let known = known.as_ref().ok_or_else(missing)?;
                let altered = known.definition.altered(changes);
                (altered.map_err(|e| Error::RuleText(Box::new(e)))?, "alter")
            }
            other => (known.as_ref().ok_or_else(missing)?.definition.clone(), other.action()),
        };
        if matches!(action, "create" | "alter") {
            self.check(book, &definition)?;
        }
        let rule_id = definition.rule_id.clone();
        let version = known.as_ref().map_or(1, |known| known.version + 1);
        let sql = definition.sql.clone();
        if action == "drop" {
            book.remove(&rule_id);
        } else {
            let by = actor.to_owned();
            book.insert(rule_id.clone(), Known { version, by, definition });
        }
        Ok(RuleChanged { rule_id, version, action, sql })
    }

    fn check(&self, book: &Book, definition: &RuleDefinition) -> Result<(), Error> {
        let planner = self.engine.planner();
        let refused = |e| Error::RuleText(Box::new(e));
        let plan = planner.plan(definition).map_err(refused)?;
        let asked = book.values().map(|known| &known.definition);
        let asked = asked.filter(|o| o.rule_id != definition.rule_id && o.periodic.is_some());
        let others: f64 = asked
            .filter_map(|other| planner.plan(other).ok())
            .map(|plan| self.budget.cost(&plan).asked_rows_per_s)
            .sum();
        self.budget.check(definition, &plan, others).map_err(refused)?;
        let others = book.values().map(|known| &known.definition).filter(|d| !d.is_view());
        let others = others.filter(|other| other.rule_id != definition.rule_id);
        inhibition_order(others.chain([definition]))
            .map(drop)
            .map_err(|ring| Error::Ring { ring: ring.into_iter().cloned().collect() })?;
        for by in definition.inhibited_by.iter().flat_map(|inhibition| &inhibition.rules) {
            if book.get(by).is_none_or(|known| known.definition.is_view()) {
                let names = book.keys().map(ToString::to_string).collect();
                let did_you_mean = nearest(by.as_str(), &names);
                return Err(Error::NoSuchRule { rule_id: by.clone(), did_you_mean });
            }
        }
        Ok(())
    }

    async fn write(
        &self,
        actor: &str,
        changes: Vec<RuleChanged>,
    ) -> Result<Vec<RuleChanged>, Error> {
        if changes.is_empty() {
            return Ok(changes);
        }
        let batch = to_batch(&changes, actor, EventTime(self.clock.now()));
        self.append(Stream::RuleChanges, batch).await?;
        Ok(changes)
    }

    async fn append(&self, stream: Stream, batch: RecordBatch) -> Result<(), Error> {
        let written = self.log.append(vec![Entry::new(stream, batch)]).await;
        let written = written.map_err(|e| Error::Append(Box::new(e)))?;
        let obeyed = self.engine.wait_applied(written.end);
        // An engine that is behind obeys later: the change stands on the log all the same.
        drop(tokio::time::timeout(OBEYED_WITHIN, obeyed).await);
        Ok(())
    }
}

/// What a rule took so far, in words.
fn measured(status: &RuleStatus) -> String {
    let RuleStatus { rows, matches, busy_us, memory_bytes, transitions, last_fired, .. } = status;
    let fired = last_fired.map_or("never".to_owned(), |at| format!("last at {at}"));
    format!(
        "so far: {rows} rows, {matches} matches, {:.1} ms of processor time, {} KiB of memory, \
         {transitions} transitions, fired {fired}",
        *busy_us as f64 / 1e3,
        memory_bytes.div_ceil(1024)
    )
}

fn differences(files: &[RuleStatement], book: &Book) -> Vec<RuleChanged> {
    let mut wanted = BTreeMap::new();
    for statement in files {
        match statement {
            RuleStatement::Create(rule) => {
                wanted.insert(&rule.rule_id, rule.sql.as_str());
            }
            // Files say what there is: a rule that is switched off in them is not there.
            RuleStatement::Drop { rule_id, .. } | RuleStatement::Disable { rule_id, .. } => {
                wanted.remove(rule_id);
            }
            // A file with an ALTER … SET is refused when it is read.
            RuleStatement::Enable { .. } | RuleStatement::Alter { .. } => {}
        }
    }
    let change = |rule_id: &RuleId, version, action, sql: &str| {
        let (rule_id, sql) = (rule_id.clone(), sql.to_owned());
        RuleChanged { rule_id, version, action, sql }
    };
    let gone = book.iter().filter(|(id, known)| known.by == RULE_FILES && !wanted.contains_key(id));
    let mut changes: Vec<RuleChanged> = gone
        .map(|(id, known)| change(id, known.version + 1, "drop", &known.definition.sql))
        .collect();
    for (rule_id, sql) in &wanted {
        let (version, action) = match book.get(*rule_id) {
            // What a person changed stands until the file itself changes it back.
            Some(known) if known.by != RULE_FILES || known.definition.sql == *sql => continue,
            Some(known) => (known.version + 1, "alter"),
            None => (1, "create"),
        };
        changes.push(change(rule_id, version, action, sql));
    }
    changes
}

/// Rows of [`Stream::RuleChanges`], in its column order.
fn to_batch(changes: &[RuleChanged], actor: &str, now: EventTime) -> RecordBatch {
    let versions: ArrayRef =
        Arc::new(UInt32Array::from_iter_values(changes.iter().map(|c| c.version)));
    let columns = vec![
        columns::time_column(changes.iter().map(|_| Some(now))),
        columns::key_column(changes.iter().map(|c| Some(c.rule_id.as_str()))),
        versions,
        columns::key_column(changes.iter().map(|c| Some(c.action))),
        columns::text_column(changes.iter().map(|c| Some(c.sql.as_str()))),
        columns::text_column(changes.iter().map(|_| Some(actor))),
    ];
    RecordBatch::try_new(Stream::RuleChanges.schema(), columns)
        .expect("columns are made in the schema's order")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "SEVERITY low TITLE vi 'a' en 'a' ACTION vi 'a' en 'a' AS SELECT sensor_id FROM readings WHERE value >";

    fn definitions(text: &str) -> Vec<RuleDefinition> {
        let statements = parse(text).unwrap().into_iter();
        let created = statements.filter_map(|statement| match statement {
            RuleStatement::Create(rule) => Some(*rule),
            _ => None,
        });
        created.collect()
    }

    #[test]
    fn only_what_differs_is_written() {
        let text = format!("CREATE ALERT RULE a {HEAD} 1; CREATE ALERT RULE b {HEAD} 2;");
        let files = parse(&text).unwrap();
        let told = |known: &[(&str, u32, &str, &str)]| -> Vec<(String, u32, &str)> {
            let book = known.iter().map(|(name, version, bound, by)| {
                let mut rules = definitions(&format!("CREATE ALERT RULE {name} {HEAD} {bound}"));
                let definition = rules.pop().unwrap();
                let (version, by) = (*version, (*by).to_owned());
                (RuleId::from(*name), Known { version, by, definition })
            });
            let changes = differences(&files, &book.collect());
            changes.into_iter().map(|c| (c.rule_id.to_string(), c.version, c.action)).collect()
        };
        assert_eq!(told(&[]), [("a".into(), 1, "create"), ("b".into(), 1, "create")]);
        assert_eq!(told(&[("a", 1, "1", RULE_FILES), ("b", 1, "2", RULE_FILES)]), []);
        assert_eq!(
            told(&[
                ("a", 3, "7", RULE_FILES),
                ("b", 1, "2", RULE_FILES),
                ("c", 2, "1", RULE_FILES)
            ]),
            [("c".into(), 3, "drop"), ("a".into(), 4, "alter")]
        );
        assert_eq!(told(&[("a", 3, "7", "an"), ("b", 1, "2", "an"), ("c", 2, "1", "an")]), []);
    }

    #[test]
    fn statements_about_rules_are_known_by_their_first_words() {
        for text in [
            "create alert rule x",
            "DROP  ALERT\nRULE x",
            "create or replace alert rule x",
            "Create Or Replace Continuous View x",
            "drop continuous view x",
        ] {
            assert!(RuleDesk::is_about_rules(text), "{text}");
        }
        for text in
            ["SELECT 1", "explain alert rule x", "create table t", "", "alter", "create view v"]
        {
            assert!(!RuleDesk::is_about_rules(text), "{text}");
        }
    }
}
