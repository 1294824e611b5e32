//! Live viewers begin at a key frame, skip when they are slow, and hold nobody up.

use std::time::Duration;

use bytes::Bytes;
use vong_media::Codec;
use vong_model::EventTime;
use vong_telemetry::Metrics;

use super::*;

fn parameters(width: u32) -> Arc<VideoParameters> {
    Arc::new(VideoParameters {
        codec: Codec::H264,
        width,
        height: 360,
        rfc6381: "avc1.64001f".to_owned(),
        sample_entry: Bytes::from_static(b"entry"),
    })
}

fn unit(number: i64, key: bool, bytes: usize) -> AccessUnit {
    AccessUnit {
        pts_90k: number * 3_600,
        received_at: EventTime(number),
        camera_time: None,
        key,
        lost_packets: 0,
        data: Bytes::from(vec![0; bytes]),
    }
}

fn hub() -> (VideoHub, VideoSink, CameraId) {
    let hub = VideoHub::new(HubMetrics::new(&Metrics::new()));
    let camera = CameraId::from("CAM-01");
    let sink = hub.sink(&camera);
    (hub, sink, camera)
}

/// Frames `from..to`, a key frame each ten.
fn feed(sink: &mut VideoSink, from: i64, to: i64) {
    for number in from..to {
        sink.access_unit(&unit(number, number % 10 == 0, 100));
    }
}

/// Everything that is there now, in short: `P640`, `12`, `+5:20` (5 skipped), `x`.
fn drain(viewer: &mut VideoViewer) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut words = Vec::new();
        let soon = Duration::from_millis(5);
        while let Ok(event) = tokio::time::timeout(soon, viewer.next()).await {
            words.push(match event {
                VideoEvent::Parameters(parameters) => format!("P{}", parameters.width),
                VideoEvent::Unit { unit, skipped: 0 } => unit.received_at.0.to_string(),
                VideoEvent::Unit { unit, skipped } => format!("+{skipped}:{}", unit.received_at.0),
                VideoEvent::Interrupted => "x".to_owned(),
            });
        }
        words.join(" ")
    })
}

#[test]
fn new_viewer_begins_at_the_newest_key_frame() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    feed(&mut sink, 0, 23);
    let mut viewer = hub.watch(&camera).unwrap();
    assert_eq!(drain(&mut viewer), "P640 20 21 22");
    feed(&mut sink, 23, 25);
    assert_eq!(drain(&mut viewer), "23 24");
}

#[test]
fn viewer_a_little_late_loses_nothing_and_one_far_behind_skips_to_a_key_frame() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    feed(&mut sink, 0, 12);
    let mut viewer = hub.watch(&camera).unwrap();
    assert_eq!(drain(&mut viewer), "P640 10 11");
    feed(&mut sink, 12, 22);
    assert_eq!(drain(&mut viewer), "12 13 14 15 16 17 18 19 20 21");
    feed(&mut sink, 22, 63);
    assert_eq!(drain(&mut viewer), "+38:60 61 62");
}

#[test]
fn viewers_that_never_read_do_not_hold_frames() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    let viewers: Vec<_> = (0..50).map(|_| hub.watch(&camera).unwrap()).collect();
    feed(&mut sink, 0, 1_000);
    assert!(sink.camera.frames.lock().kept.len() <= 20);
    assert_eq!(hub.viewers(&camera), 50);
    drop(viewers);
    assert_eq!(hub.viewers(&camera), 0);
}

#[test]
fn lost_camera_is_told_and_its_return_begins_a_new_stream() {
    let (hub, mut sink, camera) = hub();
    let mut viewer = hub.watch(&camera).unwrap();
    assert_eq!(drain(&mut viewer), "", "not connected yet");
    sink.parameters(&parameters(640));
    feed(&mut sink, 0, 3);
    assert_eq!(drain(&mut viewer), "P640 0 1 2");
    sink.interrupted();
    assert_eq!(drain(&mut viewer), "x");
    sink.parameters(&parameters(640));
    feed(&mut sink, 3, 12);
    assert_eq!(drain(&mut viewer), "P640 10 11", "nothing before a key frame");
    sink.parameters(&parameters(640));
    feed(&mut sink, 12, 13);
    assert_eq!(drain(&mut viewer), "12", "the same parameters again change nothing");
    sink.parameters(&parameters(1_280));
    feed(&mut sink, 13, 21);
    assert_eq!(drain(&mut viewer), "P1280 20");
}

#[test]
fn endless_group_of_pictures_stays_within_bounds() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    sink.access_unit(&unit(0, true, 100));
    let mut viewer = hub.watch(&camera).unwrap();
    for number in 1..100 {
        sink.access_unit(&unit(number, false, KEPT_BYTES / 10));
    }
    assert!(sink.camera.frames.lock().bytes <= KEPT_BYTES);
    assert_eq!(drain(&mut viewer), "P640", "no key frame left: wait for the next");
    sink.access_unit(&unit(100, true, 100));
    assert_eq!(drain(&mut viewer), "100");
}

#[test]
fn unknown_camera_has_no_picture() {
    let (hub, _sink, _camera) = hub();
    assert!(hub.watch(&CameraId::from("CAM-99")).is_none());
    assert_eq!(hub.viewers(&CameraId::from("CAM-99")), 0);
}
