//! What was found against what is there.
//!
//! The surest first takes the label it overlaps most, if that is enough; each label is taken once.
//! Only people and vehicles are told apart: that a van is called a truck is no miss.

use super::{LabelledBox, LabelledClip, LabelledFrame, Pixels};

/// Something that was found, in pixels of the clip.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub person: bool,
    /// Higher is surer.
    pub score: f32,
    pub place: Pixels,
}

/// Of one frame or of many.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub frames: usize,
    pub labels: usize,
    pub hits: usize,
    pub false_alarms: usize,
    /// Sum over the frames of how far the number found was from the number that is there.
    pub miscounted: usize,
    /// Each label's [`network_side`], and whether it was found.
    pub by_size: Vec<(f32, bool)>,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        let Self { frames, labels, hits, false_alarms, miscounted, by_size } = other;
        self.frames += frames;
        self.labels += labels;
        self.hits += hits;
        self.false_alarms += false_alarms;
        self.miscounted += miscounted;
        self.by_size.extend(by_size);
    }

    /// Part of the labels that was found, 0..1; 1 where there are none.
    pub fn recall(&self) -> f64 {
        part(self.hits, self.labels)
    }

    /// Part of what was found that is there, 0..1; 1 where nothing was found.
    pub fn precision(&self) -> f64 {
        part(self.hits, self.hits + self.false_alarms)
    }

    /// By how many the number in a frame is wrong, on average.
    pub fn count_error(&self) -> f64 {
        self.miscounted as f64 / self.frames.max(1) as f64
    }
}

fn part(of: usize, all: usize) -> f64 {
    if all == 0 { 1.0 } else { of as f64 / all as f64 }
}

/// People (`person`) or vehicles of one frame; `overlap` is the least intersection over union.
pub fn tally(
    clip: &LabelledClip,
    frame: &LabelledFrame,
    found: &[Found],
    person: bool,
    overlap: f32,
) -> Tally {
    let labels: Vec<&LabelledBox> =
        frame.boxes.iter().filter(|label| label.is_person() == person).collect();
    let mut found: Vec<&Found> = found.iter().filter(|one| one.person == person).collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut taken = vec![false; labels.len()];
    let mut false_alarms = 0;
    for one in found {
        let nearest = (0..)
            .zip(&labels)
            .zip(&taken)
            .filter(|(_, taken)| !**taken)
            .map(|((place, label), _)| (place, over_union(&one.place, &label.place)))
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
            .filter(|(_, shared)| *shared >= overlap);
        match nearest {
            Some((place, _)) => {
                let place: usize = place;
                if let Some(taken) = taken.get_mut(place) {
                    *taken = true;
                }
            }
            None if is_ignored(clip, frame, one) => {}
            None => false_alarms += 1,
        }
    }
    let hits = taken.iter().filter(|taken| **taken).count();
    let by_size = labels.iter().map(|label| network_side(clip, &label.place)).zip(taken).collect();
    Tally {
        frames: 1,
        labels: labels.len(),
        hits,
        false_alarms,
        miscounted: labels.len().abs_diff(hits + false_alarms),
        by_size,
    }
}

/// Side of a square as large as the box, in pixels of the 300 x 300 that a network sees of the whole
/// picture.
fn network_side(clip: &LabelledClip, place: &Pixels) -> f32 {
    300.0 * (area(place) / (clip.width as f32 * clip.height as f32)).sqrt()
}

/// Mostly in a part that is not labelled, or the rider of what is labelled.
fn is_ignored(clip: &LabelledClip, frame: &LabelledFrame, one: &Found) -> bool {
    let inside = |place: &Pixels| shared(place, &one.place) >= 0.5 * area(&one.place);
    let ridden = |label: &&LabelledBox| matches!(label.class.as_str(), "motorcycle" | "bicycle");
    clip.ignore.iter().chain(&frame.ignore).any(inside)
        || (one.person && frame.boxes.iter().filter(ridden).any(|label| inside(&label.place)))
}

fn area([left, top, right, bottom]: &Pixels) -> f32 {
    (right - left).max(0.0) * (bottom - top).max(0.0)
}

fn shared(a: &Pixels, b: &Pixels) -> f32 {
    area(&[a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])])
}

fn over_union(a: &Pixels, b: &Pixels) -> f32 {
    let shared = shared(a, b);
    shared / (area(a) + area(b) - shared).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip() -> LabelledClip {
        let text = r#"{"clip": "a", "attribution": "", "width": 100, "height": 100,
            "ignore": [[0, 0, 100, 10]], "frames": [{"at_s": 0, "boxes": [
                {"class": "car", "box": [20, 20, 40, 40]},
                {"class": "truck", "box": [60, 20, 80, 40]},
                {"class": "motorcycle", "box": [20, 60, 30, 80]}]}]}"#;
        serde_json::from_str(text).expect("labels")
    }

    fn check(person: bool, found: &[(f32, Pixels)], hits: usize, false_alarms: usize) {
        let clip = clip();
        let found: Vec<Found> = found
            .iter()
            .map(|(score, place)| Found { person, score: *score, place: *place })
            .collect();
        let got = tally(&clip, &clip.frames[0], &found, person, 0.5);
        assert_eq!((got.hits, got.false_alarms), (hits, false_alarms), "{found:?}");
    }

    #[test]
    fn each_label_is_found_once() {
        check(false, &[], 0, 0);
        check(false, &[(0.9, [20.0, 20.0, 40.0, 40.0]), (0.8, [61.0, 20.0, 80.0, 40.0])], 2, 0);
        check(false, &[(0.9, [20.0, 20.0, 40.0, 40.0]), (0.8, [21.0, 20.0, 40.0, 40.0])], 1, 1);
        check(false, &[(0.9, [30.0, 20.0, 50.0, 40.0])], 0, 1);
    }

    #[test]
    fn far_away_and_riders_do_not_count() {
        check(false, &[(0.9, [20.0, 2.0, 40.0, 14.0])], 0, 0);
        check(true, &[(0.9, [20.0, 60.0, 30.0, 75.0])], 0, 0);
        check(true, &[(0.9, [40.0, 60.0, 50.0, 75.0])], 0, 1);
    }

    #[test]
    fn sizes_are_those_the_network_sees() {
        let clip = clip();
        let got = tally(&clip, &clip.frames[0], &[], false, 0.5);
        assert!((got.by_size[0].0 - 60.0).abs() < 1e-3 && got.miscounted == 3, "{got:?}");
    }
}
