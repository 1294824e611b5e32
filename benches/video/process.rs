//! What the kernel says a process has used.

use std::process::{Child, Command};

use anyhow::{Context as _, Result};

/// So many clock ticks a second does Linux count in `/proc`, on every machine it runs on (proc(5)).
const TICKS: f64 = 100.0;

/// Since the process began, and now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// Seconds of processor time, user and system, of all its threads; by the length of a span, the
    /// share of a core.
    pub(super) core: f64,
    /// Resident memory.
    pub(super) rss_mb: f64,
    /// Open files and connections.
    pub(super) descriptors: f64,
    pub(super) threads: f64,
}

/// A process that ends with this.
pub(super) struct Watched {
    child: Child,
}

impl Watched {
    pub(super) fn spawn(command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("could not start {command:?}"))?;
        Ok(Self { child })
    }

    pub(super) fn usage(&self) -> Result<Usage> {
        let pid = self.child.id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name stands in brackets and may hold anything; 12 and 13 behind it are the times.
        let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
        let ticks: f64 =
            fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
            value.context("the process has ended")
        };
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count() as f64;
        let rss_mb = number("VmRSS:")? * 1_024.0 / 1e6;
        Ok(Usage { core: ticks / TICKS, rss_mb, descriptors, threads: number("Threads:")? })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.child.kill()); // already gone is as good
        drop(self.child.wait());
    }
}
