//! The log against the bare disk: the same bytes in the same sizes, written and synced by hand.
//!
//! Both write below `target/` of the checkout, on the disk the checkout is on. The baseline appends
//! to one file and calls `fdatasync` as often as the log does, with pieces as large as the log's
//! commits were: it is what the disk can do if nobody encodes, sums, numbers or waits.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use arrow::array::{ArrayRef, Float64Array, RecordBatch, UInt64Array};
use futures::future::try_join_all;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use vong_log::{Entry, FileLog, Log as _, LogConfig, LogMetrics};
use vong_model::columns::{key_column, time_column};
use vong_model::{EventTime, Stream};
use vong_runtime::SystemClock;
use vong_telemetry::Metrics;

use crate::report::{Row, Scale, Target, in_turn, median};

/// Appenders that each wait for their own append before the next one.
const APPENDERS: usize = 64;
/// Appenders of large records: enough that the next is ready when the disk is.
const LARGE_APPENDERS: usize = 4;
const LARGE_ROWS: usize = 40_000;

/// Many small appends at once, and one alone.
pub(crate) fn small(scale: &Scale) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let entry = Entry::new(Stream::Readings, readings(1)?);
    let turn = scale.turn;
    // The size of a commit is not known before: a first turn shows it.
    let first = Turn::run(&runtime, &entry, APPENDERS, turn)?;
    let piece = first.commit_bytes();
    let mut appends = Vec::new();
    let commits = in_turn(
        scale.rounds,
        || {
            let done = Turn::run(&runtime, &entry, APPENDERS, turn)?;
            appends.push(done.appends as f64 / done.seconds);
            Ok(done.commits as f64 / done.seconds)
        },
        || Ok(disk(piece, turn)?.len() as f64 / turn.as_secs_f64()),
    )?;
    let alone = in_turn(
        scale.rounds,
        || Ok(median(Turn::run(&runtime, &entry, 1, turn / 2)?.latencies_ms)),
        || Ok(median(disk(first.append_bytes(), turn / 2)?)),
    )?;
    let appends = (median(appends), commits.1);
    Ok(vec![
        Row::rate(
            format!(
                "log append: commits, {APPENDERS} appenders / write+fdatasync of {piece} bytes"
            ),
            "commits/s",
            commits,
            Target::Ratio(0.8),
        ),
        Row::rate(
            "log append: appends acknowledged by them / the same",
            "appends/s",
            appends,
            Target::Ratio(0.8),
        ),
        Row::time(
            "log append: p50 latency, one appender / write+fdatasync of its bytes",
            "ms",
            alone,
            Target::Ratio(0.8),
        ),
    ])
}

/// Bandwidth.
pub(crate) fn large(scale: &Scale) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let entry = Entry::new(Stream::Readings, readings(LARGE_ROWS)?);
    let first = Turn::run(&runtime, &entry, LARGE_APPENDERS, scale.turn)?;
    let piece = first.commit_bytes();
    let both = in_turn(
        scale.rounds,
        || {
            let done = Turn::run(&runtime, &entry, LARGE_APPENDERS, scale.turn)?;
            Ok(done.bytes as f64 / done.seconds / 1e6)
        },
        || {
            let start = Instant::now();
            let pieces = disk(piece, scale.turn)?.len();
            Ok((pieces * piece) as f64 / start.elapsed().as_secs_f64() / 1e6)
        },
    )?;
    let name = format!(
        "log append: bytes, {LARGE_ROWS} rows each / write+fdatasync of {:.1} MB",
        piece as f64 / 1e6
    );
    Ok(vec![Row::rate(name, "MB/s", both, Target::Ratio(0.8))])
}

/// What one turn of ours did.
#[derive(Debug)]
struct Turn {
    appends: usize,
    commits: u64,
    bytes: u64,
    seconds: f64,
    latencies_ms: Vec<f64>,
}

impl Turn {
    fn commit_bytes(&self) -> usize {
        usize::try_from(self.bytes / self.commits.max(1)).unwrap_or(usize::MAX)
    }

    fn append_bytes(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX) / self.appends.max(1)
    }

    /// A new log, and `appenders` that append `entry` for `length`.
    fn run(runtime: &Runtime, entry: &Entry, appenders: usize, length: Duration) -> Result<Self> {
        let dir = directory()?;
        let registry = Metrics::new();
        let metrics = LogMetrics::new(&registry);
        let config = LogConfig::new(dir.path().join("log"));
        let log = FileLog::open_with(config, Arc::new(SystemClock), 7, metrics)?;
        // Outside the time: the first segment is made, and the reserve set aside.
        runtime.block_on(log.append(vec![entry.clone()]))?;
        let before = counted(&registry)?;
        let start = Instant::now();
        let appender = |log: FileLog, entry: Entry| async move {
            let mut latencies = Vec::new();
            while start.elapsed() < length {
                let before = Instant::now();
                log.append(vec![entry.clone()]).await?;
                latencies.push(before.elapsed().as_secs_f64() * 1e3);
            }
            Ok::<_, vong_log::Error>(latencies)
        };
        let all = (0..appenders).map(|_| appender(log.clone(), entry.clone()));
        let latencies_ms = runtime.block_on(try_join_all(all))?.concat();
        let seconds = start.elapsed().as_secs_f64();
        let appends = latencies_ms.len();
        ensure!(log.head().0 == appends as u64 + 1, "the log does not hold what was appended");
        let after = counted(&registry)?;
        let (commits, bytes) = (after.0 - before.0, after.1 - before.1);
        Ok(Self { appends, commits, bytes, seconds, latencies_ms })
    }
}

/// Commits and bytes so far.
fn counted(registry: &Metrics) -> Result<(u64, u64)> {
    let text = registry.render();
    let count = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let value = lines.next().and_then(|value| value.trim().parse::<f64>().ok());
        value.map(|value| value as u64).with_context(|| format!("the log does not count {name}"))
    };
    Ok((count("vong_log_commits_total ")?, count("vong_log_bytes_total ")?))
}

/// Appends pieces of `size` to a new file, each synced, for `length`: milliseconds of each.
fn disk(size: usize, length: Duration) -> Result<Vec<f64>> {
    let dir = directory()?;
    let mut file = File::create(dir.path().join("raw")).context("could not make a file")?;
    let piece: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
    let mut took_ms = Vec::new();
    let start = Instant::now();
    while start.elapsed() < length {
        let before = Instant::now();
        file.write_all(&piece).context("could not write")?;
        file.sync_data().context("could not sync")?;
        took_ms.push(before.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took_ms)
}

/// On the checkout's disk: a directory for temporary files may be memory.
pub(crate) fn directory() -> Result<TempDir> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    TempDir::with_prefix_in("bench-", target).context("could not make a directory in 'target'")
}

fn readings(rows: usize) -> Result<RecordBatch> {
    let ids: Vec<String> = (0..rows).map(|i| format!("TR-{:03}", i % 500)).collect();
    let at = |i: usize| EventTime(1_767_225_600_000_000 + i as i64 * 1_003);
    let times = time_column((0..rows).map(|i| Some(at(i))));
    let same = |text: &'static str| key_column((0..rows).map(move |_| Some(text)));
    let values = (0..rows).map(|i| (i * 7_919 % 1_000) as f64 / 10.0);
    let hashes = (0..rows as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
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
