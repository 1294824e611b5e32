//! Layers: a crate may depend only on crates of a strictly lower layer.
//!
//! Each manifest declares `[package.metadata.vong] layer = N`, or `tool = true` for what serves
//! development and the demo. There is no list of exceptions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// What stands in a manifest's `[package.metadata.vong]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Layer(u64),
    Tool,
}

/// Libraries with a single home: who else links them has taken a wrong turn.
const HOMES: &[(&str, &[&str])] = &[
    ("ffmpeg-next", &["vong-sim", "vong-vision"]),
    ("rumqttc", &["vong-mqtt", "vong-sim", "vong-testkit", "vong-tests", "vong-benches"]),
    ("rumqttd", &["vong-sim"]),
    ("retina", &["vong-rtsp"]),
    ("tract-onnx", &["vong-detect"]),
    ("axum", &["vong-http"]),
    ("parquet", &["vong-store"]),
];

/// Crates that must exist once in the tree, or types of one cannot be passed to the other.
const SINGLE: &[&str] = &["arrow", "parquet", "datafusion", "object_store", "rustls", "tokio"];

/// Names that say nothing about the one job of a crate.
const EMPTY_WORDS: &[&str] =
    &["common", "core", "util", "utils", "types", "shared", "manager", "helper", "base"];

/// Every breach of the layering below `root`, one sentence each.
pub fn violations(root: &Path) -> Result<Vec<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .exec()
        .context("could not read the workspace with cargo metadata")?;
    let members = metadata.workspace_packages();
    let mut found = Vec::new();
    let places: BTreeMap<&str, Place> =
        members.iter().filter_map(|p| Some((p.name.as_str(), place(p)?))).collect();
    for package in &members {
        check_manifest(package, &mut found)?;
        check_edges(package, &places, &mut found);
    }
    for name in SINGLE {
        let versions: BTreeSet<String> = metadata
            .packages
            .iter()
            .filter(|p| p.name.as_str() == *name)
            .map(|p| p.version.to_string())
            .collect();
        if versions.len() > 1 {
            found.push(format!(
                "'{name}' is in the tree in {} versions: {versions:?}",
                versions.len()
            ));
        }
    }
    Ok(found)
}

fn place(package: &Package) -> Option<Place> {
    let vong = package.metadata.get("vong")?;
    if vong.get("tool").is_some_and(|tool| tool.as_bool() == Some(true)) {
        return Some(Place::Tool);
    }
    vong.get("layer")?.as_u64().map(Place::Layer)
}

fn check_manifest(package: &Package, found: &mut Vec<String>) -> Result<()> {
    let name = package.name.as_str();
    let text = std::fs::read_to_string(&package.manifest_path)
        .with_context(|| format!("could not read the manifest of '{name}'"))?;
    if place(package).is_none() {
        found.push(format!("'{name}' declares no layer in [package.metadata.vong]"));
    }
    if !text.contains("[lints]\nworkspace = true") {
        found.push(format!("'{name}' does not take the workspace's lints"));
    }
    let folder = package.manifest_path.parent().and_then(|p| p.file_name()).unwrap_or_default();
    let at_top = matches!(folder, "tests" | "benches");
    if !at_top && folder != name {
        found.push(format!("folder '{folder}' holds package '{name}': they should share one name"));
    }
    if name.split('-').any(|word| EMPTY_WORDS.contains(&word)) {
        found.push(format!("'{name}' does not say what it does"));
    }
    let in_dependencies = text
        .split("\n[")
        .filter(|part| part.starts_with("dependencies]") || part.starts_with("dev-dependencies]"));
    for line in in_dependencies.flat_map(str::lines).filter(|l| l.contains('=')) {
        if !line.contains("workspace = true") {
            found.push(format!("'{name}' sets a version or feature of its own: {line}"));
        }
    }
    Ok(())
}

fn check_edges(package: &Package, places: &BTreeMap<&str, Place>, found: &mut Vec<String>) {
    let name = package.name.as_str();
    let Some(own) = places.get(name) else { return };
    for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
        let target = dependency.name.as_str();
        if let Some((_, homes)) = HOMES.iter().find(|(library, _)| *library == target)
            && !homes.contains(&name)
        {
            found.push(format!("'{name}' uses '{target}', which belongs to {homes:?} alone"));
        }
        if *own == Place::Layer(2) && target == "tokio" {
            found.push(format!("'{name}' is pure (layer 2) and must not know tokio"));
        }
        let Some(other) = places.get(target) else { continue };
        match (own, other) {
            (Place::Layer(upper), Place::Layer(lower)) if lower >= upper => {
                found.push(format!(
                    "'{name}' (layer {upper}) depends on '{target}' (layer {lower})"
                ));
            }
            // The demo's city is built in; nothing else of the product may lean on a tool.
            (Place::Layer(upper), Place::Tool) if *upper < 7 || target != "vong-sim" => {
                found.push(format!("'{name}' (layer {upper}) depends on the tool '{target}'"));
            }
            (Place::Layer(_) | Place::Tool, _) => {}
        }
    }
}
