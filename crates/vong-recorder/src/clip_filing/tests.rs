//! Which clips an alert gets.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{UInt32Array, UInt64Array};
use vong_footage::{Footage, FootageConfig, FootageMetrics};
use vong_log::{FileLog, LogConfig, MemLog};
use vong_model::{Camera, Place, Sensor};
use vong_runtime::SystemClock;
use vong_telemetry::Metrics;

use super::*;
use crate::{Recorder, RecorderConfig, RecorderMetrics};

const LAT: f64 = 18.34;

fn city() -> Arc<Assets> {
    let mut assets = Assets::default();
    // One degree of longitude is about 105.5 km here: 0.001 is about 105 m.
    for (id, lon) in
        [("CAM-01", 105.901), ("CAM-02", 105.902), ("CAM-03", 105.903), ("CAM-04", 105.99)]
    {
        let camera = Camera {
            camera_id: id.into(),
            name_vi: id.to_owned(),
            name_en: id.to_owned(),
            place: Place { lon, lat: LAT },
            heading_deg: 0.0,
            unit_code: "U1".into(),
            url: "rtsp://127.0.0.1/x".to_owned(),
            live_url: None,
            ..Camera::default()
        };
        assets.cameras.insert(id.into(), camera);
    }
    let sensor = Sensor {
        sensor_id: "TR-001".into(),
        kind: "traffic".to_owned(),
        name_vi: String::new(),
        name_en: String::new(),
        place: Place { lon: 105.9, lat: LAT },
        unit_code: "U1".into(),
    };
    assets.sensors.insert("TR-001".into(), sensor);
    Arc::new(assets)
}

fn transition(alert_id: &str, state: &str, sensor_id: &str) -> RecordBatch {
    let at = EventTime(100_000_000);
    let text = |text: &str| columns::text_column([Some(text)]);
    let key = |text: &str| columns::key_column([Some(text)]);
    let time = || columns::time_column([Some(at)]);
    let long = || -> ArrayRef { Arc::new(UInt64Array::from(vec![0])) };
    let int = || -> ArrayRef { Arc::new(UInt32Array::from(vec![1])) };
    let value: ArrayRef = Arc::new(Float64Array::from(vec![4.0]));
    let columns = vec![
        time(),
        time(),
        text(alert_id),
        key("rule"),
        int(),
        key(state),
        key("high"),
        text("k"),
        key(sensor_id),
        columns::key_column([None]),
        columns::key_column([None]),
        value,
        time(),
        text("t"),
        text("t"),
        text("a"),
        text("a"),
        text("engine"),
        columns::text_column([None::<&str>]),
        long(),
        long(),
        long(),
        int(),
        int(),
    ];
    RecordBatch::try_new(Stream::AlertTransitions.schema(), columns).unwrap()
}

fn config() -> ClipConfig {
    let (pre_roll, post_roll) = (Duration::from_secs(10), Duration::from_secs(5));
    ClipConfig { pre_roll, post_roll, radius_m: 800.0, cameras: 2 }
}

#[test]
fn the_nearest_cameras_are_filed_with_pre_and_post_roll() {
    let clips = clips_for(&config(), &city(), &transition("a1", "firing", "TR-001")).unwrap();
    let told: Vec<_> =
        clips.iter().map(|c| (c.clip_id.as_str(), c.from.micros(), c.to.micros())).collect();
    assert_eq!(
        told,
        [("a1-CAM-01", 90_000_000, 105_000_000), ("a1-CAM-02", 90_000_000, 105_000_000)]
    );
    assert!(
        clips_for(&config(), &city(), &transition("a1", "resolved", "TR-001")).unwrap().is_empty()
    );
    assert!(
        clips_for(&config(), &city(), &transition("a1", "firing", "TR-999")).unwrap().is_empty()
    );
}

/// Gives cameras `id heading range`, east of the sensor; tells which are filed for its alert.
fn check(cameras: &[(&str, f64, f64)], asset: &str, expected: &[&str]) {
    let mut assets = Assets::clone(&city());
    for (id, heading_deg, range_m) in cameras {
        let camera = assets.cameras.get_mut(*id).unwrap();
        (camera.heading_deg, camera.range_m, camera.fov_deg) = (*heading_deg, *range_m, 60.0);
    }
    let config = ClipConfig { cameras: 3, ..config() };
    let clips = clips_for(&config, &assets, &transition("a1", "firing", asset)).unwrap();
    let told = clips.iter().map(|c| match c.view_quality {
        Some(quality) => format!("{} {quality:.2}", c.camera_id),
        None => format!("{} {:.0} m", c.camera_id, c.distance_m),
    });
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let batch = to_batch(&clips, EventTime(0));
    let columns = Columns::new(Stream::Clips, &batch);
    let stored: Vec<_> = columns.floats("view_quality").unwrap().iter().collect();
    assert_eq!(stored, clips.iter().map(|c| c.view_quality).collect::<Vec<_>>());
}

#[test]
fn cameras_that_show_the_place_are_filed_before_nearer_ones_that_do_not() {
    // CAM-01 looks away; CAM-03 is sharper at 316 m than CAM-02 at 211 m.
    let views = [("CAM-01", 90.0, 400.0), ("CAM-02", 270.0, 250.0), ("CAM-03", 270.0, 900.0)];
    check(&views, "TR-001", &["CAM-03 0.65", "CAM-02 0.16"]);
    // Nobody shows it: the nearest, within the radius.
    let away = [("CAM-01", 90.0, 400.0), ("CAM-02", 90.0, 400.0), ("CAM-03", 90.0, 400.0)];
    check(&away, "TR-001", &["CAM-01 106 m", "CAM-02 211 m", "CAM-03 317 m"]);
}

#[test]
fn an_alert_about_a_camera_is_told_by_that_camera_first() {
    let views = [("CAM-01", 90.0, 400.0), ("CAM-02", 270.0, 400.0), ("CAM-03", 90.0, 900.0)];
    check(&views, "CAM-01", &["CAM-01 1.00", "CAM-02 0.74"]);
    check(&[("CAM-02", 90.0, 1.0)], "CAM-02", &["CAM-02 1.00"]);
}

#[tokio::test]
async fn an_alert_read_again_after_a_restart_gets_its_clips_once() {
    let log: Arc<dyn Log> = Arc::new(MemLog::new(Arc::new(SystemClock)));
    log.append(vec![Entry::new(Stream::AlertTransitions, transition("a1", "firing", "TR-001"))])
        .await
        .unwrap();
    for _restart in 0..2 {
        let filer = filer(&log, &Metrics::new());
        let stop = Shutdown::new();
        let running = filer.run(stop.clone());
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stop.request();
        };
        let (ended, ()) = tokio::join!(running, stopping);
        ended.unwrap();
    }
    let records = log.read(Offset::ZERO, usize::MAX).unwrap();
    let clips: usize =
        records.iter().filter(|r| r.stream == Stream::Clips).map(|r| r.batch.num_rows()).sum();
    assert_eq!(clips, 2);
}

fn filer(log: &Arc<dyn Log>, metrics: &Metrics) -> ClipFiler {
    filer_with(log, metrics, city(), nowhere())
}

fn filer_with(
    log: &Arc<dyn Log>,
    metrics: &Metrics,
    assets: Arc<Assets>,
    recorder: RecorderHandle,
) -> ClipFiler {
    let metrics = ClipMetrics::new(metrics);
    ClipFiler::new(
        config(),
        Current::new(assets),
        Arc::clone(log),
        Arc::new(SystemClock),
        recorder,
        metrics,
    )
}

#[tokio::test]
async fn damage_of_the_log_costs_the_clips_of_the_alerts_it_hit_and_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let config = LogConfig { tail_bytes: 1, ..LogConfig::new(directory.path()) };
    let log: Arc<dyn Log> = Arc::new(FileLog::open(config, Arc::new(SystemClock), 1).unwrap());
    let file = directory.path().join(format!("{:020}.vlog", 0));
    let mut ends = Vec::new();
    for alert in ["a1", "a2", "a3"] {
        let batch = transition(alert, "firing", "TR-001");
        log.append(vec![Entry::new(Stream::AlertTransitions, batch)]).await.unwrap();
        ends.push(usize::try_from(std::fs::metadata(&file).unwrap().len()).unwrap());
    }
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[ends[1] - 40] ^= 1; // in the body of the second record
    std::fs::write(&file, bytes).unwrap();
    let metrics = Metrics::new();
    let stop = Shutdown::new();
    let running = filer(&log, &metrics).run(stop.clone());
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.request();
    };
    let (ended, ()) = tokio::join!(running, stopping);
    ended.unwrap();
    let mut filed = Vec::new();
    for record in log.read(Offset(2), usize::MAX).unwrap() {
        if record.stream == Stream::Clips {
            let ids = Columns::new(Stream::Clips, &record.batch).texts("alert_id").unwrap();
            filed.extend(ids.iter().flatten().map(str::to_owned));
        }
    }
    filed.sort();
    assert_eq!(filed, ["a1", "a1", "a3", "a3"]);
    // Once while looking for clips filed before, once while filing.
    let told = metrics.render();
    assert!(told.contains("vong_clips_lost_records_total 2"), "{told}");
}

/// A log that takes no clips while its disk is full.
#[derive(Debug)]
struct Filling {
    log: MemLog,
    is_full: AtomicBool,
}

impl Log for Filling {
    fn append(
        &self,
        entries: Vec<Entry>,
    ) -> vong_log::BoxFuture<'_, Result<Range<Offset>, vong_log::Error>> {
        let is_full = self.is_full.load(Ordering::Relaxed);
        if is_full && entries.iter().any(|entry| entry.stream == Stream::Clips) {
            let source = Arc::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
            let full = vong_log::Error::DiskFull { path: "log".into(), source };
            return Box::pin(async { Err(full) });
        }
        self.log.append(entries)
    }
    fn append_blocking(&self, entries: Vec<Entry>) -> Result<Range<Offset>, vong_log::Error> {
        self.log.append_blocking(entries)
    }
    fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Record>, vong_log::Error> {
        self.log.read(from, max_bytes)
    }
    fn floor(&self) -> Offset {
        self.log.floor()
    }
    fn head(&self) -> Offset {
        self.log.head()
    }
    fn watch(&self) -> tokio::sync::watch::Receiver<Offset> {
        self.log.watch()
    }
    fn epoch(&self) -> &str {
        self.log.epoch()
    }
    fn sealed(&self) -> Vec<vong_log::SealedRange> {
        self.log.sealed()
    }
    fn trim(&self, below: Offset) -> Result<(), vong_log::Error> {
        self.log.trim(below)
    }
    fn cursor_get(&self, name: &str) -> Result<Option<Offset>, vong_log::Error> {
        self.log.cursor_get(name)
    }
    fn cursor_set(&self, name: &str, offset: Offset) -> Result<(), vong_log::Error> {
        self.log.cursor_set(name, offset)
    }
}

/// Ids of all clips in `log`, sorted.
fn filed(log: &dyn Log) -> Vec<String> {
    let mut ids = Vec::new();
    for record in log.read(log.floor(), usize::MAX).unwrap() {
        if record.stream == Stream::Clips {
            let clips = Columns::new(Stream::Clips, &record.batch).texts("clip_id").unwrap();
            ids.extend(clips.iter().flatten().map(str::to_owned));
        }
    }
    ids.sort();
    ids
}

/// Runs a filer until `is_enough`, and ends it.
async fn file_until(log: &Arc<dyn Log>, is_enough: impl Fn(&str) -> bool) {
    let (metrics, stop) = (Metrics::new(), Shutdown::new());
    let running = filer(log, &metrics).run(stop.clone());
    let stopping = async {
        let told = async {
            while !is_enough(&metrics.render()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), told).await.expect("what is waited for");
        stop.request();
    };
    let (ended, ()) = tokio::join!(running, stopping);
    ended.unwrap();
}

#[tokio::test]
async fn clips_that_the_log_did_not_take_before_the_end_are_filed_at_the_next_start() {
    let filling = Filling { log: MemLog::new(Arc::new(SystemClock)), is_full: true.into() };
    // So many that one read of them moves the cursor, which is coarse.
    for n in 0..1_030 {
        let state = if n == 5 { "firing" } else { "resolved" };
        let batch = transition(&format!("a{n}"), state, "TR-001");
        filling.log.append(vec![Entry::new(Stream::AlertTransitions, batch)]).await.unwrap();
    }
    let filling = Arc::new(filling);
    let log: Arc<dyn Log> = filling.clone();
    file_until(&log, |told| told.contains("vong_clips_filing_failures_total 1")).await;
    assert_eq!(log.cursor_get(ClipFiler::CURSOR).unwrap(), None);
    assert_eq!(filed(&*log), Vec::<String>::new());

    filling.is_full.store(false, Ordering::Relaxed);
    file_until(&log, |told| told.contains("vong_clips_filed_total 2")).await;
    assert_eq!(filed(&*log), ["a5-CAM-01", "a5-CAM-02"]);
}

/// A recorder that records nothing.
fn nowhere() -> RecorderHandle {
    let (dir, registry) = (tempfile::tempdir().unwrap(), Metrics::new());
    let footage = FootageConfig { dir: dir.path().to_owned(), ..FootageConfig::default() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = FootageMetrics::new(&registry);
    let (footage, _) = Footage::open(footage, Arc::clone(&clock), metrics).unwrap();
    let log: Arc<dyn Log> = Arc::new(MemLog::new(Arc::clone(&clock)));
    let metrics = RecorderMetrics::new(&registry);
    let (_, handle, _) = Recorder::new(RecorderConfig::default(), footage, log, clock, metrics);
    handle
}
