//! Clips in other makers' players: what ffmpeg, mpv and Chromium show of a clip is exactly the
//! frames of the recorded files that were on screen in the interval, no more and no less.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cameras::probe;
use crate::footage::{RATE, recorded};
use crate::support::{Browser, Vong, figure, has_program, shared, wait_until};

/// Ticks of a second in a recorded file.
const TICKS: f64 = 90_000.0;
/// How far a frame may be off its instant, ms: players count in milliseconds.
const INSTANT_MS: f64 = 1.5;

/// A frame as an independent decoder finds it in a recorded file.
#[derive(Clone, Debug)]
struct Shown {
    /// By our clock, µs since 1970.
    start_us: f64,
    /// For how long it is on screen if nothing is missing behind it.
    length_us: f64,
    /// Hash of its picture.
    picture: String,
    /// The first of a recorded file.
    begins_file: bool,
}

/// A frame of a file as a program decodes it; times in ticks of 1/90000 s.
struct Picture {
    pts: f64,
    length: f64,
    hash: String,
}

fn pictures(program: &mut Command) -> Result<Vec<Picture>> {
    let output = program.output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && told.is_empty(), "{program:?}: {told}");
    let mut base = TICKS;
    let mut frames = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        if let Some(time_base) = line.strip_prefix("#tb 0: ") {
            let (over, under) = time_base.split_once('/').context("a time base")?;
            base = under.parse::<f64>()? / over.parse::<f64>()?;
        } else if !line.starts_with('#') {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let [_, _, pts, length, _, hash] = fields.as_slice() else { continue };
            let ticks = |text: &str| anyhow::Ok(text.parse::<f64>()? * TICKS / base);
            let (pts, length) = (ticks(pts)?, ticks(length)?);
            frames.push(Picture { pts, length, hash: (*hash).to_owned() });
        }
    }
    Ok(frames)
}

fn with_ffmpeg(file: &Path) -> Result<Vec<Picture>> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(file);
    // Told nothing of it, ffmpeg rounds instants to the nominal rate.
    ffmpeg.args(["-fps_mode", "passthrough", "-copyts", "-enc_time_base", "1/90000"]);
    pictures(ffmpeg.args(["-f", "framemd5", "-"]))
}

/// Pictures of a film or a still, as ffmpeg decodes it: grey, 160 x 90, one behind the other; the file
/// they are in lies beside it.
pub(crate) fn grey(film: &Path) -> PathBuf {
    let into = film.with_extension("grey");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-i"]).arg(film);
    ffmpeg.args(["-fps_mode", "passthrough", "-vf", "scale=160:90:flags=area,format=gray"]);
    let made = ffmpeg.args(["-f", "rawvideo"]).arg(&into).output().unwrap();
    assert!(made.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&made.stderr));
    into
}

/// mpv playing into a list of its pictures instead of a window. It is told to start at the start:
/// left alone it ignores what an edit list hides, and shows the frames from the key frame on.
fn with_mpv(file: &Path) -> Result<Vec<Picture>> {
    let mut mpv = Command::new("mpv");
    mpv.args(["--no-config", "--really-quiet", "--no-audio", "--start=0", "--hr-seek=yes"]);
    mpv.args(["--of=framemd5", "--ovc=rawvideo"]);
    pictures(mpv.arg("--o=-").arg(file))
}

/// Every frame that was recorded of a camera, at its instant: the files decoded without our index,
/// laid on the instants of the groups.
fn frames_of(vong: &Vong, camera: &str) -> Result<Vec<Shown>> {
    let groups = vong.sql(&format!(
        "SELECT file, frames, CAST(to_unixtime(start_time) AS BIGINT) AS s, \
         CAST(date_part('microsecond', start_time) AS BIGINT) % 1000000 AS us \
         FROM video_gops WHERE camera_id = '{camera}' ORDER BY file, byte_offset"
    ))?;
    let mut by_file: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for group in &groups {
        by_file.entry(group["file"].as_str().context("a path")?).or_default().push(group);
    }
    let mut all = Vec::new();
    for (file, groups) in by_file {
        let decoded = with_ffmpeg(&vong.path("data/footage").join(file))?;
        let mut decoded = decoded.into_iter();
        let first_of_file = all.len();
        for group in groups {
            let number = |name: &str| group[name].as_u64().context("a number");
            let start_us = number("s")? as f64 * 1e6 + number("us")? as f64;
            let count = usize::try_from(number("frames")?)?;
            let frames: Vec<_> = decoded.by_ref().take(count).collect();
            ensure!(frames.len() == count, "{file}: {} of {count} frames", frames.len());
            let first = frames.first().context("a frame")?.pts;
            all.extend(frames.into_iter().map(|picture| Shown {
                start_us: start_us + (picture.pts - first) / TICKS * 1e6,
                length_us: picture.length / TICKS * 1e6,
                picture: picture.hash,
                begins_file: false,
            }));
        }
        all[first_of_file].begins_file = true;
    }
    Ok(all)
}

/// The frames on screen in `[from, to)`: of each, until the next.
fn on_screen(frames: &[Shown], from_us: f64, to_us: f64) -> &[Shown] {
    let first = frames.partition_point(|frame| frame.start_us <= from_us).saturating_sub(1);
    let last = frames.partition_point(|frame| frame.start_us < to_us);
    &frames[first..last]
}

/// The same intervals in every run (a linear congruential generator, Knuth's constants).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A clip on disk, and what it must show.
struct Cut {
    file: PathBuf,
    codec: &'static str,
    expected: Vec<Shown>,
    seconds: f64,
}

/// Whether every frame begins where the one before it ends. Where it does not, our clock was set
/// anew against the camera's, as a farm that is short of processor time makes necessary; what is on
/// screen then is a matter of definition, and of other tests.
fn is_even(frames: &[Shown]) -> bool {
    let apart = |two: &[Shown]| match two {
        [one, next] => one.start_us + one.length_us - next.start_us,
        _ => 0.0,
    };
    frames.windows(2).all(|two| apart(two).abs() < 1_000.0)
}

/// An interval of up to five seconds, ms since 1970, in even time from two seconds before it on; if so
/// wanted, one over the edge of a file, where time is even there.
fn interval(frames: &[Shown], dice: &mut Dice, is_over_an_edge: bool) -> Result<(u64, u64)> {
    let (first, last) = (frames.first().context("frames")?, frames.last().context("frames")?);
    let reach_ms = ((last.start_us - first.start_us) / 1e3) as u64;
    let (mut left_out, mut even) = (0, None);
    for _ in 0..2_000 {
        let length = 200 + dice.below(5_000);
        let from = (first.start_us / 1e3).ceil() as u64 + dice.below(reach_ms - length);
        let around = |ms: u64, more: i64| (ms as i64 + more) as f64 * 1e3;
        if !is_even(on_screen(frames, around(from, -2_000), around(from + length, 1_000))) {
            left_out += 1;
            continue;
        }
        even = Some((from, from + length));
        let inside = on_screen(frames, around(from, 0), around(from + length, 0));
        if !is_over_an_edge || inside.iter().skip(1).any(|frame| frame.begins_file) {
            break;
        }
    }
    if left_out > 0 {
        println!("{left_out} intervals left out, because our clock was set anew in them");
    }
    even.context("the machine is too busy for the farm's cameras to run evenly")
}

fn cut(
    vong: &Vong,
    (camera, frames): (&str, &[Shown]),
    dice: &mut Dice,
    is_over_an_edge: bool,
) -> Result<Cut> {
    let (from, to) = interval(frames, dice, is_over_an_edge)?;
    let path = format!("/api/v1/cameras/{camera}/clip.mp4?from_ms={from}&to_ms={to}");
    let file = vong.path(&format!("{camera}-{from}.mp4"));
    std::fs::write(&file, vong.get_bytes(&path)?)?;
    let expected = on_screen(frames, from as f64 * 1e3, to as f64 * 1e3).to_vec();
    let start = expected.first().context("a frame on screen")?.start_us;
    let last = expected.last().context("a frame on screen")?;
    let seconds = (last.start_us + last.length_us - start) / 1e6;
    let codec = if camera == "CAM-0" { "h264" } else { "hevc" };
    Ok(Cut { file, codec, expected, seconds })
}

/// Gives how far a frame is off its instant at most, ms.
fn assert_pictures(player: &str, cut: &Cut, shown: &[Picture]) -> f64 {
    let name = cut.file.display();
    let expected: Vec<_> = cut.expected.iter().map(|frame| &frame.picture).collect();
    let found: Vec<_> = shown.iter().map(|picture| &picture.hash).collect();
    assert_eq!(found.len(), expected.len(), "{player}, {name}: frames");
    assert_eq!(found, expected, "{player}, {name}: pictures");
    let begin = cut.expected[0].start_us;
    let apart = shown
        .iter()
        .zip(&cut.expected)
        .map(|(picture, frame)| (picture.pts / TICKS * 1e3 - (frame.start_us - begin) / 1e3).abs());
    let most = apart.fold(0.0, f64::max);
    assert!(most <= INSTANT_MS, "{player}, {name}: a frame {most} ms off its instant");
    most
}

/// Gives how far a frame is off its instant at most, ms, in any player.
fn assert_exact(cut: &Cut) -> Result<f64> {
    let probed = probe(&cut.file);
    assert_eq!(probed["streams"][0]["codec_name"], cut.codec);
    let duration: f64 = probed["format"]["duration"].as_str().context("a duration")?.parse()?;
    assert!((duration - cut.seconds).abs() < 0.002, "{duration} s, not {} s", cut.seconds);
    let most = assert_pictures("ffmpeg", cut, &with_ffmpeg(&cut.file)?);
    if !has_program("mpv") {
        return Ok(most);
    }
    Ok(most.max(assert_pictures("mpv", cut, &with_mpv(&cut.file)?)))
}

/// Chromium steps through every frame; it must say of H.265 that it cannot.
fn step_in_chromium(vong: &Vong, cuts: &[Cut]) -> Result<()> {
    let Some(browser) = Browser::with("clips.mjs") else { return Ok(()) };
    let list: Vec<Value> = cuts
        .iter()
        .map(|cut| {
            let begin = cut.expected[0].start_us;
            let times = cut.expected.iter().map(|frame| (frame.start_us - begin) / 1e6);
            let times: Vec<f64> = times.collect();
            let (file, pictures) = (&cut.file, grey(&cut.file));
            json!({ "file": file, "pictures": pictures, "codec": cut.codec, "times": times, "seconds": cut.seconds })
        })
        .collect();
    let todo = vong.path("clips.json");
    std::fs::write(&todo, serde_json::to_vec(&list)?)?;
    browser.drive(&[&todo])?;
    Ok(())
}

#[test]
fn players_show_exactly_the_frames_that_were_on_screen() {
    let clips: u64 = std::env::var("VONG_CLIPS").ok().and_then(|n| n.parse().ok()).unwrap_or(16);
    if shared("tools/gst_rtsp_farm.py").is_none() {
        return;
    }
    let Some((_farm, mut vong)) = recorded(2, "").unwrap() else { return };
    vong.start().unwrap();
    wait_until(
        "seventy seconds are recorded, over the edge of a file",
        Duration::from_secs(120),
        || {
            let sql = "SELECT count(*) AS n FROM (SELECT camera_id FROM video_gops \
                   GROUP BY camera_id HAVING count(*) >= 70)";
            vong.number(sql).unwrap() == 2
        },
    );
    let sides = ["CAM-0", "CAM-1"].map(|camera| (camera, frames_of(&vong, camera).unwrap()));
    let mut dice = Dice(1);
    let (mut cuts, mut most) = (Vec::new(), 0.0_f64);
    for n in 0..clips {
        let (camera, frames) = &sides[usize::from(n % 2 == 1)];
        // Two of each camera over the edge of a file.
        let cut = cut(&vong, (*camera, frames), &mut dice, n < 4).unwrap();
        most = most.max(assert_exact(&cut).unwrap());
        cuts.push(cut);
    }
    step_in_chromium(&vong, &cuts).unwrap();
    let frames: usize = cuts.iter().map(|cut| cut.expected.len()).sum();
    let name = format!("{clips} clips, {frames} frames: off its instant at most / a frame");
    figure(&name, "ms", (most, 1e3 / RATE as f64), INSTANT_MS);
    println!("{clips} clips, {frames} frames: exact in ffmpeg and mpv");
}
