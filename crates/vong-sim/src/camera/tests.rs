//! A running farm, watched by clients that are not ours: ffprobe, ffmpeg, retina, and a bare
//! socket for what they would never send.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use retina::client::{PlayOptions, Session, SessionOptions, SetupOptions, Transport};
use retina::codec::CodecItem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use vong_runtime::{Clock, OnFailure, Shutdown, SystemClock, Tasks};

use super::*;
use crate::scene::{RoadState, Scene};

#[derive(Debug, Default)]
struct Road {
    offline: AtomicBool,
}

impl Scene for Road {
    fn road(&self, _camera: &str, _at_s: f64) -> RoadState {
        RoadState { speed_kmh: 40.0, flow_per_min: 60.0, occupancy: 0.2, stopped_vehicles: 0 }
    }

    fn is_frozen(&self, _camera: &str, _at_s: f64) -> bool {
        false
    }

    fn is_offline(&self, camera: &str, _at_s: f64) -> bool {
        camera == "CAM-06" && self.offline.load(Ordering::SeqCst)
    }
}

struct Running {
    tasks: Tasks,
    farm: FarmHandle,
    road: Arc<Road>,
}

fn start(change: impl FnOnce(&mut FarmConfig)) -> Running {
    let cameras = vec![
        CameraSpec::new("CAM-01", Codec::H264),
        CameraSpec::new("CAM-06", Codec::H264),
        CameraSpec::new("CAM-09", Codec::H265),
        CameraSpec { sub: true, width: 320, height: 180, ..CameraSpec::new("CAM-09", Codec::H264) },
    ];
    let mut config = FarmConfig::new("127.0.0.1:0".parse().unwrap(), cameras, 7);
    change(&mut config);
    let (road, clock) = (Arc::new(Road::default()), Arc::new(SystemClock));
    let anchor = clock.now();
    let scene: Arc<dyn Scene> = Arc::<Road>::clone(&road);
    let farm = CameraFarm::new(config, scene, clock, anchor).unwrap();
    let handle = farm.handle();
    let tasks = Tasks::new("edges", Shutdown::new());
    tasks.spawn("camera/farm", OnFailure::StopProcess, farm.run(tasks.clone()));
    Running { tasks, farm: handle, road }
}

impl Running {
    async fn stop(self) {
        self.tasks.stop(Duration::from_secs(5)).await;
        assert!(self.tasks.names().is_empty());
    }
}

/// Standard output and standard error of a program that is given 20 s.
async fn run(program: &str, arguments: &[&str]) -> (String, String) {
    let output = Command::new(program).args(arguments).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(20), output).await;
    let output = output.unwrap_or_else(|_| panic!("{program} {arguments:?} hangs")).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

async fn probe(running: &Running, transport: &str, path: &str) -> String {
    let url = running.farm.url(path);
    let entries = "stream=codec_name,width,height,has_b_frames";
    let arguments = ["-v", "error", "-rtsp_transport", transport, "-show_entries", entries];
    let arguments = [&arguments[..], &["-of", "csv=p=0", url.as_str()]].concat();
    let (out, err) = run("ffprobe", &arguments).await;
    assert_eq!(err, "", "ffprobe over {transport} of {path}");
    out.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn ffprobe_sees_codec_and_size_over_tcp_and_udp() {
    let running = start(|_| ());
    for transport in ["tcp", "udp"] {
        let (main, h265, sub) = tokio::join!(
            probe(&running, transport, "/CAM-01/main"),
            probe(&running, transport, "/CAM-09/main"),
            probe(&running, transport, "/CAM-09/sub"),
        );
        assert_eq!(main, "h264,640,360,0", "{transport}");
        assert_eq!(h265, "hevc,640,360,0", "{transport}");
        assert_eq!(sub, "h264,320,180,0", "{transport}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_viewers_at_once_decode_without_errors_from_one_encode() {
    let running = start(|_| ());
    for path in ["/CAM-01/main", "/CAM-09/main"] {
        let url = running.farm.url(path);
        let watch = |transport| {
            let arguments = ["-nostdin", "-v", "error", "-rtsp_transport", transport, "-i", &url];
            let rest = ["-frames:v", "30", "-f", "null", "-"];
            let arguments = [&arguments[..], &rest].concat().into_iter().map(str::to_owned);
            let arguments: Vec<String> = arguments.collect();
            async move {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                run("ffmpeg", &arguments).await.1
            }
        };
        let (tcp, udp) = tokio::join!(watch("tcp"), watch("udp"));
        assert_eq!((tcp.as_str(), udp.as_str()), ("", ""), "{path}");
        let counts = running.farm.stream(path).unwrap();
        assert!((30..100).contains(&counts.frames_encoded), "{counts:?}");
        assert!(counts.key_frames >= 2, "{counts:?}");
    }
    running.stop().await;
}

async fn retina_frames(
    running: &Running,
    path: &str,
    transport: Transport,
) -> Vec<(bool, i64, u16)> {
    let url = url::Url::parse(&running.farm.url(path)).unwrap();
    let mut session = Session::describe(url, SessionOptions::default()).await.unwrap();
    session.setup(0, SetupOptions::default().transport(transport)).await.unwrap();
    let playing = session.play(PlayOptions::default()).await.unwrap();
    let mut items = Box::pin(playing.demuxed().unwrap());
    let (mut frames, mut reports) = (Vec::new(), 0);
    while frames.len() < 25 {
        let item = tokio::time::timeout(Duration::from_secs(5), items.next());
        match item.await.expect("frames keep coming").expect("stream goes on").unwrap() {
            CodecItem::VideoFrame(frame) => frames.push((
                frame.is_random_access_point(),
                frame.timestamp().timestamp(),
                frame.loss(),
            )),
            CodecItem::Rtcp(_) => reports += 1,
            _ => {}
        }
    }
    assert!(reports > 0, "a sender report comes with the first frame");
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn retina_gets_key_frame_first_even_steps_and_no_loss() {
    let running = start(|_| ());
    for path in ["/CAM-01/main", "/CAM-09/main"] {
        let frames = retina_frames(&running, path, Transport::Tcp(Default::default())).await;
        assert!(frames[0].0, "{path}: the first frame is a key frame");
        assert!(frames.iter().all(|f| f.2 == 0));
        // A frame may be left out on a machine too busy to draw it, never displaced.
        assert!(frames.windows(2).all(|w| (w[1].1 - w[0].1) % 9_000 == 0 && w[1].1 > w[0].1));
    }
    let udp = retina_frames(&running, "/CAM-01/main", Transport::Udp(Default::default())).await;
    assert!(udp[0].0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_an_error_to_its_viewer_and_nothing_to_others() {
    let running = start(|_| ());
    running.farm.stream("/CAM-01/main").unwrap();
    let url = url::Url::parse(&running.farm.url("/garbage")).unwrap();
    let mut session = Session::describe(url, SessionOptions::default()).await.unwrap();
    let options = SetupOptions::default().transport(Transport::Tcp(Default::default()));
    session.setup(0, options).await.unwrap();
    let playing = session.play(PlayOptions::default()).await.unwrap();
    let mut items = Box::pin(playing.demuxed().unwrap());
    let first = tokio::time::timeout(Duration::from_secs(5), items.next()).await.unwrap();
    assert!(first.is_none_or(|item| item.is_err()));
    assert_eq!(probe(&running, "tcp", "/CAM-01/main").await, "h264,640,360,0");
    running.stop().await;
}

/// Sends `request` (lines joined by `|`) and returns the first line of the answer.
async fn ask(connection: &mut tokio::net::TcpStream, request: &str) -> String {
    let request = format!("{}\r\n\r\n", request.replace('|', "\r\n"));
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let read = tokio::time::timeout(Duration::from_secs(6), connection.read(&mut answer));
    let read = read.await.expect("an answer").unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_get_their_own_status() {
    let running = start(|_| ());
    let mut tcp = tokio::net::TcpStream::connect(running.farm.address()).await.unwrap();
    for (request, status) in [
        ("OPTIONS * RTSP/1.0|CSeq: 1", "RTSP/1.0 200 OK"),
        ("DESCRIBE rtsp://h/CAM-99/main RTSP/1.0|CSeq: 2", "RTSP/1.0 404 Not Found"),
        ("DESCRIBE rtsp://h/ RTSP/1.0|CSeq: 2", "RTSP/1.0 404 Not Found"),
        (
            "PLAY rtsp://h/CAM-01/main RTSP/1.0|CSeq: 3",
            "RTSP/1.0 455 Method Not Valid in This State",
        ),
        (
            "SETUP rtsp://h/CAM-01/main/track1 RTSP/1.0|CSeq: 4|Transport: RTP/AVP;multicast",
            "RTSP/1.0 461 Unsupported Transport",
        ),
        (
            "PLAY rtsp://h/CAM-01/main RTSP/1.0|CSeq: 5|Session: 77",
            "RTSP/1.0 454 Session Not Found",
        ),
        ("ANNOUNCE rtsp://h/CAM-01/main RTSP/1.0|CSeq: 6", "RTSP/1.0 501 Not Implemented"),
        ("nonsense", "RTSP/1.0 400 Bad Request"),
    ] {
        assert_eq!(ask(&mut tcp, request).await, status, "{request}");
    }
    assert_eq!(tcp.read(&mut [0; 8]).await.unwrap(), 0, "nonsense ends the connection");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn camera_that_goes_offline_drops_its_viewers_and_refuses_new_ones() {
    let running = start(|_| ());
    let url = url::Url::parse(&running.farm.url("/CAM-06/main")).unwrap();
    let mut session = Session::describe(url.clone(), SessionOptions::default()).await.unwrap();
    session.setup(0, SetupOptions::default()).await.unwrap();
    let playing = session.play(PlayOptions::default()).await.unwrap();
    let mut items = Box::pin(playing.demuxed().unwrap());
    items.next().await.unwrap().unwrap();
    running.road.offline.store(true, Ordering::SeqCst);
    let end = tokio::time::timeout(Duration::from_secs(5), async {
        while let Some(Ok(_)) = items.next().await {}
    });
    end.await.expect("the viewer is dropped");
    let mut tcp = tokio::net::TcpStream::connect(running.farm.address()).await.unwrap();
    let describe = "DESCRIBE rtsp://h/CAM-06/main RTSP/1.0|CSeq: 2";
    assert_eq!(ask(&mut tcp, describe).await, "RTSP/1.0 503 Service Unavailable");
    running.road.offline.store(false, Ordering::SeqCst);
    assert_eq!(ask(&mut tcp, describe).await, "RTSP/1.0 200 OK");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_viewer_is_dropped_after_the_session_timeout() {
    let running = start(|config| config.session_timeout = Duration::from_secs(1));
    let mut tcp = tokio::net::TcpStream::connect(running.farm.address()).await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(5), tcp.read(&mut [0; 8])).await;
    assert_eq!(read.expect("the server ends it").unwrap(), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_that_takes_nothing_does_not_hold_up_another() {
    let running = start(|_| ());
    let mut stuck = tokio::net::TcpStream::connect(running.farm.address()).await.unwrap();
    let setup = "SETUP rtsp://h/CAM-01/main/track1 RTSP/1.0|CSeq: 1|Transport: RTP/AVP/TCP";
    assert_eq!(ask(&mut stuck, setup).await, "RTSP/1.0 200 OK");
    assert_eq!(ask(&mut stuck, "PLAY rtsp://h/CAM-01/main RTSP/1.0").await, "RTSP/1.0 200 OK");
    let transport = Transport::Tcp(Default::default());
    let frames = retina_frames(&running, "/CAM-01/main", transport).await;
    assert_eq!(frames.len(), 25);
    assert_eq!(running.farm.stream("/CAM-01/main").unwrap().viewers, 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_watching_costs_no_encoding() {
    let running = start(|_| ());
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let counts = running.farm.stream("/CAM-01/main").unwrap();
    assert_eq!(counts.frames_encoded, 1, "only the frame that shows the parameter sets");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_given_twice_is_refused() {
    let cameras = vec![CameraSpec::new("CAM-01", Codec::H264); 2];
    let config = FarmConfig::new("127.0.0.1:0".parse().unwrap(), cameras, 7);
    let farm = CameraFarm::new(config, Arc::new(Road::default()), Arc::new(SystemClock), 0);
    assert_eq!(farm.unwrap_err().to_string(), "camera stream /CAM-01/main is given twice");
}
