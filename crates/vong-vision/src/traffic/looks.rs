//! What a vehicle that stands looks like, so that another one in its place is not taken for it.

use super::objects::{HEIGHT, WIDTH};
use super::sights::Region;
use crate::luma::Luma;

/// Mean levels by which the same vehicle may differ from one moment to another.
const SAME_LEVELS: u64 = 14;
/// Pictures after which looks are judged, and the share of them that must show the same: others pass
/// before a vehicle that stands.
const JUDGED: u32 = 40;
const SAME_SHARE: f64 = 0.5;

/// A vehicle's pixels at one moment, and how often they were there again.
#[derive(Clone, Debug)]
pub(crate) struct Looks {
    region: Region,
    pixels: Vec<u8>,
    same: u32,
    seen: u32,
}

impl Looks {
    pub(crate) fn new(luma: &Luma, region: Region) -> Self {
        Self { pixels: pixels(luma, region), region, same: 0, seen: 0 }
    }

    /// Takes in the next picture, of the same size.
    pub(crate) fn compare(&mut self, luma: &Luma) {
        let now = pixels(luma, self.region);
        let off: u64 = now.iter().zip(&self.pixels).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let size = u64::try_from(self.pixels.len()).unwrap_or(u64::MAX);
        self.seen += 1;
        self.same += u32::from(off <= SAME_LEVELS * size);
    }

    /// Whether something else was there most of the time.
    pub(crate) fn is_another(&self) -> bool {
        self.seen >= JUDGED && f64::from(self.same) < SAME_SHARE * f64::from(self.seen)
    }
}

fn pixels(luma: &Luma, [left, top, right, bottom]: Region) -> Vec<u8> {
    let cell = |share: f32, size: usize| (share * size as f32).round().clamp(0.0, size as f32);
    let (from, to) = (cell(left, WIDTH) as usize, cell(right, WIDTH) as usize);
    let (first, last) = (cell(top, HEIGHT) as usize, cell(bottom, HEIGHT) as usize);
    let rows = luma.rows().take(last).skip(first);
    rows.flat_map(|row| row.get(from..to).unwrap_or_default().iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(level: u8) -> Luma {
        let pixel = |at: usize| if at % WIDTH < 40 { level } else { 100 };
        Luma::new(WIDTH, HEIGHT, (0..WIDTH * HEIGHT).map(pixel).collect()).unwrap()
    }

    /// Whether who looked like 200 is taken for another after pictures of these levels.
    fn is_another(levels: impl Iterator<Item = u8>) -> bool {
        let mut looks = Looks::new(&picture(200), [0.0, 0.0, 0.1, 0.5]);
        levels.for_each(|level| looks.compare(&picture(level)));
        looks.is_another()
    }

    #[test]
    fn who_takes_the_place_of_another_is_another_and_who_is_passed_is_not() {
        assert!(!is_another((0..200).map(|n| 196 + n % 8)), "noise");
        assert!(!is_another((0..200).map(|n| if n % 10 < 4 { 90 } else { 200 })), "passers-by");
        assert!(is_another((0..60).map(|n| 200 - n % 60)), "a queue that creeps");
        assert!(!is_another((0..39).map(|_| 90)), "too soon to tell");
        assert!(is_another((0..40).map(|_| 90)));
    }
}
