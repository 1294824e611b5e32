//! Pictures are functions of their arguments, and show what the scene says.

use expect_test::expect;

use super::*;
use crate::camera::Codec;
use crate::scene::RoadState;

/// 2026-11-22 09:00 in Viet Nam.
const ANCHOR: UnixMicros = 1_795_312_800_000_000;

#[derive(Debug)]
struct Town {
    frozen_from_s: f64,
    accident_from_s: f64,
}

impl Scene for Town {
    fn road(&self, _camera: &str, at_s: f64) -> RoadState {
        let stopped = at_s >= self.accident_from_s;
        RoadState {
            speed_kmh: if stopped { 3.0 } else { 38.0 },
            flow_per_min: 50.0,
            occupancy: if stopped { 0.9 } else { 0.15 },
            stopped_vehicles: if stopped { 2 } else { 0 },
        }
    }

    fn is_frozen(&self, _camera: &str, at_s: f64) -> bool {
        at_s >= self.frozen_from_s
    }

    fn is_offline(&self, _camera: &str, _at_s: f64) -> bool {
        false
    }
}

fn painter(camera_id: &str, town: Town) -> Painter {
    let spec = CameraSpec::new(camera_id, Codec::H264);
    Painter::new(&spec, 7, Arc::new(town), ANCHOR)
}

fn lively() -> Town {
    Town { frozen_from_s: f64::MAX, accident_from_s: f64::MAX }
}

/// FNV-1a over the three planes.
fn hash(canvas: &Canvas) -> u64 {
    let bytes = canvas.planes().into_iter().flat_map(|(plane, _)| plane);
    bytes.fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn frame_is_the_same_whether_reached_step_by_step_or_at_once() {
    let mut walked = painter("CAM-01", lively());
    for n in 0..120 {
        walked.picture(n);
    }
    let mut jumped = painter("CAM-01", lively());
    assert_eq!(hash(walked.picture(120)), hash(jumped.picture(120)));
    assert_ne!(hash(walked.picture(121)), hash(jumped.picture(120)));
}

/// Floating point is used without functions whose last bit differs between machines.
#[test]
fn frame_is_the_same_on_every_machine() {
    let mut painter = painter("CAM-01", lively());
    expect!["46cec85c37c4db63"].assert_eq(&format!("{:016x}", hash(painter.picture(50))));
}

#[test]
fn cameras_differ() {
    let (mut a, mut b) = (painter("CAM-01", lively()), painter("CAM-02", lively()));
    assert_ne!(a.backdrop_after_drawing(), b.backdrop_after_drawing());
}

#[test]
fn frozen_camera_repeats_the_picture_the_freeze_began_with() {
    let town = || Town { frozen_from_s: 5.0, accident_from_s: f64::MAX };
    let mut walked = painter("CAM-07", town());
    let at_freeze = (0..=50).map(|n| hash(walked.picture(n))).last().unwrap();
    assert_eq!(hash(walked.picture(90)), at_freeze);
    assert_eq!(hash(painter("CAM-07", town()).picture(300)), at_freeze);
}

#[test]
fn caption_changes_with_each_frame() {
    let mut still = painter("CAM-01", lively());
    let top = |canvas: &Canvas| canvas.planes()[0].0[..640 * 30].to_vec();
    let first = top(still.picture(0));
    assert_ne!(first, top(still.picture(1)));
}

#[test]
fn drawing_is_cheap() {
    let mut painter = painter("CAM-01", lively());
    painter.picture(0);
    let start = tokio::time::Instant::now();
    for n in 1..=300 {
        painter.picture(n);
    }
    let each = start.elapsed() / 300;
    println!("{each:?} a picture");
    assert!(each < std::time::Duration::from_millis(10), "{each:?} a picture");
}
