//! Structures survive, any flipped bit is seen, and the bytes of this version are pinned.

use expect_test::expect;

use super::*;
use crate::file::hex;

const FRAME: Frame = Frame { version: VERSION, epoch: [7; 16] };

fn header() -> RecordHeader {
    RecordHeader {
        kind: Kind::Batch(Stream::Readings),
        group_left: 3,
        body_bytes: 77,
        body_crc: 0xdead_beef,
        offset: Offset(1 << 40),
        appended_at: -5,
        durable: 4_096,
        rows: 9,
    }
}

fn segment_header(version: u32) -> SegmentHeader {
    let previous = match version {
        1 => Previous { sha256: [1; 32], bytes: 0 },
        _ => Previous { sha256: [1; 32], bytes: 4_711 },
    };
    let room = if version == 1 { 0 } else { 1 << 20 };
    SegmentHeader { version, epoch: [7; 16], first: Offset(12), created_at: 99, previous, room }
}

#[test]
fn record_header_survives_and_any_flipped_bit_is_seen() {
    for version in 1..=VERSION {
        let frame = Frame { version, ..FRAME };
        let mut bytes = Vec::new();
        header().write_to(&mut bytes, &frame, 128);
        assert_eq!(bytes.len(), RECORD_HEADER_BYTES);
        assert_eq!(RecordHeader::decode(&bytes, &frame, 128), Ok(header()));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(RecordHeader::decode(&damaged, &frame, 128).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn record_is_one_only_at_its_own_place_of_its_own_log() {
    let mut bytes = Vec::new();
    header().write_to(&mut bytes, &FRAME, 128);
    assert!(RecordHeader::decode(&bytes, &FRAME, 129).is_err());
    let other = Frame { epoch: [8; 16], ..FRAME };
    assert!(RecordHeader::decode(&bytes, &other, 128).is_err());
}

#[test]
fn segment_header_survives_and_any_flipped_bit_is_seen() {
    for version in 1..=VERSION {
        let bytes = segment_header(version).encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(segment_header(version)));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&damaged).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn another_version_is_named_and_not_guessed_at() {
    for version in [0, VERSION + 1] {
        let bytes = SegmentHeader { version, ..segment_header(VERSION) }.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Err(Bad::Version(version)));
    }
}

#[test]
fn seal_body_survives_and_hostile_counts_are_refused() {
    let index = [IndexEntry { offset: Offset(4), position: 128 }];
    let body = encode_seal(&index, 900);
    assert_eq!(decode_seal(&body), Ok(index.to_vec()));
    let trailer = body.last_chunk().unwrap();
    assert_eq!(seal_position(trailer), Some(900));
    assert!(decode_seal(&[255; 20]).is_err());
    assert!(decode_seal(&[]).is_err());
}

/// When this fails, bytes on disk would change. That needs: the next number for [`VERSION`], a
/// reader that still takes every older one (see [`Frame`]), what changed at the top of `format`, a
/// new directory below `tests/golden`, a decision record, and a line in the changelog marked
/// **breaking**. Only then may the text below change.
#[test]
fn the_bytes_of_this_version_are_pinned() {
    let mut record = Vec::new();
    header().write_to(&mut record, &FRAME, 128);
    let seal = encode_seal(&[IndexEntry { offset: Offset(4), position: 128 }], 900);
    let lines = [
        format!("version {VERSION}"),
        format!("header {}", hex(&segment_header(VERSION).encode())),
        format!("record {}", hex(&record)),
        format!("seal {}", hex(&seal)),
    ];
    expect![[r#"
        version 2
        header 564f4e475345470a02000000800000000000000200100000070707070707070707070707070707070c00000000000000630000000000000001010101010101010101010101010101010101010101010101010101010101016712000000000000000010000000000000000000000000000000000000000000000000009b7d7984
        record 56524543010103004d000000efbeadde0000000000010000fbffffffffffffff001000000900000000000000d81d7690
        seal 01000000040000000000000080000000840300005345414c"#]]
    .assert_eq(&lines.join("\n"));
}
