//! What the kernel says a process has used.

use std::process::{Child, Command};

use anyhow::{Context as _, Result};

/// So many clock ticks a second does Linux count in `/proc`, on every machine it runs on (proc(5)).
const TICKS: f64 = 100.0;

/// Since the process began, and now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// User and system, of all its threads.
    pub(super) cpu_s: f64,
    /// Resident memory.
    pub(super) rss_mb: f64,
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
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = rss.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
        let rss_mb = kib.context("the process has ended")? * 1_024.0 / 1e6;
        Ok(Usage { cpu_s: ticks / TICKS, rss_mb })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.child.kill()); // already gone is as good
        drop(self.child.wait());
    }
}
