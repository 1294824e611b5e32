//! Bad disks under a running vong: full, failing, slow. Whatever the disk does, the service answers,
//! people are told, and every message the broker took is there exactly once.
//!
//! The full disk is a small file system in memory, mounted by the test, which needs root for it. A
//! failing or slow one is the machine's own, with `disks/bad_disk.c` before `fdatasync`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use vong_testkit::{Mosquitto, Publisher};

use crate::footage::{gops, recorded, told};
use crate::sensors::{RULE, SOURCE, distinct, message, now_ms, on_broker};
use crate::support::{Vong, has_program, wait_until};

/// An answer that takes longer than this is as good as none.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Messages published one portion after another until the test has seen enough.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    thread: JoinHandle<Result<()>>,
}

impl Load {
    fn start(port: u16) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (told, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let base = now_ms() - 5_000;
        let thread = std::thread::spawn(move || {
            let mut publisher = Publisher::connect(port, "publisher")?;
            let mut n = 0;
            while !told.load(Ordering::SeqCst) {
                let messages: Vec<_> = (n..n + 20).map(|n| message(n, base)).collect();
                publisher.publish(&messages, &mut n)?;
                count.store(n, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        });
        Self { stop, sent, thread }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst) as u64
    }

    /// How many messages the broker has acknowledged in all.
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap().unwrap();
        self.sent.load(Ordering::SeqCst) as u64
    }
}

/// A vong with the rule on its own log among its rules, not yet started.
fn site(broker: &Mosquitto) -> Result<Vong> {
    let vong = on_broker(broker.port(), SOURCE, RULE)?;
    let rule = std::fs::read_to_string(xtask::root().join("configs/rules/log_in_trouble.sql"))?;
    vong.write("rules/log_in_trouble.sql", &rule)?;
    Ok(vong)
}

fn start(vong: &mut Vong) {
    vong.start().unwrap();
    wait_until("subscription", Duration::from_secs(10), || vong.said().contains("connected"));
}

/// The value of one metric over all its labels.
fn metric(vong: &Vong, name: &str) -> f64 {
    let text = vong.get("/metrics").unwrap();
    let lines = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next()).flatten()
    });
    lines.filter_map(|value| value.parse::<f64>().ok()).sum()
}

pub(crate) fn alerts_of(vong: &Vong, rule: &str) -> Vec<Value> {
    let sql = format!("SELECT alert_id, state FROM alerts WHERE rule_id = '{rule}'");
    vong.sql(&sql).unwrap()
}

/// Asks for readiness and for rows, and sees to it that neither takes long.
fn assert_answers(vong: &Vong) {
    let begun = Instant::now();
    vong.get("/readyz").unwrap();
    vong.number("SELECT count(*) AS n FROM readings").unwrap();
    assert!(begun.elapsed() < ANSWERS_WITHIN, "an answer took {:?}", begun.elapsed());
}

/// Everything the broker took is there, once, and so is it after a restart; nothing is damaged.
fn assert_exactly_once(vong: &mut Vong, sent: u64) {
    let limit = Duration::from_secs(60);
    wait_until("all messages in SQL", limit, || distinct(vong) == sent);
    std::thread::sleep(Duration::from_millis(500)); // what would be doubled is in by now
    assert_eq!(vong.number("SELECT count(*) AS n FROM readings").unwrap(), sent);
    let twice = "SELECT alert_id, state, event_time, count(*) AS n FROM alert_transitions \
                 GROUP BY alert_id, state, event_time HAVING count(*) > 1";
    assert_eq!(vong.sql(twice).unwrap(), Vec::<Value>::new());
    vong.stop().unwrap();
    let (told, sound) = vong.run(&["fsck", "--data", vong.path("data").to_str().unwrap()]).unwrap();
    assert!(sound, "{told}");
    vong.start().unwrap();
    assert_eq!(vong.number("SELECT count(*) AS n FROM readings").unwrap(), sent);
    vong.stop().unwrap();
}

/// A file system in memory; gone with this.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, with the reason, where this user may not mount.
    fn mount(at: PathBuf, mib: u64) -> Result<Option<Self>> {
        if !has_program("mount") {
            return Ok(None);
        }
        std::fs::create_dir_all(&at)?;
        let size = format!("size={mib}m");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(&at).output()?;
        if !mounted.status.success() {
            println!("skipped: cannot mount: {}", String::from_utf8_lossy(&mounted.stderr).trim());
            return Ok(None);
        }
        Ok(Some(Self(at)))
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("of-another-program")
    }

    /// Takes every byte there is, as another program would.
    fn fill(&self) {
        use std::io::Write as _;
        let mut file =
            std::fs::File::options().create(true).append(true).open(self.ballast()).unwrap();
        for piece in [vec![7; 64 * 1024], vec![7; 1]] {
            while file.write_all(&piece).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status()); // a failed test may still use it
    }
}

#[test]
fn full_disk_keeps_alerts_and_commands_alive_and_gives_all_messages_back() {
    let Some(broker) = Mosquitto::start_or_skip().unwrap() else { return };
    let mut vong = site(&broker).unwrap();
    let Some(disk) = SmallDisk::mount(vong.path("data/log"), 24).unwrap() else { return };
    start(&mut vong);
    let load = Load::start(broker.port());
    wait_until("first rows", Duration::from_secs(20), || distinct(&vong) > 0);
    disk.fill();
    let limit = Duration::from_secs(30);
    wait_until("the log says it is full", limit, || metric(&vong, "vong_log_disk_full") == 1.0);
    wait_until("the alert about it", limit, || alerts_of(&vong, "log_in_trouble").len() == 1);
    let acknowledged = metric(&vong, "vong_mqtt_acknowledged_total");
    let sent = load.sent();
    std::thread::sleep(Duration::from_secs(2));
    assert!(load.sent() > sent, "the load goes on");
    assert_eq!(metric(&vong, "vong_mqtt_acknowledged_total"), acknowledged, "nothing is taken");
    assert!(metric(&vong, "vong_mqtt_append_failures_total") > 0.0);
    assert!(metric(&vong, "vong_log_reserve_bytes") > 0.0);
    // A command and a change of rules go into the reserve, and take effect.
    let alert = alerts_of(&vong, "log_in_trouble")[0]["alert_id"].as_str().unwrap().to_owned();
    let url = vong.url(&format!("/api/v1/alerts/{alert}/acknowledge"));
    ureq::post(url).send_json(serde_json::json!({"reason": "seen"})).unwrap();
    wait_until("the acknowledgement", limit, || {
        alerts_of(&vong, "log_in_trouble")[0]["state"] == "acknowledged"
    });
    vong.sql(&RULE.replace("level_high", "level_high_too")).unwrap();
    assert_answers(&vong);
    disk.free();
    wait_until("space again", limit, || metric(&vong, "vong_log_disk_full") == 0.0);
    let sent = load.stop();
    wait_until("rows of before", limit, || distinct(&vong) == sent);
    let states =
        "SELECT count(*) AS n FROM source_events WHERE source_id = 'vong_disk' AND state = ";
    assert_eq!(vong.number(&format!("{states}'disk_full'")).unwrap(), 1);
    assert_exactly_once(&mut vong, sent);
}

/// A vong whose log disk does what the files of the returned directory say.
fn on_bad_disk(broker: &Mosquitto) -> Result<Option<(Vong, PathBuf)>> {
    if !has_program("gcc") {
        return Ok(None);
    }
    let mut vong = site(broker)?;
    let (shim, orders) = (vong.path("bad_disk.so"), vong.path("orders"));
    std::fs::create_dir(&orders)?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("disks/bad_disk.c");
    let mut gcc = Command::new("gcc");
    let built = gcc.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&shim).arg(source);
    ensure!(built.status()?.success(), "could not build the bad disk");
    vong.environment = vec![("LD_PRELOAD", shim), ("BAD_DISK", orders.clone())];
    start(&mut vong);
    Ok(Some((vong, orders)))
}

#[test]
fn failed_syncs_cost_no_message_and_raise_the_alert() {
    let Some(broker) = Mosquitto::start_or_skip().unwrap() else { return };
    let Some((mut vong, orders)) = on_bad_disk(&broker).unwrap() else { return };
    let load = Load::start(broker.port());
    wait_until("first rows", Duration::from_secs(20), || distinct(&vong) > 0);
    let limit = Duration::from_secs(20);
    let (mut failures, begun) = (0.0, Instant::now());
    // Until some of them hit commits that held messages, not decisions of the engine alone.
    while metric(&vong, "vong_mqtt_append_failures_total") < 3.0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{failures} failures, none of messages");
        let order = orders.join("fail-0");
        std::fs::write(&order, "").unwrap();
        wait_until("a sync fails", limit, || !order.is_file());
        failures += 1.0;
        std::thread::sleep(Duration::from_millis(300));
        assert_answers(&vong);
    }
    wait_until("failures are counted", limit, || {
        metric(&vong, "vong_log_sync_failures_total") == failures
    });
    println!("{failures} failed syncs");
    wait_until("the alert about them", limit, || !alerts_of(&vong, "log_in_trouble").is_empty());
    let sent = load.stop();
    assert_exactly_once(&mut vong, sent);
}

#[test]
fn slow_disk_delays_and_loses_nothing() {
    let Some(broker) = Mosquitto::start_or_skip().unwrap() else { return };
    let Some((mut vong, orders)) = on_bad_disk(&broker).unwrap() else { return };
    let load = Load::start(broker.port());
    wait_until("first rows", Duration::from_secs(20), || distinct(&vong) > 0);
    std::fs::write(orders.join("slow-500"), "").unwrap();
    let before = metric(&vong, "vong_log_commits_total");
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(500));
        assert_answers(&vong);
    }
    let commits = metric(&vong, "vong_log_commits_total") - before;
    assert!((4.0..=14.0).contains(&commits), "{commits} commits in 5 s of 0.5 s each");
    // Slower than that is a fact of its own, and does not keep the service from answering.
    std::fs::write(orders.join("slow-5000"), "").unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(7) {
        assert_answers(&vong);
        std::thread::sleep(Duration::from_millis(500));
    }
    for order in ["slow-500", "slow-5000"] {
        std::fs::remove_file(orders.join(order)).unwrap();
    }
    let limit = Duration::from_secs(30);
    let slow =
        "SELECT detail FROM source_events WHERE source_id = 'vong_disk' AND state = 'disk_slow'";
    wait_until("the fact", limit, || !vong.sql(slow).unwrap().is_empty());
    let told = vong.sql(slow).unwrap();
    assert!(told[0]["detail"].as_str().is_some_and(|d| d.contains("a commit took 5.")), "{told:?}");
    wait_until("the alert about it", limit, || !alerts_of(&vong, "log_in_trouble").is_empty());
    assert!(metric(&vong, "vong_log_slow_syncs_total") >= 1.0);
    let sent = load.stop();
    assert_exactly_once(&mut vong, sent);
}

#[test]
fn full_footage_disk_pauses_recording_tells_it_and_goes_on_by_itself() {
    let Some((_farm, mut vong)) = recorded(3, "[footage]\nmin_free_mib = 0\n").unwrap() else {
        return;
    };
    let rules = xtask::root().join("configs/rules/footage_in_trouble.sql");
    vong.write("rules/footage_in_trouble.sql", &std::fs::read_to_string(rules).unwrap()).unwrap();
    let Some(disk) = SmallDisk::mount(vong.path("data/footage"), 24).unwrap() else { return };
    vong.start().unwrap();
    let limit = Duration::from_secs(60);
    wait_until("footage", limit, || gops(&vong) >= 6);
    disk.fill();
    wait_until("recording has paused", limit, || metric(&vong, "vong_recorder_disk_full") == 1.0);
    wait_until("each camera's loss is told", limit, || told(&vong, "recording_lost") == 3);
    wait_until("the alert", limit, || alerts_of(&vong, "footage_in_trouble").len() == 1);
    let kept = gops(&vong);
    assert!(kept >= 6, "the last hour stays whatever fills the disk");
    assert_answers(&vong);
    disk.free();
    wait_until("footage goes on", limit, || gops(&vong) >= kept + 6);
    wait_until("it is told", limit, || told(&vong, "recording_good") == 3);
    assert_eq!(metric(&vong, "vong_recorder_disk_full"), 0.0);
    let good =
        "SELECT count(*) AS n FROM source_events WHERE source_id = 'vong_footage' AND state = ";
    assert_eq!(vong.number(&format!("{good}'disk_full'")).unwrap(), 1);
    // With the first footage after the start, and when there was space again.
    assert_eq!(vong.number(&format!("{good}'disk_good'")).unwrap(), 2);
    vong.stop().unwrap();
    let (said, sound) = vong.run(&["fsck", "--data", vong.path("data").to_str().unwrap()]).unwrap();
    assert!(sound, "{said}");
}

#[test]
fn slow_footage_disk_costs_whole_groups_that_are_counted_and_nothing_else() {
    if !has_program("gcc") {
        return;
    }
    let Some((_farm, mut vong)) = recorded(3, "[footage]\nqueue_mib = 1\n").unwrap() else {
        return;
    };
    let (shim, orders) = (vong.path("bad_disk.so"), vong.path("orders"));
    std::fs::create_dir(&orders).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("disks/bad_disk.c");
    let mut gcc = Command::new("gcc");
    let built = gcc.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&shim).arg(source).status();
    assert!(built.unwrap().success());
    vong.environment = vec![("LD_PRELOAD", shim), ("BAD_DISK", orders.clone())];
    vong.start().unwrap();
    let limit = Duration::from_secs(90);
    wait_until("footage", limit, || gops(&vong) >= 6);
    std::fs::write(orders.join("footage-3000"), "").unwrap();
    wait_until("losses are told", limit, || told(&vong, "recording_lost") > 0);
    assert_answers(&vong);
    assert!(metric(&vong, "vong_recorder_queue_bytes") <= 1_048_576.0);
    std::fs::remove_file(orders.join("footage-3000")).unwrap();
    wait_until("it is over", limit, || {
        told(&vong, "recording_good") == told(&vong, "recording_lost")
    });
    assert_eq!(
        vong.number("SELECT count(*) AS n FROM camera_events WHERE state = 'lost'").unwrap(),
        0
    );
    assert!(metric(&vong, "vong_recorder_gops_dropped_total") > 0.0);
    vong.stop().unwrap();
    let (said, sound) = vong.run(&["fsck", "--data", vong.path("data").to_str().unwrap()]).unwrap();
    assert!(sound, "{said}");
}
