//! A real vong in its own directory, started, asked, killed and started again by a test.

use std::ffi::OsStr;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Background material that may lie beside the checkout: real data and independent peers.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let found = xtask::root().parent()?.join("shared").join(path);
    if found.is_dir() || found.is_file() {
        return Some(found);
    }
    println!("skipped: needs {path}, which is not beside this checkout");
    None
}

/// Whether a program of the machine is there; says so when it is not.
pub(crate) fn has_program(name: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|paths| {
        std::env::split_paths(&paths)
            .chain(["/usr/sbin".into()])
            .any(|dir| dir.join(name).is_file())
    });
    if !found {
        println!("skipped: needs the program '{name}'");
    }
    found
}

/// A driver of `tests/browser` and its turn: two browsers at once would measure each other, and
/// starve what they look at on two cores.
pub(crate) struct Browser {
    node: Command,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// Waits for the turn. Nothing, and the reason on the screen, where node, Chromium or the
    /// console's modules are not there.
    pub(crate) fn with(driver: &str) -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        if !xtask::root().join("dashboards/console/node_modules/playwright-core").is_dir() {
            println!("skipped the browser: needs `make console`");
            return None;
        }
        if !has_program("chromium") || !has_program("node") {
            return None;
        }
        let mut node = Command::new("node");
        node.arg(xtask::root().join("tests/browser").join(driver));
        // A driver that failed took its turn with it; the next begins with a browser of its own.
        Some(Self { node, _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner) })
    }

    /// What the driver printed.
    ///
    /// # Errors
    /// It cannot be run, or it ended with a reason and what it had seen until then.
    pub(crate) fn drive(mut self, arguments: &[&dyn AsRef<OsStr>]) -> Result<String> {
        let driven = self.node.args(arguments).output().context("node")?;
        let (seen, why) =
            (String::from_utf8_lossy(&driven.stdout), String::from_utf8_lossy(&driven.stderr));
        ensure!(driven.status.success(), "{why}\n{seen}");
        println!("{seen}");
        Ok(seen.into_owned())
    }
}

/// Where drivers leave what the screens looked like.
pub(crate) fn screenshots() -> PathBuf {
    let directory = xtask::root().join("target/screenshots");
    std::fs::create_dir_all(&directory).expect("the project's directory can be written");
    directory
}

/// What a test measured by the way, for who collects it (`benches/installation.rs`): a line of the file
/// that `VONG_FIGURES` names. Less of `unit` is better; `baseline` is what it is to be compared with.
pub(crate) fn figure(name: &str, unit: &str, (ours, baseline): (f64, f64), below: f64) {
    let Some(path) = std::env::var_os("VONG_FIGURES") else { return };
    let figure = serde_json::json!({
        "name": name, "unit": unit, "ours": ours, "baseline": baseline, "below": below,
    });
    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    writeln!(file, "{figure}").unwrap();
}

/// A port of this machine that nothing listens on now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has free ports");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// Asks again and again until `done` or the time is over.
pub(crate) fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A directory of configuration and data, and the process that runs on it.
pub(crate) struct Vong {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) http: SocketAddr,
    /// Set for the process alone.
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
    process: Option<Child>,
}

impl Vong {
    /// Writes `vong.toml` with `more` at its end; nothing runs yet.
    pub(crate) fn new(more: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let own = Self { directory, http, environment: Vec::new(), process: None };
        for folder in ["rules", "sources", "views"] {
            std::fs::create_dir(own.path(folder))?;
        }
        own.write("vong.toml", &format!("[http]\nlisten = \"{http}\"\n{more}"))?;
        Ok(own)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> Result<()> {
        std::fs::write(self.path(name), content).with_context(|| format!("could not write {name}"))
    }

    /// Starts and waits until it is ready.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_ready()
    }

    pub(crate) fn spawn(&mut self) -> Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.path("vong.log"))?;
        let config = self.path("vong.toml");
        let child = command(&["serve", "--config"])
            .arg(config)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()?;
        self.process = Some(child);
        Ok(())
    }

    pub(crate) fn wait_ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            if self.get("/readyz").is_ok() {
                return Ok(());
            }
            let ended = self.process.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || begun.elapsed() > Duration::from_secs(60) {
                bail!("vong is not ready ({ended:?}); it said:\n{}", self.said());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Process id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            drop(child.kill()); // already gone is as good
            drop(child.wait());
        }
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.process.take() else { return Ok(()) };
        let pid = child.id().to_string();
        ensure!(
            Command::new("kill").args(["-TERM", &pid]).status()?.success(),
            "could not signal vong"
        );
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "vong ended with {status}; it said:\n{}", self.said());
                return Ok(());
            }
            if begun.elapsed() > Duration::from_secs(20) {
                drop(child.kill());
                bail!("vong did not stop within 20 s; it said:\n{}", self.said());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it wrote to standard error so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.path("vong.log")).unwrap_or_default()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    pub(crate) fn get(&self, path: &str) -> Result<String> {
        Ok(ureq::get(self.url(path)).call()?.body_mut().read_to_string()?)
    }

    pub(crate) fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        let mut answer = ureq::get(self.url(path)).call()?;
        Ok(answer.body_mut().with_config().limit(1 << 30).read_to_vec()?)
    }

    /// The rows of a statement, as JSON objects.
    pub(crate) fn sql(&self, sql: &str) -> Result<Vec<Value>> {
        let mut answer = ureq::post(self.url("/api/v1/sql"))
            .config()
            .http_status_as_error(false)
            .build()
            .send_json(serde_json::json!({ "sql": sql }))?;
        let body = answer.body_mut().with_config().limit(1 << 30).read_to_string()?;
        ensure!(answer.status().is_success(), "{sql}: {} {body}", answer.status());
        Ok(serde_json::from_str(&body)?)
    }

    /// The single number a statement answers.
    pub(crate) fn number(&self, sql: &str) -> Result<u64> {
        let rows = self.sql(sql)?;
        let value = rows.first().and_then(|row| row.as_object()?.values().next()?.as_u64());
        value.with_context(|| format!("{sql}: no number in {rows:?}"))
    }

    /// A gauge or counter without labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").unwrap_or_default();
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        let value = line.and_then(|line| line.split(' ').nth(1)?.parse::<f64>().ok());
        value.map_or(0, |value| value as u64)
    }

    /// Runs another command of vong in this directory; gives output and whether it succeeded.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<(String, bool)> {
        run_in(self.directory.path(), arguments)
    }
}

impl Drop for Vong {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs one command of vong to its end; gives standard output and error together.
pub(crate) fn run_in(directory: &Path, arguments: &[&str]) -> Result<(String, bool)> {
    let output = command(arguments).current_dir(directory).output()?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok((text, output.status.success()))
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    // Another build of it can be put to the same test: the one that is shipped.
    let own = || env!("CARGO_BIN_EXE_vong-under-test").into();
    let mut command = Command::new(std::env::var_os("VONG_BINARY").unwrap_or_else(own));
    command.args(arguments).stdin(Stdio::null());
    command
}
