//! The city is the same every time, sensibly laid out, and calm where nothing happens.

use std::collections::BTreeSet;

use super::*;

#[test]
fn same_seed_gives_the_same_city_and_another_seed_another() {
    let print = |seed| {
        let world = World::new(seed);
        let readings: Vec<_> =
            (0..world.sensors().len()).map(|i| world.reading(i, 77_000)).collect();
        format!("{:?}{:?}{readings:?}", world.sensors(), world.plan())
    };
    assert_eq!(print(1), print(1));
    assert_ne!(print(1), print(2));
}

#[test]
fn city_has_the_promised_size() {
    let world = World::new(1);
    let count = |kind| world.sensors().iter().filter(|s| s.kind == kind).count();
    assert_eq!(SensorKind::ALL.map(count), [260, 16, 24, 40, 50, 40, 90]);
    assert_eq!(world.cameras().len(), 10);
    let ids: BTreeSet<_> = world.sensors().iter().map(|s| &s.sensor.sensor_id).collect();
    assert_eq!(ids.len(), world.sensors().len());
    let h265: Vec<_> =
        world.cameras().iter().filter(|c| c.h265).map(|c| c.camera_id.as_str()).collect();
    assert_eq!(h265, ["CAM-09", "CAM-10"]);
}

#[test]
fn every_sensor_stands_in_a_commune_of_today_near_the_centre() {
    for seed in 1..=20 {
        let world = World::new(seed);
        let centre = Place { lon: 105.90, lat: 18.34 };
        for s in world.sensors() {
            assert_ne!(s.sensor.unit_code.as_str(), units::PROVINCE, "{:?}", s.sensor);
            assert!(s.sensor.place.distance_m(centre) < 7_500.0, "{:?}", s.sensor);
        }
    }
}

#[test]
fn every_camera_looks_down_a_road_with_a_loop_close_by() {
    for seed in 1..=20 {
        let world = World::new(seed);
        for camera in world.cameras() {
            let seen = &world.sensors()[camera.watches];
            let away_m = seen.ground.distance_m(camera.ground);
            assert!(away_m < 90.0, "seed {seed} {} {away_m}", camera.camera_id);
            assert!((0.0..360.0).contains(&camera.heading_deg));
            let road = world.road(camera.camera_id.as_str(), 3.0);
            assert!(road.speed_kmh > 15.0 && road.flow_per_min > 1.0, "{road:?}");
        }
        let gauge = world.sensors().iter().find(|s| s.sensor.sensor_id.as_str() == "WL-003");
        let away_m = gauge.unwrap().ground.distance_m(world.cameras()[2].ground);
        assert!(away_m < 450.0, "seed {seed}: CAM-03 is {away_m} m from WL-003");
    }
}

#[test]
fn streets_cross_the_river_on_bridges_only() {
    for seed in 1..=20 {
        let world = World::new(seed);
        let river = world.river();
        let streets = world.streets();
        let crossing: Vec<_> = streets.iter().filter(|s| crosses(&s.line, &river.middle)).collect();
        let names: Vec<_> = crossing.iter().map(|s| s.name_vi.as_str()).collect();
        let bridges = ["Đường Hùng Vương", "Đường Nguyễn Công Trứ", "Đường Hà Huy Tập"];
        assert_eq!(names, bridges, "seed {seed}");
    }
}

fn crosses(a: &[Place], b: &[Place]) -> bool {
    let side = |p: Place, q: Place, r: Place| {
        (q.lon - p.lon) * (r.lat - p.lat) - (q.lat - p.lat) * (r.lon - p.lon)
    };
    a.windows(2).any(|s| {
        b.windows(2).any(|t| {
            side(s[0], s[1], t[0]) * side(s[0], s[1], t[1]) < 0.0
                && side(t[0], t[1], s[0]) * side(t[0], t[1], s[1]) < 0.0
        })
    })
}

#[test]
fn calm_city_stays_below_every_threshold_all_day() {
    let world = World::new(1);
    for (index, sensor) in world.sensors().iter().enumerate() {
        for at_ms in (0..86_400_000).step_by(613_000) {
            let reading = signals::ambient(1, index, sensor, at_ms);
            let calm = match reading {
                Reading::Traffic { speed, flow, occupancy } => {
                    (18.0..=65.0).contains(&speed) && flow <= 48.0 && occupancy < 0.45
                }
                Reading::WaterLevel { level_m } => (1.5..2.7).contains(&level_m),
                Reading::Rain { mm } => (0.0..8.0).contains(&mm),
                Reading::AirQuality { pm25, pm10 } => (10.0..45.0).contains(&pm25) && pm10 < 90.0,
                Reading::Noise { db } => (44.0..69.0).contains(&db),
                Reading::Door { open } => !open,
                Reading::Power { kw } => (8.0..160.0).contains(&kw),
            };
            assert!(calm, "{} at {at_ms}: {reading:?}", sensor.sensor.sensor_id);
        }
    }
}

#[test]
fn neighbouring_loops_agree_more_than_distant_ones() {
    let world = World::new(1);
    let load = |i: usize, at_s: f64| {
        let s = &world.sensors()[i];
        let road = s.road.as_ref().unwrap();
        let state = signals::traffic(1, s, road, at_s);
        state.speed_kmh / road.free_speed
    };
    let gap = |i: usize, j: usize| {
        let times = (0..40).map(|k| f64::from(k) * 300.0);
        times.map(|t| (load(i, t) - load(j, t)).abs()).sum::<f64>()
    };
    // sensors 0 and 1 lie on one stretch; 0 and 200 in different parts of the city
    assert!(gap(0, 1) < gap(0, 200) * 1.5);
}

#[test]
fn former_units_end_the_day_today_begins_and_reuse_a_code() {
    let units = World::new(1).units();
    let (former, today): (Vec<_>, Vec<_>) = units.iter().partition(|u| u.valid_to.is_some());
    assert_eq!((former.len(), today.len()), (3, 7));
    assert!(former.iter().all(|u| u.valid_to.as_deref() == Some("2025-07-01")));
    assert!(today.iter().all(|u| u.valid_from == "2025-07-01"));
    assert!(former.iter().any(|f| today.iter().any(|t| t.unit_code == f.unit_code)));
}
