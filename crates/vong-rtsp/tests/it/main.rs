//! The intake against cameras that fail: in one process, over loopback.

mod faults;
mod support;
