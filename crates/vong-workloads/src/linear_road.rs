//! Traffic on an expressway, after Linear Road (Arasu and others, 2004): a hundred segments of a
//! mile in each direction, on which every car reports position and speed each 30 seconds.
//!
//! An accident is two cars that stand at one place for four reports; a segment is congested when its
//! average speed over five minutes is below 40 mph, and its toll is 2 (n - 50)² for the n cars, when
//! these are more than 50. Generator, rules and truth are written here.
//!
//! A report is two readings of a car: `sensor_id` is the car, `unit_code` direction and segment as in
//! `E-57`, `unit` the lane; `metric` is `speed` (mph) or `position` (feet from the west end).

use anyhow::Result;
use vong_model::Stream;
use vong_sql::rule::RuleDefinition;

use crate::chance::Chance;
use crate::{Column, Feed, rule, view};

/// 2026-11-22T00:00:00Z.
pub const START_US: i64 = 1_795_305_600_000_000;
const SECOND_US: i64 = 1_000_000;
/// From one report of a car to its next, seconds.
const REPORT_S: i64 = 30;
const SEGMENTS: i64 = 100;
const SEGMENT_FEET: f64 = 5_280.0;
const FEET_A_SECOND_PER_MPH: f64 = SEGMENT_FEET / 3_600.0;
const LANES: [&str; 3] = ["1", "2", "3"];
const DIRECTIONS: [&str; 2] = ["E", "W"];
/// Reports of a car that stands after an accident.
const STANDING_REPORTS: i64 = 7;
/// Reports that make an accident.
const PROOF_REPORTS: i64 = 4;
/// How long a stretch of road stays slow.
const SLOW_S: i64 = 600;

/// Size of a road.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub cars: u32,
    pub minutes: u32,
    pub accidents: u32,
    /// Segments that become slow for ten minutes.
    pub slow: u32,
}

/// An accident that the generator made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accident {
    /// As in `E-57`.
    pub segment: String,
    pub cars: [String; 2],
    /// When the fourth report of the later car from that place is made, microseconds.
    pub proven_us: i64,
    /// After the last report of the earlier car from there.
    pub over_us: i64,
}

/// A segment on which everybody is slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slow {
    pub segment: String,
    pub from_us: i64,
    pub to_us: i64,
}

/// A road, its reports and what really happened.
#[derive(Debug)]
pub struct Road {
    pub feed: Feed,
    pub accidents: Vec<Accident>,
    pub slow: Vec<Slow>,
}

/// Rules and views over the reports, in our dialect.
///
/// # Errors
/// Never: the statements are right.
pub fn rules() -> Result<Vec<RuleDefinition>> {
    Ok(vec![
        view(
            "segment_speed",
            "SELECT unit_code AS segment, hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes') AS w, \
             avg(value) AS mph, count(*) AS reports FROM readings WHERE metric = 'speed' \
             GROUP BY unit_code, hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes')",
        )?,
        view(
            "segment_cars",
            "SELECT unit_code AS segment, tumble(event_time, INTERVAL '1 minute') AS w, \
             count(DISTINCT sensor_id) AS cars FROM readings WHERE metric = 'speed' \
             GROUP BY unit_code, tumble(event_time, INTERVAL '1 minute')",
        )?,
        view(
            "tolls",
            "SELECT unit_code AS segment, hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes') AS w, \
             avg(value) AS mph, count(DISTINCT sensor_id) AS cars, \
             2 * power(count(DISTINCT sensor_id) - 50, 2) AS toll FROM readings WHERE metric = 'speed' \
             GROUP BY unit_code, hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes') \
             HAVING avg(value) < 40 AND count(DISTINCT sensor_id) > 50",
        )?,
        rule(
            "congested",
            "",
            "SELECT unit_code, avg(value) AS mph FROM readings WHERE metric = 'speed' \
             GROUP BY unit_code, hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes') \
             HAVING avg(value) < 40 AND count(*) > 40",
        )?,
        rule(
            "car_stands",
            "",
            "SELECT sensor_id, value FROM readings WHERE metric = 'position' \
             QUALIFY count(*) OVER (PARTITION BY sensor_id ORDER BY event_time ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) = 4 \
             AND min(value) OVER (PARTITION BY sensor_id ORDER BY event_time ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) \
             = max(value) OVER (PARTITION BY sensor_id ORDER BY event_time ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)",
        )?,
        // A stretch of 120 seconds that ends within 30 of a report holds it and the three before.
        rule(
            "accident",
            "EVERY INTERVAL '5 seconds' OVER LAST INTERVAL '2 minutes'",
            "SELECT unit_code, count(*) AS cars FROM (SELECT unit_code, unit, sensor_id, min(value) AS place \
             FROM readings WHERE metric = 'position' GROUP BY unit_code, unit, sensor_id \
             HAVING count(*) >= 4 AND min(value) = max(value)) \
             GROUP BY unit_code, unit, place HAVING count(*) >= 2",
        )?,
    ])
}

/// One report of one car.
#[derive(Clone, Debug)]
struct Report {
    at_s: i64,
    car: u32,
    east: bool,
    lane: &'static str,
    feet: f64,
    mph: f64,
}

impl Report {
    fn segment(&self) -> String {
        segment(self.east, (self.feet / SEGMENT_FEET) as i64)
    }
}

fn segment(east: bool, number: i64) -> String {
    let [e, w] = DIRECTIONS;
    format!("{}-{number:02}", if east { e } else { w })
}

/// As a car's unit measures it. Sums of such fractions are exact, whatever the order.
fn speed(mph: f64) -> f64 {
    (mph * 1_024.0).round() / 1_024.0
}

fn instant(second: i64) -> i64 {
    START_US + second * SECOND_US
}

/// Makes a road; the same seed and size give the same road.
///
/// # Errors
/// Never: the columns fit the stream.
pub fn road(seed: u64, size: Size) -> Result<Road> {
    let mut maker = Maker { chance: Chance::new(seed), size, reports: vec![], slow: vec![] };
    let slow: Vec<Slow> = (0..size.slow).map(|number| maker.slow_segment(number)).collect();
    let accidents = (0..size.accidents).map(|number| maker.accident(number)).collect();
    (0..size.cars).for_each(|car| maker.drive(car));
    let mut reports = maker.reports;
    reports.sort_by_key(|report| (report.at_s, report.car));
    Ok(Road { feed: feed(&reports)?, accidents, slow })
}

struct Maker {
    chance: Chance,
    size: Size,
    reports: Vec<Report>,
    /// Direction, segment, and the seconds in which it is slow.
    slow: Vec<(bool, i64, i64, i64)>,
}

impl Maker {
    fn end_s(&self) -> i64 {
        i64::from(self.size.minutes) * 60
    }

    /// Slow segments stand ten apart, all in the eastern direction; accidents happen in the other.
    fn slow_segment(&mut self, number: u32) -> Slow {
        let place = (10 * i64::from(number) + 5) % SEGMENTS;
        let latest = (self.end_s() - SLOW_S - 300).max(1);
        let from = self.chance.below(latest.unsigned_abs()).cast_signed() / 60 * 60;
        let to = from + SLOW_S;
        self.slow.push((true, place, from, to));
        let segment = segment(true, place);
        // Cars that come in only to stand in the queue: 80 each five minutes.
        for car in 0..160_u32 {
            let at_s = from + i64::from(car) * SLOW_S / 160;
            self.crawl(1_000_000 + number * 1_000 + car, place, at_s, to);
        }
        Slow { segment, from_us: instant(from), to_us: instant(to) }
    }

    /// A car that creeps through a slow segment for as long as it is slow.
    fn crawl(&mut self, car: u32, place: i64, from_s: i64, to_s: i64) {
        let lane = self.chance.one_of(&LANES);
        let mut feet = place as f64 * SEGMENT_FEET + self.chance.between(0.0, 200.0);
        let mut at_s = from_s;
        while at_s < to_s && feet < (place + 1) as f64 * SEGMENT_FEET {
            let mph = speed(self.chance.between(8.0, 14.0));
            self.reports.push(Report { at_s, car, east: true, lane, feet, mph });
            feet += mph * FEET_A_SECOND_PER_MPH * REPORT_S as f64;
            at_s += REPORT_S;
        }
    }

    fn accident(&mut self, number: u32) -> Accident {
        let place = (7 * i64::from(number) + 3) % SEGMENTS;
        let feet = (place as f64 * SEGMENT_FEET + self.chance.between(500.0, 4_500.0)).round();
        let lane = self.chance.one_of(&LANES);
        let standing_s = STANDING_REPORTS * REPORT_S;
        let latest = (self.end_s() - standing_s - 120).max(1);
        let at = self.chance.below(latest.unsigned_abs()).cast_signed() + 60;
        let cars = [2_000_000 + number * 2, 2_000_001 + number * 2];
        let later = self.chance.below(REPORT_S.unsigned_abs()).cast_signed();
        for (car, first) in cars.into_iter().zip([at, at + later]) {
            self.reports.push(Report {
                at_s: first - REPORT_S,
                car,
                east: false,
                lane,
                feet: feet + 1_200.0,
                mph: 60.0,
            });
            for report in 0..STANDING_REPORTS {
                let at_s = first + report * REPORT_S;
                self.reports.push(Report { at_s, car, east: false, lane, feet, mph: 0.0 });
            }
        }
        Accident {
            segment: segment(false, place),
            cars: cars.map(|car| car.to_string()),
            proven_us: instant(at + later + (PROOF_REPORTS - 1) * REPORT_S),
            over_us: instant(at + standing_s),
        }
    }

    /// A car that drives from one segment to another.
    fn drive(&mut self, car: u32) {
        let east = self.chance.below(2) == 0;
        let lane = self.chance.one_of(&LANES);
        let mut at_s = self.chance.below(self.end_s().unsigned_abs()).cast_signed();
        let mut feet = self.chance.between(0.0, 90.0 * SEGMENT_FEET);
        let trip = self.chance.between(5.0, 30.0) * SEGMENT_FEET;
        let (mut left, end_s) = (trip, self.end_s());
        let cruise = self.chance.between(52.0, 68.0);
        while at_s < end_s && left > 0.0 && feet >= 0.0 && feet < SEGMENTS as f64 * SEGMENT_FEET {
            let place = (feet / SEGMENT_FEET) as i64;
            let is_slow = self.slow.iter().any(|(of_east, of_place, from, to)| {
                (*of_east, *of_place) == (east, place) && (*from..*to).contains(&at_s)
            });
            let wanted =
                if is_slow { self.chance.between(8.0, 20.0) } else { cruise + self.chance.unit() };
            let mph = speed(wanted);
            self.reports.push(Report { at_s, car, east, lane, feet, mph });
            let moved = mph * FEET_A_SECOND_PER_MPH * REPORT_S as f64;
            feet += if east { moved } else { -moved };
            left -= moved;
            at_s += REPORT_S;
        }
    }
}

/// One batch for each second in which somebody reports.
fn feed(reports: &[Report]) -> Result<Feed> {
    let mut feed = Feed::default();
    for second in reports.chunk_by(|a, b| a.at_s == b.at_s) {
        let segments: Vec<String> = second.iter().map(Report::segment).collect();
        let cars: Vec<String> = second.iter().map(|report| report.car.to_string()).collect();
        fn twice<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Column<'a> {
            Column::Texts(texts.clone().chain(texts).map(Some).collect())
        }
        let metrics = |name| std::iter::repeat_n(Some(name), second.len());
        let speeds = second.iter().map(|report| report.mph);
        let positions = second.iter().map(|report| report.feet);
        let times = second.iter().chain(second).map(|report| instant(report.at_s));
        feed.push(
            Stream::Readings,
            &[
                ("event_time", Column::Times(times.collect())),
                ("sensor_id", twice(cars.iter().map(String::as_str))),
                ("unit_code", twice(segments.iter().map(String::as_str))),
                ("unit", twice(second.iter().map(|report| report.lane))),
                ("metric", Column::Texts(metrics("speed").chain(metrics("position")).collect())),
                ("value", Column::Floats(speeds.chain(positions).collect())),
            ],
        )?;
    }
    Ok(feed)
}
