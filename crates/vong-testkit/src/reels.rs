//! Frames that are missing from the recordings of cameras which play a film round and round.
//!
//! Such cameras give a count to hold a recorder against that is not the recorder's own: behind each
//! group of frames one certain other comes, and a span of time has a known number of them.

use std::collections::BTreeMap;

/// The film.
#[derive(Clone, Copy, Debug)]
pub struct Film {
    /// Frames of each of its groups.
    pub group_frames: u64,
    /// Microseconds of a frame.
    pub frame_us: u64,
}

/// A recorded group of a film.
#[derive(Clone, Debug)]
pub struct Played {
    pub camera: String,
    /// Of its bytes: the same each time the film comes round.
    pub hash: String,
    pub frames: u64,
    /// By the wall clock, µs since 1970.
    pub start_us: i64,
    pub end_us: i64,
}

/// Frames that `cameras` played in `span` (µs since 1970) and that are not in `groups`, which come
/// camera by camera in the order they were recorded.
///
/// The groups at both ends of the span may reach over it: what is missing there counts from
/// `edge_us` on. A group that is whole but not one of the film's counts as missing.
pub fn missing_frames(
    film: Film,
    cameras: &[String],
    groups: &[Played],
    (span, edge_us): ((i64, i64), u64),
) -> u64 {
    let reel = Reel::of(groups);
    let by_time = |us: i64| u64::try_from(us).unwrap_or(0).div_ceil(film.frame_us);
    let at_edge = |us: i64| if us > edge_us.cast_signed() { by_time(us) } else { 0 };
    let of_camera = |camera: &String| {
        let own: Vec<&Played> = groups.iter().filter(|group| group.camera == *camera).collect();
        let (Some(first), Some(last)) = (own.first(), own.last()) else {
            return by_time(span.1 - span.0);
        };
        let ends = at_edge(first.start_us - span.0) + at_edge(span.1 - last.end_us);
        let inside: u64 = own.iter().map(|group| reel.missing_in(film, group)).sum();
        let pairs = own.iter().zip(own.iter().skip(1));
        ends + inside
            + pairs.map(|(before, after)| reel.missing_between(film, before, after)).sum::<u64>()
    };
    cameras.iter().map(of_camera).sum()
}

/// Which group follows which, as most recordings have it.
struct Reel<'g> {
    next: BTreeMap<&'g str, &'g str>,
    /// Some of the groups are seen to come again.
    comes_round: bool,
}

impl<'g> Reel<'g> {
    fn of(groups: &'g [Played]) -> Self {
        let mut times: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (before, after) in groups.iter().zip(groups.iter().skip(1)) {
            if before.camera == after.camera {
                *times.entry((&before.hash, &after.hash)).or_default() += 1;
            }
        }
        let mut most: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
        for ((before, after), count) in times {
            let best = most.entry(before).or_default();
            *best = (*best).max((count, after));
        }
        let next = most.into_iter().map(|(before, (_, after))| (before, after)).collect();
        let reel = Self { next, comes_round: false };
        Self { comes_round: reel.next.keys().any(|hash| reel.length(hash).is_some()), ..reel }
    }

    /// How many groups further `to` comes, at least one; `None` if it never does.
    fn steps(&self, from: &str, to: &str) -> Option<u64> {
        let mut at = from;
        for step in 1..=self.next.len() as u64 {
            at = self.next.get(at)?;
            if at == to {
                return Some(step);
            }
        }
        None
    }

    /// Groups until this one comes again; `None` for one that is not of the film, and where the film
    /// was not seen to come round.
    fn length(&self, hash: &str) -> Option<u64> {
        self.steps(hash, hash)
    }

    fn missing_in(&self, film: Film, group: &Played) -> u64 {
        let is_strange = self.comes_round && self.length(&group.hash).is_none();
        if group.frames >= film.group_frames && is_strange {
            return film.group_frames;
        }
        film.group_frames.saturating_sub(group.frames)
    }

    /// The groups left out by the order of the film and the turns of it left out by the clock; by the
    /// clock alone where the order is not known.
    fn missing_between(&self, film: Film, before: &Played, after: &Played) -> u64 {
        let hole_us = u64::try_from(after.start_us - before.end_us).unwrap_or(0);
        let order = self.steps(&before.hash, &after.hash).zip(self.length(&after.hash));
        let Some((steps, length)) = order else { return nearest(hole_us, film.frame_us) };
        let group_us = film.group_frames * film.frame_us;
        let skipped = steps - 1;
        let turns = nearest(hole_us.saturating_sub(skipped * group_us), length * group_us);
        (skipped + turns * length) * film.group_frames
    }
}

/// How often `unit` goes into `whole`, rounded.
fn nearest(whole: u64, unit: u64) -> u64 {
    (whole + unit / 2) / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILM: Film = Film { group_frames: 50, frame_us: 40_000 };
    const GROUP_US: i64 = 2_000_000;
    const EDGE_US: u64 = 5_000_000;
    const GROUPS: i64 = 60;

    fn cameras() -> Vec<String> {
        (0..4).map(|n| format!("CAM-{n}")).collect()
    }

    /// Two minutes of four cameras that play films of ten groups, two cameras each, from anywhere.
    fn recorded() -> Vec<Played> {
        let group = |(n, camera): (usize, &String), at: i64| Played {
            camera: camera.clone(),
            hash: format!("{}-{}", n % 2, (at + n as i64 * 3) % 10),
            frames: 50,
            start_us: at * GROUP_US,
            end_us: (at + 1) * GROUP_US,
        };
        let cameras = cameras();
        let all = cameras.iter().enumerate();
        all.flat_map(|one| (0..GROUPS).map(move |at| group(one, at))).collect()
    }

    fn missing(groups: &[Played]) -> u64 {
        missing_frames(FILM, &cameras(), groups, ((0, GROUPS * GROUP_US), EDGE_US))
    }

    fn without(gone: impl Fn(&Played) -> bool) -> Vec<Played> {
        recorded().into_iter().filter(|group| !gone(group)).collect()
    }

    #[test]
    fn nothing_is_missing_where_all_is_there_though_a_clock_was_set_anew() {
        assert_eq!(missing(&recorded()), 0);
        let mut groups = recorded();
        for group in &mut groups {
            if group.start_us >= 30 * GROUP_US {
                group.start_us += 700_000;
                group.end_us += 700_000;
            }
        }
        assert_eq!(missing(&groups), 0);
    }

    #[test]
    fn cameras_that_stop_begin_late_or_never_record_are_missed() {
        assert_eq!(missing(&without(|group| group.camera == "CAM-1")), 60 * 50);
        let stopped = |group: &Played| group.camera == "CAM-2" && group.start_us >= 20 * GROUP_US;
        assert_eq!(missing(&without(stopped)), 40 * 50);
        let late = |group: &Played| group.camera == "CAM-3" && group.start_us < 10 * GROUP_US;
        assert_eq!(missing(&without(late)), 10 * 50);
    }

    #[test]
    fn holes_are_counted_whether_or_not_they_are_whole_turns_of_the_film() {
        for gone in [1, 9, 10, 20, 23] {
            let hole = |group: &Played| (20..20 + gone).contains(&(group.start_us / GROUP_US));
            assert_eq!(missing(&without(hole)), 4 * gone as u64 * 50, "{gone} groups");
        }
    }

    #[test]
    fn short_and_strange_groups_are_not_made_good_by_long_ones() {
        let mut groups = recorded();
        groups[7].frames = 20;
        groups[8].frames = 80;
        assert_eq!(missing(&groups), 30);
        groups[9].hash = "damaged".to_owned();
        assert_eq!(missing(&groups), 30 + 50);
    }
}
