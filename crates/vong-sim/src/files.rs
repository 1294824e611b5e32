//! The sample city as files: tables, map, ground truth, and the golden copy in `sample-data/`.
//!
//! Invariant: the same seed and anchors give the same bytes, on every machine.

mod geojson;
mod manifest;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;

use vong_runtime::UnixMicros;
use vong_runtime::fs::replace_file;

use crate::camera::{CameraSpec, Codec, Geometry};
use crate::error::Error;
use crate::scenarios::ground_truth;
use crate::schedule::Schedule;
use crate::world::World;

/// Where the city's services are, as written into its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchors {
    /// `host:port` of the RTSP server.
    pub rtsp: String,
}

impl Default for Anchors {
    fn default() -> Self {
        Self { rtsp: "127.0.0.1:8554".to_owned() }
    }
}

/// Cycles that the ground truth file covers: one hour.
const TRUTH_CYCLES: usize = 4;
/// The seed of `sample-data/`.
pub const SAMPLE_SEED: u64 = 1;
/// Second 0 of the golden readings: 2026-01-01T07:00:00+07:00.
pub const SAMPLE_START: UnixMicros = 1_767_225_600_000_000;
/// Length of the golden readings.
const SAMPLE_MS: u64 = 60_000;

/// File contents by relative path, with `/` between folders.
pub type Files = BTreeMap<String, String>;

/// `sensors.csv`, `units.csv`, `cameras.csv`, `scenes/*.toml`, `map/*.geojson` and
/// `ground_truth.json` of a city.
pub fn sample_city(world: &World, anchors: &Anchors) -> Result<Files, Error> {
    let truth = serde_json::to_string_pretty(&ground_truth(world, TRUTH_CYCLES))
        .expect("a struct of texts and numbers is always JSON");
    let files = [
        ("sensors.csv", tables::sensors(world)?),
        ("units.csv", tables::units(world)?),
        ("cameras.csv", tables::cameras(world, &anchors.rtsp)?),
        ("map/units.geojson", geojson::units(world)),
        ("map/streets.geojson", geojson::streets(world)),
        ("map/river.geojson", geojson::river(world)),
        ("ground_truth.json", truth + "\n"),
    ];
    let scenes = world.cameras().iter().map(|camera| {
        let id = camera.camera_id.as_str();
        let geometry = Geometry::new(&CameraSpec::new(id, Codec::H264), world.seed());
        (format!("scenes/{id}.toml"), geometry.scene_file(id))
    });
    let files = files.into_iter().map(|(path, text)| (path.to_owned(), text));
    Ok(files.chain(scenes).collect())
}

/// Everything generated in `sample-data/`: the city of [`SAMPLE_SEED`], its first minute of
/// messages, and the manifest.
pub fn sample_data() -> Result<Files, Error> {
    let world = World::new(SAMPLE_SEED);
    let mut files = sample_city(&world, &Anchors::default())?;
    files.insert("readings-first-minute.jsonl".to_owned(), first_minute(&world));
    let manifest = manifest::of(&files);
    files.insert("manifest.toml".to_owned(), manifest);
    Ok(files)
}

/// Writes the city of `seed` into `directory`, replacing files that are there.
pub fn write_sample_city(directory: &Path, seed: u64, anchors: &Anchors) -> Result<(), Error> {
    write(directory, &sample_city(&World::new(seed), anchors)?)
}

/// Writes `sample-data/` anew.
pub fn write_sample_data(directory: &Path) -> Result<(), Error> {
    write(directory, &sample_data()?)
}

/// One line for each message: `{"topic":…,"payload":…}`, in the order of publishing.
fn first_minute(world: &World) -> String {
    let mut schedule = Schedule::new(world, 1.0);
    let mut lines = String::new();
    while let Some(due) = schedule.take_before(SAMPLE_MS) {
        let Some(message) = world.message(due.sensor, due.at_ms, SAMPLE_START) else { continue };
        // topics hold no character that JSON escapes, payloads are JSON already
        lines.push_str(r#"{"topic":""#);
        lines.push_str(&message.topic);
        lines.push_str(r#"","payload":"#);
        lines.push_str(&message.payload);
        lines.push_str("}\n");
    }
    lines
}

fn write(directory: &Path, files: &Files) -> Result<(), Error> {
    for (relative, text) in files {
        let path = directory.join(relative);
        let written = match path.parent() {
            Some(parent) => std::fs::create_dir_all(parent),
            None => Ok(()),
        };
        written
            .and_then(|()| replace_file(&path, text.as_bytes()))
            .map_err(|source| Error::WriteFile { path, source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
