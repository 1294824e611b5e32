//! What a receipt covers, fed by hand.

use bytes::Bytes;
use vong_decode::SourcesFile;
use vong_log::MemLog;
use vong_model::Assets;
use vong_runtime::ManualClock;
use vong_telemetry::Metrics;

use super::*;
use crate::metrics::MqttMetrics;

const SOURCE: &str = r#"
[[source]]
id = "a"
broker = "b"
topic = "t/{sensor_id}"
timestamp = { pointer = "/t", format = "unix_s" }
[[source.field]]
metric = "n"
pointer = "/n"
max = 9.0
"#;

fn pipeline() -> (Pipeline, MemLog) {
    let file: SourcesFile = toml::from_str(SOURCE).unwrap();
    let decoder = Decoder::new("b", &file.sources, &Assets::default()).unwrap();
    let clock = Arc::new(ManualClock::new(1_000_000_000));
    let log = MemLog::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let metrics = MqttMetrics::new(&Metrics::new()).of("b");
    (Pipeline::new(Arc::new(log.clone()), clock, decoder, metrics, 1), log)
}

fn message(packet_id: u16, payload: impl Into<Bytes>) -> Message {
    Message {
        topic: Bytes::from_static(b"t/S"),
        payload: payload.into(),
        packet_id: Some(packet_id),
        redelivered: false,
        retained: false,
    }
}

fn numbered(packet_id: u16, n: u64) -> Message {
    message(packet_id, format!("{{\"t\":1000,\"n\":{n}}}"))
}

fn appended(log: &MemLog) -> Vec<(Stream, usize)> {
    let records = log.read(Offset::ZERO, usize::MAX).unwrap();
    records.iter().map(|record| (record.stream, record.batch.num_rows())).collect()
}

#[tokio::test]
async fn a_receipt_lists_every_message_of_its_append_in_order() {
    let (mut pipeline, log) = pipeline();
    pipeline.note("a".into(), "connected", "here");
    for taken in [numbered(7, 1), numbered(3, 10), numbered(9, 2), numbered(4, 1)] {
        pipeline.take(&taken);
    }
    pipeline.begin_commit();
    pipeline.take(&numbered(5, 3)); // gathers for the next append
    let receipt = pipeline.committed().await.unwrap();
    assert_eq!(receipt.acks, [7, 3, 9, 4]);
    let expected = [(Stream::SourceEvents, 1), (Stream::Readings, 2), (Stream::RejectedEvents, 1)];
    assert_eq!(appended(&log), expected, "the repeated message is not stored again");
    assert!(pipeline.is_busy());
}

#[tokio::test]
async fn a_lost_connection_takes_its_acknowledgements_with_it_but_not_its_rows() {
    let (mut pipeline, log) = pipeline();
    pipeline.take(&numbered(1, 1));
    pipeline.begin_commit();
    pipeline.take(&numbered(2, 2));
    pipeline.forget_receipts();
    pipeline.take(&numbered(1, 2)); // on the next connection, under another number
    assert!(pipeline.committed().await.unwrap().acks.is_empty());
    pipeline.begin_commit();
    assert_eq!(pipeline.committed().await.unwrap().acks, [1]);
    assert_eq!(appended(&log), [(Stream::Readings, 1), (Stream::Readings, 1)]);
    assert!(!pipeline.is_busy());
}

#[tokio::test]
async fn repetitions_alone_append_nothing_and_are_acknowledged() {
    let (mut pipeline, log) = pipeline();
    for packet_id in [1, 2] {
        pipeline.take(&numbered(packet_id, 1));
        pipeline.begin_commit();
        assert_eq!(pipeline.committed().await.unwrap().acks, [packet_id]);
    }
    assert_eq!(appended(&log), [(Stream::Readings, 1)]);
}

#[tokio::test]
async fn a_restarted_pipeline_knows_what_the_log_holds() {
    let (mut before, log) = pipeline();
    before.take(&numbered(1, 1));
    before.take(&message(2, "no json"));
    before.begin_commit();
    before.committed().await.unwrap();
    let (mut after, _) = pipeline();
    after.log = Arc::new(log.clone());
    after.remember_tail().await.unwrap();
    let again = Message { redelivered: true, ..message(2, "no json") };
    after.take(&numbered(1, 1));
    after.take(&again);
    after.begin_commit();
    assert_eq!(after.committed().await.unwrap().acks, [1, 2]);
    assert_eq!(appended(&log).len(), 2);
}

#[test]
fn a_batch_is_bounded_by_messages_and_by_bytes() {
    let (mut many, _) = pipeline();
    let taken = (0..).take_while(|n| {
        many.take(&numbered(1, *n % 9));
        many.has_room()
    });
    assert_eq!(taken.count() + 1, BATCH_MESSAGES);
    let (mut large, _) = pipeline();
    let taken = (0..1_000u32).take_while(|n| {
        large.take(&message(1, format!("{n}{}", " ".repeat(100_000))));
        large.has_room()
    });
    assert!(taken.count() < 90, "8 MiB of 100 KB messages, kept up to 64 KiB each when rejected");
}
