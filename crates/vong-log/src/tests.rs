//! The log in memory passes the suite that every log must pass.

use std::sync::Arc;

use vong_runtime::ManualClock;

use crate::{Log, MemLog, conformance};

#[test]
fn memory_log_conforms() {
    conformance::run(|| Arc::new(MemLog::new(Arc::new(ManualClock::new(5)))) as Arc<dyn Log>);
    conformance::run(|| {
        let log = MemLog::new(Arc::new(ManualClock::new(5)));
        log.seal();
        Arc::new(log)
    });
}
