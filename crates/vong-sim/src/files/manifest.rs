//! The list of generated files with their sizes and hashes, so that a damaged copy is noticed.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{Files, SAMPLE_SEED};

pub(super) fn of(files: &Files) -> String {
    let mut text = format!(
        "# Generated with the files it lists; see README.md.\nsimulated = true\nseed = {SAMPLE_SEED}\n"
    );
    for (path, content) in files {
        let bytes = content.len();
        let sha256 = sha256_hex(content.as_bytes());
        write!(text, "\n[[file]]\npath = \"{path}\"\nbytes = {bytes}\nsha256 = \"{sha256}\"\n")
            .expect("writing to a string cannot fail");
    }
    text
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
