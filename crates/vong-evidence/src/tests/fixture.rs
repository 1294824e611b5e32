//! An installation with two cameras, and packages of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use vong_footage::{CameraWriter, Footage, FootageConfig, FootageMetrics};
use vong_media::{Codec, Frame, Gop, VideoParameters};
use vong_model::{Camera, CameraClass, CameraId, EventTime, Place};
use vong_runtime::ManualClock;
use vong_telemetry::Metrics;

use crate::{
    AlertFacts, AlertRow, CameraFacts, Checkpoints, EvidenceMetrics, ExportRequest, Exporter, Key,
    Package, Progress, Sealer, SealerConfig,
};

/// 2026-11-22T10:00:00Z.
pub(super) const T0: i64 = 1_795_341_600_000_000;

pub(super) fn at(ms: i64) -> EventTime {
    EventTime(T0 + ms * 1_000)
}

pub(super) struct Site {
    pub(super) dir: tempfile::TempDir,
    pub(super) clock: ManualClock,
    pub(super) footage: Footage,
    pub(super) checkpoints: Checkpoints,
    pub(super) key: Arc<Key>,
}

impl Site {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(T0);
        let config = FootageConfig { dir: dir.path().join("footage"), ..FootageConfig::default() };
        let metrics = FootageMetrics::new(&Metrics::new());
        let (footage, _opened) = Footage::open(config, Arc::new(clock.clone()), metrics).unwrap();
        let key = Arc::new(Key::open(&dir.path().join("keys"), || [42; 32]).unwrap());
        let checkpoints = Checkpoints::open(&dir.path().join("evidence"), &key.public()).unwrap();
        Self { dir, clock, footage, checkpoints, key }
    }

    pub(super) fn sealer(&self) -> Sealer {
        self.sealer_with(EvidenceMetrics::new(&Metrics::new()))
    }

    pub(super) fn sealer_with(&self, metrics: EvidenceMetrics) -> Sealer {
        Sealer::new(
            SealerConfig::default(),
            (self.footage.clone(), self.checkpoints.clone()),
            Arc::clone(&self.key),
            Arc::new(self.clock.clone()),
            metrics,
        )
    }

    pub(super) fn exporter(&self) -> Exporter {
        Exporter {
            footage: self.footage.clone(),
            checkpoints: self.checkpoints.clone(),
            key: Arc::clone(&self.key),
            clock: Arc::new(self.clock.clone()),
            software: "vong 0.0.0".to_owned(),
            site_vi: "Trung tâm điều hành".to_owned(),
            site_en: "Operations centre".to_owned(),
            verifier: Arc::from(&b"<!doctype html><title>verify</title>\n"[..]),
        }
    }

    pub(super) fn writer(&self, camera: &str) -> CameraWriter {
        self.footage.writer(&CameraId::from(camera)).unwrap()
    }

    /// Two cameras that recorded from 10:59:50 to 11:00:06; one of them lacks a group, and frames of
    /// another; sealed at 11:02.
    pub(super) fn recorded() -> Self {
        let site = Self::new();
        for (camera, seed) in [("CAM-A", 1), ("CAM-B", 2)] {
            let mut writer = site.writer(camera);
            for n in 0..8 {
                if camera == "CAM-B" && n == 5 {
                    continue;
                }
                let lost = if camera == "CAM-A" && n == 6 { 3 } else { 0 };
                let mut gop = gop(seed, 3_590_000 + n * 2_000, lost);
                if camera == "CAM-B" && n == 3 {
                    hole(&mut gop);
                }
                writer.push(&gop).unwrap();
            }
            writer.close().unwrap();
        }
        site.clock.set(at(3_600_000 + 125_000).micros());
        let sealed = site.sealer().seal_due().unwrap();
        assert_eq!(sealed.len(), 1, "the hour from 10:00 is over, that from 11:00 is not");
        site
    }

    /// A package of both cameras from 10:59:53 to 11:00:04.5, as an archive.
    pub(super) fn package(&self) -> PathBuf {
        let path = self.dir.path().join("package.zip");
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        self.exporter().export(&request(), &file, &Progress::default()).unwrap();
        path
    }
}

pub(super) fn request() -> ExportRequest {
    let camera = |id: &str| {
        CameraFacts::Registered(Box::new(Camera {
            camera_id: CameraId::from(id),
            name_vi: "Ngã tư <Nguyễn Huệ>".to_owned(),
            name_en: "Nguyễn Huệ crossing".to_owned(),
            place: Place { lon: 105.9, lat: 18.34 },
            heading_deg: 90.0,
            class: CameraClass::Surveillance,
            owner: "Công an tỉnh".to_owned(),
            purpose: "An toàn giao thông".to_owned(),
            ..Camera::default()
        }))
    };
    ExportRequest {
        package_id: "ev-test".to_owned(),
        cameras: vec![camera("CAM-A"), camera("CAM-B")],
        from: at(3_593_000),
        to: at(3_604_500),
        case: "VA-17/2026".to_owned(),
        purpose: "Điều tra tai nạn".to_owned(),
        asked_by: "Trần Văn An".to_owned(),
        account: "local".to_owned(),
        alert: Some(AlertFacts {
            alert_id: "a-1".to_owned(),
            rule_id: "flood".to_owned(),
            rows: vec![AlertRow {
                part: "row".to_owned(),
                at_us: at(3_595_000).micros(),
                log_offset: 7,
                what: "readings water_level 3.6 m".to_owned(),
            }],
            cut: false,
        }),
        holds: vec![1, 2],
    }
}

pub(super) fn parameters() -> Arc<VideoParameters> {
    Arc::new(VideoParameters {
        codec: Codec::H264,
        width: 640,
        height: 360,
        rfc6381: "avc1.64001f".to_owned(),
        sample_entry: Bytes::from_static(b"\0\0\0\x0cavc1\x01\x02\x03\x04"),
    })
}

/// Five frames of 400 ms; their bytes tell camera, group and frame. The camera's clock is 1.5 s
/// ahead.
pub(super) fn gop(seed: u8, ms: i64, lost_packets: u32) -> Gop {
    let text = |frame: i64| format!("<camera {seed} at {ms} frame {frame}>").repeat(3);
    let data: Vec<Bytes> = (0..5).map(|frame| Bytes::from(text(frame))).collect();
    Gop {
        parameters: parameters(),
        start: at(ms),
        camera_time: Some(at(ms + 1_500)),
        key: true,
        lost_packets,
        frames: data
            .iter()
            .map(|data| Frame { duration_90k: 36_000, size: data.len() as u32 })
            .collect(),
        data,
    }
}

/// Its second frame lasts until the last: the two between never came.
fn hole(gop: &mut Gop) {
    gop.frames.drain(2..4);
    gop.data.drain(2..4);
    gop.frames[1].duration_90k = 3 * 36_000;
}

/// The files of a package, by name.
pub(super) fn files_of(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let package = Package::open(path).unwrap();
    let read = |name: &String| (name.clone(), package.text(name).unwrap().unwrap());
    package.files().keys().map(read).collect()
}

/// The files as a folder.
pub(super) fn folder(files: &BTreeMap<String, Vec<u8>>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    dir
}
