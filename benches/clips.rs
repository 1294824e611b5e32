//! Clips of 30 s, of ten minutes and of an hour: how long until their first bytes, against ffmpeg
//! cutting 30 s without re-encoding.
//!
//! ffmpeg writes a fragmented file to a pipe and the time to its first byte counts, which is the
//! best it can do: the ordinary file it would write begins only when all is cut. Both read what the
//! page cache holds; for the last rows it is told to forget the footage, as with yesterday's on a
//! machine with little memory. Skipped, with the reason, where there is no ffmpeg.
#![expect(clippy::print_stdout, reason = "says why it was skipped")]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use mp4_atom::{Any, DecodeMaybe as _, Stbl, StszSamples};
use tokio::time::Instant;
use vong_footage::{ClipForm, Footage, FootageConfig, FootageMetrics};
use vong_media::{AccessUnit, Codec, GopBuilder, GopLimits, VideoParameters};
use vong_model::{CameraId, EventTime};
use vong_runtime::SystemClock;
use vong_telemetry::Metrics;

use crate::log::directory;
use crate::report::{Row, Scale, Target, median, percentile};

/// 2026-11-22T10:00:00Z.
const START_US: i64 = 1_795_341_600_000_000;
const SECONDS: usize = 150;
const FRAMES_A_SECOND: usize = 25;
/// The film is recorded so often, one turn behind the other: 65 minutes.
const TURNS: usize = 26;
const CLIP_MS: i64 = 30_000;
/// Clips of other lengths, with their name.
const LONG: [(&str, i64); 2] = [("10 min", 600_000), ("1 h", 3_600_000)];
/// What a player asks for first.
const FIRST_READ: u64 = 64 * 1024;

pub(crate) fn run(scale: &Scale) -> Result<Vec<Row>> {
    let dir = directory()?;
    let Some(film) = film(dir.path())? else { return Ok(Vec::new()) };
    let (footage, camera) = record(dir.path(), &film)?;
    let (mut ours, mut cut) = (Vec::new(), Vec::new());
    for round in 0..scale.of(300) {
        let from_ms = somewhere(round, SECONDS, CLIP_MS);
        ours.push(first_byte(&footage, &camera, from_ms, CLIP_MS)?);
        if round % 20 == 0 {
            cut.push(first_byte_of_ffmpeg(&film.file, from_ms)?);
        }
    }
    let cut = median(cut);
    let mut rows = rows_of("30 s", ours, cut);
    for (name, length_ms) in LONG {
        let rounds = 0..scale.of(100);
        let took: Result<Vec<f64>> = rounds
            .map(|round| {
                let from_ms = somewhere(round, SECONDS * TURNS, length_ms);
                first_byte(&footage, &camera, from_ms, length_ms)
            })
            .collect();
        rows.extend(rows_of(name, took?, cut));
    }
    for (name, length_ms) in [("30 s", CLIP_MS)].into_iter().chain(LONG) {
        let rounds = 0..scale.of(20);
        let took: Result<Vec<f64>> = rounds
            .map(|round| {
                forget(&dir.path().join("footage"))?;
                let from_ms = somewhere(round, SECONDS * TURNS, length_ms);
                first_byte(&footage, &camera, from_ms, length_ms)
            })
            .collect();
        rows.extend(rows_of(&format!("{name} nobody has read"), took?, cut));
    }
    Ok(rows)
}

/// All over the footage, most not at a key frame, many across two files.
fn somewhere(round: usize, seconds: usize, length_ms: i64) -> i64 {
    let room = seconds as i64 * 1_000 - length_ms - 1_000;
    round as i64 * 7_919 % room
}

/// Milliseconds to the first bytes of a clip.
fn first_byte(footage: &Footage, camera: &CameraId, from_ms: i64, length_ms: i64) -> Result<f64> {
    let at = |ms: i64| EventTime(START_US + ms * 1_000);
    let start = Instant::now();
    let clip = footage.clip(camera, at(from_ms), at(from_ms + length_ms), ClipForm::Faststart)?;
    let bytes = clip.read_range(0..FIRST_READ)?;
    let took = start.elapsed().as_secs_f64() * 1e3;
    ensure!(bytes.get(4..8) == Some(b"ftyp"), "a clip must begin like an MP4");
    ensure!(clip.gaps().is_empty(), "the footage has no gap");
    Ok(took)
}

fn rows_of(what: &str, took: Vec<f64>, cut: f64) -> Vec<Row> {
    let (p50, p99) = (median(took.clone()), percentile(took, 0.99));
    let row = |share: &str, found, bound| {
        let name = format!("clip: first byte of {what}, {share} / ffmpeg -c copy 30 s, p50");
        Row::time(name, "ms", (found, cut), Target::Below(bound))
    };
    vec![row("p50", p50, 5.0), row("p99", p99, 20.0)]
}

/// Has the page cache forget what lies in `dir`.
fn forget(dir: &Path) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
            continue;
        }
        let file = std::fs::File::open(&path)?;
        file.sync_all()?; // what is not on the disk is not forgotten
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}

pub(crate) fn first_byte_of_ffmpeg(film: &Path, from_ms: i64) -> Result<f64> {
    let from = format!("{:.3}", from_ms as f64 / 1e3);
    let length = format!("{:.3}", CLIP_MS as f64 / 1e3);
    let start = Instant::now();
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-ss", &from, "-i"]).arg(film).args(["-t", &length, "-c", "copy"]);
    command.args(["-movflags", "frag_keyframe+empty_moov", "-f", "mp4", "pipe:1"]);
    let mut child = command.stdout(Stdio::piped()).spawn().context("could not start ffmpeg")?;
    let mut out = child.stdout.take().context("ffmpeg's output is a pipe")?;
    let mut first = [0];
    out.read_exact(&mut first).context("ffmpeg wrote nothing")?;
    let took = start.elapsed().as_secs_f64() * 1e3;
    std::io::copy(&mut out, &mut std::io::sink()).context("could not read ffmpeg's output")?;
    ensure!(child.wait()?.success(), "ffmpeg failed");
    Ok(took)
}

/// Video made by ffmpeg, whole and frame by frame.
struct Film {
    file: PathBuf,
    parameters: Arc<VideoParameters>,
    units: Vec<AccessUnit>,
}

fn film(dir: &Path) -> Result<Option<Film>> {
    let file = dir.join("film.mp4");
    let source = format!("testsrc2=size=640x360:rate={FRAMES_A_SECOND}:duration={SECONDS}");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-f", "lavfi", "-i", &source, "-c:v", "libx264"]);
    command.args(["-bf", "0", "-g", "50", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]);
    command.args(["-video_track_timescale", "90000"]).arg(&file);
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            println!("skipped: ffmpeg: {}", String::from_utf8_lossy(&output.stderr).trim());
            return Ok(None);
        }
        Err(error) => {
            println!("skipped: could not start ffmpeg: {error}");
            return Ok(None);
        }
    }
    let bytes = std::fs::read(&file).context("could not read what ffmpeg wrote")?;
    let find = |text: &[u8], from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        let place = rest.windows(4).position(|window| window == text);
        place.map(|place| place + from).context("the film has no sample entry")
    };
    let entry = find(b"avc1", find(b"stsd", 0)?)? - 4;
    let size = bytes.get(entry..entry + 4).context("the film ends early")?;
    let size = u32::from_be_bytes(size.try_into().context("four bytes")?) as usize;
    let sample_entry = bytes.get(entry..entry + size).context("the film ends early")?;
    let parameters = Arc::new(VideoParameters {
        codec: Codec::H264,
        width: 640,
        height: 360,
        rfc6381: "avc1.42c01e".to_owned(),
        sample_entry: Bytes::copy_from_slice(sample_entry),
    });
    let units = units(&bytes)?;
    ensure!(units.len() == SECONDS * FRAMES_A_SECOND, "the film has {} frames", units.len());
    Ok(Some(Film { file, parameters, units }))
}

fn sample_tables(bytes: &[u8]) -> Result<Stbl> {
    let mut rest = bytes;
    while let Some(found) = Any::decode_maybe(&mut rest)? {
        if let Any::Moov(moov) = found {
            let track = moov.trak.first().context("the film has no track")?;
            return Ok(track.mdia.minf.stbl.clone());
        }
    }
    bail!("the film has no moov");
}

fn units(bytes: &[u8]) -> Result<Vec<AccessUnit>> {
    let tables = sample_tables(bytes)?;
    let StszSamples::Different { sizes } = &tables.stsz.samples else {
        bail!("all frames of the film have one size");
    };
    let keys = &tables.stss.as_ref().context("the film has no key frames")?.entries;
    let chunks = &tables.stco.as_ref().context("the film has no chunks")?.entries;
    let mut sizes = sizes.iter();
    let mut units = Vec::new();
    for (chunk, offset) in (1_u32..).zip(chunks) {
        let run = tables.stsc.entries.iter().rev().find(|run| run.first_chunk <= chunk);
        let mut place = *offset as usize;
        for size in
            sizes.by_ref().take(run.context("a chunk of no run")?.samples_per_chunk as usize)
        {
            let end = place + *size as usize;
            let number = units.len();
            units.push(AccessUnit {
                pts_90k: (number * 90_000 / FRAMES_A_SECOND) as i64,
                received_at: EventTime(START_US + (number * 1_000_000 / FRAMES_A_SECOND) as i64),
                camera_time: None,
                key: keys.contains(&u32::try_from(number + 1)?),
                lost_packets: 0,
                data: Bytes::copy_from_slice(bytes.get(place..end).context("the film ends early")?),
            });
            place = end;
        }
    }
    Ok(units)
}

fn later(unit: &AccessUnit, seconds: usize) -> AccessUnit {
    let by = Duration::from_secs(seconds as u64);
    AccessUnit {
        pts_90k: unit.pts_90k + (seconds * 90_000) as i64,
        received_at: unit.received_at.saturating_add(by),
        ..unit.clone()
    }
}

/// Records the film as if a camera had sent it.
fn record(dir: &Path, film: &Film) -> Result<(Footage, CameraId)> {
    let config = FootageConfig { dir: dir.join("footage"), ..FootageConfig::default() };
    let metrics = FootageMetrics::new(&Metrics::new());
    let (footage, _) = Footage::open(config, Arc::new(SystemClock), metrics)?;
    let camera = CameraId::from("CAM-01");
    let mut writer = footage.writer(&camera)?;
    let mut builder = GopBuilder::new(GopLimits::default());
    ensure!(builder.parameters(&film.parameters).is_none(), "nothing came before");
    for turn in 0..TURNS {
        for unit in &film.units {
            if let Some(gop) = builder.access_unit(&later(unit, turn * SECONDS)) {
                writer.push(&gop)?;
            }
        }
    }
    if let Some(gop) = builder.interrupted() {
        writer.push(&gop)?;
    }
    writer.close()?;
    Ok((footage, camera))
}
