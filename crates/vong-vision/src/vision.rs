//! All of vision in one handle: workers, writer, and the cameras that are watched.

use std::sync::Arc;

use vong_log::Log;
use vong_media::AccessUnitSink;
use vong_runtime::{Clock, OnFailure, Tasks};

use crate::client::{Worker, WorkerCommand};
use crate::findings::{FindingSender, FindingWriter, Of};
use crate::metrics::VisionMetrics;
use crate::sink::{Waiting, Wanted, WatchSink};
use crate::stills::{StillService, Stills};
use crate::watch::HealthWatch;

/// Watches cameras and makes stills; its parts run as tasks.
#[derive(Debug)]
pub struct Vision {
    tasks: Tasks,
    watching: Arc<Worker>,
    findings: FindingSender,
    metrics: VisionMetrics,
    stills: Stills,
}

impl Vision {
    /// Starts writer and stills on `tasks`; a worker process starts when it is first needed.
    pub fn start(
        command: &WorkerCommand,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        metrics: VisionMetrics,
        tasks: &Tasks,
    ) -> Self {
        let (writer, findings) = FindingWriter::new(log, Arc::clone(&clock));
        tasks.spawn("vision/findings", OnFailure::StopProcess, writer.run(tasks.shutdown()));
        let worker = || {
            let (clock, findings) = (Arc::clone(&clock), findings.clone());
            Arc::new(Worker::new(command.clone(), clock, findings, metrics.clone()))
        };
        let watching = worker();
        let (service, stills) = StillService::new(worker(), metrics.clone());
        tasks.spawn("vision/stills", OnFailure::Continue, service.run(tasks.shutdown()));
        Self { tasks: tasks.clone(), watching, findings, metrics, stills }
    }

    /// Makes stills for whoever asks.
    pub fn stills(&self) -> Stills {
        self.stills.clone()
    }

    /// Watches the health of a camera by the key frames given to the sink.
    pub fn watch_health(&self, of: Of) -> Box<dyn AccessUnitSink> {
        let waiting = Waiting::new();
        let name = format!("vision/{}/health", of.camera_id);
        let watch = HealthWatch {
            of,
            waiting: Arc::clone(&waiting),
            worker: Arc::clone(&self.watching),
            findings: self.findings.clone(),
            metrics: self.metrics.clone(),
        };
        self.tasks.spawn(name, OnFailure::Continue, watch.run(self.tasks.shutdown()));
        Box::new(WatchSink::new(Wanted::KeyFrames, waiting, self.metrics.clone()))
    }
}
