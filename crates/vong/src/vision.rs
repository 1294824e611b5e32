//! Vision as an installation has it: the worker process it is started with, and the worker itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tracing::{info, warn};
use vong_detect::{DetectOptions, Detector, RgbPicture};
use vong_log::Log;
use vong_model::{Assets, Camera, CameraId};
use vong_runtime::{Clock, Shutdown, Tasks};
use vong_telemetry::Metrics;
use vong_vision::scene::{Scene, SceneFile};
use vong_vision::{
    CameraSinks, Detection, Of, PictureModel, Rgb, Vision, VisionMetrics, WorkerCommand,
};

use crate::config::{Config, Diagnostic, from_toml};
use crate::site::files_of;

/// Name of the hidden command that is the worker.
const WORKER: &str = "vision-worker";

/// Vision of an installation and which of it is wanted.
#[derive(Debug)]
pub(crate) struct Eyes {
    pub(crate) vision: Vision,
    health: bool,
    scenes: Scenes,
}

/// What is where in the pictures of cameras that have a scene file.
pub(crate) type Scenes = BTreeMap<CameraId, Scene>;

impl Eyes {
    pub(crate) fn start(
        (config, scenes): (&Config, Scenes),
        log: Arc<dyn Log>,
        clock: &Arc<dyn Clock>,
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
        let vision = match with_detector(&settings.detector, &command) {
            Some(command) => vision.with_model(command),
            None => vision,
        };
        Ok(Self { vision, health: settings.health, scenes })
    }

    /// What wants the frames of a camera's streams, until `stop`.
    pub(crate) fn sinks(&self, camera: &Camera, stop: &Shutdown) -> CameraSinks {
        let scene = self.scenes.get(&camera.camera_id).cloned();
        self.vision.watch(&of(camera), self.health, scene, stop)
    }
}

/// How a worker is started that has the detector; `None`, and told why, when there is none.
fn with_detector(model: &Path, worker: &WorkerCommand) -> Option<WorkerCommand> {
    if matches!(model.try_exists(), Ok(false)) {
        info!(path = %model.display(), "no model file: vehicles are told by their outlines");
        return None;
    }
    // Opened here once, so that a wrong file is told at the start and no worker dies of it.
    if let Err(error) = Detector::open(model) {
        warn!(path = %model.display(), %error, "detector is off; put the file that `cargo xtask model` makes there");
        return None;
    }
    let mut command = worker.clone();
    command.arguments.push(format!("--detector={}", model.display()));
    Some(command)
}

fn of(camera: &Camera) -> Of {
    Of { camera_id: camera.camera_id.clone(), unit_code: camera.unit_code.clone() }
}

/// Width of pictures in heights, for scenes without measures: what nearly all cameras have.
const ASPECT: f64 = 16.0 / 9.0;

/// Every `<camera_id>.toml` of the directory of scenes.
pub(crate) fn load_scenes(
    directory: &Path,
    assets: &Assets,
    mistakes: &mut Vec<Diagnostic>,
) -> Scenes {
    let mut scenes = Scenes::new();
    for (file, text) in files_of(directory, "toml", mistakes) {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let camera = CameraId::from(&*name);
        if !assets.cameras.contains_key(&camera) {
            let message = format!("no camera is called '{camera}'");
            let hint = "a scene file is named after its camera's camera_id";
            mistakes.push(Diagnostic::of_file(&file, message).with_hint(hint));
            continue;
        }
        let scene = from_toml::<SceneFile>(&file, &text).and_then(|scene| {
            let checked = Scene::new(scene, ASPECT);
            checked.map_err(|e| Diagnostic::of_file(&file, e.to_string()))
        });
        match scene {
            Ok(scene) => drop(scenes.insert(camera, scene)),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    scenes
}

/// The worker: serves the vong that started it until that closes the pipe.
/// With a `detector` it also tells what is in pictures.
pub(crate) fn run_worker(detector: Option<&Path>) -> Result<ExitCode> {
    let model = detector.map(Detector::open).transpose().context("could not open the detector")?;
    let model = model.map(|detector| Box::new(RoadUsers { detector }) as Box<dyn PictureModel>);
    vong_vision::run_worker(std::io::stdin().lock(), std::io::stdout().lock(), model)?;
    Ok(ExitCode::SUCCESS)
}

/// The detector as the worker's picture model.
#[derive(Debug)]
struct RoadUsers {
    detector: Detector,
}

impl PictureModel for RoadUsers {
    /// Twice what the network sees, so that its own scaling has something to sharpen.
    fn picture_width(&self) -> u32 {
        640
    }

    fn detect(&mut self, picture: &Rgb) -> Result<Vec<Detection>, String> {
        let Rgb { width, height, pixels } = picture;
        let in_words = |e: vong_detect::Error| e.to_string();
        let picture = RgbPicture::new(*width, *height, pixels).map_err(in_words)?;
        let found = self.detector.detect(&picture, &DetectOptions::default()).map_err(in_words)?;
        let told = found.into_iter().map(|one| Detection {
            kind: one.class.name().to_owned(),
            score: one.score,
            region: one.place.corners(),
        });
        Ok(told.collect())
    }
}
