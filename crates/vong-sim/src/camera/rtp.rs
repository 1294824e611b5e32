//! Frames to RTP (RFC 3550): payloads of H.264 (RFC 6184, mode 1) and H.265 (RFC 7798), packet
//! headers, and the sender report that ties RTP time to the wall clock.

use bytes::{BufMut, Bytes, BytesMut};
use vong_runtime::UnixMicros;

use super::nal::Codec;

/// Payload type of every stream (dynamic range).
pub const PAYLOAD_TYPE: u8 = 96;
/// RTP time units a second for video.
pub(crate) const CLOCK_HZ: i64 = 90_000;
/// Largest payload, so that a packet with all its headers fits an Ethernet frame.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 1_400;
/// Seconds between 1900 (NTP) and 1970 (Unix).
const NTP_OFFSET_S: i64 = 2_208_988_800;

/// The payloads of one access unit, in order; the last one gets the marker bit.
pub fn payloads(codec: Codec, nals: &[Bytes]) -> Vec<Bytes> {
    let mut payloads = Vec::with_capacity(nals.len());
    for nal in nals {
        if nal.len() <= MAX_PAYLOAD_BYTES {
            payloads.push(nal.clone());
        } else {
            fragment(codec, nal, &mut payloads);
        }
    }
    payloads
}

/// Cuts a large NAL unit into fragmentation units: FU-A (RFC 6184 5.8) or FU (RFC 7798 4.4.3).
fn fragment(codec: Codec, nal: &Bytes, into: &mut Vec<Bytes>) {
    let (header_bytes, kind) = match (codec, nal.first()) {
        (Codec::H264, Some(first)) => (1, first & 0x1f),
        (Codec::H265, Some(first)) => (2, (first >> 1) & 0x3f),
        (_, None) => return,
    };
    let Some((header, body)) = nal.split_at_checked(header_bytes) else { return };
    let mut indicator = [0_u8; 2];
    let (first, second) = (header.first().copied(), header.get(1).copied());
    indicator[0] = match codec {
        Codec::H264 => (first.unwrap_or(0) & 0xe0) | 28,
        Codec::H265 => (first.unwrap_or(0) & 0x81) | (49 << 1),
    };
    indicator[1] = second.unwrap_or(0);
    let room = MAX_PAYLOAD_BYTES - header_bytes - 1;
    let last = body.len().div_ceil(room).saturating_sub(1);
    for (index, piece) in body.chunks(room).enumerate() {
        let start = if index == 0 { 0x80 } else { 0 };
        let end = if index == last { 0x40 } else { 0 };
        let mut payload = BytesMut::with_capacity(header_bytes + 1 + piece.len());
        payload.extend(indicator.iter().take(header_bytes));
        payload.put_u8(start | end | kind);
        payload.extend_from_slice(piece);
        into.push(payload.freeze());
    }
}

/// Where one viewer's packet stream stands.
#[derive(Clone, Debug)]
pub struct Numbering {
    pub ssrc: u32,
    /// Of the next packet.
    pub sequence: u16,
    /// Sent so far; wrap as RFC 3550 6.4.1 says.
    pub packets: u32,
    pub payload_bytes: u32,
}

impl Numbering {
    /// Writes the header of the next packet and its payload.
    pub fn packet(&mut self, time: u32, marker: bool, payload: &[u8], into: &mut BytesMut) {
        into.put_u8(0x80);
        into.put_u8(if marker { 0x80 } else { 0 } | PAYLOAD_TYPE);
        into.put_u16(self.sequence);
        into.put_u32(time);
        into.put_u32(self.ssrc);
        into.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        let bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.payload_bytes = self.payload_bytes.wrapping_add(bytes);
    }

    /// A sender report with its SDES (RFC 3550 6.4.1, 6.5): at `now` the RTP clock shows `time`.
    pub fn sender_report(&self, now: UnixMicros, time: u32) -> Bytes {
        const NAME: &[u8] = b"vong-sim";
        let mut report = BytesMut::with_capacity(48);
        report.put_slice(&[0x80, 200]);
        report.put_u16(6);
        report.put_u32(self.ssrc);
        report.put_u64(ntp(now));
        report.put_u32(time);
        report.put_u32(self.packets);
        report.put_u32(self.payload_bytes);
        report.put_slice(&[0x81, 202]);
        report.put_u16(4);
        report.put_u32(self.ssrc);
        report.put_slice(&[1, 8]);
        report.put_slice(NAME);
        report.put_slice(&[0, 0]);
        report.freeze()
    }
}

/// 32 bits of seconds since 1900, 32 bits of fraction.
fn ntp(at: UnixMicros) -> u64 {
    let seconds = at.div_euclid(1_000_000) + NTP_OFFSET_S;
    let micros = u64::try_from(at.rem_euclid(1_000_000)).unwrap_or(0);
    let seconds = u64::try_from(seconds).unwrap_or(0) & 0xffff_ffff;
    (seconds << 32) | ((micros << 32) / 1_000_000)
}

/// RTP time `micros` after the moment at which it showed `base`.
pub fn time_after(base: u32, micros: i64) -> u32 {
    let ticks = i128::from(micros) * i128::from(CLOCK_HZ) / 1_000_000;
    base.wrapping_add(u32::try_from(ticks.rem_euclid(1 << 32)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts fragments together again the way a receiver does.
    fn reassemble(codec: Codec, payloads: &[Bytes]) -> Vec<u8> {
        let header_bytes = if codec == Codec::H264 { 1 } else { 2 };
        let mut nal = Vec::new();
        for (index, payload) in payloads.iter().enumerate() {
            let fu = payload[header_bytes];
            assert_eq!(fu & 0x80 != 0, index == 0);
            assert_eq!(fu & 0x40 != 0, index == payloads.len() - 1);
            if index == 0 {
                match codec {
                    Codec::H264 => nal.push((payload[0] & 0xe0) | (fu & 0x1f)),
                    Codec::H265 => {
                        nal.extend([(payload[0] & 0x81) | ((fu & 0x3f) << 1), payload[1]])
                    }
                }
            }
            nal.extend(&payload[header_bytes + 1..]);
        }
        nal
    }

    #[test]
    fn large_nal_units_survive_fragmentation() {
        for (codec, header) in [(Codec::H264, vec![0x65]), (Codec::H265, vec![0x26, 0x01])] {
            for body in [1_400, 1_401, 2_794, 2_800, 9_999] {
                let nal: Vec<u8> =
                    header.iter().copied().chain((0..body).map(|n| (n % 251) as u8)).collect();
                let payloads = payloads(codec, &[Bytes::from(nal.clone())]);
                assert!(payloads.len() > 1);
                assert!(payloads.iter().all(|p| p.len() <= MAX_PAYLOAD_BYTES));
                assert_eq!(reassemble(codec, &payloads), nal);
            }
        }
    }

    #[test]
    fn report_maps_wall_clock_to_rtp_time() {
        let stream = Numbering { ssrc: 1, sequence: 2, packets: 3, payload_bytes: 4 };
        let report = stream.sender_report(1_500_000, 777);
        assert_eq!(report.len() % 4, 0);
        assert_eq!(&report[8..12], &2_208_988_801_u32.to_be_bytes());
        assert_eq!(&report[12..16], &0x8000_0000_u32.to_be_bytes());
        assert_eq!(&report[16..20], &777_u32.to_be_bytes());
        let words = usize::from(u16::from_be_bytes([report[30], report[31]]));
        assert_eq!(28 + 4 * (words + 1), report.len());
    }

    #[test]
    fn rtp_time_wraps() {
        assert_eq!(time_after(u32::MAX, 1_000_000), 89_999);
        assert_eq!(time_after(5, 100_000), 9_005);
    }
}
