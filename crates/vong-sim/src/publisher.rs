//! Publishes the city's messages over MQTT at QoS 1, each at its due time.
//!
//! Invariant: a message that was handed to the client is published at least once even when the
//! broker goes away and forgets the session; after a stall the publisher catches up in order.

mod counts;
mod link;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vong_runtime::{Clock, Shutdown, UnixMicros};

pub use counts::PublishedCounts;

use crate::schedule::Schedule;
use crate::world::World;
use link::{Link, Requests};

/// Protocol version towards the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    #[default]
    #[serde(rename = "3.1.1")]
    V311,
    #[serde(rename = "5")]
    V5,
}

/// Where and how fast to publish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublisherConfig {
    pub host: String,
    pub port: u16,
    #[serde(default)]
    pub protocol: Protocol,
    #[serde(default = "default_client_id")]
    pub client_id: String,
    /// Multiplies how often sensors send; 1 is about 370 messages a second.
    #[serde(default = "default_rate")]
    pub rate: f64,
}

fn default_client_id() -> String {
    "vong-sim".to_owned()
}

fn default_rate() -> f64 {
    1.0
}

impl PublisherConfig {
    /// MQTT 3.1.1 at the natural rate.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            protocol: Protocol::default(),
            client_id: default_client_id(),
            rate: default_rate(),
        }
    }
}

/// How long to wait for the broker's acknowledgements when told to stop.
const LAST_ACKS: Duration = Duration::from_secs(3);
/// The longest sleep: a clock that is moved by hand is noticed after this.
const LONGEST_SLEEP_MS: u64 = 20;
/// Time for the client to send its farewell.
const FAREWELL: Duration = Duration::from_millis(50);

/// Publishes one city to one broker.
#[derive(Debug)]
pub struct Publisher {
    world: Arc<World>,
    config: PublisherConfig,
    clock: Arc<dyn Clock>,
    /// Wall-clock time of second 0.
    start: UnixMicros,
    counts: PublishedCounts,
}

impl Publisher {
    pub fn new(
        world: Arc<World>,
        config: PublisherConfig,
        clock: Arc<dyn Clock>,
        start: UnixMicros,
        counts: PublishedCounts,
    ) -> Self {
        Self { world, config, clock, start, counts }
    }

    /// Publishes until told to stop, then waits briefly for the broker's last acknowledgements.
    pub async fn run(self, shutdown: Shutdown) {
        let (requests, mut link) = link::connect(&self.config);
        let counts = self.counts.clone();
        tokio::select! {
            () = Box::pin(self.publish(requests, shutdown)) => {}
            () = Box::pin(pump(&mut link, &counts)) => {}
        }
    }

    async fn publish(self, requests: Requests, shutdown: Shutdown) {
        let mut schedule = Schedule::new(&self.world, self.config.rate);
        while !shutdown.is_requested() {
            let now_ms = self.now_ms();
            while let Some(due) = schedule.take_before(now_ms.saturating_add(1)) {
                let Some(message) = self.world.message(due.sensor, due.at_ms, self.start) else {
                    continue;
                };
                tokio::select! {
                    // the one place that waits when the broker is slow or away
                    () = requests.publish(message) => self.counts.published(due.sensor),
                    () = shutdown.requested() => break,
                }
            }
            let until_next_ms =
                schedule.next_at_ms().map_or(LONGEST_SLEEP_MS, |at| at.saturating_sub(now_ms));
            let nap = Duration::from_millis(until_next_ms.clamp(1, LONGEST_SLEEP_MS));
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                () = shutdown.requested() => {}
            }
        }
        let acknowledged = self.counts.all_acknowledged();
        if tokio::time::timeout(LAST_ACKS, acknowledged).await.is_err() {
            tracing::warn!("simulator stopped before the broker acknowledged everything");
        }
        requests.disconnect().await;
        tokio::time::sleep(FAREWELL).await;
    }

    fn now_ms(&self) -> u64 {
        // before second 0 nothing is due
        u64::try_from((self.clock.now() - self.start).div_euclid(1_000)).unwrap_or(0)
    }
}

/// Moves bytes between client and broker, reconnecting for ever.
async fn pump(link: &mut Link, counts: &PublishedCounts) {
    const FIRST_WAIT: Duration = Duration::from_millis(100);
    const LONGEST_WAIT: Duration = Duration::from_secs(2);
    let mut wait = FIRST_WAIT;
    loop {
        match link.poll().await {
            Ok(link::Event::Acknowledged) => counts.acknowledged(),
            Ok(link::Event::Connected) => wait = FIRST_WAIT,
            Ok(link::Event::Other) => {}
            Err(error) => {
                if wait == FIRST_WAIT {
                    tracing::warn!(%error, "simulator lost its mqtt broker, reconnecting");
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

#[cfg(test)]
mod tests;
