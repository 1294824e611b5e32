//! Records come back as written; a torn or damaged one ends the reading.

use proptest::prelude::*;

use super::*;

fn gop(tag: u8) -> Record {
    let gop = GopEntry {
        offset: 0x0102_0304_0506,
        head_len: 777,
        payload_len: 88_888,
        media_time_90k: 9_999_999_999,
        duration_90k: 180_000,
        frames: 50,
        lost_packets: 2,
        key: true,
        start: EventTime(1_795_305_600_123_456),
        camera_time: (tag.is_multiple_of(2)).then_some(EventTime(-5)),
        hashes: GopHashes { payload: [tag; 32], previous: [1; 32], chained: [2; 32] },
    };
    Record { name_ms: i64::from(tag), fact: Fact::Gop(gop) }
}

fn sample() -> Vec<Record> {
    let closed = Record { name_ms: -4, fact: Fact::Closed { heads: Some(16..999) } };
    vec![gop(1), gop(2), closed, Record { name_ms: 4, fact: Fact::Deleted }]
}

#[test]
fn appended_and_replaced_records_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("groups.idx");
    assert_eq!(read_all(&path).unwrap(), (Vec::new(), false));
    append(&path, 0, &sample()[..1]).unwrap();
    append(&path, 1, &sample()[1..]).unwrap();
    assert_eq!(read_all(&path).unwrap(), (sample(), true));
    assert_eq!(read_range(&path, 1..3).unwrap(), (sample()[1..3].to_vec(), true));
    assert_eq!(read_range(&path, 3..5).unwrap(), (sample()[3..].to_vec(), false));
    replace(&path, &sample()[2..]).unwrap();
    assert_eq!(read_all(&path).unwrap(), (sample()[2..].to_vec(), true));
}

mod golden;

proptest! {
    #[test]
    fn damaged_index_gives_only_records_that_were_written(
        cut in 0usize..800, at in 0usize..720, value in any::<u8>()
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("groups.idx");
        replace(&path, &sample()).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let same = bytes[at] == value;
        bytes[at] = value;
        bytes.truncate(cut);
        std::fs::write(&path, &bytes).unwrap();
        let (records, complete) = read_all(&path).unwrap();
        prop_assert!(sample().starts_with(&records));
        if complete && bytes.len() == HEADER_LEN + 4 * RECORD_LEN {
            prop_assert!(same && records.len() == 4);
        }
    }
}
