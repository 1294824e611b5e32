//! Writes the boxes in front of a clip's frames.

use std::sync::Arc;

use bytes::Bytes;
use mp4_atom::{Co64, Encode, Stco, Stsc, StscEntry, Stss, Stsz, StszSamples, Stts, SttsEntry};

use super::Piece;
use super::select::{Chunk, Track};
use crate::boxes::{self, Fragment, HEADER_LEN, Movie};
use crate::{Error, VideoParameters};

/// Bytes of a box header with `largesize`.
const LARGE_HEADER_LEN: u64 = 16;

/// The parameters a clip uses, each once, and for each of the caller's the `stsd` number, from 1.
struct Descriptions {
    used: Vec<Arc<VideoParameters>>,
    numbers: Vec<u32>,
}

impl Descriptions {
    fn of(track: &Track, parameters: &[Arc<VideoParameters>]) -> Self {
        let mut used: Vec<Arc<VideoParameters>> = Vec::new();
        let mut numbers = vec![0; parameters.len()];
        for chunk in &track.chunks {
            let index = usize::try_from(chunk.description).unwrap_or(usize::MAX);
            let (Some(wanted), Some(number)) = (parameters.get(index), numbers.get_mut(index))
            else {
                continue; // selection has let through only groups whose parameters are there
            };
            if *number == 0 {
                let at = used.iter().position(|known| known.sample_entry == wanted.sample_entry);
                let at = at.unwrap_or_else(|| {
                    used.push(Arc::clone(wanted));
                    used.len().saturating_sub(1)
                });
                *number = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
            }
        }
        Self { used, numbers }
    }

    fn number(&self, chunk: &Chunk) -> u32 {
        let index = usize::try_from(chunk.description).unwrap_or(usize::MAX);
        self.numbers.get(index).copied().unwrap_or(1)
    }
}

fn edit(track: &Track) -> Option<(u64, u64)> {
    Some((track.edit_start_90k, track.edit_len_90k))
}

fn media_end(track: &Track) -> u64 {
    let end = |chunk: &Chunk| chunk.media_90k.saturating_add(chunk.duration_90k());
    track.chunks.last().map_or(0, end)
}

/// Init segment with edit list, then `moof` + `mdat` per group with times of the clip.
pub(super) fn fragmented(
    track: &Track,
    parameters: &[Arc<VideoParameters>],
) -> Result<Vec<Piece>, Error> {
    let descriptions = Descriptions::of(track, parameters);
    let movie = Movie {
        descriptions: &descriptions.used,
        media_duration_90k: media_end(track),
        edit: edit(track),
        fragmented: true,
    };
    let mut head = boxes::encoded("moov", |buf| {
        boxes::fragmented_ftyp(buf)?;
        movie.encode(buf, boxes::empty_tables)
    })?;
    let mut pieces = Vec::with_capacity(track.chunks.len().saturating_mul(2));
    for (chunk, sequence) in track.chunks.iter().zip(1u32..) {
        let fragment = Fragment {
            sequence,
            media_time_90k: chunk.media_90k,
            frames: &chunk.frames,
            key: chunk.key,
            description: descriptions.number(chunk),
        };
        fragment.encode_head(&mut head)?;
        pieces.push(Piece::Generated(Bytes::from(std::mem::take(&mut head))));
        pieces.push(frames_of(chunk));
    }
    Ok(pieces)
}

/// `ftyp`, `moov` with all sample tables, one `mdat`.
pub(super) fn faststart(
    track: &Track,
    parameters: &[Arc<VideoParameters>],
) -> Result<Vec<Piece>, Error> {
    let descriptions = Descriptions::of(track, parameters);
    let movie = Movie {
        descriptions: &descriptions.used,
        media_duration_90k: media_end(track),
        edit: edit(track),
        fragmented: false,
    };
    let tables = SampleTables::of(&track.chunks, &descriptions)?;
    let payload = track.chunks.iter().map(Chunk::bytes).fold(0, u64::saturating_add);
    let encode = |first_byte: u64, wide: bool| {
        boxes::encoded("moov", |buf| {
            boxes::plain_ftyp(buf)?;
            movie.encode(buf, |buf| tables.encode(buf, first_byte, wide))
        })
    };
    // Offsets do not change the length of the head, only their width does.
    let narrow = encode(0, false)?.len() as u64;
    let wide =
        narrow.saturating_add(payload).saturating_add(LARGE_HEADER_LEN) > u64::from(u32::MAX);
    let head_len = if wide { encode(0, true)?.len() as u64 } else { narrow };
    let header_len = if wide { LARGE_HEADER_LEN } else { HEADER_LEN };
    let mut head = encode(head_len.saturating_add(header_len), wide)?;
    let mdat_len = payload.saturating_add(header_len);
    match u32::try_from(mdat_len) {
        Ok(len) if !wide => {
            head.extend(len.to_be_bytes());
            head.extend_from_slice(b"mdat");
        }
        _ => {
            head.extend(1u32.to_be_bytes());
            head.extend_from_slice(b"mdat");
            head.extend(mdat_len.to_be_bytes());
        }
    }
    let mut pieces = vec![Piece::Generated(Bytes::from(head))];
    pieces.extend(track.chunks.iter().map(frames_of));
    Ok(pieces)
}

fn frames_of(chunk: &Chunk) -> Piece {
    Piece::File { file: chunk.file, offset: chunk.offset, len: chunk.bytes() }
}

/// The boxes of `stbl`: one chunk per group.
struct SampleTables {
    /// All but the offsets. Encoded once: of a long clip they are most of the head.
    before_offsets: Vec<u8>,
    /// Of each chunk from the first frame of the clip.
    offsets: Vec<u64>,
}

impl SampleTables {
    fn of(chunks: &[Chunk], descriptions: &Descriptions) -> Result<Self, Error> {
        let mut durations: Vec<SttsEntry> = Vec::new();
        let mut keys = Vec::new();
        let mut runs: Vec<StscEntry> = Vec::new();
        let mut sizes = Vec::new();
        let mut offsets = Vec::with_capacity(chunks.len());
        let mut offset = 0u64;
        for (chunk, number) in chunks.iter().zip(1u32..) {
            if chunk.key {
                keys.push(u32::try_from(sizes.len()).unwrap_or(u32::MAX).saturating_add(1));
            }
            for frame in &chunk.frames {
                match durations.last_mut() {
                    Some(run) if run.sample_delta == frame.duration_90k => {
                        run.sample_count = run.sample_count.saturating_add(1);
                    }
                    _ => durations
                        .push(SttsEntry { sample_count: 1, sample_delta: frame.duration_90k }),
                }
                sizes.push(frame.size);
            }
            let samples_per_chunk = u32::try_from(chunk.frames.len()).unwrap_or(u32::MAX);
            let sample_description_index = descriptions.number(chunk);
            let continues = runs.last().is_some_and(|run| {
                run.samples_per_chunk == samples_per_chunk
                    && run.sample_description_index == sample_description_index
            });
            if !continues {
                runs.push(StscEntry {
                    first_chunk: number,
                    samples_per_chunk,
                    sample_description_index,
                });
            }
            offsets.push(offset);
            offset = offset.saturating_add(chunk.bytes());
        }
        let before_offsets = boxes::encoded("stbl", |buf| {
            Stts { entries: durations }.encode(buf)?;
            Stss { entries: keys }.encode(buf)?;
            Stsc { entries: runs }.encode(buf)?;
            Stsz { samples: StszSamples::Different { sizes } }.encode(buf)
        })?;
        Ok(Self { before_offsets, offsets })
    }

    /// `first_byte`: where in the clip its first frame starts.
    fn encode(
        &self,
        buf: &mut Vec<u8>,
        first_byte: u64,
        wide: bool,
    ) -> Result<(), mp4_atom::Error> {
        buf.extend_from_slice(&self.before_offsets);
        let absolute = self.offsets.iter().map(|offset| offset.saturating_add(first_byte));
        if wide {
            return Co64 { entries: absolute.collect() }.encode(buf);
        }
        let entries = absolute.map(|offset| u32::try_from(offset).unwrap_or(u32::MAX)).collect();
        Stco { entries }.encode(buf)
    }
}
