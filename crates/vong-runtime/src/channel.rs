//! Bounded channels that say on the line that makes them how much they hold and what happens
//! when they are full.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

/// How much a channel holds.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    items: usize,
}

impl Capacity {
    pub const fn items(items: usize) -> Self {
        Self { items }
    }
}

/// What a full channel does to the next item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The sender waits: pressure travels back to where the item came from.
    Wait,
    /// The item is dropped and counted; see [`Sender::dropped`].
    DropNewest,
    /// The sender is told, and gives this receiver up.
    Disconnect,
}

/// The item could not be handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("channel '{0}' is full and its receiver is given up")]
    Full(&'static str),
    #[error("receiver of channel '{0}' is gone")]
    Closed(&'static str),
}

/// The sending half; cheap to clone.
#[derive(Debug)]
pub struct Sender<T> {
    name: &'static str,
    when_full: WhenFull,
    inner: mpsc::Sender<T>,
    dropped: Arc<AtomicU64>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let Self { name, when_full, inner, dropped } = self;
        Self { name, when_full: *when_full, inner: inner.clone(), dropped: Arc::clone(dropped) }
    }
}

/// The receiving half.
#[derive(Debug)]
pub struct Receiver<T> {
    inner: mpsc::Receiver<T>,
}

/// Makes a channel called `name` (`area/what`).
#[expect(clippy::disallowed_methods, reason = "the one place that makes channels")]
pub fn bounded<T>(
    name: &'static str,
    capacity: Capacity,
    when_full: WhenFull,
) -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = mpsc::channel(capacity.items.max(1));
    (Sender { name, when_full, inner: tx, dropped: Arc::default() }, Receiver { inner: rx })
}

impl<T> Sender<T> {
    /// Hands `item` over, by this channel's own policy when full.
    pub async fn send(&self, item: T) -> Result<(), SendError> {
        match self.when_full {
            WhenFull::Wait => {
                self.inner.send(item).await.map_err(|_closed| SendError::Closed(self.name))
            }
            WhenFull::DropNewest | WhenFull::Disconnect => self.offer(item),
        }
    }

    /// As [`Self::send`] but never waits: a `Wait` channel that is full answers [`SendError::Full`].
    pub fn offer(&self, item: T) -> Result<(), SendError> {
        match self.inner.try_send(item) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(SendError::Closed(self.name)),
            Err(mpsc::error::TrySendError::Full(_)) if self.when_full == WhenFull::DropNewest => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(_)) => Err(SendError::Full(self.name)),
        }
    }

    /// As [`Self::send`] on a `Wait` channel, from a thread outside the async runtime.
    pub fn blocking_send(&self, item: T) -> Result<(), SendError> {
        self.inner.blocking_send(item).map_err(|_closed| SendError::Closed(self.name))
    }

    /// Items dropped so far because the channel was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Free places now.
    pub fn free(&self) -> usize {
        self.inner.capacity()
    }
}

impl<T> Receiver<T> {
    /// The next item, or `None` once every sender is gone.
    pub async fn recv(&mut self) -> Option<T> {
        self.inner.recv().await
    }

    /// Waits for one item, then takes what else is there, up to `limit` in all.
    pub async fn recv_many(&mut self, into: &mut Vec<T>, limit: usize) -> usize {
        self.inner.recv_many(into, limit).await
    }

    /// The next item if one is there now.
    pub fn try_recv(&mut self) -> Option<T> {
        self.inner.try_recv().ok()
    }

    /// As [`Self::recv`], from a thread outside the async runtime.
    pub fn blocking_recv(&mut self) -> Option<T> {
        self.inner.blocking_recv()
    }
}
