//! An expressway after Linear Road: segment statistics, tolls, congestion, cars that stand, accidents.
//!
//! Reports come as they would, one batch for the cars of each second. The response time is that of
//! the record that completes a condition, from the moment it is read until the alert is decided; the
//! benchmark allows five seconds.

use anyhow::{Context as _, Result, ensure};
use tokio::time::Instant;
use vong_stream::TransitionRow;
use vong_workloads::linear_road::{Road, Size, road, rules};
use vong_workloads::prepare;

use crate::report::{Row, Scale, Target, median, percentile};

/// What the benchmark allows, milliseconds.
const ALLOWED_MS: f64 = 5_000.0;

/// One drive: rows a second, and the response time of each alert in milliseconds.
struct Drive {
    rate: f64,
    responses: Vec<f64>,
}

pub(crate) fn run(scale: &Scale) -> Result<Vec<Row>> {
    let cars = u32::try_from(scale.of(10_000)).context("cars")?;
    let road = road(1, Size { cars, minutes: 60, accidents: 20, slow: 5 })?;
    let drives: Vec<Drive> = (0..scale.rounds).map(|_| drive(&road)).collect::<Result<Vec<_>>>()?;
    let rate = median(drives.iter().map(|drive| drive.rate).collect());
    // The road's own pace: an hour of reports in an hour.
    let pace = road.feed.len() as f64 / 3_600.0;
    let all: Vec<f64> = drives.into_iter().flat_map(|drive| drive.responses).collect();
    let name = format!("linear_road, {cars} cars: rows / as they come");
    Ok(vec![
        Row::rate(name, "rows/s", (rate, pace), Target::Ratio(100.0)),
        Row::time(
            "linear_road: response p50 / allowed",
            "ms",
            (percentile(all.clone(), 0.5), ALLOWED_MS),
            Target::Below(100.0),
        ),
        Row::time(
            "linear_road: response p99 / allowed",
            "ms",
            (percentile(all, 0.99), ALLOWED_MS),
            Target::Below(500.0),
        ),
    ])
}

fn drive(road: &Road) -> Result<Drive> {
    let records = road.feed.records()?;
    let engine = prepare(&rules()?)?;
    let (mut responses, mut accidents) = (Vec::new(), 0);
    let start = Instant::now();
    let mut before = start;
    let live = engine.run_told(&records, |outputs| {
        let now = Instant::now();
        let fires = |row: &&TransitionRow| row.state == "firing";
        let fired = outputs.transitions.iter().filter(fires).count();
        let of_accidents = |row: &&TransitionRow| row.rule_id.as_str() == "accident";
        accidents += outputs.transitions.iter().filter(fires).filter(of_accidents).count();
        let took = (now - before).as_secs_f64() * 1e3;
        responses.extend(std::iter::repeat_n(took, fired));
        before = Instant::now();
    })?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(live.rows == road.feed.len() as u64, "only {} rows took part", live.rows);
    ensure!(accidents == road.accidents.len(), "{accidents} accidents were told");
    Ok(Drive { rate: live.rows as f64 / seconds, responses })
}
