//! JSON to Arrow: messages one by one as MQTT delivers them, against arrow-json on one block.
//!
//! Ours finds the source by topic, checks ranges, hashes each message for the deduplication and
//! fills every column of `readings`; arrow-json only parses the fields named in its schema.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use tokio::time::Instant;
use vong_decode::{Decoder, SourcesFile};
use vong_model::columns::time_column;
use vong_model::{Assets, EventTime};

use crate::report::{Row, Scale, Target, in_turn};

/// 2026-01-01T00:00:30Z, in the middle of the recorded minute.
const ARRIVAL: EventTime = EventTime(1_767_225_630_000_000);
/// Messages between two takes of the rows: about one group commit under load.
const TAKE_EVERY: usize = 8_192;

pub(crate) fn run(scale: &Scale) -> Result<Vec<Row>> {
    let time = time_column([]).data_type().clone();
    let float = |name: &str| Field::new(name, DataType::Float64, false);
    let noise = vec![Field::new("t", DataType::Int64, false), float("db")];
    let traffic =
        vec![Field::new("ts", time, false), float("speed"), float("flow"), float("occupancy")];
    Ok(vec![
        compare("decode: noise, one row a message", "rows/s", "city/noise/", noise, scale)?,
        compare(
            "decode: traffic, three readings a message (one row for arrow-json)",
            "messages/s",
            "city/traffic/",
            traffic,
            scale,
        )?,
    ])
}

fn compare(
    name: &str,
    unit: &'static str,
    topics: &str,
    fields: Vec<Field>,
    scale: &Scale,
) -> Result<Row> {
    let recorded = messages(topics)?;
    let wanted = scale.of(200_000);
    let messages: Vec<&(String, String)> = recorded.iter().cycle().take(wanted).collect();
    let block: String = messages.iter().flat_map(|(_, payload)| [payload.as_str(), "\n"]).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let mut decoder = decoder()?;
    let ours = || {
        let start = Instant::now();
        let mut understood = 0;
        for some in messages.chunks(TAKE_EVERY) {
            for (topic, payload) in some {
                let tally = decoder.decode(topic, payload.as_bytes(), ARRIVAL);
                understood += usize::from(tally.rows > 0 && tally.rejects == 0);
            }
            drop(std::hint::black_box(decoder.take()));
        }
        ensure!(understood == wanted, "only {understood} of {wanted} messages were understood");
        Ok(wanted as f64 / start.elapsed().as_secs_f64())
    };
    let baseline = || {
        let start = Instant::now();
        let mut rows = 0;
        let reader = ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(TAKE_EVERY);
        for batch in reader.build(Cursor::new(block.as_bytes()))? {
            rows += std::hint::black_box(batch?).num_rows();
        }
        ensure!(rows == wanted, "only {rows} of {wanted} rows were read");
        Ok(wanted as f64 / start.elapsed().as_secs_f64())
    };
    let both = in_turn(scale.rounds, ours, baseline)?;
    Ok(Row::rate(name, unit, both, Target::Ratio(1.0)))
}

fn decoder() -> Result<Decoder> {
    let text = include_str!("../configs/sources/sample-city.toml");
    let sources: SourcesFile = toml::from_str(text).context("the sample city's sources")?;
    Ok(Decoder::new("city", &sources.sources, &Assets::default())?)
}

/// Topic and payload, byte for byte, of the recorded minute's messages below `topics`.
fn messages(topics: &str) -> Result<Vec<(String, String)>> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample-data/readings-first-minute.jsonl");
    let text = std::fs::read_to_string(file).context("could not read the recorded minute")?;
    let split = |line: &str| {
        let (head, payload) = line.split_once(r#"","payload":"#)?;
        let topic = head.strip_prefix(r#"{"topic":""#)?;
        Some((topic.to_owned(), payload.strip_suffix('}')?.to_owned()))
    };
    let found: Vec<_> =
        text.lines().filter_map(split).filter(|(topic, _)| topic.starts_with(topics)).collect();
    ensure!(!found.is_empty(), "the recorded minute has no message below '{topics}'");
    Ok(found)
}
