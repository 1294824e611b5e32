//! Rules about keys that stop talking.

use std::sync::Arc;
use std::time::Duration;

use vong_alert::{Absence, Inputs, Observation, Silence};
use vong_model::{EventTime, RuleId};

use super::frame::Frame;
use super::rule::{RuleCore, RuleMeta, Sink};

/// One rule with `NO DATA FOR`.
#[derive(Debug)]
pub(super) struct SilenceRule {
    pub(super) core: RuleCore,
    pub(super) absence: Absence,
}

impl SilenceRule {
    pub(super) fn new(meta: Arc<RuleMeta>, limit: Duration) -> Self {
        Self { core: RuleCore::new(meta), absence: Absence::new(limit) }
    }

    pub(super) fn is(&self, rule_id: &RuleId) -> bool {
        self.core.meta.rule_id() == rule_id
    }

    pub(super) fn push(&mut self, frame: &Frame, keys: &[u32], out: &mut Sink<'_>) {
        for (index, (time, key)) in frame.times.iter().zip(keys).enumerate() {
            let at = EventTime(*time);
            let ended = self.absence.seen(*key, at);
            if let Some(silence) = ended {
                self.silent(&silence, frame.inputs, frame.row(index), out);
            }
            if self.absence.any_silent() && self.absence.is_silent(*key) {
                let inputs = frame.inputs;
                let seen = Observation { condition: false, value: None, since: at, at, inputs };
                self.core.observe(*key, &seen, frame.row(index), out);
                self.absence.back(*key);
            }
        }
    }

    pub(super) fn advance(&mut self, watermark: EventTime, inputs: Inputs, out: &mut Sink<'_>) {
        let mut silences = self.absence.advance(watermark);
        if self.core.is_limited() {
            silences.sort_by_key(|silence| (silence.at, out.space.key(silence.key)));
        }
        for silence in silences {
            self.silent(&silence, inputs, 0, out);
        }
        self.core.advance(watermark, out);
    }

    fn silent(&mut self, silence: &Silence, inputs: Inputs, row: u32, out: &mut Sink<'_>) {
        let Silence { at, key, since } = *silence;
        let seen = Observation { condition: true, value: None, since, at, inputs };
        self.core.observe(key, &seen, row, out);
    }
}
