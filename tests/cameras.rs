//! Cameras of an independent maker: a GStreamer server plays real footage, ffprobe judges the clips.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Vong, free_port, has_program, shared, wait_until};

/// A GStreamer RTSP server with one camera per file; ended when dropped.
pub(crate) struct Farm {
    process: Child,
    pub(crate) port: u16,
}

impl Farm {
    pub(crate) fn start(script: &Path, files: &[&Path]) -> Self {
        let port = free_port();
        let mut process = Command::new("/usr/bin/python3")
            .arg(script)
            .args([port.to_string(), files.len().to_string()])
            .args(files)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let told = BufReader::new(process.stdout.take().unwrap());
        assert!(
            told.lines().map_while(Result::ok).any(|line| line == "ready"),
            "GStreamer server did not start"
        );
        Self { process, port }
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

pub(crate) fn cameras(port: u16, extra: &str) -> String {
    let mut csv = String::from("camera_id,name_vi,name_en,lon,lat,heading_deg,unit_code,url\n");
    for n in 0..2 {
        csv.push_str(&format!(
            "CAM-{n},Máy {n},Camera {n},105.9,18.34,0,U1,rtsp://127.0.0.1:{port}/cam00{n}\n"
        ));
    }
    csv + extra
}

/// What ffprobe says of the first video stream of `file`, frames counted by decoding.
pub(crate) fn probe(file: &Path) -> Value {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-count_frames",
            "-show_streams",
            "-show_packets",
        ])
        .args(["-show_format", "-of", "json"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "ffprobe: {}", String::from_utf8_lossy(&output.stderr));
    assert!(
        output.stderr.is_empty(),
        "ffprobe complains: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A file must play the seconds asked for and all frames of them, `rate` a second. Its length alone
/// would not tell, because the frame before a hole is shown for as long as the hole. A third of a
/// second is left for a busy machine, on which our clock is set anew; a lost group is more.
pub(crate) fn assert_unbroken(file: &Path, seconds: f64, rate: f64) {
    let probed = probe(file);
    let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let (plays, frames) =
        (number(&probed["format"]["duration"]), number(&probed["streams"][0]["nb_read_frames"]));
    println!("{}: {plays} s and {frames} frames of {seconds} s asked", file.display());
    assert!((plays - seconds).abs() <= 0.33, "{plays} s of {seconds}");
    assert!((frames / rate - seconds).abs() <= 0.33, "{frames} frames in {seconds} s");
}

pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(0))
}

fn check_transport(transport: &str) {
    let (Some(script), Some(video)) = (shared("tools/gst_rtsp_farm.py"), shared("data/video"))
    else {
        return;
    };
    if !has_program("ffprobe") || !has_program("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (h264, h265) =
        (video.join("traffic_tfl_a13_h264_gop2s.mp4"), folder.path().join("h265.mp4"));
    let encoded = Command::new("ffmpeg")
        .args(["-v", "error", "-t", "20", "-i"])
        .arg(&h264)
        .args(["-an", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params"])
        .args([
            "bframes=0:keyint=50:min-keyint=50:scenecut=0:open-gop=0:log-level=none",
            "-tag:v",
            "hvc1",
        ])
        .arg(&h265)
        .status()
        .unwrap();
    assert!(encoded.success());
    let farm = Farm::start(&script, &[&h264, &h265]);
    let mut vong = Vong::new(&format!("[video]\ntransport = \"{transport}\"\n")).unwrap();
    vong.write("cameras.csv", &cameras(farm.port, "")).unwrap();
    vong.start().unwrap();
    wait_until("both cameras connected", Duration::from_secs(30), || {
        vong.number(
            "SELECT count(DISTINCT camera_id) AS n FROM camera_events WHERE state = 'connected'",
        )
        .unwrap()
            == 2
    });
    std::thread::sleep(Duration::from_secs(16));
    let (from, to) = (now_ms() - 11_300, now_ms() - 5_100);
    for (camera, codec) in [("CAM-0", "h264"), ("CAM-1", "hevc")] {
        let clip = vong
            .get_bytes(&format!("/api/v1/cameras/{camera}/clip.mp4?from_ms={from}&to_ms={to}"))
            .unwrap();
        let file = folder.path().join(format!("{camera}.mp4"));
        std::fs::write(&file, &clip).unwrap();
        let probed = probe(&file);
        assert_eq!(probed["streams"][0]["codec_name"], codec);
        assert!(
            probed["packets"][0]["flags"].as_str().unwrap().starts_with('K'),
            "starts at a key frame"
        );
        assert_unbroken(&file, (to - from) as f64 / 1_000.0, 25.0);
    }
    vong.stop().unwrap();
    let (told, sound) = vong.run(&["fsck", "--data", vong.path("data").to_str().unwrap()]).unwrap();
    assert!(sound, "{told}");
}

#[test]
fn clips_of_gstreamer_cameras_over_tcp_have_their_codec_key_frame_and_length() {
    check_transport("tcp");
}

#[test]
fn clips_of_gstreamer_cameras_over_udp_have_their_codec_key_frame_and_length() {
    check_transport("udp");
}

#[test]
fn a_camera_that_sends_garbage_or_is_not_there_is_told_and_hinders_no_other() {
    let (Some(script), Some(video)) = (shared("tools/gst_rtsp_farm.py"), shared("data/video"))
    else {
        return;
    };
    if !has_program("ffprobe") {
        return;
    }
    let h264 = video.join("traffic_tfl_a13_h264_gop2s.mp4");
    let farm = Farm::start(&script, &[&h264, &h264]);
    let garbage = free_port();
    let listener = std::net::TcpListener::bind(("127.0.0.1", garbage)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten().take(50) {
            use std::io::Write as _;
            let mut stream = stream;
            drop(stream.write_all(&[
                0x24, 0xff, 0x00, 0x05, 1, 2, 3, b'R', b'T', b'S', b'P', 0, 0xff, b'\r', b'\n',
            ]));
        }
    });
    let bad = format!(
        "CAM-G,g,g,105.9,18.34,0,U1,rtsp://127.0.0.1:{garbage}/x\n\
         CAM-N,n,n,105.9,18.34,0,U1,rtsp://127.0.0.1:{}/x\n\
         CAM-W,w,w,105.9,18.34,0,U1,rtsp://127.0.0.1:{}/wrong\n",
        free_port(),
        farm.port
    );
    let mut vong = Vong::new("").unwrap();
    vong.write("cameras.csv", &cameras(farm.port, &bad)).unwrap();
    vong.start().unwrap();
    let states = "SELECT camera_id, state, detail FROM camera_events WHERE about = 'connection' ORDER BY camera_id";
    wait_until("every camera has said what it is", Duration::from_secs(40), || {
        vong.sql(states).unwrap().len() >= 5
    });
    let rows = vong.sql(states).unwrap();
    let state = |camera: &str| {
        rows.iter().find(|row| row["camera_id"] == camera).unwrap_or(&Value::Null)["state"].clone()
    };
    assert_eq!([state("CAM-0"), state("CAM-1")], ["connected", "connected"]);
    assert_eq!(
        [state("CAM-G"), state("CAM-N"), state("CAM-W")],
        ["lost", "lost", "refused"],
        "{rows:?}"
    );
    // The bad ones are tried again and again meanwhile.
    std::thread::sleep(Duration::from_secs(15));
    let (from, to) = (now_ms() - 14_000, now_ms() - 5_000);
    for camera in ["CAM-0", "CAM-1"] {
        let path = format!("/api/v1/cameras/{camera}/clip.mp4?from_ms={from}&to_ms={to}");
        let file = vong.path(&format!("{camera}.mp4"));
        std::fs::write(&file, vong.get_bytes(&path).unwrap()).unwrap();
        assert_unbroken(&file, (to - from) as f64 / 1_000.0, 25.0);
    }
    let tried = "SELECT count(DISTINCT camera_id) AS n FROM camera_events \
                 WHERE about = 'connection' AND state = 'lost'";
    assert_eq!(vong.number(tried).unwrap(), 2);
    vong.stop().unwrap();
}
