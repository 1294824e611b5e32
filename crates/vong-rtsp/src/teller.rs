//! One stream's way to the log, which never waits.
//!
//! A log that stands still must not stop a camera from being recorded. What cannot be handed over is
//! kept, the newest for each thing that it is about, and offered again with every frame and attempt.

use std::collections::BTreeMap;

use crate::facts::{About, CameraFact, Fact, FactSender, OnvifFact};
use crate::metrics::RtspMetrics;

#[derive(Debug)]
pub(crate) struct Teller {
    sender: FactSender,
    waiting: BTreeMap<About, CameraFact>,
    metrics: RtspMetrics,
}

impl Teller {
    pub(crate) fn new(sender: FactSender, metrics: RtspMetrics) -> Self {
        Self { sender, waiting: BTreeMap::new(), metrics }
    }

    /// Tells `fact`, behind what waits about the same thing.
    pub(crate) fn tell(&mut self, fact: CameraFact) {
        self.again();
        let is_behind = self.waiting.contains_key(&fact.about);
        if !is_behind && self.sender.offer(Fact::Camera(fact.clone())).is_ok() {
            return;
        }
        if self.waiting.insert(fact.about, fact).is_some() {
            self.metrics.facts_dropped.with_label_values(&["superseded"]).inc();
        }
    }

    /// Tells `fact` now or never.
    pub(crate) fn tell_onvif(&self, fact: OnvifFact) {
        let RtspMetrics { onvif_events, onvif_dropped, .. } = &self.metrics;
        match self.sender.offer(Fact::Onvif(fact)) {
            Ok(()) => onvif_events.inc(),
            Err(_full) => onvif_dropped.with_label_values(&["log_behind"]).inc(),
        }
    }

    /// Offers what waits.
    pub(crate) fn again(&mut self) {
        while let Some((_, fact)) = self.waiting.first_key_value() {
            if self.sender.offer(Fact::Camera(fact.clone())).is_err() {
                return;
            }
            self.waiting.pop_first();
        }
    }
}

impl Drop for Teller {
    /// The last chance: what still waits is lost.
    fn drop(&mut self) {
        self.again();
        let lost = self.waiting.len() as u64;
        self.metrics.facts_dropped.with_label_values(&["stopped"]).inc_by(lost);
    }
}

#[cfg(test)]
mod tests {
    use vong_model::EventTime;
    use vong_runtime::channel::{self, Capacity, WhenFull};
    use vong_telemetry::Metrics;

    use super::*;
    use crate::facts::CameraState;

    #[test]
    fn while_the_log_stands_still_the_newest_of_each_thing_waits() {
        let registry = Metrics::new();
        let (sender, mut facts) =
            channel::bounded("test/facts", Capacity::items(1), WhenFull::Wait);
        let mut teller = Teller::new(sender, RtspMetrics::new(&registry));
        let fact = |at: i64, state: CameraState| CameraFact {
            at: EventTime(at),
            camera_id: "CAM-01".into(),
            about: state.about(),
            state,
            detail: String::new(),
            unit_code: "U1".into(),
        };
        use CameraState::{ClockDrift, Connected, Lost};
        for (at, state) in [(1, Connected), (2, Lost), (3, Connected), (4, ClockDrift), (5, Lost)] {
            teller.tell(fact(at, state));
        }
        teller.tell_onvif(OnvifFact {
            at: EventTime(6),
            camera_id: "CAM-01".into(),
            state: "began",
            subject: String::new(),
            value: None,
            detail: String::new(),
            unit_code: "U1".into(),
        });
        let mut told = Vec::new();
        while let Some(Fact::Camera(CameraFact { at, state, .. })) = facts.try_recv() {
            told.push((at.micros(), state.as_str()));
            teller.again();
        }
        assert_eq!(told, [(1, "connected"), (5, "lost"), (4, "clock_drift")]);
        teller.tell(fact(7, Connected));
        teller.tell(fact(8, Lost));
        drop(teller);
        let rendered = registry.render();
        for line in [
            "vong_rtsp_facts_dropped_total{reason=\"superseded\"} 2",
            "vong_rtsp_facts_dropped_total{reason=\"stopped\"} 1",
            "vong_rtsp_onvif_dropped_total{reason=\"log_behind\"} 1",
        ] {
            assert!(rendered.contains(line), "{line} in {rendered}");
        }
    }
}
