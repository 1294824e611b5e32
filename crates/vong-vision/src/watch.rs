//! One camera's key frames, looked at one after another.

use std::convert::Infallible;
use std::sync::Arc;

use tracing::{debug, info};
use vong_model::CameraId;
use vong_runtime::Shutdown;

use crate::client::{Question, Worker};
use crate::findings::{EventState, Finding, FindingSender, Of};
use crate::health::{self, Health, Look};
use crate::luma::Luma;
use crate::metrics::VisionMetrics;
use crate::protocol::{Outcome, Work};
use crate::sink::{Unit, Waiting};

/// Looks after the health of one camera.
#[derive(Debug)]
pub(crate) struct HealthWatch {
    pub(crate) of: Of,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) findings: FindingSender,
    pub(crate) metrics: VisionMetrics,
}

impl HealthWatch {
    pub(crate) async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut health = Health::new();
        loop {
            let units = tokio::select! {
                units = self.waiting.take(1) => units,
                () = shutdown.requested() => return Ok(()),
            };
            for unit in units {
                if let Some(luma) = self.picture(&unit).await {
                    let Unit { received_at, camera_time, .. } = unit;
                    let events = health.observe(Look { luma: &luma, received_at, camera_time });
                    tell(&self.of, events, &self.findings, &self.metrics).await;
                }
            }
        }
    }

    async fn picture(&self, unit: &Unit) -> Option<Luma> {
        let work = Work::Luma {
            width: u16::try_from(health::WIDTH).unwrap_or(u16::MAX),
            height: u16::try_from(health::HEIGHT).unwrap_or(u16::MAX),
        };
        let units = [unit.data.clone()];
        let question = Question {
            camera: Some(&self.of.camera_id),
            work,
            sample_entry: &unit.parameters.sample_entry,
            units: &units,
        };
        match self.worker.ask(question).await {
            Ok((Outcome::Lumas { width, height, .. }, pixels)) => {
                self.metrics.pictures.inc();
                Luma::new(usize::from(width), usize::from(height), pixels)
            }
            Ok((other, _)) => {
                debug!(?other, "worker answered something else");
                None
            }
            Err(why) => {
                drop_told(&self.of.camera_id, &why, 1, &self.metrics);
                None
            }
        }
    }
}

pub(crate) fn drop_told(
    camera: &CameraId,
    why: &crate::client::NoAnswer,
    frames: usize,
    metrics: &VisionMetrics,
) {
    debug!(%camera, ?why, frames, "frames not looked at");
    metrics.drop_frames(why.reason(), frames);
}

/// Hands events to the log's writer.
pub(crate) async fn tell(
    of: &Of,
    events: Vec<crate::findings::Event>,
    findings: &FindingSender,
    metrics: &VisionMetrics,
) {
    for event in events {
        metrics.events.with_label_values(&[event.kind.as_str()]).inc();
        if event.state == EventState::Began {
            info!(camera = %of.camera_id, kind = event.kind.as_str(), value = event.value, "camera shows");
        }
        if findings.send(Finding::Event(of.clone(), event)).await.is_err() {
            debug!("nobody writes findings any more");
        }
    }
}
