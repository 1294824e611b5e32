//! Windows that one row decides: alerts before the end of the window, and the same windows as batch.

use super::*;

const RULES: [&str; 4] = [
    "SELECT sensor_id, max(value) FROM readings \
     GROUP BY sensor_id, tumble(event_time, INTERVAL '10 seconds') HAVING max(value) > 97",
    "SELECT metric, min(value) FROM readings WHERE value > 1 \
     GROUP BY metric, tumble(event_time, INTERVAL '3 seconds') HAVING min(value) <= 1.5",
    "SELECT sensor_id, max(value) FILTER (WHERE metric = 'speed') FROM readings \
     GROUP BY sensor_id, tumble(event_time, INTERVAL '5 seconds') \
     HAVING max(value) FILTER (WHERE metric = 'speed') >= 99",
    "SELECT sensor_id, metric FROM readings \
     GROUP BY sensor_id, metric, tumble(event_time, INTERVAL '10 seconds') HAVING max(value) > 98",
];

/// When, which state, of what, since when, with which value.
type Told = (i64, State, String, i64, Option<u64>);

/// What the rules tell of rows in records of `size`, the watermark following 2 s behind every 100
/// rows. Steps of one rule, in order.
fn told(rules: &[&str], rows: &[Row], size: usize) -> Vec<Vec<Told>> {
    let planner = RulePlanner::new().unwrap();
    let mut operator = Operator::new();
    for (number, select) in rules.iter().enumerate() {
        let rule = meta(&rule_sql(&format!("r{number}"), "", select));
        operator.add(Arc::clone(&rule), &planner.plan(&rule.definition).unwrap()).unwrap();
    }
    let (mut steps, mut reached) = (Vec::new(), i64::MIN);
    for stretch in rows.chunks(100) {
        for record in stretch.chunks(size) {
            let batch = readings(record);
            operator.push(Stream::Readings, &batch, Offset(0), &mut steps).unwrap();
        }
        reached = stretch.iter().map(|row| row.at_us).max().unwrap().max(reached);
        let to = EventTime(reached - 2 * SECOND);
        operator.advance(Stream::Readings, to, Offset(0), &mut steps).unwrap();
    }
    let end = EventTime(reached + 100 * SECOND);
    operator.advance(Stream::Readings, end, Offset(0), &mut steps).unwrap();
    let of = |number: usize| {
        let name = format!("r{number}");
        let own = steps.iter().filter(move |step| step.rule.rule_id().as_str() == name);
        let told = own.filter_map(Step::transition).map(|t| {
            let value = t.value.map(f64::to_bits);
            (t.at.micros(), t.state, t.key.to_string(), t.started.micros(), value)
        });
        told.collect()
    };
    (0..rules.len()).map(of).collect()
}

#[test]
fn what_is_told_depends_neither_on_the_records_nor_on_other_rules() {
    let rows = rows(6_000);
    let together = told(&RULES, &rows, 100);
    for size in [1, 7, 33] {
        assert!(told(&RULES, &rows, size) == together, "records of {size} rows");
    }
    for (select, told_together) in RULES.iter().zip(&together) {
        assert!(told(&[select], &rows, 100) == [told_together.clone()], "{select}");
        let before_the_end = told_together.iter().filter(|(at, state, _, started, _)| {
            *state == State::Firing && at % SECOND != 0 && at > started
        });
        assert!(before_the_end.count() > 3, "{select}");
    }
}

#[tokio::test]
async fn the_windows_are_those_of_batch() {
    let rows = rows(6_000);
    for (select, width) in [(RULES[0], 10), (RULES[2], 5)] {
        let of_batch = select.replacen(
            " FROM",
            &format!(", tumble(event_time, INTERVAL '{width} seconds') AS w FROM"),
            1,
        );
        let expected = by_datafusion(&of_batch, width * SECOND, &rows).await;
        let found = by_operator(select, &rows);
        assert!(expected.len() > 30, "{}", expected.len());
        assert!(found.keys().eq(expected.keys()), "{select}");
        let least = [97.0, 99.0][usize::from(width == 5)];
        assert!(found.values().all(|bits| f64::from_bits(*bits) >= least), "{select}");
    }
}
