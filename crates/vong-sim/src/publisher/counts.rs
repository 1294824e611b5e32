//! How many messages each sensor has published: what a test compares the product's counts with.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use vong_model::SensorId;

use crate::world::World;

/// Counts since the start; cheap to clone, all clones see the same counts.
#[derive(Clone, Debug)]
pub struct PublishedCounts {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sensor_ids: Vec<SensorId>,
    counts: Mutex<Counts>,
    changed: Notify,
}

#[derive(Debug)]
struct Counts {
    by_sensor: Vec<u64>,
    total: u64,
    acknowledged: u64,
}

impl PublishedCounts {
    pub fn new(world: &World) -> Self {
        let sensor_ids: Vec<SensorId> =
            world.sensors().iter().map(|s| s.sensor.sensor_id.clone()).collect();
        let by_sensor = vec![0; sensor_ids.len()];
        let counts = Mutex::new(Counts { by_sensor, total: 0, acknowledged: 0 });
        Self { inner: Arc::new(Inner { sensor_ids, counts, changed: Notify::new() }) }
    }

    /// Messages handed to the client, by sensor; sensors that never sent are left out.
    pub fn by_sensor(&self) -> BTreeMap<SensorId, u64> {
        let counts = self.inner.counts.lock();
        let all = self.inner.sensor_ids.iter().cloned().zip(counts.by_sensor.iter().copied());
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// Messages handed to the client.
    pub fn total(&self) -> u64 {
        self.inner.counts.lock().total
    }

    /// Messages the broker has acknowledged.
    pub fn total_acknowledged(&self) -> u64 {
        self.inner.counts.lock().acknowledged
    }

    pub(super) fn published(&self, sensor: usize) {
        let mut counts = self.inner.counts.lock();
        counts.total += 1;
        if let Some(count) = counts.by_sensor.get_mut(sensor) {
            *count += 1;
        }
    }

    pub(super) fn acknowledged(&self) {
        self.inner.counts.lock().acknowledged += 1;
        self.inner.changed.notify_waiters();
    }

    /// Resolves once the broker has acknowledged as much as was handed to the client.
    pub(super) async fn all_acknowledged(&self) {
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            // registers before looking, or an acknowledgement in between would be missed
            changed.as_mut().enable();
            {
                let counts = self.inner.counts.lock();
                if counts.acknowledged >= counts.total {
                    return;
                }
            }
            changed.await;
        }
    }
}
