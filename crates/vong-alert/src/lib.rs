//! The life of alerts: pure state machines on event time.
//!
//! [`Machine`] holds one rule's episodes, one per key; [`Absence`] notices keys that fell silent.
//! Both are fed by hand with observations, watermarks and operators' acts, know no clock, no SQL
//! and no I/O, and give the same transitions for the same inputs in the same order.

mod absence;
mod machine;
mod transition;

pub use absence::{Absence, Silence};
pub use machine::{Machine, Snapshot, Status};
pub use transition::{
    Act, AlertKey, DEFAULT_SHELF, Inputs, Observation, Policy, State, Timing, Transition, alert_id,
};
