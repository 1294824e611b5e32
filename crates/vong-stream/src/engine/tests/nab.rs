//! The shipped anomaly rules on real traffic with labelled anomalies: the Numenta Anomaly Benchmark,
//! series of `realTraffic`, where it lies beside the checkout. One set of rules for all series.

use std::path::Path;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use vong_sql::rule::{RuleStatement, parse};

use super::*;
use crate::testing::{Row, readings, watermark};
use crate::{AlarmReport, Label};

const RULES: &str = include_str!("../../../../../configs/rule-sets/traffic_anomalies.sql");

fn micros(text: &str) -> i64 {
    string_to_timestamp_nanos(text).unwrap() / 1_000
}

fn series(file: &Path) -> Vec<Row> {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let metric = match name.split('_').next().unwrap() {
        "TravelTime" => "travel_time",
        other => other,
    };
    let text = std::fs::read_to_string(file).unwrap();
    let row = |line: &str| {
        let (time, value) = line.split_once(',').unwrap();
        Row::new(micros(time), name, metric, value.parse().unwrap())
    };
    let mut rows: Vec<Row> = text.lines().skip(1).map(row).collect();
    rows.sort_by_key(|row| row.at_us);
    rows
}

fn labels(folder: &Path, name: &str) -> Vec<Label> {
    let text = std::fs::read_to_string(folder.join("labels/combined_windows.json")).unwrap();
    let mut labels = Vec::new();
    let mut inside = false;
    let mut times = Vec::new();
    // The file has one time a line; reading it needs no JSON reader of our own.
    for line in text.lines() {
        if line.contains(".csv\"") {
            inside = line.contains(&format!("realTraffic/{name}.csv"));
        } else if let Some(time) = line.trim().strip_prefix('"').filter(|_| inside) {
            times.push(EventTime(micros(time.trim_end_matches(['"', ',']))));
        }
    }
    for window in times.chunks(2) {
        labels.push(Label { key: name.to_owned(), from: window[0], to: window[1] });
    }
    labels
}

#[test]
fn shipped_anomaly_rules_find_labelled_anomalies_of_real_traffic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/nab");
    if !folder.is_dir() {
        println!("skipped: needs shared/data/nab, which is not beside this checkout");
        return;
    }
    let planner = Arc::new(RulePlanner::new().unwrap());
    let rules = parse(RULES).unwrap().into_iter().filter_map(|statement| match statement {
        RuleStatement::Create(rule) => Some(*rule),
        _ => None,
    });
    let rules: Vec<RuleDefinition> = rules.collect();
    let mut files: Vec<_> =
        std::fs::read_dir(folder.join("realTraffic")).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "csv"));
    files.sort();
    let (mut hit, mut all, mut wrong, mut days) = (0, 0, 0, 0.0);
    for file in &files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let (rows, labels) = (series(file), labels(&folder, name));
        let mut engine = Engine::with_rules(Arc::clone(&planner), BTreeMap::new(), &rules).unwrap();
        let mut transitions = Vec::new();
        for (offset, chunk) in (0..).step_by(2).zip(rows.chunks(50)) {
            let reached = chunk.last().unwrap().at_us;
            let feed = [
                (Stream::Readings, readings(chunk)),
                (Stream::Watermarks, watermark("readings", reached)),
            ];
            for (offset, (stream, batch)) in (offset..).zip(feed) {
                let appended_at = EventTime(reached);
                let record = Record { offset: Offset(offset), appended_at, stream, batch };
                transitions.extend(engine.apply(&record).transitions);
            }
        }
        let span = rows.last().unwrap().at_us - rows.first().unwrap().at_us;
        let found = AlarmReport::of(&transitions, 1, &labels);
        let of_labels = found.labels.clone().unwrap();
        println!(
            "{name}: {} rows, {} of {} windows hit, {} alarms, {} outside every window",
            rows.len(),
            of_labels.hit,
            labels.len(),
            found.alarms,
            of_labels.false_alarms,
        );
        (hit, all) = (hit + of_labels.hit, all + labels.len());
        (wrong, days) = (wrong + of_labels.false_alarms, days + span as f64 / 86_400e6);
    }
    println!(
        "NAB realTraffic: {hit} of {all} windows hit, {wrong} false alarms in {days:.0} days \
         ({:.2} a day and series)",
        wrong as f64 / days
    );
    assert!(hit * 2 >= all, "at least half of the labelled windows are found");
}
