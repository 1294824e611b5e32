//! Whether a camera shows what it should: black, white, defocused, covered, moved, frozen, its clock
//! wrong. No model: each picture is compared with what this camera usually shows.
//!
//! Pure: pictures and times in, events out. A camera is judged against its own past, so its first
//! pictures are taken as good unless they are black or white.

mod measures;
mod stillness;

use vong_model::EventTime;

use crate::episode::Episode;
use crate::findings::{Event, EventKind, EventState};
use crate::luma::Luma;
use measures::{Measures, likeness, shift_of, similarity};
use stillness::Stillness;

/// Size of the pictures that are judged.
pub const WIDTH: usize = 160;
pub const HEIGHT: usize = 90;

/// Pictures from which a camera's usual view is learned before it is judged by it.
const LEARNING: u32 = 5;
/// Share of a new picture in what is usual: a view follows dusk, not a bus.
const FOLLOW: f32 = 0.03;
/// Nearly no light: the 95th of 100 pixels is darker than this; the rest may be a caption.
const BLACK_BELOW: u8 = 32;
/// Nothing but light: the 10th of 100 pixels is brighter than this.
const WHITE_ABOVE: u8 = 215;
/// Share of the usual fine detail below which a picture is out of focus.
const DEFOCUSED_BELOW: f32 = 0.35;
/// Likeness of coarse brightness at which it is still the same view.
const SAME_VIEW: f32 = 0.75;
/// Share of the parts with edges that must be flat where something covers the lens.
const COVERED_ABOVE: f32 = 0.6;
/// Share of the usual likeness of edges below which the view is another one.
const MOVED_BELOW: f32 = 0.5;
/// A view that is less like itself cannot be told from another.
const LEAST_LIKENESS: f32 = 0.2;
/// A moved camera is taken to be meant so after this time, and judged by its new view.
const ADOPT_US: i64 = 10 * 60 * 1_000_000;
/// How far a camera's clock may be off, seconds: to begin, and to end.
const CLOCK_OFF_S: (f64, f64) = (5.0, 3.0);

/// One picture of a camera.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    pub luma: &'a Luma,
    pub received_at: EventTime,
    pub camera_time: Option<EventTime>,
}

/// Judges one camera.
#[derive(Clone, Debug)]
pub struct Health {
    view: Option<View>,
    last: Option<Measures>,
    stillness: Stillness,
    moved_since: Option<EventTime>,
    episodes: [(EventKind, Episode); 7],
}

/// What a camera usually shows.
#[derive(Clone, Debug)]
struct View {
    usual: Measures,
    /// Likeness of edges that its pictures usually have with `usual`.
    likeness: f32,
    pictures: u32,
}

/// What one picture is found to be.
#[derive(Clone, Debug, Default, PartialEq)]
struct Judgement {
    black: bool,
    white: bool,
    defocused: bool,
    covered: bool,
    other_view: bool,
    /// The number behind each of them.
    brightness: f32,
    detail: f32,
    edges_gone: f32,
    likeness: f32,
}

impl Judgement {
    /// Nothing can be seen: whether the camera moved cannot be said.
    fn is_blind(&self) -> bool {
        self.black || self.white || self.defocused || self.covered
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    pub fn new() -> Self {
        // Black and white are certain at once. A passing bus can cover the lens for one picture.
        let episodes = [
            (EventKind::Black, Episode::new(1, 2)),
            (EventKind::White, Episode::new(1, 2)),
            (EventKind::Covered, Episode::new(2, 2)),
            (EventKind::Defocused, Episode::new(3, 3)),
            (EventKind::Moved, Episode::new(3, 2)),
            (EventKind::Frozen, Episode::new(1, 1)),
            (EventKind::ClockWrong, Episode::new(3, 3)),
        ];
        let stillness = Stillness::default();
        Self { view: None, last: None, stillness, moved_since: None, episodes }
    }

    /// Takes in the next picture, which must be of [`WIDTH`] by [`HEIGHT`]; others say nothing.
    pub fn observe(&mut self, look: Look<'_>) -> Vec<Event> {
        let Look { luma, received_at: at, camera_time } = look;
        let Some(measures) = Measures::of(luma) else { return Vec::new() };
        let mut events = Vec::new();
        let judged = self.judge(&measures);
        self.tell(&mut events, at, (EventKind::Black, judged.black), Some(judged.brightness));
        self.tell(&mut events, at, (EventKind::White, judged.white), Some(judged.brightness));
        self.tell(&mut events, at, (EventKind::Covered, judged.covered), Some(judged.edges_gone));
        self.tell(&mut events, at, (EventKind::Defocused, judged.defocused), Some(judged.detail));
        events.extend(self.cut(at, &measures, &judged).into_iter().flatten());
        if !judged.is_blind() {
            self.watch_view(&mut events, at, &measures, &judged);
        }
        if judged.is_blind() {
            self.stillness.interrupted(); // a covered street does not tell how still it can be
        } else if let Some(still) = self.stillness.observe(luma, at) {
            let still_s = still.for_us as f64 / 1e6;
            self.tell(&mut events, at, (EventKind::Frozen, still.is_frozen), Some(still_s as f32));
        }
        self.watch_clock(&mut events, at, camera_time);
        self.last = Some(measures);
        events
    }

    /// Whether what the camera shows can be taken for its street: nothing is found wrong, nor
    /// suspected after the last picture.
    pub fn is_sound(&self) -> bool {
        let wrong = |(kind, episode): &(EventKind, Episode)| {
            *kind != EventKind::ClockWrong && (episode.is_on() || episode.is_suspected())
        };
        !self.episodes.iter().any(wrong)
    }

    fn judge(&self, now: &Measures) -> Judgement {
        let mut judged = Judgement {
            black: now.bright_end < BLACK_BELOW,
            white: now.dark_end > WHITE_ABOVE,
            brightness: now.mean,
            detail: 1.0,
            likeness: 1.0,
            ..Judgement::default()
        };
        let Some(view) = self.view.as_ref().filter(|view| view.pictures >= LEARNING) else {
            return judged;
        };
        let usual = &view.usual;
        judged.detail = now.detail_left(usual);
        judged.edges_gone = now.edges_gone(usual);
        judged.likeness = likeness(&now.edges, &usual.edges);
        if judged.black || judged.white {
            return judged;
        }
        let same_view = similarity(&now.blocks, &usual.blocks) > SAME_VIEW;
        judged.covered = judged.edges_gone > COVERED_ABOVE && !same_view;
        judged.defocused = judged.detail < DEFOCUSED_BELOW && same_view;
        judged.other_view = judged.likeness < MOVED_BELOW * view.likeness;
        judged
    }

    /// A jump from one picture to the next: told as a moment, with a beginning and an end.
    fn cut(&self, at: EventTime, now: &Measures, judged: &Judgement) -> Option<[Event; 2]> {
        let (last, view) = self.last.as_ref().zip(self.view.as_ref())?;
        let was_usual = likeness(&last.edges, &view.usual.edges) > MOVED_BELOW * view.likeness;
        if judged.is_blind() || !judged.other_view || !was_usual {
            return None;
        }
        let likeness = likeness(&now.edges, &last.edges);
        (likeness < MOVED_BELOW * view.likeness).then(|| {
            let detail = Some("the picture jumped".to_owned());
            let value = Some(f64::from(likeness));
            let (kind, subject) = (EventKind::SceneChange, None);
            [EventState::Began, EventState::Ended].map(|state| Event {
                at,
                kind,
                state,
                subject: subject.clone(),
                value,
                detail: detail.clone(),
            })
        })
    }

    fn watch_view(
        &mut self,
        events: &mut Vec<Event>,
        at: EventTime,
        now: &Measures,
        judged: &Judgement,
    ) {
        let settled = self.view.as_ref().is_some_and(|view| view.pictures >= LEARNING);
        if settled {
            self.tell(events, at, (EventKind::Moved, judged.other_view), Some(judged.likeness));
            if let Some(told) = events.last_mut().filter(|e| e.kind == EventKind::Moved) {
                told.detail = self.view.as_ref().map(|view| where_to(now, &view.usual, told.state));
            }
        }
        if !judged.other_view {
            self.moved_since = None;
            self.learn(now, judged.likeness);
            return;
        }
        let since = *self.moved_since.get_or_insert(at);
        if at.micros() - since.micros() >= ADOPT_US {
            self.view = None;
            self.moved_since = None;
            self.learn(now, 1.0);
        }
    }

    fn learn(&mut self, now: &Measures, likeness: f32) {
        let Some(view) = &mut self.view else {
            self.view = Some(View { usual: now.clone(), likeness: 0.9, pictures: 1 });
            return;
        };
        if view.pictures <= LEARNING {
            // A view of which passers-by are the better part is never much like itself.
            let seen = measures::likeness(&now.edges, &view.usual.edges);
            view.likeness = view.likeness.min(seen.max(LEAST_LIKENESS));
        }
        view.pictures = view.pictures.saturating_add(1);
        let share = FOLLOW.max(1.0 / view.pictures as f32);
        view.usual.follow(now, share);
        if view.pictures > LEARNING {
            view.likeness += (likeness - view.likeness) * FOLLOW;
        }
    }

    fn watch_clock(
        &mut self,
        events: &mut Vec<Event>,
        at: EventTime,
        camera_time: Option<EventTime>,
    ) {
        let Some(camera_time) = camera_time else { return };
        let ahead_s = (camera_time.micros() - at.micros()) as f64 / 1e6;
        let is_on = self.episode(EventKind::ClockWrong).is_some_and(|episode| episode.is_on());
        let limit = if is_on { CLOCK_OFF_S.1 } else { CLOCK_OFF_S.0 };
        let wrong = (EventKind::ClockWrong, ahead_s.abs() > limit);
        self.tell(events, at, wrong, Some(ahead_s as f32));
    }

    fn episode(&mut self, kind: EventKind) -> Option<&mut Episode> {
        self.episodes.iter_mut().find(|(own, _)| *own == kind).map(|(_, episode)| episode)
    }

    fn tell(
        &mut self,
        events: &mut Vec<Event>,
        at: EventTime,
        (kind, bad): (EventKind, bool),
        value: Option<f32>,
    ) {
        let Some(state) = self.episode(kind).and_then(|episode| episode.observe(at, bad)) else {
            return;
        };
        let value = value.map(f64::from);
        events.push(Event { at, kind, state, subject: None, value, detail: None });
    }
}

/// How far the view moved, in words.
fn where_to(now: &Measures, usual: &Measures, state: EventState) -> String {
    if state == EventState::Ended {
        return "shows its usual view".to_owned();
    }
    match shift_of(&now.edges, &usual.edges) {
        Some((right, down)) => {
            format!("what it showed lies {right:+.0} % to the right and {down:+.0} % down")
        }
        None => "shows another view".to_owned(),
    }
}

#[cfg(test)]
mod tests;
