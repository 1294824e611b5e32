//! Freezes and quiet nights as real encoders make them of a real street, which writes no clock of
//! seconds into its picture: the last picture of 43 s of traffic is repeated for a minute, with
//! the noise of a sensor or without.
//!
//! Skipped, with the reason, without the clip or ffmpeg.
#![expect(clippy::print_stdout, reason = "a skipped test says why, a measured one what it saw")]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use vong_model::EventTime;
use vong_vision::health::{HEIGHT, Health, Look, WIDTH};
use vong_vision::{EventKind, EventState, Luma};

const CLIP: &str = "traffic_tfl_a13_h264_gop2s.mp4";
/// Where traffic begins in the clip and how many of its frames are shown, 25 a second.
const FROM_S: &str = "138.12";
const FRAMES: u32 = 1_074;
const GOP_S: i64 = 2;

fn clip(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let clip = root.parent()?.join("shared/data/video").join(name);
    if clip.is_file() {
        return Some(clip);
    }
    println!("skipped: needs {name}, which is not beside this checkout");
    None
}

fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().context("could not start ffmpeg")?;
    let why = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ffmpeg failed: {why}");
    Ok(output.stdout)
}

/// Seconds of the film at which the camera was told frozen. `filter` makes the
/// film, `encoder` codes it.
fn told(clip: &Path, filter: &str, encoder: &[&str]) -> Result<Vec<i64>> {
    let dir = tempfile::tempdir()?;
    let film = dir.path().join("film.mkv");
    let mut encode = Command::new("ffmpeg");
    encode.args(["-v", "error", "-threads", "1", "-ss", FROM_S, "-i"]).arg(clip);
    encode.args(["-frames:v", "2574", "-vf", filter, "-g", "50", "-sc_threshold", "0", "-bf", "0"]);
    encode.arg("-c:v");
    run(encode.args(encoder).arg(&film))?;
    let mut decode = Command::new("ffmpeg");
    decode.args(["-v", "error", "-skip_frame", "nokey", "-i"]).arg(&film);
    let scale = format!("scale={WIDTH}:{HEIGHT}:flags=area,format=gray");
    decode.args(["-vf", &scale, "-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"]);
    frozen_at(&run(&mut decode)?)
}

/// Seconds at which a camera is told frozen that shows these small pictures.
fn frozen_at(pixels: &[u8]) -> Result<Vec<i64>> {
    let (mut health, mut told) = (Health::new(), Vec::new());
    for (n, pixels) in (0_i64..).zip(pixels.chunks_exact(WIDTH * HEIGHT)) {
        let luma = Luma::new(WIDTH, HEIGHT, pixels.to_vec()).context("a picture of that size")?;
        let received_at = EventTime(n * GOP_S * 1_000_000);
        let events = health.observe(Look { luma: &luma, received_at, camera_time: None });
        let began = events
            .iter()
            .filter(|event| event.kind == EventKind::Frozen && event.state == EventState::Began);
        told.extend(began.map(|_| n * GOP_S));
    }
    Ok(told)
}

/// Encoders of cameras: constant bit rate, constant quality, another standard, and one that is
/// starved, whose pictures of the same thing differ as much as those of a living street.
const ENCODERS: [(&str, &[&str]); 4] = [
    (
        "H.264, constant bit rate",
        &["libx264", "-preset", "veryfast", "-b:v", "400k", "-maxrate", "400k", "-bufsize", "400k"],
    ),
    ("H.264, constant quality", &["libx264", "-preset", "ultrafast", "-crf", "27"]),
    ("MPEG-4 part 2", &["mpeg4", "-b:v", "400k"]),
    (
        STARVED,
        &[
            "libx264",
            "-preset",
            "ultrafast",
            "-b:v",
            "120k",
            "-maxrate",
            "120k",
            "-bufsize",
            "240k",
        ],
    ),
];
const STARVED: &str = "H.264, starved";
const DAY: &str = "noise=alls=3:allf=t";
const NIGHT: &str = "noise=alls=8:allf=t";

#[test]
fn freeze_without_a_clock_is_told_within_forty_seconds_and_a_quiet_street_is_none() -> Result<()> {
    let Some(clip) = clip(CLIP) else { return Ok(()) };
    let (repeat, freeze_s) =
        (format!("loop=loop=1500:size=1:start={FRAMES}"), i64::from(FRAMES) / 25);
    for (name, encoder) in ENCODERS {
        for (dim, noise) in [("null", DAY), ("eq=brightness=-0.2:contrast=0.6", NIGHT)] {
            let frozen = told(&clip, &format!("{dim},{noise},{repeat}"), encoder)?;
            let living = told(&clip, &format!("{dim},{repeat},{noise}"), encoder)?;
            println!("{name}, {noise}: frozen since {freeze_s} s: {frozen:?}; living: {living:?}");
            assert!(living.is_empty(), "{name}, {noise}: a living street at {living:?}");
            let in_time = matches!(frozen[..], [at_s] if at_s <= freeze_s + 40);
            assert!(in_time || name == STARVED, "{name}, {noise}: told at {frozen:?}");
        }
    }
    Ok(())
}

#[test]
fn no_real_clip_is_told_frozen() -> Result<()> {
    let clips =
        [CLIP, "people_intel_one-by-one_ccby4.mp4", "traffic_intel_car-detection_ccby4.mp4"];
    for name in clips {
        let Some(clip) = clip(name) else { continue };
        // Twice over, so that what a clip ends with is not all that is known of it.
        let mut decode = Command::new("ffmpeg");
        decode.args(["-v", "error", "-stream_loop", "1", "-i"]).arg(&clip);
        let scale = format!("fps=1/2,scale={WIDTH}:{HEIGHT}:flags=area,format=gray");
        let pixels = run(decode.args(["-an", "-vf", &scale, "-f", "rawvideo", "pipe:1"]))?;
        let told = frozen_at(&pixels)?;
        assert!(told.is_empty(), "{name}: told frozen at {told:?} s");
        assert!(pixels.len() > 20 * WIDTH * HEIGHT, "{name} has pictures");
    }
    Ok(())
}
