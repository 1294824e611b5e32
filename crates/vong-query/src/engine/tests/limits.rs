//! Rows, bytes, memory, time and turns are bounded, whatever is asked.

use std::sync::Arc;
use std::time::Duration;

use vong_log::MemLog;
use vong_model::Principal;
use vong_runtime::ManualClock;

use crate::testing::{TEN_O_CLOCK, TestCity};
use crate::{Error, QueryConfig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_on_the_stream_of_results() {
    let clock = Arc::new(ManualClock::new(TEN_O_CLOCK));
    let config = QueryConfig {
        max_rows: 1_000,
        max_bytes: 100_000,
        memory_bytes: 4 * 1024 * 1024,
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_house_is_said_at_once_and_a_long_wait_ends() {
    let clock = Arc::new(ManualClock::new(TEN_O_CLOCK));
    let config = QueryConfig { concurrent: 1, waiting: 1, wait_s: 1, ..QueryConfig::default() };
    let city = TestCity::new(Arc::new(MemLog::new(clock)), config);
    let anybody = Principal::local();
    let endless = "SELECT * FROM generate_series(1, 1000000000)";
    let held = city.engine.execute(&anybody, endless).await.unwrap();
    let second = city.engine.execute(&anybody, "SELECT 2");
    let third = city.engine.execute(&anybody, "SELECT 3");
    let (second, third) = tokio::join!(second, third);
    assert!(matches!(second.unwrap_err(), Error::NoTurn { .. }));
    assert!(matches!(third.unwrap_err(), Error::Busy { .. }));
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
        let began = tokio::time::Instant::now();
        let failed = city.query(bomb).await.unwrap_err();
        assert!(matches!(failed, Error::Deadline { .. }), "{bomb}: {failed}");
        assert_eq!(city.number("SELECT 1").await, 1);
        let took = began.elapsed();
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
