//! Who had a package in hand, and when: one line a step, each hashed over the one before.
//!
//! ```text
//! {"hash":"<64 digits>","entry":{…}}
//! hash = SHA-256("vong-custody-v1\0" | hash of the line before, or zeros | bytes of the entry)
//! ```
//! The first line's hash is under the package's signature. Later lines are not signed: they show what
//! was written when nobody wanted to deceive; whoever rewrites all of them is not found out.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, hex};

pub(crate) const FILE_NAME: &str = "custody.jsonl";
const LINE_LIMIT: usize = 64 << 10;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustodyEntry {
    /// Microseconds since 1970, by the clock of whoever writes.
    pub at_us: i64,
    /// `made`, `downloaded`, `viewed`, `copied`, `handed_over`, `received` or another word.
    pub action: String,
    pub by: String,
    pub software: String,
    pub detail: String,
}

/// `entry` as the line that follows one with the hash `previous`, and its own hash.
pub(crate) fn line(entry: &CustodyEntry, previous: &[u8; 32]) -> Result<(String, [u8; 32]), Error> {
    let json = serde_json::to_string(entry)
        .map_err(|source| Error::Json { what: "a custody entry", source })?;
    let hash = chained(previous, &json);
    Ok((format!("{{\"hash\":\"{}\",\"entry\":{json}}}\n", hex::encode(&hash)), hash))
}

/// Reads all lines: the entries with their hashes, or the first line, from 1, that is not what was
/// written.
pub(crate) fn read(text: &str) -> Result<Vec<(CustodyEntry, [u8; 32])>, usize> {
    let mut entries = Vec::new();
    let mut previous = [0; 32];
    for (number, line) in (1usize..).zip(text.split_inclusive('\n')) {
        let (entry, hash) = parse(line, &previous).ok_or(number)?;
        entries.push((entry, hash));
        previous = hash;
    }
    if entries.is_empty() { Err(1) } else { Ok(entries) }
}

/// Appends one step to the custody log of the package in `folder`.
///
/// # Errors
/// When its custody log was edited, or the disk refuses.
pub fn append_custody(folder: &Path, entry: &CustodyEntry) -> Result<(), Error> {
    append(&folder.join(FILE_NAME), entry).map(drop)
}

/// Appends one step to a custody log; gives its hash. Whoever else appends meanwhile waits: two that
/// read the same last line would both follow on it. A line that an interrupted append left half is cut.
///
/// # Errors
/// When the log that is there was edited, or the disk refuses.
pub(crate) fn append(path: &Path, entry: &CustodyEntry) -> Result<[u8; 32], Error> {
    let file = OpenOptions::new().create(true).append(true).read(true).open(path);
    let mut file = file.map_err(|source| Error::io("open", path, source))?;
    file.lock().map_err(|source| Error::io("lock", path, source))?; // until it is closed
    let mut before = std::fs::read(path).map_err(|source| Error::io("read", path, source))?;
    let end = before.iter().rposition(|byte| *byte == b'\n');
    let whole = end.map_or(0, |end| end.saturating_add(1));
    if whole < before.len() {
        before.truncate(whole);
        file.set_len(whole as u64).map_err(|source| Error::io("cut", path, source))?;
    }
    let before = String::from_utf8_lossy(&before);
    let previous = match read(&before) {
        _ if before.is_empty() => [0; 32],
        Ok(entries) => entries.last().map(|(_, hash)| *hash).unwrap_or_default(),
        Err(line) => {
            let why = format!("line {line} of the custody log was edited");
            return Err(Error::NotAPackage { path: path.to_owned(), why });
        }
    };
    let (line, hash) = line(entry, &previous)?;
    let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|source| Error::io("append to", path, source))?;
    Ok(hash)
}

fn parse(line: &str, previous: &[u8; 32]) -> Option<(CustodyEntry, [u8; 32])> {
    let body = line.strip_suffix("}\n").filter(|_| line.len() <= LINE_LIMIT)?;
    let (hash, json) = body.strip_prefix("{\"hash\":\"")?.split_once("\",\"entry\":")?;
    let hash: [u8; 32] = hex::decode(hash)?;
    let entry = serde_json::from_str(json).ok()?;
    (chained(previous, json) == hash).then_some((entry, hash))
}

fn chained(previous: &[u8; 32], json: &str) -> [u8; 32] {
    let hash = Sha256::new().chain_update(b"vong-custody-v1\0").chain_update(previous);
    hash.chain_update(json).finalize().into()
}
