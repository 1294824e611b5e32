//! The answer of a query, batch by batch. Dropping it stops the query.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::Stream;
use tokio::task::AbortHandle;
use vong_model::Offset;
use vong_runtime::channel::Receiver;

use crate::Error;
use crate::watch::Watch;

/// How long after its deadline a query may still say so itself.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the query pool sends to the one who asked.
#[derive(Debug)]
pub(crate) enum Event {
    Started { schema: SchemaRef, as_of: Offset, lost: Vec<Range<Offset>> },
    Batch(RecordBatch),
    Failed(Error),
    Done,
}

/// The task behind an answer; dropping this stops it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) task: AbortHandle,
    pub(crate) watch: Arc<Watch>,
    pub(crate) deadline_s: u64,
}

impl Worker {
    /// The next event; a worker that is too busy to say that its time is up is not waited for.
    async fn event(&self, events: &mut Receiver<Event>) -> Option<Event> {
        let last_word = self.watch.deadline() + PATIENCE;
        match tokio::time::timeout_at(last_word, events.recv()).await {
            Ok(event) => event,
            Err(_elapsed) => {
                let deadline_s = self.deadline_s;
                Some(Event::Failed(Error::Deadline { deadline_s }))
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.watch.abandon(); // stops what computes,
        self.task.abort(); // and what waits
    }
}

/// A running query.
#[derive(Debug)]
pub struct QueryStream {
    schema: SchemaRef,
    as_of: Offset,
    lost: Vec<Range<Offset>>,
    events: Receiver<Event>,
    ended: bool,
    worker: Worker,
}

impl QueryStream {
    /// Waits until the query has started: planned, its moment fixed.
    pub(crate) async fn start(mut events: Receiver<Event>, worker: Worker) -> Result<Self, Error> {
        match worker.event(&mut events).await {
            Some(Event::Started { schema, as_of, lost }) => {
                Ok(Self { schema, as_of, lost, events, ended: false, worker })
            }
            Some(Event::Failed(e)) => Err(e),
            Some(Event::Batch(_) | Event::Done) | None => Err(Error::Stopped),
        }
    }

    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// First log offset the query does not see.
    pub fn as_of(&self) -> Offset {
        self.as_of
    }

    /// Offsets whose rows are missing from the answer, if they were rows of it: the log is damaged
    /// there. In order.
    pub fn lost(&self) -> &[Range<Offset>] {
        &self.lost
    }

    /// The next rows; `None` after the last, or after an error.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, Error>> {
        if self.ended {
            return None;
        }
        let next = match self.worker.event(&mut self.events).await {
            Some(Event::Batch(batch)) => return Some(Ok(batch)),
            Some(Event::Done) => None,
            Some(Event::Failed(e)) => Some(Err(e)),
            // The pool always says how it ended: silence means it was stopped.
            Some(Event::Started { .. }) | None => Some(Err(Error::Stopped)),
        };
        self.ended = true;
        next
    }

    /// All rows at once: for tests and small answers.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }

    pub fn into_stream(self) -> impl Stream<Item = Result<RecordBatch, Error>> + Send {
        futures::stream::unfold(self, |mut results| async move {
            let batch = results.next().await?;
            Some((batch, results))
        })
    }
}
