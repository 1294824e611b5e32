//! The cameras of an installation: their register, how others are looked at and taken into it, and
//! what runs for each of them.

mod import;
mod probe;
mod register;
mod running;
mod sheet;

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::cli::CameraCommand;
pub(crate) use probe::Prober;
pub(crate) use register::{Passwords, Register};
pub(crate) use running::{Aligned, RunningCameras, Shared};

/// `vong camera`.
pub(crate) fn run(command: &CameraCommand) -> Result<ExitCode> {
    let runtime = || tokio::runtime::Runtime::new().context("could not start");
    match command {
        CameraCommand::Import(arguments) => import::run(arguments),
        CameraCommand::Probe(arguments) => runtime()?.block_on(probe::look(arguments)),
        CameraCommand::Discover(arguments) => runtime()?.block_on(probe::discover(arguments)),
    }
}
