//! `vong fsck`: are log, history tables and footage what they say they are.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use vong_footage::{Depth, ProblemKind};

use crate::cli::{say, tell};

pub(crate) fn run(data: &Path) -> Result<ExitCode> {
    let present = data.try_exists().context("could not look for the data directory")?;
    anyhow::ensure!(present, "there is no data directory {}", data.display());
    let mut sound = true;
    for (name, verify) in [
        ("log", check_log as fn(&Path) -> Result<bool>),
        ("history", check_history),
        ("footage", check_footage),
    ] {
        let part = data.join(name);
        if part.try_exists()? {
            sound &=
                verify(&part).with_context(|| format!("could not verify {}", part.display()))?;
        }
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

fn check_footage(part: &Path) -> Result<bool> {
    let report = vong_footage::fsck(part, Depth::Hashes)?;
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
    Ok(sound)
}
