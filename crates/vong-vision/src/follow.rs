//! One camera's stream decoded whole, for what must see every movement: its traffic.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{debug, trace};
use vong_model::EventTime;
use vong_runtime::Shutdown;

use crate::client::{Question, Worker};
use crate::detect::{Desk, Found};
use crate::findings::{Finding, FindingSender, Of};
use crate::luma::Luma;
use crate::metrics::VisionMetrics;
use crate::protocol::{Outcome, Work};
use crate::scene::Scene;
use crate::sink::{Unit, Waiting};
use crate::traffic::{HEIGHT, Seen, Traffic, WIDTH};
use crate::watch::{drop_told, tell};

/// Frames that are sent to the worker together, where several wait.
const BATCH: usize = 16;
/// Pictures closer together than this are decoded but not judged: ten a second are enough.
const LEAST_STEP_90K: i64 = 8_500;
/// A camera's count of time may differ so far from ours before ours is taken anew, microseconds.
const DRIFT_US: i64 = 1_000_000;

/// Watches the traffic before one camera.
#[derive(Debug)]
pub(crate) struct TrafficWatch {
    pub(crate) of: Of,
    pub(crate) scene: Scene,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) findings: FindingSender,
    pub(crate) metrics: VisionMetrics,
    /// Whether the camera shows its street, as its health says.
    pub(crate) is_sound: Arc<AtomicBool>,
    /// Where a picture model tells what it sees, if there is one.
    pub(crate) desk: Option<Arc<Desk>>,
}

/// A picture that is to be judged, and when it was taken by the camera's count and by ours.
#[derive(Debug)]
struct Look {
    luma: Luma,
    pts_90k: i64,
    at: EventTime,
}

/// When frames were taken, evenly: our time of receipt jitters, the camera's count does not.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    anchor: Option<(i64, EventTime)>,
    judged_90k: Option<i64>,
}

impl Pace {
    fn time_of(&mut self, unit: &Unit) -> EventTime {
        let Unit { pts_90k, received_at, restart, .. } = unit;
        let paced = self.anchor.filter(|_| !restart).and_then(|(pts, at)| {
            let since_us = pts_90k.checked_sub(pts)?.checked_mul(100)? / 9;
            let paced = at.micros().checked_add(since_us)?;
            (paced.abs_diff(received_at.micros()) < DRIFT_US.unsigned_abs()).then_some(paced)
        });
        match paced {
            Some(micros) => EventTime(micros),
            None => {
                self.anchor = Some((*pts_90k, *received_at));
                *received_at
            }
        }
    }

    /// Whether the frame's picture is to be judged.
    fn wants(&mut self, unit: &Unit) -> bool {
        let step = self.judged_90k.map_or(i64::MAX, |last| unit.pts_90k.saturating_sub(last));
        let wanted = unit.restart || !(0..LEAST_STEP_90K).contains(&step);
        if wanted {
            self.judged_90k = Some(unit.pts_90k);
        }
        wanted
    }
}

impl TrafficWatch {
    pub(crate) async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut traffic = Traffic::new(self.scene.clone());
        let (mut pace, mut is_broken, mut was_sound) = (Pace::default(), true, true);
        loop {
            let mut units = tokio::select! {
                units = self.waiting.take(BATCH) => units,
                () = shutdown.requested() => return Ok(()),
            };
            let is_sound = self.is_sound.load(Ordering::Relaxed);
            if is_sound != was_sound {
                traffic.suspend(!is_sound);
                was_sound = is_sound;
            }
            if is_broken {
                // A decoder that was lost can only begin at a key frame.
                let key = units.iter().position(|unit| unit.key).unwrap_or(units.len());
                self.metrics.drop_frames("undecodable", key);
                units.drain(..key);
                let Some(first) = units.first_mut() else { continue };
                first.restart = true;
            }
            let looks: Vec<(EventTime, bool)> =
                units.iter().map(|unit| (pace.time_of(unit), pace.wants(unit))).collect();
            match self.pictures(&units, &looks).await {
                Some(pictures) => {
                    is_broken = false;
                    for look in pictures {
                        let seen = traffic.observe(&look.luma, look.at);
                        self.recognise(&mut traffic, look.pts_90k);
                        self.tell(seen).await;
                    }
                }
                None => {
                    is_broken = true;
                    self.desk.iter().for_each(|desk| desk.set_traffic(false));
                }
            }
        }
    }

    /// Tells the picture model whether it is wanted, and takes over what it saw.
    fn recognise(&self, traffic: &mut Traffic, pts_90k: i64) {
        let Some(desk) = &self.desk else { return };
        traffic.mark(pts_90k);
        desk.set_traffic(traffic.has_vehicles());
        if let Some(Found { pts_90k, detections }) = desk.take(pts_90k) {
            let told = traffic.recognise(pts_90k, &detections);
            trace!(camera = %self.of.camera_id, seen = detections.len(), told, "model saw");
        }
    }

    /// The pictures that are to be judged with their times; `None` when the decoder lost the stream.
    async fn pictures(&self, units: &[Unit], looks: &[(EventTime, bool)]) -> Option<Vec<Look>> {
        let first = units.first()?;
        let work = Work::Follow {
            stream: self.of.camera_id.to_string(),
            restart: first.restart,
            width: u16::try_from(WIDTH).unwrap_or(u16::MAX),
            height: u16::try_from(HEIGHT).unwrap_or(u16::MAX),
            wanted: looks.iter().map(|(_, wanted)| *wanted).collect(),
        };
        let data: Vec<_> = units.iter().map(|unit| unit.data.clone()).collect();
        let question = Question {
            camera: Some(&self.of.camera_id),
            work,
            sample_entry: &first.parameters.sample_entry,
            units: &data,
        };
        match self.worker.ask(question).await {
            Ok((Outcome::Lumas { units: seen, .. }, pixels)) => {
                self.metrics.pictures.inc_by(u64::try_from(seen.len()).unwrap_or(0));
                let each = seen.iter().zip(pixels.chunks_exact(WIDTH * HEIGHT));
                let picture = |(unit, pixels): (&u32, &[u8])| {
                    let number = usize::try_from(*unit).ok()?;
                    let ((at, _), unit) = looks.get(number).zip(units.get(number))?;
                    let luma = Luma::new(WIDTH, HEIGHT, pixels.to_vec())?;
                    Some(Look { luma, pts_90k: unit.pts_90k, at: *at })
                };
                Some(each.filter_map(picture).collect())
            }
            Ok((other, _)) => {
                debug!(?other, "worker answered something else");
                None
            }
            Err(why) => {
                drop_told(&self.of.camera_id, &why, units.len(), &self.metrics);
                None
            }
        }
    }

    async fn tell(&self, seen: Seen) {
        let Seen { events, counts } = seen;
        tell(&self.of, events, &self.findings, &self.metrics).await;
        for count in counts {
            if self.findings.send(Finding::Count(self.of.clone(), count)).await.is_err() {
                debug!("nobody writes findings any more");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use vong_media::{Codec, VideoParameters};

    use super::*;

    fn unit(pts_90k: i64, received_at: i64, restart: bool) -> Unit {
        let parameters = VideoParameters {
            codec: Codec::H264,
            width: 2,
            height: 2,
            rfc6381: String::new(),
            sample_entry: Bytes::new(),
        };
        Unit {
            parameters: Arc::new(parameters),
            data: Bytes::new(),
            pts_90k,
            received_at: EventTime(received_at),
            camera_time: None,
            key: restart,
            restart,
        }
    }

    #[test]
    fn times_follow_the_cameras_count_unless_it_jumps() {
        let mut pace = Pace::default();
        let units = [(0, 1_000_000, true), (9_000, 1_180_000, false), (18_000, 1_190_000, false)];
        let times = units.map(|(pts, at, restart)| pace.time_of(&unit(pts, at, restart)).micros());
        assert_eq!(times, [1_000_000, 1_100_000, 1_200_000]);
        assert_eq!(pace.time_of(&unit(9_000_000, 1_300_000, false)).micros(), 1_300_000);
        assert_eq!(pace.time_of(&unit(9_009_000, 1_420_000, false)).micros(), 1_400_000);
    }

    #[test]
    fn ten_pictures_a_second_are_judged_of_any_rate() {
        for (step, wanted) in [(3_600, 9), (9_000, 10), (18_000, 5)] {
            let mut pace = Pace::default();
            let frames = (0..90_000 / step).map(|n| unit(n * step, 0, n == 0));
            let judged = frames.filter(|frame| pace.wants(frame)).count();
            assert_eq!(judged, wanted, "{step}");
        }
    }
}
