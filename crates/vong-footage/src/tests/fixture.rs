//! A footage directory with a clock moved by hand, synthetic groups, and real ones from ffmpeg.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use mp4_atom::{Any, DecodeMaybe, Stbl, StszSamples};
use vong_media::{AccessUnit, Codec, Gop, GopBuilder, GopLimits, VideoParameters};
use vong_model::{CameraId, EventTime};
use vong_runtime::ManualClock;
use vong_telemetry::Metrics;

use crate::{CameraWriter, Clip, Footage, FootageConfig, FootageMetrics, Opened};

/// 2026-11-22T10:00:00Z.
pub(crate) const T0_MS: i64 = 1_795_341_600_000;

pub(crate) fn at(ms: i64) -> EventTime {
    EventTime((T0_MS + ms) * 1_000)
}

pub(crate) fn camera() -> CameraId {
    CameraId::from("CAM-01")
}

pub(crate) struct Site {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) config: FootageConfig,
}

impl Site {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = FootageConfig {
            dir: dir.path().join("footage"),
            segment_s: 4,
            ..FootageConfig::default()
        };
        Self { dir, clock: ManualClock::new(at(0).micros()), config }
    }

    pub(crate) fn open(&self) -> (Footage, Opened) {
        let metrics = FootageMetrics::new(&Metrics::new());
        Footage::open(self.config.clone(), Arc::new(self.clock.clone()), metrics).unwrap()
    }

    /// All media files, oldest first.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.files_called("mp4")
    }

    pub(crate) fn files_called(&self, extension: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut dirs = vec![self.config.dir.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else if path.extension().is_some_and(|e| e == extension) {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

pub(crate) fn parameters(tag: u8) -> Arc<VideoParameters> {
    Arc::new(VideoParameters {
        codec: Codec::H264,
        width: 640,
        height: 360,
        rfc6381: "avc1.64001f".to_owned(),
        sample_entry: Bytes::from(vec![0, 0, 0, 9, b'a', b'v', b'c', b'1', tag]),
    })
}

/// Frames `range` of a 25 frame/s stream with a key frame every 5; frame n's bytes tell n.
pub(crate) fn units(range: std::ops::Range<i64>) -> Vec<AccessUnit> {
    range
        .map(|n| AccessUnit {
            pts_90k: n * 3_600,
            received_at: at(n * 40),
            camera_time: None,
            key: n % 5 == 0,
            lost_packets: 0,
            data: Bytes::from(format!("<{n}>").repeat(3 + (n % 7) as usize)),
        })
        .collect()
}

/// Groups of these frames, the last one closed by an interruption.
pub(crate) fn gops(parameters: &Arc<VideoParameters>, units: &[AccessUnit]) -> Vec<Gop> {
    let mut builder = GopBuilder::new(GopLimits::default());
    let mut gops: Vec<Gop> = builder.parameters(parameters).into_iter().collect();
    gops.extend(units.iter().filter_map(|unit| builder.access_unit(unit)));
    gops.extend(builder.interrupted());
    gops
}

pub(crate) fn push_all(writer: &mut CameraWriter, gops: &[Gop]) {
    gops.iter().for_each(|gop| writer.push(gop).unwrap());
}

/// The whole clip, read in uneven pieces.
pub(crate) fn bytes_of(clip: &Clip) -> Vec<u8> {
    let mut out = Vec::new();
    let mut step = 1;
    while (out.len() as u64) < clip.total_len() {
        let from = out.len() as u64;
        let part = clip.read_range(from..from + step).unwrap();
        assert_eq!(part.len() as u64, step.min(clip.total_len() - from));
        out.extend_from_slice(&part);
        step = step * 3 % 100_003 + 1;
    }
    assert!(clip.read_range(clip.total_len()..clip.total_len() + 9).unwrap().is_empty());
    out
}

/// Video made by ffmpeg.
pub(crate) struct Real {
    pub(crate) parameters: Arc<VideoParameters>,
    pub(crate) units: Vec<AccessUnit>,
    pub(crate) file: PathBuf,
}

/// Encodes `seconds` of test picture, 25 frame/s, a key frame a second; `None`, with the reason
/// printed, where there is no ffmpeg or it cannot encode this.
pub(crate) fn real(dir: &Path, codec: Codec, seconds: u32) -> Option<Real> {
    let file = dir.join(format!("source-{codec}.mp4"));
    let source = format!("testsrc2=size=192x108:rate=25:duration={seconds}");
    let (encoder, tag, name) = match codec {
        Codec::H264 => ("libx264", "avc1", b"avc1"),
        Codec::H265 => ("libx265", "hvc1", b"hvc1"),
    };
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-f", "lavfi", "-i", &source, "-c:v", encoder]);
    command.args(["-bf", "0", "-g", "25", "-preset", "ultrafast", "-tag:v", tag]);
    command.args(["-x265-params", "log-level=none:bframes=0:keyint=25:scenecut=0:open-gop=0"]);
    command.args(["-pix_fmt", "yuv420p", "-video_track_timescale", "90000"]).arg(&file);
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            println!("skipped: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        Err(error) => {
            println!("skipped: cannot start ffmpeg: {error}");
            return None;
        }
    }
    let bytes = std::fs::read(&file).unwrap();
    let stsd = bytes.windows(4).position(|window| window == b"stsd").unwrap();
    let at_entry = stsd + bytes[stsd..].windows(4).position(|window| window == name).unwrap() - 4;
    let entry_len = u32::from_be_bytes(bytes[at_entry..at_entry + 4].try_into().unwrap());
    let stbl = sample_tables(&bytes);
    let parameters = Arc::new(VideoParameters {
        codec,
        width: 192,
        height: 108,
        rfc6381: tag.to_owned(),
        sample_entry: Bytes::copy_from_slice(&bytes[at_entry..at_entry + entry_len as usize]),
    });
    let units = units_of(&bytes, &stbl);
    assert_eq!(units.len() as u32, seconds * 25);
    Some(Real { parameters, units, file })
}

fn sample_tables(bytes: &[u8]) -> Stbl {
    let mut rest = bytes;
    loop {
        match Any::decode_maybe(&mut rest).unwrap().unwrap() {
            Any::Moov(moov) => return moov.trak[0].mdia.minf.stbl.clone(),
            _ => continue,
        }
    }
}

fn units_of(bytes: &[u8], stbl: &Stbl) -> Vec<AccessUnit> {
    let StszSamples::Different { sizes } = &stbl.stsz.samples else { panic!("equal sizes") };
    let keys = &stbl.stss.as_ref().unwrap().entries;
    let mut units = Vec::new();
    let mut sizes = sizes.iter();
    for (chunk, offset) in (1u32..).zip(&stbl.stco.as_ref().unwrap().entries) {
        let run = stbl.stsc.entries.iter().rev().find(|run| run.first_chunk <= chunk).unwrap();
        let mut at_byte = *offset as usize;
        for _ in 0..run.samples_per_chunk {
            let size = *sizes.next().unwrap() as usize;
            let n = units.len() as i64;
            units.push(AccessUnit {
                pts_90k: n * 3_600,
                received_at: at(n * 40),
                camera_time: None,
                key: keys.contains(&(n as u32 + 1)),
                lost_packets: 0,
                data: Bytes::copy_from_slice(&bytes[at_byte..at_byte + size]),
            });
            at_byte += size;
        }
    }
    units
}

/// What ffprobe says: `codec frames duration_ts`.
pub(crate) fn probe(file: &Path) -> String {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-count_frames", "-select_streams", "v:0"]);
    command.args(["-show_entries", "stream=codec_name,nb_read_frames:format=duration"]);
    command.args(["-of", "csv=p=0"]).arg(file);
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{}", file.display());
    String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One hash per decoded picture; the decoder must have nothing to complain about.
pub(crate) fn pictures(file: &Path) -> Vec<String> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(file);
    command.args(["-fps_mode", "passthrough", "-f", "framemd5", "-"]);
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{}", file.display());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

/// Presentation times of the decoded pictures, 1/90000 s.
pub(crate) fn times(file: &Path) -> Vec<i64> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pts"]);
    command.args(["-of", "csv=p=0"]).arg(file);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.trim_matches(',').trim().parse().ok()).collect()
}
