//! What is planned to what, and what is refused with which words.

mod views;

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use vong_sql::rule::{RuleStatement, parse_one};

use super::*;

fn definition(clause: &str, select: &str) -> RuleDefinition {
    let text = format!(
        "CREATE ALERT RULE r SEVERITY low {clause} TITLE vi 'a' en 'b' ACTION vi 'c' en 'd' AS\n{select}"
    );
    match parse_one(&text) {
        Ok(RuleStatement::Create(rule)) => *rule,
        other => panic!("{other:?}"),
    }
}

fn check(clause: &str, select: &str, expected: &Expect) {
    let planner = RulePlanner::new().unwrap();
    for (name, text) in [
        ("sensors", "sensor_id,kind,lon,lat,unit_code:text\nS-1,rain,105.9,18.3,00101\n"),
        ("areas", "area_id:key,wkt\n00101,\"MULTIPOLYGON(((105 18,106 18,106 19,105 18)))\"\n"),
        ("units", "unit_code,parent_code:text,level\n00101,,commune\n"),
        ("thresholds", "sensor_id:key,metric:key,high,active\nS-1,rain,30,true\n"),
    ] {
        planner.set_table(&Arc::new(Table::parse(name, text).unwrap())).unwrap();
    }
    let shown = match planner.plan(&definition(clause, select)) {
        Ok(plan) => show(&plan),
        Err(e) => format!("{e} {}", e.hint().unwrap_or_default()),
    };
    expected.assert_eq(&shown);
}

fn of_shown(of: &Of) -> &str {
    match of {
        Of::Matched => "whether there is one",
        Of::Column { name, .. } => name,
    }
}

fn show(plan: &RulePlan) -> String {
    let keys: Vec<_> = plan.keys.iter().map(|k| plan.column_name(*k)).collect();
    let mut out = format!("{} {} by {keys:?}", plan.stream.name(), plan.kind_name());
    for Derived { lookup, of } in &plan.derived {
        let on: Vec<String> = lookup.on.iter().map(|(key, on)| format!("{key} = {on:?}")).collect();
        write!(out, "\n  {} of {} by {}", of_shown(of), lookup.table, on.join(", ")).unwrap();
    }
    for conjunct in &plan.scope {
        write!(out, "\n  scope {} {:?}", conjunct.text, conjunct.form).unwrap();
    }
    match &plan.kind {
        Kind::Stateless { condition, value } => {
            for conjunct in condition {
                write!(out, "\n  when {} {:?}", conjunct.text, conjunct.form).unwrap();
            }
            write!(out, "\n  value {:?}", value.as_ref().map(|v| &v.text)).unwrap();
        }
        Kind::Rows(_) => {}
        Kind::Absence { limit } => write!(out, "\n  silent {limit:?}").unwrap(),
        Kind::Window(window) => {
            write!(out, "\n  window {} {:?}", window.width_us, window.groups).unwrap();
            for aggregate in &window.aggregates {
                let filter = aggregate.filter.as_ref().map(|f| &f.text);
                write!(out, "\n  aggregate {} {filter:?}", aggregate.text).unwrap();
            }
            let having = window.having.as_ref().map(ToString::to_string);
            let value = window.value.as_ref().map(ToString::to_string);
            write!(out, "\n  having {having:?} value {value:?}").unwrap();
        }
        Kind::Sliding(sliding) => {
            for call in &sliding.calls {
                let argument = call.argument.as_ref().map(|a| &a.text);
                write!(out, "\n  {:?} {argument:?} {:?}", call.function, call.frame).unwrap();
            }
            let value = sliding.value.as_ref().map(ToString::to_string);
            write!(out, "\n  when {} value {value:?}", sliding.condition).unwrap();
        }
        Kind::Periodic(plan) => {
            let (every, last) = (plan.every_us, plan.last_us);
            write!(out, "\n  every {every} over {last} of {:?}", plan.streams).unwrap();
            write!(out, "\n  keys {:?} value {:?}", plan.keys, plan.value).unwrap();
        }
        Kind::Session(session) => {
            write!(out, "\n  gap {} longest {}", session.gap_us, session.longest_us).unwrap();
            let having = session.having.as_ref().map(ToString::to_string);
            write!(out, "\n  having {having:?}").unwrap();
        }
    }
    if let Some(layout) = plan.layout() {
        write!(out, "\n  view {layout}").unwrap();
    }
    out
}

#[test]
fn stateless_rules_have_scope_and_condition() {
    check(
        "FOR INTERVAL '5 seconds'",
        "SELECT sensor_id, value FROM readings WHERE value > 3.5 AND metric = 'water_level' AND unit_code IN ('a', 'b')",
        &expect![[r#"
            readings stateless by ["sensor_id"]
              scope metric@4 = CAST(water_level AS Dictionary(Int32, Utf8)) OneOf { column: 4, texts: {"water_level"} }
              scope unit_code@7 IN (SET) ([CAST(a AS Dictionary(Int32, Utf8)), CAST(b AS Dictionary(Int32, Utf8))]) OneOf { column: 7, texts: {"a", "b"} }
              when value@5 > 3.5 Threshold { column: 5, bound: Above { than: 3.5, or_equal: false } }
              value Some("value@5")"#]],
    );
    check(
        "",
        "SELECT camera_id FROM camera_events c WHERE c.state IN ('lost', 'refused')",
        &expect![[r#"
            camera_events stateless by ["camera_id"]
              when state@3 IN (SET) ([CAST(lost AS Dictionary(Int32, Utf8)), CAST(refused AS Dictionary(Int32, Utf8))]) OneOf { column: 3, texts: {"lost", "refused"} }
              value None"#]],
    );
    check(
        "",
        "SELECT sensor_id FROM source_events WHERE sensor_id IS NOT NULL AND state = 'clock_ahead'",
        &expect![[r#"
            source_events stateless by ["sensor_id"]
              scope sensor_id@3 IS NOT NULL Other
              when state@4 = CAST(clock_ahead AS Dictionary(Int32, Utf8)) OneOf { column: 4, texts: {"clock_ahead"} }
              value None"#]],
    );
}

#[test]
fn window_rules_have_keys_aggregates_and_having() {
    check(
        "",
        "SELECT sensor_id, avg(value) AS speed, count(*) FROM readings WHERE metric = 'speed' \
         GROUP BY sensor_id, tumble(event_time, INTERVAL '10 seconds') HAVING avg(value) < 10 AND count(*) >= 2",
        &expect![[r#"
            readings window by ["sensor_id"]
              scope metric@4 = CAST(speed AS Dictionary(Int32, Utf8)) OneOf { column: 4, texts: {"speed"} }
              window 10000000 [Key(0), WindowStart]
              aggregate avg(readings.value) None
              aggregate count(Int64(1)) None
              having Some("avg(readings.value)@2 < CAST(10 AS Float64) AND count(Int64(1))@3 >= 2") value Some("avg(readings.value)@2")"#]],
    );
    check(
        "",
        "SELECT tumble(event_time, INTERVAL '1 minute') w, max(value) FILTER (WHERE metric = 'pm25') m FROM readings \
         GROUP BY 1 HAVING m > 1",
        &expect![[r#"
            readings window by []
              window 60000000 [WindowStart]
              aggregate max(readings.value) FILTER (WHERE readings.metric = CAST(Utf8("pm25") AS Dictionary(Int32, Utf8))) Some("metric@4 = CAST(pm25 AS Dictionary(Int32, Utf8))")
              having Some("max(readings.value) FILTER (WHERE readings.metric = Utf8(\"pm25\"))@1 > CAST(1 AS Float64)") value Some("max(readings.value) FILTER (WHERE readings.metric = Utf8(\"pm25\"))@1")"#]],
    );
}

#[test]
fn absence_rules_have_a_limit() {
    check(
        "NO DATA FOR INTERVAL '20 seconds'",
        "SELECT sensor_id FROM readings WHERE metric = 'speed'",
        &expect![[r#"
            readings absence by ["sensor_id"]
              scope metric@4 = CAST(speed AS Dictionary(Int32, Utf8)) OneOf { column: 4, texts: {"speed"} }
              silent 20s"#]],
    );
}

#[test]
fn names_are_corrected() {
    check(
        "",
        "SELECT sensor_id FROM readings WHERE metrik = 'speed' AND value > 1",
        &expect!["there is no column 'metrik' at line 2, column 38 Did you mean 'metric'?"],
    );
    check(
        "",
        "SELECT sensor_id FROM redings WHERE value > 1",
        &expect!["there is no table 'redings' at line 2, column 23 Did you mean 'readings'?"],
    );
    check(
        "",
        "SELECT sensor_id, abss(value) FROM readings WHERE value > 1",
        &expect!["there is no function 'abss' at line 2, column 19 Did you mean 'abs'?"],
    );
}

#[test]
fn what_cannot_be_exact_or_bounded_is_refused() {
    check(
        "",
        "SELECT sensor_id FROM readings WHERE event_time > now() AND value > 1",
        &expect![
            "now() gives another answer each time: a rule must say the same of the same rows, live and in a backtest; use event_time at line 2, column 51 "
        ],
    );
    check(
        "",
        "SELECT sensor_id FROM readings WHERE value > random()",
        &expect![
            "random() gives another answer each time: a rule must say the same of the same rows, live and in a backtest; use event_time at line 2, column 46 "
        ],
    );
    check(
        "",
        "SELECT sensor_id FROM readings WHERE metric = 'speed'",
        &expect![
            "nothing here can turn false again, so the alert would never end: add a condition on what was found (value, state), or NO DATA FOR at line 2, column 32 "
        ],
    );
    check(
        "",
        "SELECT sensor_id FROM alert_transitions WHERE value > 1",
        &expect![
            "'alert_transitions' does not feed rules; readings, camera_events, video_segments, vehicle_counts, video_events, source_events do at line 2, column 23 "
        ],
    );
    check(
        "",
        "SELECT a.sensor_id FROM readings a JOIN readings b ON a.sensor_id = b.sensor_id WHERE a.value > 1",
        &expect![
            "'readings' is no dimension table; areas, sensors, thresholds, units are. Two streams are joined by a rule with EVERY … OVER LAST … at line 2, column 25 "
        ],
    );
    check(
        "",
        "SELECT sensor_id FROM readings WHERE value > (SELECT 1)",
        &expect!["subqueries: not supported in a rule yet at line 2, column 1 "],
    );
    check(
        "",
        "SELECT sensor_id FROM (SELECT * FROM readings) WHERE value > 1",
        &expect!["a query inside the query: not supported in a rule yet at line 2, column 1 "],
    );
    check(
        "",
        "SELECT sensor_id FROM readings WHERE value > 1 ORDER BY value LIMIT 1",
        &expect!["LIMIT: not supported in a rule yet at line 2, column 63 "],
    );
    check(
        "",
        "SELECT sensor_id, avg(value) FROM readings GROUP BY sensor_id",
        &expect![
            "an aggregate needs a window: add tumble(event_time, INTERVAL '1 minute') to GROUP BY, or hop at line 2, column 44 "
        ],
    );
}

#[test]
fn windows_that_cannot_be_exact_or_bounded_are_refused() {
    check(
        "",
        "SELECT value, count(*) FROM readings GROUP BY value, tumble(event_time, INTERVAL '1 minute')",
        &expect![
            "a rule groups by source_id, sensor_id, metric, unit, unit_code and tumble(…), not by readings.value at line 2, column 38 "
        ],
    );
    check(
        "",
        "SELECT approx_percentile_cont(value, 0.5) FROM readings GROUP BY tumble(event_time, INTERVAL '1 minute')",
        &expect![
            "approx_percentile_cont() depends on how rows are cut into batches, so live and backtest would differ at line 2, column 8 "
        ],
    );
    check(
        "",
        "SELECT count(*) FROM readings GROUP BY tumble(event_time, INTERVAL '10 ms')",
        &expect![
            "the width of a window is a constant of at least 1 second, without months, as in INTERVAL '1 minute' at line 2, column 40 "
        ],
    );
    check(
        "",
        "SELECT count(*) FROM readings GROUP BY tumble(arrival_time, INTERVAL '10 s')",
        &expect!["windows are cut by event_time at line 2, column 40 "],
    );
    check(
        "",
        "SELECT sensor_id FROM readings WHERE message_hash = 1 AND value > 1",
        &expect![
            "'message_hash' says where a row comes from; not for conditions at line 2, column 38 "
        ],
    );
    check(
        "",
        "SELECT sensor_id, avg(value) OVER () FROM readings WHERE value > 1",
        &expect!["a frame is ordered by event_time, ascending at line 2, column 30 "],
    );
    check(
        "NO DATA FOR INTERVAL '1 min'",
        "SELECT count(*) FROM readings GROUP BY tumble(event_time, INTERVAL '10 s')",
        &expect![
            "NO DATA FOR watches for rows, not for groups: write SELECT sensor_id FROM … WHERE … at line 2, column 31 "
        ],
    );
}

#[test]
fn frames_sessions_and_hops_are_planned() {
    check(
        "",
        "SELECT sensor_id, value FROM readings WHERE metric = 'speed' QUALIFY value > 2 * avg(value) \
         OVER (PARTITION BY sensor_id ORDER BY event_time RANGE BETWEEN INTERVAL '5 minutes' \
         PRECEDING AND CURRENT ROW)",
        &expect![[r#"
            readings sliding by ["sensor_id"]
              scope metric@4 = CAST(speed AS Dictionary(Int32, Utf8)) OneOf { column: 4, texts: {"speed"} }
              Avg Some("value@5") Range(300000000)
              when value@0 > CAST(2 AS Float64) * avg(readings.value) PARTITION BY [readings.sensor_id] ORDER BY [readings.event_time ASC NULLS LAST] RANGE BETWEEN 5 minutes PRECEDING AND CURRENT ROW@1 value Some("value@0")"#]],
    );
    check(
        "",
        "SELECT sensor_id, value - mean AS above FROM (SELECT sensor_id, value, avg(value) OVER w AS \
         mean, stddev(value) OVER w AS spread FROM readings WHERE metric = 'speed' WINDOW w AS \
         (PARTITION BY sensor_id ORDER BY event_time ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)) t \
         WHERE value > mean + 3 * spread",
        &expect![[r#"
            readings sliding by ["sensor_id"]
              scope metric@4 = CAST(speed AS Dictionary(Int32, Utf8)) OneOf { column: 4, texts: {"speed"} }
              Avg Some("value@5") Rows(9)
              Stddev Some("value@5") Rows(9)
              when value@0 > avg(readings.value) PARTITION BY [readings.sensor_id] ORDER BY [readings.event_time ASC NULLS LAST] ROWS BETWEEN 9 PRECEDING AND CURRENT ROW@1 + CAST(3 AS Float64) * stddev(readings.value) PARTITION BY [readings.sensor_id] ORDER BY [readings.event_time ASC NULLS LAST] ROWS BETWEEN 9 PRECEDING AND CURRENT ROW@2 value Some("value@0 - avg(readings.value) PARTITION BY [readings.sensor_id] ORDER BY [readings.event_time ASC NULLS LAST] ROWS BETWEEN 9 PRECEDING AND CURRENT ROW@1")"#]],
    );
    check(
        "",
        "SELECT sensor_id, count(*) FROM readings GROUP BY sensor_id, session(event_time, INTERVAL \
         '30 seconds') HAVING count(*) > 5",
        &expect![[r#"
            readings session by ["sensor_id"]
              gap 30000000 longest 86400000000
              having Some("count(Int64(1))@2 > 5")"#]],
    );
    check(
        "",
        "SELECT sensor_id, value FROM readings QUALIFY value > avg(value) OVER (PARTITION BY \
         sensor_id ORDER BY event_time)",
        &expect![
            "a frame looks back a bounded way: RANGE BETWEEN INTERVAL '5 minutes' PRECEDING AND CURRENT ROW (a day at most), or ROWS BETWEEN 10 PRECEDING AND CURRENT ROW (100000 at most) at line 2, column 66 "
        ],
    );
    check(
        "",
        "SELECT sensor_id, count(*) FROM readings GROUP BY sensor_id, hop(event_time, INTERVAL \
         '7 seconds', INTERVAL '30 seconds') HAVING count(*) > 5",
        &expect![
            "hop(event_time, slide, width): the width is a multiple of the slide, at most 1440 times, as in hop(event_time, INTERVAL '1 minute', INTERVAL '1 hour') at line 2, column 62 "
        ],
    );
}

#[test]
fn queries_asked_again_and_again_are_planned() {
    const EVERY: &str = "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '5 minutes'";
    check(
        EVERY,
        "SELECT unit_code, count(DISTINCT sensor_id) AS n FROM readings WHERE value > 3 \
         GROUP BY unit_code HAVING count(DISTINCT sensor_id) > 2",
        &expect![[r#"
            readings periodic by ["unit_code"]
              every 10000000 over 300000000 of [Readings]
              keys ["unit_code"] value Some(1)"#]],
    );
    check(
        EVERY,
        "SELECT c.camera_id FROM camera_events c WHERE c.state = 'lost' AND EXISTS (SELECT 1 FROM \
         readings r WHERE r.unit_code = c.unit_code AND r.metric = 'noise' AND r.value > 90)",
        &expect![[r#"
            readings periodic by []
              every 10000000 over 300000000 of [Readings, CameraEvents]
              keys ["camera_id"] value None"#]],
    );
    check(
        EVERY,
        "SELECT count(*) FROM readings",
        &expect![
            "the first output names what the alert is about: one of about, camera_id, direction, kind, line, metric, sensor_id, source_id, unit, unit_code, by that name at line 2, column 1 "
        ],
    );
    check(
        EVERY,
        "SELECT sensor_id FROM readings WHERE event_time > now()",
        &expect![
            "now() gives another answer each time: a rule must say the same of the same rows, live and in a backtest; use event_time at line 2, column 51 "
        ],
    );
    check(
        EVERY,
        "SELECT sensor_id FROM readings ORDER BY value LIMIT 1",
        &expect!["LIMIT: not supported in a rule yet at line 2, column 47 "],
    );
    check(
        EVERY,
        "SELECT sensor_id FROM alerts",
        &expect![
            "there is no table 'alerts' at line 2, column 23 SHOW TABLES lists what there is."
        ],
    );
}

#[test]
fn joins_with_tables_are_look_ups() {
    check(
        "",
        "SELECT r.sensor_id, r.value FROM readings r\n\
         JOIN thresholds t ON r.sensor_id = t.sensor_id AND t.metric = r.metric\n\
         WHERE r.value > t.high AND t.active",
        &expect![[r#"
            readings stateless by ["sensor_id"]
              whether there is one of thresholds by sensor_id = Column(3), metric = Column(4)
              active of thresholds by sensor_id = Column(3), metric = Column(4)
              high of thresholds by sensor_id = Column(3), metric = Column(4)
              when <matched>@10 Other
              when active@11 Other
              when value@5 > high@12 Other
              value Some("value@5")"#]],
    );
    check(
        "",
        "SELECT u.parent_code, max(value) FROM readings r JOIN sensors s USING (sensor_id)\n\
         LEFT JOIN units u ON u.unit_code = s.unit_code WHERE s.kind = 'rain'\n\
         GROUP BY u.parent_code, tumble(event_time, INTERVAL '1 minute') HAVING max(value) > 3",
        &expect![[r#"
            readings window by ["parent_code"]
              whether there is one of sensors by sensor_id = Column(3)
              unit_code of sensors by sensor_id = Column(3)
              parent_code of units by unit_code = Column(11)
              kind of sensors by sensor_id = Column(3)
              scope <matched>@10 Other
              scope kind@13 = CAST(rain AS Dictionary(Int32, Utf8)) OneOf { column: 13, texts: {"rain"} }
              window 60000000 [Key(0), WindowStart]
              aggregate max(r.value) of value@5 None
              having Some("max(r.value)@2 > CAST(3 AS Float64)") value Some("max(r.value)@2")"#]],
    );
    check(
        "",
        "SELECT s.sensor_id, value FROM readings r JOIN sensors s ON s.sensor_id = r.sensor_id\n\
         JOIN thresholds t ON t.sensor_id = s.sensor_id AND t.metric = 'rain' AND t.high > 5\n\
         WHERE value > 3",
        &expect![[r#"
            readings stateless by ["sensor_id"]
              whether there is one of thresholds by sensor_id = Column(3), metric = Text("rain")
              whether there is one of sensors by sensor_id = Column(3)
              high of thresholds by sensor_id = Column(3), metric = Text("rain")
              when <matched>@10 Other
              when <matched>@11 Other
              when high@12 > CAST(5 AS Float64) Threshold { column: 12, bound: Above { than: 5.0, or_equal: false } }
              when value@5 > CAST(3 AS Float64) Threshold { column: 5, bound: Above { than: 3.0, or_equal: false } }
              value Some("value@5")"#]],
    );
    check(
        "EVERY INTERVAL '1 minute' OVER LAST INTERVAL '5 minutes'",
        "SELECT s.kind, count(*) FROM readings r JOIN sensors s ON s.sensor_id = r.sensor_id\n\
         GROUP BY s.kind",
        &expect![[r#"
            readings periodic by []
              every 60000000 over 300000000 of [Readings]
              keys ["kind"] value Some(1)"#]],
    );
}

#[test]
fn joins_that_are_no_look_ups_are_refused() {
    for (select, expected) in [
        (
            "SELECT r.sensor_id, value FROM thresholds t JOIN readings r ON r.sensor_id = t.sensor_id WHERE value > 1",
            expect![
                "'thresholds' is a dimension table: write the stream first, as in FROM readings r JOIN thresholds at line 2, column 32 "
            ],
        ),
        (
            "SELECT r.sensor_id, value FROM readings r JOIN thresholds t ON r.sensor_id = t.sensor_id WHERE value > 1",
            expect![
                "a row of 'thresholds' is found by its key (sensor_id, metric): JOIN … ON says with = which column of the stream, or which text, metric is at line 2, column 48 "
            ],
        ),
        (
            "SELECT r.sensor_id, value FROM readings r, sensors s WHERE r.sensor_id = s.sensor_id AND value > 1",
            expect![
                "a row of 'sensors' is found by its key (sensor_id): JOIN … ON says with = which column of the stream, or which text, sensor_id is at line 2, column 44 "
            ],
        ),
        (
            "SELECT r.sensor_id, value FROM readings r RIGHT JOIN sensors s ON r.sensor_id = s.sensor_id WHERE value > 1",
            expect!["Right JOIN: not supported in a rule yet at line 2, column 49 "],
        ),
        (
            "SELECT r.sensor_id, value FROM readings r LEFT JOIN sensors s ON r.sensor_id = s.sensor_id AND s.kind = 'rain' WHERE value > 1",
            expect![
                "LEFT JOIN takes the table's key and nothing else in ON: write the other conditions in WHERE at line 2, column 53 "
            ],
        ),
        (
            "SELECT r.sensor_id, value FROM readings r JOIN sensors s ON r.value = s.lon WHERE value > 1",
            expect![
                "a row of 'sensors' is found by its key (sensor_id): JOIN … ON says with = which column of the stream, or which text, sensor_id is at line 2, column 48 "
            ],
        ),
        (
            "SELECT r.sensor_id, value FROM readings r JOIN (SELECT * FROM sensors) s ON r.sensor_id = s.sensor_id WHERE value > 1",
            expect!["a query inside the query: not supported in a rule yet at line 2, column 1 "],
        ),
        (
            "SELECT r.sensor_id, value FROM readings r JOIN sensor s ON r.sensor_id = s.sensor_id WHERE value > 1",
            expect!["there is no table 'sensor' at line 2, column 48 Did you mean 'sensors'?"],
        ),
        (
            "SELECT r.sensor_id, value FROM readings r JOIN sensors s ON r.sensor_id = s.sensor_id WHERE value > s.hight",
            expect!["there is no column 'hight' at line 2, column 101 "],
        ),
        (
            "SELECT r.sensor_id FROM readings r JOIN sensors s ON r.sensor_id = s.sensor_id WHERE s.kind = 'rain'",
            expect![
                "nothing here can turn false again, so the alert would never end: add a condition on what was found (value, state), or NO DATA FOR at line 2, column 80 "
            ],
        ),
    ] {
        check("", select, &expected);
    }
}

#[test]
fn areas_stand_in_the_plan() {
    check(
        "",
        "SELECT r.sensor_id, value FROM readings r JOIN sensors s USING (sensor_id)\n\
         WHERE st_within(s.lon, s.lat, '00101') AND value > 3",
        &expect![[r#"
            readings stateless by ["sensor_id"]
              whether there is one of sensors by sensor_id = Column(3)
              lat of sensors by sensor_id = Column(3)
              lon of sensors by sensor_id = Column(3)
              when <matched>@10 Other
              when st_within '00101' 5e39c1a92e3e6cc4(lon@12, lat@11) Other
              when value@5 > CAST(3 AS Float64) Threshold { column: 5, bound: Above { than: 3.0, or_equal: false } }
              value Some("value@5")"#]],
    );
    let select = |area: &str| {
        format!(
            "SELECT r.sensor_id, value FROM readings r JOIN sensors s USING (sensor_id)\n\
             WHERE value > 3 AND st_within(s.lon, s.lat, {area})"
        )
    };
    check(
        "",
        &select("'00102'"),
        &expect!["there is no area '00102'; did you mean '00101'? at line 3, column 45 "],
    );
    check(
        "",
        &select("s.unit_code"),
        &expect![
            "a rule names the area of st_within itself, as in st_within(s.lon, s.lat, '99001'): its polygon is made ready once at line 3, column 21 "
        ],
    );
    let periodic = "EVERY INTERVAL '1 minute' OVER LAST INTERVAL '5 minutes'";
    check(
        periodic,
        &select("'101'"),
        &expect![
            "there is no area '101'; SELECT area_id FROM areas lists them at line 3, column 45 "
        ],
    );
    check(
        periodic,
        &select("'00101'"),
        &expect![[r#"
        readings periodic by ["sensor_id"]
          every 60000000 over 300000000 of [Readings]
          keys ["sensor_id"] value Some(1)"#]],
    );
}
