//! What the probe says of cameras that are sound, wrong, or not there.

use std::sync::Arc;
use std::time::Duration;

use vong_rtsp::{Login, Networks, ProbeRequest, Transport, probe};
use vong_runtime::SystemClock;
use vong_testkit::camera::{
    Answer, Codec, FakeCamera, Fault, Login as Wants, MetadataFault, Method, Script,
};
use vong_wire::probe::CameraProbe;

use crate::support::{World, camera, reel};

async fn look(world: &World, index: usize, login: Option<Login>) -> CameraProbe {
    let request = ProbeRequest {
        url: world.farm.url(index),
        login,
        transport: Transport::Tcp,
        watch: Duration::from_millis(5_500),
    };
    probe(&request, &Networks::default(), Arc::new(SystemClock)).await
}

/// All advice in English, in one line.
fn advice(seen: &CameraProbe) -> String {
    let words: Vec<&str> = seen.advice.iter().map(|advice| advice.en.as_str()).collect();
    assert!(seen.advice.iter().all(|advice| !advice.vi.is_empty() && advice.vi != advice.en));
    words.join(" | ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_camera_is_usable_and_measured() {
    let mut one = camera(Script::default());
    one.audio = true;
    one.metadata = vec!["<a/>".to_owned()];
    let world = World::new(vec![one]).await;
    let seen = look(&world, 0, None).await;
    assert!(seen.usable && seen.plays_in_browser && seen.audio && seen.metadata, "{seen:?}");
    assert_eq!(seen.tracks, ["video h264", "audio pcma", "application vnd.onvif.metadata"]);
    let video = seen.video.clone().unwrap();
    assert_eq!((video.width, video.height, video.lost_packets), (320, 180, 0));
    assert!((video.fps - 10.0).abs() < 0.5, "{video:?}");
    assert!((video.key_interval_s.unwrap() - 2.0).abs() < 0.01, "{video:?}");
    assert!(seen.clock_offset_ms.unwrap().abs() < 1_000, "{seen:?}");
    assert_eq!(advice(&seen), "Usable: pictures come and can be recorded.");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_whose_metadata_is_broken_is_usable_without_it() {
    for fault in [MetadataFault::SetupResets, MetadataFault::PlayResets, MetadataFault::CutOff(1)] {
        let mut one = camera(Script { metadata: fault, ..Script::default() });
        one.metadata = vec!["<a/>".to_owned()];
        let world = World::new(vec![one]).await;
        let seen = look(&world, 0, None).await;
        assert!(seen.usable && seen.metadata, "{fault:?}: {seen:?}");
        let said = advice(&seen);
        assert!(said.ends_with("update its firmware if its events are needed."), "{said}");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_with_what_to_do() {
    let digest = Wants::Digest { username: "u1234".into(), password: "right".into(), stale: 0 };
    let mut h265 = camera(Script::default());
    h265.reel = reel(Codec::H265, 320);
    let locked = FakeCamera { login: digest, ..camera(Script::default()) };
    let jpeg =
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:t\r\n";
    let cases = [
        (h265, true, "browser's wall cannot show it"),
        (locked, false, "wants a log-in"),
        (camera(Script::stream(0, Fault::Reordered)), false, "B-frames"),
        (camera(Script::stream(0, Fault::DropPackets(9))), true, "packets were lost"),
        (camera(Script::stream(0, Fault::NtpJump(-90_000_000))), true, "clock is -90.0 s off"),
        (camera(Script::stream(20, Fault::RtpJump(90_000_000))), true, "times in the stream jump"),
        (camera(Script::answer(Method::Play, Answer::Mute)), false, "no picture comes"),
        (camera(Script::answer(Method::Describe, Answer::Unavailable)), false, "busy or full"),
        (
            camera(Script::answer(Method::Describe, Answer::Description(jpeg.to_owned()))),
            false,
            "set the stream's encoding to H.264",
        ),
    ];
    let world = World::new(cases.iter().map(|(camera, ..)| camera.clone()).collect()).await;
    let looks = (0..cases.len()).map(|index| look(&world, index, None));
    let all = futures::future::join_all(looks).await;
    for (index, (seen, (_, usable, words))) in all.iter().zip(&cases).enumerate() {
        assert_eq!(seen.usable, *usable, "{index}: {seen:?}");
        assert!(advice(seen).contains(words), "{index}: {}", advice(seen));
        assert!(seen.reachable, "{index}: {seen:?}");
    }
    assert_eq!(all[1].login, "refused");
    assert!(!all[0].plays_in_browser);
    world.farm.power(false);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let gone = look(&world, 0, None).await;
    assert!(!gone.usable && !gone.reachable, "{gone:?}");
    assert!(advice(&gone).contains("check power, cable"), "{}", advice(&gone));
    world.stop().await;
}
