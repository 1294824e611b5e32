//! Which groups of rows a rule is about.
//!
//! Panes keep rows apart by every id column that some rule names. A class is one choice of ids
//! (`metric = 'speed'`, ten sensors) with one key; rules that differ only in window, aggregate or
//! threshold share it. A new group is offered only to classes that name one of its ids.

use std::collections::{BTreeSet, HashMap};

use super::codes::Codes;
use super::keys::KeySpace;
use super::tuples::Tuples;

/// Ids a class wants in one place of a tuple.
pub(super) type Wanted = (usize, BTreeSet<u32>);

/// One choice of groups, gathered by key.
#[derive(Debug)]
pub(super) struct Class {
    /// All must hold; places within the tuple.
    wanted: Vec<Wanted>,
    /// Places of the tuple that make the key.
    key: Vec<usize>,
    space: usize,
    /// Keys that occur, in the order they were first seen.
    pub(super) keys: Vec<u32>,
    /// Groups of each of [`Self::keys`].
    pub(super) groups: Vec<Vec<u32>>,
    place_of: HashMap<u32, u32>,
}

impl Class {
    /// Place of a key within [`Self::keys`].
    pub(super) fn place(&self, key: u32) -> Option<usize> {
        self.place_of.get(&key).map(|place| *place as usize)
    }

    pub(super) fn wants(&self, tuple: &[u32]) -> bool {
        self.wanted.iter().all(|(at, codes)| tuple.get(*at).is_some_and(|c| codes.contains(c)))
    }

    /// Number of the key of a tuple that the class wants.
    pub(super) fn key_of(&self, tuple: &[u32], spaces: &mut [KeySpace], codes: &Codes) -> u32 {
        let key: Vec<u32> = self.key.iter().filter_map(|at| tuple.get(*at).copied()).collect();
        spaces[self.space].id(&key, &codes.interner)
    }

    fn admit(&mut self, group: u32, tuple: &[u32], space: &mut KeySpace, codes: &Codes) {
        let key: Vec<u32> = self.key.iter().filter_map(|at| tuple.get(*at).copied()).collect();
        let key = space.id(&key, &codes.interner);
        let place = *self.place_of.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.groups.push(Vec::new());
            u32::try_from(self.keys.len() - 1).expect("keys are far fewer than 2^32")
        });
        self.groups[place as usize].push(group);
    }
}

/// All classes over one set of groups.
#[derive(Debug, Default)]
pub(super) struct Classes {
    all: Vec<Class>,
    numbers: HashMap<(Vec<Wanted>, usize), usize>,
    /// Classes by the first id they want.
    by_code: HashMap<(usize, u32), Vec<usize>>,
    always: Vec<usize>,
    admitted: u32,
}

impl Classes {
    pub(super) fn bytes(&self) -> usize {
        let lists = self.all.iter().map(|class| {
            let groups: usize = class.groups.iter().map(Vec::capacity).sum();
            4 * groups + class.keys.len() * (size_of::<Vec<u32>>() + 16)
        });
        lists.sum()
    }

    pub(super) fn get(&self, number: usize) -> &Class {
        &self.all[number]
    }

    /// The class of these ids and this key; with all groups that are there already.
    pub(super) fn add(
        &mut self,
        mut wanted: Vec<Wanted>,
        (key, space): (Vec<usize>, usize),
        tuples: &Tuples,
        (spaces, codes): (&mut [KeySpace], &Codes),
    ) -> usize {
        wanted.sort();
        if let Some(known) = self.numbers.get(&(wanted.clone(), space)) {
            return *known;
        }
        let number = self.all.len();
        self.numbers.insert((wanted.clone(), space), number);
        // The narrowest choice, so that the class is offered as little as possible.
        match wanted.iter().min_by_key(|(_, codes)| codes.len()) {
            Some((at, codes)) => {
                for code in codes {
                    self.by_code.entry((*at, *code)).or_default().push(number);
                }
            }
            None => self.always.push(number),
        }
        let (keys, groups) = (Vec::new(), Vec::new());
        let mut class = Class { wanted, key, space, keys, groups, place_of: HashMap::new() };
        for group in 0..self.admitted {
            let tuple = tuples.tuple(group);
            if class.wants(tuple) {
                class.admit(group, tuple, &mut spaces[space], codes);
            }
        }
        self.all.push(class);
        number
    }

    /// Forgets the classes that nobody asks for; the numbers of the others hold.
    pub(super) fn keep(&mut self, used: &BTreeSet<usize>) {
        let Self { all, numbers, by_code, always, .. } = self;
        numbers.retain(|_, number| used.contains(number));
        always.retain(|number| used.contains(number));
        by_code.retain(|_, of_code| {
            of_code.retain(|number| used.contains(number));
            !of_code.is_empty()
        });
        for (_, class) in all.iter_mut().enumerate().filter(|(number, _)| !used.contains(number)) {
            class.keys = Vec::new();
            class.groups = Vec::new();
            class.place_of = HashMap::new();
        }
    }

    /// Offers groups that are new.
    pub(super) fn admit_new(&mut self, tuples: &Tuples, spaces: &mut [KeySpace], codes: &Codes) {
        while (self.admitted as usize) < tuples.len() {
            let group = self.admitted;
            self.admitted += 1;
            let tuple = tuples.tuple(group);
            let named = (0..).zip(tuple).filter_map(|(at, code)| self.by_code.get(&(at, *code)));
            for number in self.always.iter().chain(named.flatten()) {
                let class = &mut self.all[*number];
                if class.wants(tuple) {
                    class.admit(group, tuple, &mut spaces[class.space], codes);
                }
            }
        }
    }
}
