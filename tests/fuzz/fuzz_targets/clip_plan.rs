//! Any timeline and any interval: what a plan says of itself is true.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vong_media::{ClipForm, ClipGop, Codec, Frame, Piece, VideoParameters, plan_clip};
use vong_model::EventTime;

/// Numbers out of the input, zeros when it is used up.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn u8(&mut self) -> u8 {
        self.u64(1) as u8
    }

    fn u64(&mut self, width: usize) -> u64 {
        let (taken, rest) = self.0.split_at(width.min(self.0.len()));
        self.0 = rest;
        taken.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

fn parameters(codec: Codec, tag: u8) -> Arc<VideoParameters> {
    Arc::new(VideoParameters {
        codec,
        width: 64,
        height: 36,
        rfc6381: "avc1.64001f".to_owned(),
        sample_entry: Bytes::from(vec![0, 0, 0, 9, b'a', b'v', b'c', b'1', tag]),
    })
}

fn gops(input: &mut Input<'_>) -> Vec<ClipGop> {
    let mut at = 0_i64;
    let mut offset = 0_u64;
    let mut gops = Vec::new();
    while !input.0.is_empty() && gops.len() < 64 {
        let head = input.u8();
        // Extremes now and then, else steps of some seconds.
        let step = if head & 0x80 != 0 { input.u64(8) as i64 } else { input.u64(3) as i64 };
        at = at.saturating_add(step);
        let frames: Vec<Frame> = (0..=head & 7)
            .map(|_| Frame {
                duration_90k: input.u64(if head & 8 != 0 { 4 } else { 2 }) as u32,
                size: input.u64(2) as u32,
            })
            .collect();
        let len: u64 = frames.iter().map(|frame| u64::from(frame.size)).sum();
        gops.push(ClipGop {
            file: u32::from(head >> 4 & 1),
            description: u32::from(head >> 5 & 3),
            start: EventTime(at),
            key: head & 16 == 0 || gops.is_empty(),
            payload_offset: offset,
            frames,
        });
        offset = offset.saturating_add(len);
    }
    gops.sort_by_key(|gop| gop.start);
    gops
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let (from, to) = (EventTime(input.u64(5) as i64), EventTime(input.u64(5) as i64));
    let gops = gops(&mut input);
    // The fourth number a group can carry has no parameters.
    let known =
        [parameters(Codec::H264, 1), parameters(Codec::H264, 2), parameters(Codec::H265, 3)];
    for form in [ClipForm::Faststart, ClipForm::Fragmented] {
        let Ok(plan) = plan_clip(form, &known, &gops, from, to) else { continue };
        assert_eq!(plan.total_len, plan.pieces.iter().map(Piece::len).sum::<u64>());
        assert!(plan.frames > 0, "a clip shows something");
        assert!(plan.start < to, "it begins inside");
        assert!(plan.gaps.iter().all(|gap| gap.from < gap.to && gap.from >= from && gap.to <= to));
        assert!(plan.gaps.windows(2).all(|pair| pair[0].to <= pair[1].from));
    }
});
