//! All of vision in one handle: workers, writer, and the cameras that are watched.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vong_log::Log;
use vong_media::AccessUnitSink;
use vong_runtime::{Clock, OnFailure, Shutdown, Tasks};

use crate::client::{Worker, WorkerCommand};
use crate::detect::{Both, Desk, DetectWatch};
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
    /// Has the picture model, where there is one.
    detecting: Option<Arc<Worker>>,
    clock: Arc<dyn Clock>,
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
        let worker = |nice| {
            let (clock, findings) = (Arc::clone(clock), findings.clone());
            let command = WorkerCommand { nice, ..command.clone() };
            Arc::new(Worker::new(command, clock, findings, metrics.clone()))
        };
        // Three processes: whole streams keep one busy, and neither key frames nor people may wait
        // behind them. What people look at does not stand back: on a busy machine it would stand still.
        let (watching, following) = (worker(command.nice), worker(command.nice));
        let (service, stills) = StillService::new(worker(0), metrics.clone());
        tasks.spawn("vision/stills", OnFailure::Continue, service.run(tasks.shutdown()));
        let (tasks, clock) = (tasks.clone(), Arc::clone(clock));
        Self { tasks, watching, following, detecting: None, clock, findings, metrics, stills }
    }

    /// Also asks a picture model of what kind vehicles are: `command` starts a worker that has one.
    #[must_use]
    pub fn with_model(mut self, command: WorkerCommand) -> Self {
        let (clock, findings) = (Arc::clone(&self.clock), self.findings.clone());
        let worker = Worker::new(command, clock, findings, self.metrics.clone());
        self.detecting = Some(Arc::new(worker));
        self
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
            Box::new(self.sink(Wanted::KeyFrames, waiting)) as Box<dyn AccessUnitSink>
        });
        let traffic = scene.map(|scene| self.watch_traffic(of, scene, is_sound, stop));
        CameraSinks { health, traffic }
    }

    fn watch_traffic(
        &self,
        of: &Of,
        scene: Scene,
        is_sound: Arc<AtomicBool>,
        stop: &Shutdown,
    ) -> Box<dyn AccessUnitSink> {
        let (waiting, model) = (Waiting::new(), self.watch_detections(of, stop));
        let watch = TrafficWatch {
            of: of.clone(),
            scene,
            waiting: Arc::clone(&waiting),
            worker: Arc::clone(&self.following),
            findings: self.findings.clone(),
            metrics: self.metrics.clone(),
            is_sound,
            desk: model.as_ref().map(|(desk, _)| Arc::clone(desk)),
        };
        let name = format!("vision/{}/traffic", of.camera_id);
        self.tasks.spawn(name, OnFailure::Continue, watch.run(stop.clone()));
        let sink = self.sink(Wanted::All, waiting);
        match model {
            Some((_, key_frames)) => Box::new(Both(sink, key_frames)),
            None => Box::new(sink),
        }
    }

    /// Where the model tells what it sees, and where it gets key frames; `None` without a model.
    fn watch_detections(&self, of: &Of, stop: &Shutdown) -> Option<(Arc<Desk>, WatchSink)> {
        let worker = Arc::clone(self.detecting.as_ref()?);
        let (waiting, desk) = (Waiting::new(), Arc::<Desk>::default());
        let watch = DetectWatch {
            of: of.clone(),
            waiting: Arc::clone(&waiting),
            worker,
            desk: Arc::clone(&desk),
            metrics: self.metrics.clone(),
        };
        let name = format!("vision/{}/model", of.camera_id);
        self.tasks.spawn(name, OnFailure::Continue, watch.run(stop.clone()));
        Some((desk, self.sink(Wanted::KeyFrames, waiting)))
    }

    fn sink(&self, wanted: Wanted, waiting: Arc<Waiting>) -> WatchSink {
        WatchSink::new(wanted, waiting, self.metrics.clone())
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
