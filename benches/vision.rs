//! What looking at cameras costs, and how soon a camera's event is an alert.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use vong_model::EventTime;
use vong_runtime::processor_time;
use vong_sim::City;
use vong_sim::camera::{CameraSpec, Codec, Studio};
use vong_vision::health::{HEIGHT, Health, Look, WIDTH};
use vong_vision::offline::StreamDecoder;
use vong_vision::{EventKind, EventState, offline};

use crate::report::{Row, Scale, Target, median};

/// Cameras, and seconds between their key frames.
const CAMERAS: usize = 64;
const GOP_S: f64 = 2.0;

/// Key frames of a street in 1920 × 1080, and what decodes them.
struct Film {
    entry: Bytes,
    units: Vec<Bytes>,
}

fn film(codec: Codec) -> Result<Film> {
    let spec = CameraSpec { width: 1_920, height: 1_080, ..CameraSpec::new("CAM-01", codec) };
    let mut studio = Studio::new(spec, 1, City::new(1).scene(), 0);
    let frames = (0..8).map(|n| Ok(studio.coded(n * 20, true)?.data));
    let units = frames.collect::<Result<_>>()?;
    Ok(Film { entry: studio.sample_entry(), units })
}

fn looked_at(film: &Film, unit: &Bytes, health: &mut Health, n: i64) -> Result<()> {
    let size = (u16::try_from(WIDTH)?, u16::try_from(HEIGHT)?);
    let luma = offline::key_frame(&film.entry, unit, size)?;
    let received_at = EventTime(n * 2_000_000);
    health.observe(Look { luma: &luma, received_at, camera_time: None });
    Ok(())
}

/// Share of one core that the key frames of 64 cameras take, decoded, made small and judged; the
/// baseline is decoding every frame at 25 a second.
pub(crate) fn health(scale: &Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (codec, name) in [(Codec::H264, "h264"), (Codec::H265, "h265")] {
        let film = film(codec)?;
        let mut turns = Vec::new();
        for _ in 0..scale.rounds {
            let mut health = Health::new();
            let (begun, looks) = (processor_time(), scale.of(160));
            for (n, unit) in (0..).zip(film.units.iter().cycle().take(looks)) {
                looked_at(&film, unit, &mut health, n)?;
            }
            turns.push((processor_time() - begun).as_secs_f64() / looks as f64);
        }
        let per_key_frame_s = median(turns);
        let share = per_key_frame_s * CAMERAS as f64 / GOP_S;
        let mut decoded = |decoder: &mut StreamDecoder, unit: &[u8]| {
            decoder.next(unit, &[])?;
            Ok(())
        };
        let whole = frame_s(codec, scale, &mut decoded)? * CAMERAS as f64 * 25.0;
        let title = format!("vision, 64 x 1080p key frames, {name}");
        rows.push(Row::time(title, "cores", (share, whole), Target::Below(1.0)));
    }
    Ok(rows)
}

/// Share of one core of a camera in H.265 that somebody looks at, as motion JPEG; the baseline is
/// decoding it alone.
pub(crate) fn motion(scale: &Scale) -> Result<Vec<Row>> {
    let codec = Codec::H265;
    let mut bytes = Vec::new();
    let mut shown = |decoder: &mut StreamDecoder, unit: &[u8]| {
        let jpeg = decoder.jpeg(unit, 1_280)?.context("a picture of every frame")?;
        bytes.push(jpeg.len() as f64);
        Ok(())
    };
    let shown_s = frame_s(codec, scale, &mut shown)?;
    let decoded_s = frame_s(codec, scale, &mut |decoder, unit| {
        decoder.next(unit, &[])?;
        Ok(())
    })?;
    println!("{:.0} KB a picture of motion JPEG", median(bytes) / 1e3);
    let title = "vision, motion JPEG of a 1080p25 camera, h265 / decoding alone";
    let cores = (shown_s * 25.0, decoded_s * 25.0);
    Ok(vec![Row::time(title, "cores", cores, Target::Below(0.5))])
}

/// Processor time of one frame where every frame is decoded and `treated`.
fn frame_s(
    codec: Codec,
    scale: &Scale,
    treated: &mut dyn FnMut(&mut StreamDecoder, &[u8]) -> Result<()>,
) -> Result<f64> {
    let spec = CameraSpec { width: 1_920, height: 1_080, ..CameraSpec::new("CAM-01", codec) };
    let mut studio = Studio::new(spec, 1, City::new(1).scene(), 0);
    let frames = u64::try_from(scale.of(60).max(4))?;
    let units =
        (0..frames).map(|n| Ok(studio.coded(n, n == 0)?.data)).collect::<Result<Vec<_>>>()?;
    let mut decoder = StreamDecoder::open(&studio.sample_entry())?;
    let begun = processor_time();
    for unit in &units {
        treated(&mut decoder, unit)?;
    }
    Ok((processor_time() - begun).as_secs_f64() / frames as f64)
}

/// From a key frame to the finding: decoding and judging, wall time. A dark picture, of which there is
/// something to tell, is decoded quickly; a usual one takes what a covered or moved camera would, so
/// the slower of both counts. The rule's own time is the bench `latency`; together with one group of
/// pictures they are the wait.
pub(crate) fn decision(scale: &Scale) -> Result<Vec<Row>> {
    let film = film(Codec::H264)?;
    let black = black_frame()?;
    let mut waits = Vec::new();
    for _ in 0..scale.of(60) {
        let mut health = Health::new();
        let mut usual = Duration::ZERO;
        for (n, unit) in (0..).zip(&film.units) {
            let begun = tokio::time::Instant::now();
            looked_at(&film, unit, &mut health, n)?;
            usual = begun.elapsed();
        }
        let begun = tokio::time::Instant::now();
        let size = (u16::try_from(WIDTH)?, u16::try_from(HEIGHT)?);
        let luma = offline::key_frame(&black.entry, black.units.first().context("a frame")?, size)?;
        let look = Look { luma: &luma, received_at: EventTime(99_000_000), camera_time: None };
        let events = health.observe(look);
        let told =
            events.iter().any(|e| e.kind == EventKind::Black && e.state == EventState::Began);
        anyhow::ensure!(told, "the black picture was not told: {events:?}");
        waits.push(begun.elapsed().max(usual).as_secs_f64() * 1e3);
    }
    let limit = Duration::from_millis(50).as_secs_f64() * 1e3;
    let wait = median(waits);
    let title = "vision, key frame to finding, 1080p";
    Ok(vec![Row::time(title, "ms", (wait, limit), Target::Below(limit))])
}

fn black_frame() -> Result<Film> {
    let spec = CameraSpec { width: 1_920, height: 1_080, ..CameraSpec::new("CAM-01", Codec::H264) };
    let mut studio = Studio::new(spec, 1, Arc::new(Dark), 0);
    let units = vec![studio.coded(0, true)?.data];
    Ok(Film { entry: studio.sample_entry(), units })
}

/// A street that nobody can see.
#[derive(Debug)]
struct Dark;

impl vong_sim::scene::Scene for Dark {
    fn road(&self, _camera_id: &str, _at_s: f64) -> vong_sim::scene::RoadState {
        vong_sim::scene::RoadState::EMPTY
    }

    fn is_frozen(&self, _camera_id: &str, _at_s: f64) -> bool {
        false
    }

    fn is_offline(&self, _camera_id: &str, _at_s: f64) -> bool {
        false
    }

    fn lens(&self, _camera_id: &str, _at_s: f64) -> Option<vong_sim::scene::LensFault> {
        Some(vong_sim::scene::LensFault::Black)
    }
}
