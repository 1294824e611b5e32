//! How fast cameras are connected to: a few at a time per host, fifty a second in all.
//!
//! After a power cut all cameras come back at once. Servers behind one address refuse such a burst,
//! so each host has its own few places and an address that does not answer holds up itself alone.
//! The pace over all hosts keeps our own processor, and the network, for the cameras that play.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Between two connection attempts of all cameras: 50 a second.
const STEP: Duration = Duration::from_millis(20);

/// Shared by all cameras; cheap to clone.
#[derive(Clone, Debug)]
pub struct ConnectGate {
    places: usize,
    hosts: Arc<Mutex<BTreeMap<String, Arc<Semaphore>>>>,
    /// When the next attempt may begin.
    next: Arc<Mutex<Option<Instant>>>,
}

impl ConnectGate {
    /// `places`: how many cameras of one host may be in the middle of connecting.
    pub fn new(places: usize) -> Self {
        Self { places: places.max(1), hosts: Arc::default(), next: Arc::default() }
    }

    /// Waits for a place at `host` and a turn; the place is free again when the permit is dropped.
    pub(crate) async fn enter(&self, host: &str) -> Option<OwnedSemaphorePermit> {
        let semaphore = {
            let mut hosts = self.hosts.lock();
            let semaphore = hosts.entry(host.to_owned());
            Arc::clone(semaphore.or_insert_with(|| Arc::new(Semaphore::new(self.places))))
        };
        let place = semaphore.acquire_owned().await.ok(); // it is never closed
        tokio::time::sleep_until(self.turn()).await;
        place
    }

    fn turn(&self) -> Instant {
        let mut next = self.next.lock();
        let turn = next.map_or_else(Instant::now, |next| next.max(Instant::now()));
        *next = Some(turn + STEP);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lets_fifty_a_second_in_and_a_few_per_host() {
        let gate = ConnectGate::new(2);
        let turns: Vec<Instant> = (0..101).map(|_| gate.turn()).collect();
        assert_eq!(turns[100] - turns[0], Duration::from_secs(2));
        let gate = ConnectGate::new(2);
        let (_one, _two) = (gate.enter("nvr").await, gate.enter("nvr").await);
        let third = tokio::time::timeout(Duration::from_millis(300), gate.enter("nvr")).await;
        assert!(third.is_err(), "a third place was given");
        assert!(gate.enter("other").await.is_some());
    }
}
