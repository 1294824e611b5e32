//! Sensors over a real Mosquitto: nothing lost, nothing doubled, whatever restarts or is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use vong_testkit::{Mosquitto, Publisher};

use crate::support::{Vong, wait_until};

pub(crate) const SOURCE: &str = r#"
[[source]]
id = "water"
broker = "city"
topic = "t/water/{sensor_id}"
timestamp = { pointer = "/t", format = "unix_ms" }
[[source.field]]
metric = "water_level"
pointer = "/level"
unit = "m"
min = -5.0
max = 50.0
"#;

pub(crate) const RULE: &str = "CREATE ALERT RULE level_high SEVERITY high \
    TITLE vi 'Mực nước cao' en 'Water high' ACTION vi 'Kiểm tra' en 'Check' \
    AS SELECT sensor_id, value FROM readings WHERE metric = 'water_level' AND value > 40;";

/// A vong that listens to this broker.
pub(crate) fn on_broker(port: u16, source: &str, rules: &str) -> Result<Vong> {
    let vong = Vong::new(&format!(
        "[[broker]]\nid = \"city\"\nhost = \"127.0.0.1\"\nport = {port}\n[data]\nlog_segment_mib = 1\nsnapshot_every_s = 0\n[telemetry]\nlog_filter = \"info\"\n"
    ))?;
    vong.write("sources/test.toml", source)?;
    vong.write("rules/test.sql", rules)?;
    Ok(vong)
}

pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(0))
}

/// Message `n` of a run: its sensor and level follow from `n`, every hundredth is an alert.
pub(crate) fn message(n: usize, base_ms: i64) -> (String, Vec<u8>) {
    let level = if n % 100 == 99 { 45.0 } else { 2.0 };
    let at = base_ms + i64::try_from(n).unwrap_or(0);
    (format!("t/water/WL-{:03}", n % 50), format!("{{\"t\":{at},\"level\":{level}}}").into_bytes())
}

pub(crate) fn distinct(vong: &Vong) -> u64 {
    vong.number("SELECT count(*) AS n FROM (SELECT DISTINCT sensor_id, event_time FROM readings)")
        .unwrap()
}

#[test]
fn broker_restarted_in_the_middle_loses_and_doubles_nothing() {
    let Some(mut broker) = Mosquitto::start_or_skip().unwrap() else { return };
    let mut vong = on_broker(broker.port(), SOURCE, RULE).unwrap();
    vong.start().unwrap();
    wait_until("subscription", Duration::from_secs(10), || vong.said().contains("connected"));
    let base = now_ms() - 10_000;
    let messages: Vec<_> = (0..6_000).map(|n| message(n, base)).collect();
    let port = broker.port();
    let publishing =
        std::thread::spawn(move || Publisher::publish_through(port, "publisher", &messages));
    std::thread::sleep(Duration::from_millis(150));
    broker.restart().unwrap();
    publishing.join().unwrap().unwrap();
    wait_until("all messages in SQL", Duration::from_secs(30), || distinct(&vong) == 6_000);
    std::thread::sleep(Duration::from_millis(500)); // what would be doubled is in by now
    assert_eq!(vong.number("SELECT count(*) AS n FROM readings").unwrap(), 6_000);
    vong.stop().unwrap();
}

#[test]
fn every_count_between_two_acknowledgements_agrees_with_what_was_published() {
    let Some(broker) = Mosquitto::start_or_skip().unwrap() else { return };
    let mut vong = on_broker(broker.port(), SOURCE, "").unwrap();
    vong.start().unwrap();
    wait_until("subscription", Duration::from_secs(10), || vong.said().contains("connected"));
    let base = now_ms() - 60_000;
    let mut publisher = Publisher::connect(broker.port(), "publisher").unwrap();
    let mut published = 0;
    for round in 0..40 {
        let messages: Vec<_> = (0..1_000).map(|n| message(round * 1_000 + n, base)).collect();
        publisher.publish(&messages, &mut published).unwrap();
        let mut last = 0;
        wait_until("count reaches what was published", Duration::from_secs(20), || {
            let n = vong.number("SELECT count(*) AS n FROM readings").unwrap();
            assert!(
                n >= last && n <= published as u64,
                "count went from {last} to {n}, published {published}"
            );
            last = n;
            n == published as u64
        });
    }
    let archived = vong.get("/metrics").unwrap();
    assert!(archived.contains("vong_store_"), "history tables took part");
    vong.stop().unwrap();
}

#[test]
fn kills_under_load_lose_no_acknowledged_message_and_double_no_alert() {
    let kills = std::env::var("VONG_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_u64);
    let Some(broker) = Mosquitto::start_or_skip().unwrap() else { return };
    let mut vong = on_broker(broker.port(), SOURCE, RULE).unwrap();
    vong.start().unwrap();
    wait_until("subscription", Duration::from_secs(10), || vong.said().contains("connected"));
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (port, stop_sending, count) = (broker.port(), Arc::clone(&stop), Arc::clone(&sent));
    // The devices' time runs faster than ours: a message a millisecond, whatever the load.
    let base = now_ms() - 10_000 - i64::try_from(kills).unwrap() * 3_000;
    let publishing = std::thread::spawn(move || -> Result<()> {
        let mut publisher = Publisher::connect(port, "publisher")?;
        let mut n = 0;
        while !stop_sending.load(Ordering::SeqCst) {
            let messages: Vec<_> = (n..n + 50).map(|n| message(n, base)).collect();
            publisher.publish(&messages, &mut n)?;
            count.store(n, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    });
    let mut restarts = Vec::new();
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(120 + kill * 37 % 200));
        vong.kill();
        let begun = Instant::now();
        vong.start().unwrap();
        restarts.push(begun.elapsed());
    }
    restarts.sort();
    stop.store(true, Ordering::SeqCst);
    publishing.join().unwrap().unwrap();
    let sent = sent.load(Ordering::SeqCst) as u64;
    wait_until("all messages in SQL", Duration::from_secs(60), || distinct(&vong) == sent);
    let rows = vong.number("SELECT count(*) AS n FROM readings").unwrap();
    assert_eq!(rows, sent, "a message was stored twice");
    let twice = "SELECT alert_id, state, event_time, count(*) AS n FROM alert_transitions \
                 GROUP BY alert_id, state, event_time HAVING count(*) > 1";
    assert_eq!(vong.sql(twice).unwrap(), Vec::<serde_json::Value>::new());
    let fired =
        vong.number("SELECT count(*) AS n FROM alert_transitions WHERE state = 'firing'").unwrap();
    assert!(fired > 0, "the load holds alerts");
    println!(
        "{kills} kills, {sent} messages, {fired} alerts; restart to ready: median {:?}, longest {:?}",
        restarts[restarts.len() / 2],
        restarts[restarts.len() - 1]
    );
    vong.stop().unwrap();
    let (told, sound) = vong.run(&["fsck", "--data", vong.path("data").to_str().unwrap()]).unwrap();
    assert!(sound, "{told}");
}

#[test]
fn messages_that_cannot_be_understood_are_kept_with_their_reason_and_hinder_nothing() {
    let Some(broker) = Mosquitto::start_or_skip().unwrap() else { return };
    let source = format!(
        "{SOURCE}\n[[source]]\nid = \"all\"\nbroker = \"city\"\ntopic = \"t/other/{{sensor_id}}/#\"\n[[source.field]]\nmetric = \"x\"\npointer = \"/x\"\n"
    );
    let mut vong = on_broker(broker.port(), &source, RULE).unwrap();
    vong.start().unwrap();
    wait_until("subscription", Duration::from_secs(10), || vong.said().contains("connected"));
    let now = now_ms();
    let bad: &[(&str, String)] = &[
        ("malformed_json", "{\"t\":".to_owned()),
        ("wrong_type", format!("{{\"t\":{now},\"level\":\"high\"}}")),
        ("missing_field", format!("{{\"t\":{now}}}")),
        ("out_of_range", format!("{{\"t\":{now},\"level\":900}}")),
        ("bad_timestamp", "{\"t\":\"yesterday\",\"level\":1}".to_owned()),
        ("time_too_old", "{\"t\":0,\"level\":1}".to_owned()),
        ("time_in_future", "{\"t\":2147483648000,\"level\":1}".to_owned()),
    ];
    let mut publisher = Publisher::connect(broker.port(), "publisher").unwrap();
    let mut messages: Vec<(String, Vec<u8>)> = bad
        .iter()
        .map(|(_, payload)| ("t/water/WL-001".to_owned(), payload.clone().into_bytes()))
        .collect();
    messages
        .push(("t/water/WL-001".to_owned(), format!("{{\"t\":{now},\"level\":3.2}}").into_bytes()));
    messages.push(("t/water/".to_owned(), format!("{{\"t\":{now},\"level\":1}}").into_bytes()));
    publisher.publish(&messages, &mut 0).unwrap();
    wait_until("good message", Duration::from_secs(10), || distinct(&vong) == 1);
    for (reason, payload) in bad {
        let rows = vong
            .sql(&format!(
                "SELECT detail, topic, payload FROM rejected_events WHERE reason = '{reason}' AND topic <> 't/water/'"
            ))
            .unwrap();
        assert_eq!(rows.len(), 1, "{reason} for {payload}: {rows:?}");
        assert!(rows[0]["detail"].as_str().is_some_and(|d| !d.is_empty()));
    }
    let unnamed = "SELECT count(*) AS n FROM rejected_events WHERE reason = 'missing_field' AND topic = 't/water/'";
    assert_eq!(vong.number(unnamed).unwrap(), 1);
    assert_eq!(
        vong.number("SELECT count(*) AS n FROM rejected_events").unwrap(),
        bad.len() as u64 + 1
    );
    vong.stop().unwrap();
}

#[test]
fn message_of_a_source_that_was_taken_away_is_kept_as_of_unknown_topic() {
    let Some(broker) = Mosquitto::start_or_skip().unwrap() else { return };
    let other = SOURCE.replace("t/water/", "t/river/").replace("id = \"water\"", "id = \"river\"");
    let mut vong = on_broker(broker.port(), &format!("{SOURCE}{other}"), "").unwrap();
    vong.start().unwrap();
    wait_until("subscription", Duration::from_secs(10), || vong.said().contains("connected"));
    std::thread::sleep(Duration::from_millis(500)); // both filters are taken by the broker
    vong.stop().unwrap();
    vong.write("sources/test.toml", SOURCE).unwrap();
    // The broker remembers the session, and with it the filter of the source that is gone.
    let payload = format!("{{\"t\":{},\"level\":1}}", now_ms()).into_bytes();
    let mut publisher = Publisher::connect(broker.port(), "publisher").unwrap();
    publisher.publish(&[("t/river/WL-001".to_owned(), payload)], &mut 0).unwrap();
    vong.start().unwrap();
    let rejected = "SELECT count(*) AS n FROM rejected_events WHERE reason = 'unknown_topic' AND topic = 't/river/WL-001'";
    wait_until("the message is kept", Duration::from_secs(10), || {
        vong.number(rejected).unwrap() == 1
    });
    vong.stop().unwrap();
}

#[test]
fn an_alert_is_explained_by_its_steps_and_the_rows_behind_it() {
    let Some(broker) = Mosquitto::start_or_skip().unwrap() else { return };
    let mut vong = on_broker(broker.port(), SOURCE, RULE).unwrap();
    vong.start().unwrap();
    wait_until("subscription", Duration::from_secs(10), || vong.said().contains("connected"));
    let mut publisher = Publisher::connect(broker.port(), "publisher").unwrap();
    let base = now_ms();
    let messages: Vec<_> = (0..200).map(|n| message(n, base)).collect();
    publisher.publish(&messages, &mut 0).unwrap();
    let alerts = || vong.sql("SELECT alert_id, key FROM alerts ORDER BY alert_id").unwrap();
    wait_until("the alerts are there", Duration::from_secs(20), || alerts().len() == 2);
    let alert = alerts()[0]["alert_id"].as_str().unwrap().to_owned();
    let told = vong.sql(&format!("EXPLAIN ALERT '{alert}'")).unwrap();
    let part = |name: &str| told.iter().filter(|row| row["part"] == name).count();
    let rows: Vec<&str> = told
        .iter()
        .filter(|row| row["part"] == "row")
        .filter_map(|row| row["what"].as_str())
        .collect();
    assert!(part("step") >= 1, "{told:?}");
    assert!(rows.contains(&"readings water_level 45.0 m"), "{told:?}");
    let window = vong.sql("EXPLAIN WINDOW readings").unwrap();
    let window = format!("{window:?}");
    assert!(
        window.contains("source water") && window.contains("watermark of readings"),
        "{window}"
    );
    let tried = |body: &serde_json::Value| -> serde_json::Value {
        let mut answer = ureq::post(vong.url("/api/v1/backtest")).send_json(body).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    };
    let as_logged = tried(&serde_json::json!({}));
    assert_eq!(as_logged["report"]["alerts"], 2, "{as_logged}");
    let none = serde_json::json!({"only_live": 0, "only_backtest": 0});
    assert_eq!(as_logged["difference"], none, "{as_logged}");
    let lower = RULE.replace("value > 40", "value > 1");
    let lower = tried(&serde_json::json!({"sql": lower, "operators": 3}));
    assert_eq!(lower["report"]["alerts"], 50, "{lower}");
    let unknown = vong.sql("EXPLAIN ALERT 'nobody'").unwrap_err().to_string();
    assert!(unknown.contains("no alert 'nobody' is known"), "{unknown}");
    vong.stop().unwrap();
}
