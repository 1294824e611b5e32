//! The 64-bit identity of a message.
//!
//! Stable for ever: it stands in the log and in history tables. Construction: words of 8 bytes,
//! little endian, mixed pairwise by folded 64×64→128-bit multiplication (the mixing step that
//! wyhash and foldhash publish), the length mixed in first; topic and payload are hashed apart and
//! joined. Not a cryptographic hash: who may publish to a topic can forge its messages anyway.

use std::hash::{BuildHasher, Hasher};

const SEED: u64 = 0x766f_6e67_2d6d_7367; // "vong-msg"
const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xd6e8_feb8_6659_fd93;
const K2: u64 = 0xa076_1d64_78bd_642f;

/// Hash of topic and payload.
pub fn message_hash(topic: &str, payload: &[u8]) -> u64 {
    with_topic(of_topic(topic), payload)
}

/// The part of [`message_hash`] that depends on the topic alone.
pub(crate) fn of_topic(topic: &str) -> u64 {
    of_bytes(SEED, topic.as_bytes())
}

pub(crate) fn with_topic(topic_hash: u64, payload: &[u8]) -> u64 {
    join(topic_hash, of_bytes(SEED, payload))
}

/// Joins two hashes into one, order mattering.
pub(crate) fn join(a: u64, b: u64) -> u64 {
    fold(a ^ K0, b.wrapping_add(K2))
}

/// Hashes keys that are hashes already, for tables in memory: one multiplication with a secret of
/// this process, so that nobody outside can choose keys that meet in one place. Nothing that leaves
/// the process depends on it.
#[derive(Clone, Debug)]
pub(crate) struct Rehash {
    secret: u64,
}

impl Default for Rehash {
    fn default() -> Self {
        Self { secret: std::hash::RandomState::new().hash_one(SEED) }
    }
}

impl BuildHasher for Rehash {
    type Hasher = Rehasher;

    fn build_hasher(&self) -> Rehasher {
        Rehasher { state: self.secret }
    }
}

/// See [`Rehash`].
#[derive(Debug)]
pub(crate) struct Rehasher {
    state: u64,
}

impl Hasher for Rehasher {
    fn write(&mut self, bytes: &[u8]) {
        self.state = of_bytes(self.state, bytes);
    }

    fn write_u64(&mut self, key: u64) {
        self.state = fold(key ^ self.state, K1);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

fn of_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let length = bytes.len() as u64; // usize is at most 64 bits wide
    let mut state = seed ^ fold(length.wrapping_add(K0), K1);
    let (pairs, _) = bytes.as_chunks::<16>();
    for pair in pairs {
        let both = u128::from_le_bytes(*pair);
        state = fold(state ^ low(both), K1 ^ high(both));
    }
    // The end overlaps what was read before: no copy, and no padding.
    let (first, last) = match bytes.last_chunk::<16>() {
        Some(end) => (low(u128::from_le_bytes(*end)), high(u128::from_le_bytes(*end))),
        None => ends(bytes),
    };
    state = fold(state ^ first, K2 ^ last);
    fold(state ^ K0, K2)
}

/// Fewer than 16 bytes as two overlapping words that together hold every byte.
fn ends(bytes: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
    }
    let byte = |place: usize| bytes.get(place).map_or(0, |b| u64::from(*b));
    (byte(0) | byte(1) << 8, byte(2))
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    low(product) ^ high(product)
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
fn low(both: u128) -> u64 {
    both as u64
}

fn high(both: u128) -> u64 {
    low(both >> 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_hash_on_disk_never_changes() {
        let lines = [("", ""), ("a", ""), ("", "a"), ("city/rain/RN-001", "{\"t\":1,\"mm\":0.2}")]
            .map(|(t, p)| format!("{:016x}", message_hash(t, p.as_bytes())));
        expect_test::expect![[r#"
            080f0f5e5d78b2f4
            46bc43f073b282d6
            f8695b8db39ec0b4
            1e1f63965cf1c5c2"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    #[expect(clippy::indexing_slicing, reason = "test data is known; a panic is a failed test")]
    fn every_bit_and_every_length_counts() {
        let mut seen = BTreeSet::new();
        let mut payload = [0u8; 40];
        for length in 0..=payload.len() {
            assert!(seen.insert(message_hash("t", &payload[..length])), "length {length}");
        }
        let base = message_hash("t", &payload);
        let mut flipped_bits = 0;
        for bit in 0..payload.len() * 8 {
            payload[bit / 8] ^= 1 << (bit % 8);
            let changed = message_hash("t", &payload);
            assert!(seen.insert(changed), "bit {bit}");
            flipped_bits += (base ^ changed).count_ones();
            payload[bit / 8] ^= 1 << (bit % 8);
        }
        let mean = f64::from(flipped_bits) / (payload.len() * 8) as f64;
        assert!((30.0..34.0).contains(&mean), "avalanche {mean}");
        assert_ne!(message_hash("ab", b"c"), message_hash("a", b"bc"));
    }
}
