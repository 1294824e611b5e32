//! A small city for tests: a log in memory, a history in a temporary directory, a query engine.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::datatypes::Int64Type;
use arrow::util::pretty::pretty_format_batches;
use tempfile::TempDir;
use tokio::sync::watch;
use vong_footage::{Footage, FootageConfig, FootageMetrics};
use vong_log::{Entry, Log, MemLog};
use vong_model::columns::{key_column, text_column, time_column};
use vong_model::streams::ColumnType;
use vong_model::view::ViewTables;
use vong_model::{Assets, Camera, EventTime, Place, Principal, Sensor, Stream};
use vong_runtime::ManualClock;
use vong_store::{Store, StoreConfig};
use vong_telemetry::Metrics;

use crate::engine::Sources;
use crate::{
    Archiver, ArchiverConfig, ArchiverMetrics, Dimensions, Error, QueryConfig, QueryEngine,
    QueryMetrics,
};

/// 2026-11-22T03:00:00Z.
pub(crate) const TEN_O_CLOCK: i64 = 1_795_316_400_000_000;
pub(crate) const SECOND: i64 = 1_000_000;

pub(crate) struct TestCity {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) store: Store,
    pub(crate) engine: QueryEngine,
    pub(crate) metrics: Metrics,
    pub(crate) clock: ManualClock,
    pub(crate) footage: Footage,
    pub(crate) views: watch::Sender<ViewTables>,
    _dir: TempDir,
}

impl TestCity {
    pub(crate) fn new(log: Arc<dyn Log>, config: QueryConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let history = StoreConfig {
            dir: dir.path().to_owned(),
            compact_files: 3,
            compact_rows: 10_000,
            ..StoreConfig::default()
        };
        let store = Store::open(history, log.epoch(), None).unwrap();
        let metrics = Metrics::new();
        let clock = ManualClock::new(TEN_O_CLOCK);
        let config_of_footage =
            FootageConfig { dir: dir.path().join("footage"), ..FootageConfig::default() };
        let told = FootageMetrics::new(&metrics);
        let (footage, _) = Footage::open(config_of_footage, Arc::new(clock.clone()), told).unwrap();
        let views = watch::Sender::new(ViewTables::default());
        let sources = Sources {
            log: Arc::clone(&log),
            store: store.clone(),
            dimensions: Dimensions::new(&assets()),
            clock: Arc::new(clock.clone()),
            footage: footage.clone(),
            views: views.subscribe(),
        };
        let engine = QueryEngine::new(config, sources, QueryMetrics::new(&metrics)).unwrap();
        Self { log, store, engine, metrics, clock, footage, views, _dir: dir }
    }

    /// A city whose log is in memory, and that log.
    pub(crate) fn in_memory() -> (Self, MemLog) {
        let log = MemLog::new(Arc::new(ManualClock::new(TEN_O_CLOCK)));
        (Self::new(Arc::new(log.clone()), QueryConfig::default()), log)
    }

    pub(crate) fn archiver(&self, config: ArchiverConfig) -> Archiver {
        let metrics = ArchiverMetrics::new(&self.metrics);
        let (log, clock) = (Arc::clone(&self.log), Arc::new(self.clock.clone()));
        Archiver::new(config, log, self.store.clone(), clock, metrics)
    }

    pub(crate) async fn append(&self, stream: Stream, batch: RecordBatch) {
        self.log.append(vec![Entry::new(stream, batch)]).await.unwrap();
    }

    pub(crate) async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>, Error> {
        self.engine.execute(&Principal::local(), sql).await?.collect().await
    }

    /// A table as text, or the error with its hint.
    pub(crate) async fn show(&self, sql: &str) -> String {
        match self.query(sql).await {
            Ok(batches) => pretty_format_batches(&batches).unwrap().to_string(),
            Err(e) => match e.hint() {
                Some(hint) => format!("{e} | {hint}"),
                None => e.to_string(),
            },
        }
    }

    /// The only number of an answer.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let batches = self.query(sql).await.unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0)
    }
}

fn assets() -> Assets {
    let place = Place { lon: 105.9, lat: 18.34 };
    let sensor = Sensor {
        sensor_id: "TR-001".into(),
        kind: "traffic".to_owned(),
        name_vi: "Đường Quang Trung".to_owned(),
        name_en: "Quang Trung street".to_owned(),
        place,
        unit_code: "c1".into(),
    };
    let camera = Camera {
        camera_id: "CAM-01".into(),
        name_vi: "Ngã tư".to_owned(),
        name_en: "Crossing".to_owned(),
        place,
        heading_deg: 90.0,
        fov_deg: 90.0,
        range_m: 150.0,
        unit_code: "c1".into(),
        url: "rtsp://user:secret@example/1".to_owned(),
        live_url: None,
        ..Camera::default()
    };
    let mut assets = Assets::default();
    assets.sensors.insert(sensor.sensor_id.clone(), sensor);
    assets.cameras.insert(camera.camera_id.clone(), camera);
    assets
}

/// One value of a test row.
#[derive(Clone, Copy)]
pub(crate) enum Cell {
    Text(&'static str),
    Float(f64),
    Count(u64),
    Time(i64),
}

/// A batch of `stream` with the named cells; every other column is null, empty or zero.
pub(crate) fn rows(stream: Stream, rows: &[&[(&str, Cell)]]) -> RecordBatch {
    let columns = stream.columns().iter().map(|column| -> ArrayRef {
        let cells = rows
            .iter()
            .map(|row| row.iter().find(|(name, _)| *name == column.name).map(|(_, cell)| *cell));
        let text = |cell| match cell {
            Some(Cell::Text(text)) => Some(text),
            _ => (!column.nullable).then_some(""),
        };
        let count = |cell| match cell {
            Some(Cell::Count(count)) => count,
            _ => 0,
        };
        match column.column_type {
            ColumnType::Time => time_column(cells.map(|cell| match cell {
                Some(Cell::Time(us)) => Some(EventTime(us)),
                _ => (!column.nullable).then_some(EventTime(TEN_O_CLOCK)),
            })),
            ColumnType::Key => key_column(cells.map(text)),
            ColumnType::Text => text_column(cells.map(text)),
            ColumnType::Float64 => {
                Arc::new(Float64Array::from_iter(cells.map(|cell| match cell {
                    Some(Cell::Float(value)) => Some(value),
                    _ => (!column.nullable).then_some(0.0),
                })))
            }
            ColumnType::UInt32 => {
                Arc::new(UInt32Array::from_iter_values(cells.map(|c| count(c) as u32)))
            }
            ColumnType::UInt64 => Arc::new(UInt64Array::from_iter_values(cells.map(count))),
            ColumnType::Texts | ColumnType::Floats | ColumnType::Ints => {
                arrow::array::new_null_array(&column.column_type.data_type(), rows.len())
            }
            ColumnType::Bytes => Arc::new(arrow::array::BinaryArray::from_iter_values(
                cells.map(|_| b"\x00\xff".as_slice()),
            )),
        }
    });
    RecordBatch::try_new(stream.schema(), columns.collect()).unwrap()
}

/// Readings of speed, `(seconds after ten o'clock, sensor, value)`.
pub(crate) fn speeds(values: &[(i64, &'static str, f64)]) -> RecordBatch {
    let cells: Vec<Vec<(&str, Cell)>> = values
        .iter()
        .map(|(seconds, sensor, value)| {
            vec![
                ("event_time", Cell::Time(TEN_O_CLOCK + seconds * SECOND)),
                ("sensor_id", Cell::Text(sensor)),
                ("metric", Cell::Text("speed")),
                ("unit", Cell::Text("km/h")),
                ("quality", Cell::Text("good")),
                ("value", Cell::Float(*value)),
            ]
        })
        .collect();
    let cells: Vec<&[(&str, Cell)]> = cells.iter().map(Vec::as_slice).collect();
    rows(Stream::Readings, &cells)
}
