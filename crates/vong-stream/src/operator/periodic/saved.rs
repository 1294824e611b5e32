//! Rules with `EVERY … OVER LAST …` written down, and the rows they may still ask about.

use std::collections::VecDeque;

use arrow::compute::concat_batches;
use serde::{Deserialize, Serialize};
use vong_model::{EventTime, Offset, RuleId, Stream};

use super::{Codes, KeySpace, Periodic, PeriodicRule, Slice};
use crate::operator::keys::SavedSpace;
use crate::operator::meter::Part;
use crate::operator::rule::{RuleCore, SavedCore};
use crate::operator::saved::{Plans, Unusable, decode, encode};
use crate::plan::Kind;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::operator) struct SavedPeriodic {
    rules: Vec<SavedRule>,
    /// By the stream's name.
    slices: Vec<(String, SavedSlice)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedRule {
    rule_id: RuleId,
    core: SavedCore,
    texts: Vec<String>,
    space: SavedSpace,
    next: Option<i64>,
    whole_from: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedSlice {
    watermark: Option<EventTime>,
    /// Rows of each record, and its offset.
    records: Vec<(usize, Offset)>,
    rows: Vec<u8>,
}

impl Periodic {
    pub(in crate::operator) fn save(&self) -> Result<SavedPeriodic, Unusable> {
        let rule = |rule: &PeriodicRule| SavedRule {
            rule_id: rule.core.meta.rule_id().clone(),
            core: rule.core.save(),
            texts: rule.codes.interner.texts(),
            space: rule.space.save(),
            next: rule.next,
            whole_from: rule.whole_from,
        };
        let slices = self.slices.iter();
        let slices = slices.map(|(s, slice)| Ok((s.name().to_owned(), slice.save(*s)?)));
        Ok(SavedPeriodic {
            rules: self.rules.iter().map(rule).collect(),
            slices: slices.collect::<Result<_, Unusable>>()?,
        })
    }
}

impl SavedPeriodic {
    pub(in crate::operator) fn load(self, plans: &Plans) -> Result<Periodic, Unusable> {
        let mut periodic = Periodic::default();
        for rule in self.rules {
            periodic.rules.push(rule.load(plans)?);
        }
        for (name, slice) in self.slices {
            let stream = Stream::from_name(&name).ok_or(Unusable("an unknown stream"))?;
            periodic.slices.insert(stream, slice.load(stream)?);
        }
        Ok(periodic)
    }
}

impl SavedRule {
    fn load(self, plans: &Plans) -> Result<PeriodicRule, Unusable> {
        let (meta, plan) = plans.get(&self.rule_id).ok_or(Unusable("an unknown rule"))?;
        let Kind::Periodic(plan) = &plan.kind else {
            return Err(Unusable("a rule of another kind"));
        };
        let mut codes = Codes::new(0);
        for text in &self.texts {
            codes.interner.code(text);
        }
        let mut space = KeySpace::named(plan.keys.clone(), &codes.interner);
        space.load(&self.space, &codes.interner);
        let mut core = RuleCore::new(std::sync::Arc::clone(meta));
        core.load(self.core, &space)?;
        let (next, whole_from) = (self.next, self.whole_from);
        let (plan, part) = (plan.as_ref().clone(), Part::default());
        Ok(PeriodicRule { core, plan, codes, space, next, whole_from, part })
    }
}

impl Slice {
    fn save(&self, stream: Stream) -> Result<SavedSlice, Unusable> {
        let whole = concat_batches(&stream.schema(), self.held.iter().map(|(batch, _)| batch));
        let whole = whole.or(Err(Unusable("rows that cannot be written")))?;
        let records = self.held.iter().map(|(batch, offset)| (batch.num_rows(), *offset));
        Ok(SavedSlice {
            watermark: self.watermark,
            records: records.collect(),
            rows: encode(&whole)?,
        })
    }
}

impl SavedSlice {
    fn load(self, stream: Stream) -> Result<Slice, Unusable> {
        let whole = decode(&self.rows)?;
        let rows: usize = self.records.iter().map(|(rows, _)| *rows).sum();
        if whole.schema() != stream.schema() || rows != whole.num_rows() {
            return Err(Unusable("rows of another stream"));
        }
        let mut held = VecDeque::with_capacity(self.records.len());
        let mut next = 0;
        for (rows, offset) in self.records {
            held.push_back((whole.slice(next, rows), offset));
            next += rows;
        }
        Ok(Slice { held, watermark: self.watermark })
    }
}
