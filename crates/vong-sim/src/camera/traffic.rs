//! Vehicles on the road, moved a tenth of a second at a time by what the scene says of the road.
//!
//! Each vehicle follows the one ahead by the intelligent driver model (Treiber, Hennecke, Helbing
//! 2000). The state after a step is a function of the seed and of the scene's answers so far:
//! nothing here knows the time of day.

use super::dice::Dice;
use super::street::{Lane, Street, Width};
use super::vehicle::{Kind, Pose};
use crate::scene::{Incident, RoadState};

/// Length of a step.
pub(crate) const STEP_MS: u64 = 100;
const STEP_S: f32 = 0.1;
/// The stretch of road that is simulated: it ends in front of the camera, outside the picture.
const NEAR_Z: f32 = 3.0;
const FAR_Z: f32 = 150.0;
const LENGTH: f32 = FAR_Z - NEAR_Z;
/// Steady acceleration and comfortable braking, m/s².
const ACCELERATION: f32 = 1.8;
const BRAKING: f32 = 2.5;
const HARDEST_BRAKING: f32 = 7.0;
/// What drivers take where an accident no longer holds them up, m/s.
const FREE_SPEED: f32 = 11.0;
/// Accidents happen to oncoming traffic: the queue then stands behind the scene, not before it.
const ACCIDENT_AWAY: bool = false;
/// How far in front of the camera.
const ACCIDENT_Z: f32 = 22.0;
/// Who drives against the traffic does so at this speed, m/s.
const WRONG_WAY_SPEED: f32 = 7.0;

#[derive(Clone, Debug)]
struct Vehicle {
    /// Its own; counts up with each that enters.
    number: u64,
    kind: Kind,
    /// Front bumper, metres from where the lane enters the stretch.
    front: f32,
    speed: f32,
    acceleration: f32,
    /// Own wish, as a share of the road's speed.
    temper: f32,
    /// Metres right of the lane's middle.
    sway: f32,
    look: u8,
    wreck: Option<Wreck>,
    /// How far it has turned out of its lane, 0 to 1.
    askew: f32,
}

/// Where and how a vehicle of an accident comes to stand.
#[derive(Clone, Copy, Debug)]
struct Wreck {
    front: f32,
    /// Sideways part of its heading.
    turn: f32,
    /// Metres it is off its lane.
    shift: f32,
    hazard: bool,
}

#[derive(Clone, Debug)]
struct Track {
    lane: Lane,
    /// The one furthest along first.
    vehicles: Vec<Vehicle>,
}

/// All vehicles in front of one camera.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    dice: Dice,
    tracks: Vec<Track>,
    /// Vehicles that have arrived and wait for a gap, per direction (away, toward), with the
    /// fraction of the next one.
    arrivals: [f32; 2],
    next_arrival: [f32; 2],
    accident: bool,
    incident: Option<Incident>,
    /// Distance of the driver on the wrong side, and its number.
    wrong_way: Option<(f32, u64)>,
    entered: u64,
}

/// A vehicle as it truly is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrueVehicle {
    /// The same in each frame in which it is there.
    pub number: u64,
    /// `motorcycle`, `car`, `truck`, `bus`.
    pub kind: &'static str,
    /// Its lane leads away from the camera.
    pub away: bool,
    /// It drives against its lane.
    pub wrong_way: bool,
    /// Middle of the vehicle, metres right of the road's middle.
    pub x_m: f32,
    /// Distance from the camera along the road, metres.
    pub z_m: f32,
    pub speed_kmh: f32,
}

impl Traffic {
    pub(crate) fn new(street: &Street, dice: Dice) -> Self {
        let tracks = street.lanes.iter().map(|&lane| Track { lane, vehicles: Vec::new() });
        Self {
            tracks: tracks.collect(),
            dice,
            arrivals: [0.0; 2],
            next_arrival: [1.0; 2],
            accident: false,
            incident: None,
            wrong_way: None,
            entered: 0,
        }
    }

    /// Moves everything on by [`STEP_MS`].
    pub(crate) fn step(&mut self, road: RoadState, incident: Option<Incident>) {
        self.start_or_clear_accident(road);
        self.start_or_clear_incident(incident);
        #[expect(clippy::cast_possible_truncation, reason = "speeds are small")]
        let road_speed = (road.speed_kmh / 3.6).clamp(0.0, 40.0) as f32;
        let accident = self.accident;
        for track in &mut self.tracks {
            let held_up = accident && track.lane.away == ACCIDENT_AWAY;
            let speed = if accident && !held_up { road_speed.max(5.0) } else { road_speed };
            track.step(speed, held_up);
        }
        self.admit(road, road_speed);
    }

    /// Lets vehicles in as the flow brings them; on a crowded road, wherever there is room.
    fn admit(&mut self, road: RoadState, road_speed: f32) {
        #[expect(clippy::cast_possible_truncation, reason = "flows are small")]
        let per_step = (road.flow_per_min / 60.0 / 2.0).clamp(0.0, 5.0) as f32 * STEP_S;
        let crowded = road.occupancy > 0.5;
        for (direction, away) in [true, false].into_iter().enumerate() {
            let Some(waiting) = self.arrivals.get_mut(direction) else { continue };
            let Some(threshold) = self.next_arrival.get_mut(direction) else { continue };
            *waiting = (*waiting + per_step).min(6.0);
            if *waiting < *threshold && !(crowded && self.dice.below(6) == 0) {
                continue;
            }
            let kind = match self.dice.below(100) {
                0..64 => Kind::Motorbike,
                64..88 => Kind::Car,
                88..95 => Kind::Lorry,
                _ => Kind::Bus,
            };
            let vehicle = Vehicle {
                number: self.entered,
                kind,
                front: 0.0,
                speed: road_speed,
                acceleration: 0.0,
                temper: self.dice.between(0.88, 1.14),
                sway: self.dice.between(-0.22, 0.22),
                look: u8::try_from(self.dice.below(64)).unwrap_or(0),
                wreck: None,
                askew: 0.0,
            };
            let admitted = enter(&mut self.tracks, away, vehicle, if crowded { 0.0 } else { 0.9 });
            if admitted {
                self.entered += 1;
                *waiting = (*waiting - *threshold).max(0.0);
                *threshold = self.dice.between(0.4, 1.6);
            }
        }
    }

    fn start_or_clear_incident(&mut self, wanted: Option<Incident>) {
        if let Some((z, _)) = &mut self.wrong_way {
            *z += WRONG_WAY_SPEED * STEP_S;
        }
        self.wrong_way = self.wrong_way.filter(|(z, _)| *z < FAR_Z);
        if wanted == self.incident {
            return;
        }
        if self.incident == Some(Incident::Breakdown) {
            for vehicle in self.tracks.iter_mut().flat_map(|t| &mut t.vehicles) {
                vehicle.wreck = None;
            }
        }
        self.incident = wanted;
        match wanted {
            Some(Incident::WrongWay) => {
                self.wrong_way = Some((NEAR_Z, self.entered));
                self.entered += 1;
            }
            Some(Incident::Breakdown) => {
                let front = if ACCIDENT_AWAY { ACCIDENT_Z - NEAR_Z } else { FAR_Z - ACCIDENT_Z };
                let wreck = Wreck { front, turn: 0.0, shift: 0.0, hazard: true };
                let mut lanes = self.tracks.iter_mut().filter(|t| t.lane.away == ACCIDENT_AWAY);
                if let Some(track) = lanes.find(|t| t.lane.width == Width::Wide) {
                    self.entered += track.wreck_nearest(wreck, &mut self.dice, self.entered);
                }
            }
            None => {}
        }
    }

    fn start_or_clear_accident(&mut self, road: RoadState) {
        let wanted = road.stopped_vehicles > 0;
        if wanted == self.accident {
            return;
        }
        self.accident = wanted;
        if !wanted {
            for vehicle in self.tracks.iter_mut().flat_map(|t| &mut t.vehicles) {
                vehicle.wreck = None;
            }
            return;
        }
        let mut left = road.stopped_vehicles.min(6);
        let lanes = self.tracks.iter_mut().filter(|t| t.lane.away == ACCIDENT_AWAY);
        for (index, track) in lanes.enumerate() {
            if left == 0 {
                break;
            }
            left -= 1;
            let front = if ACCIDENT_AWAY { ACCIDENT_Z - NEAR_Z } else { FAR_Z - ACCIDENT_Z };
            let wreck = match (index, track.lane.width) {
                (0, _) => Wreck { front, turn: 0.75, shift: 0.9, hazard: true },
                (_, Width::Wide) => {
                    Wreck { front: front - 5.5, turn: -0.2, shift: -0.2, hazard: true }
                }
                (_, Width::Narrow) => {
                    Wreck { front: front - 2.0, turn: 1.6, shift: 0.3, hazard: false }
                }
            };
            self.entered += track.wreck_nearest(wreck, &mut self.dice, self.entered);
        }
    }

    /// Everything on the road, `ahead_ms` after the last step, farthest first.
    pub(crate) fn poses(&self, ahead_ms: u64, blink: bool) -> Vec<Pose> {
        let ahead_s = f32::from(u16::try_from(ahead_ms.min(STEP_MS)).unwrap_or(0)) / 1_000.0;
        let mut poses: Vec<Pose> = Vec::new();
        for track in &self.tracks {
            poses.extend(track.vehicles.iter().map(|v| v.pose(track.lane, ahead_s, blink)));
        }
        poses.extend(self.wrong_way_pose(ahead_s));
        poses.sort_by(|a, b| b.z.total_cmp(&a.z));
        poses
    }

    /// The lane by the kerb against which someone drives: the outermost for oncoming motorbikes.
    fn wrong_way_lane(&self) -> Option<Lane> {
        let lanes = self.tracks.iter().map(|t| t.lane).filter(|l| !l.away);
        lanes.min_by(|a, b| a.x.total_cmp(&b.x))
    }

    fn wrong_way_pose(&self, ahead_s: f32) -> Option<Pose> {
        let (lane, (z, number)) = self.wrong_way_lane().zip(self.wrong_way)?;
        Some(Pose {
            kind: Kind::Motorbike,
            x: lane.x,
            z: z + WRONG_WAY_SPEED * ahead_s,
            heading: (0.0, 1.0),
            look: u8::try_from(number % 64).unwrap_or(0),
            braking: false,
            hazard: false,
            fallen: false,
        })
    }

    /// Every vehicle as it was at the last step.
    pub(crate) fn truth(&self) -> Vec<TrueVehicle> {
        let mut all = Vec::new();
        for track in &self.tracks {
            all.extend(track.vehicles.iter().map(|vehicle| {
                let pose = vehicle.pose(track.lane, 0.0, false);
                TrueVehicle {
                    number: vehicle.number,
                    kind: vehicle.kind.word(),
                    away: track.lane.away,
                    wrong_way: false,
                    x_m: pose.x,
                    z_m: pose.z,
                    speed_kmh: vehicle.speed * 3.6,
                }
            }));
        }
        if let Some((pose, (_, number))) = self.wrong_way_pose(0.0).zip(self.wrong_way) {
            all.push(TrueVehicle {
                number,
                kind: Kind::Motorbike.word(),
                away: false,
                wrong_way: true,
                x_m: pose.x,
                z_m: pose.z,
                speed_kmh: WRONG_WAY_SPEED * 3.6,
            });
        }
        all
    }
}

/// Puts `vehicle` on the lane of its direction and kind that has most room at its entry, at least
/// 2 m and `headway_s` seconds behind the one before it.
fn enter(tracks: &mut [Track], away: bool, mut vehicle: Vehicle, headway_s: f32) -> bool {
    let width = if vehicle.kind == Kind::Motorbike { Width::Narrow } else { Width::Wide };
    let room = |t: &Track| t.vehicles.last().map_or(LENGTH, |v| v.front - v.kind.length());
    let fitting = tracks.iter_mut().filter(|t| t.lane.away == away && t.lane.width == width);
    let Some(track) = fitting.max_by(|a, b| room(a).total_cmp(&room(b))) else { return false };
    let room = room(track);
    let wanted = 2.0 + vehicle.speed * headway_s;
    if room < wanted {
        return false;
    }
    if let Some(leader) = track.vehicles.last() {
        vehicle.speed = vehicle.speed.min(leader.speed + room * 0.2);
    }
    track.vehicles.push(vehicle);
    true
}

impl Track {
    fn step(&mut self, road_speed: f32, held_up: bool) {
        let wreck_front =
            self.vehicles.iter().filter_map(|v| v.wreck.map(|w| w.front)).reduce(f32::min);
        let mut leader: Option<(f32, f32)> = None; // rear bumper, speed
        for vehicle in &mut self.vehicles {
            let past_wreck = held_up && wreck_front.is_none_or(|front| vehicle.front > front + 1.0);
            // Behind an accident the road's speed holds; in front of it the road is free.
            let in_front = past_wreck && wreck_front.is_some();
            let wish = if in_front { FREE_SPEED } else { road_speed } * vehicle.temper;
            vehicle.step(wish.max(0.3), leader);
            leader = Some((vehicle.front - vehicle.kind.length(), vehicle.speed));
        }
        self.vehicles.retain(|v| v.front - v.kind.length() < LENGTH);
    }

    /// Makes the nearest vehicle that still comes up to `wreck.front` stop there; a new one, which
    /// gets `number`, where there is none. Gives how many entered for it.
    fn wreck_nearest(&mut self, wreck: Wreck, dice: &mut Dice, number: u64) -> u64 {
        let next = self.vehicles.iter_mut().find(|v| v.front < wreck.front - 4.0);
        if let Some(vehicle) = next {
            vehicle.wreck = Some(wreck);
            return 0;
        }
        let kind = if self.lane.width == Width::Wide { Kind::Car } else { Kind::Motorbike };
        let look = u8::try_from(dice.below(64)).unwrap_or(0);
        self.vehicles.push(Vehicle {
            number,
            kind,
            front: 0.0,
            speed: FREE_SPEED,
            acceleration: 0.0,
            temper: 1.0,
            sway: 0.0,
            look,
            wreck: Some(wreck),
            askew: 0.0,
        });
        1
    }
}

impl Vehicle {
    fn step(&mut self, wish: f32, leader: Option<(f32, f32)>) {
        if let Some(wreck) = self.wreck {
            let left = (wreck.front - self.front).max(0.0);
            let speed = (2.0 * HARDEST_BRAKING * left).sqrt().min(self.speed.max(9.0));
            self.acceleration = (speed - self.speed) / STEP_S;
            self.speed = if left < 0.05 { 0.0 } else { speed };
            self.askew = self.askew.max(1.0 - (left / 9.0).min(1.0));
            self.front += (self.speed * STEP_S).min(left);
            return;
        }
        self.askew = (self.askew - STEP_S * 0.5).max(0.0);
        let ratio = self.speed / wish;
        let mut acceleration = ACCELERATION * (1.0 - ratio * ratio * ratio * ratio);
        if let Some((rear, leader_speed)) = leader {
            let gap = (rear - self.front).max(0.1);
            let narrow = self.kind == Kind::Motorbike;
            let (jam_gap, headway) = if narrow { (0.8, 0.6) } else { (1.8, 1.0) };
            let closing =
                self.speed * (self.speed - leader_speed) / (2.0 * (ACCELERATION * BRAKING).sqrt());
            let wanted = jam_gap + (self.speed * headway + closing).max(0.0);
            acceleration -= ACCELERATION * (wanted / gap) * (wanted / gap);
            if gap <= 0.3 {
                self.speed = 0.0;
            }
        }
        self.acceleration = acceleration.clamp(-HARDEST_BRAKING, ACCELERATION);
        self.speed = (self.speed + self.acceleration * STEP_S).max(0.0);
        self.front += self.speed * STEP_S;
    }

    fn pose(&self, lane: Lane, ahead_s: f32, blink: bool) -> Pose {
        let along = if lane.away { 1.0 } else { -1.0 };
        let middle = self.front + self.speed * ahead_s - self.kind.length() / 2.0;
        let z = if lane.away { NEAR_Z + middle } else { FAR_Z - middle };
        let (turn, shift) = self.wreck.map_or((0.0, 0.0), |w| (w.turn, w.shift));
        let turn = turn * self.askew;
        let norm = (1.0 + turn * turn).sqrt();
        let right = along; // the right-hand side of a vehicle driving away is +x
        Pose {
            kind: self.kind,
            x: lane.x + right * (self.sway + shift * self.askew),
            z,
            heading: (right * turn / norm, along / norm),
            look: self.look,
            braking: self.acceleration < -0.6 || self.speed < 0.4,
            hazard: blink && self.wreck.is_some_and(|w| w.hazard) && self.speed < 2.0,
            fallen: self.kind == Kind::Motorbike && self.wreck.is_some() && self.askew > 0.6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn road(speed_kmh: f64, flow_per_min: f64, stopped_vehicles: u32) -> RoadState {
        RoadState { speed_kmh, flow_per_min, occupancy: 0.1, stopped_vehicles }
    }

    fn traffic() -> Traffic {
        let mut dice = Dice::new(7, "street");
        let street = Street::new(&mut dice);
        Traffic::new(&street, dice)
    }

    fn overlaps(traffic: &Traffic) -> bool {
        traffic.tracks.iter().any(|t| {
            t.vehicles.windows(2).any(|pair| match pair {
                [ahead, behind] => behind.front > ahead.front - ahead.kind.length() + 0.5,
                _ => false,
            })
        })
    }

    #[test]
    fn as_many_vehicles_enter_as_the_flow_says() {
        let mut traffic = traffic();
        let mut entered = 0;
        for _ in 0..6_000 {
            traffic.step(road(40.0, 30.0, 0), None);
            // Whoever has just entered has not moved yet.
            let vehicles = traffic.tracks.iter().flat_map(|t| &t.vehicles);
            entered += vehicles.filter(|v| v.front == 0.0).count();
        }
        assert!((270..330).contains(&entered), "{entered} in ten minutes at 30 a minute");
    }

    #[test]
    fn accident_leaves_vehicles_standing_and_a_queue_behind() {
        let mut traffic = traffic();
        for _ in 0..600 {
            traffic.step(road(45.0, 40.0, 0), None);
        }
        for _ in 0..300 {
            traffic.step(road(3.0, 40.0, 2), None);
        }
        let wrecks = traffic.tracks.iter().flat_map(|t| &t.vehicles).filter(|v| v.wreck.is_some());
        let (count, moving) =
            wrecks.fold((0, 0), |(n, m), v| (n + 1, m + usize::from(v.speed > 0.0)));
        assert_eq!((count, moving), (2, 0));
        assert!(!overlaps(&traffic));
        for _ in 0..600 {
            traffic.step(road(45.0, 40.0, 0), None);
        }
        assert!(traffic.tracks.iter().flat_map(|t| &t.vehicles).all(|v| v.wreck.is_none()));
        assert!(traffic.tracks.iter().flat_map(|t| &t.vehicles).all(|v| v.speed > 2.0));
    }

    #[test]
    fn same_seed_and_road_give_the_same_traffic() {
        let (mut a, mut b) = (traffic(), traffic());
        for _ in 0..500 {
            a.step(road(30.0, 50.0, 0), None);
            b.step(road(30.0, 50.0, 0), None);
        }
        assert_eq!(format!("{a:?}"), format!("{b:?}"));
    }
}
