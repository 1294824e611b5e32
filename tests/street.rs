//! A whole street of cameras against a running vong: some come and go all the time and the others
//! lose nothing; all lose their power and are back within a minute.
//!
//! `VONG_BINARY` names the vong to run (that of this build otherwise), `VONG_STREET_SECONDS` how
//! long cameras flap (20 otherwise; 3600 for the long run), `VONG_STREET_CAMERAS` how many there
//! are after the power cut (120 otherwise; 1000 for the long run).

use std::sync::Arc;
use std::time::{Duration, Instant};

use vong_runtime::SystemClock;
use vong_testkit::camera::{
    CameraSpec, Codec, FakeCamera, FakeFarm, Flapping, Reel, Script, loopback,
};

use crate::cameras::now_ms;
use crate::support::{Vong, figure, wait_until};

/// First number of a street's addresses; tests do not share them.
const FLAPPING_STREET: u16 = 10_000;
const POWER_STREET: u16 = 20_000;

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn reel(width: u32, fps: u32, codec: Codec) -> Arc<Reel> {
    let spec = CameraSpec { width, height: width / 2, fps, ..CameraSpec::new("STREET", codec) };
    Arc::new(Reel::film(&spec, 1, u64::from(fps) * 2).unwrap())
}

/// A farm on a runtime of its own, and a vong that records it.
struct Street {
    runtime: tokio::runtime::Runtime,
    farm: FakeFarm,
    vong: Vong,
}

impl Street {
    fn new(cameras: Vec<FakeCamera>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let farm = runtime.block_on(FakeFarm::start(cameras, Arc::new(SystemClock))).unwrap();
        let mut csv = String::from("camera_id,name_vi,name_en,lon,lat,heading_deg,unit_code,url\n");
        for index in 0..farm.len() {
            csv.push_str(&format!(
                "CAM-{index:04},Máy,Camera,105.9,18.34,0,U1,{}\n",
                farm.url(index)
            ));
        }
        let vong = Vong::new("").unwrap();
        vong.write("cameras.csv", &csv).unwrap();
        Self { runtime, farm, vong }
    }

    fn frames_sent(&self, cameras: impl Iterator<Item = usize>) -> u64 {
        cameras.map(|index| self.farm.counts(index).frames).sum()
    }

    fn end(mut self) {
        self.vong.stop().unwrap();
        let Self { runtime, farm, .. } = self;
        runtime.block_on(farm.stop());
    }
}

/// What a process holds: resident memory, descriptors, threads.
#[derive(Clone, Copy, Debug)]
struct Held {
    rss_mib: u64,
    descriptors: usize,
    threads: usize,
}

fn held(pid: u32) -> Held {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    let count = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
    Held { rss_mib: kib.unwrap_or(0) / 1_024, descriptors: count("fd"), threads: count("task") }
}

#[test]
fn sixty_four_cameras_of_which_some_flap_and_the_others_lose_nothing() {
    let seconds = from_environment("VONG_STREET_SECONDS", 20);
    let (h264, h265) = (reel(320, 10, Codec::H264), reel(320, 10, Codec::H265));
    // Every twentieth comes and goes.
    let flaps = |index: u16| index.is_multiple_of(20);
    let cameras: Vec<FakeCamera> = (0..64_u16)
        .map(|index| {
            let reel = if index.is_multiple_of(4) { &h265 } else { &h264 };
            let mut camera = FakeCamera::new(loopback(FLAPPING_STREET + index), Arc::clone(reel));
            camera.script.flapping = flaps(index).then(|| Flapping {
                seed: u64::from(index),
                up: Duration::from_secs(3)..Duration::from_secs(8),
                down: Duration::from_secs(1)..Duration::from_secs(4),
            });
            camera
        })
        .collect();
    let mut street = Street::new(cameras);
    street.vong.start().unwrap();
    let pid = street.vong.pid().unwrap();
    let healthy: Vec<usize> = (0..64_u16).filter(|i| !flaps(*i)).map(usize::from).collect();
    wait_until("healthy cameras play", Duration::from_secs(30), || {
        healthy.iter().all(|index| street.farm.counts(*index).frames > 0)
    });
    let begun = Instant::now();
    let mut seen = Vec::new();
    while begun.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_secs((seconds / 20).clamp(1, 60)));
        seen.push(held(pid));
    }
    let sessions: Vec<u64> = healthy.iter().map(|i| street.farm.counts(*i).plays).collect();
    // All hold still: what is under way arrives, silence is told, files are closed.
    street.farm.hold_still(true);
    wait_until("all cameras silent", Duration::from_secs(60), || {
        street.vong.metric("vong_rtsp_connected_streams") == 0
    });
    let closed = "SELECT camera_id, sum(frames) AS frames, sum(lost_packets) AS lost, \
                  count(*) AS files FROM video_segments GROUP BY camera_id ORDER BY camera_id";
    wait_until("all footage closed", Duration::from_secs(60), || {
        street.vong.sql(closed).unwrap().len() == 64
    });
    std::thread::sleep(Duration::from_secs(2));
    let recorded = street.vong.sql(closed).unwrap();
    let (mut wrong, mut missing) = (Vec::new(), 0);
    for index in &healthy {
        let sent = street.farm.counts(*index);
        let row = recorded.iter().find(|row| row["camera_id"] == format!("CAM-{index:04}"));
        let row = row.unwrap_or(&serde_json::Value::Null);
        missing += sent.frames.saturating_sub(row["frames"].as_u64().unwrap_or(0));
        if row["frames"] != sent.frames || row["lost"] != 0 {
            wrong.push(format!("{index}: sent {sent:?}, recorded {row}"));
        }
    }
    let flapping: Vec<usize> = (0..64_u16).filter(|i| flaps(*i)).map(usize::from).collect();
    let plays: u64 = flapping.iter().map(|index| street.farm.counts(*index).plays).sum();
    let sent = street.frames_sent(healthy.iter().copied());
    println!(
        "{seconds} s, {} healthy cameras sent {} frames, {} flapping ones played {plays} times; \
         held first {:?}, last {:?}",
        healthy.len(),
        sent,
        flapping.len(),
        seen.first(),
        seen.last(),
    );
    let name = "64 cameras, some flapping: frames the healthy ones lost / sent";
    figure(name, "frames", (missing as f64, sent as f64), 1.0);
    assert!(wrong.is_empty(), "healthy cameras lost frames: {wrong:#?}");
    assert!(sessions.iter().all(|plays| *plays == 1), "healthy cameras were lost: {sessions:?}");
    assert!(plays > flapping.len() as u64, "nothing flapped");
    check_flat(&seen);
    street.end();
}

/// The last quarter holds no more than the second one and what comes and goes.
fn check_flat(seen: &[Held]) {
    let quarter = seen.len() / 4;
    let most = |part: &[Held]| Held {
        rss_mib: part.iter().map(|held| held.rss_mib).max().unwrap_or(0),
        descriptors: part.iter().map(|held| held.descriptors).max().unwrap_or(0),
        threads: part.iter().map(|held| held.threads).max().unwrap_or(0),
    };
    let early = most(seen.get(quarter..2 * quarter).unwrap_or_default());
    let late = most(seen.get(3 * quarter..).unwrap_or_default());
    println!("most in the second quarter {early:?}, in the last {late:?}");
    let of = |held: Held| [held.rss_mib as f64, held.descriptors as f64, held.threads as f64];
    let what = ["memory", "open files and connections", "threads"];
    let units = ["MiB", "descriptors", "threads"];
    for (((late, early), what), unit) in of(late).into_iter().zip(of(early)).zip(what).zip(units) {
        let name = format!("64 cameras, some flapping: {what}, last / second quarter");
        figure(&name, unit, (late, early), early * 1.1 + 1.0);
    }
    assert!(late.rss_mib <= early.rss_mib + early.rss_mib / 5 + 16, "{early:?} then {late:?}");
    assert!(late.descriptors <= early.descriptors + 24, "{early:?} then {late:?}");
    assert!(late.threads <= early.threads + 4, "{early:?} then {late:?}");
}

#[test]
fn a_street_is_back_within_a_minute_of_its_power() {
    let count = from_environment("VONG_STREET_CAMERAS", 120);
    let reel = reel(160, 2, Codec::H264);
    let cameras = (0..u16::try_from(count).unwrap())
        .map(|index| FakeCamera {
            script: Script::default(),
            ..FakeCamera::new(loopback(POWER_STREET + index), Arc::clone(&reel))
        })
        .collect();
    let mut street = Street::new(cameras);
    street.vong.start().unwrap();
    let connected = |street: &Street| street.vong.metric("vong_rtsp_connected_streams");
    let begun = Instant::now();
    wait_until("all connected", Duration::from_secs(90), || connected(&street) == count);
    let first = begun.elapsed();
    println!("{count} cameras connected {first:?} after the start");
    street.farm.power(false);
    wait_until("all lost", Duration::from_secs(30), || connected(&street) == 0);
    // Long enough for every camera's patience to be at its end.
    std::thread::sleep(Duration::from_secs(if count > 500 { 60 } else { 25 }));
    let attempts = street.vong.metric("vong_rtsp_attempts_total");
    let (power_ms, begun) = (now_ms(), Instant::now());
    street.farm.power(true);
    wait_until("all back", Duration::from_secs(60), || connected(&street) == count);
    let took = begun.elapsed();
    let tried = street.vong.metric("vong_rtsp_attempts_total") - attempts;
    // Connected is who answered; back is who is recorded.
    let again = format!(
        "SELECT count(DISTINCT camera_id) AS n FROM video_gops \
         WHERE start_time >= to_timestamp_millis({power_ms})"
    );
    wait_until("all recorded again", Duration::from_secs(60).saturating_sub(took), || {
        street.vong.number(&again).unwrap() == count
    });
    let recorded = begun.elapsed();
    println!(
        "{count} cameras back {took:?} and recorded {recorded:?} after the power, {tried} attempts, \
         {:?}",
        held(street.vong.pid().unwrap())
    );
    let name = format!("{count} cameras: recorded after a power cut / connected after the start");
    figure(&name, "s", (recorded.as_secs_f64(), first.as_secs_f64()), 60.0);
    assert!(tried <= took.as_secs().saturating_add(1) * 50 + 50, "{tried} attempts in {took:?}");
    street.end();
}
