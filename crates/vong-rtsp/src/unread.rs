//! What came from a camera and became nothing: a metadata document without an end.
//!
//! The library gathers a document until its last packet, however long. It tells where in the
//! connection's bytes each frame ends, so what was read beyond the pictures is known.

use std::fmt::{self, Write as _};

use retina::PacketContext;

/// More than this beyond the pictures, since the last document, is no document.
pub(crate) const LIMIT_BYTES: u64 = 32 << 20;
/// Heads of packets and reports, for each frame.
const FRAME_BYTES: u64 = 256;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unread {
    /// Place in the connection's bytes of the first frame since the last document.
    from: Option<u64>,
    /// What the frames since then explain.
    explained: u64,
}

impl Unread {
    /// A frame of `bytes` ended at `place`; whether too much came that it does not explain. Over UDP
    /// there are no places, and nothing is known.
    pub(crate) fn frame(&mut self, place: Option<u64>, bytes: usize) -> bool {
        let Some(place) = place else { return false };
        let Some(from) = self.from else {
            *self = Self { from: Some(place), explained: 0 };
            return false;
        };
        // An eighth for the heads of packets, of which small ones have relatively more.
        let bytes = bytes as u64;
        let explained = bytes.saturating_add(bytes / 8).saturating_add(FRAME_BYTES);
        self.explained = self.explained.saturating_add(explained);
        place.saturating_sub(from).saturating_sub(self.explained) > LIMIT_BYTES
    }

    /// A document was complete.
    pub(crate) fn document(&mut self) {
        self.from = None;
    }
}

/// How many bytes of the connection came before this packet; `None` over UDP.
pub(crate) fn place(packet: &PacketContext) -> Option<u64> {
    let mut place = Place { number: Some(0), is_whole: false };
    let stopped = write!(place, "{packet}").is_err();
    place.number.filter(|_| stopped && place.is_whole)
}

/// Reads the number before the `@` in what the library shows of a packet, and no further.
struct Place {
    number: Option<u64>,
    is_whole: bool,
}

impl fmt::Write for Place {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character == '@' {
                self.is_whole = true;
                return Err(fmt::Error);
            }
            let digit = character.to_digit(10).ok_or(fmt::Error)?;
            let number = self.number.and_then(|number| number.checked_mul(10));
            self.number = number.and_then(|number| number.checked_add(digit.into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_explain_themselves_and_a_document_without_an_end_does_not() {
        let mut unread = Unread::default();
        let mut place = 0_u64;
        // A day of small pictures in small packets, without one document.
        for _ in 0..25 * 86_400 {
            place += 60 + 32;
            assert!(!unread.frame(Some(place), 60));
        }
        for _ in 0..10_000 {
            place += 9_000 + 300 + 3_000;
            assert!(!unread.frame(Some(place), 9_000) || place > LIMIT_BYTES);
        }
        let mut unread = Unread::default();
        let mut frames = 0_u64;
        while !unread.frame(Some(frames * 101_000), 1_000) {
            frames += 1;
        }
        assert_eq!((frames * 100_000) >> 20, LIMIT_BYTES >> 20);
        unread.document();
        assert!(!unread.frame(Some(u64::MAX), 1));
        assert!(!unread.frame(None, 1));
    }
}
