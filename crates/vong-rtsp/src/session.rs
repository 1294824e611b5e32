//! One RTSP session: from DESCRIBE to the last frame.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionOptions, SetupOptions, TcpTransportOptions,
    TeardownPolicy, UdpTransportOptions,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame};
use vong_media::{AccessUnit, Codec, VideoParameters};
use vong_model::EventTime;
use vong_runtime::Clock;

use crate::camera_clock::CameraClock;
use crate::error::Error;

/// How RTP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Interleaved with the control connection: passes firewalls, loses nothing.
    #[default]
    Tcp,
    Udp,
}

/// Name and password of a camera. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(***)")
    }
}

/// A camera that does not answer within this time is not there.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A camera that sends no picture for this time is lost.
pub(crate) const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// A session that plays.
pub(crate) struct Playing {
    frames: Demuxed,
    video: usize,
    codec: Codec,
    clock: Arc<dyn Clock>,
    camera_clock: CameraClock,
    parameters_known: bool,
}

/// What a playing session yields: a frame, and the parameters where this frame is the first with them.
pub(crate) struct Delivery {
    pub(crate) parameters: Option<Arc<VideoParameters>>,
    pub(crate) unit: AccessUnit,
}

impl Playing {
    /// Connects and starts to play the first H.264 or H.265 stream that the camera offers.
    pub(crate) async fn start(
        url: &str,
        login: Option<&Login>,
        transport: Transport,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let url = url::Url::parse(url).map_err(Error::Address)?;
        let credentials = login.map(|Login { username, password }| Credentials {
            username: username.clone(),
            password: password.clone(),
        });
        let options = SessionOptions::default()
            .creds(credentials)
            .user_agent("vong".to_owned())
            .teardown(TeardownPolicy::Auto);
        let mut session = answer("DESCRIBE", Session::describe(url, options)).await?;
        let (video, codec) = choose(&session)?;
        let transport = match transport {
            Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
            Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
        };
        let setup = SetupOptions::default().transport(transport).frame_format(FrameFormat::MP4);
        answer("SETUP", session.setup(video, setup)).await?;
        let playing = answer("PLAY", session.play(PlayOptions::default())).await?;
        let frames = playing.demuxed().map_err(Error::Stream)?;
        let camera_clock = CameraClock::default();
        Ok(Self { frames, video, codec, clock, camera_clock, parameters_known: false })
    }

    /// The next frame, with the parameters where they are new.
    pub(crate) async fn next(&mut self) -> Result<Delivery, Error> {
        let deadline = tokio::time::Instant::now() + SILENCE_LIMIT;
        loop {
            let item = tokio::time::timeout_at(deadline, self.frames.next())
                .await
                .map_err(|_elapsed| Error::Silent(SILENCE_LIMIT))?
                .ok_or(Error::Ended)?
                .map_err(Error::Stream)?;
            match item {
                CodecItem::VideoFrame(frame) if frame.stream_id() == self.video => {
                    let parameters = self.new_parameters(&frame)?;
                    // Until the decoder's parameters are known a frame can be of no use to anyone.
                    if self.parameters_known {
                        return Ok(Delivery { parameters, unit: self.access_unit(frame) });
                    }
                }
                CodecItem::Rtcp(packet) => self.take_report(&packet),
                _ => {} // audio and metadata are not recorded
            }
        }
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

    fn take_report(&mut self, packet: &retina::rtcp::ReceivedCompoundPacket) {
        if packet.stream_id() != self.video {
            return;
        }
        let Some(pts) = packet.rtp_timestamp() else { return };
        for part in packet.pkts() {
            if let Ok(Some(report)) = part.as_sender_report() {
                self.camera_clock.report(report.ntp_timestamp().0, pts.timestamp());
            }
        }
    }
}

fn choose(session: &Session<retina::client::Described>) -> Result<(usize, Codec), Error> {
    let streams = session.streams();
    let found = streams.iter().enumerate().find_map(|(index, stream)| {
        if stream.media() != "video" {
            return None;
        }
        match stream.encoding_name() {
            "h264" => Some((index, Codec::H264)),
            "h265" => Some((index, Codec::H265)),
            _ => None,
        }
    });
    found.ok_or_else(|| {
        let offered: Vec<&str> =
            streams.iter().map(retina::client::Stream::encoding_name).collect();
        Error::NoVideo { offered: offered.join(", ") }
    })
}

async fn answer<T>(
    step: &'static str,
    request: impl Future<Output = Result<T, retina::Error>>,
) -> Result<T, Error> {
    let answered = tokio::time::timeout(ANSWER_LIMIT, request).await;
    let answered = answered.map_err(|_elapsed| Error::Timeout { step, limit: ANSWER_LIMIT })?;
    answered.map_err(|source| match source.status_code() {
        Some(status) => Error::Refused { step, status, source },
        None => Error::Connect { step, source },
    })
}
