//! What parses to what, and what each mistake is answered with.

mod alter;
mod clauses;
mod view;

use expect_test::{Expect, expect};
use vong_telemetry::Classify;

use super::*;

const HEAD: &str = "CREATE ALERT RULE water_high\n  SEVERITY critical\n  TITLE vi 'Nước cao' en \
                    'Water high'\n  ACTION vi 'Gọi' en 'Call'\n";

fn check(text: &str, expected: &Expect) {
    let shown = match parse(text) {
        Ok(statements) => {
            let lines = statements.iter().map(|s| format!("{} {}", s.action(), s.rule_id()));
            lines.collect::<Vec<_>>().join("\n")
        }
        Err(e) => {
            assert_eq!(e.kind(), vong_telemetry::Kind::InvalidInput);
            e.to_string()
        }
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_whole_rule_is_read() {
    let text = "-- báo động III\nCREATE ALERT RULE water_high SEVERITY critical\n FOR INTERVAL '2 minutes' \
        KEEP FIRING FOR INTERVAL '5 minutes' TITLE vi 'Mực nước ''cao''' en 'High'\n \
        ACTION en 'Call' vi 'Gọi'\nAS SELECT sensor_id, value\n FROM readings WHERE value > 3.5 ;\n\n";
    let Ok(RuleStatement::Create(rule)) = parse_one(text) else { panic!("{:?}", parse_one(text)) };
    assert_eq!(rule.rule_id.as_str(), "water_high");
    assert_eq!(rule.severity, Severity::Critical);
    assert_eq!(rule.for_, Duration::from_secs(120));
    assert_eq!(rule.keep_firing_for, Duration::from_secs(300));
    assert_eq!(rule.title_vi, "Mực nước 'cao'");
    assert_eq!(rule.action_vi, "Gọi");
    assert_eq!(rule.select.text, "SELECT sensor_id, value\n FROM readings WHERE value > 3.5");
    assert_eq!(rule.select.place, Place { line: 5, column: 4 });
    assert!(rule.sql.starts_with("CREATE ALERT RULE") && rule.sql.ends_with("> 3.5"));
    // What was logged is read again to the same.
    let Ok(RuleStatement::Create(again)) = parse_one(&rule.sql) else { panic!() };
    assert_eq!(again.sql, rule.sql);
}

#[test]
fn several_statements_and_comments() {
    let text = format!(
        "{HEAD}AS SELECT sensor_id FROM readings WHERE value > 1;; /* x */ DROP ALERT RULE a; \
         ALTER ALERT RULE b DISABLE; alter alert rule b enable"
    );
    check(
        &text,
        &expect![[r#"
        create water_high
        drop a
        disable b
        enable b"#]],
    );
    check("  -- nothing\n", &expect![""]);
}

#[test]
fn mistakes_are_shown_with_their_place() {
    check(
        "CREATE ALERT RUL a",
        &expect![
            "syntax error: expected RULE, found 'RUL'; did you mean RULE? at line 1, column 14"
        ],
    );
    check(
        "CREATE TABLE a",
        &expect![
            "syntax error: expected one of ALERT, CONTINUOUS, found 'TABLE' at line 1, column 8"
        ],
    );
    check(
        "CREATE ALERT RULE Nước SEVERITY low",
        &expect![
            "syntax error: expected the rule's name: a-z, 0-9 and _, starting with a letter, at most 64, found 'Nước' at line 1, column 19"
        ],
    );
    check(
        "CREATE ALERT RULE a\nSEVERTY low",
        &expect![
            "syntax error: expected one of SEVERITY, FOR, KEEP, NO, EVERY, RAISE, COOLDOWN, LIMIT, INHIBITED, LATE, TITLE, ACTION, AS, found 'SEVERTY'; did you mean SEVERITY? at line 2, column 1"
        ],
    );
    check(
        "CREATE ALERT RULE a SEVERITY hihg",
        &expect![
            "syntax error: expected one of critical, high, medium, low, found 'hihg'; did you mean high? at line 1, column 30"
        ],
    );
    check(
        "CREATE ALERT RULE a FOR INTERVAL '5 parsecs'",
        &expect![
            "syntax error: '5 parsecs' is no duration: expected whole numbers with milliseconds, seconds, minutes, hours, days or weeks, as in '1 minute 30 seconds' at line 1, column 34"
        ],
    );
    check(
        "CREATE ALERT RULE a SEVERITY low SEVERITY low",
        &expect!["syntax error: SEVERITY is given twice at line 1, column 34"],
    );
    check(
        "CREATE ALERT RULE a TITLE vi 'x' en 'y",
        &expect!["syntax error: unterminated string literal at line 1, column 37"],
    );
    check(
        "CREATE ALERT RULE a SEVERITY low AS SELECT 1",
        &expect!["syntax error: rule 'a' has no TITLE vi '…' en '…' at line 1, column 1"],
    );
    check(
        "CREATE ALERT RULE a SEVERITY low TITLE vi 'x' en 'y' AS SELECT 1",
        &expect![
            "syntax error: rule 'a' has no ACTION vi '…' en '…': an alert nobody can act on is not an alert at line 1, column 1"
        ],
    );
    check(
        "CREATE ALERT RULE",
        &expect![
            "syntax error: expected the rule's name: a-z, 0-9 and _, starting with a letter, at most 64, found the end of the text at line 1, column 18"
        ],
    );
    check(
        "DROP ALERT RULE a DROP",
        &expect![
            "syntax error: expected ';' between statements, found 'DROP' at line 1, column 19"
        ],
    );
}

#[test]
fn mistakes_inside_the_query_have_places_in_the_whole_text() {
    check(
        &format!("{HEAD}AS SELECT sensor_id FROM readings WHERE value >"),
        &expect!["syntax error: expected: an expression, found: EOF at line 5, column 4"],
    );
    check(
        &format!("{HEAD}AS\n  SELECT sensor_id\n  FORM readings x y"),
        &expect!["syntax error: expected: end of statement, found: readings at line 7, column 8"],
    );
    check(
        &format!("{HEAD}AS DELETE FROM readings"),
        &expect!["syntax error: expected SELECT, found 'DELETE' at line 5, column 4"],
    );
    check(
        &format!(
            "{HEAD}NO DATA FOR INTERVAL '1 m' FOR INTERVAL '1 m' AS SELECT sensor_id FROM readings"
        ),
        &expect![
            "NO DATA FOR cannot be combined with FOR or KEEP FIRING FOR: it says itself how long at line 5, column 28"
        ],
    );
}
