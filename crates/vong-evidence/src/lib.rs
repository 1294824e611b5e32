//! Evidence: signed checkpoints over everything that is recorded, packages that leave the house, and
//! their verification by people who need not trust it.
//!
//! ```text
//! footage: hash per group, chained per camera ─▶ Sealer: Merkle root an hour, signed ─▶ Checkpoints
//! footage + Checkpoints + Key ─▶ package: clips, manifest, proofs, custody, pages ─▶ verify
//! ```
//!
//! [`verify`] reads a package and nothing else: no server, no data directory, no network. The page
//! that travels with every package follows the same rules in a browser; shared test vectors keep the
//! two together. Blocks on the disk, so call it from threads that may block.

mod archive;
mod checkpoint;
mod checkpoints;
mod custody;
mod desk;
mod error;
mod export;
mod finding;
mod fsck;
mod hex;
mod holds;
mod key;
mod manifest;
mod merkle;
mod metrics;
mod mp4;
mod package;
mod page;
mod sealer;
mod sei;
mod signed;
mod verify;

pub use archive::{ArchiveReader, ArchiveWriter};
pub use checkpoint::Checkpoint;
pub use checkpoints::{Checkpoints, Seal, Standing};
pub use custody::{CustodyEntry, append_custody};
pub use desk::{Desk, DeskConfig, Export, ExportState};
pub use error::Error;
pub use export::{CameraFacts, ExportRequest, Exporter, Progress, verifier_page};
pub use finding::{Code, Finding, Language, Report, Severity};
pub use fsck::{Fsck, FsckReport};
pub use holds::release_hold;
pub use key::{Fingerprint, Key, PublicKey};
pub use manifest::{AlertFacts, AlertRow};
pub use metrics::EvidenceMetrics;
pub use package::Package;
pub use sealer::{Sealer, SealerConfig};
pub use verify::verify;

#[cfg(test)]
mod tests;
