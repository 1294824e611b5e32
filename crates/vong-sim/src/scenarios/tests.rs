//! The written truth agrees with what sensors and cameras show.

use super::*;
use crate::scene::Scene;
use crate::world::Reading;

fn index_of(world: &World, id: &str) -> usize {
    world.sensors().iter().position(|s| s.sensor.sensor_id.as_str() == id).unwrap()
}

fn first(world: &World, kind: ScenarioKind) -> &Scenario {
    world.plan().cycle(0).iter().find(|s| s.kind == kind).unwrap()
}

#[test]
fn first_cycle_shows_what_demonstrations_rely_on() {
    let world = World::new(1);
    let flood = first(&world, ScenarioKind::Flood);
    assert_eq!(flood.sensor_ids(&world)[0].as_str(), "WL-003");
    let accident = first(&world, ScenarioKind::Accident);
    assert_eq!(accident.camera_ids(&world)[0].as_str(), "CAM-02");
    assert_eq!(first(&world, ScenarioKind::CameraFrozen).camera_ids(&world)[0].as_str(), "CAM-07");
    assert_eq!(first(&world, ScenarioKind::CameraLost).camera_ids(&world)[0].as_str(), "CAM-06");
    assert_eq!(first(&world, ScenarioKind::SensorDead).start_ms, 8_000);
}

#[test]
fn scenarios_stay_inside_their_cycle_and_share_no_main_subject() {
    for seed in 1..=5 {
        let world = World::new(seed);
        for cycle in 0..CYCLES {
            let mut mains = std::collections::BTreeSet::new();
            for s in world.plan().cycle(cycle) {
                assert!(s.start_ms < s.end_ms && s.end_ms <= CYCLE_MS, "{s:?}");
                let sensor = s.sensors.first().map(|i| ("sensor", *i));
                let camera = s.cameras.first().map(|i| ("camera", *i));
                for main in sensor.into_iter().chain(camera) {
                    assert!(mains.insert(main), "seed {seed} cycle {cycle}: {main:?} twice");
                }
            }
        }
    }
}

#[test]
fn cycles_happen_at_different_places() {
    let world = World::new(1);
    let places: std::collections::BTreeSet<_> =
        (0..12).map(|c| world.plan().cycle(c)[2].cameras[0]).collect();
    assert!(places.len() >= 4, "{places:?}");
}

#[test]
fn flood_passes_its_threshold_in_time() {
    let world = World::new(1);
    let wl_003 = index_of(&world, "WL-003");
    let level = |index, at_s: u64| match world.reading(index, at_s * 1_000) {
        Some(Reading::WaterLevel { level_m }) => level_m,
        other => panic!("{other:?}"),
    };
    assert!(level(wl_003, 4) < 2.6);
    for at_s in 18..240 {
        assert!(level(wl_003, at_s) > 3.6, "{at_s} s: {}", level(wl_003, at_s));
    }
    assert!(level(wl_003, 300) < 2.6);
}

#[test]
fn sensors_that_are_not_written_down_stay_calm() {
    let world = World::new(1);
    for at_ms in (0..12 * CYCLE_MS).step_by(29_300) {
        let written: std::collections::BTreeSet<_> =
            world.plan().active(at_ms).flat_map(|a| a.scenario.sensors.clone()).collect();
        for (index, s) in world.sensors().iter().enumerate().filter(|(i, _)| !written.contains(i)) {
            let reading = world.reading(index, at_ms);
            let calm = match reading {
                Some(Reading::Traffic { speed, occupancy, .. }) => speed > 16.0 && occupancy < 0.5,
                Some(Reading::WaterLevel { level_m }) => level_m < 3.3,
                Some(Reading::Rain { mm }) => mm < 24.0,
                Some(Reading::AirQuality { pm25, pm10 }) => pm25 < 54.0 && pm10 < 120.0,
                Some(Reading::Noise { db }) => db < 70.0,
                Some(Reading::Door { open }) => !open,
                Some(Reading::Power { kw }) => kw < 160.0,
                None => false,
            };
            assert!(calm, "{} at {at_ms} ms: {reading:?}", s.sensor.sensor_id);
        }
    }
}

#[test]
fn accident_stops_traffic_at_its_loop_and_in_its_picture() {
    let world = World::new(1);
    for scenario in world.plan().cycle(0).iter().filter(|s| s.kind == ScenarioKind::Accident) {
        let main = scenario.sensors[0];
        let camera = scenario.camera_ids(&world)[0].clone();
        let (start_s, end_s) = (scenario.start_ms / 1_000, scenario.end_ms / 1_000);
        for at_s in start_s + 5..end_s - 20 {
            let Some(Reading::Traffic { speed, occupancy, .. }) = world.reading(main, at_s * 1_000)
            else {
                panic!("silent")
            };
            assert!(speed < 6.0 && occupancy > 0.8, "{at_s} s: {speed} {occupancy}");
            let road = world.road(camera.as_str(), at_s as f64);
            assert!(road.stopped_vehicles > 0 && road.speed_kmh < 8.0, "{road:?}");
        }
        assert_eq!(world.road(camera.as_str(), start_s as f64 - 0.5).stopped_vehicles, 0);
        assert_eq!(world.road(camera.as_str(), end_s as f64 + 0.5).stopped_vehicles, 0);
    }
}

#[test]
fn dead_sensor_is_silent_and_stuck_sensor_repeats_itself() {
    let world = World::new(1);
    let dead = first(&world, ScenarioKind::SensorDead);
    let at = |index, ms| world.reading(index, ms);
    assert!(at(dead.sensors[0], dead.start_ms - 1).is_some());
    assert!((dead.start_ms..dead.end_ms).step_by(1_000).all(|t| at(dead.sensors[0], t).is_none()));
    assert!(at(dead.sensors[0], dead.end_ms).is_some());
    let stuck = first(&world, ScenarioKind::SensorStuck);
    let index = stuck.sensors[0];
    let value = at(index, stuck.start_ms);
    assert!((stuck.start_ms..stuck.end_ms).step_by(1_000).all(|t| at(index, t) == value));
    assert_ne!(at(index, stuck.start_ms - 4_000), value);
    assert_ne!(at(index, stuck.end_ms + 4_000), value);
}

#[test]
fn only_the_fast_clock_is_ahead() {
    let world = World::new(1);
    let fast = first(&world, ScenarioKind::FastClock).sensors[0];
    let ahead: Vec<_> =
        (0..world.sensors().len()).filter(|i| world.clock_ahead_ms(*i, 60_000) != 0).collect();
    assert_eq!(ahead, [fast]);
    assert_eq!(world.clock_ahead_ms(fast, 60_000), 300_000);
    assert_eq!(world.clock_ahead_ms(fast, 14_999), 0);
}

#[test]
fn cameras_freeze_and_vanish_as_written() {
    let world = World::new(1);
    let check = |camera, at_s, frozen, offline| {
        assert_eq!(world.is_frozen(camera, at_s), frozen, "{camera} {at_s}");
        assert_eq!(world.is_offline(camera, at_s), offline, "{camera} {at_s}");
    };
    check("CAM-07", 39.9, false, false);
    check("CAM-07", 40.0, true, false);
    check("CAM-07", 200.0, false, false);
    check("CAM-06", 60.0, false, true);
    check("CAM-06", 120.0, false, false);
    check("CAM-01", 70.0, false, false);
    check("CAM-99", 70.0, false, false);
}

#[test]
fn every_written_event_shows_in_the_signal_of_its_sensor() {
    let world = World::new(1);
    for cycle in 0..8 {
        for scenario in world.plan().cycle(cycle) {
            let begin = cycle as u64 * CYCLE_MS + scenario.start_ms;
            let Some(main) = scenario.sensors.first() else { continue };
            let reading = world.reading(*main, begin + 45_000);
            let shows = match (scenario.kind, reading) {
                (ScenarioKind::Flood, Some(Reading::WaterLevel { level_m })) => level_m > 3.6,
                (ScenarioKind::Accident, Some(Reading::Traffic { speed, .. })) => speed < 6.0,
                (ScenarioKind::Jam, Some(Reading::Traffic { speed, .. })) => speed < 12.0,
                (ScenarioKind::HeavyRain, Some(Reading::Rain { mm })) => mm > 55.0,
                (ScenarioKind::PoorAir, Some(Reading::AirQuality { pm25, .. })) => pm25 > 150.0,
                (ScenarioKind::DoorOpen, Some(Reading::Door { open })) => open,
                (ScenarioKind::Overload, Some(Reading::Power { kw })) => kw > 220.0,
                (ScenarioKind::LoudNoise, Some(Reading::Noise { db })) => db > 80.0,
                (ScenarioKind::SensorDead, None) => true,
                (ScenarioKind::SensorStuck | ScenarioKind::FastClock, Some(_)) => true,
                _ => false,
            };
            assert!(shows, "cycle {cycle} {scenario:?}: {reading:?}");
        }
    }
}

#[test]
fn truth_lists_every_scenario_with_ids() {
    let world = World::new(1);
    let truth = ground_truth(&world, 2);
    assert!(truth.simulated);
    assert_eq!(truth.scenarios.len(), 30);
    for entry in &truth.scenarios {
        assert!(!entry.sensor_ids.is_empty() || !entry.camera_ids.is_empty(), "{entry:?}");
    }
    assert_eq!(truth.scenarios[0].scenario_id, "0-01-flood");
    assert_eq!((truth.scenarios[0].start_s, truth.scenarios[0].end_s), (5, 300));
}

#[test]
fn every_rule_in_the_truth_is_shipped() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/rules");
    let files = std::fs::read_dir(folder).unwrap();
    let shipped: String =
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    for entry in ground_truth(&World::new(1), 1).scenarios {
        for rule in entry.rules.iter().chain(entry.may_fire) {
            assert!(shipped.contains(&format!("CREATE ALERT RULE {rule}\n")), "no rule {rule}");
        }
    }
}
