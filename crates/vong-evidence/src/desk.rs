//! Where packages are asked for: one is made at a time, kept for some days to be fetched, and every
//! step is a record of the log.
//!
//! ```text
//! <dir>/packages/<package id>.zip            complete
//! <dir>/packages/<package id>.zip.part       being made; removed at the next start
//! <dir>/packages/<package id>.custody.jsonl  the package's own first line, then every download
//! ```

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{info, warn};
use vong_footage::HoldRequest;
use vong_log::{Entry, Log};
use vong_model::{EventTime, Stream};
use vong_runtime::Shutdown;

use crate::custody::{self, CustodyEntry};
use crate::export::{Exporter, Made};
use crate::sealer::Fact;
use crate::{Error, EvidenceMetrics, ExportRequest, PublicKey, hex};
use crate::{Progress, signed};

/// Where packages lie and how long.
#[derive(Clone, Debug)]
pub struct DeskConfig {
    /// Directory of everything about evidence.
    pub dir: PathBuf,
    /// A package that is not fetched for so long is deleted; its footage stays on hold.
    pub keep: Duration,
    /// So much of the disk is left to others, bytes: no package is made into it.
    pub min_free_bytes: u64,
}

/// How often it is looked for packages that nobody needs any more.
const HOUSEKEEPING: Duration = Duration::from_secs(600);

/// What a package needs beside its frames: the manifest, about 60 bytes a frame, and pages.
const BESIDE_FRAMES: u64 = 16 << 20;

/// Takes requests for packages; cheap to clone. One that is switched off refuses them all, and says
/// why: alerts and recording do not wait for a key.
#[derive(Clone, Debug)]
pub struct Desk {
    shared: Result<Arc<Shared>, Arc<str>>,
}

#[derive(Debug)]
struct Shared {
    config: DeskConfig,
    exporter: Exporter,
    log: Arc<dyn Log>,
    metrics: EvidenceMetrics,
    exports: Mutex<BTreeMap<String, Export>>,
}

/// A package and how far it is.
#[derive(Clone, Debug)]
pub struct Export {
    pub package_id: String,
    pub state: ExportState,
    pub progress: Progress,
    pub asked_at: EventTime,
}

/// The life of a package on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportState {
    Making,
    /// Can be fetched; bytes.
    Ready(u64),
    /// Why.
    Failed(String),
}

impl Desk {
    /// A desk that refuses everything, because of `why`.
    pub fn off(why: &str) -> Self {
        Self { shared: Err(Arc::from(why)) }
    }

    fn open_shared(&self) -> Result<&Arc<Shared>, Error> {
        self.shared.as_ref().map_err(|why| Error::Off(why.to_string()))
    }

    /// Opens the directory; packages of earlier runs can still be fetched. The holds of those that an
    /// end of the process interrupted are released.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(
        config: DeskConfig,
        exporter: Exporter,
        log: Arc<dyn Log>,
        metrics: EvidenceMetrics,
    ) -> Result<Self, Error> {
        let dir = packages_dir(&config.dir);
        std::fs::create_dir_all(&dir).map_err(|source| Error::io("create", &dir, source))?;
        let (exports, interrupted) = known(&dir)?;
        let reasons: Vec<String> = interrupted.iter().map(|id| reason(id)).collect();
        for hold in exporter.footage.holds() {
            if reasons.contains(&hold.request.reason) {
                exporter.footage.release(hold.hold_id)?;
            }
        }
        let exports = Mutex::new(exports);
        let shared = Shared { config, exporter, log, metrics, exports };
        Ok(Self { shared: Ok(Arc::new(shared)) })
    }

    /// Deletes packages that nobody fetched in time, until shutdown.
    ///
    /// # Errors
    /// None that ends it.
    pub async fn keep_house(self, shutdown: Shutdown) -> Result<(), Error> {
        loop {
            let desk = self.clone();
            let looked = move || {
                let Ok(shared) = &desk.shared else { return };
                shared.forget_old(EventTime(shared.exporter.clock.now()));
            };
            if let Err(error) = tokio::task::spawn_blocking(looked).await {
                warn!(%error, "could not look for old evidence packages");
            }
            tokio::select! {
                () = tokio::time::sleep(HOUSEKEEPING) => {}
                () = shutdown.requested() => return Ok(()),
            }
        }
    }

    /// Whose signature packages carry.
    ///
    /// # Errors
    /// When evidence is switched off.
    pub fn key(&self) -> Result<PublicKey, Error> {
        Ok(self.open_shared()?.exporter.key.public())
    }

    /// An id for a package that is asked for at `now`.
    pub fn new_id(now: EventTime) -> String {
        let digits: String = now.to_string().chars().filter(char::is_ascii_digit).collect();
        format!("ev-{digits}")
    }

    /// Begins to make a package: its footage is on hold once this returns, the rest happens on a
    /// thread of its own. A second one meanwhile is refused. Should it fail, the hold ends.
    ///
    /// # Errors
    /// When the request cannot be met, another one is being made, the disk has no room for it, or the
    /// hold cannot be placed. Blocks on the disk.
    pub fn begin(&self, request: ExportRequest) -> Result<Export, Error> {
        self.open_shared()?.begin(request)
    }

    /// How far a package is.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn get(&self, package_id: &str) -> Result<Export, Error> {
        self.open_shared()?.get(package_id)
    }

    /// All packages, oldest first; none while evidence is switched off.
    pub fn list(&self) -> Vec<Export> {
        let Ok(shared) = &self.shared else { return Vec::new() };
        shared.exports.lock().values().cloned().collect()
    }

    /// Opens a package that is ready for `who`, and records that they fetch it. Blocks on the disk.
    ///
    /// # Errors
    /// When there is none, it is not ready, or the step cannot be recorded: nobody takes evidence
    /// away unseen.
    pub fn fetch(&self, package_id: &str, who: &str, from_byte: u64) -> Result<(File, u64), Error> {
        self.open_shared()?.fetch(package_id, who, from_byte)
    }

    /// The custody log that the server keeps of a package.
    ///
    /// # Errors
    /// When there is no such package.
    pub fn custody(&self, package_id: &str) -> Result<String, Error> {
        let shared = self.open_shared()?;
        shared.get(package_id)?;
        let text = signed::read_text(&shared.custody_path(package_id))?;
        text.ok_or_else(|| Error::UnknownPackage(package_id.to_owned()))
    }
}

impl Shared {
    fn begin(self: &Arc<Self>, mut request: ExportRequest) -> Result<Export, Error> {
        request.check()?;
        let asked_at = EventTime(self.exporter.clock.now());
        self.forget_old(asked_at);
        let export = Export {
            package_id: request.package_id.clone(),
            state: ExportState::Making,
            progress: Progress::default(),
            asked_at,
        };
        {
            let mut exports = self.exports.lock();
            if exports.values().any(|other| other.state == ExportState::Making) {
                self.metrics.packages.with_label_values(&["refused"]).inc();
                return Err(Error::Busy);
            }
            exports.insert(export.package_id.clone(), export.clone());
        }
        // Nothing is held for a range that cannot be exported.
        let held = self.look(&request).and_then(|()| self.hold(&mut request));
        let holds = request.holds.clone();
        if let Err(error) = held.and_then(|()| self.spawn(request, export.clone())) {
            self.release(&holds);
            self.exports.lock().remove(&export.package_id);
            return Err(error);
        }
        Ok(export)
    }

    /// Whether the package can be made, and fits on the disk.
    fn look(&self, request: &ExportRequest) -> Result<(), Error> {
        let frames = self.exporter.look(request)?;
        let needed_bytes = frames.saturating_add(frames / 16).saturating_add(BESIDE_FRAMES);
        let dir = &self.config.dir;
        let free = vong_runtime::fs::free_bytes(dir);
        let free = free.map_err(|source| Error::io("ask the disk of", dir, source))?;
        let free_bytes = free.saturating_sub(self.config.min_free_bytes);
        if needed_bytes > free_bytes {
            return Err(Error::NoRoom { needed_bytes, free_bytes });
        }
        Ok(())
    }

    fn get(&self, package_id: &str) -> Result<Export, Error> {
        let found = self.exports.lock().get(package_id).cloned();
        found.ok_or_else(|| Error::UnknownPackage(package_id.to_owned()))
    }

    fn fetch(&self, package_id: &str, who: &str, from_byte: u64) -> Result<(File, u64), Error> {
        let ExportState::Ready(bytes) = self.get(package_id)?.state else {
            return Err(Error::Request(format!("package '{package_id}' is not ready")));
        };
        let path = self.path(package_id);
        let file = File::open(&path).map_err(|source| Error::io("open", &path, source))?;
        let now = EventTime(self.exporter.clock.now());
        let entry = CustodyEntry {
            at_us: now.micros(),
            action: "downloaded".to_owned(),
            by: who.to_owned(),
            software: self.exporter.software.clone(),
            detail: format!("from byte {from_byte} of {bytes}"),
        };
        let hash = custody::append(&self.custody_path(package_id), &entry)?;
        let fact = Fact {
            at: now,
            kind: "downloaded",
            package_id: Some(package_id.to_owned()),
            case: None,
            purpose: None,
            actor: who.to_owned(),
            cameras: Vec::new(),
            from: now,
            to: now,
            hash: hex::encode(&hash),
            detail: Some(entry.detail),
        };
        self.record(&fact)?;
        Ok((file, bytes))
    }

    /// Retention leaves the footage alone from here on, until a person releases it.
    fn hold(&self, request: &mut ExportRequest) -> Result<(), Error> {
        for camera in &request.cameras {
            let hold = self.exporter.footage.hold(HoldRequest {
                camera_id: camera.id().clone(),
                from: request.from,
                to: request.to,
                case: request.case.clone(),
                reason: reason(&request.package_id),
                until: None,
            })?;
            request.holds.push(hold.hold_id);
        }
        Ok(())
    }

    /// Ends the holds of a package that was not made.
    fn release(&self, holds: &[u64]) {
        for hold_id in holds {
            if let Err(error) = self.exporter.footage.release(*hold_id) {
                warn!(hold_id, %error, "a hold of a failed package stays");
            }
        }
    }

    fn spawn(self: &Arc<Self>, request: ExportRequest, export: Export) -> Result<(), Error> {
        let desk = Arc::clone(self);
        let work = move || {
            let Export { package_id, progress, .. } = export;
            let made = desk.make(&request, &progress);
            let outcome = if made.is_ok() { "made" } else { "failed" };
            desk.metrics.packages.with_label_values(&[outcome]).inc();
            let state = match made {
                Ok(bytes) => {
                    desk.metrics.package_bytes.inc_by(bytes);
                    info!(package_id, bytes, "evidence package made");
                    ExportState::Ready(bytes)
                }
                Err(error) => {
                    warn!(package_id, %error, "evidence package failed");
                    desk.release(&request.holds);
                    ExportState::Failed(with_causes(&error))
                }
            };
            if let Some(export) = desk.exports.lock().get_mut(&package_id) {
                export.state = state;
            }
        };
        let thread = vong_runtime::thread::spawn("vong-evidence", work);
        thread.map(drop).map_err(|source| Error::io("start a thread for", Path::new("it"), source))
    }

    fn make(&self, request: &ExportRequest, progress: &Progress) -> Result<u64, Error> {
        let path = self.path(&request.package_id);
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let made = self.write(request, &part, progress);
        if made.is_err() {
            drop(std::fs::remove_file(&part)); // at worst removed at the next start
        }
        let made = made?;
        let to = |source| Error::io("finish", &path, source);
        self.start_custody(request)?;
        self.record(&exported(request, &made, EventTime(self.exporter.clock.now())))?;
        // Only what is on record may be fetched.
        vong_runtime::fs::rename_durable(&part, &path).map_err(to)?;
        Ok(made.bytes)
    }

    fn write(
        &self,
        request: &ExportRequest,
        part: &Path,
        progress: &Progress,
    ) -> Result<Made, Error> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(part);
        let file = file.map_err(|source| Error::io("create", part, source))?;
        self.exporter.export(request, &file, progress)
    }

    fn start_custody(&self, request: &ExportRequest) -> Result<(), Error> {
        let entry = CustodyEntry {
            at_us: self.exporter.clock.now(),
            action: "made".to_owned(),
            by: request.asked_by.clone(),
            software: self.exporter.software.clone(),
            detail: request.purpose.clone(),
        };
        custody::append(&self.custody_path(&request.package_id), &entry).map(drop)
    }

    fn record(&self, fact: &Fact) -> Result<(), Error> {
        let now = EventTime(self.exporter.clock.now());
        let batch = Fact::batch(std::slice::from_ref(fact), now);
        self.log.append_blocking(vec![Entry::new(Stream::EvidenceEvents, batch)])?;
        Ok(())
    }

    /// Packages nobody needs any more; what cannot be deleted is tried again with the next request.
    fn forget_old(&self, now: EventTime) {
        let mut exports = self.exports.lock();
        exports.retain(|package_id, export| {
            let old = export.asked_at.saturating_add(self.config.keep) <= now;
            let done = export.state != ExportState::Making;
            let removed = || match std::fs::remove_file(self.path(package_id)) {
                Ok(()) => true,
                Err(error) => error.kind() == std::io::ErrorKind::NotFound, // it failed
            };
            !(old && done && removed())
        });
    }

    fn path(&self, package_id: &str) -> PathBuf {
        packages_dir(&self.config.dir).join(format!("{package_id}.zip"))
    }

    fn custody_path(&self, package_id: &str) -> PathBuf {
        packages_dir(&self.config.dir).join(format!("{package_id}.custody.jsonl"))
    }
}

fn exported(request: &ExportRequest, made: &Made, now: EventTime) -> Fact {
    Fact {
        at: now,
        kind: "exported",
        package_id: Some(request.package_id.clone()),
        case: Some(request.case.clone()),
        purpose: Some(request.purpose.clone()),
        actor: format!("{} ({})", request.asked_by, request.account),
        cameras: request.cameras.iter().map(|camera| camera.id().to_string()).collect(),
        from: request.from,
        to: request.to,
        hash: hex::encode(&made.manifest),
        detail: request.alert.as_ref().map(|alert| alert.alert_id.clone()),
    }
}

fn packages_dir(dir: &Path) -> PathBuf {
    dir.join("packages")
}

/// Why footage is on hold for a package.
fn reason(package_id: &str) -> String {
    format!("evidence package {package_id}")
}

/// Complete packages of `dir`, and the ids of those that were being made when the process ended, which
/// are removed.
fn known(dir: &Path) -> Result<(BTreeMap<String, Export>, Vec<String>), Error> {
    let io = |source| Error::io("list", dir, source);
    let (mut exports, mut interrupted) = (BTreeMap::new(), Vec::new());
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(package_id) = name.strip_suffix(".zip.part") {
            std::fs::remove_file(entry.path()).map_err(io)?;
            interrupted.push(package_id.to_owned());
        } else if let Some(package_id) = name.strip_suffix(".zip") {
            let metadata = entry.metadata().map_err(io)?;
            let modified = metadata.modified().map_err(io)?;
            let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let export = Export {
                package_id: package_id.to_owned(),
                state: ExportState::Ready(metadata.len()),
                progress: Progress::default(),
                asked_at: EventTime(0).saturating_add(since),
            };
            exports.insert(package_id.to_owned(), export);
        }
    }
    Ok((exports, interrupted))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        told.push_str(": ");
        told.push_str(&inner.to_string());
        cause = inner.source();
    }
    told
}
