//! Walls of camera tiles in a real browser: sixteen and sixty-four cameras out of the ten streams of
//! the sample city.

use std::fmt::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::support::{Browser, Vong, command, figure, free_port, screenshots, wait_until};

/// The sample city alone; ended when dropped.
struct City {
    process: Child,
    directory: tempfile::TempDir,
}

impl City {
    fn start() -> Self {
        let at = |port: u16| format!("127.0.0.1:{port}");
        let directory = tempfile::tempdir().unwrap();
        let process = command(&["demo", "--mqtt", &at(free_port()), "--rtsp", &at(free_port())])
            .arg("--data")
            .arg(directory.path())
            .arg("city")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, directory }
    }

    /// So many cameras of eight in H.264 and two with a sub-stream, over and over, and at the end one in
    /// H.265 alone. Without places, so that no alert chooses among them.
    fn cameras(&self, count: usize) -> String {
        let file = self.directory.path().join("cameras.csv");
        wait_until("the city's register", Duration::from_secs(30), || {
            std::fs::read_to_string(&file).is_ok_and(|text| text.lines().count() >= 11)
        });
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines = text.lines();
        let head: Vec<_> = lines.next().unwrap().split(',').collect();
        let column = |name: &str| head.iter().position(|known| *known == name).unwrap();
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        let (url, live) = (column("url"), column("live_url"));
        let mut csv =
            String::from("camera_id,name_vi,name_en,lon,lat,heading_deg,unit_code,url,live_url\n");
        for number in 1..=count {
            let (source, has_sub) =
                if number == count { (9, false) } else { ((number - 1) % 10, true) };
            let (url, live) = (rows[source][url], if has_sub { rows[source][live] } else { "" });
            writeln!(
                csv,
                "CAM-{number:02},Máy {number},Camera {number},105.9,18.34,0,U1,{url},{live}"
            )
            .unwrap();
        }
        csv
    }
}

impl Drop for City {
    fn drop(&mut self) {
        drop(self.process.kill()); // the browser may have ended it
        drop(self.process.wait());
    }
}

/// Drives the browser over a wall of so many cameras; gives what it saw.
fn drive(cameras: usize) -> Option<Value> {
    let browser = Browser::with("wall.mjs")?;
    let city = City::start();
    let mut vong = Vong::new("").unwrap();
    vong.write("cameras.csv", &city.cameras(cameras)).unwrap();
    vong.start().unwrap();
    let (pid, tiles) = (city.process.id().to_string(), cameras.to_string());
    let driven = browser.drive(&[&vong.url(""), &screenshots(), &pid, &tiles]);
    let seen = driven.with_context(|| vong.said()).unwrap();
    Some(serde_json::from_str(&seen).unwrap())
}

#[test]
fn sixteen_tiles_play_in_a_browser_that_decodes_and_in_one_that_does_not() {
    if let Some(seen) = drive(16) {
        tell(&seen);
    }
}

#[test]
fn sixty_four_tiles_all_show_pictures() {
    if let Some(seen) = drive(64) {
        let of = |share: &str| seen["many"]["glass_to_glass"][share].as_f64().unwrap();
        let slow = seen["slow"].as_f64().unwrap();
        figure("wall of 64: tiles that get key frames alone / tiles", "tiles", (slow, 64.0), 1.0);
        // Nothing is promised for so many without a graphics processor; a second is still alive.
        figure("wall of 64: glass to glass, p50 / p99", "ms", (of("p50"), of("p99")), 1_000.0);
    }
}

/// What the browser measured: decoded frames against Media Source, in the same minutes.
fn tell(seen: &Value) {
    for (share, below) in [("p50", 150.0), ("p99", 150.0)] {
        let of = |form: &str| seen[form]["glass_to_glass"][share].as_f64().unwrap();
        let name = format!("wall of 16: glass to glass, {share} / Media Source");
        figure(&name, "ms", (of("frames"), of("fragments")), below);
    }
    // Ten pictures a second, for eight seconds.
    let left_out = (80.0 - seen["frames"]["fewest"].as_f64().unwrap()).max(0.0);
    figure("wall of 16: pictures the worst tile left out / due", "pictures", (left_out, 80.0), 8.0);
    let pause = seen["frames"]["longest_pause_ms"].as_f64().unwrap();
    figure("wall of 16: longest pause of a tile / between pictures", "ms", (pause, 100.0), 1_000.0);
    let of = |share: &str| seen["motion"]["glass_to_glass"][share].as_f64().unwrap();
    let name = "wall of 16: H.265 enlarged, glass to glass, p50 / p99";
    figure(name, "ms", (of("p50"), of("p99")), 150.0);
    // All at once: on a page that opens, and on one that was hidden.
    let starts = |of: &Value| serde_json::from_value::<Vec<f64>>(of.clone()).unwrap();
    let middle = |of: &[f64]| of[(of.len() - 1) / 2];
    let baseline = starts(&seen["fragments"]["starts_ms"]);
    let alone = seen["large_start_ms"].as_f64().unwrap();
    let row = |what: &str, ours: f64, baseline: f64| {
        figure(&format!("wall of 16: {what} / Media Source"), "ms", (ours, baseline), 200.0);
    };
    row("a tile starts alone", alone, middle(&baseline));
    for (when, took) in
        [("the page opens", &seen["frames"]["starts_ms"]), ("it is shown again", &seen["again_ms"])]
    {
        let took = starts(took);
        row(&format!("16 tiles start as {when}, the middle one"), middle(&took), middle(&baseline));
        row(
            &format!("16 tiles start as {when}, the last"),
            took[took.len() - 1],
            baseline[baseline.len() - 1],
        );
    }
}
