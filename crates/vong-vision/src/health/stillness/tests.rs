//! Streets that live, at night too, and cameras that do not.

use super::super::{HEIGHT, WIDTH};
use super::*;

/// What a drawn camera shows.
#[derive(Clone, Copy)]
struct Shows {
    /// A vehicle on the street.
    passing: bool,
    /// Noise of its sensor, levels to either side.
    noise: i32,
    /// It writes the time into its picture.
    clock: bool,
}

/// Picture number `n` of a camera, as it would be if it were number `shown`.
fn picture(shown: i64, Shows { passing, noise, clock }: Shows) -> Luma {
    let mut seed = u32::try_from(shown).unwrap().wrapping_mul(2_654_435_761) | 1;
    let mut draw = move || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        i32::try_from(seed >> 16).unwrap()
    };
    let mut pixels = Vec::with_capacity(WIDTH * HEIGHT);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let street = 60 + i32::try_from((x / 12 + y / 9) % 5 * 20).unwrap();
            let car = usize::try_from(shown * 9 % 140).unwrap();
            let is_car = passing && (50..58).contains(&y) && (car..car + 12).contains(&x);
            let digit = usize::try_from(shown % 3).unwrap();
            let is_digit = clock && (2..6).contains(&y) && x == 70 + digit;
            let level = if is_car || is_digit { 220 } else { street };
            let noise = if noise > 0 { draw() % (2 * noise + 1) - noise } else { 0 };
            pixels.push(u8::try_from(level + noise).unwrap());
        }
    }
    Luma::new(WIDTH, HEIGHT, pixels).unwrap()
}

/// The seconds after which a camera is found frozen: it shows `usual` for four minutes, a picture
/// every two seconds, then `of(n)`; none within ten minutes is `None`.
fn frozen_after(usual: Shows, of: impl Fn(i64) -> Luma) -> Option<i64> {
    let mut stillness = Stillness::default();
    let mut observe =
        |n: i64, luma: &Luma| stillness.observe(luma, EventTime(n * 2_000_000)).unwrap().is_frozen;
    assert!(!(0..120).any(|n| observe(n, &picture(n, usual))), "frozen while all is well");
    (120..420).find(|n| observe(*n, &of(*n))).map(|n| (n - 119) * 2)
}

const DAY: Shows = Shows { passing: true, noise: 1, clock: true };
const NIGHT: Shows = Shows { passing: false, ..DAY };

#[test]
fn picture_that_stands_still_with_its_clock_is_told_soon() {
    assert_eq!(frozen_after(DAY, |_| picture(119, DAY)), Some(12));
    // The encoder is coarser now and finer then: single pixels differ, by little.
    let coarse = |n: i64| {
        let mut pixels = picture(119, DAY).pixels().to_vec();
        for (at, pixel) in pixels.iter_mut().enumerate() {
            let at = i64::try_from(at).unwrap();
            *pixel = pixel.saturating_add(u8::from((at * 7 + n * 13) % 5 == 0) * 3);
        }
        Luma::new(WIDTH, HEIGHT, pixels).unwrap()
    };
    assert_eq!(frozen_after(DAY, coarse), Some(12));
}

#[test]
fn empty_street_at_night_is_no_freeze_by_its_clock_or_by_its_noise() {
    assert_eq!(frozen_after(DAY, |n| picture(n, NIGHT)), None);
    let quiet = Shows { noise: 0, ..DAY };
    let without_clock = Shows { clock: false, ..DAY };
    assert_eq!(
        frozen_after(without_clock, |n| picture(n, Shows { passing: false, ..without_clock })),
        None
    );
    // A clock that goes on speaks against a freeze, but not for ever.
    assert_eq!(frozen_after(quiet, |n| picture(n, Shows { passing: false, ..quiet })), Some(62));
}

#[test]
fn without_a_clock_the_noise_that_is_missing_tells() {
    let usual = Shows { clock: false, ..DAY };
    assert_eq!(frozen_after(usual, |_| picture(119, usual)), Some(20));
    let stuck_sensor =
        |n: i64| picture(119 + n % 3, Shows { noise: 0, passing: false, clock: true });
    assert_eq!(frozen_after(DAY, stuck_sensor), Some(62), "its clock goes on");
}

#[test]
fn vehicles_at_the_rim_are_no_clock_that_could_stop() {
    // Something passes below in nearly every picture, and then nothing does for a while.
    let rim = |n: i64| {
        if n % 7 > 4 {
            return picture(n, Shows { clock: false, ..NIGHT });
        }
        let mut pixels = picture(n, Shows { clock: false, ..NIGHT }).pixels().to_vec();
        for y in HEIGHT - 18..HEIGHT {
            let x = usize::try_from(n * 3 % 5).unwrap() * 4 + 60;
            pixels[y * WIDTH + x..y * WIDTH + x + 14].fill(if n % 2 == 0 { 230 } else { 20 });
        }
        Luma::new(WIDTH, HEIGHT, pixels).unwrap()
    };
    let mut stillness = Stillness::default();
    for n in 0..300 {
        let luma = if n < 200 { rim(n) } else { picture(n, Shows { clock: false, ..NIGHT }) };
        let still = stillness.observe(&luma, EventTime(n * 2_000_000)).unwrap();
        assert!(!still.is_frozen, "picture {n}");
    }
}

#[test]
fn camera_that_was_quiet_for_long_and_lived_again_is_given_more_time_and_one_that_froze_is_not() {
    let dull = Shows { passing: true, noise: 0, clock: false };
    let at = |n: i64| EventTime(n * 2_000_000);
    let frozen_after = |quiet: i64| {
        let mut stillness = Stillness::default();
        for n in 0..60 {
            stillness.observe(&picture(n, dull), at(n));
        }
        for n in 60..60 + quiet {
            stillness.observe(&picture(59, dull), at(n));
        }
        for n in 60 + quiet..90 + quiet {
            stillness.observe(&picture(n, dull), at(n));
        }
        let begin = 90 + quiet;
        let mut now = begin..begin + 300;
        now.find(|n| stillness.observe(&picture(begin - 1, dull), at(*n)).unwrap().is_frozen)
            .map(|n| (n - begin + 1) * 2)
    };
    assert_eq!(frozen_after(0), Some(20));
    assert_eq!(frozen_after(8), Some(32), "twice the 16 s it was quiet");
    assert_eq!(frozen_after(200), Some(20), "that was a freeze, told as one");
}

#[test]
fn pictures_nearer_than_a_second_are_not_compared() {
    let mut stillness = Stillness::default();
    assert!(stillness.observe(&picture(0, DAY), EventTime(0)).is_some());
    assert_eq!(stillness.observe(&picture(0, DAY), EventTime(500_000)), None);
    assert!(stillness.observe(&picture(0, DAY), EventTime(1_000_000)).is_some());
}
