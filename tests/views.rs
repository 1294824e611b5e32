//! Continuous views of a running vong: made by files and by SQL, equal to what SQL says of the same
//! readings, whatever is killed.

use std::time::Duration;

use serde_json::{Value, json};
use vong_testkit::{Mosquitto, Publisher};

use crate::sensors::{SOURCE, message, now_ms, on_broker};
use crate::support::{Vong, wait_until};

const LEVELS: &str = "CREATE CONTINUOUS VIEW levels AS SELECT sensor_id, \
    tumble(event_time, INTERVAL '1 second') AS window_start, count(*) AS n, avg(value) AS mean, \
    max(value) AS highest FROM readings GROUP BY sensor_id, tumble(event_time, INTERVAL '1 second')";

/// The same question about the readings, up to the last window the view knows.
const SAME: &str = "SELECT sensor_id, tumble(event_time, INTERVAL '1 second') AS window_start, \
    count(*) AS n, avg(value) AS mean, max(value) AS highest FROM readings \
    WHERE event_time < (SELECT max(event_time) FROM levels) GROUP BY 1, 2";

fn views(vong: &Vong) -> Vec<Value> {
    serde_json::from_str(&vong.get("/api/v1/views").unwrap()).unwrap()
}

#[test]
fn a_view_says_what_sql_says_of_the_readings_also_after_kills() {
    let Some(broker) = Mosquitto::start_or_skip().unwrap() else { return };
    let mut vong = on_broker(broker.port(), SOURCE, "").unwrap();
    vong.write("views/levels.sql", LEVELS).unwrap();
    vong.start().unwrap();
    wait_until("subscription", Duration::from_secs(10), || vong.said().contains("connected"));
    // Forty seconds of the devices' time: a message a millisecond.
    let (total, base) = (40_000, now_ms() - 60_000);
    let port = broker.port();
    let publishing = std::thread::spawn(move || {
        let mut publisher = Publisher::connect(port, "publisher").unwrap();
        let mut sent = 0;
        while sent < total {
            let messages: Vec<_> = (sent..sent + 200).map(|n| message(n, base)).collect();
            publisher.publish(&messages, &mut sent).unwrap();
            std::thread::sleep(Duration::from_millis(15));
        }
    });
    for kill in 0..4 {
        std::thread::sleep(Duration::from_millis(400 + kill * 150));
        vong.kill();
        vong.start().unwrap();
    }
    publishing.join().unwrap();
    let windows = "SELECT count(DISTINCT window_start) AS n FROM levels";
    wait_until("windows are closed", Duration::from_secs(60), || {
        vong.number(windows).unwrap_or(0) >= 36
    });
    let none = |left: &str, right: &str| {
        vong.number(&format!("SELECT count(*) AS n FROM (({left}) EXCEPT ALL ({right}))")).unwrap()
    };
    let view = "SELECT sensor_id, window_start, n, mean, highest FROM levels";
    let rows = vong.number("SELECT count(*) AS n FROM levels").unwrap();
    assert!(rows >= 36 * 50, "{rows} rows");
    assert_eq!((none(view, SAME), none(SAME, view)), (0, 0), "the view and the readings differ");
    // A screen sees the latest row of each sensor.
    let shown: Value =
        serde_json::from_str(&vong.get("/api/v1/live/views/snapshot").unwrap()).unwrap();
    let rows = shown["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 50, "{shown}");
    let of_sensor = rows.iter().find(|row| row[0] == "levels/WL-007").unwrap();
    let columns = "sensor_id:text window_start:time n:int mean:float highest:float";
    assert_eq!(
        (&of_sensor[2]["columns"], &of_sensor[2]["view"]),
        (&json!(columns), &json!("levels"))
    );
    let values = of_sensor[2]["values"].as_array().unwrap();
    assert_eq!((values.len(), &values[0]), (5, &json!("WL-007")), "{of_sensor}");
    vong.stop().unwrap();
}

#[test]
fn views_come_and_go_while_vong_runs() {
    let mut vong = Vong::new("").unwrap();
    vong.write("views/levels.sql", LEVELS).unwrap();
    vong.start().unwrap();
    let listed = views(&vong);
    assert_eq!(listed[0]["view"], "levels");
    assert_eq!(listed[0]["kind"], "window");
    assert_eq!(vong.get("/api/v1/rules").unwrap(), "[]", "views are no rules");

    let made = vong
        .sql("CREATE CONTINUOUS VIEW high AS SELECT sensor_id, value FROM readings WHERE value > 3")
        .unwrap();
    assert_eq!(made, [json!({"rule_id": "high", "version": 1, "action": "create"})]);
    assert_eq!(vong.sql("SELECT sensor_id, value FROM high").unwrap(), Vec::<Value>::new());
    let plan = format!("{:?}", vong.sql("EXPLAIN CONTINUOUS VIEW levels").unwrap());
    assert!(plan.contains("marginal cost: nothing a row"), "{plan}");

    // A rule over the same windows adds nothing up of its own.
    vong.sql(
        "CREATE ALERT RULE raised SEVERITY low TITLE vi 'a' en 'a' ACTION vi 'b' en 'b' AS SELECT \
         sensor_id, avg(value) FROM readings GROUP BY sensor_id, tumble(event_time, INTERVAL '1 second') \
         HAVING avg(value) > 9",
    )
    .unwrap();
    let plan = format!("{:?}", vong.sql("EXPLAIN CONTINUOUS VIEW levels").unwrap());
    for part in ["added up once for 2 rules", "3, 1 of them shared with other rules"] {
        assert!(plan.contains(part), "expected {part:?} in {plan}");
    }

    for (sql, parts) in [
        ("DROP ALERT RULE high", ["'high' is a continuous view, not a rule", ""]),
        ("DROP CONTINUOUS VIEW hihg", ["hihg", "Did you mean 'high'"]),
        ("CREATE CONTINUOUS VIEW x AS SELECT valeu FROM readings", ["valeu", "line"]),
        ("CREATE CONTINUOUS VIEW readings AS SELECT value FROM readings", ["a table already", ""]),
    ] {
        let told = vong.sql(sql).unwrap_err().to_string();
        for part in parts {
            assert!(told.contains(part), "{sql}: expected {part:?} in: {told}");
        }
    }
    vong.sql("DROP CONTINUOUS VIEW high").unwrap();
    assert!(vong.sql("SELECT * FROM high").is_err(), "a dropped view is no table");

    // What files no longer say goes with the next start, what they say stays.
    vong.stop().unwrap();
    vong.start().unwrap();
    assert_eq!(views(&vong).len(), 1);
    vong.stop().unwrap();
    vong.write("views/levels.sql", "").unwrap();
    vong.start().unwrap();
    assert_eq!(views(&vong), Vec::<Value>::new());
}
