//! One RTSP session: from DESCRIBE to the last frame.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt};
use retina::client::{
    Credentials, Demuxed, Described, InitialTimestampPolicy, PlayOptions, Session, SessionGroup,
    SessionIdPolicy, SessionOptions, SetupOptions, TcpTransportOptions, TeardownPolicy,
    UdpTransportOptions, UnknownRtcpSsrcPolicy,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame};
use url::Url;
use vong_media::{AccessUnit, Codec, VideoParameters};
use vong_model::EventTime;
use vong_runtime::Clock;

use crate::camera_clock::CameraClock;
use crate::error::Error;
use crate::login::Login;
use crate::offer::{Offer, Track};
use crate::unread::{self, Unread};

/// How RTP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Interleaved with the control connection: passes firewalls, loses nothing.
    #[default]
    Tcp,
    Udp,
}

/// A camera that does not answer within this time is not there.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A camera that sends no picture for this time is lost.
pub(crate) const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// How long a session that was left behind may hold up the next one.
const STALE_LIMIT: Duration = Duration::from_secs(5);

/// Frames that nobody waits for are left to the kernel for so long and taken together: reading each
/// as it comes costs twice the processor time, most of it the kernel's (see `benches/video.rs`).
/// Less than a socket holds of 10 Mbit/s, and far below what is taken for drift of a camera's clock.
const GULP: Duration = Duration::from_millis(100);

/// What is asked of a camera. Its address is pinned: see [`crate::Networks`].
pub(crate) struct Ask<'a> {
    pub(crate) url: &'a Url,
    pub(crate) login: Option<&'a Login>,
    pub(crate) transport: Transport,
    /// Knows the sessions of this stream that the camera may still believe in.
    pub(crate) group: &'a Arc<SessionGroup>,
    /// Also the metadata track, where there is one.
    pub(crate) metadata: bool,
}

/// A session that plays.
pub(crate) struct Playing {
    frames: Demuxed,
    transport: Transport,
    pub(crate) offer: Offer,
    video: usize,
    codec: Codec,
    metadata: Option<usize>,
    clock: Arc<dyn Clock>,
    camera_clock: CameraClock,
    parameters_known: bool,
    last_frame: tokio::time::Instant,
    unread: Unread,
}

/// What a playing session yields.
pub(crate) enum Event {
    /// A frame, and the parameters where this frame is the first with them.
    Frame { parameters: Option<Arc<VideoParameters>>, unit: AccessUnit },
    /// The camera's clock showed this.
    Clock(EventTime),
    /// A document of the metadata track.
    Document(Bytes),
}

impl Playing {
    /// Connects and starts to play the first H.264 or H.265 stream that the camera offers.
    pub(crate) async fn start(ask: &Ask<'_>, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let stale = ask.group.stale_sessions();
        if stale.num_sessions > 0 {
            let gone = ask.group.await_stale_sessions(&stale);
            drop(tokio::time::timeout(STALE_LIMIT, gone).await); // it may have been wrong
        }
        let mut session = describe(ask).await?;
        let offer = Offer::of(session.streams());
        let (video, codec) = offer.video()?;
        answer("SETUP", session.setup(video, setup(ask.transport))).await?;
        let metadata = match offer.metadata().filter(|_| ask.metadata) {
            Some(track) => set_up_metadata(&mut session, track, ask.transport).await?,
            None => None,
        };
        // Cameras are wrong about these in harmless ways: RTP-Info without times, reports under
        // another source number.
        let options = PlayOptions::default()
            .initial_timestamp(InitialTimestampPolicy::Permissive)
            .unknown_rtcp_ssrc(UnknownRtcpSsrcPolicy::ProcessPackets);
        let playing = answer("PLAY", session.play(options)).await?;
        let frames = playing.demuxed().map_err(Error::Stream)?;
        Ok(Self {
            frames,
            transport: ask.transport,
            offer,
            video,
            codec,
            metadata,
            clock,
            camera_clock: CameraClock::default(),
            parameters_known: false,
            last_frame: tokio::time::Instant::now(),
            unread: Unread::default(),
        })
    }

    pub(crate) fn has_metadata(&self) -> bool {
        self.metadata.is_some()
    }

    /// The camera's frame counter jumped: its clock is unknown until the next report.
    pub(crate) fn forget_camera_clock(&mut self) {
        self.camera_clock.forget();
    }

    /// The next frame, report or document: as soon as it is here if `prompt`, else by the gulp.
    /// Over UDP always at once, as nothing waits for a receiver whose buffer is full.
    pub(crate) async fn next(&mut self, prompt: bool) -> Result<Event, Error> {
        loop {
            match self.item(prompt).await? {
                CodecItem::VideoFrame(frame) if frame.stream_id() == self.video => {
                    self.last_frame = tokio::time::Instant::now();
                    let place = self.metadata.and_then(|_| unread::place(frame.end_ctx()));
                    if self.unread.frame(place, frame.data().len()) {
                        return Err(Error::MetadataEndless { mib: unread::LIMIT_BYTES >> 20 });
                    }
                    let parameters = self.new_parameters(&frame)?;
                    // Until the decoder's parameters are known a frame can be of no use to anyone.
                    if self.parameters_known {
                        return Ok(Event::Frame { parameters, unit: self.access_unit(frame) });
                    }
                }
                CodecItem::MessageFrame(message) if Some(message.stream_id()) == self.metadata => {
                    self.unread.document();
                    return Ok(Event::Document(Bytes::copy_from_slice(message.data())));
                }
                CodecItem::Rtcp(packet) => {
                    if let Some(time) = self.take_report(&packet) {
                        return Ok(Event::Clock(time));
                    }
                }
                _ => {} // audio is not recorded
            }
        }
    }

    async fn item(&mut self, prompt: bool) -> Result<CodecItem, Error> {
        let item = match self.frames.next().now_or_never() {
            Some(item) => item,
            None => {
                if !prompt && self.transport == Transport::Tcp {
                    tokio::time::sleep(until_gulp(self.clock.now())).await;
                }
                let deadline = self.last_frame + SILENCE_LIMIT;
                let next = tokio::time::timeout_at(deadline, self.frames.next()).await;
                next.map_err(|_elapsed| Error::Silent(SILENCE_LIMIT))?
            }
        };
        item.ok_or(Error::Ended)?.map_err(|e| self.broken(e))
    }

    /// Whose fault the end of the session is. The library names the track where an error is shown
    /// to programmers, and nowhere else.
    fn broken(&self, source: retina::Error) -> Error {
        let is_metadata = self.metadata.is_some_and(|track| {
            let shown = format!("{source:?}");
            shown.contains("PacketError") && shown.contains(&format!("stream_id: {track},"))
        });
        if is_metadata { Error::Metadata(source) } else { Error::Stream(source) }
    }

    fn new_parameters(
        &mut self,
        frame: &VideoFrame,
    ) -> Result<Option<Arc<VideoParameters>>, Error> {
        if self.parameters_known && !frame.has_new_parameters() {
            return Ok(None);
        }
        let stream = self.frames.streams().get(self.video);
        let Some(ParametersRef::Video(found)) = stream.and_then(|s| s.parameters()) else {
            return Ok(None);
        };
        let (width, height) = found.pixel_dimensions();
        let sample_entry = found.mp4_sample_entry().build().map_err(Error::Parameters)?;
        self.parameters_known = true;
        Ok(Some(Arc::new(VideoParameters {
            codec: self.codec,
            width,
            height,
            rfc6381: found.rfc6381_codec().to_owned(),
            sample_entry: Bytes::from(sample_entry),
        })))
    }

    fn access_unit(&self, frame: VideoFrame) -> AccessUnit {
        let pts_90k = frame.timestamp().timestamp();
        AccessUnit {
            pts_90k,
            received_at: EventTime(self.clock.now()),
            camera_time: self.camera_clock.time_of(pts_90k),
            key: frame.is_random_access_point(),
            lost_packets: u32::from(frame.loss()),
            data: Bytes::from(frame.into_data()),
        }
    }

    fn take_report(&mut self, packet: &retina::rtcp::ReceivedCompoundPacket) -> Option<EventTime> {
        let pts = packet.rtp_timestamp().filter(|_| packet.stream_id() == self.video)?;
        for part in packet.pkts() {
            if let Ok(Some(report)) = part.as_sender_report() {
                self.camera_clock.report(report.ntp_timestamp().0, pts.timestamp());
                return self.camera_clock.reported();
            }
        }
        None
    }
}

/// Until the next gulp: at the same instants for all cameras, so that one turn of the timer serves
/// them all.
fn until_gulp(now_us: i64) -> Duration {
    let gulp_us = i64::try_from(GULP.as_micros()).unwrap_or(i64::MAX);
    Duration::from_micros(gulp_us.saturating_sub(now_us.rem_euclid(gulp_us)).unsigned_abs())
}

/// Asks what the camera offers.
///
/// A camera may name another host as the base of its tracks. Everything travels over the connection
/// that is there, except that a session that ends badly may be torn down over a new one, to that
/// base: such a camera is asked again and its sessions are left to expire.
pub(crate) async fn describe(ask: &Ask<'_>) -> Result<Session<Described>, Error> {
    let once = |teardown| {
        let credentials = ask.login.map(|Login { username, password }| Credentials {
            username: username.clone(),
            password: password.clone(),
        });
        let options = SessionOptions::default()
            .creds(credentials)
            .user_agent("vong".to_owned())
            .session_group(Arc::clone(ask.group))
            .session_id(SessionIdPolicy::UseFirst)
            .teardown(teardown);
        answer("DESCRIBE", Session::describe(ask.url.clone(), options))
    };
    let session = once(TeardownPolicy::Auto).await?;
    if stays_here(&session, ask.url) { Ok(session) } else { once(TeardownPolicy::Never).await }
}

/// Whether every address in the description, written out or relative to its base, is `url`'s host.
fn stays_here(session: &Session<Described>, url: &Url) -> bool {
    let written_out = session
        .sdp()
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"a=control:") && line.windows(3).any(|w| w == b"://"));
    !written_out
        && session.streams().iter().filter_map(retina::client::Stream::control).all(|control| {
            // As text: an address of a scheme that is not the web's is parsed as a name.
            control.host_str() == url.host_str() && control.port() == url.port()
        })
}

/// Gives the track if the camera lets it be set up; a camera that refuses has none for us.
async fn set_up_metadata(
    session: &mut Session<Described>,
    track: usize,
    transport: Transport,
) -> Result<Option<usize>, Error> {
    match answer("SETUP", session.setup(track, setup(transport))).await {
        Ok(()) => Ok(Some(track)),
        Err(Error::Refused { .. } | Error::Login { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

fn setup(transport: Transport) -> SetupOptions {
    let transport = match transport {
        Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
        Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
    };
    SetupOptions::default().transport(transport).frame_format(FrameFormat::MP4)
}

async fn answer<T>(
    step: &'static str,
    request: impl Future<Output = Result<T, retina::Error>>,
) -> Result<T, Error> {
    let answered = tokio::time::timeout(ANSWER_LIMIT, request).await;
    let answered = answered.map_err(|_elapsed| Error::Timeout { step, limit: ANSWER_LIMIT })?;
    answered.map_err(|source| match source.status_code() {
        Some(status @ (401 | 403)) => Error::Login { step, status, source },
        // An answer of success that makes no sense.
        Some(200) | None => Error::Connect { step, source },
        Some(status) => Error::Refused { step, status, source },
    })
}

impl Offer {
    fn of(streams: &[retina::client::Stream]) -> Self {
        let track = |stream: &retina::client::Stream| Track {
            media: stream.media().to_owned(),
            encoding: stream.encoding_name().to_owned(),
            fps: stream.framerate(),
        };
        Self { tracks: streams.iter().map(track).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gulps_of_all_cameras_fall_on_the_same_instants() {
        for (now_us, wait_us) in [(0, 100_000), (1, 99_999), (1_234_560_000, 40_000), (-1, 1)] {
            assert_eq!(until_gulp(now_us), Duration::from_micros(wait_us), "at {now_us}");
        }
    }
}
