//! A decoded picture as JPEG.

use ffmpeg_next as ffmpeg;

use ffmpeg::format::Pixel;
use ffmpeg::{Dictionary, Packet, Rational, frame};

use crate::Error;
use crate::decode::{Decoded, Decoder, fitting, scaled};

/// Quantiser of every macroblock, 2 (best) to 31.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantiser(u8);

/// A street at 640 × 360 takes about 40 KiB.
pub(crate) const STILL: Quantiser = Quantiser(4);
/// What moves is looked at less closely, and comes 25 times a second.
const MOTION: Quantiser = Quantiser(8);

/// The picture of motion JPEG after `units`: the newest that the decoder gives, which with reordering
/// is of an earlier unit; none where it holds all back.
pub(crate) fn after(
    decoder: &mut Decoder,
    units: &[&[u8]],
    max_width: u32,
) -> Result<Option<Vec<u8>>, Error> {
    let mut last = None;
    decoder.decode(units, |Decoded { picture, .. }| {
        last = Some(picture);
        Ok(())
    })?;
    last.map(|picture| encode(&picture, max_width, MOTION)).transpose()
}

/// `picture`, at most `max_width` pixels wide.
pub(crate) fn encode(
    picture: &frame::Video,
    max_width: u32,
    Quantiser(quantiser): Quantiser,
) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Codec { action: "write the JPEG", source };
    let (width, height) = fitting(picture, max_width);
    let mut scaled = scaled(picture, Pixel::YUVJ420P, (width, height))?;
    scaled.set_pts(Some(0));
    let codec = ffmpeg::encoder::find(ffmpeg::codec::Id::MJPEG)
        .ok_or(ffmpeg::Error::EncoderNotFound)
        .map_err(failed)?;
    let mut context =
        ffmpeg::codec::Context::new_with_codec(codec).encoder().video().map_err(failed)?;
    context.set_width(width);
    context.set_height(height);
    context.set_format(Pixel::YUVJ420P);
    context.set_time_base(Rational(1, 1));
    context.set_threading(ffmpeg::threading::Config::count(1));
    let mut options = Dictionary::new();
    let quantiser = quantiser.to_string();
    options.set("qmin", &quantiser);
    options.set("qmax", &quantiser);
    let mut encoder = context.open_as_with(codec, options).map_err(failed)?;
    let mut packet = Packet::empty();
    encoder.send_frame(&scaled).map_err(failed)?;
    encoder.receive_packet(&mut packet).map_err(failed)?;
    Ok(packet.data().unwrap_or_default().to_vec())
}
