//! `manifest.json`: everything a package says. Version 2; what version 1 lacks is optional here: it does
//! not know of holes inside a group, nor why a group has no seal.
//!
//! Instants are microseconds since 1970-01-01T00:00:00Z by our clock (`_us`), durations 1/90000 s
//! (`_90k`), hashes SHA-256 in lower-case hexadecimal.

use serde::{Deserialize, Serialize};

use crate::hex::hash;

pub(crate) const FILE_NAME: &str = "manifest.json";
pub(crate) const FORMAT: &str = "vong-evidence";
pub(crate) const VERSION: u32 = 2;
/// The first one; its packages are still verified, by its own rules.
pub(crate) const FIRST_VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Always [`FORMAT`].
    pub(crate) format: String,
    pub(crate) version: u32,
    pub(crate) package_id: String,
    pub(crate) case: String,
    pub(crate) purpose: String,
    /// Who asked, in their own words.
    pub(crate) asked_by: String,
    /// The account under which it was asked for.
    pub(crate) account: String,
    pub(crate) made_us: i64,
    pub(crate) software: String,
    /// Name of the installation.
    pub(crate) site_vi: String,
    pub(crate) site_en: String,
    pub(crate) key: KeyFacts,
    pub(crate) asked: Span,
    pub(crate) cameras: Vec<CameraPart>,
    /// Cameras that were asked for and had recorded nothing.
    pub(crate) without_footage: Vec<String>,
    /// Whole signed texts.
    pub(crate) checkpoints: Vec<String>,
    pub(crate) alert: Option<AlertFacts>,
    /// Footage holds placed for this package.
    pub(crate) holds: Vec<u64>,
    /// Every file but this one, its signature and the custody log.
    pub(crate) files: Vec<FileFacts>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFacts {
    /// `Ed25519`.
    pub(crate) algorithm: String,
    #[serde(with = "hash")]
    pub(crate) public_key: [u8; 32],
    #[serde(with = "hash")]
    pub(crate) fingerprint: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    pub(crate) from_us: i64,
    pub(crate) to_us: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileFacts {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    #[serde(with = "hash")]
    pub(crate) sha256: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CameraPart {
    pub(crate) camera_id: String,
    pub(crate) name_vi: String,
    pub(crate) name_en: String,
    pub(crate) owner: String,
    /// `observation`, `surveillance`, `plate_recognition` or `counting`; empty when unregistered.
    pub(crate) class: String,
    /// Why it records.
    pub(crate) purpose: String,
    pub(crate) unit_code: String,
    /// Degrees; `None` when unregistered.
    pub(crate) lon: Option<f64>,
    pub(crate) lat: Option<f64>,
    pub(crate) heading_deg: Option<f64>,
    pub(crate) clip: ClipFacts,
    /// Where nothing was recorded inside what was asked for.
    pub(crate) gaps: Vec<Span>,
    /// Groups that were recorded, and that the disk did not give any more when the package was made;
    /// they lie inside the gaps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unreadable: Vec<Span>,
    /// RTP packets lost in all groups.
    pub(crate) lost_packets: u64,
    /// The camera's clock minus ours; `None` where the camera never told its time.
    pub(crate) clock_offset: Option<ClockOffset>,
    /// Signatures that the camera itself put into the stream: kept, not verified here.
    pub(crate) camera_signatures: CameraSignatures,
    pub(crate) groups: Vec<GroupFacts>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClipFacts {
    pub(crate) path: String,
    /// `h264` or `h265`.
    pub(crate) codec: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// What a player shows of it, by the edit list.
    pub(crate) shown: Span,
    pub(crate) shown_frames: u64,
    pub(crate) edit_start_90k: u64,
    pub(crate) duration_90k: u64,
    /// Decoder descriptions (`stsd` entries) of the file in order, whole, in hexadecimal.
    pub(crate) descriptions: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockOffset {
    pub(crate) least_us: i64,
    pub(crate) most_us: i64,
    /// Groups for which the camera told its time.
    pub(crate) groups: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CameraSignatures {
    /// `onvif_media_signing`, `axis_signed_video`.
    pub(crate) kinds: Vec<String>,
    /// Groups that carry one.
    pub(crate) groups: u64,
    /// Always false: present is not verified.
    pub(crate) verified: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupFacts {
    /// Our clock: when its first frame was received.
    pub(crate) start_us: i64,
    /// The same by the camera's clock.
    pub(crate) camera_us: Option<i64>,
    /// Starts with a key frame.
    pub(crate) key: bool,
    pub(crate) lost_packets: u32,
    /// Place of its decoder description in the clip, from 0.
    pub(crate) description: u32,
    /// Of its first frame in the clip.
    pub(crate) media_90k: u64,
    /// Starts before what was asked for: needed for decoding, or shown in part.
    pub(crate) before_asked: bool,
    /// The group it was chained to is the one before it in this list.
    pub(crate) linked: bool,
    /// Its frames on the disk were no longer those received when the package was made.
    pub(crate) damaged: bool,
    /// The file it was recorded to.
    pub(crate) recorded_in: String,
    #[serde(with = "hash")]
    pub(crate) payload: [u8; 32],
    #[serde(with = "hash")]
    pub(crate) previous: [u8; 32],
    #[serde(with = "hash")]
    pub(crate) chained: [u8; 32],
    pub(crate) seal: Option<SealFacts>,
    /// Why it has no seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unsealed: Option<Unsealed>,
    /// Duration, 1/90000 s; bytes; first 16 digits of its SHA-256, which help to name a frame.
    pub(crate) frames: Vec<(u32, u32, String)>,
}

/// Why a group stands under no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unsealed {
    NotYet,
    NotUnderItsSeal,
    LeavesGone,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealFacts {
    /// Number of the checkpoint.
    pub(crate) checkpoint: u64,
    pub(crate) index: u64,
    /// Audit path, lowest first, 64 digits each.
    pub(crate) path: Vec<String>,
}

/// The alert a package was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertFacts {
    pub alert_id: String,
    pub rule_id: String,
    /// Its steps and the rows behind it.
    pub rows: Vec<AlertRow>,
    /// There were more rows than are listed.
    pub cut: bool,
}

/// One line of an alert's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRow {
    /// `step`, `row` or `clip`.
    pub part: String,
    pub at_us: i64,
    pub log_offset: u64,
    pub what: String,
}
