//! How old footage is, for a machine whose clock may be wrong.
//!
//! A clock that is once years ahead would make all footage too old at once, and what is deleted does
//! not come back when the clock does. So age is not taken from the wall clock but from an instant
//! that follows it, and that moves forward no faster than [`CATCH_UP`] times the time that really
//! passed, as a clock tells that nobody sets; it is kept on the disk, so that a restart does not
//! believe the clock either. While the clock is right the two are the same. After a machine was off
//! for a week it takes a week until footage is again deleted on its day; the limits in bytes hold
//! meanwhile. An hour with a wrong clock costs at most an hour of the oldest footage.

use std::path::PathBuf;
use std::time::Duration;

use vong_model::EventTime;
use vong_runtime::Clock;
use vong_runtime::fs::replace_file;

/// What stands before the microseconds since 1970, in decimal. A file that is anything else is as none.
const HEAD: &str = "vong-retention-clock-1 ";

/// At twice its own speed it comes after a clock that was rightly set forward.
const CATCH_UP: u32 = 2;

/// So long may a restart have taken, unquestioned.
const RESTART: Duration = Duration::from_secs(3_600);

/// Written to the disk when it moved so far.
const WRITE_EVERY: Duration = Duration::from_secs(600);

/// The instant against which footage is too old.
#[derive(Debug)]
pub(crate) struct AgeClock {
    path: PathBuf,
    /// How far it has come; never moves back.
    reached: EventTime,
    written: Option<EventTime>,
    /// When it was last asked, by [`Clock::elapsed`].
    asked: Duration,
    /// Added the first time it is asked.
    unquestioned: Duration,
}

impl AgeClock {
    /// As it was left in `path`, or else at the end of the `newest` footage: before that it was now.
    pub(crate) fn open(path: PathBuf, newest: Option<EventTime>, clock: &dyn Clock) -> Self {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let micros = text.strip_prefix(HEAD).and_then(|rest| rest.strip_suffix('\n'));
        let written = micros.and_then(|micros| micros.parse().ok()).map(EventTime);
        let reached = written.or(newest).unwrap_or_else(|| EventTime(clock.now()));
        Self { path, reached, written, asked: clock.elapsed(), unquestioned: RESTART }
    }

    /// The instant now: the wall clock's, or an earlier one.
    pub(crate) fn now(&mut self, clock: &dyn Clock) -> EventTime {
        let elapsed = clock.elapsed();
        let passed = elapsed.saturating_sub(self.asked).saturating_mul(CATCH_UP);
        let most = self.reached.saturating_add(passed.saturating_add(self.unquestioned));
        let now = most.min(EventTime(clock.now()));
        (self.asked, self.unquestioned) = (elapsed, Duration::ZERO);
        self.reached = self.reached.max(now);
        if self.written.is_none_or(|written| self.reached.since(written) >= WRITE_EVERY) {
            self.write();
        }
        now
    }

    fn write(&mut self) {
        let text = format!("{HEAD}{}\n", self.reached.micros());
        match replace_file(&self.path, text.as_bytes()) {
            Ok(()) => self.written = Some(self.reached),
            // On a full disk; it is written with a later sweep.
            Err(error) => tracing::warn!(%error, "could not note how far retention has come"),
        }
    }
}
