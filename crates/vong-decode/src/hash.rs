//! The 64-bit identity of a message.
//!
//! Stable for ever: it stands in the log and in history tables. Construction: words of 8 bytes,
//! little endian, mixed pairwise by folded 64×64→128-bit multiplication (the mixing step that
//! wyhash and foldhash publish), with the length mixed in so that no padding is confused with
//! content. Not a cryptographic hash: who may publish to a topic can forge its messages anyway.

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
    of_bytes(topic_hash, payload)
}

/// Joins two hashes into one, order mattering.
pub(crate) fn join(a: u64, b: u64) -> u64 {
    fold(a ^ K0, b.wrapping_add(K2))
}

fn of_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let length = bytes.len() as u64; // usize is at most 64 bits wide
    let mut state = seed ^ fold(length.wrapping_add(K0), K1);
    let (pairs, rest) = bytes.as_chunks::<16>();
    for pair in pairs {
        let both = u128::from_le_bytes(*pair);
        state = fold(state ^ low(both), K1 ^ high(both));
    }
    let mut last = [0u8; 16];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let both = u128::from_le_bytes(last);
    state = fold(state ^ low(both), K2 ^ high(both));
    fold(state ^ K0, K2)
}

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
            a9cb7c4e902269fa
            e480e96d9cc1233c
            6c940ef5795bdbe7
            2943d5551b1a43f8"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
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
