//! Motion JPEG: streams that are decoded whole because somebody looks at them whose browser has no
//! decoder. Few at a time: one in 1080p costs about a quarter of a core.

use std::sync::Arc;

use parking_lot::Mutex;
use vong_media::{MOTION_UNITS, MotionJpeg, MotionRequest, Still, StillError};
use vong_model::CameraId;

use crate::protocol::Work;
use crate::stills::{Ask, Stills};

/// Streams at one time.
const STREAMS: usize = 2;

/// Who holds which place; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots(Arc<Mutex<[bool; STREAMS]>>);

/// One stream; its decoder lives in the worker, under the name of its slot.
#[derive(Debug)]
pub(crate) struct Motion {
    stills: Stills,
    slots: Slots,
    slot: usize,
    camera: CameraId,
}

impl Motion {
    /// `None` when all slots are taken.
    pub(crate) fn begin(stills: Stills, slots: &Slots, camera: &CameraId) -> Option<Self> {
        let slot = slots.take()?;
        Some(Self { stills, slots: slots.clone(), slot, camera: camera.clone() })
    }

    fn stream(&self) -> String {
        format!("motion/{}", self.slot)
    }
}

impl MotionJpeg for Motion {
    fn next(&self, request: MotionRequest) -> Still {
        let MotionRequest { parameters, restart, units, max_width } = request;
        if units.len() > MOTION_UNITS {
            return Box::pin(async { Err(StillError::Undecodable) });
        }
        let work = Work::Motion { stream: self.stream(), restart, max_width };
        self.stills.ask_first(Ask { camera: self.camera.clone(), work, parameters, units })
    }
}

impl Drop for Motion {
    fn drop(&mut self) {
        // First the decoder, then the slot: the next one's frames must not come before.
        self.stills.forget(self.stream());
        self.slots.free(self.slot);
    }
}

impl Slots {
    fn take(&self) -> Option<usize> {
        let mut slots = self.0.lock();
        let (free, taken) = slots.iter_mut().enumerate().find(|(_, taken)| !**taken)?;
        *taken = true;
        Some(free)
    }

    pub(crate) fn has_free(&self) -> bool {
        self.0.lock().contains(&false)
    }

    fn free(&self, slot: usize) {
        if let Some(slot) = self.0.lock().get_mut(slot) {
            *slot = false;
        }
    }
}
