//! One flipped bit, anywhere: it is seen, and what is read is what was written or an error.

use std::collections::BTreeMap;

use super::crashes::{id, row};
use super::*;
use crate::disk::sim::Chance;

const STREAM: Stream = Stream::ConfigChanges;
const LAST_BYTES: usize = 64 * 1024;
const OLDER_FLIPS: usize = 1_000;
/// Every so many bytes the whole way is gone: open, read, verify.
const WHOLE_WAY_EVERY: usize = 89;

struct Subject {
    disk: SimDisk,
    /// Oldest first: where it lies, its first offset, how much of it counts.
    files: Vec<(PathBuf, Offset, u64)>,
    bodies: BTreeMap<Offset, Vec<u8>>,
    frame: Frame,
    head: Offset,
}

impl Subject {
    /// More than twice [`LAST_BYTES`] in segments of some 8 KiB.
    fn new() -> Self {
        let disk = SimDisk::default();
        let log = open_sim(&disk, config_of(), clock()).unwrap();
        let mut written = 0;
        while disk.used() < 2 * LAST_BYTES as u64 + 16 * 1024 {
            log.append_blocking(vec![row(STREAM, written)]).unwrap();
            written += 1;
        }
        let (frame, head) = (log.inner.shared.frame, log.head());
        let disk = disk.copy(); // as after a kill
        let mut files = Vec::new();
        let mut bodies = BTreeMap::new();
        for (first, path) in segment::list(&disk, sim_dir()).unwrap() {
            let question = Question { path: &path, first, guess: frame, end: None, durable: 0 };
            let survey = segment::survey(&disk, &question, |header, body| {
                bodies.insert(header.offset, body.to_vec());
                Ok(())
            });
            files.push((path.clone(), first, survey.unwrap().file_bytes));
        }
        Self { disk, files, bodies, frame, head }
    }

    /// Every byte, newest first: which file, where in it.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let newest_first = self.files.iter().enumerate().rev();
        newest_first.flat_map(|(file, (_, _, bytes))| {
            (0..usize::try_from(*bytes).unwrap()).rev().map(move |at| (file, at))
        })
    }

    fn with_flip<T>(&self, (file, at): (usize, usize), check: impl FnOnce() -> T) -> T {
        let path = &self.files[file].0;
        let bit = 1_u8 << (at.wrapping_mul(7) % 8);
        self.disk.tamper(path, |bytes| bytes[at] ^= bit);
        let found = check();
        self.disk.tamper(path, |bytes| bytes[at] ^= bit);
        found
    }

    /// The one file, by the eyes of start, reader and fsck alike.
    fn check_file(&self, place: (usize, usize)) {
        let (path, first, bytes) = &self.files[place.0];
        let is_last = place.0 + 1 == self.files.len();
        let (end, durable) = if is_last { (None, 0) } else { (Some(*bytes), u64::MAX) };
        let question = Question { path, first: *first, guess: self.frame, end, durable };
        let survey = segment::survey(&self.disk, &question, |header, body| {
            assert_eq!(self.bodies[&header.offset], body, "wrong data at {place:?}");
            Ok(())
        });
        let survey = survey.unwrap();
        let seen = survey.header.is_none() || !survey.holes.is_empty() || survey.end != End::Clean;
        assert!(seen, "flip at {place:?} is not seen");
    }

    /// Open, read what the file holds, verify.
    fn check_whole_way(&self, place: (usize, usize)) {
        let (_, first, _) = self.files[place.0];
        let next = self.files.get(place.0 + 1).map_or(self.head, |(_, next, _)| *next);
        let disk = self.disk.copy();
        let sound = fsck_on(&disk, sim_dir()).unwrap();
        let log = open_sim(&disk, config_of(), clock()).unwrap();
        for offset in first.0..next.0.min(log.head().0) {
            match log.read(Offset(offset), 0) {
                Ok(records) => {
                    let Record { offset: found, stream, batch, .. } = records[0].clone();
                    assert_eq!(found, Offset(offset));
                    assert_eq!(id(&Entry::new(stream, batch)), offset as i64, "{place:?}");
                }
                Err(Error::Damaged { from, until, .. }) => {
                    assert!((from.0..until.0).contains(&offset), "{place:?}");
                }
                Err(error) => panic!("flip at {place:?}: {error}"),
            }
        }
        let cut = log.recovery().cut.is_some();
        assert!(cut || log.head() >= self.head, "records went without a word at {place:?}");
        let told = cut || !log.health().borrow().quarantined.is_empty();
        let verified = !sound.is_sound() || sound.unfinished_bytes > 0;
        assert!(told || verified, "flip at {place:?} is not told");
        assert!(verified, "flip at {place:?} is not found by fsck");
    }
}

fn config_of() -> LogConfig {
    let base = LogConfig { reserve_bytes: 0, tail_bytes: 0, ..LogConfig::new(sim_dir()) };
    LogConfig { segment_bytes: 8 * 1024, ..base }
}

#[test]
fn every_flipped_byte_of_the_last_64_kib_is_seen() {
    let subject = Subject::new();
    let mut seen = 0;
    for (number, place) in subject.places().take(LAST_BYTES).enumerate() {
        subject.with_flip(place, || {
            subject.check_file(place);
            if number % WHOLE_WAY_EVERY == 0 {
                subject.check_whole_way(place);
            }
        });
        seen += 1;
    }
    assert_eq!(seen, LAST_BYTES);
}

#[test]
fn random_flipped_bits_of_older_bytes_are_seen() {
    let subject = Subject::new();
    let older: Vec<_> = subject.places().skip(LAST_BYTES).collect();
    let mut chance = Chance(4_711);
    for _ in 0..OLDER_FLIPS {
        let place = older[chance.below(older.len())];
        subject.with_flip(place, || {
            subject.check_file(place);
            subject.check_whole_way(place);
        });
    }
}
