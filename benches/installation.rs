//! What only a whole installation shows: processes that are killed, cameras that come and go, clips in
//! players, walls in a browser.
//!
//! The tests that stage it also measure it. Here they run against the release build of vong, longer
//! than in continuous integration; `VONG_FOOTAGE_KILLS`, `VONG_STREET_SECONDS`, `VONG_STREET_CAMERAS`
//! and `VONG_CLIPS` say otherwise. They say themselves what they skip.
#![expect(clippy::print_stdout, reason = "says what the tests skipped")]

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::log::directory;
use crate::report::{Row, Scale, Target};
use crate::video::binary;

/// See `figure` of the tests.
#[derive(Deserialize)]
struct Figure {
    name: String,
    unit: String,
    ours: f64,
    baseline: f64,
    below: f64,
}

pub(crate) fn kills(scale: &Scale) -> Result<Vec<Row>> {
    figures(scale, "footage::", &[("VONG_FOOTAGE_KILLS", "40")])
}

pub(crate) fn street(scale: &Scale) -> Result<Vec<Row>> {
    let long = [("VONG_STREET_SECONDS", "300"), ("VONG_STREET_CAMERAS", "1000")];
    figures(scale, "street::", &long)
}

pub(crate) fn players(scale: &Scale) -> Result<Vec<Row>> {
    figures(scale, "clips::", &[("VONG_CLIPS", "50")])
}

pub(crate) fn wall(scale: &Scale) -> Result<Vec<Row>> {
    figures(scale, "wall::", &[])
}

/// Runs the tests of this name, as long as `long` says.
fn figures(scale: &Scale, tests: &str, long: &[(&str, &str)]) -> Result<Vec<Row>> {
    let Some(binary) = binary()? else { return Ok(Vec::new()) };
    let dir = directory()?;
    let figures = dir.path().join("figures.jsonl");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["test", "--package", "vong-tests", "--test", "it", "--", tests]);
    cargo.args(["--test-threads", "1", "--nocapture"]);
    cargo.env("VONG_BINARY", &binary).env("VONG_FIGURES", &figures);
    let unsaid = long.iter().filter(|(name, _)| std::env::var_os(name).is_none());
    if !scale.quick {
        cargo.envs(unsaid.copied());
    }
    let output = cargo.stdin(Stdio::null()).output().context("could not start cargo")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let skipped: Vec<&str> = told.lines().filter(|line| is_skip(line)).collect();
    skipped.iter().for_each(|line| println!("{line}"));
    let why = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{told}\n{why}");
    let found = std::fs::read_to_string(&figures).unwrap_or_default(); // all may be skipped
    ensure!(!found.is_empty() || !skipped.is_empty(), "no test measured anything:\n{told}");
    found.lines().map(row).collect()
}

/// As `support.rs` of the tests says it, perhaps behind the name of the test.
fn is_skip(line: &str) -> bool {
    line.contains("skipped: ") || line.contains("skipped the browser: ")
}

fn row(line: &str) -> Result<Row> {
    let figure: Figure = serde_json::from_str(line).with_context(|| format!("figure {line}"))?;
    let Figure { name, unit, ours, baseline, below } = figure;
    Ok(Row::time(name, unit, (ours, baseline), Target::Below(below)))
}
