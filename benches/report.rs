//! Rows of the table: what was measured, against what, and whether the promise holds.
//!
//! `ratio` is above 1 when ours is better, whether more or less of the unit is better.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

/// How long everything runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) quick: bool,
    /// Turns each of ours and its baseline.
    pub(crate) rounds: usize,
    /// Length of one turn of a bench that counts what happens in a time.
    pub(crate) turn: Duration,
}

impl Scale {
    pub(crate) fn full() -> Self {
        Self { quick: false, rounds: 5, turn: Duration::from_millis(1_500) }
    }

    pub(crate) fn quick() -> Self {
        Self { quick: true, rounds: 1, turn: Duration::from_millis(300) }
    }

    /// Repetitions of a bench that counts the time of a piece of work.
    pub(crate) fn of(&self, full: usize) -> usize {
        if self.quick { (full / 20).max(1) } else { full }
    }
}

/// What was promised.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Ours against the baseline.
    Ratio(f64),
    /// Ours alone, more is better.
    AtLeast(f64),
    /// Ours alone, less is better.
    Below(f64),
}

impl Target {
    fn text(self) -> String {
        match self {
            Self::Ratio(ratio) => format!("ratio >= {ratio}"),
            Self::AtLeast(bound) => format!("ours >= {}", number(bound)),
            Self::Below(bound) => format!("ours < {}", number(bound)),
        }
    }

    fn met(self, ours: f64, ratio: f64) -> bool {
        match self {
            Self::Ratio(least) => ratio >= least,
            Self::AtLeast(least) => ours >= least,
            Self::Below(bound) => ours < bound,
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    name: String,
    ours: f64,
    baseline: f64,
    unit: Cow<'static, str>,
    ratio: f64,
    target: Target,
}

impl Row {
    /// More of `unit` is better.
    pub(crate) fn rate(
        name: impl Into<String>,
        unit: impl Into<Cow<'static, str>>,
        (ours, baseline): (f64, f64),
        target: Target,
    ) -> Self {
        Self {
            name: name.into(),
            ours,
            baseline,
            unit: unit.into(),
            ratio: ours / baseline,
            target,
        }
    }

    /// Less of `unit` is better.
    pub(crate) fn time(
        name: impl Into<String>,
        unit: impl Into<Cow<'static, str>>,
        (ours, baseline): (f64, f64),
        target: Target,
    ) -> Self {
        Self {
            name: name.into(),
            ours,
            baseline,
            unit: unit.into(),
            ratio: baseline / ours,
            target,
        }
    }

    fn met(&self) -> bool {
        self.target.met(self.ours, self.ratio)
    }
}

/// The middle one; of an even number the lower of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// The value that `share` of all are not above.
pub(crate) fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * share).ceil() as usize;
    values.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Runs both in turn and gives the median of each; which one begins changes with each round.
pub(crate) fn in_turn(
    rounds: usize,
    mut ours: impl FnMut() -> Result<f64>,
    mut baseline: impl FnMut() -> Result<f64>,
) -> Result<(f64, f64)> {
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if round % 2 == 0 {
            own.push(ours().context("ours")?);
            other.push(baseline().context("the baseline")?);
        } else {
            other.push(baseline().context("the baseline")?);
            own.push(ours().context("ours")?);
        }
    }
    Ok((median(own), median(other)))
}

/// One JSON object a line.
pub(crate) fn lines(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows {
        let line = json!({
            "name": row.name, "ours": row.ours, "baseline": row.baseline, "unit": row.unit,
            "ratio": row.ratio, "target": row.target.text(), "met": row.met(),
        });
        writeln!(out, "{line}").expect("a string takes every text");
    }
    out
}

pub(crate) fn table(rows: &[Row]) -> String {
    let wide = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(4);
    let mut out = format!(
        "{:wide$}  {:>9}  {:>9}  {:10}  {:>8}  {:16}  met\n",
        "name", "ours", "baseline", "unit", "ratio", "target"
    );
    for row in rows {
        writeln!(
            out,
            "{:wide$}  {:>9}  {:>9}  {:10}  {:>8}  {:16}  {}",
            row.name,
            number(row.ours),
            number(row.baseline),
            row.unit,
            format!("{:.2}", row.ratio),
            row.target.text(),
            if row.met() { "yes" } else { "NO" },
        )
        .expect("a string takes every text");
    }
    out
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{:.2} M", value / 1e6),
        size if size >= 1e4 => format!("{:.1} k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}
