//! Segment files that somebody or something has mangled: never a panic, never wrong data.

use super::crashes::{id, row};
use super::*;

const STREAM: Stream = Stream::ConfigChanges;

/// A change to the files of a log; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Mangle {
    Overwrite {
        file: usize,
        at: usize,
        with: Vec<u8>,
    },
    Insert {
        file: usize,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: usize,
        at: usize,
    },
    /// Copies part of one file over part of another.
    Splice {
        from: (usize, usize),
        to: (usize, usize),
        length: usize,
    },
    /// One file gets the content of another.
    Exchange {
        from: usize,
        to: usize,
    },
    Remove {
        file: usize,
    },
    Stray {
        first: u64,
        bytes: Vec<u8>,
    },
}

fn mangle() -> impl Strategy<Value = Mangle> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..600);
    let place = || (0_usize..8, 0_usize..100_000);
    prop_oneof![
        (place(), bytes()).prop_map(|((file, at), with)| Mangle::Overwrite { file, at, with }),
        (place(), bytes()).prop_map(|((file, at), bytes)| Mangle::Insert { file, at, bytes }),
        place().prop_map(|(file, at)| Mangle::Truncate { file, at }),
        (place(), place(), 1_usize..3_000).prop_map(|(from, to, length)| Mangle::Splice {
            from,
            to,
            length
        }),
        (0_usize..8, 0_usize..8).prop_map(|(from, to)| Mangle::Exchange { from, to }),
        (0_usize..8).prop_map(|file| Mangle::Remove { file }),
        (prop_oneof![any::<u64>(), Just(u64::MAX), Just(format::MAX_OFFSET), 0_u64..40], bytes())
            .prop_map(|(first, bytes)| Mangle::Stray { first, bytes }),
    ]
}

impl Mangle {
    fn apply(&self, disk: &SimDisk) {
        let Ok(files) = segment::list(disk, sim_dir()) else { return }; // beyond reading already
        let path = |file: usize| &files[file % files.len()].1;
        match self {
            Self::Overwrite { file, at, with } => disk.tamper(path(*file), |bytes| {
                let at = at % (bytes.len() + 1);
                let end = (at + with.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&with[..end - at]);
            }),
            Self::Insert { file, at, bytes: more } => disk.tamper(path(*file), |bytes| {
                let at = at % (bytes.len() + 1);
                bytes.splice(at..at, more.iter().copied());
            }),
            Self::Truncate { file, at } => {
                disk.tamper(path(*file), |bytes| bytes.truncate(at % (bytes.len() + 1)));
            }
            Self::Splice { from, to, length } => {
                let source = disk.read(path(from.0)).unwrap();
                let start = from.1 % (source.len() + 1);
                let part = &source[start..(start + length).min(source.len())];
                disk.tamper(path(to.0), |bytes| {
                    let at = to.1 % (bytes.len() + 1);
                    let end = (at + part.len()).min(bytes.len());
                    bytes[at..end].copy_from_slice(&part[..end - at]);
                });
            }
            Self::Exchange { from, to } => {
                let source = disk.read(path(*from)).unwrap();
                disk.tamper(path(*to), |bytes| *bytes = source);
            }
            Self::Remove { file } if files.len() > 1 => disk.remove(path(*file)).unwrap(),
            Self::Remove { .. } => {}
            Self::Stray { first, bytes } => {
                disk.replace(&segment::path_of(sim_dir(), Offset(*first)), bytes).unwrap();
            }
        }
    }
}

fn config_of() -> LogConfig {
    let base = LogConfig { reserve_bytes: 0, tail_bytes: 0, ..LogConfig::new(sim_dir()) };
    LogConfig { segment_bytes: 4_000, ..base }
}

/// Record `n` says `n`. Some appends are groups, and one disk has the note of an orderly close.
fn subject(is_orderly: bool) -> SimDisk {
    let disk = SimDisk::default();
    let log = open_sim(&disk, config_of(), clock()).unwrap();
    for n in (0..30).step_by(3) {
        log.append_blocking((n..n + 3).map(|n| row(STREAM, n)).collect()).unwrap();
    }
    if is_orderly {
        drop(log);
        return disk;
    }
    disk.copy()
}

/// Reads everything that can be read, the way a reader goes on that accepts losses.
fn read_all(log: &FileLog) {
    let mut from = log.floor();
    while from < log.head() {
        match log.read(from, 10_000) {
            Ok(records) => {
                for Record { offset, stream, batch, .. } in &records {
                    assert_eq!(*offset, from);
                    let found = id(&Entry::new(*stream, batch.clone()));
                    assert_eq!(found, offset.0 as i64, "what is read is what was written");
                    from = from.next();
                }
                assert!(!records.is_empty(), "a reader always gets on");
            }
            Err(error) => {
                let next = error.resume_at().unwrap_or_else(|| panic!("{error}"));
                assert!(next > from, "a reader always gets on: {error}");
                from = next;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn mangled_files_give_errors_and_never_other_records(
        is_orderly in any::<bool>(),
        mangles in prop::collection::vec(mangle(), 1..5),
    ) {
        let disk = subject(is_orderly);
        for mangle in &mangles {
            mangle.apply(&disk);
        }
        drop(fsck_on(&disk, sim_dir())); // says what it wants, but comes back
        // A log whose files do not say which log they are is not opened; that is all right.
        if let Ok(log) = open_sim(&disk, config_of(), clock()) {
            read_all(&log);
            let head = log.head();
            if head.0 < 1 << 40 {
                let entry = row(STREAM, head.0 as i64);
                prop_assert_eq!(log.append_blocking(vec![entry]).unwrap().start, head);
                drop(log);
                let log = open_sim(&disk, config_of(), clock()).unwrap();
                prop_assert_eq!(log.read(head, 0).unwrap().len(), 1);
                read_all(&log);
            }
        }
    }
}
