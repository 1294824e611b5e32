//! Views of single rows: what the scope selects, straight off the log.

use std::sync::Arc;

use datafusion::error::Result;

use super::frame::Frame;
use super::rule::{RuleCore, RuleMeta, Sink};
use crate::plan::ViewPlan;

/// One view without a window.
#[derive(Debug)]
pub(super) struct RowView {
    pub(super) core: RuleCore,
    view: ViewPlan,
}

impl RowView {
    pub(super) fn new(meta: Arc<RuleMeta>, view: &ViewPlan) -> Self {
        Self { core: RuleCore::new(meta), view: view.clone() }
    }

    pub(super) fn push(&mut self, frame: &Frame, out: &mut Sink<'_>) -> Result<()> {
        let rows = self.view.rows(&frame.batch)?;
        self.core.found(&self.view, (frame.times.to_vec(), rows), None, out);
        Ok(())
    }
}
