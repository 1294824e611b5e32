//! Nexmark: each query as a continuous view, against stock DataFusion over the same finished events.
//!
//! 500 events a second of event time, 5,000 in a batch, watermarks as far as the rows to come allow.
//! Ours takes the events as they come, answers as time passes and makes its rows ready for the log;
//! the baseline has all events before it begins, one partition, and keeps its rows as they are. The events are made before the clock starts, and what the
//! two answer is equal (`tests/nexmark.rs`).

use anyhow::{Result, ensure};
use tokio::runtime::Builder;
use tokio::time::Instant;
use vong_log::Record;
use vong_workloads::nexmark::{Generator, QUERIES, Query};
use vong_workloads::{Feed, batch, prepare, view};

use crate::report::{Row, Scale, Target, in_turn};

const EVENTS: usize = 1_000_000;
const A_BATCH: usize = 5_000;
const RATE: u32 = 500;

pub(crate) fn run(scale: &Scale) -> Result<Vec<Row>> {
    let feed = Generator::new(1, RATE).feed(scale.of(EVENTS), A_BATCH)?;
    let records = feed.records()?;
    QUERIES.iter().map(|query| one(scale, query, &feed, &records)).collect()
}

fn one(scale: &Scale, query: &Query, feed: &Feed, records: &[Record]) -> Result<Row> {
    let both = in_turn(scale.rounds, || ours(query, feed.len(), records), || stock(query, feed))?;
    let name = format!("nexmark {} / DataFusion batch", query.name);
    Ok(Row::rate(name, "events/s", both, target(query)))
}

/// Windows keep up with a batch that knows everything. A view that passes rows on writes each of
/// them once more; a query that is asked again and again answers far more often than the one it
/// stands beside.
fn target(query: &Query) -> Target {
    match query.live {
        asked if asked.starts_with("EVERY") => Target::AtLeast(100_000.0),
        windows if windows.contains("GROUP BY") => Target::Ratio(0.5),
        _ => Target::AtLeast(1_000_000.0),
    }
}

fn ours(query: &Query, events: usize, records: &[Record]) -> Result<f64> {
    let engine = prepare(&[view("v", query.live)?])?;
    let mut written = Ok(());
    let start = Instant::now();
    let live = engine.run_told(records, |outputs| match outputs.entries() {
        Ok(entries) => drop(std::hint::black_box(entries)),
        Err(e) => written = Err(e),
    })?;
    let seconds = start.elapsed().as_secs_f64();
    written?;
    ensure!(live.rows == events as u64, "only {} events took part", live.rows);
    Ok(events as f64 / seconds)
}

fn stock(query: &Query, feed: &Feed) -> Result<f64> {
    let runtime = Builder::new_current_thread().build()?;
    let start = Instant::now();
    let found = runtime.block_on(batch(feed, query.batch()))?;
    let seconds = start.elapsed().as_secs_f64();
    std::hint::black_box(found);
    Ok(feed.len() as f64 / seconds)
}
