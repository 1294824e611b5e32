//! What is known of a clip beside its pictures: both clocks, gaps, lost packets, hashes.

use std::ops::Range;

use axum::Json;
use axum::extract::{Path, Query, State};
use vong_footage::{Clip, ClipForm, Gap};
use vong_model::{Action, CameraId, EventTime, Principal};
use vong_wire::http::{ClipFacts, ClipGap, ClipGroupFacts};

use crate::app::App;
use crate::clips::{Span, blocking};
use crate::error::Problem;
use crate::guard::Caller;

/// Facts of any part of a camera's footage, as `clip.mp4` of the same span would show it.
#[utoipa::path(get, path = "/api/v1/cameras/{camera_id}/clip.json",
    params(("camera_id" = String, Path), ("from_ms" = i64, Query), ("to_ms" = i64, Query)),
    responses((status = 200, body = ClipFacts), (status = 404, body = vong_wire::http::Problem)))]
pub(crate) async fn of_camera(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(camera_id): Path<String>,
    Query(span): Query<Span>,
) -> Result<Json<ClipFacts>, Problem> {
    tell(app, &caller, camera_id.into(), span.times()).await.map(Json)
}

pub(crate) async fn tell(
    app: App,
    caller: &Principal,
    camera: CameraId,
    span: Range<EventTime>,
) -> Result<ClipFacts, Problem> {
    app.may_see(caller, Action::ViewVideo, &camera)?;
    if span.end <= span.start {
        return Err(Problem::invalid("a clip ends after it begins"));
    }
    let footage = app.footage.clone();
    let asked = span.clone();
    let told = blocking(move || {
        let clip = footage.clip(&camera, asked.start, asked.end, ClipForm::Faststart)?;
        let recorded_to = footage.span(&camera).map(|(_, end)| end);
        Ok::<_, vong_footage::Error>(facts(&camera, &asked, &clip, recorded_to))
    });
    told.await?.map_err(|e| Problem::from_error(&e))
}

fn facts(
    camera: &CameraId,
    asked: &Range<EventTime>,
    clip: &Clip,
    recorded_to: Option<EventTime>,
) -> ClipFacts {
    let spans = |gaps: &[Gap]| -> Vec<ClipGap> {
        let span = |gap: &Gap| ClipGap { from_us: gap.from.micros(), to_us: gap.to.micros() };
        gaps.iter().map(span).collect()
    };
    let groups = clip.groups().iter();
    ClipFacts {
        camera_id: camera.to_string(),
        from_us: asked.start.micros(),
        to_us: asked.end.micros(),
        start_us: clip.start().micros(),
        end_us: clip.end().micros(),
        duration_90k: clip.duration_90k(),
        frames: clip.frames(),
        bytes: clip.total_len(),
        ready: recorded_to.is_some_and(|end| end >= asked.end),
        gaps: spans(clip.gaps()),
        damaged: spans(clip.damaged()),
        lost_packets: groups.clone().map(|group| u64::from(group.entry.lost_packets)).sum(),
        groups: groups.map(|group| group_facts(&group.file, &group.entry)).collect(),
    }
}

fn group_facts(file: &str, entry: &vong_media::GopEntry) -> ClipGroupFacts {
    ClipGroupFacts {
        file: file.to_owned(),
        byte_offset: entry.offset,
        start_us: entry.start.micros(),
        end_us: entry.end().micros(),
        camera_time_us: entry.camera_time.map(EventTime::micros),
        frames: entry.frames,
        lost_packets: entry.lost_packets,
        sha256: hex(&entry.hashes.payload),
        chained_sha256: hex(&entry.hashes.chained),
        previous_sha256: hex(&entry.hashes.previous),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
