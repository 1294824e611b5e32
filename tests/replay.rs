//! Real traffic series replayed through Mosquitto a thousand times as fast; the backtest over the
//! stored history gives the alerts that were given live.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;
use vong_testkit::{Mosquitto, Publisher};

use crate::sensors::on_broker;
use crate::support::{shared, wait_until};

const SOURCE: &str = r#"
[[source]]
id = "nab"
broker = "city"
topic = "nab/{sensor_id}"
max_age = "20000d"
timestamp = { pointer = "/timestamp", format = "%Y-%m-%d %H:%M:%S" }
[[source.field]]
metric = "value"
pointer = "/value"
"#;

/// Thresholds near the fifth and the ninety-fifth percentile of each kind of detector.
const RULES: &str = "
CREATE ALERT RULE speed_low SEVERITY high TITLE vi 'Tốc độ thấp' en 'Speed low' ACTION vi 'Xem camera' en 'See the camera'
AS SELECT sensor_id, avg(value) AS speed FROM readings WHERE sensor_id IN ('speed_6005', 'speed_7578')
   GROUP BY sensor_id, tumble(event_time, INTERVAL '30 minutes') HAVING avg(value) < 65;
CREATE ALERT RULE occupancy_high SEVERITY medium TITLE vi 'Mật độ cao' en 'Occupancy high' ACTION vi 'Xem camera' en 'See the camera'
AS SELECT sensor_id, value FROM readings WHERE sensor_id = 'occupancy_6005' AND value > 11;
CREATE ALERT RULE travel_time_high SEVERITY medium FOR INTERVAL '15 minutes'
TITLE vi 'Thời gian đi lại tăng' en 'Travel time high' ACTION vi 'Xem camera' en 'See the camera'
AS SELECT sensor_id, value FROM readings WHERE sensor_id = 'TravelTime_387' AND value > 500;
CREATE ALERT RULE detector_silent SEVERITY low NO DATA FOR INTERVAL '90 minutes'
TITLE vi 'Mất tín hiệu' en 'Detector silent' ACTION vi 'Kiểm tra thiết bị' en 'Check the device'
AS SELECT sensor_id FROM readings WHERE metric = 'value';
";

/// Wall time that the replay may take: at 1,000 times as fast this is almost a day of data.
const SPAN: Duration = Duration::from_secs(60);

/// One row of a series: seconds since the series' cut began, topic, payload.
type Row = (f64, String, Vec<u8>);

#[test]
fn backtest_over_the_history_gives_the_alerts_that_were_given_live() {
    let Some(folder) = shared("data/nab/realTraffic") else { return };
    let Some(broker) = Mosquitto::start_or_skip().unwrap() else { return };
    // Each series is cut to begin in the morning before one of its labelled anomalies, and all run
    // side by side on the days they are from: rows of different years share one stream's clock, so
    // every series is moved to the same first instant.
    let cuts = [
        ("speed_6005", "2015-09-17 00:00:00"),
        ("speed_7578", "2015-09-11 06:00:00"),
        ("occupancy_6005", "2015-09-15 00:00:00"),
        ("TravelTime_387", "2015-08-18 06:00:00"),
    ];
    let mut rows: Vec<Row> = Vec::new();
    for (series, from) in cuts {
        rows.extend(cut(&folder.join(format!("{series}.csv")), series, from).unwrap());
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(rows.len() > 300, "the cut holds {} rows", rows.len());

    let mut vong = on_broker(broker.port(), SOURCE, RULES).unwrap();
    vong.start().unwrap();
    wait_until("subscription", Duration::from_secs(10), || vong.said().contains("connected"));
    replay(broker.port(), &rows).unwrap();
    let all = rows.len() as u64;
    wait_until("all rows in SQL", Duration::from_secs(10), || {
        vong.number("SELECT count(*) AS n FROM readings").unwrap() == all
    });
    std::thread::sleep(Duration::from_secs(3)); // the last windows close
    vong.stop().unwrap();
    vong.start().unwrap();
    let live = vong
        .sql("SELECT alert_id, rule_id, state, event_time FROM alert_transitions ORDER BY cause_offset, cause_ordinal")
        .unwrap();
    vong.stop().unwrap();

    let data = vong.path("data");
    let (told, succeeded) =
        vong.run(&["backtest", "--json", "--data", data.to_str().unwrap()]).unwrap();
    assert!(succeeded, "{told}");
    let again: Vec<Value> =
        told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let key = |row: &Value| {
        ["alert_id", "rule_id", "state", "event_time"]
            .map(|column| row[column].to_string())
            .join(" ")
    };
    let live: Vec<String> = live.iter().map(key).collect();
    let again: Vec<String> =
        again.iter().filter(|row| row["alert_id"].is_string()).map(key).collect();
    assert!(live.len() >= 4, "real data gives alerts: {live:?}");
    assert_eq!(live, again);
    println!(
        "{} rows of real traffic, {} alert transitions, live and again",
        rows.len(),
        live.len()
    );
}

/// Rows of `file` from `from` on, for as long as the replay lasts, moved to one common first instant.
fn cut(file: &std::path::Path, series: &str, from: &str) -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(file)?;
    let begin = seconds(from).context("cut")?;
    let common = seconds("2015-09-17 00:00:00").context("cut")?;
    let span = SPAN.as_secs_f64() * 1_000.0;
    let mut rows = Vec::new();
    for line in text.lines().skip(1) {
        let (timestamp, value) = line.split_once(',').context("a comma")?;
        let at = seconds(timestamp).context("a timestamp")? - begin;
        if (0.0..span).contains(&at) {
            let moved = timestamp_of(common + at);
            let payload = format!("{{\"timestamp\":\"{moved}\",\"value\":{value}}}");
            rows.push((at, format!("nab/{series}"), payload.into_bytes()));
        }
    }
    Ok(rows)
}

fn replay(port: u16, rows: &[Row]) -> Result<()> {
    let mut publisher = Publisher::connect(port, "replay")?;
    let begun = Instant::now();
    for (at, topic, payload) in rows {
        let due = Duration::from_secs_f64(at / 1_000.0);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        publisher.publish(&[(topic.clone(), payload.clone())], &mut 0)?;
    }
    Ok(())
}

/// Seconds of a `2015-09-17 07:00:00` since the year began; enough for differences within one year.
fn seconds(text: &str) -> Option<f64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    let days_before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let days = days_before.get(number(5..7)? as usize - 1)? + number(8..10)? - 1;
    Some(f64::from(((days * 24 + number(11..13)?) * 60 + number(14..16)?) * 60 + number(17..19)?))
}

/// The inverse of [`seconds`], for September 2015, where the common first instant lies.
fn timestamp_of(seconds_of_year: f64) -> String {
    let s = seconds_of_year as u64;
    let (day, s) = (s / 86_400 - 243 + 1, s % 86_400);
    format!("2015-09-{day:02} {:02}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)
}
