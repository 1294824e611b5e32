//! Every way a camera can fail, one at a time: what is told, what is delivered, and that the
//! neighbour loses nothing.

use std::time::Duration;

use vong_rtsp::{About, CameraState, CameraStream, Fact, Login, StreamKind, Transport};
use vong_runtime::channel::{self, Capacity, WhenFull};
use vong_testkit::camera::{Answer, Codec, Fault, Login as Wants, MetadataFault, Method, Script};

use crate::support::{World, camera, reel};

const SOON: Duration = Duration::from_secs(20);

/// Camera 0 follows `script`, camera 1 is sound. Waits until the states of camera 0 begin with
/// `expected`; then the sound one must have delivered all it sent. Gives the world for more.
async fn check(script: Script, expected: &[&str]) -> World {
    let mut world = World::new(vec![camera(script), camera(Script::default())]).await.take_in_all();
    world
        .until(&format!("states {expected:?}"), SOON, |world| {
            world.states(0).get(..expected.len()) == Some(expected)
        })
        .await;
    neighbour_lost_nothing(&mut world, 1).await;
    world
}

async fn neighbour_lost_nothing(world: &mut World, index: usize) {
    world.until("neighbour plays", SOON, |world| world.frames(index) > 5).await;
    world.farm.hold_still(true);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (got, sent) = (world.got(index), world.farm.counts(index));
    assert_eq!((got.frames, got.lost_packets), (sent.frames, 0));
    assert_eq!((sent.describes, sent.plays), (1, 1));
    assert_eq!(world.states(index), ["connected"]);
    world.farm.hold_still(false);
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_cameras_of_both_codecs_and_packings_deliver_every_frame_over_both_transports() {
    let mut cameras = Vec::new();
    for (codec, aggregate) in
        [(Codec::H264, false), (Codec::H264, true), (Codec::H265, false), (Codec::H265, true)]
    {
        let mut one = camera(Script::default());
        one.reel = reel(codec, 320);
        one.aggregate = aggregate;
        cameras.extend([one.clone(), one]);
    }
    // Two cameras cannot share an address.
    for twin in cameras.iter_mut().skip(1).step_by(2) {
        twin.address = camera(Script::default()).address;
    }
    let mut world = World::new(cameras).await;
    for index in 0..8 {
        let transport = if index % 2 == 0 { Transport::Tcp } else { Transport::Udp };
        world.take_in(index, None, transport);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    for index in 0..8 {
        world.farm.hold_still(false);
        assert!(world.frames(index) >= 30, "{index}: {}", world.frames(index));
    }
    world.farm.hold_still(true);
    tokio::time::sleep(Duration::from_millis(300)).await;
    for index in 0..8 {
        let (got, sent) = (world.got(index), world.farm.counts(index));
        assert_eq!((got.frames, got.lost_packets, got.sizes), (sent.frames, 0, vec![(320, 180)]));
        assert!(sent.packets > sent.frames, "nothing was fragmented: {sent:?}");
        // The counter wrapped in the first second; our time goes on evenly.
        let steps = got.stamps.windows(2).map(|w| w[1].media_90k - w[0].media_90k);
        assert!(steps.clone().all(|step| step == 9_000), "{:?}", steps.collect::<Vec<_>>());
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_packets_are_counted_told_and_that_they_stopped_is_told() {
    let script = Script::between(0..150, Fault::DropPackets(9));
    let mut world = World::new(vec![camera(script)]).await.take_in_all();
    let limit = Duration::from_secs(110);
    world.until("loss told", SOON, |world| world.states(0) == ["connected", "packets_lost"]).await;
    let sent = world.farm.counts(0);
    let got = world.got(0);
    assert!(got.lost_packets + 3 >= sent.packets_dropped && got.lost_packets > 0, "{sent:?}");
    world
        .until("end of loss told", limit, |world| {
            world.states(0) == ["connected", "packets_lost", "packets_good"]
        })
        .await;
    assert_eq!(world.farm.counts(0).plays, 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_out_of_order_end_a_tcp_session_and_are_dropped_in_udp() {
    let script = || Script::between(10..40, Fault::SwapPackets(3)).once();
    let mut world = World::new(vec![camera(script()), camera(script())]).await;
    world.take_in(0, None, Transport::Tcp);
    world.take_in(1, None, Transport::Udp);
    world
        .until("back after disorder", SOON, |world| {
            world.states(0) == ["connected", "lost", "connected"]
        })
        .await;
    world.until("udp goes on", SOON, |world| world.frames(1) > 60).await;
    assert_eq!(world.states(1)[0], "connected");
    assert_eq!(world.farm.counts(1).plays, 1);
    assert!(world.got(1).lost_packets > 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_lost_after_ten_seconds_and_the_camera_is_asked_again() {
    let script = Script::stream(10, Fault::Stall).once();
    let mut world = check(script, &["connected", "lost", "connected"]).await;
    assert_eq!(world.details(0)[1].1, "no picture for 10s");
    assert_eq!(world.got(0).interruptions, 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_picture_is_delivered_as_it_comes() {
    let mut world = check(Script::stream(10, Fault::Freeze), &["connected"]).await;
    world.until("many frames", SOON, |world| world.frames(0) > 40).await;
    // That the picture stands still is for who decodes it; here every frame is there and equal.
    let first = world.got(0).last;
    world.until("one more", SOON, |world| world.frames(0) > 45).await;
    assert_eq!(world.got(0).last, first);
    assert_eq!(world.states(0), ["connected"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_streams_are_lost_and_found_again() {
    let faults = [
        (Fault::WrongSsrc, "wrong ssrc"),
        (Fault::Reset, "Connection reset"),
        (Fault::Garbage, "Invalid RTSP message"),
        (Fault::Truncated, "Incomplete"),
        (Fault::WildPacket, "stream broke"),
        (Fault::EndlessHeader, "no picture for 10s"),
    ];
    let mut cameras: Vec<_> =
        faults.iter().map(|(fault, _)| camera(Script::stream(12, *fault).once())).collect();
    cameras.push(camera(Script::default()));
    let mut world = World::new(cameras).await.take_in_all();
    for (index, (fault, why)) in faults.iter().enumerate() {
        world
            .until(&format!("{fault:?}"), SOON, |world| {
                world.states(index) == ["connected", "lost", "connected"]
            })
            .await;
        let told = &world.details(index)[1].1;
        assert!(told.contains(why), "{fault:?}: {told}");
        assert!(!told.contains('\n'), "{told}");
        // Every frame of the sound part arrived.
        assert!(world.frames(index) >= 11, "{fault:?}: {}", world.frames(index));
    }
    neighbour_lost_nothing(&mut world, faults.len()).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_change_in_the_middle_are_told_and_nothing_is_lost() {
    let mut one = camera(Script::stream(20, Fault::OtherReel));
    one.other_reel = Some(reel(Codec::H264, 480));
    let mut world = World::new(vec![one]).await.take_in_all();
    world
        .until("change told", SOON, |world| world.states(0) == ["connected", "parameters_changed"])
        .await;
    assert!(world.details(0)[1].1.contains("480x270"), "{:?}", world.details(0));
    world.until("more frames", SOON, |world| world.frames(0) > 40).await;
    world.farm.hold_still(true);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.frames(0), world.farm.counts(0).frames);
    assert_eq!(world.got(0).sizes, [(320, 180), (480, 270)]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jumping_frame_times_are_told_and_our_time_goes_on_evenly() {
    for ticks in [90_000 * 3_600, -90_000 * 3_600, -90_000 * 5] {
        let script = Script::between(15..30, Fault::RtpJump(ticks));
        let mut world = World::new(vec![camera(script)]).await.take_in_all();
        world.until("many frames", SOON, |world| world.frames(0) >= 45).await;
        let told = world.states(0);
        assert_eq!(told, ["connected", "timestamps_jumped"], "{ticks}");
        assert!(world.metrics.jumps.get() >= 1);
        let got = world.got(0);
        for pair in got.stamps.windows(2) {
            let step_ms = (pair[1].wall.micros() - pair[0].wall.micros()) / 1_000;
            assert!((20..=400).contains(&step_ms), "{ticks}: {step_ms} ms between frames");
        }
        // The camera's own clock did not jump: it is the same beside ours, once it is known again.
        for (stamp, camera) in got.stamps.iter().zip(&got.camera_times) {
            let Some(camera) = camera else { continue };
            let off_ms = (camera.micros() - stamp.wall.micros()) / 1_000;
            assert!(off_ms.abs() < 1_500, "{ticks}: {off_ms} ms");
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_clock_that_is_set_or_wrong_is_told_and_that_it_is_right_again() {
    let hour = 3_600_000_000;
    let script = Script::between(50..100, Fault::NtpJump(hour));
    let mut world = World::new(vec![camera(script)]).await.take_in_all();
    let expected =
        ["connected", "timestamps_jumped", "clock_drift", "timestamps_jumped", "clock_good"];
    world.until("clock told", Duration::from_secs(30), |world| world.states(0) == expected).await;
    let details = world.details(0);
    assert!(details[1].1.contains("3600.0 s") || details[1].1.contains("3599.9 s"), "{details:?}");
    assert!(details[2].1.contains("ahead of ours"), "{details:?}");
    // Our own time line took no notice.
    let got = world.got(0);
    let steps = got.stamps.windows(2).map(|w| w[1].media_90k - w[0].media_90k);
    assert!(steps.clone().all(|step| step == 9_000));
    let ahead = got.camera_times.iter().flatten().zip(&got.stamps);
    assert!(
        ahead.filter(|(camera, ours)| camera.micros() - ours.wall.micros() > hour / 2).count() > 20
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b_frames_are_refused_with_what_to_set() {
    let mut world = check(Script::stream(0, Fault::Reordered), &["connected", "refused"]).await;
    assert!(world.details(0)[1].1.contains("set its H.264 profile to Baseline"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_are_told_and_the_camera_is_asked_again() {
    let jpeg =
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:t\r\n";
    let cases = [
        (Method::Describe, Answer::NotEnoughBandwidth, "lost", "453"),
        (Method::Describe, Answer::Unavailable, "lost", "503"),
        (Method::Describe, Answer::Reset, "lost", "reset"),
        (Method::Describe, Answer::Bytes(b"\0\xff$$HTTP/1.1 200 \r\n\r\n".to_vec()), "lost", ""),
        (Method::Describe, Answer::Truncated, "lost", ""),
        (Method::Describe, Answer::Nothing, "lost", "did not answer DESCRIBE within 10s"),
        (Method::Describe, Answer::EndlessHeader, "lost", "did not answer DESCRIBE within 10s"),
        (Method::Setup, Answer::Unavailable, "lost", "SETUP: 503"),
        (Method::Play, Answer::Reset, "lost", "PLAY"),
        (Method::Play, Answer::Mute, "lost", "no picture for 10s"),
        (Method::Describe, Answer::Description(jpeg.to_owned()), "refused", "only video jpeg"),
        (Method::Describe, Answer::Description("v=0\r\n".to_owned()), "lost", ""),
    ];
    let mut cameras: Vec<_> = cases
        .iter()
        .map(|(method, answer, ..)| camera(Script::answer(*method, answer.clone()).once()))
        .collect();
    cameras.push(camera(Script::default()));
    let mut world = World::new(cameras).await.take_in_all();
    for (index, (method, answer, state, why)) in cases.iter().enumerate() {
        world
            .until(&format!("{method:?} {answer:?}"), SOON, |world| {
                world.states(index) == [*state, "connected"]
            })
            .await;
        let told = &world.details(index)[0].1;
        assert!(told.contains(why), "{answer:?}: {told}");
    }
    neighbour_lost_nothing(&mut world, cases.len()).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_that_a_server_refuses_is_spread_out() {
    let cameras =
        (0..40).map(|_| camera(Script { burst_limit: Some(5), ..Script::default() })).collect();
    let mut world = World::new(cameras).await.take_in_all();
    world
        .until("all forty connected", Duration::from_secs(60), |world| {
            (0..40).all(|index| world.states(index).last() == Some(&"connected"))
        })
        .await;
    for index in 0..40 {
        assert!(world.states(index).len() <= 2, "{:?}", world.states(index));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_right_wrong_stale_or_missing() {
    let right = || Login { username: "operator".into(), password: "correct horse".into() };
    let digest = |stale| Wants::Digest {
        username: "operator".into(),
        password: "correct horse".into(),
        stale,
    };
    let basic = Wants::Basic { username: "operator".into(), password: "correct horse".into() };
    let wrong = Login { password: "battery staple".into(), ..right() };
    let cases = [
        (digest(0), Some(right()), vec!["connected"]),
        (basic, Some(right()), vec!["connected"]),
        (digest(1), Some(right()), vec!["refused", "connected"]),
        (digest(0), Some(wrong), vec!["refused"]),
        (digest(0), None, vec!["refused"]),
    ];
    let mut cameras = Vec::new();
    for (wants, ..) in &cases {
        let mut one = camera(Script::default());
        one.login = wants.clone();
        cameras.push(one);
    }
    let mut world = World::new(cameras).await;
    for (index, (_, login, _)) in cases.iter().enumerate() {
        world.take_in(index, login.clone(), Transport::Tcp);
    }
    for (index, (_, _, expected)) in cases.iter().enumerate() {
        world.until(&format!("case {index}"), SOON, |world| world.states(index) == *expected).await;
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    // Accounts are locked by those who keep on guessing.
    let guesses = world.farm.counts(3).unauthorized;
    assert!(guesses <= 2 * 4, "{guesses} attempts within seconds");
    assert_eq!(world.states(3), ["refused"]);
    let told = &world.details(3)[0].1;
    assert!(told.contains("log-in that is missing or wrong (DESCRIBE: 401)"), "{told}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_and_metadata_are_told_and_events_become_rows() {
    let motion = |on: bool| {
        format!(
            "<tt:MetadataStream><tt:Event><wsnt:NotificationMessage><wsnt:Topic>tns1:VideoSource/MotionAlarm</wsnt:Topic>\
             <wsnt:Message><tt:Message PropertyOperation=\"Changed\"><tt:Source><tt:SimpleItem Name=\"Source\" Value=\"V1\"/></tt:Source>\
             <tt:Data><tt:SimpleItem Name=\"State\" Value=\"{on}\"/></tt:Data></tt:Message></wsnt:Message>\
             </wsnt:NotificationMessage></tt:Event></tt:MetadataStream>{}",
            " ".repeat(3_000) // more than one packet
        )
    };
    let mut one = camera(Script::default());
    one.audio = true;
    one.metadata = vec![motion(true), motion(true), "<broken".to_owned(), motion(false)];
    let mut world = World::new(vec![one]).await.take_in_all();
    world.until("four documents", SOON, |world| world.frames(0) > 55).await;
    let details = world.details(0);
    assert!(details[0].1.ends_with("; audio pcma; metadata"), "{details:?}");
    let rows: Vec<String> = world
        .told
        .iter()
        .filter_map(|fact| match fact {
            Fact::Onvif(fact) => Some(format!("{} {} {}", fact.subject, fact.state, fact.detail)),
            Fact::Camera(_) => None,
        })
        .collect();
    let expected = [
        "VideoSource/MotionAlarm [V1] began State=true",
        "VideoSource/MotionAlarm [V1] ended State=false",
        "VideoSource/MotionAlarm [V1] began State=true",
    ];
    assert_eq!(rows[..2], expected[..2]);
    assert_eq!(world.metrics.onvif_dropped.with_label_values(&["unreadable"]).get(), 1);
    assert_eq!(world.farm.counts(0).plays, 1);
    world.stop().await;
}

fn with_metadata(metadata: MetadataFault) -> vong_testkit::camera::FakeCamera {
    let mut one = camera(Script { metadata, ..Script::default() });
    one.metadata = vec!["<a/>".to_owned()];
    one
}

#[tokio::test(flavor = "multi_thread")]
async fn cameras_that_choke_on_the_metadata_track_deliver_without_it() {
    let faults = [MetadataFault::SetupResets, MetadataFault::PlayResets];
    let mut world = World::new(faults.map(with_metadata).into()).await.take_in_all();
    for (index, fault) in faults.iter().enumerate() {
        world
            .until(&format!("{fault:?}"), SOON, |world| {
                world.states(index) == ["lost", "connected"]
            })
            .await;
        world.until("it plays", SOON, |world| world.frames(index) > 20).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metadata_track_that_cannot_be_read_ends_one_good_session_and_no_second() {
    // After the 30 s that make a session good: each session with it would break the picture.
    let mut world = World::new(vec![with_metadata(MetadataFault::CutOff(31))]).await.take_in_all();
    world
        .until("back", Duration::from_secs(50), |world| {
            world.states(0) == ["connected", "lost", "connected"]
        })
        .await;
    let told = &world.details(0)[1].1;
    assert!(told.contains("metadata cannot be read and is left off for an hour"), "{told}");
    let frames = world.frames(0);
    world.until("35 s more", Duration::from_secs(50), |world| world.frames(0) > frames + 350).await;
    assert_eq!(world.states(0), ["connected", "lost", "connected"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_without_an_end_is_left_off_before_it_fills_the_memory() {
    let endless = with_metadata(MetadataFault::Endless(1 << 20));
    let mut world = World::new(vec![endless]).await.take_in_all();
    world.until("back", SOON, |world| world.states(0) == ["connected", "lost", "connected"]).await;
    let told = &world.details(0)[1].1;
    assert!(told.contains("32 MiB of metadata without an end"), "{told}");
    assert!(world.farm.counts(0).bytes < 64 << 20, "{:?}", world.farm.counts(0));
    world.until("it plays", SOON, |world| world.frames(0) > 60).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_sub_stream_its_connection_is_told_and_nothing_of_the_camera() {
    let mut one = camera(Script::stream(20, Fault::Reset).once());
    one.metadata = vec!["<a/>".to_owned()];
    let mut world = World::new(vec![one]).await;
    world.take_in_stream(CameraStream {
        camera_id: "CAM-0".into(),
        unit_code: "U1".into(),
        url: world.farm.url(0),
        login: None,
        transport: Transport::Tcp,
        kind: StreamKind::Live,
    });
    world.until("back", SOON, |world| world.states(0) == ["connected", "lost", "connected"]).await;
    for fact in &world.told {
        let Fact::Camera(fact) = fact else { panic!("{fact:?}") };
        assert_eq!(fact.about, About::LiveStream);
        assert!(fact.detail.starts_with("sub-stream: "), "{fact:?}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_takes_facts_the_camera_delivers_and_stops_at_once() {
    let facts = channel::bounded("test/facts", Capacity::items(1), WhenFull::Wait);
    let mut one = camera(Script::stream(10, Fault::Reset).once());
    one.metadata = vec!["<a/>".to_owned()];
    let mut world = World::with_facts(vec![one], facts).await.take_in_all();
    // `connected` fills the queue; then it is lost, comes back, and has more to tell.
    world.until("it plays on", SOON, |world| world.frames(0) > 40).await;
    assert_eq!(world.states(0)[0], "connected");
    world
        .until("the newest is told late", SOON, |world| {
            world.states(0) == ["connected", "connected"]
        })
        .await;
    assert_eq!(world.metrics.facts_dropped.with_label_values(&["superseded"]).get(), 1);
    let begun = tokio::time::Instant::now();
    world.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_outside_the_networks_are_refused_without_a_packet() {
    let mut world = World::new(vec![camera(Script::default())]).await;
    world.take_in_url(0, "rtsp://203.0.113.7/stream".to_owned(), None, Transport::Tcp);
    world.until("refused", SOON, |world| world.states(0) == ["refused"]).await;
    let (state, told) = world.details(0).remove(0);
    assert_eq!(state, CameraState::Refused);
    assert!(told.contains("203.0.113.7") && told.contains("video.networks"), "{told}");
    assert_eq!(world.metrics.attempts.get(), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flapping_camera_comes_and_goes_alone() {
    let seconds = |from: u64, to: u64| Duration::from_secs(from)..Duration::from_secs(to);
    let flapping =
        vong_testkit::camera::Flapping { seed: 3, up: seconds(2, 4), down: seconds(1, 2) };
    let script = Script { flapping: Some(flapping), ..Script::default() };
    let world = check(script, &["connected", "lost", "connected", "lost"]).await;
    assert!(world.farm.counts(0).plays >= 2);
    world.stop().await;
}
