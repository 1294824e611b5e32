//! Rows of `vehicle_counts`: what passed each line and stood in each zone, added up over periods
//! that begin at whole multiples of their length.

use std::collections::BTreeMap;

use vong_model::EventTime;

use super::objects::Kind;
use crate::findings::Count;
use crate::scene::Scene;

/// What is added up now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Periods {
    /// Number of the period, and when the first picture of it came.
    current: Option<(i64, EventTime)>,
    lines: BTreeMap<(usize, bool, Kind), Passed>,
    zones: Vec<Stood>,
    seen_s: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    count: u32,
    /// Sum of speeds, km/h.
    speed: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stood {
    most: u32,
    taken_s: f64,
    queue_m: f64,
}

/// What one picture shows of a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ZoneNow {
    pub(crate) vehicles: u32,
    pub(crate) queue_m: f64,
    /// Share of the zone that something covers.
    pub(crate) covered: f64,
}

impl Periods {
    /// Takes in a picture, `dt_s` after the one before it; the rows of a period that is over.
    pub(crate) fn observe(
        &mut self,
        scene: &Scene,
        at: EventTime,
        dt_s: f64,
        zones: &[ZoneNow],
    ) -> Vec<Count> {
        let number = at.micros().div_euclid(scene.period_us);
        let rows = match self.current {
            Some((current, since)) if current != number => {
                let end = EventTime(number.saturating_mul(scene.period_us));
                let rows = self.rows(scene, since, end);
                *self = Self { current: Some((number, end)), ..Self::default() };
                rows
            }
            Some(_) => Vec::new(),
            None => {
                self.current = Some((number, at));
                Vec::new()
            }
        };
        self.zones.resize(zones.len(), Stood::default());
        self.seen_s += dt_s;
        for (stood, now) in self.zones.iter_mut().zip(zones) {
            stood.most = stood.most.max(now.vehicles);
            stood.queue_m = stood.queue_m.max(now.queue_m);
            stood.taken_s += if now.vehicles > 0 { dt_s } else { 0.0 };
        }
        rows
    }

    pub(crate) fn crossed(&mut self, line: usize, forward: bool, kind: Kind, speed_kmh: f64) {
        let passed = self.lines.entry((line, forward, kind)).or_default();
        passed.count += 1;
        passed.speed += speed_kmh;
    }

    fn rows(&self, scene: &Scene, since: EventTime, end: EventTime) -> Vec<Count> {
        let period_s = (end.micros() - since.micros()) as f64 / 1e6;
        let row = |line: &str, direction, kind: Kind, count| Count {
            at: end,
            line: line.to_owned(),
            direction,
            kind: kind.as_str(),
            count,
            speed_kmh: None,
            occupancy: None,
            queue_m: None,
            period_s,
        };
        let mut rows = Vec::new();
        for (number, line) in scene.lines.iter().enumerate() {
            for (forward, direction) in [(true, "forward"), (false, "backward")] {
                let of = |((l, f, _), _): &(&(usize, bool, Kind), &Passed)| {
                    *l == number && *f == forward
                };
                let passed: Vec<_> = self.lines.iter().filter(of).collect();
                if passed.is_empty() {
                    // A road on which nothing passed is a fact too.
                    rows.push(row(&line.name, direction, Kind::Vehicle, 0));
                }
                for ((_, _, kind), Passed { count, speed }) in passed {
                    let speed_kmh = scene.is_measured().then(|| speed / f64::from(*count));
                    rows.push(Count { speed_kmh, ..row(&line.name, direction, *kind, *count) });
                }
            }
        }
        for (zone, stood) in scene.zones.iter().zip(&self.zones) {
            rows.push(Count {
                occupancy: (self.seen_s > 0.0).then(|| (stood.taken_s / self.seen_s).min(1.0)),
                queue_m: scene.is_measured().then_some(stood.queue_m),
                ..row(&zone.name, "inside", Kind::Vehicle, stood.most)
            });
        }
        rows
    }
}
