//! Frames at any times, sender reports and interruptions in any order: groups stay complete and the
//! time line never steps back.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vong_media::{AccessUnit, Codec, Gop, GopBuilder, GopLimits, Timeline, VideoParameters};
use vong_model::EventTime;
use vong_rtsp::CameraClock;

/// Numbers out of the input, zeros when it is used up.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn number(&mut self, width: usize) -> u64 {
        let (taken, rest) = self.0.split_at(width.min(self.0.len()));
        self.0 = rest;
        taken.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

fn parameters(tag: u8) -> Arc<VideoParameters> {
    Arc::new(VideoParameters {
        codec: Codec::H264,
        width: u32::from(tag),
        height: 36,
        rfc6381: "avc1.64001f".to_owned(),
        sample_entry: Bytes::from(vec![0, 0, 0, 9, b'a', b'v', b'c', b'1', tag]),
    })
}

fn check(gop: Option<Gop>, frames: &mut usize) {
    let Some(gop) = gop else { return };
    assert!(!gop.frames.is_empty());
    assert_eq!(gop.frames.len(), gop.data.len());
    assert!(gop.frames.iter().all(|frame| frame.duration_90k >= 1));
    *frames += gop.frames.len();
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let mut builder = GopBuilder::new(GopLimits { frames: 50, ..GopLimits::default() });
    let (mut timeline, mut clock) = (Timeline::new(), CameraClock::default());
    let (mut pts, mut received, mut last_media) = (0_i64, 0_i64, None::<u64>);
    let (mut given, mut taken) = (0, 0);
    while !input.0.is_empty() {
        let what = input.number(1) as u8;
        match what & 7 {
            0 => {
                check(builder.interrupted(), &mut taken);
                timeline.interrupted();
                last_media = None;
            }
            1 => check(builder.parameters(&parameters(what >> 3)), &mut taken),
            2 => clock.report(input.number(8), pts),
            3 => clock.forget(),
            kind => {
                let wide = if what & 8 == 0 { 2 } else { 8 };
                pts = pts.wrapping_add(input.number(wide) as i64);
                received = received.saturating_add((input.number(wide.min(5)) as i64).max(0));
                let unit = AccessUnit {
                    pts_90k: pts,
                    received_at: EventTime(received),
                    camera_time: clock.time_of(pts),
                    key: kind == 4,
                    lost_packets: u32::from(what >> 4),
                    data: Bytes::from(vec![0; usize::from(what >> 2)]),
                };
                given += 1;
                check(builder.access_unit(&unit), &mut taken);
                let media = timeline.stamp(pts, EventTime(received)).media_90k;
                assert!(last_media.is_none_or(|last| media > last || last == u64::MAX));
                last_media = Some(media);
            }
        }
    }
    check(builder.interrupted(), &mut taken);
    let dropped = builder.dropped();
    let dropped = dropped.without_parameters + dropped.before_key + dropped.empty + dropped.oversized;
    assert_eq!(given as u64, taken as u64 + dropped);
});
