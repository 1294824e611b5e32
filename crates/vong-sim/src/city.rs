//! The whole city in one handle: what stands in it, what it shows, and what it publishes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vong_model::Assets;
use vong_runtime::{Clock, Shutdown, UnixMicros};

use crate::publisher::{PublishedCounts, Publisher, PublisherConfig};
use crate::scene::Scene;
use crate::world::World;

/// How a city runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CityConfig {
    /// Wall-clock time of second 0, microseconds since 1970; the same for sensors and cameras.
    pub start: UnixMicros,
    pub mqtt: PublisherConfig,
}

/// A generated city; cheap to clone.
#[derive(Clone, Debug)]
pub struct City {
    world: Arc<World>,
    counts: PublishedCounts,
}

impl City {
    /// The city of a seed; the same on every machine.
    pub fn new(seed: u64) -> Self {
        let world = Arc::new(World::new(seed));
        let counts = PublishedCounts::new(&world);
        Self { world, counts }
    }

    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The city as its cameras see it.
    pub fn scene(&self) -> Arc<dyn Scene> {
        Arc::<World>::clone(&self.world)
    }

    /// What stands in the city, with camera addresses at `rtsp` (`host:port`).
    pub fn assets(&self, rtsp: &str) -> Assets {
        self.world.assets(rtsp)
    }

    /// What this city and its clones have published so far.
    pub fn counts(&self) -> PublishedCounts {
        self.counts.clone()
    }

    /// Publishes the sensors' messages until told to stop.
    pub async fn run(self, config: CityConfig, clock: Arc<dyn Clock>, shutdown: Shutdown) {
        let CityConfig { start, mqtt } = config;
        Publisher::new(self.world, mqtt, clock, start, self.counts).run(shutdown).await;
    }
}
