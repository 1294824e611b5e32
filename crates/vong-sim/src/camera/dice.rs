//! Seeded chance for pictures: the same seed and label give the same numbers on every machine.
//!
//! SplitMix64 (Steele, Lea, Flood 2014): one addition and three mixes a number, no state beyond a
//! word, integers only.

/// A stream of pseudo-random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// The stream that belongs to `label` under `seed`.
    pub(crate) fn new(seed: u64, label: &str) -> Self {
        // FNV-1a spreads the label; the first draw mixes it with the seed.
        let hash = label.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut dice = Self { state: seed ^ hash };
        dice.word();
        dice
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..below`; 0 if `below` is 0.
    pub(crate) fn below(&mut self, below: u32) -> u32 {
        // The high half scaled: no division, bias under 2⁻³².
        let scaled = (self.word() >> 32) * u64::from(below);
        u32::try_from(scaled >> 32).unwrap_or(0)
    }

    /// A number in `from..to`.
    pub(crate) fn between(&mut self, from: f32, to: f32) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "24 bits fit a f32 exactly")]
        let unit = (self.word() >> 40) as f32 / 16_777_216.0;
        from + unit * (to - from)
    }

    /// One of `items`.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(u32::try_from(items.len()).unwrap_or(u32::MAX));
        items.get(usize::try_from(index).unwrap_or(0))
    }
}
