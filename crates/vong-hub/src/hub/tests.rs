//! The hub over a log in memory, with readers fast, slow and returning.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tokio::runtime::Runtime;
use vong_log::{Entry, MemLog};
use vong_runtime::{ManualClock, OnFailure, Tasks};
use vong_telemetry::Metrics;

use super::*;
use crate::message::{FieldValue, GapReason, Op, Update};
use crate::views::tests::row;

struct City {
    log: Arc<MemLog>,
    clock: Arc<ManualClock>,
    hub: HubHandle,
    tasks: Tasks,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn config() -> HubConfig {
    HubConfig { tick_ms: 2, mark_ms: 50, ..HubConfig::default() }
}

impl City {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(1_000_000));
        let log = Arc::new(MemLog::new(Arc::clone(&clock) as Arc<dyn vong_runtime::Clock>));
        Self::over(log, clock)
    }

    /// A hub that starts over a log that exists. Called inside a runtime.
    fn over(log: Arc<MemLog>, clock: Arc<ManualClock>) -> Self {
        Self::with(&config(), log, clock)
    }

    fn with(config: &HubConfig, log: Arc<MemLog>, clock: Arc<ManualClock>) -> Self {
        let metrics = HubMetrics::new(&Metrics::new());
        let (service, hub) = Hub::new(config, Arc::clone(&log) as Arc<dyn Log>, metrics);
        let tasks = Tasks::new("engines", Shutdown::new());
        tasks.spawn("hub", OnFailure::StopProcess, service.run(tasks.shutdown()));
        Self { log, clock, hub, tasks }
    }

    fn say(&self, stream: Stream, words: &str) {
        self.log.append_blocking(vec![Entry::new(stream, row(stream, words))]).unwrap();
    }

    fn speed(&self, sensor: u32, value: u32) {
        let at = self.log.head().0;
        let words = format!(
            "sensor_id=TR-{sensor:03} metric=speed value={value} event_time={at} source_id=traffic"
        );
        self.say(Stream::Readings, &words);
    }

    fn alert(&self, alert: u32, state: &str) {
        self.say(Stream::AlertTransitions, &format!("alert_id=a{alert} state={state}"));
    }

    async fn end(self) {
        self.tasks.stop(Duration::from_secs(5)).await;
    }
}

/// A client that believes what it is told and checks that numbers join.
#[derive(Debug, Default)]
struct Client {
    seq: Offset,
    gap: Option<GapReason>,
    started: bool,
    rows: BTreeMap<String, (Offset, Vec<FieldValue>)>,
    folded: u64,
}

impl Client {
    fn take(&mut self, update: Update) {
        match update {
            Update::Gap(gap) => self.gap = Some(gap.why),
            Update::Snapshot(snapshot) => {
                let row = |row: &crate::Row| (row.key.to_string(), (row.rev, row.fields.to_vec()));
                self.rows = snapshot.rows.iter().map(row).collect();
                self.seq = snapshot.seq;
                self.started = true;
            }
            Update::Delta(delta) => {
                assert_eq!(delta.from, self.seq, "a hole in the numbers");
                assert!(delta.to > delta.from || delta.ops.is_empty());
                assert!(delta.n >= delta.ops.len() as u64);
                self.seq = delta.to;
                self.started = true;
                self.folded += delta.n - delta.ops.len() as u64;
                delta.ops.iter().for_each(|op| self.op(op));
            }
            Update::Mark(mark) => assert_eq!(mark.seq, self.seq),
        }
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Put(row) => {
                self.rows.insert(row.key.to_string(), (row.rev, row.fields.to_vec()));
            }
            Op::Patch { key, rev, changes } => {
                let (have, fields) = self.rows.get_mut(&**key).expect("patch of a known key");
                *have = *rev;
                for (column, value) in changes {
                    fields[*column] = value.clone();
                }
            }
            Op::Remove { key, .. } => {
                self.rows.remove(&**key);
            }
        }
    }

    async fn next(&mut self, subscription: &mut Subscription) {
        let next = tokio::time::timeout(Duration::from_secs(10), subscription.next()).await;
        self.take(next.expect("updates come, if only marks").expect("the hub lives"));
    }

    async fn reach(&mut self, subscription: &mut Subscription, seq: Offset) {
        while !self.started || self.seq < seq {
            self.next(subscription).await;
        }
    }
}

fn fresh_rows(hub: &HubHandle, view: View) -> BTreeMap<String, (Offset, Vec<FieldValue>)> {
    let mut client = Client::default();
    client.take(Update::Snapshot(hub.snapshot(view)));
    client.rows
}

#[test]
fn subscriber_gets_a_snapshot_then_joining_deltas_and_marks() {
    runtime().block_on(async {
        let city = City::new();
        city.speed(1, 40);
        city.say(Stream::Watermarks, "stream=readings watermark=77");
        let mut subscription = city.hub.subscribe(View::Sensors, None);
        let mut client = Client::default();
        client.reach(&mut subscription, Offset(2)).await;
        assert_eq!(client.rows.len(), 1);
        city.speed(1, 50);
        city.speed(2, 60);
        client.reach(&mut subscription, Offset(4)).await;
        assert_eq!(client.rows, fresh_rows(&city.hub, View::Sensors));
        assert_eq!(client.rows["TR-001/speed"].1[2], FieldValue::Float(50.0));
        assert_eq!(city.hub.watermark(), Some(EventTime(77_000_000)));
        // Nothing happens to this view, yet its number goes on.
        city.alert(1, "firing");
        client.reach(&mut subscription, Offset(5)).await;
        city.end().await;
    });
}

#[test]
fn slow_reader_gets_fewer_deltas_and_is_told_how_much_was_folded() {
    runtime().block_on(async {
        let city = City::new();
        let mut subscription = city.hub.subscribe(View::Sensors, None);
        let mut client = Client::default();
        client.next(&mut subscription).await;
        for value in 0..200 {
            city.speed(value % 3, value);
        }
        while city.hub.snapshot(View::Sensors).seq < Offset(200) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        client.next(&mut subscription).await;
        assert_eq!(client.seq, Offset(200));
        assert_eq!(client.folded, 197, "200 changes in 3 keys");
        assert_eq!(client.rows, fresh_rows(&city.hub, View::Sensors));
        city.end().await;
    });
}

#[test]
fn reader_that_comes_back_gets_only_what_it_missed() {
    runtime().block_on(async {
        let city = City::new();
        let mut client = Client::default();
        let mut first = city.hub.subscribe(View::Alerts, None);
        city.alert(1, "firing");
        city.alert(2, "firing");
        client.reach(&mut first, Offset(2)).await;
        drop(first);
        city.alert(2, "acknowledged");
        city.alert(3, "firing");
        let mut again = city.hub.subscribe(View::Alerts, Some((city.hub.epoch(), client.seq)));
        client.reach(&mut again, Offset(4)).await;
        assert_eq!(client.gap, None);
        assert_eq!(client.rows, fresh_rows(&city.hub, View::Alerts));
        drop(again);

        // The same across a restart of the hub: numbers are the log's.
        let City { log, clock, tasks, .. } = city;
        tasks.stop(Duration::from_secs(5)).await;
        let city = City::over(log, clock);
        city.alert(1, "resolved");
        let mut again = city.hub.subscribe(View::Alerts, Some((city.hub.epoch(), client.seq)));
        client.reach(&mut again, Offset(5)).await;
        assert_eq!(client.gap, None);
        assert_eq!(client.rows, fresh_rows(&city.hub, View::Alerts));
        city.end().await;
    });
}

#[test]
fn reader_of_another_log_or_away_too_long_gets_a_gap_and_a_snapshot() {
    runtime().block_on(async {
        let city = City::new();
        city.alert(1, "firing");
        city.alert(2, "firing");
        city.alert(2, "resolved");
        let check = async |epoch: &str, seq: u64, why: GapReason| {
            let mut client = Client { seq: Offset(seq), ..Client::default() };
            let mut subscription = city.hub.subscribe(View::Alerts, Some((epoch, Offset(seq))));
            while !client.started {
                client.next(&mut subscription).await;
            }
            assert_eq!(client.gap, Some(why));
            client.reach(&mut subscription, city.log.head()).await;
            assert_eq!(client.rows, fresh_rows(&city.hub, View::Alerts));
        };
        assert!(city.hub.ready().await);
        check("another", 1, GapReason::Epoch).await;
        check(city.hub.epoch(), 99, GapReason::Epoch).await;
        city.clock.advance(Duration::from_secs(3_601));
        city.alert(1, "firing"); // log time passes: alert 2 leaves the view
        city.clock.advance(Duration::from_secs(901));
        city.alert(1, "firing"); // and its departure is forgotten
        while city.hub.snapshot(View::Alerts).seq < Offset(4) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        check(city.hub.epoch(), 2, GapReason::Retention).await;
        city.end().await;
    });
}

#[test]
fn reader_that_does_not_pull_for_longer_than_removals_are_remembered_gets_a_gap() {
    runtime().block_on(async {
        let city = City::new();
        city.alert(1, "firing");
        city.alert(2, "resolved");
        let mut client = Client::default();
        let mut subscription = city.hub.subscribe(View::Alerts, None);
        client.reach(&mut subscription, Offset(2)).await;
        assert_eq!(client.rows.len(), 2);
        for seconds in [3_601, 901] {
            city.clock.advance(Duration::from_secs(seconds));
            city.alert(1, "firing"); // alert 2 leaves; then its departure is forgotten
        }
        while city.hub.snapshot(View::Alerts).seq < Offset(3)
            || city.hub.snapshot(View::Alerts).rows.len() > 1
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.reach(&mut subscription, Offset(4)).await;
        assert_eq!(client.gap, Some(GapReason::Retention));
        assert_eq!(client.rows, fresh_rows(&city.hub, View::Alerts));
        city.end().await;
    });
}

#[test]
fn subscribers_in_step_share_one_delta_and_its_encoding() {
    runtime().block_on(async {
        let city = City::new();
        let mut a = city.hub.subscribe(View::Alerts, None);
        let mut b = city.hub.subscribe(View::Alerts, None);
        let (Some(Update::Snapshot(one)), Some(Update::Snapshot(two))) =
            (a.next().await, b.next().await)
        else {
            panic!("snapshots come first");
        };
        assert!(Arc::ptr_eq(&one, &two));
        city.alert(1, "firing");
        let delta = async |subscription: &mut Subscription| loop {
            if let Some(Update::Delta(delta)) = subscription.next().await
                && !delta.ops.is_empty()
            {
                return delta;
            }
        };
        let (one, two) = (delta(&mut a).await, delta(&mut b).await);
        assert!(Arc::ptr_eq(&one, &two));
        let mut encoded = 0;
        for delta in [one, two] {
            delta.encoded(|_| {
                encoded += 1;
                vec![Arc::from("text")]
            });
        }
        assert_eq!(encoded, 1);
        city.end().await;
    });
}

#[test]
fn views_go_on_from_a_snapshot_when_the_log_has_forgotten() {
    runtime().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Some(dir.path().to_owned());
        let config = HubConfig { snapshots, resolved_keep_s: 1, ..config() };
        let city = City::new();
        let City { log, clock, .. } = &city;
        let with = || City::with(&config, Arc::clone(log), Arc::clone(clock));
        let first = with();
        city.speed(1, 40);
        for (alert, state) in [(1, "firing"), (1, "acknowledged"), (2, "firing"), (2, "resolved")] {
            city.alert(alert, state);
        }
        city.say(Stream::Watermarks, "stream=readings watermark=77");
        let reached = log.head();
        let mut client = Client::default();
        client.reach(&mut first.hub.subscribe(View::Sensors, None), reached).await;
        first.tasks.stop(Duration::from_secs(5)).await;
        log.seal();
        log.trim(reached).unwrap();
        assert_eq!(log.floor(), reached, "nothing of it is left");

        let second = with();
        assert!(second.hub.ready().await);
        assert_eq!(second.hub.watermark(), city.hub.watermark());
        for view in [View::Sensors, View::Alerts] {
            assert_eq!(fresh_rows(&second.hub, view), fresh_rows(&city.hub, view), "{view:?}");
        }
        // A reader that was there before goes on; what ended leaves when its time comes.
        let mut subscription = second.hub.subscribe(View::Sensors, Some((log.epoch(), reached)));
        clock.advance(Duration::from_secs(2));
        city.speed(1, 50);
        client.reach(&mut subscription, log.head()).await;
        let rows = fresh_rows(&second.hub, View::Alerts);
        assert_eq!(rows.keys().collect::<Vec<_>>(), ["a1"]);
        second.tasks.stop(Duration::from_secs(5)).await;
    });
}

#[test]
fn ended_hub_ends_its_subscriptions() {
    runtime().block_on(async {
        let city = City::new();
        let mut subscription = city.hub.subscribe(View::Clips, None);
        Client::default().next(&mut subscription).await;
        city.tasks.stop(Duration::from_secs(5)).await;
        while subscription.next().await.is_some() {}
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Random facts, readers that pause, leave and come back: in the end each holds the view.
    #[test]
    fn readers_of_all_paces_end_with_the_view(
        facts in prop::collection::vec((0_u32..8, 0_u32..5, 0_u32..4), 1..80),
        paces in prop::collection::vec(0_usize..9, 3),
        leaves in prop::collection::vec(any::<bool>(), 3),
    ) {
        runtime().block_on(async {
            let city = City::new();
            let mut readers: Vec<_> = [View::Sensors, View::Alerts, View::Sources]
                .into_iter()
                .map(|view| (city.hub.subscribe(view, None), Client::default()))
                .collect();
            for (step, (kind, id, value)) in facts.iter().enumerate() {
                match kind {
                    0..=3 => city.speed(*id, *value),
                    4 => city.alert(*id, "resolved"),
                    5 => city.clock.advance(Duration::from_secs(1_000)),
                    _ => city.alert(*id, "firing"),
                }
                for (((subscription, client), pace), leaves) in
                    readers.iter_mut().zip(&paces).zip(&leaves)
                {
                    if pace % 9 != 0 && step % pace == 0 {
                        client.next(subscription).await;
                    }
                    if *leaves && step % 13 == 12 && client.started {
                        let since = Some((city.hub.epoch(), client.seq));
                        *subscription = city.hub.subscribe(subscription.view(), since);
                        client.started = false;
                    }
                }
            }
            city.clock.advance(Duration::from_secs(2));
            city.alert(99, "firing"); // the last fact: also flushes the counts of sources
            let head = city.log.head();
            for (subscription, client) in &mut readers {
                client.reach(subscription, head).await;
                assert_eq!(client.rows, fresh_rows(&city.hub, subscription.view()));
            }
            city.end().await;
        });
    }
}
