//! What a manifest says, against itself: chains, proofs, gaps, losses.

use std::collections::BTreeMap;

use vong_footage::Link;
use vong_media::{Frame, GAP_TOLERANCE, covered, wall_after};
use vong_model::{CameraId, EventTime};

use super::Check;
use crate::checkpoints::hour_of;
use crate::finding::{Code, Finding};
use crate::manifest::{CameraPart, FIRST_VERSION, GroupFacts, Manifest, SealFacts, Span, Unsealed};
use crate::merkle::root_of;
use crate::signed::Signed;
use crate::{Checkpoint, hex};

/// Genuine checkpoints of the package, by number.
pub(super) type Known = BTreeMap<u64, Checkpoint>;

impl Check<'_> {
    pub(super) fn checkpoints(&mut self, manifest: &Manifest) -> Known {
        let mut known = Known::new();
        for (place, text) in (1..).zip(&manifest.checkpoints) {
            let signed = Signed::parse(text);
            let read = signed.and_then(|signed| Some((Checkpoint::parse(&signed.text)?, signed)));
            let Some((checkpoint, signed)) = read else {
                let line = Some(place);
                self.found(Finding { line, ..Finding::new(Code::CheckpointUnreadable) });
                continue;
            };
            let number = Some(checkpoint.number);
            if signed.key.0 == manifest.key.public_key && signed.is_genuine() {
                known.insert(checkpoint.number, checkpoint);
            } else {
                self.found(Finding { checkpoint: number, ..Finding::new(Code::CheckpointWrong) });
            }
        }
        known
    }

    pub(super) fn facts(&mut self, manifest: &Manifest, camera: &CameraPart, checkpoints: &Known) {
        let id = &camera.camera_id;
        let mut before: Option<&GroupFacts> = None;
        for (number, group) in (1..).zip(&camera.groups) {
            let at = |code| Finding {
                group: Some(number),
                at_us: Some(group.start_us),
                ..Finding::camera(code, id)
            };
            if !is_own_hash(camera, group) {
                self.found(at(Code::GroupFactsChanged));
            }
            let linked = before.is_some_and(|before| before.chained == group.previous);
            if group.linked != linked {
                self.found(at(Code::ChainBroken));
            }
            if let Some(seal) = &group.seal
                && !is_proven(group, seal, checkpoints)
            {
                self.found(Finding { checkpoint: Some(seal.checkpoint), ..at(Code::ProofWrong) });
            }
            if unsealed(group, checkpoints) == Some(Unsealed::NotUnderItsSeal) {
                let checkpoint = of_hour(group, checkpoints).map(|found| found.number);
                self.found(Finding { checkpoint, ..at(Code::NotUnderItsSeal) });
            }
            before = Some(group);
        }
        if gaps(&camera.groups, &manifest.asked, manifest.version) != camera.gaps {
            self.found(Finding::camera(Code::GapsWrong, id));
        }
        if lost(&camera.groups) != camera.lost_packets {
            self.found(Finding::camera(Code::LossWrong, id));
        }
    }

    /// What nobody changed, and whoever relies on it should know.
    pub(super) fn notes(&mut self, camera: &CameraPart, checkpoints: &Known) {
        let id = &camera.camera_id;
        for gap in &camera.gaps {
            let (at_us, until_us) = (Some(gap.from_us), Some(gap.to_us));
            self.found(Finding { at_us, until_us, ..Finding::camera(Code::Gap, id) });
        }
        for span in &camera.unreadable {
            let (at_us, until_us) = (Some(span.from_us), Some(span.to_us));
            self.found(Finding { at_us, until_us, ..Finding::camera(Code::Unreadable, id) });
        }
        let mut count = |code, count: u64| {
            if count > 0 {
                self.findings.push(Finding { count: Some(count), ..Finding::camera(code, id) });
            }
        };
        let of = |which: &dyn Fn(&GroupFacts) -> bool| {
            camera.groups.iter().filter(|group| which(group)).count() as u64
        };
        count(Code::PacketLoss, camera.lost_packets);
        let lacks = |why| of(&|group| unsealed(group, checkpoints) == Some(why));
        count(Code::NotSealed, lacks(Unsealed::NotYet));
        count(Code::SealGone, lacks(Unsealed::LeavesGone));
        count(Code::SealedLate, of(&|group| is_late(group, checkpoints)));
        count(Code::NotLinked, of(&|group| !group.linked).saturating_sub(1));
        count(Code::DamagedBefore, of(&|group| group.damaged));
        count(Code::CameraSigned, camera.camera_signatures.groups);
    }
}

/// Whether the chained hash is that of everything the manifest says of the group.
fn is_own_hash(camera: &CameraPart, group: &GroupFacts) -> bool {
    let description = usize::try_from(group.description).unwrap_or(usize::MAX);
    let entry = camera.clip.descriptions.get(description).and_then(|entry| hex::decode_all(entry));
    let Some(sample_entry) = entry else { return false };
    let frames = group
        .frames
        .iter()
        .map(|(duration_90k, size, _)| Frame { duration_90k: *duration_90k, size: *size });
    let link = Link {
        camera: &CameraId::from(camera.camera_id.as_str()),
        sample_entry: &sample_entry,
        start: EventTime(group.start_us),
        camera_time: group.camera_us.map(EventTime),
        lost_packets: group.lost_packets,
        key: group.key,
        frames: &frames.collect::<Vec<_>>(),
    };
    link.hashes(group.previous, group.payload).chained == group.chained
}

fn is_proven(group: &GroupFacts, seal: &SealFacts, checkpoints: &Known) -> bool {
    let Some(checkpoint) = checkpoints.get(&seal.checkpoint) else { return false };
    let path: Option<Vec<[u8; 32]>> = seal.path.iter().map(|hash| hex::decode(hash)).collect();
    let root = path.and_then(|path| root_of(&group.chained, seal.index, checkpoint.groups, &path));
    root == Some(checkpoint.root)
}

/// Why the group has no seal, whatever is said of it: where the package holds the checkpoint of its
/// hour, that hour was sealed.
fn unsealed(group: &GroupFacts, checkpoints: &Known) -> Option<Unsealed> {
    if group.seal.is_some() {
        return None;
    }
    match group.unsealed {
        Some(Unsealed::LeavesGone) => Some(Unsealed::LeavesGone),
        Some(Unsealed::NotUnderItsSeal) => Some(Unsealed::NotUnderItsSeal),
        _ if of_hour(group, checkpoints).is_some() => Some(Unsealed::NotUnderItsSeal),
        _ => Some(Unsealed::NotYet),
    }
}

fn of_hour<'a>(group: &GroupFacts, checkpoints: &'a Known) -> Option<&'a Checkpoint> {
    let hour = hour_of(EventTime(group.start_us));
    checkpoints.values().find(|checkpoint| checkpoint.hour == hour)
}

fn is_late(group: &GroupFacts, checkpoints: &Known) -> bool {
    let under = group.seal.as_ref().and_then(|seal| checkpoints.get(&seal.checkpoint));
    under.is_some_and(|checkpoint| checkpoint.hour > EventTime(group.start_us))
}

/// What of the asked interval no group covers, where it is more than the tolerance. In the first
/// version a group had no holes inside.
pub(crate) fn gaps(groups: &[GroupFacts], asked: &Span, version: u32) -> Vec<Span> {
    let tolerance = i64::try_from(GAP_TOLERANCE.as_micros()).unwrap_or(i64::MAX);
    let mut gaps = Vec::new();
    let mut covered = asked.from_us;
    let mut note = |covered: i64, start: i64| {
        if start.saturating_sub(covered) > tolerance {
            gaps.push(Span { from_us: covered, to_us: start });
        }
    };
    for group in groups {
        let spans = match version {
            FIRST_VERSION => vec![(group.start_us, group.end_us())],
            _ => group.covered_us(),
        };
        for (start, end) in spans {
            note(covered, start.min(asked.to_us));
            covered = covered.max(end);
        }
    }
    note(covered, asked.to_us);
    gaps
}

pub(crate) fn lost(groups: &[GroupFacts]) -> u64 {
    groups.iter().map(|group| u64::from(group.lost_packets)).sum()
}

impl GroupFacts {
    /// After its last frame.
    pub(crate) fn end_us(&self) -> i64 {
        let ticks = self.frames.iter().map(|(duration, _, _)| u64::from(*duration)).sum();
        wall_after(EventTime(self.start_us), ticks).micros()
    }

    /// When it was recorded; holes are left out.
    fn covered_us(&self) -> Vec<(i64, i64)> {
        let durations: Vec<u32> = self.frames.iter().map(|(duration, _, _)| *duration).collect();
        let spans = covered(EventTime(self.start_us), &durations).into_iter();
        spans.map(|(start, end)| (start.micros(), end.micros())).collect()
    }
}
