//! The promised ratios, each against a baseline run in the same process.
//!
//! `make bench`, or `make bench BENCH="[--quick] [NAME]"` for those whose name contains `NAME`.
//! Prints one table and writes `target/bench.jsonl`. Ours and its baseline take turns and the middle
//! round counts, so that a machine's mood touches both alike. `--quick` only shows that every bench
//! runs; its numbers mean nothing.
#![expect(clippy::print_stdout, reason = "a bench prints what it found")]

mod clips;
mod decode;
mod detect;
mod fanout;
mod installation;
mod latency;
mod linear_road;
mod log;
mod mqtt;
mod nexmark;
mod recovery;
mod report;
mod video;
mod vision;
mod windows;

use std::path::Path;

use anyhow::{Context as _, Result};
use report::{Row, Scale};

/// Name of a bench and what it does; a bench may give several rows.
type Bench = (&'static str, fn(&Scale) -> Result<Vec<Row>>);

const BENCHES: [Bench; 27] = [
    // First, because what the others leave behind would be counted as room for rules.
    ("windows, idle rules", windows::idle_rules),
    ("windows, joined tables", windows::joined),
    ("rules, asked", windows::asked),
    ("rules, measured", windows::measured),
    ("decode", decode::run),
    ("log append, small", log::small),
    ("log append, large", log::large),
    ("mqtt intake", mqtt::run),
    ("windows, one rule", windows::one_rule),
    ("windows, view", windows::view_beside_rule),
    ("windows, many rules", windows::many_rules),
    ("windows, city mix", windows::city_mix),
    ("nexmark", nexmark::run),
    ("linear_road", linear_road::run),
    ("latency", latency::run),
    ("fanout", fanout::run),
    ("clip", clips::run),
    ("detect", detect::run),
    ("recovery", recovery::run),
    ("video", video::run),
    ("installation, kills", installation::kills),
    ("installation, street", installation::street),
    ("installation, players", installation::players),
    ("installation, wall", installation::wall),
    ("vision, health", vision::health),
    ("vision, motion", vision::motion),
    ("vision, decision", vision::decision),
];

fn main() -> Result<()> {
    let mut scale = Scale::full();
    let mut wanted = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => scale = Scale::quick(),
            name => wanted = Some(name.to_owned()),
        }
    }
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let target = checkout.context("benches lie in the checkout")?.join("target");
    std::fs::create_dir_all(&target).context("could not make the directory 'target'")?;
    let wanted = |name: &str| wanted.as_ref().is_none_or(|part| name.contains(part.as_str()));
    let (mut rows, mut failed) = (Vec::new(), Ok(()));
    for (name, run) in BENCHES.into_iter().filter(|(name, _)| wanted(name)) {
        println!("running: {name}");
        match run(&scale).with_context(|| format!("bench '{name}' failed")) {
            Ok(found) => rows.extend(found),
            // What the others found is worth its minutes.
            Err(e) => failed = Err(e),
        }
    }
    let path = target.join("bench.jsonl");
    std::fs::write(&path, report::lines(&rows)).context("could not write target/bench.jsonl")?;
    print!("\n{}", report::table(&rows));
    if cfg!(debug_assertions) || scale.quick {
        println!("not a measurement: unoptimised build or --quick");
    }
    failed
}
