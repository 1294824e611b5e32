//! Vision as an installation has it: the worker process it is started with, and the worker itself.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use vong_log::Log;
use vong_media::AccessUnitSink;
use vong_model::Camera;
use vong_runtime::{Clock, Shutdown, Tasks};
use vong_telemetry::Metrics;
use vong_vision::{Of, Vision, VisionMetrics, WorkerCommand};

use crate::config::Config;

/// Name of the hidden command that is the worker.
const WORKER: &str = "vision-worker";

/// Vision of an installation and which of it is wanted.
#[derive(Debug)]
pub(crate) struct Eyes {
    pub(crate) vision: Vision,
    health: bool,
}

impl Eyes {
    pub(crate) fn start(
        config: &Config,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        registry: &Metrics,
        tasks: &Tasks,
    ) -> Result<Self> {
        let settings = &config.vision;
        let command = WorkerCommand {
            program: std::env::current_exe().context("could not find the path of this program")?,
            arguments: vec![WORKER.to_owned()],
            memory_mib: settings.worker_memory_mib,
            nice: settings.worker_nice,
        };
        let metrics = VisionMetrics::new(registry);
        let vision = Vision::start(&command, log, clock, metrics, tasks);
        Ok(Self { vision, health: settings.health })
    }

    /// What wants the frames of a camera's main stream.
    ///
    /// `stop` ends the watch with the camera.
    pub(crate) fn main_sinks(
        &self,
        camera: &Camera,
        stop: &Shutdown,
    ) -> Vec<Box<dyn AccessUnitSink>> {
        let watch = || self.vision.watch_health(of(camera), stop.clone());
        self.health.then(watch).into_iter().collect()
    }
}

fn of(camera: &Camera) -> Of {
    Of { camera_id: camera.camera_id.clone(), unit_code: camera.unit_code.clone() }
}

/// The worker: serves the vong that started it until that closes the pipe.
pub(crate) fn run_worker() -> Result<ExitCode> {
    vong_vision::run_worker(std::io::stdin().lock(), std::io::stdout().lock(), None)?;
    Ok(ExitCode::SUCCESS)
}
