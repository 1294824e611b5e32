//! What the process runs on: clocks, named supervised tasks, bounded channels, ordered shutdown
//! and durable file replacement.
//!
//! The only crate that names `tokio::spawn`, `mpsc` and the system clock; everything above takes
//! them as arguments, so that the same code runs in a test with time standing still.

pub mod channel;
pub mod clock;
mod current;
pub mod fs;
pub mod tasks;
pub mod thread;

pub use clock::{Clock, ManualClock, SystemClock, UnixMicros, processor_time};
pub use current::Current;
pub use tasks::{OnFailure, Shutdown, Tasks};
