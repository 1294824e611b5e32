//! A picture model asked about the key frames of a street while something is on it.
//!
//! A process of its own answers, as a model takes as long as many frames take to decode; traffic
//! does not wait for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tracing::debug;
use vong_media::{AccessUnit, AccessUnitSink, VideoParameters};
use vong_model::EventTime;
use vong_runtime::Shutdown;

use crate::client::{Question, Worker};
use crate::findings::Of;
use crate::metrics::VisionMetrics;
use crate::model::Detection;
use crate::protocol::{Outcome, Work};
use crate::sink::{Unit, Waiting, WatchSink};
use crate::watch::drop_told;

/// The model is asked of one camera no more often, microseconds.
const LEAST_STEP_US: i64 = 1_000_000;

/// What the model saw in the picture taken at `pts_90k` of the camera's count.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) pts_90k: i64,
    pub(crate) detections: Vec<Detection>,
}

/// Where traffic says whether the model is wanted, and the model what it saw.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    has_traffic: AtomicBool,
    found: Mutex<Option<Found>>,
}

impl Desk {
    pub(crate) fn set_traffic(&self, has_traffic: bool) {
        self.has_traffic.store(has_traffic, Ordering::Relaxed);
    }

    fn has_traffic(&self) -> bool {
        self.has_traffic.load(Ordering::Relaxed)
    }

    /// A later one takes the place of one nobody took.
    pub(crate) fn put(&self, found: Found) {
        *self.found.lock() = Some(found);
    }

    /// What was seen last, unless traffic at `pts_90k` has not come so far.
    pub(crate) fn take(&self, pts_90k: i64) -> Option<Found> {
        self.found.lock().take_if(|found| found.pts_90k <= pts_90k)
    }
}

/// When the model is asked.
#[derive(Clone, Copy, Debug, Default)]
struct Gate {
    asked: Option<EventTime>,
}

impl Gate {
    fn opens(&mut self, at: EventTime, has_traffic: bool) -> bool {
        let since = self.asked.map_or(i64::MAX, |last| at.micros().saturating_sub(last.micros()));
        // A clock that was set back must not keep it shut.
        let opens = has_traffic && !(0..LEAST_STEP_US).contains(&since);
        if opens {
            self.asked = Some(at);
        }
        opens
    }
}

/// Asks the model about one camera.
#[derive(Debug)]
pub(crate) struct DetectWatch {
    pub(crate) of: Of,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) metrics: VisionMetrics,
}

impl DetectWatch {
    pub(crate) async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut gate = Gate::default();
        loop {
            let units = tokio::select! {
                units = self.waiting.take(1) => units,
                () = shutdown.requested() => return Ok(()),
            };
            for unit in units {
                if gate.opens(unit.received_at, self.desk.has_traffic())
                    && let Some(detections) = self.ask(&unit).await
                {
                    self.desk.put(Found { pts_90k: unit.pts_90k, detections });
                }
            }
        }
    }

    async fn ask(&self, unit: &Unit) -> Option<Vec<Detection>> {
        let units = [unit.data.clone()];
        let question = Question {
            camera: Some(&self.of.camera_id),
            work: Work::Detect,
            sample_entry: &unit.parameters.sample_entry,
            units: &units,
        };
        match self.worker.ask(question).await {
            Ok((Outcome::Detections(found), _)) => Some(found),
            Ok((other, _)) => {
                debug!(?other, "worker answered something else");
                None
            }
            Err(why) => {
                drop_told(&self.of.camera_id, &why, 1, &self.metrics);
                None
            }
        }
    }
}

/// One stream's frames for two that want them.
#[derive(Debug)]
pub(crate) struct Both(pub(crate) WatchSink, pub(crate) WatchSink);

impl AccessUnitSink for Both {
    fn parameters(&mut self, parameters: &Arc<VideoParameters>) {
        self.0.parameters(parameters);
        self.1.parameters(parameters);
    }

    fn access_unit(&mut self, unit: &AccessUnit) {
        self.0.access_unit(unit);
        self.1.access_unit(unit);
    }

    fn interrupted(&mut self) {
        self.0.interrupted();
        self.1.interrupted();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_is_asked_once_a_second_and_only_while_there_is_traffic() {
        let mut gate = Gate::default();
        let frames = (0..50).map(|n: i64| (n * 200_000, (10..30).contains(&n)));
        let asked = frames.filter(|(at, busy)| gate.opens(EventTime(*at), *busy));
        let asked: Vec<i64> = asked.map(|(at, _)| at / 200_000).collect();
        assert_eq!(asked, [10, 15, 20, 25]);
        assert!(gate.opens(EventTime(0), true), "a clock set back");
        assert!(!gate.opens(EventTime(999_999), true));
    }

    #[test]
    fn what_was_seen_waits_until_traffic_has_come_so_far() {
        let desk = Desk::default();
        let found = |pts_90k| Found { pts_90k, detections: Vec::new() };
        desk.put(found(9_000));
        assert_eq!(desk.take(8_999), None);
        desk.put(found(18_000));
        assert_eq!(desk.take(18_000), Some(found(18_000)), "the later one");
        assert_eq!(desk.take(18_000), None);
    }
}
