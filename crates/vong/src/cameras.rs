//! The cameras of an installation: their register, how others are taken into it, and what runs for
//! each of them.

mod import;
mod register;
mod running;
mod sheet;

pub(crate) use import::run as import;
pub(crate) use register::{Passwords, Register};
pub(crate) use running::{Aligned, RunningCameras, Shared};
