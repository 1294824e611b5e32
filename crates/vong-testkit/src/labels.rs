//! Road users that people drew into frames of real clips, and how well something finds them.
//!
//! The labels are `tests/labels/*.json`, in pixels of the clip; the clips themselves are not of this
//! repository. What is too far to be told apart, and glare, is marked to be ignored: nothing found
//! there counts, for or against.

mod crossings;
mod score;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

pub use crossings::{Crossed, CrossingClip, crossing_clips};
pub use score::{Found, Tally, tally};

/// Left, top, right, bottom in pixels.
pub type Pixels = [f32; 4];

/// A clip, and frames of it with all road users marked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledClip {
    /// File name.
    pub clip: String,
    /// Whose the pictures are.
    pub attribution: String,
    pub width: u32,
    pub height: u32,
    /// In every frame.
    pub ignore: Vec<Pixels>,
    pub frames: Vec<LabelledFrame>,
}

/// One frame.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledFrame {
    /// Seconds from the clip's begin; the frame shown then.
    pub at_s: f64,
    #[serde(default)]
    pub light: Light,
    #[serde(default)]
    pub ignore: Vec<Pixels>,
    pub boxes: Vec<LabelledBox>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Light {
    #[default]
    Day,
    Night,
}

/// One road user. Who rides a motorcycle is not marked apart from it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledBox {
    /// `person`, `bicycle`, `car`, `motorcycle`, `bus` or `truck`; a van is a car.
    pub class: String,
    #[serde(rename = "box")]
    pub place: Pixels,
    /// Reaches beyond the picture or under its caption.
    #[serde(default)]
    pub truncated: bool,
    /// Partly behind something else.
    #[serde(default)]
    pub occluded: bool,
}

impl LabelledBox {
    pub fn is_person(&self) -> bool {
        self.class == "person"
    }
}

/// All labelled clips of the checkout, by file name.
pub fn labelled_clips() -> Result<Vec<LabelledClip>> {
    let dir = checkout()?.join("tests/labels");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&dir).context("could not list tests/labels")? {
        files.push(entry?.path());
    }
    files.retain(|file| file.is_file());
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Result<LabelledClip> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("could not read {name}"))?;
    let clip: LabelledClip =
        serde_json::from_str(&text).with_context(|| format!("{name} is no file of labels"))?;
    let (width, height) = (clip.width as f32, clip.height as f32);
    for frame in &clip.frames {
        for LabelledBox { place: [left, top, right, bottom], .. } in &frame.boxes {
            ensure!(
                0.0 <= *left && left < right && *right <= width,
                "{name}, {} s: a box from {left} to {right} of {width} columns",
                frame.at_s
            );
            ensure!(
                0.0 <= *top && top < bottom && *bottom <= height,
                "{name}, {} s: a box from {top} to {bottom} of {height} rows",
                frame.at_s
            );
        }
    }
    Ok(clip)
}

fn checkout() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("no checkout around testkit")
}

/// A real clip, when they lie beside the checkout.
fn beside(clip: &str) -> Option<PathBuf> {
    let beside = checkout().ok()?.parent()?.join("shared/data/video").join(clip);
    beside.is_file().then_some(beside)
}

impl LabelledClip {
    /// The clip, when the real videos lie beside the checkout.
    pub fn video(&self) -> Option<PathBuf> {
        beside(&self.clip)
    }

    /// The pixels of one frame, by the program ffmpeg: rows of red, green, blue.
    pub fn rgb(&self, video: &Path, frame: &LabelledFrame) -> Result<Vec<u8>> {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-ss", &frame.at_s.to_string(), "-i"]).arg(video);
        command.args(["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]);
        let output = command.output().context("could not start ffmpeg")?;
        let expected = self.width as usize * self.height as usize * 3;
        ensure!(
            output.status.success() && output.stdout.len() == expected,
            "ffmpeg gave {} of {expected} bytes of {} at {} s: {}",
            output.stdout.len(),
            self.clip,
            frame.at_s,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(output.stdout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_labels_can_be_read() {
        let clips = labelled_clips().expect("labels that hold");
        let frames: usize = clips.iter().map(|clip| clip.frames.len()).sum();
        let boxes = clips.iter().flat_map(|clip| &clip.frames).map(|frame| frame.boxes.len());
        assert_eq!((clips.len(), frames, boxes.sum::<usize>()), (3, 43, 346));
    }
}
