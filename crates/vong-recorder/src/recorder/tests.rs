//! A recorder over real footage: full disks, a disk that does not keep up, cameras of events.

use std::path::Path;

use vong_footage::{FootageConfig, FootageMetrics};
use vong_log::MemLog;
use vong_media::{AccessUnit, AccessUnitSink as _, ClipForm};
use vong_model::{Camera, Offset, Recording};
use vong_runtime::{ManualClock, Shutdown};
use vong_telemetry::Metrics;

use super::*;
use crate::testing::{at, gop};

struct Room {
    dir: tempfile::TempDir,
    clock: ManualClock,
    log: Arc<dyn Log>,
    registry: Metrics,
}

impl Room {
    fn new() -> Self {
        let clock = ManualClock::new(at(0).micros());
        let log: Arc<dyn Log> = Arc::new(MemLog::new(Arc::new(clock.clone())));
        Self { dir: tempfile::tempdir().unwrap(), clock, log, registry: Metrics::new() }
    }

    fn footage(&self, dir: &Path, min_free_bytes: u64) -> Footage {
        let dir = dir.join("footage");
        let config =
            FootageConfig { dir, min_free_bytes, segment_s: 4, ..FootageConfig::default() };
        let metrics = FootageMetrics::new(&self.registry);
        Footage::open(config, Arc::new(self.clock.clone()), metrics).unwrap().0
    }

    fn recorder(
        &self,
        footage: &Footage,
        config: RecorderConfig,
    ) -> (Recorder, RecorderHandle, LossWriter) {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let metrics = RecorderMetrics::new(&self.registry);
        Recorder::new(config, footage.clone(), Arc::clone(&self.log), clock, metrics)
    }

    fn metric(&self, line: &str) -> bool {
        self.registry.render().lines().any(|told| told == line)
    }

    /// States of all facts told, in the log's order.
    fn told(&self, stream: Stream) -> Vec<String> {
        let records = self.log.read(Offset::ZERO, usize::MAX).unwrap();
        let mut states = Vec::new();
        for record in records.iter().filter(|record| record.stream == stream) {
            let column = vong_model::Columns::new(stream, &record.batch).keys("state").unwrap();
            states.extend(
                (0..record.batch.num_rows()).filter_map(|row| column.get(row).map(str::to_owned)),
            );
        }
        states
    }
}

fn camera(id: &str, recording: Recording) -> Camera {
    Camera { camera_id: id.into(), unit_code: "U1".into(), recording, ..Camera::default() }
}

/// The frames of a group, as a camera sends them.
fn send(sink: &mut crate::RecorderSink, second: i64, size: u32) {
    let group = gop(second, size);
    sink.parameters(&group.parameters);
    for (n, data) in (0..).zip(&group.data) {
        sink.access_unit(&AccessUnit {
            pts_90k: second * 90_000 + n * 3_600,
            received_at: EventTime(at(second).micros() + n * 40_000),
            camera_time: None,
            key: n == 0,
            lost_packets: 0,
            data: data.clone(),
        });
    }
}

#[test]
fn what_the_disk_does_not_keep_up_with_is_dropped_in_whole_groups() {
    let room = Room::new();
    let footage = room.footage(room.dir.path(), 0);
    // Three groups of 25 kB fit, the fourth does not; the writer does not run yet: a stalled disk.
    let config = RecorderConfig { queue_bytes: 80_000, ..RecorderConfig::default() };
    let (recorder, handle, teller) = room.recorder(&footage, config);
    let mut sinks =
        [camera("CAM-1", Recording::Continuous), camera("CAM-2", Recording::Continuous)]
            .map(|camera| handle.sink(&camera));
    for second in 0..5 {
        sinks.iter_mut().for_each(|sink| send(sink, second, 1_000));
    }
    assert!(room.metric("vong_recorder_gops_dropped_total{reason=\"queue_full\"} 5"));
    let writer = vong_runtime::thread::spawn("test-writer", || recorder.run(&[])).unwrap();
    // A camera is unknown until its first group.
    let gops = |camera: &str| footage.gops(&camera.into(), at(0), at(99)).unwrap_or_default();
    let written = || (gops("CAM-1").len(), gops("CAM-2").len());
    while written() != (2, 1) || !room.metric("vong_recorder_queue_bytes 0") {
        std::thread::sleep(Duration::from_millis(5));
    }
    // The disk is good again: of the group that was open, the next one ends it.
    sinks.iter_mut().for_each(|sink| send(sink, 5, 1_000));
    drop(sinks);
    handle.forget(&"CAM-2".into());
    drop(handle);
    writer.join().unwrap();
    assert_eq!(written(), (3, 2));
    assert!(gops("CAM-1").iter().all(|gop| gop.entry.frames == 25));
    room.clock.set(at(20).micros());
    let stop = Shutdown::new();
    stop.request();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(teller.run(stop)).unwrap();
    let told = room.told(Stream::CameraEvents);
    assert_eq!(told, ["recording_lost", "recording_good"], "of a camera that is gone nothing");
}

#[test]
fn a_camera_that_sends_no_key_frames_is_told_as_not_recorded() {
    let room = Room::new();
    let footage = room.footage(room.dir.path(), 0);
    let (recorder, handle, teller) = room.recorder(&footage, RecorderConfig::default());
    let mut sink = handle.sink(&camera("CAM-I", Recording::Continuous));
    let group = gop(0, 10);
    sink.parameters(&group.parameters);
    let mut frame = |n: i64, key: bool| {
        sink.access_unit(&AccessUnit {
            pts_90k: n * 9_000,
            received_at: EventTime(at(0).micros() + n * 100_000),
            camera_time: None,
            key,
            lost_packets: 0,
            data: group.data[0].clone(),
        });
    };
    let tell = || {
        let facts = handle.losses().take_facts(at(40));
        facts.iter().filter_map(|fact| fact.detail.clone()).collect::<Vec<_>>()
    };
    (0..300).for_each(|n| frame(n, false));
    assert_eq!(tell(), [""; 0], "a key frame may still come");
    (300..320).for_each(|n| frame(n, false));
    let told = tell();
    assert!(told[0].starts_with("311 frames are lost so far: the camera sends no key"), "{told:?}");
    assert!(room.metric("vong_recorder_frames_dropped_total{reason=\"before_key\"} 320"));
    // It comes: the group after it is recorded.
    (320..340).for_each(|n| frame(n, n % 10 == 0));
    drop((sink, teller));
    let losses = handle.losses().clone();
    drop(handle);
    recorder.run(&[]);
    let told: Vec<_> = losses.take_facts(at(60)).into_iter().map(|fact| fact.state).collect();
    assert_eq!(told, ["disk_good", "recording_good"]);
}

#[test]
fn camera_of_events_is_recorded_around_them_only() {
    let room = Room::new();
    let footage = room.footage(room.dir.path(), 0);
    let ring = RingLimits { keep: Duration::from_secs(3), bytes: 1 << 20 };
    let config = RecorderConfig { ring, ..RecorderConfig::default() };
    let (recorder, handle, _) = room.recorder(&footage, config);
    let event_camera = camera("CAM-E", Recording::Events);
    let mut sink = handle.sink(&event_camera);
    handle.record(&"CAM-elsewhere".into(), at(99));
    for second in 0..30 {
        send(&mut sink, second, 100);
        if second == 10 {
            // At second 10 the groups 0 to 9 are whole; 6 to 9 are young enough.
            handle.record(&event_camera.camera_id, at(14));
        }
    }
    drop((sink, handle));
    recorder.run(&[]);
    let gops = footage.gops(&event_camera.camera_id, at(0), at(99)).unwrap();
    let seconds: Vec<_> =
        gops.iter().map(|gop| (gop.entry.start.micros() - at(0).micros()) / 1_000_000).collect();
    assert_eq!(seconds, [6, 7, 8, 9, 10, 11, 12, 13]);
    let clip = footage.clip(&event_camera.camera_id, at(6), at(14), ClipForm::Faststart).unwrap();
    assert_eq!(clip.gaps(), []);
}

#[test]
fn full_disk_lets_the_oldest_go_and_then_pauses() {
    let mut room = Room::new();
    let footage = room.footage(room.dir.path(), 0);
    let (mut recorder, handle, _teller) = room.recorder(&footage, RecorderConfig::default());
    for second in 0..40 {
        recorder.record(&"CAM-1".into(), &"U1".into(), &gop(second, 1_000));
    }
    drop((recorder, handle));
    drop(footage);
    // All that is free is for others: only deleting can help, and it cannot give that much.
    room.registry = Metrics::new();
    room.clock.advance(Duration::from_secs(7_200));
    let free = vong_runtime::fs::free_bytes(room.dir.path()).unwrap();
    let footage = room.footage(room.dir.path(), free.saturating_mul(2));
    let (mut recorder, handle, _teller) = room.recorder(&footage, RecorderConfig::default());
    recorder.record(&"CAM-1".into(), &"U1".into(), &gop(40, 1_000));
    assert!(room.metric("vong_recorder_disk_full 1"));
    assert!(footage.span(&"CAM-1".into()).is_none(), "the oldest made room, in vain");
    recorder.record(&"CAM-1".into(), &"U1".into(), &gop(41, 1_000));
    assert!(room.metric("vong_recorder_gops_dropped_total{reason=\"disk_full\"} 2"));
    let facts = recorder.losses.take_facts(at(41));
    assert_eq!(
        facts.iter().map(|fact| fact.state).collect::<Vec<_>>(),
        ["disk_full", "recording_lost"]
    );
    drop((recorder, handle));
}
