//! The whole of it on drawn streets whose truth is known; `examples/score.rs` measures how well.

use std::collections::BTreeSet;
use std::sync::Arc;

use vong_sim::camera::{CameraSpec, Codec, Geometry, LINE_Z_M, Studio};
use vong_sim::scene::{Incident, RoadState, Scene as SimScene};

use super::*;
use crate::findings::EventState;
use crate::model::{PictureModel, Rgb};
use crate::scene::SceneFile;

const SEED: u64 = 4;
const FPS: u64 = 10;

/// Steady traffic and one incident from when to when, seconds.
#[derive(Debug)]
struct Road {
    incident: Option<(Incident, f64, f64)>,
}

impl SimScene for Road {
    fn road(&self, _camera_id: &str, _at_s: f64) -> RoadState {
        RoadState { speed_kmh: 38.0, flow_per_min: 36.0, occupancy: 0.1, stopped_vehicles: 0 }
    }

    fn is_frozen(&self, _camera_id: &str, _at_s: f64) -> bool {
        false
    }

    fn is_offline(&self, _camera_id: &str, _at_s: f64) -> bool {
        false
    }

    fn incident(&self, _camera_id: &str, at_s: f64) -> Option<Incident> {
        self.incident.and_then(|(what, from, to)| (from..to).contains(&at_s).then_some(what))
    }
}

/// What `seconds` of a street tell, and how many vehicles truly crossed the lines in the picture.
fn watched(
    incident: Option<(Incident, f64, f64)>,
    seconds: u64,
) -> (Vec<(f64, Event)>, Vec<Count>, u32) {
    let spec = CameraSpec::new("CAM-01", Codec::H264);
    let geometry = Geometry::new(&spec, SEED);
    let file: SceneFile = toml::from_str(&geometry.scene_file("CAM-01")).unwrap();
    let mut traffic = Traffic::new(Scene::new(file, 16.0 / 9.0).unwrap());
    let mut studio = Studio::new(spec, SEED, Arc::new(Road { incident }), 0);
    let (mut events, mut counts, mut crossed) = (Vec::new(), Vec::new(), 0);
    let mut before = std::collections::BTreeMap::new();
    for n in 0..seconds * FPS {
        let luma = halved(studio.luma(n));
        let at = EventTime(i64::try_from(n * 1_000_000 / FPS).unwrap());
        let Seen { events: told, counts: rows } = traffic.observe(&luma, at);
        events.extend(told.into_iter().map(|event| (n as f64 / FPS as f64, event)));
        counts.extend(rows);
        let truth = studio.truth(n);
        for vehicle in &truth {
            let (x, _) = geometry.on_ground(vehicle.x_m, LINE_Z_M);
            let last = before.insert(vehicle.number, vehicle.z_m).unwrap_or(vehicle.z_m);
            let passed = (last < LINE_Z_M) != (vehicle.z_m < LINE_Z_M);
            crossed += u32::from(n >= 60 * FPS && passed && (0.0..1.0).contains(&x));
        }
    }
    (events, counts, crossed)
}

fn halved(luma: &[u8]) -> Luma {
    let pixel = |at: usize| {
        let (x, y) = (at % WIDTH * 2, at / WIDTH * 2);
        let four = [y * 640 + x, y * 640 + x + 1, (y + 1) * 640 + x, (y + 1) * 640 + x + 1];
        let sum: u32 = four.iter().map(|at| u32::from(luma[*at])).sum();
        u8::try_from(sum / 4).unwrap()
    };
    Luma::new(WIDTH, HEIGHT, (0..WIDTH * HEIGHT).map(pixel).collect()).unwrap()
}

fn told(events: &[(f64, Event)], kind: EventKind) -> Vec<(EventState, f64)> {
    let of_kind = events.iter().filter(|(at_s, event)| event.kind == kind && *at_s > 25.0);
    of_kind.map(|(at_s, event)| (event.state, *at_s)).collect()
}

#[test]
fn vehicles_are_counted_by_minute_with_their_speed_and_steady_traffic_is_no_event() {
    let (events, counts, truth) = watched(None, 301);
    // The first minute is for learning the background.
    let whole: Vec<&Count> = counts.iter().filter(|c| c.at.micros() > 61_000_000).collect();
    let passed: u32 = whole.iter().filter(|c| c.direction != "inside").map(|c| c.count).sum();
    let off = f64::from(passed.abs_diff(truth)) / f64::from(truth);
    assert!(truth > 80 && off < 0.1, "counted {passed} of {truth}");
    let against: u32 = whole.iter().filter(|c| c.direction == "backward").map(|c| c.count).sum();
    assert!(against * 50 <= passed, "{against} of {passed} backward");
    let speeds = whole.iter().filter_map(|c| Some((c.speed_kmh?, f64::from(c.count))));
    let (sum, count) = speeds.fold((0.0, 0.0), |(sum, n), (v, c)| (sum + v * c, n + c));
    assert!((sum / count - 37.0).abs() < 5.0, "{:.1} km/h", sum / count);
    for kind in [EventKind::StoppedVehicle, EventKind::WrongWay, EventKind::Queue] {
        assert_eq!(told(&events, kind), [], "{kind:?}");
    }
}

#[test]
fn vehicle_that_breaks_down_is_told_and_its_end_too() {
    let (events, ..) = watched(Some((Incident::Breakdown, 40.0, 100.0)), 140);
    let [(EventState::Began, began), .., (EventState::Ended, ended)] =
        told(&events, EventKind::StoppedVehicle)[..]
    else {
        panic!("{events:?}")
    };
    assert!((55.0..75.0).contains(&began) && (100.0..125.0).contains(&ended), "{began} {ended}");
}

#[test]
fn wrong_way_driver_is_told_within_seconds() {
    let (events, ..) = watched(Some((Incident::WrongWay, 40.0, 80.0)), 80);
    let told = told(&events, EventKind::WrongWay);
    let [(EventState::Began, at_s), ..] = told[..] else { panic!("{events:?}") };
    assert!((40.0..48.0).contains(&at_s), "at {at_s} s");
    assert_eq!(told.iter().filter(|(state, _)| *state == EventState::Began).count(), 1);
}

#[test]
fn pictures_of_another_size_or_before_the_last_one_say_nothing() {
    let mut traffic = Traffic::new(Scene::new(SceneFile::default(), 16.0 / 9.0).unwrap());
    let luma = Luma::new(2, 2, vec![0; 4]).unwrap();
    assert_eq!(traffic.observe(&luma, EventTime(0)), Seen::default());
    let luma = |level| Luma::new(WIDTH, HEIGHT, vec![level; WIDTH * HEIGHT]).unwrap();
    assert_eq!(traffic.observe(&luma(1), EventTime(9)), Seen::default());
    assert_eq!(traffic.observe(&luma(2), EventTime(3)), Seen::default());
}

/// A model that sees a thing of one name, a little aside, wherever it was told that one is.
struct Says {
    name: &'static str,
    places: Vec<sights::Region>,
}

impl PictureModel for Says {
    fn picture_width(&self) -> u32 {
        640
    }

    fn detect(&mut self, _picture: &Rgb) -> Result<Vec<Detection>, String> {
        let aside = |[left, top, right, bottom]: &sights::Region| {
            let by = (right - left) / 10.0;
            [left + by, *top, right + by, *bottom]
        };
        let seen = self.places.iter().map(|place| Detection {
            kind: self.name.to_owned(),
            score: 0.6,
            region: aside(place),
        });
        Ok(seen.collect())
    }
}

/// Kinds of vehicles counted in a steady street when a model says `name` once a second, half a
/// second late, and how many vehicles it was taken to tell.
fn counted_with_a_model(name: &'static str) -> (BTreeSet<&'static str>, usize) {
    let spec = CameraSpec::new("CAM-01", Codec::H264);
    let file: SceneFile = toml::from_str(&Geometry::new(&spec, SEED).scene_file("CAM-01")).unwrap();
    let mut traffic = Traffic::new(Scene::new(file, 16.0 / 9.0).unwrap());
    let mut studio = Studio::new(spec, SEED, Arc::new(Road { incident: None }), 0);
    let (mut model, mut kinds, mut told) = (Says { name, places: vec![] }, BTreeSet::new(), 0);
    let (mut had_vehicles, mut asked_at) = (false, 0);
    for n in 0..125 * FPS {
        let (pts_90k, at) = (i64::try_from(n * 9_000).unwrap(), n * 1_000_000 / FPS);
        let luma = halved(studio.luma(n));
        let seen = traffic.observe(&luma, EventTime(i64::try_from(at).unwrap()));
        traffic.mark(pts_90k);
        had_vehicles |= traffic.has_vehicles();
        if n == 0 {
            assert!(!traffic.has_vehicles(), "before anything was seen");
        }
        if n % FPS == 0 {
            let tracks = traffic.tracks.all.iter().filter(|track| track.is_seen());
            (model.places, asked_at) = (tracks.map(|track| track.region).collect(), pts_90k);
        } else if n % FPS == FPS / 2 {
            let picture = Rgb { width: 640, height: 360, pixels: vec![0; 3 * 640 * 360] };
            told += traffic.recognise(asked_at, &model.detect(&picture).unwrap());
        }
        let lines = seen.counts.iter().filter(|c| c.direction != "inside" && c.count > 0);
        kinds.extend(lines.filter(|c| c.at.micros() > 61_000_000).map(|count| count.kind));
    }
    assert!(had_vehicles);
    (kinds, told)
}

#[test]
fn vehicles_are_counted_as_what_the_model_sees_where_they_were() {
    let (kinds, told) = counted_with_a_model("bicycle");
    assert!(told > 50 && kinds.contains("bicycle"), "{told} {kinds:?}");
    let (kinds, told) = counted_with_a_model("dog");
    assert_eq!(told, 0, "no road user");
    assert!(kinds.contains("car") && !kinds.contains("bicycle"), "{kinds:?}");
}

#[test]
fn what_the_model_saw_in_a_picture_nobody_remembers_tells_nothing() {
    let mut traffic = Traffic::new(Scene::new(SceneFile::default(), 16.0 / 9.0).unwrap());
    let car = Detection { kind: "car".to_owned(), score: 1.0, region: [0.0, 0.0, 1.0, 1.0] };
    assert_eq!(traffic.recognise(0, std::slice::from_ref(&car)), 0);
    traffic.mark(0);
    assert_eq!(traffic.recognise(90_000, &[car]), 0);
}

#[test]
fn queue_that_comes_and_goes_by_the_second_is_told_once() {
    let zone = "[ground]\npicture = [[0.1, 0.9], [0.9, 0.9], [0.6, 0.4], [0.4, 0.4]]\n\
                metres = [[0, 0], [9, 0], [9, 40], [0, 40]]\n[[zone]]\nname = \"z\"\n\
                polygon = [[0.1, 0.9], [0.9, 0.9], [0.5, 0.4]]\nqueue_m = 20.0\n";
    let scene = Scene::new(toml::from_str(zone).unwrap(), 16.0 / 9.0).unwrap();
    let mut traffic = Traffic::new(scene);
    let mut told = Vec::new();
    for n in 0..600_i64 {
        // Long enough for 30 s, but for every other second; then gone.
        let queue_m = if n < 300 && (n < 100 || n / 10 % 2 == 0) { 30.0 } else { 0.0 };
        let now = ZoneNow { vehicles: 3, queue_m, covered: 0.0 };
        let event = traffic.queue(EventTime(n * 100_000), 0.1, &[now]);
        told.extend(event.map(|event| (event.state, n / 10)));
    }
    // The first word only says that nothing is wrong.
    let states: Vec<_> = told.iter().skip(1).collect();
    let [(EventState::Began, 7 | 8), (EventState::Ended, ended)] = states[..] else {
        panic!("{told:?}")
    };
    assert!((36..46).contains(ended), "{told:?}");
}
