//! Key frames as JPEG for pages that cannot decode them; those who want the same one share it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use parking_lot::Mutex;
use vong_hub::VideoStream;
use vong_media::{AccessUnit, MotionJpeg, StillError, StillMaker, StillRequest, VideoParameters};
use vong_model::CameraId;

/// Wide enough for one of sixteen tiles at 4K, and for one that somebody looks at.
pub(super) const TILE_WIDTH: u32 = 960;
pub(super) const LARGE_WIDTH: u32 = 1_920;

/// A still on its way, for any number of pages.
pub(super) type Still = Shared<BoxFuture<'static, Result<Bytes, StillError>>>;

/// Which still of a camera is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) camera: CameraId,
    pub(super) stream: VideoStream,
    pub(super) max_width: u32,
}

type Making = (Arc<AccessUnit>, WeakShared<BoxFuture<'static, Result<Bytes, StillError>>>);

/// The one maker of stills behind all pages; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct SharedStills {
    maker: Option<Arc<dyn StillMaker>>,
    /// The newest of each place. Weak: one that nobody waits for any more must not keep its turn.
    making: Arc<Mutex<BTreeMap<Place, Making>>>,
}

impl SharedStills {
    pub(crate) fn new(maker: Option<Arc<dyn StillMaker>>) -> Self {
        Self { maker, making: Arc::default() }
    }

    pub(super) fn can_make(&self) -> bool {
        self.maker.is_some()
    }

    /// Decodes `camera` whole, if that many are not decoded yet.
    pub(super) fn motion(&self, camera: &CameraId) -> Option<Box<dyn MotionJpeg>> {
        self.maker.as_ref()?.motion(camera)
    }

    pub(super) fn has_free_motion(&self) -> bool {
        self.maker.as_ref().is_some_and(|maker| maker.has_free_motion())
    }

    /// The picture of key frame `unit`; `None` where nothing makes stills.
    pub(super) fn of(
        &self,
        place: &Place,
        parameters: &Arc<VideoParameters>,
        unit: &Arc<AccessUnit>,
    ) -> Option<Still> {
        let maker = self.maker.as_ref()?;
        let mut making = self.making.lock();
        if let Some((known, still)) = making.get(place)
            && Arc::ptr_eq(known, unit)
            && let Some(still) = still.upgrade()
        {
            return Some(still);
        }
        let still = maker.jpeg(StillRequest {
            camera: place.camera.clone(),
            parameters: Arc::clone(parameters),
            units: vec![unit.data.clone()],
            max_width: place.max_width,
        });
        let still = still.boxed().shared();
        if let Some(weak) = still.downgrade() {
            making.insert(place.clone(), (Arc::clone(unit), weak));
        }
        Some(still)
    }
}
