//! The worker's own code over pipes in one process: real encoders, real decoders.

use std::io::Write as _;
use std::ops::Range;

use bytes::Bytes;
use vong_sim::City;
use vong_sim::camera::{CameraSpec, Codec, Studio};

use crate::model::{Detection, PictureModel, Rgb};
use crate::protocol::{self, Answer, HELLO, Outcome, Request, Work};
use crate::worker;

struct Coded {
    entry: Bytes,
    units: Vec<Bytes>,
}

impl Coded {
    fn part(&self, units: Range<usize>) -> Self {
        Self { entry: self.entry.clone(), units: self.units[units].to_vec() }
    }
}

/// `frames` of a simulated street, the first a key frame.
fn street(codec: Codec, frames: u64) -> Coded {
    let mut studio = Studio::new(CameraSpec::new("CAM-01", codec), 5, City::new(5).scene(), 0);
    let units = (0..frames).map(|n| studio.coded(n, n == 0).unwrap().data).collect();
    Coded { entry: studio.sample_entry(), units }
}

fn request(id: u64, work: Work, coded: &Coded) -> Vec<u8> {
    let bytes = |part: &Bytes| u32::try_from(part.len()).unwrap();
    let unit_bytes = coded.units.iter().map(bytes).collect();
    let head = Request { id, work, entry_bytes: bytes(&coded.entry), unit_bytes };
    let parts: Vec<&[u8]> =
        std::iter::once(&coded.entry).chain(&coded.units).map(|part| &**part).collect();
    protocol::message(&head, &parts).unwrap()
}

/// A model that sees one thing as wide as the picture it is shown.
struct Wide;

impl PictureModel for Wide {
    fn picture_width(&self) -> u32 {
        320
    }

    fn detect(&mut self, picture: &Rgb) -> Result<Vec<Detection>, String> {
        assert_eq!(picture.pixels.len(), 3 * 320 * 180);
        let kind = format!("{}x{}", picture.width, picture.height);
        Ok(vec![Detection { kind, score: 1.0, region: [0.0, 0.0, 1.0, 1.0] }])
    }
}

/// What the worker answers to each request.
fn answers(requests: &[Vec<u8>]) -> Vec<(Outcome, Vec<u8>)> {
    let mut output = Vec::new();
    worker::run(requests.concat().as_slice(), &mut output, Some(Box::new(Wide))).unwrap();
    let mut output = output.strip_prefix(&HELLO[..]).unwrap();
    let mut answers = Vec::new();
    while let Some((Answer { id, outcome }, body)) = protocol::read(&mut output).unwrap() {
        assert_eq!(id, u64::try_from(answers.len()).unwrap(), "answers come in order");
        answers.push((outcome, body));
    }
    answers
}

const SMALL: Work = Work::Luma { width: 160, height: 90 };

#[test]
fn key_frames_of_both_codecs_become_what_was_drawn() {
    for codec in [Codec::H264, Codec::H265] {
        let spec = CameraSpec::new("CAM-01", codec);
        let mut studio = Studio::new(spec, 5, City::new(5).scene(), 0);
        let drawn: Vec<u8> = studio.luma(0).to_vec();
        let told = answers(&[request(0, SMALL, &street(codec, 1))]);
        let [(Outcome::Lumas { width: 160, height: 90, units }, pixels)] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!((units.as_slice(), pixels.len()), (&[0][..], 160 * 90));
        // Mean over 4 by 4 drawn pixels, from 16..235 to 0..255.
        let mut off = 0.0;
        for (at, pixel) in pixels.iter().enumerate() {
            let (x, y) = (at % 160 * 4, at / 160 * 4);
            let square = (y..y + 4).flat_map(|y| (x..x + 4).map(move |x| y * 640 + x));
            let mean = square.map(|at| f64::from(drawn[at])).sum::<f64>() / 16.0;
            off += (f64::from(*pixel) - (mean - 16.0) * 255.0 / 219.0).abs();
        }
        let off = off / pixels.len() as f64;
        assert!(off < 4.0, "{codec:?}: {off} levels off");
    }
}

#[test]
fn still_is_a_jpeg_of_the_last_unit_at_the_size_that_was_asked_for() {
    let told = answers(&[request(0, Work::Jpeg { max_width: 320 }, &street(Codec::H264, 15))]);
    let [(Outcome::Jpeg, jpeg)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((&jpeg[..2], &jpeg[jpeg.len() - 2..]), (&[0xff, 0xd8][..], &[0xff, 0xd9][..]));
    // Size in the frame head (ITU-T T.81 B.2.2).
    let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    assert_eq!(jpeg[frame + 5..frame + 9], [0, 180, 1, 64]);
}

#[test]
fn followed_stream_goes_on_over_requests_and_gives_the_wanted_frames() {
    let coded = street(Codec::H264, 20);
    let follow = |restart, wanted: &[usize]| Work::Follow {
        stream: "CAM-01".to_owned(),
        restart,
        width: 320,
        height: 180,
        wanted: (0..10).map(|unit| wanted.contains(&unit)).collect(),
    };
    let told = answers(&[
        request(0, follow(true, &[0, 9]), &coded.part(0..10)),
        request(1, follow(false, &[3]), &coded.part(10..20)),
        request(2, SMALL, &coded.part(0..1)),
    ]);
    let units: Vec<_> = told
        .iter()
        .map(|(outcome, body)| match outcome {
            Outcome::Lumas { units, .. } => (units.clone(), body.len()),
            other => panic!("{other:?}"),
        })
        .collect();
    let size = 320 * 180;
    assert_eq!(units, [(vec![0, 9], 2 * size), (vec![3], size), (vec![0], 160 * 90)]);
}

#[test]
fn motion_goes_on_over_requests_until_it_is_forgotten() {
    let coded = street(Codec::H265, 12);
    let (stream, max_width) = ("motion/0".to_owned(), 320);
    let motion = |restart| Work::Motion { stream: stream.clone(), restart, max_width };
    let told = answers(&[
        request(0, motion(true), &coded.part(0..1)),
        request(1, motion(false), &coded.part(1..9)),
        request(2, Work::Forget { stream: stream.clone() }, &coded.part(0..0)),
        request(3, motion(false), &coded.part(9..12)),
        request(4, motion(true), &coded.part(0..12)),
    ]);
    let told: Vec<_> = told
        .iter()
        .map(|(outcome, body)| match outcome {
            Outcome::Jpeg => format!("jpeg {:x?}", &body[..2]),
            other => format!("{other:?}"),
        })
        .collect();
    let jpeg = "jpeg [ff, d8]";
    assert_eq!(told[..3], [jpeg, jpeg, "Done"]);
    assert!(told[3].contains("did not begin here"), "{}", told[3]);
    assert_eq!(told[4], jpeg);
}

/// A stream with B frames, as ffmpeg writes it: one fragment a frame (ISO/IEC 14496-12).
fn reordered() -> Coded {
    let source = "testsrc2=size=320x240:rate=25:duration=1";
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p"])
        .args(["-c:v", "libx265", "-x265-params", "bframes=3:b-adapt=0:log-level=none"])
        .args(["-tag:v", "hvc1", "-movflags", "empty_moov+default_base_moof+frag_every_frame"])
        .args(["-f", "mp4", "pipe:1"])
        .output()
        .expect("ffmpeg starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let film = Bytes::from(output.stdout);
    let boxed = |at: usize| {
        let size = u32::from_be_bytes(film[at..at + 4].try_into().unwrap());
        film.slice(at..at + usize::try_from(size).unwrap())
    };
    let named = film.windows(4).position(|name| name == b"hvc1").unwrap();
    let (mut units, mut at) = (Vec::new(), 0);
    // `hvc1` is also a brand of the first box.
    let entry = film[named + 4..].windows(4).position(|name| name == b"hvc1");
    let entry = boxed(entry.map_or(named, |after| named + 4 + after) - 4);
    while at < film.len() {
        let whole = boxed(at);
        at += whole.len();
        if &whole[4..8] == b"mdat" {
            units.push(whole.slice(8..));
        }
    }
    Coded { entry, units }
}

#[test]
fn motion_of_a_stream_with_b_frames_misses_only_what_the_decoder_holds_back_at_its_end() {
    let coded = reordered();
    assert_eq!(coded.units.len(), 25);
    let motion =
        |n| Work::Motion { stream: "motion/0".to_owned(), restart: n == 0, max_width: 320 };
    let requests: Vec<_> =
        (0..25).map(|n| request(n as u64, motion(n), &coded.part(n..n + 1))).collect();
    let told = answers(&requests);
    let shown = told.iter().filter(|(outcome, _)| *outcome == Outcome::Jpeg).count();
    let held = told.iter().filter(|(outcome, _)| *outcome == Outcome::Done).count();
    assert!(shown >= 20 && shown + held == 25, "{shown} shown, {held} held back");
}

#[test]
fn model_sees_pictures_of_its_width() {
    let told = answers(&[request(0, Work::Detect, &street(Codec::H264, 1))]);
    let [(Outcome::Detections(found), _)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(found[0].kind, "320x180");
}

#[test]
fn garbage_and_cut_frames_are_answered_as_undecodable_and_the_next_camera_is_served() {
    let sound = street(Codec::H264, 1);
    let mut requests = Vec::new();
    let whole = &sound.units[0];
    let mut dice = 1_u64;
    for round in 0..200_u64 {
        let mut unit = whole.to_vec();
        let mut entry = sound.entry.to_vec();
        let mut next = |below: usize| {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(dice >> 33).unwrap() % below
        };
        match round % 4 {
            0 => unit.truncate(next(whole.len())),
            1 => (0..40).for_each(|_| {
                let at = next(unit.len());
                unit[at] = u8::try_from(next(256)).unwrap();
            }),
            2 => (0..4).for_each(|_| {
                let at = 86 + next(entry.len() - 86);
                entry[at] = u8::try_from(next(256)).unwrap();
            }),
            _ => unit = (0..next(5_000)).map(|_| u8::try_from(next(256)).unwrap()).collect(),
        }
        let spoilt = Coded { entry: entry.into(), units: vec![unit.into()] };
        requests.push(request(round * 2, SMALL, &spoilt));
        requests.push(request(round * 2 + 1, SMALL, &sound));
    }
    let told = answers(&requests);
    let failed = told.iter().filter(|(outcome, _)| matches!(outcome, Outcome::Failed(_))).count();
    assert!(failed > 100, "only {failed} of 200 spoilt frames were refused");
    let good = told.iter().skip(1).step_by(2).map(|(_, pixels)| pixels);
    let first = &told[1].1;
    assert!(good.clone().all(|pixels| pixels == first && !pixels.is_empty()));
}

#[test]
fn nonsense_on_the_pipe_ends_the_worker_with_an_error() {
    let mut nonsense = Vec::new();
    nonsense.write_all(&[7; 100]).unwrap();
    assert!(worker::run(nonsense.as_slice(), &mut Vec::new(), None).is_err());
}
