//! Live, after crashes and in a backtest: the same log gives the same alerts and rows of views.
//!
//! Random rules and views of every kind come and go among random rows. One run loses its memory at random
//! instants, with decisions that were not in the log yet, and reads the log again from its start;
//! another reads the finished log once. `PROPTEST_CASES` sets how many stories are told.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use proptest::prelude::*;

use super::*;
use crate::outputs::{Logged, Outputs};
use crate::testing::{Row, SECOND, command, readings, rule_change, rule_sql, watermark};

/// What the engine decides.
const DECISIONS: [Stream; 3] = [Stream::AlertTransitions, Stream::LateEvents, Stream::ViewRows];

/// The first five are kept in panes and sessions.
const AGGREGATES: [&str; 8] = [
    "avg(value)",
    "sum(value)",
    "max(value)",
    "min(value)",
    "count(*)",
    "stddev(value)",
    "median(value)",
    "avg(value) FILTER (WHERE metric = 'speed')",
];

const WINDOWS: [&str; 5] = [
    "tumble(event_time, INTERVAL '3 seconds')",
    "tumble(event_time, INTERVAL '6 seconds')",
    "tumble(event_time, INTERVAL '7 seconds')",
    "hop(event_time, INTERVAL '2 seconds', INTERVAL '6 seconds')",
    "hop(event_time, INTERVAL '3 seconds', INTERVAL '12 seconds')",
];

/// A rule out of a few numbers.
#[derive(Clone, Debug)]
struct Rule {
    kind: u8,
    filter: u8,
    key: u8,
    window: u8,
    aggregate: u8,
    threshold: u8,
    timing: u8,
    extra: u8,
    /// Its rows are kept, and say nothing about alerts.
    is_view: bool,
}

impl Rule {
    /// `number`: the rule of the next lesser one may keep its alerts back, so that there is no ring.
    fn sql(&self, name: &str, number: u8) -> String {
        let scope = ["true", "metric = 'level'", "sensor_id IN ('S-0', 'S-1')", "value < 70"]
            [usize::from(self.filter % 4)];
        let key = ["sensor_id", "metric", "sensor_id, metric"][usize::from(self.key % 3)];
        let threshold = self.threshold;
        let mergeable = AGGREGATES[usize::from(self.aggregate % 5)];
        let aggregate = AGGREGATES[usize::from(self.aggregate % 8)];
        let window = WINDOWS[usize::from(self.window % 5)];
        let frame = [
            "RANGE BETWEEN INTERVAL '5 seconds' PRECEDING AND CURRENT ROW",
            "ROWS BETWEEN 3 PRECEDING AND CURRENT ROW",
        ][usize::from(self.window % 2)];
        let timing = [
            "",
            "FOR INTERVAL '2 seconds'",
            "KEEP FIRING FOR INTERVAL '3 seconds'",
            "FOR INTERVAL '1 second' KEEP FIRING FOR INTERVAL '6 seconds'",
        ][usize::from(self.timing % 4)];
        // Queries asked again and again take longest to plan: one rule in thirteen is enough.
        let kind = if self.kind % 13 == 12 { 6 } else { self.kind % 6 };
        let (timing, select) = match kind {
            0 => (
                timing,
                format!(
                    "SELECT event_time, sensor_id, value, value * 2 AS twice FROM readings \
                     WHERE {scope} AND value > {threshold}"
                ),
            ),
            1 => (
                "NO DATA FOR INTERVAL '4 seconds'",
                format!(
                    "SELECT sensor_id FROM readings WHERE {}",
                    scope.replace("value < 70", "true")
                ),
            ),
            2 | 3 => (
                timing,
                format!(
                    "SELECT {key}, {aggregate} AS a, {window} AS w FROM readings WHERE {scope} \
                     GROUP BY {key}, {window} HAVING {aggregate} > {threshold}"
                ),
            ),
            6 => (
                "EVERY INTERVAL '2 seconds' OVER LAST INTERVAL '5 seconds'",
                format!(
                    "SELECT a.sensor_id, count(DISTINCT a.value) AS n FROM readings a WHERE EXISTS (SELECT 1 \
                     FROM readings b WHERE b.sensor_id = a.sensor_id AND b.value > {threshold}) \
                     GROUP BY a.sensor_id"
                ),
            ),
            4 => (
                timing,
                format!(
                    "SELECT {key}, value FROM readings WHERE {scope} QUALIFY value > avg(value) OVER \
                     (PARTITION BY {key} ORDER BY event_time {frame}) + {}",
                    threshold / 4
                ),
            ),
            _ => (
                timing,
                format!(
                    "SELECT {key}, {mergeable} AS a FROM readings WHERE {scope} GROUP BY {key}, \
                     session(event_time, INTERVAL '1 second', INTERVAL '8 seconds') \
                     HAVING {mergeable} > {threshold}"
                ),
            ),
        };
        self.statement((name, number), kind, timing, &select)
    }

    fn statement(
        &self,
        (name, number): (&str, u8),
        kind: u8,
        timing: &str,
        select: &str,
    ) -> String {
        match (self.is_view, kind) {
            (false, _) => {
                let extra = self.extra(number, kind, select);
                rule_sql(name, &format!("{timing} {extra}"), select)
            }
            (true, 6) => format!("CREATE CONTINUOUS VIEW {name} {timing} AS {select}"),
            (true, _) => format!("CREATE CONTINUOUS VIEW {name} AS {select}"),
        }
    }

    /// What few rules have.
    fn extra(&self, number: u8, kind: u8, select: &str) -> String {
        // A column that both rules may have in their keys.
        let on = if select.starts_with("SELECT sensor_id") { "ON sensor_id" } else { "" };
        match self.extra % 10 {
            0 => "COOLDOWN INTERVAL '5 seconds'".to_owned(),
            1 => "LIMIT 2 PER INTERVAL '10 seconds'".to_owned(),
            2 if kind != 1 => format!(
                "RAISE TO critical WHEN > {} FOR INTERVAL '2 seconds' LOWER AFTER INTERVAL '1 second'",
                self.threshold + 5
            ),
            3 | 4 if number > 0 => format!("INHIBITED BY rule_{} {on}", number - 1),
            _ => String::new(),
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Rows(Vec<(u8, u8, u8, u8, bool)>),
    /// Seconds by which the watermark stays behind the newest row.
    Watermark(u8),
    Rule {
        action: u8,
        number: u8,
        rule: Rule,
    },
    /// Somebody acts on one of the alerts there were.
    Act {
        action: u8,
        alert: u8,
    },
    /// Decisions reach the log.
    Flush,
    /// Some of them do, then the engine dies.
    Torn(u8),
    /// What the engine knows is written down.
    Snapshot,
    /// The engine goes on from its last snapshot, or reads the log from its start.
    Crash {
        keeps_snapshot: bool,
    },
}

fn rule() -> impl Strategy<Value = Rule> {
    let numbers = any::<[u8; 7]>();
    (numbers, 0..100_u8, any::<bool>()).prop_map(|(numbers, threshold, is_view)| {
        let [kind, filter, key, window, aggregate, timing, extra] = numbers;
        Rule { kind, filter, key, window, aggregate, threshold, timing, extra, is_view }
    })
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let row = (0..60_u8, 0..4_u8, 0..2_u8, 0..100_u8, proptest::bool::weighted(0.05));
    let event = prop_oneof![
        8 => proptest::collection::vec(row, 1..12).prop_map(Event::Rows),
        4 => (0..6_u8).prop_map(Event::Watermark),
        2 => (0..6_u8, 0..4_u8, rule()).prop_map(|(action, number, rule)| {
            Event::Rule { action, number, rule }
        }),
        2 => (0..4_u8, any::<u8>()).prop_map(|(action, alert)| Event::Act { action, alert }),
        3 => Just(Event::Flush),
        2 => Just(Event::Snapshot),
        2 => any::<bool>().prop_map(|keeps_snapshot| Event::Crash { keeps_snapshot }),
        1 => any::<u8>().prop_map(Event::Torn),
    ];
    proptest::collection::vec(event, 10..60)
}

/// A log, and an engine that follows it and dies.
struct Live {
    planner: Arc<RulePlanner>,
    log: Vec<Record>,
    engine: Engine,
    applied: usize,
    pending: Outputs,
    logged: Logged,
    snapshot: Option<Snapshot>,
}

/// What outlives the engine: how far the log was read, its decisions in the log, rules, state.
#[derive(Clone)]
struct Snapshot {
    applied: usize,
    logged: Logged,
    rules: Vec<SavedRule>,
    state: Vec<u8>,
}

fn state(engine: &Engine) -> Vec<u8> {
    postcard::to_stdvec(&engine.save().unwrap()).unwrap()
}

impl Live {
    fn new(planner: &Arc<RulePlanner>) -> Self {
        Self {
            planner: Arc::clone(planner),
            log: Vec::new(),
            engine: Engine::new(Arc::clone(planner)),
            applied: 0,
            pending: Outputs::default(),
            logged: Logged::default(),
            snapshot: None,
        }
    }

    fn append(&mut self, stream: Stream, batch: RecordBatch) {
        let offset = Offset(self.log.len() as u64);
        let appended_at = EventTime(self.log.len() as i64);
        self.log.push(Record { offset, appended_at, stream, batch });
    }

    fn read(&mut self) {
        for record in &self.log[self.applied..] {
            if !self.logged.saw(record) {
                self.pending.extend(self.engine.apply(record));
            }
        }
        self.applied = self.log.len();
        self.pending.forget(self.logged);
    }

    /// An act on one of the alerts in the log, new or long over.
    fn act(&mut self, action: u8, alert: u8, clock: i64) {
        let alerts = self.decided(Stream::AlertTransitions);
        if alerts.num_rows() == 0 {
            return;
        }
        let ids = alerts.column(Stream::AlertTransitions.column_index("alert_id"));
        let id = ids.as_string::<i32>().value(usize::from(alert) % alerts.num_rows()).to_owned();
        let action = ["acknowledge", "shelve", "unshelve", "comment"][usize::from(action)];
        let until = (!alert.is_multiple_of(3)).then_some(clock + i64::from(alert % 16) * SECOND);
        self.append(Stream::Commands, command(&id, action, until));
    }

    fn flush(&mut self) {
        self.read();
        for entry in self.pending.entries().unwrap() {
            self.append(entry.stream, entry.batch);
        }
        self.read();
        assert!(self.pending.is_empty(), "what is in the log is not decided again");
    }

    /// Taken when every decision is in the log, as the service does.
    fn save(&mut self) {
        self.flush();
        self.snapshot = Some(Snapshot {
            applied: self.applied,
            logged: self.logged,
            rules: self.engine.save_rules(),
            state: state(&self.engine),
        });
    }

    /// Writes only some of the first rows of what is pending.
    fn tear(&mut self, share: u8) {
        self.read();
        for entry in self.pending.entries().unwrap() {
            let rows = entry.batch.num_rows();
            // Late rows of one record are written together.
            let kept = match entry.stream {
                Stream::LateEvents => rows,
                _ => rows * usize::from(share) / 255,
            };
            if kept > 0 {
                self.append(entry.stream, entry.batch.slice(0, kept));
            }
        }
        self.crash(share.is_multiple_of(2));
    }

    fn crash(&mut self, keeps_snapshot: bool) {
        self.pending = Outputs::default();
        let planner = Arc::clone(&self.planner);
        match self.snapshot.clone().filter(|_| keeps_snapshot) {
            Some(Snapshot { applied, logged, rules, state }) => {
                let saved = postcard::from_bytes(&state).unwrap();
                self.engine = Engine::load(planner, &rules, saved).unwrap();
                (self.applied, self.logged) = (applied, logged);
            }
            None => {
                self.engine = Engine::new(planner);
                (self.applied, self.logged) = (0, Logged::default());
            }
        }
    }

    fn decided(&self, stream: Stream) -> RecordBatch {
        let of_stream = self.log.iter().filter(|record| record.stream == stream);
        let batches: Vec<RecordBatch> = of_stream.map(|record| record.batch.clone()).collect();
        concat_batches(&stream.schema(), &batches).unwrap()
    }

    /// What one reading of the finished log decides.
    fn backtest(&self) -> ([RecordBatch; 3], Engine) {
        let mut engine = Engine::new(Arc::clone(&self.planner));
        let mut outputs = Outputs::default();
        for record in &self.log {
            if !DECISIONS.contains(&record.stream) {
                outputs.extend(engine.apply(record));
            }
        }
        let entries = outputs.entries().unwrap();
        let of = |stream: Stream| {
            let batches = entries.iter().filter(|e| e.stream == stream).map(|e| e.batch.clone());
            concat_batches(&stream.schema(), &batches.collect::<Vec<_>>()).unwrap()
        };
        (DECISIONS.map(of), engine)
    }
}

fn tell(planner: &Arc<RulePlanner>, events: &[Event]) -> Live {
    let mut live = Live::new(planner);
    let (mut clock, mut reached) = (0_i64, 0_i64);
    for event in events {
        match event {
            Event::Rows(rows) => {
                let row = |(ahead, sensor, metric, value, fast): &(u8, u8, u8, u8, bool)| {
                    let at = clock + i64::from(*ahead) * SECOND / 20;
                    let metric = ["level", "speed"][usize::from(*metric)];
                    let value = f64::from(*value) + 0.1;
                    let mut row = Row::new(at, &format!("S-{sensor}"), metric, value);
                    row.ahead = *fast;
                    row
                };
                let rows: Vec<Row> = rows.iter().map(row).collect();
                live.append(Stream::Readings, readings(&rows));
                clock += SECOND;
            }
            Event::Watermark(behind) => {
                reached = reached.max(clock - i64::from(*behind) * SECOND);
                live.append(Stream::Watermarks, watermark("readings", reached));
            }
            Event::Rule { action, number, rule } => {
                let name = format!("rule_{number}");
                let action = ["create", "create", "alter", "drop", "disable", "enable"]
                    [usize::from(*action)];
                let version = u32::try_from(live.log.len()).unwrap();
                live.append(
                    Stream::RuleChanges,
                    rule_change(action, &name, version, &rule.sql(&name, *number)),
                );
            }
            Event::Act { action, alert } => live.act(*action, *alert, clock),
            Event::Flush => live.flush(),
            Event::Snapshot => live.save(),
            Event::Crash { keeps_snapshot } => live.crash(*keeps_snapshot),
            Event::Torn(share) => live.tear(*share),
        }
        if matches!(event, Event::Rows(_) | Event::Watermark(_)) && clock % 3 == 0 {
            live.read();
        }
    }
    live.append(Stream::Watermarks, watermark("readings", clock + 60 * SECOND));
    live.flush();
    live
}

#[test]
fn live_recovered_and_backtest_are_one() {
    let planner = Arc::new(RulePlanner::new().unwrap());
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(256);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let told = std::cell::Cell::new((0, 0, 0));
    let checked = runner.run(&events(), |events| {
        let live = tell(&planner, &events);
        prop_assert_eq!(live.engine.counts().refused_rules, 0, "a rule of the story is refused");
        prop_assert_eq!(live.engine.counts().failed, 0);
        let (again, engine) = live.backtest();
        for (stream, again) in DECISIONS.into_iter().zip(&again) {
            prop_assert_eq!(&live.decided(stream), again);
        }
        prop_assert!(state(&live.engine) == state(&engine), "rebuilt state equals what was kept");
        let [transitions, _, views] = again;
        let (stories, alerts, rows) = told.get();
        told.set((stories + 1, alerts + transitions.num_rows(), rows + views.num_rows()));
        Ok(())
    });
    let (stories, transitions, rows) = told.get();
    println!("{stories} stories, {transitions} transitions, {rows} rows of views");
    checked.unwrap();
    assert!(transitions > stories && rows > stories, "the stories must have something to tell");
}
