//! The cameras of an installation: how they are found and looked at, their register, how others are
//! taken into it, and what runs for each of them.

mod import;
mod probe;
mod register;
mod running;
mod sheet;

pub(crate) use import::run as import;
pub(crate) use probe::{Prober, discover, look};
pub(crate) use register::{Passwords, Register};
pub(crate) use running::{Aligned, RunningCameras, Shared};
