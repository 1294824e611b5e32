//! Vehicles that people saw cross lines in real clips, and how well something counts them.
//!
//! `tests/labels/crossings/*.json`; the scene with the lines is the `.toml` of the same name. Every
//! crossing was noted from the line's pixels over time: a vehicle that goes away crosses with its
//! rear, one that comes with its front.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::{beside, checkout};

/// A stretch of a clip in which every crossing is noted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossingClip {
    /// File name.
    pub clip: String,
    /// Whose the pictures are.
    pub attribution: String,
    pub fps: f64,
    /// Seconds from the clip's begin.
    pub from_s: f64,
    pub to_s: f64,
    /// Where the clip jumps from one take to the next.
    pub cuts: Vec<f64>,
    /// By line and direction, as in `away forward`: when somebody crossed, seconds from the clip's
    /// begin.
    pub crossings: BTreeMap<String, Vec<f64>>,
}

/// Crossings that were counted against those that are noted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crossed {
    pub noted: usize,
    pub counted: usize,
    /// Counted ones that are noted at about the same time.
    pub hits: usize,
}

impl Crossed {
    /// Part of the noted that was counted, 0..1.
    pub fn recall(&self) -> f64 {
        self.hits as f64 / self.noted.max(1) as f64
    }

    /// Part of the counted that is noted, 0..1.
    pub fn precision(&self) -> f64 {
        self.hits as f64 / self.counted.max(1) as f64
    }

    /// How far the number counted is from the number noted, as part of that.
    pub fn count_error(&self) -> f64 {
        self.counted as f64 / self.noted.max(1) as f64 - 1.0
    }
}

/// All clips with crossings, and the text of each one's scene.
pub fn crossing_clips() -> Result<Vec<(CrossingClip, String)>> {
    let dir = checkout()?.join("tests/labels/crossings");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&dir).context("could not list tests/labels/crossings")? {
        files.push(entry?.path());
    }
    files.sort();
    let labels = files.iter().filter(|file| file.extension().is_some_and(|ext| ext == "json"));
    labels.map(|file| read(file)).collect()
}

fn read(file: &Path) -> Result<(CrossingClip, String)> {
    let name = file.display();
    let text = |file: &Path| {
        std::fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))
    };
    let clip: CrossingClip = serde_json::from_str(&text(file)?)
        .with_context(|| format!("{name} is no file of crossings"))?;
    for at_s in clip.crossings.values().flatten().chain(&clip.cuts) {
        let inside = (clip.from_s..=clip.to_s).contains(at_s);
        ensure!(inside, "{name}: {at_s} s is not from {} to {} s", clip.from_s, clip.to_s);
    }
    Ok((clip, text(&file.with_extension("toml"))?))
}

impl CrossingClip {
    /// The clip, when the real videos lie beside the checkout.
    pub fn video(&self) -> Option<PathBuf> {
        beside(&self.clip)
    }

    /// Shows `each` every picture of the stretch, by the program ffmpeg: seconds from the clip's
    /// begin, and `height` rows of `width` grey pixels.
    pub fn for_each_picture(
        &self,
        video: &Path,
        (width, height): (usize, usize),
        mut each: impl FnMut(f64, Vec<u8>),
    ) -> Result<()> {
        let length_s = self.to_s - self.from_s;
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-ss", &self.from_s.to_string(), "-i"]).arg(video);
        command.args(["-t", &length_s.to_string(), "-vf"]);
        command.arg(format!("scale={width}:{height}:flags=area,format=gray"));
        command.args(["-f", "rawvideo", "pipe:1"]).stdout(Stdio::piped());
        let mut child = command.spawn().context("could not start ffmpeg")?;
        let mut pictures = child.stdout.take().context("ffmpeg has no output")?;
        for n in 0.. {
            let mut pixels = vec![0; width * height];
            if pictures.read_exact(&mut pixels).is_err() {
                break; // the stretch is over
            }
            each(self.from_s + f64::from(n) / self.fps, pixels);
        }
        ensure!(child.wait()?.success(), "ffmpeg failed on {}", self.clip);
        Ok(())
    }

    /// Whether what happens so near to a cut cannot be counted by anybody: who stands on the line
    /// when a take begins may have crossed it before.
    pub fn is_near_cut(&self, at_s: f64) -> bool {
        self.cuts.iter().any(|cut| (cut - 0.5..cut + 1.0).contains(&at_s))
    }

    /// Compares `counted`, each with the seconds from the clip's begin at which it was, with what is
    /// noted of a line and direction. Times may differ by `tolerance_s`.
    pub fn score(&self, way: &str, counted: &[f64], tolerance_s: f64) -> Crossed {
        let far = |at_s: &&f64| !self.is_near_cut(**at_s);
        let noted = self.crossings.get(way).map(Vec::as_slice).unwrap_or_default();
        let mut open: Vec<f64> = noted.to_vec();
        let (mut hits, mut outside) = (0, 0);
        let mut counted: Vec<f64> = counted.iter().filter(far).copied().collect();
        counted.sort_by(f64::total_cmp);
        open.sort_by(f64::total_cmp);
        for at_s in &counted {
            // The earliest that fits: those in order pair best.
            let fits = open.iter().position(|noted| (noted - at_s).abs() <= tolerance_s);
            if let Some(place) = fits {
                let taken = open.remove(place);
                if self.is_near_cut(taken) { outside += 1 } else { hits += 1 }
            }
        }
        let noted = noted.iter().filter(far).count();
        Crossed { noted, counted: counted.len() - outside, hits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(noted: &[f64], cuts: &[f64]) -> CrossingClip {
        CrossingClip {
            clip: String::new(),
            attribution: String::new(),
            fps: 10.0,
            from_s: 0.0,
            to_s: 60.0,
            cuts: cuts.to_vec(),
            crossings: BTreeMap::from([("a forward".to_owned(), noted.to_vec())]),
        }
    }

    #[test]
    fn all_crossings_can_be_read() {
        let clips = crossing_clips().expect("crossings that hold");
        let noted: usize = clips.iter().flat_map(|(c, _)| c.crossings.values()).map(Vec::len).sum();
        assert_eq!((clips.len(), noted), (2, 146));
    }

    #[test]
    fn each_crossing_is_counted_once_and_near_in_time() {
        let of = |noted: &[f64], counted: &[f64]| {
            let Crossed { noted, counted, hits } =
                clip(noted, &[]).score("a forward", counted, 1.0);
            (noted, counted, hits)
        };
        assert_eq!(of(&[5.0, 5.2, 9.0], &[5.5, 5.6, 20.0]), (3, 3, 2));
        assert_eq!(of(&[5.0], &[5.1, 5.2]), (1, 2, 1), "counted twice");
        assert_eq!(of(&[5.0], &[6.1]), (1, 1, 0), "too late");
        assert_eq!(clip(&[5.0], &[]).score("b forward", &[5.0], 1.0).hits, 0);
    }

    #[test]
    fn what_is_near_a_cut_counts_for_nothing() {
        let told = clip(&[10.2, 15.0], &[10.0]).score("a forward", &[10.4, 11.1, 15.0], 1.0);
        assert_eq!(told, Crossed { noted: 1, counted: 1, hits: 1 });
    }
}
