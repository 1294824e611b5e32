//! What `video_gops` answers, and what it reads for it.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::logical_expr::{Expr, col, lit};
use vong_footage::{Footage, HoldRequest};
use vong_media::{AccessUnit, Codec, GopBuilder, GopLimits, VideoParameters};
use vong_sql::SessionLimits;

use super::*;
use crate::testing::{SECOND, TEN_O_CLOCK, TestCity};

fn at(seconds: i64) -> EventTime {
    EventTime(TEN_O_CLOCK + seconds * SECOND)
}

/// A group a second, ten frames each.
fn record(footage: &Footage, camera: &str, seconds: std::ops::Range<i64>) {
    let mut writer = footage.writer(&camera.into()).unwrap();
    let mut builder = GopBuilder::new(GopLimits::default());
    builder.parameters(&Arc::new(VideoParameters {
        codec: Codec::H264,
        width: 64,
        height: 36,
        rfc6381: "avc1.64001f".to_owned(),
        sample_entry: Bytes::from_static(&[0, 0, 0, 8, b'a', b'v', b'c', b'1']),
    }));
    for n in seconds.start * 10..=seconds.end * 10 {
        let unit = AccessUnit {
            pts_90k: n * 9_000,
            received_at: EventTime(TEN_O_CLOCK + n * SECOND / 10),
            camera_time: (camera == "CAM-01")
                .then_some(EventTime(TEN_O_CLOCK + n * SECOND / 10 - 7)),
            key: n % 10 == 0,
            lost_packets: u32::from(n == 15),
            data: Bytes::from(vec![n as u8; 100]),
        };
        if let Some(gop) = builder.access_unit(&unit) {
            writer.push(&gop).unwrap();
        }
    }
}

#[tokio::test]
async fn groups_are_rows_with_both_clocks_and_hashes_that_follow_one_another() {
    let (city, _) = TestCity::in_memory();
    record(&city.footage, "CAM-01", 0..3);
    record(&city.footage, "CAM-02", 0..2);
    let (from, to) = (at(0), at(1));
    let request = HoldRequest {
        camera_id: "CAM-02".into(),
        from,
        to,
        case: String::new(),
        reason: String::new(),
        until: None,
    };
    city.footage.hold(request).unwrap();
    let shown = city
        .show(
            "SELECT camera_id, file, start_time, end_time, camera_time, byte_offset, bytes, frames, \
             lost_packets, starts_with_key, length(sha256) AS hash, held FROM video_gops \
             ORDER BY camera_id, start_time",
        )
        .await;
    expect_test::expect![[r#"
        +-----------+-------------------------------------+----------------------+----------------------+-----------------------------+-------------+-------+--------+--------------+-----------------+------+-------+
        | camera_id | file                                | start_time           | end_time             | camera_time                 | byte_offset | bytes | frames | lost_packets | starts_with_key | hash | held  |
        +-----------+-------------------------------------+----------------------+----------------------+-----------------------------+-------------+-------+--------+--------------+-----------------+------+-------+
        | CAM-01    | CAM-01/2026-11-22/1795316400000.mp4 | 2026-11-22T03:00:00Z | 2026-11-22T03:00:01Z | 2026-11-22T02:59:59.999993Z | 642         | 1332  | 10     | 0            | true            | 64   | false |
        | CAM-01    | CAM-01/2026-11-22/1795316400000.mp4 | 2026-11-22T03:00:01Z | 2026-11-22T03:00:02Z | 2026-11-22T03:00:00.999993Z | 1974        | 1332  | 10     | 1            | true            | 64   | false |
        | CAM-01    | CAM-01/2026-11-22/1795316400000.mp4 | 2026-11-22T03:00:02Z | 2026-11-22T03:00:03Z | 2026-11-22T03:00:01.999993Z | 3306        | 1332  | 10     | 0            | true            | 64   | false |
        | CAM-02    | CAM-02/2026-11-22/1795316400000.mp4 | 2026-11-22T03:00:00Z | 2026-11-22T03:00:01Z |                             | 642         | 1332  | 10     | 0            | true            | 64   | true  |
        | CAM-02    | CAM-02/2026-11-22/1795316400000.mp4 | 2026-11-22T03:00:01Z | 2026-11-22T03:00:02Z |                             | 1974        | 1332  | 10     | 1            | true            | 64   | true  |
        +-----------+-------------------------------------+----------------------+----------------------+-----------------------------+-------------+-------+--------+--------------+-----------------+------+-------+"#]].assert_eq(&shown);
    let links = "SELECT count(*) AS n FROM video_gops AS a JOIN video_gops AS b \
                 ON a.chained_sha256 = b.previous_sha256 AND a.camera_id = b.camera_id";
    assert_eq!(city.number(links).await, 3);
}

#[tokio::test]
async fn conditions_of_a_query_reach_the_index() {
    let (city, _) = TestCity::in_memory();
    for camera in ["CAM-01", "CAM-02", "CAM-03"] {
        record(&city.footage, camera, 0..600);
    }
    for (condition, expected, most_files) in [
        ("true", 1_800, 40),
        ("camera_id = 'CAM-02'", 600, 12),
        ("camera_id IN ('CAM-02', 'CAM-03')", 1_200, 24),
        ("camera_id = 'CAM-02' OR camera_id = 'CAM-01'", 1_200, 24),
        ("camera_id = 'CAM-02' AND camera_id = 'CAM-01'", 0, 0),
        (
            "start_time >= TIMESTAMP '2026-11-22T03:05:00Z' AND start_time < TIMESTAMP '2026-11-22T03:06:00Z' AND camera_id = 'CAM-01'",
            60,
            4,
        ),
        (
            "end_time BETWEEN TIMESTAMP '2026-11-22T03:05:00Z' AND TIMESTAMP '2026-11-22T03:05:59Z' AND 'CAM-01' = camera_id",
            60,
            4,
        ),
        ("start_time = TIMESTAMP '2026-11-22T03:05:00Z'", 3, 9),
        ("TIMESTAMP '2026-11-22T03:09:00Z' < start_time", 177, 9),
        ("start_time > now() - INTERVAL '1 minute'", 0, 0),
        ("camera_id <> 'CAM-01' AND NOT (camera_id = 'CAM-02')", 600, 40),
    ] {
        let sql = format!("SELECT count(*) AS n FROM video_gops WHERE {condition}");
        assert_eq!(city.number(&sql).await, expected, "{condition}");
        let filter = filter_of(&city.footage, condition).await;
        let mut listing = city.footage.list(filter);
        while listing.next_step().unwrap().is_some() {}
        assert!(listing.files() <= most_files, "{condition}: {} files read", listing.files());
    }
    let limited = city.query("SELECT file FROM video_gops LIMIT 7").await.unwrap();
    assert_eq!(limited.iter().map(RecordBatch::num_rows).sum::<usize>(), 7);
}

/// What the planner hands to the table of a query with this condition.
async fn filter_of(footage: &Footage, condition: &str) -> GopFilter {
    let session = vong_sql::session(&SessionLimits::default()).unwrap();
    session.register_table(NAME, Arc::new(GopTable::new(footage.clone()))).unwrap();
    let sql = format!("SELECT file FROM {NAME} WHERE {condition}");
    let plan = session.sql(&sql).await.unwrap().into_optimized_plan().unwrap();
    let mut conditions = Vec::new();
    use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
    plan.apply(|node| {
        if let datafusion::logical_expr::LogicalPlan::TableScan(scan) = node {
            conditions.extend(scan.filters.iter().cloned());
        }
        if let datafusion::logical_expr::LogicalPlan::EmptyRelation(_) = node {
            conditions.push(col("camera_id").eq(lit("nobody")));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    filter::of(&conditions)
}

#[test]
fn conditions_that_are_not_understood_narrow_nothing() {
    let strange: Vec<Expr> = vec![
        col("frames").gt(lit(3)),
        col("camera_id").not_eq(lit("CAM-01")),
        col("camera_id").eq(col("file")),
        col("camera_id").eq(lit("a")).or(col("frames").eq(lit(1))),
        col("start_time").eq(lit("yesterday")),
    ];
    assert_eq!(filter::of(&strange), GopFilter::all());
}

#[tokio::test]
async fn footage_of_each_class_and_its_outlook_are_a_table() {
    let (city, _) = TestCity::in_memory();
    record(&city.footage, "CAM-01", 0..600);
    city.clock.set(at(600).micros());
    let sql = "SELECT class, cameras, files > 9 AS files, bytes, held_bytes, oldest_time, \
               bytes_per_day = bytes * 144.0 AS rate, keep_days, room_bytes > 0 AS room, \
               days_until_full > 0 AS full FROM vong.footage";
    expect_test::expect![[r#"
        +-------+---------+-------+--------+------------+----------------------+------+-----------+------+------+
        | class | cameras | files | bytes  | held_bytes | oldest_time          | rate | keep_days | room | full |
        +-------+---------+-------+--------+------------+----------------------+------+-----------+------+------+
        |       | 1       | true  | 806262 | 0          | 2026-11-22T03:00:00Z | true | 30        | true | true |
        +-------+---------+-------+--------+------------+----------------------+------+-----------+------+------+"#]].assert_eq(&city.show(sql).await);
}
