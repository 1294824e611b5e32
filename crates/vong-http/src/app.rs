//! What the handlers share: handles to the engines, and what is known about the city.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use vong_evidence::Desk;
use vong_footage::Footage;
use vong_hub::{HubHandle, VideoHub};
use vong_log::Log;
use vong_media::StillMaker;
use vong_model::{AccessDenied, Action, Assets, CameraId, Principal, authorize_camera};
use vong_query::QueryEngine;
use vong_runtime::{Clock, Current, Shutdown};
use vong_stream::RuleDesk;
use vong_telemetry::Metrics;

use crate::metrics::HttpMetrics;
use crate::probe::ProbeCamera;

/// Handed to every request; built once by the composition root.
#[derive(Clone, Debug)]
pub struct App {
    pub city: Arc<CityInfo>,
    /// The registers as they are now.
    pub assets: Current<Assets>,
    pub log: Arc<dyn Log>,
    pub query: QueryEngine,
    pub rules: RuleDesk,
    /// Held by the one backtest that may run.
    pub backtests: Arc<tokio::sync::Mutex<()>>,
    pub hub: HubHandle,
    pub video: VideoHub,
    pub footage: Footage,
    pub evidence: Desk,
    /// `None` where nothing decodes.
    pub stills: Option<Arc<dyn StillMaker>>,
    /// `None` where no camera can be reached.
    pub prober: Option<Arc<dyn ProbeCamera>>,
    pub clock: Arc<dyn Clock>,
    pub readiness: Readiness,
    pub registry: Metrics,
    pub metrics: HttpMetrics,
    /// Fires when open WebSockets must say good-bye.
    pub shutdown: Shutdown,
}

impl App {
    /// Whether `caller` may do `action` to a camera, by role and by what was granted.
    pub(crate) fn may_see(
        &self,
        caller: &Principal,
        action: Action,
        camera_id: &CameraId,
    ) -> Result<(), AccessDenied> {
        let assets = self.assets.now();
        authorize_camera(caller, action, (camera_id.as_str(), assets.cameras.get(camera_id)))
    }
}

/// What every screen says about where it is.
#[derive(Clone, Debug)]
pub struct CityInfo {
    pub version: String,
    pub name_vi: String,
    pub name_en: String,
    pub simulated: bool,
    /// Directory with the map's GeoJSON files.
    pub map: PathBuf,
}

/// What still has to happen before the process can do its job; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    waiting_for: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Readiness {
    /// Not ready until `part` is [`Self::done`].
    pub fn wait_for(&self, part: &'static str) {
        self.waiting_for.lock().insert(part);
    }

    pub fn done(&self, part: &'static str) {
        self.waiting_for.lock().remove(part);
    }

    pub fn waiting_for(&self) -> Vec<&'static str> {
        self.waiting_for.lock().iter().copied().collect()
    }
}
