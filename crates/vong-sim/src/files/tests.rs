//! The committed copy in `sample-data/` is exactly what the generator makes.

use std::path::PathBuf;

use super::*;

fn committed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../sample-data")
}

#[test]
fn sample_data_is_regenerated_byte_for_byte() {
    let generated = sample_data().unwrap();
    let bytes: usize = generated.values().map(String::len).sum();
    assert!(bytes <= 10 << 20, "{bytes} bytes are more than 10 MiB");
    for (path, text) in &generated {
        let on_disk = std::fs::read(committed().join(path)).unwrap_or_default();
        assert!(
            on_disk == text.as_bytes(),
            "sample-data/{path} differs; run: cargo run -p vong-sim --example sample_data"
        );
    }
}

#[test]
fn manifest_lists_every_file_of_the_folder() {
    let manifest: toml::Table =
        std::fs::read_to_string(committed().join("manifest.toml")).unwrap().parse().unwrap();
    let listed = manifest["file"].as_array().unwrap().len();
    let here = |dir: PathBuf| {
        let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
        entries.filter(|p| p.is_file()).count()
    };
    // all files but the manifest itself and the README
    let folders = ["map", "scenes"].map(|folder| here(committed().join(folder)));
    assert_eq!(listed, here(committed()) + folders.iter().sum::<usize>() - 2);
}

#[test]
fn written_city_reads_back_as_its_assets() {
    let dir = tempfile::tempdir().unwrap();
    let anchors = Anchors { rtsp: "127.0.0.1:9554".to_owned() };
    write_sample_city(dir.path(), 1, &anchors).unwrap();
    let mut sensors = csv::Reader::from_path(dir.path().join("sensors.csv")).unwrap();
    let rows: Vec<_> = sensors.records().map(Result::unwrap).collect();
    let assets = World::new(1).assets(&anchors.rtsp);
    assert_eq!(rows.len(), assets.sensors.len());
    for row in rows {
        let sensor = &assets.sensors[&row[0]];
        assert_eq!((&row[1], &row[2]), (sensor.kind.as_str(), sensor.name_vi.as_str()));
        assert_eq!(row[4].parse::<f64>().unwrap(), sensor.place.lon);
    }
    let cameras = std::fs::read_to_string(dir.path().join("cameras.csv")).unwrap();
    assert!(cameras.contains("rtsp://127.0.0.1:9554/CAM-09/sub"));
}

#[test]
fn maps_are_geojson_with_closed_rings() {
    let files = sample_city(&World::new(1), &Anchors::default()).unwrap();
    let check = |path: &str, features: usize| {
        let map: serde_json::Value = serde_json::from_str(&files[path]).unwrap();
        assert_eq!(map["simulated"], true);
        let all = map["features"].as_array().unwrap();
        assert!(all.len() >= features, "{path}: {}", all.len());
        for feature in all {
            let geometry = &feature["geometry"];
            if geometry["type"] == "Polygon" {
                let ring = geometry["coordinates"][0].as_array().unwrap();
                assert_eq!(ring.first(), ring.last());
                assert!(signed_area(ring) > 0.0, "{path}: outer rings run counter-clockwise");
            }
        }
    };
    check("map/units.geojson", 6);
    check("map/streets.geojson", 24);
    check("map/river.geojson", 2);
}

fn signed_area(ring: &[serde_json::Value]) -> f64 {
    let at = |p: &serde_json::Value, i: usize| p[i].as_f64().unwrap();
    let cross = |pair: &[serde_json::Value]| {
        at(&pair[0], 0) * at(&pair[1], 1) - at(&pair[1], 0) * at(&pair[0], 1)
    };
    ring.windows(2).map(cross).sum()
}
