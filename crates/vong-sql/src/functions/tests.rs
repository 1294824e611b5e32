//! Functions of the dialect, called from SQL.

use expect_test::{Expect, expect};

use super::{bucket_start_local, fold_vietnamese, window_start};
use crate::{SessionLimits, session};

async fn check(sql: &str, expected: Expect) {
    let session = session(&SessionLimits::default()).unwrap();
    let text = match session.sql(sql).await {
        Ok(frame) => match frame.collect().await {
            Ok(batches) => {
                arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string()
            }
            Err(e) => e.strip_backtrace(),
        },
        Err(e) => e.strip_backtrace(),
    };
    expected.assert_eq(&text);
}

#[tokio::test]
async fn tumble_aligns_to_the_epoch_and_keeps_the_type() {
    check(
        "SELECT tumble(TIMESTAMP '2026-11-22T03:04:59Z', INTERVAL '1 minute') AS a, \
         arrow_typeof(tumble(TIMESTAMP '2026-11-22T03:04:59', INTERVAL '5 minutes')) AS b, \
         tumble(CAST('2026-11-22T03:04:59+07:00' AS TIMESTAMP WITH TIME ZONE), INTERVAL '1 day') AS c",
        expect![[r#"
            +---------------------+---------------+----------------------+
            | a                   | b             | c                    |
            +---------------------+---------------+----------------------+
            | 2026-11-22T03:04:00 | Timestamp(ns) | 2026-11-21T00:00:00Z |
            +---------------------+---------------+----------------------+"#]],
    )
    .await;
}

#[tokio::test]
async fn time_bucket_counts_days_weeks_and_months_of_vietnam() {
    check(
        "SELECT time_bucket(INTERVAL '1 day', t) AS day, time_bucket(INTERVAL '7 days', t) AS week, \
         time_bucket(INTERVAL '1 month', t) AS month, time_bucket(INTERVAL '3 months', t) AS quarter \
         FROM (VALUES (arrow_cast('2026-11-21T17:00:00Z', 'Timestamp(Microsecond, Some(\"UTC\"))')), \
         (arrow_cast('2026-11-30T16:59:59.999999Z', 'Timestamp(Microsecond, Some(\"UTC\"))')), \
         (arrow_cast('1969-12-31T16:59:59Z', 'Timestamp(Microsecond, Some(\"UTC\"))'))) AS v(t)",
        expect![[r#"
            +----------------------+----------------------+----------------------+----------------------+
            | day                  | week                 | month                | quarter              |
            +----------------------+----------------------+----------------------+----------------------+
            | 2026-11-21T17:00:00Z | 2026-11-15T17:00:00Z | 2026-10-31T17:00:00Z | 2026-09-30T17:00:00Z |
            | 2026-11-29T17:00:00Z | 2026-11-29T17:00:00Z | 2026-10-31T17:00:00Z | 2026-09-30T17:00:00Z |
            | 1969-12-30T17:00:00Z | 1969-12-28T17:00:00Z | 1969-11-30T17:00:00Z | 1969-09-30T17:00:00Z |
            +----------------------+----------------------+----------------------+----------------------+"#]],
    )
    .await;
}

#[tokio::test]
async fn a_window_needs_a_constant_length() {
    check(
        "SELECT tumble(now(), INTERVAL '1 month')",
        expect!["Execution error: tumble: months differ in length; use time_bucket"],
    )
    .await;
    check("SELECT time_bucket(INTERVAL '0 seconds', now())", expect!["Execution error: time_bucket: the interval must be positive, and either months or days and time"]).await;
    check("SELECT tumble(1, INTERVAL '1 minute')", expect![[r#"
        Error during planning: Execution error: Function 'tumble' user-defined coercion failed with: Error during planning: expected a timestamp, found Int64. No function matches the given name and argument types 'tumble(Int64, Interval(MonthDayNano))'. You might need to add explicit type casts.
        	Candidate functions:
        	tumble(UserDefined)"#]]).await;
}

#[test]
fn a_window_holds_its_instant() {
    for instant in [i64::MIN / 2, -1, 0, 1, 946_857_600_000_000, i64::MAX / 2] {
        for width in [1, 7, 60_000_000, 86_400_000_000] {
            for start in [window_start(instant, width), bucket_start_local(instant, width)] {
                assert!(start <= instant && instant - start < width, "{instant} {width} {start}");
            }
        }
    }
}

#[tokio::test]
async fn search_does_not_mind_tones() {
    check(
        "SELECT t, vn_search(t, 'duong quang trung') AS a, vn_search(arrow_cast(t, 'Dictionary(Int32, Utf8)'), 'ĐƯỜNG') AS b \
         FROM (VALUES ('Đường Quang Trung'), ('ĐƯỜNG QUẢNG TRUNG'), ('Cầu Rồng'), (NULL)) AS v(t)",
        expect![[r#"
            +-------------------+-------+-------+
            | t                 | a     | b     |
            +-------------------+-------+-------+
            | Đường Quang Trung | true  | true  |
            | ĐƯỜNG QUẢNG TRUNG | true  | true  |
            | Cầu Rồng          | false | false |
            |                   |       |       |
            +-------------------+-------+-------+"#]],
    )
    .await;
}

#[test]
fn decomposed_letters_fold_like_precomposed_ones() {
    assert_eq!(fold_vietnamese("Tie\u{0302}\u{0301}ng Vie\u{0323}\u{0302}t"), "tieng viet");
    assert_eq!(fold_vietnamese("Tiếng Việt, Đà Nẵng, Ươm"), "tieng viet, da nang, uom");
}

#[tokio::test]
async fn distance_is_in_metres() {
    check(
        "SELECT round(st_distance_m(105.9, 18.34, 105.9, 18.35)) AS m, st_distance_m(NULL, 1, 2, 3) AS n",
        expect![[r#"
            +--------+---+
            | m      | n |
            +--------+---+
            | 1112.0 |   |
            +--------+---+"#]],
    )
    .await;
}

#[tokio::test]
async fn nearness_is_a_distance_compared() {
    check(
        "SELECT lat, st_distance_m(105.9, 18.34, 105.9, lat) < 1854 AS metres, \
         st_dwithin(105.9, 18.34, 105.9, lat, 1854) AS near FROM (VALUES (18.34 + 1.0/60), (18.36), \
         (NULL)) AS t(lat)",
        expect![[r#"
            +--------------------+--------+-------+
            | lat                | metres | near  |
            +--------------------+--------+-------+
            | 18.356666666666666 | true   | true  |
            | 18.36              | false  | false |
            |                    |        |       |
            +--------------------+--------+-------+"#]],
    )
    .await;
}

#[tokio::test]
async fn a_view_is_as_good_as_it_is_near_and_central() {
    check(
        "SELECT heading, round(camera_view(105.9, 18.34, heading, 90, 300, 105.9, 18.341), 2) AS q \
         FROM (VALUES (0.0), (350.0), (44.0), (46.0), (NULL)) AS t(heading)",
        expect![[r#"
            +---------+------+
            | heading | q    |
            +---------+------+
            | 0.0     | 0.63 |
            | 350.0   | 0.56 |
            | 44.0    | 0.32 |
            | 46.0    |      |
            |         |      |
            +---------+------+"#]],
    )
    .await;
}

#[tokio::test]
async fn a_session_without_areas_says_so() {
    check("SELECT st_within(105.9, 18.3, '99001')", expect!["Execution error: there is no area '99001': areas come from units.geojson and areas.geojson of the map"]).await;
}

#[tokio::test]
async fn clip_gives_an_address_and_refuses_what_ends_before_it_begins() {
    check(
        "SELECT clip(camera, TIMESTAMP '2026-11-22T03:00:00.0005Z', \
         TIMESTAMP '2026-11-22T03:00:10.0005Z') AS url \
         FROM (VALUES ('CAM-01'), ('Cầu Phủ/2'), (NULL)) AS t(camera)",
        expect![[r#"
            +--------------------------------------------------------------------------------------------------+
            | url                                                                                              |
            +--------------------------------------------------------------------------------------------------+
            | /api/v1/cameras/CAM-01/clip.mp4?from_ms=1795316400000&to_ms=1795316410001                        |
            | /api/v1/cameras/C%E1%BA%A7u%20Ph%E1%BB%A7%2F2/clip.mp4?from_ms=1795316400000&to_ms=1795316410001 |
            |                                                                                                  |
            +--------------------------------------------------------------------------------------------------+"#]],
    )
    .await;
    check(
        "SELECT clip(arrow_cast('C', 'Dictionary(Int32, Utf8)'), NULL, now()) AS a, \
         clip('C', '2026-11-22T10:00:00+07:00', '2026-11-22T10:00:01+07:00') AS b",
        expect![[r#"
            +---+----------------------------------------------------------------------+
            | a | b                                                                    |
            +---+----------------------------------------------------------------------+
            |   | /api/v1/cameras/C/clip.mp4?from_ms=1795316400000&to_ms=1795316401000 |
            +---+----------------------------------------------------------------------+"#]],
    )
    .await;
    let turned =
        "SELECT clip('CAM-01', TIMESTAMP '2026-11-22T03:00:10', TIMESTAMP '2026-11-22T03:00:10')";
    check(turned, expect!["Execution error: clip of camera 'CAM-01' must end after it begins: from 2026-11-22T03:00:10.000000Z to 2026-11-22T03:00:10.000000Z"]).await;
    check("SELECT clip('CAM-01', 5, 6)", expect![[r#"
        Error during planning: Execution error: Function 'clip' user-defined coercion failed with: Error during planning: clip takes (camera_id, from, to): a camera's id and two timestamps. No function matches the given name and argument types 'clip(Utf8, Int64, Int64)'. You might need to add explicit type casts.
        	Candidate functions:
        	clip(UserDefined)"#]]).await;
}
