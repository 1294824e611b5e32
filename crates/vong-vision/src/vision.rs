//! All of vision in one handle: workers, writer, and the cameras that are watched.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vong_log::Log;
use vong_media::AccessUnitSink;
use vong_runtime::{Clock, OnFailure, Shutdown, Tasks};

use crate::client::{Worker, WorkerCommand};
use crate::findings::{FindingSender, FindingWriter, Of};
use crate::follow::TrafficWatch;
use crate::metrics::VisionMetrics;
use crate::scene::Scene;
use crate::sink::{Waiting, Wanted, WatchSink};
use crate::stills::{StillService, Stills};
use crate::watch::HealthWatch;

/// Watches cameras and makes stills; its parts run as tasks.
#[derive(Debug)]
pub struct Vision {
    tasks: Tasks,
    watching: Arc<Worker>,
    following: Arc<Worker>,
    findings: FindingSender,
    metrics: VisionMetrics,
    stills: Stills,
}

impl Vision {
    /// Starts writer and stills on `tasks`; a worker process starts when it is first needed.
    pub fn start(
        command: &WorkerCommand,
        log: Arc<dyn Log>,
        clock: &Arc<dyn Clock>,
        metrics: VisionMetrics,
        tasks: &Tasks,
    ) -> Self {
        let (writer, findings) = FindingWriter::new(log, Arc::clone(clock));
        tasks.spawn("vision/findings", OnFailure::StopProcess, writer.run(tasks.shutdown()));
        let worker = || {
            let (clock, findings) = (Arc::clone(clock), findings.clone());
            Arc::new(Worker::new(command.clone(), clock, findings, metrics.clone()))
        };
        // Three processes: whole streams keep one busy, and neither key frames nor people may wait
        // behind them.
        let (watching, following) = (worker(), worker());
        let (service, stills) = StillService::new(worker(), metrics.clone());
        tasks.spawn("vision/stills", OnFailure::Continue, service.run(tasks.shutdown()));
        Self { tasks: tasks.clone(), watching, following, findings, metrics, stills }
    }

    /// Makes stills for whoever asks.
    pub fn stills(&self) -> Stills {
        self.stills.clone()
    }

    /// Watches a camera until `stop`: its health if wanted, its traffic if it has a scene.
    pub fn watch(
        &self,
        of: &Of,
        health: bool,
        scene: Option<Scene>,
        stop: &Shutdown,
    ) -> CameraSinks {
        let is_sound = Arc::new(AtomicBool::new(true));
        let health = health.then(|| {
            let waiting = Waiting::new();
            let watch = HealthWatch {
                of: of.clone(),
                waiting: Arc::clone(&waiting),
                worker: Arc::clone(&self.watching),
                findings: self.findings.clone(),
                metrics: self.metrics.clone(),
                is_sound: Arc::clone(&is_sound),
            };
            let name = format!("vision/{}/health", of.camera_id);
            self.tasks.spawn(name, OnFailure::Continue, watch.run(stop.clone()));
            self.sink(Wanted::KeyFrames, waiting)
        });
        let traffic = scene.map(|scene| {
            let waiting = Waiting::new();
            let watch = TrafficWatch {
                of: of.clone(),
                scene,
                waiting: Arc::clone(&waiting),
                worker: Arc::clone(&self.following),
                findings: self.findings.clone(),
                metrics: self.metrics.clone(),
                is_sound,
            };
            let name = format!("vision/{}/traffic", of.camera_id);
            self.tasks.spawn(name, OnFailure::Continue, watch.run(stop.clone()));
            self.sink(Wanted::All, waiting)
        });
        CameraSinks { health, traffic }
    }

    fn sink(&self, wanted: Wanted, waiting: Arc<Waiting>) -> Box<dyn AccessUnitSink> {
        Box::new(WatchSink::new(wanted, waiting, self.metrics.clone()))
    }
}

/// Where a camera's frames go to be watched.
#[expect(missing_debug_implementations, reason = "a sink is whatever takes frames")]
pub struct CameraSinks {
    /// Of the stream that is recorded: what is wrong there is wrong in evidence.
    pub health: Option<Box<dyn AccessUnitSink>>,
    /// Of the lightest stream there is.
    pub traffic: Option<Box<dyn AccessUnitSink>>,
}
