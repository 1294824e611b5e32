//! A history of one gibibyte: how long a restart takes, how fast a backtest goes over it, and what a
//! backtest beside it costs the running engine.
//!
//! The history is a thousand sensors that speak once a second, in records of 200 rows with a
//! watermark a second; the rules keep windows of 24 hours besides smaller ones.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use arrow::array::{ArrayRef, Float64Array, RecordBatch, UInt32Array, UInt64Array};
use tokio::time::Instant;
use vong_log::{Entry, FileLog, Log as _, LogConfig, LogMetrics};
use vong_model::columns::{key_column, text_column, time_column};
use vong_model::{EventTime, Offset, Stream};
use vong_runtime::{Shutdown, SystemClock};
use vong_sql::rule::{RuleDefinition, RuleStatement, parse_one};
use vong_stream::{
    BacktestRules, EngineService, SnapshotConfig, StreamConfig, StreamMetrics, backtest,
};
use vong_telemetry::Metrics;

use crate::log::directory;
use crate::report::{Row, Scale, Target};

const GIB: u64 = 1 << 30;
const SENSORS: usize = 1_000;
const ROWS: usize = 200;
/// 2026-11-01T00:00:00Z.
const START_US: i64 = 1_793_491_200_000_000;

/// Name, clauses besides the ones that every rule has, query.
const RULES: [(&str, &str, &str); 5] = [
    (
        "day_mean",
        "",
        "SELECT sensor_id, avg(value) FROM readings \
         GROUP BY sensor_id, hop(event_time, INTERVAL '1 hour', INTERVAL '24 hours') \
         HAVING avg(value) > 1000",
    ),
    (
        "day_most",
        "",
        "SELECT sensor_id, max(value) FROM readings \
         GROUP BY sensor_id, tumble(event_time, INTERVAL '24 hours') HAVING max(value) > 1000",
    ),
    (
        "minute_count",
        "",
        "SELECT sensor_id, count(*) FROM readings \
         GROUP BY sensor_id, tumble(event_time, INTERVAL '1 minute') HAVING count(*) < 30",
    ),
    ("high", "FOR INTERVAL '1 minute'", "SELECT value FROM readings WHERE value > 99.9"),
    ("silent", "NO DATA FOR INTERVAL '24 hours'", "SELECT sensor_id FROM readings"),
];

pub(crate) fn run(scale: &Scale) -> Result<Vec<Row>> {
    let history = History::write(if scale.quick { GIB / 64 } else { GIB })?;
    let whole = history.live(None)?;
    let snapshots = history.directory.path().join("engine");
    history.live(Some(&snapshots))?; // writes the snapshot as it stops
    let again = history.live(Some(&snapshots))?;
    ensure!(again.next >= whole.next, "a restart must come as far as the first start");
    let (speed, alone, beside) = history.backtests()?;
    let rate = |life: &Life| history.rows as f64 / life.ready_s;
    Ok(vec![
        Row::time(
            format!(
                "restart to ready, {:.2} GiB log, 24 h windows / reading all of it",
                history.gib()
            ),
            "s",
            (again.ready_s, whole.ready_s),
            Target::Below(3.0),
        ),
        Row::rate(
            "backtest of a rule over a history of 1,000 events/s / real time",
            "times",
            (speed, 1.0),
            Target::Ratio(1_000.0),
        ),
        Row::rate(
            "engine with a backtest beside it / alone",
            "events/s",
            (rate(&beside), rate(&alone)),
            Target::Ratio(0.8),
        ),
    ])
}

/// A log on disk.
struct History {
    directory: tempfile::TempDir,
    rows: usize,
    bytes: u64,
}

/// One life of the engine: until it had read everything.
struct Life {
    ready_s: f64,
    next: Offset,
}

impl History {
    fn write(bytes: u64) -> Result<Self> {
        let mut history = Self { directory: directory()?, rows: 0, bytes: 0 };
        let registry = Metrics::new();
        let log = history.open(LogMetrics::new(&registry))?;
        log.append_blocking(vec![Entry::new(Stream::RuleChanges, rules()?)])?;
        let mut second = 0;
        while history.bytes < bytes {
            let mut entries = Vec::new();
            for _ in 0..8 {
                for part in 0..SENSORS / ROWS {
                    entries.push(Entry::new(Stream::Readings, readings(second, part * ROWS)?));
                    history.rows += ROWS;
                }
                entries.push(Entry::new(Stream::Watermarks, watermark(second)?));
                second += 1;
            }
            log.append_blocking(entries)?;
            let text = registry.render();
            let mut counted = text.lines().filter_map(|l| l.strip_prefix("vong_log_bytes_total "));
            let counted = counted.next().context("the log counts its bytes")?;
            history.bytes = counted.trim().parse::<f64>()? as u64;
        }
        Ok(history)
    }

    fn gib(&self) -> f64 {
        self.bytes as f64 / GIB as f64
    }

    fn open(&self, metrics: LogMetrics) -> Result<FileLog> {
        let config = LogConfig::new(self.directory.path().join("log"));
        Ok(FileLog::open_with(config, Arc::new(SystemClock), 7, metrics)?)
    }

    /// Opens the log, lets the engine read it, stops it.
    fn live(&self, snapshots: Option<&Path>) -> Result<Life> {
        let begun = Instant::now();
        let log = self.open(LogMetrics::new(&Metrics::new()))?;
        follow(log, snapshots, begun)
    }

    /// Real time that a backtest of one rule goes through in a unit of time; and the engine's life
    /// alone and while one backtest after the other runs beside it.
    fn backtests(&self) -> Result<(f64, Life, Life)> {
        let log = self.open(LogMetrics::new(&Metrics::new()))?;
        let alone = follow(log.clone(), None, Instant::now())?;
        let rule = definition(RULES[2])?;
        let try_rule = |done: &AtomicBool| {
            let rules = BacktestRules::Given(vec![rule.clone()]);
            let on = |_| match done.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            backtest(&log, Offset::ZERO, log.head(), &rules, on)
        };
        let begun = Instant::now();
        let found = try_rule(&AtomicBool::new(false))?;
        let took_s = begun.elapsed().as_secs_f64();
        ensure!(found.counts.rows == self.rows as u64, "the backtest saw other rows");
        let speed = self.rows as f64 / SENSORS as f64 / took_s;
        let done = AtomicBool::new(false);
        let beside = std::thread::scope(|scope| {
            let busy = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    try_rule(&done)?;
                }
                Ok::<_, vong_stream::Error>(())
            });
            let life = follow(log.clone(), None, Instant::now());
            done.store(true, Ordering::Relaxed);
            busy.join().map_err(|_panic| anyhow::anyhow!("the backtest ended badly"))??;
            life
        })?;
        Ok((speed, alone, beside))
    }
}

/// Lets an engine read the log to its end, then stops it.
fn follow(log: FileLog, snapshots: Option<&Path>, begun: Instant) -> Result<Life> {
    let every = Duration::from_secs(3_600);
    let snapshots = snapshots.map(|dir| SnapshotConfig { dir: dir.to_owned(), every });
    let config = StreamConfig { snapshots, ..StreamConfig::default() };
    let metrics = StreamMetrics::new(&Metrics::new());
    let (service, handle) =
        EngineService::new(Arc::new(log), Arc::new(SystemClock), config, metrics)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        let running = service.run(shutdown.clone());
        let watching = async {
            handle.caught_up().await;
            let life = Life { ready_s: begun.elapsed().as_secs_f64(), next: handle.applied() };
            shutdown.request();
            life
        };
        let (ended, life) = tokio::join!(running, watching);
        ended?;
        Ok(life)
    })
}

fn sql((name, clauses, select): (&str, &str, &str)) -> String {
    format!(
        "CREATE ALERT RULE {name} SEVERITY low {clauses} TITLE vi 'a' en 'b' ACTION vi 'c' en 'd' \
         AS {select}"
    )
}

fn definition(rule: (&str, &str, &str)) -> Result<RuleDefinition> {
    match parse_one(&sql(rule))? {
        RuleStatement::Create(definition) => Ok(*definition),
        other => anyhow::bail!("{other:?} is no rule"),
    }
}

fn rules() -> Result<RecordBatch> {
    let columns: Vec<ArrayRef> = vec![
        time_column(RULES.map(|_| Some(EventTime(START_US)))),
        key_column(RULES.map(|(name, ..)| Some(name))),
        Arc::new(UInt32Array::from_iter_values(RULES.map(|_| 1))),
        key_column(RULES.map(|_| Some("create"))),
        text_column(RULES.map(|rule| Some(sql(rule)))),
        text_column(RULES.map(|_| Some("bench"))),
    ];
    Ok(RecordBatch::try_new(Stream::RuleChanges.schema(), columns)?)
}

fn watermark(second: i64) -> Result<RecordBatch> {
    let at = |behind: i64| time_column([Some(EventTime(START_US + (second - behind) * 1_000_000))]);
    let columns: Vec<ArrayRef> =
        vec![at(0), key_column([Some("readings")]), at(2), key_column([Some("data")])];
    Ok(RecordBatch::try_new(Stream::Watermarks.schema(), columns)?)
}

fn readings(second: i64, first: usize) -> Result<RecordBatch> {
    let ids: Vec<String> = (first..first + ROWS).map(|i| format!("TR-{i:04}")).collect();
    let at = |i: usize| EventTime(START_US + second * 1_000_000 + (first + i) as i64 * 900);
    let times = time_column((0..ROWS).map(|i| Some(at(i))));
    let same = |text: &'static str| key_column((0..ROWS).map(move |_| Some(text)));
    let mixed = |i: usize| (second as u64 * 7_919 + (first + i) as u64 * 104_729) % 10_007;
    let values = (0..ROWS).map(|i| mixed(i) as f64 / 100.0);
    let hashes = (0..ROWS).map(|i| mixed(i).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let columns: Vec<ArrayRef> = vec![
        Arc::clone(&times),
        times,
        same("city-traffic"),
        key_column(ids.iter().map(|id| Some(id.as_str()))),
        same("speed"),
        Arc::new(Float64Array::from_iter_values(values)),
        same("km/h"),
        same("00101"),
        same("good"),
        Arc::new(UInt64Array::from_iter_values(hashes)),
    ];
    Ok(RecordBatch::try_new(Stream::Readings.schema(), columns)?)
}
