//! Coded frames to pictures, through ffmpeg. Runs in the worker process alone: what comes from a
//! camera may bring a decoder down.

use ffmpeg_next as ffmpeg;

use ffmpeg::codec::flag::Flags as CodecFlags;
use ffmpeg::codec::threading;
use ffmpeg::format::Pixel;
use ffmpeg::software::scaling;
use ffmpeg::{Dictionary, Packet, decoder, frame};
use vong_media::Codec;

use crate::Error;
use crate::luma::Luma;
use crate::model::Rgb;
use crate::nal::{self, ParameterSets};

/// Larger pictures are refused before a decoder sets memory aside for them.
const MAX_PIXELS: u32 = 8192 * 4352;

/// One stream's decoder.
pub(crate) struct Decoder {
    inner: decoder::Video,
    sets: ParameterSets,
    /// Units sent so far: a decoder that holds one back must not give it the number of another.
    sent: i64,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("codec", &self.sets.codec).finish_non_exhaustive()
    }
}

/// A decoded picture and the number of the unit it came from; `None`: one of an earlier call, which
/// the decoder held back.
pub(crate) struct Decoded {
    pub(crate) unit: Option<usize>,
    pub(crate) picture: frame::Video,
}

impl Decoder {
    /// A decoder for the stream that `sample_entry` describes.
    pub(crate) fn open(sample_entry: &[u8]) -> Result<Self, Error> {
        let sets = ParameterSets::of(sample_entry)?;
        let failed = |source| Error::Codec { action: "open the decoder", source };
        let id = match sets.codec {
            Codec::H264 => ffmpeg::codec::Id::H264,
            Codec::H265 => ffmpeg::codec::Id::HEVC,
        };
        let codec = decoder::find(id).ok_or(ffmpeg::Error::DecoderNotFound).map_err(failed)?;
        let mut context = ffmpeg::codec::Context::new_with_codec(codec);
        context.set_threading(threading::Config::count(1));
        context.set_flags(CodecFlags::LOW_DELAY);
        let mut options = Dictionary::new();
        options.set("max_pixels", &MAX_PIXELS.to_string());
        let opened = context.decoder().open_as_with(codec, options).map_err(failed)?;
        Ok(Self { inner: opened.video().map_err(failed)?, sets, sent: 0 })
    }

    /// Whether it was opened for this stream description.
    pub(crate) fn is_for(&self, sample_entry: &[u8]) -> bool {
        ParameterSets::of(sample_entry).is_ok_and(|sets| sets == self.sets)
    }

    /// Decodes further units; `each` sees every picture that is whole.
    pub(crate) fn decode(
        &mut self,
        units: &[&[u8]],
        mut each: impl FnMut(Decoded) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let first = self.sent;
        let mut each =
            |pts: i64, picture| each(Decoded { unit: usize::try_from(pts - first).ok(), picture });
        for unit in units {
            let mut coded = if self.sent == 0 { self.sets.annex_b.clone() } else { Vec::new() };
            nal::append_unit(&mut coded, unit)?;
            let mut packet = Packet::copy(&coded);
            packet.set_pts(Some(self.sent));
            self.sent += 1;
            let sent = self.inner.send_packet(&packet);
            sent.map_err(|e| Error::Undecodable { why: e.to_string() })?;
            self.drain(&mut each)?;
        }
        Ok(())
    }

    /// Takes out what the decoder still holds; it must not be used afterwards.
    fn finish(&mut self, mut each: impl FnMut(Decoded) -> Result<(), Error>) -> Result<(), Error> {
        let mut each = |_pts, picture| each(Decoded { unit: None, picture });
        let failed = |source| Error::Codec { action: "end the stream", source };
        self.inner.send_eof().map_err(failed)?;
        self.drain(&mut each)
    }

    fn drain(
        &mut self,
        each: &mut impl FnMut(i64, frame::Video) -> Result<(), Error>,
    ) -> Result<(), Error> {
        loop {
            let mut picture = frame::Video::empty();
            if self.inner.receive_frame(&mut picture).is_err() {
                return Ok(()); // it wants more units, or has none left
            }
            each(picture.pts().unwrap_or(i64::MIN / 2), picture)?;
        }
    }
}

/// The last picture of `units`, which begin with a key frame; damaged ones only if `damaged` will do.
pub(crate) fn last_picture(
    sample_entry: &[u8],
    units: &[&[u8]],
    damaged: bool,
) -> Result<frame::Video, Error> {
    let (mut last, mut spoilt) = (None, false);
    let mut keep = |decoded: Decoded| {
        spoilt = decoded.picture.is_corrupt() || decoded.picture.has_decode_errors();
        last = Some(decoded.picture);
        Ok(())
    };
    let mut decoder = Decoder::open(sample_entry)?;
    let decoded = decoder.decode(units, &mut keep);
    let finished = decoder.finish(&mut keep);
    match last {
        Some(picture) if damaged || !spoilt => Ok(picture),
        Some(_) => Err(Error::Undecodable { why: "the picture is damaged".to_owned() }),
        None => {
            decoded.and(finished)?;
            Err(Error::Undecodable { why: "no picture came out".to_owned() })
        }
    }
}

/// `picture` in another form and size, each pixel the mean of what it covers.
pub(crate) fn scaled(
    picture: &frame::Video,
    format: Pixel,
    (width, height): (u32, u32),
) -> Result<frame::Video, Error> {
    let failed = |source| Error::Codec { action: "scale the picture", source };
    let (format_before, wide, high) = (picture.format(), picture.width(), picture.height());
    let flags = scaling::Flags::AREA;
    let context = scaling::Context::get(format_before, wide, high, format, width, height, flags);
    let mut smaller = frame::Video::empty();
    context.map_err(failed)?.run(picture, &mut smaller).map_err(failed)?;
    Ok(smaller)
}

/// Brightness of `picture` at another size.
pub(crate) fn luma(picture: &frame::Video, width: u16, height: u16) -> Result<Luma, Error> {
    let grey = scaled(picture, Pixel::GRAY8, (u32::from(width), u32::from(height)))?;
    let pixels = tight(&grey, usize::from(width), usize::from(height));
    let luma = Luma::new(usize::from(width), usize::from(height), pixels);
    luma.ok_or(Error::Protocol { what: "a picture of no size is wanted" })
}

/// `picture` in red, green and blue, `width` pixels wide or as wide as it is.
pub(crate) fn rgb(picture: &frame::Video, width: u32) -> Result<Rgb, Error> {
    let (width, height) = fitting(picture, width);
    let coloured = scaled(picture, Pixel::RGB24, (width, height))?;
    let size = |n: u32| usize::try_from(n).unwrap_or(0);
    Ok(Rgb { width, height, pixels: tight(&coloured, 3 * size(width), size(height)) })
}

/// The size `picture` has when it is at most `max_width` wide; both even.
pub(crate) fn fitting(picture: &frame::Video, max_width: u32) -> (u32, u32) {
    let (wide, high) = (picture.width().max(2), picture.height().max(2));
    let width = wide.min(max_width.max(16));
    let height = u64::from(high) * u64::from(width) / u64::from(wide);
    (width & !1, u32::try_from(height.max(2)).unwrap_or(2) & !1)
}

/// The first plane without what pads its rows.
fn tight(picture: &frame::Video, row_bytes: usize, rows: usize) -> Vec<u8> {
    let stride = picture.stride(0).max(1);
    let lines = picture.data(0).chunks(stride).take(rows);
    lines.flat_map(|line| line.iter().take(row_bytes).copied()).collect()
}
