//! The intake against cameras that fail: in one process, over loopback.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod discovery;
mod faults;
mod probe;
mod support;
