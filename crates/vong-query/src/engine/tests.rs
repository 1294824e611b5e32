//! Queries against a small city: right answers, one moment, limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use expect_test::{Expect, expect};
use vong_log::{FileLog, Log, LogConfig, MemLog};
use vong_model::{Principal, Role, Stream};
use vong_runtime::{ManualClock, SystemClock};

use crate::testing::{Cell, SECOND, TEN_O_CLOCK, TestCity, rows, speeds};
use crate::{ArchiverConfig, Error, Progress, QueryConfig};

/// Runs the same query over: everything in the log, half archived, everything archived and merged.
async fn check(fill: impl AsyncFn(&TestCity, usize), sql: &str, expected: Expect) {
    let (city, log) = TestCity::in_memory();
    fill(&city, 0).await;
    let archiver = city.archiver(ArchiverConfig::default());
    log.seal();
    fill(&city, 1).await;
    let from_log = city.show(sql).await;
    archiver.step().unwrap();
    let half = city.show(sql).await;
    log.seal();
    while archiver.step().unwrap() != Progress::Idle {}
    let from_files = city.show(sql).await;
    expected.assert_eq(&from_log);
    assert_eq!(half, from_log, "half archived");
    assert_eq!(from_files, from_log, "all archived");
}

async fn two_streets(city: &TestCity, part: usize) {
    if part == 0 {
        city.append(Stream::Readings, speeds(&[(0, "TR-001", 40.0), (1, "TR-002", 35.5)])).await;
        city.append(Stream::Readings, speeds(&[(70, "TR-001", 20.0)])).await;
    } else {
        city.append(Stream::Readings, speeds(&[(59, "TR-001", 50.0), (61, "TR-002", 5.5)])).await;
    }
}

#[tokio::test]
async fn a_stream_is_a_table_with_its_place_in_the_log() {
    check(
        two_streets,
        "SELECT log_offset, event_time, sensor_id, value FROM readings ORDER BY log_offset, sensor_id",
        expect![[r#"
            +------------+----------------------+-----------+-------+
            | log_offset | event_time           | sensor_id | value |
            +------------+----------------------+-----------+-------+
            | 0          | 2026-11-22T03:00:00Z | TR-001    | 40.0  |
            | 0          | 2026-11-22T03:00:01Z | TR-002    | 35.5  |
            | 1          | 2026-11-22T03:01:10Z | TR-001    | 20.0  |
            | 2          | 2026-11-22T03:00:59Z | TR-001    | 50.0  |
            | 2          | 2026-11-22T03:01:01Z | TR-002    | 5.5   |
            +------------+----------------------+-----------+-------+"#]],
    )
    .await;
}

#[tokio::test]
async fn filters_and_ranges_give_the_same_rows_wherever_they_are() {
    check(
        two_streets,
        "SELECT sensor_id, value FROM readings WHERE sensor_id = 'TR-001' AND value < 45 \
         AND event_time >= TIMESTAMP '2026-11-22T03:00:00Z' ORDER BY value",
        expect![[r#"
            +-----------+-------+
            | sensor_id | value |
            +-----------+-------+
            | TR-001    | 20.0  |
            | TR-001    | 40.0  |
            +-----------+-------+"#]],
    )
    .await;
    check(
        two_streets,
        "SELECT count(*) AS n, min(event_time) AS low, max(event_time) AS high, max(log_offset) AS last FROM readings",
        expect![[r#"
            +---+----------------------+----------------------+------+
            | n | low                  | high                 | last |
            +---+----------------------+----------------------+------+
            | 5 | 2026-11-22T03:00:00Z | 2026-11-22T03:01:10Z | 2    |
            +---+----------------------+----------------------+------+"#]],
    )
    .await;
    check(
        two_streets,
        "SELECT sensor_id, value FROM readings WHERE log_offset >= 2 ORDER BY value LIMIT 2",
        expect![[r#"
            +-----------+-------+
            | sensor_id | value |
            +-----------+-------+
            | TR-002    | 5.5   |
            | TR-001    | 50.0  |
            +-----------+-------+"#]],
    )
    .await;
}

#[tokio::test]
async fn readings_by_minute() {
    check(
        two_streets,
        "SELECT window_start, sensor_id, unit, readings, avg_value, max_value, last_value \
         FROM readings_1m ORDER BY 1, 2",
        expect![[r#"
            +----------------------+-----------+------+----------+-----------+-----------+------------+
            | window_start         | sensor_id | unit | readings | avg_value | max_value | last_value |
            +----------------------+-----------+------+----------+-----------+-----------+------------+
            | 2026-11-22T03:00:00Z | TR-001    | km/h | 2        | 45.0      | 50.0      | 50.0       |
            | 2026-11-22T03:00:00Z | TR-002    | km/h | 1        | 35.5      | 35.5      | 35.5       |
            | 2026-11-22T03:01:00Z | TR-001    | km/h | 1        | 20.0      | 20.0      | 20.0       |
            | 2026-11-22T03:01:00Z | TR-002    | km/h | 1        | 5.5       | 5.5       | 5.5        |
            +----------------------+-----------+------+----------+-----------+-----------+------------+"#]],
    )
    .await;
}

#[tokio::test]
async fn an_alert_is_one_row_in_its_latest_state() {
    let step = |ordinal: u64, alert: &'static str, state: &'static str, actor: &'static str| {
        rows(
            Stream::AlertTransitions,
            &[&[
                ("event_time", Cell::Time(TEN_O_CLOCK + ordinal as i64 * SECOND)),
                ("alert_id", Cell::Text(alert)),
                ("rule_id", Cell::Text("jam")),
                ("state", Cell::Text(state)),
                ("severity", Cell::Text("high")),
                ("sensor_id", Cell::Text("TR-001")),
                ("value", Cell::Float(ordinal as f64)),
                ("actor", Cell::Text(actor)),
                ("cause_offset", Cell::Count(7)),
                ("cause_ordinal", Cell::Count(ordinal)),
            ]],
        )
    };
    check(
        async |city, part| {
            let steps = if part == 0 {
                vec![step(0, "a1", "firing", "engine"), step(1, "a2", "pending", "engine")]
            } else {
                vec![
                    step(2, "a1", "acknowledged", "lan"),
                    step(3, "a2", "cancelled", "engine"),
                    step(4, "a1", "resolved", "engine"),
                ]
            };
            for step in steps {
                city.append(Stream::AlertTransitions, step).await;
            }
        },
        "SELECT alert_id, state, value, camera_id, started_time, fired_time, acknowledged_by, \
         acknowledged_time, ended_time, transitions FROM alerts ORDER BY alert_id",
        expect![[r#"
            +----------+-----------+-------+-----------+----------------------+----------------------+-----------------+----------------------+----------------------+-------------+
            | alert_id | state     | value | camera_id | started_time         | fired_time           | acknowledged_by | acknowledged_time    | ended_time           | transitions |
            +----------+-----------+-------+-----------+----------------------+----------------------+-----------------+----------------------+----------------------+-------------+
            | a1       | resolved  | 4.0   |           | 2026-11-22T03:00:00Z | 2026-11-22T03:00:00Z | lan             | 2026-11-22T03:00:02Z | 2026-11-22T03:00:04Z | 3           |
            | a2       | cancelled | 3.0   |           | 2026-11-22T03:00:00Z |                      |                 |                      | 2026-11-22T03:00:03Z | 2           |
            +----------+-----------+-------+-----------+----------------------+----------------------+-----------------+----------------------+----------------------+-------------+"#]],
    )
    .await;
}

#[tokio::test]
async fn dimensions_join_and_hold_no_camera_address() {
    check(
        two_streets,
        "SELECT s.name_vi, count(*) AS n FROM readings r JOIN sensors s ON s.sensor_id = r.sensor_id \
         WHERE vn_search(s.name_vi, 'duong quang') GROUP BY s.name_vi",
        expect![[r#"
            +-------------------+---+
            | name_vi           | n |
            +-------------------+---+
            | Đường Quang Trung | 3 |
            +-------------------+---+"#]],
    )
    .await;
    let (city, _log) = TestCity::in_memory();
    let cameras = city.show("SELECT * FROM cameras").await;
    assert!(cameras.contains("CAM-01") && !cameras.contains("secret"), "{cameras}");
}

#[tokio::test]
async fn every_table_and_column_is_documented() {
    let (city, _log) = TestCity::in_memory();
    let undocumented =
        "SELECT table_name, column_name FROM vong.columns WHERE coalesce(doc, '') = ''";
    assert_eq!(
        city.query(undocumented).await.unwrap().len(),
        0,
        "{}",
        city.show(undocumented).await
    );
    let listed = "SELECT table_name FROM vong.tables WHERE doc IS NULL UNION ALL \
        SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' \
        AND table_name NOT IN (SELECT table_name FROM vong.columns)";
    assert_eq!(city.query(listed).await.unwrap().len(), 0, "{}", city.show(listed).await);
    expect![[r#"
        +---------------+--------------------+-------------------+------------+
        | table_catalog | table_schema       | table_name        | table_type |
        +---------------+--------------------+-------------------+------------+
        | city          | public             | readings          | BASE TABLE |
        | city          | public             | camera_events     | BASE TABLE |
        | city          | public             | video_segments    | BASE TABLE |
        | city          | public             | rejected_events   | BASE TABLE |
        | city          | public             | late_events       | BASE TABLE |
        | city          | public             | clips             | BASE TABLE |
        | city          | public             | watermarks        | BASE TABLE |
        | city          | public             | source_events     | BASE TABLE |
        | city          | public             | rule_changes      | BASE TABLE |
        | city          | public             | commands          | BASE TABLE |
        | city          | public             | alert_transitions | BASE TABLE |
        | city          | public             | config_changes    | BASE TABLE |
        | city          | public             | alerts            | VIEW       |
        | city          | public             | readings_1m       | VIEW       |
        | city          | public             | cameras           | BASE TABLE |
        | city          | public             | sensors           | BASE TABLE |
        | city          | public             | units             | BASE TABLE |
        | city          | vong               | tables            | BASE TABLE |
        | city          | vong               | columns           | BASE TABLE |
        | city          | vong               | streams           | BASE TABLE |
        | city          | vong               | files             | BASE TABLE |
        | city          | vong               | queries           | BASE TABLE |
        | city          | information_schema | tables            | VIEW       |
        | city          | information_schema | views             | VIEW       |
        | city          | information_schema | columns           | VIEW       |
        | city          | information_schema | df_settings       | VIEW       |
        | city          | information_schema | schemata          | VIEW       |
        | city          | information_schema | routines          | VIEW       |
        | city          | information_schema | parameters        | VIEW       |
        +---------------+--------------------+-------------------+------------+"#]]
    .assert_eq(&city.show("SHOW TABLES").await);
}

#[tokio::test]
async fn the_system_shows_its_streams_files_and_queries() {
    let (city, log) = TestCity::in_memory();
    two_streets(&city, 0).await;
    log.seal();
    two_streets(&city, 1).await;
    city.archiver(ArchiverConfig::default()).step().unwrap();
    let streams = "SELECT name, history_rows, tail_rows FROM vong.streams WHERE name = 'readings'";
    expect![[r#"
        +----------+--------------+-----------+
        | name     | history_rows | tail_rows |
        +----------+--------------+-----------+
        | readings | 3            | 2         |
        +----------+--------------+-----------+"#]]
    .assert_eq(&city.show(streams).await);
    let files = "SELECT stream, path, rows, first_offset, last_offset, min_time FROM vong.files";
    expect![[r#"
        +----------+------------------------------------------+------+--------------+-------------+----------------------+
        | stream   | path                                     | rows | first_offset | last_offset | min_time             |
        +----------+------------------------------------------+------+--------------+-------------+----------------------+
        | readings | readings/2026-11-22/000000000001.parquet | 3    | 0            | 1           | 2026-11-22T03:00:00Z |
        +----------+------------------------------------------+------+--------------+-------------+----------------------+"#]].assert_eq(&city.show(files).await);
    let queries = "SELECT query_id, principal, state, rows, ended_time FROM vong.queries";
    expect![[r#"
        +----------+-----------+---------+------+----------------------+
        | query_id | principal | state   | rows | ended_time           |
        +----------+-----------+---------+------+----------------------+
        | 1        | local     | ok      | 1    | 2026-11-22T03:00:00Z |
        | 2        | local     | ok      | 1    | 2026-11-22T03:00:00Z |
        | 3        | local     | running | 0    |                      |
        +----------+-----------+---------+------+----------------------+"#]]
    .assert_eq(&city.show(queries).await);
}

#[tokio::test]
async fn mistakes_are_explained() {
    let (city, _log) = TestCity::in_memory();
    let mut text = String::new();
    for sql in [
        "SELECT * FROM alert",
        "SELECT * FROM vong.stream",
        "SELECT sate FROM alerts",
        "SELECT CAST('x' AS INT)",
        "SELECT 1 / 0",
        "DELETE FROM readings",
        "SELECT * FROM read_parquet('history://files/readings')",
        "SELECT * FROM 'history://files/readings/x.parquet'",
    ] {
        text += &format!("{sql}\n  {}\n", city.show(sql).await);
    }
    expect![[r#"
        SELECT * FROM alert
          there is no table 'alert' at line 1, column 15 | Did you mean 'alerts'?
        SELECT * FROM vong.stream
          there is no table 'vong.stream' at line 1, column 15 | Did you mean 'vong.streams'?
        SELECT sate FROM alerts
          there is no column 'sate' at line 1, column 8 | Did you mean 'state'?
        SELECT CAST('x' AS INT)
          cast error: Cannot cast string 'x' to value of Int32 type
        SELECT 1 / 0
          divide by zero error
        DELETE FROM readings
          DELETE at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
        SELECT * FROM read_parquet('history://files/readings')
          there is no function 'read_parquet' at line 1, column 15
        SELECT * FROM 'history://files/readings/x.parquet'
          there is no table 'history://files/readings/x.parquet' at line 1, column 15 | SHOW TABLES lists what there is.
    "#]].assert_eq(&text);
}

#[tokio::test]
async fn a_wall_may_not_ask_sql() {
    let (city, _log) = TestCity::in_memory();
    let wall = Principal::new("wall-1", &[Role::Wall]);
    let denied = city.engine.execute(&wall, "SELECT 1").await.unwrap_err();
    assert!(matches!(denied, Error::Denied(_)), "{denied}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_on_the_stream_of_results() {
    let clock = Arc::new(ManualClock::new(TEN_O_CLOCK));
    let config = QueryConfig {
        max_rows: 1_000,
        max_bytes: 100_000,
        memory_bytes: 4 * 1024 * 1024,
        concurrent: 1,
        waiting: 0,
        ..QueryConfig::default()
    };
    let city = TestCity::new(Arc::new(MemLog::new(clock)), config);
    let failed = async |sql: &str| city.query(sql).await.unwrap_err().to_string();
    assert_eq!(
        failed("SELECT * FROM generate_series(1, 100000)").await,
        "answer has more than 1000 rows"
    );
    assert_eq!(
        failed("SELECT repeat('x', 1000) FROM generate_series(1, 900)").await,
        "answer has more than 100000 bytes"
    );
    let fat =
        "SELECT value, count(*) FROM generate_series(1, 5000000) GROUP BY value ORDER BY 2, 1";
    let fat = failed(fat).await;
    assert!(fat.starts_with("query needs more memory than there is"), "{fat}");

    let anybody = Principal::local();
    let held = city.engine.execute(&anybody, "SELECT * FROM generate_series(1, 900000)").await;
    let refused = city.engine.execute(&anybody, "SELECT 1").await.unwrap_err();
    assert!(matches!(refused, Error::Busy { .. }), "only one may run: {refused}");
    drop(held);
}

/// Each of these would run for hours, in operators that do not yield.
const BOMBS: [&str; 5] = [
    "SELECT count(*) FROM generate_series(1, 100000000000) a",
    "SELECT count(*) FROM generate_series(1, 100000) a CROSS JOIN generate_series(1, 10000000) b",
    "SELECT count(*) FROM generate_series(1, 100000) a JOIN generate_series(1, 100000000) b \
     ON a.value > b.value + 100000000",
    "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b \
     ON a.value % 2 = b.value % 2",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_bomb_ends_at_its_deadline_and_frees_its_turn() {
    let clock = Arc::new(ManualClock::new(TEN_O_CLOCK));
    let config = QueryConfig { deadline_s: 1, concurrent: 1, ..QueryConfig::default() };
    let city = TestCity::new(Arc::new(MemLog::new(clock)), config);
    for bomb in BOMBS {
        let began = std::time::SystemTime::now();
        let failed = city.query(bomb).await.unwrap_err();
        assert!(matches!(failed, Error::Deadline { .. }), "{bomb}: {failed}");
        assert_eq!(city.number("SELECT 1").await, 1);
        let took = began.elapsed().unwrap();
        assert!(took < Duration::from_secs(8), "{bomb} took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_answer_stops_the_query_and_frees_its_turn() {
    let clock = Arc::new(ManualClock::new(TEN_O_CLOCK));
    let config = QueryConfig { concurrent: 1, wait_s: 5, ..QueryConfig::default() };
    let city = TestCity::new(Arc::new(MemLog::new(clock)), config);
    let endless = "SELECT * FROM generate_series(1, 1000000000)";
    let mut results = city.engine.execute(&Principal::local(), endless).await.unwrap();
    results.next().await.unwrap().unwrap();
    drop(results);
    // Its turn must come although the endless query never came to an end.
    assert_eq!(city.number("SELECT count(*) FROM vong.queries WHERE state = 'cancelled'").await, 1);
}

/// Appends while archiving and merging run, and counts all the while: what was acknowledged before
/// a query is in it, what was begun after is not, and nothing is there twice.
async fn nothing_is_lost_or_doubled(log: Arc<dyn Log>, seal: impl Fn() + Send + Sync + 'static) {
    let city = Arc::new(TestCity::new(log, QueryConfig::default()));
    let (begun, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (stop, finished) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let queries = Arc::new(AtomicU64::new(0));

    let writer = {
        let (city, begun, done) = (Arc::clone(&city), Arc::clone(&begun), Arc::clone(&done));
        let (queries, finished) = (Arc::clone(&queries), Arc::clone(&finished));
        async move {
            let mut i = 0;
            while i < 200 || queries.load(Ordering::SeqCst) < 25 {
                i += 1;
                let rows: Vec<_> = (0..5).map(|j| (i * 7 + j, "TR-001", 1.0)).collect();
                begun.fetch_add(5, Ordering::SeqCst);
                city.append(Stream::Readings, speeds(&rows)).await;
                done.fetch_add(5, Ordering::SeqCst);
                if i % 20 == 0 {
                    seal();
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            finished.store(true, Ordering::SeqCst);
        }
    };
    let archiver = city.archiver(ArchiverConfig { read_bytes: 20_000, ..Default::default() });
    let (log, store) = (Arc::clone(&city.log), city.store.clone());
    let stopped = Arc::clone(&stop);
    let archiving = vong_runtime::thread::spawn("test-archiver", move || {
        let mut merges = 0;
        loop {
            match archiver.step().unwrap() {
                Progress::Merged => merges += 1,
                Progress::Committed(_) => log.trim(store.covered()).unwrap(),
                Progress::Idle if stopped.load(Ordering::SeqCst) => break,
                Progress::Idle => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        merges
    })
    .unwrap();
    let counting = async {
        while !finished.load(Ordering::SeqCst) {
            let at_least = done.load(Ordering::SeqCst) as i64;
            if at_least == 0 {
                tokio::task::yield_now().await;
                continue;
            }
            let by_sum =
                "SELECT CAST(sum(value) AS BIGINT) FROM readings WHERE sensor_id = 'TR-001'";
            let asked = queries.fetch_add(1, Ordering::SeqCst);
            let by_count = "SELECT count(*) FROM readings";
            let found = city.number(if asked % 2 == 0 { by_sum } else { by_count }).await;
            let at_most = begun.load(Ordering::SeqCst) as i64;
            assert!((at_least..=at_most).contains(&found), "{at_least} <= {found} <= {at_most}");
        }
    };
    tokio::join!(writer, counting);
    stop.store(true, Ordering::SeqCst);
    let merges = archiving.join().unwrap();
    let all = done.load(Ordering::SeqCst) as i64;
    assert_eq!(city.number("SELECT count(*) FROM readings").await, all);
    let distinct = "SELECT count(*) FROM (SELECT DISTINCT log_offset, event_time FROM readings)";
    assert_eq!(city.number(distinct).await, all);
    assert!(merges > 0, "no files were merged");
    assert!(city.store.covered().0 > 100, "covered {}", city.store.covered());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_while_archiving_a_log_in_memory() {
    let log = MemLog::new(Arc::new(SystemClock));
    let sealing = log.clone();
    nothing_is_lost_or_doubled(Arc::new(log), move || sealing.seal()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_while_archiving_a_log_in_files() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_bytes: 64 * 1024, ..LogConfig::new(dir.path()) };
    let log = FileLog::open(config, Arc::new(SystemClock), 1).unwrap();
    nothing_is_lost_or_doubled(Arc::new(log), || ()).await;
}
