//! Dimension tables that change while rules are in force.

use super::*;

const LIMITS: &str = "sensor_id,high,kind\na,50,x\nb,20,x\n";
const OVER: &str = "SELECT r.sensor_id, r.value FROM readings r JOIN limits t ON r.sensor_id = \
                    t.sensor_id WHERE r.value > t.high";
const OF_KIND: &str = "SELECT r.sensor_id, r.value FROM readings r JOIN limits t ON r.sensor_id = \
                       t.sensor_id WHERE t.kind = 'x' AND r.value > 10";

/// Lines of a story; `table <csv, ; for line ends>` and `gone` change `limits`.
fn tell(rules: &[(&str, &str, &str)], lines: &str) -> Story {
    let mut story = Story::new();
    story.table("limits", Some(LIMITS));
    for (rule_id, clauses, select) in rules {
        story.rule(rule_id, clauses, select);
    }
    for line in lines.split('|').map(str::trim) {
        match line.strip_prefix("table ") {
            Some(csv) => story.table("limits", Some(&csv.replace(';', "\n"))),
            None if line == "gone" => story.table("limits", None),
            None => story.line(line),
        }
    }
    story
}

fn check(rules: &[(&str, &str, &str)], lines: &str, expected: &Expect) {
    expected.assert_eq(&tell(rules, lines).text());
}

#[test]
fn each_row_is_compared_with_the_limit_of_its_time() {
    check(
        &[("over", "", OVER)],
        "10 a s 60 | 11 b s 60 | 12 c s 60 | table sensor_id,high,kind;a,70,x;b,20,x | 13 b s 61 \
         | 14 a s 65 | table sensor_id,high,kind;a,70,x | 15 b s 62",
        &expect![[r#"
            10 over sensor_id=a firing 60
            11 over sensor_id=b firing 60
            14 over sensor_id=a resolved 65
            15 over sensor_id=b resolved 62
        "#]],
    );
}

#[test]
fn a_rule_that_chooses_rows_by_a_table_begins_anew_when_it_loses_rows() {
    check(
        &[("kind", "", OF_KIND), ("over", "", OVER)],
        "10 a s 60 | 11 b s 60 | table sensor_id,high,kind;a,50,y;b,20,x | 12 a s 61 | 13 b s 61 \
         | table sensor_id,high,kind;a,50,y;b,20,x;c,1,x | 14 c s 60",
        &expect![[r#"
            10 kind sensor_id=a firing 60
            10 over sensor_id=a firing 60
            11 kind sensor_id=b firing 60
            11 over sensor_id=b firing 60
            11 kind sensor_id=a cancelled 60
            11 kind sensor_id=b cancelled 60
            13 kind sensor_id=b firing 61
            14 kind sensor_id=c firing 60
            14 over sensor_id=c firing 60
        "#]],
    );
}

#[test]
fn a_table_that_lacks_what_a_rule_reads_puts_it_out_of_force() {
    let story = tell(
        &[("over", "", OVER), ("kind", "", OF_KIND)],
        "10 a s 60 | table sensor_id,kind;a,x | 11 a s 70",
    );
    expect![[r#"
        10 kind sensor_id=a firing 60
        10 over sensor_id=a firing 60
        10 kind sensor_id=a cancelled 60
        10 over sensor_id=a cancelled 60
        11 kind sensor_id=a firing 70
    "#]]
    .assert_eq(&story.text());
    assert_eq!(story.counts().refused_rules, 1);
    let story = tell(&[("over", "", OVER), ("kind", "", OF_KIND)], "10 a s 60 | gone | 11 a s 70");
    assert_eq!(story.counts().refused_rules, 2);
}

#[test]
fn a_table_that_cannot_be_read_changes_nothing() {
    let story =
        tell(&[("over", "", OVER)], "10 a s 60 | table sensor_id,high,kind;a,many | 11 a s 40");
    expect![[r#"
        10 over sensor_id=a firing 60
        11 over sensor_id=a resolved 40
    "#]]
    .assert_eq(&story.text());
    assert_eq!(story.counts().refused_tables, 1);
}

#[test]
fn windows_and_questions_see_changes_too() {
    let window = "SELECT t.kind, max(r.value - t.high) FROM readings r JOIN limits t ON r.sensor_id \
                  = t.sensor_id GROUP BY t.kind, tumble(event_time, INTERVAL '10 seconds') \
                  HAVING max(r.value - t.high) > 0";
    let asked = "SELECT r.sensor_id, max(r.value) FROM readings r JOIN limits t ON r.sensor_id = \
                 t.sensor_id WHERE r.value > t.high GROUP BY r.sensor_id";
    check(
        &[
            ("asked", "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '10 seconds'", asked),
            ("window", "", window),
        ],
        "10 a s 60 | 11 b s 15 | watermark 20 | 21 a s 60 | table sensor_id,high,kind;a,70,x;b,10,y \
         | 22 a s 60 | 23 b s 15 | watermark 30 | watermark 40",
        &expect![[r#"
            10 window kind=x firing 10
            20 asked sensor_id=a firing 60
            23 window kind=y firing 5
            30 asked sensor_id=b firing 15
            30 asked sensor_id=a resolved
            40 window kind=x resolved
            40 window kind=y resolved
            40 asked sensor_id=b resolved
        "#]],
    );
}

#[test]
fn a_disabled_rule_is_kept_whatever_its_tables_do() {
    let story = tell(
        &[("over", "", OVER)],
        "10 a s 60 | disable over | gone | table sensor_id,high,kind;a,50,x | enable over | 12 a s 60",
    );
    expect![[r#"
        10 over sensor_id=a firing 60
        10 over sensor_id=a cancelled 60
        12 over sensor_id=a firing 60
    "#]]
    .assert_eq(&story.text());
}

#[test]
fn a_rule_within_an_area_begins_anew_when_its_border_moves() {
    let mut story = Story::new();
    let area =
        |id: &str, to: u32| format!("{id},\"MULTIPOLYGON(((0 0,{to} 0,{to} 9,0 9,0 0)))\"\n");
    let areas = |west: u32, east: u32| {
        format!("area_id:key,wkt:text\n{}{}", area("west", west), area("east", east))
    };
    story.table("areas", Some(&areas(5, 5)));
    story.table("sensors", Some("sensor_id,lon,lat\na,1,1\nb,7,1\nc,20,1\n"));
    let select = |area: &str| {
        format!(
            "SELECT r.sensor_id, value FROM readings r JOIN sensors s ON s.sensor_id = r.sensor_id \
             WHERE st_within(s.lon, s.lat, '{area}') AND value > 10"
        )
    };
    story.rule("west", "", &select("west"));
    let window = "SELECT max(value) FROM readings r JOIN sensors s USING (sensor_id) WHERE \
                  st_within(s.lon, s.lat, 'west') GROUP BY tumble(event_time, INTERVAL '10 seconds') \
                  HAVING max(value) > 50";
    story.rule("window", "", window);
    let lines = |story: &mut Story, from: u32| {
        for (place, sensor) in ["a", "b", "c"].into_iter().enumerate() {
            story.line(&format!("{} {sensor} s {}", from + place as u32, 40 + place * 20));
        }
    };
    lines(&mut story, 1);
    story.table("areas", Some(&areas(5, 8)));
    lines(&mut story, 4);
    story.table("areas", Some(&areas(8, 8)));
    lines(&mut story, 11);
    story.line("watermark 30");
    expect![[r#"
        1 west sensor_id=a firing 40
        6 west sensor_id=a cancelled 40
        11 west sensor_id=a firing 40
        12 west sensor_id=b firing 60
        12 window all firing 60
        30 window all resolved
    "#]]
    .assert_eq(&story.text());
}
