//! Threads with names.

use std::io;
use std::thread::JoinHandle;

/// Starts an operating-system thread called `name` (at most 15 bytes show in `top`).
pub fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}
