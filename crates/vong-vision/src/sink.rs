//! Frames on their way from a camera to the worker: what waits is bounded, and the newest wins.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use vong_media::{AccessUnit, AccessUnitSink, VideoParameters};
use vong_model::EventTime;

use crate::metrics::VisionMetrics;

/// Frames of a stream that is decoded whole which may wait: about 4 s.
const MAX_WAITING_UNITS: usize = 100;
const MAX_WAITING_BYTES: usize = 8 << 20;

/// One frame to look at.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) parameters: Arc<VideoParameters>,
    pub(crate) data: Bytes,
    pub(crate) pts_90k: i64,
    pub(crate) received_at: EventTime,
    pub(crate) camera_time: Option<EventTime>,
    /// Decoding begins anew with this frame.
    pub(crate) restart: bool,
}

/// Which frames of a stream are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The latest key frame; one that is not looked at before the next comes is left out.
    KeyFrames,
    /// All, in order; when too many wait all are left out up to the next key frame.
    All,
}

/// Frames that wait for their turn.
#[derive(Debug)]
pub(crate) struct Waiting {
    units: Mutex<Queue>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    units: VecDeque<Unit>,
    bytes: usize,
}

impl Waiting {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { units: Mutex::default(), wake: Notify::new() })
    }

    /// Up to `limit` frames that can be decoded together; waits for the first.
    pub(crate) async fn take(&self, limit: usize) -> Vec<Unit> {
        loop {
            let woken = self.wake.notified();
            let taken = self.units.lock().take(limit);
            if !taken.is_empty() {
                return taken;
            }
            woken.await;
        }
    }
}

impl Queue {
    fn take(&mut self, limit: usize) -> Vec<Unit> {
        let mut taken: Vec<Unit> = Vec::new();
        while let Some(unit) = self.units.front() {
            let begins_anew = !taken.is_empty() && unit.restart;
            if begins_anew || taken.len() >= limit {
                break;
            }
            taken.extend(self.units.pop_front());
        }
        self.bytes -= taken.iter().map(|unit| unit.data.len()).sum::<usize>();
        taken
    }

    fn clear(&mut self) -> usize {
        self.bytes = 0;
        std::mem::take(&mut self.units).len()
    }
}

/// Takes a stream's frames for the worker.
#[derive(Debug)]
pub(crate) struct WatchSink {
    wanted: Wanted,
    waiting: Arc<Waiting>,
    metrics: VisionMetrics,
    parameters: Option<Arc<VideoParameters>>,
    /// Frames up to the next key frame cannot be decoded.
    broken: bool,
}

impl WatchSink {
    pub(crate) fn new(wanted: Wanted, waiting: Arc<Waiting>, metrics: VisionMetrics) -> Self {
        Self { wanted, waiting, metrics, parameters: None, broken: true }
    }

    fn offer(&mut self, unit: Unit) {
        let mut queue = self.waiting.units.lock();
        match self.wanted {
            Wanted::KeyFrames => {
                let left_out = queue.clear();
                self.metrics.drop_frames("newer", left_out);
            }
            Wanted::All => {
                let bytes = queue.bytes + unit.data.len();
                if queue.units.len() >= MAX_WAITING_UNITS || bytes > MAX_WAITING_BYTES {
                    let left_out = queue.clear();
                    self.metrics.drop_frames("queue_full", left_out + 1);
                    self.broken = true;
                    return;
                }
            }
        }
        queue.bytes += unit.data.len();
        queue.units.push_back(unit);
        drop(queue);
        self.waiting.wake.notify_one();
    }
}

impl AccessUnitSink for WatchSink {
    fn parameters(&mut self, parameters: &Arc<VideoParameters>) {
        self.parameters = Some(Arc::clone(parameters));
        self.broken = true;
    }

    fn access_unit(&mut self, unit: &AccessUnit) {
        let AccessUnit { pts_90k, received_at, camera_time, key, lost_packets, data } = unit;
        let Some(parameters) = self.parameters.clone() else { return };
        if self.wanted == Wanted::KeyFrames && !key {
            return;
        }
        // What follows a loss shows what never was, up to the next key frame.
        self.broken |= *lost_packets > 0 && !key;
        if self.broken && !key {
            return;
        }
        let restart = std::mem::take(&mut self.broken);
        self.offer(Unit {
            parameters,
            data: data.clone(),
            pts_90k: *pts_90k,
            received_at: *received_at,
            camera_time: *camera_time,
            restart,
        });
    }

    fn interrupted(&mut self) {
        self.broken = true;
    }
}

#[cfg(test)]
mod tests {
    use vong_media::Codec;
    use vong_telemetry::Metrics;

    use super::*;

    fn sink(wanted: Wanted) -> (WatchSink, Arc<Waiting>, VisionMetrics) {
        let (waiting, metrics) = (Waiting::new(), VisionMetrics::new(&Metrics::new()));
        let mut sink = WatchSink::new(wanted, Arc::clone(&waiting), metrics.clone());
        let parameters = VideoParameters {
            codec: Codec::H264,
            width: 2,
            height: 2,
            rfc6381: String::new(),
            sample_entry: Bytes::new(),
        };
        sink.parameters(&Arc::new(parameters));
        (sink, waiting, metrics)
    }

    fn unit(pts_90k: i64, key: bool, lost_packets: u32) -> AccessUnit {
        let data = Bytes::from_static(b"x");
        let received_at = EventTime(pts_90k);
        AccessUnit { pts_90k, received_at, camera_time: None, key, lost_packets, data }
    }

    fn taken(waiting: &Waiting) -> Vec<(i64, bool)> {
        let taken = waiting.units.lock().take(1_000);
        taken.iter().map(|unit| (unit.pts_90k, unit.restart)).collect()
    }

    #[test]
    fn only_the_newest_key_frame_waits_and_the_others_are_counted() {
        let (mut sink, waiting, metrics) = sink(Wanted::KeyFrames);
        for (pts, key) in [(0, true), (1, false), (2, true), (3, false), (4, true)] {
            sink.access_unit(&unit(pts, key, 0));
        }
        assert_eq!(taken(&waiting).iter().map(|unit| unit.0).collect::<Vec<_>>(), [4]);
        assert_eq!(metrics.dropped.with_label_values(&["newer"]).get(), 2);
        assert_eq!(taken(&waiting), []);
    }

    #[test]
    fn whole_streams_begin_anew_at_key_frames_after_a_loss_and_after_an_interruption() {
        let (mut sink, waiting, _) = sink(Wanted::All);
        let frames = [(0, false, 0), (1, true, 0), (2, false, 0), (3, false, 2), (4, false, 0)];
        for (pts, key, lost) in frames.into_iter().chain([(5, true, 0), (6, false, 0)]) {
            sink.access_unit(&unit(pts, key, lost));
        }
        assert_eq!(taken(&waiting), [(1, true), (2, false)]);
        assert_eq!(taken(&waiting), [(5, true), (6, false)], "not decoded together with the first");
        sink.interrupted();
        sink.access_unit(&unit(7, false, 0));
        sink.access_unit(&unit(8, true, 0));
        assert_eq!(taken(&waiting), [(8, true)]);
    }

    #[test]
    fn full_queue_lets_go_of_all_up_to_the_next_key_frame() {
        let (mut sink, waiting, metrics) = sink(Wanted::All);
        sink.access_unit(&unit(0, true, 0));
        for pts in 1..=150 {
            sink.access_unit(&unit(pts, false, 0));
        }
        assert_eq!(taken(&waiting), []);
        let waited = u64::try_from(MAX_WAITING_UNITS).unwrap();
        assert_eq!(metrics.dropped.with_label_values(&["queue_full"]).get(), waited + 1);
        sink.access_unit(&unit(200, true, 0));
        assert_eq!(taken(&waiting), [(200, true)]);
    }
}
