//! Facts about cameras on their way to the log.
//!
//! A camera's task must never wait for the disk: it hands facts to one writer, which appends and
//! tries again until the log takes them, so a fact is late when the disk is slow, never lost.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, DictionaryArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use tracing::{error, warn};
use vong_log::{Entry, Log};
use vong_model::{CameraId, EventTime, Stream, UnitCode};
use vong_runtime::Shutdown;
use vong_runtime::channel::{self, Capacity, Receiver, Sender, WhenFull};

/// What a camera can be said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameraState {
    Connected,
    Lost,
    Refused,
    ParametersChanged,
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
            Self::Removed => "removed",
        }
    }
}

/// One row of `camera_events`.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraFact {
    pub at: EventTime,
    pub camera_id: CameraId,
    pub state: CameraState,
    pub detail: String,
    pub unit_code: UnitCode,
}

/// Where camera tasks put their facts.
pub type FactSender = Sender<CameraFact>;

/// Appends facts to the log.
#[derive(Debug)]
pub struct FactWriter {
    log: Arc<dyn Log>,
    facts: Receiver<CameraFact>,
}

impl FactWriter {
    pub fn new(log: Arc<dyn Log>) -> (Self, FactSender) {
        // Facts are rare (a change of state per camera); when the log stands still, cameras wait.
        let (sender, facts) =
            channel::bounded("rtsp/facts", Capacity::items(1_024), WhenFull::Wait);
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

    async fn append(&self, facts: &[CameraFact], shutdown: &Shutdown) {
        loop {
            let entry = Entry { stream: Stream::CameraEvents, batch: to_batch(facts) };
            match self.log.append(vec![entry]).await {
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

/// Rows of [`Stream::CameraEvents`], in its column order.
fn to_batch(facts: &[CameraFact]) -> RecordBatch {
    let times = || -> ArrayRef {
        let micros = facts.iter().map(|fact| fact.at.micros());
        Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
    };
    let keys = |text: &dyn Fn(&CameraFact) -> &str| -> ArrayRef {
        Arc::new(facts.iter().map(|fact| Some(text(fact))).collect::<DictionaryArray<Int32Type>>())
    };
    let detail: ArrayRef = Arc::new(StringArray::from_iter_values(facts.iter().map(|f| &f.detail)));
    let columns = vec![
        times(),
        times(),
        keys(&|fact| fact.camera_id.as_str()),
        keys(&|fact| fact.state.as_str()),
        detail,
        keys(&|fact| fact.unit_code.as_str()),
    ];
    RecordBatch::try_new(Stream::CameraEvents.schema(), columns)
        .expect("columns are made in the schema's order")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_becomes_a_row_of_the_schema() {
        let fact = CameraFact {
            at: EventTime(1),
            camera_id: "CAM-01".into(),
            state: CameraState::Lost,
            detail: "no picture for 10s".to_owned(),
            unit_code: "U1".into(),
        };
        assert_eq!(to_batch(&[fact.clone(), fact]).num_rows(), 2);
    }
}
