//! Scores every analytic on the simulated street, where the truth is known.
//!
//! `cargo run -p vong-vision --example score -- SEED [CAMERAS [raw]]`: a drill of half an hour before
//! each camera, filmed, encoded, decoded, judged and compared with what was staged. `raw` leaves the
//! codec out. Thresholds were chosen on seed 1; figures that are quoted are of other seeds.
#![expect(clippy::print_stdout, reason = "prints scores")]

use std::collections::BTreeMap;
use std::sync::Arc;

use vong_model::EventTime;
use vong_sim::City;
use vong_sim::camera::{CameraSpec, Codec, Geometry, LINE_Z_M, ROAD_Z_M, Studio, TrueVehicle};
use vong_sim::scenarios::{Act, Drill, Staged};
use vong_sim::scene::LensFault;
use vong_vision::health::{Health, Look};
use vong_vision::offline::StreamDecoder;
use vong_vision::scene::{Scene, SceneFile};
use vong_vision::traffic::Traffic;
use vong_vision::{Event, EventKind, EventState, Luma};

/// Frames a second, and frames between key frames.
const FPS: u64 = 10;
const GOP: u64 = 20;
/// How late something may be told, seconds, by what it takes to be sure of it.
const PATIENCE_S: f64 = 25.0;
/// 2026-01-01T09:00:00+07:00.
const ANCHOR: i64 = 1_767_232_800_000_000;

/// Begun and ended, seconds since the anchor.
type Span = (f64, f64);

#[derive(Debug, Default)]
struct Score {
    /// Told, and rightly so; staged; of those told.
    hits: u32,
    staged: u32,
    found: u32,
    alarms: u32,
    delays: Vec<f64>,
}

#[derive(Debug, Default)]
struct Counted {
    truth: u32,
    counted: u32,
    off_by_minute: u32,
    minutes: u32,
    speed_truth: f64,
    speed: f64,
}

#[derive(Debug, Default)]
struct Totals {
    by_kind: BTreeMap<&'static str, Score>,
    counts: BTreeMap<&'static str, Counted>,
    kinds: BTreeMap<String, (u32, u32)>,
    camera_hours: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, usual: u64| arguments.get(at).map_or(Ok(usual), |text| text.parse::<u64>());
    let (seed, cameras) = (number(0, 1)?, number(1, 3)?);
    let raw = arguments.get(2).is_some_and(|word| word == "raw");
    let mut totals = Totals::default();
    for camera in 1..=cameras {
        run(seed, &format!("CAM-{camera:02}"), raw, &mut totals)?;
    }
    print(seed, cameras, &totals);
    Ok(())
}

fn run(
    seed: u64,
    camera_id: &str,
    raw: bool,
    totals: &mut Totals,
) -> Result<(), Box<dyn std::error::Error>> {
    let spec = CameraSpec::new(camera_id, Codec::H264);
    let drill = Arc::new(Drill::new(seed, City::new(seed).scene()));
    let staged = drill.schedule(camera_id);
    let mut studio = Studio::new(spec.clone(), seed, drill, ANCHOR);
    let geometry = Geometry::new(&spec, seed);
    let file: SceneFile = toml::from_str(&geometry.scene_file(camera_id))?;
    let scene = Scene::new(file, 16.0 / 9.0)?;
    let (mut health, mut traffic) = (Health::new(), Traffic::new(scene));
    let mut decoder: Option<StreamDecoder> = None;
    let mut truth = Truth::default();
    let (mut events, mut blind, mut counts) = (Vec::new(), false, Vec::new());
    for n in 0..(Drill::LENGTH_S as u64 * FPS) {
        let at_s = n as f64 / FPS as f64;
        let at = EventTime(ANCHOR + (at_s * 1e6) as i64);
        let sizes = [(320_u16, 180_u16), (160, 90)];
        let lumas = if raw {
            let luma = studio.luma(n).to_vec();
            sizes
                .iter()
                .filter_map(|(w, h)| reduced(&luma, 640, usize::from(*w), usize::from(*h)))
                .collect()
        } else {
            let coded = studio.coded(n, n % GOP == 0)?;
            if decoder.is_none() {
                decoder = Some(StreamDecoder::open(&studio.sample_entry())?);
            }
            decoder.as_mut().ok_or("no decoder")?.next(&coded.data, &sizes)?
        };
        let [large, small] = lumas.as_slice() else { continue };
        truth.observe(at_s, &studio.truth(n), &geometry, &staged);
        if n % GOP == 0 {
            let look = Look { luma: small, received_at: at, camera_time: None };
            events.extend(health.observe(look).into_iter().map(|event| (at_s, event)));
            if health.is_sound() == blind {
                blind = !blind;
                traffic.suspend(blind);
            }
        }
        let seen = traffic.observe(large, at);
        for event in seen.events.iter().filter(|e| e.kind == EventKind::StoppedVehicle) {
            truth.explain(at_s, event, &studio.truth(n));
        }
        events.extend(seen.events.into_iter().map(|event| (at_s, event)));
        counts.extend(seen.counts);
    }
    totals.camera_hours += Drill::LENGTH_S / 3_600.0;
    score_events(camera_id, &events, &staged, &truth, totals);
    score_counts(&counts, &truth, &staged, totals);
    Ok(())
}

/// Means over squares, limited range to full.
fn reduced(luma: &[u8], wide: usize, width: usize, height: usize) -> Option<Luma> {
    let by = wide / width;
    let mut pixels = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            let rows = (y * by..(y + 1) * by).map(|y| y * wide + x * by);
            let sum: u32 = rows
                .flat_map(|at| luma.get(at..at + by).unwrap_or_default())
                .map(|pixel| u32::from(*pixel))
                .sum();
            let mean = f64::from(sum) / (by * by) as f64;
            pixels.push(((mean - 16.0) * 255.0 / 219.0).clamp(0.0, 255.0) as u8);
        }
    }
    Luma::new(width, height, pixels)
}

/// What truly happened, gathered frame by frame.
#[derive(Debug, Default)]
struct Truth {
    last: BTreeMap<u64, (f64, f64)>,
    /// Crossings of the counting line: when, direction, kind, speed.
    crossings: Vec<(f64, &'static str, &'static str, f64)>,
    standing_since: BTreeMap<u64, f64>,
    stopped: Vec<Span>,
    queue: Vec<Span>,
}

impl Truth {
    fn observe(&mut self, at_s: f64, now: &[TrueVehicle], geometry: &Geometry, staged: &[Staged]) {
        let mut places = BTreeMap::new();
        let (near, far) = (f64::from(ROAD_Z_M.0), f64::from(ROAD_Z_M.1));
        let in_sight = |v: &TrueVehicle| {
            let (x, y) = geometry.on_ground(v.x_m, v.z_m);
            (near..far).contains(&f64::from(v.z_m)) && (0.0..1.0).contains(&x) && y < 1.0
        };
        let (mut stands, mut slow) = (false, BTreeMap::<i64, Vec<f64>>::new());
        for vehicle in now {
            let z = f64::from(vehicle.z_m);
            if let Some((before, _)) = self.last.get(&vehicle.number) {
                let line = f64::from(LINE_Z_M);
                let (x, _) = geometry.on_ground(vehicle.x_m, LINE_Z_M);
                if (*before < line) != (z < line) && (0.0..1.0).contains(&x) {
                    let direction = if vehicle.away { "away" } else { "toward" };
                    let speed = f64::from(vehicle.speed_kmh);
                    self.crossings.push((at_s, direction, vehicle.kind, speed));
                }
            }
            places.insert(vehicle.number, (z, 0.0));
            if vehicle.speed_kmh < 1.0 && in_sight(vehicle) {
                let since = *self.standing_since.entry(vehicle.number).or_insert(at_s);
                stands |= at_s - since >= 15.0;
            } else {
                self.standing_since.remove(&vehicle.number);
            }
            if vehicle.speed_kmh < 6.0 && in_sight(vehicle) {
                slow.entry((f64::from(vehicle.x_m) * 2.0).round() as i64).or_default().push(z);
            }
        }
        self.last = places;
        let blind = staged
            .iter()
            .any(|s| !matches!(s.act, Act::Road(_)) && (s.from_s..s.to_s).contains(&at_s));
        let queues = slow.values().any(|zs| {
            let (least, most) =
                zs.iter().fold((f64::MAX, 0.0_f64), |(a, b), z| (a.min(*z), b.max(*z)));
            most - least >= 16.0
        });
        extend(&mut self.stopped, at_s, stands && !blind);
        extend(&mut self.queue, at_s, queues && !blind);
    }
}

impl Truth {
    /// Prints who truly is where a vehicle was told to stand, and for how long they have stood.
    fn explain(&self, at_s: f64, event: &Event, now: &[TrueVehicle]) {
        let Some((_, place)) = event.detail.as_deref().and_then(|d| d.split_once(" at ")) else {
            return;
        };
        let metres = place.split(", ").map(|part| part.trim_end_matches(" m").parse::<f64>());
        let Ok(place) = metres.collect::<Result<Vec<_>, _>>() else { return };
        let [x, z] = place.as_slice() else { return };
        let near = now.iter().filter_map(|vehicle| {
            let (dx, dz) = (f64::from(vehicle.x_m) - x, f64::from(vehicle.z_m) - z);
            let stood = self.standing_since.get(&vehicle.number).map_or(0.0, |since| at_s - since);
            (dx.abs() < 3.0 && dz.abs() < 9.0).then(|| {
                let (kind, speed) = (vehicle.kind, vehicle.speed_kmh);
                format!("{kind} {dx:+.1} {dz:+.1} m {speed:.0} km/h, stood {stood:.0} s")
            })
        });
        let near: Vec<String> = near.collect();
        println!("    {at_s:.1} s {} near {x} {z}: {}", event.state.as_str(), near.join("; "));
    }
}

/// Draws the last span on, or begins a new one.
fn extend(spans: &mut Vec<Span>, at_s: f64, is_so: bool) {
    if !is_so {
        return;
    }
    match spans.last_mut().filter(|span| at_s - span.1 < 10.0) {
        Some(span) => span.1 = at_s,
        None => spans.push((at_s, at_s)),
    }
}

fn score_events(
    camera_id: &str,
    events: &[(f64, Event)],
    staged: &[Staged],
    truth: &Truth,
    totals: &mut Totals,
) {
    let mut wanted: BTreeMap<&'static str, Vec<Span>> = BTreeMap::new();
    println!(
        "{camera_id}: {:?}",
        staged.iter().map(|s| (s.act.event_kind(), s.from_s, s.to_s)).collect::<Vec<_>>()
    );
    for Staged { act, from_s, to_s } in staged {
        if *act != Act::Road(vong_sim::scene::Incident::Breakdown) {
            wanted.entry(act.event_kind()).or_default().push((*from_s, *to_s));
        }
        if *act == Act::Lens(LensFault::Moved) {
            wanted.entry("scene_change").or_default().push((*from_s, *from_s + 3.0));
        }
    }
    wanted.insert(
        "stopped_vehicle",
        truth.stopped.iter().copied().filter(|s| s.1 - s.0 > 3.0).collect(),
    );
    wanted.insert("queue", truth.queue.iter().copied().filter(|s| s.1 - s.0 > 10.0).collect());
    let mut all: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for (at_s, event) in events.iter().filter(|(_, e)| e.state == EventState::Began) {
        if let Some(detail) = &event.detail {
            println!("  {camera_id}: {at_s:.1} s {} {detail}", event.kind.as_str());
        }
        all.entry(event.kind.as_str()).or_default().push(*at_s);
    }
    for kind in [
        "black",
        "white",
        "covered",
        "defocused",
        "moved",
        "frozen",
        "scene_change",
        "stopped_vehicle",
        "wrong_way",
        "queue",
    ] {
        let spans = wanted.remove(kind).unwrap_or_default();
        let told = all.remove(kind).unwrap_or_default();
        let score = totals.by_kind.entry(kind).or_default();
        let fits = |span: &Span, at: f64| (span.0 - 0.5..=span.1 + PATIENCE_S).contains(&at);
        score.staged += spans.len() as u32;
        score.alarms += told.len() as u32;
        for at in &told {
            let right = spans.iter().any(|span| fits(span, *at));
            score.hits += u32::from(right);
            if !right {
                println!("  {camera_id}: {kind} told at {at:.1} s, nothing staged");
            }
        }
        for span in &spans {
            match told.iter().find(|at| fits(span, **at)) {
                Some(at) => {
                    score.found += 1;
                    score.delays.push(at - span.0);
                }
                None => {
                    println!("  {camera_id}: {kind} from {:.1} to {:.1} s not told", span.0, span.1)
                }
            }
        }
    }
}

/// Minutes during which the camera could not see are left out.
fn score_counts(
    counts: &[vong_vision::Count],
    truth: &Truth,
    staged: &[Staged],
    totals: &mut Totals,
) {
    let mut minutes: Vec<f64> =
        counts.iter().map(|c| (c.at.micros() - ANCHOR) as f64 / 1e6).collect();
    minutes.sort_by(f64::total_cmp);
    minutes.dedup();
    for end in minutes {
        let start = end - 60.0;
        let spoilt = staged
            .iter()
            .any(|s| !matches!(s.act, Act::Road(_)) && s.from_s < end && s.to_s + 45.0 > start);
        let whole = counts.iter().any(|c| {
            ((c.at.micros() - ANCHOR) as f64 / 1e6 - end).abs() < 0.1 && c.period_s > 59.0
        });
        if spoilt || !whole {
            continue;
        }
        for direction in ["away", "toward"] {
            let is_now = |at: f64| at > start && at <= end;
            let passed: Vec<_> =
                truth.crossings.iter().filter(|c| c.1 == direction && is_now(c.0)).collect();
            let rows: Vec<_> = counts
                .iter()
                .filter(|c| {
                    c.line == direction && ((c.at.micros() - ANCHOR) as f64 / 1e6 - end).abs() < 0.1
                })
                .collect();
            let counted: u32 = rows.iter().map(|c| c.count).sum();
            let all = totals.counts.entry(direction).or_default();
            let truly = passed.len() as u32;
            all.truth += truly;
            all.counted += counted;
            all.off_by_minute += truly.abs_diff(counted);
            all.minutes += 1;
            all.speed_truth += passed.iter().map(|c| c.3).sum::<f64>();
            all.speed +=
                rows.iter().map(|c| c.speed_kmh.unwrap_or(0.0) * f64::from(c.count)).sum::<f64>();
            for passed in passed {
                totals.kinds.entry(passed.2.to_owned()).or_default().0 += 1;
            }
            for row in rows.iter().filter(|row| row.count > 0) {
                totals.kinds.entry(row.kind.to_owned()).or_default().1 += row.count;
            }
        }
    }
}

fn print(seed: u64, cameras: u64, totals: &Totals) {
    println!("seed {seed}, {cameras} cameras, {:.1} camera hours", totals.camera_hours);
    println!(
        "{:16} {:>6} {:>6} {:>6} {:>9} {:>7} {:>9}",
        "event", "staged", "found", "told", "precision", "recall", "delay s"
    );
    for (kind, score) in &totals.by_kind {
        let share = |part: u32, whole: u32| {
            if whole == 0 { f64::NAN } else { f64::from(part) / f64::from(whole) }
        };
        let mut delays = score.delays.clone();
        delays.sort_by(f64::total_cmp);
        let delay = delays.get(delays.len() / 2).copied().unwrap_or(f64::NAN);
        println!(
            "{kind:16} {:>6} {:>6} {:>6} {:>9.2} {:>7.2} {delay:>9.1}",
            score.staged,
            score.found,
            score.alarms,
            share(score.hits, score.alarms),
            share(score.found, score.staged),
        );
    }
    for (direction, c) in &totals.counts {
        println!(
            "counts {direction:7}: truth {}, counted {} ({:+.1} %), mean error a minute {:.2} of {:.1}; speed {:.1} km/h, truth {:.1}",
            c.truth,
            c.counted,
            100.0 * (f64::from(c.counted) / f64::from(c.truth.max(1)) - 1.0),
            f64::from(c.off_by_minute) / f64::from(c.minutes.max(1)),
            f64::from(c.truth) / f64::from(c.minutes.max(1)),
            c.speed / f64::from(c.counted.max(1)),
            c.speed_truth / f64::from(c.truth.max(1)),
        );
    }
    for (kind, (truth, counted)) in &totals.kinds {
        println!("kind {kind:12}: truth {truth}, counted {counted}");
    }
}
