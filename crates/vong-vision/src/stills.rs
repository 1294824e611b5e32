//! Pictures for screens, made by a worker of their own, so that nobody waits behind the cameras'
//! health.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tracing::debug;
use vong_media::{
    MotionJpeg, STILL_UNITS, Still, StillError, StillMaker, StillRequest, VideoParameters,
};
use vong_model::CameraId;
use vong_runtime::Shutdown;
use vong_runtime::channel::{self, Capacity, Receiver, SendError, Sender, WhenFull};

use crate::client::{NoAnswer, Question, Worker};
use crate::metrics::VisionMetrics;
use crate::motion::{Motion, Slots};
use crate::protocol::{Outcome, Work};

/// Requests that may wait; a further one is told that the decoder is busy.
const QUEUE: usize = 32;
/// One of each stream of motion JPEG, and those of streams that have just ended.
const MOTION_QUEUE: usize = 16;

/// One picture that is wanted of the worker.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) camera: CameraId,
    pub(crate) work: Work,
    pub(crate) parameters: Arc<VideoParameters>,
    pub(crate) units: Vec<Bytes>,
}

#[derive(Debug)]
enum Wanted {
    Picture(Ask, oneshot::Sender<Result<Bytes, StillError>>),
    /// No more units of this stream will come.
    Forget(String),
}

/// Asks for pictures; cheap to clone.
#[derive(Clone, Debug)]
pub struct Stills {
    queue: Sender<Wanted>,
    motion: Sender<Wanted>,
    slots: Slots,
}

/// Makes them, one after another.
#[derive(Debug)]
pub(crate) struct StillService {
    queue: Receiver<Wanted>,
    /// Served first: frames of a stream cannot be left out, and somebody looks at it.
    motion: Receiver<Wanted>,
    worker: Arc<Worker>,
    metrics: VisionMetrics,
}

impl StillService {
    pub(crate) fn new(worker: Arc<Worker>, metrics: VisionMetrics) -> (Self, Stills) {
        // `Wait` with `offer`: who asks is told at once that the decoder is busy.
        let (stills, queue) =
            channel::bounded("vision/stills", Capacity::items(QUEUE), WhenFull::Wait);
        let (first, motion) =
            channel::bounded("vision/motion", Capacity::items(MOTION_QUEUE), WhenFull::Wait);
        let stills = Stills { queue: stills, motion: first, slots: Slots::default() };
        (Self { queue, motion, worker, metrics }, stills)
    }

    pub(crate) async fn run(mut self, shutdown: Shutdown) -> Result<(), Infallible> {
        loop {
            let wanted = tokio::select! {
                biased;
                () = shutdown.requested() => return Ok(()),
                wanted = self.motion.recv() => wanted,
                wanted = self.queue.recv() => wanted,
            };
            match wanted {
                None => return Ok(()),
                Some(Wanted::Picture(_, answer)) if answer.is_closed() => {} // who asked went away
                Some(Wanted::Picture(ask, answer)) => {
                    if answer.send(self.make(ask).await).is_err() {
                        debug!("whoever asked for a picture went away");
                    }
                }
                Some(Wanted::Forget(stream)) => self.forget(stream).await,
            }
        }
    }

    /// No bytes: the decoder holds the picture back.
    async fn make(&self, ask: Ask) -> Result<Bytes, StillError> {
        let Ask { camera, work, parameters, units } = ask;
        if units.is_empty() || units.len() > STILL_UNITS {
            return Err(StillError::Undecodable);
        }
        let sample_entry = &parameters.sample_entry;
        let question = Question { camera: Some(&camera), work, sample_entry, units: &units };
        match self.worker.ask(question).await {
            Ok((Outcome::Jpeg, jpeg)) => {
                self.metrics.stills.inc();
                Ok(Bytes::from(jpeg))
            }
            Ok((Outcome::Done, _)) => Ok(Bytes::new()),
            Ok(_) | Err(NoAnswer::Undecodable(_) | NoAnswer::SetAside) => {
                Err(StillError::Undecodable)
            }
            Err(NoAnswer::WorkerFailed | NoAnswer::Waiting) => Err(StillError::Busy),
        }
    }

    async fn forget(&self, stream: String) {
        let work = Work::Forget { stream };
        let question = Question { camera: None, work, sample_entry: &[], units: &[] };
        if let Err(why) = self.worker.ask(question).await {
            debug!(?why, "nothing is left to forget");
        }
    }
}

impl Stills {
    /// Asks for the next picture of motion JPEG.
    pub(crate) fn ask_first(&self, ask: Ask) -> Still {
        picture(&self.motion, ask)
    }

    /// Frees a stream's decoder. Where the queue is full the slot's next stream does it.
    pub(crate) fn forget(&self, stream: String) {
        if self.motion.offer(Wanted::Forget(stream)).is_err() {
            debug!("a decoder is freed later");
        }
    }
}

fn picture(queue: &Sender<Wanted>, ask: Ask) -> Still {
    let (answer, made) = oneshot::channel();
    let offered = queue.offer(Wanted::Picture(ask, answer));
    Box::pin(async move {
        match offered {
            Ok(()) => made.await.unwrap_or(Err(StillError::Busy)),
            Err(SendError::Full(_) | SendError::Closed(_)) => Err(StillError::Busy),
        }
    })
}

impl StillMaker for Stills {
    fn jpeg(&self, request: StillRequest) -> Still {
        let StillRequest { camera, parameters, units, max_width } = request;
        picture(&self.queue, Ask { camera, work: Work::Jpeg { max_width }, parameters, units })
    }

    fn motion(&self, camera: &CameraId) -> Option<Box<dyn MotionJpeg>> {
        let motion = Motion::begin(self.clone(), &self.slots, camera)?;
        Some(Box::new(motion))
    }

    fn has_free_motion(&self) -> bool {
        self.slots.has_free()
    }
}
