//! Fixtures for integration tests: real peers on loopback, ended with the test that began them.
//!
//! Nothing here decides what the product does; a fixture that cannot run says why, and the test
//! skips.

pub mod camera;
pub mod labels;
mod mosquitto;
mod publisher;
pub mod reels;
mod wait;

pub use mosquitto::{Mosquitto, MosquittoOptions};
pub use publisher::Publisher;
pub use wait::{free_port, wait_until};
