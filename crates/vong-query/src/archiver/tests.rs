//! Archiving step by step.

use vong_log::Log;
use vong_model::{Offset, Stream};

use super::{ArchiverConfig, Progress};
use crate::testing::{TestCity, speeds};

#[tokio::test]
async fn only_closed_parts_are_copied_in_bounded_commits() {
    let (city, log) = TestCity::in_memory();
    let archiver = city.archiver(ArchiverConfig { read_bytes: 1, ..Default::default() });
    assert_eq!(archiver.step().unwrap(), Progress::Idle);
    for i in 0..3 {
        city.append(Stream::Readings, speeds(&[(i, "TR-001", 1.0)])).await;
    }
    assert_eq!(archiver.step().unwrap(), Progress::Idle, "nothing is closed yet");
    log.seal();
    city.append(Stream::Readings, speeds(&[(9, "TR-001", 1.0)])).await;
    assert_eq!(archiver.step().unwrap(), Progress::Committed(Offset(1)));
    assert_eq!(archiver.step().unwrap(), Progress::Committed(Offset(2)));
    assert_eq!(archiver.step().unwrap(), Progress::Committed(Offset(3)));
    assert_eq!(archiver.step().unwrap(), Progress::Merged);
    assert_eq!(archiver.step().unwrap(), Progress::Idle);
    assert_eq!(city.number("SELECT count(*) FROM readings").await, 4);
}

#[tokio::test]
async fn records_trimmed_before_they_were_archived_are_counted_as_lost() {
    let (city, log) = TestCity::in_memory();
    for i in 0..4 {
        city.append(Stream::Readings, speeds(&[(i, "TR-001", 1.0)])).await;
        log.seal();
    }
    log.trim(Offset(3)).unwrap();
    let archiver = city.archiver(ArchiverConfig::default());
    assert_eq!(archiver.step().unwrap(), Progress::Committed(Offset(3)));
    assert_eq!(archiver.step().unwrap(), Progress::Committed(Offset(4)));
    assert!(city.metrics.render().contains("vong_archive_lost_records_total 3"));
    assert_eq!(city.number("SELECT count(*) FROM readings").await, 1);
}

#[tokio::test]
async fn old_rows_age_out() {
    let (city, log) = TestCity::in_memory();
    city.append(Stream::Readings, speeds(&[(-40 * 86_400, "TR-001", 1.0), (0, "TR-001", 2.0)]))
        .await;
    log.seal();
    let keep_days = [("readings".to_owned(), 30)].into();
    let archiver = city.archiver(ArchiverConfig { keep_days, ..Default::default() });
    archiver.step().unwrap();
    assert_eq!(city.number("SELECT count(*) FROM readings").await, 2);
    assert_eq!(archiver.step().unwrap(), Progress::Idle);
    assert_eq!(city.number("SELECT count(*) FROM readings").await, 1);
}
