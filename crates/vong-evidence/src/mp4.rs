//! Reads the sample tables of an MP4 that may have been changed by anybody: every frame's place,
//! size and duration. Format: ISO/IEC 14496-12, 8.5 to 8.7.
//!
//! Knows only what a verifier needs: one video track with plain sample tables.

use crate::package::FileReader;

/// The most frames in a file, and the most bytes of its tables.
const MOST_FRAMES: u64 = 2_000_000;
const TABLES_LIMIT: u64 = 256 << 20;

/// A frame as the file tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) offset: u64,
    pub(crate) size: u32,
    pub(crate) duration: u32,
}

/// What is in an MP4.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Movie {
    /// `stsd` entries, whole.
    pub(crate) descriptions: Vec<Vec<u8>>,
    pub(crate) samples: Vec<Sample>,
    /// Units of `duration` in a second.
    pub(crate) timescale: u32,
    /// Units of the edit's length in a second.
    pub(crate) movie_timescale: u32,
    /// Media time and length of the only edit.
    pub(crate) edit: Option<(u64, u64)>,
}

/// Reads the tables; `None` if there are none that can be read.
pub(crate) fn read(file: &FileReader<'_>) -> Option<Movie> {
    let mut at = 0;
    while at < file.len {
        let head = file.read(at, 16.min(file.len - at)).ok()?;
        let mut reader = Reader(&head);
        let (short, name) = (u64::from(reader.u32()?), reader.array::<4>()?);
        let (size, header) = match short {
            0 => (file.len - at, 8),
            1 => (reader.u64()?, 16),
            _ => (short, 8),
        };
        if size < header || at.checked_add(size).is_none_or(|end| end > file.len) {
            return None;
        }
        if &name == b"moov" {
            let body =
                (size <= TABLES_LIMIT).then(|| file.read(at + header, size - header).ok())??;
            return movie(&body);
        }
        at += size;
    }
    None
}

fn movie(body: &[u8]) -> Option<Movie> {
    let movie_timescale = timescale(find(body, b"mvhd")?)?;
    let video = boxes(body)
        .filter(|(name, _)| name == b"trak")
        .find(|(_, trak)| {
            let handler = find(trak, b"mdia").and_then(|mdia| find(mdia, b"hdlr"));
            handler.and_then(|hdlr| hdlr.get(8..12)) == Some(b"vide")
        })?
        .1;
    let mdia = find(video, b"mdia")?;
    let stbl = find(find(mdia, b"minf")?, b"stbl")?;
    let edit = match find(video, b"edts").and_then(|edts| find(edts, b"elst")) {
        Some(elst) => edit(elst)?,
        None => None,
    };
    let sizes = sizes(find(stbl, b"stsz")?)?;
    let durations = durations(find(stbl, b"stts")?, sizes.len())?;
    let chunks = chunk_offsets(stbl)?;
    let offsets = offsets(find(stbl, b"stsc")?, &chunks, &sizes)?;
    let samples = offsets.into_iter().zip(sizes).zip(durations);
    Some(Movie {
        descriptions: descriptions(find(stbl, b"stsd")?)?,
        samples: samples
            .map(|((offset, size), duration)| Sample { offset, size, duration })
            .collect(),
        timescale: timescale(find(mdia, b"mdhd")?)?,
        movie_timescale,
        edit,
    })
}

/// The only edit that shows media; an empty edit before it delays nothing we look at.
#[expect(clippy::option_option, reason = "no edit, against a list that cannot be read")]
fn edit(elst: &[u8]) -> Option<Option<(u64, u64)>> {
    let mut reader = Reader(elst);
    let wide = reader.u32()? >> 24 == 1;
    let count = reader.u32()?;
    let mut shown = None;
    for _ in 0..count {
        let length = if wide { reader.u64()? } else { u64::from(reader.u32()?) };
        let media = if wide { reader.u64()? } else { extended(reader.u32()?) };
        reader.u32()?;
        if media != u64::MAX {
            if shown.is_some() {
                return None;
            }
            shown = Some((media, length));
        }
    }
    Some(shown)
}

fn extended(media: u32) -> u64 {
    if media == u32::MAX { u64::MAX } else { u64::from(media) }
}

fn timescale(header: &[u8]) -> Option<u32> {
    let mut reader = Reader(header);
    let wide = reader.u32()? >> 24 == 1;
    reader.bytes(if wide { 16 } else { 8 })?;
    reader.u32().filter(|scale| *scale > 0)
}

fn descriptions(stsd: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = Reader(stsd);
    reader.u32()?;
    let count = reader.u32()?;
    let mut all = Vec::new();
    for _ in 0..count {
        let size = usize::try_from(Reader(reader.0).u32()?).ok()?;
        all.push(reader.bytes(size).filter(|entry| entry.len() >= 8)?.to_vec());
    }
    Some(all)
}

fn sizes(stsz: &[u8]) -> Option<Vec<u32>> {
    let mut reader = Reader(stsz);
    reader.u32()?;
    let (same, count) = (reader.u32()?, reader.u32()?);
    if u64::from(count) > MOST_FRAMES {
        return None;
    }
    (0..count).map(|_| if same == 0 { reader.u32() } else { Some(same) }).collect()
}

fn durations(stts: &[u8], frames: usize) -> Option<Vec<u32>> {
    let mut reader = Reader(stts);
    reader.u32()?;
    let runs = reader.u32()?;
    let mut all = Vec::with_capacity(frames);
    for _ in 0..runs {
        let (count, duration) = (usize::try_from(reader.u32()?).ok()?, reader.u32()?);
        if count > frames - all.len() {
            return None;
        }
        all.extend(std::iter::repeat_n(duration, count));
    }
    (all.len() == frames).then_some(all)
}

fn chunk_offsets(stbl: &[u8]) -> Option<Vec<u64>> {
    let (table, wide) = match find(stbl, b"stco") {
        Some(table) => (table, false),
        None => (find(stbl, b"co64")?, true),
    };
    let mut reader = Reader(table);
    reader.u32()?;
    let count = reader.u32()?;
    if u64::from(count) > MOST_FRAMES {
        return None;
    }
    (0..count).map(|_| if wide { reader.u64() } else { reader.u32().map(u64::from) }).collect()
}

fn offsets(stsc: &[u8], chunks: &[u64], sizes: &[u32]) -> Option<Vec<u64>> {
    let mut reader = Reader(stsc);
    reader.u32()?;
    let count = reader.u32()?;
    let mut runs = Vec::new();
    for _ in 0..count.min(u32::try_from(MOST_FRAMES).ok()?) {
        let (first, per_chunk) = (usize::try_from(reader.u32()?).ok()?, reader.u32()?);
        reader.u32()?;
        runs.push((first.checked_sub(1)?, per_chunk));
    }
    let mut offsets = Vec::with_capacity(sizes.len());
    let mut run = 0;
    for (chunk, start) in chunks.iter().enumerate() {
        while runs.get(run + 1).is_some_and(|(first, _)| *first <= chunk) {
            run += 1;
        }
        let (_, per_chunk) = runs.get(run).filter(|(first, _)| *first <= chunk)?;
        let mut at = *start;
        for _ in 0..*per_chunk {
            let size = sizes.get(offsets.len())?;
            offsets.push(at);
            at = at.checked_add(u64::from(*size))?;
        }
    }
    (offsets.len() == sizes.len()).then_some(offsets)
}

/// The first box of this name.
fn find<'a>(body: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(body).find(|(name, _)| name == wanted).map(|(_, body)| body)
}

/// Boxes one after the other, up to the first that is not whole.
fn boxes(body: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut reader = Reader(body);
    std::iter::from_fn(move || {
        let (size, name) = (reader.u32()?, reader.array::<4>()?);
        let len = usize::try_from(size).ok()?.checked_sub(8)?;
        Some((name, reader.bytes(len)?))
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}
