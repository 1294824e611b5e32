//! Cameras and their places: a register that grows while Vọng runs, and what an alert makes of it.

use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use vong_footage::{ClipForm, Footage, FootageConfig, FootageMetrics};
use vong_model::EventTime;
use vong_runtime::SystemClock;
use vong_telemetry::Metrics;

use crate::clips::grey;
use crate::demo::Demo;
use crate::support::{Browser, Vong, command, free_port, has_program, screenshots, wait_until};

/// Frames a second of the sample city's cameras.
const SAMPLE_RATE: f64 = 10.0;

/// The sensors and cameras of the sample city without an engine; ended when dropped.
struct City {
    process: Child,
    rtsp: u16,
    _directory: tempfile::TempDir,
}

impl City {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (rtsp, mqtt) = (free_port(), free_port());
        let at = |port: u16| format!("127.0.0.1:{port}");
        let process = command(&["demo", "--mqtt", &at(mqtt), "--rtsp", &at(rtsp), "--data"])
            .arg(directory.path())
            .arg("city")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the city's cameras listen", Duration::from_secs(30), || {
            std::net::TcpStream::connect(("127.0.0.1", rtsp)).is_ok()
        });
        Self { process, rtsp, _directory: directory }
    }
}

impl Drop for City {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn now() -> EventTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    EventTime(since.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(0)))
}

fn reload(vong: &Vong) {
    let pid = vong.pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
}

/// How often the camera was said to be in this state.
fn told(vong: &Vong, camera: &str, state: &str) -> u64 {
    let sql = format!(
        "SELECT count(*) AS n FROM camera_events WHERE camera_id = '{camera}' AND state = '{state}'"
    );
    vong.number(&sql).unwrap()
}

fn import(vong: &Vong, rows: &str, flags: &[&str]) -> (String, bool) {
    // As a spreadsheet set to Vietnamese writes it.
    let header = "\u{feff}camera_id;name_vi;lon;lat;heading_deg;unit_code;url\r\n";
    vong.write("new.csv", &format!("{header}{rows}")).unwrap();
    let file = vong.path("new.csv");
    let config = vong.path("vong.toml");
    let mut arguments = vec!["camera", "import", file.to_str().unwrap(), "--config"];
    arguments.push(config.to_str().unwrap());
    arguments.extend(flags);
    vong.run(&arguments).unwrap()
}

#[test]
fn cameras_come_change_and_go_while_the_others_are_recorded_without_a_gap() {
    let city = City::start();
    let rtsp = city.rtsp;
    let mut vong = Vong::new("").unwrap();
    let old = format!(
        "camera_id,name_vi,name_en,lon,lat,heading_deg,unit_code,url\n\
         STAYS,a,a,105.9,18.34,0,U1,rtsp://127.0.0.1:{rtsp}/CAM-01/main\n\
         MOVES,b,b,105.9,18.34,0,U1,rtsp://127.0.0.1:{rtsp}/CAM-02/main\n"
    );
    vong.write("cameras.csv", &old).unwrap();
    vong.start().unwrap();
    let wait = |vong: &Vong, camera: &str, state: &str, times: u64| {
        wait_until(&format!("{camera} {state}"), Duration::from_secs(30), || {
            told(vong, camera, state) >= times
        });
    };
    wait(&vong, "STAYS", "connected", 1);
    wait(&vong, "MOVES", "connected", 1);
    std::thread::sleep(Duration::from_secs(3)); // the first group of pictures is whole
    let from = now();

    let bad = "COMES;c;105,9;x;0;U1;rtsp://127.0.0.1/y\r\n";
    let (said, held) = import(&vong, bad, &[]);
    assert!(!held && said.contains("new.csv:2:15: lat is not a number: 'x'"), "{said}");
    let rows = format!(
        "COMES;c;105,9;18,34;0;U1;rtsp://u:p@127.0.0.1:{rtsp}/CAM-03/main\r\n\
         MOVES;b;105,9;18,34;0;U1;rtsp://127.0.0.1:{rtsp}/CAM-04/main\r\n\
         STAYS;new name;105,9;18,34;90;U1;rtsp://127.0.0.1:{rtsp}/CAM-01/main\r\n"
    );
    let (said, held) = import(&vong, &rows, &[]);
    assert!(held && said.contains("1 new, 2 changed, 0 unchanged, 0 removed"), "{said}");
    reload(&vong);
    wait(&vong, "COMES", "connected", 1);
    wait(&vong, "MOVES", "connected", 2);
    let named =
        "SELECT count(*) AS n FROM cameras WHERE camera_id = 'STAYS' AND name_vi = 'new name'";
    assert_eq!(vong.number(named).unwrap(), 1);
    let listed = vong.get("/api/v1/cameras").unwrap();
    assert!(listed.contains("\"heading_deg\":90.0") && !listed.contains("rtsp:"), "{listed}");

    let whole = format!("STAYS;new name;105,9;18,34;90;U1;rtsp://127.0.0.1:{rtsp}/CAM-01/main\r\n");
    let (said, held) = import(&vong, &whole, &["--whole"]);
    assert!(held && said.contains("0 new, 0 changed, 1 unchanged, 2 removed"), "{said}");
    reload(&vong);
    wait_until("the others have gone", Duration::from_secs(20), || {
        vong.get("/api/v1/cameras").is_ok_and(|listed| !listed.contains("COMES"))
    });
    wait(&vong, "COMES", "removed", 1);
    // Live views follow the log on their own.
    wait_until("it has left the live view", Duration::from_secs(20), || {
        let live = vong.get("/api/v1/live/cameras/snapshot").unwrap();
        live.contains("STAYS") && !live.contains("COMES")
    });
    std::thread::sleep(Duration::from_secs(5));
    let to = EventTime(now().0 - 3_000_000);
    assert_eq!((told(&vong, "STAYS", "connected"), told(&vong, "STAYS", "lost")), (1, 0));
    vong.stop().unwrap();

    let config = FootageConfig { dir: vong.path("data/footage"), ..FootageConfig::default() };
    let metrics = FootageMetrics::new(&Metrics::new());
    let (footage, _) = Footage::open(config, Arc::new(SystemClock), metrics).unwrap();
    let clip = footage.clip(&"STAYS".into(), from, to, ClipForm::Faststart).unwrap();
    assert_eq!(clip.gaps(), [], "from {from} to {to}");
    // Less than a second without frames is no gap yet; two reloads must not cost that either.
    let due = (to.0 - from.0) as f64 / 1e6 * SAMPLE_RATE;
    assert!((clip.frames() as f64 - due).abs() <= 6.0, "{} frames of {due}", clip.frames());
    let stopped = footage.span(&"COMES".into()).unwrap().1;
    assert!(stopped < to, "COMES was recorded until {stopped}, long after it had gone");
}

/// The time of day, s, in a name like `CAM-02_20261123-163659.904.png`.
fn clock(name: &Value) -> f64 {
    let (_, time) = name.as_str().unwrap().rsplit_once('-').unwrap();
    let number = |range: Range<usize>| time[range].parse::<f64>().unwrap();
    number(0..2) * 3_600.0 + number(2..4) * 60.0 + number(4..10)
}

/// Which picture of a film is most like a still, both grey and of the still's size.
fn nearest(film: &[u8], still: &[u8]) -> u64 {
    let apart = |picture: &[u8]| -> u64 {
        let dots = picture.iter().zip(still);
        dots.map(|(one, other)| u64::from(one.abs_diff(*other)).pow(2)).sum()
    };
    let all = film.chunks_exact(still.len()).map(apart).enumerate();
    let (index, apart) = all.min_by_key(|(_, apart)| *apart).unwrap();
    println!("the still is picture {index}, {apart} squares of a shade off");
    index as u64
}

/// An alert whose best clip is H.264 and complete, with ten seconds behind it; and that clip's id.
fn ready_case(demo: &Demo) -> Option<(String, String)> {
    let cases = demo.get("/api/v1/review?state=open")?;
    let now_ms = now().millis();
    let ready = |case: &&Value| {
        let best = &case["clips"][0];
        let old = best["to_ms"].as_i64().is_some_and(|to| to + 14_000 < now_ms);
        let h265 = matches!(best["camera_id"].as_str(), Some("CAM-09" | "CAM-10"));
        old && !h265 && best["view_quality"].is_number()
    };
    let case = cases.as_array()?.iter().find(ready)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some((text(&case["alert_id"])?, text(&case["clips"][0]["clip_id"])?))
}

#[test]
fn a_reviewer_steps_through_the_clip_of_an_alert_and_the_decision_stands_in_sql() {
    let demo = Demo::start();
    let mut found = None;
    wait_until("an alert with a complete clip", Duration::from_secs(150), || {
        found = ready_case(&demo);
        found.is_some()
    });
    let (alert_id, clip_id) = found.unwrap();

    let joined = demo.sql(&format!(
        "SELECT c.clip_id, a.rule_id, f.camera_id AS facing FROM clips c JOIN alerts a \
         ON a.alert_id = c.alert_id JOIN sensors s ON s.sensor_id = a.sensor_id \
         JOIN cameras f ON f.camera_id = c.camera_id WHERE c.alert_id = '{alert_id}' \
         AND round(camera_view(f.lon, f.lat, f.heading_deg, f.fov_deg, f.range_m, s.lon, s.lat), 6) \
         = round(c.view_quality, 6)"
    ));
    assert!(joined.iter().any(|row| row["clip_id"] == clip_id.as_str()), "{joined:?}");

    let Some(browser) = Browser::with("review.mjs") else { return };
    let shots = screenshots();
    let driven = browser.drive(&[&format!("http://{}", demo.http), &alert_id, &shots]);
    let seen = driven.with_context(|| demo.said()).unwrap();

    let exported = std::fs::read(shots.join("export.mp4")).unwrap();
    let url = format!("http://{}/api/v1/clips/{clip_id}.mp4", demo.http);
    let clip = ureq::get(url).call().unwrap().body_mut().read_to_vec().unwrap();
    assert!(exported == clip, "{} exported bytes, {} of the clip", exported.len(), clip.len());
    let seen: Value = serde_json::from_str(&seen).unwrap();
    let png = std::fs::read(shots.join("snapshot.png")).unwrap();
    let number =
        |at: usize| png[at..at + 4].iter().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
    assert_eq!(seen["size"], serde_json::json!([number(16), number(20)])); // IHDR
    if has_program("ffmpeg") {
        let pictures = [grey(&shots.join("export.mp4")), grey(&shots.join("snapshot.png"))];
        let [film, still] = pictures.map(|file| std::fs::read(file).unwrap());
        // Both are named after their instants; the film begins with the frame on screen at its own.
        let after = clock(&seen["snapshot.png"]) - clock(&seen["export.mp4"]);
        let frame = (after.rem_euclid(86_400.0) * SAMPLE_RATE - 1e-6).ceil();
        // One is left for a busy machine, on which our clock is set anew.
        assert!((nearest(&film, &still) as f64 - frame).abs() <= 1.0, "{seen}");
    }

    let decided = demo.sql(&format!(
        "SELECT decision, decided_by, note FROM reviews WHERE alert_id = '{alert_id}'"
    ));
    let expected = serde_json::json!([{
        "decision": "violation", "decided_by": "local", "note": "vượt đèn đỏ, 38A-12345"
    }]);
    assert_eq!(Value::Array(decided), expected);
    let open = demo.get("/api/v1/review?state=open").unwrap();
    assert!(!open.to_string().contains(&alert_id), "a decided case is still open");
    // What an agency is shown is cut to its cameras before it is cut to a number.
    let of = |cameras: &str| {
        let seen = demo.sql(&format!(
            "SELECT count(*) AS n FROM reviews WHERE alert_id = '{alert_id}' AND alert_id IN \
             (SELECT alert_id FROM clips WHERE CAST(camera_id AS VARCHAR) IN ({cameras}))"
        ));
        seen[0]["n"].as_u64().unwrap()
    };
    let cameras = demo.sql(&format!(
        "SELECT CAST(camera_id AS VARCHAR) AS id FROM clips WHERE alert_id = '{alert_id}' LIMIT 1"
    ));
    assert_eq!((of(&format!("'{}'", cameras[0]["id"].as_str().unwrap())), of("'CAM-X'")), (1, 0));
    // The engine did not take the decision for an act on the alert.
    let steps = demo.sql(&format!(
        "SELECT count(*) AS n FROM alert_transitions WHERE alert_id = '{alert_id}' AND actor = 'local'"
    ));
    assert_eq!(steps[0]["n"], 0);
}
