//! The sample city as a person meets it: one command, a live wall, an alert acknowledged, a clip
//! that plays. Chromium is real.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

use crate::support::{Browser, command, free_port, screenshots, wait_until};

/// A running sample city; ended in order when dropped.
pub(crate) struct Demo {
    process: Child,
    pub(crate) http: SocketAddr,
    log: tempfile::NamedTempFile,
}

impl Demo {
    pub(crate) fn start() -> Self {
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let at = |port: u16| format!("127.0.0.1:{port}");
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = command(&["demo", "--http", &http.to_string()])
            .args(["--mqtt", &at(free_port()), "--rtsp", &at(free_port())])
            .stdout(Stdio::null())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        Self { process, http, log }
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let mut answer = ureq::get(format!("http://{}{path}", self.http)).call().ok()?;
        serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
    }

    pub(crate) fn sql(&self, sql: &str) -> Vec<Value> {
        let asked = ureq::post(format!("http://{}/api/v1/sql", self.http))
            .send_json(serde_json::json!({ "sql": sql }));
        let Ok(mut answer) = asked else { return Vec::new() };
        answer.body_mut().read_json().unwrap_or_default()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status());
        let begun = Instant::now();
        while self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            if begun.elapsed() > Duration::from_secs(15) {
                drop(self.process.kill());
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(self.process.wait());
    }
}

#[test]
fn the_sample_city_raises_its_scenarios_and_a_person_sees_them_acknowledges_and_plays_the_clip() {
    let demo = Demo::start();
    let begun = Instant::now();
    wait_until("the city is live", Duration::from_secs(60), || {
        demo.get("/readyz").is_some_and(|r| r["ready"] == true)
    });
    println!("live after {:.1} s", begun.elapsed().as_secs_f64());

    wait_until("three scenario alerts", Duration::from_secs(90), || {
        demo.sql("SELECT DISTINCT rule_id FROM alert_transitions WHERE state = 'firing'").len() >= 3
    });
    println!("three kinds of alert after {:.1} s", begun.elapsed().as_secs_f64());

    let sensors = demo.sql("SELECT count(DISTINCT sensor_id) AS n FROM readings");
    assert!(sensors[0]["n"].as_u64().is_some_and(|n| n >= 480), "sensors that speak: {sensors:?}");
    let cameras = demo
        .sql("SELECT count(DISTINCT camera_id) AS n FROM camera_events WHERE state = 'connected'");
    assert!(
        cameras[0]["n"].as_u64().is_some_and(|n| n >= 8),
        "cameras that deliver: {cameras:?}\n{}",
        demo.said()
    );

    let Some(browser) = Browser::with("drive.mjs") else { return };
    let driven = browser.drive(&[&format!("http://{}", demo.http), &screenshots()]);
    driven.with_context(|| demo.said()).unwrap();
}
