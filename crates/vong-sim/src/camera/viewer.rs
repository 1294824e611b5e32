//! One RTSP connection (RFC 2326) from its first request to its end.
//!
//! A session lives and dies with its connection, also when its packets travel as datagrams, and
//! packets go to the address the connection came from, nowhere else.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};
use vong_runtime::Shutdown;
use vong_runtime::channel::Receiver;

use super::feed::{Feed, MediaFrame};
use super::film::Stage;
use super::request::{self, Incoming, Request, Response, Status, Wanted};
use super::rtp::{self, Numbering};

const METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN";
/// A viewer that takes nothing for so long is given up.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// How long DESCRIBE waits for an encoder that has just started.
const DESCRIBE_PATIENCE: Duration = Duration::from_secs(5);
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// How often a pair of neighbouring free ports is looked for.
const PORT_TRIES: usize = 32;

/// What connections of one server share.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) feeds: Vec<Arc<Feed>>,
    pub(crate) stage: Stage,
    pub(crate) session_timeout: Duration,
}

impl House {
    fn feed(&self, path: &str) -> Option<&Arc<Feed>> {
        let path = path.strip_suffix("/track1").unwrap_or(path);
        self.feeds.iter().find(|feed| feed.path == path)
    }

    fn is_offline(&self, feed: &Feed) -> bool {
        let Some(camera_id) = feed.camera_id.as_deref() else { return false };
        self.stage.scene.is_offline(camera_id, self.stage.now_s())
    }
}

#[derive(Debug)]
struct Session {
    id: String,
    feed: Arc<Feed>,
    transport: Transport,
    numbering: Numbering,
    /// Present while playing.
    frames: Option<Receiver<Arc<MediaFrame>>>,
    reported: Option<Instant>,
}

#[derive(Debug)]
enum Transport {
    Interleaved { rtp: u8, rtcp: u8 },
    Udp { rtp: UdpSocket, rtcp: UdpSocket },
}

#[derive(Debug)]
enum Event {
    Read(std::io::Result<usize>),
    Frame(Option<Arc<MediaFrame>>),
    Heard,
    End,
}

#[derive(Debug)]
pub(crate) struct Connection {
    house: Arc<House>,
    tcp: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    /// Makes session ids and packet numbers differ between connections.
    number: u64,
    buffer: BytesMut,
    session: Option<Session>,
    heard: Instant,
}

impl Connection {
    pub(crate) fn new(
        house: Arc<House>,
        tcp: TcpStream,
        peer: SocketAddr,
        number: u64,
    ) -> std::io::Result<Self> {
        tcp.set_nodelay(true)?;
        let local = tcp.local_addr()?;
        let (buffer, heard) = (BytesMut::new(), Instant::now());
        Ok(Self { house, tcp, peer, local, number, buffer, session: None, heard })
    }

    /// Serves until either side ends it; an error here is the viewer's going away.
    pub(crate) async fn run(mut self, shutdown: Shutdown) -> std::io::Result<()> {
        loop {
            match self.next_event(&shutdown).await {
                Event::Read(read) => {
                    if read? == 0 || !self.answer_all().await? {
                        return Ok(());
                    }
                }
                Event::Frame(Some(frame)) => self.send(&frame).await?,
                Event::Heard => self.heard = Instant::now(),
                Event::Frame(None) | Event::End => return Ok(()),
            }
        }
    }

    async fn next_event(&mut self, shutdown: &Shutdown) -> Event {
        self.buffer.reserve(4_096);
        let silence_ends = self.heard + self.house.session_timeout;
        let Self { tcp, buffer, session, .. } = self;
        tokio::select! {
            () = shutdown.requested() => Event::End,
            read = tcp.read_buf(buffer) => Event::Read(read),
            event = session_event(session.as_mut()) => event,
            () = tokio::time::sleep_until(silence_ends) => Event::End,
        }
    }

    /// Answers what has arrived whole; `false` once the connection is over.
    async fn answer_all(&mut self) -> std::io::Result<bool> {
        loop {
            let request = match request::take(&mut self.buffer) {
                Ok(None) => return Ok(self.buffer.len() <= request::MAX_BUFFERED_BYTES),
                Ok(Some(Incoming::Interleaved)) => {
                    self.heard = Instant::now();
                    continue;
                }
                Ok(Some(Incoming::Request(request))) => request,
                Err(malformed) => {
                    let status = match malformed {
                        request::Malformed::TooLarge => Status::EntityTooLarge,
                        request::Malformed::NotRtsp => Status::BadRequest,
                    };
                    self.write(&Response::new(None, status).into_bytes()).await?;
                    return Ok(false);
                }
            };
            self.heard = Instant::now();
            let response = self.answer(&request).await;
            self.write(&response.into_bytes()).await?;
            if request.method == "TEARDOWN" {
                return Ok(false);
            }
        }
    }

    async fn answer(&mut self, request: &Request) -> Response {
        let refuse = |status| Response::new(Some(request), status);
        if let Some(claimed) = request.header("Session") {
            let claimed = claimed.split(';').next().unwrap_or_default();
            if self.session.as_ref().is_none_or(|s| s.id != claimed) {
                return refuse(Status::SessionNotFound);
            }
        }
        let answer = match request.method.as_str() {
            "OPTIONS" => return refuse(Status::Ok).with("Public", METHODS),
            "DESCRIBE" => self.describe(request).await,
            "SETUP" => self.set_up(request).await,
            "PLAY" => self.play(request),
            "GET_PARAMETER" | "TEARDOWN" => Ok(self.ok(request)),
            _ => Err(Status::NotImplemented),
        };
        answer.unwrap_or_else(refuse)
    }

    async fn describe(&self, request: &Request) -> Result<Response, Status> {
        let feed = self.find(request)?;
        let mut description = feed.description();
        let ready = timeout(DESCRIBE_PATIENCE, description.wait_for(Option::is_some)).await;
        let Ok(Ok(sdp)) = ready else { return Err(Status::Unavailable) };
        let sdp = sdp.as_ref().ok_or(Status::Unavailable)?.to_string();
        let base = request.uri.trim_end_matches('/');
        Ok(self.ok(request).with("Content-Base", format_args!("{base}/")).with_sdp(sdp))
    }

    async fn set_up(&mut self, request: &Request) -> Result<Response, Status> {
        let feed = Arc::clone(self.find(request)?);
        if self.session.as_ref().is_some_and(|s| s.frames.is_some()) {
            return Err(Status::MethodNotValidInState);
        }
        let wanted = request.header("Transport").and_then(request::transport);
        let mut dice = super::dice::Dice::new(
            self.house.stage.seed ^ self.number,
            request.header("CSeq").unwrap_or_default(),
        );
        let numbering = Numbering {
            ssrc: dice.below(u32::MAX),
            sequence: u16::try_from(dice.below(30_000)).unwrap_or(0),
            packets: 0,
            payload_bytes: 0,
        };
        let ssrc = numbering.ssrc;
        let (transport, line) = match wanted.ok_or(Status::UnsupportedTransport)? {
            Wanted::Interleaved(rtp, rtcp) => {
                let line = format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp};ssrc={ssrc:08X}");
                (Transport::Interleaved { rtp, rtcp }, line)
            }
            Wanted::Udp(rtp, rtcp) => {
                let pair = udp_pair(self.local.ip(), self.peer.ip(), (rtp, rtcp)).await;
                let (sockets, ports) = pair.map_err(|_no_ports| Status::Unavailable)?;
                let transport = Transport::Udp { rtp: sockets.0, rtcp: sockets.1 };
                let line = format!(
                    "RTP/AVP;unicast;client_port={rtp}-{rtcp};server_port={}-{};ssrc={ssrc:08X}",
                    ports.0, ports.1
                );
                (transport, line)
            }
        };
        let id = format!("{:016X}", dice.word());
        self.session =
            Some(Session { id, feed, transport, numbering, frames: None, reported: None });
        Ok(self.ok(request).with("Transport", line))
    }

    fn play(&mut self, request: &Request) -> Result<Response, Status> {
        let house = Arc::clone(&self.house);
        let session = self.session.as_mut().ok_or(Status::MethodNotValidInState)?;
        if house.is_offline(&session.feed) {
            return Err(Status::Unavailable);
        }
        if session.frames.is_none() {
            session.frames = Some(session.feed.attach());
        }
        let micros = house.stage.clock.now() - house.stage.anchor;
        let info = format!(
            "url={}/track1;seq={};rtptime={}",
            request.uri.trim_end_matches('/'),
            session.numbering.sequence,
            rtp::time_after(session.feed.time_base, micros)
        );
        Ok(self.ok(request).with("Range", "npt=0.000-").with("RTP-Info", info))
    }

    fn find(&self, request: &Request) -> Result<&Arc<Feed>, Status> {
        let feed = self.house.feed(request.path()).ok_or(Status::NotFound)?;
        if self.house.is_offline(feed) {
            return Err(Status::Unavailable);
        }
        Ok(feed)
    }

    fn ok(&self, request: &Request) -> Response {
        let response = Response::new(Some(request), Status::Ok);
        match &self.session {
            Some(session) => {
                let seconds = self.house.session_timeout.as_secs().max(1);
                response.with("Session", format_args!("{};timeout={seconds}", session.id))
            }
            None => response,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        write(&mut self.tcp, bytes).await
    }

    async fn send(&mut self, frame: &MediaFrame) -> std::io::Result<()> {
        let Self { session, tcp, house, .. } = self;
        let Some(session) = session else { return Ok(()) };
        let report_due = session.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY);
        let report = (report_due && !frame.raw).then(|| {
            session.reported = Some(Instant::now());
            let now = house.stage.clock.now();
            let time = rtp::time_after(session.feed.time_base, now - house.stage.anchor);
            session.numbering.sender_report(now, time)
        });
        match &session.transport {
            Transport::Interleaved { rtp, rtcp } => {
                let mut batch = BytesMut::new();
                if let Some(report) = report {
                    interleave(*rtcp, &report, &mut batch);
                }
                for_each_packet(&mut session.numbering, frame, |packet| {
                    interleave(*rtp, packet, &mut batch);
                });
                write(tcp, &batch).await
            }
            Transport::Udp { rtp, rtcp } => {
                let mut packets = Vec::new();
                for_each_packet(&mut session.numbering, frame, |p| packets.push(p.to_vec()));
                // A datagram that cannot be delivered is lost, as datagrams are.
                if let Some(report) = report {
                    drop(rtcp.send(&report).await);
                }
                for packet in packets {
                    drop(rtp.send(&packet).await);
                }
                Ok(())
            }
        }
    }
}

/// The next thing that happens in a session; never, if there is none.
async fn session_event(session: Option<&mut Session>) -> Event {
    let Some(Session { frames, transport, .. }) = session else {
        return std::future::pending().await;
    };
    let frame = async {
        match frames {
            Some(frames) => frames.recv().await,
            None => std::future::pending().await,
        }
    };
    let mut report = [0; 64]; // the rest of a longer one is cut off; only that it came counts
    let heard = async {
        match transport {
            Transport::Udp { rtcp, .. } if rtcp.recv(&mut report).await.is_ok() => {}
            Transport::Udp { .. } | Transport::Interleaved { .. } => std::future::pending().await,
        }
    };
    tokio::select! {
        frame = frame => Event::Frame(frame),
        () = heard => Event::Heard,
    }
}

fn for_each_packet(numbering: &mut Numbering, frame: &MediaFrame, mut each: impl FnMut(&[u8])) {
    let mut packet = BytesMut::new();
    for (index, payload) in frame.payloads.iter().enumerate() {
        packet.clear();
        if frame.raw {
            packet.extend_from_slice(payload);
        } else {
            let marker = index + 1 == frame.payloads.len();
            numbering.packet(frame.time, marker, payload, &mut packet);
        }
        each(&packet);
    }
}

/// Frames a packet of RTP or RTCP for the RTSP connection (RFC 2326 10.12).
pub fn interleave(channel: u8, packet: &[u8], into: &mut BytesMut) {
    let Ok(bytes) = u16::try_from(packet.len()) else { return };
    into.put_u8(b'$');
    into.put_u8(channel);
    into.put_u16(bytes);
    into.extend_from_slice(packet);
}

async fn write(tcp: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let written = timeout(WRITE_PATIENCE, tcp.write_all(bytes)).await;
    written.unwrap_or_else(|_elapsed| Err(std::io::ErrorKind::TimedOut.into()))
}

/// An even port for RTP and the next one for RTCP, both tied to the viewer's ports.
pub async fn udp_pair(
    local: IpAddr,
    peer: IpAddr,
    ports: (u16, u16),
) -> std::io::Result<((UdpSocket, UdpSocket), (u16, u16))> {
    for _ in 0..PORT_TRIES {
        let rtp = UdpSocket::bind((local, 0)).await?;
        let first = rtp.local_addr()?.port();
        let Some(second) = first.checked_add(1).filter(|_| first % 2 == 0) else { continue };
        let Ok(rtcp) = UdpSocket::bind((local, second)).await else { continue };
        rtp.connect((peer, ports.0)).await?;
        rtcp.connect((peer, ports.1)).await?;
        return Ok(((rtp, rtcp), (first, second)));
    }
    Err(std::io::ErrorKind::AddrInUse.into())
}
