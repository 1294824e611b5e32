//! Finds signatures that a camera put into its own stream. They are kept because nothing is encoded
//! anew; here they are only found, not verified.
//!
//! Both kinds travel in SEI messages of type 5, user data unregistered, known by their UUID (ITU-T
//! H.264, D.1.7; H.265, D.2.7).

use vong_media::Codec;

/// Who made the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CameraSignature {
    /// ONVIF Media Signing, as in the reference framework of ONVIF.
    OnvifMediaSigning,
    /// Axis Signed Video, as in Axis's framework.
    AxisSignedVideo,
}

const KNOWN: [([u8; 16], CameraSignature); 2] = [
    (
        *b"\x00\x5b\xc9\x3f\x2d\x71\x5e\x95\xad\xa4\x79\x6f\x90\x87\x7a\x6f",
        CameraSignature::OnvifMediaSigning,
    ),
    (*b"Signed Video...0", CameraSignature::AxisSignedVideo),
];

const USER_DATA_UNREGISTERED: u32 = 5;

impl CameraSignature {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OnvifMediaSigning => "onvif_media_signing",
            Self::AxisSignedVideo => "axis_signed_video",
        }
    }
}

/// The signatures in one frame: NAL units, each behind its length in 4 bytes.
pub(crate) fn find(codec: Codec, frame: &[u8]) -> Vec<CameraSignature> {
    let mut found = Vec::new();
    let mut rest = frame;
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
        let Some((unit, after)) = after.split_at_checked(len) else { break };
        rest = after;
        if let Some(messages) = sei_body(codec, unit) {
            found.extend(in_messages(&unescaped(messages)));
        }
    }
    found
}

/// What stands behind the header of a SEI unit; `None` if it is another kind of unit.
fn sei_body(codec: Codec, unit: &[u8]) -> Option<&[u8]> {
    let first = unit.first()?;
    match codec {
        Codec::H264 => (first & 0x1f == 6).then(|| unit.get(1..))?,
        Codec::H265 => matches!(first >> 1 & 0x3f, 39 | 40).then(|| unit.get(2..))?,
    }
}

/// Without the emulation prevention bytes: 00 00 03 stands for 00 00.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut zeros = 0;
    for byte in bytes {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        plain.push(*byte);
    }
    plain
}

fn in_messages(bytes: &[u8]) -> Vec<CameraSignature> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while rest.len() > 2 {
        let Some((kind, after)) = sum_of_ff(rest) else { break };
        let Some((size, after)) = sum_of_ff(after) else { break };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some((payload, after)) = after.split_at_checked(size) else { break };
        let known = KNOWN.iter().find(|(uuid, _)| payload.starts_with(uuid));
        if let (USER_DATA_UNREGISTERED, Some((_, signature))) = (kind, known) {
            found.push(*signature);
        }
        rest = after;
    }
    found
}

/// A number written as bytes of 255 and a last one.
fn sum_of_ff(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let full = bytes.iter().take_while(|byte| **byte == 0xff).count();
    let last = bytes.get(full)?;
    let sum = u32::try_from(full).ok()?.checked_mul(255)?.checked_add(u32::from(*last))?;
    Some((sum, bytes.get(full + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(header: &[u8], uuid: &[u8], escaped: bool) -> Vec<u8> {
        let mut body = header.to_vec();
        body.extend([4, 1, 0xb5]); // another message first
        body.extend([5, 0xff, 1]); // 256 bytes of user data
        body.extend_from_slice(uuid);
        if escaped {
            body.extend([0, 0, 3]);
        } else {
            body.extend([7, 7]);
        }
        body.extend(vec![9; 256 - uuid.len() - 2]);
        body.push(0x80);
        let mut framed = (body.len() as u32).to_be_bytes().to_vec();
        framed.extend(body);
        framed
    }

    #[test]
    fn signatures_of_both_makers_are_found_and_other_user_data_is_not() {
        let (onvif, axis) = (KNOWN[0].0, KNOWN[1].0);
        let slice = [0, 0, 0, 2, 0x65, 0x88];
        let frame = [unit(&[6], &axis, false), slice.to_vec()].concat();
        assert_eq!(find(Codec::H264, &frame), [CameraSignature::AxisSignedVideo]);
        assert_eq!(find(Codec::H265, &frame), []);
        let frame = [slice.to_vec(), unit(&[0x4e, 1], &onvif, true)].concat();
        assert_eq!(find(Codec::H265, &frame), [CameraSignature::OnvifMediaSigning]);
        assert_eq!(find(Codec::H264, &unit(&[6], b"x264 - core 164 ", false)), []);
    }

    #[test]
    fn torn_units_are_no_signatures_and_no_panic() {
        let frame = unit(&[6], &KNOWN[1].0, true);
        for cut in 0..frame.len() {
            find(Codec::H264, &frame[..cut]);
            let mut torn = frame[..cut].to_vec();
            torn.extend([0xff; 3]);
            find(Codec::H264, &torn);
        }
    }
}
