//! A machine written down and read back.
//!
//! Invariant: what is derived (timers, counts, certain starts) is not written but made again, so a
//! snapshot cannot contradict itself.

use serde::{Deserialize, Serialize};
use vong_model::{EventTime, RuleId};

use super::track::Track;
use super::{Machine, arm};
use crate::transition::{AlertKey, Policy};

/// Everything a [`Machine`] knows, by key. Good for the rule and version it was taken of, alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot<K> {
    tracks: Vec<(K, Track)>,
    /// Alerts that started firing under `LIMIT`, by start of the span.
    fired: Vec<(EventTime, u32)>,
    kept_back: u64,
    reached: EventTime,
}

impl<K> Snapshot<K> {
    /// The same with other keys, as when the text of a key is read back.
    ///
    /// # Errors
    /// The first error of `key`.
    pub fn map_keys<L, E>(self, mut key: impl FnMut(K) -> Result<L, E>) -> Result<Snapshot<L>, E> {
        let Self { tracks, fired, kept_back, reached } = self;
        let mut mapped = Vec::with_capacity(tracks.len());
        for (old, track) in tracks {
            mapped.push((key(old)?, track));
        }
        Ok(Snapshot { tracks: mapped, fired, kept_back, reached })
    }
}

impl<K: AlertKey> Machine<K> {
    /// The whole state, to be kept with the log offset it is good for.
    pub fn snapshot(&self) -> Snapshot<K> {
        let cap = self.extras.as_ref().and_then(|extras| extras.cap.as_ref());
        // What a track mirrors of the machine stays here.
        let bare =
            |track: &Track| Track { acts_at: None, armed: None, certain: None, ..track.clone() };
        Snapshot {
            tracks: self.tracks.iter().map(|(key, track)| (key.clone(), bare(track))).collect(),
            fired: cap.map_or_else(Vec::new, |cap| {
                cap.fired.iter().map(|(span, count)| (*span, *count)).collect()
            }),
            kept_back: self.kept_back(),
            reached: self.reached,
        }
    }

    /// A machine that goes on as the one the snapshot was taken of. Rule, version and policy must
    /// be the same.
    pub fn restore(rule: RuleId, version: u32, policy: Policy, snapshot: Snapshot<K>) -> Self {
        let Snapshot { tracks, fired, kept_back, reached } = snapshot;
        let mut machine = Self::new(rule, version, policy);
        machine.reached = reached;
        machine.open = tracks.iter().filter(|(_, track)| track.episode.is_some()).count();
        machine.tracks = tracks.into_iter().collect();
        let Self { severity, timing, extras, tracks, timers, .. } = &mut machine;
        let (terms, mut cap) = super::terms(*severity, *timing, extras);
        if let Some(cap) = cap.as_mut() {
            cap.fired = fired.into_iter().collect();
            cap.kept_back = kept_back;
        }
        for (key, track) in tracks {
            arm(key, track, &terms, timers, cap.as_deref_mut());
        }
        machine
    }
}
