//! From the way MP4 keeps frames to the way decoders without side data take them: parameter sets
//! out of the `avcC` or `hvcC` box (ISO/IEC 14496-15 §5.3.3, §8.3.3), lengths replaced by start
//! codes (ITU-T H.264 annex B).
//!
//! Every byte comes from a camera: nothing here trusts a length.

use vong_media::Codec;

use crate::Error;

const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// A visual sample entry before its inner boxes: box head 8, fields 78 bytes.
const VISUAL_ENTRY_BYTES: usize = 86;

/// What stands before a stream's key frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParameterSets {
    pub(crate) codec: Codec,
    /// The sets, each behind a start code.
    pub(crate) annex_b: Vec<u8>,
}

impl ParameterSets {
    /// Reads the `stsd` entry box of [`vong_media::VideoParameters::sample_entry`].
    pub(crate) fn of(sample_entry: &[u8]) -> Result<Self, Error> {
        let malformed = Error::Malformed { what: "sample entry" };
        let codec = match sample_entry.get(4..8) {
            Some(b"avc1" | b"avc3") => Codec::H264,
            Some(b"hvc1" | b"hev1") => Codec::H265,
            _ => return Err(malformed),
        };
        let inner = sample_entry.get(VISUAL_ENTRY_BYTES..).ok_or(malformed)?;
        let annex_b = match codec {
            Codec::H264 => of_avc(inner_box(inner, *b"avcC")?)?,
            Codec::H265 => of_hevc(inner_box(inner, *b"hvcC")?)?,
        };
        Ok(Self { codec, annex_b })
    }
}

fn inner_box(mut boxes: &[u8], name: [u8; 4]) -> Result<&[u8], Error> {
    let missing = || Error::Malformed { what: "decoder configuration box" };
    while let Some((head, rest)) = boxes.split_first_chunk::<8>() {
        let [a, b, c, d, kind @ ..] = *head;
        let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let body = rest.get(..size.saturating_sub(8)).ok_or_else(missing)?;
        if kind == name {
            return Ok(body);
        }
        boxes = boxes.get(size.max(8)..).ok_or_else(missing)?;
    }
    Err(missing())
}

fn of_avc(config: &[u8]) -> Result<Vec<u8>, Error> {
    let mut read = Reader { rest: config, what: "avcC box" };
    read.take(4)?;
    if read.byte()? & 3 != 3 {
        return Err(Error::Malformed { what: "avcC box: lengths are not 4 bytes" });
    }
    let mut sets = Vec::new();
    for mask in [0x1f, 0xff] {
        for _ in 0..read.byte()? & mask {
            append(&mut sets, read.counted()?);
        }
    }
    Ok(sets)
}

fn of_hevc(config: &[u8]) -> Result<Vec<u8>, Error> {
    let mut read = Reader { rest: config, what: "hvcC box" };
    read.take(21)?;
    if read.byte()? & 3 != 3 {
        return Err(Error::Malformed { what: "hvcC box: lengths are not 4 bytes" });
    }
    let mut sets = Vec::new();
    for _ in 0..read.byte()? {
        read.byte()?;
        for _ in 0..read.short()? {
            append(&mut sets, read.counted()?);
        }
    }
    Ok(sets)
}

/// Appends an access unit (NAL units behind 4-byte lengths) with start codes instead of lengths.
pub(crate) fn append_unit(out: &mut Vec<u8>, mut unit: &[u8]) -> Result<(), Error> {
    let malformed = || Error::Malformed { what: "access unit: a length points past its end" };
    while !unit.is_empty() {
        let (length, rest) = unit.split_first_chunk::<4>().ok_or_else(malformed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        append(out, rest.get(..length).ok_or_else(malformed)?);
        unit = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

fn append(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(nal);
}

struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or(Error::Malformed { what: self.what })?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn short(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    fn counted(&mut self) -> Result<&'a [u8], Error> {
        let count = self.short()?;
        self.take(usize::from(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &[u8; 4], name: &[u8; 4], config: &[u8]) -> Vec<u8> {
        let mut entry = vec![0; VISUAL_ENTRY_BYTES];
        entry[4..8].copy_from_slice(kind);
        for (kind, body) in [(b"pasp", [0_u8; 8].as_slice()), (name, config)] {
            entry.extend(u32::try_from(body.len() + 8).unwrap().to_be_bytes());
            entry.extend(kind);
            entry.extend(body);
        }
        entry
    }

    const AVC: [u8; 14] = [1, 66, 0, 31, 0xff, 0xe1, 0, 2, 0x67, 9, 1, 0, 1, 0x68];

    #[test]
    fn parameter_sets_come_out_of_both_boxes() {
        let sets = ParameterSets::of(&entry(b"avc1", b"avcC", &AVC)).unwrap();
        assert_eq!(sets.codec, Codec::H264);
        assert_eq!(sets.annex_b, [0, 0, 0, 1, 0x67, 9, 0, 0, 0, 1, 0x68]);
        let mut hevc = vec![0; 21];
        hevc.extend([3, 1, 0x20, 0, 1, 0, 2, 0x40, 1]);
        let sets = ParameterSets::of(&entry(b"hvc1", b"hvcC", &hevc)).unwrap();
        assert_eq!((sets.codec, sets.annex_b), (Codec::H265, vec![0, 0, 0, 1, 0x40, 1]));
    }

    #[test]
    fn no_prefix_and_no_flipped_byte_panics() {
        let whole = entry(b"avc1", b"avcC", &AVC);
        for end in 0..whole.len() {
            assert!(ParameterSets::of(&whole[..end]).is_err(), "{end}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut spoilt = whole.clone();
                spoilt[at] = value;
                drop(ParameterSets::of(&spoilt));
            }
        }
    }

    #[test]
    fn units_get_start_codes_and_lying_lengths_are_refused() {
        let mut out = Vec::new();
        append_unit(&mut out, &[0, 0, 0, 1, 5, 0, 0, 0, 2, 6, 7]).unwrap();
        assert_eq!(out, [0, 0, 0, 1, 5, 0, 0, 0, 1, 6, 7]);
        for bad in [&[0, 0, 0, 9, 1][..], &[0, 0], &[0xff, 0xff, 0xff, 0xff, 1]] {
            assert!(append_unit(&mut Vec::new(), bad).is_err());
        }
    }
}
