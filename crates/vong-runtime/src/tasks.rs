//! Named tasks under a supervisor, and shutdown in a fixed order.
//!
//! A panic in a task is caught, logged with the task's name and handled by the task's own policy;
//! it takes down nothing else. Shutdown goes by phases: edges stop first, so that nothing new
//! enters, then engines drain, then stores flush, and the doors close last.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

/// What the supervisor does when a task panics or ends with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing else depends on it: log and go on.
    Continue,
    /// The process cannot do its job without it: begin shutdown, exit with a failure.
    StopProcess,
}

/// A signal to stop; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    pub fn new() -> Self {
        Self::default()
    }

    /// Resolves once stopping was asked for.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    pub fn request(&self) {
        self.token.cancel();
    }

    /// A signal that fires with this one, and can also fire alone.
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token() }
    }
}

/// The set of tasks of one phase (`edges`, `engines`, `stores`, `doors`).
#[derive(Clone, Debug)]
pub struct Tasks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    phase: &'static str,
    shutdown: Shutdown,
    failed: Shutdown,
    running: Mutex<Vec<(String, JoinHandle<()>)>>,
}

impl Tasks {
    /// `failed` fires when a task whose policy is [`OnFailure::StopProcess`] fails.
    pub fn new(phase: &'static str, failed: Shutdown) -> Self {
        let inner = Inner { phase, shutdown: Shutdown::new(), failed, running: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// The signal on which this phase's tasks end.
    pub fn shutdown(&self) -> Shutdown {
        self.inner.shutdown.clone()
    }

    /// Runs `task` under `name` (`area/instance`, as in `rtsp/cam-17`).
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<E: std::fmt::Display>(
        &self,
        name: impl Into<String>,
        on_failure: OnFailure,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let name = name.into();
        let inner = Arc::clone(&self.inner);
        let label = name.clone();
        let supervised = async move {
            let failure = match std::panic::AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) => {
                    debug!(task = %label, "task ended");
                    return;
                }
                Ok(Err(e)) => e.to_string(),
                Err(_panic) => "panicked (a bug; the panic message is above)".to_owned(),
            };
            error!(task = %label, phase = inner.phase, error = %failure, "task failed");
            if on_failure == OnFailure::StopProcess {
                inner.failed.request();
            }
        };
        let handle = tokio::spawn(supervised);
        let mut running = self.inner.running.lock();
        running.retain(|(_, task)| !task.is_finished());
        running.push((name, handle));
    }

    /// Names of the tasks that run now.
    pub fn names(&self) -> Vec<String> {
        let running = self.inner.running.lock();
        running.iter().filter(|(_, t)| !t.is_finished()).map(|(n, _)| n.clone()).collect()
    }

    /// Asks every task of the phase to end and waits for them, `patience` in all; then aborts.
    pub async fn stop(&self, patience: Duration) {
        self.inner.shutdown.request();
        let deadline = tokio::time::Instant::now() + patience;
        let running = std::mem::take(&mut *self.inner.running.lock());
        for (name, mut handle) in running {
            if tokio::time::timeout_at(deadline, &mut handle).await.is_err() {
                warn!(task = %name, phase = self.inner.phase, "task did not end in time, aborted");
                handle.abort();
            }
        }
    }
}
