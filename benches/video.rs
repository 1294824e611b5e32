//! Recording: processor time, memory and lost frames of one vong, against one `ffmpeg -c copy` for
//! each camera, on the same GStreamer farm of H.264 and H.265 cameras; and clips while it records.
//!
//! `VONG_VIDEO_SECONDS` is how long each side records (60), `VONG_VIDEO_CAMERAS` how many cameras
//! (50,100). Ours and ffmpeg take turns on the same running farm. Both are measured from outside,
//! by what the kernel says of their processes, once all cameras are connected. Skipped, with the
//! reason, where GStreamer, ffmpeg, the farm or the binary of vong is missing.
#![expect(clippy::print_stdout, reason = "says why it was skipped, and what was seen")]

mod farm;
mod process;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::time::Instant;
use vong_testkit::reels::{Film, Played, missing_frames};

use crate::clips::first_byte_of_ffmpeg;
use crate::log::directory;
use crate::report::{Row, Scale, Target, median, percentile};
use farm::Farm;
use process::{Usage, Watched};

/// What the farm's cameras play.
const FILM: Film = Film { group_frames: 50, frame_us: 40_000 };

/// ffmpeg's use is flat: longer says no more.
const LONGEST_BASELINE: Duration = Duration::from_secs(120);

/// Looks at vong while it records.
const LOOKS: u32 = 20;

/// No group of the farm's films is longer.
const LONGEST_GROUP_MS: i64 = 5_000;

/// Between two processes of the baseline: a GStreamer server refuses bursts of DESCRIBE.
const STAGGER: Duration = Duration::from_millis(250);

pub(crate) fn run(scale: &Scale) -> Result<Vec<Row>> {
    let seconds = if scale.quick { 5 } else { number("VONG_VIDEO_SECONDS")?.unwrap_or(60) };
    let counts = match std::env::var("VONG_VIDEO_CAMERAS") {
        Ok(text) => {
            text.split(',').map(|n| n.trim().parse().context("VONG_VIDEO_CAMERAS")).collect()
        }
        Err(_unset) => Ok(if scale.quick { vec![2] } else { vec![50, 100] }),
    };
    let counts: Vec<usize> = counts?;
    let Some(binary) = binary()? else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for count in counts {
        let dir = directory()?;
        let Some(farm) = Farm::start(dir.path(), count)? else { return Ok(Vec::new()) };
        let length = Duration::from_secs(seconds);
        let baseline = baseline(&farm, dir.path(), length.min(LONGEST_BASELINE))?;
        let ours = ours(&binary, &farm, dir.path(), length)?;
        println!("{count} cameras, {seconds} s: ours {:?}, ffmpeg {baseline:?}", ours.usage);
        rows.extend(rows_of(count, &ours, &baseline, &farm)?);
    }
    Ok(rows)
}

fn number(name: &str) -> Result<Option<u64>> {
    let text = std::env::var(name).ok();
    text.map(|text| text.parse().with_context(|| format!("{name}={text} is no number"))).transpose()
}

/// The vong that was built beside this program.
pub(crate) fn binary() -> Result<Option<std::path::PathBuf>> {
    let beside = std::env::current_exe()?.with_file_name("vong");
    if beside.is_file() {
        return Ok(Some(beside));
    }
    println!("skipped: no {}: `make bench` builds it", beside.display());
    Ok(None)
}

/// What one vong did with all cameras.
struct Ours {
    /// Processor time of the measured span by its length; the rest at its end.
    usage: Usage,
    /// Once all cameras were recorded.
    before: Usage,
    /// Over the measured span, evenly.
    seen: Vec<Usage>,
    /// Frames that should have been recorded and were not.
    lost_frames: f64,
    lost_packets: f64,
    /// Milliseconds to the first byte: clips of 10 s, clips of all there is.
    short: Vec<f64>,
    long: Vec<f64>,
}

fn rows_of(count: usize, ours: &Ours, baseline: &Usage, farm: &Farm) -> Result<Vec<Row>> {
    let per_stream = |usage: &Usage| 100.0 * usage.core / count as f64;
    let name = |what: &str| format!("video: {count} cameras: {what}");
    let mut rows = vec![
        Row::time(
            name("processor of a stream / ffmpeg -c copy"),
            "% of core",
            (per_stream(&ours.usage), per_stream(baseline)),
            Target::Ratio(4.0),
        ),
        Row::time(
            name("memory of all / ffmpeg -c copy"),
            "MB",
            (ours.usage.rss_mb, baseline.rss_mb),
            Target::Below(300.0),
        ),
        Row::time(
            name("frames lost, packets lost"),
            "frames",
            (ours.lost_frames, ours.lost_packets),
            Target::Below(1.0),
        ),
        Row::time(
            name("open files and connections, end / begin"),
            "descriptors",
            (ours.usage.descriptors, ours.before.descriptors),
            Target::Ratio(0.9),
        ),
        Row::time(
            name("threads, end / begin"),
            "threads",
            (ours.usage.threads, ours.before.threads),
            Target::Ratio(0.9),
        ),
        Row::time(
            name("memory, last / second quarter"),
            "MB",
            (most_memory(&ours.seen, 3), most_memory(&ours.seen, 1)),
            Target::Ratio(0.9),
        ),
    ];
    let cut: Result<Vec<f64>> =
        (0..5).map(|n| first_byte_of_ffmpeg(farm.film(), 1_000 + n * 1_000)).collect();
    let cut = median(cut?);
    for (what, took) in [("10 s", &ours.short), ("all", &ours.long)] {
        for (share, label, bound) in [(0.5, "p50", 5.0), (0.99, "p99", 20.0)] {
            let found = percentile(took.clone(), share);
            let name = name(&format!("clip of {what} over HTTP, first byte, {label} / ffmpeg p50"));
            rows.push(Row::time(name, "ms", (found, cut), Target::Below(bound)));
        }
    }
    Ok(rows)
}

/// The most memory in a quarter of the span, of four, MB.
fn most_memory(seen: &[Usage], quarter: usize) -> f64 {
    let quarters = seen.chunks(seen.len().div_ceil(4).max(1));
    let of = quarters.skip(quarter).flatten().take(seen.len().div_ceil(4));
    of.map(|usage| usage.rss_mb).fold(0.0, f64::max)
}

/// One ffmpeg for each camera, as recorders built on it do.
fn baseline(farm: &Farm, dir: &Path, length: Duration) -> Result<Usage> {
    let out = dir.join("ffmpeg");
    let mut recorders = Vec::new();
    for n in 0..farm.cameras() {
        let into = out.join(n.to_string());
        std::fs::create_dir_all(&into)?;
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-loglevel", "quiet", "-rtsp_transport", "tcp", "-i"]);
        ffmpeg.arg(farm.url(n)).args(["-c", "copy", "-an", "-f", "segment", "-segment_time", "4"]);
        ffmpeg.args(["-segment_format", "mp4", "-movflags", "+frag_keyframe+empty_moov"]);
        ffmpeg.arg(into.join("%05d.mp4")).stdout(Stdio::null()).stderr(Stdio::null());
        recorders.push(Watched::spawn(&mut ffmpeg)?);
        sleep(STAGGER);
    }
    sleep(Duration::from_secs(3));
    let before: Result<Vec<Usage>> = recorders.iter().map(Watched::usage).collect();
    sleep(length);
    let after: Result<Vec<Usage>> = recorders.iter().map(Watched::usage).collect();
    let (before, after) = (before?, after.context("an ffmpeg ended early")?);
    drop(recorders); // they write until they end
    std::fs::remove_dir_all(&out)?;
    let sum = |of: fn(&Usage) -> f64| after.iter().map(of).sum::<f64>();
    Ok(Usage {
        core: (sum(|usage| usage.core) - before.iter().map(|usage| usage.core).sum::<f64>())
            / length.as_secs_f64(),
        rss_mb: sum(|usage| usage.rss_mb),
        descriptors: sum(|usage| usage.descriptors),
        threads: sum(|usage| usage.threads),
    })
}

fn ours(binary: &Path, farm: &Farm, dir: &Path, length: Duration) -> Result<Ours> {
    let site = dir.join("site");
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    farm.write_site(&site, port)?;
    let mut command = Command::new(binary);
    command.args(["serve", "--config"]).arg(site.join("vong.toml"));
    let log = std::fs::File::create(site.join("vong.log"))?;
    let vong = Watched::spawn(command.stdout(Stdio::null()).stderr(log))?;
    let http = Http { port };
    let recorded = "SELECT count(DISTINCT camera_id) AS n FROM video_gops";
    let begun = Instant::now();
    while http.number(recorded).unwrap_or(0.0) < farm.cameras() as f64 {
        let limit = Duration::from_secs(60 + farm.cameras() as u64);
        ensure!(begun.elapsed() < limit, "not all cameras are recorded after {limit:?}");
        sleep(Duration::from_millis(500));
    }
    sleep(Duration::from_secs(3));
    let began_ms = now_ms()?;
    let before = vong.usage()?;
    let seen: Result<Vec<Usage>> = (0..LOOKS)
        .map(|_| {
            sleep(length / LOOKS);
            vong.usage()
        })
        .collect();
    let seen = seen?;
    let after = *seen.last().context("no look at vong")?;
    let ended_ms = now_ms()?;
    let usage = Usage { core: (after.core - before.core) / length.as_secs_f64(), ..after };
    println!("ours: {before:?} to {after:?}");
    let (lost_frames, lost_packets) = http.lost(farm.cameras(), began_ms, ended_ms)?;
    // What is asked for is asked while all cameras are recorded.
    let first = |n: usize, from_ms: i64, to_ms: i64| {
        let camera = n * 7 % farm.cameras();
        http.first_byte(&format!(
            "/api/v1/cameras/CAM-{camera}/clip.mp4?from_ms={from_ms}&to_ms={to_ms}"
        ))
    };
    // The group that is being received cannot be cut yet.
    let most = ended_ms - began_ms - LONGEST_GROUP_MS;
    let short: Result<Vec<f64>> = (0..300)
        .map(|n| {
            let from = began_ms + (n as i64 * 7_919) % most.max(1);
            first(n, from, (from + 10_000).min(ended_ms))
        })
        .collect();
    let long: Result<Vec<f64>> =
        (0..100).map(|n| first(n, began_ms + n as i64, ended_ms)).collect();
    Ok(Ours { usage, before, seen, lost_frames, lost_packets, short: short?, long: long? })
}

fn now_ms() -> Result<i64> {
    use vong_runtime::Clock as _;
    Ok(vong_runtime::SystemClock.now() / 1_000)
}

/// A row of `video_gops`.
fn played(row: &Value) -> Result<Played> {
    let text = |name: &str| row[name].as_str().map(str::to_owned).with_context(|| name.to_owned());
    let micros = |name: &str| row[name].as_i64().with_context(|| name.to_owned());
    Ok(Played {
        camera: text("camera_id")?,
        hash: text("sha256")?,
        frames: row["frames"].as_u64().context("frames")?,
        start_us: micros("start_us")?,
        end_us: micros("end_us")?,
    })
}

/// A vong's HTTP door.
struct Http {
    port: u16,
}

impl Http {
    fn ask(&self, request: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }

    fn sql(&self, sql: &str) -> Result<Vec<Value>> {
        let body = serde_json::json!({ "sql": sql }).to_string();
        let request = format!(
            "POST /api/v1/sql HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut answer = String::new();
        self.ask(&request)?.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a body")?;
        ensure!(head.contains(" 200 "), "{sql}: {head}\n{body}");
        serde_json::from_str(body).with_context(|| format!("{sql}: {body}"))
    }

    fn number(&self, sql: &str) -> Result<f64> {
        let rows = self.sql(sql)?;
        let first = rows.first().and_then(|row| row.as_object()?.values().next()?.as_f64());
        first.with_context(|| format!("{sql}: no number"))
    }

    /// Frames that the farm played in the span and that were not recorded, and packets that never
    /// came.
    fn lost(&self, cameras: usize, from_ms: i64, to_ms: i64) -> Result<(f64, f64)> {
        let rows = self.sql(&format!(
            "SELECT camera_id, sha256, frames, lost_packets, \
             arrow_cast(start_time, 'Int64') AS start_us, arrow_cast(end_time, 'Int64') AS end_us \
             FROM video_gops WHERE start_time >= to_timestamp_millis({from_ms}) \
             AND end_time <= to_timestamp_millis({to_ms}) ORDER BY camera_id, file, byte_offset"
        ))?;
        let groups: Result<Vec<Played>> = rows.iter().map(played).collect();
        let groups = groups?;
        let packets: f64 = rows.iter().filter_map(|row| row["lost_packets"].as_f64()).sum();
        let names: Vec<String> = (0..cameras).map(|n| format!("CAM-{n}")).collect();
        let (span, edge_us) = ((from_ms * 1_000, to_ms * 1_000), LONGEST_GROUP_MS as u64 * 1_000);
        let frames = missing_frames(FILM, &names, &groups, (span, edge_us));
        println!("{} groups of {cameras} cameras recorded, {frames} frames missing", groups.len());
        Ok((frames as f64, packets))
    }

    /// Milliseconds from asking to the first byte of the clip.
    fn first_byte(&self, path: &str) -> Result<f64> {
        let start = Instant::now();
        let mut stream = self.ask(&format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"))?;
        let (mut seen, mut piece) = (Vec::new(), [0; 4_096]);
        loop {
            let read = stream.read(&mut piece)?;
            ensure!(read > 0, "{path}: {}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(piece.get(..read).unwrap_or_default());
            let body = seen.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
            if body.is_some_and(|body| body < seen.len()) {
                break;
            }
        }
        let took = start.elapsed().as_secs_f64() * 1e3;
        ensure!(
            seen.starts_with(b"HTTP/1.0 200") || seen.starts_with(b"HTTP/1.1 200"),
            "{path}: {}",
            String::from_utf8_lossy(&seen)
        );
        Ok(took)
    }
}
