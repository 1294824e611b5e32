//! When to try again: later each time, never all cameras at once, at most one attempt a second.
//!
//! Full jitter in the upper half: attempt n waits between half and all of min(cap, base · 2ⁿ).
//! The jitter is a hash of the camera and the attempt, so that a run can be repeated.

use std::time::Duration;

/// Half of it, the shortest wait, is the second that must lie between two attempts.
const BASE: Duration = Duration::from_secs(2);
/// With the gate's pace this brings a thousand cameras back within a minute.
const CAP: Duration = Duration::from_secs(24);
/// Of servers that say they are busy: soon again, in the hope of a quiet moment.
const BUSY_CAP: Duration = Duration::from_secs(4);
/// Of log-ins that were refused: cameras lock an account after a few wrong attempts.
const LOGIN_CAP: Duration = Duration::from_secs(300);

/// The state of one camera's retries.
#[derive(Clone, Debug)]
pub struct Backoff {
    seed: u64,
    attempt: u32,
}

impl Backoff {
    pub fn new(name: &str) -> Self {
        // FNV-1a, 64 bit (Fowler, Noll, Vo): spreads names, needs no table.
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { seed, attempt: 0 }
    }

    /// How long to wait before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        self.delay_up_to(CAP)
    }

    /// How long to wait before a server that is busy is asked again.
    pub fn next_busy_delay(&mut self) -> Duration {
        self.delay_up_to(BUSY_CAP)
    }

    /// How long to wait before a log-in that was refused is tried again.
    pub fn next_login_delay(&mut self) -> Duration {
        self.delay_up_to(LOGIN_CAP)
    }

    /// The camera delivers again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    fn delay_up_to(&mut self, cap: Duration) -> Duration {
        let full = BASE.saturating_mul(1 << self.attempt.min(8)).min(cap);
        let mixed = split_mix(self.seed.wrapping_add(u64::from(self.attempt)));
        self.attempt = self.attempt.saturating_add(1);
        let half_ms = u64::try_from(full.as_millis() / 2).unwrap_or(u64::MAX);
        Duration::from_millis(half_ms + mixed % half_ms.max(1))
    }
}

/// SplitMix64 output function (Steele, Lea, Flood 2014).
fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_up_to_the_cap_and_differs_by_camera() {
        let mut one = Backoff::new("CAM-01");
        let delays: Vec<Duration> = (0..12).map(|_| one.next_delay()).collect();
        assert!(delays.iter().all(|delay| *delay >= Duration::from_secs(1)), "{delays:?}");
        assert!(delays[0] <= BASE && delays[11] >= CAP / 2 && delays[11] <= CAP, "{delays:?}");
        assert_ne!(Backoff::new("CAM-02").next_delay(), delays[0]);
        one.reset();
        assert_eq!(one.next_delay(), delays[0]);
    }

    #[test]
    fn a_refused_login_is_tried_ever_more_rarely() {
        let mut backoff = Backoff::new("CAM-01");
        let last = (0..12).map(|_| backoff.next_login_delay()).last().unwrap();
        assert!(last >= LOGIN_CAP / 2 && last <= LOGIN_CAP, "{last:?}");
    }
}
