//! Continuous views: their columns, and what is refused.

use super::*;

fn check_view(clause: &str, select: &str, expected: &Expect) {
    let text = format!("CREATE CONTINUOUS VIEW v {clause} AS\n{select}");
    let Ok(RuleStatement::Create(view)) = parse_one(&text) else { panic!("{text}") };
    let shown = match RulePlanner::new().unwrap().plan(&view) {
        Ok(plan) => show(&plan),
        Err(e) => format!("{e} {}", e.hint().unwrap_or_default()),
    };
    expected.assert_eq(&shown);
}

#[test]
fn each_kind_of_query_has_its_columns() {
    check_view(
        "",
        "SELECT sensor_id, tumble(event_time, INTERVAL '1 minute') AS w, count(*) AS n, \
         avg(value) AS avg FROM readings GROUP BY sensor_id, w",
        &expect![[r#"
            readings window by ["sensor_id"]
              window 60000000 [Key(0), WindowStart]
              aggregate count(Int64(1)) None
              aggregate avg(readings.value) None
              having None value Some("count(Int64(1))@2")
              view sensor_id:text w:time n:int avg:float"#]],
    );
    check_view(
        "",
        "SELECT event_time, sensor_id, value > 3 AS high, message_hash FROM readings WHERE metric = 'rain'",
        &expect![[r#"
            readings rows by []
              scope metric@4 = CAST(rain AS Dictionary(Int32, Utf8)) OneOf { column: 4, texts: {"rain"} }
              view sensor_id:text high:bool message_hash:uint"#]],
    );
    check_view(
        "",
        "SELECT sensor_id, value, avg(value) OVER (PARTITION BY sensor_id ORDER BY event_time \
         ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS smooth FROM readings",
        &expect![[r#"
            readings sliding by ["sensor_id"]
              Avg Some("value@5") Rows(3)
              when true value Some("value@1")
              view sensor_id:text value:float smooth:float"#]],
    );
    check_view(
        "",
        "SELECT metric, session(event_time, INTERVAL '1 minute') AS began, count(*) AS n \
         FROM readings GROUP BY metric, session(event_time, INTERVAL '1 minute')",
        &expect![[r#"
            readings session by ["metric"]
              gap 60000000 longest 86400000000
              having None
              view metric:text began:time n:int"#]],
    );
    check_view(
        "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '1 minute'",
        "SELECT count(DISTINCT sensor_id) AS sensors, max(event_time) AS latest FROM readings",
        &expect![[r#"
            readings periodic by []
              every 10000000 over 60000000 of [Readings]
              keys [] value None
              view sensors:int latest:time"#]],
    );
}

#[test]
fn what_a_view_cannot_keep_is_refused_at_its_place() {
    let window = "tumble(event_time, INTERVAL '1 minute')";
    for (select, expected) in [
        (
            format!("SELECT {window}, count(*) AS n FROM readings GROUP BY {window}"),
            expect![
                "column 1 of the view needs a name of a-z, 0-9 and _: write AS after it, as in count(*) AS n at line 2, column 1 "
            ],
        ),
        (
            format!("SELECT count(*) FROM readings GROUP BY {window}"),
            expect![
                "column 1 of the view needs a name of a-z, 0-9 and _: write AS after it, as in count(*) AS n at line 2, column 1 "
            ],
        ),
        (
            format!("SELECT {window} AS event_time FROM readings GROUP BY {window}"),
            expect![
                "every view has a column event_time of its own (when the row became known): give this one another name with AS at line 2, column 15 "
            ],
        ),
        (
            "SELECT value AS log_offset FROM readings".to_owned(),
            expect![
                "every view has a column log_offset of its own (its place in the log): give this one another name with AS at line 2, column 17 "
            ],
        ),
        (
            "SELECT value * 2 AS event_time FROM readings".to_owned(),
            expect![
                "every view has a column event_time of its own (when the row became known): give this one another name with AS at line 2, column 21 "
            ],
        ),
        (
            "SELECT * FROM readings".to_owned(),
            expect![
                "the view would be a copy of readings: select fewer columns, or add WHERE at line 2, column 1 "
            ],
        ),
        (
            "SELECT CAST(value AS DECIMAL(9, 2)) AS v FROM readings".to_owned(),
            expect![
                "a view keeps numbers, texts, truths and instants, and v is Decimal128(9, 2): CAST it, as in CAST(v AS DOUBLE) at line 2, column 40 "
            ],
        ),
    ] {
        check_view("", &select, &expected);
    }
    check_view(
        "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '1 minute'",
        "SELECT a.event_time FROM readings a",
        &expect![
            "every view has a column event_time of its own (when the row became known): give this one another name with AS at line 2, column 10 "
        ],
    );
}

#[test]
fn what_a_rule_cannot_ask_a_view_cannot_either() {
    let window = "tumble(event_time, INTERVAL '1 minute')";
    for (select, expected) in [
        (
            "SELECT sensor_id, now() AS t FROM readings".to_owned(),
            expect![
                "now() gives another answer each time: a rule must say the same of the same rows, live and in a backtest; use event_time at line 2, column 19 "
            ],
        ),
        (
            "SELECT sensor_id, avg(value) AS v FROM readings GROUP BY sensor_id".to_owned(),
            expect![
                "an aggregate needs a window: add tumble(event_time, INTERVAL '1 minute') to GROUP BY, or hop at line 2, column 49 "
            ],
        ),
        (
            "SELECT sensor_id, valu FROM readings".to_owned(),
            expect!["there is no column 'valu' at line 2, column 19 Did you mean 'value'?"],
        ),
        (
            format!("SELECT approx_median(value) AS v FROM readings GROUP BY {window}"),
            expect![
                "approx_median() depends on how rows are cut into batches, so live and backtest would differ at line 2, column 8 "
            ],
        ),
        (
            "SELECT state FROM alert_transitions".to_owned(),
            expect![
                "'alert_transitions' does not feed rules; readings, camera_events, video_segments, vehicle_counts, video_events, source_events do at line 2, column 19 "
            ],
        ),
    ] {
        check_view("", &select, &expected);
    }
}
