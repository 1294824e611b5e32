//! A footage directory in which bytes were changed, cut off and added: verifying ends, opening
//! repairs or refuses, and what was repaired needs no repair a second time.
//!
//! The input is a list of edits to a sound directory. Checksums of edited index records are put
//! right half of the time: a wrong checksum alone would hide everything behind it.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vong_footage::{ClipForm, Depth, Footage, FootageConfig, FootageMetrics, Opened, fsck};
use vong_media::{AccessUnit, Codec, GopBuilder, GopLimits, VideoParameters};
use vong_model::{CameraId, EventTime};
use vong_runtime::ManualClock;
use vong_telemetry::Metrics;

/// 2026-11-22T10:00:00Z.
const START_US: i64 = 1_795_341_600_000_000;
const INDEX_HEADER: usize = 16;
const INDEX_RECORD: usize = 176;

fn open(dir: &Path) -> Result<(Footage, Opened), vong_footage::Error> {
    let config = FootageConfig { dir: dir.to_owned(), segment_s: 2, ..FootageConfig::default() };
    let metrics = FootageMetrics::new(&Metrics::new());
    Footage::open(config, Arc::new(ManualClock::new(START_US)), metrics)
}

/// Paths below the directory, and what is in the files.
fn sound() -> &'static [(PathBuf, Vec<u8>)] {
    static SOUND: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let dir = directory();
        let (footage, _) = open(dir.path()).expect("an empty directory opens");
        let mut writer = footage.writer(&CameraId::from("C")).expect("the only writer");
        let mut builder = GopBuilder::new(GopLimits::default());
        builder.parameters(&Arc::new(VideoParameters {
            codec: Codec::H264,
            width: 64,
            height: 36,
            rfc6381: "avc1.64001f".to_owned(),
            sample_entry: Bytes::from_static(&[0, 0, 0, 9, b'a', b'v', b'c', b'1', 7]),
        }));
        for n in 0..40_i64 {
            let unit = AccessUnit {
                pts_90k: n * 9_000,
                received_at: EventTime(START_US + n * 100_000),
                camera_time: Some(EventTime(START_US + n * 100_000 - 7)),
                key: n % 4 == 0,
                lost_packets: 0,
                data: Bytes::from(vec![n as u8; 5]),
            };
            if let Some(gop) = builder.access_unit(&unit) {
                writer.push(&gop).expect("the disk takes it");
            }
        }
        drop(writer);
        drop(footage);
        files(dir.path())
    })
}

fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut dirs) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory of ours") {
            let path = entry.expect("a directory of ours").path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("a file of ours");
                found.push((path.strip_prefix(root).expect("below").to_owned(), bytes));
            }
        }
    }
    found.retain(|(path, _)| path.components().count() > 1);
    found.sort();
    found
}

fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}

/// One edit of eight bytes of input: which file, what, where, with what.
fn edit(files: &mut [(PathBuf, Vec<u8>)], order: &[u8; 8]) {
    let [which, what, high, low, value @ ..] = *order;
    let count = files.len();
    let (path, bytes) = &mut files[usize::from(which) % count];
    let at = usize::from(u16::from_be_bytes([high, low])) % (bytes.len() + 1);
    let is_index = path.extension().is_some_and(|extension| extension == "idx");
    match what % 5 {
        0 | 1 => {
            for (byte, new) in bytes.iter_mut().skip(at).zip(value) {
                *byte = new;
            }
        }
        2 => bytes.truncate(at),
        3 => bytes.extend_from_slice(&value),
        _ => {
            let copied: Vec<u8> =
                bytes.iter().skip(at).take(usize::from(value[0])).copied().collect();
            bytes.extend(copied);
        }
    }
    if is_index && what & 0x80 == 0 {
        let body = bytes.get_mut(INDEX_HEADER..).unwrap_or_default();
        for record in body.chunks_exact_mut(INDEX_RECORD) {
            let (facts, crc) = record.split_at_mut(INDEX_RECORD - 4);
            crc.copy_from_slice(&crc32c::crc32c(facts).to_be_bytes());
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut files = sound().to_vec();
    let (orders, _rest) = data.as_chunks::<8>();
    orders.iter().take(32).for_each(|order| edit(&mut files, order));
    let dir = directory();
    for (path, bytes) in &files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("below a day")).expect("a directory of ours");
        std::fs::write(path, bytes).expect("a file of ours");
    }
    drop(fsck(dir.path(), Depth::Hashes));
    let Ok((footage, _)) = open(dir.path()) else { return };
    if let Some((from, to)) = footage.span(&CameraId::from("C")) {
        drop(footage.gops(&CameraId::from("C"), from, to));
        for form in [ClipForm::Faststart, ClipForm::Fragmented] {
            let Ok(clip) = footage.clip(&CameraId::from("C"), from, to, form) else { continue };
            drop(clip.read_range(0..clip.total_len().min(1 << 20)));
        }
    }
    drop(footage);
    let (_again, opened) = open(dir.path()).expect("what opened once opens again");
    assert_eq!((opened.rebuilt_days, opened.cut_bytes), (0, 0), "repaired once is repaired");
});
