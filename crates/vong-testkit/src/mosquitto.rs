//! A real Mosquitto broker on loopback, with its own directory and persistence.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::wait::{free_port, wait_until};

const BINARIES: [&str; 3] =
    ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto"];
const PATIENCE: Duration = Duration::from_secs(20);

/// How the broker is set up; the defaults keep everything.
#[derive(Clone, Debug, Default)]
pub struct MosquittoOptions {
    /// Unacknowledged messages the broker sends one client; 0 is no limit, its own default is 20.
    pub max_inflight: u32,
    /// Further lines of `mosquitto.conf`, as in `password_file /path`.
    pub extra: Vec<String>,
    /// Lines of the listener, as in `cafile /path`.
    pub listener: Vec<String>,
    pub require_password: bool,
}

/// A running broker; dropped, it is killed and its directory removed.
#[derive(Debug)]
pub struct Mosquitto {
    directory: TempDir,
    binary: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Mosquitto {
    /// Starts a broker with default options; `None`, with the reason on standard error, where
    /// Mosquitto is not installed.
    pub fn start_or_skip() -> Result<Option<Self>> {
        Self::start_with(&MosquittoOptions::default())
    }

    /// As [`Self::start_or_skip`] with options of its own.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub fn start_with(options: &MosquittoOptions) -> Result<Option<Self>> {
        let installed = BINARIES.iter().map(Path::new).find(|p| p.try_exists().unwrap_or(false));
        let Some(binary) = installed else {
            eprintln!("skipped: mosquitto is not installed");
            return Ok(None);
        };
        let directory = tempfile::tempdir().context("cannot make a directory for mosquitto")?;
        let port = free_port().context("cannot find a free port")?;
        let config = configuration(options, port, directory.path());
        std::fs::write(directory.path().join("mosquitto.conf"), config)?;
        let mut broker = Self { directory, binary: binary.to_path_buf(), port, process: None };
        broker.start()?;
        Ok(Some(broker))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the broker has written to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("mosquitto.log")).unwrap_or_default()
    }

    /// Starts it again, on the same port with the same persisted sessions.
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "mosquitto runs already");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory.path().join("mosquitto.log"))?;
        let child = Command::new(&self.binary)
            .arg("-c")
            .arg(self.directory.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start mosquitto")?;
        self.process = Some(child);
        let port = self.port;
        let answers = wait_until(PATIENCE, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        ensure!(answers, "mosquitto does not listen on port {port}: {}", self.log());
        Ok(())
    }

    /// Ends it in order (SIGTERM): it writes its sessions and queues to disk.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.process.take() else { return Ok(()) };
        terminate(&child);
        let ended = wait_until(PATIENCE, || matches!(child.try_wait(), Ok(Some(_))));
        if !ended {
            child.kill().context("cannot kill mosquitto")?;
            child.wait()?;
        }
        ensure!(ended, "mosquitto did not end by itself");
        Ok(())
    }

    /// [`Self::stop`], then [`Self::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.start()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            drop(child.kill()); // it may have ended by itself
            drop(child.wait());
        }
    }
}

fn configuration(options: &MosquittoOptions, port: u16, directory: &Path) -> String {
    let MosquittoOptions { max_inflight, extra, listener, require_password } = options;
    let mut text = format!(
        "user root\npersistence true\npersistence_location {}/\nautosave_interval 1\n\
         max_queued_messages 0\nmax_inflight_messages {max_inflight}\n\
         allow_anonymous {}\nlog_type error\nlog_type warning\nlog_type notice\n",
        directory.display(),
        !require_password
    );
    for line in extra {
        writeln!(text, "{line}").expect("writing to a String cannot fail");
    }
    writeln!(text, "listener {port} 127.0.0.1").expect("writing to a String cannot fail");
    for line in listener {
        writeln!(text, "{line}").expect("writing to a String cannot fail");
    }
    text
}

#[expect(unsafe_code, reason = "the standard library has no SIGTERM")]
fn terminate(child: &Child) {
    if let Ok(id) = i32::try_from(child.id()) {
        // SAFETY: kill(2) touches no memory of ours; the child is not reaped yet, so its id is its own.
        unsafe { libc::kill(id, libc::SIGTERM) };
    }
}
