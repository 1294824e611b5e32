//! Packets larger than we take: enough is read to name and acknowledge the message, the rest is
//! skipped.
//!
//! A client that gives up the connection instead would be sent the same message again for ever, and
//! one sensor would silence all.

use bytes::{Buf, Bytes, BytesMut};

/// As much of a too large packet as is kept.
const HEAD_BYTES: usize = 192 * 1024;

/// A message too large to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub(crate) topic: Bytes,
    /// The first bytes of the payload.
    pub(crate) head: Bytes,
    pub(crate) size_bytes: usize,
    /// None for QoS 0.
    pub(crate) packet_id: Option<u16>,
}

/// Where in the stream of bytes we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Skipper {
    skipping: usize,
}

/// What to do with the bytes at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read a packet as usual.
    Read,
    /// Wait for more bytes.
    Wait,
    TooLarge(TooLarge),
    /// Not MQTT, or a packet that may not be large.
    Broken(&'static str),
}

impl Skipper {
    pub(crate) fn step(&mut self, bytes: &mut BytesMut, max_packet: usize, v5: bool) -> Step {
        let skip = self.skipping.min(bytes.len());
        bytes.advance(skip);
        self.skipping -= skip;
        if self.skipping > 0 {
            return Step::Wait;
        }
        let Some((first, header, remaining)) = fixed_header(bytes) else { return Step::Read };
        let size_bytes = header + remaining;
        if size_bytes <= max_packet {
            return Step::Read;
        }
        if first >> 4 != 3 {
            return Step::Broken("a packet that is no message is larger than max_packet");
        }
        let kept = size_bytes.min(HEAD_BYTES);
        if bytes.len() < kept {
            bytes.reserve(kept - bytes.len());
            return Step::Wait;
        }
        let mut packet = bytes.split_to(kept).freeze();
        self.skipping = size_bytes - kept;
        packet.advance(header);
        match open(packet, first, size_bytes, v5) {
            Some(too_large) => Step::TooLarge(too_large),
            None => Step::Broken("a large message is cut inside its own header"),
        }
    }
}

/// First byte, length of the fixed header, and remaining length; none while incomplete or wrong
/// (the codec then says what).
fn fixed_header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let first = *bytes.first()?;
    let (remaining, length_bytes) = variable_integer(bytes.get(1..)?)?;
    Some((first, 1 + length_bytes, remaining))
}

/// MQTT 5.0 §1.5.5: value and number of bytes, at most 4.
fn variable_integer(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0usize;
    for (place, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, place + 1));
        }
    }
    None
}

fn open(mut packet: Bytes, first: u8, size_bytes: usize, v5: bool) -> Option<TooLarge> {
    let topic_length = usize::from(packet.try_get_u16().ok()?);
    if packet.len() < topic_length {
        return None;
    }
    let topic = packet.split_to(topic_length);
    let at_least_once = (first >> 1) & 0b11 != 0;
    let packet_id = if at_least_once { Some(packet.try_get_u16().ok()?) } else { None };
    if v5 {
        let (length, length_bytes) = variable_integer(&packet)?;
        packet.advance(length_bytes);
        packet.advance(length.min(packet.len()));
    }
    Some(TooLarge { topic, head: packet, size_bytes, packet_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(payload: usize, v5: bool) -> Vec<u8> {
        let remaining = 2 + 3 + 2 + usize::from(v5) + payload;
        let mut out = vec![0x32];
        let mut length = remaining;
        loop {
            let low = u8::try_from(length % 128).unwrap();
            length /= 128;
            out.push(if length > 0 { low | 0x80 } else { low });
            if length == 0 {
                break;
            }
        }
        out.extend([0, 3, b'a', b'/', b'b', 0, 9]);
        out.extend(v5.then_some(0));
        out.extend(vec![b'x'; payload]);
        out
    }

    #[test]
    fn a_large_message_is_named_and_skipped_however_its_bytes_come() {
        for (v5, piece) in [(false, 7_000), (true, 1_000_000), (false, 1_000_000)] {
            let mut sent = publish(500_000, v5);
            let size = sent.len();
            sent.extend([0xd0, 0]);
            let (mut skipper, mut bytes) = (Skipper::default(), BytesMut::new());
            let mut found = Vec::new();
            for part in sent.chunks(piece) {
                bytes.extend_from_slice(part);
                loop {
                    match skipper.step(&mut bytes, 100_000, v5) {
                        Step::TooLarge(message) => found.push(message),
                        Step::Read | Step::Wait => break,
                        Step::Broken(why) => panic!("{why}"),
                    }
                }
            }
            assert_eq!(&bytes[..], [0xd0, 0], "the next packet is intact");
            let [TooLarge { topic, head, size_bytes, packet_id }] = &found[..] else {
                panic!("{} messages", found.len())
            };
            assert_eq!((&topic[..], *size_bytes, *packet_id), (&b"a/b"[..], size, Some(9)));
            assert!(head.len() > 150_000 && head.iter().all(|b| *b == b'x'));
        }
    }

    #[test]
    fn what_is_no_message_may_not_be_large() {
        let mut bytes = BytesMut::from(&[0x90, 0xff, 0xff, 0x7f][..]);
        assert!(matches!(Skipper::default().step(&mut bytes, 1_000, true), Step::Broken(_)));
        let mut bytes = BytesMut::from(&[0x32, 0x85, 0x01, 0xff, 0xff][..]);
        bytes.resize(200, 0);
        assert!(matches!(Skipper::default().step(&mut bytes, 100, true), Step::Broken(_)));
    }
}
