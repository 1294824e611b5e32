//! Looks at one camera for some seconds and says whether it is usable, and what to do if not.
//!
//! The same session as the intake's, so that what the probe accepts the intake accepts.

mod advice;

use std::sync::Arc;
use std::time::Duration;

use retina::client::SessionGroup;
use vong_media::{AccessUnit, Codec};
use vong_runtime::Clock;
use vong_wire::probe::{CameraProbe, ProbedVideo};

use crate::error::Error;
use crate::login::{Login, presentable};
use crate::networks::Networks;
use crate::session::{Ask, Event, Playing, Transport};
use crate::watch::{ClockWatch, Order, OrderWatch};

/// Which camera, and how long to look.
#[derive(Clone, Debug)]
pub struct ProbeRequest {
    pub url: String,
    pub login: Option<Login>,
    pub transport: Transport,
    pub watch: Duration,
}

/// Looks at a camera. Never fails: that nothing answers is a finding like any other.
pub async fn probe(
    request: &ProbeRequest,
    networks: &Networks,
    clock: Arc<dyn Clock>,
) -> CameraProbe {
    let mut seen = Seen::default();
    let mut ended = seen.look(request, networks, &clock, true).await;
    // As the intake: the picture comes first.
    let without_metadata = matches!(&ended, Err(why) if seen.may_be_the_metadata(why));
    if without_metadata {
        seen = Seen::default();
        ended = seen.look(request, networks, &clock, false).await;
    }
    let mut report = seen.report(request.watch);
    if let Err(e) = &ended {
        report.trouble = Some(e.chain(request.login.as_ref()));
        report.usable = false;
        report.reachable |= answered(e);
        if e.is_login() {
            report.login = "refused".to_owned();
        }
    }
    report.plays_in_browser &= report.usable;
    report.advice = advice::about(&report, ended.as_ref().err());
    if without_metadata && ended.is_ok() {
        report.advice.push(advice::metadata());
    }
    report
}

/// Whether whoever made this error must have answered.
fn answered(error: &Error) -> bool {
    matches!(error, Error::Login { .. } | Error::Refused { .. } | Error::NoVideo { .. })
}

#[derive(Debug, Default)]
struct Seen {
    report: CameraProbe,
    codec: Option<Codec>,
    video: ProbedVideo,
    bytes: u64,
    first_pts: Option<i64>,
    last_pts: i64,
    keys: Vec<i64>,
    clock: ClockWatch,
    offset_us: Option<i64>,
    order: OrderWatch,
    has_metadata: bool,
}

impl Seen {
    /// Whether a session without the metadata track might end otherwise.
    fn may_be_the_metadata(&self, why: &Error) -> bool {
        let broke = matches!(why, Error::Stream(_) | Error::Ended | Error::Silent(_));
        why.is_after_description() || why.is_of_metadata() || (self.has_metadata && broke)
    }

    async fn look(
        &mut self,
        request: &ProbeRequest,
        networks: &Networks,
        clock: &Arc<dyn Clock>,
        metadata: bool,
    ) -> Result<(), Error> {
        let url = networks.pin(&request.url).await?;
        self.report.address = url.host_str().map(str::to_owned);
        let group = Arc::new(SessionGroup::default());
        let ask = Ask {
            url: &url,
            login: request.login.as_ref(),
            transport: request.transport,
            group: &group,
            metadata,
        };
        let mut session = Playing::start(&ask, Arc::clone(clock)).await?;
        self.report.reachable = true;
        self.has_metadata = session.has_metadata();
        self.report.login = "accepted".to_owned();
        let tracks = session.offer.in_words_each();
        self.report.tracks =
            tracks.iter().map(|track| presentable(track, request.login.as_ref())).collect();
        self.report.audio = session.offer.tracks.iter().any(|track| track.media == "audio");
        self.report.metadata = session.offer.metadata().is_some();
        let until = tokio::time::Instant::now() + request.watch;
        while let Ok(event) = tokio::time::timeout_at(until, session.next(true)).await {
            match event? {
                Event::Frame { parameters, unit } => {
                    if let Some(parameters) = parameters {
                        self.codec = Some(parameters.codec);
                        self.video.codec = parameters.codec.as_str().to_owned();
                        self.video.rfc6381.clone_from(&parameters.rfc6381);
                        (self.video.width, self.video.height) =
                            (parameters.width, parameters.height);
                    }
                    self.frame(&unit)?;
                }
                Event::Clock(camera) => {
                    let ours = vong_model::EventTime(clock.now());
                    drop(self.clock.report(camera, ours)); // only the offset counts here
                    let first = camera.micros().saturating_sub(ours.micros());
                    self.offset_us = self.clock.offset_us().or(self.offset_us).or(Some(first));
                }
                Event::Document(_) => {}
            }
        }
        if self.video.frames == 0 { Err(Error::Silent(request.watch)) } else { Ok(()) }
    }

    fn frame(&mut self, unit: &AccessUnit) -> Result<(), Error> {
        self.video.frames += 1;
        self.video.lost_packets += u64::from(unit.lost_packets);
        self.bytes += unit.data.len() as u64;
        match self.order.frame(unit.pts_90k, unit.received_at) {
            Some(Order::BFrames) => return Err(Error::BFrames),
            Some(Order::Jumped { .. }) => {
                self.video.jumps += 1;
                self.keys.clear();
                (self.first_pts, self.bytes, self.video.frames) = (None, 0, 1);
            }
            None => {}
        }
        self.first_pts.get_or_insert(unit.pts_90k);
        self.last_pts = unit.pts_90k;
        if unit.key {
            self.keys.push(unit.pts_90k);
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a minute fit a f64")]
    fn report(self, watch: Duration) -> CameraProbe {
        let Self { mut report, codec, mut video, bytes, first_pts, last_pts, keys, .. } = self;
        report.usable = video.frames > 0;
        report.plays_in_browser = codec == Some(Codec::H264);
        report.clock_offset_ms = self.offset_us.map(|micros| micros / 1_000);
        if report.login.is_empty() {
            report.login = "untried".to_owned();
        }
        let span_s = last_pts.saturating_sub(first_pts.unwrap_or(last_pts)) as f64 / 90_000.0;
        if span_s > 0.0 {
            video.fps = (video.frames.saturating_sub(1)) as f64 / span_s;
        }
        video.kilobits_per_s = bytes as f64 * 8.0 / 1_000.0 / watch.as_secs_f64().max(0.001);
        if let (Some(first), Some(last)) = (keys.first(), keys.last())
            && keys.len() > 1
        {
            let groups = (keys.len() - 1) as f64;
            video.key_interval_s = Some(last.saturating_sub(*first) as f64 / 90_000.0 / groups);
        }
        report.video = codec.map(|_| video);
        report
    }
}
