//! `vong fsck`: are log, history tables and footage what they say they are.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use vong_evidence::Fsck;
use vong_footage::{Depth, FsckReport, ProblemKind};
use vong_media::GopEntry;
use vong_model::{CameraId, EventTime};
use vong_runtime::{Clock as _, SystemClock};

use crate::cli::{say, tell};
use crate::installation::{EVIDENCE_DIR, KEYS_DIR};

pub(crate) fn run(data: &Path) -> Result<ExitCode> {
    let present = data.try_exists().context("could not look for the data directory")?;
    anyhow::ensure!(present, "there is no data directory {}", data.display());
    let mut sound = true;
    for (name, verify) in
        [("log", check_log as fn(&Path) -> Result<bool>), ("history", check_history)]
    {
        let part = data.join(name);
        if part.try_exists()? {
            sound &=
                verify(&part).with_context(|| format!("could not verify {}", part.display()))?;
        }
    }
    if data.join("footage").try_exists()? || data.join(EVIDENCE_DIR).try_exists()? {
        sound &= check_footage(data).context("could not verify the footage")?;
    }
    if sound {
        return say("everything is what it says it is");
    }
    tell("damage was found; it is listed above, nothing was changed");
    Ok(ExitCode::FAILURE)
}

fn check_log(part: &Path) -> Result<bool> {
    let report = vong_log::fsck(part)?;
    say(&format!("log: {report}"))?;
    Ok(report.is_sound())
}

fn check_history(part: &Path) -> Result<bool> {
    let report = vong_store::fsck(part)?;
    for finding in &report.findings {
        tell(&format!("history: {finding}"));
    }
    say(&format!(
        "history: {} files, {} rows, {} bytes, covered to offset {}",
        report.files, report.rows, report.bytes, report.covered
    ))?;
    Ok(report.is_sound())
}

/// Footage, and beside it the checkpoints that were made of it.
fn check_footage(data: &Path) -> Result<bool> {
    let now = EventTime(SystemClock.now());
    let mut evidence = Fsck::begin(&data.join(EVIDENCE_DIR), &data.join(KEYS_DIR), now)?;
    let footage = data.join("footage");
    let mut seen = |_: &CameraId, gop: &GopEntry| evidence.group(gop.start, &gop.hashes.chained);
    let report = match footage.try_exists()? {
        true => vong_footage::fsck_with(&footage, Depth::Hashes, &mut seen)?,
        false => FsckReport::default(),
    };
    let mut sound = true;
    for problem in &report.problems {
        // What a crash leaves is mended at the next start; it is no damage.
        let harmless = matches!(problem.what, ProblemKind::NotClosed | ProblemKind::IndexDamaged);
        sound &= harmless;
        let weight = if harmless { "mended at the next start" } else { "damage" };
        tell(&format!("footage: {weight}: {:?}: {}", problem.what, problem.path.display()));
    }
    say(&format!(
        "footage: {} cameras, {} files, {} groups of pictures, {} bytes verified",
        report.cameras, report.files, report.gops, report.verified_bytes
    ))?;
    let report = evidence.finish();
    for problem in &report.problems {
        tell(&format!("evidence: damage: {problem}"));
    }
    say(&format!(
        "evidence: {} checkpoints, {} with their leaves; of the groups on the disk {} are sealed, {} of hours not sealed yet",
        report.checkpoints, report.with_leaves, report.groups_sealed, report.groups_unsealed
    ))?;
    Ok(sound && report.problems.is_empty())
}
