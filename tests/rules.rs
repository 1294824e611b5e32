//! Rules made, changed and taken away while vong runs, and what it says about them.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Vong, wait_until};

const TEXTS: &str = "TITLE vi 'a' en 'a' ACTION vi 'b' en 'b'";

fn high(bound: u32) -> String {
    format!(
        "CREATE ALERT RULE high SEVERITY low {TEXTS} AS SELECT sensor_id, value FROM readings \
         WHERE value > {bound}"
    )
}

fn running() -> Vong {
    let mut vong = Vong::new("").unwrap();
    vong.write("rules/high.sql", &high(5)).unwrap();
    vong.start().unwrap();
    vong
}

/// Name, version, whether it is on, and who changed it last.
fn rules(vong: &Vong) -> Vec<(String, u64, bool, String)> {
    let rules: Vec<Value> = serde_json::from_str(&vong.get("/api/v1/rules").unwrap()).unwrap();
    let text = |rule: &Value, name: &str| rule[name].as_str().unwrap().to_owned();
    let rule = |rule: &Value| {
        let (version, enabled) = (rule["version"].as_u64().unwrap(), rule["enabled"] == true);
        (text(rule, "rule_id"), version, enabled, text(rule, "changed_by"))
    };
    rules.iter().map(rule).collect()
}

#[test]
fn rules_are_changed_by_sql_while_vong_runs() {
    let mut vong = running();
    assert_eq!(rules(&vong), [("high".to_owned(), 1, true, "rule files".to_owned())]);
    let made = vong
        .sql(&format!(
            "CREATE ALERT RULE busy SEVERITY high INHIBITED BY high {TEXTS} AS SELECT sensor_id, \
             count(*) FROM readings GROUP BY sensor_id, hop(event_time, INTERVAL '10 seconds', \
             INTERVAL '1 minute') HAVING count(*) > 100"
        ))
        .unwrap();
    assert_eq!(made, [json!({"rule_id": "busy", "version": 1, "action": "create"})]);
    let changes = vong
        .sql("ALTER ALERT RULE busy SET SEVERITY critical; ALTER ALERT RULE high DISABLE")
        .unwrap();
    assert_eq!(changes.len(), 2, "{changes:?}");
    let by_admin = rules(&vong);
    assert_eq!(by_admin[0].0, "busy");
    assert_eq!((by_admin[0].1, by_admin[1].1, by_admin[1].2), (2, 2, false), "{by_admin:?}");

    let plan = vong.sql("EXPLAIN ALERT RULE busy").unwrap();
    let plan: Vec<&str> = plan.iter().filter_map(|row| row["plan"].as_str()).collect();
    let plan = plan.join("\n");
    for part in [
        "window rule over readings",
        "60 s every 10 s",
        "marginal cost: nothing a row",
        "estimate: 5 MiB",
    ] {
        assert!(plan.contains(part), "expected {part:?} in:\n{plan}");
    }
    let window = format!("{:?}", vong.sql("EXPLAIN WINDOW readings").unwrap());
    assert!(window.contains("readings has no watermark yet"), "{window}");

    // What people made outlives a restart, and the files do not take it back.
    vong.stop().unwrap();
    vong.start().unwrap();
    assert_eq!(rules(&vong), by_admin);
    vong.sql("DROP ALERT RULE busy; ALTER ALERT RULE high ENABLE").unwrap();
    let names: Vec<_> = rules(&vong).into_iter().map(|rule| (rule.0, rule.2)).collect();
    assert_eq!(names, [("high".to_owned(), true)]);
}

#[test]
fn rules_that_cost_too_much_are_not_made() {
    let mut vong = Vong::new("[rules]\nasked_rows_per_s = 100\n").unwrap();
    vong.start().unwrap();
    let asked = |name: &str, every: u32| {
        let select = "SELECT camera_id FROM camera_events WHERE state = 'lost'";
        format!(
            "CREATE ALERT RULE {name} SEVERITY low EVERY INTERVAL '{every} seconds' OVER LAST \
             INTERVAL '1 minute' {TEXTS} AS {select}"
        )
    };
    assert_eq!(vong.sql(&asked("one", 10)).unwrap().len(), 1);
    let told = format!("{:#}", vong.sql(&asked("two", 10)).unwrap_err());
    for part in ["60 rows a second", "may handle 100", "others take 60", "ask less often"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(vong.sql(&asked("two", 60)).unwrap().len(), 1);
    let plan = vong.sql("EXPLAIN ALERT RULE two").unwrap();
    assert!(plan.iter().any(|row| row["plan"].as_str().unwrap().contains("10 rows a second")));
    assert_eq!(rules(&vong).len(), 2);
    wait_until("each rule has its series", Duration::from_secs(20), || {
        let metrics = vong.get("/metrics").unwrap();
        metrics.contains("vong_rule_memory_bytes{rule=\"one\"}")
            && metrics.contains("vong_rule_rows{rule=\"two\"} 0")
    });
}

#[test]
fn refused_statements_name_the_place_and_change_nothing() {
    let vong = running();
    let before = rules(&vong);
    let wrong_column = high(1).replace("value >", "valeu >");
    let low = high(1).replace("RULE high SEVERITY low", "RULE low SEVERITY low INHIBITED BY high");
    let ring = format!("{low}; ALTER ALERT RULE high SET INHIBITED BY low");
    for (sql, parts) in [
        (wrong_column.as_str(), ["valeu", "Did you mean 'value'", "line"].as_slice()),
        ("ALTER ALERT RULE hihg DISABLE", &["hihg", "Did you mean 'high'"]),
        ("ALTER ALERT RULE high SET SEVERITY urgent", &["critical", "column"]),
        (&ring, &["in a ring", "INHIBITED BY"]),
        ("EXPLAIN ALERT RULE nobody", &["no rule 'nobody' is in force"]),
        ("CREATE ALERT RULE high SEVERITY low", &["expected"]),
    ] {
        let told = vong.sql(sql).unwrap_err().to_string();
        for part in parts {
            assert!(told.contains(part), "{sql}: expected {part:?} in: {told}");
        }
    }
    assert_eq!(rules(&vong), before);
}

fn hang_up(vong: &Vong) {
    let pid = vong.pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
}

#[test]
fn changed_tables_are_read_again_on_sighup_and_kept_in_the_log() {
    let mut vong = Vong::new("").unwrap();
    std::fs::create_dir(vong.path("tables")).unwrap();
    vong.write("tables/limits.csv", "sensor_id,high\na,50\n").unwrap();
    let rule = format!(
        "CREATE ALERT RULE over SEVERITY low {TEXTS} AS SELECT r.sensor_id, value FROM readings r \
         JOIN limits t ON t.sensor_id = r.sensor_id WHERE r.value > t.high"
    );
    vong.write("rules/over.sql", &rule).unwrap();
    std::fs::create_dir(vong.path("map")).unwrap();
    let square = "[[[0,0],[1,0],[1,1],[0,1],[0,0]]]";
    let area = |coordinates: &str| {
        format!(
            r#"{{"features":[{{"properties":{{"area_id":"small"}},"geometry":{{"type":"Polygon","coordinates":{coordinates}}}}}]}}"#
        )
    };
    vong.write("map/areas.geojson", &area(square)).unwrap();
    let near = format!(
        "CREATE ALERT RULE near SEVERITY low {TEXTS} AS SELECT r.sensor_id, value FROM readings r \
         JOIN sensors s USING (sensor_id) WHERE value > 3 AND st_within(s.lon, s.lat, 'small')"
    );
    vong.write("rules/near.sql", &near).unwrap();
    vong.start().unwrap();
    let in_force = |vong: &Vong| rules(vong).iter().map(|rule| rule.0.clone()).collect::<Vec<_>>();
    assert_eq!(in_force(&vong), ["near", "over"]);
    let plan = vong.sql("EXPLAIN ALERT RULE over").unwrap();
    let says = |part: &str| plan.iter().any(|row| row["plan"].as_str().unwrap().contains(part));
    assert!(says("looked up once a record") && says("limits.high"), "{plan:?}");
    let high = |vong: &Vong| vong.sql("SELECT high FROM limits").unwrap()[0]["high"].clone();
    assert_eq!(high(&vong), 50.0);
    let versions = "SELECT count(*) FROM config_changes WHERE item = 'table/limits'";
    assert_eq!(vong.number(versions).unwrap(), 1);

    vong.write("tables/limits.csv", "sensor_id,high\na,70\nb,1\n").unwrap();
    hang_up(&vong);
    wait_until("the new version is on the log", Duration::from_secs(20), || {
        vong.number(versions).unwrap() == 2
    });
    let within =
        "SELECT st_within(0.5, 0.2, 'small') AS a, st_within(2.5, 0.2, 'small') AS b FROM areas";
    let within = vong.sql(within).unwrap();
    assert_eq!((within[0]["a"].clone(), within[0]["b"].clone()), (json!(true), json!(false)));
    let newest = "SELECT detail FROM config_changes WHERE item = 'table/limits' \
                  ORDER BY log_offset DESC LIMIT 1";
    let newest = vong.sql(newest).unwrap()[0]["detail"].clone();
    assert_eq!(newest, "sensor_id:key,high:number\na,70\nb,1\n");
    assert!(vong.sql("SELECT sensor_id FROM limits WHERE high = 70").unwrap().len() == 1);

    vong.write("tables/limits.csv", "sensor_id,high\na,70\nb,many\n").unwrap();
    hang_up(&vong);
    wait_until("the mistake is told", Duration::from_secs(20), || {
        vong.said().contains("tables/limits.csv:3:3")
    });
    // A rule of the files would not hold: nothing changes.
    vong.write("tables/limits.csv", "sensor_id,higher\na,70\n").unwrap();
    hang_up(&vong);
    wait_until("the rule is told", Duration::from_secs(20), || {
        vong.said().contains("there is no column 'high'")
    });
    assert_eq!(vong.number(versions).unwrap(), 2);

    vong.write("tables/limits.csv", "sensor_id,high\nb,1\na,70\n").unwrap();
    vong.stop().unwrap();
    vong.start().unwrap();
    assert_eq!(vong.number(versions).unwrap(), 2, "only what differs is written");
    assert_eq!(in_force(&vong), ["near", "over"]);
    std::fs::remove_file(vong.path("rules/over.sql")).unwrap();
    std::fs::remove_file(vong.path("tables/limits.csv")).unwrap();
    hang_up(&vong);
    wait_until("rule and table are gone", Duration::from_secs(20), || {
        in_force(&vong) == ["near"] && vong.number(versions).unwrap() == 3
    });
}

#[test]
fn changed_rule_files_are_read_again_on_sighup() {
    let vong = running();
    let hang_up = || hang_up(&vong);
    vong.write("rules/high.sql", &high(7)).unwrap();
    vong.write("rules/low.sql", &high(2).replace("RULE high", "RULE low")).unwrap();
    hang_up();
    wait_until("both rules are in force", Duration::from_secs(20), || {
        rules(&vong).iter().map(|rule| rule.1).collect::<Vec<_>>() == [2, 1]
    });
    vong.write("rules/low.sql", "CREATE ALERT RULE low").unwrap();
    hang_up();
    wait_until("the mistake is told", Duration::from_secs(20), || {
        vong.said().contains("everything stays as it was")
    });
    assert_eq!(rules(&vong).len(), 2);
}
