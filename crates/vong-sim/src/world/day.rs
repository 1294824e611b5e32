//! How busy the hours of a day are.
//!
//! The city always starts at seven in the morning, whenever it is started: a demonstration at
//! night shows the rush hour too, and one seed is one story.

use crate::noise::{lerp, smoothstep};

/// The local hour at second 0.
pub const START_HOUR: f64 = 7.0;

/// Hour of the day in `[0, 24)`.
pub(crate) fn hour(at_s: f64) -> f64 {
    let hours = START_HOUR + at_s / 3_600.0;
    hours - (hours / 24.0).floor() * 24.0
}

/// Traffic as a share of what the roads carry at most.
const TRAFFIC: [(f64, f64); 11] = [
    (0.0, 0.12),
    (4.5, 0.08),
    (6.0, 0.45),
    (7.5, 0.95),
    (9.0, 0.68),
    (12.0, 0.60),
    (14.0, 0.58),
    (17.2, 1.00),
    (19.0, 0.70),
    (22.0, 0.30),
    (24.0, 0.12),
];

/// Electric load as a share of its daily peak.
const POWER: [(f64, f64); 7] =
    [(0.0, 0.45), (5.0, 0.42), (9.0, 0.80), (14.0, 0.90), (19.0, 1.0), (22.0, 0.7), (24.0, 0.45)];

pub(crate) fn traffic(hour: f64) -> f64 {
    curve(&TRAFFIC, hour)
}

pub(crate) fn power(hour: f64) -> f64 {
    curve(&POWER, hour)
}

fn curve(knots: &[(f64, f64)], hour: f64) -> f64 {
    let within = knots.windows(2).find(|pair| hour <= pair[1].0);
    let Some([(from, low), (to, high)]) = within else { return knots.last().map_or(0.0, |k| k.1) };
    lerp(*low, *high, smoothstep((hour - from) / (to - from)))
}
