//! How files look: what neither rustfmt nor clippy checks.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

/// A source file longer than this hides more than one job.
const LONGEST_FILE: usize = 800;

/// `sample-data` must stay small enough to be cloned without thought.
const SAMPLE_DATA_BYTES: u64 = 10 * 1024 * 1024;

/// Every breach below `root`, one sentence each.
pub fn violations(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in tracked_files(root)? {
        let path = root.join(&file);
        if file.ends_with(".rs") {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("could not read {file}"))?;
            check_source(&file, &text, &mut found);
        }
    }
    check_sample_data(root, &mut found)?;
    Ok(found)
}

fn tracked_files(root: &Path) -> Result<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("could not start git")?;
    ensure!(listed.status.success(), "git ls-files failed");
    let mut files: Vec<String> =
        String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect();
    files.retain(|file| root.join(file).is_file());
    Ok(files)
}

fn check_source(file: &str, text: &str, found: &mut Vec<String>) {
    if !text.starts_with("//!") {
        found.push(format!("{file} does not open with what it is (`//!`)"));
    }
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        found.push(format!("{file} has {lines} lines, more than {LONGEST_FILE}"));
    }
    if file.ends_with("/mod.rs") {
        found.push(format!("{file}: name the file after the module instead"));
    }
    // Spelt in two parts, so that this file does not find itself.
    for (words, instead) in [
        (["#[al", "low("], "#[expect(…, reason = …)]"),
        (["#[ign", "ore"], "a test that runs, or none"),
        (["#[should_", "panic"], "an error that is returned and checked"),
        (["todo", "!("], "code"),
    ] {
        let word = words.concat();
        for (number, _) in text.lines().enumerate().filter(|(_, line)| line.contains(&word)) {
            found.push(format!("{file}:{}: instead of {word} write {instead}", number + 1));
        }
    }
}

/// `sample-data/manifest.toml` names each file with its SHA-256; both must agree.
fn check_sample_data(root: &Path, found: &mut Vec<String>) -> Result<()> {
    let folder = root.join("sample-data");
    let manifest = folder.join("manifest.toml");
    if !manifest.try_exists()? {
        return Ok(());
    }
    let manifest = std::fs::read_to_string(&manifest)?;
    let mut bytes = 0;
    for file in tracked_files(&folder)? {
        let content = std::fs::read(folder.join(&file))?;
        bytes += content.len() as u64;
        if matches!(file.as_str(), "manifest.toml" | "README.md") {
            continue;
        }
        if !manifest.contains(&hex_sha256(&content)) {
            found.push(format!(
                "sample-data/{file} is not what manifest.toml says; run `cargo xtask gen`"
            ));
        }
    }
    if bytes > SAMPLE_DATA_BYTES {
        found.push(format!("sample-data holds {bytes} bytes, more than {SAMPLE_DATA_BYTES}"));
    }
    Ok(())
}

fn hex_sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_it_is_there_to_find() {
        let mut found = Vec::new();
        let bad = ["fn main() {}\n#[al", "low(dead_code)]\n"].concat();
        check_source("src/a.rs", &bad, &mut found);
        check_source("src/mod.rs", "//! Good.\n", &mut found);
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
