//! Tiles begin at a key frame, skip when they are slow, take turns, and hold nobody up.

use std::time::Duration;

use bytes::Bytes;
use vong_media::Codec;
use vong_model::EventTime;
use vong_telemetry::Metrics;

use super::frames::KEPT_BYTES;
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
    let sink = hub.sink(&camera, VideoStream::Main);
    (hub, sink, camera)
}

/// A wall with one tile, number 0, that shows all of `camera`.
fn watch(hub: &VideoHub, camera: &CameraId) -> VideoWall {
    let mut wall = hub.wall();
    wall.show(0, camera, VideoStream::Main, TileMode::Full).unwrap();
    wall
}

/// Frames `from..to`, a key frame each ten.
fn feed(sink: &mut VideoSink, from: i64, to: i64) {
    for number in from..to {
        sink.access_unit(&unit(number, number % 10 == 0, 100));
    }
}

/// Up to `limit` events that are there now, in short: `P640`, `12`, `+5:20` (5 skipped), `x`;
/// tiles other than 0 with their number before it, as in `3/12`.
fn take(wall: &mut VideoWall, limit: usize) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut words = Vec::new();
        let soon = Duration::from_millis(5);
        while words.len() < limit
            && let Ok((tile, event)) = tokio::time::timeout(soon, wall.next()).await
        {
            let event = match event {
                VideoEvent::Parameters(parameters) => format!("P{}", parameters.width),
                VideoEvent::Unit { unit, skipped: 0 } => unit.received_at.0.to_string(),
                VideoEvent::Unit { unit, skipped } => format!("+{skipped}:{}", unit.received_at.0),
                VideoEvent::Interrupted => "x".to_owned(),
            };
            words.push(if tile == 0 { event } else { format!("{tile}/{event}") });
        }
        words.join(" ")
    })
}

fn drain(wall: &mut VideoWall) -> String {
    take(wall, usize::MAX)
}

#[test]
fn new_viewer_begins_at_the_newest_key_frame() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    feed(&mut sink, 0, 23);
    let mut wall = watch(&hub, &camera);
    assert_eq!(drain(&mut wall), "P640 20 21 22");
    feed(&mut sink, 23, 25);
    assert_eq!(drain(&mut wall), "23 24");
}

#[test]
fn viewer_a_little_late_loses_nothing_and_one_far_behind_skips_to_a_key_frame() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    feed(&mut sink, 0, 12);
    let mut wall = watch(&hub, &camera);
    assert_eq!(drain(&mut wall), "P640 10 11");
    feed(&mut sink, 12, 22);
    assert_eq!(drain(&mut wall), "12 13 14 15 16 17 18 19 20 21");
    feed(&mut sink, 22, 63);
    assert_eq!(drain(&mut wall), "+38:60 61 62");
}

#[test]
fn viewers_that_never_read_do_not_hold_frames() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    feed(&mut sink, 0, 15);
    assert_eq!(sink.feed.frames.lock().kept().0, 5, "unwatched: the group alone");
    let walls: Vec<_> = (0..50).map(|_| watch(&hub, &camera)).collect();
    feed(&mut sink, 15, 1_000);
    assert!(sink.feed.frames.lock().kept().0 <= 20);
    assert_eq!(hub.viewers(&camera), 50);
    drop(walls);
    assert_eq!(hub.viewers(&camera), 0);
    assert!(sink.feed.viewers.lock().is_empty());
}

#[test]
fn one_that_stops_reading_costs_the_others_nothing() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    let (mut quick, mut slow) = (watch(&hub, &camera), watch(&hub, &camera));
    assert_eq!((take(&mut slow, 1), take(&mut quick, 1)), ("P640".to_owned(), "P640".to_owned()));
    let mut seen = String::new();
    for second in 0..6 {
        feed(&mut sink, second * 10, second * 10 + 10);
        seen += &(drain(&mut quick) + " ");
    }
    let all: Vec<_> = (0..60).map(|n: i64| n.to_string()).collect();
    assert_eq!(seen.trim(), all.join(" "), "every frame, none skipped");
    // It had not got a first frame yet, so nothing was taken from it.
    assert_eq!(drain(&mut slow).split(' ').next(), Some("50"));
}

#[test]
fn lost_camera_is_told_and_its_return_begins_a_new_stream() {
    let (hub, mut sink, camera) = hub();
    let mut wall = watch(&hub, &camera);
    assert_eq!(drain(&mut wall), "", "not connected yet");
    sink.parameters(&parameters(640));
    feed(&mut sink, 0, 3);
    assert_eq!(drain(&mut wall), "P640 0 1 2");
    sink.interrupted();
    assert_eq!(drain(&mut wall), "x");
    sink.parameters(&parameters(640));
    feed(&mut sink, 3, 12);
    assert_eq!(drain(&mut wall), "P640 10 11", "nothing before a key frame");
    sink.parameters(&parameters(640));
    feed(&mut sink, 12, 13);
    assert_eq!(drain(&mut wall), "12", "the same parameters again change nothing");
    sink.parameters(&parameters(1_280));
    feed(&mut sink, 13, 21);
    assert_eq!(drain(&mut wall), "P1280 20");
}

#[test]
fn endless_group_of_pictures_stays_within_bounds() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    sink.access_unit(&unit(0, true, 100));
    let mut wall = watch(&hub, &camera);
    for number in 1..100 {
        sink.access_unit(&unit(number, false, KEPT_BYTES / 10));
    }
    assert!(sink.feed.frames.lock().kept().1 <= KEPT_BYTES);
    assert_eq!(drain(&mut wall), "P640", "no key frame left: wait for the next");
    sink.access_unit(&unit(100, true, 100));
    assert_eq!(drain(&mut wall), "100");
}

#[test]
fn key_mode_gives_the_newest_key_frames_and_back_to_full_joins_on() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    feed(&mut sink, 0, 13);
    let mut wall = watch(&hub, &camera);
    assert_eq!(drain(&mut wall), "P640 10 11 12");
    wall.set_mode(0, TileMode::Key);
    feed(&mut sink, 13, 45);
    assert_eq!(drain(&mut wall), "40", "of three key frames the newest");
    feed(&mut sink, 45, 53);
    assert_eq!(drain(&mut wall), "50");
    wall.set_mode(0, TileMode::Full);
    assert_eq!(drain(&mut wall), "51 52", "the rest of the group, nothing called skipped");
    wall.set_mode(0, TileMode::Key);
    feed(&mut sink, 53, 58);
    assert_eq!(drain(&mut wall), "");
    feed(&mut sink, 58, 82);
    wall.set_mode(0, TileMode::Full);
    assert_eq!(drain(&mut wall), "80 81");
    feed(&mut sink, 82, 123);
    assert_eq!(drain(&mut wall), "+38:120 121 122", "but slowness in full mode is");
}

#[test]
fn steady_mode_begins_with_one_picture_and_joins_at_the_next_key_frame() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    feed(&mut sink, 0, 15);
    let mut wall = hub.wall();
    wall.show(0, &camera, VideoStream::Main, TileMode::Steady);
    assert_eq!(drain(&mut wall), "P640 10", "not the rest of the group");
    feed(&mut sink, 15, 21);
    assert_eq!(drain(&mut wall), "20");
    feed(&mut sink, 21, 24);
    assert_eq!(drain(&mut wall), "21 22 23");
    wall.set_mode(0, TileMode::Full);
    feed(&mut sink, 24, 26);
    assert_eq!(drain(&mut wall), "24 25", "nothing twice");
    wall.set_mode(0, TileMode::Key);
    feed(&mut sink, 26, 33);
    assert_eq!(drain(&mut wall), "30");
    wall.set_mode(0, TileMode::Steady);
    feed(&mut sink, 33, 37);
    assert_eq!(drain(&mut wall), "", "after key frames again one picture at a time");
    feed(&mut sink, 37, 41);
    assert_eq!(drain(&mut wall), "40");
    feed(&mut sink, 41, 92);
    assert_eq!(drain(&mut wall), "+49:90 91", "what follows can skip");
}

#[test]
fn parameters_that_change_reach_key_mode_too() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    feed(&mut sink, 0, 2);
    let mut wall = hub.wall();
    wall.show(7, &camera, VideoStream::Main, TileMode::Key);
    assert_eq!(drain(&mut wall), "7/P640 7/0");
    sink.parameters(&parameters(1_280));
    feed(&mut sink, 10, 12);
    assert_eq!(drain(&mut wall), "7/P1280 7/10");
}

#[test]
fn tiles_take_turns_however_much_one_has_to_say() {
    let (hub, mut busy, camera) = hub();
    let calm = CameraId::from("CAM-02");
    let mut quiet = hub.sink(&calm, VideoStream::Main);
    for sink in [&mut busy, &mut quiet] {
        sink.parameters(&parameters(640));
    }
    let mut wall = hub.wall();
    wall.show(1, &camera, VideoStream::Main, TileMode::Full);
    wall.show(2, &calm, VideoStream::Main, TileMode::Full);
    wall.show(3, &camera, VideoStream::Main, TileMode::Full);
    feed(&mut busy, 0, 9);
    feed(&mut quiet, 0, 2);
    assert_eq!(
        take(&mut wall, 9),
        "1/P640 2/P640 3/P640 1/0 2/0 3/0 1/1 2/1 3/1",
        "one each, in turn"
    );
    feed(&mut quiet, 2, 3);
    assert_eq!(take(&mut wall, 3), "1/2 2/2 3/2", "a newcomer waits for one round at most");
}

#[test]
fn stream_that_a_camera_lacks_is_replaced_by_the_one_it_has() {
    let (hub, _sink, camera) = hub();
    let mut wall = hub.wall();
    let mut shown = |wanted| wall.show(0, &camera, wanted, TileMode::Full);
    assert_eq!(shown(VideoStream::Sub), Some(VideoStream::Main));
    let mut sub = hub.sink(&camera, VideoStream::Sub);
    assert_eq!(shown(VideoStream::Main), Some(VideoStream::Main));
    assert_eq!(shown(VideoStream::Sub), Some(VideoStream::Sub));
    sub.parameters(&parameters(320));
    assert_eq!(drain(&mut wall), "P320", "the tile shows one stream at a time");
    assert_eq!(hub.viewers(&camera), 1);
}

#[test]
fn a_tile_goes_over_to_the_stream_that_delivers_and_back() {
    let (hub, mut main, camera) = hub();
    let mut sub = hub.sink(&camera, VideoStream::Sub);
    main.parameters(&parameters(1_280));
    feed(&mut main, 0, 5);
    let mut wall = hub.wall();
    assert_eq!(
        wall.show(0, &camera, VideoStream::Sub, TileMode::Full),
        Some(VideoStream::Main),
        "the sub-stream has no picture"
    );
    assert_eq!(drain(&mut wall), "P1280 0 1 2 3 4");
    sub.parameters(&parameters(320));
    feed(&mut main, 5, 6);
    assert_eq!(drain(&mut wall), "5", "no key frame yet");
    feed(&mut sub, 10, 12);
    assert_eq!(drain(&mut wall), "P320 10 11");
    assert_eq!(wall.streams(0), Some((VideoStream::Sub, VideoStream::Sub)));
    sub.parameters(&parameters(640));
    assert_eq!(drain(&mut wall), "P640", "new parameters are no loss");
    feed(&mut sub, 20, 21);
    feed(&mut main, 6, 12);
    sub.interrupted();
    assert_eq!(drain(&mut wall), "P1280 10 11", "and lost is not dark");
    assert_eq!(wall.streams(0), Some((VideoStream::Sub, VideoStream::Main)));
    main.interrupted();
    assert_eq!(drain(&mut wall), "x");
    assert_eq!(hub.viewers(&camera), 1);
}

#[test]
fn a_camera_that_is_started_anew_without_its_sub_stream_is_not_dark() {
    let (hub, mut main, camera) = hub();
    let mut sub = hub.sink(&camera, VideoStream::Sub);
    for sink in [&mut main, &mut sub] {
        sink.parameters(&parameters(320));
        feed(sink, 0, 2);
    }
    let mut wall = hub.wall();
    wall.show(0, &camera, VideoStream::Sub, TileMode::Full);
    assert_eq!(drain(&mut wall), "P320 0 1");
    drop((main, sub));
    assert_eq!(drain(&mut wall), "x");
    let other = hub.wall().show(0, &camera, VideoStream::Sub, TileMode::Full);
    assert_eq!((other, hub.has_sub_stream(&camera)), (None, false), "nobody finds what is gone");
    let mut main = hub.sink(&camera, VideoStream::Main);
    main.parameters(&parameters(1_280));
    feed(&mut main, 10, 12);
    assert_eq!(drain(&mut wall), "P1280 10 11");
    assert_eq!(wall.streams(0), Some((VideoStream::Sub, VideoStream::Main)));
    drop(main);
    wall.remove(0);
    assert!(hub.inner.cameras.read().is_empty(), "nothing is left of it");
}

#[test]
fn unknown_camera_has_no_picture() {
    let (hub, _sink, _camera) = hub();
    let unknown = CameraId::from("CAM-99");
    assert_eq!(hub.wall().show(0, &unknown, VideoStream::Main, TileMode::Full), None);
    assert_eq!(hub.viewers(&unknown), 0);
}

#[test]
fn removed_tile_says_nothing_more() {
    let (hub, mut sink, camera) = hub();
    sink.parameters(&parameters(640));
    feed(&mut sink, 0, 3);
    let mut wall = watch(&hub, &camera);
    assert_eq!(take(&mut wall, 2), "P640 0");
    wall.remove(0);
    feed(&mut sink, 3, 6);
    assert_eq!(drain(&mut wall), "");
    assert_eq!(hub.viewers(&camera), 0);
}
