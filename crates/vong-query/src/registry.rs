//! Which queries run and ran, for the table `vong.queries`.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;

/// Ended queries that are remembered.
const REMEMBERED: usize = 200;

/// One query.
#[derive(Clone, Debug)]
pub(crate) struct QueryInfo {
    pub(crate) query_id: u64,
    pub(crate) principal: String,
    pub(crate) sql: String,
    /// `running`, `ok`, or the class of the error.
    pub(crate) state: &'static str,
    pub(crate) started_us: i64,
    pub(crate) ended_us: Option<i64>,
    pub(crate) rows: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    running: BTreeMap<u64, QueryInfo>,
    ended: VecDeque<QueryInfo>,
}

impl Registry {
    pub(crate) fn begin(&self, principal: &str, sql: &str, now_us: i64) -> u64 {
        let mut state = self.state.lock();
        state.next_id += 1;
        let query_id = state.next_id;
        let info = QueryInfo {
            query_id,
            principal: principal.to_owned(),
            sql: sql.to_owned(),
            state: "running",
            started_us: now_us,
            ended_us: None,
            rows: 0,
        };
        state.running.insert(query_id, info);
        query_id
    }

    pub(crate) fn add_rows(&self, query_id: u64, rows: u64) {
        if let Some(info) = self.state.lock().running.get_mut(&query_id) {
            info.rows += rows;
        }
    }

    pub(crate) fn end(&self, query_id: u64, outcome: &'static str, now_us: i64) {
        let mut state = self.state.lock();
        let Some(info) = state.running.remove(&query_id) else { return };
        state.ended.push_back(QueryInfo { state: outcome, ended_us: Some(now_us), ..info });
        if state.ended.len() > REMEMBERED {
            state.ended.pop_front();
        }
    }

    /// Ended ones first, then running ones, each by age.
    pub(crate) fn list(&self) -> Vec<QueryInfo> {
        let state = self.state.lock();
        state.ended.iter().chain(state.running.values()).cloned().collect()
    }
}
