//! Signed texts: lines that a person can read, in one spelling only, and the signature below them.
//!
//! ```text
//! vong checkpoint 1
//! number 7
//! …
//! signed <public key> <signature over every byte above this line>
//! ```

use crate::key::{Key, PublicKey};
use crate::{Error, hex};

/// A text and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Every byte above the last line.
    pub(crate) text: String,
    pub(crate) key: PublicKey,
    pub(crate) signature: [u8; 64],
}

impl Signed {
    pub(crate) fn new(text: String, key: &Key) -> Self {
        let signature = key.sign(text.as_bytes());
        Self { text, key: key.public(), signature }
    }

    /// Reads what [`Self::render`] writes, and nothing else. Does not verify.
    pub(crate) fn parse(rendered: &str) -> Option<Self> {
        let body = rendered.strip_suffix('\n')?;
        let end = body.rfind('\n')?.checked_add(1)?;
        let (text, last) = body.split_at_checked(end)?;
        let (key, signature) = last.strip_prefix("signed ")?.split_once(' ')?;
        let (key, signature) = (PublicKey(hex::decode(key)?), hex::decode(signature)?);
        Some(Self { text: text.to_owned(), key, signature })
    }

    pub(crate) fn render(&self) -> String {
        let Self { text, key, signature } = self;
        format!("{text}signed {} {}\n", key.to_hex(), hex::encode(signature))
    }

    pub(crate) fn is_genuine(&self) -> bool {
        self.key.verifies(self.text.as_bytes(), &self.signature)
    }
}

/// Takes the fields of a signed text apart, in their order.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    lines: std::str::Lines<'a>,
}

impl<'a> Fields<'a> {
    /// `None` if the text is not one of this kind.
    pub(crate) fn of(text: &'a str, kind: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()? == kind).then_some(Self { lines })
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<&'a str> {
        self.lines.next()?.strip_prefix(name)?.strip_prefix(' ')
    }

    /// Spelt as we spell it.
    pub(crate) fn number<T: std::str::FromStr + ToString>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        text.parse().ok().filter(|number: &T| number.to_string() == text)
    }

    pub(crate) fn hash(&mut self, name: &str) -> Option<[u8; 32]> {
        hex::decode(self.text(name)?)
    }
}

/// What `manifest.sig` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackageSeal {
    /// SHA-256 of `manifest.json`.
    pub(crate) manifest: [u8; 32],
    /// Hash of the first entry of `custody.jsonl`.
    pub(crate) custody: [u8; 32],
}

const PACKAGE: &str = "vong package 1";

impl PackageSeal {
    pub(crate) fn text(&self) -> String {
        let Self { manifest, custody } = self;
        format!("{PACKAGE}\nmanifest {}\ncustody {}\n", hex::encode(manifest), hex::encode(custody))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut fields = Fields::of(text, PACKAGE)?;
        let seal = Self { manifest: fields.hash("manifest")?, custody: fields.hash("custody")? };
        (seal.text() == text).then_some(seal)
    }
}

/// `path` read as text; what is not UTF-8 is none of ours.
pub(crate) fn read_text(path: &std::path::Path) -> Result<Option<String>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io("read", path, source)),
    }
}
