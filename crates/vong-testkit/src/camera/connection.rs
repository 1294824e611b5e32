//! One RTSP connection of a fake camera: requests, answers, and the answers that are wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use vong_sim::camera::rtsp::{self, Incoming, Request, Response, Status, Wanted};

use super::auth::{self, Verdict};
use super::counts::tick;
use super::farm::{Camera, Ground};
use super::play::{Player, Transport};
use super::script::{Answer, MetadataFault, Method};

const METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN";
/// Payload types of the tracks besides the video.
pub(crate) const AUDIO_TYPE: u8 = 8;
pub(crate) const METADATA_TYPE: u8 = 107;

#[derive(Debug)]
pub(crate) struct Connection {
    camera: Arc<Camera>,
    ground: Arc<Ground>,
    reader: Option<OwnedReadHalf>,
    writer: Option<OwnedWriteHalf>,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    /// Of this camera.
    number: u64,
    /// Of the farm.
    id: u64,
    nonce: String,
    buffer: BytesMut,
    video: Option<Transport>,
    metadata: Option<Transport>,
    player: Option<Player>,
}

/// What a request leads to.
enum Reply {
    Whole(Vec<u8>),
    Faulty(Answer, Vec<u8>),
}

impl Connection {
    pub(crate) fn new(
        camera: Arc<Camera>,
        ground: Arc<Ground>,
        tcp: TcpStream,
        number: u64,
        id: u64,
    ) -> Self {
        drop(tcp.set_nodelay(true)); // only slower without
        let (peer, local) = (tcp.peer_addr().ok(), tcp.local_addr().ok());
        let (reader, writer) = tcp.into_split();
        Self {
            camera,
            ground,
            reader: Some(reader),
            writer: Some(writer),
            peer,
            local,
            number,
            id,
            nonce: format!("{id:08x}{number:08x}"),
            buffer: BytesMut::new(),
            video: None,
            metadata: None,
            player: None,
        }
    }

    /// Ends the connection with a reset instead of an orderly close.
    pub(crate) fn reset(&mut self) {
        let (Some(reader), Some(writer)) = (self.reader.take(), self.writer.take()) else { return };
        if let Ok(tcp) = reader.reunite(writer) {
            drop(tcp.set_zero_linger());
        }
    }

    /// Serves until either side ends it; an error asks for a reset.
    pub(crate) async fn run(&mut self) -> std::io::Result<()> {
        loop {
            self.buffer.reserve(4_096);
            let Self { reader: Some(reader), writer: Some(writer), buffer, player, .. } = self
            else {
                return Ok(());
            };
            let read = tokio::select! {
                read = reader.read_buf(buffer) => Some(read?),
                () = due(player.as_ref()) => None,
            };
            let goes_on = match (read, player) {
                (Some(bytes), _) => bytes > 0 && self.answer_all().await?,
                (None, Some(player)) => player.send(writer).await?,
                (None, None) => true,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    async fn answer_all(&mut self) -> std::io::Result<bool> {
        loop {
            let request = match rtsp::take(&mut self.buffer) {
                Ok(None) => return Ok(self.buffer.len() <= rtsp::MAX_BUFFERED_BYTES),
                Ok(Some(Incoming::Interleaved)) => continue,
                Ok(Some(Incoming::Request(request))) => request,
                Err(_no_rtsp) => return Ok(false),
            };
            let reply = self.reply(&request).await;
            if !self.send(reply).await? || request.method == "TEARDOWN" {
                return Ok(false);
            }
        }
    }

    async fn send(&mut self, reply: Reply) -> std::io::Result<bool> {
        let Some(writer) = &mut self.writer else { return Ok(false) };
        match reply {
            Reply::Whole(bytes) | Reply::Faulty(Answer::Mute, bytes) => {
                writer.write_all(&bytes).await?;
                Ok(true)
            }
            Reply::Faulty(Answer::Nothing, _) => Ok(true),
            Reply::Faulty(Answer::Reset, _) => Err(std::io::ErrorKind::ConnectionReset.into()),
            Reply::Faulty(Answer::Bytes(bytes), _) => {
                writer.write_all(&bytes).await?;
                Ok(true)
            }
            Reply::Faulty(Answer::Truncated, bytes) => {
                writer.write_all(bytes.get(..bytes.len() / 2).unwrap_or_default()).await?;
                Ok(false)
            }
            Reply::Faulty(Answer::EndlessHeader, _) => {
                writer.write_all(b"RTSP/1.0 200 OK\r\n").await?;
                endless_header(writer).await?;
                Ok(false)
            }
            Reply::Faulty(_, bytes) => {
                writer.write_all(&bytes).await?;
                Ok(true)
            }
        }
    }

    async fn reply(&mut self, request: &Request) -> Reply {
        let camera = Arc::clone(&self.camera);
        let method = Method::of(&request.method);
        if let Some(refused) = self.refuse_stranger(request) {
            return Reply::Whole(refused.into_bytes());
        }
        let fault = camera
            .plan
            .script
            .answers
            .iter()
            .find(|cue| Some(cue.method) == method && cue.connections.contains(&self.number));
        let fault = fault.map(|cue| cue.answer.clone());
        let refuse = |status| Response::new(Some(request), status).into_bytes();
        match fault {
            Some(Answer::NotEnoughBandwidth) => {
                return Reply::Whole(refuse(Status::NotEnoughBandwidth));
            }
            Some(Answer::Unavailable) => return Reply::Whole(refuse(Status::Unavailable)),
            Some(Answer::Echo) => return Reply::Whole(echo(request)),
            _ => {}
        }
        if self.chokes_on_metadata(request) {
            return Reply::Faulty(Answer::Reset, Vec::new());
        }
        let right = match request.method.as_str() {
            "OPTIONS" => Ok(Response::new(Some(request), Status::Ok).with("Public", METHODS)),
            "DESCRIBE" => self.describe(request, fault.as_ref()),
            "SETUP" => self.set_up(request).await,
            "PLAY" => self.play(request, fault != Some(Answer::Mute)),
            "GET_PARAMETER" => Ok(self.ok(request)),
            "TEARDOWN" => {
                tick(&camera.counts.torn_down);
                Ok(self.ok(request))
            }
            _ => Err(Status::NotImplemented),
        };
        let bytes = match right {
            Ok(response) => response.into_bytes(),
            Err(status) => refuse(status),
        };
        match fault {
            Some(fault) => Reply::Faulty(fault, bytes),
            None => Reply::Whole(bytes),
        }
    }

    fn chokes_on_metadata(&self, request: &Request) -> bool {
        match self.camera.plan.script.metadata {
            MetadataFault::SetupResets => {
                request.method == "SETUP" && request.path().ends_with("track3")
            }
            MetadataFault::PlayResets => request.method == "PLAY" && self.metadata.is_some(),
            MetadataFault::None | MetadataFault::CutOff(_) | MetadataFault::Endless(_) => false,
        }
    }

    fn refuse_stranger(&mut self, request: &Request) -> Option<Response> {
        let camera = Arc::clone(&self.camera);
        let login = &camera.plan.login;
        let right = auth::judge(login, &self.nonce, request) == Verdict::LetIn;
        let stale = right
            && camera
                .stale
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok();
        if right && !stale {
            return None;
        }
        tick(&camera.counts.unauthorized);
        if stale {
            self.nonce.push('s');
        }
        let response = Response::new(Some(request), Status::Unauthorized);
        Some(response.with("WWW-Authenticate", auth::challenge(login, &self.nonce, stale)))
    }

    fn describe(&self, request: &Request, fault: Option<&Answer>) -> Result<Response, Status> {
        let plan = &self.camera.plan;
        tick(&self.camera.counts.describes);
        if plan.script.burst_limit.is_some_and(|limit| !self.ground.fits(limit)) {
            return Err(Status::NotEnoughBandwidth);
        }
        let mut sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=Fake camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
             a=control:*\r\n{}",
            plan.reel.video_track()
        );
        if plan.audio {
            sdp.push_str(&format!(
                "m=audio 0 RTP/AVP {AUDIO_TYPE}\r\na=rtpmap:{AUDIO_TYPE} PCMA/8000\r\na=control:track2\r\n"
            ));
        }
        if !plan.metadata.is_empty() {
            sdp.push_str(&format!(
                "m=application 0 RTP/AVP {METADATA_TYPE}\r\n\
                 a=rtpmap:{METADATA_TYPE} vnd.onvif.metadata/90000\r\na=control:track3\r\n"
            ));
        }
        if let Some(Answer::Description(other)) = fault {
            sdp.clone_from(other);
        }
        let base = request.uri.trim_end_matches('/');
        Ok(self.ok(request).with("Content-Base", format_args!("{base}/")).with_sdp(sdp))
    }

    async fn set_up(&mut self, request: &Request) -> Result<Response, Status> {
        let wanted = request.header("Transport").and_then(rtsp::transport);
        let id = u32::try_from(self.id & 0xffff).unwrap_or(0);
        let track = if request.path().ends_with("track3") { 3 } else { 1 };
        let ssrc = 0x1000_0000 | (id << 4) | track;
        let (transport, line) = match wanted.ok_or(Status::UnsupportedTransport)? {
            Wanted::Interleaved(rtp, rtcp) => (
                Transport::Interleaved { rtp, rtcp },
                format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp};ssrc={ssrc:08X}"),
            ),
            Wanted::Udp(rtp, rtcp) => {
                let (Some(local), Some(peer)) = (self.local, self.peer) else {
                    return Err(Status::Unavailable);
                };
                let pair = rtsp::udp_pair(local.ip(), peer.ip(), (rtp, rtcp)).await;
                let (sockets, ports) = pair.map_err(|_no_ports| Status::Unavailable)?;
                let line = format!(
                    "RTP/AVP;unicast;client_port={rtp}-{rtcp};server_port={}-{};ssrc={ssrc:08X}",
                    ports.0, ports.1
                );
                (Transport::Udp { rtp: Arc::new(sockets.0), rtcp: Arc::new(sockets.1) }, line)
            }
        };
        if track == 3 {
            self.metadata = Some(transport)
        } else {
            self.video = Some(transport)
        }
        Ok(self.ok(request).with("Transport", line))
    }

    fn play(&mut self, request: &Request, sends: bool) -> Result<Response, Status> {
        let Some(video) = self.video.clone() else { return Err(Status::MethodNotValidInState) };
        let session = tick(&self.camera.counts.plays);
        if sends {
            let (camera, ground) = (Arc::clone(&self.camera), Arc::clone(&self.ground));
            let tracks = (video, self.metadata.clone());
            self.player = Some(Player::new(camera, ground, tracks, session, self.id));
        }
        Ok(self.ok(request).with("Range", "npt=0.000-"))
    }

    fn ok(&self, request: &Request) -> Response {
        let response = Response::new(Some(request), Status::Ok);
        match &self.video {
            Some(_) => response.with("Session", format_args!("{:08X};timeout=60", self.id)),
            None if request.method == "SETUP" => {
                response.with("Session", format_args!("{:08X};timeout=60", self.id))
            }
            None => response,
        }
    }
}

/// Header lines as fast as a line of 100 Mbit/s carries them, up to a gigabyte.
pub(crate) async fn endless_header(writer: &mut OwnedWriteHalf) -> std::io::Result<()> {
    let line = format!("X-Padding: {}\r\n", "x".repeat(1_000));
    let lines = line.repeat(64);
    for _ in 0..16_384 {
        writer.write_all(lines.as_bytes()).await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    Ok(())
}

/// A refusal that shows whoever logs it what was sent.
fn echo(request: &Request) -> Vec<u8> {
    let given = request.header("Authorization").unwrap_or("nothing");
    let cseq = request.header("CSeq").unwrap_or("0");
    format!("RTSP/1.0 403 No: {given}\r\nCSeq: {cseq}\r\nX-Given: {given}\r\n\r\n").into_bytes()
}

async fn due(player: Option<&Player>) {
    match player {
        Some(player) => player.due().await,
        None => std::future::pending().await,
    }
}
