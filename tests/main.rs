//! The one integration-test binary. Peers are real: Mosquitto, GStreamer, ffprobe, Chromium; a test
//! whose peer or data is not on the machine says so and passes.
#![expect(clippy::disallowed_types, reason = "tests measure real time from outside the process")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests run threads and read the clock of the machine"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![expect(clippy::print_stdout, reason = "a skipped test says why, a measured one what it saw")]

mod bad_input;
mod cameras;
mod clips;
mod demo;
mod disks;
mod evidence;
mod footage;
mod generated;
mod house;
mod linear_road;
mod nexmark;
mod places;
mod replay;
mod rules;
mod secrets;
mod sensors;
mod slt;
mod street;
mod support;
mod view_equality;
mod views;
mod vision;
mod wall;
