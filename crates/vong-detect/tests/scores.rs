//! How much of what people marked in real frames the detector finds, against `docs/detector.md`.
//!
//! Skipped, with the reason, without the model or the clips. `VONG_BLESS=1` looks with all windows
//! and writes the tables of the document anew, which takes minutes; else each recall there of the
//! windows in [`CHECKED`] must be reached again.
#![expect(clippy::print_stdout, reason = "a skipped test says why, a measured one what it saw")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use vong_detect::{DetectOptions, Detector, MODEL_FILE, RgbPicture, Tiling};
use vong_testkit::labels::{
    Found, LabelledClip, LabelledFrame, Light, Tally, labelled_clips, tally,
};

const SCORES: [f32; 3] = [0.2, 0.3, 0.5];
/// The least score anything is asked of; higher ones are chosen from it.
const LEAST: f32 = 0.2;
/// The strict one of the literature, and one for boxes of a few pixels.
const OVERLAPS: [f32; 2] = [0.5, 0.3];
/// A sparing one and the one that finds most.
const CHECKED: [Tiling; 2] = [Tiling::Whole, Tiling::TwoByTwo];
const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->";
/// Percent; other processors round differently.
const TOLERANCE: f64 = 1.0;

/// Frames that are scored together.
struct Set {
    name: &'static str,
    clip: &'static str,
    light: Light,
    person: bool,
}

const SETS: [Set; 4] = [
    Set { name: "road, day", clip: "traffic_tfl", light: Light::Day, person: false },
    Set { name: "road, night", clip: "traffic_tfl", light: Light::Night, person: false },
    Set { name: "yard from above", clip: "traffic_intel", light: Light::Day, person: false },
    Set { name: "people in a room", clip: "people_intel", light: Light::Day, person: true },
];

/// A frame and what is found in it with each tiling, [`LEAST`] sure and more.
struct Seen {
    clip: LabelledClip,
    frame: LabelledFrame,
    found: Vec<(Tiling, Vec<Found>)>,
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a checkout").to_path_buf()
}

fn look(tilings: &[Tiling]) -> Result<Option<Vec<Seen>>> {
    let model = checkout().join("models").join(MODEL_FILE);
    if !model.is_file() {
        println!("skipped: needs models/{MODEL_FILE}; `cargo xtask model` makes it");
        return Ok(None);
    }
    let detector = Detector::open(&model)?;
    let mut seen = Vec::new();
    for clip in labelled_clips()? {
        let Some(video) = clip.video() else {
            println!("skipped: needs {}, which is not beside this checkout", clip.clip);
            return Ok(None);
        };
        for frame in &clip.frames {
            let pixels = clip.rgb(&video, frame)?;
            let picture = RgbPicture::new(clip.width, clip.height, &pixels)?;
            let mut found = Vec::new();
            for &tiling in tilings {
                let options =
                    DetectOptions { min_score: LEAST, tiling, ..DetectOptions::default() };
                let inside = detector.detect(&picture, &options)?;
                found.push((tiling, inside.iter().map(|one| as_found(&clip, one)).collect()));
            }
            seen.push(Seen { clip: clip.clone(), frame: frame.clone(), found });
        }
    }
    Ok(Some(seen))
}

fn as_found(clip: &LabelledClip, one: &vong_detect::Detection) -> Found {
    let (width, height) = (clip.width as f32, clip.height as f32);
    let [left, top, right, bottom] = one.place.corners();
    Found {
        person: !one.class.is_vehicle(),
        score: one.score,
        place: [left * width, top * height, right * width, bottom * height],
    }
}

fn of(seen: &[Seen], set: &Set, tiling: Tiling, score: f32, overlap: f32) -> Tally {
    let mut all = Tally::default();
    for Seen { clip, frame, found } in seen {
        if !clip.clip.starts_with(set.clip) || frame.light != set.light {
            continue;
        }
        for (_, found) in found.iter().filter(|(own, _)| *own == tiling) {
            let sure: Vec<Found> = found.iter().copied().filter(|one| one.score >= score).collect();
            all.add(tally(clip, frame, &sure, set.person, overlap));
        }
    }
    all
}

/// The tables of the document, in Markdown.
fn tables(seen: &[Seen], tilings: &[Tiling]) -> Result<String> {
    let mut text = String::from(
        "| frames | windows | score | recall, IoU 0.5 | precision | recall, IoU 0.3 | precision \
         | count off by |\n|---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for set in &SETS {
        for &tiling in tilings {
            for score in SCORES {
                write!(text, "| {} | {} | {score} |", set.name, tiling.name())?;
                for overlap in OVERLAPS {
                    let all = of(seen, set, tiling, score, overlap);
                    write!(
                        text,
                        " {:.1} % | {:.1} % |",
                        percent(all.recall()),
                        percent(all.precision())
                    )?;
                }
                let all = of(seen, set, tiling, score, OVERLAPS[1]);
                let labels = all.labels as f64 / all.frames as f64;
                writeln!(text, " {:.1} of {labels:.1} |", all.count_error())?;
            }
        }
    }
    writeln!(text, "\n| windows, road by day, score 0.3 | small, IoU 0.5 | middle | large |")?;
    writeln!(text, "|---|--:|--:|--:|")?;
    for overlap in OVERLAPS {
        for &tiling in tilings {
            let all = of(seen, &SETS[0], tiling, 0.3, overlap);
            write!(text, "| {}, IoU {overlap} |", tiling.name())?;
            for (least, most) in [(0.0, 16.0), (16.0, 32.0), (32.0, 300.0)] {
                let own: Vec<bool> = all
                    .by_size
                    .iter()
                    .filter(|(side, _)| (least..most).contains(side))
                    .map(|(_, hit)| *hit)
                    .collect();
                let hits = own.iter().filter(|hit| **hit).count();
                let recall = percent(hits as f64 / own.len().max(1) as f64);
                write!(text, " {recall:.1} % of {} |", own.len())?;
            }
            writeln!(text)?;
        }
    }
    Ok(text)
}

fn percent(part: f64) -> f64 {
    part * 100.0
}

/// The recalls of a table, each with the words of its row.
fn recalls(text: &str) -> Result<Vec<(String, f64)>> {
    let mut found = Vec::new();
    for row in text.lines().filter(|line| line.contains('%')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let (words, places): (usize, &[usize]) =
            if cells.len() == 8 { (3, &[3, 5]) } else { (1, &[1, 2, 3]) };
        for place in places {
            let number = cells[*place].split(' ').next().unwrap_or_default();
            let number = number.parse().with_context(|| format!("'{number}' in: {row}"))?;
            found.push((format!("{}, column {place}", cells[..words].join(" ")), number));
        }
    }
    Ok(found)
}

#[test]
fn recall_on_real_frames_is_what_is_published() -> Result<()> {
    let bless = std::env::var_os("VONG_BLESS").is_some();
    let tilings = if bless { &Tiling::ALL[..] } else { &CHECKED };
    let Some(seen) = look(tilings)? else { return Ok(()) };
    let measured = tables(&seen, tilings)?;
    let path = checkout().join("docs/detector.md");
    let text = std::fs::read_to_string(&path).context("could not read docs/detector.md")?;
    let (before, rest) = text.split_once(BEGIN).context("docs/detector.md has no begin mark")?;
    let (published, after) = rest.split_once(END).context("docs/detector.md has no end mark")?;
    if bless {
        std::fs::write(&path, format!("{before}{BEGIN}{measured}{END}{after}"))?;
        return Ok(());
    }
    println!("{measured}");
    let published: BTreeMap<String, f64> = recalls(published)?.into_iter().collect();
    let measured = recalls(&measured)?;
    assert_eq!(measured.len(), CHECKED.len() * (SETS.len() * SCORES.len() * 2 + 2 * 3));
    for (words, reached) in measured {
        let promised = published.get(&words);
        let promised = promised.with_context(|| format!("{words}: not in docs/detector.md"))?;
        assert!(reached + TOLERANCE >= *promised, "{words}: {reached} %, published {promised} %");
    }
    Ok(())
}
