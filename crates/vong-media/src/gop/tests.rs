//! Groups from frames written as lines of data.

use proptest::prelude::*;

use super::*;
use crate::Codec;

pub(crate) fn parameters(tag: u8) -> Arc<VideoParameters> {
    Arc::new(VideoParameters {
        codec: Codec::H264,
        width: 640,
        height: 360,
        rfc6381: "avc1.64001f".to_owned(),
        sample_entry: Bytes::from(vec![0, 0, 0, 9, b'a', b'v', b'c', b'1', tag]),
    })
}

pub(crate) fn unit(pts_90k: i64, received_ms: i64, key: bool, size: usize) -> AccessUnit {
    AccessUnit {
        pts_90k,
        received_at: EventTime(received_ms * 1_000),
        camera_time: None,
        key,
        lost_packets: 0,
        data: Bytes::from(vec![7; size]),
    }
}

/// `K`/`P` + pts in ms (arrival the same), `!` interruption, `A`/`B` parameters.
fn run(input: &str) -> String {
    let mut builder = GopBuilder::new(GopLimits { frames: 4, ..GopLimits::default() });
    let mut out = Vec::new();
    for word in input.split_whitespace() {
        let (kind, rest) = word.split_at(1);
        let gop = match kind {
            "!" => builder.interrupted(),
            "A" | "B" => builder.parameters(&parameters(kind.as_bytes()[0])),
            _ => {
                let ms = rest.parse::<i64>().unwrap();
                builder.access_unit(&unit(ms * 90, ms, kind == "K", 10))
            }
        };
        if let Some(gop) = gop {
            let durations: Vec<_> =
                gop.frames.iter().map(|f| (f.duration_90k / 90).to_string()).collect();
            let kind = if gop.key { "K" } else { "P" };
            out.push(format!("{kind}{}:{}", gop.start.millis(), durations.join(",")));
        }
    }
    let dropped = builder.dropped();
    format!("{} | {}+{}", out.join(" "), dropped.without_parameters, dropped.before_key)
}

#[test]
fn group_ends_where_the_next_key_frame_begins() {
    assert_eq!(run("A K0 P40 P80 K120 P160 !"), "K0:40,40,40 K120:40,40 | 0+0");
}

#[test]
fn frames_that_cannot_be_decoded_are_counted_not_kept() {
    assert_eq!(run("K0 A P40 P80 K120 K160"), "K120:40 | 1+2");
    assert_eq!(run("A K0 ! P40 K80 K120"), "K0:40 K80:40 | 0+1");
}

#[test]
fn very_long_group_is_continued_without_a_hole() {
    assert_eq!(
        run("A K0 P40 P80 P120 P160 P200 K240 !"),
        "K0:40,40,40,40 P160:40,40 K240:40 | 0+0"
    );
}

#[test]
fn changed_parameters_end_the_group_and_equal_ones_do_not() {
    assert_eq!(run("A K0 P40 A P80 B P120 K160 !"), "K0:40,40,40 K160:40 | 0+1");
}

#[test]
fn oversized_and_empty_frames_are_dropped() {
    let mut builder = GopBuilder::new(GopLimits { frame_bytes: 100, ..GopLimits::default() });
    assert_eq!(builder.parameters(&parameters(1)), None);
    assert_eq!(builder.access_unit(&unit(0, 0, true, 101)), None);
    assert_eq!(builder.access_unit(&unit(0, 0, true, 0)), None);
    let DroppedFrames { empty, oversized, .. } = builder.dropped();
    assert_eq!((empty, oversized), (1, 1));
}

#[test]
fn a_frame_that_is_too_large_ends_its_group_and_what_refers_to_it_is_dropped() {
    let mut builder = GopBuilder::new(GopLimits { frame_bytes: 100, ..GopLimits::default() });
    assert_eq!(builder.parameters(&parameters(1)), None);
    let frames = [(0, true, 1), (40, false, 1), (80, false, 101), (120, false, 1), (160, true, 1)];
    let closed = frames.map(|(ms, key, size)| {
        let closed = builder.access_unit(&unit(ms * 90, ms, key, size));
        closed.map(|gop| gop.frames.iter().map(|frame| frame.duration_90k).collect::<Vec<_>>())
    });
    assert_eq!(closed, [None, None, Some(vec![3_600, 3_600]), None, None]);
    let DroppedFrames { before_key, oversized, .. } = builder.dropped();
    assert_eq!((before_key, oversized), (1, 1));
}

proptest! {
    #[test]
    fn every_kept_frame_comes_out_once_and_memory_is_bounded(
        frames in prop::collection::vec((-1_000i64..100_000, 0i64..2_000, any::<bool>(), 1usize..50), 1..200)
    ) {
        let limits = GopLimits { frames: 16, bytes: 256, ..GopLimits::default() };
        let mut builder = GopBuilder::new(limits);
        builder.parameters(&parameters(1));
        let (mut pts, mut received, mut kept) = (0, 0, 0u64);
        let total = frames.len() as u64;
        let mut count = |gop: Option<Gop>| if let Some(gop) = gop {
            assert_eq!(gop.frames.len(), gop.data.len());
            assert!(gop.frames.iter().all(|f| f.duration_90k >= 1));
            kept += gop.frames.len() as u64;
        };
        for (step, late, key, size) in frames {
            pts += step;
            received += late;
            count(builder.access_unit(&unit(pts, received, key, size)));
            prop_assert!(builder.pending_bytes() <= 256 + 50);
        }
        count(builder.interrupted());
        prop_assert_eq!(kept + builder.dropped().before_key, total);
    }
}
