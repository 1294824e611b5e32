//! The intake against cameras that fail: in one process, over loopback.

mod discovery;
mod faults;
mod probe;
mod support;
