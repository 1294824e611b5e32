//! An index of format version 1 as it lies on disks in the field: it must stay readable, and the
//! same records must give the same bytes. `VONG_BLESS=1` writes it anew, which only a new version
//! of the format may do.

use std::path::PathBuf;

use expect_test::expect;

use super::*;

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/index_file/golden/version-1.idx")
}

/// Every kind of record; no two fields have the same value.
fn records() -> Vec<Record> {
    let name_ms = 1_795_341_600_123;
    let group = |tag: u8, key, camera_time| {
        let gop = GopEntry {
            offset: 0x0102_0304_0506 + u64::from(tag),
            head_len: 777,
            payload_len: 88_888,
            media_time_90k: 9_999_999_999,
            duration_90k: 180_000,
            frames: 50,
            lost_packets: 2,
            key,
            start: EventTime(1_795_341_600_123_456),
            camera_time,
            hashes: GopHashes {
                payload: [tag; 32],
                previous: [tag + 1; 32],
                chained: [tag + 2; 32],
            },
        };
        Record { name_ms, fact: Fact::Gop(gop) }
    };
    vec![
        group(16, true, Some(EventTime(1_795_341_599_987_654))),
        group(32, false, None),
        Record { name_ms, fact: Fact::Closed { heads: None } },
        Record { name_ms: name_ms - 60_000, fact: Fact::Deleted },
    ]
}

#[test]
fn writer_gives_the_bytes_of_version_1() {
    let dir = tempfile::tempdir().unwrap();
    let (replaced, appended) = (dir.path().join("replaced.idx"), dir.path().join("appended.idx"));
    replace(&replaced, &records()).unwrap();
    for (existing, record) in (0..).zip(records()) {
        append(&appended, existing, &[record]).unwrap();
    }
    if std::env::var_os("VONG_BLESS").is_some() {
        std::fs::copy(&replaced, golden()).unwrap();
    }
    let known = std::fs::read(golden()).unwrap();
    for path in [replaced, appended] {
        let bytes = std::fs::read(&path).unwrap();
        let differs = known.iter().zip(&bytes).position(|(known, new)| known != new);
        assert_eq!((differs, known.len()), (None, bytes.len()), "{}", path.display());
    }
}

#[test]
fn index_of_version_1_is_read() {
    let (records, complete) = read_all(&golden()).unwrap();
    assert!(complete);
    let told: String = records.iter().map(tell).collect();
    expect![[r#"
        1795341600123 group at 1108152157462+777+88888 media 9999999999 lasts 180000 frames 50 lost 2 key true start 2026-11-22T10:00:00.123456Z camera 2026-11-22T09:59:59.987654Z
          hashes 16 17 18
        1795341600123 group at 1108152157478+777+88888 media 9999999999 lasts 180000 frames 50 lost 2 key false start 2026-11-22T10:00:00.123456Z camera -
          hashes 32 33 34
        1795341600123 Closed { heads: None }
        1795341540123 Deleted
    "#]].assert_eq(&told);
    assert_eq!(read_range(&golden(), 1..4).unwrap(), (records[1..].to_vec(), true));
}

fn tell(record: &Record) -> String {
    let Fact::Gop(gop) = &record.fact else {
        return format!("{} {:?}\n", record.name_ms, record.fact);
    };
    let GopHashes { payload, previous, chained } = gop.hashes;
    format!(
        "{} group at {}+{}+{} media {} lasts {} frames {} lost {} key {} start {} camera {}\n  \
         hashes {} {} {}\n",
        record.name_ms,
        gop.offset,
        gop.head_len,
        gop.payload_len,
        gop.media_time_90k,
        gop.duration_90k,
        gop.frames,
        gop.lost_packets,
        gop.key,
        gop.start,
        gop.camera_time.map_or_else(|| "-".to_owned(), |time| time.to_string()),
        payload[31],
        previous[31],
        chained[31],
    )
}
