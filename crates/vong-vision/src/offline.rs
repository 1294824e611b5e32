//! Decoding in the own process, for scoring and measuring; an installation asks the worker.

use crate::Error;
use crate::decode::{self, Decoded, Decoder};
use crate::jpeg;
use crate::luma::Luma;

/// Decodes one stream whole, frame after frame.
#[derive(Debug)]
pub struct StreamDecoder {
    inner: Decoder,
}

impl StreamDecoder {
    /// A decoder for the stream that [`vong_media::VideoParameters::sample_entry`] describes.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Codec`].
    pub fn open(sample_entry: &[u8]) -> Result<Self, Error> {
        Ok(Self { inner: Decoder::open(sample_entry)? })
    }

    /// The brightness of the next unit's picture, at each of `sizes`.
    ///
    /// # Errors
    /// [`Error::Undecodable`]; the stream goes on at the next key frame.
    pub fn next(&mut self, unit: &[u8], sizes: &[(u16, u16)]) -> Result<Vec<Luma>, Error> {
        let mut lumas = Vec::new();
        self.inner.decode(&[unit], |Decoded { unit, picture }| {
            if unit.is_none() {
                return Ok(()); // of an earlier one
            }
            for (width, height) in sizes {
                lumas.push(decode::luma(&picture, *width, *height)?);
            }
            Ok(())
        })?;
        Ok(lumas)
    }

    /// The picture of motion JPEG after the next unit, at most `max_width` pixels wide; none where the
    /// decoder holds all back.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn jpeg(&mut self, unit: &[u8], max_width: u32) -> Result<Option<Vec<u8>>, Error> {
        jpeg::after(&mut self.inner, &[unit], max_width)
    }
}

/// The brightness of one key frame: all that the worker does for the health of a camera.
///
/// # Errors
/// [`Error::Malformed`], [`Error::Undecodable`], [`Error::Codec`].
pub fn key_frame(sample_entry: &[u8], unit: &[u8], size: (u16, u16)) -> Result<Luma, Error> {
    let picture = decode::last_picture(sample_entry, &[unit], false)?;
    decode::luma(&picture, size.0, size.1)
}
