//! Files footage for alerts: which cameras saw it, from when to when.
//!
//! Follows the log; each alert that fires gets a row in `clips` for the cameras that show its place,
//! or for the nearest ones where none does. Nothing is
//! copied: a clip is a reference to recorded bytes. A clip's id is made from alert and camera, so
//! that an alert read twice (after a crash) gets its clips once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use tracing::{info, warn};
use vong_log::{Entry, Log, Record};
use vong_model::columns::{self, WrongSchema};
use vong_model::{
    Assets, Camera, CameraId, Columns, EventTime, Offset, Place, SourceEvent, Stream, source_events,
};
use vong_runtime::{Clock, Current, Shutdown};

use crate::error::Error;
use crate::metrics::ClipMetrics;
use crate::sink::RecorderHandle;

/// One read of the log.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// How much footage an alert gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipConfig {
    pub pre_roll: Duration,
    pub post_roll: Duration,
    /// Where no camera shows the place, those this near are filed.
    pub radius_m: f64,
    /// At most so many cameras, best view first.
    pub cameras: usize,
}

/// The service.
#[derive(Debug)]
pub struct ClipFiler {
    config: ClipConfig,
    assets: Current<Assets>,
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    recorder: RecorderHandle,
    metrics: ClipMetrics,
    filed: HashSet<String>,
}

/// One row of `clips`.
#[derive(Clone, Debug, PartialEq)]
struct Clip {
    moment: EventTime,
    clip_id: String,
    alert_id: String,
    camera_id: String,
    from: EventTime,
    to: EventTime,
    distance_m: f64,
    view_quality: Option<f64>,
}

/// A camera that is filed for an alert.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Witness<'a> {
    camera: &'a Camera,
    distance_m: f64,
    view_quality: Option<f64>,
}

impl ClipFiler {
    /// The name in the log under which it remembers how far it has come.
    pub const CURSOR: &'static str = "clip-filer";

    pub fn new(
        config: ClipConfig,
        assets: Current<Assets>,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        recorder: RecorderHandle,
        metrics: ClipMetrics,
    ) -> Self {
        Self { config, assets, log, clock, recorder, metrics, filed: HashSet::new() }
    }

    /// Runs until shutdown.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Error> {
        let mut head = self.log.watch();
        let mut next =
            self.log.cursor_get(Self::CURSOR)?.unwrap_or(Offset::ZERO).max(self.log.floor());
        self.remember_filed(next)?;
        loop {
            let (records, from) = self.read(next)?;
            next = from;
            if let Some(last) = records.last() {
                let after = last.offset.next();
                if !self.file(&records, &shutdown).await? {
                    return Ok(()); // the cursor stays before what was not filed
                }
                // Coarse, and missing on a full disk: what is read twice is filed once.
                if after.0 / 1_024 != next.0 / 1_024
                    && let Err(e) = self.log.cursor_set(Self::CURSOR, after)
                {
                    warn!(error = %e, "could not note how far clips are filed");
                }
                next = after;
                continue;
            }
            tokio::select! {
                changed = head.changed() => if changed.is_err() { return Ok(()) },
                () = shutdown.requested() => return Ok(()),
            }
        }
    }

    /// Clips that were filed for alerts at or after `from` before this process began.
    fn remember_filed(&mut self, from: Offset) -> Result<(), Error> {
        let mut next = from;
        loop {
            let (records, _from) = self.read(next)?;
            let Some(last) = records.last() else { return Ok(()) };
            next = last.offset.next();
            for record in records.iter().filter(|record| record.stream == Stream::Clips) {
                let ids = Columns::new(Stream::Clips, &record.batch).texts("clip_id")?;
                self.filed.extend(ids.iter().flatten().map(str::to_owned));
            }
        }
    }

    /// Records at `from`, or behind what is lost there, and where they begin. An alert that was lost
    /// gets no clips; its footage is recorded like any other.
    fn read(&self, from: Offset) -> Result<(Vec<Record>, Offset), vong_log::Error> {
        let mut next = from;
        loop {
            match self.log.read(next, READ_BYTES) {
                Ok(records) => return Ok((records, next)),
                Err(e) => {
                    let Some(at) = e.resume_at().filter(|at| *at > next) else { return Err(e) };
                    warn!(error = %e, "clips are filed behind lost records");
                    self.metrics.lost(at.0 - next.0);
                    next = at;
                }
            }
        }
    }

    /// Whether everything in `records` that gets clips has them; false only at shutdown.
    async fn file(&mut self, records: &[Record], shutdown: &Shutdown) -> Result<bool, Error> {
        let (mut clips, assets) = (Vec::new(), self.assets.now());
        for record in records.iter().filter(|record| record.stream == Stream::AlertTransitions) {
            clips.extend(clips_for(&self.config, &assets, &record.batch)?);
        }
        clips.retain(|clip| self.filed.insert(clip.clip_id.clone()));
        if clips.is_empty() {
            return Ok(true);
        }
        for clip in &clips {
            self.recorder.record(&CameraId::from(clip.camera_id.as_str()), clip.to);
        }
        if !self.append(&clips, shutdown).await {
            return Ok(false);
        }
        info!(
            clips = clips.len(),
            alert = clips.first().map(|clip| clip.alert_id.as_str()),
            "clips filed"
        );
        Ok(true)
    }

    /// Whether the log took them before shutdown; clips it did not take are filed at the next start.
    async fn append(&self, clips: &[Clip], shutdown: &Shutdown) -> bool {
        let began = self.clock.now();
        let batch = to_batch(clips, EventTime(began));
        let mut entries = vec![Entry::new(Stream::Clips, batch)];
        while let Err(e) = self.log.append(entries.clone()).await {
            warn!(error = %e, clips = clips.len(), "could not file clips, trying again");
            self.metrics.failed.inc();
            self.metrics.waiting.set(i64::try_from(clips.len()).unwrap_or(i64::MAX));
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = shutdown.requested() => return false,
            }
            // Told in the same breath as it is over: until then the log takes nothing.
            let now = EventTime(self.clock.now());
            entries.truncate(1);
            entries
                .push(Entry::new(Stream::SourceEvents, late(clips.len(), EventTime(began), now)));
        }
        self.metrics.waiting.set(0);
        self.metrics.filed.inc_by(clips.len() as u64);
        true
    }
}

/// Clips were filed late.
fn late(clips: usize, began: EventTime, now: EventTime) -> RecordBatch {
    let seconds = now.since(began).as_secs_f64();
    let detail = format!("{clips} clips were filed {seconds:.0} s late: the log did not take them");
    source_events(&[SourceEvent::now(now, "vong_clips", "late", Some(&detail))])
}

/// The clips of every alert that fires in `transitions`.
fn clips_for(
    config: &ClipConfig,
    assets: &Assets,
    transitions: &RecordBatch,
) -> Result<Vec<Clip>, WrongSchema> {
    let columns = Columns::new(Stream::AlertTransitions, transitions);
    let (state, alert_id) = (columns.keys("state")?, columns.texts("alert_id")?);
    let (sensor_id, camera_id) = (columns.keys("sensor_id")?, columns.keys("camera_id")?);
    let (event_time, started) = (columns.times("event_time")?, columns.times("started_time")?);
    let mut clips = Vec::new();
    for row in (0..transitions.num_rows()).filter(|row| state.get(*row) == Some("firing")) {
        let Some(asset) = sensor_id.get(row).or_else(|| camera_id.get(row)) else { continue };
        let Some(place) = assets.place_of(asset) else { continue };
        let moment = EventTime(event_time.value(row));
        let began = EventTime(started.value(row)).min(moment);
        // An episode that began long ago is shown from shortly before it was told.
        let began = began.max(moment.saturating_sub(Duration::from_secs(60)));
        clips.extend(witnesses(config, assets, asset, place).into_iter().map(|witness| Clip {
            moment,
            clip_id: format!("{}-{}", alert_id.value(row), witness.camera.camera_id),
            alert_id: alert_id.value(row).to_owned(),
            camera_id: witness.camera.camera_id.to_string(),
            from: began.saturating_sub(config.pre_roll),
            to: moment.saturating_add(config.post_roll),
            distance_m: witness.distance_m,
            view_quality: witness.view_quality,
        }));
    }
    Ok(clips)
}

/// Cameras that tell of an alert of `asset`: the one it is about, then those that show its place,
/// best view first; where there is none, the nearest.
fn witnesses<'a>(
    config: &ClipConfig,
    assets: &'a Assets,
    asset: &str,
    place: Place,
) -> Vec<Witness<'a>> {
    let own = assets.cameras.get(asset).map(|camera| Witness {
        camera,
        distance_m: 0.0,
        view_quality: Some(1.0),
    });
    let others = assets.cameras_facing(place).into_iter().map(|facing| Witness {
        camera: facing.camera,
        distance_m: facing.distance_m,
        view_quality: Some(facing.quality),
    });
    let others = others.filter(|witness| witness.camera.camera_id.as_str() != asset);
    let mut found: Vec<_> = own.into_iter().chain(others).collect();
    if found.is_empty() {
        let near = assets.cameras_near(place, config.radius_m).into_iter();
        found.extend(near.map(|(camera, distance_m)| Witness {
            camera,
            distance_m,
            view_quality: None,
        }));
    }
    found.truncate(config.cameras);
    found
}

/// Rows of [`Stream::Clips`], in its column order.
fn to_batch(clips: &[Clip], now: EventTime) -> RecordBatch {
    let times = |of: &dyn Fn(&Clip) -> EventTime| {
        columns::time_column(clips.iter().map(|clip| Some(of(clip))))
    };
    let texts = |of: &dyn Fn(&Clip) -> String| {
        columns::text_column(clips.iter().map(|clip| Some(of(clip))))
    };
    let distance: ArrayRef =
        Arc::new(Float64Array::from_iter_values(clips.iter().map(|clip| clip.distance_m)));
    let quality: ArrayRef =
        Arc::new(clips.iter().map(|clip| clip.view_quality).collect::<Float64Array>());
    let columns = vec![
        times(&|clip| clip.moment),
        times(&|_| now),
        texts(&|clip| clip.clip_id.clone()),
        texts(&|clip| clip.alert_id.clone()),
        columns::key_column(clips.iter().map(|clip| Some(clip.camera_id.as_str()))),
        times(&|clip| clip.from),
        times(&|clip| clip.to),
        distance,
        texts(&|clip| format!("/api/v1/clips/{}.mp4", clip.clip_id)),
        quality,
    ];
    RecordBatch::try_new(Stream::Clips.schema(), columns)
        .expect("columns are made in the schema's order")
}

#[cfg(test)]
mod tests;
