//! Traffic on a camera's picture without a model: what differs from the background, vehicles among
//! it, their tracks; from them counts, speeds, queues, stopped vehicles and wrong-way drivers.
//!
//! Pure: small grey pictures and their times in, events and counts out.

mod background;
mod looks;
mod objects;
mod periods;
mod sights;
mod tracks;

use vong_model::EventTime;

use crate::episode::Episode;
use crate::findings::{Count, Event, EventKind};
use crate::luma::Luma;
use crate::model::Detection;
use crate::scene::{Scene, contains, side};
use background::Background;
use objects::Finder;
use periods::{Periods, ZoneNow};
use sights::Sights;
use tracks::{Track, Tracks};

/// Size of the pictures that are judged.
pub const WIDTH: usize = objects::WIDTH;
pub const HEIGHT: usize = objects::HEIGHT;

/// Pictures further apart than this say nothing of speeds: tracking begins anew.
const LONGEST_GAP_S: f64 = 1.5;
/// What drives against its lane is told after so many metres.
const WRONG_WAY_M: f64 = 8.0;
const WRONG_WAY_KMH: f64 = 5.0;
/// ... and so many sightings, nearly all further back than the one before: in a queue vehicles are
/// taken for one another.
const WRONG_WAY_STEPS: u32 = 10;
/// A picture in which so many pixels change by so much shows a street that lives.
const LIVING_PIXELS: usize = 8;
const LIVING_LEVELS: u8 = 6;
/// A vehicle is told to stand only while the picture lives: in a frozen one all stand.
const LIVING_US: i64 = 4_000_000;
/// Slower than this is queueing.
const QUEUE_KMH: f64 = 6.0;
/// A queue with larger holes than this is two.
const QUEUE_HOLE_M: f64 = 15.0;
/// How long a queue or a crowd must last, and be gone, seconds.
const QUEUE_S: f64 = 8.0;
const CROWD_S: f64 = 10.0;
/// How long a wrong-way driver is told after the last sighting, seconds.
const WRONG_WAY_HOLD_S: f64 = 5.0;

/// Watches the traffic before one camera.
#[derive(Debug)]
pub struct Traffic {
    scene: Scene,
    finder: Finder,
    background: Background,
    tracks: Tracks,
    sights: Sights,
    periods: Periods,
    /// Which pixels of the picture lie in each zone.
    zone_pixels: Vec<Vec<usize>>,
    zones: Vec<ZoneState>,
    last_at: Option<EventTime>,
    last: Option<Luma>,
    living_at: EventTime,
    stopped: Episode,
    wrong_way: Episode,
    queue: Episode,
    crowd: Episode,
    wrong_way_seen: Option<EventTime>,
    is_suspended: bool,
}

/// For how long a zone has been as it is.
#[derive(Clone, Copy, Debug, Default)]
struct ZoneState {
    queue_s: f64,
    crowd_s: f64,
}

/// What pictures told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub events: Vec<Event>,
    pub counts: Vec<Count>,
}

impl Traffic {
    pub fn new(scene: Scene) -> Self {
        let zone_pixels = scene.zones.iter().map(|zone| {
            let inside = |at: &usize| {
                let (x, y) = ((*at % WIDTH) as f64 + 0.5, (*at / WIDTH) as f64 + 0.5);
                contains(&zone.polygon, [x / WIDTH as f64, y / HEIGHT as f64])
            };
            (0..WIDTH * HEIGHT).filter(inside).collect()
        });
        Self {
            zone_pixels: zone_pixels.collect(),
            zones: vec![ZoneState::default(); scene.zones.len()],
            finder: Finder::new(scene.clone()),
            scene,
            background: Background::default(),
            tracks: Tracks::default(),
            sights: Sights::default(),
            periods: Periods::default(),
            last_at: None,
            last: None,
            living_at: EventTime(0),
            stopped: Episode::new(1, 10),
            wrong_way: Episode::new(1, 1),
            queue: Episode::new(1, 1),
            crowd: Episode::new(1, 1),
            wrong_way_seen: None,
            is_suspended: false,
        }
    }

    /// Takes in the next picture, which must be of [`WIDTH`] by [`HEIGHT`]; others say nothing.
    pub fn observe(&mut self, luma: &Luma, at: EventTime) -> Seen {
        if self.is_suspended || (luma.width(), luma.height()) != (WIDTH, HEIGHT) {
            return Seen::default();
        }
        // The very same picture again tells nothing: the camera, not the street, stands still.
        let last = self.last.replace(luma.clone());
        if last.as_ref() == Some(luma) {
            return Seen::default();
        }
        if last.is_none_or(|last| is_living(&last, luma)) {
            if at.micros() - self.living_at.micros() > LIVING_US {
                self.tracks.forget(); // how long who stood is not known
            }
            self.living_at = at;
        }
        let Some(dt_s) = self.advance(at) else { return Seen::default() };
        let Some(differing) = self.background.differing(luma, at.micros()) else {
            self.tracks.forget();
            return Seen::default();
        };
        let (objects, taken) = self.finder.find(&differing);
        self.background.follow(luma, &differing, &taken, dt_s as f32);
        self.tracks.observe(&objects, &self.scene, dt_s, at.micros());
        self.tracks.look_again(luma, at.micros());
        self.count_crossings();
        let zones = self.zones_now(&differing);
        let counts = self.periods.observe(&self.scene, at, dt_s, &zones);
        let mut events = Vec::new();
        events.extend(self.stopped(at));
        events.extend(self.wrong_way(at));
        events.extend(self.queue(at, dt_s, &zones));
        events.extend(self.crowd(at, dt_s, &zones));
        Seen { events, counts }
    }

    /// Stops judging pictures, or begins again: while the camera is covered or shows another view,
    /// lanes are not where the scene says. What is known of vehicles is forgotten.
    pub fn suspend(&mut self, is_suspended: bool) {
        self.is_suspended = is_suspended;
        self.tracks.forget();
        self.last_at = None;
    }

    /// Whether anything moves or stands on the street.
    pub fn has_vehicles(&self) -> bool {
        self.tracks.all.iter().any(Track::is_confirmed)
    }

    /// Notes where everything is in the picture observed last, taken at `pts_90k` of the camera's
    /// count, for a picture model that looks at it later.
    pub fn mark(&mut self, pts_90k: i64) {
        self.sights.mark(pts_90k, &self.tracks.all);
    }

    /// Takes over what a picture model sees in the picture taken at `pts_90k`: what overlaps a
    /// vehicle there says of what kind that is. How many vehicles were told.
    pub fn recognise(&mut self, pts_90k: i64, seen: &[Detection]) -> usize {
        self.sights.recognise(pts_90k, seen, &mut self.tracks.all)
    }

    /// Vehicles that are tracked now: place on the plane of the scene, speed, kind.
    pub fn vehicles(&self) -> Vec<([f64; 2], f64, &'static str)> {
        let seen = self.tracks.all.iter().filter(|t| t.is_confirmed() && t.is_seen());
        seen.map(|track| (track.at, track.speed(), track.kind().as_str())).collect()
    }

    /// Seconds since the last picture; `None` when it came before that one.
    fn advance(&mut self, at: EventTime) -> Option<f64> {
        let last = self.last_at.replace(at);
        let dt_s = last.map_or(0.1, |last| (at.micros() - last.micros()) as f64 / 1e6);
        if dt_s <= 0.0 {
            self.last_at = last;
            return None;
        }
        if dt_s > LONGEST_GAP_S {
            self.tracks.forget();
            return Some(0.1);
        }
        Some(dt_s)
    }

    fn count_crossings(&mut self) {
        let Self { scene, tracks, periods, .. } = self;
        for track in tracks.all.iter_mut().filter(|track| track.is_confirmed()) {
            for (number, line) in scene.lines.iter().enumerate() {
                let now = side(line.from, line.to, track.at);
                let slots = track.sides.get_mut(number).zip(track.counted.get_mut(number));
                let Some((before, counted)) = slots else { continue };
                let crossed = now.signum() != before.signum();
                *before = now;
                let [x, y] = scene.plane.to_picture(track.at);
                let in_picture = (0.0..1.0).contains(&x) && (0.0..1.0).contains(&y);
                let passed = in_picture && is_beside(line.from, line.to, track.at);
                if !crossed || *counted || !passed {
                    continue;
                }
                *counted = true;
                let speed_kmh = track.velocity[0].hypot(track.velocity[1]) * 3.6;
                periods.crossed(number, now.signum() == line.forward, track.kind(), speed_kmh);
            }
        }
    }

    fn zones_now(&self, differing: &[bool]) -> Vec<ZoneNow> {
        let zones = self.scene.zones.iter().zip(&self.zone_pixels);
        let now = zones.map(|(zone, pixels)| {
            let on = |at: &&usize| differing.get(**at).copied().unwrap_or(false);
            let inside = |track: &&Track| {
                let at = self.scene.plane.to_picture(track.at);
                track.is_confirmed() && contains(&zone.polygon, at)
            };
            let tracks: Vec<&Track> = self.tracks.all.iter().filter(inside).collect();
            ZoneNow {
                vehicles: u32::try_from(tracks.len()).unwrap_or(u32::MAX),
                queue_m: if self.scene.is_measured() { self.queue_m(&tracks) } else { 0.0 },
                covered: pixels.iter().filter(on).count() as f64 / pixels.len().max(1) as f64,
            }
        });
        now.collect()
    }

    /// The longest stretch of slow vehicles on one lane, metres.
    fn queue_m(&self, tracks: &[&Track]) -> f64 {
        let mut longest = 0.0_f64;
        for (number, lane) in self.scene.lanes.iter().enumerate() {
            let slow = tracks
                .iter()
                .filter(|track| track.lane == Some(number) && track.speed() * 3.6 < QUEUE_KMH);
            let span = |track: &&&Track| {
                let from = track.at[0] * lane.along[0] + track.at[1] * lane.along[1];
                (from, track.kind().length_m())
            };
            let mut spans: Vec<(f64, f64)> = slow.map(|track| span(&track)).collect();
            spans.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (mut begin, mut end, mut vehicles) = (f64::NAN, f64::NEG_INFINITY, 0);
            for (at, length) in spans {
                if at - end > QUEUE_HOLE_M {
                    (begin, vehicles) = (at, 0);
                }
                end = at + length;
                vehicles += 1;
                if vehicles >= 2 {
                    longest = longest.max(end - begin);
                }
            }
        }
        longest
    }

    fn stopped(&mut self, at: EventTime) -> Option<Event> {
        let on_lanes = self.tracks.all.iter().filter(|t| t.has_driven && t.lane.is_some());
        let longest = on_lanes.max_by_key(|track| track.standing_us(at.micros()));
        let for_us = longest.map_or(0, |track| track.standing_us(at.micros()));
        let is_living = at.micros() - self.living_at.micros() < LIVING_US;
        let stands = for_us >= self.scene.stopped_us && (is_living || self.stopped.is_on());
        let state = self.stopped.observe(at, stands)?;
        let lane = longest.and_then(|track| self.scene.lanes.get(track.lane?));
        Some(Event {
            at,
            kind: EventKind::StoppedVehicle,
            state,
            subject: lane.map(|lane| lane.name.clone()),
            value: Some(for_us as f64 / 1e6),
            detail: longest.map(|track| self.place_of(track)),
        })
    }

    /// What it is and where, in words.
    fn place_of(&self, track: &Track) -> String {
        let kind = track.kind().as_str();
        let [x, y] = track.at;
        if self.scene.is_measured() {
            return format!("{kind} at {x:.1} m, {y:.1} m");
        }
        let [x, y] = self.scene.plane.to_picture(track.at);
        format!("{kind} at {:.0} % across and {:.0} % down", x * 100.0, y * 100.0)
    }

    fn wrong_way(&mut self, at: EventTime) -> Option<Event> {
        let mut farthest = 0.0_f64;
        for track in &mut self.tracks.all {
            let Some(lane) = track.lane.and_then(|lane| self.scene.lanes.get(lane)) else {
                continue;
            };
            let along = |v: [f64; 2]| v[0] * lane.along[0] + v[1] * lane.along[1];
            let gone = [track.at[0] - track.origin[0], track.at[1] - track.origin[1]];
            let against = -along(gone);
            let fast = -along(track.velocity) * 3.6 > WRONG_WAY_KMH;
            // Mostly against, not across: somebody who turns or changes lanes goes both ways.
            let straight = against > 0.8 * gone[0].hypot(gone[1]);
            let (ahead, back) = track.steps;
            let steady = back >= WRONG_WAY_STEPS && back >= 4 * ahead;
            if track.is_seen() && fast && straight && steady && against > WRONG_WAY_M {
                farthest = farthest.max(against);
            }
        }
        if farthest > 0.0 {
            self.wrong_way_seen = Some(at);
        }
        let held = self
            .wrong_way_seen
            .is_some_and(|seen| ((at.micros() - seen.micros()) as f64) < WRONG_WAY_HOLD_S * 1e6);
        let state = self.wrong_way.observe(at, held)?;
        let value = Some(farthest);
        Some(Event { at, kind: EventKind::WrongWay, state, subject: None, value, detail: None })
    }

    fn queue(&mut self, at: EventTime, dt_s: f64, zones: &[ZoneNow]) -> Option<Event> {
        let limits: Vec<Option<f64>> = self.scene.zones.iter().map(|zone| zone.queue_m).collect();
        let mut told: Option<(usize, f64)> = None;
        for (number, (limit, now)) in limits.iter().zip(zones).enumerate() {
            let Some((limit, state)) = limit.zip(self.zones.get_mut(number)) else { continue };
            state.queue_s = held(state.queue_s, now.queue_m >= limit, dt_s, QUEUE_S);
            if state.queue_s >= needed_s(&self.queue, QUEUE_S)
                && told.is_none_or(|(_, most)| now.queue_m > most)
            {
                told = Some((number, now.queue_m));
            }
        }
        let state = self.queue.observe(at, told.is_some())?;
        Some(self.of_zone(at, EventKind::Queue, state, told))
    }

    fn crowd(&mut self, at: EventTime, dt_s: f64, zones: &[ZoneNow]) -> Option<Event> {
        let limits: Vec<Option<f64>> =
            self.scene.zones.iter().map(|zone| zone.crowd_share).collect();
        let mut told: Option<(usize, f64)> = None;
        for (number, (limit, now)) in limits.iter().zip(zones).enumerate() {
            let Some((limit, state)) = limit.zip(self.zones.get_mut(number)) else { continue };
            state.crowd_s = held(state.crowd_s, now.covered >= limit, dt_s, CROWD_S);
            if state.crowd_s >= needed_s(&self.crowd, CROWD_S)
                && told.is_none_or(|(_, most)| now.covered > most)
            {
                told = Some((number, now.covered));
            }
        }
        let state = self.crowd.observe(at, told.is_some())?;
        Some(self.of_zone(at, EventKind::Crowd, state, told))
    }

    fn of_zone(
        &self,
        at: EventTime,
        kind: EventKind,
        state: crate::findings::EventState,
        told: Option<(usize, f64)>,
    ) -> Event {
        let zone = told.and_then(|(number, _)| self.scene.zones.get(number));
        let subject = zone.map(|zone| zone.name.clone());
        Event { at, kind, state, subject, value: told.map(|(_, value)| value), detail: None }
    }
}

/// Whether anything moved from one picture to the next, captions at the rim apart.
fn is_living(last: &Luma, now: &Luma) -> bool {
    let rim = HEIGHT / 10;
    let rows = last.rows().zip(now.rows()).take(HEIGHT - rim).skip(rim);
    let pixels = rows.flat_map(|(before, after)| before.iter().zip(after));
    let moved = pixels.filter(|(before, after)| before.abs_diff(**after) > LIVING_LEVELS);
    moved.take(LIVING_PIXELS).count() == LIVING_PIXELS
}

/// Seconds for which something has been so: rises while it is, falls while it is not, between 0 and
/// half more than is needed to tell it.
fn held(so_far_s: f64, is_so: bool, dt_s: f64, needed_s: f64) -> f64 {
    let by = if is_so { dt_s } else { -dt_s };
    (so_far_s + by).clamp(0.0, 1.5 * needed_s)
}

/// What [`held`] must reach: what is told is let go late, or it would come and go at the limit.
fn needed_s(told: &Episode, needed_s: f64) -> f64 {
    if told.is_on() { needed_s / 4.0 } else { needed_s }
}

/// Whether a point lies beside the line, rather than beyond one of its ends by more than a tenth.
fn is_beside(from: [f64; 2], to: [f64; 2], at: [f64; 2]) -> bool {
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let share = ((at[0] - from[0]) * dx + (at[1] - from[1]) * dy) / (dx * dx + dy * dy);
    (-0.1..=1.1).contains(&share)
}

#[cfg(test)]
mod tests;
