//! What vong and its vision worker say to each other over the worker's standard input and output.
//!
//! The worker begins with [`HELLO`]; then each request gets exactly one answer, in order. A message
//! is two lengths (little-endian), a head in postcard and raw bytes: coded frames one way, pixels or
//! JPEG the other. Both sides refuse what is longer than the limits here.

use std::io::Read;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::Error;
use crate::model::Detection;

/// First bytes of a worker; the last one counts the version of the protocol.
pub(crate) const HELLO: [u8; 4] = *b"VVW2";
/// Heads are a few numbers, a name and a length for each unit.
const MAX_HEAD_BYTES: u32 = 64 << 10;
/// A group of pictures of a camera with 64 Mb/s, or a picture of 4096 × 2160 as luma.
pub(crate) const MAX_BODY_BYTES: u32 = 32 << 20;

/// What is wanted of the frames of a request.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Work {
    /// The last picture of these units, which begin with a key frame, as luma of this size.
    Luma { width: u16, height: u16 },
    /// The same as JPEG, at most so wide.
    Jpeg { max_width: u32 },
    /// The next units of a stream that is decoded whole: luma of those that are wanted.
    Follow { stream: String, restart: bool, width: u16, height: u16, wanted: Vec<bool> },
    /// The same: the last picture as JPEG, at most so wide, if the decoder gives one.
    Motion { stream: String, restart: bool, max_width: u32 },
    /// No more units of this stream will come.
    Forget { stream: String },
    /// What the picture model sees in the last picture.
    Detect,
}

/// Head of a request; the body is the sample entry, then the units.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) work: Work,
    pub(crate) entry_bytes: u32,
    pub(crate) unit_bytes: Vec<u32>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Outcome {
    /// The body holds `units.len()` pictures of this size one after another, each of the unit with
    /// that number.
    Lumas {
        width: u16,
        height: u16,
        units: Vec<u32>,
    },
    /// The body is the JPEG.
    Jpeg,
    Detections(Vec<Detection>),
    Done,
    /// No picture; in words.
    Failed(String),
}

/// Head of an answer.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    pub(crate) outcome: Outcome,
}

/// A whole message of `head` and the parts of its body.
pub(crate) fn message(head: &impl Serialize, body: &[&[u8]]) -> Result<Vec<u8>, Error> {
    let head = postcard::to_stdvec(head).map_err(|_why| bad("head cannot be written"))?;
    let body_bytes = body.iter().map(|part| part.len()).sum();
    let mut message = Vec::with_capacity(8 + head.len() + body_bytes);
    for (bytes, limit) in [(head.len(), MAX_HEAD_BYTES), (body_bytes, MAX_BODY_BYTES)] {
        let bytes = u32::try_from(bytes).ok().filter(|bytes| *bytes <= limit);
        message.extend(bytes.ok_or_else(|| bad("message exceeds its limit"))?.to_le_bytes());
    }
    message.extend(head);
    body.iter().for_each(|part| message.extend_from_slice(part));
    Ok(message)
}

/// The next message; `None` at the end of the pipe.
pub(crate) fn read<H: DeserializeOwned>(
    from: &mut impl Read,
) -> Result<Option<(H, Vec<u8>)>, Error> {
    let mut lengths = [0; 8];
    match from.read_exact(&mut lengths) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(Error::Pipe(e)),
    }
    let (head, body) = buffers(lengths)?;
    let (mut head, mut body) = (vec![0; head], vec![0; body]);
    from.read_exact(&mut head).map_err(Error::Pipe)?;
    from.read_exact(&mut body).map_err(Error::Pipe)?;
    Ok(Some((parse(&head)?, body)))
}

/// As [`read`], without blocking; the end of the pipe is an error.
pub(crate) async fn read_async<H: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<(H, Vec<u8>), Error> {
    let mut lengths = [0; 8];
    from.read_exact(&mut lengths).await.map_err(Error::Pipe)?;
    let (head, body) = buffers(lengths)?;
    let (mut head, mut body) = (vec![0; head], vec![0; body]);
    from.read_exact(&mut head).await.map_err(Error::Pipe)?;
    from.read_exact(&mut body).await.map_err(Error::Pipe)?;
    Ok((parse(&head)?, body))
}

fn buffers(lengths: [u8; 8]) -> Result<(usize, usize), Error> {
    let [a, b, c, d, e, f, g, h] = lengths;
    let (head, body) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    if head > MAX_HEAD_BYTES || body > MAX_BODY_BYTES {
        return Err(bad("message exceeds its limit"));
    }
    let size = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
    Ok((size(head), size(body)))
}

fn parse<H: DeserializeOwned>(head: &[u8]) -> Result<H, Error> {
    postcard::from_bytes(head).map_err(|_why| bad("head cannot be read"))
}

fn bad(what: &'static str) -> Error {
    Error::Protocol { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request { id: 7, work: Work::Jpeg { max_width: 640 }, entry_bytes: 2, unit_bytes: vec![3] }
    }

    #[test]
    fn messages_come_through_one_after_another() {
        let mut pipe = message(&request(), &[b"ab", b"cde"]).unwrap();
        pipe.extend(message(&request(), &[]).unwrap());
        let mut pipe = pipe.as_slice();
        assert_eq!(read(&mut pipe).unwrap(), Some((request(), b"abcde".to_vec())));
        assert_eq!(read(&mut pipe).unwrap(), Some((request(), Vec::new())));
        assert_eq!(read::<Request>(&mut pipe).unwrap(), None);
    }

    #[test]
    fn what_is_too_long_cut_short_or_nonsense_is_refused() {
        let whole = message(&request(), &[b"abcde"]).unwrap();
        for end in 8..whole.len() {
            assert!(read::<Request>(&mut &whole[..end]).is_err(), "{end}");
        }
        assert!(read::<Request>(&mut [0xff_u8; 64].as_slice()).is_err());
        assert!(read::<Request>(&mut [4, 0, 0, 0, 0, 0, 0, 0, 1, 99, 1, 1].as_slice()).is_err());
        let large = vec![0; usize::try_from(MAX_BODY_BYTES).unwrap() + 1];
        assert!(message(&request(), &[&large]).is_err());
    }
}
