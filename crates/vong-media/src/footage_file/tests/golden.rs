//! Files of format version 1 as they lie on disks in the field: they must stay readable, and the
//! same frames must give the same bytes. `VONG_BLESS=1` writes them anew, which only a new version
//! of the format may do.

use std::path::PathBuf;

use expect_test::{Expect, expect};

use super::*;

fn path(codec: Codec) -> PathBuf {
    let name = format!("src/footage_file/golden/version-1-{codec}.mp4");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Two groups, the second a continuation; no two fields have the same value.
fn written(codec: Codec) -> Vec<u8> {
    let (name, rfc6381) = match codec {
        Codec::H264 => (b"avc1", "avc1.64001f"),
        Codec::H265 => (b"hvc1", "hvc1.1.6.L93.B0"),
    };
    let sample_entry = [&[0, 0, 0, 12][..], name, &[1, 2, 3, 4]].concat();
    let parameters = Arc::new(VideoParameters {
        codec,
        width: 1_920,
        height: 1_080,
        rfc6381: rfc6381.to_owned(),
        sample_entry: Bytes::from(sample_entry),
    });
    let start = EventTime(1_795_341_600_123_456);
    let frame = |duration_90k, size| Frame { duration_90k, size };
    let data = |frames: &[Frame]| -> Vec<Bytes> {
        frames.iter().map(|f| Bytes::from(vec![f.size as u8; f.size as usize])).collect()
    };
    let first = [frame(3_600, 31), frame(3_599, 7), frame(7_201, 9)];
    let second = [frame(3_601, 5), frame(3_600, 6)];
    let group = |start, key, camera_time, lost_packets, frames: &[Frame]| Gop {
        parameters: Arc::clone(&parameters),
        start,
        camera_time,
        key,
        lost_packets,
        frames: frames.to_vec(),
        data: data(frames),
    };
    let camera_time = EventTime(1_795_341_599_987_654);
    let first = group(start, true, Some(camera_time), 3, &first);
    let second = group(first.end(), false, None, 4, &second);
    let facts = FileFacts { camera_id: "CAM-Đà Nẵng-01".to_owned(), start, parameters };
    let mut bytes = encode_file_head(&facts).unwrap().to_vec();
    let mut media = 0;
    for (sequence, gop) in (1u32..).zip([&first, &second]) {
        let head = encode_gop_head(gop, &hashes(sequence as u8 * 16), sequence, media).unwrap();
        bytes.extend_from_slice(&head);
        gop.data.iter().for_each(|data| bytes.extend_from_slice(data));
        media += gop.duration_90k();
    }
    bytes
}

#[test]
fn writer_gives_the_bytes_of_version_1() {
    for codec in [Codec::H264, Codec::H265] {
        let (path, bytes) = (path(codec), written(codec));
        if std::env::var_os("VONG_BLESS").is_some() {
            std::fs::write(&path, &bytes).unwrap();
        }
        let golden = std::fs::read(&path).unwrap();
        let differs = golden.iter().zip(&bytes).position(|(golden, new)| golden != new);
        assert_eq!(
            (differs, golden.len()),
            (None, bytes.len()),
            "{codec}: first byte that differs"
        );
    }
}

#[expect(clippy::needless_pass_by_value, reason = "expect! gives a value")]
fn check(codec: Codec, expected: Expect) {
    let bytes = std::fs::read(path(codec)).unwrap();
    let (facts, first) = read_file_head(&mut reader(&bytes)).unwrap();
    let parameters = &facts.parameters;
    let mut told = format!(
        "{} {} {}x{} {} entry {:?} start {} groups from {first}\n",
        facts.camera_id,
        parameters.codec,
        parameters.width,
        parameters.height,
        parameters.rfc6381,
        parameters.sample_entry,
        facts.start,
    );
    let scan = scan_gops(&mut reader(&bytes), first, bytes.len() as u64).unwrap();
    assert!(scan.torn.is_none());
    for gop in scan.gops {
        let (entry, frames) = crate::scan::read_gop_head(&mut reader(&bytes), gop.offset).unwrap();
        assert_eq!(entry, gop);
        let mut at = gop.payload_offset() as usize;
        for frame in &frames {
            let end = at + frame.size as usize;
            assert!(bytes[at..end].iter().all(|byte| u32::from(*byte) == frame.size));
            at = end;
        }
        let frames: Vec<_> =
            frames.iter().map(|f| format!("{}/{}", f.duration_90k, f.size)).collect();
        let GopHashes { payload, previous, chained } = gop.hashes;
        let camera_time = gop.camera_time.map_or_else(|| "-".to_owned(), |time| time.to_string());
        told += &format!(
            "group at {}+{}+{} media {} lasts {} key {} lost {} start {} camera {camera_time}\n  \
             hashes {} {} {} frames {}\n",
            gop.offset,
            gop.head_len,
            gop.payload_len,
            gop.media_time_90k,
            gop.duration_90k,
            gop.key,
            gop.lost_packets,
            gop.start,
            payload[31],
            previous[31],
            chained[31],
            frames.join(" "),
        );
    }
    expected.assert_eq(&told);
}

#[test]
fn file_of_version_1_is_read() {
    check(
        Codec::H264,
        expect![[r#"
        CAM-Đà Nẵng-01 h264 1920x1080 avc1.64001f entry b"\0\0\0\x0cavc1\x01\x02\x03\x04" start 2026-11-22T10:00:00.123456Z groups from 662
        group at 662+276+47 media 0 lasts 14400 key true lost 3 start 2026-11-22T10:00:00.123456Z camera 2026-11-22T09:59:59.987654Z
          hashes 16 17 18 frames 3600/31 3599/7 7201/9
        group at 985+264+11 media 14400 lasts 7201 key false lost 4 start 2026-11-22T10:00:00.283456Z camera -
          hashes 32 33 34 frames 3601/5 3600/6
    "#]],
    );
    check(
        Codec::H265,
        expect![[r#"
        CAM-Đà Nẵng-01 h265 1920x1080 hvc1.1.6.L93.B0 entry b"\0\0\0\x0chvc1\x01\x02\x03\x04" start 2026-11-22T10:00:00.123456Z groups from 666
        group at 666+276+47 media 0 lasts 14400 key true lost 3 start 2026-11-22T10:00:00.123456Z camera 2026-11-22T09:59:59.987654Z
          hashes 16 17 18 frames 3600/31 3599/7 7201/9
        group at 989+264+11 media 14400 lasts 7201 key false lost 4 start 2026-11-22T10:00:00.283456Z camera -
          hashes 32 33 34 frames 3601/5 3600/6
    "#]],
    );
}
