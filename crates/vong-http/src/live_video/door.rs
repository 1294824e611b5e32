//! What live pictures need of the application, and nothing more.

use std::sync::Arc;

use vong_hub::VideoHub;
use vong_runtime::{Clock, Shutdown};

use super::stills::SharedStills;
use crate::app::App;
use crate::metrics::HttpMetrics;

#[derive(Clone, Debug)]
pub(crate) struct VideoDoor {
    pub(super) video: VideoHub,
    pub(super) stills: SharedStills,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: HttpMetrics,
    pub(super) shutdown: Shutdown,
}

impl VideoDoor {
    pub(crate) fn new(app: &App) -> Self {
        Self {
            video: app.video.clone(),
            stills: SharedStills::new(app.stills.clone()),
            clock: Arc::clone(&app.clock),
            metrics: app.metrics.clone(),
            shutdown: app.shutdown.clone(),
        }
    }
}
