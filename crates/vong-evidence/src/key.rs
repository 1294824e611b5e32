//! The key of an installation: made at the first start, never leaves its directory.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::{Error, hex};

const SECRET_NAME: &str = "evidence.key";
const PUBLIC_NAME: &str = "evidence.pub";
const SECRET_HEAD: &str = "vong-ed25519-secret-v1 ";
const PUBLIC_HEAD: &str = "vong-ed25519-public-v1 ";

/// The secret key of an installation (Ed25519, RFC 8032).
pub struct Key {
    secret: SigningKey,
}

/// What everybody may know of a [`Key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(pub(crate) [u8; 32]);

/// SHA-256 of a public key, in groups of eight digits: short enough to be compared over the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Key {
    /// The key in `dir`; where there is none, one is made of `seed`, which must be secret and
    /// random.
    ///
    /// # Errors
    /// When others may read the key, when it is damaged, or when the disk refuses.
    pub fn open(dir: &Path, seed: impl FnOnce() -> [u8; 32]) -> Result<Self, Error> {
        let path = dir.join(SECRET_NAME);
        if path.try_exists().map_err(|source| Error::io("look for", &path, source))? {
            return Self::load(dir);
        }
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(dir).map_err(|e| Error::io("create", dir, e))?;
        let key = Self { secret: SigningKey::from_bytes(&seed()) };
        let public = format!("{PUBLIC_HEAD}{}\n", hex::encode(&key.public().0));
        let public_path = dir.join(PUBLIC_NAME);
        std::fs::write(&public_path, public).map_err(|e| Error::io("write", &public_path, e))?;
        // Last, so that a secret is never without its public half.
        let secret = format!("{SECRET_HEAD}{}\n", hex::encode(&key.secret.to_bytes()));
        write_new(&path, secret.as_bytes()).map_err(|e| Error::io("write", &path, e))?;
        vong_runtime::fs::sync_directory(dir).map_err(|e| Error::io("sync", dir, e))?;
        Ok(key)
    }

    /// The key in `dir`, which must be there.
    ///
    /// # Errors
    /// As [`Self::open`], and when there is none.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(SECRET_NAME);
        let io = |source| Error::io("read", &path, source);
        let mut file = File::open(&path).map_err(io)?;
        let fault = |why| Error::Key { path: path.clone(), why };
        if file.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
            return Err(fault(
                "others may read the secret key; take their rights away (chmod 600)",
            ));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io)?;
        let secret = text.strip_prefix(SECRET_HEAD).and_then(|rest| rest.strip_suffix('\n'));
        let secret =
            secret.and_then(hex::decode).ok_or_else(|| fault("not a secret key of vong"))?;
        Ok(Self { secret: SigningKey::from_bytes(&secret) })
    }

    /// The public half in `dir`, read without the secret one.
    ///
    /// # Errors
    /// When it is not there or damaged.
    pub fn load_public(dir: &Path) -> Result<PublicKey, Error> {
        let path: PathBuf = dir.join(PUBLIC_NAME);
        let text =
            std::fs::read_to_string(&path).map_err(|source| Error::io("read", &path, source))?;
        let key = text.strip_prefix(PUBLIC_HEAD).and_then(|rest| rest.strip_suffix('\n'));
        let key = key.and_then(hex::decode).map(PublicKey);
        key.ok_or(Error::Key { path, why: "not a public key of vong" })
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.secret.verifying_key().to_bytes())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message).to_bytes()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.public().fingerprint().to_string()).finish()
    }
}

impl PublicKey {
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(self.0).into())
    }

    pub(crate) fn fingerprint_bytes(&self) -> [u8; 32] {
        self.fingerprint().0
    }

    /// The 32 bytes of RFC 8032 as 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        hex::encode(&self.0)
    }

    /// Strict verification: keys of small order and signatures that are not in their one canonical
    /// form are refused.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl Fingerprint {
    /// Reads what [`fmt::Display`] writes; blanks and colons do not count, nor does case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String =
            text.chars().filter(|c| !c.is_whitespace() && !matches!(c, ':' | '-')).collect();
        hex::decode(&digits.to_ascii_lowercase()).map(Self)
    }

    pub(crate) fn to_hex(self) -> String {
        hex::encode(&self.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<String> = self.0.chunks(4).map(hex::encode).collect();
        f.write_str(&groups.join(" "))
    }
}

/// Made with its rights, so that there is no instant at which others could read it.
fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_made_once_and_kept_from_others() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let made = Key::open(&keys, || [7; 32]).unwrap();
        let again = Key::open(&keys, || unreachable!("there is one")).unwrap();
        assert_eq!(made.public(), again.public());
        assert_eq!(Key::load_public(&keys).unwrap(), made.public());
        let path = keys.join(SECRET_NAME);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Key::load(&keys), Err(Error::Key { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "vong-ed25519-secret-v1 07\n").unwrap();
        assert!(matches!(Key::load(&keys), Err(Error::Key { .. })));
    }

    /// RFC 8032, 7.1, test 2.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let secret = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        let signed = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                      085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        let key = Key { secret: SigningKey::from_bytes(&hex::decode(secret).unwrap()) };
        assert_eq!(key.public().to_hex(), public);
        assert_eq!(hex::encode(&key.sign(&[0x72])), signed);
        assert!(key.public().verifies(&[0x72], &hex::decode(signed).unwrap()));
        assert!(!key.public().verifies(&[0x73], &hex::decode(signed).unwrap()));
    }

    #[test]
    fn fingerprint_is_read_as_people_copy_it() {
        let fingerprint = PublicKey([3; 32]).fingerprint();
        let told = fingerprint.to_string();
        assert_eq!(Fingerprint::parse(&told), Some(fingerprint));
        assert_eq!(Fingerprint::parse(&told.replace(' ', "").to_uppercase()), Some(fingerprint));
        assert_eq!(Fingerprint::parse(&told[1..]), None);
    }
}
