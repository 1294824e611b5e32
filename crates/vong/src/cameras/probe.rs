//! Looks at a camera before it is put into the register, and finds ONVIF devices.

use std::future::Future;
use std::io::Read as _;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::Semaphore;
use vong_http::ProbeCamera;
use vong_rtsp::onvif::discovery::{self, Device};
use vong_rtsp::{Login, Networks, ProbeRequest, Transport, probe};
use vong_runtime::{Clock, SystemClock};
use vong_wire::probe::{CameraProbe, CameraProbeRequest, ProbedVideo};

use crate::cli::{DiscoverArguments, ProbeArguments, say, tell};
use crate::config::Config;

/// Cameras that are looked at over HTTP at one time; more are told to come again.
const AT_ONCE: usize = 4;
const WATCH_SECONDS: u64 = 5;
/// A password file is short.
const PASSWORD_BYTES: u64 = 1_024;

/// `vong camera probe`.
pub(crate) fn look(arguments: &ProbeArguments) -> Result<ExitCode> {
    let ProbeArguments { url, username, password_file, udp, seconds, config, json } = arguments;
    let networks = match config {
        Some(file) => Config::load(file)?.video.networks,
        None => Networks::default(),
    };
    let password = password_file.as_deref().map(read_password).transpose()?;
    let request = CameraProbeRequest {
        url: url.clone(),
        username: username.clone(),
        password,
        udp: *udp,
        seconds: Some(*seconds),
    };
    let seen = runtime()?.block_on(probe(&to_request(request), &networks, Arc::new(SystemClock)));
    if *json {
        say(&serde_json::to_string(&seen)?)?
    } else {
        say(&in_words(&seen))?
    };
    Ok(if seen.usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().context("could not start")
}

fn read_password(file: &Path) -> Result<String> {
    let mut text = String::new();
    let opened = std::fs::File::open(file)
        .with_context(|| format!("could not open the password file {}", file.display()))?;
    opened.take(PASSWORD_BYTES).read_to_string(&mut text).context("password file is no text")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn to_request(request: CameraProbeRequest) -> ProbeRequest {
    let CameraProbeRequest { url, username, password, udp, seconds } = request;
    ProbeRequest {
        url,
        login: username.zip(password).map(|(username, password)| Login { username, password }),
        transport: if udp { Transport::Udp } else { Transport::Tcp },
        watch: Duration::from_secs(seconds.unwrap_or(WATCH_SECONDS)),
    }
}

/// What was seen, for a person at a terminal.
fn in_words(seen: &CameraProbe) -> String {
    let CameraProbe { usable, plays_in_browser, address, reachable, login, tracks, .. } = seen;
    let yes = |yes: bool| if yes { "có / yes" } else { "không / no" };
    let mut lines = vec![
        format!("dùng được / usable        {}", yes(*usable)),
        format!("trả lời / answers         {}", yes(*reachable)),
        format!("địa chỉ / address         {}", address.as_deref().unwrap_or("-")),
        format!("đăng nhập / log-in        {login}"),
        format!("luồng / tracks            {}", tracks.join(", ")),
    ];
    if let Some(video) = &seen.video {
        let ProbedVideo { codec, rfc6381, width, height, fps, kilobits_per_s, .. } = video;
        let key =
            video.key_interval_s.map_or_else(|| "?".to_owned(), |seconds| format!("{seconds:.1}"));
        lines.push(format!(
            "hình / picture            {codec} ({rfc6381}) {width}x{height}, {fps:.1} fps, \
             {kilobits_per_s:.0} kbit/s, key frame / {key} s"
        ));
        lines.push(format!(
            "mất gói / packets lost    {} ({} frames)",
            video.lost_packets, video.frames
        ));
        lines.push(format!("trình duyệt / browser     {}", yes(*plays_in_browser)));
    }
    if let Some(ms) = seen.clock_offset_ms {
        lines.push(format!("đồng hồ / clock           {ms:+} ms"));
    }
    if let Some(trouble) = &seen.trouble {
        lines.push(format!("lỗi / error               {trouble}"));
    }
    for advice in &seen.advice {
        lines.push(format!("• {}\n  {}", advice.vi, advice.en));
    }
    lines.join("\n")
}

/// `vong camera discover`.
pub(crate) fn discover(arguments: &DiscoverArguments) -> Result<ExitCode> {
    let DiscoverArguments { interface, seconds } = arguments;
    let wait = Duration::from_secs(*seconds);
    let found = runtime()?.block_on(discovery::discover(*interface, wait, SystemClock.now()))?;
    if found.is_empty() {
        tell("no ONVIF device answered / không có máy ONVIF nào trả lời");
        return Ok(ExitCode::FAILURE);
    }
    for device in &found {
        let Device { address, name, hardware, location, addresses, .. } = device;
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        say(&format!(
            "{address}\t{}\t{}\t{}\t{}",
            or_dash(name),
            or_dash(hardware),
            or_dash(location),
            addresses.join(" ")
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Looks at cameras for the HTTP interface, a few at a time.
#[derive(Debug)]
pub(crate) struct Prober {
    networks: Arc<Networks>,
    clock: Arc<dyn Clock>,
    places: Semaphore,
}

impl Prober {
    pub(crate) fn new(networks: Arc<Networks>, clock: Arc<dyn Clock>) -> Self {
        Self { networks, clock, places: Semaphore::new(AT_ONCE) }
    }
}

impl ProbeCamera for Prober {
    fn probe(
        &self,
        request: CameraProbeRequest,
    ) -> Pin<Box<dyn Future<Output = Option<CameraProbe>> + Send + '_>> {
        Box::pin(async move {
            let _place = self.places.try_acquire().ok()?;
            Some(probe(&to_request(request), &self.networks, Arc::clone(&self.clock)).await)
        })
    }
}
