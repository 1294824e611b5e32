//! The camera's own clock, from RTCP sender reports (RFC 3550 §6.4.1).
//!
//! A report pairs an NTP instant with an RTP timestamp; frames in between follow by 90 kHz ticks.
//! Camera clocks lie: the result is kept beside our receive time, never instead of it.

use vong_model::EventTime;

/// Seconds from the NTP epoch (1900) to the Unix epoch (1970).
const NTP_TO_UNIX_S: i64 = 2_208_988_800;

/// The latest pairing of the two time lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct CameraClock {
    anchor: Option<(i64, i64)>,
}

impl CameraClock {
    /// Takes in a sender report: `ntp` in 32.32 fixed point, `pts_90k` the same instant in ticks.
    pub fn report(&mut self, ntp: u64, pts_90k: i64) {
        let seconds = i64::try_from(ntp >> 32).unwrap_or(0) - NTP_TO_UNIX_S;
        let fraction = i64::try_from(((ntp & 0xffff_ffff) * 1_000_000) >> 32).unwrap_or(0);
        self.anchor = (seconds > 0).then_some((seconds * 1_000_000 + fraction, pts_90k));
    }

    /// The instant the latest report named.
    pub fn reported(&self) -> Option<EventTime> {
        self.anchor.map(|(micros, _)| EventTime(micros))
    }

    /// The stream's counter jumped: until the next report it says nothing.
    pub fn forget(&mut self) {
        self.anchor = None;
    }

    /// When the camera says the frame at `pts_90k` was taken; `None` before the first report.
    pub fn time_of(&self, pts_90k: i64) -> Option<EventTime> {
        let (micros, anchor_90k) = self.anchor?;
        let ticks = pts_90k.checked_sub(anchor_90k)?;
        Some(EventTime(micros.checked_add(ticks.checked_mul(100)? / 9)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_report_by_90_khz_ticks() {
        let mut clock = CameraClock::default();
        assert_eq!(clock.time_of(0), None);
        let ntp = ((1_000_000_i64 + NTP_TO_UNIX_S) as u64) << 32 | 0x8000_0000;
        clock.report(ntp, 90_000);
        assert_eq!(clock.time_of(180_000), Some(EventTime(1_000_001_500_000)));
        assert_eq!(clock.time_of(0), Some(EventTime(999_999_500_000)));
    }
}
