//! A clip's frames, one by one, against the hashes taken when they were received.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Check;
use crate::finding::{Code, Finding};
use crate::manifest::{CameraPart, Manifest};
use crate::mp4::{self, Movie, Sample};
use crate::package::FileReader;
use crate::{Error, hex};

/// So many frames of a clip are named one by one; the others are counted.
const NAMED: usize = 10;
/// A microsecond is not a whole number of ticks, a millisecond is 90.
const TIMING_TOLERANCE_90K: u64 = 90;
const WINDOW: u64 = 4 << 20;

/// A frame as the manifest knows it.
struct Expected<'a> {
    group: u64,
    frame: u64,
    at_us: i64,
    /// Where it stands in the clip.
    media_90k: u64,
    hash: &'a str,
}

impl Check<'_> {
    pub(super) fn clip(
        &mut self,
        manifest: &Manifest,
        camera: &CameraPart,
        changed: bool,
    ) -> Result<(), Error> {
        let (id, path) = (camera.camera_id.as_str(), camera.clip.path.as_str());
        if !self.package.files().contains_key(path) {
            return Ok(()); // told already
        }
        let file = self.package.reader(path)?;
        let in_clip = |code| Finding { file: Some(path.to_owned()), ..Finding::camera(code, id) };
        let Some(movie) = mp4::read(&file) else {
            self.found(in_clip(Code::ClipUnreadable));
            return Ok(());
        };
        let mut frames = Frames { file: &file, window: (0, Vec::new()) };
        let Some(found) = frames.hashes(&movie.samples) else {
            self.found(in_clip(Code::ClipUnreadable));
            return Ok(());
        };
        let expected = expected(camera);
        if found.iter().map(String::as_str).eq(expected.iter().map(|frame| frame.hash)) {
            self.frames_verified += expected.len() as u64;
            self.payloads(camera, &movie, &mut frames);
            self.timing(camera, &movie);
            if changed {
                self.found(in_clip(Code::ContainerRewritten));
            }
        } else if is_none_of(&expected, &found) {
            self.found(match other_camera(manifest, id, &found) {
                Some(other) => Finding { detail: Some(other), ..in_clip(Code::ClipOfOtherCamera) },
                None => in_clip(Code::Reencoded),
            });
            return Ok(());
        } else {
            self.differences(id, &expected, &found);
        }
        let entries = movie.descriptions.iter().map(|entry| hex::encode(entry));
        if !entries.eq(camera.clip.descriptions.iter().cloned()) {
            self.found(in_clip(Code::DecoderChanged));
        }
        Ok(())
    }

    /// The hashes of whole groups: what the chain was made of.
    fn payloads(&mut self, camera: &CameraPart, movie: &Movie, frames: &mut Frames<'_>) {
        let mut samples = movie.samples.iter();
        for (number, group) in (1..).zip(&camera.groups) {
            let mut hash = Sha256::new();
            for sample in samples.by_ref().take(group.frames.len()) {
                hash.update(frames.bytes(sample).unwrap_or_default());
            }
            let hash: [u8; 32] = hash.finalize().into();
            if (hash == group.payload) == group.damaged {
                let (group, at_us) = (Some(number), Some(group.start_us));
                let finding = Finding::camera(Code::GroupPayloadWrong, &camera.camera_id);
                self.found(Finding { group, at_us, ..finding });
            }
        }
    }

    /// Whether a second of playing is still a second of the day.
    fn timing(&mut self, camera: &CameraPart, movie: &Movie) {
        let in_90k = |ticks: u64, scale: u32| {
            let wide = u128::from(ticks) * 90_000 / u128::from(scale);
            u64::try_from(wide).unwrap_or(u64::MAX)
        };
        let differ = |a: u64, b: u64| a.abs_diff(b) > TIMING_TOLERANCE_90K;
        let frames = expected(camera);
        let (mut media, mut first_wrong) = (0, None);
        for (sample, frame) in movie.samples.iter().zip(&frames) {
            if differ(in_90k(media, movie.timescale), frame.media_90k) {
                first_wrong = first_wrong.or(Some(frame));
            }
            media += u64::from(sample.duration);
        }
        if let Some(&Expected { group, frame, at_us, .. }) = first_wrong {
            let (group, frame, at_us) = (Some(group), Some(frame), Some(at_us));
            let finding = Finding::camera(Code::TimingChanged, &camera.camera_id);
            self.found(Finding { group, frame, at_us, ..finding });
        }
        let shown = movie.edit.map(|(start, length)| {
            (in_90k(start, movie.timescale), in_90k(length, movie.movie_timescale))
        });
        let (start, length) = shown.unwrap_or_else(|| (0, in_90k(media, movie.timescale)));
        if differ(start, camera.clip.edit_start_90k) || differ(length, camera.clip.duration_90k) {
            self.found(Finding::camera(Code::ShownRangeChanged, &camera.camera_id));
        }
    }

    /// Names the frames that differ. Goes through both rows once; a frame that comes later in the
    /// file shows that those before it were added, one that does not that it was removed or changed.
    fn differences(&mut self, camera: &str, expected: &[Expected<'_>], found: &[String]) {
        let last_found = last_places(found.iter().map(String::as_str));
        let last_expected = last_places(expected.iter().map(|frame| frame.hash));
        let comes = |last: &BTreeMap<&str, usize>, hash: &str, from: usize| {
            last.get(hash).is_some_and(|place| *place >= from)
        };
        let (mut told, mut more) = (0, 0);
        let mut tell = |findings: &mut Vec<Finding>, finding: Finding| {
            if told < NAMED {
                findings.push(finding);
                told += 1;
            } else {
                more += 1;
            }
        };
        let (mut at, mut place) = (0, 0);
        while let Some(frame) = expected.get(at) {
            let here = |code| Finding {
                group: Some(frame.group),
                frame: Some(frame.frame),
                at_us: Some(frame.at_us),
                ..Finding::camera(code, camera)
            };
            let Some(hash) = found.get(place) else {
                tell(&mut self.findings, here(Code::FrameRemoved));
                at += 1;
                continue;
            };
            if hash == frame.hash {
                self.frames_verified += 1;
                (at, place) = (at + 1, place + 1);
            } else if comes(&last_found, frame.hash, place) {
                tell(&mut self.findings, here(Code::FrameAdded));
                place += 1;
            } else if comes(&last_expected, hash, at) {
                tell(&mut self.findings, here(Code::FrameRemoved));
                at += 1;
            } else {
                tell(&mut self.findings, here(Code::FrameChanged));
                (at, place) = (at + 1, place + 1);
            }
        }
        for _ in place..found.len() {
            tell(&mut self.findings, Finding::camera(Code::FrameAdded, camera));
        }
        if more > 0 {
            let finding = Finding::camera(Code::MoreFrames, camera);
            self.found(Finding { count: Some(more), ..finding });
        }
    }
}

fn expected(camera: &CameraPart) -> Vec<Expected<'_>> {
    let mut all = Vec::new();
    for (group, facts) in (1..).zip(&camera.groups) {
        let mut ticks = 0;
        for (frame, (duration, _, hash)) in (1..).zip(&facts.frames) {
            let start = vong_model::EventTime(facts.start_us);
            let at_us = vong_media::wall_after(start, ticks).micros();
            let media_90k = facts.media_90k.saturating_add(ticks);
            all.push(Expected { group, frame, at_us, media_90k, hash });
            ticks += u64::from(*duration);
        }
    }
    all
}

fn is_none_of(expected: &[Expected<'_>], found: &[String]) -> bool {
    let known = last_places(expected.iter().map(|frame| frame.hash));
    !found.iter().any(|hash| known.contains_key(hash.as_str()))
}

/// Where each hash stands last.
fn last_places<'a>(hashes: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    hashes.enumerate().map(|(place, hash)| (hash, place)).collect()
}

/// The other camera of the package whose frames these are.
fn other_camera(manifest: &Manifest, id: &str, found: &[String]) -> Option<String> {
    let first = found.first()?;
    let others = manifest.cameras.iter().filter(|camera| camera.camera_id != id);
    let holds = |camera: &&CameraPart| expected(camera).iter().any(|frame| frame.hash == first);
    others.into_iter().find(holds).map(|camera| camera.camera_id.clone())
}

/// Reads frames through a window: they lie close together, and there are many.
struct Frames<'a> {
    file: &'a FileReader<'a>,
    window: (u64, Vec<u8>),
}

impl Frames<'_> {
    /// The first 16 digits of each frame's SHA-256; `None` where one lies outside the file.
    fn hashes(&mut self, samples: &[Sample]) -> Option<Vec<String>> {
        let mut all = Vec::with_capacity(samples.len());
        for sample in samples {
            all.push(short_hash(self.bytes(sample)?));
        }
        Some(all)
    }

    fn bytes(&mut self, sample: &Sample) -> Option<&[u8]> {
        let size = u64::from(sample.size);
        let end = sample.offset.checked_add(size).filter(|end| *end <= self.file.len)?;
        let (start, held) = (self.window.0, self.window.1.len() as u64);
        if sample.offset < start || end > start + held {
            let len = WINDOW.max(size).min(self.file.len - sample.offset);
            self.window = (sample.offset, self.file.read(sample.offset, len).ok()?);
        }
        let from = usize::try_from(sample.offset - self.window.0).ok()?;
        self.window.1.get(from..from.checked_add(usize::try_from(size).ok()?)?)
    }
}

/// What names a frame in a manifest.
pub(crate) fn short_hash(frame: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(frame).into();
    let digest: [u8; 8] = *digest.first_chunk().expect("32 bytes begin with 8");
    hex::encode(&digest)
}
