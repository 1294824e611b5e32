//! What is written is read back; what is damaged is refused, never trusted and never a panic.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::gop::tests::parameters;
use crate::scan::{read_file_head, scan_gops};

fn gop(start_ms: i64, sizes: &[u32], key: bool) -> Gop {
    Gop {
        parameters: parameters(1),
        start: EventTime(start_ms * 1_000),
        camera_time: key.then_some(EventTime(start_ms * 1_000 - 77)),
        key,
        lost_packets: 3,
        frames: sizes.iter().map(|size| Frame { duration_90k: 3_600, size: *size }).collect(),
        data: sizes.iter().map(|size| Bytes::from(vec![9; *size as usize])).collect(),
    }
}

fn hashes(tag: u8) -> GopHashes {
    GopHashes { payload: [tag; 32], previous: [tag + 1; 32], chained: [tag + 2; 32] }
}

fn file(gops: &[Gop]) -> (Vec<u8>, Vec<GopEntry>) {
    let facts = FileFacts {
        camera_id: "CAM-01".to_owned(),
        start: gops[0].start,
        parameters: parameters(1),
    };
    let mut bytes = encode_file_head(&facts).unwrap().to_vec();
    let mut entries = Vec::new();
    let mut media = 0;
    for (index, gop) in gops.iter().enumerate() {
        let offset = bytes.len() as u64;
        let hashes = hashes(index as u8);
        let head = encode_gop_head(gop, &hashes, index as u32 + 1, media).unwrap();
        entries.push(GopEntry {
            offset,
            head_len: head.len() as u32,
            payload_len: gop.payload_len() as u32,
            media_time_90k: media,
            duration_90k: gop.duration_90k(),
            frames: gop.frames.len() as u32,
            lost_packets: 3,
            key: gop.key,
            start: gop.start,
            camera_time: gop.camera_time,
            hashes,
        });
        bytes.extend_from_slice(&head);
        gop.data.iter().for_each(|data| bytes.extend_from_slice(data));
        media += gop.duration_90k();
    }
    (bytes, entries)
}

fn reader(bytes: &[u8]) -> impl FnMut(u64, usize) -> Result<Bytes, Infallible> {
    move |offset, len| {
        let start = (offset as usize).min(bytes.len());
        let end = start.saturating_add(len).min(bytes.len());
        Ok(Bytes::copy_from_slice(&bytes[start..end]))
    }
}

fn sample() -> (Vec<u8>, Vec<GopEntry>) {
    file(&[
        gop(1_000, &[500, 20, 30], true),
        gop(1_120, &[40, 0, 7], false),
        gop(1_240, &[9], true),
    ])
}

#[test]
fn what_is_written_is_read_back() {
    let (bytes, entries) = sample();
    let (facts, start) = read_file_head(&mut reader(&bytes)).unwrap();
    assert_eq!(facts.camera_id, "CAM-01");
    assert_eq!(facts.start, EventTime(1_000_000));
    assert_eq!(facts.parameters, parameters(1));
    assert_eq!(start, entries[0].offset);
    let scan = scan_gops(&mut reader(&bytes), start, bytes.len() as u64).unwrap();
    assert!(scan.torn.is_none());
    assert_eq!(scan.gops, entries);
}

#[test]
fn group_of_very_many_frames_is_read_back() {
    let sizes: Vec<u32> = (0..3_000).map(|i| i % 7).collect();
    let (bytes, entries) = file(&[gop(0, &sizes, true)]);
    let scan = scan_gops(&mut reader(&bytes), entries[0].offset, bytes.len() as u64).unwrap();
    assert_eq!(scan.gops, entries);
}

#[test]
fn head_is_a_file_that_a_general_parser_understands() {
    use mp4_atom::{Any, DecodeMaybe};
    let facts = FileFacts {
        camera_id: "CAM-01".to_owned(),
        start: EventTime(0),
        parameters: parameters(1),
    };
    let mut rest: &[u8] = &encode_gop_head(&gop(0, &[1, 2], true), &hashes(0), 1, 7_777).unwrap();
    let Some(Any::Uuid(_)) = Any::decode_maybe(&mut rest).unwrap() else { panic!("no uuid") };
    let Some(Any::Moof(moof)) = Any::decode_maybe(&mut rest).unwrap() else { panic!("no moof") };
    assert_eq!(moof.traf[0].tfdt.as_ref().unwrap().base_media_decode_time, 7_777);
    assert_eq!(moof.traf[0].trun[0].samples.len(), 2);
    let head = encode_file_head(&facts).unwrap();
    let mut rest: &[u8] = &head;
    assert!(matches!(Any::decode_maybe(&mut rest).unwrap(), Some(Any::Ftyp(_))));
}

mod golden;

proptest! {
    #[test]
    fn file_cut_anywhere_keeps_exactly_its_whole_groups(cut in 0usize..2_000) {
        let (bytes, entries) = sample();
        let cut = cut.min(bytes.len());
        let kept = &bytes[..cut];
        let Ok((_, start)) = read_file_head(&mut reader(kept)) else {
            prop_assert!((cut as u64) < entries[0].offset);
            return Ok(());
        };
        let scan = scan_gops(&mut reader(kept), start, cut as u64).unwrap();
        let whole: Vec<_> =
            entries.iter().filter(|e| e.end_offset() <= cut as u64).copied().collect();
        prop_assert_eq!(scan.valid_end, whole.last().map_or(start, GopEntry::end_offset));
        prop_assert_eq!(scan.torn.is_some(), scan.valid_end < cut as u64);
        prop_assert_eq!(scan.gops, whole);
    }

    #[test]
    fn damaged_file_never_panics(
        flips in prop::collection::vec((0usize..2_000, any::<u8>()), 1..8),
        claimed_len in any::<u64>(),
    ) {
        let (mut bytes, _) = sample();
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        let start = read_file_head(&mut reader(&bytes)).map_or(0, |(_, start)| start);
        let scan = scan_gops(&mut reader(&bytes), start, bytes.len() as u64).unwrap();
        prop_assert!(scan.valid_end <= (bytes.len() as u64).max(start));
        scan_gops(&mut reader(&bytes), start, claimed_len).unwrap();
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        drop(parse_file_head(&bytes));
        drop(parse_gop_head(&bytes, 5));
        drop(gop_head_len(&bytes));
    }
}
