//! Evidence as it leaves the house: real cameras are recorded, packages exported, changed in every
//! way that ffmpeg and a text editor offer, and judged by the command line and by the page in
//! Chromium, which must say the same.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::cameras::{Farm, assert_unbroken, cameras, now_ms};
use crate::disks::alerts_of;
use crate::support::{Browser, Vong, command, has_program, shared, wait_until};

const RULE: &str = "CREATE ALERT RULE seen SEVERITY low TITLE vi 'a' en 'a' ACTION vi 'a' en 'a' \
                    AS SELECT camera_id FROM camera_events WHERE state = 'connected';";

/// The findings of the command line, which must end as it says.
fn judge(path: &Path, key: &str) -> Value {
    let path = path.to_str().unwrap();
    let judged = command(&["evidence", "verify", path, "--json", "--key", key]).output().unwrap();
    let told = String::from_utf8_lossy(&judged.stdout);
    let why = String::from_utf8_lossy(&judged.stderr);
    assert!(told.starts_with('{'), "{path}: {told}{why}");
    let report: Value = serde_json::from_str(&told).unwrap();
    let expected = if report["intact"] == true { 0 } else { 1 };
    assert_eq!(judged.status.code(), Some(expected), "{path}: {report}");
    report
}

fn codes(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

fn ffmpeg(before: &[&str], from: &Path, after: &[&str], to: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]).args(before).arg("-i").arg(from).args(after).arg(to);
    let output = command.output().unwrap();
    assert!(output.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&output.stderr));
}

fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").args([from, to]).status().unwrap();
    assert!(copied.success());
}

fn edit_text(path: &Path, change: impl FnOnce(String) -> String) {
    let before = std::fs::read_to_string(path).unwrap();
    let after = change(before.clone());
    assert_ne!(before, after, "{} was to be edited", path.display());
    std::fs::write(path, after).unwrap();
}

/// The paths of both clips, cameras in order.
fn clips(package: &Path) -> [PathBuf; 2] {
    [package.join("clips/1-CAM-0.mp4"), package.join("clips/2-CAM-1.mp4")]
}

/// Changed copies of `good`, each with a finding that must be made of it.
fn tampered(good: &Path, into: &Path) -> BTreeMap<&'static str, &'static str> {
    let mut expected = BTreeMap::new();
    let mut copy = |name: &'static str, code: &'static str| {
        expected.insert(name, code);
        let copy = into.join(name);
        copy_folder(good, &copy);
        copy
    };
    let [clip, _] = clips(&copy("bit", "frame_changed"));
    let mut bytes = std::fs::read(&clip).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&clip, bytes).unwrap();

    let [clip, _] = clips(&copy("frame-removed", "frame_removed"));
    let original = good.join("clips/1-CAM-0.mp4");
    let drop_one = "noise=drop=eq(n\\,30)";
    ffmpeg(&["-ignore_editlist", "1"], &original, &["-c", "copy", "-bsf:v", drop_one], &clip);

    let [clip, _] = clips(&copy("packed-anew", "container_rewritten"));
    ffmpeg(&["-ignore_editlist", "1"], &original, &["-c", "copy"], &clip);

    let [clip, _] = clips(&copy("encoded-anew", "reencoded"));
    ffmpeg(&[], &original, &["-c:v", "libx264", "-preset", "ultrafast"], &clip);

    let [one, other] = clips(&copy("swapped", "clip_of_other_camera"));
    let kept = std::fs::read(&one).unwrap();
    std::fs::copy(&other, &one).unwrap();
    std::fs::write(&other, kept).unwrap();

    let manifest = copy("date", "group_facts_changed").join("manifest.json");
    edit_text(&manifest, |text| {
        let at = text.find("\"start_us\":").unwrap() + 11;
        let digits: String = text[at..].chars().take_while(char::is_ascii_digit).collect();
        let a_day_before = digits.parse::<i64>().unwrap() - 86_400_000_000;
        text.replacen(&digits, &a_day_before.to_string(), 1)
    });
    let manifest = copy("case", "manifest_edited").join("manifest.json");
    edit_text(&manifest, |text| text.replace("VA-17/2026", "VA-71/2026"));
    let signature = copy("signature", "signature_wrong").join("manifest.sig");
    edit_text(&signature, |text| {
        let last = text.trim_end().chars().last().unwrap();
        format!("{}{}\n", &text[..text.len() - 2], if last == '0' { '1' } else { '0' })
    });
    let custody = copy("custody", "custody_edited").join("custody.jsonl");
    edit_text(&custody, |text| text.replace("Trần", "Lê"));
    std::fs::remove_file(&clips(&copy("missing", "file_missing"))[1]).unwrap();
    std::fs::write(copy("added", "file_added").join("clips/other.mp4"), "x").unwrap();
    expected
}

/// What the page says of each folder: verdict and codes.
fn judged_in_chromium(page: &Path, archive: &Path, folders: &Path, key: &str) -> Option<Value> {
    let told = Browser::with("verify.mjs")?.drive(&[&page, &archive, &folders, &key]).unwrap();
    Some(serde_json::from_str(&told).unwrap())
}

struct Recorded {
    vong: Vong,
    from: String,
    to: String,
    _farm: Farm,
}

/// Two GStreamer cameras, recorded for a quarter of a minute.
fn recorded() -> Option<Recorded> {
    let (script, video) = (shared("tools/gst_rtsp_farm.py")?, shared("data/video")?);
    if !has_program("ffprobe") || !has_program("ffmpeg") {
        return None;
    }
    let video = video.join("traffic_tfl_a13_h264_gop2s.mp4");
    let other = tempfile::tempdir().unwrap();
    let second = other.path().join("second.mp4");
    let encode = [
        "-t",
        "40",
        "-vf",
        "hflip",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "0",
        "-g",
        "25",
        "-an",
    ];
    ffmpeg(&[], &video, &encode, &second);
    let farm = Farm::start(&script, &[&video, &second]);
    let mut vong = Vong::new("").unwrap();
    vong.write("cameras.csv", &cameras(farm.port, "")).unwrap();
    vong.write("rules/seen.sql", RULE).unwrap();
    vong.start().unwrap();
    wait_until("both cameras recorded", Duration::from_secs(40), || {
        let sql =
            "SELECT count(DISTINCT camera_id) AS n FROM camera_events WHERE state = 'connected'";
        vong.number(sql).unwrap() == 2
    });
    std::thread::sleep(Duration::from_secs(17));
    let instant = |ms: i64| vong_model::EventTime(ms * 1_000).to_string();
    let now = now_ms();
    let (from, to) = (instant(now - 11_300), instant(now - 5_100));
    Some(Recorded { vong, from, to, _farm: farm })
}

impl Recorded {
    fn export(&self, what: &[&str], out: &Path) -> (String, bool) {
        let url = self.vong.url("");
        let mut arguments =
            vec!["evidence", "export", "--case", "VA-17/2026", "--by", "Trần Văn An"];
        arguments.extend(["--purpose", "Điều tra tai nạn", "--url", &url, "--out"]);
        arguments.push(out.to_str().unwrap());
        arguments.extend(what);
        self.vong.run(&arguments).unwrap()
    }

    fn both(&self) -> [&str; 8] {
        let Self { from, to, .. } = self;
        ["--camera", "CAM-0", "--camera", "CAM-1", "--from", from, "--to", to]
    }

    fn key(&self) -> String {
        let mut answer = ureq::get(self.vong.url("/api/v1/evidence/key")).call().unwrap();
        let key: Value =
            serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        key["fingerprint"].as_str().unwrap().to_owned()
    }
}

#[test]
fn evidence_of_real_cameras_holds_and_every_change_is_named_twice() {
    let Some(mut recorded) = recorded() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (archive, good) = (folder.path().join("package.zip"), folder.path().join("good"));
    for out in [&archive, &good] {
        let (told, done) = recorded.export(&recorded.both(), out);
        assert!(done, "{told}");
    }
    let key = recorded.key();
    for package in [&archive, &good] {
        let report = judge(package, &key);
        assert_eq!(report["intact"], true, "{report}");
        assert_eq!(report["key_confirmed"], true);
        assert!(report["frames_verified"].as_u64().unwrap() > 100, "{report}");
    }
    for clip in clips(&good) {
        assert_unbroken(&clip, 6.2, 25.0);
    }
    let cases = folder.path().join("cases");
    std::fs::create_dir(&cases).unwrap();
    copy_folder(&good, &cases.join("good"));
    let expected = tampered(&good, &cases);
    let page = judged_in_chromium(&good.join("verify.html"), &archive, &cases, &key);
    for (name, code) in &expected {
        let report = judge(&cases.join(name), &key);
        let found = codes(&report);
        println!("{name}: {found:?}");
        assert!(found.iter().any(|found| found == code), "{name}: no {code} in {report}");
        assert_eq!(report["intact"], false, "{name}");
    }
    let no_package = ["evidence", "verify", "Cargo.toml"];
    assert_eq!(command(&no_package).output().unwrap().status.code(), Some(2), "not a package");
    if let Some(page) = page {
        assert_eq!(page["strangers"], serde_json::json!([]), "the page asks nobody");
        for name in expected.keys().chain([&"good"]) {
            let report = judge(&cases.join(name), &key);
            assert_eq!(page["cases"][name]["codes"], serde_json::json!(codes(&report)), "{name}");
            let verdict = if report["intact"] == true { "intact" } else { "changed" };
            assert_eq!(page["cases"][name]["verdict"], verdict, "{name}");
        }
        assert_eq!(page["archive"]["verdict"], "intact", "{page}");
    }
    recorded.vong.stop().unwrap();
    let data = recorded.vong.path("data");
    let (told, sound) = recorded.vong.run(&["fsck", "--data", data.to_str().unwrap()]).unwrap();
    assert!(sound && told.contains("evidence: 0 checkpoints"), "{told}");
}

#[test]
fn exporting_is_recorded_held_and_can_be_resumed() {
    let Some(recorded) = recorded() else { return };
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("package.zip");
    let alerts = "SELECT DISTINCT alert_id FROM clips WHERE camera_id = 'CAM-0' ORDER BY 1";
    wait_until("clips are filed", Duration::from_secs(20), || {
        !recorded.vong.sql(alerts).unwrap().is_empty()
    });
    let alert = recorded.vong.sql(alerts).unwrap()[0]["alert_id"].as_str().unwrap().to_owned();
    let (told, done) = recorded.export(&["--alert", &alert], &archive);
    assert!(done, "{told}");
    let report = judge(&archive, &recorded.key());
    assert_eq!(report["intact"], true, "{report}");
    let (told, done) = recorded.export(&["--alert", &alert], &archive);
    assert!(!done && told.contains("never written over"), "{told}");
    let (told, done) = recorded.export(&["--alert", "none"], &folder.path().join("x.zip"));
    assert!(!done && told.contains("no clips are filed"), "{told}");
    let nobody = ["--camera", "CAM-9", "--from", &recorded.from, "--to", &recorded.to];
    let (told, done) = recorded.export(&nobody, &folder.path().join("x.zip"));
    assert!(!done && told.contains("nothing was recorded"), "{told}");

    let rows = "SELECT kind, package_id, case_id, purpose, actor, cameras FROM evidence_events ORDER BY log_offset";
    let rows = recorded.vong.sql(rows).unwrap();
    let kinds: Vec<&str> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["exported", "downloaded"], "{rows:?}");
    assert_eq!(rows[0]["case_id"], "VA-17/2026");
    assert_eq!(rows[0]["actor"], "Trần Văn An (local)");
    let holds = std::fs::read_to_string(recorded.vong.path("data/footage/holds.json")).unwrap();
    assert!(holds.contains("VA-17/2026"), "{holds}");

    let package = rows[0]["package_id"].as_str().unwrap();
    let url = recorded.vong.url(&format!("/api/v1/evidence/{package}/package.zip"));
    let mut rest = ureq::get(&url).header("range", "bytes=1000-").call().unwrap();
    assert_eq!(rest.status(), 206);
    let rest = rest.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
    assert_eq!(rest, std::fs::read(&archive).unwrap()[1_000..]);
    let custody = recorded.vong.get(&format!("/api/v1/evidence/{package}/custody.jsonl")).unwrap();
    assert_eq!(custody.lines().count(), 3, "made, fetched, and the rest fetched: {custody}");
}

#[test]
fn evidence_that_is_switched_off_raises_an_alert_until_it_is_mended() {
    let mut vong = Vong::new("").unwrap();
    let rule = xtask::root().join("configs/rules/evidence_off.sql");
    vong.write("rules/evidence_off.sql", &std::fs::read_to_string(rule).unwrap()).unwrap();
    vong.start().unwrap();
    vong.stop().unwrap();
    let key = vong.path("data/keys/evidence.key");
    let mode = |mode| {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o644); // others may have read it
    vong.start().unwrap();
    let state =
        |vong: &Vong| alerts_of(vong, "evidence_off").first().map(|row| row["state"].clone());
    let limit = Duration::from_secs(30);
    wait_until("the alert", limit, || state(&vong).is_some_and(|state| state == "firing"));
    vong.stop().unwrap();
    mode(0o600);
    vong.start().unwrap();
    wait_until("its end", limit, || state(&vong).is_some_and(|state| state == "resolved"));
}
