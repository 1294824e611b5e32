//! The worker process: reads requests, decodes, answers. Holds nothing that cannot be lost.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use ffmpeg_next as ffmpeg;

use crate::Error;
use crate::decode::{self, Decoded, Decoder};
use crate::jpeg;
use crate::luma::Luma;
use crate::model::PictureModel;
use crate::protocol::{self, Answer, HELLO, Outcome, Request, Work};

/// Streams that are decoded whole at one time; a further one pushes out the first by name.
const MAX_FOLLOWED: usize = 64;

/// Serves requests from `input` until it ends.
///
/// # Errors
/// [`Error::Pipe`], [`Error::Protocol`]: the worker is of no use any more. Frames that cannot be
/// decoded are an answer, not an error.
pub fn run(
    mut input: impl Read,
    mut output: impl Write,
    model: Option<Box<dyn PictureModel>>,
) -> Result<(), Error> {
    ffmpeg::init().map_err(|source| Error::Codec { action: "start ffmpeg", source })?;
    ffmpeg::util::log::set_level(ffmpeg::util::log::Level::Quiet);
    let mut send = |message: &[u8]| {
        output.write_all(message).and_then(|()| output.flush()).map_err(Error::Pipe)
    };
    send(&HELLO)?;
    let mut bench = Bench { followed: BTreeMap::new(), model };
    while let Some((request, body)) = protocol::read::<Request>(&mut input)? {
        let id = request.id;
        let (outcome, pictures) = bench
            .serve(request, &body)
            .unwrap_or_else(|e| (Outcome::Failed(e.to_string()), vec![]));
        let parts: Vec<&[u8]> = pictures.iter().map(Vec::as_slice).collect();
        send(&protocol::message(&Answer { id, outcome }, &parts)?)?;
    }
    Ok(())
}

/// What the worker keeps between requests.
struct Bench {
    followed: BTreeMap<String, Decoder>,
    model: Option<Box<dyn PictureModel>>,
}

impl Bench {
    fn serve(&mut self, request: Request, body: &[u8]) -> Result<(Outcome, Vec<Vec<u8>>), Error> {
        let Request { id: _, work, entry_bytes, unit_bytes } = request;
        let (entry, units) = cut(body, entry_bytes, &unit_bytes)?;
        match work {
            Work::Luma { width, height } => {
                let picture = decode::last_picture(entry, &units, false)?;
                let luma = decode::luma(&picture, width, height)?;
                let last = u32::try_from(units.len().saturating_sub(1)).unwrap_or(u32::MAX);
                let outcome = Outcome::Lumas { width, height, units: vec![last] };
                Ok((outcome, vec![luma.pixels().to_vec()]))
            }
            Work::Jpeg { max_width } => {
                let picture = decode::last_picture(entry, &units, true)?;
                Ok((Outcome::Jpeg, vec![jpeg::encode(&picture, max_width, jpeg::STILL)?]))
            }
            Work::Follow { stream, restart, width, height, wanted } => {
                let wanted = |unit: usize| wanted.get(unit).copied().unwrap_or(false);
                let lumas = self.decode(&stream, restart, entry, |decoder| {
                    lumas(decoder, &units, (width, height), wanted)
                })?;
                let (units, pictures) = lumas.into_iter().unzip();
                Ok((Outcome::Lumas { width, height, units }, pictures))
            }
            Work::Motion { stream, restart, max_width } => {
                let jpeg = self.decode(&stream, restart, entry, |decoder| {
                    jpeg::after(decoder, &units, max_width)
                })?;
                Ok(jpeg.map_or((Outcome::Done, vec![]), |jpeg| (Outcome::Jpeg, vec![jpeg])))
            }
            Work::Forget { stream } => {
                self.followed.remove(&stream);
                Ok((Outcome::Done, Vec::new()))
            }
            Work::Detect => {
                let model =
                    self.model.as_mut().ok_or_else(|| protocol_says("there is no model"))?;
                let picture = decode::last_picture(entry, &units, false)?;
                let picture = decode::rgb(&picture, model.picture_width())?;
                let found = model.detect(&picture).map_err(|why| Error::Undecodable { why })?;
                Ok((Outcome::Detections(found), Vec::new()))
            }
        }
    }

    /// Lets `decode` go on with a stream; one that cannot be decoded has to begin anew.
    fn decode<T>(
        &mut self,
        stream: &str,
        restart: bool,
        entry: &[u8],
        decode: impl FnOnce(&mut Decoder) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let decoded = self.decoder(stream, restart, entry).and_then(decode);
        if decoded.is_err() {
            self.followed.remove(stream);
        }
        decoded
    }

    fn decoder(
        &mut self,
        stream: &str,
        restart: bool,
        entry: &[u8],
    ) -> Result<&mut Decoder, Error> {
        if restart {
            self.followed.remove(stream);
        } else if !self.followed.contains_key(stream) {
            // The one that began the stream is gone, with what these frames refer to.
            return Err(Error::Undecodable { why: "the stream did not begin here".to_owned() });
        }
        if self.followed.get(stream).is_none_or(|decoder| !decoder.is_for(entry)) {
            if self.followed.len() >= MAX_FOLLOWED {
                self.followed.pop_first();
            }
            self.followed.insert(stream.to_owned(), Decoder::open(entry)?);
        }
        self.followed.get_mut(stream).ok_or_else(|| protocol_says("decoder is gone"))
    }
}

/// Pixels of each wanted unit, with its number.
fn lumas(
    decoder: &mut Decoder,
    units: &[&[u8]],
    (width, height): (u16, u16),
    wanted: impl Fn(usize) -> bool,
) -> Result<Vec<(u32, Vec<u8>)>, Error> {
    let mut pictures = Vec::new();
    decoder.decode(units, |Decoded { unit, picture }| {
        let Some(unit) = unit else { return Ok(()) };
        let sound = !picture.is_corrupt() && !picture.has_decode_errors();
        if sound && wanted(unit) {
            let luma: Luma = decode::luma(&picture, width, height)?;
            pictures.push((u32::try_from(unit).unwrap_or(u32::MAX), luma.pixels().to_vec()));
        }
        Ok(())
    })?;
    Ok(pictures)
}

fn protocol_says(what: &'static str) -> Error {
    Error::Protocol { what }
}

/// The sample entry and the units of a request's body.
fn cut<'b>(
    body: &'b [u8],
    entry_bytes: u32,
    unit_bytes: &[u32],
) -> Result<(&'b [u8], Vec<&'b [u8]>), Error> {
    let mut rest = body;
    let mut take = |bytes: u32| {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let (taken, after) = rest
            .split_at_checked(bytes)
            .ok_or_else(|| protocol_says("body is shorter than its head says"))?;
        rest = after;
        Ok::<_, Error>(taken)
    };
    let entry = take(entry_bytes)?;
    let units = unit_bytes.iter().map(|bytes| take(*bytes)).collect::<Result<_, _>>()?;
    Ok((entry, units))
}
