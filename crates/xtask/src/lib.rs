//! Repository checks: which crate may know which ([`arch`]), how files look ([`tidy`]); and the
//! detector's weights ([`model`]).
//!
//! They are a library so that the integration tests run the same checks as the command.
//! Depends on no product crate: the checks run before the product is built.

pub mod arch;
pub mod model;
pub mod tidy;

use std::path::{Path, PathBuf};

/// The root of this checkout.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
