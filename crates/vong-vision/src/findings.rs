//! Findings on their way to the log.
//!
//! Whoever finds something hands it to one writer, which appends and tries again until the log
//! takes it: a finding is late when the disk is slow, never lost.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, UInt32Array};
use tracing::{error, warn};
use vong_log::{Entry, Log};
use vong_model::columns::{key_column, text_column, time_column};
use vong_model::{CameraId, EventTime, SourceEvent, Stream, UnitCode, source_events};
use vong_runtime::channel::{self, Capacity, Receiver, Sender, WhenFull};
use vong_runtime::{Clock, Shutdown};

/// What a picture can show, of the camera or of the street.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    Black,
    White,
    Defocused,
    Covered,
    Moved,
    Frozen,
    ClockWrong,
    SceneChange,
    StoppedVehicle,
    WrongWay,
    Queue,
    Crowd,
}

impl EventKind {
    /// The word in `video_events.kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Black => "black",
            Self::White => "white",
            Self::Defocused => "defocused",
            Self::Covered => "covered",
            Self::Moved => "moved",
            Self::Frozen => "frozen",
            Self::ClockWrong => "clock_wrong",
            Self::SceneChange => "scene_change",
            Self::StoppedVehicle => "stopped_vehicle",
            Self::WrongWay => "wrong_way",
            Self::Queue => "queue",
            Self::Crowd => "crowd",
        }
    }
}

/// Where in its life a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    Began,
    GoingOn,
    Ended,
}

impl EventState {
    /// The word in `video_events.state`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::GoingOn => "going_on",
            Self::Ended => "ended",
        }
    }
}

/// What one camera's picture showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When the deciding frame was received.
    pub at: EventTime,
    pub kind: EventKind,
    pub state: EventState,
    /// Zone or line of the scene.
    pub subject: Option<String>,
    pub value: Option<f64>,
    pub detail: Option<String>,
}

/// What passed a line, or stood in a zone, in one period.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// End of the period.
    pub at: EventTime,
    pub line: String,
    /// `forward`, `backward`, `inside`.
    pub direction: &'static str,
    pub kind: &'static str,
    pub count: u32,
    pub speed_kmh: Option<f64>,
    pub occupancy: Option<f64>,
    pub queue_m: Option<f64>,
    pub period_s: f64,
}

/// Whom a finding is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Of {
    pub camera_id: CameraId,
    pub unit_code: UnitCode,
}

/// One row to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    Event(Of, Event),
    Count(Of, Count),
    /// About the vision worker itself: a row of `source_events`.
    Worker {
        at: EventTime,
        state: &'static str,
        detail: String,
    },
}

/// Where findings are put.
pub type FindingSender = Sender<Finding>;

/// What stands in `source_events.source_id` for the worker.
const SOURCE: &str = "vong_vision";

/// Appends findings to the log.
#[derive(Debug)]
pub struct FindingWriter {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    findings: Receiver<Finding>,
}

impl FindingWriter {
    pub fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>) -> (Self, FindingSender) {
        // Findings are changes of state, not frames; when the log stands still, cameras' pictures
        // wait unseen, and intake goes on.
        let (sender, findings) =
            channel::bounded("vision/findings", Capacity::items(1_024), WhenFull::Wait);
        (Self { log, clock, findings }, sender)
    }

    /// Runs until every sender is gone, or shutdown is asked for and the queue is empty.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), vong_log::Error> {
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                taken = self.findings.recv_many(&mut waiting, 256) => if taken == 0 { return Ok(()) },
                () = shutdown.requested() => {
                    while let Some(finding) = self.findings.try_recv() { waiting.push(finding); }
                    if waiting.is_empty() { return Ok(()); }
                }
            }
            self.append(&waiting, &shutdown).await;
            waiting.clear();
        }
    }

    async fn append(&self, findings: &[Finding], shutdown: &Shutdown) {
        let entries = to_entries(findings, EventTime(self.clock.now()));
        loop {
            match self.log.append(entries.clone()).await {
                Ok(_) => return,
                Err(e) if shutdown.is_requested() => {
                    return error!(error = %e, findings = findings.len(), "findings lost at shutdown");
                }
                Err(e) => warn!(error = %e, "could not append findings, trying again"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// One batch for each stream that has rows.
fn to_entries(findings: &[Finding], now: EventTime) -> Vec<Entry> {
    let (mut events, mut counts, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for finding in findings {
        match finding {
            Finding::Event(of, event) => events.push((of, event)),
            Finding::Count(of, count) => counts.push((of, count)),
            Finding::Worker { at, state, detail } => told.push(SourceEvent {
                arrival_time: now,
                ..SourceEvent::now(*at, SOURCE, state, Some(detail))
            }),
        }
    }
    let mut entries = Vec::new();
    if !events.is_empty() {
        entries.push(entry(Stream::VideoEvents, event_columns(&events, now)));
    }
    if !counts.is_empty() {
        entries.push(entry(Stream::VehicleCounts, count_columns(&counts, now)));
    }
    if !told.is_empty() {
        entries.push(Entry::new(Stream::SourceEvents, source_events(&told)));
    }
    entries
}

fn entry(stream: Stream, columns: Vec<ArrayRef>) -> Entry {
    let batch = RecordBatch::try_new(stream.schema(), columns);
    Entry::new(stream, batch.expect("columns are made in the schema's order"))
}

fn event_columns(rows: &[(&Of, &Event)], now: EventTime) -> Vec<ArrayRef> {
    vec![
        time_column(rows.iter().map(|(_, event)| Some(event.at))),
        time_column(rows.iter().map(|_| Some(now))),
        key_column(rows.iter().map(|(of, _)| Some(of.camera_id.as_str()))),
        key_column(rows.iter().map(|(_, event)| Some(event.kind.as_str()))),
        key_column(rows.iter().map(|(_, event)| Some(event.state.as_str()))),
        text_column(rows.iter().map(|(_, event)| event.subject.as_deref())),
        Arc::new(rows.iter().map(|(_, event)| event.value).collect::<Float64Array>()),
        text_column(rows.iter().map(|(_, event)| event.detail.as_deref())),
        key_column(rows.iter().map(|(of, _)| Some(of.unit_code.as_str()))),
    ]
}

fn count_columns(rows: &[(&Of, &Count)], now: EventTime) -> Vec<ArrayRef> {
    let floats = |of: &dyn Fn(&Count) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(|(_, count)| of(count)).collect::<Float64Array>())
    };
    vec![
        time_column(rows.iter().map(|(_, count)| Some(count.at))),
        time_column(rows.iter().map(|_| Some(now))),
        key_column(rows.iter().map(|(of, _)| Some(of.camera_id.as_str()))),
        key_column(rows.iter().map(|(_, count)| Some(count.line.as_str()))),
        key_column(rows.iter().map(|(_, count)| Some(count.direction))),
        key_column(rows.iter().map(|(_, count)| Some(count.kind))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|(_, count)| count.count))),
        floats(&|count| count.speed_kmh),
        floats(&|count| count.occupancy),
        floats(&|count| count.queue_m),
        floats(&|count| Some(count.period_s)),
        key_column(rows.iter().map(|(of, _)| Some(of.unit_code.as_str()))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_become_rows_of_their_streams() {
        let of = Of { camera_id: "CAM-01".into(), unit_code: "U1".into() };
        let event = Event {
            at: EventTime(1),
            kind: EventKind::Frozen,
            state: EventState::Began,
            subject: None,
            value: Some(15.0),
            detail: None,
        };
        let count = Count {
            at: EventTime(2),
            line: "a".to_owned(),
            direction: "forward",
            kind: "vehicle",
            count: 3,
            speed_kmh: Some(31.0),
            occupancy: None,
            queue_m: None,
            period_s: 60.0,
        };
        let worker =
            Finding::Worker { at: EventTime(3), state: "worker_failed", detail: String::new() };
        let findings = [
            Finding::Event(of.clone(), event.clone()),
            Finding::Count(of.clone(), count),
            worker,
            Finding::Event(of, event),
        ];
        let entries = to_entries(&findings, EventTime(9));
        let rows: Vec<_> = entries.iter().map(|e| (e.stream, e.batch.num_rows())).collect();
        let streams =
            [(Stream::VideoEvents, 2), (Stream::VehicleCounts, 1), (Stream::SourceEvents, 1)];
        assert_eq!(rows, streams);
    }
}
