//! Random rows in random batches: every kind of view answers as batch SQL does over the same rows.
//!
//! `PROPTEST_CASES` sets how many times.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Builder;
use vong_model::Stream;
use vong_workloads::{Column, Feed, batch, prepare, shown, view};

/// 2026-11-22T00:00:00Z.
const START_US: i64 = 1_795_305_600_000_000;
const SENSORS: [&str; 4] = ["S-1", "S-2", "S-3", "S-4"];
const METRICS: [&str; 2] = ["speed", "flow"];

const AGGREGATES: &str = "count(*) AS n, sum(value) AS total, avg(value) AS mean, \
    min(value) AS least, max(value) FILTER (WHERE metric = 'flow') AS most";
const EXOTIC: &str =
    "count(DISTINCT metric) AS kinds, median(value) AS middle, stddev(value) AS spread";
const HOPS: &str = "(SELECT *, unnest(hop_windows(event_time, INTERVAL '2 seconds', INTERVAL '6 seconds')) \
    AS w FROM readings)";

/// A question live and in batch.
fn questions() -> Vec<(String, String)> {
    let mut all = Vec::new();
    let tumble = "tumble(event_time, INTERVAL '3 seconds')";
    let hop = "hop(event_time, INTERVAL '2 seconds', INTERVAL '6 seconds')";
    for aggregates in [AGGREGATES, EXOTIC] {
        for (scope, having) in [("true", "true"), ("value > 20", "count(*) > 1")] {
            let tumbling = format!(
                "SELECT sensor_id, {tumble} AS w, {aggregates} FROM readings WHERE {scope} \
                 GROUP BY sensor_id, {tumble} HAVING {having}"
            );
            all.push((tumbling.clone(), tumbling));
            all.push((
                format!(
                    "SELECT metric, {hop} AS w, {aggregates} FROM readings WHERE {scope} \
                     GROUP BY metric, {hop} HAVING {having}"
                ),
                format!(
                    "SELECT metric, w, {aggregates} FROM {HOPS} WHERE {scope} GROUP BY metric, w \
                     HAVING {having}"
                ),
            ));
        }
    }
    let runs = "session(event_time, INTERVAL '1 second')";
    all.push((
        format!(
            "SELECT sensor_id, {runs} AS began, count(*) AS n, sum(value) AS total FROM readings \
             GROUP BY sensor_id, {runs}"
        ),
        "SELECT sensor_id, min(event_time), count(*), sum(value) FROM (SELECT *, sum(first) OVER \
         (PARTITION BY sensor_id ORDER BY event_time) AS run FROM (SELECT *, CASE WHEN event_time < \
         lag(event_time) OVER (PARTITION BY sensor_id ORDER BY event_time) + INTERVAL '1 second' THEN 0 \
         ELSE 1 END AS first FROM readings)) GROUP BY sensor_id, run"
            .to_owned(),
    ));
    let sliding = "SELECT sensor_id, event_time AS at, value, avg(value) OVER w AS mean, max(value) OVER w AS most \
         FROM readings WHERE metric = 'speed' WINDOW w AS (PARTITION BY sensor_id ORDER BY event_time \
         RANGE BETWEEN INTERVAL '2 seconds' PRECEDING AND CURRENT ROW)";
    let rows =
        "SELECT sensor_id, value * 2 AS twice FROM readings WHERE metric = 'flow' AND value > 30";
    all.extend([sliding, rows].map(|same| (same.to_owned(), same.to_owned())));
    all
}

/// Hundredths of a second after the row before, sensor, metric, eighths.
type Event = (u16, usize, usize, u16);

fn feed(events: &[Event], late_by: &[i64]) -> Feed {
    let mut at = START_US;
    let times = events.iter().zip(late_by).map(|((after, ..), late)| {
        at += i64::from(*after) * 10_000;
        at - late * 10_000
    });
    let times: Vec<i64> = times.collect();
    let mut feed = Feed::default();
    let columns = [
        ("event_time", Column::Times(times)),
        ("sensor_id", Column::Texts(events.iter().map(|e| Some(SENSORS[e.1])).collect())),
        ("metric", Column::Texts(events.iter().map(|e| Some(METRICS[e.2])).collect())),
        ("value", Column::Floats(events.iter().map(|e| f64::from(e.3) / 8.0).collect())),
    ];
    feed.push(Stream::Readings, &columns).unwrap();
    feed
}

#[test]
fn live_equals_batch_for_every_kind_of_view() {
    let questions = questions();
    let named = questions.iter().enumerate();
    let views: Vec<_> = named.map(|(n, (live, _))| view(&format!("v{n}"), live).unwrap()).collect();
    let runtime = Builder::new_current_thread().build().unwrap();
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let event = (0..120_u16, 0..4_usize, 0..2_usize, 0..800_u16);
    let story = proptest::collection::vec((event, 0..150_i64, 1..9_usize), 1..120);
    let asked = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(config);
    let checked = runner.run(&story, |story| {
        let events: Vec<Event> = story.iter().map(|(event, ..)| *event).collect();
        let late: Vec<i64> = story.iter().map(|(_, late, _)| *late).collect();
        let mut cuts = story.iter().map(|(.., cut)| *cut).cycle();
        let feed = feed(&events, &late).recut(|| cuts.next().unwrap_or(1));
        let live = prepare(&views).unwrap().run(&feed.records().unwrap()).unwrap();
        for (number, (text, sql)) in questions.iter().enumerate() {
            let found = live.views.get(&format!("v{number}")).map(Vec::as_slice);
            let found = shown(found.unwrap_or_default()).unwrap();
            let expected = shown(&runtime.block_on(batch(&feed, sql)).unwrap()).unwrap();
            prop_assert_eq!(&found, &expected, "{}", text);
            asked.set(asked.get() + found.len());
        }
        Ok(())
    });
    println!("{} rows of views", asked.get());
    checked.unwrap();
    assert!(asked.get() > 1_000, "the stories must have something to tell");
}
