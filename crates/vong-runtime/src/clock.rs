//! Time as an argument.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Microseconds since 1970-01-01T00:00:00Z, leap seconds ignored.
pub type UnixMicros = i64;

/// Where the current time comes from.
pub trait Clock: Send + Sync + Debug + 'static {
    /// The wall clock, UTC.
    fn now(&self) -> UnixMicros;

    /// Since some instant in the past. Goes on evenly whatever the wall clock is set to: what tells a
    /// clock that was set from time that has passed.
    fn elapsed(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> UnixMicros {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock set before 1970 is read as 1970: intake then rejects by plausibility, in sight.
        since_epoch.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        duration_of(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic))
    }
}

/// Processor time that the calling thread has used so far. For metrics alone: nothing may be decided
/// by it.
pub fn processor_time() -> Duration {
    duration_of(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime))
}

fn duration_of(time: rustix::time::Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A clock that a test moves by hand.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    now: Arc<AtomicI64>,
    elapsed: Arc<AtomicI64>,
}

impl ManualClock {
    pub fn new(now: UnixMicros) -> Self {
        Self { now: Arc::new(AtomicI64::new(now)), elapsed: Arc::default() }
    }

    /// Sets the wall clock; no time passes.
    pub fn set(&self, now: UnixMicros) {
        self.now.store(now, Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.now.fetch_add(micros, Ordering::SeqCst);
        self.elapsed.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMicros {
        self.now.load(Ordering::SeqCst)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.elapsed.load(Ordering::SeqCst)).unwrap_or(0))
    }
}
