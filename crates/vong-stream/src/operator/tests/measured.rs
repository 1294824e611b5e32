//! What rules say of themselves: rows, matches, time, memory.

use std::cell::Cell;
use std::time::Duration;

use super::*;

thread_local! {
    static READINGS: Cell<u64> = const { Cell::new(0) };
}

/// A microsecond further each time it is read.
fn ticking() -> Duration {
    READINGS.with(|readings| {
        readings.set(readings.get() + 1);
        Duration::from_micros(readings.get())
    })
}

const RULES: [(&str, &str, &str); 6] = [
    ("a_row", "", "SELECT sensor_id, value FROM readings WHERE metric = 'speed' AND value > 60"),
    (
        "b_window",
        "",
        "SELECT sensor_id, avg(value) FROM readings GROUP BY sensor_id, tumble(event_time, \
         INTERVAL '10 seconds') HAVING count(*) > 0",
    ),
    (
        "c_window",
        "",
        "SELECT sensor_id, max(value) FROM readings GROUP BY sensor_id, tumble(event_time, \
         INTERVAL '10 seconds') HAVING max(value) > 1e9",
    ),
    (
        "d_own",
        "",
        "SELECT median(value) FROM readings WHERE metric = 'flow' GROUP BY tumble(event_time, \
         INTERVAL '10 seconds') HAVING count(*) > 0",
    ),
    (
        "e_frame",
        "",
        "SELECT sensor_id, value FROM readings WHERE metric = 'noise' QUALIFY value > avg(value) \
         OVER (PARTITION BY sensor_id ORDER BY event_time ROWS BETWEEN 5 PRECEDING AND CURRENT ROW)",
    ),
    (
        "f_asked",
        "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '10 seconds'",
        "SELECT sensor_id, count(*) FROM readings WHERE metric = 'flow' GROUP BY sensor_id",
    ),
];

/// Status by rule, before the end and after it, and what the rules found.
fn run(measured: bool) -> (Vec<RuleStatus>, Vec<RuleStatus>, Vec<String>) {
    let planner = RulePlanner::new().unwrap();
    let mut operator = Operator::new();
    if measured {
        operator.measure(ticking);
    }
    let add = |operator: &mut Operator, (name, clauses, select): &(&str, &str, &str)| {
        let rule = meta(&rule_sql(name, clauses, select));
        let plan = planner.plan(&rule.definition).unwrap();
        operator.add(rule, &plan).unwrap();
    };
    RULES.iter().for_each(|rule| add(&mut operator, rule));
    let rows = rows(20_000);
    let mut steps = Vec::new();
    // The rule with EVERY begins to count here.
    operator.advance(Stream::Readings, EventTime(0), Offset(0), &mut steps).unwrap();
    for (number, chunk) in rows.chunks(97).enumerate() {
        if number == 100 {
            add(&mut operator, &("late", RULES[2].1, RULES[2].2));
        }
        let offset = Offset(number as u64);
        operator.push(Stream::Readings, &readings(chunk), offset, &mut steps).unwrap();
    }
    let before = operator.status();
    let last = rows.iter().map(|row| row.at_us).max().unwrap();
    let end = EventTime(last + 100 * SECOND);
    operator.advance(Stream::Readings, end, Offset(1_000_000), &mut steps).unwrap();
    let found = steps
        .iter()
        .map(|step| format!("{} {}", step.rule.rule_id(), step.transition().unwrap().key));
    (before, operator.status(), found.collect())
}

#[test]
fn rows_and_matches_are_counted_exactly() {
    let rows = rows(20_000);
    let of = |metric: &str| rows.iter().filter(|row| row.metric == metric).count() as u64;
    let (before, after, _) = run(false);
    let status = |all: &[RuleStatus], name: &str| {
        all.iter().find(|status| status.rule.rule_id().as_str() == name).cloned().unwrap()
    };
    let counted = |name: &str| {
        let status = status(&after, name);
        (status.rows, status.matches)
    };
    let fast = rows.iter().filter(|row| row.metric == "speed" && row.value > 60.0).count() as u64;
    assert_eq!(counted("a_row"), (of("speed"), fast));
    let (read, matches) = counted("b_window");
    let windows: BTreeSet<(&str, i64)> =
        rows.iter().map(|row| (row.sensor.as_str(), row.at_us / (10 * SECOND))).collect();
    assert_eq!((read, matches), (20_000, windows.len() as u64));
    assert_eq!(counted("c_window"), (20_000, 0));
    assert_eq!(counted("late"), (20_000 - 100 * 97, 0));
    assert_eq!(counted("d_own").0, of("flow"));
    let held = status(&before, "e_frame");
    assert_eq!((held.rows, held.matches), (of("noise"), 0), "nothing is judged before its time");
    assert!(counted("e_frame").1 > of("noise") / 4);
    let asked = counted("f_asked");
    assert!(asked.0 >= 20_000 - 40 && asked.1 > 0, "{asked:?}");
    assert!(after.iter().all(|status| status.busy_us == 0), "nobody measured");
    // What waits is memory, and is given back.
    for name in ["b_window", "d_own", "e_frame", "f_asked"] {
        let (held, rest) = (status(&before, name), status(&after, name));
        assert!(held.memory_bytes > rest.memory_bytes, "{name}: {held:?} {rest:?}");
    }
    assert!(status(&before, "e_frame").memory_bytes > of("noise") * 50);
}

#[test]
fn time_is_shared_and_changes_nothing() {
    let (_, plain, found) = run(false);
    let (before, after, found_measured) = run(true);
    assert_eq!(found, found_measured);
    for (plain, measured) in plain.iter().zip(&after) {
        assert_eq!((plain.rows, plain.matches), (measured.rows, measured.matches));
        assert!(measured.busy_us > 0, "{}", measured.rule.rule_id());
    }
    // Two windows of one family began together and have had equal parts.
    let busy = |all: &[RuleStatus], name: &str| {
        let of = all.iter().find(|status| status.rule.rule_id().as_str() == name);
        of.map(|status| status.busy_us).unwrap()
    };
    assert_eq!(busy(&before, "b_window"), busy(&before, "c_window"));
    assert!(busy(&before, "late") < busy(&before, "b_window"));
    assert!(busy(&before, "f_asked") < busy(&after, "f_asked"));
}
