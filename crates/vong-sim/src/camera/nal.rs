//! NAL units of H.264 (ITU-T H.264 annex B, 7.3.1) and H.265 (ITU-T H.265 annex B, 7.3.1.2).

use bytes::Bytes;

/// How a stream is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    H264,
    H265,
}

/// What a NAL unit is, as far as a sender cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Vps,
    Sps,
    Pps,
    /// Delimiters and encoder chatter (SEI): not sent.
    Noise,
    Other,
}

fn role(codec: Codec, nal: &[u8]) -> Role {
    let Some(first) = nal.first() else { return Role::Noise };
    match codec {
        Codec::H264 => match first & 0x1f {
            7 => Role::Sps,
            8 => Role::Pps,
            6 | 9 => Role::Noise,
            _ => Role::Other,
        },
        Codec::H265 => match (first >> 1) & 0x3f {
            32 => Role::Vps,
            33 => Role::Sps,
            34 => Role::Pps,
            35 | 39 | 40 => Role::Noise,
            _ => Role::Other,
        },
    }
}

/// Takes an Annex B byte stream apart, leaving out delimiters and SEI.
pub(crate) fn split(codec: Codec, stream: &[u8]) -> Vec<Bytes> {
    let mut nals = Vec::new();
    let mut rest = stream;
    while let Some(start) = find_start_code(rest) {
        let Some(body) = rest.get(start + 3..) else { break };
        let end = find_start_code(body).unwrap_or(body.len());
        let Some((nal, after)) = body.split_at_checked(end) else { break };
        // Zero bytes before a start code belong to it (or are padding), never to a NAL unit.
        let length = nal.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
        let nal = nal.get(..length).unwrap_or(nal);
        if role(codec, nal) != Role::Noise {
            nals.push(Bytes::copy_from_slice(nal));
        }
        rest = after;
    }
    nals
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|w| w == [0, 0, 1])
}

/// What a decoder must know before the first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParameterSets {
    /// H.265 only.
    pub(crate) vps: Option<Bytes>,
    pub(crate) sps: Bytes,
    pub(crate) pps: Bytes,
}

impl ParameterSets {
    /// The sets among `nals`, if all that `codec` needs are there.
    pub(crate) fn of(codec: Codec, nals: &[Bytes]) -> Option<Self> {
        let find = |wanted| nals.iter().find(|nal| role(codec, nal) == wanted).cloned();
        let vps = find(Role::Vps);
        if codec == Codec::H265 && vps.is_none() {
            return None;
        }
        Some(Self { vps, sps: find(Role::Sps)?, pps: find(Role::Pps)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annex_b_is_taken_apart_at_both_kinds_of_start_code() {
        let stream = [
            0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x06, 9, 9, 0, 0, 1, 0x65, 4, 0,
            5,
        ];
        let nals = split(Codec::H264, &stream);
        assert_eq!(nals, [vec![0x67, 1, 2], vec![0x68, 3], vec![0x65, 4, 0, 5]]);
        assert!(ParameterSets::of(Codec::H264, &nals).is_some());
        assert!(split(Codec::H264, b"no start code").is_empty());
    }
}
