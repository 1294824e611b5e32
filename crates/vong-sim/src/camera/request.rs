//! RTSP 1.0 requests (RFC 2326) out of a byte stream, and answers into one. Pure.
//!
//! Limits: a request head of [`MAX_HEAD_BYTES`] with [`MAX_HEADERS`] headers, a body of
//! [`MAX_BODY_BYTES`]; what is larger ends the connection.

use std::fmt::Write;

use bytes::{Buf, BytesMut};

pub(crate) const MAX_HEAD_BYTES: usize = 8 * 1_024;
pub(crate) const MAX_HEADERS: usize = 64;
pub(crate) const MAX_BODY_BYTES: usize = 8 * 1_024;
/// An interleaved packet's length is a 16-bit number.
pub const MAX_BUFFERED_BYTES: usize = 4 + 65_535 + MAX_HEAD_BYTES + MAX_BODY_BYTES;

/// One thing a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    Request(Request),
    /// A receiver report or the like inside the connection (RFC 2326 10.12).
    Interleaved,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub uri: String,
    headers: Vec<(String, String)>,
}

/// Bytes that are no RTSP; the connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("request is larger than allowed")]
    TooLarge,
    #[error("request is not RTSP/1.0")]
    NotRtsp,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The path of the address asked for, without host, query and trailing slash.
    pub fn path(&self) -> &str {
        let uri = self.uri.as_str();
        let after_host = uri.split_once("://").map_or(uri, |(_, rest)| {
            rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/")
        });
        let path = after_host.split(['?', '#']).next().unwrap_or_default();
        path.trim_end_matches('/')
    }
}

/// Takes the next whole request or packet off the front of `buffer`; `None` if it is not there
/// yet.
pub fn take(buffer: &mut BytesMut) -> Result<Option<Incoming>, Malformed> {
    if let [b'$', _channel, high, low, ..] = buffer[..] {
        let whole = 4 + usize::from(u16::from_be_bytes([high, low]));
        if buffer.len() < whole {
            return Ok(None);
        }
        buffer.advance(whole);
        return Ok(Some(Incoming::Interleaved));
    }
    if buffer.first() == Some(&b'$') {
        return Ok(None);
    }
    let Some(head_bytes) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return if buffer.len() > MAX_HEAD_BYTES { Err(Malformed::TooLarge) } else { Ok(None) };
    };
    if head_bytes > MAX_HEAD_BYTES {
        return Err(Malformed::TooLarge);
    }
    let head = buffer.get(..head_bytes).unwrap_or_default();
    let request = parse_head(std::str::from_utf8(head).map_err(|_not_text| Malformed::NotRtsp)?)?;
    let body_bytes = match request.header("Content-Length").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(bytes)) if bytes <= MAX_BODY_BYTES => bytes,
        Some(_) => return Err(Malformed::TooLarge),
    };
    let whole = head_bytes + 4 + body_bytes;
    if buffer.len() < whole {
        return Ok(None);
    }
    buffer.advance(whole);
    Ok(Some(Incoming::Request(request)))
}

fn parse_head(head: &str) -> Result<Request, Malformed> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(uri), Some("RTSP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Malformed::NotRtsp);
    };
    let mut headers = Vec::new();
    for line in lines {
        if headers.len() == MAX_HEADERS {
            return Err(Malformed::TooLarge);
        }
        let (name, value) = line.split_once(':').ok_or(Malformed::NotRtsp)?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(Request { method: method.to_owned(), uri: uri.to_owned(), headers })
}

/// An answer in the making.
#[derive(Clone, Debug)]
pub struct Response {
    text: String,
    body: String,
}

impl Response {
    /// An answer to `request`, or to what could not be read as one.
    pub fn new(request: Option<&Request>, status: Status) -> Self {
        let (code, reason) = status.line();
        let mut response =
            Self { text: format!("RTSP/1.0 {code} {reason}\r\n"), body: String::new() };
        if let Some(cseq) = request.and_then(|r| r.header("CSeq")) {
            response = response.with("CSeq", cseq);
        }
        response.with("Server", "vong-sim")
    }

    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        write!(self.text, "{name}: {value}\r\n").expect("writing to a string cannot fail");
        self
    }

    pub fn with_sdp(mut self, sdp: String) -> Self {
        self.body = sdp;
        self.with("Content-Type", "application/sdp")
    }

    pub fn into_bytes(self) -> Vec<u8> {
        let bytes = self.body.len();
        let Self { text, body } = if bytes > 0 { self.with("Content-Length", bytes) } else { self };
        format!("{text}\r\n{body}").into_bytes()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    BadRequest,
    Unauthorized,
    NotFound,
    EntityTooLarge,
    NotEnoughBandwidth,
    SessionNotFound,
    MethodNotValidInState,
    UnsupportedTransport,
    NotImplemented,
    Unavailable,
}

impl Status {
    fn line(self) -> (u16, &'static str) {
        match self {
            Status::Ok => (200, "OK"),
            Status::BadRequest => (400, "Bad Request"),
            Status::Unauthorized => (401, "Unauthorized"),
            Status::NotFound => (404, "Not Found"),
            Status::EntityTooLarge => (413, "Request Entity Too Large"),
            Status::NotEnoughBandwidth => (453, "Not Enough Bandwidth"),
            Status::SessionNotFound => (454, "Session Not Found"),
            Status::MethodNotValidInState => (455, "Method Not Valid in This State"),
            Status::UnsupportedTransport => (461, "Unsupported Transport"),
            Status::NotImplemented => (501, "Not Implemented"),
            Status::Unavailable => (503, "Service Unavailable"),
        }
    }
}

/// How a viewer wants its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Inside the RTSP connection, RTP and RTCP on these channels.
    Interleaved(u8, u8),
    /// As datagrams to these ports of the viewer.
    Udp(u16, u16),
}

/// The first transport of a `Transport` header that is served here (RFC 2326 12.39). A
/// `destination` is ignored: packets go to whoever asked, nobody else.
pub fn transport(header: &str) -> Option<Wanted> {
    header.split(',').find_map(|offer| {
        let mut parameters = offer.split(';').map(str::trim);
        let protocol = parameters.next()?;
        let mut channels = (0, 1);
        let mut ports = None;
        for parameter in parameters {
            match parameter.split_once('=') {
                None if parameter.eq_ignore_ascii_case("multicast") => return None,
                Some(("interleaved", pair)) => channels = number_pair(pair)?,
                Some(("client_port", pair)) => ports = Some(number_pair(pair)?),
                _ => {}
            }
        }
        if protocol.eq_ignore_ascii_case("RTP/AVP/TCP") {
            return Some(Wanted::Interleaved(channels.0, channels.1));
        }
        let udp = ["RTP/AVP", "RTP/AVP/UDP"].iter().any(|p| protocol.eq_ignore_ascii_case(p));
        let (rtp, rtcp) = ports.filter(|_| udp)?;
        Some(Wanted::Udp(rtp, rtcp))
    })
}

fn number_pair<T: std::str::FromStr>(text: &str) -> Option<(T, T)> {
    let (first, second) = text.split_once('-')?;
    Some((first.trim().parse().ok()?, second.trim().parse().ok()?))
}

#[cfg(test)]
mod tests;
