//! The boxes we write, by name. Formats: ISO/IEC 14496-12 (base), 14496-15 (NAL units in it),
//! 23000-19 (CMAF). Leaves are encoded by `mp4-atom`; the tree and the sample entry, which we pass
//! on as received, are ours.

use bytes::Bytes;
use mp4_atom::{
    BufMut, Dinf, Dref, Edts, Elst, ElstEntry, Encode, FixedPoint, FourCC, Ftyp, Hdlr, Mdhd, Mehd,
    Mfhd, Moof, Mvex, Mvhd, Tfdt, Tfhd, Tkhd, Traf, Trex, Trun, TrunEntry, Url, Vmhd,
};

use crate::timeline::TICKS_PER_SECOND;
use crate::{Error, Frame, VideoParameters};

/// Flags of a frame where decoding may start: depends on no other (ISO/IEC 14496-12, 8.8.3.1).
pub(crate) const KEY_FLAGS: u32 = 0x0200_0000;
/// Flags of any other frame: depends on others, not a sync sample.
pub(crate) const DELTA_FLAGS: u32 = 0x0101_0000;
/// The only track.
const TRACK: u32 = 1;
/// Bytes of a box header without `largesize`.
pub(crate) const HEADER_LEN: u64 = 8;

type AtomResult = Result<(), mp4_atom::Error>;

/// Encodes into a fresh buffer.
pub(crate) fn encoded(
    name: &'static str,
    fill: impl FnOnce(&mut Vec<u8>) -> AtomResult,
) -> Result<Vec<u8>, Error> {
    let mut buf = Vec::new();
    fill(&mut buf).map_err(|source| Error::Encode { name, source })?;
    Ok(buf)
}

/// What `moov` says beside the sample tables.
#[derive(Clone, Debug)]
pub(crate) struct Movie<'a> {
    /// All descriptions in use, in `stsd` order; the first gives the picture's size.
    pub(crate) descriptions: &'a [std::sync::Arc<VideoParameters>],
    /// Of the media, edits aside; 0 if not known. Fragments carry their own durations, so a
    /// fragmented file states it in `mehd` alone.
    pub(crate) media_duration_90k: u64,
    /// What is shown of it: (first tick, ticks). `None` shows all.
    pub(crate) edit: Option<(u64, u64)>,
    /// The samples follow in fragments.
    pub(crate) fragmented: bool,
}

impl Movie<'_> {
    /// Writes `moov`; `tables` writes what stands in `stbl` after `stsd`.
    pub(crate) fn encode(
        &self,
        buf: &mut Vec<u8>,
        tables: impl FnOnce(&mut Vec<u8>) -> AtomResult,
    ) -> AtomResult {
        let shown = self.edit.map_or(self.media_duration_90k, |(_, ticks)| ticks);
        let shown = if self.fragmented { 0 } else { shown };
        buf.encode_atom(FourCC::new(b"moov"), |buf| {
            Mvhd {
                timescale: TICKS_PER_SECOND,
                duration: shown,
                rate: 1.into(),
                volume: 1.into(),
                next_track_id: TRACK.saturating_add(1),
                ..Mvhd::default()
            }
            .encode(buf)?;
            buf.encode_atom(FourCC::new(b"trak"), |buf| self.encode_trak(buf, shown, tables))?;
            if self.fragmented {
                self.encode_mvex(buf)?;
            }
            Ok(())
        })
    }

    fn encode_trak(
        &self,
        buf: &mut Vec<u8>,
        shown: u64,
        tables: impl FnOnce(&mut Vec<u8>) -> AtomResult,
    ) -> AtomResult {
        let size = |pixels: u32| FixedPoint::from(u16::try_from(pixels).unwrap_or(u16::MAX));
        let first = self.descriptions.first();
        Tkhd {
            track_id: TRACK,
            duration: shown,
            enabled: true,
            in_movie: true,
            width: size(first.map_or(0, |p| p.width)),
            height: size(first.map_or(0, |p| p.height)),
            ..Tkhd::default()
        }
        .encode(buf)?;
        if let Some((media_time, segment_duration)) = self.edit {
            let entry = ElstEntry {
                segment_duration,
                media_time: Some(media_time),
                media_rate: FixedPoint::from(1),
            };
            Edts { elst: Some(Elst { entries: vec![entry] }) }.encode(buf)?;
        }
        buf.encode_atom(FourCC::new(b"mdia"), |buf| {
            Mdhd {
                timescale: TICKS_PER_SECOND,
                duration: if self.fragmented { 0 } else { self.media_duration_90k },
                language: "und".to_owned(),
                ..Mdhd::default()
            }
            .encode(buf)?;
            Hdlr { handler: FourCC::new(b"vide"), name: "vong".to_owned() }.encode(buf)?;
            buf.encode_atom(FourCC::new(b"minf"), |buf| {
                Vmhd::default().encode(buf)?;
                let own_file = Url { location: String::new() };
                Dinf { dref: Dref { entries: vec![own_file.into()] } }.encode(buf)?;
                buf.encode_atom(FourCC::new(b"stbl"), |buf| {
                    self.encode_stsd(buf)?;
                    tables(buf)
                })
            })
        })
    }

    /// Sample descriptions as received from the depacketizer, byte for byte.
    fn encode_stsd(&self, buf: &mut Vec<u8>) -> AtomResult {
        buf.encode_atom(FourCC::new(b"stsd"), |buf| {
            0u32.encode(buf)?; // version, flags
            u32::try_from(self.descriptions.len()).unwrap_or(u32::MAX).encode(buf)?;
            for parameters in self.descriptions {
                buf.extend_from_slice(&parameters.sample_entry);
            }
            Ok(())
        })
    }

    fn encode_mvex(&self, buf: &mut Vec<u8>) -> AtomResult {
        let known = self.media_duration_90k > 0;
        Mvex {
            mehd: known.then_some(Mehd { fragment_duration: self.media_duration_90k }),
            trex: vec![Trex {
                track_id: TRACK,
                default_sample_description_index: 1,
                default_sample_duration: 0,
                default_sample_size: 0,
                default_sample_flags: DELTA_FLAGS,
            }],
        }
        .encode(buf)
    }
}

/// `ftyp` of a fragmented file.
pub(crate) fn fragmented_ftyp(buf: &mut Vec<u8>) -> AtomResult {
    ftyp(buf, b"iso6", &[b"iso6", b"cmfc", b"mp41"])
}

/// `ftyp` of a plain file.
pub(crate) fn plain_ftyp(buf: &mut Vec<u8>) -> AtomResult {
    ftyp(buf, b"isom", &[b"isom", b"iso2", b"mp41"])
}

fn ftyp(buf: &mut Vec<u8>, major: &[u8; 4], compatible: &[&[u8; 4]]) -> AtomResult {
    Ftyp {
        major_brand: FourCC::new(major),
        minor_version: 0,
        compatible_brands: compatible.iter().map(|brand| FourCC::new(brand)).collect(),
    }
    .encode(buf)
}

/// The sample tables of a fragmented file: present, and empty.
pub(crate) fn empty_tables(buf: &mut Vec<u8>) -> AtomResult {
    mp4_atom::Stts::default().encode(buf)?;
    mp4_atom::Stsc::default().encode(buf)?;
    mp4_atom::Stsz::default().encode(buf)?;
    mp4_atom::Stco::default().encode(buf)
}

/// `ftyp` and `moov` that any number of fragments may follow.
pub fn init_segment(parameters: &VideoParameters) -> Result<Bytes, Error> {
    let descriptions = [std::sync::Arc::new(parameters.clone())];
    let movie =
        Movie { descriptions: &descriptions, media_duration_90k: 0, edit: None, fragmented: true };
    encoded("moov", |buf| {
        fragmented_ftyp(buf)?;
        movie.encode(buf, empty_tables)
    })
    .map(Bytes::from)
}

/// One `moof` and the header of the `mdat` behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment<'a> {
    /// Rising within a file, from 1.
    pub(crate) sequence: u32,
    /// `tfdt`: time of the first frame since the start of the file.
    pub(crate) media_time_90k: u64,
    pub(crate) frames: &'a [Frame],
    pub(crate) key: bool,
    /// Which `stsd` entry, from 1.
    pub(crate) description: u32,
}

impl Fragment<'_> {
    /// Appends `moof` and the `mdat` header; the frames' bytes must follow.
    pub(crate) fn encode_head(&self, buf: &mut Vec<u8>) -> Result<(), Error> {
        let payload: u64 = self.frames.iter().map(|frame| u64::from(frame.size)).sum();
        let mdat = payload.saturating_add(HEADER_LEN);
        let limit = u64::from(u32::MAX);
        let mdat = u32::try_from(mdat).map_err(|_too_large| Error::TooLarge {
            what: "fragment",
            value: mdat,
            limit,
        })?;
        // The offset of the data is the length of the box that states it, so encode to measure first.
        let measured = encoded("moof", |buf| self.moof(0).encode(buf))?;
        let offset = (measured.len() as u64).saturating_add(HEADER_LEN);
        let offset = i32::try_from(offset).map_err(|_too_large| Error::TooLarge {
            what: "frame table",
            value: offset,
            limit,
        })?;
        let mut head = encoded("moof", |buf| {
            self.moof(offset).encode(buf)?;
            mdat.encode(buf)?;
            FourCC::new(b"mdat").encode(buf)
        })?;
        buf.append(&mut head);
        Ok(())
    }

    fn moof(&self, data_offset: i32) -> Moof {
        let samples: Vec<TrunEntry> = self
            .frames
            .iter()
            .enumerate()
            .map(|(index, frame)| TrunEntry {
                duration: Some(frame.duration_90k),
                size: Some(frame.size),
                flags: (index == 0 && self.key).then_some(KEY_FLAGS),
                cts: None,
            })
            .collect();
        let tfhd = Tfhd {
            track_id: TRACK,
            sample_description_index: Some(self.description),
            default_sample_flags: Some(DELTA_FLAGS),
            default_base_is_moof: true,
            ..Tfhd::default()
        };
        let traf = Traf {
            tfhd,
            tfdt: Some(Tfdt { base_media_decode_time: self.media_time_90k }),
            trun: vec![Trun { data_offset: Some(data_offset), samples: samples.into() }],
            ..Traf::default()
        };
        Moof { mfhd: Mfhd { sequence_number: self.sequence }, traf: vec![traf] }
    }
}
