//! Sums of floats that do not depend on the order of their terms.
//!
//! Windows are put together from panes that many rules share, and which panes exist depends on
//! which rules do. With ordinary float addition the last bit of a sum would depend on it too, and a
//! backtest of one rule would not equal what a thousand found live. So terms are added as
//! fixed-point integers, where addition is associative; only the end result is rounded, once.
//!
//! A term is cut to a multiple of 2^-64 below 2^31, is exact from there to 2^79, and counts as
//! infinite beyond: no sensor measures so finely or so much.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Bits of a float's mantissa, the hidden one not counted.
const MANTISSA_BITS: i32 = 52;
const EXPONENT_BIAS: i32 = 1023;
/// Bits after the point of the fine lane.
const FINE_BITS: i32 = 64;
/// Powers of two from which terms leave the fine lane: 2^32 terms below it cannot overflow 128 bits.
const FINE_BELOW: i32 = 31;
/// Bits after the point of the coarse lane: the last bit of any float from 2^31 on.
const COARSE_BITS: i32 = MANTISSA_BITS - FINE_BELOW;
/// Powers of two from which a term counts as infinite.
const COARSE_BELOW: i32 = 79;

/// Terms that are no ordinary numbers, of one sum.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Rare {
    coarse: i128,
    nan: bool,
    above: bool,
    below: bool,
}

/// One sum for each group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sums {
    fine: Vec<i128>,
    rare: BTreeMap<u32, Rare>,
}

impl Sums {
    pub(super) fn resize(&mut self, groups: usize) {
        self.fine.resize(groups, 0);
    }

    pub(super) fn bytes(&self) -> usize {
        16 * self.fine.capacity() + self.rare.len() * size_of::<(u32, Rare)>()
    }

    #[inline]
    pub(super) fn add(&mut self, group: u32, term: f64) {
        match fine(term) {
            Some(fine) => {
                if let Some(sum) = self.fine.get_mut(group as usize) {
                    *sum += fine;
                }
            }
            None => self.add_rare(group, term),
        }
    }

    #[cold]
    fn add_rare(&mut self, group: u32, term: f64) {
        let rare = self.rare.entry(group).or_default();
        match coarse(term) {
            Some(coarse) => rare.coarse += coarse,
            None if term.is_nan() => rare.nan = true,
            None if term > 0.0 => rare.above = true,
            None => rare.below = true,
        }
    }

    /// Adds the sums of `other`, group by group; it must have no more groups.
    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, more) in self.fine.iter_mut().zip(&other.fine) {
            *sum += more;
        }
        for (group, more) in &other.rare {
            self.rare.entry(*group).or_default().merge(more);
        }
    }

    /// The sum over some groups, rounded once.
    pub(super) fn total(&self, groups: &[u32]) -> f64 {
        let of = |group: &u32| self.fine.get(*group as usize).copied().unwrap_or(0);
        let fine: i128 = groups.iter().map(of).sum();
        let mut all = Rare::default();
        if !self.rare.is_empty() {
            groups.iter().filter_map(|g| self.rare.get(g)).for_each(|rare| all.merge(rare));
        }
        all.total(fine)
    }
}

/// One sum, from which terms can be taken again.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Exact {
    fine: i128,
    coarse: i128,
    nan: i64,
    above: i64,
    below: i64,
}

impl Exact {
    pub(super) fn add(&mut self, term: f64) {
        self.apply(term, 1);
    }

    /// Takes out a term that was added before.
    pub(super) fn remove(&mut self, term: f64) {
        self.apply(term, -1);
    }

    /// The sum, rounded once.
    pub(super) fn total(&self) -> f64 {
        let Self { fine, coarse, nan, above, below } = *self;
        Rare { coarse, nan: nan > 0, above: above > 0, below: below > 0 }.total(fine)
    }

    fn apply(&mut self, term: f64, sign: i8) {
        match (fine(term), coarse(term)) {
            (Some(fine), _) => self.fine += fine * i128::from(sign),
            (None, Some(coarse)) => self.coarse += coarse * i128::from(sign),
            (None, None) if term.is_nan() => self.nan += i64::from(sign),
            (None, None) if term > 0.0 => self.above += i64::from(sign),
            (None, None) => self.below += i64::from(sign),
        }
    }
}

impl Rare {
    fn merge(&mut self, other: &Self) {
        self.coarse += other.coarse;
        self.nan |= other.nan;
        self.above |= other.above;
        self.below |= other.below;
    }

    fn total(&self, fine: i128) -> f64 {
        match (self.nan || (self.above && self.below), self.above, self.below) {
            (true, ..) => f64::NAN,
            (_, true, _) => f64::INFINITY,
            (_, _, true) => f64::NEG_INFINITY,
            _ => {
                let fine = fine as f64 * power_of_two(-FINE_BITS);
                if self.coarse == 0 {
                    return fine;
                }
                self.coarse as f64 * power_of_two(-COARSE_BITS) + fine
            }
        }
    }
}

/// Exact for exponents of normal numbers.
fn power_of_two(exponent: i32) -> f64 {
    2_f64.powi(exponent)
}

/// Exponent `e` and mantissa `m` of `± m · 2^(e - 52)`, the hidden bit in; sign apart.
#[inline]
fn parts(term: f64) -> (i32, i128, bool) {
    let bits = term.to_bits();
    let exponent = ((bits >> MANTISSA_BITS) & 0x7ff) as i32 - EXPONENT_BIAS;
    let mantissa = (bits & ((1 << MANTISSA_BITS) - 1)) | (1 << MANTISSA_BITS);
    (exponent, i128::from(mantissa), bits >> 63 == 1)
}

/// In units of 2^-64; `None` for what the fine lane does not take.
#[inline]
fn fine(term: f64) -> Option<i128> {
    let (exponent, mantissa, negative) = parts(term);
    if exponent >= FINE_BELOW {
        return None;
    }
    let shift = exponent - MANTISSA_BITS + FINE_BITS;
    let fine = if shift >= 0 {
        mantissa << shift
    } else if shift > -64 {
        mantissa >> -shift
    } else {
        0
    };
    Some(if negative { -fine } else { fine })
}

/// In units of 2^-21; `None` for what counts as infinite, and for no number.
fn coarse(term: f64) -> Option<i128> {
    let (exponent, mantissa, negative) = parts(term);
    if exponent >= COARSE_BELOW {
        return None;
    }
    let coarse = mantissa << (exponent - MANTISSA_BITS + COARSE_BITS).max(0);
    Some(if negative { -coarse } else { coarse })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(terms: &[f64]) -> f64 {
        let mut sums = Sums::default();
        sums.resize(1);
        terms.iter().for_each(|term| sums.add(0, *term));
        sums.total(&[0])
    }

    #[test]
    fn one_term_is_itself_and_tenths_add_up() {
        for term in [0.0, 1.0, -1.0, 0.1, 3.7, -273.15, 2e9, 3e9, -7.5e20, 1e-9, 4_294_967_296.5] {
            let error = (sum(&[term]) - term).abs();
            assert!(error <= 2_f64.powi(-64), "{term}: {error}");
        }
        assert_eq!(sum(&[0.1; 10]), 1.0, "ordinary addition gives 0.9999999999999999");
        assert_eq!(sum(&[1e20, 1.0, -1e20]), 1.0, "ordinary addition gives 0");
    }

    #[test]
    fn what_is_no_number_is_said() {
        assert!(sum(&[1.0, f64::NAN]).is_nan());
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert_eq!(sum(&[-1e300, 1.0]), f64::NEG_INFINITY);
        assert_eq!(sum(&[f64::MIN_POSITIVE, -0.0]), 0.0);
    }

    #[test]
    fn groups_are_added_and_kept_apart() {
        let (mut one, mut two) = (Sums::default(), Sums::default());
        one.resize(3);
        two.resize(2);
        one.add(0, 1.5);
        one.add(2, 4e12);
        two.add(0, 0.25);
        two.add(1, -2.0);
        one.merge(&two);
        assert_eq!(one.total(&[0]), 1.75);
        assert_eq!(one.total(&[0, 1, 2]), 4e12 - 0.25);
    }

    proptest! {
        #[test]
        fn a_term_taken_out_was_never_there(
            kept in proptest::collection::vec(-1e12..1e12_f64, 0..30),
            gone in proptest::collection::vec(-1e30..1e30_f64, 0..30),
        ) {
            let mut one = Exact::default();
            gone.iter().for_each(|t| one.add(*t));
            kept.iter().for_each(|t| one.add(*t));
            gone.iter().for_each(|t| one.remove(*t));
            prop_assert_eq!(one.total().to_bits(), sum(&kept).to_bits());
        }

        #[test]
        fn neither_order_nor_grouping_matters(
            mut terms in proptest::collection::vec(-1e12..1e12_f64, 1..60),
            cut in 0..60_usize,
            turn in 0..60_usize,
        ) {
            let whole = sum(&terms);
            let cut = cut.min(terms.len());
            let (mut left, mut right) = (Sums::default(), Sums::default());
            left.resize(1);
            right.resize(1);
            terms[..cut].iter().for_each(|t| left.add(0, *t));
            terms[cut..].iter().for_each(|t| right.add(0, *t));
            right.merge(&left);
            prop_assert_eq!(right.total(&[0]).to_bits(), whole.to_bits());
            let middle = turn % terms.len();
            terms.rotate_left(middle);
            prop_assert_eq!(sum(&terms).to_bits(), whole.to_bits());
            let naive: f64 = terms.iter().sum();
            prop_assert!((naive - whole).abs() <= 1.0);
        }
    }
}
