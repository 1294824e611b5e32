//! Ladder, cooldown, limit, inhibition and late rows: what is read and what is refused.

use vong_model::Comparison;

use super::*;

const TEXTS: &str = "TITLE vi 'a' en 'b' ACTION vi 'c' en 'd'";
const SELECT: &str = "AS SELECT sensor_id, value FROM readings WHERE value > 3";

/// A rule of severity medium with these clauses besides.
fn create(clauses: &str) -> Result<RuleDefinition, Error> {
    let text = format!("CREATE ALERT RULE r SEVERITY medium {clauses} {TEXTS} {SELECT}");
    match parse_one(&text)? {
        RuleStatement::Create(definition) => Ok(*definition),
        other => panic!("{other:?}"),
    }
}

/// What the clauses are refused with; places count from the first of them.
fn refused(clauses: &str, expected: &Expect) {
    let text = format!("CREATE ALERT RULE r SEVERITY medium\n{clauses}\n{TEXTS} {SELECT}");
    let error = parse(&text).unwrap_err();
    let hint = error.hint().map(|hint| format!("\n{hint}")).unwrap_or_default();
    expected.assert_eq(&format!("{error}{hint}"));
}

#[test]
fn a_ladder_is_read_in_any_order_and_kept_by_severity() {
    let rule = create(
        "RAISE TO critical WHEN >= 4.5 FOR INTERVAL '1 minute' LOWER AFTER INTERVAL '2 minutes' \
         RAISE TO high WHEN > -3",
    )
    .unwrap();
    let [high, critical] = rule.ladder.as_slice() else { panic!("{:?}", rule.ladder) };
    assert_eq!((high.severity, high.comparison), (Severity::High, Comparison::Greater));
    assert_eq!((high.bound, high.for_, high.lower_after), (-3.0, Duration::ZERO, Duration::ZERO));
    assert_eq!(critical.severity, Severity::Critical);
    assert_eq!((critical.comparison, critical.bound), (Comparison::GreaterOrEqual, 4.5));
    assert_eq!(critical.for_, Duration::from_secs(60));
    assert_eq!(critical.lower_after, Duration::from_secs(120));
}

#[test]
fn a_for_straight_after_when_is_the_rungs() {
    let rule = create(
        "FOR INTERVAL '5 seconds' RAISE TO high WHEN < 2 FOR INTERVAL '9 seconds' \
         KEEP FIRING FOR INTERVAL '7 seconds'",
    )
    .unwrap();
    assert_eq!(rule.for_, Duration::from_secs(5));
    assert_eq!(rule.ladder[0].for_, Duration::from_secs(9));
    assert_eq!(rule.keep_firing_for, Duration::from_secs(7));
}

#[test]
fn what_keeps_alerts_back_is_read() {
    let rule = create(
        "LATE REVISE COOLDOWN INTERVAL '10 minutes' LIMIT 5 PER INTERVAL '1 hour' \
         INHIBITED BY flood, power_cut ON source_id",
    )
    .unwrap();
    assert_eq!(rule.late, LatePolicy::Revise);
    assert_eq!(rule.cooldown, Duration::from_secs(600));
    assert_eq!(rule.limit, Some(Limit { alerts: 5, per: Duration::from_secs(3_600) }));
    let inhibition = rule.inhibited_by.unwrap();
    let rules: Vec<&str> = inhibition.rules.iter().map(RuleId::as_str).collect();
    assert_eq!((rules.as_slice(), inhibition.on), (["flood", "power_cut"].as_slice(), "source_id"));
    let plain = create("INHIBITED BY flood LATE IGNORE").unwrap();
    assert_eq!(plain.inhibited_by.unwrap().on, INHIBITED_ON);
    assert_eq!(plain.late, LatePolicy::Ignore);
}

#[test]
fn wrong_ladders_are_refused() {
    refused(
        "RAISE TO medium WHEN > 4",
        &expect![[r#"
            RAISE TO medium does not rise above SEVERITY medium at line 2, column 10
            Above medium: high, critical."#]],
    );
    refused(
        "RAISE TO high WHEN > 4 RAISE TO high WHEN > 5",
        &expect!["syntax error: RAISE TO high is given twice at line 2, column 33"],
    );
    refused(
        "RAISE high WHEN > 4",
        &expect!["syntax error: expected TO, found 'high' at line 2, column 7"],
    );
    refused(
        "RAISE TO hihg WHEN > 4",
        &expect![
            "syntax error: expected one of critical, high, medium, low, found 'hihg'; did you mean high? at line 2, column 10"
        ],
    );
    refused(
        "RAISE TO high WHEN = 4",
        &expect![
            "syntax error: expected one of >, >=, <, <=, found '='; did you mean >= or <=? at line 2, column 20"
        ],
    );
    refused(
        "RAISE TO high WHEN > value",
        &expect!["syntax error: expected a number, as in 4.5, found 'value' at line 2, column 22"],
    );
    refused(
        "RAISE TO high WHEN > 4 LOWER AFTR INTERVAL '1 s'",
        &expect![
            "syntax error: expected AFTER, found 'AFTR'; did you mean AFTER? at line 2, column 30"
        ],
    );
    refused(
        "NO DATA FOR INTERVAL '1 minute' RAISE TO high WHEN > 4",
        &expect![[r#"
            RAISE TO compares a number, and a rule with NO DATA FOR has none at line 2, column 42
            Write a second rule with a longer NO DATA FOR and a higher SEVERITY."#]],
    );
}

#[test]
fn wrong_limits_and_inhibitions_are_refused() {
    refused(
        "LIMIT 0 PER INTERVAL '1 hour'",
        &expect![[r#"
            LIMIT 0 would let no alert through at line 2, column 7
            ALTER ALERT RULE … DISABLE silences a rule."#]],
    );
    refused(
        "LIMIT many PER INTERVAL '1 hour'",
        &expect![
            "syntax error: expected a whole number, as in 5, found 'many' at line 2, column 7"
        ],
    );
    refused(
        "LIMIT 5 PER INTERVAL '0 seconds'",
        &expect![[r#"
            LIMIT needs a span longer than zero at line 2, column 13
            Write it as in LIMIT 5 PER INTERVAL '10 minutes'."#]],
    );
    refused(
        "COOLDOWN '5 minutes'",
        &expect!["syntax error: expected INTERVAL, found ''5 minutes'' at line 2, column 10"],
    );
    refused(
        "INHIBITED BY flood, r",
        &expect![[r#"
            rule 'r' cannot be inhibited by itself at line 2, column 1
            COOLDOWN and LIMIT quiet a rule's own alerts."#]],
    );
    refused(
        "INHIBITED BY flood, flood",
        &expect!["syntax error: rule 'flood' is named twice at line 2, column 21"],
    );
    refused(
        "INHIBITED BY flood ON unit_cod",
        &expect![[r#"
            there is no column 'unit_cod' at line 2, column 23
            Did you mean 'unit_code'?"#]],
    );
    refused(
        "LATE REVSE",
        &expect![
            "syntax error: expected one of IGNORE, REVISE, found 'REVSE'; did you mean REVISE? at line 2, column 6"
        ],
    );
    refused(
        "LATE REVISE LATE IGNORE",
        &expect!["syntax error: LATE is given twice at line 2, column 13"],
    );
}

#[test]
fn questions_about_the_engine_are_told_from_sql() {
    let check = |text: &str, expected: &Expect| {
        expected.assert_eq(&match ExplainStatement::parse(text) {
            Ok(statement) => format!("{statement:?}"),
            Err(e) => e.to_string(),
        });
    };
    check(
        "explain alert rule water_high;",
        &expect![[r#"Some(Rule { rule_id: RuleId("water_high") })"#]],
    );
    check("EXPLAIN WINDOW readings", &expect!["Some(Window { stream: Readings })"]);
    check("EXPLAIN ALERT 'ab12'", &expect![[r#"Some(Alert { alert_id: AlertId("ab12") })"#]]);
    check("EXPLAIN SELECT 1", &expect!["None"]);
    check("SELECT 'EXPLAIN ALERT'", &expect!["None"]);
    check("SELECT '", &expect!["None"]);
    check(
        "EXPLAIN WINDOW reading",
        &expect![
            "syntax error: expected one of readings, camera_events, video_segments, vehicle_counts, video_events, source_events, found 'reading'; did you mean readings? at line 1, column 16"
        ],
    );
    check(
        "EXPLAIN ALERT 'ab12' now",
        &expect![
            "syntax error: expected the end of the statement, found 'now' at line 1, column 22"
        ],
    );
    check(
        "EXPLAIN ALERT",
        &expect![
            "syntax error: expected RULE and its name, or the id of an alert in quotes, found the end of the text at line 1, column 14"
        ],
    );
}
