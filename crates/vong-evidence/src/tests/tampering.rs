//! Everything that can be done to a package is named. The cases are also the test vectors of the
//! verifier page: `dashboards/verifier/test/vectors.json` holds what is done and what must be found.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use vong_footage::ClipForm;
use vong_media::Gop;
use vong_model::CameraId;

use super::fixture::{Site, at, files_of, folder, gop, request};
use crate::custody::{self, CustodyEntry};
use crate::finding::{Code, Severity};
use crate::{Fingerprint, Package, Report, verify};

type Files = BTreeMap<String, Vec<u8>>;

const CLIP_A: &str = "clips/1-CAM-A.mp4";
const CLIP_B: &str = "clips/2-CAM-B.mp4";

/// What is done to a package, as data that any language can apply.
enum Edit {
    Flip { file: &'static str, at: usize },
    Remove(&'static str),
    Put { file: &'static str, content: Vec<u8> },
    Swap(&'static str, &'static str),
}

impl Edit {
    fn apply(&self, files: &mut Files) {
        match self {
            Self::Flip { file, at } => files.get_mut(*file).unwrap()[*at] ^= 1,
            Self::Remove(file) => drop(files.remove(*file).unwrap()),
            Self::Put { file, content } => drop(files.insert((*file).to_owned(), content.clone())),
            Self::Swap(a, b) => {
                let (one, other) = (files[*a].clone(), files[*b].clone());
                files.insert((*a).to_owned(), other);
                files.insert((*b).to_owned(), one);
            }
        }
    }

    fn told(&self) -> Value {
        match self {
            Self::Flip { file, at } => json!({ "flip": file, "at": at }),
            Self::Remove(file) => json!({ "remove": file }),
            Self::Put { file, content } => {
                json!({ "put": file, "hex": crate::hex::encode(content) })
            }
            Self::Swap(a, b) => json!({ "swap": [a, b] }),
        }
    }
}

fn find(bytes: &[u8], wanted: &str) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted.as_bytes()).unwrap()
}

fn replaced(files: &Files, file: &'static str, from: &str, to: &str) -> Edit {
    let text = std::str::from_utf8(&files[file]).unwrap();
    assert!(text.contains(from), "{from} is not in {file}");
    Edit::Put { file, content: text.replacen(from, to, 1).into_bytes() }
}

/// The manifest with something else in it, spelt otherwise besides.
fn edited_manifest(files: &Files, edit: impl FnOnce(&mut Value)) -> Edit {
    let mut manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    edit(&mut manifest);
    Edit::Put { file: "manifest.json", content: serde_json::to_vec(&manifest).unwrap() }
}

/// The clip that camera A's footage would give if it had been `change`d.
fn forged_clip(change: impl Fn(i64, &mut Gop)) -> Edit {
    let site = Site::new();
    let mut writer = site.writer("CAM-A");
    for n in 0..8 {
        let mut gop = gop(1, 3_590_000 + n * 2_000, 0);
        change(n, &mut gop);
        writer.push(&gop).unwrap();
    }
    let request = request();
    let camera = CameraId::from("CAM-A");
    let clip = site.footage.clip(&camera, request.from, request.to, ClipForm::WholeGroups).unwrap();
    let content = clip.read_range(0..clip.total_len()).unwrap().to_vec();
    Edit::Put { file: CLIP_A, content }
}

type Case = (&'static str, Vec<Edit>);

fn cases(files: &Files) -> Vec<Case> {
    let mut all = vec![("untouched", vec![])];
    all.extend(clip_cases(files));
    all.extend(manifest_cases(files));
    all.extend(file_cases(files));
    all
}

fn clip_cases(files: &Files) -> Vec<Case> {
    let moved_frame = |_: i64, gop: &mut Gop| gop.frames[0].duration_90k += 9_000;
    vec![
        (
            "one bit of a frame",
            vec![Edit::Flip {
                file: CLIP_A,
                at: find(&files[CLIP_A], "<camera 1 at 3596000 frame 2>"),
            }],
        ),
        (
            "one bit of the tables",
            vec![Edit::Flip { file: CLIP_A, at: find(&files[CLIP_A], "stts") + 11 }],
        ),
        (
            "a frame removed",
            vec![forged_clip(|n, gop| {
                if n == 4 {
                    gop.frames.remove(3);
                    gop.data.remove(3);
                    gop.frames[2].duration_90k *= 2;
                }
            })],
        ),
        (
            "a frame put in",
            vec![forged_clip(|n, gop| {
                if n == 4 {
                    gop.data.insert(1, "<not recorded>".into());
                    gop.frames.insert(1, vong_media::Frame { duration_90k: 18_000, size: 14 });
                    gop.frames[0].duration_90k = 18_000;
                }
            })],
        ),
        (
            "a frame shown twice",
            vec![forged_clip(|n, gop| {
                if n == 4 {
                    gop.data[2] = gop.data[1].clone();
                    gop.frames[2].size = gop.frames[1].size;
                }
            })],
        ),
        (
            "encoded anew",
            vec![forged_clip(|n, gop| {
                for (frame, data) in gop.frames.iter_mut().zip(&mut gop.data) {
                    *data = format!("other picture {n}").repeat(2).into();
                    frame.size = data.len() as u32;
                }
            })],
        ),
        ("packed anew with other timing", vec![forged_clip(moved_frame)]),
        ("not a video", vec![Edit::Put { file: CLIP_A, content: b"hello".to_vec() }]),
    ]
}

fn manifest_cases(files: &Files) -> Vec<Case> {
    let manifest = "manifest.json";
    let start = |ms: i64| format!("\"start_us\":{}", at(ms).micros());
    let hole =
        format!("{{\"from_us\":{},\"to_us\":{}}},", at(3_596_800).micros(), at(3_597_600).micros());
    let path_digit = find(&files[manifest], "\"path\":[\"") + 9;
    vec![
        ("date changed", vec![replaced(files, manifest, &start(3_596_000), &start(3_596_001))]),
        (
            "loss hidden",
            vec![replaced(
                files,
                manifest,
                "\"lost_packets\":3,\"clock",
                "\"lost_packets\":0,\"clock",
            )],
        ),
        (
            "gap hidden",
            vec![replaced(
                files,
                manifest,
                &format!(
                    ",{{\"from_us\":{},\"to_us\":{}}}",
                    at(3_600_000).micros(),
                    at(3_602_000).micros()
                ),
                "",
            )],
        ),
        ("hole hidden", vec![replaced(files, manifest, &hole, "")]),
        (
            "seal taken away",
            vec![edited_manifest(files, |manifest| {
                let group = &mut manifest["cameras"][0]["groups"][1];
                group["seal"] = Value::Null;
                group["unsealed"] = json!("not_yet");
            })],
        ),
        (
            "said not to be kept",
            vec![edited_manifest(files, |manifest| {
                let camera = &mut manifest["cameras"][0];
                camera["groups"][1]["seal"] = Value::Null;
                camera["groups"][1]["unsealed"] = json!("leaves_gone");
                camera["unreadable"] = json!([{ "from_us": 5, "to_us": 6 }]);
            })],
        ),
        (
            "unknown word",
            vec![edited_manifest(files, |manifest| {
                manifest["cameras"][0]["groups"][1]["unsealed"] = json!("perhaps");
            })],
        ),
        ("case changed", vec![replaced(files, manifest, "VA-17/2026", "VA-18/2026")]),
        ("proof changed", vec![Edit::Flip { file: manifest, at: path_digit }]),
        ("checkpoint changed", vec![replaced(files, manifest, "groups 10", "groups 11")]),
        (
            "manifest cut off",
            vec![Edit::Put { file: manifest, content: files[manifest][..500].to_vec() }],
        ),
    ]
}

fn file_cases(files: &Files) -> Vec<Case> {
    let manifest = "manifest.json";
    let more_custody = {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(custody::FILE_NAME);
        std::fs::write(&path, &files[custody::FILE_NAME]).unwrap();
        let entry = CustodyEntry {
            at_us: at(9_000_000).micros(),
            action: "handed_over".to_owned(),
            by: "Lê Thị Bình".to_owned(),
            software: "vong 0.0.0".to_owned(),
            detail: "USB".to_owned(),
        };
        custody::append(&path, &entry).unwrap();
        std::fs::read(&path).unwrap()
    };
    let edited_custody = String::from_utf8(more_custody.clone()).unwrap().replace("USB", "CD");
    vec![
        ("clips swapped", vec![Edit::Swap(CLIP_A, CLIP_B)]),
        ("clip missing", vec![Edit::Remove(CLIP_B)]),
        ("page changed", vec![Edit::Flip { file: "index.html", at: 100 }]),
        ("file added", vec![Edit::Put { file: "clips/extra.mp4", content: b"x".to_vec() }]),
        ("signature changed", vec![Edit::Flip { file: "manifest.sig", at: 300 }]),
        ("signature missing", vec![Edit::Remove("manifest.sig")]),
        ("manifest missing", vec![Edit::Remove(manifest)]),
        ("custody gone on", vec![Edit::Put { file: custody::FILE_NAME, content: more_custody }]),
        (
            "custody edited",
            vec![Edit::Put { file: custody::FILE_NAME, content: edited_custody.into_bytes() }],
        ),
        (
            "custody begun anew",
            vec![replaced(files, custody::FILE_NAME, "Trần Văn An", "Trần Văn Ân")],
        ),
        ("custody missing", vec![Edit::Remove(custody::FILE_NAME)]),
    ]
}

fn check(files: &Files, expected: Option<Fingerprint>) -> Report {
    let dir = folder(files);
    verify(&Package::open(dir.path()).unwrap(), expected).unwrap()
}

#[test]
fn every_case_is_named_as_the_vectors_say() {
    let site = Site::recorded();
    let archive = site.package();
    let files = files_of(&archive);
    let mut vectors = Vec::new();
    for (name, edits) in cases(&files) {
        let mut edited = files.clone();
        edits.iter().for_each(|edit| edit.apply(&mut edited));
        let report = check(&edited, None);
        vectors.push(json!({
            "name": name,
            "edits": edits.iter().map(Edit::told).collect::<Vec<_>>(),
            "intact": report.is_intact(),
            "frames_verified": report.frames_verified,
            "findings": report.findings,
        }));
    }
    let fingerprint = site.key.public().fingerprint().to_hex();
    let vectors = json!({ "fingerprint": fingerprint, "vectors": vectors });
    let vectors = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards/verifier/test");
    let texts: Vec<String> = Code::ALL.iter().map(|code| code_line(*code)).collect();
    let texts = format!("[\n{}\n]\n", texts.join(",\n"));
    let bless = std::env::var_os("VONG_BLESS").is_some();
    for (name, content) in [
        ("vectors.json", vectors.as_bytes()),
        ("base.zip", &std::fs::read(&archive).unwrap()),
        ("../src/codes.json", texts.as_bytes()),
    ] {
        let path = folder.join(name);
        if bless {
            std::fs::write(&path, content).unwrap();
        }
        let known = std::fs::read(&path).unwrap_or_default();
        assert!(known == content, "{name} is out of date: run this test with VONG_BLESS=1");
    }
}

/// One code with its words, for the page.
fn code_line(code: Code) -> String {
    let (vi, en) = (code.text(crate::Language::Vietnamese), code.text(crate::Language::English));
    let change = code.severity() == Severity::Change;
    json!({ "code": code, "change": change, "vi": vi, "en": en }).to_string()
}

#[test]
fn each_kind_of_deceit_has_its_name() {
    let site = Site::recorded();
    let files = files_of(&site.package());
    let changes = |edits: &[Edit]| -> Vec<Code> {
        let mut edited = files.clone();
        edits.iter().for_each(|edit| edit.apply(&mut edited));
        let report = check(&edited, None);
        let codes = report.findings.iter().map(|finding| finding.code);
        codes.filter(|code| code.severity() == Severity::Change).collect()
    };
    for (name, edits) in cases(&files) {
        let codes = changes(&edits);
        let has = |code: Code| assert!(codes.contains(&code), "{name}: {codes:?}");
        match name {
            "untouched" | "custody gone on" => assert_eq!(codes, [], "{name}"),
            "one bit of a frame" | "a frame shown twice" => has(Code::FrameChanged),
            "a frame removed" => has(Code::FrameRemoved),
            "a frame put in" => has(Code::FrameAdded),
            "encoded anew" => has(Code::Reencoded),
            "packed anew with other timing" => has(Code::TimingChanged),
            "date changed" => has(Code::GroupFactsChanged),
            "loss hidden" => has(Code::LossWrong),
            "gap hidden" | "hole hidden" => has(Code::GapsWrong),
            "seal taken away" => has(Code::NotUnderItsSeal),
            "said not to be kept" => assert_eq!(codes, [Code::ManifestEdited], "{name}"),
            "unknown word" => has(Code::ManifestUnreadable),
            "clips swapped" => has(Code::ClipOfOtherCamera),
            "proof changed" => has(Code::ProofWrong),
            "checkpoint changed" => has(Code::CheckpointWrong),
            _ => assert!(!codes.is_empty(), "{name}"),
        }
    }
}

#[test]
fn a_good_package_says_whose_it_is_and_tells_what_is_declared() {
    let site = Site::recorded();
    let package = Package::open(&site.package()).unwrap();
    let own = site.key.public().fingerprint();
    let report = verify(&package, Some(own)).unwrap();
    assert!(report.is_intact() && report.key_confirmed);
    assert_eq!(report.signed_by, Some(site.key.public()));
    // Groups from 10:59:52 to 11:00:04 on; five frames each.
    assert_eq!(report.frames_verified, (7 + 6) * 5 - 2);
    let codes: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
    use Code::{Gap, NotSealed, PacketLoss};
    assert_eq!(codes, [PacketLoss, NotSealed, Gap, Gap, NotSealed]);
    let other = Fingerprint::parse(&"0".repeat(64)).unwrap();
    let report = verify(&package, Some(other)).unwrap();
    assert_eq!(report.findings[0].code, Code::KeyUnexpected);
    assert!(!report.is_intact() && !report.key_confirmed);
}

#[test]
fn a_group_put_into_a_sealed_hour_is_named() {
    let site = Site::recorded();
    // Somebody with the disk and the software, after the hour was sealed: the chain goes on from it.
    let mut writer = site.writer("CAM-B");
    writer.push(&gop(7, 3_594_000, 0)).unwrap();
    writer.close().unwrap();
    let archive = site.package();
    let page = String::from_utf8(files_of(&archive)["index.html"].clone()).unwrap();
    assert_eq!(page.matches("not under it").count(), 1);
    let report = verify(&Package::open(&archive).unwrap(), None).unwrap();
    let found: Vec<_> =
        report.findings.iter().filter(|f| f.code == Code::NotUnderItsSeal).collect();
    assert_eq!(found.len(), 1, "{:?}", report.findings);
    assert_eq!((found[0].at_us, found[0].checkpoint), (Some(at(3_594_000).micros()), Some(1)));
    assert!(!report.is_intact());
}

#[test]
fn what_the_disk_does_not_give_any_more_is_declared() {
    let site = Site::recorded();
    let camera = CameraId::from("CAM-A");
    let hurt = site.footage.gops(&camera, at(3_598_000), at(3_598_001)).unwrap().remove(0);
    let path = site.dir.path().join("footage").join(&hurt.file);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[hurt.entry.offset as usize + 5] ^= 0x20;
    std::fs::write(&path, bytes).unwrap();
    let archive = site.package();
    let page = String::from_utf8(files_of(&archive)["index.html"].clone()).unwrap();
    assert!(page.contains("damaged since"), "the page says so, too");
    let report = verify(&Package::open(&archive).unwrap(), None).unwrap();
    assert!(report.is_intact(), "{:?}", report.findings);
    for code in [Code::Gap, Code::Unreadable] {
        let told = report.findings.iter().any(|finding| {
            let span = (finding.at_us, finding.until_us);
            let lost = (Some(at(3_598_000).micros()), Some(at(3_600_000).micros()));
            finding.code == code && span == lost && finding.camera.as_deref() == Some("CAM-A")
        });
        assert!(told, "{code:?}: {:?}", report.findings);
    }
}

#[test]
fn packages_of_the_first_version_stay_intact() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards/verifier/test");
    let report = verify(&Package::open(&folder.join("base-v1.zip")).unwrap(), None).unwrap();
    let codes: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
    use Code::{Gap, NotSealed, PacketLoss};
    assert_eq!(codes, [PacketLoss, NotSealed, Gap, NotSealed]);
    assert_eq!(report.frames_verified, 65);
}

#[test]
fn unzip_and_the_page_take_the_archive() {
    let site = Site::recorded();
    let archive = site.package();
    match std::process::Command::new("python3")
        .args(["-c", "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(len(z.namelist()))"])
        .arg(&archive)
        .output()
    {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "7"),
        Err(error) => println!("skipped: needs the program 'python3': {error}"),
    }
    let page = String::from_utf8(files_of(&archive)["index.html"].clone()).unwrap();
    assert!(page.contains("Ngã tư &lt;Nguyễn Huệ&gt;") && !page.contains("<Nguyễn"));
    for told in ["VA-17/2026", "2026-11-22 18:00:00.000 (+07:00)", "readings water_level 3.6 m"] {
        assert!(page.contains(told), "{told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Wherever it is: a file, a signature, the archive's own bytes.
    #[test]
    fn any_single_flipped_bit_of_an_archive_is_named(place in any::<prop::sample::Index>(), bit in 0..8u8) {
        thread_local! {
            static ARCHIVE: (Site, Vec<u8>, Vec<crate::Finding>) = {
                let site = Site::recorded();
                let path = site.package();
                let before = verify(&Package::open(&path).unwrap(), None).unwrap();
                (site, std::fs::read(path).unwrap(), before.findings)
            };
        }
        ARCHIVE.with(|(site, whole, before)| {
            let mut bytes = whole.clone();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            let path = site.dir.path().join("flipped.zip");
            std::fs::write(&path, &bytes).unwrap();
            let named = match Package::open(&path) {
                Err(_cannot_be_opened) => true,
                Ok(package) => verify(&package, None).unwrap().findings != *before,
            };
            prop_assert!(named, "bit {bit} of byte {place}");
            Ok(())
        })?;
    }
}
