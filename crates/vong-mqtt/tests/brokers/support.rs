//! A small installation around one intake: a log that can misbehave, two sources, metrics.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type};
use parking_lot::Mutex;
use tokio::sync::watch;
use vong_decode::{Decoder, SourcesFile};
use vong_log::{BoxFuture, Entry, Error, Log, MemLog, Record, SealedRange};
use vong_model::{Assets, Offset, Stream};
use vong_mqtt::{BrokerConfig, MqttIntake, MqttMetrics, Protocol};
use vong_runtime::{ManualClock, OnFailure, Shutdown, Tasks};
use vong_telemetry::Metrics;
use vong_testkit::{Publisher, wait_until};

pub(crate) const BOTH: [Protocol; 2] = [Protocol::V5, Protocol::V311];

const PATIENCE: Duration = Duration::from_secs(60);
/// 2026-11-22T00:00:00Z, in milliseconds.
const NOW_MS: i64 = 1_795_305_600_000;

const SOURCES: &str = r#"
[[source]]
id = "stamped"
broker = "test"
topic = "t/{sensor_id}"
timestamp = { pointer = "/t", format = "unix_ms" }
[[source.field]]
metric = "number"
pointer = "/n"

[[source]]
id = "bare"
broker = "test"
topic = "bare/{sensor_id}"
[[source.field]]
metric = "number"
pointer = ""
"#;

/// Messages that each carry a number.
pub(crate) fn numbered(numbers: Range<i64>) -> Vec<(String, Vec<u8>)> {
    let message = |n| (format!("t/S-{}", n % 50), format!("{{\"t\":{},\"n\":{n}}}", NOW_MS - n));
    numbers.map(message).map(|(topic, payload)| (topic, payload.into_bytes())).collect()
}

/// Publishes with QoS 1 to a broker that stays.
pub(crate) fn publish(port: u16, messages: &[(String, Vec<u8>)]) -> Result<()> {
    tokio::task::block_in_place(|| Publisher::connect(port, "publisher")?.publish(messages, &mut 0))
}

/// What a log does with an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Good,
    /// Refuses for now.
    Full,
    /// Refuses for good.
    Broken,
    /// Stores, and never says so.
    StoreAndNeverAnswer,
}

/// A log in memory that can be told to misbehave.
pub(crate) struct TestLog {
    inner: MemLog,
    behaviour: Mutex<Behaviour>,
}

impl fmt::Debug for TestLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestLog")
    }
}

impl TestLog {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(NOW_MS * 1_000));
        Self { inner: MemLog::new(clock), behaviour: Mutex::new(Behaviour::Good) }
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock() = behaviour;
    }

    fn batches(&self, stream: Stream) -> Vec<RecordBatch> {
        let records = self.inner.read(Offset::ZERO, usize::MAX).unwrap_or_default();
        records.into_iter().filter(|r| r.stream == stream).map(|r| r.batch).collect()
    }

    fn keys(&self, stream: Stream, column: &str) -> Vec<String> {
        let mut out = Vec::new();
        for batch in self.batches(stream) {
            let column = batch.column(stream.column_index(column)).as_dictionary::<Int32Type>();
            let typed = column.downcast_dict::<arrow::array::StringArray>();
            let values = typed.into_iter().flatten();
            out.extend(values.map(|value| value.unwrap_or("").to_owned()));
        }
        out
    }

    /// The values of all readings, in the order of the log.
    pub(crate) fn numbers(&self) -> Vec<i64> {
        let mut numbers = Vec::new();
        for batch in self.batches(Stream::Readings) {
            let values = batch.column(Stream::Readings.column_index("value"));
            numbers.extend(values.as_primitive::<Float64Type>().values().iter().map(|v| *v as i64));
        }
        numbers
    }

    /// Whether each of `numbers` was stored exactly once, whatever else was.
    pub(crate) fn exactly(&self, numbers: Range<i64>) -> bool {
        let mut stored = self.numbers_of_stamped();
        stored.sort_unstable();
        stored == numbers.collect::<Vec<_>>()
    }

    fn numbers_of_stamped(&self) -> Vec<i64> {
        let sources = self.keys(Stream::Readings, "source_id");
        let both = self.numbers().into_iter().zip(sources);
        both.filter(|(_, source)| source == "stamped").map(|(number, _)| number).collect()
    }

    pub(crate) fn rejects(&self) -> Vec<String> {
        self.keys(Stream::RejectedEvents, "reason")
    }

    pub(crate) fn states(&self) -> Vec<String> {
        self.keys(Stream::SourceEvents, "state")
    }

    pub(crate) fn details(&self) -> Vec<String> {
        let mut out = Vec::new();
        for batch in self.batches(Stream::SourceEvents) {
            let column = batch.column(Stream::SourceEvents.column_index("detail"));
            out.extend(column.as_string::<i32>().iter().map(|d| d.unwrap_or("").to_owned()));
        }
        out
    }
}

impl Log for TestLog {
    fn append(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<Range<Offset>, Error>> {
        let behaviour = *self.behaviour.lock();
        Box::pin(async move {
            let source = || Arc::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
            match behaviour {
                Behaviour::Good => self.inner.append(entries).await,
                Behaviour::Full => Err(Error::DiskFull { path: "test".into(), source: source() }),
                Behaviour::Broken => Err(Error::Closed),
                Behaviour::StoreAndNeverAnswer => {
                    self.inner.append(entries).await?;
                    std::future::pending().await
                }
            }
        })
    }

    fn append_blocking(&self, entries: Vec<Entry>) -> Result<Range<Offset>, Error> {
        self.inner.append_blocking(entries)
    }

    fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Record>, Error> {
        self.inner.read(from, max_bytes)
    }

    fn floor(&self) -> Offset {
        self.inner.floor()
    }

    fn head(&self) -> Offset {
        self.inner.head()
    }

    fn watch(&self) -> watch::Receiver<Offset> {
        self.inner.watch()
    }

    fn epoch(&self) -> &str {
        self.inner.epoch()
    }

    fn sealed(&self) -> Vec<SealedRange> {
        self.inner.sealed()
    }

    fn trim(&self, below: Offset) -> Result<(), Error> {
        self.inner.trim(below)
    }

    fn cursor_get(&self, name: &str) -> Result<Option<Offset>, Error> {
        self.inner.cursor_get(name)
    }

    fn cursor_set(&self, name: &str, offset: Offset) -> Result<(), Error> {
        self.inner.cursor_set(name, offset)
    }
}

/// An intake at work.
#[derive(Debug)]
pub(crate) struct Site {
    tasks: Tasks,
    metrics: Metrics,
    pub(crate) failed: Arc<AtomicBool>,
}

impl Site {
    pub(crate) fn start(port: u16, protocol: Protocol, log: &Arc<TestLog>) -> Result<Self> {
        Self::start_with(port, protocol, log, |_| ())
    }

    pub(crate) fn start_with(
        port: u16,
        protocol: Protocol,
        log: &Arc<TestLog>,
        change: impl FnOnce(&mut BrokerConfig),
    ) -> Result<Self> {
        Self::start_on(port, protocol, Arc::clone(log) as Arc<dyn Log>, change)
    }

    /// As [`Self::start_with`], on any log.
    pub(crate) fn start_on(
        port: u16,
        protocol: Protocol,
        log: Arc<dyn Log>,
        change: impl FnOnce(&mut BrokerConfig),
    ) -> Result<Self> {
        let mut config = BrokerConfig::new("test", "127.0.0.1", port);
        config.protocol = protocol;
        change(&mut config);
        let file: SourcesFile = toml::from_str(SOURCES)?;
        let decoder = Decoder::new("test", &file.sources, &Assets::default())?;
        let metrics = Metrics::new();
        let clock = Arc::new(ManualClock::new(NOW_MS * 1_000));
        let intake = MqttIntake::new(config, decoder, log, clock, &MqttMetrics::new(&metrics), 1)?;
        let tasks = Tasks::new("edges", Shutdown::new());
        let failed = Arc::new(AtomicBool::new(false));
        let (shutdown, flag) = (tasks.shutdown(), Arc::clone(&failed));
        tasks.spawn("mqtt/test", OnFailure::Continue, async move {
            let ended = intake.run(shutdown).await;
            flag.store(ended.is_err(), Ordering::SeqCst);
            ended
        });
        Ok(Self { tasks, metrics, failed })
    }

    pub(crate) fn wait_for(&self, what: &str, condition: impl FnMut() -> bool) -> Result<()> {
        let came = tokio::task::block_in_place(|| wait_until(PATIENCE, condition));
        ensure!(came, "{what} did not come; metrics:\n{}", self.metrics.render());
        Ok(())
    }

    /// The value of `vong_mqtt_<name>`; 0 while it has none.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.render();
        let prefix = format!("vong_mqtt_{name}{{");
        let line = text.lines().find(|line| line.starts_with(&prefix));
        line.and_then(|l| l.rsplit(' ').next()).and_then(|v| v.parse().ok()).unwrap_or(0)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.tasks.stop(Duration::from_secs(10)).await;
        Ok(())
    }

    /// Ends it where it stands, as a killed process would.
    pub(crate) async fn crash(self) {
        self.tasks.stop(Duration::ZERO).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A certificate authority, another one, and a broker's certificate signed by the first.
pub(crate) fn make_certificates(directory: &Path) -> Result<()> {
    let openssl = |arguments: &str| -> Result<()> {
        let run = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(directory)
            .output()
            .context("cannot run openssl")?;
        ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        Ok(())
    };
    let authority = |name: &str| {
        openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN={name} \
             -keyout {name}.key -out {name}.pem"
        ))
    };
    authority("ca")?;
    authority("other")?;
    std::fs::write(directory.join("san"), "subjectAltName=DNS:localhost\n")?;
    openssl(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
         -keyout broker.key -out broker.csr",
    )?;
    openssl(
        "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 \
         -extfile san -out broker.pem",
    )
}
