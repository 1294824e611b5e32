//! A query sees one moment: every row once, wherever it is and whatever is being moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use vong_log::{FileLog, Log, LogConfig, MemLog};
use vong_model::{Offset, Principal, Stream};
use vong_runtime::SystemClock;

use crate::testing::{TestCity, speeds};
use crate::{ArchiverConfig, Progress, QueryConfig};

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
            while i < 150 || queries.load(Ordering::SeqCst) < 10 {
                i += 1;
                let rows: Vec<_> = (0..5).map(|j| (i * 7 + j, "TR-001", 1.0)).collect();
                begun.fetch_add(5, Ordering::SeqCst);
                city.append(Stream::Readings, speeds(&rows)).await;
                done.fetch_add(5, Ordering::SeqCst);
                if i % 20 == 0 {
                    seal();
                }
                tokio::time::sleep(Duration::from_millis(8)).await;
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
            let found = city.number(if asked.is_multiple_of(2) { by_sum } else { by_count }).await;
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

/// 900 readings over three days in no order, of seven sensors, some of them alike.
fn scattered() -> Vec<Vec<(i64, &'static str, f64)>> {
    const SENSORS: [&str; 7] = ["TR-1", "TR-2", "TR-3", "WL-1", "WL-2", "AQ-1", "NS-1"];
    let mut random = 12_345_u64; // a linear congruential generator, constants of Knuth's MMIX
    let mut next = |below: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    (0..90)
        .map(|_| {
            let row = |_| {
                let seconds = next(3 * 86_400) as i64;
                (seconds, SENSORS[next(7) as usize], next(40) as f64 / 2.0)
            };
            (0..10).map(row).collect()
        })
        .collect()
}

#[tokio::test]
async fn archived_rows_answer_like_rows_in_the_log() {
    let (in_log, _log) = TestCity::in_memory();
    let (archived, log) = TestCity::in_memory();
    let archiver = archived.archiver(ArchiverConfig { read_bytes: 2_000, ..Default::default() });
    for (i, batch) in scattered().iter().enumerate() {
        in_log.append(Stream::Readings, speeds(batch)).await;
        archived.append(Stream::Readings, speeds(batch)).await;
        if i % 4 == 3 && i < 80 {
            log.seal();
            while archiver.step().unwrap() != Progress::Idle {}
        }
    }
    assert!(archived.store.snapshot().all_files().len() > 3);
    for condition in [
        "true",
        "event_time < TIMESTAMP '2026-11-23T12:00:00Z'",
        "event_time >= TIMESTAMP '2026-11-24T00:00:00Z' AND sensor_id = 'WL-1'",
        "event_time BETWEEN TIMESTAMP '2026-11-22T20:00:00Z' AND TIMESTAMP '2026-11-23T02:00:00Z'",
        "sensor_id IN ('TR-1', 'AQ-1') AND value > 15",
        "sensor_id LIKE 'TR%' AND NOT value BETWEEN 2 AND 18",
        "log_offset = 17 OR log_offset > 85",
        "unit_code IS NOT NULL",
        "value = 3.5 AND log_offset < 50",
        "event_time < TIMESTAMP '2020-01-01T00:00:00Z'",
        "time_bucket(INTERVAL '1 day', event_time) = TIMESTAMP '2026-11-22T17:00:00Z'",
    ] {
        let rows = format!(
            "SELECT log_offset, event_time, sensor_id, value FROM readings WHERE {condition} \
             ORDER BY log_offset, event_time, sensor_id, value"
        );
        let sums = format!(
            "SELECT sensor_id, count(*) AS n, sum(value) AS s, max(event_time) AS last FROM readings \
             WHERE {condition} GROUP BY sensor_id ORDER BY sensor_id"
        );
        for sql in [rows, sums] {
            let (expected, found) = (in_log.show(&sql).await, archived.show(&sql).await);
            assert!(expected == found, "{sql}\n{expected}\n{found}");
        }
    }
}

#[tokio::test]
async fn damage_of_the_tail_costs_its_rows_alone_and_the_answer_names_them() {
    let directory = tempfile::tempdir().unwrap();
    let config = LogConfig { tail_bytes: 1, ..LogConfig::new(directory.path()) };
    let log = FileLog::open(config, Arc::new(SystemClock), 1).unwrap();
    let city = TestCity::new(Arc::new(log), QueryConfig::default());
    let file = directory.path().join(format!("{:020}.vlog", 0));
    let mut ends = Vec::new();
    for i in 0..4 {
        city.append(Stream::Readings, speeds(&[(i, "TR-001", 1.0)])).await;
        ends.push(usize::try_from(std::fs::metadata(&file).unwrap().len()).unwrap());
    }
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[ends[1] - 40] ^= 1; // in the body of the second record
    std::fs::write(&file, bytes).unwrap();
    for _again in 0..2 {
        let counting = "SELECT count(*) FROM readings";
        let answer = city.engine.execute(&Principal::local(), counting).await.unwrap();
        assert_eq!(answer.lost(), [Offset(1)..Offset(2)]);
        assert_eq!(city.number(counting).await, 3);
    }
    assert!(city.metrics.render().contains("vong_query_tail_lost_records 1"));
    city.append(Stream::Readings, speeds(&[(9, "TR-001", 1.0)])).await;
    assert_eq!(city.number("SELECT count(*) FROM readings").await, 4);
}
