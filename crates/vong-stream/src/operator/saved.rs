//! The operator written down and read back.
//!
//! Invariant: what was read back gives the same steps for the records that follow as what was
//! written down would have. State stands under names that outlive a process (rule, column, text of
//! an expression); what can be made again from the rules is not written. Each part writes itself:
//! `…/saved.rs` beside it.

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde::{Deserialize, Serialize};
use vong_model::{AlertId, RuleId, Stream};

use super::inhibitions::Inhibitions;
use super::periodic::SavedPeriodic;
use super::rule::RuleMeta;
use super::stream::{SavedStream, StreamOperator};
use super::{KeySpace, Operator};
use crate::plan::RulePlan;
use crate::tables::Tables;

/// Why what was written down is of no use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot does not fit: it holds {0}")]
pub struct Unusable(pub(crate) &'static str);

/// Rules to be in force again, planned.
pub(crate) type Plans = BTreeMap<RuleId, (Arc<RuleMeta>, RulePlan)>;

/// What one rule's inhibitions listen to: alert, number of its key, administrative unit.
type SavedFiring = Vec<(AlertId, u32, Option<String>)>;

/// All rules' state.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedOperator {
    /// By the stream's name.
    streams: Vec<(String, SavedStream)>,
    periodic: SavedPeriodic,
    firing: Vec<(RuleId, SavedFiring)>,
}

impl Operator {
    /// Everything that the next records' steps depend on.
    ///
    /// # Errors
    /// [`Unusable`] when rows that wait cannot be written: a bug.
    pub(crate) fn save(&self) -> Result<SavedOperator, Unusable> {
        let streams = self.streams.iter().map(|(s, op)| Ok((s.name().to_owned(), op.save()?)));
        Ok(SavedOperator {
            streams: streams.collect::<Result<_, Unusable>>()?,
            periodic: self.periodic.save()?,
            firing: self.inhibitions.save(),
        })
    }

    /// An operator that goes on as the one that was written down. `plans`: the rules that were in
    /// force then, in the same versions; `tables`: those that were.
    ///
    /// # Errors
    /// [`Unusable`] when state and rules do not belong together.
    pub(crate) fn load(
        saved: SavedOperator,
        plans: &Plans,
        tables: &Tables,
    ) -> Result<Self, Unusable> {
        let mut operator = Self::new();
        for (name, saved) in saved.streams {
            let stream = Stream::from_name(&name).ok_or(Unusable("an unknown stream"))?;
            operator.streams.insert(stream, StreamOperator::load(stream, saved, plans, tables)?);
        }
        operator.periodic = saved.periodic.load(plans)?;
        for (rule_id, (meta, plan)) in plans {
            operator.inhibitions.add(rule_id, meta.definition.inhibited_by.as_ref());
            operator.rules.insert(rule_id.clone(), (plan.stream(), plan.kind_name()));
        }
        for (rule_id, firing) in saved.firing {
            operator.load_firing(&rule_id, firing)?;
        }
        let restored = operator.status().len();
        if restored != plans.len() {
            return Err(Unusable("other rules than the log"));
        }
        Ok(operator)
    }

    fn load_firing(&mut self, rule_id: &RuleId, firing: SavedFiring) -> Result<(), Unusable> {
        let stream = self.rules.get(rule_id).map(|(stream, _)| *stream);
        let stream = stream.ok_or(Unusable("an alert of an unknown rule"))?;
        let mut found = Vec::with_capacity(firing.len());
        self.with_core(stream, rule_id, |_, space: &KeySpace, _| {
            for (alert, key, unit) in firing {
                found.extend(space.get(key).map(|key| (alert, key.clone(), unit)));
            }
        });
        for (alert, key, unit) in found {
            self.inhibitions.load(rule_id, alert, key, unit);
        }
        Ok(())
    }
}

impl Inhibitions {
    fn save(&self) -> Vec<(RuleId, SavedFiring)> {
        let firing = self.firing().filter(|(_, alerts)| !alerts.is_empty());
        let alerts = |alerts: &BTreeMap<AlertId, super::inhibitions::About>| {
            let saved = alerts.iter().map(|(alert, about)| {
                (alert.clone(), about.key.id(), about.unit_code.as_deref().map(str::to_owned))
            });
            saved.collect()
        };
        firing.map(|(rule_id, of_rule)| (rule_id.clone(), alerts(of_rule))).collect()
    }
}

/// Mark on a field whose texts stood in a dictionary.
const DICTIONARY: &str = "vong.dictionary";

/// Rows as an Arrow IPC stream of one batch. Texts are written out: what a dictionary looks like
/// depends on how rows came together.
pub(super) fn encode(batch: &RecordBatch) -> Result<Vec<u8>, Unusable> {
    let write = || {
        let plain = plain(batch)?;
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::try_new(&mut bytes, &plain.schema())?;
        writer.write(&plain)?;
        writer.finish()?;
        drop(writer);
        Ok::<_, ArrowError>(bytes)
    };
    write().or(Err(Unusable("rows that cannot be written")))
}

/// Rows written by [`encode`].
pub(super) fn decode(bytes: &[u8]) -> Result<RecordBatch, Unusable> {
    let reader = StreamReader::try_new(Cursor::new(bytes), None);
    let first = reader.ok().and_then(|mut reader| reader.next()).and_then(Result::ok);
    let restored = first.and_then(|batch| with_dictionaries(&batch).ok());
    restored.ok_or(Unusable("rows that cannot be read"))
}

fn plain(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    recast(batch, |field| match field.data_type() {
        DataType::Dictionary(_, texts) => {
            let mark = [(DICTIONARY.to_owned(), String::new())].into();
            field.clone().with_data_type((**texts).clone()).with_metadata(mark)
        }
        _ => field.clone(),
    })
}

fn with_dictionaries(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    recast(batch, |field| {
        if !field.metadata().contains_key(DICTIONARY) {
            return field.clone();
        }
        let texts = Box::new(field.data_type().clone());
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), texts);
        field.clone().with_data_type(dictionary).with_metadata(HashMap::new())
    })
}

fn recast(batch: &RecordBatch, field: impl Fn(&Field) -> Field) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let fields: Vec<Field> = schema.fields().iter().map(|old| field(old)).collect();
    let columns = batch.columns().iter().zip(&fields);
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows)
}
