//! From messages to durable rows: what was received and not yet appended, and the append in flight.
//!
//! One append at a time: while it is on its way to the disk, the next batch gathers. Batches become
//! durable in the order their messages came, so acknowledgements go out in that order too.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use vong_decode::{Decoder, Deduplicator, Delivery};
use vong_log::{BoxFuture, Entry, Log};
use vong_model::{EventTime, Offset, SourceEvent, Stream, source_events};
use vong_runtime::Clock;
use vong_telemetry::{Classify, Retry};

use crate::backoff::Backoff;
use crate::codec::Message;
use crate::error::Error;
use crate::metrics::BrokerMetrics;
use crate::oversize::TooLarge;

/// A batch is full with this many messages …
const BATCH_MESSAGES: usize = 4_096;
/// … or this many bytes of them.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Messages remembered to recognise one delivered again: more than a broker may have in flight
/// (65,535), twice over.
const REMEMBERED_MESSAGES: usize = 262_144;
/// Records at the log's end whose messages may be delivered again: those whose acknowledgements
/// were still on the way.
const TAIL_RECORDS: u64 = 16_384;
const TAIL_READ_BYTES: usize = 4 * 1024 * 1024;

pub(crate) struct Pipeline {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    decoder: Decoder,
    dedup: Deduplicator,
    metrics: BrokerMetrics,
    seed: u64,
    gathered: Batch,
    events: Vec<BrokerEvent>,
    commit: Option<Commit>,
}

/// Messages received since the last append began.
#[derive(Debug, Default)]
struct Batch {
    acks: Vec<u16>,
    messages: usize,
    bytes: usize,
    rows: u64,
    duplicates: u64,
    first_at: Option<Instant>,
}

/// A broker's sources came, or went.
#[derive(Debug)]
struct BrokerEvent {
    at: EventTime,
    source_id: String,
    /// `connected` or `lost`.
    state: &'static str,
    detail: String,
}

impl BrokerEvent {
    fn row(&self) -> SourceEvent<'_> {
        SourceEvent::now(self.at, &self.source_id, self.state, Some(&self.detail))
    }
}

/// An append in flight.
struct Commit {
    done: BoxFuture<'static, Result<(), Error>>,
    receipt: Receipt,
}

/// What may be acknowledged once an append is durable.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// In the order the messages came.
    pub(crate) acks: Vec<u16>,
    /// When the first of them came.
    pub(crate) first_at: Option<Instant>,
}

impl Pipeline {
    pub(crate) fn new(
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        decoder: Decoder,
        metrics: BrokerMetrics,
        seed: u64,
    ) -> Self {
        let dedup = Deduplicator::new(REMEMBERED_MESSAGES);
        let (gathered, events, commit) = (Batch::default(), Vec::new(), None);
        Self { log, clock, decoder, dedup, metrics, seed, gathered, events, commit }
    }

    /// Learns from the log's end which messages are stored already.
    pub(crate) async fn remember_tail(&mut self) -> Result<(), Error> {
        let log = Arc::clone(&self.log);
        let mut dedup = std::mem::replace(&mut self.dedup, Deduplicator::new(1));
        let seeded = tokio::task::spawn_blocking(move || {
            read_tail(log.as_ref(), &mut dedup).map(|()| dedup)
        });
        self.dedup = match seeded.await {
            Ok(dedup) => dedup?,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_stopping) => Deduplicator::new(REMEMBERED_MESSAGES), // the runtime shuts down
        };
        Ok(())
    }

    /// Whether the batch that gathers takes another message.
    pub(crate) fn has_room(&self) -> bool {
        // A message whose every field is wrong is kept once a field, so rejects are weighed too.
        let bytes = self.gathered.bytes + self.decoder.waiting_payload_bytes();
        self.gathered.messages < BATCH_MESSAGES && bytes < BATCH_BYTES
    }

    pub(crate) fn take(&mut self, message: &Message) {
        let Message { topic, payload, packet_id, redelivered, retained } = message;
        let topic = String::from_utf8_lossy(topic);
        self.count(payload.len() + topic.len(), *packet_id);
        let routed = self.decoder.route(&topic, payload);
        let delivery = Delivery { redelivered: *redelivered, retained: *retained };
        if self.dedup.is_repeat(&routed, delivery) {
            // Its rows are durable or in an earlier or this same batch: this batch's receipt will do.
            self.gathered.duplicates += 1;
            return;
        }
        let arrival = EventTime(self.clock.now());
        let tally = self.decoder.decode_routed(&routed, &topic, payload, arrival);
        self.gathered.rows += u64::from(tally.rows);
    }

    pub(crate) fn take_too_large(&mut self, message: &TooLarge) {
        let TooLarge { topic, head, size_bytes, packet_id } = message;
        let topic = String::from_utf8_lossy(topic);
        self.count(head.len() + topic.len(), *packet_id);
        let arrival = EventTime(self.clock.now());
        self.decoder.refuse_too_large(&topic, head, *size_bytes, arrival);
    }

    /// Notes a change of a source's state, to be appended with the next batch.
    pub(crate) fn note(&mut self, source_id: String, state: &'static str, detail: &str) {
        let at = EventTime(self.clock.now());
        self.events.push(BrokerEvent { at, source_id, state, detail: detail.to_owned() });
    }

    /// Begins to append what has gathered, unless an append is in flight or nothing has gathered.
    pub(crate) fn begin_commit(&mut self) {
        if self.commit.is_some() || (self.gathered.messages == 0 && self.events.is_empty()) {
            return;
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(3);
        if !self.events.is_empty() {
            let rows: Vec<SourceEvent<'_>> = self.events.iter().map(BrokerEvent::row).collect();
            entries.push(Entry::new(Stream::SourceEvents, source_events(&rows)));
            self.events.clear();
        }
        for (stream, batch) in self.decoder.take() {
            self.observe_lag(stream, &batch);
            entries.push(Entry::new(stream, batch));
        }
        let Batch { acks, messages, rows, duplicates, first_at, .. } =
            std::mem::take(&mut self.gathered);
        self.count_batch(messages, rows, duplicates);
        let log = Arc::clone(&self.log);
        let (metrics, seed) = (self.metrics.clone(), self.seed);
        let done = Box::pin(append_until_durable(log, entries, metrics, seed));
        self.commit = Some(Commit { done, receipt: Receipt { acks, first_at } });
    }

    /// Resolves once the append in flight is durable; never while there is none. Loses nothing when
    /// dropped before it resolves.
    pub(crate) async fn committed(&mut self) -> Result<Receipt, Error> {
        let Some(commit) = &mut self.commit else { return std::future::pending().await };
        let done = commit.done.as_mut().await;
        let commit = self.commit.take();
        done?;
        Ok(commit.map_or(Receipt { acks: Vec::new(), first_at: None }, |c| c.receipt))
    }

    /// Whether anything is not durable yet.
    pub(crate) fn is_busy(&self) -> bool {
        self.commit.is_some() || self.gathered.messages > 0 || !self.events.is_empty()
    }

    /// The connection is gone: acknowledgements on another one would be for other messages.
    pub(crate) fn forget_receipts(&mut self) {
        self.gathered.acks.clear();
        if let Some(commit) = &mut self.commit {
            commit.receipt.acks.clear();
        }
    }

    fn count(&mut self, bytes: usize, packet_id: Option<u16>) {
        let Batch { acks, messages, bytes: sum, first_at, .. } = &mut self.gathered;
        *messages += 1;
        *sum += bytes;
        acks.extend(packet_id);
        first_at.get_or_insert_with(Instant::now);
    }

    fn count_batch(&mut self, messages: usize, rows: u64, duplicates: u64) {
        let BrokerMetrics { broker, rejects, .. } = &self.metrics;
        for (reason, count) in self.decoder.take_reject_counts() {
            rejects.with_label_values(&[broker.as_str(), reason.as_str()]).inc_by(count);
        }
        self.metrics.messages.inc_by(messages as u64);
        self.metrics.rows.inc_by(rows);
        self.metrics.duplicates.inc_by(duplicates);
        self.metrics.waiting.set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    fn observe_lag(&self, stream: Stream, batch: &RecordBatch) {
        let Some(last) = batch.num_rows().checked_sub(1) else { return };
        if stream == Stream::Readings {
            let time = |column: &str| {
                let column = batch.column(stream.column_index(column));
                EventTime(column.as_primitive::<TimestampMicrosecondType>().value(last))
            };
            self.metrics.lag.set(time("arrival_time").millis() - time("event_time").millis());
        }
    }
}

impl Receipt {
    pub(crate) fn observe(&self, metrics: &BrokerMetrics) {
        metrics.waiting.set(0);
        if let Some(first_at) = self.first_at {
            metrics.ack_latency.observe(first_at.elapsed().as_secs_f64());
        }
    }
}

/// Appends, and while the log refuses for a while only (disk full), tries again: the messages stay
/// unacknowledged, so the broker keeps them too.
async fn append_until_durable(
    log: Arc<dyn Log>,
    entries: Vec<Entry>,
    metrics: BrokerMetrics,
    seed: u64,
) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(()); // only repetitions of messages that are durable
    }
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5), seed);
    let mut failures = 0u64;
    loop {
        match log.append(entries.clone()).await {
            Ok(_offsets) => break,
            Err(source) if source.retry() == Retry::Later => {
                metrics.append_failures.inc();
                if failures == 0 {
                    let source = Error::Append { source }.line();
                    warn!(broker = %metrics.broker, error = %source, "intake waits for the log");
                }
                failures += 1;
                sleep(backoff.wait()).await;
            }
            Err(source) => return Err(Error::Append { source }),
        }
    }
    if failures > 0 {
        info!(broker = %metrics.broker, failures, "the log takes appends again");
    }
    Ok(())
}

fn read_tail(log: &dyn Log, dedup: &mut Deduplicator) -> Result<(), Error> {
    let mut from = Offset(log.head().0.saturating_sub(TAIL_RECORDS)).max(log.floor());
    loop {
        let records = match log.read(from, TAIL_READ_BYTES) {
            Ok(records) => records,
            // Repetitions of what is gone, by retention or damage, are stored once more: no loss.
            Err(source) => match source.resume_at().filter(|at| *at > from) {
                Some(at) => {
                    from = at;
                    continue;
                }
                None => return Err(Error::ReadTail { source }),
            },
        };
        let Some(last) = records.last() else { return Ok(()) };
        from = last.offset.next();
        let messages = |stream| matches!(stream, Stream::Readings | Stream::RejectedEvents);
        for record in records.iter().filter(|r| messages(r.stream)) {
            dedup.seed(&record.batch);
        }
    }
}

#[cfg(test)]
mod tests;
