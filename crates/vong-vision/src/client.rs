//! The worker process seen from vong: started when it is needed, asked one thing at a time, killed
//! when it does not answer, started again with back-off.
//!
//! Invariant: a process that did not answer one question is never asked another: whoever waits for
//! an answer and is dropped takes the process with him.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};
use vong_model::{CameraId, EventTime};
use vong_runtime::Clock;

use crate::Error;
use crate::blame::{Blame, Verdict};
use crate::findings::{Finding, FindingSender};
use crate::metrics::VisionMetrics;
use crate::protocol::{self, Answer, HELLO, Outcome, Request, Work};

/// A worker that takes longer than this over a few frames hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const START_LIMIT: Duration = Duration::from_secs(20);
/// Waits before the worker is started again, doubled with each failure in a row.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How the worker is started.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// Address space it may take; it dies when it asks for more.
    pub memory_mib: u64,
    /// Added to the niceness of vong itself.
    pub nice: u8,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The frames give no picture; in words.
    Undecodable(String),
    /// The worker died or hung over these frames.
    WorkerFailed,
    /// It failed lately and is not yet started again.
    Waiting,
    /// The camera's frames brought it down too often.
    SetAside,
}

impl NoAnswer {
    /// As in `vong_vision_dropped_frames_total`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => "undecodable",
            Self::WorkerFailed => "worker_failed",
            Self::Waiting => "waiting",
            Self::SetAside => "set_aside",
        }
    }
}

/// What is asked of the worker.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// Who is to blame when the worker fails over it.
    pub(crate) camera: Option<&'a CameraId>,
    pub(crate) work: Work,
    pub(crate) sample_entry: &'a [u8],
    pub(crate) units: &'a [Bytes],
}

/// One worker process and who may ask it.
#[derive(Debug)]
pub(crate) struct Worker {
    command: WorkerCommand,
    clock: Arc<dyn Clock>,
    findings: FindingSender,
    metrics: VisionMetrics,
    blame: Mutex<Blame>,
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    process: Option<Process>,
    asked: u64,
    /// Failures since the last good answer.
    failures: u32,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Worker {
    pub(crate) fn new(
        command: WorkerCommand,
        clock: Arc<dyn Clock>,
        findings: FindingSender,
        metrics: VisionMetrics,
    ) -> Self {
        let (blame, state) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { command, clock, findings, metrics, blame, state }
    }

    /// Process id, while it runs and nobody asks it.
    pub(crate) async fn pid(&self) -> Option<u32> {
        self.state.lock().await.process.as_ref().and_then(|process| process.child.id())
    }

    /// Asks, starting the worker where needed; others who ask wait their turn.
    pub(crate) async fn ask(&self, question: Question<'_>) -> Result<(Outcome, Vec<u8>), NoAnswer> {
        if let Some(camera) = question.camera {
            self.admit(camera).await?;
        }
        let mut state = self.state.lock().await;
        if state.not_before.is_some_and(|at| Instant::now() < at) {
            return Err(NoAnswer::Waiting);
        }
        state.asked += 1;
        let id = state.asked;
        let message = question.message(id).map_err(|e| NoAnswer::Undecodable(e.to_string()))?;
        let mut process = match state.process.take() {
            Some(process) => process,
            None => match self.start().await {
                Ok(process) => process,
                Err(e) => return Err(self.failed(&mut state, None, &e, "not_started").await),
            },
        };
        let timer = self.metrics.decode_seconds.start_timer();
        let answered = timeout(ANSWER_LIMIT, process.exchange(id, &message)).await;
        let (failure, reason) = match answered {
            Ok(Ok((outcome, body))) => {
                timer.observe_duration();
                state.process = Some(process);
                self.recovered(&mut state).await;
                return match outcome {
                    Outcome::Failed(why) => Err(NoAnswer::Undecodable(why)),
                    outcome => Ok((outcome, body)),
                };
            }
            Ok(Err(e @ Error::Pipe(_))) => (e, "died"),
            Ok(Err(e)) => (e, "nonsense"),
            Err(_elapsed) => (Error::Protocol { what: "no answer in time" }, "hung"),
        };
        timer.stop_and_discard();
        process.end().await;
        Err(self.failed(&mut state, question.camera, &failure, reason).await)
    }

    async fn admit(&self, camera: &CameraId) -> Result<(), NoAnswer> {
        let (verdict, aside) = {
            let mut blame = self.blame.lock();
            (blame.verdict(camera, EventTime(self.clock.now())), blame.aside())
        };
        match verdict {
            Verdict::Welcome => Ok(()),
            Verdict::Aside => Err(NoAnswer::SetAside),
            Verdict::TakenBack => {
                self.metrics.set_aside.set(i64::try_from(aside).unwrap_or(i64::MAX));
                self.tell("taken_back", format!("{camera} is looked at again")).await;
                Ok(())
            }
        }
    }

    async fn start(&self) -> Result<Process, Error> {
        self.metrics.worker_starts.inc();
        let WorkerCommand { program, arguments, memory_mib, nice } = &self.command;
        // The shell sets the limits before the first instruction of the worker runs.
        let mut child = Command::new("/bin/sh")
            .args(["-c", "ulimit -v \"$1\" && ulimit -c 0 && shift && exec nice -n \"$@\"", "sh"])
            .arg(memory_mib.saturating_mul(1_024).to_string())
            .arg(nice.to_string())
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::Start)?;
        let missing = Error::Protocol { what: "worker has no pipes" };
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or(missing)?;
        let mut process = Process { child, input, output };
        let mut hello = [0; HELLO.len()];
        let heard = timeout(START_LIMIT, process.output.read_exact(&mut hello)).await;
        let refused = match heard {
            Ok(Ok(_)) if hello == HELLO => return Ok(process),
            Ok(Ok(_)) => Error::Protocol { what: "worker speaks another version" },
            Ok(Err(e)) => Error::Pipe(e),
            Err(_elapsed) => Error::Protocol { what: "worker does not begin" },
        };
        process.end().await;
        Err(refused)
    }

    /// Counts and tells a failure, and says when to try again.
    async fn failed(
        &self,
        state: &mut State,
        camera: Option<&CameraId>,
        error: &Error,
        reason: &'static str,
    ) -> NoAnswer {
        self.metrics.worker_failures.with_label_values(&[reason]).inc();
        let wait = FIRST_WAIT.saturating_mul(1 << state.failures.min(10)).min(LONGEST_WAIT);
        state.failures = state.failures.saturating_add(1);
        state.not_before = Some(Instant::now() + wait);
        let of = camera.map(|camera| format!(" over frames of {camera}")).unwrap_or_default();
        warn!(reason, %error, camera = camera.map(CameraId::as_str), "vision worker failed");
        let detail = format!("{reason}{of}: {error}; started again in {:.1} s", wait.as_secs_f64());
        self.tell("worker_failed", detail).await;
        let Some(camera) = camera else { return NoAnswer::WorkerFailed };
        let (aside, count) = {
            let mut blame = self.blame.lock();
            (blame.strike(camera, EventTime(self.clock.now())), blame.aside())
        };
        if aside {
            self.metrics.set_aside.set(i64::try_from(count).unwrap_or(i64::MAX));
            let detail = format!(
                "{camera}: its frames brought the decoder down 3 times in 10 minutes; not decoded for an hour, still recorded"
            );
            self.tell("set_aside", detail).await;
        }
        NoAnswer::WorkerFailed
    }

    async fn recovered(&self, state: &mut State) {
        state.not_before = None;
        if std::mem::take(&mut state.failures) > 0 {
            self.tell("worker_good", "answers again".to_owned()).await;
        }
    }

    async fn tell(&self, state: &'static str, detail: String) {
        let at = EventTime(self.clock.now());
        if self.findings.send(Finding::Worker { at, state, detail }).await.is_err() {
            debug!("nobody writes findings any more");
        }
    }
}

impl Question<'_> {
    fn message(&self, id: u64) -> Result<Vec<u8>, Error> {
        let bytes = |part: &[u8]| u32::try_from(part.len()).unwrap_or(u32::MAX);
        let head = Request {
            id,
            work: self.work.clone(),
            entry_bytes: bytes(self.sample_entry),
            unit_bytes: self.units.iter().map(|unit| bytes(unit)).collect(),
        };
        let units = self.units.iter().map(|unit| &**unit);
        let body: Vec<&[u8]> = std::iter::once(self.sample_entry).chain(units).collect();
        protocol::message(&head, &body)
    }
}

impl Process {
    async fn exchange(&mut self, id: u64, message: &[u8]) -> Result<(Outcome, Vec<u8>), Error> {
        self.input.write_all(message).await.map_err(Error::Pipe)?;
        self.input.flush().await.map_err(Error::Pipe)?;
        let (answer, body) = protocol::read_async::<Answer>(&mut self.output).await?;
        if answer.id != id {
            return Err(Error::Protocol { what: "answer to another question" });
        }
        Ok((answer.outcome, body))
    }

    /// Ends it for certain: SIGKILL also ends what is stopped.
    async fn end(mut self) {
        if let Err(e) = self.child.kill().await {
            debug!(error = %e, "vision worker was already gone");
        }
    }
}
