//! Facts about cameras on their way to the log.
//!
//! A camera's task must never wait for the disk: it offers facts to one writer, which appends and
//! tries again until the log takes them; what does not fit waits at the camera, see `teller.rs`.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use tracing::{error, warn};
use vong_log::{Entry, Log};
use vong_model::{CameraId, EventTime, Stream, UnitCode, columns};
use vong_runtime::Shutdown;
use vong_runtime::channel::{self, Capacity, Receiver, Sender, WhenFull};

/// What a camera can be said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameraState {
    Connected,
    Lost,
    Refused,
    ParametersChanged,
    PacketsLost,
    PacketsGood,
    ClockDrift,
    ClockGood,
    TimestampsJumped,
    /// Taken out of the register.
    Removed,
}

impl CameraState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::ParametersChanged => "parameters_changed",
            Self::PacketsLost => "packets_lost",
            Self::PacketsGood => "packets_good",
            Self::ClockDrift => "clock_drift",
            Self::ClockGood => "clock_good",
            Self::TimestampsJumped => "timestamps_jumped",
            Self::Removed => "removed",
        }
    }

    /// What it says something of, for a main stream.
    pub fn about(self) -> About {
        match self {
            Self::Connected | Self::Lost | Self::Refused => About::Connection,
            Self::PacketsLost | Self::PacketsGood => About::Arrival,
            Self::ClockDrift | Self::ClockGood => About::Clock,
            Self::ParametersChanged | Self::TimestampsJumped => About::Stream,
            Self::Removed => About::Register,
        }
    }
}

/// What a state is a state of. Each goes its own way: that a clock is right again says nothing
/// about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    Connection,
    /// Packets on their way.
    Arrival,
    Clock,
    /// What happens in the stream and has no end.
    Stream,
    Register,
    /// The connection of the sub-stream.
    LiveStream,
}

impl About {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Arrival => "arrival",
            Self::Clock => "clock",
            Self::Stream => "stream",
            Self::Register => "register",
            Self::LiveStream => "live_stream",
        }
    }
}

/// One row of `camera_events`.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraFact {
    pub at: EventTime,
    pub camera_id: CameraId,
    pub about: About,
    pub state: CameraState,
    pub detail: String,
    pub unit_code: UnitCode,
}

/// One row of `video_events`, of kind `onvif`: what the camera itself told.
#[derive(Clone, Debug, PartialEq)]
pub struct OnvifFact {
    pub at: EventTime,
    pub camera_id: CameraId,
    /// `began` or `ended`.
    pub state: &'static str,
    pub subject: String,
    pub value: Option<f64>,
    pub detail: String,
    pub unit_code: UnitCode,
}

/// What a camera's task puts on the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Camera(CameraFact),
    Onvif(OnvifFact),
}

/// Where camera tasks put their facts.
pub type FactSender = Sender<Fact>;

/// Appends facts to the log.
#[derive(Debug)]
pub struct FactWriter {
    log: Arc<dyn Log>,
    facts: Receiver<Fact>,
}

impl FactWriter {
    pub fn new(log: Arc<dyn Log>) -> (Self, FactSender) {
        let (sender, facts) = fact_channel();
        (Self { log, facts }, sender)
    }

    /// Runs until every camera's sender is gone or shutdown is asked for and the queue is empty.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), vong_log::Error> {
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                taken = self.facts.recv_many(&mut waiting, 256) => if taken == 0 { return Ok(()) },
                () = shutdown.requested() => {
                    while let Some(fact) = self.facts.try_recv() { waiting.push(fact); }
                    if waiting.is_empty() { return Ok(()); }
                }
            }
            self.append(&waiting, &shutdown).await;
            waiting.clear();
        }
    }

    async fn append(&self, facts: &[Fact], shutdown: &Shutdown) {
        loop {
            match self.log.append(entries(facts)).await {
                Ok(_) => return,
                Err(e) if shutdown.is_requested() => {
                    return error!(error = %e, facts = facts.len(), "camera facts lost at shutdown");
                }
                Err(e) => warn!(error = %e, "could not append camera facts, trying again"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// The channel of facts alone, for who writes them elsewhere.
pub fn fact_channel() -> (FactSender, Receiver<Fact>) {
    // Facts are rare (a change of state per camera). `Wait` with `offer`: who is full is told so.
    channel::bounded("rtsp/facts", Capacity::items(1_024), WhenFull::Wait)
}

fn entries(facts: &[Fact]) -> Vec<Entry> {
    let (mut camera, mut onvif) = (Vec::new(), Vec::new());
    for fact in facts {
        match fact {
            Fact::Camera(fact) => camera.push(fact),
            Fact::Onvif(fact) => onvif.push(fact),
        }
    }
    let mut entries = Vec::new();
    if !camera.is_empty() {
        entries.push(Entry { stream: Stream::CameraEvents, batch: camera_batch(&camera) });
    }
    if !onvif.is_empty() {
        entries.push(Entry { stream: Stream::VideoEvents, batch: onvif_batch(&onvif) });
    }
    entries
}

/// Rows of [`Stream::CameraEvents`], in its column order.
fn camera_batch(facts: &[&CameraFact]) -> RecordBatch {
    let times = || columns::time_column(facts.iter().map(|fact| Some(fact.at)));
    let columns = vec![
        times(),
        times(),
        columns::key_column(facts.iter().map(|fact| Some(fact.camera_id.as_str()))),
        columns::key_column(facts.iter().map(|fact| Some(fact.state.as_str()))),
        columns::text_column(facts.iter().map(|fact| Some(&fact.detail))),
        columns::key_column(facts.iter().map(|fact| Some(fact.unit_code.as_str()))),
        columns::key_column(facts.iter().map(|fact| Some(fact.about.as_str()))),
    ];
    RecordBatch::try_new(Stream::CameraEvents.schema(), columns)
        .expect("columns are made in the schema's order")
}

/// Rows of [`Stream::VideoEvents`], in its column order.
fn onvif_batch(facts: &[&OnvifFact]) -> RecordBatch {
    let times = || columns::time_column(facts.iter().map(|fact| Some(fact.at)));
    let columns = vec![
        times(),
        times(),
        columns::key_column(facts.iter().map(|fact| Some(fact.camera_id.as_str()))),
        columns::key_column(facts.iter().map(|_| Some("onvif"))),
        columns::key_column(facts.iter().map(|fact| Some(fact.state))),
        columns::text_column(facts.iter().map(|fact| Some(&fact.subject))),
        Arc::new(facts.iter().map(|fact| fact.value).collect::<Float64Array>()) as ArrayRef,
        columns::text_column(facts.iter().map(|fact| Some(&fact.detail))),
        columns::key_column(facts.iter().map(|fact| Some(fact.unit_code.as_str()))),
    ];
    RecordBatch::try_new(Stream::VideoEvents.schema(), columns)
        .expect("columns are made in the schema's order")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_become_rows_of_their_schemas() {
        let camera = Fact::Camera(CameraFact {
            at: EventTime(1),
            camera_id: "CAM-01".into(),
            about: About::Connection,
            state: CameraState::Lost,
            detail: "no picture for 10s".to_owned(),
            unit_code: "U1".into(),
        });
        let onvif = Fact::Onvif(OnvifFact {
            at: EventTime(1),
            camera_id: "CAM-01".into(),
            state: "began",
            subject: "Motion".to_owned(),
            value: None,
            detail: String::new(),
            unit_code: "U1".into(),
        });
        let entries = entries(&[camera.clone(), onvif, camera]);
        let rows: Vec<(Stream, usize)> =
            entries.iter().map(|entry| (entry.stream, entry.batch.num_rows())).collect();
        assert_eq!(rows, [(Stream::CameraEvents, 2), (Stream::VideoEvents, 1)]);
        let columns = vong_model::Columns::new(Stream::CameraEvents, &entries[0].batch);
        assert_eq!(columns.keys("about").unwrap().get(0), Some("connection"));
    }
}
