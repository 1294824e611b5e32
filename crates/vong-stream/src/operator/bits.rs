//! A set of small numbers.

/// Key numbers, as bits.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    count: usize,
}

impl Bits {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[inline]
    pub(super) fn contains(&self, number: u32) -> bool {
        let word = self.words.get(number as usize / 64).copied().unwrap_or(0);
        word >> (number % 64) & 1 == 1
    }

    pub(super) fn set(&mut self, number: u32, value: bool) {
        if self.contains(number) == value {
            return;
        }
        let word = number as usize / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] ^= 1 << (number % 64);
        self.count = if value { self.count + 1 } else { self.count - 1 };
    }

    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_what_was_set() {
        let mut bits = Bits::default();
        bits.set(130, true);
        bits.set(130, true);
        bits.set(2, true);
        assert!(bits.contains(130) && bits.contains(2) && !bits.contains(3) && !bits.is_empty());
        bits.set(130, false);
        bits.set(2, false);
        bits.set(500, false);
        assert!(bits.is_empty());
    }
}
