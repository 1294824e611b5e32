//! Ground truth: what happens when and where, and which rules should notice, as a file.

use serde::Serialize;

use super::{CYCLE_MS, Scenario, ScenarioKind};
use crate::world::World;

/// Content of `ground_truth.json`. Times are seconds since the start of the simulation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroundTruth {
    /// Always true: none of this happened in a real city.
    pub simulated: bool,
    pub seed: u64,
    pub cycle_s: u64,
    pub scenarios: Vec<TruthEntry>,
}

/// One scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TruthEntry {
    /// `<cycle>-<number in cycle>-<kind>`.
    pub scenario_id: String,
    pub kind: &'static str,
    pub start_s: u64,
    /// Exclusive.
    pub end_s: u64,
    /// The main one first.
    pub sensor_ids: Vec<String>,
    pub camera_ids: Vec<String>,
    /// Names of shipped rules that should fire for these sensors or cameras while it lasts.
    pub rules: &'static [&'static str],
    /// Names of shipped rules that may fire for them too: it depends on where windows begin, on the
    /// hour, or on how a device that is left out of rules is seen.
    pub may_fire: &'static [&'static str],
    pub notice_vi: &'static str,
    pub notice_en: &'static str,
}

/// The truth about the first `cycles` cycles.
pub fn ground_truth(world: &World, cycles: usize) -> GroundTruth {
    let of_cycle = |number: usize| {
        let scenarios = world.plan().cycle(number).iter().enumerate();
        scenarios.map(move |(at, scenario)| entry(world, number, at, scenario))
    };
    GroundTruth {
        simulated: true,
        seed: world.seed(),
        cycle_s: CYCLE_MS / 1_000,
        scenarios: (0..cycles).flat_map(of_cycle).collect(),
    }
}

fn entry(world: &World, cycle: usize, at: usize, scenario: &Scenario) -> TruthEntry {
    let cycle_start_s = cycle as u64 * CYCLE_MS / 1_000;
    let (notice_vi, notice_en) = notice(scenario.kind);
    TruthEntry {
        scenario_id: format!("{cycle}-{:02}-{}", at + 1, scenario.kind.as_str()),
        kind: scenario.kind.as_str(),
        start_s: cycle_start_s + scenario.start_ms / 1_000,
        end_s: cycle_start_s + scenario.end_ms / 1_000,
        sensor_ids: scenario.sensor_ids(world).iter().map(ToString::to_string).collect(),
        camera_ids: scenario.camera_ids(world).iter().map(ToString::to_string).collect(),
        rules: rules(scenario.kind),
        may_fire: may_fire(scenario.kind),
        notice_vi,
        notice_en,
    }
}

/// Names as in `configs/rules`.
fn rules(kind: ScenarioKind) -> &'static [&'static str] {
    match kind {
        ScenarioKind::Flood => &["water_level_high", "water_level_rising"],
        ScenarioKind::Accident => &["accident_suspected"],
        ScenarioKind::Jam => &["traffic_jam"],
        ScenarioKind::HeavyRain => &["heavy_rain"],
        ScenarioKind::PoorAir => &["air_quality_poor", "pm10_high"],
        ScenarioKind::LoudNoise => &["noise_high"],
        ScenarioKind::DoorOpen => &["pump_door_open"],
        ScenarioKind::Overload => &["power_overload"],
        ScenarioKind::SensorDead => &["sensor_silent"],
        ScenarioKind::SensorStuck => &["sensor_stuck"],
        ScenarioKind::FastClock => &["clock_ahead"],
        ScenarioKind::CameraLost => &["camera_lost"],
        // a picture is often not told to stand before a minute and a half have passed
        ScenarioKind::CameraFrozen => &[],
    }
}

fn may_fire(kind: ScenarioKind) -> &'static [&'static str] {
    match kind {
        // a window that holds the moment of the crash averages to a jam
        // and what stands before a camera may be a queue to it
        ScenarioKind::Accident => &["traffic_jam", "traffic_queue"],
        ScenarioKind::Jam => &["traffic_queue"],
        ScenarioKind::CameraFrozen => &["camera_frozen"],
        ScenarioKind::LoudNoise => &["noise_night"],
        // rules do not see a device whose clock runs ahead
        ScenarioKind::FastClock => &["sensor_silent"],
        _ => &[],
    }
}

fn notice(kind: ScenarioKind) -> (&'static str, &'static str) {
    match kind {
        ScenarioKind::Flood => (
            "Mực nước sông tại trạm vượt 3,5 m; các trạm lân cận dâng nhẹ.",
            "River level at the gauge passes 3.5 m; its neighbours rise a little.",
        ),
        ScenarioKind::Accident => (
            "Xe dừng giữa nút giao: tốc độ còn khoảng 3 km/h, vòng từ luôn có xe; camera thấy xe đứng yên.",
            "Vehicles stand in the junction: speed near 3 km/h, the loop is covered; the camera shows them standing.",
        ),
        ScenarioKind::Jam => (
            "Ùn tắc quanh một khu phố: nhiều vòng từ dưới 10 km/h.",
            "A jam around one place: several loops under 10 km/h.",
        ),
        ScenarioKind::HeavyRain => ("Mưa rất to tại một trạm đo.", "Very heavy rain at one gauge."),
        ScenarioKind::PoorAir => {
            ("Bụi mịn PM2.5 tăng cao quanh một trạm.", "Fine dust PM2.5 rises around one station.")
        }
        ScenarioKind::LoudNoise => {
            ("Tiếng ồn lớn kéo dài tại một điểm đo.", "Loud noise for two minutes at one meter.")
        }
        ScenarioKind::DoorOpen => {
            ("Cửa một trạm bơm mở.", "The door of a pump station stands open.")
        }
        ScenarioKind::Overload => (
            "Một công tơ đo tải tăng đột ngột lên khoảng 240 kW.",
            "The load of one meter jumps to about 240 kW.",
        ),
        ScenarioKind::SensorDead => ("Cảm biến ngừng gửi dữ liệu.", "The sensor stops sending."),
        ScenarioKind::SensorStuck => {
            ("Cảm biến lặp lại một giá trị.", "The sensor repeats one value.")
        }
        ScenarioKind::FastClock => {
            ("Đồng hồ thiết bị chạy nhanh 5 phút.", "The device's clock is five minutes ahead.")
        }
        ScenarioKind::CameraFrozen => {
            ("Camera lặp lại một khung hình.", "The camera repeats one picture.")
        }
        ScenarioKind::CameraLost => (
            "Camera từ chối kết nối trong một phút.",
            "The camera refuses connections for a minute.",
        ),
    }
}
