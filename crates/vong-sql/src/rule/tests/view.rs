//! Statements about continuous views.

use super::*;

#[test]
fn a_whole_view_is_read() {
    let text = "CREATE CONTINUOUS VIEW busy EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '1 minute'\n\
                AS SELECT sensor_id FROM readings;";
    let Ok(RuleStatement::Create(view)) = parse_one(text) else { panic!("{:?}", parse_one(text)) };
    assert_eq!((view.rule_id.as_str(), view.purpose), ("busy", Purpose::View));
    assert_eq!(view.periodic.unwrap().every, Duration::from_secs(10));
    assert_eq!(view.select.text, "SELECT sensor_id FROM readings");
    assert_eq!(view.select.place, Place { line: 2, column: 4 });
    assert!(view.sql.starts_with("CREATE CONTINUOUS VIEW") && view.sql.ends_with("readings"));
    let Ok(RuleStatement::Create(again)) = parse_one(&view.sql) else { panic!() };
    assert_eq!(again.sql, view.sql);
}

#[test]
fn views_come_and_go() {
    let text = "create or replace continuous view a as select 1; DROP CONTINUOUS VIEW b; \
                ALTER CONTINUOUS VIEW c DISABLE; ALTER CONTINUOUS VIEW c ENABLE";
    let told: Vec<_> = parse(text).unwrap().iter().map(|s| (s.action(), s.purpose())).collect();
    let view = Purpose::View;
    assert_eq!(told, [("create", view), ("drop", view), ("disable", view), ("enable", view)]);
}

#[test]
fn a_view_has_no_clauses_of_alerts() {
    let rows = [
        (
            "CREATE CONTINUOUS VIEW v SEVERITY low AS SELECT 1",
            expect![
                "syntax error: expected one of EVERY, AS, found 'SEVERITY'; did you mean EVERY? at line 1, column 26"
            ],
        ),
        (
            "CREATE CONTINOUS VIEW v AS SELECT 1",
            expect![
                "syntax error: expected one of ALERT, CONTINUOUS, found 'CONTINOUS'; did you mean CONTINUOUS? at line 1, column 8"
            ],
        ),
        (
            "ALTER CONTINUOUS VIEW v SET SEVERITY low",
            expect![
                "syntax error: expected one of ENABLE, DISABLE, found 'SET' at line 1, column 25"
            ],
        ),
        (
            "CREATE CONTINUOUS VIEW readings AS SELECT 1",
            expect![
                "'readings' is a table already: a view needs a name of its own at line 1, column 24"
            ],
        ),
        (
            "CREATE CONTINUOUS VIEW v EVERY INTERVAL '1 second' OVER LAST INTERVAL '9 hours' AS SELECT 1",
            expect![
                "EVERY takes whole seconds, and OVER LAST at least as long and at most 1 hour at line 1, column 26"
            ],
        ),
    ];
    for (text, expected) in rows {
        check(text, &expected);
    }
}
