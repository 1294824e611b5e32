//! Queries against a small city: right answers, one moment, limits.

mod continuous;
mod limits;
mod moments;

use expect_test::{Expect, expect};
use vong_model::{Principal, Role, Stream};

use crate::testing::{Cell, SECOND, TEN_O_CLOCK, TestCity, rows, speeds};
use crate::{ArchiverConfig, Error, Progress};

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
        | city          | public             | view_rows         | BASE TABLE |
        | city          | public             | vehicle_counts    | BASE TABLE |
        | city          | public             | video_events      | BASE TABLE |
        | city          | public             | evidence_events   | BASE TABLE |
        | city          | public             | watermarks        | BASE TABLE |
        | city          | public             | source_events     | BASE TABLE |
        | city          | public             | rule_changes      | BASE TABLE |
        | city          | public             | commands          | BASE TABLE |
        | city          | public             | alert_transitions | BASE TABLE |
        | city          | public             | config_changes    | BASE TABLE |
        | city          | public             | video_gops        | BASE TABLE |
        | city          | public             | alerts            | VIEW       |
        | city          | public             | reviews           | VIEW       |
        | city          | public             | cameras           | BASE TABLE |
        | city          | public             | sensors           | BASE TABLE |
        | city          | public             | units             | BASE TABLE |
        | city          | vong               | tables            | BASE TABLE |
        | city          | vong               | columns           | BASE TABLE |
        | city          | vong               | streams           | BASE TABLE |
        | city          | vong               | files             | BASE TABLE |
        | city          | vong               | queries           | BASE TABLE |
        | city          | vong               | footage           | BASE TABLE |
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

#[tokio::test]
async fn cameras_that_show_a_place_are_a_table() {
    let (city, _log) = TestCity::in_memory();
    let shown = [
        "SELECT camera_id, round(distance_m) AS m, round(off_axis_deg) AS off, \
         round(view_quality, 2) AS q FROM cameras_facing(105.9 + 0.001, 18.34, 300)",
        "SELECT camera_id FROM cameras_facing(105.9 + 0.001, 18.34, 100)",
        "SELECT camera_id FROM cameras_facing(105.9 - 0.001, 18.34, 300)",
        "SELECT camera_id FROM cameras_facing(105.9, 18.34)",
        "SELECT c.camera_id FROM cameras c, cameras_facing(c.lon, c.lat, 300) f",
    ];
    let mut told = String::new();
    for sql in shown {
        told.push_str(&city.show(sql).await);
        told.push('\n');
    }
    expect![[r#"
        +-----------+-------+-----+-----+
        | camera_id | m     | off | q   |
        +-----------+-------+-----+-----+
        | CAM-01    | 106.0 | 0.0 | 0.3 |
        +-----------+-------+-----+-----+
        ++
        ++
        ++
        ++
        cameras_facing takes (lon, lat, radius_m), three numbers written out, as in cameras_facing(105.9, 18.34, 300); for the place of every row use camera_view
        cameras_facing takes (lon, lat, radius_m), three numbers written out, as in cameras_facing(105.9, 18.34, 300); for the place of every row use camera_view
    "#]].assert_eq(&told);
}
