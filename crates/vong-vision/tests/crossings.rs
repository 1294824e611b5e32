//! How well vehicles of real clips are counted without a model, against what people noted, and
//! against the tables of the guides.
//!
//! Skipped, with the reason, without the clips. `VONG_BLESS=1` writes the tables anew.
#![expect(clippy::print_stdout, reason = "a skipped test says why, a measured one what it saw")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use vong_model::EventTime;
use vong_testkit::labels::{Crossed, CrossingClip, crossing_clips};
use vong_vision::Luma;
use vong_vision::scene::{Scene, SceneFile};
use vong_vision::traffic::{HEIGHT, Traffic, WIDTH};

/// How far the time of a count may be from what was noted, seconds: rows come each second.
const TOLERANCE_S: f64 = 1.5;
const GUIDES: [&str; 2] = ["docs/guide/vision.en.md", "docs/guide/vision.vi.md"];
const BEGIN: &str = "<!-- crossings: begin -->";
const END: &str = "<!-- crossings: end -->";

/// Counts by line and direction, and when, seconds from the clip's begin.
type Counted = BTreeMap<String, Vec<f64>>;

/// What is counted in a stretch that is shown twice, so that the background is known the second
/// time.
fn counted(clip: &CrossingClip, video: &Path, scene: Scene) -> Result<Counted> {
    let (mut traffic, mut counted) = (Traffic::new(scene), Counted::new());
    let length_s = clip.to_s - clip.from_s;
    for round in 0..2 {
        // Whole seconds apart, so that rows of a second are those of a second of the clip.
        let shift_s = f64::from(round) * (length_s.ceil() + 1.0) - clip.from_s;
        clip.for_each_picture(video, (WIDTH, HEIGHT), |at_s, pixels| {
            let at = EventTime(((at_s + shift_s) * 1e6).round() as i64);
            let Some(luma) = Luma::new(WIDTH, HEIGHT, pixels) else { return };
            let rows = traffic.observe(&luma, at).counts.into_iter();
            for row in rows.filter(|row| round == 1 && row.direction != "inside") {
                let middle_s = row.at.micros() as f64 / 1e6 - row.period_s / 2.0 - shift_s;
                let times = (0..row.count).map(|_| middle_s);
                counted.entry(format!("{} {}", row.line, row.direction)).or_default().extend(times);
            }
        })?;
    }
    Ok(counted)
}

/// One row for each line and direction: noted, counted, of those right; recall, precision, error.
fn rows(clip: &CrossingClip, counted: &Counted, how: &str) -> Vec<String> {
    let name = clip.clip.split('_').nth(1).unwrap_or_default();
    let ways: std::collections::BTreeSet<&String> =
        clip.crossings.keys().chain(counted.keys()).collect();
    let row = |way: &String| {
        let times = counted.get(way).map(Vec::as_slice).unwrap_or_default();
        let score = clip.score(way, times, TOLERANCE_S);
        let Crossed { noted, counted, hits } = score;
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        let (recall, precision) = (percent(score.recall()), percent(score.precision()));
        let error = if noted == 0 {
            "–".to_owned()
        } else {
            format!("{:+.0} %", score.count_error() * 100.0)
        };
        format!(
            "| {name}, {way}, {how} | {noted} | {counted} | {hits} | {recall} | {precision} | {error} |"
        )
    };
    ways.into_iter().map(row).collect()
}

fn measured() -> Result<Option<Vec<String>>> {
    let mut all = Vec::new();
    for (clip, scene) in crossing_clips()? {
        let Some(video) = clip.video() else {
            println!("skipped: needs {}, which is not beside this checkout", clip.clip);
            return Ok(None);
        };
        let (width, height) = if clip.clip.contains("tfl") { (352.0, 288.0) } else { (16.0, 9.0) };
        let file: SceneFile = toml::from_str(&scene)?;
        let flat = SceneFile { ground: None, ..file.clone() };
        if file.ground.is_some() {
            let found = counted(&clip, &video, Scene::new(file, width / height)?)?;
            all.extend(rows(&clip, &found, "[ground]"));
        }
        let found = counted(&clip, &video, Scene::new(flat, width / height)?)?;
        all.extend(rows(&clip, &found, "–"));
    }
    Ok(Some(all))
}

/// Whether a row is as good as the published one. Other versions of ffmpeg scale a little differently.
fn is_as_told(published: &str, measured: &str) -> bool {
    let cells = |row: &str| -> Option<(String, Vec<i64>)> {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let name = cells.next()?.to_owned();
        Some((name, cells.take(3).map(str::parse).collect::<Result<_, _>>().ok()?))
    };
    let Some((told, now)) = cells(published).zip(cells(measured)) else { return false };
    let ((name, told), (same_name, now)) = (told, now);
    let [(noted, noted_now), (counted, counted_now), (hits, hits_now)] =
        [0, 1, 2].map(|at| (told.get(at).copied(), now.get(at).copied()));
    name == same_name
        && noted == noted_now
        && counted.zip(counted_now).is_some_and(|(told, now)| (told - now).abs() <= 4)
        && hits.zip(hits_now).is_some_and(|(told, now)| now + 2 >= told)
}

fn checkout() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("no checkout")?;
    Ok(root.to_path_buf())
}

#[test]
fn vehicles_of_real_clips_are_counted_as_published() -> Result<()> {
    let Some(measured) = measured()? else { return Ok(()) };
    println!("{}", measured.join("\n"));
    for guide in GUIDES {
        let path = checkout()?.join(guide);
        let text = std::fs::read_to_string(&path).with_context(|| format!("no {guide}"))?;
        let (before, rest) = text.split_once(BEGIN).context("no begin mark")?;
        let (published, after) = rest.split_once(END).context("no end mark")?;
        let mut lines = published.trim().lines();
        let head: Vec<&str> = lines.by_ref().take(2).collect();
        if std::env::var_os("VONG_BLESS").is_some() {
            let table = format!("{}\n{}", head.join("\n"), measured.join("\n"));
            std::fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}"))?;
            continue;
        }
        let published: Vec<&str> = lines.collect();
        let same = published.len() == measured.len()
            && published.iter().zip(&measured).all(|(told, now)| is_as_told(told, now));
        ensure!(same, "{guide} says otherwise: {published:#?}");
    }
    Ok(())
}
