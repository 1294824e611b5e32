//! Ends holds on footage, on the record: what a hold kept may be deleted from then on.

use vong_footage::{Footage, Hold};
use vong_log::{Entry, Log};
use vong_model::{EventTime, Stream};
use vong_runtime::Clock;

use crate::Error;
use crate::sealer::Fact;

/// Ends a hold for `who`. It is recorded first: should the disk then fail, a hold is left that the
/// record calls released, and can be released again; never is footage let go of unseen. Blocks on the
/// disk.
///
/// # Errors
/// When there is no such hold, the step cannot be recorded, or the list of holds not be written.
pub fn release_hold(
    footage: &Footage,
    (log, clock): (&dyn Log, &dyn Clock),
    hold_id: u64,
    who: &str,
) -> Result<Hold, Error> {
    let found = footage.holds().into_iter().find(|hold| hold.hold_id == hold_id);
    let hold = found.ok_or(vong_footage::Error::UnknownHold { id: hold_id })?;
    let now = EventTime(clock.now());
    let request = &hold.request;
    let fact = Fact {
        at: now,
        kind: "released",
        package_id: request.reason.strip_prefix("evidence package ").map(str::to_owned),
        case: Some(request.case.clone()),
        purpose: None,
        actor: who.to_owned(),
        cameras: vec![request.camera_id.to_string()],
        from: request.from,
        to: request.to,
        hash: String::new(),
        detail: Some(format!("hold {hold_id}: {}", request.reason)),
    };
    let batch = Fact::batch(std::slice::from_ref(&fact), now);
    log.append_blocking(vec![Entry::new(Stream::EvidenceEvents, batch)])?;
    Ok(footage.release(hold_id)?)
}
