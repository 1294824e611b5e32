//! Random numbers for laying out the city: one seeded generator, drawn from in a fixed order.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The generator of everything that stands still.
pub(crate) fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Evenly spread in `[0, 1)`, from the upper 53 bits, so that it is exact.
pub(crate) fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Evenly spread in `[-reach, reach)`.
pub(crate) fn spread(rng: &mut ChaCha8Rng, reach: f64) -> f64 {
    (unit(rng) * 2.0 - 1.0) * reach
}

/// One of `0..count`; 0 when `count` is 0.
pub(crate) fn pick(rng: &mut ChaCha8Rng, count: usize) -> usize {
    // the bias of the remainder is below 2^-50 for our counts
    (rng.next_u64() % (count.max(1) as u64)) as usize
}
