//! What `ALTER` makes of a rule, and that a written rule is read back to itself.

use proptest::prelude::*;
use vong_model::Comparison;

use super::*;

const OLD: &str = "create alert rule water_high SEVERITY medium FOR INTERVAL '120 seconds'
  RAISE TO critical WHEN > 4.5
  TITLE en 'Water''s high' vi 'Nước cao' ACTION vi 'Gọi' en 'Call'
AS SELECT sensor_id, -- the gauge
  value FROM readings WHERE value > 3.5";

fn definition(text: &str) -> RuleDefinition {
    match parse_one(text) {
        Ok(RuleStatement::Create(definition)) => *definition,
        other => panic!("{other:?}"),
    }
}

fn altered(clauses: &str) -> Result<RuleDefinition, Error> {
    let text = format!("ALTER ALERT RULE water_high SET {clauses}");
    match parse_one(&text)? {
        RuleStatement::Alter { rule_id, changes } => {
            assert_eq!(rule_id.as_str(), "water_high");
            definition(OLD).altered(&changes)
        }
        other => panic!("{other:?}"),
    }
}

fn refused(clauses: &str, expected: &Expect) {
    let error = altered(clauses).unwrap_err();
    let hint = error.hint().map(|hint| format!("\n{hint}")).unwrap_or_default();
    expected.assert_eq(&format!("{error}{hint}"));
}

#[test]
fn an_altered_rule_is_written_whole() {
    let rule = altered(
        "SEVERITY low COOLDOWN INTERVAL '90 seconds' LIMIT 3 PER INTERVAL '1 hour' \
         INHIBITED BY flood LATE REVISE KEEP FIRING FOR INTERVAL '1 minute'",
    )
    .unwrap();
    expect![[r#"
        CREATE ALERT RULE water_high
          SEVERITY low
          FOR INTERVAL '2 minutes'
          KEEP FIRING FOR INTERVAL '1 minute'
          RAISE TO critical WHEN > 4.5
          COOLDOWN INTERVAL '1 minute 30 seconds'
          LIMIT 3 PER INTERVAL '1 hour'
          INHIBITED BY flood
          LATE REVISE
          TITLE vi 'Nước cao' en 'Water''s high'
          ACTION vi 'Gọi' en 'Call'
        AS SELECT sensor_id, -- the gauge
          value FROM readings WHERE value > 3.5"#]]
    .assert_eq(&rule.sql);
    assert_eq!(definition(&rule.sql), rule);
}

#[test]
fn a_ladder_is_replaced_as_a_whole_and_the_rest_stays() {
    let rule = altered("RAISE TO high WHEN > 4 FOR INTERVAL '5 seconds' TITLE vi 'x' en 'y'");
    let rule = rule.unwrap();
    assert_eq!(rule.ladder.len(), 1);
    assert_eq!(rule.ladder[0].severity, Severity::High);
    assert_eq!((rule.title_vi.as_str(), rule.action_vi.as_str()), ("x", "Gọi"));
    assert_eq!(rule.for_, Duration::from_secs(120));
    assert_eq!(rule.select.text, definition(OLD).select.text);
    // Zero takes a clause back.
    assert!(!altered("FOR INTERVAL '0 seconds'").unwrap().sql.contains("FOR INTERVAL"));
}

#[test]
fn wrong_changes_are_refused_in_the_text_of_the_change() {
    refused(
        "SEVERITY critical",
        &expect![[r#"
            RAISE TO critical does not rise above SEVERITY critical at line 1, column 33
            Nothing is above critical: give the rule a lower SEVERITY."#]],
    );
    refused(
        "INHIBITED BY water_high",
        &expect![[r#"
            rule 'water_high' cannot be inhibited by itself at line 1, column 33
            COOLDOWN and LIMIT quiet a rule's own alerts."#]],
    );
    refused(
        "NO DATA FOR INTERVAL '1 minute'",
        &expect![[r#"
            NO DATA FOR cannot be altered at line 1, column 33
            CREATE OR REPLACE ALERT RULE water_high … writes the rule anew."#]],
    );
    refused(
        "COOLDWN INTERVAL '1 minute'",
        &expect![
            "syntax error: expected one of SEVERITY, FOR, KEEP, RAISE, COOLDOWN, LIMIT, INHIBITED, LATE, TITLE, ACTION, found 'COOLDWN'; did you mean COOLDOWN? at line 1, column 33"
        ],
    );
    refused(
        "",
        &expect![
            "syntax error: expected one of SEVERITY, FOR, KEEP, RAISE, COOLDOWN, LIMIT, INHIBITED, LATE, TITLE, ACTION, found the end of the text at line 1, column 32"
        ],
    );
    assert!(parse("ALTER ALERT RULE a SET LATE REVISE; DROP ALERT RULE b").is_ok());
}

fn spans() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0..4_u64).prop_map(Duration::from_secs),
        (0..40_000_000_000_u64).prop_map(Duration::from_millis),
    ]
}

fn numbers() -> impl Strategy<Value = f64> {
    prop_oneof![-1e3..1e3_f64, any::<f64>().prop_filter("finite", |n| n.is_finite())]
}

fn texts() -> impl Strategy<Value = String> {
    "[a-zà-ỹ'\"\\\\ ;,\n-]{0,12}[a-z]"
}

fn rungs() -> impl Strategy<Value = Vec<Rung>> {
    let all = Severity::ALL.into_iter().skip(1).collect::<Vec<_>>();
    let severities = proptest::sample::subsequence(all, 0..=3);
    let rest = (proptest::sample::select(Comparison::ALL.to_vec()), numbers(), spans(), spans());
    (severities, proptest::collection::vec(rest, 3)).prop_map(|(severities, rests)| {
        let rungs = severities.into_iter().zip(rests);
        let rung = |(severity, (comparison, bound, for_, lower_after))| Rung {
            severity,
            comparison,
            bound,
            for_,
            lower_after,
        };
        rungs.map(rung).collect()
    })
}

fn inhibitions() -> impl Strategy<Value = Option<Inhibition>> {
    let names = vec!["for", "on", "flood", "raise", "a1", "late"];
    let rules = proptest::sample::subsequence(names, 1..=4);
    let on = proptest::sample::select(vec!["unit_code", "sensor_id", "source_id"]);
    proptest::option::of((rules, on).prop_map(|(rules, on)| Inhibition {
        rules: rules.into_iter().map(RuleId::from).collect(),
        on,
    }))
}

fn selects() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "SELECT sensor_id FROM readings WHERE value > 1",
        "select sensor_id, -- why; not\n value\nFROM readings WHERE metric = 'a;''b'",
        "SELECT /* x */ camera_id FROM camera_events WHERE state IN ('lost', 'refused')",
    ])
}

fn definitions() -> impl Strategy<Value = RuleDefinition> {
    let limit = (1..1_000_u32, 1..100_000_000_u64)
        .prop_map(|(alerts, ms)| Limit { alerts, per: Duration::from_millis(ms) });
    let kept_back = (spans(), proptest::option::of(limit), inhibitions());
    let timing = (rungs(), spans(), spans(), proptest::sample::select(LatePolicy::ALL.to_vec()));
    let words = (texts(), texts(), texts(), texts());
    (timing, kept_back, words, selects()).prop_map(|(timing, kept_back, words, select)| {
        let (ladder, for_, keep_firing_for, late) = timing;
        let (cooldown, limit, inhibited_by) = kept_back;
        let (title_vi, title_en, action_vi, action_en) = words;
        let place = Place { line: 1, column: 1 };
        RuleDefinition {
            for_,
            keep_firing_for,
            ladder,
            cooldown,
            limit,
            inhibited_by,
            late,
            title_vi,
            title_en,
            action_vi,
            action_en,
            ..RuleDefinition::bare(
                RuleId::from("r"),
                Severity::Low,
                Select { text: select.to_owned(), place },
            )
        }
    })
}

proptest! {
    #[test]
    fn a_written_rule_is_read_back_to_itself(rule in definitions()) {
        let written = rule.altered(&RuleChanges::default()).unwrap();
        prop_assert_eq!(&definition(&written.sql), &written);
        let (sql, place) = (written.sql.clone(), written.select.place);
        let select = Select { place, ..rule.select.clone() };
        prop_assert_eq!(written, RuleDefinition { sql, select, ..rule });
    }
}
