//! What live pictures need of the application, and nothing more.

use std::sync::Arc;

use vong_hub::VideoHub;
use vong_media::VideoParameters;
use vong_model::{AccessDenied, Action, Assets, CameraId, Principal, authorize_camera};
use vong_runtime::{Clock, Current, Shutdown};

use super::motion::Motion;
use super::stills::SharedStills;
use super::tile::{Picture, Tile};
use crate::app::App;
use crate::metrics::HttpMetrics;

#[derive(Clone, Debug)]
pub(crate) struct VideoDoor {
    pub(super) video: VideoHub,
    /// The registers as they are now: whom a camera is granted to.
    pub(super) assets: Current<Assets>,
    pub(super) stills: SharedStills,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: HttpMetrics,
    pub(super) shutdown: Shutdown,
}

impl VideoDoor {
    pub(crate) fn new(app: &App) -> Self {
        Self {
            video: app.video.clone(),
            assets: app.assets.clone(),
            stills: SharedStills::new(app.stills.clone()),
            clock: Arc::clone(&app.clock),
            metrics: app.metrics.clone(),
            shutdown: app.shutdown.clone(),
        }
    }

    /// What a tile gets whose page cannot decode the camera: all frames as JPEG if it is looked at and
    /// a decoder is free, else stills.
    pub(super) fn drawn(&self, tile: &Tile, parameters: &Arc<VideoParameters>) -> Picture {
        if !self.stills.can_make() {
            return Picture::Unplayable;
        }
        let stream = tile.wants_motion().then(|| self.stills.motion(&tile.camera)).flatten();
        let parameters = Arc::clone(parameters);
        match stream {
            Some(stream) => Picture::Motion(Motion::new(stream, parameters)),
            None => Picture::Stills { parameters, busy: false },
        }
    }

    /// Whether `caller` may see a camera, by role and by what was granted.
    pub(super) fn may_see(
        &self,
        caller: &Principal,
        camera: &CameraId,
    ) -> Result<(), AccessDenied> {
        let assets = self.assets.now();
        let camera = (camera.as_str(), assets.cameras.get(camera));
        authorize_camera(caller, Action::ViewLive, camera)
    }
}
