//! Who must look again: tiles are rung by cameras and looked at by the one that owns the wall.
//!
//! However often a tile is rung before it is looked at, it stands in the list once: the list is
//! never longer than the wall has tiles.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::TileId;

/// Tiles of one wall on which something happened.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<BTreeSet<TileId>>,
    notify: Notify,
}

impl Bell {
    /// Takes the next tile in turn after `last`, beginning anew after the highest number.
    pub(super) fn take_after(&self, last: TileId) -> Option<TileId> {
        let mut rung = self.rung.lock();
        let next = rung.range((Bound::Excluded(last), Bound::Unbounded)).next();
        let next = *next.or_else(|| rung.first())?;
        rung.remove(&next);
        Some(next)
    }

    /// Puts back a tile that may have more to say.
    pub(super) fn again(&self, tile: TileId) {
        self.rung.lock().insert(tile);
    }

    /// Resolves once something was rung since the list was last found empty. Cancel-safe.
    pub(super) async fn heard(&self) {
        self.notify.notified().await;
    }
}

/// A rope to one tile's bell.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    bell: Arc<Bell>,
    tile: TileId,
}

impl Ring {
    pub(super) fn new(bell: &Arc<Bell>, tile: TileId) -> Self {
        Self { bell: Arc::clone(bell), tile }
    }

    pub(super) fn ring(&self) {
        if self.bell.rung.lock().insert(self.tile) {
            self.bell.notify.notify_one();
        }
    }

    pub(super) fn is(&self, bell: &Arc<Bell>, tile: TileId) -> bool {
        Arc::ptr_eq(&self.bell, bell) && self.tile == tile
    }
}
