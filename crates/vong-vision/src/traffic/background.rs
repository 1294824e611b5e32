//! What the picture looks like when nothing moves: a running mean and deviation of each pixel.
//!
//! It begins as the median of pictures over 20 s, so that passing vehicles leave no ghosts. When
//! most of the picture changes at once (a lamp, lightning, a turned camera), it begins anew.

use crate::luma::Luma;

/// Pictures of which the median is taken, and the time between them.
const SAMPLES: usize = 41;
const SAMPLE_EVERY_US: i64 = 500_000;
/// Levels by which a pixel must differ at least.
const LEAST: f32 = 12.0;
/// Deviations by which a pixel must differ.
const DEVIATIONS: f32 = 3.0;
/// Shares of a new picture where nothing is, where something unknown is, and where a known vehicle
/// stands, per second.
const FOLLOW_EMPTY: f32 = 0.2;
const FOLLOW_UNKNOWN: f32 = 0.03;
const FOLLOW_VEHICLE: f32 = 0.002;
/// Share of the picture that changes only when the light does.
const UPHEAVAL: f32 = 0.6;
/// Pictures in a row with upheaval that begin the model anew.
const UPHEAVALS: u32 = 5;

/// The model of one camera's picture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Background {
    samples: Vec<Vec<u8>>,
    sampled_at_us: i64,
    pixels: Vec<Pixel>,
    upheavals: u32,
}

#[derive(Clone, Copy, Debug)]
struct Pixel {
    mean: f32,
    variance: f32,
}

impl Background {
    /// Which pixels do not belong to the background; `None` while it is being learned.
    pub(crate) fn differing(&mut self, luma: &Luma, at_us: i64) -> Option<Vec<bool>> {
        if self.pixels.len() != luma.pixels().len() {
            self.sample(luma, at_us);
            return None;
        }
        let gain = self.light_change(luma);
        let differs = |(pixel, now): (&Pixel, &u8)| {
            let off = f32::from(*now) - pixel.mean - gain;
            off.abs() > LEAST.max(DEVIATIONS * pixel.variance.sqrt())
        };
        let differing: Vec<bool> = self.pixels.iter().zip(luma.pixels()).map(differs).collect();
        let share = differing.iter().filter(|d| **d).count() as f32 / differing.len() as f32;
        self.upheavals = if share > UPHEAVAL { self.upheavals + 1 } else { 0 };
        if self.upheavals >= UPHEAVALS {
            *self = Self::default();
            return None;
        }
        Some(differing)
    }

    /// Follows the picture; `differing` as told before, `vehicles` where known vehicles are.
    pub(crate) fn follow(&mut self, luma: &Luma, differing: &[bool], vehicles: &[bool], dt_s: f32) {
        let each = self.pixels.iter_mut().zip(luma.pixels()).zip(differing.iter().zip(vehicles));
        for ((pixel, now), (differs, vehicle)) in each {
            let rate = match (differs, vehicle) {
                (_, true) => FOLLOW_VEHICLE,
                (true, false) => FOLLOW_UNKNOWN,
                (false, false) => FOLLOW_EMPTY,
            };
            let share = (rate * dt_s).min(1.0);
            let off = f32::from(*now) - pixel.mean;
            pixel.mean += off * share;
            if !differs {
                pixel.variance += (off * off - pixel.variance) * share;
            }
        }
    }

    fn sample(&mut self, luma: &Luma, at_us: i64) {
        let same_size = self.samples.first().is_none_or(|s| s.len() == luma.pixels().len());
        if !same_size {
            *self = Self::default();
        }
        if !self.samples.is_empty() && at_us - self.sampled_at_us < SAMPLE_EVERY_US {
            return;
        }
        self.sampled_at_us = at_us;
        self.samples.push(luma.pixels().to_vec());
        if self.samples.len() < SAMPLES {
            return;
        }
        let samples = std::mem::take(&mut self.samples);
        let mut column = [0; SAMPLES];
        for at in 0..luma.pixels().len() {
            for (slot, sample) in column.iter_mut().zip(&samples) {
                *slot = sample.get(at).copied().unwrap_or(0);
            }
            let (_, middle, _) = column.select_nth_unstable(SAMPLES / 2);
            self.pixels.push(Pixel { mean: f32::from(*middle), variance: 4.0 });
        }
    }

    /// By how many levels the whole picture became brighter: the median over a grid.
    fn light_change(&self, luma: &Luma) -> f32 {
        let pairs = self.pixels.iter().zip(luma.pixels()).step_by(61);
        let mut off: Vec<f32> = pairs.map(|(pixel, now)| f32::from(*now) - pixel.mean).collect();
        let middle = off.len() / 2;
        if middle >= off.len() {
            return 0.0;
        }
        let (_, middle, _) = off.select_nth_unstable_by(middle, f32::total_cmp);
        *middle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(level: u8, bright: std::ops::Range<usize>) -> Luma {
        Luma::new(
            40,
            30,
            (0..1_200).map(|at| if bright.contains(&at) { 230 } else { level }).collect(),
        )
        .unwrap()
    }

    /// A model of a grey picture before which something bright passed now and then.
    fn learned() -> Background {
        let mut background = Background::default();
        for n in 0..SAMPLES {
            let passing = if n % 3 == 0 { 100..400 } else { 0..0 };
            let at_us = i64::try_from(n).unwrap() * SAMPLE_EVERY_US;
            assert_eq!(background.differing(&picture(90, passing), at_us), None);
        }
        background
    }

    fn count(background: &mut Background, luma: &Luma) -> Option<usize> {
        background.differing(luma, i64::MAX).map(|d| d.iter().filter(|d| **d).count())
    }

    #[test]
    fn what_passes_while_it_learns_leaves_no_ghost() {
        let mut background = learned();
        assert_eq!(count(&mut background, &picture(90, 0..0)), Some(0));
        assert_eq!(count(&mut background, &picture(90, 500..560)), Some(60));
    }

    #[test]
    fn light_that_changes_everywhere_is_no_vehicle_and_an_upheaval_begins_anew() {
        let mut background = learned();
        assert_eq!(count(&mut background, &picture(110, 500..560)), Some(60));
        let spread: Vec<u8> =
            (0..1_200).map(|at| if at % 4 == 0 { 90 } else { 200 + (at % 3) as u8 * 20 }).collect();
        let spread = Luma::new(40, 30, spread).unwrap();
        let seen: Vec<_> =
            (0..UPHEAVALS).map(|_| count(&mut background, &spread).is_some()).collect();
        assert_eq!(seen.last(), Some(&false));
        assert_eq!(count(&mut background, &picture(90, 0..0)), None, "learning again");
    }

    #[test]
    fn vehicle_that_stands_is_not_absorbed_and_what_is_unknown_is() {
        let (mut standing, mut unknown) = (learned(), learned());
        let luma = picture(90, 500..560);
        for _ in 0..600 {
            let differing = standing.differing(&luma, i64::MAX).unwrap();
            standing.follow(&luma, &differing, &differing, 0.1);
            let differing = unknown.differing(&luma, i64::MAX).unwrap();
            unknown.follow(&luma, &differing, &[false; 1_200], 0.1);
        }
        assert_eq!(count(&mut standing, &luma), Some(60), "after a minute");
        for _ in 0..1_200 {
            let differing = unknown.differing(&luma, i64::MAX).unwrap();
            unknown.follow(&luma, &differing, &[false; 1_200], 0.1);
        }
        assert_eq!(count(&mut unknown, &luma), Some(0), "after three minutes");
    }
}
