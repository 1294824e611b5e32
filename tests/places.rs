//! Cameras and their places: a register that grows while Vọng runs, and what an alert makes of it.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use vong_footage::{Footage, FootageConfig, FootageMetrics};
use vong_model::EventTime;
use vong_runtime::SystemClock;
use vong_telemetry::Metrics;

use crate::support::{Vong, command, free_port, wait_until};

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
    let live = vong.get("/api/v1/live/cameras/snapshot").unwrap();
    assert!(live.contains("STAYS") && !live.contains("COMES"), "{live}");
    std::thread::sleep(Duration::from_secs(5));
    let to = EventTime(now().0 - 3_000_000);
    assert_eq!((told(&vong, "STAYS", "connected"), told(&vong, "STAYS", "lost")), (1, 0));
    vong.stop().unwrap();

    let config = FootageConfig { dir: vong.path("data/footage"), ..FootageConfig::default() };
    let metrics = FootageMetrics::new(&Metrics::new());
    let (footage, _) = Footage::open(config, Arc::new(SystemClock), metrics).unwrap();
    assert_eq!(footage.coverage(&"STAYS".into(), from, to), [], "from {from} to {to}");
    let stopped = footage.span(&"COMES".into()).unwrap().1;
    assert!(stopped < to, "COMES was recorded until {stopped}, long after it had gone");
}
