//! One camera's pictures: frame `n` is a function of the seed, the camera's name, the scene and
//! the anchor, whoever asks and whenever.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset};

use super::canvas::{Canvas, FULL_LIGHT, Paint};
use super::dice::Dice;
use super::street::Street;
use super::traffic::{STEP_MS, Traffic, TrueVehicle};
use super::view::View;
use super::{CameraSpec, font, vehicle};
use crate::scene::{LensFault, Scene};
use vong_runtime::UnixMicros;

/// Steps on the first road state before frame 0, so that roads are not empty.
const WARM_UP_STEPS: u32 = 300;
/// How far back the first picture of a freeze is looked for.
const LONGEST_FREEZE_FRAMES: u64 = 100_000;
/// Viet Nam, UTC+7, no summer time.
const ZONE_S: i32 = 7 * 3_600;

const TEXT: Paint = Paint::rgb(255, 255, 255);
const TEXT_BACK: Paint = Paint::rgb(16, 18, 20);
const BANNER: Paint = Paint::rgb(190, 40, 30);

/// Draws one camera.
#[derive(Debug)]
pub(crate) struct Painter {
    camera_id: String,
    fps: u64,
    seed: u64,
    anchor: UnixMicros,
    scene: Arc<dyn Scene>,
    view: View,
    street: Street,
    backdrop: Canvas,
    /// What `backdrop` is lit by, and whether the camera is turned.
    light: Option<(u32, bool)>,
    canvas: Canvas,
    drawn: Option<u64>,
    traffic: Option<(u64, Traffic)>,
    frozen_on: Option<u64>,
}

impl Painter {
    pub(crate) fn new(
        spec: &CameraSpec,
        seed: u64,
        scene: Arc<dyn Scene>,
        anchor: UnixMicros,
    ) -> Self {
        let mut dice = Dice::new(seed, &spec.camera_id);
        let street = Street::new(&mut dice);
        let size = |n: u32| f32::from(u16::try_from(n).unwrap_or(u16::MAX));
        Self {
            camera_id: spec.camera_id.clone(),
            fps: u64::from(spec.fps.max(1)),
            seed,
            anchor,
            scene,
            view: View::new(&mut dice, size(spec.width), size(spec.height)),
            street,
            backdrop: Canvas::new(spec.width, spec.height),
            light: None,
            canvas: Canvas::new(spec.width, spec.height),
            drawn: None,
            traffic: None,
            frozen_on: None,
        }
    }

    /// The picture of frame `n`, frame 0 being at the anchor.
    pub(crate) fn picture(&mut self, n: u64) -> &Canvas {
        let shown = self.shown(n);
        if self.drawn != Some(shown) {
            self.draw(shown);
            self.drawn = Some(shown);
        }
        &self.canvas
    }

    /// Milliseconds from the anchor to frame `n`.
    fn at_ms(&self, n: u64) -> u64 {
        n.saturating_mul(1_000) / self.fps
    }

    /// The frame whose picture is shown at frame `n`: another one while the camera is frozen.
    fn shown(&mut self, n: u64) -> u64 {
        let frozen = |n: u64| self.scene.is_frozen(&self.camera_id, seconds(n * 1_000 / self.fps));
        if !frozen(n) {
            self.frozen_on = None;
            return n;
        }
        if let Some(first) = self.frozen_on.filter(|&first| first <= n) {
            return first;
        }
        let mut first = n;
        while first > n.saturating_sub(LONGEST_FREEZE_FRAMES) && frozen(first - 1) {
            first -= 1;
        }
        self.frozen_on = Some(first);
        first
    }

    fn draw(&mut self, n: u64) {
        let at_ms = self.at_ms(n);
        let time = frame_time(self.anchor, at_ms);
        let light = time.map_or(FULL_LIGHT, light_at);
        let lens = self.scene.lens(&self.camera_id, seconds(at_ms));
        let view = self.view_through(lens);
        let turned = lens == Some(LensFault::Moved);
        if self.light != Some((light, turned)) {
            let mut dice = Dice::new(self.seed, &format!("{}/street", self.camera_id));
            self.street.draw(&mut self.backdrop, &view, &mut dice, light);
            self.light = Some((light, turned));
        }
        self.canvas.copy_from(&self.backdrop);
        let step = at_ms / STEP_MS;
        let blink = (at_ms / 400).is_multiple_of(2);
        let poses = self.traffic_at(step).poses(at_ms % STEP_MS, blink);
        for pose in &poses {
            vehicle::draw(&mut self.canvas, &view, pose, light);
        }
        spoil(&mut self.canvas, lens);
        self.caption(time);
    }

    /// Traffic after `step` steps from the anchor, always stepped from there: a camera opened a
    /// day late replays a day first (some seconds), and then shows what every other viewer sees.
    fn traffic_at(&mut self, step: u64) -> &Traffic {
        let reached = self.traffic.take().filter(|(at, _)| *at <= step);
        let (mut at, mut traffic) = reached.unwrap_or_else(|| (0, self.first_traffic()));
        while at < step {
            at += 1;
            let at_s = seconds(at * STEP_MS);
            let incident = self.scene.incident(&self.camera_id, at_s);
            traffic.step(self.scene.road(&self.camera_id, at_s), incident);
        }
        &self.traffic.insert((at, traffic)).1
    }

    fn first_traffic(&self) -> Traffic {
        let dice = Dice::new(self.seed, &format!("{}/traffic", self.camera_id));
        let mut traffic = Traffic::new(&self.street, dice);
        let road = self.scene.road(&self.camera_id, 0.0);
        for _ in 0..WARM_UP_STEPS {
            traffic.step(road, None);
        }
        traffic
    }

    /// Vehicles as they are in frame `n`, whatever the camera shows of them.
    pub(crate) fn truth(&mut self, n: u64) -> Vec<TrueVehicle> {
        let step = self.at_ms(n) / STEP_MS;
        self.traffic_at(step).truth()
    }

    fn view_through(&self, lens: Option<LensFault>) -> View {
        let (width, height) = (self.canvas.width() as f32, self.canvas.height() as f32);
        match lens {
            Some(LensFault::Moved) => self.view.turned(-0.17 * width, 0.06 * height),
            _ => self.view.clone(),
        }
    }

    #[cfg(test)]
    fn backdrop_after_drawing(&mut self) -> Canvas {
        self.picture(0);
        self.backdrop.clone()
    }

    fn caption(&mut self, time: Option<DateTime<FixedOffset>>) {
        let scale = (self.canvas.height() / 180).max(1);
        let when = time.map_or_else(String::new, |t| t.format("%Y-%m-%d %H:%M:%S.%3f").to_string());
        // Tenths are what 10 frames a second can tell apart; hundredths keep two frames of 25 apart.
        let when = when.get(..when.len().saturating_sub(1)).unwrap_or_default();
        let name = format!("{} {when} +07", self.camera_id);
        let margin = 4 * scale;
        label(&mut self.canvas, (margin, margin), scale, &name, TEXT_BACK);
        let banner = "SIMULATED";
        let (wide, high) = font::size(banner, scale);
        let at =
            (self.canvas.width() - wide - 3 * margin, self.canvas.height() - high - 2 * margin);
        label(&mut self.canvas, at, scale, banner, BANNER);
    }
}

/// What a fault of the lens makes of the picture; captions are written by the camera itself, later.
fn spoil(canvas: &mut Canvas, lens: Option<LensFault>) {
    let (width, height) = (canvas.width(), canvas.height());
    let whole = |canvas: &mut Canvas, paint| canvas.rectangle((0, 0), (width, height), paint);
    match lens {
        None | Some(LensFault::Moved) => {}
        Some(LensFault::Black) => whole(canvas, Paint::rgb(4, 4, 5)),
        Some(LensFault::White) => whole(canvas, Paint::rgb(254, 254, 252)),
        Some(LensFault::Defocused) => {
            canvas.blur(usize::try_from(height / 72).unwrap_or(5));
            canvas.blur(usize::try_from(height / 72).unwrap_or(5));
        }
        Some(LensFault::Covered) => {
            // A cloth with a few folds; a strip at the right stays free.
            let edge = width * 85 / 100;
            canvas.polygon(
                &[(0, 0), (edge, 0), (edge - width / 12, height), (0, height)],
                Paint::rgb(96, 84, 70),
            );
            for fold in 1..4 {
                let x = width * fold / 5;
                canvas.darken(&[(x, 0), (x + 6, 0), (x + 30, height), (x + 18, height)], 90);
            }
        }
    }
}

fn label(canvas: &mut Canvas, at: (i32, i32), scale: i32, text: &str, back: Paint) {
    let (wide, high) = font::size(text, scale);
    let pad = 2 * scale;
    canvas.rectangle(at, (at.0 + wide + 2 * pad, at.1 + high + 2 * pad), back);
    font::write(canvas, (at.0 + pad, at.1 + pad), scale, text, TEXT);
}

fn frame_time(anchor: UnixMicros, at_ms: u64) -> Option<DateTime<FixedOffset>> {
    let since = i64::try_from(at_ms).ok()?.checked_mul(1_000)?;
    let utc = DateTime::from_timestamp_micros(anchor.checked_add(since)?)?;
    Some(utc.with_timezone(&FixedOffset::east_opt(ZONE_S)?))
}

/// Daylight by the hour: full from 6:30 to 17:00, lamplight from 18:30 to 5:00, in steps coarse
/// enough that a backdrop is redrawn a few times a dusk.
fn light_at(time: DateTime<FixedOffset>) -> u32 {
    use chrono::Timelike;
    const NIGHT: u32 = 144;
    const DAWN: std::ops::Range<u32> = 300..390;
    const DUSK: std::ops::Range<u32> = 1_020..1_110;
    let minute = time.hour() * 60 + time.minute();
    let passed = |span: &std::ops::Range<u32>| {
        (minute - span.start) * (FULL_LIGHT - NIGHT) / (span.end - span.start)
    };
    let light = if DAWN.contains(&minute) {
        NIGHT + passed(&DAWN)
    } else if (DAWN.end..DUSK.start).contains(&minute) {
        FULL_LIGHT
    } else if DUSK.contains(&minute) {
        FULL_LIGHT - passed(&DUSK)
    } else {
        NIGHT
    };
    light / 16 * 16
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a year fit a f64 exactly")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests;
