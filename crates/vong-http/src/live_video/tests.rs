//! A real WebSocket client against the door: what a page asks for, gets, and does not take.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use vong_hub::{HubMetrics, VideoHub, VideoSink, VideoStream};
use vong_media::{
    AccessUnit, AccessUnitSink as _, Codec, MotionJpeg, MotionRequest, Still, StillError,
    StillMaker, StillRequest, VideoParameters,
};
use vong_model::{CameraId, EventTime};
use vong_runtime::{Current, OnFailure, Shutdown, SystemClock, Tasks};
use vong_telemetry::Metrics;
use vong_wire::video::{
    HEADER_BYTES, VideoCodec, VideoForm, VideoMode, VideoModeReason, VideoRefusal,
    VideoServerMessage, VideoStreamName, WINDOW_BYTES,
};

use super::stills::SharedStills;
use super::*;
use crate::metrics::HttpMetrics;

/// The door alone on a loopback port; cameras are made by hand.
struct House {
    address: SocketAddr,
    video: VideoHub,
    stop: Shutdown,
    _tasks: Tasks,
}

impl House {
    async fn new(stills: Option<Arc<dyn StillMaker>>) -> Self {
        let registry = Metrics::new();
        let video = VideoHub::new(HubMetrics::new(&registry));
        let stop = Shutdown::new();
        let door = VideoDoor {
            video: video.clone(),
            assets: Current::new(Arc::default()),
            stills: SharedStills::new(stills),
            clock: Arc::new(SystemClock),
            metrics: HttpMetrics::new(&registry),
            shutdown: stop.clone(),
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router: Router = Router::new().route("/api/v1/video", get(connect).with_state(door));
        let tasks = Tasks::new("test", Shutdown::new());
        let serving = axum::serve(listener, router).into_future();
        tasks.spawn("door", OnFailure::Continue, serving);
        Self { address, video, stop, _tasks: tasks }
    }

    fn camera(&self, id: &str, stream: VideoStream, codec: Codec) -> Camera {
        let mut sink = self.video.sink(&CameraId::from(id), stream);
        sink.parameters(&parameters(codec, 640));
        Camera { sink, next: 0, bytes: 1_000 }
    }

    async fn page(&self) -> Page {
        let url = format!("ws://{}/api/v1/video", self.address);
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let mut page = Page { socket, taken: 0, takes: true };
        assert!(page.next().await.starts_with("welcome"));
        page
    }
}

fn boxed(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes()[..], name, body].concat()
}

fn parameters(codec: Codec, width: u32) -> Arc<VideoParameters> {
    let (entry, record) = match codec {
        Codec::H264 => (b"avc1", b"avcC"),
        Codec::H265 => (b"hvc1", b"hvcC"),
    };
    let entry = boxed(entry, &[&[0; 78][..], &boxed(record, &[1, 100, 0, 31])].concat());
    let rfc6381 = if codec == Codec::H264 { "avc1.64001f" } else { "hvc1.1.6.L93.B0" };
    Arc::new(VideoParameters {
        codec,
        width,
        height: 360,
        rfc6381: rfc6381.to_owned(),
        sample_entry: Bytes::from(entry),
    })
}

/// A key frame each ten.
struct Camera {
    sink: VideoSink,
    next: i64,
    bytes: usize,
}

impl Camera {
    fn film(&mut self, frames: i64) {
        for number in self.next..self.next + frames {
            self.sink.access_unit(&AccessUnit {
                pts_90k: number * 9_000,
                received_at: EventTime(number),
                camera_time: Some(EventTime(number - 1)),
                key: number % 10 == 0,
                lost_packets: 0,
                data: Bytes::from(vec![7; self.bytes]),
            });
        }
        self.next += frames;
    }
}

struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    taken: u64,
    /// Tells the server what it took.
    takes: bool,
}

impl Page {
    async fn say(&mut self, text: String) {
        self.socket.send(Message::Text(text.into())).await.unwrap();
    }

    /// Tiles as `CAM-01 main full keep` words, numbered in order.
    async fn show(&mut self, form: &str, tiles: &[&str]) {
        let tiles = tiles.iter().enumerate().map(|(number, tile)| {
            let words: Vec<_> = tile.split(' ').collect();
            let [camera_id, stream, mode] = words[..3] else { panic!("'{tile}'") };
            let keep = words.len() > 3;
            serde_json::json!({"tile": number, "camera_id": camera_id, "stream": stream, "mode": mode, "keep": keep})
        });
        let tiles: Vec<_> = tiles.collect();
        let show =
            serde_json::json!({"type": "show", "plays": ["h264"], "form": form, "tiles": tiles});
        self.say(show.to_string()).await;
    }

    async fn message(&mut self) -> Option<Message> {
        self.socket.next().await?.ok()
    }

    /// What comes next, in short: `setup 0#1 frames main h264 640`, `0#1 20k` (tile, set-up, frame),
    /// `0#1 +38:20k` (38 skipped); marks are left out.
    async fn next(&mut self) -> String {
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, self.next_but_marks()).await.expect("a word within 20 s")
    }

    async fn next_but_marks(&mut self) -> String {
        loop {
            match self.message().await {
                Some(Message::Binary(bytes)) => return self.picture(&bytes).await,
                Some(Message::Text(text)) => {
                    let told: VideoServerMessage = serde_json::from_str(&text).unwrap();
                    if !matches!(told, VideoServerMessage::Mark { .. }) {
                        return in_short(&told);
                    }
                }
                Some(Message::Close(_)) | None => return "closed".to_owned(),
                Some(other) => panic!("{other:?}"),
            }
        }
    }

    async fn picture(&mut self, bytes: &[u8]) -> String {
        let number = |from: usize, len: usize| {
            bytes[from..from + len].iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte))
        };
        assert_eq!(number(0, 1), 1);
        assert_eq!(number(28, 8).wrapping_add(1), number(20, 8), "camera's time");
        let (key, skipped) = (if number(1, 1) == 1 { "k" } else { "" }, number(8, 4));
        let skipped = if skipped > 0 { format!("+{skipped}:") } else { String::new() };
        self.taken += (bytes.len() - HEADER_BYTES) as u64;
        if self.takes {
            self.say(format!(r#"{{"type":"taken","bytes":{}}}"#, self.taken)).await;
        }
        format!("{}#{} {skipped}{}{key}", number(2, 2), number(4, 4), number(20, 8))
    }

    async fn take(&mut self, count: usize) -> String {
        let mut words = Vec::new();
        for _ in 0..count {
            words.push(self.next().await);
        }
        words.join(", ")
    }

    /// Waits for a message that begins like this.
    async fn until(&mut self, wanted: &str) -> String {
        loop {
            let told = self.next().await;
            assert_ne!(told, "closed", "while waiting for '{wanted}'");
            if told.starts_with(wanted) {
                return told;
            }
        }
    }
}

fn in_short(told: &VideoServerMessage) -> String {
    match told {
        VideoServerMessage::Welcome { protocol, window_bytes, .. } => {
            format!("welcome {protocol} {window_bytes}")
        }
        VideoServerMessage::Setup { tile, setup, stream, form, codec, width, .. } => {
            let form = match form {
                VideoForm::Frames => "frames",
                VideoForm::Fragments => "fragments",
                VideoForm::Stills => "stills",
                VideoForm::MotionJpeg => "motion_jpeg",
            };
            let stream = if *stream == VideoStreamName::Main { "main" } else { "sub" };
            let codec = if *codec == VideoCodec::H264 { "h264" } else { "h265" };
            format!("setup {tile}#{setup} {form} {stream} {codec} {width}")
        }
        VideoServerMessage::Lost { tile } => format!("lost {tile}"),
        VideoServerMessage::Refused { tile, why, .. } => match why {
            VideoRefusal::Unknown => format!("unknown {tile}"),
            VideoRefusal::NotAllowed => format!("forbidden {tile}"),
            VideoRefusal::Codec => format!("codec {tile}"),
        },
        VideoServerMessage::Mode { tile, mode, why } => {
            let mode = if *mode == VideoMode::Key { "key" } else { "full" };
            let why = if *why == VideoModeReason::Slow { "slow" } else { "recovered" };
            format!("mode {tile} {mode} {why}")
        }
        VideoServerMessage::Mark { .. } => "mark".to_owned(),
        VideoServerMessage::Bye { code, detail, .. } => format!("bye {code:?}: {detail}"),
    }
}

#[tokio::test]
async fn all_tiles_of_a_page_begin_with_the_group_that_is_there() {
    let house = House::new(None).await;
    let mut one = house.camera("CAM-01", VideoStream::Main, Codec::H264);
    let mut two = house.camera("CAM-02", VideoStream::Main, Codec::H264);
    one.film(12);
    two.film(21);
    let mut page = house.page().await;
    page.show("frames", &["CAM-01 sub full", "CAM-02 main full", "CAM-99 main full"]).await;
    assert_eq!(
        page.take(6).await,
        "unknown 2, setup 0#1 frames main h264 640, setup 1#2 frames main h264 640, \
         0#1 10k, 1#2 20k, 0#1 11"
    );
    two.film(1);
    assert_eq!(page.next().await, "1#2 21");
    two.sink.interrupted();
    assert_eq!(page.next().await, "lost 1");
}

#[tokio::test]
async fn decoder_gets_its_record_and_a_player_its_segment() {
    let house = House::new(None).await;
    let mut camera = house.camera("CAM-01", VideoStream::Main, Codec::H264);
    camera.film(1);
    for (form, begins) in [("frames", "0164001f"), ("fragments", "0000001c66747970")] {
        let mut page = house.page().await;
        page.show(form, &["CAM-01 main full"]).await;
        let Some(Message::Text(text)) = page.message().await else { panic!("no text") };
        let told = match serde_json::from_str(&text).unwrap() {
            VideoServerMessage::Mark { .. } => page.message().await.unwrap(),
            _ => Message::Text(text),
        };
        let told: VideoServerMessage = serde_json::from_str(told.to_text().unwrap()).unwrap();
        let VideoServerMessage::Setup { data, .. } = &told else { panic!("{told:?}") };
        assert!(data.starts_with(begins), "{form}: {data}");
        let Some(Message::Binary(bytes)) = page.message().await else { panic!("no picture") };
        let is_fragment = bytes[HEADER_BYTES + 4..].starts_with(b"moof");
        assert_eq!(is_fragment, form == "fragments");
    }
}

#[tokio::test]
async fn modes_change_at_any_time_and_off_sends_nothing() {
    let house = House::new(None).await;
    let mut camera = house.camera("CAM-01", VideoStream::Main, Codec::H264);
    camera.film(2);
    let mut page = house.page().await;
    page.show("frames", &["CAM-01 main key"]).await;
    assert_eq!(page.take(2).await, "setup 0#1 frames main h264 640, 0#1 0k");
    camera.film(10);
    assert_eq!(page.next().await, "0#1 10k");
    page.show("frames", &["CAM-01 main full"]).await;
    assert_eq!(page.next().await, "0#1 11", "joins on without a new set-up");
    page.show("frames", &["CAM-01 main off", "CAM-99 main full"]).await;
    assert_eq!(page.next().await, "unknown 1");
    camera.film(20);
    page.show("frames", &["CAM-01 main full"]).await;
    assert_eq!(page.take(3).await, "setup 0#2 frames main h264 640, 0#2 30k, 0#2 31");
}

#[tokio::test]
async fn parameters_that_change_in_the_middle_are_a_new_set_up() {
    let house = House::new(None).await;
    let mut camera = house.camera("CAM-01", VideoStream::Main, Codec::H264);
    camera.film(2);
    let mut page = house.page().await;
    page.show("frames", &["CAM-01 main full"]).await;
    assert_eq!(page.take(3).await, "setup 0#1 frames main h264 640, 0#1 0k, 0#1 1");
    camera.sink.parameters(&parameters(Codec::H264, 1_280));
    camera.film(9);
    assert_eq!(page.take(2).await, "setup 0#2 frames main h264 1280, 0#2 10k");
}

#[tokio::test]
async fn page_that_takes_nothing_gets_one_window_and_others_get_everything() {
    let house = House::new(None).await;
    let mut camera = house.camera("CAM-01", VideoStream::Main, Codec::H264);
    camera.bytes = 100_000;
    camera.film(1);
    let (mut slow, mut quick) = (house.page().await, house.page().await);
    slow.takes = false;
    for page in [&mut slow, &mut quick] {
        page.show("frames", &["CAM-01 main full", "CAM-01 main full keep"]).await;
        assert!(page.take(4).await.ends_with("0#1 0k, 1#2 0k"));
    }
    for number in 1..60 {
        camera.film(1);
        let key = if number % 10 == 0 { "k" } else { "" };
        assert_eq!(quick.take(2).await, format!("0#1 {number}{key}, 1#2 {number}{key}"));
    }
    let frames = usize::try_from(WINDOW_BYTES).unwrap() / 100_000 + 1;
    slow.take(frames - 2).await;
    assert_eq!(slow.taken, 100_000 * frames as u64);
    let more = tokio::time::timeout(Duration::from_millis(300), slow.next()).await;
    assert!(more.is_err(), "beyond the window: {more:?}");
    slow.takes = true;
    slow.say(format!(r#"{{"type":"taken","bytes":{}}}"#, slow.taken)).await;
    assert_eq!(slow.take(2).await, "0#1 +47:50k, 1#2 +47:50k", "the loss is declared");
}

#[tokio::test]
async fn page_that_skips_again_and_again_gets_key_frames_but_for_what_somebody_looks_at() {
    let house = House::new(None).await;
    let mut camera = house.camera("CAM-01", VideoStream::Main, Codec::H264);
    camera.bytes = 150_000;
    camera.film(1);
    let mut page = house.page().await;
    page.show("frames", &["CAM-01 main full keep", "CAM-01 main full", "CAM-01 main key"]).await;
    page.takes = false;
    let soon = Duration::from_millis(300);
    let mut told_slow = None;
    for _ in 0..4 {
        camera.film(50); // far more than a window
        while let Ok(told) = tokio::time::timeout(soon, page.next()).await {
            if told.starts_with("mode") {
                told_slow = Some(told);
            }
        }
        page.say(format!(r#"{{"type":"taken","bytes":{}}}"#, page.taken)).await;
    }
    assert_eq!(
        told_slow.as_deref(),
        Some("mode 1 key slow"),
        "not the one kept, not the one in key mode"
    );
    page.takes = true;
    // What begins meanwhile gets as little, and is told so; nothing is told of what is off.
    let key = "CAM-01 main key";
    page.show("frames", &[key, "CAM-01 main off", key, "CAM-01 main full"]).await;
    assert_eq!(next_mode(&mut page).await, "mode 3 key slow");
    page.show("frames", &[key, "CAM-01 main full", key, "CAM-01 main full keep"]).await;
    assert_eq!(next_mode(&mut page).await, "mode 1 key slow");
    assert_eq!(next_mode(&mut page).await, "mode 3 full recovered", "somebody looks at it now");
}

async fn next_mode(page: &mut Page) -> String {
    loop {
        let told = page.next().await;
        if told.starts_with("mode") {
            return told;
        }
    }
}

#[tokio::test]
async fn h265_becomes_the_sub_stream_or_stills_or_a_refusal() {
    let house = House::new(None).await;
    let (main, sub) = (VideoStream::Main, VideoStream::Sub);
    let mut cameras = [
        ("CAM-09", main, Codec::H265),
        ("CAM-09", sub, Codec::H264),
        ("CAM-10", main, Codec::H265),
    ]
    .map(|(id, stream, codec)| house.camera(id, stream, codec));
    cameras.iter_mut().for_each(|camera| camera.film(12));
    let mut page = house.page().await;
    page.show("frames", &["CAM-09 main full", "CAM-10 main full"]).await;
    assert_eq!(page.take(4).await, "codec 1, setup 0#2 frames sub h264 640, 0#2 10k, 0#2 11",);
}

/// Counts what it is asked and gives it back as a picture.
#[derive(Debug, Default)]
struct Painter {
    asked: AtomicUsize,
}

impl StillMaker for Painter {
    fn jpeg(&self, request: StillRequest) -> Still {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let text = format!("{} {}", request.units.len(), request.max_width);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok(Bytes::from(text))
        })
    }

    fn motion(&self, _camera: &CameraId) -> Option<Box<dyn MotionJpeg>> {
        None
    }

    fn has_free_motion(&self) -> bool {
        false
    }
}

/// Decodes one camera at a time, and writes down what it is given.
#[derive(Clone, Debug, Default)]
struct Cinema {
    given: Arc<Mutex<Vec<String>>>,
    taken: Arc<AtomicBool>,
    fails: Arc<AtomicBool>,
}

impl Cinema {
    fn given(&self) -> String {
        std::mem::take(&mut *self.given.lock()).join(", ")
    }
}

impl StillMaker for Cinema {
    fn jpeg(&self, _request: StillRequest) -> Still {
        Box::pin(async { Ok(Bytes::from_static(b"still")) })
    }

    fn motion(&self, _camera: &CameraId) -> Option<Box<dyn MotionJpeg>> {
        let is_free = !self.taken.swap(true, Ordering::SeqCst);
        is_free.then(|| Box::new(Reel(self.clone())) as Box<dyn MotionJpeg>)
    }

    fn has_free_motion(&self) -> bool {
        !self.taken.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Reel(Cinema);

impl MotionJpeg for Reel {
    fn next(&self, request: MotionRequest) -> Still {
        let restart = if request.restart { "anew " } else { "" };
        self.0.given.lock().push(format!("{restart}{}", request.units.len()));
        let fails = self.0.fails.load(Ordering::SeqCst);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if fails { Err(StillError::Undecodable) } else { Ok(Bytes::from_static(b"jpeg")) }
        })
    }
}

impl Drop for Reel {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn h265_that_somebody_looks_at_moves_and_what_waited_becomes_one_picture() {
    let cinema = Cinema::default();
    let house = House::new(Some(Arc::new(cinema.clone()))).await;
    let mut camera = house.camera("CAM-10", VideoStream::Main, Codec::H265);
    camera.film(15);
    let mut page = house.page().await;
    page.show("frames", &["CAM-10 main full keep"]).await;
    assert_eq!(page.take(3).await, "setup 0#1 motion_jpeg main h265 640, 0#1 10k, 0#1 14k");
    assert_eq!(cinema.given(), "anew 1, 4");
    camera.film(1);
    assert_eq!(page.next().await, "0#1 15k");
    assert_eq!(cinema.given(), "1");
    cinema.fails.store(true, Ordering::SeqCst);
    camera.film(1);
    while cinema.given() != "1" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    cinema.fails.store(false, Ordering::SeqCst);
    camera.film(5); // up to the second frame of the next group
    assert_eq!(page.take(2).await, "0#1 20k, 0#1 21k");
    assert_eq!(cinema.given(), "anew 1, 1", "nothing between the failure and the key frame");
}

#[tokio::test]
async fn decoder_that_is_taken_gives_stills_until_it_is_free() {
    let cinema = Cinema::default();
    let house = House::new(Some(Arc::new(cinema.clone()))).await;
    let mut camera = house.camera("CAM-10", VideoStream::Main, Codec::H265);
    camera.film(11);
    let (mut one, mut two) = (house.page().await, house.page().await);
    one.show("frames", &["CAM-10 main full keep"]).await;
    assert_eq!(one.take(2).await, "setup 0#1 motion_jpeg main h265 640, 0#1 10k");
    two.show("frames", &["CAM-10 main full keep"]).await;
    assert_eq!(two.take(2).await, "setup 0#1 stills main h265 640, 0#1 10k");
    one.show("frames", &["CAM-10 main full"]).await;
    assert_eq!(one.take(2).await, "setup 0#2 stills main h265 640, 0#2 10k");
    // From the group that is there, not from some later key frame.
    assert_eq!(two.take(2).await, "setup 0#2 motion_jpeg main h265 640, 0#2 10k");
    camera.film(11);
    assert_eq!(
        two.take(2).await,
        "0#2 11k, 0#2 21k",
        "what fell behind is left out at a key frame"
    );
}

#[tokio::test]
async fn lost_camera_holds_no_decoder() {
    let cinema = Cinema::default();
    let house = House::new(Some(Arc::new(cinema.clone()))).await;
    let (main, h265) = (VideoStream::Main, Codec::H265);
    let mut cameras = ["CAM-10", "CAM-11"].map(|id| house.camera(id, main, h265));
    cameras.iter_mut().for_each(|camera| camera.film(11));
    let (mut one, mut two) = (house.page().await, house.page().await);
    one.show("frames", &["CAM-10 main full keep"]).await;
    assert_eq!(one.take(2).await, "setup 0#1 motion_jpeg main h265 640, 0#1 10k");
    two.show("frames", &["CAM-11 main full keep"]).await;
    assert_eq!(two.take(2).await, "setup 0#1 stills main h265 640, 0#1 10k");
    cameras[0].sink.interrupted();
    assert_eq!(one.next().await, "lost 0");
    assert_eq!(two.take(2).await, "setup 0#2 motion_jpeg main h265 640, 0#2 10k");
    cameras[0].sink.parameters(&parameters(h265, 640));
    cameras[0].film(10);
    assert_eq!(one.take(2).await, "setup 0#2 stills main h265 640, 0#2 20k");
}

#[tokio::test]
async fn stills_are_made_of_key_frames_once_for_all_pages() {
    let painter = Arc::new(Painter::default());
    let house = House::new(Some(painter.clone())).await;
    let mut camera = house.camera("CAM-10", VideoStream::Main, Codec::H265);
    camera.film(12);
    let (mut one, mut two) = (house.page().await, house.page().await);
    for page in [&mut one, &mut two] {
        page.show("fragments", &["CAM-10 main full"]).await;
    }
    for page in [&mut one, &mut two] {
        assert_eq!(page.take(2).await, "setup 0#1 stills main h265 640, 0#1 10k");
        assert_eq!(page.taken, "1 960".len() as u64);
    }
    assert_eq!(painter.asked.load(Ordering::SeqCst), 1);
    camera.film(9);
    assert_eq!(one.next().await, "0#1 20k");
}

#[tokio::test]
async fn misunderstandings_and_the_end_are_told() {
    let house = House::new(None).await;
    for (said, answer) in [
        (r#"{"type":"show"}"#, "bye Protocol: not understood"),
        (r#"{"type":"taken","bytes":1}"#, "bye Protocol: taken is"),
        (r#"{"type":"show","plays":[],"form":"stills","tiles":[]}"#, "bye Protocol: form is"),
    ] {
        let mut page = house.page().await;
        page.say(said.to_owned()).await;
        let told = page.next().await;
        assert!(told.starts_with(answer), "{said}: {told}");
        assert_eq!(page.next().await, "closed");
    }
    let mut page = house.page().await;
    house.stop.request();
    assert!(page.until("bye").await.starts_with("bye Shutdown"));
}

#[tokio::test]
async fn page_that_never_takes_anything_is_closed() {
    let house = House::new(None).await;
    let mut camera = house.camera("CAM-01", VideoStream::Main, Codec::H264);
    camera.bytes = 3_000_000;
    camera.film(2);
    let mut page = house.page().await;
    page.takes = false;
    page.show("frames", &["CAM-01 main full"]).await;
    let told = page.until("bye").await;
    assert!(told.starts_with("bye Slow"), "{told}");
}
