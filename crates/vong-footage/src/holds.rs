//! Intervals that retention must not touch: which case asked, why, until when.

use std::error::Error as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vong_model::{CameraId, EventTime};
use vong_runtime::fs::replace_file;

use crate::Error;

const VERSION: u32 = 1;

/// What to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRequest {
    pub camera_id: CameraId,
    pub from: EventTime,
    pub to: EventTime,
    /// Number or name of the case.
    pub case: String,
    pub reason: String,
    /// When the hold lapses; `None` is until released.
    pub until: Option<EventTime>,
}

/// A hold in force, or lapsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub hold_id: u64,
    pub request: HoldRequest,
    pub created_at: EventTime,
}

impl Hold {
    /// Whether it protects footage of `camera` in `[start, end)` at `now`.
    pub(crate) fn protects(
        &self,
        camera: &CameraId,
        (start, end): (EventTime, EventTime),
        now: EventTime,
    ) -> bool {
        let HoldRequest { camera_id, from, to, case: _, reason: _, until } = &self.request;
        camera_id == camera && *from < end && *to > start && until.is_none_or(|until| now < until)
    }
}

/// All holds, as persisted.
#[derive(Debug)]
pub(crate) struct Holds {
    path: PathBuf,
    next_id: u64,
    holds: Vec<Hold>,
    /// What is on hold cannot be read.
    unknown: bool,
}

/// `holds.json`, version 1; instants in microseconds.
#[derive(Debug, Serialize, Deserialize)]
struct OnDisk {
    version: u32,
    next_id: u64,
    holds: Vec<HoldOnDisk>,
}

#[derive(Debug, Serialize, Deserialize)]
struct HoldOnDisk {
    hold_id: u64,
    camera_id: String,
    from_us: i64,
    to_us: i64,
    case: String,
    reason: String,
    until_us: Option<i64>,
    created_us: i64,
}

impl Holds {
    /// Reads the list. One that cannot be read is no reason not to record: nothing may be deleted then,
    /// and no hold placed or released, until a person has brought the file back and vong is started
    /// again.
    pub(crate) fn open(path: PathBuf) -> Self {
        match Self::read(path.clone()) {
            Ok(holds) => holds,
            Err(error) => {
                let cause = error.source().map(ToString::to_string).unwrap_or_default();
                tracing::error!(
                    %error,
                    cause,
                    "footage on hold is not known: nothing is deleted; bring the file back, or remove \
                     it if nothing is on hold, and start vong again"
                );
                Self { path, next_id: 0, holds: Vec::new(), unknown: true }
            }
        }
    }

    fn read(path: PathBuf) -> Result<Self, Error> {
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { path, next_id: 1, holds: Vec::new(), unknown: false });
            }
            Err(source) => return Err(Error::io("read", &path, source)),
        };
        let on_disk: OnDisk = serde_json::from_slice(&text)
            .map_err(|source| Error::Holds { path: path.clone(), source })?;
        if on_disk.version != VERSION {
            return Err(Error::Contradiction { path });
        }
        let holds = on_disk.holds.into_iter().map(Hold::from).collect();
        Ok(Self { path, next_id: on_disk.next_id, holds, unknown: false })
    }

    /// An error while it is not known what is on hold.
    pub(crate) fn known(&self) -> Result<(), Error> {
        if self.unknown { Err(Error::HoldsUnknown { path: self.path.clone() }) } else { Ok(()) }
    }

    pub(crate) fn list(&self) -> &[Hold] {
        &self.holds
    }

    pub(crate) fn add(&mut self, request: HoldRequest, now: EventTime) -> Result<Hold, Error> {
        self.known()?;
        let hold = Hold { hold_id: self.next_id, request, created_at: now };
        let mut holds = self.holds.clone();
        holds.push(hold.clone());
        self.replace(self.next_id.saturating_add(1), holds)?;
        Ok(hold)
    }

    pub(crate) fn remove(&mut self, hold_id: u64) -> Result<Hold, Error> {
        self.known()?;
        let mut holds = self.holds.clone();
        let at = holds.iter().position(|hold| hold.hold_id == hold_id);
        let removed = holds.remove(at.ok_or(Error::UnknownHold { id: hold_id })?);
        self.replace(self.next_id, holds)?;
        Ok(removed)
    }

    fn replace(&mut self, next_id: u64, holds: Vec<Hold>) -> Result<(), Error> {
        let on_disk = OnDisk {
            version: VERSION,
            next_id,
            holds: holds.iter().map(HoldOnDisk::from).collect(),
        };
        let text = serde_json::to_vec_pretty(&on_disk)
            .map_err(|source| Error::Holds { path: self.path.clone(), source })?;
        replace_file(&self.path, &text)
            .map_err(|source| Error::io("replace", &self.path, source))?;
        // Only what is durable counts.
        self.next_id = next_id;
        self.holds = holds;
        Ok(())
    }
}

impl From<HoldOnDisk> for Hold {
    fn from(hold: HoldOnDisk) -> Self {
        let HoldOnDisk { hold_id, camera_id, from_us, to_us, case, reason, until_us, created_us } =
            hold;
        let request = HoldRequest {
            camera_id: CameraId::from(camera_id),
            from: EventTime(from_us),
            to: EventTime(to_us),
            case,
            reason,
            until: until_us.map(EventTime),
        };
        Self { hold_id, request, created_at: EventTime(created_us) }
    }
}

impl From<&Hold> for HoldOnDisk {
    fn from(hold: &Hold) -> Self {
        let Hold { hold_id, request, created_at } = hold;
        let HoldRequest { camera_id, from, to, case, reason, until } = request;
        Self {
            hold_id: *hold_id,
            camera_id: camera_id.as_str().to_owned(),
            from_us: from.micros(),
            to_us: to.micros(),
            case: case.clone(),
            reason: reason.clone(),
            until_us: until.map(EventTime::micros),
            created_us: created_at.micros(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_of_version_1_is_read_and_any_other_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("holds.json");
        let text = r#"{"version": 1, "next_id": 4, "holds": [{"hold_id": 3, "camera_id": "CAM-01",
            "from_us": 10, "to_us": 20, "case": "7", "reason": "accident", "until_us": null,
            "created_us": 5}]}"#;
        std::fs::write(&path, text).unwrap();
        let mut holds = Holds::open(path.clone());
        let request = holds.list()[0].request.clone();
        assert_eq!((request.from, request.until), (EventTime(10), None));
        let added = holds.add(request, EventTime(6)).unwrap();
        assert_eq!(added.hold_id, 4);
        assert_eq!(Holds::open(path.clone()).list(), holds.list());
        std::fs::write(&path, text.replace("1,", "2,")).unwrap();
        let request = holds.list()[0].request.clone();
        for damaged in [text.replace("1,", "2,"), "{".to_owned()] {
            std::fs::write(&path, &damaged).unwrap();
            let mut holds = Holds::open(path.clone());
            assert!(matches!(holds.known(), Err(Error::HoldsUnknown { .. })));
            assert!(holds.add(request.clone(), EventTime(7)).is_err() && holds.remove(3).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged, "left for a person");
        }
    }
}
