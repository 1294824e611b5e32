//! A mistake gets a message that says what, where and what to do.

use crate::support::{Vong, run_in};

/// Runs `vong check` on a directory made of `files` and compares the first lines it says.
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let vong = Vong::new("").unwrap();
    for (name, content) in files {
        vong.write(name, content).unwrap();
    }
    let config = vong.path("vong.toml");
    let (told, succeeded) =
        run_in(vong.directory.path(), &["check", "--config", config.to_str().unwrap()]).unwrap();
    let told = told.replace(&format!("{}/", vong.directory.path().display()), "");
    for part in expected {
        assert!(told.contains(part), "expected {part:?} in:\n{told}");
    }
    assert!(!succeeded, "a mistake must fail the check:\n{told}");
}

#[test]
fn unknown_configuration_key_is_told_with_place_and_suggestion() {
    check(
        &[("vong.toml", "[http]\nlissten = \"127.0.0.1:9\"\n")],
        &["vong.toml:2:1", "unknown field `lissten`", "did you mean `listen`?"],
    );
}

#[test]
fn rule_with_an_unknown_column_is_told_with_place_and_suggestion() {
    let rule = "CREATE ALERT RULE r SEVERITY low TITLE vi 'a' en 'a' ACTION vi 'a' en 'a'\n\
                AS SELECT sensor_id FROM readings WHERE valu > 3;\n";
    check(&[("rules/r.sql", rule)], &["rules/r.sql:2:", "valu", "value"]);
}

#[test]
fn rules_that_hold_too_much_are_told_with_estimate_and_budget() {
    let rule = "CREATE ALERT RULE r SEVERITY low TITLE vi 'a' en 'a' ACTION vi 'a' en 'a' AS\n\
                SELECT sensor_id, avg(value) FROM readings GROUP BY sensor_id, \
                hop(event_time, INTERVAL '1 minute', INTERVAL '1 day') HAVING avg(value) > 3;\n";
    check(
        &[("rules/r.sql", rule)],
        &["rules/r.sql:2:", "989 MiB", "1441 panes of 10 thousand keys", "256 MiB", "slide longer"],
    );
}

#[test]
fn faults_of_a_table_are_told_with_line_and_column() {
    let check_table = |name: &str, text: &str, expected: &[&str]| {
        let vong = Vong::new("").unwrap();
        std::fs::create_dir(vong.path("tables")).unwrap();
        vong.write(name, text).unwrap();
        let config = vong.path("vong.toml");
        let arguments = ["check", "--config", config.to_str().unwrap()];
        let (told, succeeded) = run_in(vong.directory.path(), &arguments).unwrap();
        for part in expected {
            assert!(told.contains(part), "expected {part:?} in:\n{told}");
        }
        assert!(!succeeded);
    };
    let text = "sensor_id,high\na,3.5\nb,\"3,5\"\n";
    check_table(
        "tables/limits.csv",
        text,
        &["tables/limits.csv:3:3", "'3,5' in column 'high' is not a number", "high:text"],
    );
    check_table("tables/limits.csv", "a,b\nx,1\nx,2\n", &["limits.csv:3:1", "stands in line 2"]);
    check_table("tables/alerts.csv", "a,b\nx,1\n", &["there is a table 'alerts' already"]);
    check_table("tables/sensors.csv", "a,b\nx,1\n", &["there is a table 'sensors' already"]);
}

#[test]
fn wrong_camera_address_is_told_with_its_line() {
    let cameras = "camera_id,name_vi,name_en,lon,lat,heading_deg,unit_code,url\n\
                   C1,a,a,105.9,18.3,0,U1,htp://10.0.0.9/main\n";
    check(&[("cameras.csv", cameras)], &["cameras.csv:2:", "htp://10.0.0.9/main", "rtsp://"]);
}

#[test]
fn unknown_key_of_a_source_is_told_with_its_place() {
    let source =
        "[[source]]\nid = \"s\"\nbroker = \"city\"\ntopic = \"a/{sensor_id}\"\ntimestmp = 3\n";
    check(&[("sources/s.toml", source)], &["sources/s.toml:5:", "timestmp"]);
}

#[test]
fn listener_for_other_machines_is_refused() {
    check(
        &[("vong.toml", "[http]\nlisten = \"0.0.0.0:8080\"\n")],
        &["reachable from other machines", "127.0.0.1"],
    );
}

#[test]
fn the_rule_set_for_traffic_holds_in_an_installation_built_for_it() {
    let rule_set =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/rule-sets/traffic_anomalies.sql");
    let text = std::fs::read_to_string(rule_set).unwrap();
    check(&[("rules/traffic.sql", &text)], &["rules/traffic.sql:", "rules.memory_mib"]);
    let vong = Vong::new("[rules]\nrows_per_s = 20\n").unwrap();
    vong.write("rules/traffic.sql", &text).unwrap();
    let config = vong.path("vong.toml");
    let arguments = ["check", "--config", config.to_str().unwrap()];
    let (told, succeeded) = run_in(vong.directory.path(), &arguments).unwrap();
    assert!(succeeded, "{told}");
}
