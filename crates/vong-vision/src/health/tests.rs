//! Streets drawn by hand, with one thing wrong at a time.

use super::*;
use EventKind::{Black, ClockWrong, Covered, Defocused, Frozen, Moved, SceneChange, White};
use EventState::{Began, Ended};

/// A street: sky, houses with windows, a road with lane marks; `car` is where a car stands.
fn street(car: usize, left: isize) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let x = usize::try_from(x as isize - left).unwrap_or(0);
            let window = y > 20 && y < 45 && x % 14 < 5 && y % 9 < 4;
            let mark = y > 50 && (x + y / 2) % 40 < 2;
            let body = y > 60 && y < 72 && x >= car && x < car + 16;
            pixels.push(match () {
                () if body => 30,
                () if mark => 220,
                () if window => 60,
                () if y < 20 => 190 - u8::try_from(y).unwrap(),
                () if y < 50 => 150 - u8::try_from((x / 30) * 8).unwrap(),
                () => 100,
            });
        }
    }
    pixels
}

fn blurred(mut pixels: Vec<u8>, times: usize) -> Vec<u8> {
    for _ in 0..times {
        let before = pixels.clone();
        for y in 1..HEIGHT - 1 {
            for x in 1..WIDTH - 1 {
                let around =
                    (y - 1..=y + 1).flat_map(|y| (x - 1..=x + 1).map(move |x| y * WIDTH + x));
                let sum: u32 = around.map(|at| u32::from(before[at])).sum();
                pixels[y * WIDTH + x] = u8::try_from(sum / 9).unwrap();
            }
        }
    }
    pixels
}

/// Twenty usual pictures 2 s apart, then `wrong`, then ten usual ones: what was told.
fn told(wrong: impl Fn(usize) -> Vec<u8>, pictures: usize) -> Vec<(EventKind, EventState)> {
    let mut health = Health::new();
    let mut told = Vec::new();
    for n in 0..30 + pictures {
        let usual = !(20..20 + pictures).contains(&n);
        let pixels = if usual { street(n * 7 % 140, 0) } else { wrong(n) };
        let luma = Luma::new(WIDTH, HEIGHT, pixels).unwrap();
        let received_at = EventTime(i64::try_from(n).unwrap() * 2_000_000);
        let events = health.observe(Look { luma: &luma, received_at, camera_time: None });
        // The first words about each kind only say that nothing is wrong.
        told.extend(events.into_iter().filter(|_| n > 10).map(|event| (event.kind, event.state)));
    }
    told
}

#[test]
fn usual_traffic_is_nothing_to_tell() {
    assert_eq!(told(|n| street(n * 11 % 140, 0), 20), []);
}

#[test]
fn each_fault_is_told_as_what_it_is_and_ends() {
    let flat = |level: u8| vec![level; WIDTH * HEIGHT];
    assert_eq!(told(|_| flat(4), 4), [(Black, Began), (Black, Ended)]);
    assert_eq!(told(|_| flat(250), 4), [(White, Began), (White, Ended)]);
    assert_eq!(told(|_| flat(120), 4), [(Covered, Began), (Covered, Ended)]);
    let blurry = told(|n| blurred(street(n * 7 % 140, 0), 4), 5);
    assert_eq!(blurry, [(Defocused, Began), (Defocused, Ended)]);
    let moved = told(|n| street(n * 7 % 140, 21), 5);
    assert_eq!(moved, [(SceneChange, Began), (SceneChange, Ended), (Moved, Began), (Moved, Ended)]);
    assert_eq!(told(|_| street(33, 0), 12), [(Frozen, Began), (Frozen, Ended)]);
}

#[test]
fn long_darkness_does_not_make_a_later_freeze_take_longer() {
    let mut health = Health::new();
    let mut frozen_at = None;
    for n in 0..150_usize {
        let pixels = match n {
            20..80 => vec![4; WIDTH * HEIGHT],
            100.. => street(33, 0),
            _ => street(n * 7 % 140, 0),
        };
        let luma = Luma::new(WIDTH, HEIGHT, pixels).unwrap();
        let received_at = EventTime(i64::try_from(n).unwrap() * 2_000_000);
        let events = health.observe(Look { luma: &luma, received_at, camera_time: None });
        let frozen = events.iter().any(|e| e.kind == Frozen && e.state == Began);
        frozen_at = frozen_at.or_else(|| frozen.then_some(n));
    }
    assert_eq!(frozen_at, Some(110), "20 s after the picture stopped");
}

#[test]
fn a_bus_before_the_lens_for_one_picture_is_nothing() {
    assert_eq!(told(|_| vec![120; WIDTH * HEIGHT], 1), []);
}

#[test]
fn moved_camera_says_how_far_and_is_at_home_after_ten_minutes() {
    let mut health = Health::new();
    let mut told = Vec::new();
    for n in 0..400 {
        let left = if n < 20 { 0 } else { 16 };
        let luma = Luma::new(WIDTH, HEIGHT, street(n * 7 % 140, left)).unwrap();
        let received_at = EventTime(i64::try_from(n).unwrap() * 2_000_000);
        let events = health.observe(Look { luma: &luma, received_at, camera_time: None });
        told.extend(events.into_iter().filter(|e| e.kind == Moved && n > 10));
    }
    assert!(told[0].detail.as_deref().unwrap().contains("+10 % to the right and +0 % down"));
    let last = told.last().unwrap();
    assert_eq!((last.state, last.at.micros() / 1_000_000 > 600), (Ended, true), "{told:?}");
}

#[test]
fn clock_that_is_off_is_told_once() {
    let mut health = Health::new();
    let mut told = Vec::new();
    for n in 0..40_i64 {
        let off = if (10..20).contains(&n) { 9_000_000 } else { 200_000 };
        let luma = Luma::new(WIDTH, HEIGHT, street(usize::try_from(n).unwrap() * 3, 0)).unwrap();
        let received_at = EventTime(n * 2_000_000);
        let camera_time = Some(EventTime(received_at.micros() - off));
        let events = health.observe(Look { luma: &luma, received_at, camera_time });
        told.extend(events.into_iter().filter(|e| e.kind == ClockWrong));
    }
    let told: Vec<_> = told.iter().map(|e| (e.state, e.value.unwrap().round())).collect();
    assert_eq!(told, [(Ended, -0.0), (Began, -9.0), (Ended, -0.0)]);
}

#[test]
fn pictures_of_another_size_say_nothing() {
    let luma = Luma::new(2, 2, vec![0; 4]).unwrap();
    let look = Look { luma: &luma, received_at: EventTime(0), camera_time: None };
    assert_eq!(Health::new().observe(look), []);
}
