//! Makes a package: clips of whole groups, what is known of them, proofs, signature, pages.
//!
//! Frames are read once: on their way into the archive they are hashed as a file, as groups, one by
//! one, and looked through for signatures of the camera.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};
use vong_footage::{Clip, ClipForm, ClipGroup, Footage};
use vong_media::{Codec, Gap};
use vong_model::{Camera, CameraId, EventTime};
use vong_runtime::Clock;
use vong_telemetry::{Classify as _, Kind};

use crate::checkpoints::hour_of;
use crate::custody::{self, CustodyEntry};
use crate::manifest::{
    self, AlertFacts, CameraPart, CameraSignatures, ClipFacts, ClockOffset, FileFacts, GroupFacts,
    KeyFacts, Manifest, SealFacts, Span, Unsealed,
};
use crate::sei::{self, CameraSignature};
use crate::signed::{PackageSeal, Signed};
use crate::verify::{SEAL_NAME, facts, short_hash};
use crate::{ArchiveWriter, Checkpoints, Error, Key, Standing, hex, page};

/// The most cameras in one package.
const MOST_CAMERAS: usize = 64;
/// The most footage in one package, cameras times duration: each of its frames is a line of the
/// manifest, which verifiers read whole.
const MOST_FOOTAGE: Duration = Duration::from_secs(24 * 3_600);
const TEXT_LIMIT: usize = 4_096;
pub(crate) const INDEX_NAME: &str = "index.html";
pub(crate) const VERIFIER_NAME: &str = "verify.html";

#[derive(RustEmbed)]
#[folder = "../../dashboards/verifier/dist"]
#[allow_missing = true]
#[include = "verify.html"]
struct Verifier;

/// The verifier page of this build; empty where it was not built.
pub fn verifier_page() -> Arc<[u8]> {
    Verifier::get(VERIFIER_NAME).map_or_else(Arc::default, |page| Arc::from(&*page.data))
}

/// What is asked for. All cameras are shown over the same instants of one clock, ours.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    pub package_id: String,
    pub cameras: Vec<CameraFacts>,
    pub from: EventTime,
    pub to: EventTime,
    pub case: String,
    pub purpose: String,
    pub asked_by: String,
    /// The account under which it is asked for.
    pub account: String,
    pub alert: Option<AlertFacts>,
    /// Footage holds that protect the range.
    pub holds: Vec<u64>,
}

/// A camera, as far as it is registered.
#[derive(Clone, Debug)]
pub enum CameraFacts {
    Registered(Box<Camera>),
    /// It has footage, but nobody says what it is.
    Unregistered(CameraId),
}

/// How far an export has come; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    counts: Arc<(AtomicU64, AtomicU64)>,
}

/// Makes packages of the footage of one installation.
#[derive(Clone, Debug)]
pub struct Exporter {
    pub footage: Footage,
    pub checkpoints: Checkpoints,
    pub key: Arc<Key>,
    pub clock: Arc<dyn Clock>,
    /// As in `vong 0.1.0`.
    pub software: String,
    pub site_vi: String,
    pub site_en: String,
    /// `verify.html`, which travels with every package.
    pub verifier: Arc<[u8]>,
}

impl CameraFacts {
    pub fn id(&self) -> &CameraId {
        match self {
            Self::Registered(camera) => &camera.camera_id,
            Self::Unregistered(id) => id,
        }
    }
}

impl Progress {
    /// Bytes of footage written, and in all; 0 until it is known.
    pub fn get(&self) -> (u64, u64) {
        let all = self.counts.1.load(Ordering::Relaxed);
        (self.counts.0.load(Ordering::Relaxed).min(all), all)
    }

    fn expect(&self, bytes: u64) {
        self.counts.1.fetch_add(bytes, Ordering::Relaxed);
    }

    fn advance(&self, bytes: u64) {
        self.counts.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl ExportRequest {
    /// Whether it can be met at all, before anything is done.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), Error> {
        let Self { cameras, from, to, case, purpose, asked_by, .. } = self;
        let fault = |why: String| Err(Error::Request(why));
        for (name, text) in [("case", case), ("purpose", purpose), ("by", asked_by)] {
            if text.trim().is_empty() {
                return fault(format!(
                    "'{name}' is empty; evidence is made for a case, a purpose and a person"
                ));
            }
            if text.len() > TEXT_LIMIT {
                return fault(format!("'{name}' is longer than {TEXT_LIMIT} bytes"));
            }
        }
        if from >= to {
            return fault(format!("the range ends at {to}, before it begins at {from}"));
        }
        let ids: BTreeSet<&CameraId> = cameras.iter().map(CameraFacts::id).collect();
        if ids.is_empty() || ids.len() != cameras.len() || ids.len() > MOST_CAMERAS {
            return fault(format!("name 1 to {MOST_CAMERAS} cameras, each once"));
        }
        let most = MOST_FOOTAGE.as_secs() / 3_600;
        let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        if to.since(*from).checked_mul(count).is_none_or(|footage| footage > MOST_FOOTAGE) {
            return fault(format!(
                "{count} cameras from {from} to {to} are more than {most} hours of footage in all; \
                 ask for fewer cameras, or for several packages"
            ));
        }
        Ok(())
    }
}

/// What was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    /// SHA-256 of the manifest.
    pub(crate) manifest: [u8; 32],
    pub(crate) bytes: u64,
}

impl Exporter {
    /// Writes the package into the empty file `out`, durably. Blocks on the disk.
    ///
    /// # Errors
    /// When the request cannot be met, nothing was recorded, or a disk refuses.
    pub(crate) fn export(
        &self,
        request: &ExportRequest,
        out: &File,
        progress: &Progress,
    ) -> Result<Made, Error> {
        request.check()?;
        if self.verifier.is_empty() {
            return Err(Error::NoVerifierPage);
        }
        progress.expect(self.bytes_of(request)?);
        let mut archive = ArchiveWriter::new(out);
        let (mut files, mut cameras, mut without) = (Vec::new(), Vec::new(), Vec::new());
        for facts in &request.cameras {
            // One at a time: each keeps files open and the frame tables of hours in memory.
            let Some(clip) = self.clip(request, facts.id())? else {
                without.push(facts.id().to_string());
                continue;
            };
            let number = cameras.len() + 1;
            let path = format!("clips/{number}-{}.mp4", file_name(facts.id()));
            let read = write_clip(&mut archive, &path, &clip, progress)?;
            files.push(FileFacts {
                path: path.clone(),
                bytes: clip.total_len(),
                sha256: read.file,
            });
            cameras.push(self.camera_part(request, facts, (&clip, read, path))?);
        }
        if cameras.is_empty() {
            return Err(Error::NothingRecorded { from: request.from, to: request.to });
        }
        let mut manifest = self.manifest(request, cameras);
        manifest.without_footage = without;
        let index = page::render(&manifest);
        for (name, content) in [(INDEX_NAME, index.as_bytes()), (VERIFIER_NAME, &*self.verifier)] {
            add(&mut archive, name, content)?;
            let sha256 = Sha256::digest(content).into();
            files.push(FileFacts { path: name.to_owned(), bytes: content.len() as u64, sha256 });
        }
        manifest.files = files;
        let made = self.sign(&mut archive, &manifest)?;
        archive.finish().and_then(|()| out.sync_all()).map_err(written)?;
        let bytes = out.metadata().map_err(written)?.len();
        Ok(Made { bytes, ..made })
    }

    /// Whether there is anything to export, before anything is done for it; about how many bytes.
    ///
    /// # Errors
    /// When the range is yet to come, longer than a clip may be, or holds no footage of any camera.
    pub(crate) fn look(&self, request: &ExportRequest) -> Result<u64, Error> {
        let (from, to) = (request.from, request.to);
        request.check()?;
        if to > EventTime(self.clock.now()) {
            return Err(Error::Request(format!(
                "the range ends at {to}, which is yet to come; ask again once it is over"
            )));
        }
        let longest = self.footage.longest_clip();
        if to.since(from) > longest {
            return Err(Error::Request(format!(
                "from {from} to {to} is longer than the {} hours that a clip may last; ask for \
                 several packages",
                longest.as_secs_f64() / 3_600.0
            )));
        }
        match self.bytes_of(request)? {
            0 => Err(Error::NothingRecorded { from, to }),
            bytes => Ok(bytes),
        }
    }

    /// Frames of the groups in the range.
    fn bytes_of(&self, request: &ExportRequest) -> Result<u64, Error> {
        let mut bytes = 0u64;
        for camera in &request.cameras {
            match self.footage.gops(camera.id(), request.from, request.to) {
                Ok(gops) => {
                    let payloads = gops.iter().map(|gop| u64::from(gop.entry.payload_len));
                    bytes = bytes.saturating_add(payloads.sum());
                }
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(bytes)
    }

    /// `None` if it recorded nothing.
    fn clip(&self, request: &ExportRequest, camera: &CameraId) -> Result<Option<Clip>, Error> {
        match self.footage.clip(camera, request.from, request.to, ClipForm::WholeGroups) {
            Ok(clip) => Ok(Some(clip)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn sign(&self, archive: &mut ArchiveWriter<'_>, manifest: &Manifest) -> Result<Made, Error> {
        let text = serde_json::to_vec(manifest)
            .map_err(|source| Error::Json { what: "the manifest", source })?;
        let entry = CustodyEntry {
            at_us: manifest.made_us,
            action: "made".to_owned(),
            by: manifest.asked_by.clone(),
            software: manifest.software.clone(),
            detail: manifest.purpose.clone(),
        };
        let (line, custody) = custody::line(&entry, &[0; 32])?;
        let seal = PackageSeal { manifest: Sha256::digest(&text).into(), custody };
        let signed = Signed::new(seal.text(), &self.key).render();
        add(archive, manifest::FILE_NAME, &text)?;
        add(archive, SEAL_NAME, signed.as_bytes())?;
        add(archive, custody::FILE_NAME, line.as_bytes())?;
        Ok(Made { manifest: seal.manifest, bytes: 0 })
    }

    fn manifest(&self, request: &ExportRequest, cameras: Vec<CameraPart>) -> Manifest {
        let groups = cameras.iter().flat_map(|camera| &camera.groups);
        let mut sealed = BTreeSet::new();
        for group in groups {
            sealed.extend(group.seal.as_ref().map(|seal| seal.checkpoint));
            if group.unsealed == Some(Unsealed::NotUnderItsSeal) {
                let hour = hour_of(EventTime(group.start_us)); // the checkpoint that it is not under
                sealed.extend(self.checkpoints.of_hours(hour..=hour));
            }
        }
        let checkpoints = sealed.into_iter().filter_map(|number| self.checkpoints.signed(number));
        let key = self.key.public();
        Manifest {
            format: manifest::FORMAT.to_owned(),
            version: manifest::VERSION,
            package_id: request.package_id.clone(),
            case: request.case.clone(),
            purpose: request.purpose.clone(),
            asked_by: request.asked_by.clone(),
            account: request.account.clone(),
            made_us: self.clock.now(),
            software: self.software.clone(),
            site_vi: self.site_vi.clone(),
            site_en: self.site_en.clone(),
            key: KeyFacts {
                algorithm: "Ed25519".to_owned(),
                public_key: key.0,
                fingerprint: key.fingerprint_bytes(),
            },
            asked: Span { from_us: request.from.micros(), to_us: request.to.micros() },
            cameras,
            without_footage: Vec::new(),
            checkpoints: checkpoints.collect(),
            alert: request.alert.clone(),
            holds: request.holds.clone(),
            files: Vec::new(),
        }
    }

    fn camera_part(
        &self,
        request: &ExportRequest,
        facts: &CameraFacts,
        (clip, read, path): (&Clip, ClipRead, String),
    ) -> Result<CameraPart, Error> {
        let asked = Span { from_us: request.from.micros(), to_us: request.to.micros() };
        let mut descriptions: Vec<String> = Vec::new();
        let mut groups: Vec<GroupFacts> = Vec::new();
        for (group, read) in clip.groups().iter().zip(&read.groups) {
            let entry = hex::encode(&group.parameters.sample_entry);
            let known = descriptions.iter().position(|known| *known == entry);
            let description = known.unwrap_or_else(|| {
                descriptions.push(entry);
                descriptions.len() - 1
            });
            let mut told = self.group_facts(facts.id(), group, read)?;
            told.description = u32::try_from(description).unwrap_or(u32::MAX);
            told.before_asked = told.start_us < asked.from_us;
            told.linked = groups.last().is_some_and(|before| before.chained == told.previous);
            groups.push(told);
        }
        let gaps = facts::gaps(&groups, &asked, manifest::VERSION);
        let span = |gap: &Gap| Span { from_us: gap.from.micros(), to_us: gap.to.micros() };
        let unreadable = clip.damaged().iter().map(span).collect();
        let lost_packets = facts::lost(&groups);
        let clip = clip_facts(clip, path, descriptions);
        let camera_signatures = signatures(&read);
        let clock_offset = clock_offset(&groups);
        let mut part = CameraPart {
            camera_id: facts.id().to_string(),
            name_vi: String::new(),
            name_en: String::new(),
            owner: String::new(),
            class: String::new(),
            purpose: String::new(),
            unit_code: String::new(),
            lon: None,
            lat: None,
            heading_deg: None,
            clip,
            gaps,
            unreadable,
            lost_packets,
            clock_offset,
            camera_signatures,
            groups,
        };
        if let CameraFacts::Registered(camera) = facts {
            part.name_vi.clone_from(&camera.name_vi);
            part.name_en.clone_from(&camera.name_en);
            part.owner.clone_from(&camera.owner);
            camera.class.as_str().clone_into(&mut part.class);
            part.purpose.clone_from(&camera.purpose);
            camera.unit_code.as_str().clone_into(&mut part.unit_code);
            (part.lon, part.lat) = (Some(camera.place.lon), Some(camera.place.lat));
            part.heading_deg = Some(camera.heading_deg);
        }
        Ok(part)
    }

    fn group_facts(
        &self,
        camera: &CameraId,
        group: &ClipGroup,
        read: &GroupRead,
    ) -> Result<GroupFacts, Error> {
        let entry = &group.entry;
        let times = (entry.start, EventTime(self.clock.now()));
        let standing = self.checkpoints.prove(camera, times, &entry.hashes.chained)?;
        let (seal, unsealed) = match standing {
            Standing::Sealed(seal) => (Some(seal), None),
            Standing::NotYet => (None, Some(Unsealed::NotYet)),
            Standing::NotUnderItsSeal(_) => (None, Some(Unsealed::NotUnderItsSeal)),
            Standing::LeavesGone => (None, Some(Unsealed::LeavesGone)),
        };
        let frames = group.frames.iter().zip(&read.frames);
        Ok(GroupFacts {
            start_us: entry.start.micros(),
            camera_us: entry.camera_time.map(EventTime::micros),
            key: entry.key,
            lost_packets: entry.lost_packets,
            description: 0,
            media_90k: group.media_90k,
            before_asked: false,
            linked: false,
            damaged: read.payload != entry.hashes.payload,
            recorded_in: group.file.to_string(),
            payload: entry.hashes.payload,
            previous: entry.hashes.previous,
            chained: entry.hashes.chained,
            seal: seal.map(|seal| SealFacts {
                checkpoint: seal.checkpoint,
                index: seal.index,
                path: seal.path.iter().map(|hash| hex::encode(hash)).collect(),
            }),
            unsealed,
            frames: frames
                .map(|(frame, hash)| (frame.duration_90k, frame.size, hash.clone()))
                .collect(),
        })
    }
}

fn clip_facts(clip: &Clip, path: String, descriptions: Vec<String>) -> ClipFacts {
    let first = clip.groups().first().map(|group| &group.parameters);
    ClipFacts {
        path,
        codec: first.map_or("", |first| first.codec.as_str()).to_owned(),
        width: first.map_or(0, |first| first.width),
        height: first.map_or(0, |first| first.height),
        shown: Span { from_us: clip.start().micros(), to_us: clip.end().micros() },
        shown_frames: clip.frames(),
        edit_start_90k: clip.edit_start_90k(),
        duration_90k: clip.duration_90k(),
        descriptions,
    }
}

fn clock_offset(groups: &[GroupFacts]) -> Option<ClockOffset> {
    let offsets: Vec<i64> = groups
        .iter()
        .filter_map(|group| Some(group.camera_us?.saturating_sub(group.start_us)))
        .collect();
    let (least_us, most_us) = (*offsets.iter().min()?, *offsets.iter().max()?);
    Some(ClockOffset { least_us, most_us, groups: offsets.len() as u64 })
}

fn signatures(read: &ClipRead) -> CameraSignatures {
    let kinds: BTreeSet<CameraSignature> =
        read.groups.iter().flat_map(|group| group.signatures.iter().copied()).collect();
    let signed = read.groups.iter().filter(|group| !group.signatures.is_empty());
    CameraSignatures {
        kinds: kinds.into_iter().map(|kind| kind.as_str().to_owned()).collect(),
        groups: signed.count() as u64,
        verified: false,
    }
}

/// What was seen of a clip on its way.
struct ClipRead {
    file: [u8; 32],
    groups: Vec<GroupRead>,
}

struct GroupRead {
    payload: [u8; 32],
    /// Short hash of each frame.
    frames: Vec<String>,
    signatures: BTreeSet<CameraSignature>,
}

fn write_clip(
    archive: &mut ArchiveWriter<'_>,
    path: &str,
    clip: &Clip,
    progress: &Progress,
) -> Result<ClipRead, Error> {
    let frames = clip.groups().iter().flat_map(|group| &group.frames);
    let payload: u64 = frames.map(|frame| u64::from(frame.size)).sum();
    let head = clip.total_len().saturating_sub(payload);
    let mut read = ClipRead { file: [0; 32], groups: Vec::new() };
    archive.add::<Error>(path, clip.total_len(), |out| {
        let mut file = Sha256::new();
        let mut pass = |range: std::ops::Range<u64>| -> Result<bytes::Bytes, Error> {
            let bytes = clip.read_range(range)?;
            file.update(&bytes);
            out.write_all(&bytes).map_err(written)?;
            Ok(bytes)
        };
        pass(0..head)?;
        let mut at = head;
        for group in clip.groups() {
            let len = u64::from(group.entry.payload_len);
            let bytes = pass(at..at.saturating_add(len))?;
            progress.advance(len);
            read.groups.push(read_group(group, &bytes));
            at = at.saturating_add(len);
        }
        read.file = file.finalize().into();
        Ok(())
    })?;
    Ok(read)
}

fn read_group(group: &ClipGroup, bytes: &[u8]) -> GroupRead {
    let codec: Codec = group.parameters.codec;
    let mut rest = bytes;
    let (mut frames, mut signatures) = (Vec::new(), BTreeSet::new());
    for frame in &group.frames {
        let size = usize::try_from(frame.size).unwrap_or(usize::MAX).min(rest.len());
        let (frame, after) = rest.split_at(size);
        frames.push(short_hash(frame));
        signatures.extend(sei::find(codec, frame));
        rest = after;
    }
    GroupRead { payload: Sha256::digest(bytes).into(), frames, signatures }
}

fn add(archive: &mut ArchiveWriter<'_>, name: &str, content: &[u8]) -> Result<(), Error> {
    archive.add(name, content.len() as u64, |out| out.write_all(content).map_err(written))
}

fn written(source: std::io::Error) -> Error {
    Error::io("write", std::path::Path::new("the package"), source)
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        written(source)
    }
}

/// A camera's id as part of a file name that any system takes.
fn file_name(camera: &CameraId) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    camera.as_str().chars().take(40).map(plain).collect()
}
