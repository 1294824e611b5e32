//! How much footage there is, how fast it grows, and when the disk will be full.
//!
//! The rate is what was written in the last 24 hours, or since the oldest of these files if
//! recording has not gone on for that long. Retention deletes in time, so "full" means: so long
//! until the oldest footage has to go before the days it should be kept are over.

use std::collections::BTreeMap;
use std::time::Duration;

use vong_model::EventTime;

use crate::footage::Shared;

const DAY: Duration = Duration::from_secs(86_400);

/// Shorter than this nothing can be foretold from.
const LEAST: Duration = Duration::from_secs(60);

/// The footage and its disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// Bytes that may still be recorded before the disk or `max_bytes` ends it; `None` where the
    /// disk does not say.
    pub room_bytes: Option<u64>,
    /// At the rate of the last 24 hours or less; `None` while recording is too young to say.
    pub bytes_per_day: Option<f64>,
    /// How many days from now footage will take up all there is; infinite where it never will,
    /// because what is old enough is deleted first.
    pub days_until_full: Option<f64>,
    /// By class, in order of their names; the empty name is for cameras of none.
    pub classes: Vec<ClassOutlook>,
}

/// The footage of one class of cameras.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassOutlook {
    pub class: String,
    pub cameras: u64,
    pub files: u64,
    pub bytes: u64,
    /// Bytes of files that a hold keeps.
    pub held_bytes: u64,
    /// Instant of the oldest frame.
    pub oldest: Option<EventTime>,
    /// As [`Outlook::bytes_per_day`], of this class.
    pub bytes_per_day: Option<f64>,
    /// How long it is kept; `None` is for ever.
    pub keep_days: Option<u32>,
}

impl ClassOutlook {
    /// Bytes of files that may be deleted.
    fn free_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.held_bytes)
    }
}

pub(crate) fn of(shared: &Shared) -> Outlook {
    let now = EventTime(shared.clock.now());
    let recent = Recent::of(shared, now);
    let classes: Vec<ClassOutlook> = by_class(shared, now, &recent);
    // What is on hold does not count against the limit.
    let kept: u64 = classes.iter().map(ClassOutlook::free_bytes).sum();
    let free = shared.free_bytes().ok();
    let room_bytes = free.map(|free| {
        let of_disk = free.saturating_sub(shared.config.min_free_bytes);
        match shared.config.max_bytes {
            0 => of_disk,
            most => of_disk.min(most.saturating_sub(kept)),
        }
    });
    let days_until_full = room_bytes.and_then(|room| days_until_full(room, &classes));
    let bytes_per_day = recent.per_day(classes.len(), |bytes| bytes.values().sum());
    Outlook { room_bytes, bytes_per_day, days_until_full, classes }
}

/// What was written lately.
struct Recent {
    /// From the oldest of it to now, at most a day.
    span: Duration,
    bytes: BTreeMap<String, u64>,
}

impl Recent {
    fn of(shared: &Shared, now: EventTime) -> Self {
        let since = now.saturating_sub(DAY);
        let (mut span, mut bytes) = (Duration::ZERO, BTreeMap::new());
        for store in shared.cameras.read().values() {
            let of_class: &mut u64 = bytes.entry(shared.class_of(&store.camera)).or_default();
            let state = store.state.lock();
            // Names are times of start: what began a day and a long file ago is not of the day.
            let first = since.saturating_sub(state.longest).millis();
            for segment in state.segments.range(first..).map(|(_, segment)| segment) {
                if segment.end > since && segment.start <= now {
                    *of_class = of_class.saturating_add(segment.bytes);
                    span = span.max(now.since(segment.start)).min(DAY);
                }
            }
        }
        Self { span, bytes }
    }

    fn per_day(
        &self,
        classes: usize,
        bytes: impl FnOnce(&BTreeMap<String, u64>) -> u64,
    ) -> Option<f64> {
        let known = classes > 0 && self.span >= LEAST;
        known.then(|| bytes(&self.bytes) as f64 * DAY.as_secs_f64() / self.span.as_secs_f64())
    }
}

fn by_class(shared: &Shared, now: EventTime, recent: &Recent) -> Vec<ClassOutlook> {
    let holds = shared.holds.lock().list().to_vec();
    let mut classes: BTreeMap<String, ClassOutlook> = BTreeMap::new();
    let cameras = shared.cameras.read();
    for store in cameras.values() {
        let class = shared.class_of(&store.camera);
        let outlook = classes.entry(class).or_default();
        let state = store.state.lock();
        outlook.cameras = outlook.cameras.saturating_add(1);
        outlook.files = outlook.files.saturating_add(state.segments.len() as u64);
        outlook.bytes = outlook.bytes.saturating_add(state.bytes());
        let oldest = state.segments.values().next().map(|segment| segment.start);
        outlook.oldest = [outlook.oldest, oldest].into_iter().flatten().min();
        let held = state.held_bytes(&store.camera, &holds, now);
        outlook.held_bytes = outlook.held_bytes.saturating_add(held);
    }
    let finished = classes.into_iter().map(|(class, outlook)| ClassOutlook {
        bytes_per_day: recent.per_day(1, |bytes| bytes.get(&class).copied().unwrap_or(0)),
        keep_days: Some(shared.config.limits_of(&class).keep_days).filter(|days| *days > 0),
        class,
        ..outlook
    });
    finished.collect()
}

/// When growth meets the room there is. A class grows until its oldest footage is as old as it may
/// become; from then on as much goes as comes.
fn days_until_full(room: u64, classes: &[ClassOutlook]) -> Option<f64> {
    let mut growing = Vec::new();
    for class in classes {
        let rate = class.bytes_per_day?;
        if rate > 0.0 {
            let most = class.keep_days.map_or(f64::INFINITY, |days| f64::from(days) * rate);
            growing.push((((most - class.free_bytes() as f64) / rate).max(0.0), rate));
        }
    }
    growing.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut left, mut day) = (room as f64, 0.0);
    for (place, (stops, _)) in growing.iter().enumerate() {
        let rate: f64 = growing.iter().skip(place).map(|(_, rate)| rate).sum();
        let until = left / rate;
        if day + until <= *stops {
            return Some(day + until);
        }
        left -= (stops - day) * rate;
        day = *stops;
    }
    (!classes.is_empty()).then_some(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(bytes: u64, per_day: f64, keep_days: Option<u32>) -> ClassOutlook {
        ClassOutlook { bytes, bytes_per_day: Some(per_day), keep_days, ..ClassOutlook::default() }
    }

    #[test]
    fn disk_is_full_when_what_grows_has_taken_the_room() {
        for (room, classes, expected) in [
            (100, vec![class(50, 10.0, None)], Some(10.0)),
            (100, vec![class(50, 10.0, Some(30))], Some(10.0)),
            // Ten days more and as much goes as comes.
            (101, vec![class(200, 10.0, Some(30))], Some(f64::INFINITY)),
            (99, vec![class(200, 10.0, Some(30))], Some(9.9)),
            // One class stops growing after 5 days and 50 bytes; the other takes the rest.
            (100, vec![class(50, 10.0, Some(10)), class(0, 5.0, None)], Some(10.0)),
            (0, vec![class(50, 10.0, None)], Some(0.0)),
            (5, vec![class(50, 0.0, None)], Some(f64::INFINITY)),
            (5, vec![], None),
        ] {
            assert_eq!(days_until_full(room, &classes), expected, "{room} {classes:?}");
        }
        let young = ClassOutlook { bytes_per_day: None, ..class(1, 0.0, None) };
        assert_eq!(days_until_full(5, &[young]), None);
    }
}
