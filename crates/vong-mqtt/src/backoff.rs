//! How long to wait before trying again.

use std::time::Duration;

/// Doubles from `first` to `most`; each wait is drawn from the upper half of its step, so that many
/// clients of one broker do not return together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
    state: u64,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration, seed: u64) -> Self {
        Self { first, most, next: first, state: seed }
    }

    pub(crate) fn wait(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.most);
        step / 2 + (step / 2).mul_f64(self.fraction())
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// In 0..1, by SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    /// generators").
    fn fraction(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_limit_and_stay_in_their_step() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 8, 7);
        for step in [1, 2, 4, 8, 8, 8] {
            let wait = backoff.wait();
            assert!((second * step / 2..=second * step).contains(&wait), "{step}: {wait:?}");
        }
        backoff.reset();
        assert!(backoff.wait() <= second);
    }
}
