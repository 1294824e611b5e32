//! `vong demo`: the sample city and an installation that watches it, in one process.
//!
//! The city is a real peer: its sensors speak MQTT to a broker, its cameras speak RTSP, and the
//! installation reaches both over loopback sockets as it would reach a real city.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rust_embed::RustEmbed;
use tokio::time::Instant;
use vong_runtime::{Clock, OnFailure, Shutdown, SystemClock, Tasks};
use vong_sim::broker::{BrokerConfig, EmbeddedBroker};
use vong_sim::camera::{CameraFarm, FarmConfig};
use vong_sim::files::{Anchors, write_sample_city};
use vong_sim::publisher::PublisherConfig;
use vong_sim::{City, CityConfig};
use vong_telemetry::{LogFormat, init_logging};

use crate::cli::{DemoArguments, DemoPart, tell};
use crate::installation::Installation;
use crate::serve::{runtime, told_to_stop};
use crate::site::Site;

/// The rules, views and sources that ship, so that the demo needs no file beside the binary.
#[derive(RustEmbed)]
#[folder = "../../configs"]
#[include = "rules/*.sql"]
#[include = "views/*.sql"]
#[include = "sources/sample-city.toml"]
struct Shipped;

pub(crate) fn run(arguments: &DemoArguments) -> Result<ExitCode> {
    // The library broker tells every closed connection as an error.
    init_logging(&format!("{},rumqttd=off", arguments.log), LogFormat::Text);
    let begun = Instant::now();
    let kept = arguments.data.clone();
    let temporary = if kept.is_none() { Some(Temporary::new()?) } else { None };
    let directory = kept.as_deref().or_else(|| temporary.as_ref().map(Temporary::path));
    let directory = directory.context("a directory is either kept or temporary")?;
    lay_out(directory, arguments)?;
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let failed = Shutdown::new();
        let city = Tasks::new("city", failed.clone());
        start_city(arguments, &city, &clock).await?;
        step(begun, "city: broker, sensors and cameras are up");
        if arguments.part == Some(DemoPart::City) {
            tell(&format!("city alone; its files are in {}", directory.display()));
            told_to_stop().await?;
            city.stop(Duration::from_secs(5)).await;
            return Ok(ExitCode::SUCCESS);
        }
        let site = Site::load(&directory.join("vong.toml")).map_err(|mistakes| {
            let told = mistakes.iter().map(ToString::to_string).collect::<Vec<_>>();
            anyhow::anyhow!("the demo's own configuration does not hold:\n{}", told.join("\n"))
        })?;
        let installation = Installation::start(site, clock).await?;
        step(begun, "engine: log, rules, recorder and doors are open");
        tokio::select! {
            () = installation.ready() => {
                step(begun, "ready");
                tell(&addresses(&installation, arguments));
            }
            () = installation.failed() => {}
        }
        let broken = tokio::select! {
            stopped = told_to_stop() => stopped.map(|()| false)?,
            () = installation.failed() => true,
            () = failed.requested() => true,
        };
        tell("stopping");
        installation.stop().await;
        city.stop(Duration::from_secs(5)).await;
        Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    });
    runtime.shutdown_timeout(Duration::from_secs(2)); // a blocked disk must not hold the process
    ended
}

/// Writes everything that an installation consists of: registers, map, sources, rules, `vong.toml`.
fn lay_out(directory: &Path, arguments: &DemoArguments) -> Result<()> {
    let DemoArguments { http, mqtt, rtsp, seed, rules, .. } = arguments;
    write_sample_city(directory, *seed, &Anchors { rtsp: rtsp.to_string() })?;
    for name in Shipped::iter() {
        let Some(file) = Shipped::get(&name) else { continue };
        let path = directory.join(&*name);
        let parent = path.parent().context("shipped files lie in folders")?;
        std::fs::create_dir_all(parent)?;
        std::fs::write(&path, &file.data)
            .with_context(|| format!("could not write {}", path.display()))?;
    }
    let mut config = format!(
        "[city]\nname_vi = \"Thành phố Mẫu\"\nname_en = \"Sample City\"\nsimulated = true\n\n\
         [http]\nlisten = \"{http}\"\n\n\
         [[broker]]\nid = \"city\"\nhost = \"{}\"\nport = {}\nprotocol = \"3.1.1\"\n\n\
         [video]\npost_roll_s = 5\n",
        mqtt.ip(),
        mqtt.port()
    );
    if let Some(rules) = rules {
        let rules = std::path::absolute(rules)?;
        write!(config, "\n[files]\nrules = {:?}\n", rules.display().to_string())?;
    }
    std::fs::write(directory.join("vong.toml"), config)
        .context("could not write the demo's configuration")
}

async fn start_city(
    arguments: &DemoArguments,
    tasks: &Tasks,
    clock: &Arc<dyn Clock>,
) -> Result<()> {
    let DemoArguments { mqtt, rtsp, seed, .. } = arguments;
    EmbeddedBroker::start(&BrokerConfig { port: mqtt.port(), port_v5: None }).await?; // its threads end with the process
    let city = City::new(*seed);
    let start = clock.now();
    let farm = CameraFarm::new(
        FarmConfig::sample_city(*rtsp, *seed),
        city.scene(),
        Arc::clone(clock),
        start,
    )?;
    tasks.spawn("sim/cameras", OnFailure::StopProcess, farm.run(tasks.clone()));
    let config =
        CityConfig { start, mqtt: PublisherConfig::new(mqtt.ip().to_string(), mqtt.port()) };
    let (clock, shutdown) = (Arc::clone(clock), tasks.shutdown());
    tasks.spawn("sim/sensors", OnFailure::StopProcess, async move {
        city.run(config, clock, shutdown).await;
        Ok::<(), std::convert::Infallible>(())
    });
    Ok(())
}

fn step(begun: Instant, what: &str) {
    tell(&format!("[{:5.1} s] {what}", begun.elapsed().as_secs_f64()));
}

fn addresses(installation: &Installation, arguments: &DemoArguments) -> String {
    let http = installation.address();
    format!(
        "\n  Thành phố Mẫu (dữ liệu mô phỏng) / Sample City (simulated data)\n\n\
         \x20 wall       http://{http}/wall\n\
         \x20 operator   http://{http}/console\n\
         \x20 SQL        vong sql --url http://{http} \"SELECT * FROM alerts\"\n\
         \x20 MQTT       {}    RTSP  rtsp://{}/CAM-01/main\n\n\
         \x20 Alerts begin within half a minute. Ctrl-C ends it.\n",
        arguments.mqtt, arguments.rtsp
    )
}

/// A directory that goes when the demo goes.
struct Temporary {
    path: std::path::PathBuf,
}

impl Temporary {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("vong-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).context("could not make a directory for the demo's data")?;
        Ok(Self { path })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path)); // what stays behind lies in the system's own
    }
}
