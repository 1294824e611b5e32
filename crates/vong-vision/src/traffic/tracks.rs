//! The same vehicle from picture to picture: nearest match to where it should be, in the manner of
//! SORT (Bewley and others, 2016), with an alpha-beta filter instead of a Kalman filter.

use std::collections::BTreeMap;

use super::looks::Looks;
use super::objects::{Kind, Object};
use super::sights::Region;
use crate::luma::Luma;
use crate::scene::{Point, Scene};

/// Sightings that make a track.
const CONFIRMED: u32 = 4;
/// Time without a sighting after which a track is over; a vehicle that stands may be hidden longer.
const LOST_S: f64 = 0.6;
const LOST_STANDING_S: f64 = 4.0;
/// Filter gains for place and speed.
const ALPHA: f64 = 0.55;
const BETA: f64 = 0.25;
/// Share of its speed that a vehicle which is not seen is taken to keep, per second: who vanishes
/// has braked more often than not.
const KEPT_SPEED: f64 = 0.2;
/// A track that begins so near to where one was lost, and so soon, goes on with what was known.
const HEIR_M: f64 = 3.5;
const HEIR_US: i64 = 3_000_000;
/// How far a sighting may lie from where it should: along the road and across, metres (or hundredths
/// of the picture in a scene without measures).
const GATE: (f64, f64) = (2.8, 1.2);
const GATE_PICTURE: (f64, f64) = (5.0, 3.5);
/// What changed its place by more than this between two sightings moved, metres.
const STEP_M: f64 = 0.08;
/// What moved so far drives, metres.
const DRIVEN_M: f64 = 3.0;
/// A vehicle stands when it stays within this distance, metres.
const STANDING_M: f64 = 1.2;

/// A vehicle has come to rest so long after it stands.
const SETTLED_US: i64 = 1_000_000;

/// One vehicle over time.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    /// No other track of the camera ever bears it.
    pub(crate) id: u64,
    /// Where it was last seen in the picture.
    pub(crate) region: Region,
    pub(crate) at: Point,
    /// Units of the plane per second.
    pub(crate) velocity: Point,
    pub(crate) lane: Option<usize>,
    /// Where it was first seen on this lane.
    pub(crate) origin: Point,
    /// Where it was first seen at all.
    born: Point,
    /// It has been seen to drive: what appears standing is a trace in the background.
    pub(crate) has_driven: bool,
    pub(crate) sightings: u32,
    /// Sightings on another lane than `lane` in a row.
    strays: u32,
    unseen_s: f64,
    kinds: [u32; 5],
    /// What a picture model took it for, and how sure it was, added up.
    recognised: BTreeMap<Kind, f32>,
    /// Sightings further along its lane than the one before, and further back.
    pub(crate) steps: (u32, u32),
    last_seen_at: Point,
    /// Where it came to stand, and when.
    stood: (Point, i64),
    /// What it looked like there.
    looks: Option<Looks>,
    /// Side of each line, and whether it was counted there.
    pub(crate) sides: Vec<f64>,
    pub(crate) counted: Vec<bool>,
}

impl Track {
    fn new(id: u64, object: &Object, scene: &Scene, at_us: i64) -> Self {
        let mut track = Self {
            id,
            region: object.region,
            at: object.at,
            velocity: [0.0, 0.0],
            lane: object.lane,
            origin: object.at,
            born: object.at,
            has_driven: false,
            sightings: 1,
            strays: 0,
            unseen_s: 0.0,
            kinds: [0; 5],
            recognised: BTreeMap::new(),
            steps: (0, 0),
            last_seen_at: object.at,
            stood: (object.at, at_us),
            looks: None,
            sides: Vec::new(),
            counted: vec![false; scene.lines.len()],
        };
        let side = |line: &crate::scene::Line| crate::scene::side(line.from, line.to, object.at);
        track.sides = scene.lines.iter().map(side).collect();
        track.vote(object.kind);
        track
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.sightings >= CONFIRMED
    }

    pub(crate) fn is_seen(&self) -> bool {
        self.unseen_s == 0.0
    }

    pub(crate) fn speed(&self) -> f64 {
        self.velocity[0].hypot(self.velocity[1])
    }

    /// What a picture model is surest of; where it said nothing, what the outline fits most often.
    pub(crate) fn kind(&self) -> Kind {
        let surest = self.recognised.iter().max_by(|a, b| a.1.total_cmp(b.1));
        if let Some((kind, _)) = surest {
            return *kind;
        }
        let kinds = [Kind::Motorcycle, Kind::Car, Kind::Truck, Kind::Bus, Kind::Vehicle];
        let most = kinds.into_iter().zip(self.kinds).max_by_key(|(_, votes)| *votes);
        most.map_or(Kind::Vehicle, |(kind, _)| kind)
    }

    pub(crate) fn recognise(&mut self, kind: Kind, score: f32) {
        *self.recognised.entry(kind).or_default() += score;
    }

    /// For how long it has stood, microseconds.
    pub(crate) fn standing_us(&self, now_us: i64) -> i64 {
        now_us - self.stood.1
    }

    fn vote(&mut self, kind: Kind) {
        let slot = match kind {
            Kind::Motorcycle => 0,
            Kind::Car => 1,
            Kind::Truck => 2,
            Kind::Bus => 3,
            Kind::Vehicle => 4,
            Kind::Bicycle | Kind::Person => return, // no outline tells these
        };
        if let Some(votes) = self.kinds.get_mut(slot) {
            *votes += 1;
        }
    }

    fn predict(&mut self, dt_s: f64) {
        let [x, y] = &mut self.at;
        *x += self.velocity[0] * dt_s;
        *y += self.velocity[1] * dt_s;
        if self.unseen_s > 0.0 {
            self.velocity = self.velocity.map(|speed| speed * KEPT_SPEED.powf(dt_s));
        }
        self.unseen_s += dt_s;
    }

    fn step(&mut self, at: Point, scene: &Scene) {
        let Some(lane) = self.lane.and_then(|lane| scene.lanes.get(lane)) else { return };
        let by = [at[0] - self.last_seen_at[0], at[1] - self.last_seen_at[1]];
        let along = by[0] * lane.along[0] + by[1] * lane.along[1];
        self.steps.0 += u32::from(along > STEP_M);
        self.steps.1 += u32::from(along < -STEP_M);
        self.last_seen_at = at;
    }

    fn see(&mut self, object: &Object, scene: &Scene, dt_s: f64, now_us: i64) {
        self.step(object.at, scene);
        let off = [object.at[0] - self.at[0], object.at[1] - self.at[1]];
        for ((place, speed), off) in self.at.iter_mut().zip(&mut self.velocity).zip(off) {
            *place += ALPHA * off;
            *speed += BETA * off / dt_s.max(0.02);
        }
        self.unseen_s = 0.0;
        self.region = object.region;
        self.sightings += 1;
        self.vote(object.kind);
        if object.lane.is_some() && object.lane != self.lane {
            self.strays += 1;
            if self.strays >= CONFIRMED {
                (self.lane, self.origin, self.strays) = (object.lane, self.at, 0);
                self.steps = (0, 0);
            }
        } else {
            self.strays = 0;
        }
        let gone = (self.at[0] - self.born[0]).hypot(self.at[1] - self.born[1]);
        self.has_driven |= self.is_confirmed() && gone > DRIVEN_M;
        let (stood, _) = self.stood;
        if (self.at[0] - stood[0]).hypot(self.at[1] - stood[1]) > STANDING_M {
            (self.stood, self.looks) = ((self.at, now_us), None);
        }
    }

    /// Compares it with what stood there before, once it has stood for a while: in a queue that
    /// creeps one vehicle takes the place of another, and only their looks tell.
    fn look_again(&mut self, luma: &Luma, now_us: i64) {
        if self.standing_us(now_us) < SETTLED_US {
            return;
        }
        let Some(looks) = &mut self.looks else {
            self.looks = Some(Looks::new(luma, self.region));
            return;
        };
        looks.compare(luma);
        if looks.is_another() {
            (self.stood, self.looks) = ((self.at, now_us), None);
        }
    }

    fn is_over(&self) -> bool {
        let standing = self.is_confirmed() && self.speed() < 0.5;
        self.unseen_s > if standing { LOST_STANDING_S } else { LOST_S }
    }
}

/// All vehicles before one camera.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracks {
    pub(crate) all: Vec<Track>,
    /// Where and when vehicles that had driven were lost.
    lost: Vec<(Point, i64)>,
    /// Tracks begun so far.
    begun: u64,
}

impl Tracks {
    /// Lets go of all; numbers go on, so that nobody is taken for one who was.
    pub(crate) fn forget(&mut self) {
        *self = Self { begun: self.begun, ..Self::default() };
    }

    /// Looks whether those who stand are still the same.
    pub(crate) fn look_again(&mut self, luma: &Luma, now_us: i64) {
        self.all.iter_mut().for_each(|track| track.look_again(luma, now_us));
    }

    /// Moves everything on by `dt_s` and takes in what was found at `now_us`.
    pub(crate) fn observe(&mut self, objects: &[Object], scene: &Scene, dt_s: f64, now_us: i64) {
        self.all.iter_mut().for_each(|track| track.predict(dt_s));
        let mut pairs = Vec::new();
        for (t, track) in self.all.iter().enumerate() {
            for (o, object) in objects.iter().enumerate() {
                if let Some(distance) = distance(track, object, scene) {
                    pairs.push((distance, t, o));
                }
            }
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let (mut seen, mut used) = (vec![false; self.all.len()], vec![false; objects.len()]);
        for (_, t, o) in pairs {
            let slots = seen.get_mut(t).zip(used.get_mut(o));
            let Some((seen, used)) = slots.filter(|(seen, used)| !**seen && !**used) else {
                continue;
            };
            (*seen, *used) = (true, true);
            if let Some((track, object)) = self.all.get_mut(t).zip(objects.get(o)) {
                track.see(object, scene, dt_s, now_us);
            }
        }
        self.lost.retain(|(_, at_us)| now_us - at_us < HEIR_US);
        let over = self.all.iter().filter(|track| track.is_over() && track.has_driven);
        self.lost.extend(over.map(|track| (track.at, now_us)));
        self.all.retain(|track| !track.is_over());
        for (object, _) in objects.iter().zip(&used).filter(|(_, used)| !**used) {
            self.begun += 1;
            let mut track = Track::new(self.begun, object, scene, now_us);
            let near = |(at, _): &(Point, i64)| {
                (at[0] - object.at[0]).hypot(at[1] - object.at[1]) < HEIR_M
            };
            track.has_driven = self.lost.iter().any(near);
            self.all.push(track);
        }
    }
}

/// How far a sighting lies from a track, in gates; `None` beyond one.
fn distance(track: &Track, object: &Object, scene: &Scene) -> Option<f64> {
    let off = [object.at[0] - track.at[0], object.at[1] - track.at[1]];
    let lane = track.lane.and_then(|lane| scene.lanes.get(lane)).or_else(|| scene.lanes.first());
    let along = lane.map_or([0.0, 1.0], |lane| lane.along);
    let (gate_along, gate_across) = if scene.is_measured() { GATE } else { GATE_PICTURE };
    let ahead = (off[0] * along[0] + off[1] * along[1]) / gate_along;
    let aside = (off[0] * along[1] - off[1] * along[0]) / gate_across;
    let distance = ahead.hypot(aside);
    (distance <= 1.0).then_some(distance)
}
