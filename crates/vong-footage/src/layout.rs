//! Names below the footage directory: `<camera>/<yyyy-mm-dd>/<epoch_ms>.mp4`, and beside the files
//! of a day their index, `groups.idx`, and copies of their heads, `groups.heads`.

use std::path::{Path, PathBuf};

use vong_model::{CameraId, EventTime};

pub(crate) const INDEX_NAME: &str = "groups.idx";
const HEADS_NAME: &str = "groups.heads";
pub(crate) const LOCK_NAME: &str = "lock";
pub(crate) const HOLDS_NAME: &str = "holds.json";
/// How far age has come: see `age.rs`.
pub(crate) const AGE_NAME: &str = "retention-clock";

/// A UTC day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(i64);

const DAY_MS: i64 = 86_400_000;

impl Day {
    /// The day a file of this name lies in.
    pub(crate) fn of_name(name_ms: i64) -> Self {
        Self(name_ms.div_euclid(DAY_MS))
    }

    /// `yyyy-mm-dd`.
    pub(crate) fn name(self) -> String {
        let midnight = EventTime(self.0.saturating_mul(DAY_MS).saturating_mul(1_000));
        let text = midnight.to_string();
        text.split('T').next().unwrap_or_default().to_owned()
    }
}

/// Directory name of a camera: its id, every byte outside `[A-Za-z0-9_-]` as `%XX`.
pub(crate) fn camera_dir_name(camera: &CameraId) -> String {
    let mut name = String::new();
    for byte in camera.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

/// The camera whose directory is called so; `None` if no camera's can be.
pub(crate) fn camera_of_dir(name: &str) -> Option<CameraId> {
    let mut bytes = Vec::new();
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    let camera = CameraId::from(String::from_utf8(bytes).ok()?);
    (camera_dir_name(&camera) == name && !name.is_empty()).then_some(camera)
}

/// `<epoch_ms>` of `<epoch_ms>.mp4`.
pub(crate) fn name_of_file(path: &Path) -> Option<i64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".mp4")?;
    name.parse().ok().filter(|name_ms: &i64| name_ms.to_string() == name)
}

pub(crate) fn day_dir(camera_dir: &Path, day: Day) -> PathBuf {
    camera_dir.join(day.name())
}

pub(crate) fn file_path(camera_dir: &Path, name_ms: i64) -> PathBuf {
    day_dir(camera_dir, Day::of_name(name_ms)).join(format!("{name_ms}.mp4"))
}

pub(crate) fn index_path(camera_dir: &Path, day: Day) -> PathBuf {
    day_dir(camera_dir, day).join(INDEX_NAME)
}

pub(crate) fn heads_path(camera_dir: &Path, day: Day) -> PathBuf {
    day_dir(camera_dir, day).join(HEADS_NAME)
}

/// Path of a file below the footage directory, as told in the log.
pub(crate) fn relative_path(camera: &CameraId, name_ms: i64) -> String {
    let day = Day::of_name(name_ms).name();
    format!("{}/{day}/{name_ms}.mp4", camera_dir_name(camera))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_camera_id_is_one_directory_name_and_comes_back() {
        for id in ["CAM-01", "../etc", "a/b", ".", "Cầu Phủ", "100%", "CAM%2D"] {
            let camera = CameraId::from(id);
            let name = camera_dir_name(&camera);
            assert!(!name.contains(['/', '.']), "{name}");
            assert_eq!(camera_of_dir(&name), Some(camera));
        }
        for name in ["", "a.b", "lock", "%2", "%zz", "%41"] {
            let expected = (name == "lock").then(|| CameraId::from("lock"));
            assert_eq!(camera_of_dir(name), expected, "{name}");
        }
    }

    #[test]
    fn file_lies_in_the_day_of_its_name() {
        let path = file_path(Path::new("f/CAM-01"), 1_795_305_600_123);
        assert_eq!(path, Path::new("f/CAM-01/2026-11-22/1795305600123.mp4"));
        assert_eq!(name_of_file(&path), Some(1_795_305_600_123));
        assert_eq!(name_of_file(Path::new("x/+5.mp4")), None);
        assert_eq!(name_of_file(Path::new("x/5.mp4.bad")), None);
    }
}
