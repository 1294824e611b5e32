//! What is told of losses, and when.

use vong_runtime::ManualClock;
use vong_telemetry::Metrics;

use super::*;
use crate::testing::{at, gop};

#[test]
fn loss_is_told_when_it_begins_and_when_it_is_over() {
    let (clock, registry) = (ManualClock::new(at(0).micros()), Metrics::new());
    let losses = Losses::new(Arc::new(clock.clone()), RecorderMetrics::new(&registry));
    let told = |second: i64| {
        let facts = losses.take_facts(at(second));
        let lines = facts.into_iter().map(|fact| {
            let camera = fact.camera.map(|(camera, _)| camera.to_string()).unwrap_or_default();
            let seconds = (fact.at.micros() - at(0).micros()) / 1_000_000;
            format!("{seconds} {camera} {} {}", fact.state, fact.detail.unwrap_or_default())
        });
        lines.collect::<Vec<_>>()
    };
    assert_eq!(told(0), [""; 0]);
    let lose = |camera: &str, second: i64, reason| {
        clock.set(at(second).micros());
        losses.count((&camera.into(), &"U1".into()), (&gop(second, 1)).into(), reason);
    };
    let keep = |camera: &str, second: i64| losses.kept((&camera.into(), &"U1".into()), at(second));
    keep("CAM-01", 0);
    assert_eq!(told(0), ["0 CAM-01 recording "], "what the log says may be from before a restart");
    keep("CAM-01", 0);
    assert_eq!(told(0), [""; 0]);
    lose("CAM-01", 1, Reason::QueueFull);
    lose("CAM-01", 2, Reason::QueueFull);
    assert_eq!(
        told(2),
        ["1 CAM-01 recording_lost 2 groups (50 frames) are lost so far: the disk did not keep up"]
    );
    lose("CAM-01", 3, Reason::DiskFull);
    lose("CAM-02", 4, Reason::WriteFailed);
    losses.disk_is_full(true);
    assert_eq!(told(5).len(), 2, "the disk and the second camera; the first was told");
    assert_eq!(told(6), [""; 0]);
    // A camera that delivers nothing is not recorded well again, and what was filmed earlier says
    // nothing of now.
    keep("CAM-01", 3);
    assert_eq!(told(30), [""; 0]);
    keep("CAM-01", 7);
    losses.disk_is_full(false);
    assert_eq!(
        told(8),
        ["8  disk_good ", "8 CAM-01 recording_good 3 groups (75 frames) were lost"]
    );
    keep("CAM-02", 8);
    assert_eq!(told(9), ["9 CAM-02 recording_good 1 groups (25 frames) were lost"]);
    assert_eq!(told(60), [""; 0]);
    assert!(
        registry.render().contains("vong_recorder_gops_dropped_total{reason=\"queue_full\"} 2")
    );
    // A loss that began and ended unseen is told whole.
    lose("CAM-01", 61, Reason::QueueFull);
    keep("CAM-01", 62);
    assert_eq!(told(99).len(), 2);
    lose("CAM-01", 100, Reason::QueueFull);
    assert_eq!(told(100).len(), 1);
    losses.forget(&"CAM-01".into());
    lose("CAM-01", 101, Reason::QueueFull);
    assert_eq!(told(101).len(), 1, "a camera that came back to the register is a new one");
    let facts = [
        Fact { at: at(0), camera: None, state: "disk_full", detail: None },
        Fact { at: at(0), camera: Some(("C".into(), "U".into())), state: "x", detail: None },
    ];
    assert_eq!(entries(&facts).len(), 2);
}
