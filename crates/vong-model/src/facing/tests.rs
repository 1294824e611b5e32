//! Which cameras show a place: by hand, and for thousands of made-up cities.

use proptest::prelude::*;

use super::*;

const HERE: Place = Place { lon: 105.9, lat: 18.34 };
const METRES_PER_DEGREE: f64 = 111_195.0;

/// The place so many metres east and north of [`HERE`].
fn at(east_m: f64, north_m: f64) -> Place {
    let lon_m = METRES_PER_DEGREE * HERE.lat.to_radians().cos();
    Place { lon: HERE.lon + east_m / lon_m, lat: HERE.lat + north_m / METRES_PER_DEGREE }
}

fn camera(id: &str, place: Place, heading_deg: f64, fov_deg: f64, range_m: f64) -> Camera {
    Camera { camera_id: id.into(), place, heading_deg, fov_deg, range_m, ..Camera::default() }
}

/// `camera` is `east north heading fov range`; tells what it sees of [`HERE`].
fn check(told: &str, expected: &str) {
    let numbers: Vec<f64> = told.split(' ').map(|n| n.parse().unwrap()).collect();
    let [east, north, heading, fov, range] = numbers[..] else { panic!("five numbers") };
    let camera = camera("C", at(east, north), heading, fov, range);
    let seen = camera.view_of(HERE).map_or_else(
        || "nothing".to_owned(),
        |v| format!("{:.0} m, {:.0}° off, {:.2}", v.distance_m, v.off_axis_deg, v.quality),
    );
    assert_eq!(seen, expected, "{told}");
}

#[test]
fn a_camera_shows_what_lies_before_it_and_within_its_range() {
    check("0 -100 0 90 150", "100 m, 0° off, 0.33"); // south of it, looking north
    check("0 -100 40 90 150", "100 m, 40° off, 0.19");
    check("0 -100 50 90 150", "nothing"); // past the edge of the picture
    check("0 -100 180 90 150", "nothing"); // it turns its back
    check("0 -100 0 90 90", "nothing"); // too far away
    check("-100 0 90 90 150", "100 m, 0° off, 0.33");
    check("0 -100 350 90 150", "100 m, 10° off, 0.30"); // across north
    check("0 100 -180 90 150", "100 m, 0° off, 0.33");
    check("0 -100 180 360 150", "100 m, 180° off, 0.17"); // it turns
    check("0 -5 180 90 150", "5 m, 180° off, 0.48"); // at its foot
    check("0 -100 0 0 150", "100 m, 0° off, 0.33");
    check("0 0 0 0 0", "0 m, 0° off, 0.50");
}

#[test]
fn the_best_view_comes_first() {
    let mut assets = Assets::default();
    for camera in [
        camera("A", at(0.0, -120.0), 0.0, 90.0, 150.0),
        camera("B", at(0.0, -60.0), 44.0, 90.0, 150.0),
        camera("C", at(0.0, -60.0), 0.0, 90.0, 150.0),
        camera("D", at(0.0, -60.0), 0.0, 90.0, 150.0),
        camera("E", at(0.0, 60.0), 0.0, 90.0, 150.0),
    ] {
        assets.cameras.insert(camera.camera_id.clone(), camera);
    }
    let ids: Vec<_> =
        assets.cameras_facing(HERE).iter().map(|f| f.camera.camera_id.as_str()).collect();
    assert_eq!(ids, ["C", "D", "B", "A"]);
}

fn any_camera() -> impl Strategy<Value = Camera> {
    let place = (-400.0..400.0, -400.0..400.0).prop_map(|(east, north)| at(east, north));
    let kind = (-720.0..720.0, 0.0..400.0, 0.0..500.0);
    (place, kind).prop_map(|(place, (heading, fov, range))| camera("C", place, heading, fov, range))
}

proptest! {
    /// Said in other words: turned so that its heading is north, the place lies in the wedge.
    #[test]
    fn a_place_is_seen_exactly_when_it_lies_in_the_wedge(camera in any_camera()) {
        let east = (HERE.lon - camera.place.lon) * METRES_PER_DEGREE * HERE.lat.to_radians().cos();
        let north = (HERE.lat - camera.place.lat) * METRES_PER_DEGREE;
        let heading = camera.heading_deg.to_radians();
        let ahead = east * heading.sin() + north * heading.cos();
        let aside = east * heading.cos() - north * heading.sin();
        let (distance, off) = (ahead.hypot(aside), aside.abs().atan2(ahead).to_degrees());
        // On a plane instead of a sphere; what lies on a border may fall on either side.
        prop_assume!((distance - camera.range_m).abs() > 1.0);
        prop_assume!((distance - AT_FOOT_M).abs() > 1.0);
        prop_assume!((off - camera.fov_deg / 2.0).abs() > 0.5);
        let inside = off < camera.fov_deg / 2.0 || distance < AT_FOOT_M || camera.fov_deg >= 360.0;
        prop_assert_eq!(camera.view_of(HERE).is_some(), distance < camera.range_m && inside);
        if let Some(view) = camera.view_of(HERE) {
            prop_assert!((view.distance_m - distance).abs() < 1.0);
            prop_assert!(distance < AT_FOOT_M || (view.off_axis_deg - off).abs() < 0.5);
        }
    }

    #[test]
    fn quality_lies_between_0_and_1_and_falls_with_distance_and_angle(
        camera in any_camera(), nearer in 0.0..1.0, turned in 0.0..1.0,
    ) {
        let Some(view) = camera.view_of(HERE) else { return Ok(()) };
        prop_assert!((0.0..=1.0).contains(&view.quality));
        prop_assume!(view.distance_m * nearer > AT_FOOT_M);
        let between = |a: f64, b: f64| b + (a - b) * nearer;
        let (lon, lat) = (camera.place.lon, camera.place.lat);
        let place = Place { lon: between(lon, HERE.lon), lat: between(lat, HERE.lat) };
        let closer = Camera { place, ..camera.clone() };
        if let Some(closer) = closer.view_of(HERE) {
            prop_assert!(closer.quality >= view.quality - 1e-6);
        }
        let bearing = camera.place.bearing_deg(HERE);
        let heading_deg = bearing + view.off_axis_deg * turned;
        let centred = Camera { heading_deg, ..camera.clone() };
        let centred = centred.view_of(HERE);
        prop_assert!(centred.is_some_and(|c| c.quality >= view.quality - 1e-9));
    }

    #[test]
    fn a_bearing_leads_back_the_other_way(east in -500.0..500.0, north in -500.0..500.0) {
        prop_assume!(f64::hypot(east, north) > 1.0);
        let there = HERE.bearing_deg(at(east, north));
        prop_assert!((0.0..360.0).contains(&there));
        prop_assert!(turn_deg(there, east.atan2(north).to_degrees()) < 0.5);
        prop_assert!(turn_deg(there + 180.0, at(east, north).bearing_deg(HERE)) < 0.1);
    }
}
