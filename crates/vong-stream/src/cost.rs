//! What a rule would cost, estimated before it is in force, and what it may cost.
//!
//! An estimate is a function of the rule and of what the installation is built for: nothing is
//! measured, so the same rule gets the same answer everywhere and always. It decides only whether a
//! rule is *made*; the engine obeys the log and never refuses for cost, so that a change of the
//! budget changes no alert.

use vong_model::Stream;
use vong_sql::Error;
use vong_sql::rule::RuleDefinition;

use crate::plan::{Form, Frame, Kind, PeriodicPlan, RulePlan, SlidingPlan, WindowPlan};

/// Streams other than `readings` are facts about devices, and so much rarer.
const RARER: f64 = 100.0;
/// Bytes of a kept row: `readings` has two times, six codes, a float and a hash.
const ROW_BYTES: f64 = 56.0;
/// Bytes a group has in a pane beside its aggregates: records behind it, unit, count.
const GROUP_BYTES: f64 = 32.0;
/// Bytes of one aggregate of one group: count, exact sum, least, greatest.
const CELL_BYTES: f64 = 40.0;
/// Bytes of a row in a frame: time and value, and its places among the least and the greatest.
const ENTRY_BYTES: f64 = 24.0 + 2.0 * 16.0;
/// Bytes of a value that an aggregate of no mergeable form keeps.
const VALUE_BYTES: f64 = 16.0;
/// Bytes of an open run, alert or silence of one key.
const OPEN_BYTES: f64 = 256.0;

/// What an installation is built for, and how much of it rules may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleBudget {
    /// Readings a second.
    pub rows_per_s: f64,
    /// Sensors, or other things alerts are about.
    pub keys: f64,
    /// Rows a second that all rules with `EVERY` together may handle.
    pub asked_rows_per_s: f64,
    /// Memory of one rule.
    pub rule_bytes: f64,
}

impl Default for RuleBudget {
    /// For a machine of two processors, see docs/decisions.
    fn default() -> Self {
        Self {
            rows_per_s: 1_000.0,
            keys: 10_000.0,
            asked_rows_per_s: 250_000.0,
            rule_bytes: 256.0 * 1024.0 * 1024.0,
        }
    }
}

/// An estimate.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleCost {
    /// Rows a second that its query handles; 0 for rules without `EVERY`.
    pub asked_rows_per_s: f64,
    pub state_bytes: f64,
    /// Where the memory goes.
    because: String,
    /// Where the rows come from.
    asked: String,
    has_product: bool,
}

impl RuleCost {
    /// In lines, as `EXPLAIN ALERT RULE` shows them.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "estimate: {} of memory at most: {}",
            bytes(self.state_bytes),
            self.because
        )];
        if self.asked_rows_per_s > 0.0 {
            lines.push(format!(
                "estimate: {} rows a second: {}",
                number(self.asked_rows_per_s),
                self.asked
            ));
        }
        lines
    }
}

impl RuleBudget {
    /// What the rule would cost.
    pub fn cost(&self, plan: &RulePlan) -> RuleCost {
        let (keys, rate) = self.reach(plan);
        let one = |state_bytes: f64, because: String| RuleCost {
            state_bytes,
            because,
            asked_rows_per_s: 0.0,
            asked: String::new(),
            has_product: false,
        };
        match &plan.kind {
            Kind::Stateless { .. } | Kind::Absence { .. } => {
                one(keys * OPEN_BYTES, format!("{} keys", number(keys)))
            }
            Kind::Window(window) => {
                let (bytes, because) = window_state(window, keys, rate);
                one(bytes, because)
            }
            Kind::Session(session) => {
                let runs = OPEN_BYTES + session.aggregates.len() as f64 * 2.0 * CELL_BYTES;
                one(keys * runs, format!("one run of each of {} keys", number(keys)))
            }
            Kind::Sliding(sliding) => {
                let (bytes, because) = frame_state(sliding, keys, rate);
                one(bytes, because)
            }
            Kind::Rows(_) => one(0.0, "nothing is kept".to_owned()),
            Kind::Periodic(periodic) => self.asked(periodic),
        }
    }

    /// Refuses a rule that costs more than it may. `others`: rows a second that the other rules with
    /// `EVERY` handle.
    ///
    /// # Errors
    /// [`Error::Plan`] with the estimate, the budget and what to change.
    pub fn check(
        &self,
        rule: &RuleDefinition,
        plan: &RulePlan,
        others: f64,
    ) -> Result<RuleCost, Error> {
        let cost = self.cost(plan);
        if cost.state_bytes > self.rule_bytes {
            let message = format!(
                "the rule can hold {}: {}; a rule may hold {} (rules.memory_mib): make the window \
                 shorter or its slide longer, look back less far, or name the sensors",
                bytes(cost.state_bytes),
                cost.because,
                bytes(self.rule_bytes)
            );
            return Err(rule.select.refuse(message, "select"));
        }
        if cost.asked_rows_per_s > 0.0 && cost.asked_rows_per_s + others > self.asked_rows_per_s {
            let what = if cost.has_product {
                "say with = in JOIN … ON what the rows of both sides have in common"
            } else {
                "ask less often (EVERY), about less (OVER LAST), or read each stream once"
            };
            let message = format!(
                "the rule would handle {} rows a second: {}; all rules with EVERY may handle {} \
                 (rules.asked_rows_per_s), of which others take {}: {what}",
                number(cost.asked_rows_per_s),
                cost.asked,
                number(self.asked_rows_per_s),
                number(others)
            );
            return Err(rule.select.refuse(message, "select"));
        }
        Ok(cost)
    }

    /// How many keys the rule can have, and how many rows a second concern it.
    fn reach(&self, plan: &RulePlan) -> (f64, f64) {
        let rate = self.rate(plan.stream);
        let entity = plan.stream.entity().map(|name| plan.stream.column_index(name));
        let named = |wanted: &dyn Fn(usize) -> bool| {
            let lists = plan.scope.iter().filter_map(|conjunct| match &conjunct.form {
                Form::OneOf { column, texts } if wanted(*column) => Some(texts.len() as f64),
                Form::OneOf { .. } | Form::Threshold { .. } | Form::Other => None,
            });
            lists.reduce(f64::min)
        };
        let of_entity = named(&|column| Some(column) == entity);
        let keys = match plan.keys.as_slice() {
            [] => 1.0,
            [one] => named(&|column| column == *one).unwrap_or(self.keys),
            _ => self.keys,
        };
        let keys = keys.min(self.keys).min(of_entity.unwrap_or(self.keys));
        (keys, rate * (of_entity.unwrap_or(self.keys) / self.keys).min(1.0))
    }

    fn rate(&self, stream: Stream) -> f64 {
        if stream == Stream::Readings { self.rows_per_s } else { self.rows_per_s / RARER }
    }

    fn asked(&self, plan: &PeriodicPlan) -> RuleCost {
        let (last_s, every_s) = (seconds(plan.last_us), seconds(plan.every_us).max(1.0));
        let stretch = |stream| self.rate(stream) * last_s;
        let (_, handled) = plan.work.rows(&stretch);
        let kept: f64 = plan.streams.iter().map(|stream| stretch(*stream)).sum();
        let asked = format!(
            "{} rows at each asking, every {every_s} s; the stretch is {last_s} s of {} readings a \
             second",
            number(handled),
            number(self.rows_per_s)
        );
        RuleCost {
            asked_rows_per_s: handled / every_s,
            state_bytes: kept * ROW_BYTES,
            because: format!("{} rows of the last {last_s} s", number(kept)),
            asked,
            has_product: plan.work.has_product(),
        }
    }
}

fn window_state(window: &WindowPlan, keys: f64, rate: f64) -> (f64, String) {
    // The one that fills, besides those that a window is made of.
    let panes = (window.width_us / window.slide_us.max(1)) as f64 + 1.0;
    if let Some(shared) = &window.shared {
        let bytes = panes * keys * (GROUP_BYTES + shared.len() as f64 * CELL_BYTES);
        return (bytes, format!("{} panes of {} keys", number(panes), number(keys)));
    }
    let rows = rate * seconds(window.width_us) * panes;
    let aggregates = window.aggregates.len() as f64;
    let because = format!(
        "an aggregate that keeps each of {} values, of windows that overlap {} times",
        number(rows),
        number(panes)
    );
    (rows * aggregates * VALUE_BYTES + panes * keys * GROUP_BYTES, because)
}

fn frame_state(sliding: &SlidingPlan, keys: f64, rate: f64) -> (f64, String) {
    let mut frames: Vec<(Frame, Option<&str>)> = Vec::new();
    for call in &sliding.calls {
        let frame = (call.frame, call.argument.as_ref().map(|argument| argument.text.as_str()));
        if !frames.contains(&frame) {
            frames.push(frame);
        }
    }
    let rows = frames.iter().map(|(frame, _)| match frame {
        Frame::Range(back) => rate * seconds(*back),
        Frame::Rows(before) => keys * (*before as f64 + 1.0),
    });
    let rows: f64 = rows.sum();
    (rows * ENTRY_BYTES, format!("{} rows in {} frames", number(rows), frames.len()))
}

fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

fn number(of: f64) -> String {
    match of {
        of if of >= 1e9 => format!("{:.1} billion", of / 1e9),
        of if of >= 1e6 => format!("{:.1} million", of / 1e6),
        of if of >= 1e4 => format!("{:.0} thousand", of / 1e3),
        of => format!("{of:.0}"),
    }
}

fn bytes(of: f64) -> String {
    let mib = of / (1024.0 * 1024.0);
    if mib >= 1.0 { format!("{mib:.0} MiB") } else { format!("{:.0} KiB", of / 1024.0) }
}

#[cfg(test)]
mod tests;
