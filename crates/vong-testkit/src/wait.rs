//! Waiting for something to become true, and ports nobody uses.

use std::net::TcpListener;
use std::time::Duration;

use tokio::time::Instant;

/// A loopback TCP port that was free a moment ago.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Asks `condition` every few milliseconds until it holds; false if it did not within `patience`.
/// Blocks the thread: call it from a test's own thread, or from `spawn_blocking`.
pub fn wait_until(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
