//! Whether a camera is asked for its ONVIF metadata track. The picture comes first: a camera that
//! chokes on the track, or sends what cannot be read, is asked for its video alone.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;

/// How long a camera whose metadata cannot be read is not asked for it.
const OFF: Duration = Duration::from_secs(3_600);

#[derive(Clone, Copy, Debug)]
pub(crate) struct MetadataTrack {
    /// Somebody wants what it tells.
    wanted: bool,
    /// The last attempt may have failed because of it.
    skip_once: bool,
    off_until: Option<Instant>,
}

impl MetadataTrack {
    pub(crate) fn new(wanted: bool) -> Self {
        Self { wanted, skip_once: false, off_until: None }
    }

    /// Whether the next session asks for it.
    pub(crate) fn is_asked_for(&self, now: Instant) -> bool {
        self.wanted && !self.skip_once && self.off_until.is_none_or(|until| now >= until)
    }

    /// A session that `asked` for it did not come to play.
    pub(crate) fn not_connected(&mut self, asked: bool, why: &Error) {
        self.skip_once = asked && why.is_after_description();
    }

    /// A session broke; `to_blame`: it had the track and broke soon.
    pub(crate) fn ended(&mut self, to_blame: bool, why: &Error, now: Instant) {
        self.skip_once = to_blame;
        if why.is_of_metadata() {
            self.off_until = Some(now + OFF);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_left_out_after_a_failure_that_it_may_have_caused() {
        let now = Instant::now();
        let set_up = Error::Timeout { step: "SETUP", limit: OFF };
        let described = Error::Timeout { step: "DESCRIBE", limit: OFF };
        let mut track = MetadataTrack::new(true);
        let mut asked = Vec::new();
        for why in [&described, &set_up, &set_up, &set_up] {
            asked.push(track.is_asked_for(now));
            track.not_connected(track.is_asked_for(now), why);
        }
        assert_eq!(asked, [true, true, false, true], "each second attempt goes without");
        track.ended(true, &Error::Ended, now);
        assert!(!track.is_asked_for(now), "it broke soon");
        track.ended(false, &Error::Ended, now);
        assert!(track.is_asked_for(now));
        track.ended(false, &Error::MetadataEndless { mib: 32 }, now);
        track.ended(false, &Error::Ended, now);
        assert!(!track.is_asked_for(now + OFF / 2));
        assert!(track.is_asked_for(now + OFF));
        assert!(!MetadataTrack::new(false).is_asked_for(now));
    }
}
