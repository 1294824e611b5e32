//! A camera without a network: frame after frame with the truth about it, for scoring what watches
//! cameras and for measuring what decodes them.

use std::sync::Arc;

use bytes::Bytes;
use vong_runtime::UnixMicros;

use super::encoder::Encoder;
use super::nal::{Codec, ParameterSets};
use super::picture::Painter;
use super::traffic::TrueVehicle;
use super::{CameraSpec, Error};
use crate::scene::Scene;

/// One coded frame as a recorder gets it.
#[derive(Clone, Debug)]
pub struct CodedFrame {
    pub key: bool,
    /// NAL units, each behind its length in 4 bytes, big-endian.
    pub data: Bytes,
}

/// Films one camera on demand; frame 0 is at the anchor.
#[derive(Debug)]
pub struct Studio {
    spec: CameraSpec,
    painter: Painter,
    encoder: Option<Encoder>,
    sample_entry: Bytes,
}

impl Studio {
    pub fn new(spec: CameraSpec, seed: u64, scene: Arc<dyn Scene>, anchor: UnixMicros) -> Self {
        let painter = Painter::new(&spec, seed, scene, anchor);
        Self { spec, painter, encoder: None, sample_entry: Bytes::new() }
    }

    /// Brightness (BT.601, 16 to 235) of frame `n`, rows of the camera's width from the top.
    pub fn luma(&mut self, n: u64) -> &[u8] {
        let [(luma, _), ..] = self.painter.picture(n).planes();
        luma
    }

    /// What is on the road in frame `n`.
    pub fn truth(&mut self, n: u64) -> Vec<TrueVehicle> {
        self.painter.truth(n)
    }

    /// Frame `n` encoded; numbers must rise, and a key frame comes every two seconds of frames asked
    /// for, and where `key` wants one.
    ///
    /// # Errors
    /// [`Error::OpenEncoder`], [`Error::Encode`].
    pub fn coded(&mut self, n: u64, key: bool) -> Result<CodedFrame, Error> {
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            empty => empty.insert(Encoder::open(&self.spec)?),
        };
        let encoded = encoder.encode(n, self.painter.picture(n), key)?;
        if let Some(sets) = ParameterSets::of(self.spec.codec, &encoded.nals) {
            self.sample_entry = sample_entry(&self.spec, &sets);
        }
        let mut data = Vec::new();
        for nal in &encoded.nals {
            data.extend(u32::try_from(nal.len()).unwrap_or(u32::MAX).to_be_bytes());
            data.extend_from_slice(nal);
        }
        Ok(CodedFrame { key: encoded.key, data: Bytes::from(data) })
    }

    /// The `stsd` entry box of the stream (ISO/IEC 14496-15); empty before the first coded frame.
    pub fn sample_entry(&self) -> Bytes {
        self.sample_entry.clone()
    }
}

fn sample_entry(spec: &CameraSpec, sets: &ParameterSets) -> Bytes {
    let (entry, name, config) = match spec.codec {
        Codec::H264 => (b"avc1", b"avcC", avc_config(sets)),
        Codec::H265 => (b"hvc1", b"hvcC", hevc_config(sets)),
    };
    let mut fields = vec![0; 78];
    let side = |n: u32| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
    for (at, value) in [(24, side(spec.width)), (26, side(spec.height)), (6, [0, 1])] {
        if let Some(place) = fields.get_mut(at..at + 2) {
            place.copy_from_slice(&value);
        }
    }
    fields.extend(boxed(name, &config));
    Bytes::from(boxed(entry, &fields))
}

fn boxed(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap_or(u32::MAX);
    [&size.to_be_bytes()[..], name, body].concat()
}

fn avc_config(sets: &ParameterSets) -> Vec<u8> {
    let mut config = vec![1];
    config.extend(sets.sps.iter().skip(1).take(3));
    config.push(0xff);
    for (count, set) in [(0xe1, &sets.sps), (1, &sets.pps)] {
        config.push(count);
        config.extend(length(set));
        config.extend_from_slice(set);
    }
    config
}

/// Only the sets are true: who reads this box for decoding needs no more.
fn hevc_config(sets: &ParameterSets) -> Vec<u8> {
    let mut config = vec![1];
    config.extend([0; 20]);
    config.push(3); // lengths take 4 bytes
    let vps = sets.vps.clone().unwrap_or_default();
    config.push(3);
    for (kind, set) in [(32, &vps), (33, &sets.sps), (34, &sets.pps)] {
        config.extend([kind, 0, 1]);
        config.extend(length(set));
        config.extend_from_slice(set);
    }
    config
}

fn length(set: &Bytes) -> [u8; 2] {
    u16::try_from(set.len()).unwrap_or(u16::MAX).to_be_bytes()
}
