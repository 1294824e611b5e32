//! Stills for screens, made by a worker of their own, so that nobody waits behind the cameras' health.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tracing::debug;
use vong_media::{STILL_UNITS, Still, StillError, StillMaker, StillRequest};
use vong_runtime::Shutdown;
use vong_runtime::channel::{self, Capacity, Receiver, SendError, Sender, WhenFull};

use crate::client::{NoAnswer, Question, Worker};
use crate::metrics::VisionMetrics;
use crate::protocol::{Outcome, Work};

/// Requests that may wait; a further one is told that the decoder is busy.
const QUEUE: usize = 32;

#[derive(Debug)]
struct Wanted {
    request: StillRequest,
    answer: oneshot::Sender<Result<Bytes, StillError>>,
}

/// Asks for stills; cheap to clone.
#[derive(Clone, Debug)]
pub struct Stills {
    queue: Sender<Wanted>,
}

/// Makes them, one after another.
#[derive(Debug)]
pub(crate) struct StillService {
    queue: Receiver<Wanted>,
    worker: Arc<Worker>,
    metrics: VisionMetrics,
}

impl StillService {
    pub(crate) fn new(worker: Arc<Worker>, metrics: VisionMetrics) -> (Self, Stills) {
        // `Wait` with `offer`: who asks is told at once that the decoder is busy.
        let (sender, queue) =
            channel::bounded("vision/stills", Capacity::items(QUEUE), WhenFull::Wait);
        (Self { queue, worker, metrics }, Stills { queue: sender })
    }

    pub(crate) async fn run(mut self, shutdown: Shutdown) -> Result<(), Infallible> {
        loop {
            let wanted = tokio::select! {
                wanted = self.queue.recv() => wanted,
                () = shutdown.requested() => return Ok(()),
            };
            let Some(Wanted { request, answer }) = wanted else { return Ok(()) };
            if answer.is_closed() {
                continue; // whoever asked went away
            }
            if answer.send(self.make(request).await).is_err() {
                debug!("whoever asked for a still went away");
            }
        }
    }

    async fn make(&self, request: StillRequest) -> Result<Bytes, StillError> {
        let StillRequest { camera, parameters, units, max_width } = request;
        if units.is_empty() || units.len() > STILL_UNITS {
            return Err(StillError::Undecodable);
        }
        let question = Question {
            camera: Some(&camera),
            work: Work::Jpeg { max_width },
            sample_entry: &parameters.sample_entry,
            units: &units,
        };
        match self.worker.ask(question).await {
            Ok((Outcome::Jpeg, jpeg)) => {
                self.metrics.stills.inc();
                Ok(Bytes::from(jpeg))
            }
            Ok(_) | Err(NoAnswer::Undecodable(_) | NoAnswer::SetAside) => {
                Err(StillError::Undecodable)
            }
            Err(NoAnswer::WorkerFailed | NoAnswer::Waiting) => Err(StillError::Busy),
        }
    }
}

impl StillMaker for Stills {
    fn jpeg(&self, request: StillRequest) -> Still {
        let (answer, made) = oneshot::channel();
        let offered = self.queue.offer(Wanted { request, answer });
        Box::pin(async move {
            match offered {
                Ok(()) => made.await.unwrap_or(Err(StillError::Busy)),
                Err(SendError::Full(_) | SendError::Closed(_)) => Err(StillError::Busy),
            }
        })
    }
}
