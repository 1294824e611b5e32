//! What a decoder that is fed access units itself must know first: the body of `avcC` or `hvcC`.

use crate::read::Reader;
use crate::{Codec, VideoParameters};

/// Fields of a visual sample entry before its boxes (ISO/IEC 14496-12, 8.5.2 and 12.1.3).
const VISUAL_FIELDS: usize = 78;

impl VideoParameters {
    /// The decoder configuration record (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1), as browsers want
    /// it beside frames whose NAL units stand behind their length. `None` when the sample entry
    /// has none.
    pub fn decoder_configuration(&self) -> Option<&[u8]> {
        let wanted: &[u8; 4] = match self.codec {
            Codec::H264 => b"avcC",
            Codec::H265 => b"hvcC",
        };
        let limit = self.sample_entry.len();
        let (_, mut entry) = Reader::new(&self.sample_entry).sized_box(limit)?;
        entry.bytes(VISUAL_FIELDS)?;
        loop {
            let (name, mut body) = entry.sized_box(limit)?;
            if name == *wanted {
                return body.bytes(body.remaining());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn boxed(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes()[..], name, body].concat()
    }

    fn configuration(codec: Codec, entry: Vec<u8>) -> Option<Vec<u8>> {
        let rfc6381 = "avc1.64001f".to_owned();
        let sample_entry = Bytes::from(entry);
        let parameters = VideoParameters { codec, width: 2, height: 2, rfc6381, sample_entry };
        parameters.decoder_configuration().map(<[u8]>::to_vec)
    }

    #[test]
    fn record_is_found_behind_other_boxes() {
        let entry = |record: &[u8; 4]| {
            let boxes = [boxed(b"pasp", &[0; 8]), boxed(record, &[1, 2, 3])].concat();
            boxed(b"avc1", &[&[0; VISUAL_FIELDS][..], &boxes].concat())
        };
        assert_eq!(configuration(Codec::H264, entry(b"avcC")), Some(vec![1, 2, 3]));
        assert_eq!(configuration(Codec::H265, entry(b"hvcC")), Some(vec![1, 2, 3]));
        assert_eq!(configuration(Codec::H265, entry(b"avcC")), None);
    }

    #[test]
    fn any_cut_of_an_entry_is_no_entry() {
        let boxes = boxed(b"avcC", &[1, 2, 3]);
        let whole = boxed(b"avc1", &[&[0; VISUAL_FIELDS][..], &boxes].concat());
        for len in 0..whole.len() {
            assert_eq!(configuration(Codec::H264, whole[..len].to_vec()), None, "{len}");
        }
    }
}
