//! The hash that chains segments, taken beside the disk.
//!
//! SHA-256 reads about as fast as a good disk writes: taken by the writer itself, it would halve what
//! the log can write. So a large piece is handed to a thread of its own, one at a time, and the
//! writer goes on; a small one is cheaper to hash than to hand over.

use sha2::{Digest as _, Sha256};
use vong_runtime::channel::{Capacity, Receiver, Sender, WhenFull, bounded};

/// From this size on a piece is hashed by the other thread.
const BESIDE_BYTES: usize = 128 * 1024;
/// A buffer that grew past this is given back to the system.
const KEEP_BYTES: usize = 16 * 1024 * 1024;

/// A hash so far, and what comes next.
type Piece = (Sha256, Vec<u8>);

/// The hash of one segment as it grows.
#[derive(Debug)]
pub(super) struct ChainHash {
    /// `None` while the helper has it.
    so_far: Option<Sha256>,
    helper: Option<Helper>,
}

/// A thread that ends when this is dropped.
#[derive(Debug)]
struct Helper {
    work: Sender<Piece>,
    done: Receiver<Piece>,
}

impl ChainHash {
    pub(super) fn new(so_far: Sha256) -> Self {
        Self { so_far: Some(so_far), helper: None }
    }

    /// Adds `piece`, and gives an empty buffer for the next one.
    pub(super) fn add(&mut self, mut piece: Vec<u8>) -> Vec<u8> {
        let (mut so_far, spare) = self.wait();
        if piece.len() >= BESIDE_BYTES {
            match self.hand_over((so_far, piece)) {
                None => return spare,
                Some(back) => (so_far, piece) = back,
            }
        }
        so_far.update(&piece);
        self.so_far = Some(so_far);
        emptied(piece)
    }

    pub(super) fn finish(mut self) -> [u8; 32] {
        self.wait().0.finalize().into()
    }

    /// The hash over everything added, and a buffer the helper is done with.
    fn wait(&mut self) -> (Sha256, Vec<u8>) {
        if let Some(so_far) = self.so_far.take() {
            return (so_far, Vec::new());
        }
        let done = self.helper.as_mut().and_then(|helper| helper.done.blocking_recv());
        let (so_far, piece) = done.expect("the helper answers each piece");
        (so_far, emptied(piece))
    }

    /// Gives `piece` back when there is no helper to take it.
    fn hand_over(&mut self, piece: Piece) -> Option<Piece> {
        if self.helper.is_none() {
            self.helper = Helper::start();
        }
        let Some(helper) = &self.helper else { return Some(piece) };
        helper.work.blocking_send(piece).expect("the helper waits for work");
        None
    }
}

impl Helper {
    /// `None` when the system has no thread to give: then the writer hashes.
    fn start() -> Option<Self> {
        // One piece at a time: neither is ever full.
        let (work, mut pieces) = bounded::<Piece>("log/hash", Capacity::items(1), WhenFull::Wait);
        let (finished, done) = bounded("log/hashed", Capacity::items(1), WhenFull::Wait);
        let body = move || {
            while let Some((mut so_far, piece)) = pieces.blocking_recv() {
                so_far.update(&piece);
                if finished.blocking_send((so_far, piece)).is_err() {
                    return; // the segment was given up
                }
            }
        };
        match vong_runtime::thread::spawn("vong-log-hash", body) {
            Ok(_detached) => Some(Self { work, done }),
            Err(error) => {
                tracing::warn!(%error, "the log hashes its segments itself, which is slower");
                None
            }
        }
    }
}

fn emptied(mut piece: Vec<u8>) -> Vec<u8> {
    if piece.capacity() > KEEP_BYTES {
        return Vec::new();
    }
    piece.clear();
    piece
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_all_sizes_make_the_hash_of_the_whole() {
        let whole: Vec<u8> = (0..2_000_000_u32).map(|i| (i % 251) as u8).collect();
        for sizes in [&[1, 200_000, 5, 400_000, 900_000][..], &[131_072, 131_071], &[7], &[]] {
            let mut chain = ChainHash::new(Sha256::new());
            let mut end = 0;
            for size in sizes {
                let spare = chain.add(whole[end..end + size].to_vec());
                assert!(spare.is_empty());
                end += size;
            }
            let expected: [u8; 32] = Sha256::digest(&whole[..end]).into();
            assert_eq!(chain.finish(), expected, "{sizes:?}");
        }
    }
}
