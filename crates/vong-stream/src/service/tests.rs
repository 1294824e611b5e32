//! The service over a log in memory: kills at any moment, restarts, and the comparison of what was
//! decided live with a backtest of the same log.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use vong_log::{MemLog, Snapshots};
use vong_model::EventTime;
use vong_runtime::ManualClock;
use vong_telemetry::Metrics;

use super::*;
use crate::outputs::text_at;
use crate::testing::{Row, SECOND, readings, rule_change, rule_sql};
use crate::{BacktestRules, backtest, difference, tables};

const RULES: [(&str, &str, &str); 7] = [
    (
        "high",
        "FOR INTERVAL '2 seconds'",
        "SELECT value FROM readings WHERE metric = 'level' AND value > 50",
    ),
    (
        "slow",
        "",
        "SELECT sensor_id, avg(value) FROM readings WHERE metric = 'speed' \
         GROUP BY sensor_id, tumble(event_time, INTERVAL '5 seconds') HAVING avg(value) < 40",
    ),
    ("silent", "NO DATA FOR INTERVAL '6 seconds'", "SELECT sensor_id FROM readings"),
    (
        "ahead",
        "",
        "SELECT sensor_id FROM source_events WHERE sensor_id IS NOT NULL AND state = 'clock_ahead'",
    ),
    (
        "over_limit",
        "",
        "SELECT r.sensor_id, r.value FROM readings r JOIN limits t ON r.sensor_id = t.sensor_id \
         WHERE t.kind = 'a' AND r.value > t.high",
    ),
    (
        "kind_over_limit",
        "",
        "SELECT t.kind, avg(r.value) FROM readings r JOIN limits t ON r.sensor_id = t.sensor_id \
         GROUP BY t.kind, tumble(event_time, INTERVAL '3 seconds') HAVING avg(r.value) > min(t.high)",
    ),
    (
        "asked",
        "EVERY INTERVAL '2 seconds' OVER LAST INTERVAL '4 seconds'",
        "SELECT r.sensor_id, max(r.value) FROM readings r LEFT JOIN limits t ON r.sensor_id = \
         t.sensor_id WHERE t.high IS NULL OR r.value > t.high GROUP BY r.sensor_id",
    ),
];

/// Versions of the table; the last one lacks a column that rules read.
const LIMITS: [&str; 4] = [
    "sensor_id,high,kind\nS-0,50,a\nS-1,20,b\nS-2,80,a\n",
    "sensor_id,high,kind\nS-0,90,a\nS-2,10,b\n",
    "sensor_id,high,kind\nS-0,50,b\nS-1,20,a\nS-2,80,a\nS-3,1,a\n",
    "sensor_id,kind\nS-0,a\n",
];

struct World {
    log: MemLog,
    clock: ManualClock,
    runtime: tokio::runtime::Runtime,
    follower: Option<(Follower, Option<Memory>)>,
    shutdown: Shutdown,
    /// Where snapshots are kept, if they are.
    dir: Option<tempfile::TempDir>,
}

impl World {
    fn new(keeps_snapshots: bool) -> Self {
        let clock = ManualClock::new(1_000 * SECOND);
        let log = MemLog::new(Arc::new(clock.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let dir = keeps_snapshots.then(|| tempfile::tempdir().unwrap());
        let shutdown = Shutdown::new();
        let mut world = Self { log, clock, runtime, follower: None, shutdown, dir };
        world.table(0);
        for (rule_id, clauses, select) in RULES {
            let sql = rule_sql(rule_id, clauses, select);
            world.append(Stream::RuleChanges, rule_change("create", rule_id, 1, &sql));
        }
        world
    }

    fn append(&mut self, stream: Stream, batch: arrow::array::RecordBatch) {
        let entries = vec![Entry::new(stream, batch)];
        self.runtime.block_on(self.log.append(entries)).unwrap();
    }

    fn table(&mut self, version: usize) {
        let batch = tables::to_batch("limits", Some(LIMITS[version]), EventTime(0));
        self.append(Stream::ConfigChanges, batch);
    }

    fn start(&mut self) {
        let log: Arc<dyn Log> = Arc::new(self.log.clone());
        let metrics = StreamMetrics::new(&Metrics::new());
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let snapshots = self
            .dir
            .as_ref()
            .map(|dir| SnapshotConfig { dir: dir.path().to_owned(), every: Duration::ZERO });
        let config = StreamConfig { snapshots, ..StreamConfig::default() };
        let (service, _handle) = EngineService::new(log, clock, config, metrics).unwrap();
        let mut memory = Memory::of(&service);
        let mut follower = Follower::new(service);
        if let Some(memory) = &mut memory {
            memory.recall(&mut follower);
        }
        follower.read_to_head(&self.shutdown).unwrap();
        follower.sequencer.resume(self.clock.now());
        self.follower = Some((follower, memory));
    }

    /// One turn of the loop; the kill comes before the append when `append` is false.
    fn turn(&mut self, append: bool) {
        if self.follower.is_none() {
            self.start();
        }
        let Some((follower, memory)) = self.follower.as_mut() else { return };
        follower.read_to_head(&self.shutdown).unwrap();
        let decisions = follower.sequencer.decide(self.clock.now()).unwrap();
        if append {
            self.runtime.block_on(follower.append(decisions, &self.shutdown)).unwrap();
            if let Some(memory) = memory {
                memory.keep(follower);
            }
        } else {
            self.follower = None;
        }
    }

    fn logged(&self) -> Vec<String> {
        let records = self.log.read(Offset::ZERO, usize::MAX).unwrap();
        let of_alerts = records.iter().filter(|r| r.stream == Stream::AlertTransitions);
        of_alerts
            .flat_map(|record| {
                (0..record.batch.num_rows()).map(move |row| {
                    let text = |name| text_at(record, name, row).unwrap_or_default();
                    format!(
                        "{} {} {} {}",
                        text("rule_id"),
                        text("key"),
                        text("state"),
                        text("alert_id")
                    )
                })
            })
            .collect()
    }

    fn late(&self) -> usize {
        let records = self.log.read(Offset::ZERO, usize::MAX).unwrap();
        let late = records.iter().filter(|r| r.stream == Stream::LateEvents);
        late.map(|r| r.batch.num_rows()).sum()
    }
}

/// What happens next to the running engine.
#[derive(Clone, Debug)]
enum Event {
    Rows(Vec<(i64, u8, bool, u8, bool)>),
    Time(i64),
    Table(usize),
    Turn,
    Kill,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let row = (-4_000..500i64, 0..4u8, any::<bool>(), 0..100u8, prop::bool::weighted(0.05));
    let event = prop_oneof![
        4 => proptest::collection::vec(row, 1..8).prop_map(Event::Rows),
        4 => (100..2_000i64).prop_map(Event::Time),
        4 => Just(Event::Turn),
        1 => (0..LIMITS.len()).prop_map(Event::Table),
        1 => Just(Event::Kill),
    ];
    proptest::collection::vec(event, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn kills_lose_nothing_double_nothing_and_equal_a_backtest(
        events in events(),
        keeps_snapshots in any::<bool>(),
    ) {
        let mut world = World::new(keeps_snapshots);
        for event in &events {
            match event {
                Event::Rows(rows) => {
                    let now = world.clock.now();
                    let rows: Vec<Row> = rows.iter().map(|(ms, sensor, level, value, ahead)| {
                        let metric = if *level { "level" } else { "speed" };
                        let mut row = Row::new(now + ms * 1_000, &format!("S-{sensor}"), metric, f64::from(*value));
                        row.ahead = *ahead;
                        row
                    }).collect();
                    world.append(Stream::Readings, readings(&rows));
                }
                Event::Time(ms) => world.clock.advance(Duration::from_millis(u64::try_from(*ms).unwrap())),
                Event::Table(version) => world.table(*version),
                Event::Turn => world.turn(true),
                Event::Kill => world.turn(false),
            }
        }
        // Two turns: the second has nothing left to say about the first.
        world.turn(true);
        world.turn(true);
        let head = world.log.head();
        let found = backtest(&world.log, Offset::ZERO, head, &BacktestRules::AsLogged, |_| {
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        let same = difference(&world.log, (Offset::ZERO, head), &found.transitions, |_| true);
        assert!(same.unwrap().is_empty());
        let expected: Vec<String> = found.transitions.iter()
            .map(|r| format!("{} {} {} {}", r.rule_id, r.key, r.state, r.alert_id))
            .collect();
        prop_assert_eq!(world.logged(), expected);
        prop_assert_eq!(world.late() as u64, found.counts.late);
    }
}

/// Rule, key, state and time of what a backtest of `over_limit` alone finds in `from..`.
fn tried(world: &World, from: Offset) -> Vec<String> {
    let (name, clauses, select) = RULES[4];
    let statement = vong_sql::rule::parse_one(&rule_sql(name, clauses, select)).unwrap();
    let vong_sql::rule::RuleStatement::Create(rule) = statement else { panic!("not a rule") };
    let rules = BacktestRules::Given(vec![*rule]);
    let go_on = |_| std::ops::ControlFlow::Continue(());
    let found = backtest(&world.log, from, world.log.head(), &rules, go_on).unwrap();
    let told = |row: &crate::TransitionRow| format!("{} {} {}", row.key, row.state, row.event_time);
    found.transitions.iter().map(told).collect()
}

#[test]
fn a_rule_that_is_tried_sees_the_tables_of_the_log() {
    let mut world = World::new(false);
    let now = world.clock.now();
    let rows = |world: &mut World, at: i64, value: f64| {
        let rows = [Row::new(now + at * SECOND, "S-0", "level", value)];
        world.append(Stream::Readings, readings(&rows));
    };
    let limit = |world: &mut World, lines: &str| {
        let text = format!("sensor_id,high,kind\n{lines}");
        let batch = tables::to_batch("limits", Some(&text), EventTime(0));
        world.append(Stream::ConfigChanges, batch);
    };
    rows(&mut world, 1, 60.0);
    // What goes is of another kind, so the rule goes on.
    limit(&mut world, "S-0,90,a\nS-2,80,a\n");
    let middle = world.log.head();
    rows(&mut world, 2, 60.0);
    rows(&mut world, 3, 95.0);
    limit(&mut world, "S-0,50,b\nS-2,80,a\n");
    rows(&mut world, 4, 95.0);
    // From the start it fires at 60 over 50, and ends when the limit is 90; the second version takes
    // the sensor out of its kind, so that the alert is cancelled.
    let at = |seconds: i64| EventTime(now + seconds * SECOND);
    let all = tried(&world, Offset::ZERO);
    let expected = [(1, "firing"), (2, "resolved"), (3, "firing"), (0, "cancelled")]
        .map(|(seconds, state)| format!("sensor_id=S-0 {state} {}", at(seconds)));
    assert_eq!(all, expected);
    // From the middle on the version in force there is found before the range.
    assert_eq!(tried(&world, middle), expected[2..]);

    // A log that has the table only later gives its first version to what was before.
    let clock = ManualClock::new(1_000 * SECOND);
    let log = MemLog::new(Arc::new(clock.clone()));
    let early = World { log, clock, ..World::new(false) };
    let mut early = early;
    rows(&mut early, 1, 60.0);
    rows(&mut early, 2, 40.0);
    early.table(0);
    let expected = [(1, "firing"), (2, "resolved")]
        .map(|(seconds, state)| format!("sensor_id=S-0 {state} {}", at(seconds)));
    assert_eq!(tried(&early, Offset::ZERO), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_service_catches_up_follows_and_stops() {
    let clock = ManualClock::new(1_000 * SECOND);
    let log = MemLog::new(Arc::new(clock.clone()));
    let sql = rule_sql("high", "", "SELECT value FROM readings WHERE value > 50");
    let rule = Entry::new(Stream::RuleChanges, rule_change("create", "high", 1, &sql));
    let row = |value| {
        let rows = [Row::new(1_000 * SECOND, "S-1", "level", value)];
        Entry::new(Stream::Readings, readings(&rows))
    };
    log.append(vec![rule, row(80.0)]).await.unwrap();
    for turn in 0..2 {
        let (service, handle) = EngineService::new(
            Arc::new(log.clone()),
            Arc::new(clock.clone()),
            StreamConfig::default(),
            StreamMetrics::new(&Metrics::new()),
        )
        .unwrap();
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let running = async move { service.run(stop).await };
        let watching = async {
            handle.caught_up().await;
            assert_eq!(handle.rules().len(), 1);
            let value = if turn == 0 { 10.0 } else { 90.0 };
            let appended = log.append(vec![row(value)]).await.unwrap();
            while handle.applied() < appended.end {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            shutdown.request();
        };
        let (ended, ()) = tokio::join!(running, watching);
        ended.unwrap();
    }
    let records = log.read(Offset::ZERO, usize::MAX).unwrap();
    let states: Vec<String> = records
        .iter()
        .filter(|r| r.stream == Stream::AlertTransitions)
        .flat_map(|r| {
            (0..r.batch.num_rows()).map(move |i| text_at(r, "state", i).unwrap().to_owned())
        })
        .collect();
    assert_eq!(states, ["firing", "resolved"]);
}

/// One life of a service with snapshots, in which one more row comes.
async fn live(log: &MemLog, dir: &std::path::Path, value: f64) -> Counts {
    let snapshots = SnapshotConfig { dir: dir.to_owned(), every: Duration::from_secs(3_600) };
    let config = StreamConfig { snapshots: Some(snapshots), ..StreamConfig::default() };
    let clock = Arc::new(ManualClock::new(1_000 * SECOND));
    let metrics = StreamMetrics::new(&Metrics::new());
    let (service, handle) =
        EngineService::new(Arc::new(log.clone()), clock, config, metrics).unwrap();
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let watching = async {
        handle.caught_up().await;
        assert!(handle.applied() > Offset::ZERO, "what a snapshot holds was applied");
        assert_eq!(handle.rules().len(), 1);
        let rows = readings(&[Row::new(1_000 * SECOND, "S-1", "level", value)]);
        let appended = log.append(vec![Entry::new(Stream::Readings, rows)]).await.unwrap();
        handle.wait_applied(appended.end).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        shutdown.request();
    };
    let (ended, ()) = tokio::join!(service.run(stop), watching);
    ended.unwrap();
    handle.counts()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_the_log_has_forgotten_is_known_from_the_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let log = MemLog::new(Arc::new(ManualClock::new(1_000 * SECOND)));
    let sql = rule_sql("high", "", "SELECT value FROM readings WHERE value > 50");
    let rule = Entry::new(Stream::RuleChanges, rule_change("create", "high", 1, &sql));
    log.append(vec![rule]).await.unwrap();
    live(&log, dir.path(), 80.0).await;
    log.seal();
    live(&log, dir.path(), 90.0).await;
    live(&log, dir.path(), 70.0).await;
    let low_water = Snapshots::new(dir.path(), log.epoch(), 0).low_water().unwrap();
    log.trim(low_water).unwrap();
    assert!(log.floor() > Offset::ZERO, "the rule and the first row are gone");
    let counts = live(&log, dir.path(), 10.0).await;
    assert_eq!(counts.rows, 4, "counting goes on");
    let records = log.read(log.floor(), usize::MAX).unwrap();
    let last = records.iter().rfind(|r| r.stream == Stream::AlertTransitions).unwrap();
    assert_eq!(text_at(last, "state", 0), Some("resolved"), "the alert of the first life");
}
