//! Verifies a package with nothing but the package: the rules, in the order in which findings are
//! told. `dashboards/verifier/src/verify.ts` follows the same rules; the test vectors hold them
//! together.

mod clip;
pub(crate) mod facts;

use std::collections::BTreeSet;

pub(crate) use clip::short_hash;

use sha2::{Digest, Sha256};

use crate::custody;
use crate::finding::{Code, Finding, Report};
use crate::key::{Fingerprint, PublicKey};
use crate::manifest::{self, Manifest};
use crate::signed::{PackageSeal, Signed};
use crate::{Error, Package};

pub(crate) const SEAL_NAME: &str = "manifest.sig";

/// Compares everything in the package with what was signed, and names each difference.
///
/// `expected` is the fingerprint of the key that the reader knows from elsewhere.
///
/// # Errors
/// When the disk refuses; a package that was changed is a report, not an error.
pub fn verify(package: &Package, expected: Option<Fingerprint>) -> Result<Report, Error> {
    let mut check = Check { package, findings: Vec::new(), frames_verified: 0 };
    if !package.is_as_packed() {
        check.found(Finding::new(Code::ArchiveRewritten));
    }
    let seal = check.seal()?;
    let signed_by = seal.map(|(_, key)| key);
    let fingerprint = signed_by.map(|key| key.fingerprint());
    if let (Some(expected), Some(found)) = (expected, fingerprint)
        && expected != found
    {
        let detail = Some(found.to_hex());
        check.found(Finding { detail, ..Finding::new(Code::KeyUnexpected) });
    }
    if let Some(manifest) = check.manifest(seal)? {
        let changed = check.files(&manifest)?;
        check.custody(seal)?;
        check.contents(&manifest, &changed)?;
    } else {
        check.custody(seal)?;
    }
    let Check { findings, frames_verified, .. } = check;
    let key_confirmed = expected.is_some() && expected == fingerprint;
    Ok(Report { findings, signed_by, key_confirmed, frames_verified })
}

struct Check<'a> {
    package: &'a Package,
    findings: Vec<Finding>,
    frames_verified: u64,
}

type Seal = Option<(PackageSeal, PublicKey)>;

impl Check<'_> {
    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The signature of the package, if it is genuine.
    fn seal(&mut self) -> Result<Seal, Error> {
        let Some(bytes) = self.package.text(SEAL_NAME)? else {
            self.found(Finding::file(Code::FileMissing, SEAL_NAME));
            return Ok(None);
        };
        let signed = std::str::from_utf8(&bytes).ok().and_then(Signed::parse);
        let read = signed.and_then(|signed| Some((PackageSeal::parse(&signed.text)?, signed)));
        let Some((seal, signed)) = read else {
            self.found(Finding::file(Code::SignatureUnreadable, SEAL_NAME));
            return Ok(None);
        };
        if !signed.is_genuine() {
            self.found(Finding::file(Code::SignatureWrong, SEAL_NAME));
            return Ok(None);
        }
        Ok(Some((seal, signed.key)))
    }

    fn manifest(&mut self, seal: Seal) -> Result<Option<Manifest>, Error> {
        let Some(bytes) = self.package.text(manifest::FILE_NAME)? else {
            self.found(Finding::file(Code::FileMissing, manifest::FILE_NAME));
            return Ok(None);
        };
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        if seal.is_some_and(|(seal, _)| seal.manifest != hash) {
            self.found(Finding::file(Code::ManifestEdited, manifest::FILE_NAME));
        }
        let read: Option<Manifest> = serde_json::from_slice(&bytes).ok();
        let versions = manifest::FIRST_VERSION..=manifest::VERSION;
        let known =
            |read: &Manifest| read.format == manifest::FORMAT && versions.contains(&read.version);
        let Some(read) = read.filter(known) else {
            self.found(Finding::file(Code::ManifestUnreadable, manifest::FILE_NAME));
            return Ok(None);
        };
        let own = read.key.fingerprint == PublicKey(read.key.public_key).fingerprint_bytes();
        if !own || seal.is_some_and(|(_, key)| key.0 != read.key.public_key) {
            self.found(Finding::file(Code::KeyContradicts, manifest::FILE_NAME));
        }
        Ok(Some(read))
    }

    /// The files the manifest lists; gives those that are there but not as they were.
    fn files(&mut self, manifest: &Manifest) -> Result<BTreeSet<String>, Error> {
        let mut changed = BTreeSet::new();
        let mut known: BTreeSet<&str> =
            BTreeSet::from([manifest::FILE_NAME, SEAL_NAME, custody::FILE_NAME]);
        for file in &manifest.files {
            known.insert(&file.path);
            match self.package.files().get(&file.path) {
                None => self.found(Finding::file(Code::FileMissing, &file.path)),
                Some(bytes) => {
                    if *bytes != file.bytes || self.package.hash(&file.path)? != file.sha256 {
                        self.found(Finding::file(Code::FileChanged, &file.path));
                        changed.insert(file.path.clone());
                    }
                }
            }
        }
        for name in self.package.files().keys().filter(|name| !known.contains(name.as_str())) {
            self.findings.push(Finding::file(Code::FileAdded, name));
        }
        Ok(changed)
    }

    fn custody(&mut self, seal: Seal) -> Result<(), Error> {
        let Some(bytes) = self.package.text(custody::FILE_NAME)? else {
            self.found(Finding::file(Code::FileMissing, custody::FILE_NAME));
            return Ok(());
        };
        let text = String::from_utf8_lossy(&bytes);
        let first = match custody::read(&text) {
            Err(line) => Err(line as u64),
            Ok(entries) => Ok(entries.first().map(|(_, hash)| *hash)),
        };
        let wrong = match first {
            Err(line) => Some(line),
            Ok(first) => seal.is_some_and(|(seal, _)| Some(seal.custody) != first).then_some(1),
        };
        if wrong.is_some() {
            let finding = Finding::file(Code::CustodyEdited, custody::FILE_NAME);
            self.found(Finding { line: wrong, ..finding });
        }
        Ok(())
    }

    /// What the manifest says of each camera: against itself, and against the clips.
    fn contents(&mut self, manifest: &Manifest, changed: &BTreeSet<String>) -> Result<(), Error> {
        let checkpoints = self.checkpoints(manifest);
        for number in 0..manifest.cameras.len() {
            let Some(camera) = manifest.cameras.get(number) else { continue };
            self.facts(manifest, camera, &checkpoints);
            self.clip(manifest, camera, changed.contains(&camera.clip.path))?;
            self.notes(camera, &checkpoints);
        }
        Ok(())
    }
}
