//! What DESCRIBE answers with: SDP (RFC 8866) of one video track.

use super::nal::{Codec, ParameterSets};
use super::rtp::PAYLOAD_TYPE;

/// Describes a stream; its only track is controlled at `<stream>/track1`.
pub(crate) fn describe(codec: Codec, sets: &ParameterSets, fps: u32) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=Simulated camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
         a=tool:vong-sim\r\na=control:*\r\na=range:npt=now-\r\n{}",
        video_track(codec, sets, fps)
    )
}

/// The part of a description that is about the video track, controlled at `track1`.
pub(crate) fn video_track(codec: Codec, sets: &ParameterSets, fps: u32) -> String {
    let (name, format) = match codec {
        Codec::H264 => ("H264", h264_format(sets)),
        Codec::H265 => ("H265", h265_format(sets)),
    };
    format!(
        "m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} {name}/90000\r\n\
         a=fmtp:{PAYLOAD_TYPE} {format}\r\na=framerate:{fps}\r\na=control:track1\r\n"
    )
}

/// RFC 6184 8.1.
fn h264_format(sets: &ParameterSets) -> String {
    let profile: String =
        sets.sps.iter().skip(1).take(3).map(|byte| format!("{byte:02X}")).collect();
    format!(
        "packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={},{}",
        base64(&sets.sps),
        base64(&sets.pps)
    )
}

/// RFC 7798 7.1.
fn h265_format(sets: &ParameterSets) -> String {
    let vps = sets.vps.as_deref().unwrap_or_default();
    format!(
        "sprop-vps={};sprop-sps={};sprop-pps={}",
        base64(vps),
        base64(&sets.sps),
        base64(&sets.pps)
    )
}

/// RFC 4648 section 4, with padding.
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let word = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for place in 0..4 {
            let letter = usize::try_from((word >> (18 - 6 * place)) & 63).unwrap_or(0);
            let pad = place > group.len();
            text.push(if pad {
                '='
            } else {
                char::from(LETTERS.get(letter).copied().unwrap_or(b'A'))
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_the_vectors_of_its_rfc() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
