//! `vong serve`: an installation from its configuration until it is told to stop.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use vong_runtime::{Clock, SystemClock};
use vong_telemetry::{LogFormat, init_logging};

use crate::cameras::Aligned;
use crate::cli::tell;
use crate::installation::{Installation, Reloaded};
use crate::site::Site;

pub(crate) fn run(config: &Path) -> Result<ExitCode> {
    let site = match Site::load(config) {
        Ok(site) => site,
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| tell(&mistake.to_string()));
            return Ok(ExitCode::FAILURE);
        }
    };
    let telemetry = &site.config.telemetry;
    let format = if telemetry.log_json { LogFormat::Json } else { LogFormat::Text };
    init_logging(&telemetry.log_filter, format);
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let installation = Installation::start(site, clock).await?;
        let failed = tokio::select! {
            stopped = told_to_stop() => stopped.map(|()| false)?,
            () = installation.failed() => true,
            reloading = reload_when_told(&installation, config) => reloading.map(|()| true)?,
        };
        installation.stop().await;
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    });
    runtime.shutdown_timeout(Duration::from_secs(2)); // a blocked disk must not hold the process
    ended
}

/// On SIGHUP rule files, tables and registers are read again; mistakes are told and change nothing.
async fn reload_when_told(installation: &Installation, config: &Path) -> Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("could not listen for SIGHUP")?;
    while hangup.recv().await.is_some() {
        match Site::load(config) {
            Ok(site) => match installation.reload(&site).await {
                Ok(Reloaded { tables, rules, cameras }) => {
                    let Aligned { started, stopped, restarted } = cameras;
                    info!(tables, rules, started, stopped, restarted, "files read again");
                }
                Err(e) => error!(error = %e, "changes could not be put in force"),
            },
            Err(mistakes) => {
                for mistake in mistakes {
                    error!(%mistake, "everything stays as it was");
                }
            }
        }
    }
    Ok(())
}

/// The runtime of sockets and timers; queries and the engine have threads of their own.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    // Two TLS providers in one tree need a decision; a second call in one process keeps the first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("vong-io")
        .thread_keep_alive(Duration::from_secs(10))
        .enable_all()
        .build();
    runtime.context("could not start the runtime")
}

/// Resolves on SIGINT (Ctrl-C) or SIGTERM.
pub(crate) async fn told_to_stop() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
