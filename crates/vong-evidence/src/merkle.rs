//! Merkle trees as in RFC 6962, section 2.1: leaf and node hashes carry different prefixes, and a
//! tree of n leaves splits at the largest power of two below n.

use sha2::{Digest, Sha256};

pub(crate) type Hash = [u8; 32];

/// A tree kept whole, for proofs.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Leaf hashes first, then each level above; the last has one hash.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Over the data of the leaves.
    pub(crate) fn new<'a>(data: impl IntoIterator<Item = &'a Hash>) -> Self {
        let leaves: Vec<Hash> = data.into_iter().map(leaf).collect();
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            // An odd one out moves up as it is: the same tree as the recursive definition's.
            let above = below.chunks(2).map(|pair| match pair {
                [left, right] => node(left, right),
                single => single.first().copied().unwrap_or_default(),
            });
            let above = above.collect();
            levels.push(above);
        }
        Self { levels }
    }

    /// Of no leaves, the hash of nothing.
    pub(crate) fn root(&self) -> Hash {
        let top = self.levels.last().and_then(|level| level.first());
        top.copied().unwrap_or_else(|| Sha256::digest([]).into())
    }

    /// The audit path of leaf `index` (RFC 6962, 2.1.1), lowest first.
    pub(crate) fn path(&self, index: usize) -> Vec<Hash> {
        let mut path = Vec::new();
        let mut index = index;
        for level in &self.levels {
            if let Some(sibling) = level.get(index ^ 1) {
                path.push(*sibling);
            }
            index /= 2;
        }
        path
    }
}

/// The root that a leaf and its audit path lead to; `None` if the path has the wrong length for its
/// place (RFC 9162, 2.1.3.2).
pub(crate) fn root_of(data: &Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut place, mut last) = (index, size - 1);
    let mut hash = leaf(data);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if place % 2 == 1 || place == last {
            hash = node(sibling, &hash);
            while place % 2 == 0 && place != 0 {
                place /= 2;
                last /= 2;
            }
        } else {
            hash = node(&hash, sibling);
        }
        place /= 2;
        last /= 2;
    }
    (last == 0).then_some(hash)
}

fn leaf(data: &Hash) -> Hash {
    Sha256::new().chain_update([0]).chain_update(data).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962, 2.1, word for word.
    fn defined(data: &[Hash]) -> Hash {
        match data {
            [] => Sha256::digest([]).into(),
            [single] => leaf(single),
            _ => {
                let split = data.len().next_power_of_two() / 2;
                node(&defined(&data[..split]), &defined(&data[split..]))
            }
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proven_and_no_other() {
        for size in 0..40u8 {
            let data: Vec<Hash> = (0..size).map(|n| [n; 32]).collect();
            let tree = Tree::new(&data);
            assert_eq!(tree.root(), defined(&data), "{size}");
            for (index, hash) in data.iter().enumerate() {
                let path = tree.path(index);
                let prove = |hash: &Hash, index: usize, path: &[Hash]| {
                    root_of(hash, index as u64, u64::from(size), path) == Some(tree.root())
                };
                assert!(prove(hash, index, &path));
                assert!(!prove(&[99; 32], index, &path));
                assert!((0..usize::from(size) + 3).all(|i| i == index || !prove(hash, i, &path)));
                if !path.is_empty() {
                    assert!(!prove(hash, index, &path[1..]));
                }
                assert!(!prove(hash, index, &[path, vec![[0; 32]]].concat()));
            }
        }
    }
}
