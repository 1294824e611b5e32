//! Names and passwords of cameras appear in nothing that leaves the process, whatever a camera does
//! with them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vong_runtime::SystemClock;
use vong_testkit::camera::{
    Answer, CameraSpec, Codec, FakeCamera, FakeFarm, Fault, Login, Method, Reel, Script, loopback,
};

use crate::support::{Vong, wait_until};

const USERNAME: &str = "canhsat-4471";
const PASSWORD: &str = "mat-khau-Zq9xW3";
/// `USERNAME:PASSWORD` as basic access sends it.
const BASIC: &str = "Y2FuaHNhdC00NDcxOm1hdC1raGF1LVpxOXhXMw==";

fn cameras() -> Vec<FakeCamera> {
    let spec = CameraSpec { width: 160, height: 90, ..CameraSpec::new("S", Codec::H264) };
    let reel = Arc::new(Reel::film(&spec, 1, 20).unwrap());
    let (username, password) = (USERNAME.to_owned(), PASSWORD.to_owned());
    let basic = Login::Basic { username: username.clone(), password: password.clone() };
    let digest = Login::Digest { username: username.clone(), password, stale: 1 };
    let other = Login::Digest { username, password: "another".to_owned(), stale: 0 };
    let echo = |method| Script::answer(method, Answer::Echo);
    let broken =
        format!("RTSP/1.0 200 {USERNAME} {PASSWORD}\r\nX: {BASIC}\r\n{PASSWORD}\0\r\n\r\n");
    let telling = format!(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\na=control:*\r\n\
         m=video 0 RTP/AVP 97\r\na=rtpmap:97 {PASSWORD}/90000\r\na=control:{USERNAME}\r\n"
    );
    let plans = [
        (basic.clone(), Script::default()),
        (digest.clone(), Script::default()),
        (other, Script::default()),
        (basic.clone(), echo(Method::Describe)),
        (digest, echo(Method::Setup)),
        (basic.clone(), echo(Method::Play)),
        (basic.clone(), Script::answer(Method::Describe, Answer::Bytes(broken.into_bytes()))),
        (basic.clone(), Script::answer(Method::Setup, Answer::Truncated)),
        (basic.clone(), Script::answer(Method::Describe, Answer::Description(telling))),
        (basic, Script::stream(5, Fault::Garbage)),
    ];
    let plans = plans.into_iter().enumerate();
    plans
        .map(|(index, (login, script))| FakeCamera {
            login,
            script,
            ..FakeCamera::new(loopback(30_000 + u16::try_from(index).unwrap()), Arc::clone(&reel))
        })
        .collect()
}

/// Fails where `text` holds a secret.
fn check(what: &str, text: &str) {
    for secret in [USERNAME, PASSWORD, BASIC] {
        let line = text.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{what} holds {secret}: {line:?}");
    }
}

fn check_files(directory: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += check_files(&path);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            check(&path.display().to_string(), &String::from_utf8_lossy(&bytes));
            files += 1;
        }
    }
    files
}

#[test]
fn logins_of_cameras_appear_nowhere() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let farm = runtime.block_on(FakeFarm::start(cameras(), Arc::new(SystemClock))).unwrap();
    // Everything that can be logged is.
    let mut vong = Vong::new("[telemetry]\nlog_filter = \"trace\"\n").unwrap();
    let mut csv = String::from("camera_id,name_vi,name_en,lon,lat,heading_deg,unit_code,url\n");
    for index in 0..farm.len() {
        csv.push_str(&format!("CAM-{index},m,c,105.9,18.34,0,U1,{}\n", farm.url(index)));
    }
    vong.write("cameras.csv", &csv).unwrap();
    let logins = format!("[default]\nusername = \"{USERNAME}\"\npassword = \"{PASSWORD}\"\n");
    vong.write("camera-logins.toml", &logins).unwrap();
    vong.start().unwrap();
    let told = "SELECT camera_id, state, detail FROM camera_events";
    wait_until("every camera has said what it is", Duration::from_secs(60), || {
        vong.number("SELECT count(DISTINCT camera_id) AS n FROM camera_events").unwrap()
            == farm.len() as u64
            && vong.metric("vong_rtsp_failures_total") >= 12
    });
    let rows = format!("{:?}", vong.sql(told).unwrap());
    assert!(
        rows.contains("connected") && rows.contains("log-in that is missing or wrong"),
        "{rows}"
    );
    assert!(rows.contains("***"), "no camera repeated what it was sent: {rows}");
    check("camera_events", &rows);
    for path in ["/metrics", "/api/v1/cameras", "/api/v1/about", "/api/v1/openapi.json"] {
        check(path, &vong.get(path).unwrap());
    }
    for index in 0..farm.len() {
        let body = serde_json::json!({
            "url": farm.url(index), "username": USERNAME, "password": PASSWORD, "seconds": 1
        });
        let mut answer = ureq::post(vong.url("/api/v1/cameras/probe"))
            .config()
            .http_status_as_error(false)
            .build()
            .send_json(body)
            .unwrap();
        check("answer of a probe", &answer.body_mut().read_to_string().unwrap());
    }
    for body in [
        format!("{{\"url\":1,\"password\":\"{PASSWORD}\"}}"),
        format!("{{\"{PASSWORD}\":1}}"),
        PASSWORD.to_owned(),
    ] {
        let mut answer = ureq::post(vong.url("/api/v1/cameras/probe"))
            .config()
            .http_status_as_error(false)
            .build()
            .header("content-type", "application/json")
            .send(body)
            .unwrap();
        assert_eq!(answer.status(), 400);
        check("refusal of a probe", &answer.body_mut().read_to_string().unwrap());
    }
    vong.write("password", &format!("{PASSWORD}\n")).unwrap();
    let file = vong.path("password");
    for index in [0, 1, 2, 3, 6] {
        let url = farm.url(index);
        let arguments = ["camera", "probe", &url, "--username", USERNAME, "--seconds", "1"];
        let file = ["--password-file", file.to_str().unwrap()];
        let (told, usable) = vong.run(&[&arguments[..], &file[..]].concat()).unwrap();
        check("vong camera probe", &told);
        assert_eq!(usable, index < 2, "{told}");
    }
    vong.stop().unwrap();
    check("what vong logged", &vong.said());
    assert!(vong.said().len() > 2_000, "nothing was logged");
    let files = check_files(&vong.path("data"));
    println!("searched {} bytes of log lines and {files} files", vong.said().len());
    runtime.block_on(farm.stop());
}
