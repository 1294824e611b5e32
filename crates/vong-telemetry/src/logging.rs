//! Sets up structured logging once per process.

use tracing_subscriber::EnvFilter;

/// How log lines look: for a person at a terminal or for a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// What libraries say of bytes that others sent is not ours to repeat: requests with log-ins, whole
/// answers of a broken camera. A filter that names the library again has its way.
const LIBRARIES: &str = "retina=error";

/// Installs the process-wide subscriber, writing to standard error.
///
/// `filter` uses the `tracing` directive syntax (`info,vong_mqtt=debug`). A second call is
/// ignored: tests share one process.
pub fn init_logging(filter: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(format!("{LIBRARIES},{filter}"))
        .unwrap_or_else(|_| EnvFilter::new(format!("{LIBRARIES},info")));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(true);
    let installed = match format {
        LogFormat::Text => builder.compact().try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    drop(installed); // already installed by an earlier call: keep that one
}
